//! From an address to a country and a network operator, by local database files. Nobody is asked over the network here, and private
//! and reserved addresses are never looked up.

pub mod asking;
pub mod countries;
mod error;
pub mod file;
#[cfg(test)]
pub(crate) mod writer;

use std::cell::Cell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::domain::address::IpOrNet;
use crate::domain::history::{Country, Place};

pub use self::error::{GeoError, MAX_BYTES};
use self::file::{GeoFile, Identity};

/// Where packages and the update tools of the makers put their files.
const DIRECTORIES: &[&str] =
    &["/var/lib/GeoIP", "/usr/share/GeoIP", "/usr/local/share/GeoIP", "/usr/local/var/GeoIP", "/usr/share/geoip"];
/// Names of files that know countries, the most precise first.
const COUNTRY_FILES: &[&str] = &[
    "country.mmdb",
    "GeoLite2-Country.mmdb",
    "GeoIP2-Country.mmdb",
    "GeoLite2-City.mmdb",
    "GeoIP2-City.mmdb",
    "dbip-country-lite.mmdb",
    "dbip-city-lite.mmdb",
    "ipinfo_lite.mmdb",
    "country_asn.mmdb",
    "geo-whois-asn-country.mmdb",
];
/// Names of files that know operators.
const ASN_FILES: &[&str] = &["asn.mmdb", "GeoLite2-ASN.mmdb", "dbip-asn-lite.mmdb"];

/// `GeoDetail` of the contract.
#[derive(Debug, Clone, Serialize)]
pub struct GeoDetail {
    country_code: Option<String>,
    country_name: Option<&'static str>,
    asn: Option<String>,
    org: Option<String>,
}

impl From<Place> for GeoDetail {
    fn from(place: Place) -> Self {
        GeoDetail {
            country_code: place.country.map(String::from),
            country_name: place.country.and_then(countries::name),
            asn: place.asn,
            org: place.org,
        }
    }
}

/// The database files in use.
#[derive(Debug, Default)]
pub struct Geo {
    /// The file that was named, or nothing: then the usual places are looked in.
    given: Option<PathBuf>,
    /// A directory of our own to look in first.
    own: Option<PathBuf>,
    files: Vec<GeoFile>,
    /// What the last look found, so that a bad file is complained of once.
    seen: Vec<(PathBuf, Identity)>,
    /// What a server outside has told, for a child.
    told: HashMap<String, Country>,
    hits: Cell<u64>,
    misses: Cell<u64>,
    /// Rises when the files have changed.
    revision: u64,
}

/// What a child needs to know places.
#[derive(Debug, Serialize, Deserialize)]
pub struct GeoSource {
    /// The files.
    pub files: Vec<PathBuf>,
    /// What a server outside has told of addresses.
    pub told: Vec<(String, Country)>,
}

impl Geo {
    /// Opens what there is. `given` is the file of the settings, `own` the directory `bangui geo update` writes to.
    pub fn new(given: Option<PathBuf>, own: Option<PathBuf>) -> Geo {
        let mut geo = Geo { given, own, ..Geo::default() };
        geo.refresh();
        geo
    }

    /// Opens exactly these; what cannot be opened is left out. For a child process.
    pub fn open(source: &GeoSource) -> Geo {
        let files = source.files.iter().filter_map(|path| GeoFile::open(path).ok()).collect();
        Geo { files, told: source.told.iter().cloned().collect(), ..Geo::default() }
    }

    /// Looks whether the files have changed, and opens them again if so: true then. Costs a few calls of `stat`.
    pub fn refresh(&mut self) -> bool {
        let found: Vec<(PathBuf, Identity)> =
            self.candidates().into_iter().filter_map(|path| Identity::of(&path).map(|id| (path, id))).collect();
        if found == self.seen {
            return false;
        }
        self.revision += 1;
        let open = |(path, _): &(PathBuf, Identity)| match GeoFile::open(path) {
            Ok(file) => Some(file),
            Err(error) => {
                log::warn!("{error}");
                None
            }
        };
        let files: Vec<GeoFile> = found.iter().filter_map(open).collect();
        // A file caught half-written leaves the map of the old one in use, where that was replaced and not cut.
        if !files.is_empty() || found.is_empty() || !self.files.iter().all(GeoFile::is_whole) {
            self.files = files;
        }
        self.seen = found;
        true
    }

    /// The paths to open: the country file and the operators' file.
    fn candidates(&self) -> Vec<PathBuf> {
        let directories = || self.own.iter().map(PathBuf::as_path).chain(DIRECTORIES.iter().map(Path::new));
        let first = |names: &[&str]| {
            directories().flat_map(|at| names.iter().map(move |name| at.join(name))).find(|path| path.is_file())
        };
        let country = self.given.clone().or_else(|| first(COUNTRY_FILES));
        country.into_iter().chain(first(ASN_FILES)).collect()
    }

    /// The files in use.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.files.iter().map(|file| file.path().to_owned()).collect()
    }

    /// Rises when the files have changed.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The first file in use.
    pub fn file(&self) -> Option<&GeoFile> {
        self.files.first()
    }

    /// What identifies the files in use, for a note of what was resolved by them.
    pub fn fingerprint(&self) -> String {
        let one = |file: &GeoFile| format!("{}@{}:{:?}", file.path().display(), file.built_at(), file.identity());
        self.files.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    /// Lookups that found something, and that did not.
    pub fn counts(&self) -> (u64, u64) {
        (self.hits.get(), self.misses.get())
    }

    /// Counts a lookup.
    pub fn count(&self, place: &Place) {
        let count = if *place == Place::default() { &self.misses } else { &self.hits };
        count.set(count.get() + 1);
    }

    /// Whether an address is looked up at all: those of private and reserved networks never are.
    pub fn is_eligible(address: &IpOrNet) -> bool {
        address.is_public()
    }

    /// Whether a server outside may be asked about a text: it is one address, and a public one.
    pub fn is_askable(text: &str) -> bool {
        text.parse::<IpAddr>().is_ok_and(|address| Geo::is_eligible(&address.into()))
    }

    /// Where an address is, by the files. A network counts as its first address.
    pub fn look_up(&self, address: &IpOrNet) -> Place {
        if Geo::is_eligible(address) { self.ask_files(address.address()) } else { Place::default() }
    }

    /// The same for a text, which may be no address at all. In a child, by what was told, too.
    pub fn look_up_text(&self, text: &str) -> Place {
        let mut place = text.parse().map_or_else(|_| Place::default(), |address| self.look_up(&address));
        if place.country.is_none() && !self.told.is_empty() {
            place.country = self.told.get(text).copied();
        }
        place
    }

    fn ask_files(&self, address: IpAddr) -> Place {
        let mut place = Place::default();
        for file in &self.files {
            let found = file.look_up(address);
            place.country = place.country.or(found.country);
            place.asn = place.asn.or(found.asn);
            place.org = place.org.or(found.org);
        }
        place
    }
}

#[cfg(test)]
mod tests;

//! Fetches a country database, checks it by opening it, and puts it where the server looks. Whatever goes wrong, the file that was there
//! stays. For a child of the server, and for the command line.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::failure::Failure;
use crate::config::Config;
use crate::fetch::{self, Answer, FetchError, Rules, Validators};
use crate::files;
use crate::geo::MAX_BYTES;
use crate::geo::file::GeoFile;
use crate::machine;

/// How long fetching may take altogether.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// Fetch a country database.
#[derive(Debug, Serialize, Deserialize)]
pub struct UpdateGeo {
    /// Where it is.
    pub url: String,
    /// It may come from an address that is not public.
    pub allow_private: bool,
    /// The file to replace.
    pub target: PathBuf,
}

/// Why there is no new file.
#[derive(Debug)]
struct Trouble(String);

impl From<FetchError> for Trouble {
    fn from(error: FetchError) -> Self {
        Trouble(format!("the country database was not updated, and the file in use is kept: {error}"))
    }
}

impl UpdateGeo {
    /// By the settings: the file they name, else one beside our database, where the server looks first.
    pub fn new(config: &Config) -> Self {
        let own = || config.database.with_file_name("country.mmdb");
        Self {
            url: config.geoip_update_url.clone(),
            allow_private: config.allow_private_fetch,
            target: config.geoip_database.clone().unwrap_or_else(own),
        }
    }

    /// The new file's kind.
    pub fn run(self) -> Result<Value, Failure> {
        self.fetch().map(|file| json!(file.kind())).map_err(Failure::Upstream)
    }

    /// Fetches to a file beside the target and renames it over that once it has proved sound.
    pub fn fetch(&self) -> Result<GeoFile, String> {
        let part = self.target.with_extension("mmdb.part");
        let fetched = self.download(&part).map_err(|Trouble(why)| why).and_then(|()| replace(&part, &self.target));
        if fetched.is_err() {
            // It may never have been made.
            let _ = fs::remove_file(&part);
        }
        fetched
    }

    fn download(&self, part: &Path) -> Result<(), Trouble> {
        let cannot_write = |error: io::Error| Trouble(cannot_write(part, &error));
        let rules = Rules {
            allow_private: self.allow_private,
            own: machine::own_addresses(),
            bytes: MAX_BYTES,
            time: PATIENCE,
            authorities: None,
        };
        let Answer::Content(mut download) = fetch::open(&self.url, &Validators::default(), &rules)? else {
            return Err(Trouble(
                "the server answered 304 (not modified) to a request that did not ask for that".to_owned(),
            ));
        };
        if let Some(directory) = part.parent() {
            fs::create_dir_all(directory).map_err(cannot_write)?;
        }
        // What is left of a run that was killed is in nobody's way.
        let _ = fs::remove_file(part);
        let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(part);
        let mut file = made.map_err(cannot_write)?;
        download.each(|bytes, _| file.write_all(bytes).map_err(cannot_write))?;
        file.sync_all().map_err(cannot_write)
    }
}

/// Opens the new file, and makes it the one in use.
fn replace(part: &Path, target: &Path) -> Result<GeoFile, String> {
    let file = GeoFile::open(part).map_err(|error| format!("the downloaded file is not a valid database: {error}"))?;
    files::put_over(part, target).map_err(|error| cannot_write(target, &error))?;
    Ok(file)
}

fn cannot_write(path: &Path, error: &io::Error) -> String {
    format!("cannot write {}: {error}; check the directory's owner and space", path.display())
}

#[cfg(test)]
mod tests {
    use std::io::BufRead;
    use std::net::TcpListener;

    use super::*;
    use crate::geo::writer::{Item, database};

    /// Answers one request with these bytes; gives its URL.
    fn serve(body: Vec<u8>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = io::BufReader::new(stream.try_clone().unwrap()).lines();
            while head.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            // Whoever has had enough goes away.
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(&body);
        });
        format!("http://{address}/country.mmdb")
    }

    #[test]
    fn a_sound_file_replaces_the_old_one_and_nothing_else_does() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("sub/country.mmdb");
        let fetch = |url: &str, target: &Path| {
            UpdateGeo { url: url.to_owned(), allow_private: true, target: target.to_owned() }.fetch()
        };
        let sound = database("New", &[("5.0.0.0/8", Item::Map(vec![("country_code", Item::Text("DE"))]))]);
        assert_eq!(fetch(&serve(sound.clone()), &target).unwrap().kind(), "New");
        assert_eq!(fs::read(&target).unwrap(), sound);
        for bad in [Vec::new(), b"<html>no such file</html>".to_vec(), sound[..sound.len() / 2].to_vec()] {
            let error = fetch(&serve(bad), &target).unwrap_err();
            assert!(error.contains("not a valid database"), "{error}");
        }
        let error = fetch("http://127.0.0.1:1/none", &target).unwrap_err();
        assert!(error.contains("is kept"), "{error}");
        assert_eq!(fs::read(&target).unwrap(), sound);
        let guarded = UpdateGeo { url: serve(sound.clone()), allow_private: false, target: target.clone() };
        assert!(guarded.fetch().unwrap_err().contains("BANGUI_ALLOW_PRIVATE_FETCH"));
        let left = fs::read_dir(target.parent().unwrap()).unwrap().count();
        assert_eq!(left, 1, "no half file stays behind");
    }
}

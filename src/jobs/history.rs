//! The past as fail2ban's own database remembers it, in a child: it has no index by time, so every question reads all of it,
//! page by page, and keeps only what is asked for. A set of imported addresses is asked along: it stands for a jail.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::failure::Failure;
use super::frames::FrameWriter;
use crate::blocklist::held::{Entry, HeldFile};
use crate::domain::actor::Actor;
use crate::domain::history::{
    Answer, BLOCKLIST_JAIL, Country, Cursor, Filter, Listing, Origin, PastBan, Question, Slice, bucket_start,
    short_lines,
};
use crate::domain::history_order::{By, Order, Picked, Sorted};
use crate::domain::own_ban::Ours;
use crate::domain::page::from_the_end;
use crate::domain::time::rfc3339;
use crate::fail2ban::database::{Ban, Database, DatabaseError};
use crate::files::Trouble;
use crate::geo::{Geo, GeoDetail, GeoSource, countries};

/// How long a page may wait for the daemon's own writing.
const PATIENCE: Duration = Duration::from_millis(500);
/// Rows that are read at a time.
const PAGE: usize = 2000;
/// Bans of a country that are read and written at a time.
const PART: usize = 200;
/// Numbers of rows from here on are positions in the set: no table has as many.
const HELD: i64 = 1 << 62;

/// A question to fail2ban's database.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ask {
    /// The database.
    pub database: PathBuf,
    /// What the set of imported addresses holds, where there is one.
    pub set: Option<PathBuf>,
    /// What knows countries.
    pub geo: GeoSource,
    /// Which bans.
    pub filter: Filter,
    /// What of them.
    pub question: Question,
    /// The list is wanted with the oldest first.
    pub oldest_first: bool,
    /// The list is wanted in another order than that of time.
    pub order: Option<Order>,
    /// Instead of the part of the list: every ban of this country, streamed as the contract's `BansByCountryResponse`.
    pub country: Option<Country>,
    /// What is streamed is packed with gzip.
    pub packed: bool,
    /// Instead of the part of the list: all of it, streamed as the contract's `HistoryBanItem`s in `items`.
    pub whole: bool,
}

/// What one pass over the database gathers.
#[derive(Default)]
struct Seen {
    /// Positions of the bans the list holds.
    listed: Vec<Cursor>,
    /// Where another order is asked for: those that are on the page.
    picked: Option<Picked>,
    /// The jails by name, where the list is sorted by them.
    jails: Vec<String>,
    by_country: HashMap<Option<Country>, u64>,
    by_jail: HashMap<String, u64>,
    by_bucket: HashMap<i64, u64>,
    total: u64,
}

impl Ask {
    /// An `Answer`; where a country is asked for, nothing, for then it is streamed.
    pub fn run(self, out: &mut FrameWriter<'_>) -> Result<Value, Failure> {
        let database = Database::open(&self.database, PATIENCE)?;
        let geo = Geo::open(&self.geo);
        let mut seen = self.begin(&database)?;
        let mut after = Some(0);
        while let Some(start) = after {
            let asks_lines = self.filter.asks_lines();
            let is_brief = !asks_lines && self.order.is_none_or(|order| order.by != By::Failures);
            let page = if is_brief { database.brief_page(start, PAGE) } else { database.history_page(start, PAGE) }?;
            let wanted = |ban: &&Ban| {
                self.filter.takes(&ban.jail, &ban.ip, ban.times.banned_at)
                    && (!asks_lines || self.takes_text(&ban.jail, &ban.ip, &ban.data.matches))
                    && self.takes_country(&ban.ip, &geo)
            };
            for ban in page.bans.iter().filter(wanted) {
                let position = Cursor { time: ban.times.banned_at, id: ban.rowid };
                if seen.picked.is_some() {
                    let failures = i64::try_from(ban.data.failures).unwrap_or(i64::MAX);
                    let sorted =
                        Sorted { failures, count: ban.times.count, ban_time: ban.times.ban_time, ..plain(&ban.ip) };
                    seen.pick(&ban.jail, sorted, position, &geo);
                    continue;
                }
                self.note(&ban.jail, &ban.ip, position, &geo, &mut seen);
            }
            after = page.next;
        }
        let held = self.set.as_ref().and_then(|file| HeldFile::open(file).ok().flatten());
        if let Some(held) = &held {
            self.note_held(held, &geo, &mut seen)?;
        }
        let past = Past { database, held };
        if self.whole {
            return stream(&past, &geo, seen.listed, out, b"{\"items\":[".to_vec(), push_past);
        }
        let mut map = Vec::new();
        if self.country.is_some() {
            push_map(&mut map, &known(std::mem::take(&mut seen.by_country)), seen.total);
        }
        if self.country.is_some() && self.packed {
            let mut packer = GzEncoder::new(out, Compression::fast());
            stream(&past, &geo, seen.listed, &mut packer, map, push_ban)?;
            packer.finish().map_err(|_| Failure::Crashed)?;
            return Ok(Value::Null);
        }
        if self.country.is_some() {
            return stream(&past, &geo, seen.listed, out, map, push_ban);
        }
        if let Some(mut picked) = seen.picked.take() {
            let page = picked.page().unwrap_or_default();
            let listing = Listing { bans: past.read_with(&page, &geo)?, total: picked.seen(), next: None };
            return Ok(json!(Answer { total: listing.total, listing, ..Answer::default() }));
        }
        let listing = match self.question {
            Question::List(slice) | Question::ByCountry(slice) => {
                list(&past, slice, self.oldest_first, seen.listed, &geo)?
            }
            Question::ByJail | Question::Trend => Listing::default(),
        };
        let mut by_jail: Vec<(String, u64)> = seen.by_jail.into_iter().collect();
        by_jail.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let by_bucket = seen.by_bucket.into_iter().collect();
        let by_country = known(seen.by_country);
        Ok(json!(Answer { listing, by_country, by_jail, by_bucket, total: seen.total }))
    }

    fn begin(&self, database: &Database) -> Result<Seen, DatabaseError> {
        let (Some(order), Question::List(slice)) = (self.order, self.question) else { return Ok(Seen::default()) };
        // A child has room for all of them.
        let picked = Some(Picked::new(order, slice.skip, slice.limit, usize::MAX));
        let mut jails = Vec::new();
        if order.by == By::Jail {
            jails = database.history_jails()?;
            jails.push(BLOCKLIST_JAIL.to_owned());
            jails.sort_unstable();
        }
        Ok(Seen { picked, jails, ..Seen::default() })
    }

    fn note_held(&self, held: &HeldFile, geo: &Geo, seen: &mut Seen) -> Result<(), Failure> {
        let visit = &mut |index: usize, entry: Entry| {
            let (ip, banned_at) = (entry.net.to_string(), i64::from(entry.since));
            let is_wanted = self.filter.takes(BLOCKLIST_JAIL, &ip, banned_at)
                && self.takes_text(BLOCKLIST_JAIL, &ip, &[])
                && self.takes_country(&ip, geo);
            if is_wanted {
                let position = Cursor { time: banned_at, id: HELD + index as i64 };
                if seen.picked.is_some() {
                    let ban_time = Some(f64::from(entry.until) - f64::from(entry.since));
                    seen.pick(BLOCKLIST_JAIL, Sorted { ban_time, ..plain(&ip) }, position, geo);
                    return true;
                }
                self.note(BLOCKLIST_JAIL, &ip, position, geo, seen);
            }
            true
        };
        held.each(0, visit).map_err(|error| Failure::Files(Trouble::other(error)))
    }

    /// Whether a ban is wanted for what is written of it, as far as the archive keeps its lines.
    fn takes_text(&self, jail: &str, ip: &str, lines: &[String]) -> bool {
        self.filter.takes_text(jail, ip, &short_lines(lines).join("\n"))
    }

    fn takes_country(&self, ip: &str, geo: &Geo) -> bool {
        self.filter.country.is_none() || geo.look_up_text(ip).country == self.filter.country
    }

    fn note(&self, jail: &str, ip: &str, position: Cursor, geo: &Geo, seen: &mut Seen) {
        seen.total += 1;
        match self.question {
            Question::List(_) => seen.listed.push(position),
            Question::ByCountry(_) => {
                let country = geo.look_up_text(ip).country;
                *seen.by_country.entry(country).or_default() += 1;
                if self.country.is_none() || country == self.country {
                    seen.listed.push(position);
                }
            }
            Question::ByJail => *seen.by_jail.entry(jail.to_owned()).or_default() += 1,
            Question::Trend => {
                let seconds = self.filter.window.map_or(1, |window| window.bucket);
                *seen.by_bucket.entry(bucket_start(position.time, seconds)).or_default() += 1;
            }
        }
    }
}

/// A ban of which nothing is known but its address.
fn plain(ip: &str) -> Sorted<'_> {
    Sorted { ip, jail: 0, count: 1, failures: 0, ban_time: None, country: None }
}

impl Seen {
    fn pick(&mut self, jail: &str, ban: Sorted<'_>, position: Cursor, geo: &Geo) {
        let Some(picked) = &mut self.picked else { return };
        let jail = self.jails.iter().position(|name| name == jail).unwrap_or(0) as u32;
        let is_by_country = picked.order().by == By::CountryCode;
        let country = if is_by_country { geo.look_up_text(ban.ip).country } else { None };
        picked.take(Sorted { jail, country, ..ban }, position);
    }
}

fn known(by_country: HashMap<Option<Country>, u64>) -> Vec<(Country, u64)> {
    by_country.into_iter().filter_map(|(country, count)| Some((country?, count))).collect()
}

/// The part of the list that is wanted, read again by the numbers of its rows.
fn list(
    past: &Past,
    mut slice: Slice,
    oldest_first: bool,
    mut positions: Vec<Cursor>,
    geo: &Geo,
) -> Result<Listing, DatabaseError> {
    newest_first(&mut positions);
    if oldest_first {
        (slice.skip, slice.limit) = from_the_end(slice.skip, slice.limit, positions.len() as u64);
    }
    let skip = usize::try_from(slice.skip).unwrap_or(usize::MAX);
    let is_behind =
        |position: &&Cursor| slice.after.is_none_or(|after| (position.time, position.id) < (after.time, after.id));
    let mut rest = positions.iter().filter(is_behind).skip(skip).copied();
    let wanted: Vec<Cursor> = rest.by_ref().take(slice.limit as usize).collect();
    let mut bans = past.read_with(&wanted, geo)?;
    if oldest_first {
        bans.reverse();
        return Ok(Listing { bans, total: positions.len() as u64, next: None });
    }
    let has_more = rest.next().is_some();
    let next = wanted.last().filter(|_| has_more).copied();
    Ok(Listing { bans, total: positions.len() as u64, next })
}

fn newest_first(positions: &mut [Cursor]) {
    positions.sort_unstable_by_key(|position| std::cmp::Reverse((position.time, position.id)));
}

/// Where bans are read again by their positions.
struct Past {
    database: Database,
    held: Option<HeldFile>,
}

impl Past {
    /// The bans at these positions, in their order and without their countries; one whose row has another by now was lifted meanwhile,
    /// and is left out.
    fn read(&self, positions: &[Cursor]) -> Result<Vec<PastBan>, DatabaseError> {
        let rows: Vec<i64> = positions.iter().map(|position| position.id).filter(|id| *id < HELD).collect();
        let mut banned = self.database.history_rows(&rows)?.into_iter().peekable();
        let mut bans = Vec::with_capacity(positions.len());
        for position in positions {
            if position.id >= HELD {
                let entry = self.held.as_ref().and_then(|held| held.at((position.id - HELD) as usize).ok());
                bans.extend(entry.map(|entry| PastBan { id: position.id, ..past_held(&entry) }));
            } else if let Some(ban) = banned.next_if(|ban| ban.rowid == position.id)
                && ban.times.banned_at == position.time
            {
                bans.push(past_ban(ban));
            }
        }
        Ok(bans)
    }

    /// The same with their countries.
    fn read_with(&self, positions: &[Cursor], geo: &Geo) -> Result<Vec<PastBan>, DatabaseError> {
        let mut bans = self.read(positions)?;
        for ban in &mut bans {
            ban.country = geo.look_up_text(&ban.ip).country;
        }
        Ok(bans)
    }
}

/// Writes one ban.
type Push = fn(&mut Vec<u8>, PastBan, GeoDetail);

/// What begins an answer, and every ban that was listed, newest first, in the list that this leaves open.
fn stream(
    past: &Past,
    geo: &Geo,
    mut listed: Vec<Cursor>,
    out: &mut dyn Write,
    mut part: Vec<u8>,
    push: Push,
) -> Result<Value, Failure> {
    newest_first(&mut listed);
    let mut is_first = true;
    for positions in listed.chunks(PART) {
        for mut ban in past.read(positions)? {
            let place = geo.look_up_text(&ban.ip);
            if !std::mem::take(&mut is_first) {
                part.push(b',');
            }
            ban.country = place.country;
            push(&mut part, ban, place.into());
        }
        write(out, &part)?;
        part.clear();
    }
    part.extend_from_slice(b"]}");
    write(out, &part)?;
    Ok(Value::Null)
}

fn write(out: &mut dyn Write, part: &[u8]) -> Result<(), Failure> {
    // Nobody listens any more.
    out.write_all(part).map_err(|_| Failure::Crashed)
}

/// An entry of the set as history knows it, without its country.
pub fn past_held(entry: &Entry) -> PastBan {
    PastBan {
        country: None,
        id: HELD,
        jail: BLOCKLIST_JAIL.to_owned(),
        ip: entry.net.to_string(),
        banned_at: i64::from(entry.since),
        ban_time: Some(f64::from(entry.until) - f64::from(entry.since)),
        count: 1,
        failures: 0,
        matches: Vec::new(),
        ours: Ours::default(),
    }
}

/// A ban as history knows it, without its country.
pub fn past_ban(ban: Ban) -> PastBan {
    PastBan {
        country: None,
        id: ban.rowid,
        jail: ban.jail,
        ip: ban.ip,
        banned_at: ban.times.banned_at,
        ban_time: ban.times.ban_time,
        count: ban.times.count,
        failures: i64::try_from(ban.data.failures).unwrap_or(i64::MAX),
        matches: short_lines(&ban.data.matches),
        ours: Ours::default(),
    }
}

/// `DashboardBanItem` of the contract.
#[derive(Debug, Serialize)]
struct BanItem {
    ip: String,
    jail: String,
    banned_at: String,
    service: Option<String>,
    #[serde(flatten)]
    geo: GeoDetail,
    ban_count: i64,
    origin: Origin,
}

/// Writes the contract's `DashboardBanItem` of a ban.
pub fn push_ban(out: &mut Vec<u8>, ban: PastBan, geo: GeoDetail) {
    let item = BanItem {
        geo,
        origin: Origin::of(&ban.jail),
        ip: ban.ip,
        jail: ban.jail,
        banned_at: rfc3339(ban.banned_at),
        service: ban.matches.into_iter().next(),
        ban_count: ban.count.max(1),
    };
    serde_json::to_writer(out, &item).expect("texts and numbers are JSON, and a Vec takes them");
}

/// `HistoryBanItem` of the contract.
#[derive(Debug, Serialize)]
struct HistoryItem {
    ip: String,
    jail: String,
    banned_at: String,
    ban_count: i64,
    failures: i64,
    matches: Vec<String>,
    #[serde(flatten)]
    geo: GeoDetail,
    ban_time: Option<f64>,
    origin: Origin,
    #[serde(flatten)]
    ours: ShownOurs,
}

/// What was done about a ban here: `BanByUs` of the contract.
#[derive(Debug, Serialize)]
pub struct ShownOurs {
    note: Option<String>,
    actor: Option<ShownActor>,
    lifted_at: Option<String>,
    lifted_by: Option<ShownActor>,
    lifted_note: Option<String>,
}

/// `Actor` of the contract.
#[derive(Debug, Serialize)]
struct ShownActor {
    kind: &'static str,
    name: String,
}

impl From<Actor> for ShownActor {
    fn from(actor: Actor) -> ShownActor {
        ShownActor { kind: actor.kind(), name: actor.name().to_owned() }
    }
}

impl From<Ours> for ShownOurs {
    fn from(ours: Ours) -> ShownOurs {
        let said = |note: String| Some(note).filter(|note| !note.is_empty());
        ShownOurs {
            note: said(ours.note),
            actor: ours.actor.map(ShownActor::from),
            lifted_at: ours.lift.as_ref().map(|lift| rfc3339(lift.at)),
            lifted_note: ours.lift.as_ref().and_then(|lift| said(lift.note.clone())),
            lifted_by: ours.lift.map(|lift| ShownActor::from(lift.actor)),
        }
    }
}

/// Writes the contract's `HistoryBanItem` of a ban.
pub fn push_past(out: &mut Vec<u8>, ban: PastBan, geo: GeoDetail) {
    let item = HistoryItem {
        geo,
        origin: Origin::of(&ban.jail),
        ip: ban.ip,
        jail: ban.jail,
        banned_at: rfc3339(ban.banned_at),
        ban_count: ban.count.max(1),
        failures: ban.failures.max(0),
        matches: ban.matches,
        ban_time: ban.ban_time,
        ours: ban.ours.into(),
    };
    serde_json::to_writer(out, &item).expect("texts and numbers are JSON, and a Vec takes them");
}

/// The beginning of the contract's `BansByCountryResponse`: everything but its bans, whose list is left open.
pub fn push_map(out: &mut Vec<u8>, counts: &[(Country, u64)], total: u64) {
    let by_code: BTreeMap<&str, u64> = counts.iter().map(|(country, count)| (country.as_str(), *count)).collect();
    let named = |(country, _): &(Country, u64)| Some((country.as_str().to_owned(), countries::name(*country)?));
    let names: BTreeMap<String, &str> = counts.iter().filter_map(named).collect();
    let head = json!({ "countries": by_code, "country_names": names, "total": total }).to_string();
    out.extend_from_slice(head.strip_suffix('}').unwrap_or_default().as_bytes());
    out.extend_from_slice(b",\"bans\":[");
}

//! The past as fail2ban's own database remembers it, in a child: it has no index by time, so every question reads all of it,
//! page by page, and keeps only what is asked for. A set of imported addresses is asked along: it stands for a jail.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Failure;
use crate::blocklist::held::{Entry, HeldFile};
use crate::domain::history::{
    Answer, BLOCKLIST_JAIL, Country, Cursor, Filter, Listing, PastBan, Question, Slice, bucket_start, short_lines,
};
use crate::fail2ban::database::{Ban, Database, DatabaseError};
use crate::geo::Geo;

/// How long a page may wait for the daemon's own writing.
const PATIENCE: Duration = Duration::from_millis(500);
/// Rows that are read at a time.
const PAGE: usize = 2000;
/// Numbers of rows from here on are positions in the set: no table has as many.
const HELD: i64 = 1 << 62;

/// A question to fail2ban's database.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ask {
    /// The database.
    pub database: PathBuf,
    /// What the set of imported addresses holds, where there is one.
    pub set: Option<PathBuf>,
    /// Files that know countries.
    pub geo: Vec<PathBuf>,
    /// Which bans.
    pub filter: Filter,
    /// What of them.
    pub question: Question,
}

/// What one pass over the database gathers.
#[derive(Default)]
struct Seen {
    /// Positions of the bans the list holds.
    listed: Vec<Cursor>,
    by_country: HashMap<Option<Country>, u64>,
    by_jail: HashMap<String, u64>,
    by_bucket: HashMap<i64, u64>,
    total: u64,
}

impl Ask {
    /// An `Answer`.
    pub fn run(self) -> Result<Value, Failure> {
        let database = Database::open(&self.database, PATIENCE)?;
        let geo = Geo::open(&self.geo);
        let mut seen = Seen::default();
        let mut places = HashMap::new();
        let mut after = Some(0);
        while let Some(start) = after {
            let page = database.history_page(start, PAGE)?;
            let wanted = |ban: &&Ban| self.filter.takes(&ban.jail, &ban.ip, ban.times.banned_at);
            for ban in page.bans.iter().filter(wanted) {
                let position = Cursor { time: ban.times.banned_at, id: ban.rowid };
                let mut country = || {
                    let known = places.get(&ban.ip).copied();
                    let country = known.unwrap_or_else(|| geo.look_up_text(&ban.ip).country);
                    places.insert(ban.ip.clone(), country);
                    country
                };
                self.note(&ban.jail, position, &mut country, &mut seen);
            }
            after = page.next;
        }
        let held = self.set.as_ref().and_then(|file| HeldFile::open(file).ok().flatten());
        if let Some(held) = &held {
            self.note_held(held, &geo, &mut seen)?;
        }
        let listing = match self.question {
            Question::List(slice) | Question::ByCountry(slice) => {
                list(&database, held.as_ref(), slice, &seen.listed, &geo)?
            }
            Question::ByJail | Question::Trend => Listing::default(),
        };
        let mut by_jail: Vec<(String, u64)> = seen.by_jail.into_iter().collect();
        by_jail.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let by_country =
            seen.by_country.into_iter().filter_map(|(country, count)| country.map(|country| (country, count)));
        let (by_country, by_bucket) = (by_country.collect(), seen.by_bucket.into_iter().collect());
        Ok(json!(Answer { listing, by_country, by_jail, by_bucket, total: seen.total }))
    }

    fn note_held(&self, held: &HeldFile, geo: &Geo, seen: &mut Seen) -> Result<(), Failure> {
        let visit = &mut |index: usize, entry: Entry| {
            let (ip, banned_at) = (entry.net.to_string(), i64::from(entry.since));
            if self.filter.takes(BLOCKLIST_JAIL, &ip, banned_at) {
                let position = Cursor { time: banned_at, id: HELD + index as i64 };
                self.note(BLOCKLIST_JAIL, position, &mut || geo.look_up_text(&ip).country, seen);
            }
            true
        };
        held.each(0, visit).map_err(|error| Failure::Files(error.to_string()))
    }

    /// Counts a ban in; `country` is asked only where it matters.
    fn note(&self, jail: &str, position: Cursor, country: &mut dyn FnMut() -> Option<Country>, seen: &mut Seen) {
        seen.total += 1;
        match self.question {
            Question::List(_) => seen.listed.push(position),
            Question::ByCountry(_) => {
                let country = country();
                *seen.by_country.entry(country).or_default() += 1;
                if self.filter.country.is_none_or(|wanted| country == Some(wanted)) {
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

/// The part of the list that is wanted, read again by the numbers of its rows.
fn list(
    database: &Database,
    held: Option<&HeldFile>,
    slice: Slice,
    positions: &[Cursor],
    geo: &Geo,
) -> Result<Listing, DatabaseError> {
    let mut order: Vec<(i64, i64)> = positions.iter().map(|position| (position.time, position.id)).collect();
    order.sort_unstable_by(|a, b| b.cmp(a));
    let after = slice.after.map(|after| (after.time, after.id));
    let skip = usize::try_from(slice.skip).unwrap_or(usize::MAX);
    let behind = order.iter().filter(|position| after.is_none_or(|after| **position < after));
    let wanted: Vec<&(i64, i64)> = behind.skip(skip).take(slice.limit as usize).collect();
    let mut bans = Vec::with_capacity(wanted.len());
    for (time, id) in &wanted {
        if let (Some(held), Ok(index)) = (held, usize::try_from(id - HELD)) {
            bans.extend(held.at(index).ok().map(|entry| PastBan { id: *id, ..past_held(&entry, geo) }));
            continue;
        }
        let page = database.history_page(id - 1, 1)?;
        // A row that is gone was lifted meanwhile.
        let found = page.bans.into_iter().find(|ban| ban.rowid == *id && ban.times.banned_at == *time);
        bans.extend(found.map(|ban| past(ban, geo)));
    }
    let is_full = wanted.len() == slice.limit as usize;
    let next = wanted.last().filter(|_| is_full).map(|(time, id)| Cursor { time: *time, id: *id });
    Ok(Listing { bans, total: order.len() as u64, next })
}

/// An entry of the set as history knows it.
pub fn past_held(entry: &Entry, geo: &Geo) -> PastBan {
    PastBan {
        country: geo.look_up(&entry.net).country,
        id: HELD,
        jail: BLOCKLIST_JAIL.to_owned(),
        ip: entry.net.to_string(),
        banned_at: i64::from(entry.since),
        ban_time: Some(f64::from(entry.until) - f64::from(entry.since)),
        count: 1,
        failures: 0,
        matches: Vec::new(),
    }
}

/// A ban as history knows it.
pub fn past(ban: Ban, geo: &Geo) -> PastBan {
    PastBan {
        country: geo.look_up_text(&ban.ip).country,
        id: ban.rowid,
        jail: ban.jail,
        ip: ban.ip,
        banned_at: ban.times.banned_at,
        ban_time: ban.times.ban_time,
        count: ban.times.count,
        failures: i64::try_from(ban.data.failures).unwrap_or(i64::MAX),
        matches: short_lines(&ban.data.matches),
    }
}

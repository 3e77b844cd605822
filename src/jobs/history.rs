//! The past as fail2ban's own database remembers it, in a child: it has no index by time, so every question reads all of it,
//! page by page, and keeps only what is asked for.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Failure;
use crate::domain::history::{
    Answer, Country, Cursor, Filter, Listing, PastBan, Question, Slice, bucket_start, short_lines,
};
use crate::fail2ban::database::{Ban, Database, DatabaseError};
use crate::geo::Geo;

/// How long a page may wait for the daemon's own writing.
const PATIENCE: Duration = Duration::from_millis(500);
/// Rows that are read at a time.
const PAGE: usize = 2000;

/// A question to fail2ban's database.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ask {
    /// The database.
    pub database: PathBuf,
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
                self.note(ban, &geo, &mut places, &mut seen);
            }
            after = page.next;
        }
        let listing = match self.question {
            Question::List(slice) | Question::ByCountry(slice) => list(&database, slice, &seen.listed, &geo)?,
            Question::ByJail | Question::Trend => Listing::default(),
        };
        let mut by_jail: Vec<(String, u64)> = seen.by_jail.into_iter().collect();
        by_jail.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let by_country =
            seen.by_country.into_iter().filter_map(|(country, count)| country.map(|country| (country, count)));
        let (by_country, by_bucket) = (by_country.collect(), seen.by_bucket.into_iter().collect());
        Ok(json!(Answer { listing, by_country, by_jail, by_bucket, total: seen.total }))
    }

    fn note(&self, ban: &Ban, geo: &Geo, places: &mut HashMap<String, Option<Country>>, seen: &mut Seen) {
        seen.total += 1;
        let position = Cursor { time: ban.times.banned_at, id: ban.rowid };
        match self.question {
            Question::List(_) => seen.listed.push(position),
            Question::ByCountry(_) => {
                let place = places.get(&ban.ip).copied();
                let country = place.unwrap_or_else(|| geo.look_up_text(&ban.ip).country);
                places.insert(ban.ip.clone(), country);
                *seen.by_country.entry(country).or_default() += 1;
                if self.filter.country.is_none_or(|wanted| country == Some(wanted)) {
                    seen.listed.push(position);
                }
            }
            Question::ByJail => *seen.by_jail.entry(ban.jail.clone()).or_default() += 1,
            Question::Trend => {
                let seconds = self.filter.window.map_or(1, |window| window.bucket);
                *seen.by_bucket.entry(bucket_start(ban.times.banned_at, seconds)).or_default() += 1;
            }
        }
    }
}

/// The part of the list that is wanted, read again by the numbers of its rows.
fn list(database: &Database, slice: Slice, positions: &[Cursor], geo: &Geo) -> Result<Listing, DatabaseError> {
    let mut order: Vec<(i64, i64)> = positions.iter().map(|position| (position.time, position.id)).collect();
    order.sort_unstable_by(|a, b| b.cmp(a));
    let after = slice.after.map(|after| (after.time, after.id));
    let skip = usize::try_from(slice.skip).unwrap_or(usize::MAX);
    let behind = order.iter().filter(|position| after.is_none_or(|after| **position < after));
    let wanted: Vec<&(i64, i64)> = behind.skip(skip).take(slice.limit as usize).collect();
    let mut bans = Vec::with_capacity(wanted.len());
    for (time, id) in &wanted {
        let page = database.history_page(id - 1, 1)?;
        // A row that is gone was lifted meanwhile.
        let found = page.bans.into_iter().find(|ban| ban.rowid == *id && ban.times.banned_at == *time);
        bans.extend(found.map(|ban| past(ban, geo)));
    }
    let is_full = wanted.len() == slice.limit as usize;
    let next = wanted.last().filter(|_| is_full).map(|(time, id)| Cursor { time: *time, id: *id });
    Ok(Listing { bans, total: order.len() as u64, next })
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

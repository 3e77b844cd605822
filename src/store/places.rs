//! Where addresses are that a server outside was asked about: kept for 90 days, for it need not be asked twice.

use rusqlite::{OptionalExtension, params};

use super::archive_counts::Counts;
use super::error::Error;
use super::open::Store;
use crate::domain::history::{Country, Cursor, Place};

/// How long an answer is believed, in seconds: networks change hands.
const LIFE: i64 = 90 * 86_400;
/// Answers that are kept; the oldest make room. The rows of the archive keep their country all the same.
const MAX_PLACES: u32 = 10_000;

impl Store {
    /// What is kept of an address.
    pub fn place(&self, ip: &str, now: i64) -> Result<Option<Place>, Error> {
        let sql = "SELECT country, asn, org FROM places WHERE ip = ?1 AND learned_at > ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Place { country: Country::of_number(row.get(0)?), asn: row.get(1)?, org: row.get(2)? })
        };
        Ok(statement.query_row(params![ip, now - LIFE], read).optional()?)
    }

    /// How many there are.
    pub fn places(&self) -> Result<u64, Error> {
        let mut statement = self.connection.prepare_cached("SELECT count(*) FROM places")?;
        Ok(statement.query_row([], |row| row.get::<_, i64>(0))?.unsigned_abs())
    }

    /// The countries of all of them, for a child.
    pub fn countries_of_places(&self, now: i64) -> Result<Vec<(String, Country)>, Error> {
        let sql = "SELECT ip, country FROM places WHERE learned_at > ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([now - LIFE], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let all: Vec<(String, i64)> = rows.collect::<Result<_, _>>()?;
        Ok(all.into_iter().filter_map(|(ip, number)| Some((ip, Country::of_number(number)?))).collect())
    }

    /// Keeps what was learned of addresses, and notes it in up to `limit` rows of the archive. Gives the addresses all of whose rows are
    /// done; the others are to be given again.
    pub fn learn_places(&mut self, places: &[(String, Place)], limit: usize, now: i64) -> Result<Vec<String>, Error> {
        self.lightly(|transaction| {
            let mut put = transaction.prepare_cached(
                "INSERT INTO places (ip, country, asn, org, learned_at) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT DO UPDATE SET country = excluded.country, asn = excluded.asn, org = excluded.org,
                 learned_at = excluded.learned_at",
            )?;
            let mut select = transaction
                .prepare_cached("SELECT id, banned_at, jail FROM archive WHERE ip = ?1 AND country = 0 LIMIT ?2")?;
            let mut update = transaction.prepare_cached("UPDATE archive SET country = ?2 WHERE id = ?1")?;
            let (mut counts, mut left, mut done) = (Counts::default(), limit, Vec::new());
            for (ip, place) in places {
                let country = place.country.map_or(0, Country::number);
                put.execute(params![ip, country, place.asn, place.org, now])?;
                let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
                let rows: Vec<(i64, i64, i64)> = match country {
                    0 => Vec::new(),
                    _ => select.query_map(params![ip, left as i64], read)?.collect::<Result<_, _>>()?,
                };
                for (id, banned_at, jail) in &rows {
                    update.execute([*id, country])?;
                    counts.resolve(*banned_at, *jail, country);
                }
                left -= rows.len();
                if left == 0 {
                    break;
                }
                done.push(ip.clone());
            }
            counts.write(transaction, now)?;
            let sql = "DELETE FROM places WHERE ip IN (SELECT ip FROM places ORDER BY learned_at, ip
                LIMIT max(0, (SELECT count(*) FROM places) - ?1))";
            transaction.prepare_cached(sql)?.execute([MAX_PLACES])?;
            Ok((done, true))
        })
    }

    /// Removes some of those that have become too old.
    pub fn expire_places(&mut self, now: i64) -> Result<(), Error> {
        self.lightly(|transaction| {
            let sql = "DELETE FROM places WHERE ip IN (SELECT ip FROM places WHERE learned_at <= ?1 LIMIT 256)";
            let gone = transaction.prepare_cached(sql)?.execute([now - LIFE])?;
            Ok(((), gone > 0))
        })
    }

    /// Some addresses of the archive without a country, newest first, behind a position, and where to go on; `None` at the end.
    pub fn without_country(&self, after: Cursor, limit: usize) -> Result<(Vec<String>, Option<Cursor>), Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT banned_at, id, ip FROM archive WHERE country = 0 AND (banned_at, id) < (?1, ?2)
             ORDER BY banned_at DESC, id DESC LIMIT ?3",
        )?;
        let read = |row: &rusqlite::Row<'_>| Ok((Cursor { time: row.get(0)?, id: row.get(1)? }, row.get(2)?));
        let found = statement.query_map(params![after.time, after.id, limit as i64], read)?;
        let rows: Vec<(Cursor, String)> = found.collect::<Result<_, _>>()?;
        let next = rows.last().filter(|_| rows.len() == limit).map(|(position, _)| *position);
        Ok((rows.into_iter().map(|(_, ip)| ip).collect(), next))
    }
}

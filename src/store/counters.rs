//! The table `counters`: what must stay limited across a restart. One fixed window per kind and client.

use rusqlite::OptionalExtension;

use super::error::Error;
use super::open::Store;
use crate::domain::quota::Quota;

/// Rows at a time. Beyond that new clients share one row, so that random addresses cannot push a full one out.
const MAX_ROWS: i64 = 1024;
const SHARED: &str = "*";

/// What is counted here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Bans and unbans, in a window of a minute.
    Ban,
    /// Blocklist imports, in a window of an hour.
    Import,
    /// Looks at blocklists that are no sources, in a window of an hour.
    Preview,
}

impl Counter {
    fn kind(self) -> &'static str {
        match self {
            Counter::Ban => "ban",
            Counter::Import => "import",
            Counter::Preview => "preview",
        }
    }

    /// Length of the window in seconds.
    pub fn window(self) -> i64 {
        match self {
            Counter::Ban => 60,
            Counter::Import | Counter::Preview => 3600,
        }
    }
}

impl Store {
    /// Counts one more, where the limit allows it. `Err` inside: seconds until it does.
    pub fn count(&mut self, counter: Counter, client: &str, limit: u32, now: i64) -> Result<Result<Quota, i64>, Error> {
        if limit == 0 {
            return Ok(Ok(Quota::NONE));
        }
        let transaction = self.connection.transaction()?;
        let find = |client: &str| {
            transaction
                .query_row(
                    "SELECT window_start, count FROM counters WHERE kind = ?1 AND client = ?2",
                    (counter.kind(), client),
                    |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
                )
                .optional()
        };
        let mut client = client;
        let mut found = find(client)?;
        if found.is_none() {
            let rows: i64 = transaction.query_row("SELECT count(*) FROM counters", [], |row| row.get(0))?;
            if rows >= MAX_ROWS {
                client = SHARED;
                found = find(client)?;
            }
        }
        // A window that begins in the future was written before the clock was set back: it starts anew.
        let (start, count) = match found {
            Some((start, count)) if start <= now && now < start + counter.window() => (start, count),
            _ => (now, 0),
        };
        if count >= i64::from(limit) {
            return Ok(Err(start + counter.window() - now));
        }
        transaction.execute(
            "INSERT INTO counters (kind, client, window_start, count) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (kind, client) DO UPDATE SET window_start = excluded.window_start, count = excluded.count",
            (counter.kind(), client, start, count + 1),
        )?;
        transaction.commit()?;
        let left = u32::try_from(i64::from(limit) - count - 1).unwrap_or(0);
        Ok(Ok(Quota { limit, left, reset: start + counter.window() - now }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::open::tests::temporary;

    #[test]
    fn a_window_counts_and_passes() {
        let (_directory, mut store) = temporary();
        let mut count = |client: &str, now| store.count(Counter::Ban, client, 2, now).unwrap();
        assert!(count("a", 100).is_ok());
        assert!(count("a", 130).is_ok());
        assert_eq!(count("a", 131), Err(29));
        assert!(count("b", 131).is_ok());
        assert!(count("a", 160).is_ok());
        assert!(count("a", 10).is_ok(), "a clock set back does not lock anybody out");
    }

    #[test]
    fn many_clients_share_what_is_left_and_reset_nobody() {
        let (_directory, mut store) = temporary();
        assert!(store.count(Counter::Ban, "full", 1, 100).unwrap().is_ok());
        for number in 0..MAX_ROWS + 50 {
            let _ = store.count(Counter::Ban, &number.to_string(), 1, 100).unwrap();
        }
        assert_eq!(store.count(Counter::Ban, "full", 1, 100).unwrap(), Err(60));
        let rows: i64 = store.connection.query_row("SELECT count(*) FROM counters", [], |row| row.get(0)).unwrap();
        assert!(rows <= MAX_ROWS + 1);
    }
}

//! The table `login_failures`: who may try a password now. Survives a restart.
//!
//! An attempt counts once it has proved wrong: those that wait for their hash at the same time may pass the limit, by
//! no more than the few that can wait. The row `*` is the budget of all clients together, so that many addresses do
//! not help; whoever is known is not held to it.

use rusqlite::{OptionalExtension, Transaction};

use super::error::Error;
use super::open::Store;
use crate::domain::client::ClientKey;

/// Failures of a client that are allowed in `WINDOW` seconds.
const FAILURES: i64 = 5;
const WINDOW: i64 = 60;
/// The first wait in seconds; each further one is twice as long, up to `LONGEST_WAIT`.
const FIRST_WAIT: i64 = 60;
const LONGEST_WAIT: i64 = 15 * 60;
/// Failures of all clients together that are allowed in `ALL_WINDOW` seconds.
const ALL_FAILURES: i64 = 100;
const ALL_WINDOW: i64 = 15 * 60;
const ALL: &str = "*";
/// Failures of an IPv6 /56 and of a /48 that are allowed in that time, so that whoever has a network of many /64s spends a part of it only.
const WIDER_FAILURES: [(u8, i64); 2] = [(56, 15), (48, 30)];
/// Wrong codes of a user, second factor or recovery, that are allowed in `CODE_WINDOW` seconds.
const CODE_FAILURES: i64 = 10;
const CODE_WINDOW: i64 = 5 * 60;
/// Seconds after which earlier blocks of a client no longer lengthen the next one.
pub(super) const FORGET_AFTER: i64 = 24 * 3600;

/// Whether a password may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// It may.
    Allowed,
    /// Not before this many seconds.
    Wait(i64),
}

#[derive(Clone, Copy, Default)]
struct Row {
    failures: i64,
    window_start: i64,
    blocked_until: i64,
    blocks: i64,
}

impl Store {
    /// Whether a client may try. `is_known`: it has a good session, has logged in before, or is on this machine.
    pub fn may_log_in(&mut self, client: &str, is_known: bool, now: i64) -> Result<Login, Error> {
        let transaction = self.connection.transaction()?;
        let own = row(&transaction, client, now)?.fresh(now, WINDOW);
        if own.blocked_until > now {
            return Ok(Login::Wait(own.blocked_until - now));
        }
        if is_known {
            return Ok(Login::Allowed);
        }
        for (network, most) in shared(client) {
            let all = row(&transaction, &network, now)?.fresh(now, ALL_WINDOW);
            if all.failures >= most {
                return Ok(Login::Wait(all.window_start + ALL_WINDOW - now));
            }
        }
        Ok(Login::Allowed)
    }

    /// Counts a wrong password.
    pub fn login_failed(&mut self, client: &str, now: i64) -> Result<(), Error> {
        let transaction = self.connection.transaction()?;
        let mut own = row(&transaction, client, now)?.fresh(now, WINDOW);
        own.failures += 1;
        if own.failures >= FAILURES {
            let wait = (FIRST_WAIT << own.blocks.min(10)).min(LONGEST_WAIT);
            own = Row { failures: 0, blocked_until: now + wait, blocks: own.blocks + 1, ..own };
        }
        write(&transaction, client, own)?;
        for (network, _) in shared(client) {
            let mut all = row(&transaction, &network, now)?.fresh(now, ALL_WINDOW);
            all.failures += 1;
            write(&transaction, &network, all)?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Whether a code of this user may be tried.
    pub fn may_try_code(&mut self, user: i64, now: i64) -> Result<Login, Error> {
        let transaction = self.connection.transaction()?;
        let own = row(&transaction, &codes_of(user), now)?.fresh(now, CODE_WINDOW);
        let is_over = own.failures >= CODE_FAILURES;
        Ok(if is_over { Login::Wait(own.window_start + CODE_WINDOW - now) } else { Login::Allowed })
    }

    /// Counts a wrong code.
    pub fn code_failed(&mut self, user: i64, now: i64) -> Result<(), Error> {
        let transaction = self.connection.transaction()?;
        let mut own = row(&transaction, &codes_of(user), now)?.fresh(now, CODE_WINDOW);
        own.failures += 1;
        write(&transaction, &codes_of(user), own)?;
        transaction.commit()?;
        Ok(())
    }

    /// A right one: the wrong ones of this user are forgiven.
    pub fn code_succeeded(&mut self, user: i64) -> Result<(), Error> {
        self.login_succeeded(&codes_of(user))
    }

    /// Lifts every lock: all failures are forgiven.
    pub fn unlock_logins(&mut self) -> Result<(), Error> {
        self.connection.execute("DELETE FROM login_failures", [])?;
        Ok(())
    }

    /// A right password: the failures of this client are forgiven.
    pub fn login_succeeded(&mut self, client: &str) -> Result<(), Error> {
        self.connection.execute("DELETE FROM login_failures WHERE client = ?1", [client])?;
        Ok(())
    }
}

/// What a user's wrong codes are counted under; no client is called so.
fn codes_of(user: i64) -> String {
    format!("codes of user {user}")
}

/// The budgets that a client shares with others, and how much each allows.
fn shared(client: &str) -> Vec<(String, i64)> {
    let address = client.strip_suffix("/64").and_then(|address| address.parse().ok());
    let mut all = Vec::new();
    if let Some(key) = address.map(ClientKey::of) {
        let wider = |(bits, most)| key.within(bits).map(|network| (network.to_string(), most));
        all.extend(WIDER_FAILURES.into_iter().filter_map(wider));
    }
    all.push((ALL.to_owned(), ALL_FAILURES));
    all
}

impl Row {
    /// The row as it counts now: a window that is over, or that a clock set back put into the future, starts anew.
    fn fresh(mut self, now: i64, window: i64) -> Row {
        if self.blocked_until > now + LONGEST_WAIT {
            self.blocked_until = now + LONGEST_WAIT;
        }
        let is_over = now >= self.window_start + window || self.window_start > now;
        if is_over && self.blocked_until <= now {
            let blocks = if now < self.window_start + FORGET_AFTER { self.blocks } else { 0 };
            return Row { blocks, window_start: now, ..Row::default() };
        }
        self
    }
}

fn row(transaction: &Transaction<'_>, client: &str, now: i64) -> Result<Row, Error> {
    let found = transaction
        .prepare_cached("SELECT failures, window_start, blocked_until, blocks FROM login_failures WHERE client = ?1")?
        .query_row([client], |row| {
            Ok(Row {
                failures: row.get(0)?,
                window_start: row.get(1)?,
                blocked_until: row.get(2)?,
                blocks: row.get(3)?,
            })
        })
        .optional()?;
    Ok(found.unwrap_or(Row { window_start: now, ..Row::default() }))
}

fn write(transaction: &Transaction<'_>, client: &str, row: Row) -> Result<(), Error> {
    transaction
        .prepare_cached(
            "INSERT INTO login_failures (client, failures, window_start, blocked_until, blocks) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (client) DO UPDATE SET failures = excluded.failures, window_start = excluded.window_start,
             blocked_until = excluded.blocked_until, blocks = excluded.blocks",
        )?
        .execute((client, row.failures, row.window_start, row.blocked_until, row.blocks))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::open::tests::temporary;

    fn attempt(store: &mut Store, client: &str, is_known: bool, now: i64) -> Login {
        let answer = store.may_log_in(client, is_known, now).unwrap();
        if answer == Login::Allowed {
            store.login_failed(client, now).unwrap();
        }
        answer
    }

    #[test]
    fn five_failures_then_growing_waits() {
        let (_directory, mut store) = temporary();
        let mut now = 1_000;
        for wait in [60, 120, 240, 480, 900, 900] {
            for _ in 0..5 {
                assert_eq!(attempt(&mut store, "a", false, now), Login::Allowed);
            }
            assert_eq!(attempt(&mut store, "a", false, now), Login::Wait(wait));
            assert_eq!(attempt(&mut store, "a", false, now + 10), Login::Wait(wait - 10));
            assert_eq!(store.may_log_in("b", false, now).unwrap(), Login::Allowed, "others are not affected");
            now += wait;
        }
    }

    #[test]
    fn ten_wrong_codes_in_five_minutes_and_no_more() {
        let (_directory, mut store) = temporary();
        for second in 0..CODE_FAILURES {
            assert_eq!(store.may_try_code(1, 100 + second).unwrap(), Login::Allowed);
            store.code_failed(1, 100 + second).unwrap();
        }
        assert_eq!(store.may_try_code(1, 110).unwrap(), Login::Wait(CODE_WINDOW - 10));
        assert_eq!(store.may_try_code(2, 110).unwrap(), Login::Allowed, "another user's");
        assert_eq!(store.may_try_code(1, 100 + CODE_WINDOW).unwrap(), Login::Allowed);
        store.code_failed(1, 100 + CODE_WINDOW).unwrap();
        store.code_succeeded(1).unwrap();
        for _ in 1..CODE_FAILURES {
            store.code_failed(1, 100 + CODE_WINDOW).unwrap();
        }
        assert_eq!(
            store.may_try_code(1, 100 + CODE_WINDOW).unwrap(),
            Login::Allowed,
            "a right one has forgiven the first"
        );
    }

    #[test]
    fn a_right_password_forgives() {
        let (_directory, mut store) = temporary();
        for _ in 0..20 {
            for _ in 0..4 {
                assert_eq!(attempt(&mut store, "a", false, 100), Login::Allowed);
            }
            store.login_succeeded("a").unwrap();
        }
    }

    #[test]
    fn many_addresses_do_not_help_but_a_known_client_gets_in() {
        let (_directory, mut store) = temporary();
        for number in 0..ALL_FAILURES {
            assert_eq!(attempt(&mut store, &format!("c{number}"), false, 100), Login::Allowed);
        }
        assert_eq!(attempt(&mut store, "new", false, 110), Login::Wait(ALL_WINDOW - 10));
        assert_eq!(attempt(&mut store, "known", true, 110), Login::Allowed);
        assert_eq!(attempt(&mut store, "new", false, 100 + ALL_WINDOW), Login::Allowed);
    }

    #[test]
    fn a_network_of_many_64s_cannot_spend_the_budget_of_all() {
        let (_directory, mut store) = temporary();
        let mut tried = 0;
        for number in 0..2_000 {
            let client = format!("2001:db8:7:{number:x}::/64");
            tried += i64::from(attempt(&mut store, &client, false, 100) == Login::Allowed);
        }
        assert_eq!(tried, WIDER_FAILURES[1].1);
        assert_eq!(attempt(&mut store, "2001:db8:8::/64", false, 100), Login::Allowed);
        assert_eq!(attempt(&mut store, "192.0.2.1", false, 100), Login::Allowed);
        assert_eq!(
            attempt(&mut store, "2001:db8:7:1::/64", true, 100),
            Login::Allowed,
            "whoever is known is not held to it"
        );
        assert_eq!(attempt(&mut store, "2001:db8:7:ffff::/64", false, 100 + ALL_WINDOW), Login::Allowed);
    }

    #[test]
    fn slow_failures_are_no_block_and_a_clock_set_back_locks_nobody_out_for_long() {
        let (_directory, mut store) = temporary();
        for minute in 0..20 {
            assert_eq!(attempt(&mut store, "a", false, 10_000 + minute * 61), Login::Allowed);
        }
        for _ in 0..5 {
            attempt(&mut store, "b", false, 100_000);
        }
        assert!(matches!(attempt(&mut store, "b", false, 50), Login::Wait(wait) if wait <= LONGEST_WAIT));
    }
}

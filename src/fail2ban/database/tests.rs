//! Databases a real daemon has written, databases of older ones made by hand, and files that are none.

use std::io::Write;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

use super::*;
use crate::domain::names::JailName;
use crate::fail2ban::real_daemon::{RealDaemon, poll};

const PATIENCE: Duration = Duration::from_secs(2);

const TIMED: &str = "CREATE TABLE fail2banDb(version INTEGER); INSERT INTO fail2banDb VALUES(4);
    CREATE TABLE bans(jail TEXT NOT NULL, ip TEXT, timeofban INTEGER NOT NULL, bantime INTEGER NOT NULL,
                      bancount INTEGER NOT NULL DEFAULT 1, data JSON);
    CREATE TABLE bips(ip TEXT NOT NULL, jail TEXT NOT NULL, timeofban INTEGER NOT NULL, bantime INTEGER NOT NULL,
                      bancount INTEGER NOT NULL DEFAULT 1, data JSON, PRIMARY KEY(ip, jail));";

const BARE: &str = "CREATE TABLE fail2banDb(version INTEGER); INSERT INTO fail2banDb VALUES(2);
    CREATE TABLE bans(jail TEXT NOT NULL, ip TEXT, timeofban INTEGER NOT NULL, data JSON);";

/// A database made by hand, its path, and a connection that may write to it.
fn made(sql: &str) -> (tempfile::TempDir, PathBuf, Connection) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f.sqlite3");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(sql).unwrap();
    (directory, path, connection)
}

fn open(path: &Path) -> Database {
    Database::open(path, PATIENCE).unwrap()
}

#[test]
fn a_real_daemons_bans_are_read() {
    let real = RealDaemon::start();
    let mut daemon = real.daemon();
    let one: JailName = "one".parse().unwrap();
    poll("both jails run", || daemon.jail_names().unwrap().len() == 2);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    daemon.ban(&one, &["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()]).unwrap();
    let mut log = std::fs::OpenOptions::new().append(true).open(real.path("one.log")).unwrap();
    // A time the daemon's own detectors know, in UTC so that no zone matters.
    let stamp = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    for user in ["a", "b", "ü"] {
        writeln!(log, "{stamp} login failed user={user} from 198.51.100.7").unwrap();
    }
    poll("the log line has become a ban", || daemon.is_banned(&one, "198.51.100.7").unwrap());
    let path = daemon.database_path().unwrap().unwrap();
    poll("the daemon has written its bans", || open(&path).history_page(0, 100).unwrap().bans.len() == 3);

    let database = open(&path);
    database.check().unwrap();
    assert!(database.has_ban_times());
    let found = database.history_for_ip("198.51.100.7", 10).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].jail.as_str(), found[0].data.failures, found[0].times.count), ("one", 3, 1));
    assert_eq!(found[0].data.matches.len(), 3);
    assert!(found[0].data.matches[2].contains("login failed user=ü from 198.51.100.7"), "{:?}", found[0].data.matches);
    assert!(found[0].data.matches[0].starts_with(&stamp), "a line cut at its time is put together again");
    let times = database.times_of("one", &["192.0.2.1", "192.0.2.2", "2001:db8::1"]).unwrap();
    let times: Vec<_> = times.iter().map(|times| times.map(|times| times.ban_time)).collect();
    assert_eq!(times, [Some(Some(600.0)), None, Some(Some(600.0))]);
    let mut current = Vec::new();
    database.each_current(Some("one"), &mut |ban| current.push(ban)).unwrap();
    assert_eq!(current.len(), 3);
    assert!(current.iter().all(|ban| (now - 5..now + 60).contains(&ban.times.banned_at)));
    assert!(current.iter().all(|ban| ban.times.ends_at() == Some(ban.times.banned_at + 600)));
    database.each_current(Some("two"), &mut |ban| panic!("{ban:?}")).unwrap();

    // Lifting a ban by hand takes it from the daemon's memory, and may take the mark with it.
    let newest = Mark::from(database.history_page(0, 100).unwrap().bans.last().unwrap());
    let oldest = Mark::from(&database.history_page(0, 1).unwrap().bans[0]);
    assert_eq!(database.start_after(&[newest.clone(), oldest.clone()]), Ok(newest.rowid));
    daemon.unban(&one, &[&newest.ip]).unwrap();
    poll("the ban is forgotten", || database.history_for_ip(&newest.ip, 10).unwrap().is_empty());
    assert_eq!(database.start_after(&[newest.clone(), oldest.clone()]), Ok(oldest.rowid));
    assert_eq!(database.start_after(&[newest]), Ok(0));
}

#[test]
fn pages_follow_each_other_without_a_gap() {
    let (_directory, path, writer) = made(TIMED);
    writer
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
             INSERT INTO bans SELECT 'j', 'ip' || i, i, 600, 1, '{\"failures\": ' || i || '}' FROM n;
             INSERT INTO bips SELECT ip, jail, timeofban, bantime, bancount, data FROM bans;
             DELETE FROM bans WHERE timeofban % 7 = 0;",
        )
        .unwrap();
    let database = open(&path);
    let (mut after, mut seen, mut pages) = (Some(0), Vec::new(), 0);
    while let Some(start) = after {
        let page = database.history_page(start, 1000).unwrap();
        assert!(page.bans.len() <= 1000);
        seen.extend(page.bans.iter().map(|ban| ban.times.banned_at));
        assert!(page.bans.iter().all(|ban| ban.data.failures == ban.times.banned_at as u64));
        (after, pages) = (page.next, pages + 1);
    }
    let expected: Vec<i64> = (1..=12_000).filter(|i| i % 7 != 0).collect();
    assert_eq!(seen, expected);
    assert!(pages >= 11);
    let mut count = 0;
    database.each_current(None, &mut |_| count += 1).unwrap();
    assert_eq!(count, 12_000);
}

#[test]
fn odd_values_are_read_as_far_as_they_go() {
    let (_directory, path, writer) = made(TIMED);
    writer
        .execute_batch(
            "INSERT INTO bans VALUES('j', '192.0.2.1', 100, -1, 2, NULL), ('j', '192.0.2.1', 300, 0.5, 3, x'7b7d'),
                                    ('j', '192.0.2.1', 200, -2, 0, 'null'), ('j', NULL, 5e300, 'x', 'y', 7),
                                    ('k', x'ff2e31', 400, 60, 1, zeroblob(300000));
             INSERT INTO bips VALUES('192.0.2.1', 'j', 300, 1e18, 3, NULL);",
        )
        .unwrap();
    let database = open(&path);
    let history = database.history_for_ip("192.0.2.1", 10).unwrap();
    let times: Vec<_> = history.iter().map(|ban| (ban.times.banned_at, ban.times.ban_time, ban.times.count)).collect();
    assert_eq!(times, [(300, Some(0.5), 3), (200, None, 1), (100, Some(-1.0), 2)]);
    assert_eq!(history.iter().map(|ban| ban.times.ends_at()).collect::<Vec<_>>(), [Some(300), None, None]);
    assert_eq!(database.history_for_ip("192.0.2.1", 1).unwrap().len(), 1);
    let all = database.history_page(0, 100).unwrap();
    assert_eq!((all.bans.len(), all.next), (5, None));
    assert_eq!((all.bans[3].ip.as_str(), all.bans[3].times.banned_at), ("", i64::MAX));
    assert_eq!(all.bans[4].ip, "\u{fffd}.1");
    assert_eq!(all.bans[4].data, BanData::default());
    let far = database.times_of("j", &["192.0.2.1"]).unwrap()[0].unwrap();
    assert_eq!(far.ends_at(), Some(1_000_000_000_000_000_300));
}

#[test]
fn a_database_of_an_old_daemon_is_read() {
    let (_directory, path, writer) = made(BARE);
    writer
        .execute_batch(
            "INSERT INTO bans VALUES('j', '192.0.2.1', 100, '{\"failures\": 3, \"matches\": [\"a\"]}'),
                                    ('j', '192.0.2.1', 300, NULL), ('k', '192.0.2.1', 400, NULL);",
        )
        .unwrap();
    let database = open(&path);
    assert!(!database.has_ban_times());
    database.check().unwrap();
    let times = database.times_of("j", &["192.0.2.1"]).unwrap()[0].unwrap();
    assert_eq!((times.banned_at, times.ban_time, times.count, times.ends_at()), (300, None, 1, None));
    let history = database.history_for_ip("192.0.2.1", 10).unwrap();
    assert_eq!(history.iter().map(|ban| ban.times.banned_at).collect::<Vec<_>>(), [400, 300, 100]);
    assert_eq!(history[2].data.matches, ["a"]);
    assert_eq!(database.current_page(0, 10).unwrap().bans.len(), 3);
}

#[test]
fn a_page_of_long_data_ends_early_and_goes_on() {
    let (_directory, path, writer) = made(TIMED);
    let long = format!("{{\"matches\": [\"{}\"]}}", "x".repeat(200_000));
    for time in 0..20 {
        writer.execute("INSERT INTO bans VALUES('j', 'ip', ?1, 1, 1, ?2)", rusqlite::params![time, long]).unwrap();
    }
    let database = open(&path);
    let page = database.history_page(0, 20).unwrap();
    assert!(page.bans.len() < 8, "{}", page.bans.len());
    let rest = database.history_page(page.next.unwrap(), 20).unwrap();
    assert_eq!(rest.bans[0].times.banned_at, page.bans.len() as i64);
}

#[test]
fn reading_lets_the_daemon_write_between_pages() {
    let (_directory, path, writer) = made(TIMED);
    writer.busy_timeout(Duration::ZERO).unwrap();
    let database = open(&path);
    for time in 0..50 {
        // Fails at once when a reader still holds its lock.
        writer.execute("INSERT INTO bans VALUES('j', 'ip', ?1, 1, 1, NULL)", [time]).unwrap();
        assert_eq!(database.history_page(0, 10).unwrap().bans.len(), (time as usize + 1).min(10));
        database.history_for_ip("ip", 1).unwrap();
        database.current_page(0, 1).unwrap();
        database.times_of("j", &["ip"]).unwrap();
        database.start_after(&[]).unwrap();
    }
}

#[test]
fn what_cannot_be_read_says_why() {
    let error = |path: &Path| {
        Database::open(path, Duration::from_millis(20)).and_then(|database| database.check()).unwrap_err()
    };
    for none in ["", "None", ":memory:"] {
        assert_eq!(error(Path::new(none)), DatabaseError::NotKept);
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("x");
    assert_eq!(error(&file), DatabaseError::Absent(file.clone()));
    assert!(matches!(error(directory.path()), DatabaseError::Unreadable(..)));
    assert!(matches!(error(Path::new("/dev/zero")), DatabaseError::Unreadable(..)));
    std::fs::write(&file, "this is no database, but it is long enough to have a header, or what would be one").unwrap();
    assert!(matches!(error(&file), DatabaseError::Damaged(..)));
    std::fs::write(&file, "").unwrap();
    assert!(matches!(error(&file), DatabaseError::Damaged(..)), "empty");

    let (_directory, path, writer) = made("CREATE TABLE other(x);");
    assert!(error(&path).to_string().contains("no table of bans"));
    writer.execute_batch("DROP TABLE other;").unwrap();
    writer.execute_batch(TIMED).unwrap();
    writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
    assert_eq!(error(&path), DatabaseError::Locked);
    writer.execute_batch("COMMIT").unwrap();
    open(&path).check().unwrap();
    // Cut in the middle, as a full disk leaves it.
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    assert!(matches!(error(&file), DatabaseError::Damaged(..)));
    // A table whose root page is not one.
    let mut wild = bytes.clone();
    let page = 4096;
    wild[page..].fill(0xa5);
    std::fs::write(&file, &wild).unwrap();
    assert!(matches!(error(&file), DatabaseError::Damaged(..)));
}

#[test]
fn nothing_is_ever_written() {
    let (_directory, path, writer) = made(TIMED);
    drop(writer);
    let database = open(&path);
    assert!(database.connection.execute_batch("DELETE FROM bans").is_err());
    let modified = || std::fs::metadata(&path).unwrap().modified().unwrap();
    let before = modified();
    database.check().unwrap();
    drop(database);
    assert_eq!(modified(), before);
    let neighbours = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(neighbours, 1, "no journal, no shared memory");
}

#[test]
fn a_ban_storm_loses_no_record_while_it_is_read() {
    let real = RealDaemon::start();
    let mut daemon = real.daemon();
    let one: JailName = "one".parse().unwrap();
    poll("both jails run", || daemon.jail_names().unwrap().len() == 2);
    let path = daemon.database_path().unwrap().unwrap();
    let storm = std::thread::spawn(move || {
        for block in 0..50u8 {
            let addresses: Vec<_> =
                (0..100u8).map(|host| std::net::IpAddr::from([10, 1, block, host]).into()).collect();
            assert_eq!(daemon.ban(&one, &addresses), Ok(100));
        }
    });
    let (mut reads, mut slowest) = (0, Duration::ZERO);
    // Read as often as possible while it goes on, and on until all is written.
    poll("all bans are in the database", || {
        let start = std::time::Instant::now();
        let database = open(&path);
        let mut count = 0;
        database.each_current(None, &mut |_| count += 1).unwrap();
        database.history_for_ip("10.1.0.0", 10).unwrap();
        reads += 1;
        slowest = slowest.max(start.elapsed());
        storm.is_finished() && count == 5000
    });
    storm.join().unwrap();
    let log = std::fs::read_to_string(real.path("fail2ban.log")).unwrap();
    assert!(!log.contains("locked"), "the daemon waited for us in vain");
    assert!(reads > 20 && slowest < PATIENCE, "{reads} reads, the slowest took {slowest:?}");
}

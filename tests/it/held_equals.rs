//! What the lists say is banned is what the daemon says, address by address and end by end, at most two seconds after whatever happened to
//! it. The lists are looked at before, so that what they knew is out of date.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use jiff::civil::DateTime;
use serde_json::Value;

use crate::harness::client::Client;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server};

/// How soon the lists have to be right.
const SOON: Duration = Duration::from_secs(2);
/// How soon the count of all jails has to be.
const COUNTED: Duration = Duration::from_secs(3);
const JAILS: [&str; 2] = ["lab", "sshd"];

/// What is banned: jail and address, with the end in Unix seconds, and how long it lasts; both `None` for ever.
type Bans = BTreeMap<(String, String), (Option<i64>, Option<i64>)>;

/// As the daemon tells it.
fn of_daemon(daemon: &RealDaemon) -> Bans {
    let mut bans = Bans::new();
    for jail in JAILS {
        for line in daemon.client(&["get", jail, "banip", "--with-time"]).lines() {
            let (ip, times) = line.split_once('\t').unwrap();
            let (start, rest) = times.trim().split_once(" + ").unwrap();
            let seconds: i64 = rest.split_once(" = ").unwrap().0.parse().unwrap();
            let start: DateTime = start.parse().unwrap();
            let start = start.to_zoned(jiff::tz::TimeZone::system()).unwrap().timestamp().as_second();
            let times = (seconds >= 0).then_some(seconds);
            bans.insert((jail.to_owned(), ip.trim().to_owned()), (times.map(|seconds| start + seconds), times));
        }
    }
    bans
}

fn unix(value: &Value) -> Option<i64> {
    Some(value.as_str()?.parse::<jiff::Timestamp>().unwrap().as_second())
}

/// As the list of all bans tells it.
fn of_lists(admin: &Client) -> Bans {
    let list = admin.get("/api/v1/bans/active").expect(200).json();
    let items = list["items"].as_array().unwrap();
    assert_eq!(list["total"], items.len());
    let mut bans = Bans::new();
    for item in items {
        let (since, until) = (unix(&item["banned_at"]), unix(&item["expires_at"]));
        let key = (item["jail"].as_str().unwrap().to_owned(), item["ip"].as_str().unwrap().to_owned());
        assert!(since.is_some(), "{item}");
        let before = bans.insert(key, (until, until.zip(since).map(|(until, since)| until - since)));
        assert_eq!(before, None, "{item} is there twice");
    }
    bans
}

/// The daemon cuts fractions of a second off in one place and rounds them in another.
fn are_equal(ours: &Bans, theirs: &Bans) -> bool {
    let near = |a: Option<i64>, b: Option<i64>| match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= 1,
        (a, b) => a == b,
    };
    ours.len() == theirs.len()
        && ours
            .iter()
            .zip(theirs)
            .all(|((key, ours), (other, theirs))| key == other && near(ours.0, theirs.0) && near(ours.1, theirs.1))
}

/// What is said of a look that a busy daemon had no time for.
const BUSY: &str = "fail2ban has no time";
/// How long it may have none.
const PATIENCE: Duration = Duration::from_secs(30);

/// Lists, pages and counts say what the daemon says, soon.
#[track_caller]
fn expect_equal(daemon: &RealDaemon, admin: &Client, what: &str) -> Bans {
    let began = Instant::now();
    let (mut late, mut alike_at) = (0, None);
    loop {
        // All are asked one after the other, and a daemon that restores its bans is another one in between.
        let asked = began.elapsed();
        let (ours, theirs) = (of_lists(admin), of_daemon(daemon));
        let (pages, count) = (difference_of_pages(admin, &ours), difference_of_count(admin, &ours));
        let is_busy = [&pages, &count].into_iter().flatten().any(|said| said == BUSY) && asked < PATIENCE;
        if !are_equal(&ours, &theirs) || pages.is_some() {
            late += usize::from(asked > SOON && !is_busy);
        } else if count.is_some() {
            let since: Duration = *alike_at.get_or_insert(asked);
            late += usize::from(asked > since + COUNTED && !is_busy);
        } else {
            return ours;
        }
        assert!(
            late < 2,
            "{what}: still different after {asked:?}\nours   {ours:?}\ntheirs {theirs:?}\n{pages:?}\n{count:?}"
        );
    }
}

/// What a page or a jail's count says that is not what the list of all bans says.
fn difference_of_pages(admin: &Client, all: &Bans) -> Option<String> {
    for jail in JAILS {
        let mut of_jail: Vec<&str> = all.keys().filter(|(name, _)| name == jail).map(|(_, ip)| ip.as_str()).collect();
        let page = match found(admin, &format!("/api/v1/jails/{jail}/banned?page_size=500&sort=ip")) {
            Ok(page) => page,
            Err(why) => return Some(why),
        };
        let items = page["items"].as_array().unwrap();
        let mut shown: Vec<&str> = items.iter().map(|item| item["ip"].as_str().unwrap()).collect();
        shown.sort_unstable();
        of_jail.sort_unstable();
        if page["pagination"]["total"] != of_jail.len() || (of_jail.len() <= 500 && shown != of_jail) {
            return Some(format!("{jail}: {page}"));
        }
    }
    let jails = match found(admin, "/api/v1/jails") {
        Ok(jails) => jails,
        Err(why) => return Some(why),
    };
    let counted = |name: &str| all.keys().filter(|(jail, _)| jail == name).count();
    let wrong = |jail: &&Value| {
        jail["name"] != "slow" && jail["status"]["currently_banned"] != counted(jail["name"].as_str().unwrap())
    };
    jails["items"].as_array().unwrap().iter().find(wrong).map(Value::to_string)
}

/// What the count of all jails says that is not how many there are.
fn difference_of_count(admin: &Client, all: &Bans) -> Option<String> {
    match found(admin, "/api/v1/dashboard/status") {
        Ok(status) => (status["status"]["total_bans"] != all.len()).then(|| status.to_string()),
        Err(why) => Some(why),
    }
}

/// An answer; or why there is none: while the daemon bans thousands it has no time for questions, and for a moment of its restart a jail
/// is not there.
fn found(admin: &Client, target: &str) -> Result<Value, String> {
    let answer = admin.get(target);
    match answer.status {
        404 => Err(format!("{target} is not there")),
        502 | 503 => Err(BUSY.to_owned()),
        _ => Ok(answer.expect(200).json()),
    }
}

/// A daemon with some bans of both jails, which the lists have seen.
fn seen() -> (RealDaemon, Server, Client) {
    let daemon = RealDaemon::start();
    ban_some(&daemon);
    let (server, admin) = Server::ready(&daemon);
    assert_eq!(expect_equal(&daemon, &admin, "at the start").len(), 6);
    (daemon, server, admin)
}

fn ban_some(daemon: &RealDaemon) {
    daemon.client(&["set", "lab", "banip", "203.0.113.1", "203.0.113.2", "2001:db8::5", "198.51.100.0/24"]);
    daemon.client(&["set", "sshd", "banip", "203.0.113.1", "odd-text"]);
}

#[test]
fn after_bans_and_unbans_by_hand() {
    let (daemon, _server, admin) = seen();
    daemon.client(&["set", "lab", "banip", "192.0.2.7"]);
    daemon.client(&["set", "lab", "unbanip", "203.0.113.2"]);
    // As many as before: only the second counter tells.
    assert!(!expect_equal(&daemon, &admin, "one for another").contains_key(&("lab".into(), "203.0.113.2".into())));
    daemon.client(&["unban", "203.0.113.1"]);
    assert_eq!(expect_equal(&daemon, &admin, "an unban").len(), 4);
    daemon.client(&["unban", "--all"]);
    assert!(expect_equal(&daemon, &admin, "an unban of all").is_empty());
}

#[test]
fn after_a_ban_time_was_changed() {
    let (daemon, _server, admin) = seen();
    for seconds in ["60", "4w", "-1", "7200"] {
        daemon.client(&["set", "lab", "bantime", seconds]);
        let bans = expect_equal(&daemon, &admin, seconds);
        assert_eq!(bans.len(), 6);
        assert_eq!(bans.values().filter(|(until, _)| until.is_none()).count(), if seconds == "-1" { 4 } else { 0 });
    }
}

#[test]
fn after_the_daemon_was_restarted() {
    let (mut daemon, _server, admin) = seen();
    // Some are cut to the new time, and none is lost.
    fs::write(daemon.path("jail.local"), "[lab]\nbantime = 600\n").unwrap();
    daemon.stop();
    admin.get("/api/v1/bans/active").expect_error(502, "fail2ban_unreachable");
    daemon.start_again();
    let bans = expect_equal(&daemon, &admin, "another ban time");
    assert!(bans.values().any(|(_, seconds)| *seconds == Some(600)), "{bans:?}");
    daemon.kill();
    daemon.start_again();
    expect_equal(&daemon, &admin, "killed");
}

#[test]
fn after_a_reload() {
    let (daemon, _server, admin) = seen();
    fs::write(daemon.path("jail.local"), "[lab]\nbantime = 900\n").unwrap();
    daemon.client(&["reload"]);
    expect_equal(&daemon, &admin, "by hand");
    fs::write(daemon.path("jail.local"), "[lab]\nbantime = 1200\n").unwrap();
    admin.post_empty("/api/v1/jails/reload-all").expect(200);
    expect_equal(&daemon, &admin, "by the API");
}

#[test]
fn after_a_jail_was_restarted() {
    let (daemon, _server, admin) = seen();
    daemon.client(&["restart", "lab"]);
    expect_equal(&daemon, &admin, "by hand");
    fs::write(daemon.path("jail.local"), "[lab]\nbantime = 300\n").unwrap();
    daemon.client(&["reload", "--restart", "lab"]);
    expect_equal(&daemon, &admin, "with another ban time");
    daemon.client(&["stop", "lab"]);
    crate::harness::wait_until("its end", SOON, || admin.get("/api/v1/bans/active").expect(200).json()["total"] == 2);
    admin.get("/api/v1/jails/lab/banned").expect_error(404, "jail_not_found");
    admin.post_empty("/api/v1/jails/lab/start").expect(200);
    expect_equal(&daemon, &admin, "by the API");
}

#[test]
fn after_a_ban_was_over() {
    let (daemon, _server, admin) = seen();
    daemon.client(&["set", "sshd", "bantime", "3"]);
    daemon.client(&["set", "sshd", "banip", "192.0.2.1"]);
    expect_equal(&daemon, &admin, "before");
    crate::harness::wait_until("their end", Duration::from_secs(15), || daemon.banned("sshd").is_empty());
    assert_eq!(expect_equal(&daemon, &admin, "after").len(), 4);
}

#[test]
fn with_an_ignored_address_in_the_database() {
    let (mut daemon, _server, admin) = seen();
    fs::write(daemon.path("jail.local"), "[lab]\nignoreip = 203.0.113.1\n").unwrap();
    daemon.stop();
    daemon.start_again();
    let bans = expect_equal(&daemon, &admin, "the restore passes it over");
    assert!(!bans.contains_key(&("lab".into(), "203.0.113.1".into())), "{bans:?}");
}

#[test]
fn without_a_database() {
    let mut daemon = RealDaemon::configured();
    fs::write(daemon.path("fail2ban.local"), "[Definition]\ndbfile = None\n").unwrap();
    daemon.start_again();
    ban_some(&daemon);
    let (_server, admin) = Launch::for_real(&daemon).start().into_ready();
    assert_eq!(expect_equal(&daemon, &admin, "at the start").len(), 6);
    daemon.client(&["set", "lab", "unbanip", "203.0.113.2"]);
    daemon.client(&["set", "lab", "bantime", "90"]);
    assert_eq!(expect_equal(&daemon, &admin, "an unban").len(), 5);
    daemon.stop();
    daemon.start_again();
    assert!(expect_equal(&daemon, &admin, "nothing is restored").is_empty());
}

#[test]
fn with_ban_times_that_grow() {
    let mut daemon = RealDaemon::configured();
    fs::write(daemon.path("jail.local"), "[lab]\nbantime.increment = true\nbantime = 60\n").unwrap();
    daemon.start_again();
    let (_server, admin) = Server::ready(&daemon);
    for _ in 0..3 {
        daemon.client(&["set", "lab", "banip", "203.0.113.1", "203.0.113.2"]);
        expect_equal(&daemon, &admin, "banned");
        daemon.client(&["set", "lab", "unbanip", "203.0.113.1"]);
        expect_equal(&daemon, &admin, "lifted");
    }
}

#[test]
fn in_a_storm_of_5000_bans() {
    let (daemon, _server, admin) = seen();
    let addresses: Vec<String> = (0..5000).map(|n| format!("10.7.{}.{}", n / 250, n % 250)).collect();
    // Everybody else looks on meanwhile.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for (at, some) in addresses.chunks(500).enumerate() {
                let mut command = vec!["set", JAILS[at % 2], "banip"];
                command.extend(some.iter().map(String::as_str));
                daemon.client(&command);
            }
        });
        for _ in 0..20 {
            admin.get("/api/v1/bans/active?page_size=50").expect(200);
            admin.get("/api/v1/jails/lab/banned?page_size=50").expect(200);
        }
    });
    assert_eq!(expect_equal(&daemon, &admin, "the storm").len(), 5006);
    let mut command = vec!["unban"];
    command.extend(addresses[..2000].iter().map(String::as_str));
    daemon.client(&command);
    assert_eq!(expect_equal(&daemon, &admin, "its end").len(), 3006);
}

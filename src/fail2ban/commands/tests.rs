//! Every command against a real daemon, and the forms of old ones against what they were recorded to answer.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::time::Duration;

use super::bans::{BanLine, LearnedZone, parse_ban_line, zone_of};
use super::jail::{RegexList, Setting};
use super::*;
use crate::domain::address::IpOrNet;
use crate::fail2ban::encode::{TERMINATOR, encode};
use crate::fail2ban::pickle;
use crate::fail2ban::real_daemon::{RealDaemon, poll};

fn name(text: &str) -> JailName {
    text.parse().unwrap()
}

fn addresses(texts: &[&str]) -> Vec<IpOrNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn listed(daemon: &mut Daemon, jail: &JailName) -> Vec<String> {
    let mut found = Vec::new();
    let count = daemon.each_banned(jail, &mut |text| found.push(text.to_owned())).unwrap();
    assert_eq!(count, found.len());
    found.sort();
    found
}

#[test]
fn a_real_daemon_is_understood() {
    let real = RealDaemon::start();
    let mut daemon = real.daemon();
    daemon.ping().unwrap();
    let version = daemon.version().unwrap();
    assert!(version >= Version::parse("0.10").unwrap(), "{version}");
    poll("both jails run", || daemon.jail_names().unwrap() == [name("one"), name("two")]);

    let settings = daemon.jail_settings(&name("one")).unwrap();
    assert_eq!(settings.log_paths, [real.path("one.log").display().to_string()]);
    assert_eq!((settings.find_time, settings.ban_time, settings.max_retry), (600.0, 600.0, 3));
    assert_eq!(settings.fail_regex.len(), 1);
    assert_eq!(settings.actions, ["noop"]);
    assert_eq!((settings.date_pattern, settings.use_dns.as_str()), (None, "no"));
    assert_eq!((settings.ignore_self, settings.max_lines, settings.prefregex.as_str()), (Some(false), Some(1), ""));
    let escalation = settings.escalation.unwrap();
    assert_eq!((escalation.increment, escalation.overall_jails), (Some(true), Some(false)));
    assert_eq!((escalation.factor, escalation.max_time), (Some(2.0), Some(604_800.0)));
    let settings = daemon.jail_settings(&name("two")).unwrap();
    assert_eq!(settings.date_pattern.as_deref(), Some("^%Y-%m-%d %H:%M:%S"));
    assert_eq!(settings.escalation.unwrap().increment, Some(false));

    let unknown = Err(Error::UnknownJail("three".to_owned()));
    assert_eq!(daemon.jail_settings(&name("three")).map(drop), unknown);
    assert_eq!(daemon.counters(&name("three")).map(drop), unknown);
    assert_eq!(daemon.each_banned(&name("three"), &mut |_| ()).map(drop), unknown);
    assert_eq!(daemon.ban(&name("three"), &addresses(&["192.0.2.1"])).map(drop), unknown);
}

#[test]
fn a_real_daemon_bans_and_unbans() {
    let real = RealDaemon::start();
    let mut daemon = real.daemon();
    let (one, two) = (name("one"), name("two"));
    poll("both jails run", || daemon.jail_names().unwrap().len() == 2);
    let bad = addresses(&["192.0.2.1", "2001:DB8:0::77", "198.51.100.0/24", "::ffff:192.0.2.9"]);
    assert_eq!(daemon.ban(&one, &bad), Ok(4));
    assert_eq!(daemon.ban(&one, &bad[..1]), Ok(0), "banned before");
    assert_eq!(daemon.ban(&two, &bad[..1]), Ok(1));
    assert_eq!(listed(&mut daemon, &one), ["192.0.2.1", "192.0.2.9", "198.51.100.0/24", "2001:db8::77"]);
    assert_eq!(daemon.jails_banning("192.0.2.1").unwrap().len(), 2);
    assert_eq!(daemon.is_banned(&two, "192.0.2.1"), Ok(true));
    assert_eq!(daemon.is_banned(&two, "192.0.2.9"), Ok(false));
    let mut times = Vec::new();
    let count = daemon.each_banned_with_time(&one, &mut |ban| times.push((ban.ip.to_owned(), ban.seconds))).unwrap();
    assert_eq!(count, Some(4));
    assert!(times.contains(&("2001:db8::77".to_owned(), 600)), "{times:?}");

    let counters = daemon.all_counters().unwrap();
    assert_eq!(counters.len(), 2);
    assert_eq!(counters[0], daemon.counters(&one).unwrap());
    assert_eq!((counters[0].counters.currently_banned, counters[1].counters.total_banned), (4, 1));

    assert_eq!(daemon.unban(&one, &["192.0.2.1", "192.0.2.200"]), Ok(1));
    assert_eq!(daemon.unban(&one, &[]), Ok(0));
    assert_eq!(daemon.unban_everywhere(&["192.0.2.1", "2001:db8::77"]), Ok(2));
    for option in ["--all", "--report-absent"] {
        assert_eq!(daemon.unban_everywhere(&[option]), Err(EncodeError::Option.into()));
        assert_eq!(daemon.unban(&one, &[option]), Err(EncodeError::Option.into()));
    }
    assert_eq!(daemon.unban_all(), Ok(2));
    assert!(listed(&mut daemon, &one).is_empty());
}

#[test]
fn a_real_daemon_takes_settings() {
    let mut real = RealDaemon::start();
    let mut daemon = real.daemon();
    let one = name("one");
    poll("both jails run", || daemon.jail_names().unwrap().len() == 2);
    assert!(daemon.add_ignore(&one, "192.0.2.0/24").unwrap().contains(&"192.0.2.0/24".to_owned()));
    assert_eq!(daemon.ignore_list(&one).unwrap(), ["192.0.2.0/24"]);
    assert_eq!(daemon.remove_ignore(&one, "192.0.2.1"), Ok(None));
    assert_eq!(daemon.remove_ignore(&one, "192.0.2.0/24"), Ok(Some(vec![])));
    daemon.set_ignore_self(&one, true).unwrap();
    assert_eq!(daemon.ignore_self(&one), Ok(Some(true)));
    daemon.set_idle(&one, true).unwrap();
    daemon.set_idle(&one, false).unwrap();

    for setting in [
        Setting::BanTime(-1),
        Setting::FindTime(120),
        Setting::MaxRetry(7),
        Setting::MaxMatches(4),
        Setting::MaxLines(2),
        Setting::UseDns("warn"),
        Setting::DatePattern("^%Y"),
        Setting::LogEncoding("utf-8"),
        Setting::LogTimezone("UTC+0100"),
        Setting::Prefregex("^<F-CONTENT>.+</F-CONTENT>$"),
        Setting::Increment(false),
        Setting::IncrementMaxTime(86400),
        Setting::IncrementRndTime(60),
        Setting::IncrementFactor(1.5),
        Setting::IncrementMultipliers("1 2 4"),
        Setting::IncrementOverallJails(true),
    ] {
        daemon.set(&one, &setting).unwrap_or_else(|error| panic!("{setting:?}: {error}"));
    }
    let settings = daemon.jail_settings(&one).unwrap();
    assert_eq!((settings.ban_time, settings.find_time, settings.max_retry), (-1.0, 120.0, 7));
    assert_eq!((settings.max_matches, settings.max_lines, settings.use_dns.as_str()), (Some(4), Some(2), "warn"));
    assert_eq!(settings.prefregex, "^(?P<content>.+)$");
    let escalation = settings.escalation.unwrap();
    assert_eq!((escalation.factor, escalation.rnd_time, escalation.overall_jails), (Some(1.5), Some(60.0), Some(true)));
    assert_eq!(escalation.multipliers.as_deref(), Some("1 2 4"));
    daemon.set(&one, &Setting::IncrementOverallJails(false)).unwrap();
    assert_eq!(daemon.jail_settings(&one).unwrap().escalation.unwrap().overall_jails, Some(false));

    assert_eq!(daemon.add_regex(&one, RegexList::Fail, "^second <HOST>$").unwrap().len(), 2);
    let bad = daemon.add_regex(&one, RegexList::Fail, "^no address$");
    assert!(matches!(&bad, Err(Error::Refused { class, .. }) if class == "RegexException"), "{bad:?}");
    assert_eq!(daemon.remove_regex(&one, RegexList::Fail, 1).unwrap().len(), 1);
    real.write("more.log", "");
    let more = real.path("more.log").display().to_string();
    daemon.add_log_path(&one, &more, true).unwrap();
    assert_eq!(daemon.jail_settings(&one).unwrap().log_paths.len(), 2);
    daemon.remove_log_path(&one, &more).unwrap();

    let before = daemon.server_settings().unwrap();
    assert_eq!(
        (before.log_level.as_str(), before.db_purge_age, before.db_max_matches),
        ("INFO", Some(86400), Some(10))
    );
    assert_eq!(before.db_path.as_deref(), Some(real.path("f.sqlite3").to_str().unwrap()));
    assert_eq!(daemon.database_path(), Ok(Some(real.path("f.sqlite3"))));
    assert_eq!(daemon.set_log_level("DEBUG").unwrap(), "DEBUG");
    let target = real.path("other.log").display().to_string();
    assert_eq!(daemon.set_log_target(&target).unwrap(), target);
    assert_eq!(daemon.set_syslog_socket("auto").unwrap(), "auto");
    assert_eq!(daemon.set_db_purge_age(172_800), Ok(Some(172_800)));
    assert_eq!(daemon.set_db_max_matches(3), Ok(Some(3)));
    assert_eq!(daemon.flush_logs().unwrap(), "rolled over");

    assert_eq!(daemon.stop_jail(&one), Ok(true));
    assert_eq!(daemon.stop_jail(&one), Ok(false));
    assert_eq!(daemon.jail_names().unwrap(), [name("two")]);
    daemon.stop_server().unwrap();
    poll("the daemon is gone", || !real.is_alive());
    assert!(matches!(daemon.ping(), Err(Error::Unreachable { .. })));
}

/// A daemon that answers every request as its table says, `Exception('Invalid command')` where it says nothing.
fn scripted(table: &'static [(&'static [&'static str], &'static str)]) -> (tempfile::TempDir, Daemon) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut request, mut byte) = (Vec::new(), [0]);
        while stream.read(&mut byte).unwrap() == 1 {
            request.push(byte[0]);
            let Some(pickle) = request.strip_suffix(TERMINATOR) else {
                continue;
            };
            let words = pickle::decode(pickle).unwrap().value().unwrap().texts().unwrap();
            let answer = table.iter().find(|(command, _)| words == *command).map(|(_, answer)| *answer);
            let recorded = answer.map(recorded_reply);
            let reply =
                recorded.unwrap_or_else(|| b"K\x01cbuiltins\nException\nU\x0fInvalid command\x85R\x86.".to_vec());
            stream.write_all(&reply).unwrap();
            stream.write_all(TERMINATOR).unwrap();
            request.clear();
        }
    });
    (directory, Daemon::new(Client::new(path, Duration::from_secs(5))))
}

/// What 0.9 answers to any flavor of `status J`, after its documentation: the list of bans is always in it.
const STATUS_0_9: &str = "status of a jail";

fn status_0_9() -> Value {
    let pair = |name: &str, value: Value| Value::Tuple(vec![Value::from(name), value]);
    let number = |name: &str, number: i64| pair(name, Value::Int(number));
    let list = |name: &str, text: &str| pair(name, Value::List(vec![Value::from(text)]));
    let filter = vec![number("Currently failed", 3), number("Total failed", 6), list("File list", "/var/log/auth.log")];
    let actions =
        vec![number("Currently banned", 1), number("Total banned", 2), list("Banned IP list", "198.51.100.7")];
    Value::List(vec![pair("Filter", Value::List(filter)), pair("Actions", Value::List(actions))])
}

/// What a recorded daemon answered with this value, or the text as a plain answer.
fn recorded_reply(value: &str) -> Vec<u8> {
    let replies = include_str!("../../../tests/data/replies.txt");
    let line =
        replies.lines().map(|line| line.split('\t').collect::<Vec<_>>()).find(|columns| columns.get(2) == Some(&value));
    match line {
        Some(columns) => {
            (0..columns[3].len() / 2).map(|i| u8::from_str_radix(&columns[3][2 * i..2 * i + 2], 16).unwrap()).collect()
        }
        None => {
            let payload = if value == STATUS_0_9 { status_0_9() } else { Value::from(value) };
            let plain = encode(&Value::Tuple(vec![Value::Int(0), payload])).unwrap();
            plain.strip_suffix(TERMINATOR).unwrap().to_vec()
        }
    }
}

#[test]
fn version_0_9_is_asked_as_it_understands() {
    let (_directory, mut daemon) = scripted(&[
        (&["version"], "(0, '0.9.7')"),
        (&["status"], "(0, [('Number of jail', 2), ('Jail list', 'lab, lab2')])"),
        (&["status", "lab", "short"], STATUS_0_9),
        (&["status", "lab2", "short"], STATUS_0_9),
        (&["status", "lab"], STATUS_0_9),
        (&["set", "lab", "banip", "192.0.2.1"], "(0, '192.0.2.1')"),
        (&["set", "lab", "unbanip", "192.0.2.1"], "(1, <exceptions.ValueError('IP 192.0.2.1 is not banned',)>)"),
        (&["set", "lab", "unbanip", "198.51.100.7"], "198.51.100.7"),
        (&["get", "lab", "logpath"], "(0, [])"),
        (&["get", "lab", "journalmatch"], "(0, [])"),
        (&["get", "lab", "failregex"], "(0, [])"),
        (&["get", "lab", "ignoreregex"], "(0, [])"),
        (&["get", "lab", "datepattern"], "(0, (None, 'Default Detectors'))"),
        (&["get", "lab", "logencoding"], "(0, 'UTF-8')"),
        (&["get", "lab", "findtime"], "(0, 600)"),
        (&["get", "lab", "bantime"], "(0, -1)"),
        (&["get", "lab", "maxretry"], "(0, 3)"),
        (&["get", "lab", "usedns"], "(0, 'warn')"),
        (&["get", "lab", "actions"], "(0, ['noop'])"),
        (&["get", "lab", "maxlines"], "(0, 1)"),
        (&["get", "lab", "ignorecommand"], "(0, '')"),
        (&["get", "dbpurgeage"], "(0, 86400)"),
        (&["get", "syslogsocket"], "(0, 'auto')"),
        (&["get", "loglevel"], "INFO"),
        (&["get", "logtarget"], "/var/log/fail2ban.log"),
        (&["get", "dbfile"], "/var/lib/fail2ban/fail2ban.sqlite3"),
    ]);
    let lab = name("lab");
    assert_eq!(daemon.jail_names().unwrap(), [name("lab"), name("lab2")]);
    let counters = daemon.all_counters().unwrap();
    assert_eq!(counters.len(), 2);
    assert_eq!(counters[0].counters.currently_banned, 1);
    assert_eq!(listed(&mut daemon, &lab), ["198.51.100.7"]);
    assert_eq!(daemon.each_banned_with_time(&lab, &mut |_| ()), Ok(None));
    assert_eq!(daemon.is_banned(&lab, "198.51.100.7"), Ok(true));
    assert_eq!(daemon.ban(&lab, &addresses(&["192.0.2.1"])), Ok(1));
    assert_eq!(daemon.unban(&lab, &["192.0.2.1", "198.51.100.7"]), Ok(1));
    assert_eq!(daemon.ignore_self(&lab), Ok(None));
    let settings = daemon.jail_settings(&lab).unwrap();
    assert_eq!((settings.ban_time, settings.find_time, settings.max_retry), (-1.0, 600.0, 3));
    assert_eq!((settings.escalation, settings.max_matches, settings.ignore_self), (None, None, None));
    assert_eq!((settings.prefregex.as_str(), settings.date_pattern, settings.max_lines), ("", None, Some(1)));
    let settings = daemon.server_settings().unwrap();
    assert_eq!((settings.db_max_matches, settings.db_purge_age), (None, Some(86400)));
}

#[test]
fn lines_with_times_are_taken_apart() {
    let line = "198.51.100.7 \t2026-11-22 00:54:57 + 600 = 2026-11-22 01:04:57";
    let (start, end) = ("2026-11-22 00:54:57", "2026-11-22 01:04:57");
    let ban = BanLine { ip: "198.51.100.7", banned_at_local: start, seconds: 600, ends_at_local: end };
    assert_eq!(parse_ban_line(line), Some(ban));
    let odd = parse_ban_line("a + b = c \t \t2026-11-22 00:55:03 + -1 = 9999-12-31 23:59:59").unwrap();
    assert_eq!((odd.ip, odd.seconds, odd.listed_seconds()), ("a + b = c \t", -1, -1));
    assert_eq!(parse_ban_line("192.0.2.1"), None);
}

#[test]
fn a_second_that_start_and_length_have_both_cut_off_is_not_lost() {
    // 22.7 s + 600.6 s end at 23.3 s of the eleventh minute; the first night of winter time is between the last two.
    for (line, seconds) in [
        ("192.0.2.1 \t2026-11-22 00:54:22 + 600 = 2026-11-22 01:04:22", 600),
        ("192.0.2.1 \t2026-11-22 00:54:22 + 600 = 2026-11-22 01:04:23", 601),
        ("192.0.2.1 \t2026-10-24 12:00:22 + 86400 = 2026-10-25 11:00:22", 86_400),
        ("192.0.2.1 \t2026-10-24 12:00:22 + 86400 = 2026-10-25 11:00:23", 86_401),
        ("192.0.2.1 \t2026-10-24 12:00:22 + 86400 = soon", 86_400),
    ] {
        assert_eq!(parse_ban_line(line).unwrap().listed_seconds(), seconds, "{line}");
    }
}

#[test]
fn the_start_of_a_ban_is_told_from_a_text_without_zone() {
    let summer = 7_200;
    let mut zone = LearnedZone::default();
    assert_eq!(zone.start(1_000_000 + summer, None), None, "nothing tells the zone");
    // The database remembers an older ban of this address: it tells the zone, not the start.
    assert_eq!(zone.start(1_000_200 + summer, Some(1_000_000)), Some(1_000_200));
    assert_eq!(zone.start(1_000_000 + summer, Some(1_000_001)), Some(1_000_000), "rounded there, cut off here");
    assert_eq!(zone.start(1_009_000 + summer, None), Some(1_009_000), "learned from the one before");
    assert_eq!(zone.start(1_009_100 + summer, Some(1_000_000)), Some(1_009_100), "hours after the one remembered");
    // The same daemon in winter.
    assert_eq!(zone.start(20_000_000 + 3_600, Some(20_000_000)), Some(20_000_000));
    assert_eq!(zone.start(i64::MAX, Some(i64::MIN)), Some(i64::MAX - 3_600), "no zone is that far");
    assert_eq!(zone_of(1_000_000 - 16_200, 1_000_000), -16_200, "half an hour, west");
}

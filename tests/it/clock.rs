//! Bans of their own length under a clock that is set while they last: of a machine that begins in 1970, and over the end of summer time.
//! fail2ban and the server have the same wrong clock.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server};
use crate::harness::shim::Shim;
use crate::harness::wait_until;
use crate::own_ends::left;

const LIMIT: Duration = Duration::from_secs(30);
const DAY: i64 = 86_400;

fn under(shim: &Shim, zone: &str) -> (RealDaemon, Server, Client) {
    let mut daemon = RealDaemon::configured();
    let zone = ("TZ".to_owned(), zone.to_owned());
    daemon.set_environment(&[&shim.environment()[..], std::slice::from_ref(&zone)].concat());
    daemon.start_again();
    let (server, admin) = shim.launch(Launch::for_real(&daemon).env(&zone.0, &zone.1)).start().into_ready();
    (daemon, server, admin)
}

fn ban(admin: &Client, ip: &str, duration: &str) {
    admin.post("/api/v1/bans", json!({"ip": ip, "jail": "lab", "duration": duration})).expect(201);
}

fn listed(admin: &Client, ip: &str) -> Value {
    let list = admin.get("/api/v1/bans/active?jail=lab").expect(200).json();
    list["items"].as_array().unwrap().iter().find(|item| item["ip"] == ip).cloned().unwrap_or_default()
}

fn unix(value: &Value) -> i64 {
    value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second()
}

#[test]
fn a_ban_that_was_made_in_1970_lasts_as_long_as_was_said_once_the_clock_is_set() {
    let mut shim = Shim::new();
    let off = 600 - jiff::Timestamp::now().as_second();
    shim.set_clock_off(off);
    let (mut daemon, mut server, admin) = under(&shim, "UTC");
    ban(&admin, "203.0.113.1", "3d");
    ban(&admin, "203.0.113.2", "-1");
    assert!(listed(&admin, "203.0.113.1")["expires_at"].as_str().unwrap().starts_with("1970-01-04"));
    shim.set_clock_off(0);
    let lasts = |daemon: &RealDaemon| {
        left(daemon, "lab", "203.0.113.1").is_some_and(|left| (3 * DAY - 120..=3 * DAY + 2).contains(&left))
            && left(daemon, "lab", "203.0.113.2") == Some(-1)
    };
    wait_until("three days from now on", LIMIT, || lasts(&daemon));
    let until = unix(&listed(&admin, "203.0.113.1")["expires_at"]) - jiff::Timestamp::now().as_second();
    assert!((3 * DAY - 120..=3 * DAY + 2).contains(&until), "{until}");
    // The next boot begins in 1970 again: nothing is lifted meanwhile, nor moved again afterwards.
    server.kill();
    daemon.kill();
    shim.set_clock_off(off);
    daemon.start_again();
    server.start_again();
    let admin = server.client().with_identity(admin.identity);
    wait_until("banned in 1970", LIMIT, || daemon.banned("lab").len() == 2);
    admin.get("/api/v1/health").expect(200);
    shim.set_clock_off(0);
    wait_until("the same end as before", LIMIT, || lasts(&daemon));
}

#[test]
fn ends_are_right_over_the_end_of_summer_time() {
    let mut shim = Shim::new();
    let now = || jiff::Timestamp::now().as_second();
    // In Berlin the hour from two to three comes twice: 2026-10-25T01:00:00Z is its second beginning.
    let back: i64 = "2026-10-25T01:00:00Z".parse::<jiff::Timestamp>().unwrap().as_second();
    shim.set_clock_off(back - 1200 - now());
    let (daemon, _server, admin) = under(&shim, "Europe/Berlin");
    ban(&admin, "203.0.113.1", "2h");
    daemon.client(&["set", "lab", "banip", "203.0.113.2"]);
    let ends = |ip: &str| unix(&listed(&admin, ip)["expires_at"]);
    let (first, second) = (ends("203.0.113.1"), ends("203.0.113.2"));
    let near = |end: i64, expected: i64| (expected - 2..expected + 60).contains(&end);
    assert!(near(first, back - 1200 + 7200) && near(second, back - 1200 + 3600), "{first} {second}");
    // Twenty minutes into the hour that comes again.
    shim.set_clock_off(back + 1200 - now());
    ban(&admin, "203.0.113.3", "2h");
    wait_until("its end", LIMIT, || near(ends("203.0.113.3"), back + 1200 + 7200));
    assert!((ends("203.0.113.1") - first).abs() <= 1 && (ends("203.0.113.2") - second).abs() <= 1);
    // Past the end of the jail's own hour, before that of two.
    shim.set_clock_off(back + 3000 - now());
    wait_until("one that is over", LIMIT, || daemon.banned("lab") == ["203.0.113.1", "203.0.113.3"]);
    assert_eq!(listed(&admin, "203.0.113.2"), Value::Null);
}

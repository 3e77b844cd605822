//! What the documents promise in figures: how soon an answer comes, how much memory is held, and how soon a list is in force. The figures
//! are the release build's; a debug build is held to what shows that the mechanism works.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::fake_daemon::FakeDaemon;
use crate::harness::http::Wire;
use crate::harness::list_server::{ListServer, add, addresses, import};
use crate::harness::network::Network;
use crate::harness::pickle::{success, texts};
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server, is_release};
use crate::harness::{is_installed, median, not_installed, wait_until};

/// How often what seems slow is tried.
const TRIES: usize = 3;

/// Answers that wait neither for fail2ban nor for a child.
const AT_ONCE: [&str; 8] = [
    "/api/v1/health",
    "/api/v1/setup",
    "/api/v1/setup/timezone",
    "/api/v1/auth/session",
    "/api/v1/blocklists",
    "/api/v1/blocklists/schedule",
    "/api/v1/blocklists/log",
    "/api/v1/history/archive",
];

/// README: every answer that does not have to wait for fail2ban comes within a millisecond or so.
#[test]
fn what_does_not_wait_for_fail2ban_is_answered_within_a_millisecond_or_so() {
    let daemon = FakeDaemon::start();
    let (server, admin) = Server::ready_fake(&daemon);
    let most = Duration::from_millis(if is_release() { 2 } else { 20 });
    let mut wire = Wire::connect(server.address());
    for target in AT_ONCE {
        let times = (0..101).map(|_| {
            let start = Instant::now();
            wire.send(admin.head_of("GET", target, None));
            assert_eq!(wire.try_answer("GET").unwrap().status, 200, "{target}");
            start.elapsed()
        });
        let middle = median(times.collect());
        println!("{target}: {middle:?}");
        assert!(middle < most, "{target}: {middle:?}");
    }
}

/// A field of `/proc/PID/status`, in KiB.
fn memory(server: &Server, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

/// ARCHITECTURE.md: idle, the program holds 2.1 MB, of which 0.8 MB are its own. After work it lets go of its code again.
#[test]
fn idle_it_holds_about_two_megabytes() {
    let daemon = FakeDaemon::start();
    let server = Launch::for_fake(&daemon).start();
    // A debug build has several times as much code.
    let (resident, own) = if is_release() { (2_250, 900) } else { (9_000, 3_000) };
    let memory = |field: &str| memory(&server, field);
    wait_until("a quiet moment after the start", Duration::from_secs(20), || memory("VmRSS:") <= resident);
    println!("{} KiB idle, of which {} KiB are its own", memory("VmRSS:"), memory("RssAnon:"));
    assert!(memory("RssAnon:") <= own, "{} KiB are its own", memory("RssAnon:"));
    let code = memory("RssFile:");
    server.client().setup();
    let admin = server.client().login();
    let mut busy = 0;
    for target in AT_ONCE {
        admin.get(target).expect(200);
        busy = busy.max(memory("RssFile:"));
    }
    assert!(busy > code, "{code} KiB of code idle, {busy} KiB at work");
    wait_until("a quiet moment after work", Duration::from_secs(20), || memory("RssFile:") <= code + (busy - code) / 4);
}

/// ARCHITECTURE.md: a list of 100 000 bans within 32 MiB of addresses, for the server and for each of its children.
#[test]
fn a_hundred_thousand_bans_are_listed_within_32_mib() {
    let daemon = FakeDaemon::start();
    daemon.set_jails(&["lab"]);
    let (server, admin) = Server::ready_fake(&daemon);
    let line = |number: u32| {
        let address = std::net::Ipv4Addr::from(0x2d40_0000 + number);
        format!("{address} \t2026-11-01 00:00:00 + 31536000 = 2027-11-01 00:00:00")
    };
    let lines: Vec<String> = (0..100_000).map(line).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    daemon.reply(&["get", "lab", "banip", "--with-time"], success(texts(&lines)));
    // The code of a debug build alone takes most of that.
    server.limit_addresses(if is_release() { 32 << 20 } else { 160 << 20 });
    let mut wire = Wire::connect(server.address());
    wire.set_patience(Duration::from_secs(60));
    wire.send(admin.head_of("GET", "/api/v1/jails/lab/banned?page_size=100", None));
    let page: Value = wire.try_answer("GET").unwrap().expect(200).json();
    assert_eq!(page["pagination"]["total"], 100_000);
    // All of them in one answer.
    wire.send(admin.head_of("GET", "/api/v1/bans/active", None));
    let all: Value = wire.try_answer("GET").unwrap().expect(200).json();
    assert_eq!((all["items"].as_array().unwrap().len(), &all["total"]), (100_000, &Value::from(100_000)));
}

/// README: with a set of our own, 100 000 addresses are in force within a second or two.
#[test]
fn a_hundred_thousand_addresses_are_in_force_within_a_second_or_two() {
    let count = if is_release() { 100_000 } else { 20_000 };
    let most = Duration::from_secs(if is_release() { 3 } else { 30 });
    for (mode, programs) in [("nft", &["nft"][..]), ("ipset", &["ipset", "iptables", "ip6tables"])] {
        if let Some(missing) = programs.iter().find(|program| !is_installed(program)) {
            not_installed(&format!("how soon a list is in force by {mode}; {missing} is not installed"));
            continue;
        }
        let Some(network) = Network::make(programs) else { continue };
        network.run(&["ip", "link", "set", "lo", "up"]);
        let lists = ListServer::on(network.within(|| std::net::TcpListener::bind("127.0.0.1:0").unwrap()));
        lists.list("/list", &addresses(count));
        let daemon = RealDaemon::with_action("noop", "true");
        let took = || {
            let launch = Launch::for_real(&daemon).in_network(&network).env("BANGUI_ALLOW_PRIVATE_FETCH", "1");
            let (_server, admin) = launch.env("BANGUI_BLOCKLIST_MODE", mode).start().into_ready();
            add(&admin, &lists.url("/list"), false);
            let start = Instant::now();
            let done = import(&admin);
            let took = start.elapsed();
            println!("{count} addresses by {mode} in {took:?}");
            assert_eq!(done["total_imported"], count, "{done}");
            took
        };
        // The rest of the machine may be what was slow.
        assert!((0..TRIES).any(|_| took() < most), "{count} addresses by {mode} take more than {most:?}");
    }
}

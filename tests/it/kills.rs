//! `kill -9` of the server, of fail2ban, and of both, at any moment of a ban or a lift: what was acknowledged is in force soon after both are
//! back, nothing is banned that nobody asked for, and lists and archive say so. `BANGUI_TEST_KILLS` sets how often.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::archive_own::archived;
use crate::crash::try_send;
use crate::harness::client::Client;
use crate::harness::http::Answer;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::Launch;
use crate::harness::wait_until;

const LIMIT: Duration = Duration::from_secs(30);

/// What is known of an address.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Banned,
    Free,
    /// The last request about it was not answered: it may be either, until another one is.
    Open,
}

/// One that repeats itself and still looks random.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

fn name(n: u64) -> String {
    format!("198.51.100.{}", n + 1)
}

/// Sends requests one after the other until one is not answered; what is known of each address afterwards is in `fates`.
fn ask_until_it_dies(admin: &Client, dice: &mut Dice, fates: &mut BTreeMap<String, Fate>, asked_for: &mut Vec<String>) {
    loop {
        let ips: Vec<String> = (0..1 + dice.below(3)).map(|_| name(dice.below(40))).collect();
        let is_ban = dice.below(3) > 0;
        let (method, target, body) = match (is_ban, dice.below(3)) {
            (true, 0) => ("POST", "/api/v1/bans/bulk", json!({"ips": ips, "jail": "lab", "duration": 5000})),
            (true, 1) => ("POST", "/api/v1/bans", json!({"ip": ips[0], "jail": "lab", "duration": "3d"})),
            (true, _) => ("POST", "/api/v1/bans", json!({"ip": ips[0], "jail": "lab"})),
            (false, 0) => ("POST", "/api/v1/bans/bulk/remove", json!({"ips": ips, "jail": "lab"})),
            (false, _) => ("DELETE", "/api/v1/bans", json!({"ip": ips[0]})),
        };
        let asked = if body["ips"].is_null() { &ips[..1] } else { &ips[..] };
        let answer = try_send(admin, method, target, &body.to_string());
        let is_done = answer.as_ref().is_some_and(|answer| answer.status < 300 && answer.status != 202);
        let fate = match (is_done, is_ban) {
            (true, true) => Fate::Banned,
            (true, false) => Fate::Free,
            (false, _) => Fate::Open,
        };
        let status = answer.as_ref().map(|answer| answer.status);
        let at = jiff::Timestamp::now();
        asked_for.push(format!("{at} {method} {target} {body} {status:?}"));
        for (place, ip) in asked.iter().enumerate() {
            // Of many, some may have been left as they were.
            let is_left = |answer: &Answer| answer.json()["results"][place]["result"] == "not_done";
            let is_left = is_done && answer.as_ref().is_some_and(is_left);
            fates.insert(ip.clone(), if is_left { Fate::Open } else { fate });
        }
        if !is_done {
            return;
        }
    }
}

fn held(admin: &Client) -> Vec<String> {
    let list = admin.get("/api/v1/bans/active?jail=lab").expect(200).json();
    let ip = |item: &Value| item["ip"].as_str().unwrap().to_owned();
    let mut all: Vec<String> = list["items"].as_array().unwrap().iter().map(ip).collect();
    all.sort();
    all
}

#[test]
fn killed_at_any_moment_no_ban_is_lost_and_none_left_over() {
    let rounds: u64 = std::env::var("BANGUI_TEST_KILLS").ok().map_or(9, |count| count.parse().unwrap());
    let mut daemon = RealDaemon::start();
    let (mut server, admin) = Launch::for_real(&daemon).env("BANGUI_ARCHIVE_SECONDS", "1").start().into_ready();
    let (mut dice, mut fates, mut made, mut asked_for) = (Dice(rounds), BTreeMap::new(), 0, Vec::new());
    for round in 0..rounds {
        let admin = server.client().with_identity(admin.identity.clone());
        let (moment, victim) = (Duration::from_micros(dice.below(60_000)), round % 3);
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| ask_until_it_dies(&admin, &mut dice, &mut fates, &mut asked_for));
            // Another moment each time, so that each step of a request is met.
            std::thread::sleep(moment);
            if victim != 0 {
                daemon.kill();
            }
            if victim != 1 {
                server.kill();
            }
            asking.join().unwrap();
        });
        if victim != 0 {
            daemon.start_again();
        }
        if victim != 1 {
            server.start_again();
        }
        let admin = server.client().with_identity(admin.identity.clone());
        let mut differing = Vec::new();
        let mut settled = || {
            let banned = daemon.banned("lab");
            let is_wrong = |(ip, fate): &(&String, &Fate)| match fate {
                Fate::Banned => !banned.contains(ip),
                Fate::Free => banned.contains(ip),
                Fate::Open => false,
            };
            differing = fates.iter().filter(is_wrong).map(|(ip, fate)| format!("{ip} {fate:?}")).collect();
            let mut sorted = banned.clone();
            sorted.sort();
            let is_known = banned.iter().all(|ip| fates.contains_key(ip));
            is_known && differing.is_empty() && held(&admin) == sorted
        };
        let begun = Instant::now();
        while !settled() {
            if begun.elapsed() > LIMIT {
                let last = &asked_for[asked_for.len().saturating_sub(60)..];
                let story = last.join("\n");
                panic!("round {round}, victim {victim}, after {moment:?}: {differing:?}\n{story}\n{}", server.log());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        made += daemon.banned("lab").len();
    }
    assert!(made > 0, "nothing was ever banned");
    // Each address that is banned has a ban of the archive, and none has one without ever having been asked for.
    let admin = server.client().with_identity(admin.identity.clone());
    wait_until("the archive", LIMIT, || {
        let kept = archived(&admin);
        let has = |ip: &String| kept.iter().any(|item| item["ip"] == *ip);
        fates.iter().all(|(ip, fate)| *fate != Fate::Banned || has(ip))
    });
    eprintln!("{rounds} kills, {} addresses, {} in the archive", fates.len(), archived(&admin).len());
}

//! What lists must never ban, what is listed of bans and lifted, and how many children may look at lists at a time.

use std::time::Duration;

use serde_json::json;

use crate::blocklist_set::Lab;
use crate::harness::client::Client;
use crate::harness::http::Wire;
use crate::harness::list_server::{JAIL, LISTS, ListServer, Reply, add, import};
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server};
use crate::harness::wait_until;

const ACTIVE: &str = "/api/v1/bans/active";

fn ready(daemon: &RealDaemon) -> (Server, Client) {
    Launch::for_real(daemon)
        .env("BANGUI_ALLOW_PRIVATE_FETCH", "1")
        .args(&["--trusted-proxies", "127.0.0.1"])
        .start()
        .into_ready()
}

#[test]
fn whoever_is_logged_in_is_not_banned_by_a_list_that_another_imports() {
    let daemon = RealDaemon::with_action("noop", "true");
    let lists = ListServer::start();
    let (server, admin) = ready(&daemon);
    let elsewhere = server.client().with_header("X-Forwarded-For", "45.6.6.6").login();
    lists.set("/list", Reply::List("45.6.6.6\n45.1.1.1\n".into()));
    add(&admin, &lists.url("/list"), false);
    assert_eq!(import(&admin)["results"][0]["skipped"], json!({"protected": 1}));
    assert_eq!(daemon.banned(JAIL), ["45.1.1.1"]);
    // Logged out, it is an address like any other.
    elsewhere.post_empty("/api/v1/auth/logout").expect(200);
    lists.set("/list", Reply::List("45.6.6.6\n45.1.1.2\n".into()));
    assert_eq!(import(&admin)["total_imported"], 2);
}

#[test]
fn the_gateways_of_this_machine_are_not_dropped() {
    let Some(lab) = Lab::make(&["nft"]) else { return };
    lab.here.run(&["ip", "route", "add", "default", "via", "45.9.9.9"]);
    lab.here.run(&["ip", "-6", "route", "add", "default", "via", "2606:4700:1::7"]);
    let (_server, admin) = lab.server("nft");
    lab.lists.set("/list", Reply::List("45.9.9.9\n2606:4700:1::/48\n45.1.1.1\n".into()));
    add(&admin, &lab.lists.url("/list"), false);
    assert_eq!(import(&admin)["results"][0]["skipped"], json!({"protected": 2}));
    lab.demand(&["45.1.1.1"], &["45.9.9.9", "2606:4700:1::7"]);
}

#[test]
fn what_has_left_the_set_by_its_time_is_not_listed() {
    use bangui::blocklist::held::Held;
    use bangui::blocklist::set::AddressSet;
    let Some(lab) = Lab::make(&["nft"]) else { return };
    let (server, admin) = lab.server("nft");
    lab.lists.set("/list", Reply::List("45.1.1.1\n".into()));
    add(&admin, &lab.lists.url("/list"), false);
    assert_eq!(import(&admin)["total_imported"], 1);
    let mut file = server.database().into_os_string();
    file.push(".lists/set.nft");
    let mut held = Held::load(file.as_ref()).unwrap();
    let mut gone = AddressSet::default();
    gone.push("45.1.1.2".parse().unwrap());
    gone.push("45.3.0.0/16".parse().unwrap());
    gone.seal();
    let now = u32::try_from(jiff::Timestamp::now().as_second()).unwrap();
    held.add(&gone, now - 7200, now - 1);
    let aside = server.database().with_extension("aside");
    std::fs::write(&aside, held.encode()).unwrap();
    std::fs::rename(&aside, &file).unwrap();
    let listed = admin.get(&format!("{ACTIVE}?jail={JAIL}")).expect(200).json();
    assert_eq!((&listed["total"], &listed["items"][0]["ip"]), (&json!(1), &json!("45.1.1.1")), "{listed}");
    for ip in ["45.1.1.2", "45.3.1.1"] {
        let found = admin.get(&format!("/api/v1/geo/lookup/{ip}")).expect(200).json();
        assert_eq!(found["currently_banned_in"], json!([]), "{ip}");
    }
}

#[test]
fn a_jail_is_emptied_however_many_it_has_banned() {
    let mut daemon = RealDaemon::configured();
    std::fs::write(daemon.path("jail.local"), "[lab]\naction =\n").unwrap();
    daemon.start_again();
    let (_server, admin) = ready(&daemon);
    let addresses: Vec<String> = (0..230).map(|host| format!("203.0.113.{host}")).collect();
    let words = ["set", "lab", "banip"].into_iter().chain(addresses.iter().map(String::as_str));
    daemon.client(&words.collect::<Vec<_>>());
    daemon.client(&["set", "slow", "banip", "198.51.100.1"]);
    let body = json!({"unban_all": true, "jail": "lab"});
    let done = admin.delete_with("/api/v1/bans", body).expect(200).json();
    assert_eq!(done["message"], "230 bans were removed.");
    assert_eq!((daemon.banned("lab").len(), daemon.banned("slow").len()), (0, 1));
}

#[test]
fn a_ban_is_listed_with_the_number_of_times_that_it_was_banned() {
    let daemon = RealDaemon::start();
    let (_server, admin) = ready(&daemon);
    daemon.client(&["set", "lab", "banip", "203.0.113.1", "203.0.113.2"]);
    let said = daemon.client(&["get", "dbfile"]);
    let path = said.split_whitespace().find(|word| word.starts_with('/')).unwrap().to_owned();
    let database = rusqlite::Connection::open(path).unwrap();
    database.busy_timeout(Duration::from_secs(10)).unwrap();
    // As if it had been banned twice before.
    wait_until("the database", Duration::from_secs(10), || {
        let change = |table: &str| {
            let sql = format!("UPDATE {table} SET bancount = 3 WHERE ip = '203.0.113.1'");
            database.execute(&sql, []).unwrap()
        };
        change("bips") == 1 && change("bans") == 1
    });
    for list in [format!("{ACTIVE}?jail=lab"), "/api/v1/jails/lab/banned".to_owned()] {
        let listed = admin.get(&list).expect(200).json();
        let mut counts: Vec<_> = listed["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|ban| (ban["ip"].to_string(), ban["ban_count"].as_u64()))
            .collect();
        counts.sort();
        let counts: Vec<_> = counts.into_iter().map(|(_, count)| count.unwrap()).collect();
        assert_eq!(counts, [3, 1], "{list}");
    }
}

#[test]
fn two_children_look_at_lists_eight_wait_and_others_are_told_to_come_again() {
    let daemon = RealDaemon::with_action("noop", "true");
    let lists = ListServer::start();
    lists.set("/list", Reply::Drip);
    let (server, admin) = ready(&daemon);
    let id = add(&admin, &lists.url("/list"), false);
    let path = format!("{LISTS}/{id}/preview");
    let ask = || {
        let mut wire = Wire::connect(server.address());
        wire.send(admin.head_of("GET", &path, None));
        wire
    };
    let mut crowd: Vec<Wire> = Vec::new();
    // Two at work first, so that none of what waits takes a place meanwhile.
    for count in 1..=2 {
        crowd.push(ask());
        wait_until("a child at work", Duration::from_secs(10), || lists.count() == count);
    }
    crowd.extend((0..8).map(|_| ask()));
    // The eight are taken up in the order in which they came; a ninth finds no place.
    wait_until("the queue to be full", Duration::from_secs(10), || admin.get(&path).status == 503);
    admin.get(&path).expect_error(503, "busy");
    assert_eq!(lists.count(), 2, "none but the two has begun");
    crowd.into_iter().for_each(Wire::reset);
}

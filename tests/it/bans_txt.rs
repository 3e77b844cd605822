//! Our own bans as text: each once and in order, nothing that was imported, a tag that holds while the list is the same, long or short.

use serde_json::json;

use crate::harness::client::Client;
use crate::harness::http::Answer;
use crate::harness::list_server::{JAIL, ListServer, add, addresses, import};
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server};
use crate::operations::{demand_documented, provoke_general_refusals};

const TEXT: &str = "/api/v1/bans.txt";

/// A jail without an action bans thousands in a moment; that of imports has one that does nothing.
fn daemon() -> RealDaemon {
    let mut daemon = RealDaemon::configured();
    std::fs::write(daemon.path("jail.local"), "[DEFAULT]\nbanaction_allports = noop\n[lab]\naction =\n").unwrap();
    daemon.start_again();
    daemon
}

fn text(answer: &Answer) -> String {
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"), "{answer}");
    String::from_utf8(answer.body.clone()).unwrap()
}

fn list(admin: &Client, query: &str) -> String {
    text(&admin.get(&format!("{TEXT}{query}")).expect(200))
}

#[test]
fn our_own_bans_are_a_list_that_others_can_subscribe_to() {
    let daemon = daemon();
    let lists = ListServer::start();
    let (_server, admin) = Launch::for_real(&daemon).env("BANGUI_ALLOW_PRIVATE_FETCH", "1").start().into_ready();
    assert_eq!(list(&admin, ""), "");
    for body in [
        json!({"ip": "2001:db8::1", "jail": "lab", "duration": "4w"}),
        json!({"ip": "203.0.113.7", "jails": ["lab", "sshd"], "duration": "4w"}),
        json!({"ip": "198.51.100.0/24", "jail": "sshd", "duration": -1}),
        json!({"ip": "203.0.113.10", "jail": "lab"}),
    ] {
        admin.post("/api/v1/bans", body).expect(201);
    }
    let all = "198.51.100.0/24\n203.0.113.7\n203.0.113.10\n2001:db8::1\n";
    assert_eq!(list(&admin, ""), all);
    // What was imported is in it in no case; nor is what is no address.
    daemon.client(&["set", "lab", "banip", "some.host.invalid"]);
    lists.list("/list", &addresses(3));
    add(&admin, &lists.url("/list"), false);
    assert_eq!(import(&admin)["total_imported"], 3);
    assert_eq!(daemon.banned(JAIL).len(), 3);
    assert_eq!((list(&admin, ""), list(&admin, &format!("?jail={JAIL}"))), (all.to_owned(), String::new()));
    assert_eq!((list(&admin, "?origin=blocklist"), list(&admin, "?origin=selfblock")), (String::new(), all.to_owned()));
    assert_eq!(list(&admin, "?jail=sshd"), "198.51.100.0/24\n203.0.113.7\n");
    // The jail's own bans last an hour; what never ends is left for as long as anybody asks.
    assert_eq!(list(&admin, "?min_left=2h"), "198.51.100.0/24\n203.0.113.7\n2001:db8::1\n");
    assert_eq!(list(&admin, "?min_left=2419100&jail=lab"), "203.0.113.7\n2001:db8::1\n");
    assert_eq!(list(&admin, "?min_left=10y"), "198.51.100.0/24\n");
    for odd in ["?min_left=soon", "?min_left=-5", "?origin=x", "?jail=a%0Ab", "?page=1", "?jail=--all"] {
        admin.get(&format!("{TEXT}{odd}")).expect_error(400, "invalid_input");
    }
    admin.get(&format!("{TEXT}?jail=nojail")).expect_error(404, "jail_not_found");
    tags(&admin);
    provoke_general_refusals(TEXT);
    demand_documented(TEXT);
}

/// The same list has the same tag, another one another; so has a list that is streamed.
fn tags(admin: &Client) {
    let again = |tag: &str, query: &str| admin.with_header("If-None-Match", tag).get(&format!("{TEXT}{query}"));
    let tag = |answer: &Answer| answer.header("etag").unwrap_or_else(|| panic!("no tag: {answer}")).to_owned();
    for (query, jail) in [("", "lab"), ("?min_left=1h&jail=sshd", "sshd")] {
        let first = admin.get(&format!("{TEXT}{query}")).expect(200);
        assert!(again(&tag(&first), query).expect(304).body.is_empty());
        admin.post("/api/v1/bans", json!({"ip": "192.0.2.77", "jail": jail, "duration": "1d"})).expect(201);
        let second = again(&tag(&first), query).expect(200);
        assert!(tag(&second) != tag(&first) && text(&second).contains("192.0.2.77\n"), "{second}");
    }
    let many: Vec<String> =
        (0..5000).map(|number| format!("192.0.{}.{}", 3 + number / 250, 1 + number % 250)).collect();
    let body = json!({"ips": many, "jail": "lab", "duration": "1d"});
    crate::bulk::done(admin, "/api/v1/bans/bulk", body);
    let long = admin.get(&format!("{TEXT}?jail=lab")).expect(200);
    let lines: Vec<String> = text(&long).lines().map(str::to_owned).collect();
    assert_eq!((lines.len(), lines[0].as_str(), lines[5003].as_str()), (5004, "192.0.2.77", "2001:db8::1"));
    let nets: Vec<std::net::IpAddr> = lines.iter().map(|line| line.parse().unwrap()).collect();
    assert!(nets.is_sorted());
    assert_eq!(long.header("transfer-encoding"), Some("chunked"), "it is streamed");
    assert!(again(&tag(&long), "?jail=lab").expect(304).body.is_empty());
    assert_eq!(admin.head(&format!("{TEXT}?jail=lab")).expect(200).header("etag"), Some(tag(&long).as_str()));
    admin.delete_with("/api/v1/bans", json!({"ip": "192.0.2.77", "jail": "lab"})).expect(200);
    assert_eq!(text(&again(&tag(&long), "?jail=lab").expect(200)).lines().count(), 5003);
}

#[test]
fn what_one_server_has_banned_another_one_imports() {
    let (here, there) = (daemon(), daemon());
    let (_one, admin) = Server::ready(&here);
    admin.post("/api/v1/bans", json!({"ip": "45.1.1.1", "jail": "lab"})).expect(201);
    admin.post("/api/v1/bans", json!({"ip": "45.1.2.0/24", "jail": "lab"})).expect(201);
    let lists = ListServer::start();
    lists.set("/bans.txt", crate::harness::list_server::Reply::List(list(&admin, "")));
    let (_other, other) = Launch::for_real(&there).env("BANGUI_ALLOW_PRIVATE_FETCH", "1").start().into_ready();
    let seen = other.post("/api/v1/blocklists/preview", json!({"url": lists.url("/bans.txt")})).expect(200).json();
    assert_eq!(seen["entries"], json!(["45.1.1.1", "45.1.2.0/24"]), "{seen}");
}

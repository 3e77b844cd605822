//! The door to the outside: whose certificate is believed, and which of a name's addresses is gone to, however often the name changes its mind.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::list_server::{JAIL, LISTS, ListServer, Reply, add, import};
use crate::harness::name_server::NameServer;
use crate::harness::network::Network;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server};
use crate::harness::{die_with_us, wait_until};

fn data(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/data/tls", name].iter().collect()
}

/// A server of one list over HTTPS.
struct Https {
    child: Child,
    port: u16,
}

impl Https {
    fn start(certificate: &str) -> Https {
        let mut command = Command::new("python3");
        command.arg(data("serve.py")).arg(data(certificate)).stdout(Stdio::piped()).stderr(Stdio::null());
        die_with_us(&mut command);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Https { child, port: line.trim().parse().unwrap() }
    }

    fn url(&self, host: &str, path: &str) -> String {
        format!("https://{host}:{}{path}", self.port)
    }
}

impl Drop for Https {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn demand_distrust(result: &Value, said: &str) {
    let error = result["error"].as_str().unwrap_or_default();
    assert!(error.contains("certificate is not trusted") && error.contains(said), "{result}");
    assert_eq!(result["ips_imported"], 0);
}

#[test]
fn a_certificate_is_believed_only_when_a_known_authority_has_signed_it_for_this_name_and_time() {
    let daemon = RealDaemon::with_action("noop", "true");
    let (good, other, expired) =
        (Https::start("server.pem"), Https::start("other-name.pem"), Https::start("expired.pem"));
    let (server, admin) = Launch::for_real(&daemon).env("BANGUI_ALLOW_PRIVATE_FETCH", "1").start().into_ready();
    for url in [
        good.url("127.0.0.1", "/list"),
        good.url("localhost", "/list"),
        other.url("127.0.0.1", "/list"),
        expired.url("127.0.0.1", "/list"),
        good.url("127.0.0.1", "/down"),
    ] {
        add(&admin, &url, false);
    }
    // With the authorities that are built in nobody here is to be trusted.
    let done = import(&admin);
    for (index, result) in done["results"].as_array().unwrap().iter().enumerate() {
        demand_distrust(result, if index == 3 { "clock" } else { "BANGUI_BLOCKLIST_CA_FILE" });
    }
    let preview = admin.get(&format!("{LISTS}/1/preview")).expect_error(502, "upstream_unreachable").json();
    assert!(preview["detail"].as_str().unwrap().contains("certificate"), "{preview}");
    assert!(!daemon.client(&["status"]).contains(JAIL));
    // With the authority that has signed them, those are who they say they are.
    let authority = data("authority.pem");
    let server = server.with_env("BANGUI_BLOCKLIST_CA_FILE", authority.to_str().unwrap());
    let admin = server.client().with_identity(admin.identity.clone());
    let done = import(&admin);
    let results = done["results"].as_array().unwrap();
    assert_eq!((&results[0]["error"], &results[0]["ips_imported"]), (&json!(null), &json!(2)), "{done}");
    assert_eq!((&results[1]["error"], &results[1]["ips_skipped"]), (&json!(null), &json!(2)), "{done}");
    demand_distrust(&results[2], "another server's");
    demand_distrust(&results[3], "clock");
    assert!(results[4]["error"].as_str().unwrap().contains("from https to http"), "{done}");
    // A file of authorities without any is no reason to do without.
    for (text, said) in [
        ("nothing\n", "no certificate"),
        ("-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n", "BANGUI_BLOCKLIST_CA_FILE"),
    ] {
        std::fs::write(daemon.path("authority.pem"), text).unwrap();
        let broken = daemon.path("authority.pem");
        let server = Launch::for_real(&daemon)
            .env("BANGUI_ALLOW_PRIVATE_FETCH", "1")
            .env("BANGUI_BLOCKLIST_CA_FILE", broken.to_str().unwrap())
            .start();
        let (_server, admin) = server.into_ready();
        add(&admin, &good.url("127.0.0.1", "/list"), false);
        demand_distrust(&import(&admin)["results"][0], said);
    }
}

/// A machine at the Internet, whose names are what the test says: 45.0.0.1 itself, 45.1.1.1 and 45.1.1.2 elsewhere.
struct Internet {
    here: Network,
    _there: Network,
    names: NameServer,
    /// On port 80 of this machine, to which no list may lead.
    inside: ListServer,
    /// On port 80 of 45.1.1.1.
    outside: ListServer,
    daemon: RealDaemon,
}

impl Internet {
    fn make() -> Option<Internet> {
        let (here, there) = (Network::make(&[])?, Network::make(&[])?);
        here.join(&["45.0.0.1/8", "2606:4700::1/32"], &there, &["45.1.1.1/8", "45.1.1.2/8", "2606:4700::5/32"]);
        let names = NameServer::on(here.within(|| UdpSocket::bind("127.0.0.1:53").unwrap()));
        let inside = ListServer::on(here.within(|| TcpListener::bind("[::]:80").unwrap()));
        let outside = ListServer::on(there.within(|| TcpListener::bind("[::]:80").unwrap()));
        inside.set("/list", Reply::List("45.66.66.66\n".into()));
        outside.set("/list", Reply::List("45.77.77.77\n".into()));
        Some(Internet { here, _there: there, names, inside, outside, daemon: RealDaemon::with_action("noop", "true") })
    }

    fn server(&self) -> (Server, Client) {
        std::fs::write(self.daemon.path("resolv.conf"), "nameserver 127.0.0.1\noptions timeout:1 attempts:2\n")
            .unwrap();
        Launch::for_real(&self.daemon)
            .in_network(&self.here)
            .seeing(&self.daemon.path("resolv.conf"), "/etc/resolv.conf".as_ref())
            .start()
            .into_ready()
    }
}

#[test]
fn a_name_is_gone_to_only_where_all_its_addresses_are_public() {
    let Some(internet) = Internet::make() else { return };
    let cases: [(&str, &[&str], &str); 9] = [
        ("private.example", &["10.0.0.5"], "10.0.0.5"),
        ("mixed.example", &["45.1.1.1", "192.168.1.1"], "192.168.1.1"),
        ("mixed6.example", &["45.1.1.1", "fd00::1"], "fd00::1"),
        ("mapped.example", &["::ffff:10.0.0.1"], "10.0.0.1"),
        ("nat64.example", &["64:ff9b::a00:1"], "64:ff9b::a00:1"),
        ("metadata.example", &["169.254.169.254"], "169.254.169.254"),
        ("loopback.example", &["127.0.0.1"], "127.0.0.1"),
        ("own.example", &["45.0.0.1"], "45.0.0.1"),
        ("own6.example", &["2606:4700::1"], "2606:4700::1"),
    ];
    let (_server, admin) = internet.server();
    for (name, addresses, _) in cases {
        internet.names.set(name, &[addresses]);
        add(&admin, &format!("http://{name}/list"), false);
    }
    internet.names.set("good.example", &[&["45.1.1.1", "45.1.1.2"]]);
    internet.names.set("good6.example", &[&["2606:4700::5"]]);
    for name in ["good.example", "good6.example", "unknown.example"] {
        add(&admin, &format!("http://{name}/list"), false);
    }
    let done = import(&admin);
    let results = done["results"].as_array().unwrap();
    for ((name, _, address), result) in cases.iter().zip(results) {
        let error = result["error"].as_str().unwrap_or_default();
        assert!(error.contains("not on the public Internet") && error.contains(address), "{name}: {result}");
    }
    assert_eq!(results[cases.len()]["ips_imported"], 1, "{done}");
    assert_eq!(results[cases.len() + 1]["skipped"]["in_another_list"], 1, "{done}");
    assert!(results[cases.len() + 2]["error"].as_str().unwrap().contains("cannot be reached"), "{done}");
    assert!(internet.inside.has_no_request(), "somebody was led to this machine");
    assert_eq!(internet.daemon.banned(JAIL), ["45.77.77.77"]);
}

#[test]
fn a_name_that_changes_between_check_and_connection_leads_nowhere_else() {
    let Some(internet) = Internet::make() else { return };
    let (_server, admin) = internet.server();
    // The second answer is what an attacker hopes to be connected to.
    internet.names.set("rebind.example", &[&["45.1.1.1"], &["127.0.0.1"]]);
    let id = add(&admin, "http://rebind.example/list", false);
    let done = import(&admin);
    assert_eq!((&done["total_imported"], &done["errors_count"]), (&json!(1), &json!(0)), "{done}");
    assert_eq!(internet.names.lookups("rebind.example"), 1, "what was checked is what was connected to");
    assert_eq!(internet.outside.take_requests().len(), 1);
    // By now it leads here, and is refused; what was imported stays.
    let done = import(&admin);
    assert!(done["results"][0]["error"].as_str().unwrap().contains("127.0.0.1"), "{done}");
    admin.get(&format!("{LISTS}/{id}/preview")).expect_error(502, "upstream_unreachable");
    assert_eq!(internet.daemon.banned(JAIL), ["45.77.77.77"]);
    // So with each redirect: a public server that sends on to a name, which is looked up and checked anew.
    let to = |name: &str| {
        Reply::Raw(
            format!("HTTP/1.1 302 Found\r\nLocation: http://{name}/list\r\nContent-Length: 0\r\n\r\n").into_bytes(),
        )
    };
    internet.names.set("public.example", &[&["45.1.1.1"]]);
    internet.names.set("turns.example", &[&["45.1.1.1"], &["10.0.0.1"]]);
    for (path, name) in [("/to-private", "rebind.example"), ("/to-turning", "turns.example")] {
        internet.outside.set(path, to(name));
        add(&admin, &format!("http://public.example{path}"), false);
    }
    internet.outside.set(
        "/to-itself",
        Reply::Raw(
            b"HTTP/1.1 302 Found\r\nLocation: http://turns.example/to-itself\r\nContent-Length: 0\r\n\r\n".to_vec(),
        ),
    );
    add(&admin, "http://public.example/to-itself", false);
    let done = import(&admin);
    let error = |index: usize| done["results"][index]["error"].as_str().unwrap_or_default().to_owned();
    assert!(error(1).contains("rebind.example is 127.0.0.1"), "{done}");
    assert_eq!((error(2).as_str(), &done["results"][2]["skipped"]), ("", &json!({"in_another_list": 1})), "{done}");
    assert!(error(3).contains("turns.example is 10.0.0.1"), "{done}");
    assert!(internet.inside.has_no_request(), "somebody was led to this machine");
}

#[test]
fn a_name_server_that_says_nothing_costs_seconds_and_no_more() {
    let Some(internet) = Internet::make() else { return };
    std::fs::write(internet.daemon.path("silent.conf"), "nameserver 45.1.1.1\noptions timeout:1 attempts:1\n").unwrap();
    let (_server, admin) = Launch::for_real(&internet.daemon)
        .in_network(&internet.here)
        .seeing(&internet.daemon.path("silent.conf"), "/etc/resolv.conf".as_ref())
        .start()
        .into_ready();
    add(&admin, "http://list.example/", false);
    let start = std::time::Instant::now();
    let done = import(&admin);
    assert!(done["results"][0]["error"].as_str().unwrap().contains("cannot be reached"), "{done}");
    assert!(start.elapsed() < Duration::from_secs(40), "{:?}", start.elapsed());
    wait_until("health", Duration::from_secs(5), || admin.get("/api/v1/health").status == 200);
}

//! Who is failing now, on a real daemon: counted as it counts, with the names that were tried, until a ban, the find time, or a fresh start.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::contract::demand_seen;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server, program};
use crate::harness::wait_until;
use crate::operations::provoke_general_refusals;

const LIST: &str = "/api/v1/bans/failing";
const SOON: Duration = Duration::from_secs(15);

fn failing(admin: &Client, query: &str) -> Vec<Value> {
    let mut answer = admin.get(&format!("{LIST}{query}"));
    // On a machine that has much to do fail2ban may be late, which is no matter of this.
    wait_until("an answer", SOON, || {
        if answer.status == 503 {
            answer = admin.get(&format!("{LIST}{query}"));
        }
        answer.status != 503
    });
    answer.expect(200).json()["items"].as_array().unwrap().clone()
}

/// Waits until these are listed: address, jail, failures.
#[track_caller]
fn expect(admin: &Client, query: &str, wanted: &[(&str, &str, u64)]) -> Vec<Value> {
    let mut found = Vec::new();
    let mut seen = Vec::new();
    wait_until(&format!("{wanted:?} are failing"), SOON, || {
        found = failing(admin, query);
        let text = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
        seen =
            found.iter().map(|one| (text(one, "ip"), text(one, "jail"), one["failures"].as_u64().unwrap())).collect();
        seen.iter().map(|(ip, jail, n)| (ip.as_str(), jail.as_str(), *n)).eq(wanted.iter().copied())
    });
    found
}

/// What a command of the command line prints.
#[track_caller]
fn said(daemon: &RealDaemon, server: &Server, arguments: &[&str]) -> String {
    let database = server.database();
    let output = Command::new(program())
        .args(arguments)
        .args(["--fail2ban-socket", &daemon.socket().display().to_string()])
        .args(["--fail2ban-config", &daemon.config().display().to_string()])
        .arg("--database")
        .arg(database)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Somebody fails once in the log of the jail `sshd`, each time in another session.
fn fail(daemon: &RealDaemon, ip: &str, user: &str) {
    static SESSION: AtomicU32 = AtomicU32::new(1);
    let session = SESSION.fetch_add(1, Ordering::Relaxed);
    let line = format!("host sshd[{session}]: Failed password for {user} from {ip} port 4 ssh2");
    daemon.append_log("auth.log", &format!("{} {line}", now()));
}

/// In UTC with its zone, so that no setting of this machine matters.
fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[test]
fn who_fails_is_listed_with_names_until_a_ban_and_after_restarts() {
    let mut daemon = RealDaemon::configured();
    let maxmind = format!("{}/tests/data/geo/GeoLite2-Country-Test.mmdb", env!("CARGO_MANIFEST_DIR"));
    daemon.start_again();
    let allowed = daemon.config().display().to_string();
    let launch =
        Launch::for_real(&daemon).env("BANGUI_GEOIP_DB_PATH", &maxmind).env("BANGUI_ALLOWED_LOG_DIRS", &allowed);
    let (mut server, admin) = launch.start().into_ready();
    assert_eq!(failing(&admin, ""), Vec::<Value>::new());

    for (ip, user) in [("89.160.20.112", "root"), ("89.160.20.112", "bob"), ("2001:db8::7", "eve")] {
        fail(&daemon, ip, user);
    }
    daemon.client(&["set", "lab", "attempt", "203.0.113.9"]);
    daemon.append_log(
        "auth.log",
        &format!("{} host sshd[9999]: Accepted password for mallory from 2001:db8::7 port 4 ssh2", now()),
    );
    let nearest = [("89.160.20.112", "sshd", 2), ("203.0.113.9", "lab", 1), ("2001:db8::7", "sshd", 1)];
    let found = {
        expect(&admin, "?sort=-ip", &[nearest[0], nearest[1], nearest[2]]);
        expect(&admin, "?page_size=1", &nearest[..1])
    };
    let first = &found[0];
    assert_eq!(
        (&first["of"], &first["left"], &first["users"]),
        (&json!(3), &json!(1), &json!(["root", "bob"])),
        "{first}"
    );
    assert_eq!((&first["user"], &first["country"]), (&json!("bob"), &json!("SE")), "{first}");
    assert_eq!(expect(&admin, "?q=eve", &nearest[2..])[0]["users"], json!(["eve"]));
    assert_eq!(expect(&admin, "?jail=lab", &nearest[1..2])[0]["users"], json!([]));
    let csv = admin.with_header("Accept", "text/csv").get(LIST).expect(200);
    assert_eq!(String::from_utf8_lossy(&csv.body).lines().count(), 4, "{csv}");
    // As the daemon counts them.
    let status = admin.get("/api/v1/jails/sshd").expect(200).json();
    assert_eq!(status["jail"]["status"]["currently_failed"], 2, "{status}");

    // The address itself says so.
    let one = admin.get("/api/v1/addresses/89.160.20.112").expect(200).json();
    assert_eq!(one["sentence"], "89.160.20.112 is not banned. 2 of 3 failures in sshd; one more and it is.");
    assert_eq!((&one["failing"][0]["user"], &one["failing"][0]["of"]), (&json!("bob"), &json!(3)), "{one}");
    let find = said(&daemon, &server, &["find", "89.160.20.112"]);
    assert!(find.contains("2 of 3") && find.contains("root, bob"), "{find}");
    let listed = said(&daemon, &server, &["failing", "sshd"]);
    assert!(listed.contains("89.160.20.112") && !listed.contains("203.0.113.9"), "{listed}");

    // What was read before counts after a restart of ours.
    server.kill();
    let alone = said(&daemon, &server, &["failing", "sshd"]);
    assert!(alone.contains("89.160.20.112") && alone.contains("2 of 3"), "{alone}");
    fail(&daemon, "2001:db8::7", "eve");
    server.start_again();
    let admin = server.client().login();
    // The first answer has it, by whoever asks.
    assert_eq!(failing(&admin, "?jail=sshd").len(), 2);
    expect(&admin, "?jail=sshd&sort=-ip", &[nearest[0], ("2001:db8::7", "sshd", 2)]);

    // A ban takes it off, by failures and by hand.
    fail(&daemon, "89.160.20.112", "root");
    expect(&admin, "?jail=sshd", &[("2001:db8::7", "sshd", 2)]);
    admin.post("/api/v1/bans", json!({"ip": "2001:db8::7", "jail": "sshd"})).expect(201);
    expect(&admin, "?jail=sshd", &[]);
    // Whoever fails while it is banned is nobody to look out for.
    fail(&daemon, "2001:db8::7", "eve");
    wait_until("it was seen", SOON, || daemon.log().matches("Found 2001:db8::7").count() == 3);
    expect(&admin, "", &nearest[1..2]);

    // What is too old to count drops out; a jail that begins anew has counted nothing.
    daemon.client(&["set", "lab", "findtime", "1"]);
    expect(&admin, "", &[]);
    daemon.client(&["set", "lab", "findtime", "600"]);
    daemon.client(&["set", "lab", "attempt", "203.0.113.10"]);
    expect(&admin, "", &[("203.0.113.10", "lab", 1)]);
    daemon.client(&["reload", "--restart", "lab"]);
    expect(&admin, "", &[]);

    admin.get(&format!("{LIST}?jail=nowhere")).expect_error(404, "jail_not_found");
    admin.get(&format!("{LIST}?sort=age")).expect_error(400, "invalid_input");
    let tag = admin.get(LIST).expect(200).header("etag").unwrap().to_owned();
    admin.with_header("If-None-Match", &tag).get(LIST).expect(304);

    // Where it is not known it is said, and what helps.
    daemon.client(&["set", "loglevel", "NOTICE"]);
    let silent = admin.get(LIST).expect(200).json();
    assert_eq!(silent["source"]["kind"], "none");
    assert!(silent["source"]["reason"].as_str().unwrap().contains("NOTICE"), "{silent}");
    assert!(said(&daemon, &server, &["failing"]).contains("log level is NOTICE"));
    provoke_general_refusals(LIST);
    demand_seen("GET /api/v1/bans/failing", &[200, 304, 400, 401, 404, 502]);
}

#[test]
fn a_daemon_in_another_zone_and_one_that_knows_who_comes_back() {
    let mut daemon = RealDaemon::configured();
    daemon.set_environment(&[("TZ".to_owned(), "Asia/Kolkata".to_owned())]);
    fs::write(daemon.path("jail.local"), "[DEFAULT]\nbantime.increment = true\nmaxretry = 9\nbantime = 2\n").unwrap();
    daemon.start_again();
    let allowed = daemon.config().display().to_string();
    let (_server, admin) = Launch::for_real(&daemon).env("BANGUI_ALLOWED_LOG_DIRS", &allowed).start().into_ready();
    daemon.client(&["set", "sshd", "banip", "203.0.113.7"]);
    wait_until("it is written down", SOON, || {
        admin.get("/api/v1/history?source=fail2ban").json()["pagination"]["total"] == 1
    });
    wait_until("it is out", SOON, || daemon.banned("sshd").is_empty());
    fail(&daemon, "203.0.113.7", "root");
    // fail2ban counts its failure as two.
    let found = expect(&admin, "", &[("203.0.113.7", "sshd", 2)]);
    let last = found[0]["last_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!((jiff::Timestamp::now().as_second() - last.as_second()).abs() < 60, "{last}");
}

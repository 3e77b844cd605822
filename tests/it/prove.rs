//! A jail put to the proof: with the packet filters' real programs in a network of the test's own, what is banned is found there, what lets it
//! past is named, and nothing of it is left.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::client::{Client, Identity};
use crate::harness::is_installed;
use crate::harness::network::Network;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server, program};
use crate::operations::{demand_documented, provoke_general_refusals};

const PROVE: &str = "/api/v1/jails/lab/prove";

/// A machine with a packet filter of its own, whose jails `lab`, `sshd` and `slow` ban by these actions.
fn machine(programs: &[&str], jails: &str) -> Option<(Network, RealDaemon, Server, Client)> {
    let network = Network::make(programs)?;
    let mut daemon = RealDaemon::configured();
    daemon.live_in(&network);
    // Mail that is noted rather than sent.
    let sent = daemon.path("mail").display().to_string();
    let mail = format!("[Definition]\nactionban = echo <ip> >> {sent}\nactionunban = echo <ip> >> {sent}\n");
    fs::write(daemon.path("action.d/mail.conf"), mail).unwrap();
    fs::write(daemon.path("jail.local"), jails).unwrap();
    daemon.start_again();
    let (server, admin) = Launch::for_real(&daemon).in_network(&network).start().into_ready();
    Some((network, daemon, server, admin))
}

fn step<'v>(proof: &'v Value, id: &str) -> &'v Value {
    proof["steps"].as_array().unwrap().iter().find(|step| step["id"] == id).unwrap_or_else(|| panic!("{id}: {proof:#}"))
}

/// Where it was found: table, chain and set.
fn found(proof: &Value) -> Vec<(String, String, String)> {
    let text = |place: &Value, name: &str| place[name].as_str().unwrap_or_default().to_owned();
    let places = proof["found"].as_array().unwrap().iter();
    places.map(|place| (text(place, "table"), text(place, "chain"), text(place, "set"))).collect()
}

fn prove(admin: &Client, jail: &str) -> Value {
    admin.post_empty(&format!("/api/v1/jails/{jail}/prove")).expect(200).json()
}

/// Nothing tells of it afterwards, except that chains were made as for any ban.
fn demand_no_trace(daemon: &RealDaemon, admin: &Client, rules: &str) {
    assert!(!rules.contains("192.0.2."), "{rules}");
    assert!(!daemon.log().contains("] Ban ") && !daemon.log().contains("ERROR"), "{}", daemon.log());
    for jail in ["lab", "sshd", "slow"] {
        assert!(daemon.client(&["status", jail]).contains("Total banned:\t0"), "{jail}");
    }
    assert_eq!(admin.get("/api/v1/bans/active").expect(200).json()["total"], 0);
    for list in ["/api/v1/history", "/api/v1/history/archive"] {
        assert_eq!(admin.get(list).expect(200).json()["items"], json!([]), "{list}");
    }
    assert!(!daemon.path("mail").exists(), "nobody was told");
}

#[test]
fn what_a_jail_bans_by_nftables_is_found_with_its_table_chain_and_set_and_leaves_no_trace() {
    let jails = "[lab]\naction = nftables[name=lab, port=\"ssh\"]\n mail\n[sshd]\naction = nftables-allports[name=sshd]\n\
                 [slow]\naction = mail\n";
    let Some((network, daemon, server, admin)) = machine(&["nft"], jails) else { return };
    let rules = || network.run(&["nft", "list", "ruleset"]);
    // First it says what it would do, and does nothing.
    let dry = admin.post_empty(&format!("{PROVE}?dry_run=true")).expect(200).json();
    assert_eq!(
        (&dry["dry_run"], &dry["level"], dry["steps"].as_array().unwrap().len()),
        (&json!(true), &json!("ok"), 1)
    );
    assert_eq!(dry["actions"], json!([{"name": "nftables", "runs": true}, {"name": "mail", "runs": false}]));
    assert!(step(&dry, "actions")["detail"].as_str().unwrap().contains("A real ban runs mail as well"), "{dry:#}");
    assert_eq!((rules().as_str(), &dry["found"]), ("", &json!([])));

    let proof = prove(&admin, "lab");
    assert_eq!(
        (&proof["level"], &proof["sentence"]),
        (&json!("ok"), &json!("lab works: what it bans is kept out.")),
        "{proof:#}"
    );
    assert_eq!(proof["address"], "192.0.2.1");
    assert_eq!(found(&proof), [("inet f2b-table".into(), "f2b-chain".into(), "addr-set-lab".into())]);
    assert_eq!(proof["found"][0]["ports"], json!(["22"]));
    let ids: Vec<&str> = proof["steps"].as_array().unwrap().iter().map(|step| step["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["actions", "banned", "found", "passes", "lifted"]);
    assert_eq!(prove(&admin, "sshd")["level"], "ok");
    // Mail cannot be found in a packet filter, and is not sent to try.
    let mail = prove(&admin, "slow");
    assert_eq!((&mail["level"], mail["steps"].as_array().unwrap().len()), (&json!("unknown"), 1), "{mail:#}");
    demand_no_trace(&daemon, &admin, &rules());
    on_the_command_line(&server);

    // Who is banned there already is left alone, and another address is taken.
    daemon.client(&["set", "lab", "banip", "192.0.2.1"]);
    assert_eq!(prove(&admin, "lab")["address"], "192.0.2.2");
    assert!(rules().contains("192.0.2.1") && !rules().contains("192.0.2.2"), "{}", rules());

    // What may let through before is named, and nothing is claimed.
    let first = ["nft", "insert rule inet f2b-table f2b-chain meta mark 0x1 accept"];
    network.run(&first);
    in_doubt(&admin, "meta mark 0x00000001 accept");
    // A firewall that lets through before, and one that was put in place of it.
    network.run(&["nft", "insert rule inet f2b-table f2b-chain tcp dport 22 accept"]);
    let past = prove(&admin, "lab");
    assert_eq!((&past["level"], &step(&past, "passes")["level"]), (&json!("bad"), &json!("bad")), "{past:#}");
    assert!(past["sentence"].as_str().unwrap().contains("let through by a rule before the jail's own"), "{past:#}");
    assert!(step(&past, "passes")["detail"].as_str().unwrap().contains("tcp dport 22 accept"), "{past:#}");
    network.run(&["nft", "flush", "chain", "inet", "f2b-table", "f2b-chain"]);
    let gone = prove(&admin, "lab");
    assert_eq!((&gone["level"], gone["found"].as_array().unwrap().len()), (&json!("bad"), 0), "{gone:#}");
    assert!(gone["sentence"].as_str().unwrap().contains("no rule of the packet filter keeps it out"), "{gone:#}");
}

/// The proof of the jail `lab` names a rule that may let packets through, and says that it is not known.
#[track_caller]
fn in_doubt(admin: &Client, rule: &str) {
    let proof = prove(admin, "lab");
    let step = step(&proof, "passes");
    assert_eq!((&proof["level"], &step["level"]), (&json!("unknown"), &json!("unknown")), "{proof:#}");
    assert!(step["detail"].as_str().unwrap().contains(rule), "{rule}: {proof:#}");
}

fn on_the_command_line(server: &Server) {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(program());
        let done = command.arg("prove").args(arguments).arg("--database").arg(server.database()).output().unwrap();
        (done.status.code(), String::from_utf8(done.stdout).unwrap())
    };
    let (code, said) = run(&["lab"]);
    assert!(code == Some(0) && said.starts_with("lab works: what it bans is kept out.\n"), "{said}");
    assert!(
        said.contains(
            "\nok       It was found in chain f2b-chain of table inet f2b-table (nft), by its set addr-set-lab.\n"
        ),
        "{said}"
    );
    let (code, said) = run(&["lab", "--dry-run", "--json"]);
    assert_eq!((code, &serde_json::from_str::<Value>(&said).unwrap()["dry_run"]), (Some(0), &json!(true)));
    assert_eq!(run(&["slow"]).0, Some(1), "what cannot be proved is no success");
    assert_eq!(run(&[]).0, Some(2));
}

#[test]
fn a_rule_of_iptables_and_a_set_of_ipset_are_found_and_what_docker_publishes_is_said_to_pass_them_by() {
    let jails = "[lab]\naction = iptables-multiport[name=lab, port=\"8080,8081\"]\n\
                 [sshd]\naction = iptables-ipset-proto6[name=sshd, port=\"ssh\"]\n[slow]\naction = mail\n";
    let Some((network, daemon, _server, admin)) = machine(&["iptables", "ip6tables", "ipset"], jails) else { return };
    let proof = prove(&admin, "lab");
    assert_eq!((&proof["level"], &proof["found"][0]["chain"]), (&json!("ok"), &json!("f2b-lab")), "{proof:#}");
    let set = prove(&admin, "sshd");
    assert_eq!((&set["level"], &set["found"][0]["set"]), (&json!("ok"), &json!("f2b-sshd")), "{set:#}");
    demand_no_trace(&daemon, &admin, &(network.run(&["iptables-save"]) + &network.run(&["ipset", "save"])));
    for may_accept in [
        "-m mark --mark 0x1",
        "-m limit --limit 5/sec",
        "-m recent --rcheck",
        "-m string --string x --algo bm",
        "-i eth0",
    ] {
        let words: Vec<&str> = may_accept.split(' ').collect();
        network.run(&[&["iptables", "-I", "INPUT"], words.as_slice(), &["-j", "ACCEPT"]].concat());
        in_doubt(&admin, &words[..2].join(" "));
        network.run(&["iptables", "-D", "INPUT", "1"]);
    }
    // As Docker does: what comes for port 8081 is for a container.
    network.run(&[
        "iptables",
        "-t",
        "nat",
        "-A",
        "PREROUTING",
        "-p",
        "tcp",
        "--dport",
        "8081",
        "-j",
        "DNAT",
        "--to-destination",
        "172.17.0.2:80",
    ]);
    let past = prove(&admin, "lab");
    assert_eq!(past["level"], "bad", "{past:#}");
    assert!(past["sentence"].as_str().unwrap().contains("a container publishes this port"), "{past:#}");
    assert!(step(&past, "passes")["remedy"]["text"].as_str().unwrap().contains("DOCKER-USER"), "{past:#}");
    assert_eq!(prove(&admin, "sshd")["level"], "ok");
}

#[test]
fn what_cannot_be_proved_is_refused_or_said_to_be_unknown() {
    let mut daemon = RealDaemon::configured();
    let fails = "[Definition]\nactionban = nft no such command\nactionunban = nft no such command\n";
    fs::write(daemon.path("action.d/fails.conf"), fails).unwrap();
    fs::write(daemon.path("jail.local"), "[slow]\naction = fails\n").unwrap();
    daemon.start_again();
    daemon.client(&["add", "loglevel", "polling"]);
    let (server, admin) = Launch::for_real(&daemon).start().into_ready();
    let lab = prove(&admin, "lab");
    assert_eq!(
        (&lab["level"], &lab["actions"]),
        (&json!("unknown"), &json!([{"name": "noop", "runs": false}])),
        "{lab:#}"
    );
    if is_installed("nft") {
        let slow = prove(&admin, "slow");
        assert_eq!(
            (&slow["level"], &slow["sentence"]),
            (&json!("bad"), &json!("slow could not ban: its action failed.")),
            "{slow:#}"
        );
        assert_eq!((&step(&slow, "banned")["level"], &slow["found"]), (&json!("bad"), &json!([])), "{slow:#}");
    }
    admin.post_empty("/api/v1/jails/nowhere/prove").expect_error(404, "jail_not_found");
    admin.post_empty("/api/v1/jails/off/prove").expect_error(404, "jail_not_found");
    admin.post_empty("/api/v1/jails/loglevel/prove").expect_error(409, "fail2ban_command_failed");
    admin.post_empty(&format!("{PROVE}?dry_run=perhaps")).expect_error(400, "invalid_input");
    admin.post(PROVE, json!({"address": "203.0.113.1"})).expect_error(422, "invalid_input");
    let limited = server.with_env("BANGUI_RATE_LIMIT_BAN", "1");
    let admin = limited.client().with_identity(Identity::Bearer(admin.token().to_string()));
    admin.post_empty(PROVE).expect(200);
    admin.post_empty(PROVE).expect_error(429, "rate_limit_exceeded");
    admin.post_empty("/api/v1/jails/nowhere/prove").expect_error(429, "rate_limit_exceeded");
    provoke_general_refusals(PROVE);
    // The operation of this table is `lab`'s: its other answers were seen of other jails.
    demand_documented(PROVE);
}

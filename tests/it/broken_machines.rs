//! Broken machines, each a small recipe, with a real fail2ban and a real packet filter: each fault is found and named rightly, and nothing else is.
//! How many of the faults were found, and how many of the findings were faults, is printed.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::harness::client::Client;
use crate::harness::network::Network;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::Launch;
use crate::harness::wait_until;

const JAILS: &str = "[lab]\naction = nftables[name=lab, port=\"ssh\"]\n[sshd]\naction = nftables[name=sshd, port=\"ssh\"]\n\
                     [slow]\naction = nftables-allports[name=slow]\n";
const V4: &str = "203.0.113.7";
const V6: &str = "2001:db8::7";

struct Machine {
    network: Network,
    daemon: RealDaemon,
    admin: Client,
    found: usize,
    missed: Vec<String>,
    wrong: Vec<String>,
}

impl Machine {
    fn nft(&self, command: &str) {
        self.network.run(&["nft", command]);
    }

    /// Looks at it as it is now, and counts what is named rightly.
    fn look(&mut self, recipe: &str, expected: &[&str]) {
        let verdict: Value = self.admin.post_empty("/api/v1/protection/check").expect(200).json();
        let ids: Vec<&str> =
            verdict["findings"].as_array().unwrap().iter().map(|finding| finding["id"].as_str().unwrap()).collect();
        for id in expected {
            match ids.contains(id) {
                true => self.found += 1,
                false => self.missed.push(format!("{recipe}: {id}")),
            }
        }
        self.wrong.extend(ids.iter().filter(|id| !expected.contains(id)).map(|id| format!("{recipe}: {id}")));
    }
}

#[test]
fn each_broken_machine_is_found_and_named_rightly_and_nothing_else_is() {
    let Some(network) = Network::make(&["nft"]) else { return };
    let mut daemon = RealDaemon::configured();
    daemon.live_in(&network);
    fs::write(daemon.path("jail.local"), JAILS).unwrap();
    daemon.start_again();
    daemon.client(&["set", "lab", "banip", V4]);
    daemon.client(&["set", "sshd", "banip", V6]);
    let logs = daemon.config().display().to_string();
    let launch = Launch::for_real(&daemon).in_network(&network).env("BANGUI_ALLOWED_LOG_DIRS", &logs);
    let (_server, admin) = launch.start().into_ready();
    let mut machine = Machine { network, daemon, admin, found: 0, missed: Vec::new(), wrong: Vec::new() };
    machine.look("healthy, with bans of both families", &[]);

    machine.nft("flush set inet f2b-table addr-set-lab");
    machine.look("set flushed", &["ban_missing:lab"]);
    machine.nft(&format!("add element inet f2b-table addr-set-lab {{ {V4} }}"));
    machine.nft("flush set inet f2b-table addr6-set-sshd");
    machine.look("IPv6 forgotten", &["ban_missing:sshd"]);
    machine.nft(&format!("add element inet f2b-table addr6-set-sshd {{ {V6} }}"));
    machine.look("healthy again", &[]);

    fs::rename(machine.daemon.path("slow.log"), machine.daemon.path("moved")).unwrap();
    machine.look("log moved", &["log_missing:slow"]);
    fs::rename(machine.daemon.path("moved"), machine.daemon.path("slow.log")).unwrap();
    let now = jiff::Zoned::now().strftime("%b %d %H:%M:%S").to_string();
    for port in 0..5 {
        let line = format!("{now} host lab[1]: incorrect password given by 203.0.113.50 at {port}");
        machine.daemon.append_log("lab.log", &line);
    }
    machine.look("an expression that matches nothing", &["filter_misses:lab"]);
    fs::write(machine.daemon.path("lab.log"), "lab: bad 203.0.113.60\n").unwrap();
    machine.look("dates that cannot be read", &["dates_not_understood:lab"]);
    fs::write(machine.daemon.path("lab.log"), "").unwrap();

    machine.daemon.client(&["stop", "slow"]);
    machine.look("jail enabled and not running", &["not_running:slow"]);
    machine.nft("flush chain inet f2b-table f2b-chain");
    machine.look("rules swept away", &["ban_missing:lab", "ban_missing:sshd", "not_running:slow"]);
    machine.daemon.client(&["set", "lab", "delaction", "nftables"]);
    machine.look("action missing", &["no_action:lab", "ban_missing:sshd", "not_running:slow"]);
    machine.daemon.stop();
    wait_until("its end", Duration::from_secs(10), || !machine.daemon.is_up());
    machine.look("fail2ban away", &["daemon_away"]);

    let Machine { found, missed, wrong, .. } = &machine;
    println!("recall {found} of {}, precision {found} of {}", found + missed.len(), found + wrong.len());
    assert!(missed.is_empty() && wrong.is_empty(), "missed {missed:#?}, wrong {wrong:#?}");
}

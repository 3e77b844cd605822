//! Broken machines, each a small recipe, with a real fail2ban and a real packet filter: each fault is found and named rightly, and nothing else is.
//! How many of the faults were found, and how many of the findings were faults, is printed.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::harness::client::Client;
use crate::harness::network::Network;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server};
use crate::harness::wait_until;

const JAILS: &str = "[lab]\naction = nftables[name=lab, port=\"ssh\"]\n[sshd]\naction = nftables[name=sshd, port=\"ssh\"]\n\
                     [slow]\naction = nftables-allports[name=slow]\n";
const V4: &str = "203.0.113.7";
const V6: &str = "2001:db8::7";

/// A machine with a packet filter of its own, a service on port 22, and somebody outside who has both addresses.
struct Machine {
    network: Network,
    daemon: RealDaemon,
    _server: Server,
    admin: Client,
    outside: Network,
    _service: TcpListener,
    found: usize,
    missed: Vec<String>,
    wrong: Vec<String>,
}

impl Machine {
    /// `server` is what `fail2ban.local` says.
    fn make(programs: &[&str], jails: &str, server: &str) -> Option<Machine> {
        let (network, outside) = (Network::make(programs)?, Network::make(&[])?);
        network.join(&["203.0.113.1/24", "2001:db8::1/64"], &outside, &["203.0.113.7/24", "2001:db8::7/64"]);
        let mut daemon = RealDaemon::configured();
        daemon.live_in(&network);
        fs::write(daemon.path("jail.local"), format!("[DEFAULT]\nignoreself = true\n{jails}")).unwrap();
        fs::write(daemon.path("fail2ban.local"), format!("[Definition]\n{server}")).unwrap();
        daemon.start_again();
        let logs = daemon.config().display().to_string();
        let launch = Launch::for_real(&daemon).in_network(&network).env("BANGUI_ALLOWED_LOG_DIRS", &logs);
        let (server, admin) = launch.start().into_ready();
        let service = network.within(|| TcpListener::bind("[::]:22")).unwrap();
        let (missed, wrong) = (Vec::new(), Vec::new());
        Some(Machine { network, daemon, _server: server, admin, outside, _service: service, found: 0, missed, wrong })
    }

    fn run(&self, command: &str) {
        self.network.run(&command.split(' ').collect::<Vec<&str>>());
    }

    fn nft(&self, command: &str) {
        self.network.run(&["nft", command]);
    }

    /// Whether somebody with this address gets to the service.
    fn lets_in(&self, from: &str) -> bool {
        let to: SocketAddr = if from == V4 { "203.0.113.1:22" } else { "[2001:db8::1]:22" }.parse().unwrap();
        self.outside.within(|| TcpStream::connect_timeout(&to, Duration::from_millis(500))).is_ok()
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

    /// The same of a fault by which the banned one at this address gets in.
    fn look_at_hole(&mut self, recipe: &str, expected: &[&str], from: &str) {
        assert!(self.lets_in(from), "{recipe}: {from} is kept out, so this is no fault");
        self.look(recipe, expected);
    }

    fn sum_up(self) {
        let Machine { found, missed, wrong, .. } = &self;
        println!("recall {found} of {}, precision {found} of {}", found + missed.len(), found + wrong.len());
        assert!(missed.is_empty() && wrong.is_empty(), "missed {missed:#?}, wrong {wrong:#?}");
    }
}

#[test]
fn each_broken_machine_is_found_and_named_rightly_and_nothing_else_is() {
    let Some(mut machine) = Machine::make(&["nft", "iptables"], JAILS, "") else { return };
    assert!(machine.lets_in(V4) && machine.lets_in(V6), "nobody is banned yet");
    machine.daemon.client(&["set", "lab", "banip", V4]);
    machine.daemon.client(&["set", "sshd", "banip", V6]);
    machine.look("healthy, with bans of both families", &[]);
    assert!(!machine.lets_in(V4) && !machine.lets_in(V6));

    machine.nft("flush set inet f2b-table addr-set-lab");
    machine.look_at_hole("set flushed", &["ban_missing:lab"], V4);
    machine.nft(&format!("add element inet f2b-table addr-set-lab {{ {V4} }}"));
    machine.nft("flush set inet f2b-table addr6-set-sshd");
    machine.look_at_hole("IPv6 forgotten", &["ipv6_missing:sshd"], V6);
    machine.nft(&format!("add element inet f2b-table addr6-set-sshd {{ {V6} }}"));
    machine.nft("add element inet f2b-table addr-set-lab { 203.0.113.99 }");
    machine.look("a rule left over", &["left_over:lab"]);
    machine.nft("delete element inet f2b-table addr-set-lab { 203.0.113.99 }");
    passed_by(&mut machine);
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

    misled(&mut machine);
    machine.daemon.client(&["stop", "slow"]);
    machine.look("jail enabled and not running", &["not_running:slow"]);
    machine.nft("flush chain inet f2b-table f2b-chain");
    machine.look_at_hole("rules swept away", &["set_unused:lab", "set_unused:sshd", "not_running:slow"], V4);
    machine.daemon.client(&["set", "lab", "delaction", "nftables"]);
    machine.look("action missing", &["no_action:lab", "set_unused:sshd", "not_running:slow"]);
    machine.daemon.stop();
    wait_until("its end", Duration::from_secs(10), || !machine.daemon.is_up());
    machine.look("fail2ban away", &["daemon_away"]);
    machine.sum_up();
}

/// Settings by which nobody is banned, or the wrong ones.
fn misled(machine: &mut Machine) {
    let tell = |machine: &Machine, words: &[&str]| drop(machine.daemon.client(words));
    tell(machine, &["set", "lab", "addignoreip", "0.0.0.0/0"]);
    machine.look("an ignore list with everybody on it", &["ignores_everybody:lab"]);
    tell(machine, &["set", "lab", "delignoreip", "0.0.0.0/0"]);
    tell(machine, &["set", "sshd", "addignoreip", "128.0.0.0/1"]);
    machine.look("an ignore list with half of everybody on it", &["ignores_many:sshd"]);
    tell(machine, &["set", "sshd", "delignoreip", "128.0.0.0/1"]);
    tell(machine, &["set", "sshd", "ignoreself", "false"]);
    machine.look("own address missing", &["own_not_ignored"]);
    tell(machine, &["set", "sshd", "addignoreip", "203.0.113.0/24", "2001:db8::/32", "172.17.0.1"]);
    machine.look("healthy, with its own addresses on the list", &[]);
    tell(machine, &["set", "sshd", "ignoreself", "true"]);
    // A proxy in front of the service: the log knows nobody else.
    tell(machine, &["set", "sshd", "maxretry", "100"]);
    let now = jiff::Zoned::now().strftime("%b %d %H:%M:%S").to_string();
    for port in 0..12 {
        let line = format!("{now} host sshd[1]: Failed password for root from 172.17.0.9 port {port} ssh2");
        machine.daemon.append_log("auth.log", &line);
    }
    machine.look("a proxy's address in the log", &["one_address:sshd"]);
    fs::write(machine.daemon.path("auth.log"), "").unwrap();
    fs::write(machine.daemon.path("fail2ban.local"), "[Definition]\nallowipv6 = no\n").unwrap();
    machine.look("IPv6 not looked at", &["ipv6_off"]);
    fs::write(machine.daemon.path("fail2ban.local"), "").unwrap();
    tell(machine, &["set", "lab", "bantime", "604800"]);
    machine.look("healthy, with bans of a week that are remembered", &[]);
    tell(machine, &["set", "lab", "bantime", "3600"]);
}

/// Rules that are there and that packets do not come to.
fn passed_by(machine: &mut Machine) {
    machine.nft("insert rule inet f2b-table f2b-chain tcp dport 22 accept");
    machine.look_at_hole("accepted before", &["accepted_before:lab", "accepted_before:sshd"], V4);
    let rules = machine.network.run(&["nft", "-a", "list", "chain", "inet", "f2b-table", "f2b-chain"]);
    let own = rules.lines().find(|line| line.contains("tcp dport 22 accept")).unwrap();
    machine.nft(&format!("delete rule inet f2b-table f2b-chain handle {}", own.rsplit(' ').next().unwrap()));
    // As Docker does it: what comes for this port is for a container.
    let Some(container) = Network::make(&[]) else { return };
    machine.network.join_by("docker0", &["172.17.0.1/24"], &container, &["172.17.0.2/24"]);
    container.run(&["ip", "route", "add", "default", "via", "172.17.0.1"]);
    machine.network.run(&["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
    let _inside = container.within(|| TcpListener::bind("0.0.0.0:22")).unwrap();
    let rule = "PREROUTING ! -i docker0 -p tcp --dport 22 -j DNAT --to-destination 172.17.0.2:22";
    machine.run(&format!("iptables -t nat -A {rule}"));
    machine.look_at_hole("published by Docker", &["bypassed:lab"], V4);
    machine.run(&format!("iptables -t nat -D {rule}"));
    // A container that is published for this machine alone takes nothing from anybody outside.
    let own = rule.replace("! -i", "-d 127.0.0.1 ! -i");
    machine.run(&format!("iptables -t nat -A {own}"));
    machine.look("healthy, with a container for itself", &[]);
    machine.run(&format!("iptables -t nat -D {own}"));
}

const IPTABLES: &str = "[lab]\naction = iptables-multiport[name=lab, port=\"ssh\"]\n\
                        [sshd]\naction = iptables-ipset-proto6[name=sshd, port=\"ssh\"]\n[slow]\naction = iptables-allports[name=slow]\n";

#[test]
fn each_firewall_of_iptables_that_lets_a_banned_address_in_is_named_rightly() {
    let Some(mut machine) = Machine::make(&["nft", "iptables", "ip6tables", "ipset"], IPTABLES, "dbfile = None\n")
    else {
        return;
    };
    machine.daemon.client(&["set", "lab", "banip", V4, V6]);
    machine.look("healthy, with bans of both families", &[]);
    assert!(!machine.lets_in(V4) && !machine.lets_in(V6));
    machine.daemon.client(&["set", "slow", "bantime", "604800"]);
    machine.look("no database for bans of a week", &["bans_forgotten"]);
    machine.daemon.client(&["set", "slow", "bantime", "3600"]);
    machine.run("iptables -F INPUT");
    machine.look_at_hole("a firewall loaded without the chain", &["not_passed:lab"], V4);
    machine.run("iptables -I INPUT -p tcp -m multiport --dports 22 -j f2b-lab");
    machine.run("iptables -A INPUT -i lo -j ACCEPT");
    machine.run("iptables -A INPUT -p tcp --dport 22 -j ACCEPT");
    machine.run("iptables -P INPUT DROP");
    machine.look("healthy, behind a firewall that lets in little", &[]);
    machine.run("ip6tables -F f2b-lab");
    machine.look_at_hole("IPv6 flushed", &["ipv6_missing:lab"], V6);
    machine.run("iptables -I INPUT -p tcp --dport 22 -j ACCEPT");
    machine.look_at_hole("accepted before", &["accepted_before:lab", "ipv6_missing:lab"], V4);
    machine.run("iptables -D INPUT -p tcp --dport 22 -j ACCEPT");
    machine.run("iptables -A f2b-lab -s 203.0.113.99 -j REJECT");
    machine.daemon.client(&["unban", V6]);
    machine.look("a rule left over, and a ban that could not be lifted", &["left_over:lab", "own_log_errors"]);
    machine.daemon.client(&["unban", V4]);
    machine.run("iptables -D f2b-lab -s 203.0.113.99 -j REJECT");
    machine.daemon.client(&["set", "sshd", "banip", V4]);
    machine.look("healthy, by a set", &["own_log_errors"]);
    assert!(!machine.lets_in(V4));
    let rules = machine.network.run(&["iptables-save"]);
    let own = rules.lines().find(|line| line.contains("--match-set f2b-sshd")).unwrap();
    machine.run(&format!("iptables {}", own.replacen("-A", "-D", 1)));
    machine.look_at_hole("a set that no rule uses", &["set_unused:sshd", "own_log_errors"], V4);
    machine.sum_up();
}

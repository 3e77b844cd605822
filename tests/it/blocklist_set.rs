//! Imports into a set of our own, in a network of the test's own: what is listed does not get through, by nftables and by ipset.

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::list_server::{IMPORT, JAIL, LISTS, ListServer, Reply, add, addresses, import};
use crate::harness::network::Network;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server};
use crate::harness::{is_installed, not_installed, wait_until};

/// `CAP_NET_ADMIN`.
const NET_ADMIN: u64 = 12;
/// The server's addresses in the cable that its clients are at.
const HERE: [&str; 2] = ["45.0.0.1/8", "2606:4700::1/32"];
/// Its clients' addresses.
const THERE: [&str; 6] =
    ["45.1.1.1/8", "45.1.1.2/8", "45.2.3.4/8", "45.9.9.9/8", "2606:4700::5/32", "2606:4700:1::7/32"];
const PROGRAMS: &[(&str, &[&str])] = &[("nft", &["nft"]), ("ipset", &["ipset", "iptables", "ip6tables"])];

/// A machine with the server and a daemon, and another one with several addresses that knock at it.
pub struct Lab {
    pub here: Network,
    pub there: Network,
    pub daemon: RealDaemon,
    pub lists: ListServer,
}

impl Lab {
    pub fn make(programs: &[&str]) -> Option<Lab> {
        let (here, there) = (Network::make(programs)?, Network::make(programs)?);
        here.join(&HERE, &there, &THERE);
        let lists = ListServer::on(here.within(|| TcpListener::bind("127.0.0.1:0").unwrap()));
        let lab = Lab { here, there, daemon: RealDaemon::with_action("noop", "true"), lists };
        for from in THERE {
            wait_until("the cable", Duration::from_secs(10), || lab.gets_through(from));
        }
        Some(lab)
    }

    pub fn server(&self, mode: &str) -> (Server, Client) {
        self.launch(mode).start().into_ready()
    }

    pub fn launch(&self, mode: &str) -> Launch {
        Launch::for_real(&self.daemon)
            .in_network(&self.here)
            .env("BANGUI_ALLOW_PRIVATE_FETCH", "1")
            .env("BANGUI_BLOCKLIST_MODE", mode)
            .env("BANGUI_ARCHIVE_SECONDS", "1")
    }

    /// Whether a packet from this address reaches the server's machine. None is lost on a cable between two namespaces.
    pub fn gets_through(&self, from: &str) -> bool {
        let from: IpAddr = from.split('/').next().unwrap().parse().unwrap();
        let to = HERE[usize::from(from.is_ipv6())].split('/').next().unwrap().parse::<IpAddr>().unwrap();
        let inside = self.here.within(|| UdpSocket::bind(SocketAddr::new(to, 0)).unwrap());
        let outside = self.there.within(|| UdpSocket::bind(SocketAddr::new(from, 0)).unwrap());
        inside.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
        // A route that is not up yet is as good as a packet that is dropped.
        let _ = outside.send_to(b"knock", inside.local_addr().unwrap());
        inside.recv(&mut [0; 16]).is_ok()
    }

    #[track_caller]
    pub fn demand(&self, dropped: &[&str], open: &[&str]) {
        for from in dropped {
            assert!(!self.gets_through(from), "{from} gets through\n{}", self.rules());
        }
        for from in open {
            assert!(self.gets_through(from), "{from} does not get through\n{}", self.rules());
        }
    }

    pub fn rules(&self) -> String {
        self.said(&["nft", "list", "ruleset"]) + &self.said(&["iptables-save"]) + &self.said(&["ip6tables-save"])
    }

    /// What a program says here; nothing where it is not installed, for then it has made nothing either.
    fn said(&self, words: &[&str]) -> String {
        if !is_installed(words[0]) {
            return String::new();
        }
        String::from_utf8_lossy(&self.here.try_run(words).stdout).into_owned()
    }

    /// Empties the packet filter, as a reboot does.
    pub fn reboot(&self) {
        self.said(&["nft", "flush", "ruleset"]);
        for words in [["iptables", "-F"], ["ip6tables", "-F"], ["ipset", "destroy"]] {
            self.said(&words);
        }
    }

    /// What is left of us in the packet filter.
    pub fn traces(&self) -> String {
        let mut text = self.rules();
        text += &self.said(&["ipset", "list", "-n"]);
        text.lines().filter(|line| line.contains("bangui")).collect::<Vec<_>>().join("\n")
    }
}

pub fn each_mode(test: impl Fn(&str, &mut Lab)) {
    for (mode, programs) in PROGRAMS {
        println!("mode {mode}");
        if let Some(mut lab) = Lab::make(programs) {
            test(mode, &mut lab);
        }
    }
}

pub fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts
}

pub fn active(admin: &Client) -> Vec<String> {
    let all = admin.get(&format!("/api/v1/bans/active?jail={JAIL}")).expect(200).json();
    let ips = all["items"].as_array().unwrap().iter().map(|ban| ban["ip"].as_str().unwrap().to_owned());
    sorted(ips.collect())
}

const LIST: &str = "45.1.1.1\n45.2.0.0/16\n45.2.3.0/24\n2606:4700::5\n2606:4700:1::/48\n10.0.0.1\n45.0.0.0/24\n";

#[test]
fn what_is_listed_is_dropped_and_shown_like_other_bans() {
    each_mode(|mode, lab| {
        let (_server, admin) = lab.server(mode);
        lab.lists.set("/list", Reply::List(LIST.into()));
        let id = add(&admin, &lab.lists.url("/list"), true);
        let done = import(&admin);
        assert_eq!((&done["total_imported"], &done["errors_count"]), (&json!(5), &json!(0)), "{done}");
        // A network that holds an address of this machine is left out whole.
        assert_eq!(done["results"][0]["skipped"], json!({"not_public": 1, "protected": 1}), "{done}");
        lab.demand(&["45.1.1.1", "45.2.3.4", "2606:4700::5", "2606:4700:1::7"], &["45.1.1.2", "45.9.9.9"]);
        // fail2ban has heard nothing of it.
        assert!(!lab.daemon.client(&["status"]).contains(JAIL));
        shown_everywhere(&admin);
        // An unchanged list changes nothing, and a packet filter that others have emptied is filled again.
        lab.here.run(&["nft", "flush", "ruleset"]);
        lab.demand(&[], &["45.1.1.1"]);
        assert_eq!(import(&admin)["results"][0]["unchanged"], true);
        lab.demand(&["45.1.1.1", "2606:4700:1::7"], &["45.9.9.9"]);
        // What leaves is let through, where the source says so.
        lab.lists.set("/list", Reply::List("45.9.9.9\n45.1.1.1\n2606:4700::5\n".into()));
        let done = import(&admin);
        assert_eq!((&done["total_imported"], &done["results"][0]["ips_unbanned"]), (&json!(1), &json!(3)), "{done}");
        lab.demand(&["45.1.1.1", "45.9.9.9", "2606:4700::5"], &["45.2.3.4", "2606:4700:1::7", "45.1.1.2"]);
        admin.put(&format!("{LISTS}/{id}"), json!({"unban_removed": false})).expect(200);
        lab.lists.set("/list", Reply::List("45.1.1.2\n".into()));
        assert_eq!(import(&admin)["results"][0]["ips_unbanned"], 0);
        lab.demand(&["45.1.1.1", "45.1.1.2", "45.9.9.9"], &["45.2.3.4"]);
        assert_eq!(active(&admin), ["2606:4700::5", "45.1.1.1", "45.1.1.2", "45.9.9.9"]);
    });
}

fn shown_everywhere(admin: &Client) {
    assert_eq!(active(admin), ["2606:4700:1::/48", "2606:4700::5", "45.1.1.1", "45.2.0.0/16", "45.2.3.0/24"]);
    let all = admin.get("/api/v1/bans/active").expect(200).json();
    assert_eq!((&all["total"], &all["items"][0]["jail"]), (&json!(5), &json!(JAIL)));
    assert!(all["items"].as_array().unwrap().iter().all(|ban| ban["expires_at"].is_string()), "{all}");
    for (ip, expected) in [("45.1.1.1", json!([JAIL])), ("45.2.9.9", json!([JAIL])), ("45.3.0.1", json!([]))] {
        let found = admin.get(&format!("/api/v1/geo/lookup/{ip}")).expect(200).json();
        assert_eq!(found["currently_banned_in"], expected, "{ip}");
    }
    wait_until("the count of bans", Duration::from_secs(10), || {
        admin.get("/api/v1/dashboard/status").expect(200).json()["status"]["total_bans"] == 5
    });
    wait_until("the archive", Duration::from_secs(20), || {
        admin.get("/api/v1/history/archive?origin=blocklist").expect(200).json()["pagination"]["total"] == 5
    });
    for source in ["fail2ban", "archive"] {
        let history = admin.get(&format!("/api/v1/history?source={source}&origin=blocklist&page_size=2")).expect(200);
        let history = history.json();
        assert_eq!(history["pagination"]["total"], 5, "{source}: {history}");
        let item = &history["items"][0];
        assert_eq!((&item["jail"], &item["origin"]), (&json!(JAIL), &json!("blocklist")), "{source}");
        let cursor = history["pagination"]["next_cursor"].as_str().unwrap();
        let rest = format!("/api/v1/history?source={source}&origin=blocklist&page_size=9&cursor={cursor}");
        assert_eq!(admin.get(&rest).expect(200).json()["items"].as_array().unwrap().len(), 3, "{source}");
        let of_dashboard = |what: &str| {
            admin
                .get(&format!("/api/v1/dashboard/bans{what}?source={source}&range=24h&origin=blocklist"))
                .expect(200)
                .json()
        };
        assert_eq!(of_dashboard("")["pagination"]["total"], 5, "{source}");
        assert_eq!(of_dashboard("/by-country")["total"], 5, "{source}");
        assert_eq!(of_dashboard("/by-jail")["jails"], json!([{"jail": JAIL, "count": 5}]), "{source}");
        let buckets = of_dashboard("/trend")["buckets"].clone();
        let counted: u64 = buckets.as_array().unwrap().iter().map(|bucket| bucket["count"].as_u64().unwrap()).sum();
        assert_eq!(counted, 5, "{source}");
    }
    let one = admin.get("/api/v1/history/45.1.1.1").expect(200).json();
    assert_eq!((&one["total_bans"], &one["timeline"][0]["jail"]), (&json!(1), &json!(JAIL)));
}

#[test]
fn an_unban_lets_one_address_through_until_its_list_changes() {
    each_mode(|mode, lab| {
        let (_server, admin) = lab.server(mode);
        lab.lists.set("/list", Reply::List("45.1.1.1\n45.1.1.2\n45.2.0.0/16\n2606:4700::5\n".into()));
        add(&admin, &lab.lists.url("/list"), false);
        assert_eq!(import(&admin)["total_imported"], 4);
        let unban = |body: Value| admin.delete_with("/api/v1/bans", body).expect(200).json()["message"].clone();
        assert_eq!(unban(json!({"ip": "45.1.1.1"})), "45.1.1.1 is no longer banned.");
        assert_eq!(unban(json!({"ip": "45.1.1.1"})), "45.1.1.1 was not banned.");
        assert_eq!(unban(json!({"ip": "2606:4700::5", "jail": JAIL})), "2606:4700::5 is no longer banned.");
        assert_eq!(unban(json!({"ip": "45.1.1.2", "jail": "sshd"})), "45.1.1.2 was not banned.");
        lab.demand(&["45.1.1.2", "45.2.3.4"], &["45.1.1.1", "2606:4700::5"]);
        assert_eq!(unban(json!({"ip": "45.2.0.0/16"})), "45.2.0.0/16 is no longer banned.");
        lab.demand(&["45.1.1.2"], &["45.2.3.4"]);
        // The same list again says nothing new; another one does.
        assert_eq!(import(&admin)["results"][0]["unchanged"], true);
        lab.demand(&["45.1.1.2"], &["45.1.1.1", "45.2.3.4"]);
        lab.lists.set("/list", Reply::List("45.1.1.1\n45.1.1.2\n45.9.9.9\n".into()));
        assert_eq!(import(&admin)["total_imported"], 2);
        lab.demand(&["45.1.1.1", "45.1.1.2", "45.9.9.9"], &["45.2.3.4"]);
        assert_eq!(admin.delete("/api/v1/bans/all").expect(200).json()["count"], 3);
        lab.demand(&[], &["45.1.1.1", "45.1.1.2", "45.9.9.9"]);
        assert!(active(&admin).is_empty());
    });
}

#[test]
fn the_set_outlives_a_restart_and_goes_when_it_is_switched_off() {
    each_mode(|mode, lab| {
        let (mut server, admin) = lab.server(mode);
        lab.lists.set("/list", Reply::List("45.1.1.1\n45.2.0.0/16\n2606:4700::5\n".into()));
        add(&admin, &lab.lists.url("/list"), false);
        assert_eq!(import(&admin)["total_imported"], 3);
        lab.lists.take_requests();
        // A reboot: the packet filter is empty, and no list is needed to fill it.
        server.kill();
        lab.reboot();
        lab.demand(&[], &["45.1.1.1", "45.2.3.4"]);
        server.start_again();
        wait_until("the set", Duration::from_secs(20), || !lab.gets_through("45.1.1.1"));
        lab.demand(&["45.1.1.1", "45.2.3.4", "2606:4700::5"], &["45.1.1.2"]);
        assert!(lab.lists.has_no_request());
        // A stop leaves it in force.
        assert_eq!(server.terminate(Duration::from_secs(8)), Some(0));
        lab.demand(&["45.1.1.1"], &[]);
        server.start_again();
        let admin = server.client().with_identity(admin.identity.clone());
        // The other way takes over what this one held.
        let other = if mode == "nft" { "ipset" } else { "nft" };
        let mut programs = PROGRAMS.iter().flat_map(|(_, names)| *names);
        if let Some(missing) = programs.find(|name| !is_installed(name)) {
            not_installed(&format!("how the one way takes over from the other; {missing} is not installed"));
        } else {
            server = server.with_env("BANGUI_BLOCKLIST_MODE", other);
            let way = if other == "nft" { "table inet bangui" } else { "bangui-blocklist4" };
            let gone = if other == "nft" { "bangui-blocklist4" } else { "table inet bangui" };
            wait_until("the other way", Duration::from_secs(20), || {
                lab.traces().contains(way) && !lab.traces().contains(gone)
            });
            lab.demand(&["45.1.1.1", "45.2.3.4", "2606:4700::5"], &["45.1.1.2"]);
        }
        // Without the server a command takes it away, and the next import puts it back.
        let database = server.database();
        let remove = [env!("CARGO_BIN_EXE_bangui"), "remove-set", "--database", database.to_str().unwrap()];
        assert_eq!(lab.here.run(&remove), "The set of imported addresses is removed.\n");
        assert_eq!(lab.here.run(&remove), "There is no set of imported addresses.\n");
        assert_eq!(lab.traces(), "");
        let admin = server.client().with_identity(admin.identity.clone());
        assert_eq!(import(&admin)["total_imported"], 3);
        lab.demand(&["45.1.1.1", "45.2.3.4", "2606:4700::5"], &["45.1.1.2"]);
        // Switched off, nothing is left of it, and the next import has fail2ban ban what the lists hold.
        server = server.with_env("BANGUI_BLOCKLIST_MODE", "fail2ban");
        let admin = server.client().with_identity(admin.identity.clone());
        wait_until("the end of the set", Duration::from_secs(20), || lab.traces().is_empty());
        lab.demand(&[], &["45.1.1.1", "45.2.3.4", "2606:4700::5"]);
        let done = import(&admin);
        assert_eq!((&done["total_imported"], &done["results"][0]["unchanged"]), (&json!(2), &json!(false)), "{done}");
        assert_eq!(sorted(lab.daemon.banned(JAIL)), ["2606:4700::5", "45.1.1.1"]);
    });
}

#[test]
fn a_set_is_never_empty_while_another_takes_its_place() {
    each_mode(|mode, lab| {
        let (_server, admin) = lab.server(mode);
        let list = |number: u32| {
            let mut lines = addresses(6000).split_off(number as usize * 100);
            lines.push("45.1.1.1".into());
            lab.lists.list("/list", &lines);
        };
        list(0);
        add(&admin, &lab.lists.url("/list"), true);
        assert_eq!(import(&admin)["errors_count"], 0);
        let inside = lab.here.within(|| UdpSocket::bind("45.0.0.1:0").unwrap());
        let listed = lab.there.within(|| UdpSocket::bind("45.1.1.1:0").unwrap());
        inside.set_nonblocking(true).unwrap();
        let (done, sent) = (AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let _ = listed.send_to(b"knock", inside.local_addr().unwrap());
                    sent.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_micros(200));
                }
            });
            for number in 1..6 {
                list(number);
                let done = import(&admin);
                assert_eq!(done["results"][0]["ips_unbanned"], 100, "{done}");
            }
            done.store(true, Ordering::Relaxed);
        });
        let sent = sent.into_inner();
        assert!(sent > 500, "only {sent} packets");
        assert!(inside.recv(&mut [0; 16]).is_err(), "one of {sent} packets got through");
    });
}

#[test]
fn a_packet_filter_that_may_not_be_changed_is_an_error_and_the_old_set_stays() {
    each_mode(|mode, lab| {
        let (server, admin) = lab.launch(mode).start().into_ready();
        lab.lists.set("/list", Reply::List("45.1.1.1\n".into()));
        add(&admin, &lab.lists.url("/list"), true);
        assert_eq!(import(&admin)["total_imported"], 1);
        let server = server.without_capability(NET_ADMIN);
        let admin = server.client().with_identity(admin.identity.clone());
        wait_until("the complaint", Duration::from_secs(20), || server.log().contains("CAP_NET_ADMIN"));
        lab.lists.set("/list", Reply::List("45.9.9.9\n".into()));
        let done = import(&admin);
        assert_eq!((&done["errors_count"], &done["total_imported"]), (&json!(1), &json!(0)), "{done}");
        let error = done["results"][0]["error"].as_str().unwrap();
        assert!(error.contains("CAP_NET_ADMIN") && !error.contains('\n'), "{error}");
        assert_eq!(admin.get(IMPORT).expect(200).json()["mode"], mode);
        assert!(admin.get(IMPORT).json()["problem"].as_str().unwrap().contains("CAP_NET_ADMIN"));
        lab.demand(&["45.1.1.1"], &["45.9.9.9"]);
        assert_eq!(active(&admin), ["45.1.1.1"]);
        assert!(admin.get("/api/v1/blocklists/log").json()["items"][0]["errors"].is_string());
        // With the right to do it, the next import makes up for it, and what left the list meanwhile is let through.
        let server = server.with_capabilities();
        let admin = server.client().with_identity(admin.identity.clone());
        let done = import(&admin);
        assert_eq!((&done["total_imported"], &done["results"][0]["ips_unbanned"]), (&json!(1), &json!(1)), "{done}");
        lab.demand(&["45.9.9.9"], &["45.1.1.1"]);
    });
}

#[test]
fn the_host_that_serves_a_list_is_not_dropped_by_it() {
    each_mode(|mode, lab| {
        let far = ListServer::on(lab.there.within(|| TcpListener::bind("45.1.1.1:0").unwrap()));
        far.set("/list", Reply::List("45.1.1.1\n45.1.1.2\n".into()));
        let (_server, admin) = lab.server(mode);
        add(&admin, &far.url("/list"), false);
        let done = import(&admin);
        assert_eq!(done["results"][0]["skipped"], json!({"protected": 1}), "{done}");
        lab.demand(&["45.1.1.2"], &["45.1.1.1"]);
    });
}

#[test]
fn whom_fail2ban_ignores_is_not_dropped_and_the_daemon_need_not_run() {
    each_mode(|mode, lab| {
        let jails = std::fs::read_to_string(lab.daemon.path("jail.local")).unwrap();
        std::fs::write(lab.daemon.path("jail.local"), format!("{jails}ignoreip = 45.1.1.1 some.host.example\n"))
            .unwrap();
        lab.daemon.client(&["set", "lab", "addignoreip", "45.2.0.0/16"]);
        let (_server, admin) = lab.server(mode);
        lab.lists.set("/list", Reply::List("45.1.1.1\n45.1.1.2\n45.2.3.4\n45.9.9.9\n".into()));
        add(&admin, &lab.lists.url("/list"), false);
        let done = import(&admin);
        assert_eq!(done["results"][0]["skipped"], json!({"protected": 2}), "{done}");
        lab.demand(&["45.1.1.2", "45.9.9.9"], &["45.1.1.1", "45.2.3.4"]);
        // Without the daemon its files are enough.
        lab.daemon.stop();
        lab.lists.set("/list", Reply::List("45.1.1.1\n45.2.3.4\n".into()));
        let done = import(&admin);
        assert_eq!((&done["total_imported"], &done["errors_count"]), (&json!(1), &json!(0)), "{done}");
        lab.demand(&["45.1.1.2", "45.2.3.4"], &["45.1.1.1"]);
        let unbanned = admin.delete_with("/api/v1/bans", json!({"ip": "45.1.1.2", "jail": JAIL})).expect(200).json();
        assert_eq!(unbanned["message"], "45.1.1.2 is no longer banned.");
        lab.demand(&["45.2.3.4"], &["45.1.1.2"]);
    });
}

#[test]
fn many_addresses_are_in_force_soon() {
    each_mode(|mode, lab| {
        let (server, admin) = lab.server(mode);
        let mut lines = addresses(20_000);
        lines.push("45.1.1.1".into());
        lab.lists.list("/list", &lines);
        add(&admin, &lab.lists.url("/list"), false);
        let before = server.rss_kib();
        let start = Instant::now();
        assert_eq!(import(&admin)["total_imported"], 20_001);
        let took = start.elapsed();
        lab.demand(&["45.1.1.1"], &["45.9.9.9"]);
        println!("20 001 addresses by {mode} in {took:?}");
        let after = server.rss_kib();
        assert!(after < before + 2048, "{before} KiB before, {after} KiB after");
        wait_until("the archive", Duration::from_secs(60), || {
            admin.get("/api/v1/history/archive?origin=blocklist&page_size=1").expect(200).json()["pagination"]["total"]
                == 20_001
        });
    });
}

/// README: never dropped are this machine's gateways, though they are other machines than this one and no jail ignores them.
#[test]
fn the_gateways_are_never_dropped_nor_a_network_with_one_in_it() {
    each_mode(|mode, lab| {
        let (server, admin) = lab.server(mode);
        lab.here.run(&["ip", "route", "add", "198.51.100.0/24", "via", "45.1.1.1", "dev", "cable"]);
        lab.here.run(&["ip", "route", "add", "2001:db8::/32", "via", "2606:4700::5", "dev", "cable"]);
        let list = "45.1.1.1\n45.1.0.0/16\n45.9.9.9\n2606:4700::5\n2606:4700:1::7\n";
        lab.lists.set("/list", Reply::List(list.into()));
        add(&admin, &lab.lists.url("/list"), false);
        let done = import(&admin);
        assert_eq!(done["results"][0]["skipped"], json!({"protected": 3}), "{done}");
        lab.demand(&["45.9.9.9", "2606:4700:1::7"], &["45.1.1.1", "45.1.1.2", "2606:4700::5"]);
        // Nor is one banned by hand by mistake.
        let ban =
            admin.post("/api/v1/bans", json!({"ip": "45.1.1.1", "jail": "lab"})).expect_error(409, "conflict").json();
        assert!(ban["detail"].as_str().unwrap().contains("gateway"), "{ban}");
        drop(server);
    });
}

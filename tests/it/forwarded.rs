//! A router: what it forwards is held against the set of imported addresses where that is wanted, shown by packets between three networks.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use serde_json::json;

use crate::blocklist_set::{Lab, active, each_mode};
use crate::harness::list_server::{JAIL, Reply, add, import};
use crate::harness::network::Network;
use crate::harness::server::Server;
use crate::harness::wait_until;

/// The router's addresses in the cable to its own network, and those of the machine there.
const ROUTER: [&str; 2] = ["192.168.7.1/24", "fd00:7::1/64"];
const BEHIND: [&str; 2] = ["192.168.7.2/24", "fd00:7::2/64"];
/// One of the set that is put in force last.
const LAST: &str = "2606:4700::5";
const FORWARD: &str = "BANGUI_BLOCKLIST_FORWARD";

/// A third network, behind the machine of the lab.
struct Behind {
    network: Network,
}

fn bare(address: &str) -> IpAddr {
    address.split('/').next().unwrap().parse().unwrap()
}

impl Behind {
    fn make(lab: &Lab) -> Option<Behind> {
        let network = Network::make(&[])?;
        lab.here.join_by("inner", &ROUTER, &network, &BEHIND);
        lab.here.within(|| {
            for switch in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
                std::fs::write(format!("/proc/sys/net/{switch}"), "1").unwrap();
            }
        });
        network.run(&["ip", "route", "add", "default", "via", "192.168.7.1"]);
        network.run(&["ip", "-6", "route", "add", "default", "via", "fd00:7::1"]);
        lab.there.run(&["ip", "route", "add", "192.168.7.0/24", "via", "45.0.0.1"]);
        lab.there.run(&["ip", "-6", "route", "add", "fd00:7::/64", "via", "2606:4700::1"]);
        let behind = Behind { network };
        for from in ["45.1.1.1", "2606:4700::5"] {
            wait_until("the way through the router", Duration::from_secs(10), || behind.is_reached(lab, from));
        }
        Some(behind)
    }

    /// Whether a packet from this address gets through the router to the machine behind it.
    fn is_reached(&self, lab: &Lab, from: &str) -> bool {
        let from = bare(from);
        let to = bare(BEHIND[usize::from(from.is_ipv6())]);
        let inside = self.network.within(|| UdpSocket::bind(SocketAddr::new(to, 0)).unwrap());
        let outside = lab.there.within(|| UdpSocket::bind(SocketAddr::new(from, 0)).unwrap());
        inside.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
        // A route that is not up yet is as good as a packet that is dropped.
        let _ = outside.send_to(b"knock", inside.local_addr().unwrap());
        inside.recv(&mut [0; 16]).is_ok()
    }

    #[track_caller]
    fn demand(&self, lab: &Lab, dropped: &[&str], open: &[&str]) {
        for from in dropped {
            assert!(!self.is_reached(lab, from), "{from} gets through the router\n{}", lab.rules());
        }
        for from in open {
            assert!(self.is_reached(lab, from), "{from} does not get through the router\n{}", lab.rules());
        }
    }
}

fn restarted(server: Server, value: &str, lab: &Lab, behind: &Behind, is_open: bool) -> Server {
    let server = server.with_env(FORWARD, value);
    wait_until("the other reach", Duration::from_secs(20), || behind.is_reached(lab, LAST) == is_open);
    server
}

#[test]
fn what_a_router_forwards_is_dropped_only_where_that_is_wanted() {
    each_mode(|mode, lab| {
        let Some(behind) = Behind::make(lab) else { return };
        let (server, admin) = lab.server(mode);
        lab.lists.set("/list", Reply::List("45.1.1.1\n45.2.0.0/16\n2606:4700::5\n2606:4700:1::/48\n".into()));
        add(&admin, &lab.lists.url("/list"), false);
        assert_eq!(import(&admin)["total_imported"], 4);
        let listed = ["45.1.1.1", "45.2.3.4", "2606:4700::5", "2606:4700:1::7"];
        let others = ["45.1.1.2", "45.9.9.9"];
        // As fail2ban's own actions: what is for this machine, and no more.
        lab.demand(&listed, &others);
        behind.demand(lab, &[], &listed);
        // Switched on at a start, without an import.
        let server = restarted(server, "1", lab, &behind, false);
        behind.demand(lab, &listed, &others);
        lab.demand(&listed, &others);
        let admin = server.client().with_identity(admin.identity.clone());
        // One that is let through goes through the router as well.
        admin.delete_with("/api/v1/bans", json!({"ip": "45.1.1.1", "jail": JAIL})).expect(200);
        behind.demand(lab, &["45.2.3.4"], &["45.1.1.1"]);
        lab.lists.set("/list", Reply::List("45.1.1.1\n45.2.0.0/16\n2606:4700::5\n45.9.9.9\n".into()));
        assert_eq!(import(&admin)["total_imported"], 2);
        behind.demand(lab, &["45.1.1.1", "45.9.9.9"], &["45.1.1.2"]);
        // Rules that somebody else has taken away, of forwarded packets alone, come back with the next look at them.
        let taken = match mode {
            "nft" => lab.here.try_run(&["nft", "delete", "chain", "inet", "bangui", "forwarded"]),
            _ => lab.here.try_run(&["iptables", "-F", "FORWARD"]),
        };
        assert!(taken.status.success(), "{taken:?}");
        behind.demand(lab, &[], &["45.1.1.1"]);
        assert_eq!(import(&admin)["results"][0]["unchanged"], true);
        behind.demand(lab, &["45.1.1.1", "45.9.9.9"], &["45.1.1.2"]);
        // Switched off, nothing of it is left but what is for this machine.
        let server = restarted(server, "0", lab, &behind, true);
        behind.demand(lab, &[], &listed);
        lab.demand(&["45.1.1.1", "45.2.3.4"], &["45.1.1.2"]);
        assert!(
            !lab.traces().contains("FORWARD") && !lab.rules().contains("hook forward priority -10"),
            "{}",
            lab.rules()
        );
        // And a removal takes both away.
        let server = restarted(server, "1", lab, &behind, false);
        let database = server.database();
        let remove = [env!("CARGO_BIN_EXE_bangui"), "remove-set", "--database", database.to_str().unwrap()];
        assert_eq!(lab.here.run(&remove), "The set of imported addresses is removed.\n");
        assert_eq!(lab.traces(), "");
    });
}

/// A router whose fail2ban has not been started yet: a set of our own needs none.
#[test]
fn a_set_is_filled_shown_and_emptied_where_fail2ban_has_never_run() {
    each_mode(|mode, lab| {
        lab.daemon.stop();
        let (_server, admin) = lab.server(mode);
        lab.lists.set("/list", Reply::List("45.1.1.1\n45.2.0.0/16\n2606:4700::5\n".into()));
        let id = add(&admin, &lab.lists.url("/list"), true);
        let preview = admin.get(&format!("/api/v1/blocklists/{id}/preview")).expect(200).json();
        assert_eq!(preview["named_count"], 3, "{preview}");
        let done = import(&admin);
        assert_eq!((&done["total_imported"], &done["errors_count"]), (&json!(3), &json!(0)), "{done}");
        lab.demand(&["45.1.1.1", "45.2.3.4", "2606:4700::5"], &["45.1.1.2"]);
        // What the set holds is known; what fail2ban has banned is not, and the answer says why.
        assert_eq!(active(&admin), ["2606:4700::5", "45.1.1.1", "45.2.0.0/16"]);
        let error = admin.get("/api/v1/bans/active").expect_error(502, "fail2ban_unreachable").json();
        assert_eq!(error["metadata"]["reason"], "absent", "{error}");
        admin.delete_with("/api/v1/bans", json!({"ip": "45.2.0.0/16", "jail": JAIL})).expect(200);
        lab.demand(&["45.1.1.1"], &["45.2.3.4"]);
    });
}

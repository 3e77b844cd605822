//! Imported addresses that are to be banned no longer, because their source is deleted or because they are ignored: lifted at once, in a set of
//! our own and by a real fail2ban.

use std::time::Duration;

use serde_json::json;

use crate::blocklist_set::{Lab, active, each_mode, sorted};
use crate::harness::client::Client;
use crate::harness::list_server::{IMPORT, JAIL, LISTS, ListServer, Reply, add, addresses, import};
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server};
use crate::harness::wait_until;

const IGNORE: &str = "/api/v1/jails/lab/ignoreip";

fn imported(lab: &Lab, admin: &Client, path: &str, list: &str) -> i64 {
    lab.lists.set(path, Reply::List(list.into()));
    add(admin, &lab.lists.url(path), false)
}

#[test]
fn a_deleted_source_lets_through_at_once_what_only_it_has_brought() {
    each_mode(|mode, lab| {
        let (_server, admin) = lab.server(mode);
        let first = imported(lab, &admin, "/first", "45.1.1.1\n45.1.1.2\n45.2.0.0/16\n2606:4700::5\n");
        imported(lab, &admin, "/second", "45.1.1.2\n45.9.9.9\n");
        assert_eq!(import(&admin)["total_imported"], 5);
        // What has left its list stays until its time is over; it was brought by that list all the same.
        lab.lists.set("/first", Reply::List("45.1.1.1\n45.1.1.2\n45.2.0.0/16\n".into()));
        lab.lists.set("/second", Reply::List("45.9.9.9\n".into()));
        assert_eq!(import(&admin)["errors_count"], 0);
        lab.demand(&["45.1.1.1", "45.1.1.2", "45.2.3.4", "2606:4700::5", "45.9.9.9"], &[]);
        let deleted = admin.delete(&format!("{LISTS}/{first}")).expect(204);
        assert_eq!(deleted.header("x-bangui-warning"), None, "{deleted}");
        lab.demand(&["45.1.1.2", "45.9.9.9"], &["45.1.1.1", "45.2.3.4", "2606:4700::5"]);
        assert_eq!(active(&admin), ["45.1.1.2", "45.9.9.9"]);
        admin.delete(&format!("{LISTS}/{first}")).expect_error(404, "blocklist_source_not_found");
        // The same list under another number brings it back.
        add(&admin, &lab.lists.url("/first"), false);
        assert_eq!(import(&admin)["total_imported"], 2);
        lab.demand(&["45.1.1.1", "45.1.1.2", "45.2.3.4", "45.9.9.9"], &["2606:4700::5"]);
    });
}

#[test]
fn an_address_that_is_ignored_from_now_on_is_let_through_at_once() {
    each_mode(|mode, lab| {
        let (_server, admin) = lab.server(mode);
        imported(lab, &admin, "/list", "45.1.1.1\n45.1.1.2\n45.2.0.0/16\n45.9.9.9\n2606:4700::5\n");
        assert_eq!(import(&admin)["total_imported"], 5);
        admin.post(IGNORE, json!({"ip": "45.1.1.1"})).expect(201);
        lab.demand(&["45.1.1.2", "45.2.3.4", "45.9.9.9"], &["45.1.1.1"]);
        // A network that holds it goes whole, as an import leaves it out whole.
        admin.post(IGNORE, json!({"ip": "45.2.200.0/24"})).expect(201);
        lab.demand(&["45.1.1.2", "45.9.9.9"], &["45.1.1.1", "45.2.3.4"]);
        // By the values of a jail, and by a file that is edited by hand.
        let value = json!({"jail": {"ignore_ips": ["45.1.1.1", "45.2.200.0/24", "2606:4700::/64"]}});
        admin.put("/api/v1/config/jails/lab", value).expect(200);
        lab.demand(&["45.1.1.2", "45.9.9.9"], &["2606:4700::5"]);
        let jails = std::fs::read_to_string(lab.daemon.path("jail.local")).unwrap();
        std::fs::write(lab.daemon.path("jail.local"), format!("{jails}\n[DEFAULT]\nignoreip = 45.9.9.9\n")).unwrap();
        admin.post_empty("/api/v1/config/reload").expect(204);
        wait_until("what the file ignores", Duration::from_secs(20), || lab.gets_through("45.9.9.9"));
        lab.demand(&["45.1.1.2"], &["45.9.9.9"]);
        assert_eq!(active(&admin), ["45.1.1.2"]);
    });
}

#[test]
fn a_deletion_that_the_packet_filter_refuses_says_so_and_is_made_up_for() {
    each_mode(|mode, lab| {
        let (server, admin) = lab.server(mode);
        let first = imported(lab, &admin, "/first", "45.1.1.1\n");
        imported(lab, &admin, "/second", "45.1.1.2\n");
        assert_eq!(import(&admin)["total_imported"], 2);
        let server = server.without_capability(12);
        let admin = server.client().with_identity(admin.identity.clone());
        let deleted = admin.delete(&format!("{LISTS}/{first}")).expect(204);
        assert!(deleted.header("x-bangui-warning").unwrap().contains("CAP_NET_ADMIN"), "{deleted}");
        assert!(admin.get(IMPORT).json()["problem"].as_str().unwrap().contains("CAP_NET_ADMIN"));
        lab.demand(&["45.1.1.1", "45.1.1.2"], &[]);
        let _server = server.with_capabilities();
        wait_until("what was to be lifted", Duration::from_secs(20), || lab.gets_through("45.1.1.1"));
        lab.demand(&["45.1.1.2"], &[]);
    });
}

fn ready(daemon: &RealDaemon) -> (Server, Client) {
    Launch::for_real(daemon).env("BANGUI_ALLOW_PRIVATE_FETCH", "1").start().into_ready()
}

fn banned(daemon: &RealDaemon) -> Vec<String> {
    sorted(daemon.banned(JAIL))
}

#[test]
fn fail2ban_lifts_what_only_a_deleted_source_has_brought_and_what_is_ignored() {
    let mut daemon = RealDaemon::with_action("noop", "true");
    let (_server, admin) = ready(&daemon);
    let lists = ListServer::start();
    let source = |path: &str, list: &str| {
        lists.set(path, Reply::List(list.into()));
        add(&admin, &lists.url(path), false)
    };
    let first = source("/first", "45.1.1.1\n45.1.1.2\n45.3.0.0/30\n");
    let second = source("/second", "45.1.1.2\n45.9.9.9\n45.9.9.8\n");
    assert_eq!(import(&admin)["errors_count"], 0);
    // By hand, and by no list: it stays whatever becomes of the lists.
    admin.post("/api/v1/bans", json!({"ip": "45.7.7.7", "jail": JAIL})).expect(201);
    assert_eq!(banned(&daemon).len(), 9);
    admin.delete(&format!("{LISTS}/{first}")).expect(204);
    assert_eq!(banned(&daemon), ["45.1.1.2", "45.7.7.7", "45.9.9.8", "45.9.9.9"]);
    admin.post(IGNORE, json!({"ip": "45.9.9.9"})).expect(201);
    assert_eq!(banned(&daemon), ["45.1.1.2", "45.7.7.7", "45.9.9.8"]);
    // Without fail2ban the source goes all the same; its bans go when it is back and has restored them.
    daemon.stop();
    let deleted = admin.delete(&format!("{LISTS}/{second}")).expect(204);
    assert!(deleted.header("x-bangui-warning").unwrap().contains("not yet banned as they should be"), "{deleted}");
    daemon.start_again();
    wait_until("fail2ban's lifting", Duration::from_secs(30), || banned(&daemon) == ["45.7.7.7"]);
    wait_until("the end of the problem", Duration::from_secs(10), || admin.get(IMPORT).json()["problem"].is_null());
}

#[test]
fn a_source_that_is_deleted_while_it_is_imported_leaves_nothing_behind() {
    let daemon = RealDaemon::with_action("noop", "true");
    let (_server, admin) = ready(&daemon);
    let lists = ListServer::start();
    lists.list("/list", &addresses(250));
    let id = add(&admin, &lists.url("/list"), false);
    std::thread::scope(|scope| {
        let import = scope.spawn(|| import(&admin));
        wait_until("some bans", Duration::from_secs(30), || daemon.try_client(&["status", JAIL]).1.contains("45.64."));
        let deleted = admin.delete(&format!("{LISTS}/{id}")).expect(204);
        assert!(deleted.header("x-bangui-warning").unwrap().contains("an import is running"), "{deleted}");
        import.join().unwrap();
    });
    wait_until("an empty jail", Duration::from_secs(60), || banned(&daemon).is_empty());
}

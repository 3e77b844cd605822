//! The lists of the configuration are answered from memory while nothing on disk has changed, and every change on disk is seen at once.

use std::fs;

use serde_json::Value;

use crate::harness::real_daemon::RealDaemon;
use crate::harness::wait_until;
use crate::jail_config::ready;

#[test]
fn every_change_on_disk_is_in_the_next_answer_of_each_list() {
    let daemon = RealDaemon::start();
    let (_server, admin) = ready(&daemon);
    let list = |name: &str| -> Value { admin.get(&format!("/api/v1/config/{name}")).expect(200).json() };
    for name in ["jails", "filters", "actions"] {
        let first = list(name);
        assert!(first.get("made_from").is_none(), "{first}");
        // Which expressions there is time for is another matter.
        assert!(list(name)["items"] == first["items"] || name == "filters", "{name}");
    }
    let names = |list: &Value| list["items"].to_string();
    for round in 0..5 {
        // What is remembered is asked for, then changed, then asked for again: nothing is to be waited for.
        list("jails");
        fs::write(daemon.path("jail.d/hand.local"), format!("[off]\nmaxretry = {}\n", 40 + round)).unwrap();
        assert!(names(&list("jails")).contains(&format!("\"max_retry\":{}", 40 + round)));
        list("filters");
        fs::write(daemon.path(&format!("filter.d/hand{round}.conf")), "[Definition]\nfailregex = ^x <HOST>$\n")
            .unwrap();
        assert!(names(&list("filters")).contains(&format!("hand{round}")));
        list("actions");
        fs::write(daemon.path("action.d/noop.local"), format!("[Definition]\nactionban = true {round}\n")).unwrap();
        assert!(names(&list("actions")).contains(&format!("true {round}")));
    }
    // What only the daemon knows is in it, too.
    assert!(names(&list("jails")).contains("\"active\":true"));
    daemon.client(&["stop", "lab"]);
    let lab = || {
        list("jails")["items"].as_array().unwrap().iter().find(|jail| jail["name"] == "lab").unwrap()["active"].clone()
    };
    wait_until("the jail to be gone", std::time::Duration::from_secs(5), || lab() == false);
}

//! `[DEFAULT]`: shown with what each jail says otherwise, changed in force and taken back, checked and gated as a jail is.

use std::fs;

use serde_json::{Value, json};

use crate::harness::client::{Client, Identity};
use crate::harness::contract::demand_seen;
use crate::harness::real_daemon::RealDaemon;
use crate::jail_config::ready;
use crate::operations::of_router;

const DEFAULT: &str = "/api/v1/config/default";
const OWN: &str = "jail.d/zz-bangui-DEFAULT.local";

fn now(admin: &Client) -> Value {
    admin.get(DEFAULT).expect(200).json()
}

#[test]
fn what_every_jail_has_is_shown_changed_in_force_and_taken_back() {
    let daemon = RealDaemon::start();
    let (server, admin) = ready(&daemon);
    let first = now(&admin);
    assert_eq!((&first["default"]["ban_time"], &first["default"]["actions"]), (&json!(3600.0), &json!(["noop"])));
    assert_eq!((&first["default"]["use_dns"], &first["default"]["enabled"]), (&json!("no"), &json!(false)));
    let own = json!({"jail": "slow", "field": "actions", "value": ["slow"], "file": "jail.conf"});
    assert!(first["overrides"].as_array().unwrap().contains(&own), "{first}");
    // What was read can be sent back, and changes nothing.
    admin.put(DEFAULT, first.clone()).expect(200);
    assert!(!daemon.path(OWN).exists());
    let wish = json!({"ban_time": "2h", "max_retry": 9, "bantime_escalation": {"increment": true, "factor": 2}});
    let preview = admin.put(&format!("{DEFAULT}?dry_run=true"), wish.clone()).expect(200).json();
    let jails: Vec<&Value> =
        preview["effect"].as_array().unwrap().iter().filter(|one| one["field"] == "ban_time").collect();
    assert!(jails.iter().any(|one| one["jail"] == "lab" && one["after"] == json!(7200.0)), "{preview}");
    assert!(!daemon.path(OWN).exists());
    let changed = admin.put(DEFAULT, wish).expect(200).json();
    assert_eq!((&changed["default"]["ban_time"], &changed["default"]["max_retry"]), (&json!(7200.0), &json!(9)));
    for jail in ["lab", "slow", "sshd"] {
        let value = |getter: &str| daemon.client(&["get", jail, getter]);
        assert_eq!(
            (value("bantime"), value("maxretry"), value("bantime.factor")),
            ("7200".into(), "9".into(), "2".into())
        );
    }
    let text = fs::read_to_string(daemon.path(OWN)).unwrap();
    assert!(text.starts_with("[DEFAULT]\n") && text.contains("bantime = 2h"), "{text}");
    admin.put(DEFAULT, json!({"max_retry": null, "bantime.factor": null})).expect(200);
    assert_eq!(daemon.client(&["get", "lab", "maxretry"]), "3");
    let change = admin.get("/api/v1/config/changes").expect(200).json()["items"][0].clone();
    assert_eq!(change["paths"], json!([OWN]), "{change}");
    admin.post_empty(&format!("/api/v1/config/changes/{}/undo", change["id"])).expect(200);
    assert_eq!(daemon.client(&["get", "lab", "maxretry"]), "9");
    what_is_refused(&daemon, &admin);
    let cookie_only = admin.with_identity(Identity::CookieOnly(admin.token().to_string()));
    cookie_only.put(DEFAULT, json!({"max_retry": 4})).expect_error(403, "csrf_header_required");
    let server = server.with_env("BANGUI_ALLOW_ACTION_EDIT", "0");
    let admin = server.client().login();
    for values in [
        json!({"banaction": "slow"}),
        json!({"port": "22"}),
        json!({"actions": []}),
        json!({"bantime.formula": "ban.Time"}),
    ] {
        admin.put(DEFAULT, values).expect_error(403, "action_edit_disabled");
    }
    let anonymous = server.client();
    anonymous.get(DEFAULT).expect_error(401, "authentication_required");
    anonymous.put(DEFAULT, json!({"max_retry": 4})).expect_error(401, "authentication_required");
    for operation in of_router(DEFAULT) {
        demand_seen(operation.name, operation.statuses);
    }
}

fn what_is_refused(daemon: &RealDaemon, admin: &Client) {
    let before = fs::read_to_string(daemon.path(OWN)).unwrap();
    for (body, field) in [
        (json!({"port": "22; touch x #"}), "port"),
        (json!({"chain": "a\n[evil]"}), "chain"),
        (json!({"fail_regex": ["^x <HOST>$"]}), "fail_regex"),
        (json!({"log_paths": ["/var/log/x"]}), "log_paths"),
        (json!({"bantime.factor": 1e9}), "bantime_escalation.factor"),
        (json!({"no_such_field": 1}), "no_such_field"),
    ] {
        let error = admin.put(DEFAULT, body).expect_error(422, "invalid_input").json();
        assert_eq!(error["metadata"]["errors"][0]["source_field"], field, "{error}");
    }
    admin.put(DEFAULT, json!({"ban_time": "1h\n[evil]\nenabled = true"})).expect_error(400, "invalid_input");
    // Everybody's action taken away: that is asked about.
    let error = admin.put(DEFAULT, json!({"actions": []})).expect_error(409, "conflict").json();
    assert_eq!(error["metadata"]["reason"], "no_action", "{error}");
    // Where a file that is read later says otherwise, it would change nothing.
    fs::write(daemon.path("jail.d/zzz.local"), "[DEFAULT]\nfindtime = 77\n").unwrap();
    let error = admin.put(DEFAULT, json!({"find_time": 88})).expect_error(409, "conflict").json();
    assert!(error["detail"].as_str().unwrap().contains("jail.d/zzz.local:2 says otherwise"), "{error}");
    fs::remove_file(daemon.path("jail.d/zzz.local")).unwrap();
    assert_eq!(fs::read_to_string(daemon.path(OWN)).unwrap(), before);
}

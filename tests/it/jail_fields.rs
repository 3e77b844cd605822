//! The fields of a jail that become part of commands, and those that say what is read of its log: in force after a commit, reset by null,
//! refused where they hold anything else, and gated. Everything against a real fail2ban.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::rules::{rules, write_action};
use crate::harness::server::Server;
use crate::jail_config::{getters, ready};

const LAB: &str = "/api/v1/config/jails/lab";
const IP: &str = "203.0.113.3";

/// A daemon whose jail `lab` bans as stock jails do: by a ban action that is given port, protocol and chain.
fn stock_like() -> (RealDaemon, Server, Client) {
    let mut daemon = RealDaemon::configured();
    write_action(&daemon, "old");
    write_action(&daemon, "new");
    let text = "[DEFAULT]\nport = 0:65535\nprotocol = tcp\nbanaction = old\nchain = INPUT\n\
                action_ = %(banaction)s[port=\"%(port)s\", protocol=\"%(protocol)s\", chain=\"%(chain)s\"]\n[lab]\naction = %(action_)s\n";
    fs::write(daemon.path("jail.local"), text).unwrap();
    daemon.start_again();
    let (server, admin) = ready(&daemon);
    (daemon, server, admin)
}

fn jail(admin: &Client) -> Value {
    admin.get(LAB).expect(200).json()["jail"].clone()
}

fn commit(admin: &Client, values: Value) {
    admin.put(LAB, values).expect(200);
    admin.post_empty(&format!("{LAB}/commit")).expect(200);
}

fn own_file(daemon: &RealDaemon) -> String {
    fs::read_to_string(daemon.path("jail.d/zz-bangui-lab.local")).unwrap_or_default()
}

#[track_caller]
fn expect_rules(daemon: &RealDaemon, action: &str, port: &str) {
    let wanted = [format!("ban {action} lab {port} {IP}"), format!("start {action} lab {port}")];
    let until = Instant::now() + Duration::from_secs(5);
    while !rules(daemon).into_iter().eq(wanted.clone()) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(rules(daemon).into_iter().collect::<Vec<_>>(), wanted);
    assert_eq!(daemon.banned("lab"), [IP]);
}

#[test]
fn what_actions_are_given_is_in_force_after_a_commit_and_the_bans_stay() {
    let (daemon, _server, admin) = stock_like();
    daemon.client(&["set", "lab", "banip", IP]);
    let shown = jail(&admin);
    assert_eq!((&shown["port"], &shown["protocol"]), (&json!("0:65535"), &json!("tcp")));
    assert_eq!((&shown["banaction"], &shown["chain"]), (&json!("old"), &json!("INPUT")));
    commit(&admin, json!({"port": "ssh, 8000-8010"}));
    expect_rules(&daemon, "old", "ssh,8000:8010");
    commit(&admin, json!({"banaction": "new", "protocol": "udp", "chain": "FORWARD", "port": 2222}));
    expect_rules(&daemon, "new", "2222");
    for (parameter, value) in [("port", "2222"), ("protocol", "udp"), ("chain", "FORWARD")] {
        assert_eq!(daemon.client(&["get", "lab", "action", "new", parameter]), value);
    }
    // What was read can be sent back, and null is what the files say without us.
    admin.put(LAB, json!({"jail": jail(&admin)})).expect(200);
    assert_eq!(jail(&admin)["pending_changes"], json!([]));
    let answer = admin.put(LAB, json!({"port": null, "banaction": null})).expect(200).json()["jail"].clone();
    assert_eq!((&answer["port"], &answer["pending_changes"]), (&json!("0:65535"), &json!(["banaction", "port"])));
    admin.post_empty(&format!("{LAB}/commit")).expect(200);
    expect_rules(&daemon, "old", "0:65535");
    let file = own_file(&daemon);
    assert!(!file.contains("port") && !file.contains("banaction") && file.contains("chain = FORWARD"), "{file}");
}

#[test]
fn what_says_how_a_log_is_read_is_in_force_after_a_commit() {
    let (daemon, _server, admin) = stock_like();
    commit(
        &admin,
        json!({"maxlines": 3, "logtimezone": "UTC+0200", "ignorecommand": "/bin/false <ip>", "usedns": "warn",
            "journalmatch": ["_SYSTEMD_UNIT=sshd.service + _COMM=sshd", "_COMM=x"]}),
    );
    for (getter, value) in
        [("maxlines", "3"), ("logtimezone", "UTC+0200"), ("ignorecommand", "/bin/false <ip>"), ("usedns", "warn")]
    {
        assert_eq!(daemon.client(&["get", "lab", getter]), value, "{getter}");
    }
    let shown = jail(&admin);
    assert_eq!((&shown["maxlines"], &shown["logtimezone"]), (&json!(3), &json!("UTC+0200")));
    assert_eq!(shown["journalmatch"], "_SYSTEMD_UNIT=sshd.service + _COMM=sshd\n_COMM=x");
    let before = getters(&daemon, "lab");
    commit(
        &admin,
        json!({"maxlines": null, "logtimezone": null, "ignorecommand": null, "journalmatch": null, "use_dns": null}),
    );
    let after = getters(&daemon, "lab");
    assert_ne!(before, after);
    assert_eq!(after[0], "usedns: no");
    for line in ["maxlines: 1", "logtimezone: None", "ignorecommand: False"] {
        assert!(after.iter().any(|own| own == line), "{line} {after:?}");
    }
}

/// One value at a time, by either name; what was not named stays.
#[test]
fn how_ban_times_grow_is_changed_one_value_at_a_time() {
    let (daemon, _server, admin) = stock_like();
    commit(&admin, json!({"bantime_escalation": {"increment": true, "factor": 2, "rnd_time": 5}}));
    commit(&admin, json!({"bantime.factor": 3, "bantime.maxtime": 7200}));
    let growth = jail(&admin)["bantime_escalation"].clone();
    assert_eq!(
        (&growth["increment"], &growth["factor"], &growth["rnd_time"]),
        (&json!(true), &json!(3.0), &json!(5.0))
    );
    assert_eq!(
        (daemon.client(&["get", "lab", "bantime.factor"]), daemon.client(&["get", "lab", "bantime.maxtime"])),
        ("3".into(), "7200".into())
    );
    admin.put(LAB, json!({"bantime_escalation": {"factor": null}})).expect(200);
    assert_eq!(jail(&admin)["pending_changes"], json!(["bantime_escalation"]));
    admin.post_empty(&format!("{LAB}/commit")).expect(200);
    let growth = jail(&admin)["bantime_escalation"].clone();
    assert_eq!(
        (&growth["increment"], &growth["factor"], &growth["max_time"]),
        (&json!(true), &json!(null), &json!(7200.0))
    );
    commit(&admin, json!({"bantime_escalation": null}));
    assert_eq!(jail(&admin)["bantime_escalation"], json!(null));
    assert_eq!(daemon.client(&["get", "lab", "bantime.increment"]), "None");
}

/// A value that is set at once is reset at once, to what the files say without us.
#[test]
fn a_null_holds_at_once_as_a_value_does_and_outlives_a_reload_of_another() {
    let (daemon, _server, admin) = stock_like();
    commit(&admin, json!({"max_retry": 9, "ban_time": 77, "fail_regex": ["^lab: other <HOST>$"]}));
    let answer = admin.put(LAB, json!({"max_retry": null, "ban_time": null, "fail_regex": null})).expect(200).json();
    assert_eq!((&answer["jail"]["max_retry"], &answer["jail"]["ban_time"]), (&json!(3), &json!(3600.0)));
    let now = |getter: &str| daemon.client(&["get", "lab", getter]);
    assert_eq!((now("maxretry"), now("bantime")), ("3".to_owned(), "3600".to_owned()));
    assert!(now("failregex").contains("bad"), "{}", now("failregex"));
    admin.put("/api/v1/config/filters/lab", json!({"ignoreregex": ["^nothing <HOST>$"]})).expect(200);
    assert_eq!((now("maxretry"), now("bantime")), ("3".to_owned(), "3600".to_owned()));
    admin.post_empty(&format!("{LAB}/commit")).expect(200);
    assert_eq!((now("maxretry"), own_file(&daemon).contains("maxretry")), ("3".to_owned(), false));
    // What no file of ours says cannot be reset, and is no change.
    admin.put(LAB, json!({"find_time": null})).expect(200);
    assert_eq!(jail(&admin)["pending_changes"], json!([]));
}

/// Everything that a shell, a file, Python or the daemon's stream of commands could read as something else.
#[test]
fn fields_that_become_commands_smuggle_nothing() {
    let (daemon, server, admin) = stock_like();
    let before = (getters(&daemon, "lab"), own_file(&daemon));
    let witness = daemon.path("touched");
    let touch = format!("touch {}", witness.display());
    let hostile = |value: &str| {
        [
            format!("{value}; {touch} #"),
            format!("{value}\n[evil]\nenabled = true"),
            format!("{value}\r\nbantime = 1"),
            format!("$({touch})"),
            format!("`{touch}`"),
            format!("{value}\"]\n[x"),
            format!("{value}\", actionban=\"{touch}"),
            format!("{value} | {touch}"),
            format!("{value}\u{2028}x = 1"),
            "%(known/action)s".to_owned(),
            "<matches>".to_owned(),
            "['set', 'lab', 'banip', '1.1.1.1']".to_owned(),
            "--flush".to_owned(),
            String::new(),
        ]
    };
    for (field, value) in [
        ("port", "22"),
        ("protocol", "tcp"),
        ("chain", "INPUT"),
        ("logtimezone", "UTC"),
        ("journalmatch", "_COMM=sshd"),
    ] {
        for text in hostile(value) {
            let answer = admin.put(LAB, json!({ field: text }));
            let answer = answer.expect_error(422, "invalid_input").json();
            assert_eq!(answer["metadata"]["errors"][0]["source_field"], field, "{text:?}");
        }
    }
    // An ignore command is a command; nothing but a line of it.
    for text in ["true\n[evil]\nenabled = true", "true\r", " true", "", "true\u{0}"] {
        admin.put(LAB, json!({"ignorecommand": text})).expect_error(422, "invalid_input");
    }
    for text in ["no-such-action", "old\n[evil]", "../old", "old[", "%(banaction)s", "old; id", "$(id)", ""] {
        admin.put(LAB, json!({"banaction": text})).expect_error(422, "invalid_input");
    }
    for text in [
        "systemd[journalpath=/etc]",
        "systemd[journalflags=1;id]",
        "systemd[x=1]",
        "systemd[journalpath=\"/var/log/$(id)\"]",
    ] {
        admin.put(LAB, json!({"backend": text})).expect_error(422, "invalid_input");
    }
    for text in ["systemd[journalflags=1]\n[evil]", "systemd[", "systemd]x["] {
        let answer = admin.put(LAB, json!({"backend": text}));
        assert!([400, 422].contains(&answer.status), "{text:?}: {}", answer.status);
    }
    for lines in [0, 1001] {
        admin.put(LAB, json!({"maxlines": lines})).expect_error(422, "invalid_input");
    }
    for factor in [json!(1e7), json!(-1), json!("1+1"), json!("9**9**9"), json!("__import__('os')")] {
        admin.put(LAB, json!({"bantime_escalation": {"factor": factor}})).expect_error(422, "invalid_input");
        admin.put(LAB, json!({"bantime.factor": factor})).expect_error(422, "invalid_input");
    }
    for formula in [
        "9**9**9",
        "'a'*10**10",
        "__import__('os').system('id')",
        "1<<(1<<40)",
        "ban.Time/ban.Count",
        "[0]*10000000000",
        "ban.Time\n[evil]",
    ] {
        admin.put(LAB, json!({"bantime_escalation": {"formula": formula}})).expect_error(400, "invalid_input");
    }
    assert_eq!((getters(&daemon, "lab"), own_file(&daemon)), before);
    assert!(!witness.exists());
    assert_eq!(jail(&admin)["pending_changes"], json!([]));
    gated(server);
}

/// Where commands may not be changed, neither may what becomes part of one: set, reset or in a jail that is new.
fn gated(server: Server) {
    let server = server.with_env("BANGUI_ALLOW_ACTION_EDIT", "0");
    let admin = server.client().login();
    for values in [
        json!({"actions": ["new"]}),
        json!({"banaction": "new"}),
        json!({"port": "22"}),
        json!({"protocol": "udp"}),
        json!({"chain": "FORWARD"}),
        json!({"ignorecommand": "true"}),
        json!({"bantime_escalation": {"formula": "ban.Time"}}),
        json!({"bantime.formula": "ban.Time"}),
    ] {
        admin.put(LAB, values.clone()).expect_error(403, "action_edit_disabled");
        let mut body = values;
        body["name"] = json!("made");
        admin.post("/api/v1/config/jails", body).expect_error(403, "action_edit_disabled");
    }
    admin.put(LAB, json!({"maxlines": 2, "port": "0:65535"})).expect(200);
}

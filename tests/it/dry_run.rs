//! Dry runs: every write under `/config` tells what it would do, and writes nothing: no file, no row, no value of the daemon.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::contract::document;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::Launch;
use crate::jail_config::getters;

const JAILS: &str = "/api/v1/config/jails";
const LAB: &str = "/api/v1/config/jails/lab";

/// Every file of the configuration with its bytes and when it was changed.
fn tree(directory: &Path) -> BTreeMap<String, (Vec<u8>, SystemTime)> {
    let mut all = BTreeMap::new();
    for folder in ["", "jail.d", "filter.d", "action.d", "fail2ban.d"] {
        let path = directory.join(folder);
        all.insert(path.display().to_string(), (Vec::new(), fs::metadata(&path).unwrap().modified().unwrap()));
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_file() && (name.ends_with(".conf") || name.ends_with(".local")) {
                let changed = entry.metadata().unwrap().modified().unwrap();
                all.insert(entry.path().display().to_string(), (fs::read(entry.path()).unwrap(), changed));
            }
        }
    }
    // The directory itself holds the daemon's log and database as well.
    all.remove(&directory.join("").display().to_string());
    all
}

/// The rows of the tables that a change of the configuration writes, of a database that nobody has open.
fn rows(database: &Path) -> Vec<String> {
    let connection = rusqlite::Connection::open(database).unwrap();
    let mut rows = Vec::new();
    for table in ["settings", "changes", "seen_files", "jail_pending", "jail_idle"] {
        let Ok(mut statement) = connection.prepare(&format!("SELECT * FROM {table}")) else { continue };
        let columns = statement.column_count();
        let read = |row: &rusqlite::Row<'_>| {
            Ok((0..columns).map(|at| format!("{:?}|", row.get_ref(at).unwrap())).collect::<String>())
        };
        rows.extend(statement.query_map([], read).unwrap().map(|row| format!("{table}: {}", row.unwrap())));
    }
    assert!(rows.iter().any(|row| row.starts_with("changes")), "{rows:?}");
    rows
}

/// Every write under `/config`, with a request that would change something.
fn writes() -> Vec<(&'static str, String, Value)> {
    let config = |rest: &str| format!("/api/v1/config/{rest}");
    vec![
        ("POST /api/v1/config/reload", config("reload"), Value::Null),
        ("POST /api/v1/config/restart", config("restart"), Value::Null),
        ("PUT /api/v1/config/global", config("global"), json!({"log_level": "DEBUG"})),
        (
            "PUT /api/v1/config/map-color-thresholds",
            config("map-color-thresholds"),
            json!({"threshold_high": 9, "threshold_medium": 8, "threshold_low": 7}),
        ),
        ("POST /api/v1/config/changes/{id}/undo", config("changes/1/undo"), Value::Null),
        ("POST /api/v1/config/filters", config("filters"), json!({"name": "made", "failregex": ["^made <HOST>$"]})),
        ("PUT /api/v1/config/filters/{name}", config("filters/lab"), json!({"failregex": ["^other <HOST>$"]})),
        ("DELETE /api/v1/config/filters/{name}", config("filters/mine"), Value::Null),
        ("POST /api/v1/config/actions", config("actions"), json!({"name": "made", "actionban": "true"})),
        ("PUT /api/v1/config/actions/{name}", config("actions/noop"), json!({"actionban": "true x"})),
        ("DELETE /api/v1/config/actions/{name}", config("actions/mine"), Value::Null),
        ("PUT /api/v1/config/default", config("default"), json!({"max_retry": 8})),
        ("POST /api/v1/config/jails", config("jails"), json!({"name": "new"})),
        ("PUT /api/v1/config/jails/{name}", config("jails/lab"), json!({"max_retry": 8, "find_time": 77})),
        ("DELETE /api/v1/config/jails/{name}", config("jails/made"), Value::Null),
        ("POST /api/v1/config/jails/{name}/commit", config("jails/lab/commit"), Value::Null),
        ("GET /api/v1/config/jails/{name}/rollback", config("jails/lab/rollback"), Value::Null),
        ("POST /api/v1/config/jails/{name}/rollback", config("jails/lab/rollback"), Value::Null),
    ]
}

fn dry(admin: &Client, method: &str, path: &str, body: &Value) -> Value {
    let body = body.to_string();
    let body = (body != "null").then_some(body.as_bytes());
    admin.send(method, &format!("{path}?dry_run=true"), body).expect(200).json()
}

/// As `takes_dry_run` has it, by openapi.json: what changes the configuration, and does not only try something out.
fn documented() -> Vec<String> {
    let mut names = Vec::new();
    for (path, item) in document()["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let takes = operation["parameters"].to_string().contains("parameters/DryRun");
            let tries = ["/regex-test", "/preview-log", "/test"].iter().any(|end| path.ends_with(end));
            let writes = method != "get" || path.ends_with("/rollback");
            assert_eq!(takes, path.starts_with("/api/v1/config/") && writes && !tries, "{method} {path}");
            if takes {
                names.push(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    names.sort();
    names
}

#[test]
fn every_write_under_config_tells_what_it_would_do_and_writes_nothing() {
    let mut named: Vec<String> = writes().iter().map(|(name, ..)| (*name).to_owned()).collect();
    named.sort();
    assert_eq!(named, documented());
    let daemon = RealDaemon::start();
    let (mut server, admin) = Launch::for_real(&daemon)
        .env("BANGUI_ALLOW_ACTION_EDIT", "1")
        .env("BANGUI_ALLOWED_LOG_DIRS", &daemon.config().display().to_string())
        .env("BANGUI_RATE_LIMIT_CONFIG", "1000")
        .start()
        .into_ready();
    admin.put(LAB, json!({"max_retry": 9})).expect(200);
    admin.post_empty(&format!("{LAB}/commit")).expect(200);
    admin.post("/api/v1/config/filters", json!({"name": "mine", "failregex": ["^mine <HOST>$"]})).expect(201);
    admin.post("/api/v1/config/actions", json!({"name": "mine", "actionban": "true"})).expect(201);
    admin.post(JAILS, json!({"name": "made"})).expect(201);
    admin.put(LAB, json!({"ban_time": 77})).expect(200);
    assert!(server.terminate(std::time::Duration::from_secs(10)).is_some());
    let before = (tree(daemon.config()), rows(&server.database()), getters(&daemon, "lab"), daemon.client(&["status"]));
    let level = daemon.client(&["get", "loglevel"]);
    server.start_again();
    let admin = server.client().login();
    for (name, path, body) in writes() {
        let method = name.split(' ').next().unwrap();
        let preview = dry(&admin, method, &path, &body);
        assert!(preview["checks"].as_array().is_some_and(|checks| !checks.is_empty()), "{name}: {preview}");
        assert!(preview["commands"]["count"].is_u64() && preview["files"].is_array(), "{name}: {preview}");
        assert_eq!(tree(daemon.config()), before.0, "{name} has written a file");
    }
    assert!(server.terminate(std::time::Duration::from_secs(10)).is_some());
    let after = (tree(daemon.config()), rows(&server.database()), getters(&daemon, "lab"), daemon.client(&["status"]));
    assert_eq!(after, before);
    assert_eq!(daemon.client(&["get", "loglevel"]), level);
}

#[test]
fn a_dry_run_names_files_values_commands_and_restarts() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Launch::for_real(&daemon).env("BANGUI_ALLOW_ACTION_EDIT", "1").start().into_ready();
    let update = dry(&admin, "PUT", LAB, &json!({"max_retry": 9}));
    assert_eq!(update["effect"], json!([{"jail": "lab", "field": "max_retry", "before": 3, "after": 9}]));
    admin.put(LAB, json!({"max_retry": 9})).expect(200);
    let commit = dry(&admin, "POST", &format!("{LAB}/commit"), &Value::Null);
    assert!(commit["files"][0]["diff"].as_str().unwrap().contains("+maxretry = 9\n"), "{commit}");
    assert_eq!((&update["files"], &update["at_commit"]), (&json!([]), &commit["files"]), "{update}");
    assert_eq!(commit["files"][0]["path"], "jail.d/zz-bangui-lab.local");
    assert_eq!((&commit["commands"]["jails"], &commit["commands"]["restarted"]), (&json!(["lab"]), &json!([])));
    assert!(commit["commands"]["count"].as_u64().unwrap() > 5, "{commit}");
    let action = dry(&admin, "PUT", "/api/v1/config/actions/noop", &json!({"actionban": "true x"}));
    assert!(action["commands"]["restarted"].as_array().unwrap().contains(&json!("lab")), "{action}");
    let fields: Vec<&str> =
        action["effect"].as_array().unwrap().iter().filter_map(|one| one["field"].as_str()).collect();
    assert!(fields.contains(&"actions.noop.actionban"), "{action}");
    // What is refused is refused in the same way.
    let wrong = format!("{LAB}?dry_run=true");
    admin.put(&wrong, json!({"max_retry": 0})).expect_error(400, "invalid_input");
    admin.put(&format!("{LAB}?dry_run=perhaps"), json!({"max_retry": 9})).expect_error(400, "invalid_input");
    admin.get(&format!("{JAILS}?dry_run=true")).expect_error(400, "invalid_input");
}

#[test]
fn a_rollback_by_post_is_the_one_by_get() {
    let daemon = RealDaemon::start();
    let (_server, admin) = crate::jail_config::ready(&daemon);
    let before = getters(&daemon, "lab");
    admin.put(LAB, json!({"max_retry": 9})).expect(200);
    let done = admin.post_empty(&format!("{LAB}/rollback")).expect(200).json();
    assert_eq!((&done["jail"]["pending_changes"], getters(&daemon, "lab")), (&json!([]), before));
}

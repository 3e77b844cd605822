//! Geography over the API, with files written here in the layouts of their makers.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server};
use crate::harness::wait_until;
use crate::history::{keeper, made_database, wait_for_archive};
use crate::operations::{demand_documented, provoke_general_refusals};

#[path = "../../src/geo/writer.rs"]
mod writer;

use self::writer::{Item, database};

const GEO: &str = "/api/v1/geo";

fn germany() -> Item {
    Item::Map(vec![
        ("country_code", Item::Text("DE")),
        ("asn", Item::Text("AS3320")),
        ("as_name", Item::Text("Deutsche Telekom AG")),
    ])
}

/// A file that puts 5.0.0.0/8 into Germany and 2a00::/16 into the Netherlands.
pub fn country_file() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("country.mmdb");
    let netherlands = Item::Map(vec![("country", Item::Map(vec![("iso_code", Item::Text("NL"))]))]);
    std::fs::write(&path, database("Test", &[("5.0.0.0/8", germany()), ("2a00::/16", netherlands)])).unwrap();
    (directory, path)
}

#[test]
fn every_documented_status_of_geo() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    let unknown = admin.get("/api/v1/geo/lookup/5.6.7.8").expect(200).json();
    assert_eq!(unknown["geo"], json!({"country_code": null, "country_name": null, "asn": null, "org": null}));
    assert_eq!(admin.get("/api/v1/geo/lookup/10.0.0.1").expect(200).json()["geo"], Value::Null);
    for bad in ["x", "1.2.3", "1.2.3.4%3bid", "%2e%2e"] {
        admin.get(&format!("{GEO}/lookup/{bad}")).expect_error(400, "invalid_input");
    }
    assert_eq!(admin.get("/api/v1/geo/stats").expect(200).json()["database"], Value::Null);
    admin.post_empty("/api/v1/geo/re-resolve").expect(200);
    provoke_general_refusals(GEO);
    demand_documented(GEO);
}

#[test]
fn a_file_that_comes_later_fills_in_what_was_not_known() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f.sqlite3");
    let bans = [("lab", "5.6.7.8", 60), ("lab", "2a00::1", 60), ("lab", "203.0.113.1", 60), ("lab", "7.7.7.7", 60)];
    let _fail2ban = made_database(&path, &bans);
    let later = directory.path().join("later.mmdb");
    let (_server, admin) = keeper(&path).env("BANGUI_GEOIP_DB_PATH", later.to_str().unwrap()).start().into_ready();
    wait_for_archive(&admin, 4);
    let stats = admin.get("/api/v1/geo/stats").expect(200).json();
    assert_eq!((&stats["unresolved"], &stats["cache_size"]), (&json!(4), &json!(0)));
    // First one that is none, then one that is.
    std::fs::write(&later, b"no such file").unwrap();
    assert_eq!(admin.post_empty("/api/v1/geo/re-resolve").expect(200).json()["resolved"], 0);
    let (_files, file) = country_file();
    std::fs::copy(file, directory.path().join("new")).unwrap();
    std::fs::rename(directory.path().join("new"), &later).unwrap();
    let answer = admin.post_empty("/api/v1/geo/re-resolve").expect(200).json();
    assert_eq!((&answer["resolved"], &answer["total"]), (&json!(2), &json!(4)));
    let map = admin.get("/api/v1/dashboard/bans/by-country?source=archive").expect(200).json();
    assert_eq!(map["countries"], json!({"DE": 1, "NL": 1}));
    assert_eq!(map["total"], 4);
    let stats = admin.get("/api/v1/geo/stats").expect(200).json();
    assert_eq!((&stats["unresolved"], &stats["database"]["type"]), (&json!(2), &json!("Test")));
}

#[test]
fn files_in_our_own_directory_are_found_and_bad_ones_are_no_end() {
    let server = Launch::without_daemon().start();
    let own = server.database().parent().unwrap().join("country.mmdb");
    let (mut server, admin) = server.into_ready();
    std::fs::write(&own, vec![0xab; 70_000]).unwrap();
    server.kill();
    server.start_again();
    let admin = server.client().with_identity(admin.identity.clone());
    assert_eq!(admin.get("/api/v1/geo/stats").expect(200).json()["database"], Value::Null);
    let (_files, file) = country_file();
    std::fs::copy(&file, own.with_file_name("new")).unwrap();
    std::fs::rename(own.with_file_name("new"), &own).unwrap();
    admin.post_empty("/api/v1/geo/re-resolve").expect(200);
    wait_until("the file", std::time::Duration::from_secs(5), || {
        admin.get("/api/v1/geo/stats").expect(200).json()["database"]["type"] == "Test"
    });
}

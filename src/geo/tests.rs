//! Every layout, every damage, and a file that changes while it is in use.

use super::writer::{Item, database};
use super::*;

fn text(name: &'static str, value: &'static str) -> Item {
    Item::Map(vec![(name, Item::Text(value))])
}

fn layouts() -> Vec<u8> {
    database(
        "Test-Country",
        &[
            ("1.0.0.0/24", Item::Map(vec![("country", text("iso_code", "AU"))])),
            ("2.0.0.0/8", text("country_code", "FR")),
            ("3.0.0.0/8", text("country", "us")),
            ("4.0.0.0/8", Item::Map(vec![("registered_country", text("iso_code", "GB"))])),
            (
                "5.0.0.0/8",
                Item::Map(vec![
                    ("autonomous_system_number", Item::Number(3320)),
                    ("autonomous_system_organization", Item::Text("Deutsche Telekom AG")),
                ]),
            ),
            (
                "6.0.0.0/8",
                Item::Map(vec![
                    ("asn", Item::Text("AS13335")),
                    ("as_name", Item::Text("Cloudflare")),
                    ("country", Item::Text("US")),
                    ("country_code", Item::Text("US")),
                ]),
            ),
            ("7.0.0.0/8", text("country", "Atlantis")),
            ("10.0.0.0/8", text("country", "DE")),
            ("2a00::/16", text("country_code", "NL")),
        ],
    )
}

fn opened(path: &Path) -> Geo {
    Geo::open(&GeoSource { files: vec![path.to_owned()], told: Vec::new() })
}

fn written(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("country.mmdb");
    std::fs::write(&path, bytes).unwrap();
    (directory, path)
}

#[test]
fn every_layout_is_read() {
    let (_directory, path) = written(&layouts());
    let geo = opened(&path);
    let country = |text: &str| geo.look_up_text(text).country.map(|country| country.as_str().to_owned());
    for (address, expected) in [
        ("1.0.0.77", Some("AU")),
        ("1.0.1.0", None),
        ("2.3.4.5", Some("FR")),
        ("3.0.0.1", Some("US")),
        ("4.0.0.1", Some("GB")),
        ("5.0.0.1", None),
        ("6.0.0.0/24", Some("US")),
        ("7.0.0.1", None),
        ("2a00::1", Some("NL")),
        ("2b00::1", None),
        // The file has it, and nobody is told: it is private.
        ("10.1.2.3", None),
        ("host.example", None),
    ] {
        assert_eq!(country(address).as_deref(), expected, "{address}");
    }
    let telekom = geo.look_up_text("5.6.7.8");
    assert_eq!((telekom.asn.as_deref(), telekom.org.as_deref()), (Some("AS3320"), Some("Deutsche Telekom AG")));
    let cloudflare = geo.look_up_text("6.6.7.8");
    assert_eq!((cloudflare.asn.as_deref(), cloudflare.org.as_deref()), (Some("AS13335"), Some("Cloudflare")));
    assert_eq!(geo.file().map(|file| (file.kind(), file.built_at())), Some(("Test-Country", 1_790_000_000)));
}

#[test]
fn damaged_files_are_errors_and_never_more() {
    let whole = layouts();
    for cut in [0, 1, 7, whole.len() / 3, whole.len() / 2, whole.len() - 1] {
        let (_directory, path) = written(&whole[..cut]);
        assert!(matches!(GeoFile::open(&path), Err(GeoError::Damaged(..))), "{cut}");
    }
    // Any byte may be anything: it opens or not, and answers or not.
    let mut state = 7_u32;
    let mut random = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize
    };
    let (_directory, path) = written(&whole);
    for _ in 0..2000 {
        let mut bytes = whole.clone();
        for _ in 0..1 + random() % 8 {
            let at = random() % bytes.len();
            bytes[at] = random() as u8;
        }
        std::fs::write(&path, &bytes).unwrap();
        let geo = opened(&path);
        for address in ["1.0.0.1", "5.0.0.1", "6.0.0.1", "2a00::1", "255.255.255.254"] {
            geo.ask_files(address.parse().unwrap());
        }
    }
    std::fs::File::create(&path).unwrap().set_len(MAX_BYTES + 1).unwrap();
    assert!(matches!(GeoFile::open(&path), Err(GeoError::TooLarge(_))));
    assert!(matches!(GeoFile::open(Path::new("/dev/zero")), Err(GeoError::Unreadable(..))));
}

/// A test file of MaxMind's.
fn maxmind(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/geo").join(name)
}

#[test]
fn maxminds_own_test_files_are_read() {
    let file = |name: &str| opened(&maxmind(name));
    for name in ["GeoLite2-Country-Test.mmdb", "GeoLite2-City-Test.mmdb"] {
        let geo = file(name);
        let country = |text: &str| geo.look_up_text(text).country.map(String::from);
        for (address, expected) in [
            ("2.125.160.216", "GB"),
            ("67.43.156.1", "BT"),
            ("89.160.20.112", "SE"),
            ("216.160.83.56", "US"),
            ("2001:218::1", "JP"),
        ] {
            assert_eq!(country(address).as_deref(), Some(expected), "{name} {address}");
        }
        assert_eq!(country("1.1.1.1"), None);
    }
    let asn = file("GeoLite2-ASN-Test.mmdb").look_up_text("89.160.20.112");
    assert_eq!((asn.asn.as_deref(), asn.org.as_deref()), (Some("AS29518"), Some("Bredband2 AB")));
}

#[test]
fn files_that_readers_stumbled_over_are_errors_or_know_nothing() {
    let mut seen = 0;
    for entry in std::fs::read_dir(maxmind("bad")).unwrap() {
        let geo = opened(&entry.unwrap().path());
        seen += 1;
        for number in 0..4096_u32 {
            geo.ask_files(std::net::Ipv4Addr::from_bits(number << 20 | 0x777).into());
            geo.ask_files(std::net::Ipv6Addr::from_bits(u128::from(number) << 116 | 0x777).into());
        }
        geo.look_up_text("89.160.20.112");
    }
    assert!(seen >= 10, "{seen} files");
}

#[test]
fn a_file_that_anybody_may_write_to_is_not_mapped() {
    use std::os::unix::fs::PermissionsExt;
    let (_directory, path) = written(&layouts());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    assert!(matches!(GeoFile::open(&path), Err(GeoError::Unreadable(..))));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o664)).unwrap();
    assert!(GeoFile::open(&path).is_ok());
}

#[test]
fn a_child_knows_what_was_told_where_no_file_does() {
    let (_directory, path) = written(&layouts());
    let told = ["2.3.4.5", "9.9.9.9"].map(|ip| (ip.to_owned(), "CH".parse().unwrap())).to_vec();
    let geo = Geo::open(&GeoSource { files: vec![path], told });
    let country = |text: &str| geo.look_up_text(text).country.map(String::from);
    assert_eq!((country("2.3.4.5").as_deref(), country("9.9.9.9").as_deref()), (Some("FR"), Some("CH")));
}

#[test]
fn only_single_public_addresses_are_asked_about() {
    for yes in ["5.6.7.8", "2a00::1"] {
        assert!(Geo::is_askable(yes), "{yes}");
    }
    for no in ["10.0.0.1", "127.0.0.1", "fe80::1", "5.6.7.0/24", "host.example", "", "::ffff:10.0.0.1", "203.0.113.1"] {
        assert!(!Geo::is_askable(no), "{no}");
    }
}

#[test]
fn a_file_cut_while_it_is_mapped_is_not_touched() {
    let (_directory, path) = written(&layouts());
    let geo = opened(&path);
    assert!(geo.look_up_text("2.3.4.5").country.is_some());
    std::fs::File::options().write(true).open(&path).unwrap().set_len(10).unwrap();
    assert_eq!(geo.look_up_text("2.3.4.5"), Place::default());
}

#[test]
fn a_new_file_is_taken_and_a_bad_one_is_not() {
    let (directory, path) = written(&layouts());
    let mut geo = Geo::new(Some(path.clone()), None);
    let first = geo.fingerprint();
    assert!(!geo.refresh(), "nothing has changed");
    let next = directory.path().join("next");
    std::fs::write(&next, b"half a file").unwrap();
    std::fs::rename(&next, &path).unwrap();
    assert!(geo.refresh());
    assert!(geo.look_up_text("2.3.4.5").country.is_some(), "the old one is still mapped");
    std::fs::write(&next, database("Other", &[("2.0.0.0/8", text("country_code", "BE"))])).unwrap();
    std::fs::rename(&next, &path).unwrap();
    assert!(geo.refresh());
    assert_eq!(geo.look_up_text("2.3.4.5").country, "BE".parse().ok());
    assert_ne!(geo.fingerprint(), first);
    std::fs::remove_file(&path).unwrap();
    assert!(geo.refresh());
    assert_eq!(geo.look_up_text("2.3.4.5"), Place::default());
}

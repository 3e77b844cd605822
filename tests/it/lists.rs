//! The one shape of all lists, and lists as CSV.

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::Server;
use crate::history::{keeper, made_database, wait_for_archive};

const BLOCK: [&str; 7] = ["page", "page_size", "total", "total_pages", "has_next_page", "has_prev_page", "next_cursor"];

#[track_caller]
fn items(admin: &Client, target: &str) -> (Vec<Value>, Value) {
    let body = admin.get(target).expect(200).json();
    for name in BLOCK {
        assert!(body["pagination"].get(name).is_some(), "{target}: no {name}");
    }
    (body["items"].as_array().unwrap().clone(), body["pagination"].clone())
}

#[test]
fn every_list_has_the_same_shape_is_sorted_searched_and_paged() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    for name in ["beta", "Alpha", "gamma"] {
        admin.post("/api/v1/blocklists", json!({"name": name, "url": "https://example.org/list"})).expect(201);
    }
    for ip in ["198.51.100.1", "198.51.100.2", "203.0.113.1"] {
        admin.post("/api/v1/jails/lab/ignoreip", json!({"ip": ip})).expect(201);
    }
    for (list, field, word, least) in [
        ("/api/v1/jails", "name", "sshd", 3),
        ("/api/v1/blocklists", "name", "ALPHA", 3),
        ("/api/v1/config/jails", "name", "slow", 3),
        ("/api/v1/config/filters", "name", "sshd", 2),
        ("/api/v1/config/actions", "name", "noop", 1),
        ("/api/v1/config/jails/lab/files", "path", "jail", 1),
        ("/api/v1/jails/lab/ignoreip", "", "203.0", 3),
        ("/api/v1/bans/active", "ip", "nothing", 0),
        ("/api/v1/bans/failing", "ip", "nothing", 0),
    ] {
        let (all, block) = items(&admin, list);
        let total = all.len();
        assert!(total >= least, "{list}: {total}");
        assert_eq!(
            (&block["total"], &block["page"], &block["has_next_page"]),
            (&json!(total), &json!(1), &json!(false))
        );
        let (first, block) = items(&admin, &format!("{list}?page_size=1"));
        assert_eq!((first.len(), &block["total_pages"]), (total.min(1), &json!(total)), "{list}");
        assert_eq!(block["has_next_page"], total > 1);
        let (last, block) = items(&admin, &format!("{list}?page_size=1&page={}", total.max(1)));
        assert_eq!((last.last(), &block["has_next_page"]), (all.last(), &json!(false)), "{list}");
        let (found, block) = items(&admin, &format!("{list}?q={word}"));
        assert!(found.len() <= total && block["total"] == json!(found.len()), "{list}");
        assert!(found.iter().all(|item| item.to_string().to_lowercase().contains(&word.to_lowercase())), "{list}");
        assert!(!found.is_empty() || total == 0, "{list}");
        if !field.is_empty() {
            let sorted = |sort: &str| -> Vec<String> {
                let (found, _) = items(&admin, &format!("{list}?sort={sort}"));
                found.iter().map(|item| item[field].as_str().unwrap().to_lowercase()).collect()
            };
            let (up, mut down) = (sorted(field), sorted(&format!("-{field}")));
            assert!(up.is_sorted(), "{list}: {up:?}");
            down.reverse();
            assert_eq!(up, down, "{list}");
        }
        let error = admin.get(&format!("{list}?sort=colour")).expect_error(400, "invalid_input").json();
        assert!(error["metadata"]["allowed"].is_array(), "{error}");
        admin.get(&format!("{list}?page_size=501")).expect_error(400, "invalid_input");
    }
}

/// The lines of a list as CSV, without the names.
#[track_caller]
fn rows(client: &Client, target: &str) -> Vec<String> {
    let answer = client.get(target).expect(200);
    assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8"), "{target}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.header("content-disposition").unwrap().ends_with(".csv\""));
    let text = String::from_utf8(answer.body).unwrap();
    let rows: Vec<String> = text.split_terminator("\r\n").map(str::to_owned).collect();
    assert!(rows[0].chars().all(|letter| letter.is_ascii_lowercase() || "_.,".contains(letter)), "{}", rows[0]);
    rows[1..].to_vec()
}

#[test]
fn a_list_as_csv_is_whole_and_safe_in_a_spreadsheet() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    let csv = admin.with_header("Accept", "text/csv");
    let ban = json!({"ip": "203.0.113.9", "jail": "lab", "duration": "1h", "note": "=HYPERLINK(\"http://x\",\"y\")"});
    admin.post("/api/v1/bans", ban).expect(201);
    for list in ["/api/v1/bans/active", "/api/v1/jails/lab/banned", "/api/v1/bans/active?page_size=10"] {
        let rows = rows(&csv, list);
        assert_eq!(rows.len(), 1);
        assert!(rows[0].starts_with("203.0.113.9,lab,"), "{}", rows[0]);
        assert!(rows[0].contains(",\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\","), "{}", rows[0]);
    }
    assert_eq!(rows(&csv, "/api/v1/bans/active?jail=sshd"), Vec::<String>::new());
    assert_eq!(rows(&csv, "/api/v1/history?q=203.0.113").len(), 1);
    rows(&csv, "/api/v1/config/changes");
    rows(&csv, "/api/v1/blocklists/log");
    csv.head("/api/v1/bans/active").expect(200);
    // What is no list, and what went wrong, is JSON as ever; so is a list for whoever rather has that.
    assert_eq!(csv.get("/api/v1/dashboard/status").expect(200).header("content-type"), Some("application/json"));
    csv.get("/api/v1/jails/none/banned").expect_error(404, "jail_not_found");
    let both = admin.with_header("Accept", "application/json, text/csv;q=0.5");
    both.get("/api/v1/bans/active").expect(200).json();
}

#[test]
fn a_long_history_as_csv_is_streamed_to_its_end_from_both_sources() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f.sqlite3");
    let ips: Vec<String> = (0..2600).map(|n| format!("203.0.{}.{}", n / 250, n % 250)).collect();
    let bans: Vec<(&str, &str, i64)> = ips.iter().map(|ip| ("lab", ip.as_str(), 60)).collect();
    let fail2ban = made_database(&path, &bans);
    let scattered = r#"UPDATE bans SET jail = substr('labwwwssh', rowid * 5 % 3 * 3 + 1, 3), bancount = 1 + rowid * 7 % 5,
        bantime = CASE rowid % 4 WHEN 0 THEN -1 ELSE rowid * 31 % 900 END,
        data = '{"matches": ["one", "two"], "failures": ' || rowid * 13 % 11 || '}'"#;
    fail2ban.execute_batch(scattered).unwrap();
    let (_server, admin) = keeper(&path).start().into_ready();
    wait_for_archive(&admin, 2600);
    let csv = admin.with_header("Accept", "text/csv");
    for (query, expected) in
        [("", 2600), ("&ip=203.0.1", 350), ("&q=203.0.1", 350), ("&page_size=10", 10), ("&page=3&page_size=7", 7)]
    {
        let sources = ["archive", "fail2ban"];
        let lists = sources.map(|source| rows(&csv, &format!("/api/v1/history?source={source}{query}")));
        assert_eq!((lists[0].len(), lists[1].len()), (expected, expected), "{query}");
        let mut firsts =
            lists.map(|rows| rows.iter().map(|row| row.split(',').next().unwrap().to_owned()).collect::<Vec<_>>());
        firsts.iter_mut().for_each(|ips| ips.sort());
        assert!(query.contains("page") || firsts[0] == firsts[1], "{query}");
        firsts[0].dedup();
        assert_eq!(firsts[0].len(), expected, "no row comes twice: {query}");
    }
    assert_eq!(rows(&csv, "/api/v1/history/repeaters"), Vec::<String>::new());
    the_oldest_first(&admin);
    by_every_field(&admin);
    csv.get("/api/v1/history?sort=banned_at").expect_error(400, "invalid_input");
}

/// The same list from its other end, in both sources, whatever the pages.
fn the_oldest_first(admin: &Client) {
    let walk = |source: &str, query: &str, size: usize, pages: usize| -> Vec<Value> {
        let page = |number| {
            let target = format!("/api/v1/history?source={source}&page_size={size}&page={number}{query}");
            let (items, block) = items(admin, &target);
            assert_eq!(block["has_next_page"], number < pages, "{target}: {block}");
            items
        };
        (1..=pages).flat_map(page).map(|ban| ban["ip"].clone()).collect()
    };
    for source in ["archive", "fail2ban"] {
        for (query, size, pages) in [("", 450, 6), ("&ip=203.0.1", 100, 4), ("&q=203.0.10.", 400, 1)] {
            let newest = walk(source, query, size, pages);
            let mut oldest = walk(source, &format!("{query}&sort=banned_at"), size, pages);
            oldest.reverse();
            assert!(!newest.is_empty() && newest == oldest, "{source}{query}: {} {}", newest.len(), oldest.len());
            assert_eq!(walk(source, &format!("{query}&sort=-banned_at"), size, pages), newest);
        }
        let (none, block) =
            items(admin, &format!("/api/v1/history?source={source}&sort=banned_at&page=99&page_size=100"));
        assert_eq!((none.len(), &block["total"]), (0, &json!(2600)));
    }
    for odd in ["sort=ip&cursor=2.6b08fd6e-20", "sort=banned_at&cursor=2.6b08fd6e-20"] {
        admin.get(&format!("/api/v1/history?{odd}")).expect_error(400, "invalid_input");
    }
    let error = admin.get("/api/v1/history?sort=colour").expect_error(400, "invalid_input").json();
    let allowed = error["metadata"]["allowed"].as_array().unwrap();
    assert!(allowed.contains(&json!("-failures")) && error["detail"].as_str().unwrap().contains("ban_time"), "{error}");
}

/// By every other field, in both sources alike, whatever the pages: as the whole list is when it is sorted here.
fn by_every_field(admin: &Client) {
    let walk = |source: &str, query: &str, size: usize| -> Vec<Value> {
        let (mut all, mut number) = (Vec::new(), 1);
        loop {
            let target = format!("/api/v1/history?source={source}&page_size={size}&page={number}{query}");
            let (mut items, block) = items(admin, &target);
            all.append(&mut items);
            if block["has_next_page"] == false {
                assert_eq!((&block["total"], &block["next_cursor"]), (&json!(all.len()), &Value::Null), "{block}");
                return all;
            }
            number += 1;
        }
    };
    let address = |ban: &Value| {
        ban["ip"].as_str().unwrap().parse::<std::net::IpAddr>().map_or(u128::MAX, |ip| match ip {
            std::net::IpAddr::V4(ip) => ip.to_bits().into(),
            std::net::IpAddr::V6(ip) => ip.to_bits(),
        })
    };
    let key = |ban: &Value, field: &str| match (&ban[field], field) {
        (_, "ip") => (address(ban), String::new()),
        (Value::String(text), _) => (0, text.clone()),
        (Value::Number(number), "ban_time") if number.as_f64() == Some(-1.0) => (u128::MAX, String::new()),
        (Value::Number(number), _) => (number.as_f64().unwrap() as u128 + 1, String::new()),
        (_, _) => (0, String::new()),
    };
    for source in ["archive", "fail2ban"] {
        for query in ["&ip=203.0.1", "&q=203.0.10."] {
            let newest = walk(source, query, 400);
            for field in ["ip", "jail", "ban_count", "failures", "ban_time", "country_code"] {
                let (mut rising, mut falling) = (newest.clone(), newest.clone());
                rising.sort_by_key(|ban| key(ban, field));
                falling.sort_by_key(|ban| std::cmp::Reverse(key(ban, field)));
                for (sort, expected) in [(field.to_owned(), rising), (format!("-{field}"), falling)] {
                    assert!(walk(source, &format!("{query}&sort={sort}"), 130) == expected, "{source} {query} {sort}");
                }
            }
        }
    }
}

//! The page beside the API: how its files are served. What it looks like and does is tested with a browser (`make test-ui`).

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::harness::client::Client;
use crate::harness::http::Answer;
use crate::harness::server::Launch;

const POLICY: &str = "default-src 'self'; require-trusted-types-for 'script'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

/// The files that `index.html` names.
fn assets(client: &Client, page: &str) -> Vec<String> {
    let html = text(&client.get(page).expect(200));
    let names = html.split(['"', '\'']).filter(|word| ["js", "css", "svg"].iter().any(|end| word.ends_with(end)));
    names.map(str::to_owned).collect()
}

#[test]
fn the_page_and_all_it_names_are_served_with_their_policy() {
    let server = Launch::without_daemon().start();
    let nobody = server.client();
    let page = nobody.get("/").expect(200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("content-security-policy"), Some(POLICY));
    assert_eq!(page.header("x-frame-options"), Some("DENY"));
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    let names = assets(&nobody, "/");
    assert_eq!(names.len(), 3, "{names:?}");
    for name in names {
        let asset = nobody.get(&format!("/{name}")).expect(200);
        assert_eq!(asset.header("cache-control"), Some("public, max-age=31536000, immutable"), "{name}");
        let kind = asset.header("content-type").unwrap();
        assert!(
            ["text/javascript; charset=utf-8", "text/css; charset=utf-8", "image/svg+xml"].contains(&kind),
            "{name}: {kind}"
        );
        assert!(asset.header("etag").is_some() && !asset.body.is_empty(), "{name}");
    }
    // What another page asks for in the query is for the page itself to read.
    assert_eq!(nobody.get("/?embed=1").expect(200).body, page.body);
}

#[test]
fn who_takes_gzip_gets_what_the_build_has_packed() {
    let server = Launch::without_daemon().start();
    let plain = server.client().get("/").expect(200);
    assert_eq!(plain.header("content-encoding"), None);
    let packed = server.client().with_header("Accept-Encoding", "br, gzip;q=0.5").get("/").expect(200);
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert_eq!((packed.header("vary"), plain.header("vary")), (Some("accept-encoding"), Some("accept-encoding")));
    // The client has unpacked it.
    assert_eq!(packed.body, plain.body);
    let refused = server.client().with_header("Accept-Encoding", "gzip;q=0").get("/").expect(200);
    assert_eq!(refused.header("content-encoding"), None);
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let server = Launch::without_daemon().start();
    let tag = server.client().get("/").expect(200).header("etag").unwrap().to_owned();
    for given in [tag.as_str(), tag.trim_start_matches("W/"), "*", &format!("\"other\", {tag}")] {
        let again = server.client().with_header("If-None-Match", given).get("/").expect(304);
        assert!(again.body.is_empty());
        assert_eq!(again.header("etag"), Some(tag.as_str()));
    }
    server.client().with_header("If-None-Match", "\"other\"").get("/").expect(200);
    let head = server.client().head("/").expect(200);
    assert!(head.body.is_empty() && head.header("content-length").is_some_and(|length| length != "0"));
}

#[test]
fn other_paths_are_as_they_are_for_the_api() {
    let server = Launch::without_daemon().start();
    for path in ["/index.html", "/manifest", "/main.js", "//", "/../etc/passwd", "/overview"] {
        server.client().get(path).expect_error(404, "not_found");
    }
    server.client().post_empty("/").expect_error(404, "not_found");
}

#[test]
fn the_page_is_outside_the_limit_of_those_without_a_session() {
    let server = Launch::without_daemon().env("BANGUI_RATE_LIMIT_ANONYMOUS", "3").start();
    for _ in 0..20 {
        let page = server.client().get("/").expect(200);
        assert_eq!(page.header("x-ratelimit-limit"), None);
    }
    server.client().get("/api/v1/meta").expect(200);
}

#[test]
fn under_a_base_path_the_page_finds_its_files() {
    let server = Launch::without_daemon().env("BANGUI_BASE_PATH", "/guard").start();
    let nobody = server.client();
    assert_eq!(nobody.get("/guard").expect(308).header("location"), Some("/guard/"));
    for name in assets(&nobody, "/guard/") {
        nobody.get(&format!("/guard/{name}")).expect(200);
    }
    nobody.get("/guardian").expect_error(404, "not_found");
}

#[test]
fn the_page_can_be_switched_off_and_shown_inside_others_by_choice_only() {
    let off = Launch::without_daemon().env("BANGUI_UI", "0").start();
    off.client().get("/").expect_error(404, "not_found");
    let shown = Launch::without_daemon().env("BANGUI_FRAME_ANCESTORS", "https://panel.example:8443, self").start();
    let page = shown.client().get("/").expect(200);
    assert_eq!(page.header("x-frame-options"), None);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("; frame-ancestors https://panel.example:8443 'self'; base-uri"), "{policy}");
    // The API's answers are nobody's to show.
    let answer = shown.client().get("/api/v1/meta").expect(200);
    assert_eq!(answer.header("content-security-policy"), Some("default-src 'none'; frame-ancestors 'none'"));
}

#[test]
fn the_page_is_there_under_a_name_the_api_refuses() {
    let server = Launch::without_daemon().start();
    let other = server.client().with_header("Host", "elsewhere.example");
    other.get("/").expect(200);
    other.get("/api/v1/meta").expect_error(421, "unknown_host");
}

/// The files of the page's source that its build is made of, as `ui/build.mjs` lists them.
fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        if entry.path().is_dir() { sources(&entry.path(), found) } else { found.push(entry.path()) }
    }
}

#[test]
fn the_page_is_built_of_its_source() {
    let ui = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui");
    let mut found: Vec<PathBuf> = ["build.mjs", "package-lock.json", "types.mjs"].map(|name| ui.join(name)).into();
    sources(&ui.join("src"), &mut found);
    let mut names: Vec<String> =
        found.iter().map(|path| path.strip_prefix(&ui).unwrap().to_str().unwrap().to_owned()).collect();
    names.retain(|name| name != "src/api.ts");
    names.sort();
    let mut hash = Sha256::new();
    for name in names {
        hash.update(format!("{name}\0"));
        hash.update(fs::read(ui.join(&name)).unwrap());
        hash.update("\0");
    }
    let mut hex = String::new();
    for byte in hash.finalize() {
        write!(hex, "{byte:02x}").unwrap();
    }
    let built = fs::read_to_string(ui.join("dist/manifest")).unwrap();
    assert_eq!(built.trim(), hex, "ui/dist is older than ui/src: run make ui");
}

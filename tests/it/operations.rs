//! The operations of the first product and the statuses documented for each, as data for the tests of the routers.
//!
//! The statuses are those of the reference; what any call can meet besides (413, 421, 422 …) is demanded by the tests that provoke it.

use std::time::Duration;

use crate::harness::client::Client;
use crate::harness::contract::demand_seen;
use crate::harness::fake_daemon::FakeDaemon;
use crate::harness::server::Launch;

/// One operation with a request that is well-formed for it.
pub struct Operation {
    /// Method and path template, as in `openapi.json`.
    pub name: &'static str,
    /// A path of that template.
    pub target: &'static str,
    /// A body that is right for it; empty for none.
    pub body: &'static str,
    /// Every status the reference documents.
    pub statuses: &'static [u16],
}

const fn op(name: &'static str, target: &'static str, body: &'static str, statuses: &'static [u16]) -> Operation {
    Operation { name, target, body, statuses }
}

const OWN: &str = r#"{"current_password":"x","new_password":"correct horse battery"}"#;
const USER: &str = r#"{"name":"eve","role":"viewer","new_password":"correct horse battery"}"#;
const TOKEN: &str = r#"{"name":"widget","scopes":["read"]}"#;
const IP: &str = r#"{"ip":"203.0.113.7"}"#;
const BAN: &str = r#"{"ip":"203.0.113.7","jail":"lab"}"#;
const MANY: &str = r#"{"ips":["203.0.113.7"],"jail":"lab"}"#;
const LIST: &str = r#"{"name":"list","url":"https://example.org/list.txt"}"#;
const URL: &str = r#"{"url":"http://127.0.0.1:9/list.txt"}"#;
const REGEX: &str = r#"{"log_line":"x 203.0.113.7","fail_regex":"^x <HOST>$"}"#;
const PREVIEW: &str = r#"{"log_path":"/var/log/none.log","fail_regex":"^x <HOST>$"}"#;
const LINES: &str = r#"{"lines":["lab: bad 203.0.113.7"]}"#;
const FILTER: &str = r#"{"name":"made","failregex":["^made <HOST>$"]}"#;
const FAILREGEX: &str = r#"{"failregex":["^other <HOST>$"]}"#;
const ACTION: &str = r#"{"name":"made","actionban":"true"}"#;
const COMMAND: &str = r#"{"actionban":"true"}"#;
const LEVEL: &str = r#"{"log_level":"INFO"}"#;

const CHANNEL: &str = r#"{"name":"x","kind":"webhook","url":"https://example.org/"}"#;

/// Of the second factor.
const CHALLENGE: &str = r#"{"challenge":"x","code":"000000"}"#;
const CODE: &str = r#"{"password":"x","code":"000000"}"#;

const MAP: &str = r#"{"threshold_high":3,"threshold_medium":2,"threshold_low":1}"#;

/// Operations that need a session.
pub const PROTECTED: &[Operation] = &[
    op("GET /api/v1/auth/session", "/api/v1/auth/session", "", &[200, 401]),
    op("POST /api/v1/auth/session", "/api/v1/auth/session", "", &[200, 401]),
    op("POST /api/v1/auth/logout", "/api/v1/auth/logout", "", &[200, 401]),
    op("GET /api/v1/auth/sessions", "/api/v1/auth/sessions", "", &[200, 401]),
    op("DELETE /api/v1/auth/sessions", "/api/v1/auth/sessions", "", &[200, 401]),
    op("DELETE /api/v1/auth/sessions/{id}", "/api/v1/auth/sessions/0", "", &[204, 401, 404]),
    op("PUT /api/v1/auth/password", "/api/v1/auth/password", OWN, &[204, 400, 401, 422, 429]),
    op("GET /api/v1/auth/totp", "/api/v1/auth/totp", "", &[200, 401]),
    op("POST /api/v1/auth/totp/enrol", "/api/v1/auth/totp/enrol", "", &[201, 400, 401, 403, 409, 422]),
    op("POST /api/v1/auth/totp/confirm", "/api/v1/auth/totp/confirm", CODE, &[200, 400, 401, 409, 422, 429]),
    op(
        "POST /api/v1/auth/totp/recovery-codes",
        "/api/v1/auth/totp/recovery-codes",
        CODE,
        &[200, 400, 401, 403, 409, 422, 429],
    ),
    op("POST /api/v1/auth/totp/disable", "/api/v1/auth/totp/disable", CODE, &[204, 400, 401, 409, 422, 429]),
    op("GET /api/v1/users", "/api/v1/users", "", &[200, 400, 401]),
    op("POST /api/v1/users", "/api/v1/users", USER, &[201, 400, 401, 403, 409, 422]),
    op("PUT /api/v1/users/{name}", "/api/v1/users/eve", r#"{"role":"viewer"}"#, &[200, 401, 403, 404, 409, 422]),
    op("DELETE /api/v1/users/{name}", "/api/v1/users/eve", "", &[204, 401, 403, 404, 409]),
    op("GET /api/v1/tokens", "/api/v1/tokens", "", &[200, 400, 401]),
    op("POST /api/v1/tokens", "/api/v1/tokens", TOKEN, &[201, 400, 401, 403, 409, 422]),
    op("GET /api/v1/tokens/{id}", "/api/v1/tokens/1", "", &[200, 400, 401, 404]),
    op("PUT /api/v1/tokens/{id}", "/api/v1/tokens/1", TOKEN, &[200, 400, 401, 403, 404, 409, 422]),
    op("DELETE /api/v1/tokens/{id}", "/api/v1/tokens/1", "", &[204, 400, 401, 403, 404, 422]),
    op("POST /api/v1/tokens/{id}/rotate", "/api/v1/tokens/1/rotate", "", &[200, 400, 401, 403, 404, 422]),
    op("GET /api/v1/audit", "/api/v1/audit", "", &[200, 400, 401]),
    op("DELETE /api/v1/audit", "/api/v1/audit?before=20200101", "", &[200, 400, 401]),
    op("GET /api/v1/dashboard/status", "/api/v1/dashboard/status", "", &[200, 401, 502]),
    // What the archive has is shown without the daemon, too.
    op("GET /api/v1/dashboard/summary", "/api/v1/dashboard/summary", "", &[200, 400, 401]),
    op("GET /api/v1/dashboard/bans", "/api/v1/dashboard/bans", "", &[200, 401, 502]),
    op("GET /api/v1/dashboard/bans/by-country", "/api/v1/dashboard/bans/by-country", "", &[200, 401, 502]),
    op("GET /api/v1/dashboard/bans/trend", "/api/v1/dashboard/bans/trend", "", &[200, 401, 502]),
    op("GET /api/v1/dashboard/bans/by-jail", "/api/v1/dashboard/bans/by-jail", "", &[200, 401, 502]),
    op("GET /api/v1/history", "/api/v1/history", "", &[200, 401, 502]),
    // Served from our own database: there is no 502 to meet.
    op("GET /api/v1/history/archive", "/api/v1/history/archive", "", &[200, 401]),
    op("GET /api/v1/history/repeaters", "/api/v1/history/repeaters", "", &[200, 400, 401]),
    op("GET /api/v1/history/{ip}", "/api/v1/history/203.0.113.1", "", &[200, 401, 404, 502]),
    op("GET /api/v1/geo/lookup/{ip}", "/api/v1/geo/lookup/5.6.7.8", "", &[200, 400, 401, 502]),
    op("GET /api/v1/geo/stats", "/api/v1/geo/stats", "", &[200, 401]),
    op("POST /api/v1/geo/re-resolve", "/api/v1/geo/re-resolve", "", &[200, 401]),
    op("GET /api/v1/config/map-color-thresholds", "/api/v1/config/map-color-thresholds", "", &[200, 401]),
    op("PUT /api/v1/config/map-color-thresholds", "/api/v1/config/map-color-thresholds", MAP, &[200, 400, 401, 429]),
    op("GET /api/v1/bans/active", "/api/v1/bans/active", "", &[200, 401, 502]),
    op("GET /api/v1/bans/failing", "/api/v1/bans/failing", "", &[200, 304, 400, 401, 404, 502]),
    op("GET /api/v1/bans.txt", "/api/v1/bans.txt", "", &[200, 304, 400, 401, 404, 502]),
    op("POST /api/v1/bans", "/api/v1/bans", BAN, &[201, 400, 401, 404, 409, 429, 502]),
    op("POST /api/v1/bans/bulk", "/api/v1/bans/bulk", MANY, &[200, 400, 401, 404, 409, 422, 429, 502]),
    op("POST /api/v1/bans/bulk/remove", "/api/v1/bans/bulk/remove", MANY, &[200, 400, 401, 404, 409, 422, 429, 502]),
    op("GET /api/v1/addresses/{ip}", "/api/v1/addresses/203.0.113.7", "", &[200, 400, 401, 502]),
    op(
        "POST /api/v1/addresses/{ip}/release",
        "/api/v1/addresses/203.0.113.7/release",
        "",
        &[200, 400, 401, 403, 404, 409, 422, 429, 502],
    ),
    op("GET /api/v1/jobs/{id}", "/api/v1/jobs/0", "", &[200, 401, 404]),
    op("DELETE /api/v1/jobs/{id}", "/api/v1/jobs/0", "", &[200, 401, 404, 409]),
    op("POST /api/v1/bans/check", "/api/v1/bans/check", BAN, &[200, 400, 401, 404, 502]),
    op("DELETE /api/v1/bans", "/api/v1/bans", BAN, &[200, 400, 401, 404, 409, 429, 502]),
    op("DELETE /api/v1/bans/all", "/api/v1/bans/all", "", &[200, 401, 502]),
    op("GET /api/v1/metrics", "/api/v1/metrics", "", &[200, 401]),
    op("GET /api/v1/settings", "/api/v1/settings", "", &[200, 401]),
    op("PUT /api/v1/settings", "/api/v1/settings", r#"{"archive_days":90}"#, &[200, 400, 401, 403, 409, 422]),
    op("GET /api/v1/never-ban", "/api/v1/never-ban", "", &[200, 400, 401]),
    op("POST /api/v1/never-ban", "/api/v1/never-ban", r#"{"entry":"203.0.113.7"}"#, &[201, 401, 403, 409, 422, 429]),
    op(
        "PUT /api/v1/never-ban/{id}",
        "/api/v1/never-ban/1",
        r#"{"note":"x"}"#,
        &[200, 400, 401, 403, 404, 409, 422, 429],
    ),
    op("DELETE /api/v1/never-ban/{id}", "/api/v1/never-ban/1", "", &[204, 400, 401, 403, 404, 409, 429]),
    op("GET /api/v1/notifications", "/api/v1/notifications", "", &[200, 400, 401]),
    op("POST /api/v1/notifications", "/api/v1/notifications", CHANNEL, &[201, 401, 403, 422]),
    op("POST /api/v1/notifications/test", "/api/v1/notifications/test", CHANNEL, &[401, 403, 422]),
    op("GET /api/v1/notifications/log", "/api/v1/notifications/log", "", &[200, 400, 401]),
    op("PUT /api/v1/notifications/{id}", "/api/v1/notifications/1", r#"{"name":"x"}"#, &[200, 400, 401, 403, 404, 422]),
    op("DELETE /api/v1/notifications/{id}", "/api/v1/notifications/1", "", &[204, 400, 401, 403, 404]),
    op("POST /api/v1/notifications/{id}/test", "/api/v1/notifications/1/test", "", &[200, 400, 401, 403, 404]),
    op("GET /api/v1/protection", "/api/v1/protection", "", &[200, 401]),
    op("POST /api/v1/protection/check", "/api/v1/protection/check", "", &[200, 401, 403]),
    op(
        "PUT /api/v1/protection/findings/{id}/rest",
        "/api/v1/protection/findings/nothing/rest",
        r#"{"note":"x"}"#,
        &[200, 400, 401, 403, 404, 422],
    ),
    op(
        "DELETE /api/v1/protection/findings/{id}/rest",
        "/api/v1/protection/findings/nothing/rest",
        "",
        &[200, 400, 401, 403, 404],
    ),
    op("GET /api/v1/jails", "/api/v1/jails", "", &[200, 401, 502]),
    op("GET /api/v1/jails/{name}", "/api/v1/jails/lab", "", &[200, 401, 404, 502]),
    op("POST /api/v1/jails/reload-all", "/api/v1/jails/reload-all", "", &[200, 401, 409, 502]),
    op("POST /api/v1/jails/{name}/start", "/api/v1/jails/lab/start", "", &[200, 401, 404, 409, 502]),
    op("POST /api/v1/jails/{name}/stop", "/api/v1/jails/lab/stop", "", &[200, 401, 409, 502]),
    op("POST /api/v1/jails/{name}/idle", "/api/v1/jails/lab/idle", "true", &[200, 401, 404, 409, 502]),
    op("POST /api/v1/jails/{name}/pause", "/api/v1/jails/lab/pause", r#"{"for":"2h"}"#, &[200, 401, 404, 422, 502]),
    op("POST /api/v1/jails/{name}/resume", "/api/v1/jails/lab/resume", "", &[200, 401, 404, 502]),
    op("POST /api/v1/jails/{name}/reload", "/api/v1/jails/lab/reload", "", &[200, 401, 404, 409, 502]),
    op("GET /api/v1/jails/{name}/check", "/api/v1/jails/lab/check", "", &[200, 401, 404]),
    op(
        "POST /api/v1/jails/{name}/prove",
        "/api/v1/jails/lab/prove",
        "",
        &[200, 400, 401, 403, 404, 409, 422, 429, 502],
    ),
    op("GET /api/v1/jails/{name}/ignoreip", "/api/v1/jails/lab/ignoreip", "", &[200, 401, 404, 502]),
    op("POST /api/v1/jails/{name}/ignoreip", "/api/v1/jails/lab/ignoreip", IP, &[201, 400, 401, 404, 409, 502]),
    op("DELETE /api/v1/jails/{name}/ignoreip", "/api/v1/jails/lab/ignoreip", IP, &[200, 401, 404, 409, 502]),
    op("POST /api/v1/jails/{name}/ignoreself", "/api/v1/jails/lab/ignoreself", "true", &[200, 401, 404, 409, 502]),
    op("GET /api/v1/jails/{name}/banned", "/api/v1/jails/lab/banned", "", &[200, 400, 401, 404, 502]),
    op("GET /api/v1/blocklists", "/api/v1/blocklists", "", &[200, 401]),
    op("POST /api/v1/blocklists", "/api/v1/blocklists", LIST, &[201, 400, 401]),
    op("POST /api/v1/blocklists/import", "/api/v1/blocklists/import", "", &[200, 401, 409, 429, 502]),
    op("POST /api/v1/blocklists/preview", "/api/v1/blocklists/preview", URL, &[200, 400, 401, 403, 422, 429]),
    op("GET /api/v1/blocklists/import", "/api/v1/blocklists/import", "", &[200, 401]),
    op("GET /api/v1/blocklists/schedule", "/api/v1/blocklists/schedule", "", &[200, 401]),
    op("PUT /api/v1/blocklists/schedule", "/api/v1/blocklists/schedule", r#"{"frequency":"daily"}"#, &[200, 401]),
    op("GET /api/v1/blocklists/log", "/api/v1/blocklists/log", "", &[200, 401]),
    op("GET /api/v1/blocklists/{source_id}", "/api/v1/blocklists/1", "", &[200, 401, 404]),
    op("PUT /api/v1/blocklists/{source_id}", "/api/v1/blocklists/1", r#"{"enabled":true}"#, &[200, 400, 401, 404]),
    op("DELETE /api/v1/blocklists/{source_id}", "/api/v1/blocklists/1", "", &[204, 401, 404]),
    op("GET /api/v1/blocklists/{source_id}/preview", "/api/v1/blocklists/1/preview", "", &[200, 401, 404]),
    op("GET /api/v1/server/settings", "/api/v1/server/settings", "", &[200, 401, 502]),
    op("PUT /api/v1/server/settings", "/api/v1/server/settings", LEVEL, &[204, 400, 401, 502]),
    op("POST /api/v1/server/flush-logs", "/api/v1/server/flush-logs", "", &[200, 400, 401, 502]),
    op("POST /api/v1/config/reload", "/api/v1/config/reload", "", &[204, 401, 409, 502]),
    op("POST /api/v1/config/restart", "/api/v1/config/restart", "", &[204, 401, 409, 502, 503]),
    op("GET /api/v1/config/service-status", "/api/v1/config/service-status", "", &[200, 401, 502]),
    op("POST /api/v1/config/regex-test", "/api/v1/config/regex-test", REGEX, &[200, 401, 422]),
    op("POST /api/v1/config/preview-log", "/api/v1/config/preview-log", PREVIEW, &[200, 401, 422]),
    op("GET /api/v1/config/fail2ban-log", "/api/v1/config/fail2ban-log", "", &[200, 400, 401, 502]),
    // Files are served and changed without the daemon: the 502 of the reference never comes.
    op("GET /api/v1/config/filters", "/api/v1/config/filters", "", &[200, 401]),
    op("POST /api/v1/config/filters", "/api/v1/config/filters", FILTER, &[201, 400, 401, 409, 422, 429, 500]),
    op("GET /api/v1/config/filters/{name}", "/api/v1/config/filters/lab", "", &[200, 401, 404]),
    op(
        "PUT /api/v1/config/filters/{name}",
        "/api/v1/config/filters/lab",
        FAILREGEX,
        &[200, 400, 401, 404, 422, 429, 500],
    ),
    op("DELETE /api/v1/config/filters/{name}", "/api/v1/config/filters/lab", "", &[204, 400, 401, 404, 409, 429, 500]),
    op("POST /api/v1/config/filters/{name}/test", "/api/v1/config/filters/lab/test", LINES, &[200, 400, 401, 404, 422]),
    op("GET /api/v1/config/actions", "/api/v1/config/actions", "", &[200, 401]),
    op("POST /api/v1/config/actions", "/api/v1/config/actions", ACTION, &[201, 400, 401, 409, 429, 500]),
    op("GET /api/v1/config/actions/{name}", "/api/v1/config/actions/noop", "", &[200, 401, 404]),
    op("PUT /api/v1/config/actions/{name}", "/api/v1/config/actions/noop", COMMAND, &[200, 400, 401, 404, 429, 500]),
    op("DELETE /api/v1/config/actions/{name}", "/api/v1/config/actions/noop", "", &[204, 400, 401, 404, 409, 429, 500]),
    op("GET /api/v1/config/global", "/api/v1/config/global", "", &[200, 401, 502]),
    op("PUT /api/v1/config/global", "/api/v1/config/global", LEVEL, &[204, 400, 401, 502]),
    op("GET /api/v1/config/default", "/api/v1/config/default", "", &[200, 401]),
    op("PUT /api/v1/config/default", "/api/v1/config/default", r#"{"max_retry":4}"#, &[200, 400, 401, 403, 409, 422]),
    op("GET /api/v1/config/jails", "/api/v1/config/jails", "", &[200, 401]),
    op("POST /api/v1/config/jails", "/api/v1/config/jails", r#"{"name":"new"}"#, &[201, 400, 401, 409]),
    op("GET /api/v1/config/jails/{name}", "/api/v1/config/jails/lab", "", &[200, 401, 404]),
    op("PUT /api/v1/config/jails/{name}", "/api/v1/config/jails/lab", r#"{"max_retry":4}"#, &[200, 400, 401, 404, 422]),
    op("DELETE /api/v1/config/jails/{name}", "/api/v1/config/jails/lab", "", &[204, 401, 404, 409]),
    op("POST /api/v1/config/jails/{name}/commit", "/api/v1/config/jails/lab/commit", "", &[200, 401, 404, 409]),
    op("GET /api/v1/config/jails/{name}/rollback", "/api/v1/config/jails/lab/rollback", "", &[200, 401, 404]),
    op("GET /api/v1/config/jails/{name}/files", "/api/v1/config/jails/lab/files", "", &[200, 401, 404]),
];

/// Operations that anybody may call.
pub const PUBLIC: &[Operation] = &[
    op("POST /api/v1/auth/login", "/api/v1/auth/login", r#"{"password":"x"}"#, &[200, 401, 422, 429, 503]),
    op("POST /api/v1/auth/challenge", "/api/v1/auth/challenge", CHALLENGE, &[200, 401, 422, 429, 503]),
    op("GET /api/v1/setup", "/api/v1/setup", "", &[200]),
    op("POST /api/v1/setup", "/api/v1/setup", r#"{"master_password":"x"}"#, &[201, 400, 403, 409]),
    op("GET /api/v1/setup/timezone", "/api/v1/setup/timezone", "", &[200]),
    op("GET /api/v1/health", "/api/v1/health", "", &[200, 503]),
    op("GET /api/v1/meta", "/api/v1/meta", "", &[200]),
    op("GET /api/v1/openapi.json", "/api/v1/openapi.json", "", &[200]),
    op("GET /api/v1/config/security-headers", "/api/v1/config/security-headers", "", &[200]),
];

impl Operation {
    /// The method.
    pub fn method(&self) -> &'static str {
        self.name.split(' ').next().unwrap_or_default()
    }

    /// Whether the CSRF header is needed with a cookie.
    pub fn writes(&self) -> bool {
        self.method() != "GET" || self.target.ends_with("/rollback")
    }

    /// Sends it.
    #[track_caller]
    pub fn send(&self, client: &Client) -> crate::harness::http::Answer {
        let body = (!self.body.is_empty()).then_some(self.body.as_bytes());
        client.send(self.method(), self.target, body)
    }
}

/// The protected operations of one router, named by the beginning of their paths.
pub fn of_router(prefix: &str) -> impl Iterator<Item = &'static Operation> {
    // `/bans.txt` is no part of `/bans`; who fails, and the proof of a jail, have tests of their own.
    let is_own = |rest: &str| !rest.starts_with('.') && rest != "/failing" && !rest.ends_with("/prove");
    let is_of = move |target: &str| target.strip_prefix(prefix).is_some_and(is_own);
    PROTECTED.iter().filter(move |operation| is_of(operation.target))
}

/// Provokes what every protected operation of a router can meet: 401 without a session, 403 with a cookie but without the CSRF
/// header, and 502 with no daemon, where the reference documents one.
#[track_caller]
pub fn provoke_general_refusals(prefix: &str) {
    let (server, admin) = Launch::without_daemon().start().into_ready();
    let cookie_only = admin.with_identity(crate::harness::client::Identity::CookieOnly(admin.token().to_string()));
    for operation in of_router(prefix) {
        operation.send(&server.client()).expect_error(401, "authentication_required");
        if operation.writes() {
            operation.send(&cookie_only).expect_error(403, "csrf_header_required");
        }
        if operation.statuses.contains(&502) {
            let answer = operation.send(&admin);
            assert!(answer.elapsed < Duration::from_millis(2500), "{answer}");
            answer.expect_error(502, "fail2ban_unreachable");
        }
    }
}

/// Demands that this test has seen every documented status of a router's protected operations.
#[track_caller]
pub fn demand_documented(prefix: &str) {
    for operation in of_router(prefix) {
        demand_seen(operation.name, operation.statuses);
    }
}

/// Every failure the scripted daemon can answer, as the exception of a command it refuses.
pub fn refuse(daemon: &FakeDaemon, command: &[&str]) {
    use crate::harness::pickle::{failure, text};
    daemon.reply(command, failure("builtins", "ValueError", vec![text("refused by the test")]));
}

#[test]
fn the_operations_are_in_the_document_with_these_statuses() {
    use crate::harness::contract::{document, template_of};
    for operation in PROTECTED.iter().chain(PUBLIC) {
        let (method, template) = operation.name.split_once(' ').unwrap();
        assert_eq!(template_of(operation.target), Some(template));
        let responses = &document()["paths"][template][method.to_lowercase().as_str()]["responses"];
        for status in operation.statuses {
            let response = &responses[status.to_string().as_str()];
            assert!(response.is_object(), "{} {status}", operation.name);
        }
    }
}

#[test]
fn nothing_but_the_public_routes_answers_before_setup() {
    let server = Launch::without_daemon().start();
    let client = server.client();
    for operation in PROTECTED {
        operation.send(&client).expect_error(503, "setup_required");
    }
    for operation in PUBLIC.iter().filter(|operation| !operation.writes()) {
        let status = operation.send(&client).status;
        assert!(operation.statuses.contains(&status), "{}: {status}", operation.name);
    }
}

#[test]
fn read_only_refuses_every_write_but_what_concerns_the_session() {
    let daemon = FakeDaemon::start();
    let (mut server, _) = Launch::for_fake(&daemon).start().into_ready();
    server.kill();
    let server = server.with_env("BANGUI_READ_ONLY", "1");
    let admin = server.client().login();
    for operation in PROTECTED {
        let is_own = ["POST /api/v1/auth/", "DELETE /api/v1/auth/"].iter().any(|own| operation.name.starts_with(own));
        if operation.writes() && !is_own {
            operation.send(&admin).expect_error(403, "read_only");
        }
    }
    admin.post_empty("/api/v1/auth/logout").expect(200);
    let commands = daemon.take_commands();
    let wrote = |command: &&Vec<String>| ["set", "stop", "unban", "reload", "flushlogs"].contains(&command[0].as_str());
    assert_eq!(commands.iter().find(wrote), None);
}

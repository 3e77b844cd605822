//! Holds every answer the tests see against the project's own `openapi.json`, and remembers what was seen.
//!
//! A response is looked up by path template, method and status, with `default` as the fallback. Beyond the schema it checks what the
//! contract says in words: which code goes with which status, `Allow` with 405, agreeing waits with 429, security headers everywhere.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde_json::{Value, json};

use super::http::Answer;

/// Error codes by status, as the contract lists them. A status that is not here needs only the shape of an error.
const CODES: &[(u16, &[&str])] = &[
    (400, &["invalid_input", "invalid_name", "config_validation_failed", "config_not_a_file"]),
    (401, &["authentication_required", "invalid_token", "mfa_required"]),
    (
        403,
        &[
            "csrf_header_required",
            "read_only",
            "action_edit_disabled",
            "setup_local_only",
            "limit_reached",
            "insufficient_role",
            "insufficient_scope",
            "session_required",
            "reauthentication_required",
            "ip_not_allowed",
        ],
    ),
    (
        404,
        &[
            "not_found",
            "jail_not_found",
            "filter_not_found",
            "action_not_found",
            "config_file_not_found",
            "change_not_found",
            "job_not_found",
            "never_ban_not_found",
            "channel_not_found",
            "session_not_found",
            "user_not_found",
            "token_not_found",
            "finding_not_found",
            "blocklist_source_not_found",
        ],
    ),
    (405, &["method_not_allowed"]),
    (
        409,
        &[
            "conflict",
            "last_admin",
            "totp_already_enabled",
            "totp_not_enabled",
            "setup_already_complete",
            "fail2ban_command_failed",
            "apply_in_progress",
            "would_lose_jails",
            "import_running",
        ],
    ),
    (413, &["payload_too_large"]),
    (421, &["unknown_host"]),
    (422, &["invalid_input", "config_validation_failed"]),
    (429, &["rate_limit_exceeded"]),
    (
        500,
        &[
            "internal_error",
            "config_not_installed",
            "config_not_permitted",
            "config_disk_full",
            "config_not_a_file",
            "config_unusable",
        ],
    ),
    (502, &["fail2ban_unreachable", "fail2ban_database_unreadable", "upstream_unreachable"]),
    (503, &["setup_required", "busy", "fail2ban_not_back", "storage_unavailable"]),
];

thread_local! {
    /// The operations and statuses this test (a thread of its own) has seen.
    static SEEN: RefCell<BTreeSet<(String, u16)>> = const { RefCell::new(BTreeSet::new()) };
}

/// The document, parsed once.
pub fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        serde_json::from_str(include_str!("../../../openapi.json")).expect("openapi.json of this project is valid JSON")
    })
}

/// The path template an actual path belongs to; a literal segment beats a `{parameter}`.
pub fn template_of(path: &str) -> Option<&'static str> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    // A base path may stand before the API's own.
    let path = path.find("/api/v1/").map_or(path, |at| &path[at..]);
    let wanted: Vec<&str> = path.split('/').collect();
    let paths = document()["paths"].as_object().expect("paths is an object");
    paths
        .keys()
        .filter(|template| {
            let parts: Vec<&str> = template.split('/').collect();
            parts.len() == wanted.len()
                && parts
                    .iter()
                    .zip(&wanted)
                    .all(|(part, want)| part == want || (part.starts_with('{') && !want.is_empty()))
        })
        .min_by_key(|template| template.matches('{').count())
        .map(String::as_str)
}

/// Checks one answer and records it.
///
/// `Err` says everything that is wrong, one finding a line.
pub fn check(method: &str, target: &str, answer: &Answer) -> Result<(), String> {
    let mut wrong = Vec::new();
    let operation_method = if method == "HEAD" { "GET" } else { method };
    let template = template_of(target);
    let operation = template
        .map(|template| &document()["paths"][template][operation_method.to_lowercase().as_str()])
        .filter(|operation| operation.is_object());
    match operation {
        Some(operation) => check_documented(operation, method, answer, &mut wrong),
        None if target.contains("/api/v1") || answer.status >= 400 => {
            if answer.status < 400 {
                wrong.push("an operation the document does not know answered well".into());
            } else if method != "HEAD" {
                check_schema(&json!({"$ref": "#/components/schemas/Error"}), answer, &mut wrong);
            }
        }
        None => {}
    }
    check_words(method, target, answer, &mut wrong);
    if let (Some(template), true) = (template, wrong.is_empty()) {
        let key = (format!("{operation_method} {template}"), answer.status);
        SEEN.with_borrow_mut(|seen| seen.insert(key));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// Panics unless this test has seen every one of these statuses of the operation, e.g. `"GET /api/v1/health"`.
#[track_caller]
pub fn demand_seen(operation: &str, statuses: &[u16]) {
    let missing: Vec<u16> = SEEN.with_borrow(|seen| {
        statuses.iter().filter(|status| !seen.contains(&(operation.to_string(), **status))).copied().collect()
    });
    assert!(missing.is_empty(), "{operation}: documented, but never provoked here: {missing:?}");
}

fn check_documented(operation: &Value, method: &str, answer: &Answer, wrong: &mut Vec<String>) {
    let responses = &operation["responses"];
    let exact = &responses[answer.status.to_string().as_str()];
    let response = if exact.is_null() && answer.status >= 400 { &responses["default"] } else { exact };
    if response.is_null() {
        wrong.push(format!("status {} is not documented", answer.status));
        return;
    }
    let kind = answer.header("content-type").unwrap_or_default();
    if let Some(text) = ["text/csv", "text/plain"].into_iter().find(|text| kind.starts_with(text)) {
        if response["content"][text].is_null() {
            wrong.push(format!("{text} where none is documented"));
        }
        return;
    }
    let schema = &response["content"]["application/json"]["schema"];
    if schema.is_null() {
        if !answer.body.is_empty() {
            wrong.push("a body where none is documented".into());
        }
    } else if method != "HEAD" {
        check_schema(schema, answer, wrong);
    }
}

fn check_schema(schema: &Value, answer: &Answer, wrong: &mut Vec<String>) {
    let kind = answer.header("content-type").unwrap_or_default();
    if kind != "application/json" && !kind.starts_with("application/json;") {
        wrong.push(format!("Content-Type is {kind:?}, not application/json"));
    }
    let body: Value = match serde_json::from_slice(&answer.body) {
        Ok(body) => body,
        Err(error) => {
            wrong.push(format!("the body is no JSON: {error}"));
            return;
        }
    };
    let validator = validator(schema);
    wrong.extend(validator.iter_errors(&body).map(|error| format!("{}: {error}", error.instance_path())));
}

/// What judges a value by a schema of the document, with every object closed.
pub fn validator(schema: &Value) -> jsonschema::Validator {
    // The references inside start with "#/components", so the components travel with the schema.
    let mut whole = schema.clone();
    close(&mut whole);
    whole["components"] = closed_components().clone();
    let options = jsonschema::options().should_validate_formats(true);
    options.build(&whole).expect("the schemas of openapi.json are valid JSON Schema 2020-12")
}

/// The components with every object closed: a field that is served and not described is refused.
///
/// The file itself leaves the objects of answers open, since a later version may add fields and a client that validates must
/// not break by that; whoever serves a field here has to describe it all the same.
fn closed_components() -> &'static Value {
    static CLOSED: OnceLock<Value> = OnceLock::new();
    CLOSED.get_or_init(|| {
        let mut components = document()["components"].clone();
        close(&mut components);
        components
    })
}

/// Closes every object of a schema that lists its fields and does not say what others may hold.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.get("properties").is_some_and(Value::is_object) && !map.contains_key("additionalProperties") {
                map.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
            map.values_mut().for_each(close);
        }
        Value::Array(list) => list.iter_mut().for_each(close),
        _ => {}
    }
}

/// What the contract says outside the schemas.
fn check_words(method: &str, target: &str, answer: &Answer, wrong: &mut Vec<String>) {
    for name in ["content-security-policy", "referrer-policy", "x-request-id"] {
        if answer.header(name).is_none_or(str::is_empty) {
            wrong.push(format!("no {name} header"));
        }
    }
    if answer.header("x-content-type-options") != Some("nosniff") {
        wrong.push("no X-Content-Type-Options: nosniff".into());
    }
    let kept = answer.header("cache-control").unwrap_or_default();
    let is_api = target.contains("/api/v1");
    let is_polled = is_api && (answer.status == 304 || answer.header("etag").is_some());
    if is_api && !is_polled && kept != "no-store" && kept != "private, no-cache" {
        wrong.push("no Cache-Control: no-store".into());
    }
    if is_polled && kept != "private, no-cache" {
        wrong.push("an ETag without Cache-Control: private, no-cache".into());
    }
    if kept == "private, no-cache" && answer.header("vary") != Some("Cookie, Authorization, Accept-Encoding, Origin") {
        wrong.push("kept by caches without Vary".into());
    }
    if answer.status == 405 && answer.header("allow").is_none_or(str::is_empty) {
        wrong.push("405 without Allow".into());
    }
    if method == "HEAD" || answer.status < 400 {
        return;
    }
    let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else {
        return;
    };
    let Some(code) = body["code"].as_str() else {
        return;
    };
    if let Some((status, codes)) = CODES.iter().find(|(status, _)| *status == answer.status)
        && !codes.contains(&code)
    {
        wrong.push(format!("code {code} does not go with status {status}"));
    }
    let retry_after: Option<u64> = answer.header("retry-after").and_then(|value| value.parse().ok());
    if answer.status == 429
        && (retry_after.is_none() || body["metadata"]["retry_after_seconds"].as_u64() != retry_after)
    {
        wrong.push("429: Retry-After and metadata.retry_after_seconds differ".into());
    }
    if code == "busy" && retry_after.is_none() {
        wrong.push("busy without Retry-After".into());
    }
    if answer.status == 422 {
        check_field_errors(&body["metadata"]["errors"], code, wrong);
    }
}

fn check_field_errors(errors: &Value, code: &str, wrong: &mut Vec<String>) {
    let well_formed = errors.as_array().is_some_and(|errors| {
        !errors.is_empty()
            && errors.iter().all(|error| ["source_field", "rule", "detail"].iter().all(|name| error[name].is_string()))
    });
    if code == "invalid_input" && !well_formed {
        wrong.push("422 without metadata.errors of {source_field, rule, detail}".into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut all = vec![
            ("content-type", "application/json"),
            ("content-security-policy", "default-src 'none'"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("x-request-id", "1"),
        ];
        all.retain(|(name, _)| headers.iter().all(|(own, _)| own != name));
        all.extend(headers);
        Answer::for_tests(status, &all, body.as_bytes())
    }

    fn error(code: &str, metadata: Value) -> String {
        json!({"code": code, "detail": "x", "metadata": metadata}).to_string()
    }

    #[test]
    fn literal_paths_beat_templates() {
        assert_eq!(template_of("/api/v1/jails/reload-all"), Some("/api/v1/jails/reload-all"));
        assert_eq!(template_of("/api/v1/jails/sshd?x=1"), Some("/api/v1/jails/{name}"));
        assert_eq!(template_of("/base/api/v1/jails"), Some("/api/v1/jails"));
        assert_eq!(template_of("/api/v1/nothing"), None);
        assert_eq!(template_of("/api/v1/jails/"), None);
    }

    #[test]
    fn a_right_answer_passes_and_is_remembered() {
        let body = r#"{"completed": false}"#;
        check("GET", "/api/v1/setup", &answer(200, &[], body)).unwrap();
        demand_seen("GET /api/v1/setup", &[200]);
    }

    #[test]
    #[should_panic(expected = "never provoked here: [401]")]
    fn a_status_that_was_not_seen_is_demanded() {
        demand_seen("GET /api/v1/jails", &[401]);
    }

    #[test]
    fn every_wrong_answer_is_found() {
        let cases = [
            ("GET", "/api/v1/setup", answer(200, &[], r#"{"completed": 1}"#), "boolean"),
            ("GET", "/api/v1/setup", answer(200, &[], "no"), "no JSON"),
            ("GET", "/api/v1/setup", answer(204, &[], ""), "not documented"),
            (
                "GET",
                "/api/v1/setup",
                answer(200, &[("content-type", "text/html")], r#"{"completed": true}"#),
                "Content-Type",
            ),
            (
                "GET",
                "/api/v1/setup",
                answer(200, &[("x-content-type-options", "")], r#"{"completed": true}"#),
                "nosniff",
            ),
            ("GET", "/api/v1/setup", answer(200, &[("cache-control", "public")], r#"{"completed": true}"#), "no-store"),
            ("GET", "/api/v1/setup", answer(200, &[("x-request-id", "")], r#"{"completed": true}"#), "x-request-id"),
            ("GET", "/api/v1/nothing", answer(200, &[], "{}"), "does not know"),
            ("GET", "/api/v1/nothing", answer(404, &[], r#"{"detail": "x"}"#), "code"),
            ("PATCH", "/api/v1/setup", answer(405, &[], &error("method_not_allowed", json!({}))), "Allow"),
            ("GET", "/api/v1/jails", answer(401, &[], &error("jail_not_found", json!({}))), "does not go with"),
            (
                "GET",
                "/api/v1/jails",
                answer(429, &[("retry-after", "5")], &error("rate_limit_exceeded", json!({"retry_after_seconds": 6}))),
                "differ",
            ),
            ("GET", "/api/v1/jails", answer(503, &[], &error("busy", json!({}))), "Retry-After"),
            ("POST", "/api/v1/bans", answer(422, &[], &error("invalid_input", json!({}))), "metadata.errors"),
            ("POST", "/api/v1/auth/login", answer(200, &[], r#"{"expires_at": "yesterday"}"#), "date-time"),
            ("PUT", "/api/v1/server/settings", answer(204, &[], "{}"), "none is documented"),
        ];
        for (method, target, answer, wanted) in cases {
            let found = check(method, target, &answer).expect_err(wanted);
            assert!(found.contains(wanted), "{method} {target}: {found}");
        }
    }

    #[test]
    fn an_error_of_any_status_is_taken_by_the_default() {
        let answer = answer(408, &[], &error("invalid_input", json!({})));
        check("GET", "/api/v1/health", &answer).unwrap();
    }
}

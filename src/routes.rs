//! Every endpoint in one table: method, path, who may call it, what it may carry, and the handler. A test over the
//! table holds it against openapi.json.

mod columns;
mod row;

use tiny_http::Method;

use self::columns::{BAN, CHANGE, EVENT, FAILING, IMPORT, NEVER_BAN, NOTIFICATION, PAST_BAN, REPEATER};
use self::row::{delete, get, post, put};
use crate::api;
use crate::app::listed::PARAMETERS;
use crate::app::request::{Access, Handler::Either, Handler::Later, Handler::Now, Limit, Long, OfJails, Route, Verb};
use crate::app::revision::Sources;
use crate::domain::permission::{Role, Scope};

/// The table. A literal segment stands before a `{parameter}` in the same place.
pub static ROUTES: &[Route] = &[
    get("/api/v1/health", Now(api::health::get)).open(Access::Unlimited),
    get("/api/v1/meta", Now(api::meta::about)).open(Access::Public),
    get("/api/v1/openapi.json", Now(api::meta::openapi)).open(Access::Public),
    get("/api/v1/config/security-headers", Now(api::meta::security_headers)).open(Access::Public),
    // auth
    post("/api/v1/auth/login", Later(api::auth::login)).open(Access::AfterSetup),
    get("/api/v1/auth/session", Now(api::auth::session)).of_jails(OfJails::None),
    post("/api/v1/auth/session", Now(api::auth::prolong)).open(Access::SessionAlways).for_people(),
    post("/api/v1/auth/logout", Now(api::auth::logout)).open(Access::SessionAlways).for_people(),
    get("/api/v1/auth/sessions", Now(api::sessions::list)).for_people(),
    delete("/api/v1/auth/sessions", Now(api::sessions::end_others)).open(Access::SessionAlways).for_people(),
    delete("/api/v1/auth/sessions/{id}", Now(api::sessions::end)).open(Access::SessionAlways).for_people(),
    put("/api/v1/auth/password", Either(api::sessions::change_password)).for_people(),
    post("/api/v1/auth/challenge", Now(api::auth::challenge)).open(Access::AfterSetup),
    get("/api/v1/auth/totp", Now(api::totp::show)).for_people(),
    post("/api/v1/auth/totp/enrol", Either(api::totp::enrol)).for_people(),
    post("/api/v1/auth/totp/confirm", Now(api::totp::confirm)).for_people(),
    post("/api/v1/auth/totp/recovery-codes", Either(api::totp::renew_codes)).for_people(),
    post("/api/v1/auth/totp/disable", Either(api::totp::disable)).for_people(),
    // users, tokens, and what they did
    get("/api/v1/users", Now(api::users::list)).governs().takes(PARAMETERS),
    post("/api/v1/users", Either(api::users::create)).governs(),
    put("/api/v1/users/{name}", Either(api::users::change)).governs(),
    delete("/api/v1/users/{name}", Either(api::users::remove)).governs(),
    get("/api/v1/tokens", Now(api::tokens::list)).governs().takes(PARAMETERS),
    post("/api/v1/tokens", Either(api::tokens::create)).governs(),
    get("/api/v1/tokens/{id}", Now(api::tokens::detail)).governs(),
    put("/api/v1/tokens/{id}", Either(api::tokens::change)).governs(),
    delete("/api/v1/tokens/{id}", Either(api::tokens::remove)).governs(),
    post("/api/v1/tokens/{id}/rotate", Either(api::tokens::rotate)).governs(),
    get("/api/v1/audit", Either(api::audit::list))
        .reads_commands()
        .takes(&["event_type", "actor", "client", "from", "to", "q", "page", "page_size"])
        .csv_of("items", EVENT),
    delete("/api/v1/audit", Either(api::audit::remove)).governs().takes(&["before"]),
    // setup
    get("/api/v1/setup", Now(api::setup::status)).open(Access::Public),
    post("/api/v1/setup", Later(api::setup::complete)).open(Access::Public),
    get("/api/v1/setup/timezone", Now(api::setup::timezone)).open(Access::Public),
    // dashboard
    get("/api/v1/dashboard/status", Now(api::dashboard::status)),
    get("/api/v1/dashboard/summary", Either(api::dashboard::summary)).takes(&["range", "from", "to", "origin"]),
    get("/api/v1/dashboard/bans", Either(api::dashboard::bans))
        .takes(&["range", "from", "to", "origin", "source", "page", "page_size", "cursor"])
        .made_of(Sources::Database),
    get("/api/v1/dashboard/bans/by-country", Either(api::dashboard::by_country))
        .takes(&["range", "from", "to", "origin", "source", "country_code"])
        .made_of(Sources::Database),
    get("/api/v1/dashboard/bans/trend", Either(api::dashboard::trend))
        .takes(&["range", "from", "to", "origin", "source"])
        .made_of(Sources::Database),
    get("/api/v1/dashboard/bans/by-jail", Either(api::dashboard::by_jail))
        .takes(&["range", "from", "to", "origin", "source"])
        .made_of(Sources::Database),
    // bans
    get("/api/v1/bans/active", Either(api::banned::active))
        .takes(&["jail", "page", "page_size", "sort", "q", "country", "origin"])
        .made_of(Sources::Bans)
        .csv_of("items", BAN)
        .of_jails(OfJails::Seen),
    get("/api/v1/bans/failing", Either(api::failing::list))
        .asks_daemon()
        .takes(&["jail", "page", "page_size", "sort", "q"])
        .csv_of("items", FAILING),
    get("/api/v1/bans.txt", Either(api::bans_txt::list))
        .takes(&["jail", "origin", "min_left"])
        .text("text/plain; charset=utf-8")
        .of_jails(OfJails::Seen),
    post("/api/v1/bans", Later(api::bans::ban)).bans().counted(Limit::Ban).of_jails(OfJails::Seen),
    post("/api/v1/bans/check", Now(api::bans::check)).bans().asks_daemon().of_jails(OfJails::Seen),
    post("/api/v1/bans/bulk", Either(api::bulk::ban))
        .bans()
        .asks_daemon()
        .counted(Limit::Ban)
        .large()
        .long(Long::Slow)
        .of_jails(OfJails::Seen),
    post("/api/v1/bans/bulk/remove", Either(api::bulk::remove))
        .bans()
        .counted(Limit::Ban)
        .large()
        .long(Long::Slow)
        .of_jails(OfJails::Seen),
    delete("/api/v1/bans/all", Either(api::bans::unban_all)).bans(),
    delete("/api/v1/bans", Either(api::bans::unban))
        .bans()
        .counted(Limit::Ban)
        .takes(&["ip", "jail", "unban_all"])
        .of_jails(OfJails::Seen),
    // never-ban
    get("/api/v1/never-ban", Later(api::never_ban::list)).takes(PARAMETERS).csv_of("items", NEVER_BAN),
    post("/api/v1/never-ban", Later(api::never_ban::create)).bans().counted(Limit::Ban),
    put("/api/v1/never-ban/{id}", Later(api::never_ban::change)).bans().counted(Limit::Ban),
    delete("/api/v1/never-ban/{id}", Later(api::never_ban::remove)).bans().counted(Limit::Ban),
    // protection
    get("/api/v1/protection", Now(api::protection::get)),
    post("/api/v1/protection/check", Later(api::protection::check)).may(Scope::Jails, Role::Operator),
    put("/api/v1/protection/findings/{id}/rest", Now(api::protection::rest)).may(Scope::Jails, Role::Operator),
    delete("/api/v1/protection/findings/{id}/rest", Now(api::protection::wake)).may(Scope::Jails, Role::Operator),
    // addresses
    get("/api/v1/addresses/{ip}", Either(api::addresses::one)).asks_daemon(),
    post("/api/v1/addresses/{ip}/release", Either(api::release::release)).bans().asks_daemon().counted(Limit::Ban),
    // telling
    get("/api/v1/metrics", Either(api::metrics::scrape))
        .open(Access::Metrics)
        .may(Scope::Metrics, Role::Viewer)
        // As Prometheus knows it.
        .text("text/plain; version=0.0.4; charset=utf-8"),
    get("/api/v1/notifications", Now(api::notifications::list)).reads_config().takes(PARAMETERS).for_people(),
    post("/api/v1/notifications", Now(api::notifications::create)).configures().counted(Limit::Config).for_people(),
    post("/api/v1/notifications/test", Later(api::notifications::test_new))
        .configures()
        .counted(Limit::Config)
        .for_people(),
    get("/api/v1/notifications/log", Now(api::notifications::log))
        .reads_config()
        .takes(PARAMETERS)
        .csv_of("items", NOTIFICATION)
        .for_people(),
    put("/api/v1/notifications/{id}", Now(api::notifications::change)).configures().counted(Limit::Config).for_people(),
    delete("/api/v1/notifications/{id}", Now(api::notifications::remove))
        .configures()
        .counted(Limit::Config)
        .for_people(),
    post("/api/v1/notifications/{id}/test", Later(api::notifications::test_saved))
        .configures()
        .counted(Limit::Config)
        .for_people(),
    get("/api/v1/settings", Now(api::settings::show)).reads_config().for_people(),
    put("/api/v1/settings", Now(api::settings::change)).configures().counted(Limit::Config).for_people(),
    // jobs
    get("/api/v1/jobs/{id}", Now(api::jobs::get)).of_jails(OfJails::None),
    delete("/api/v1/jobs/{id}", Now(api::jobs::cancel)).bans().of_jails(OfJails::None),
    // jails
    get("/api/v1/jails", Either(api::jails::list)).asks_daemon().takes(PARAMETERS).of_jails(OfJails::Seen),
    post("/api/v1/jails/reload-all", Later(api::jails::reload_all)).jails().long(Long::OnDemand),
    get("/api/v1/jails/{name}", Either(api::jails::detail)).asks_daemon(),
    post("/api/v1/jails/{name}/start", Later(api::jails::start)).jails(),
    post("/api/v1/jails/{name}/stop", Later(api::jails::stop)).jails(),
    post("/api/v1/jails/{name}/idle", Now(api::jails::idle)).may(Scope::Jails, Role::Operator).asks_daemon(),
    post("/api/v1/jails/{name}/pause", Now(api::jails::pause)).may(Scope::Jails, Role::Operator).asks_daemon(),
    post("/api/v1/jails/{name}/resume", Now(api::jails::resume)).may(Scope::Jails, Role::Operator).asks_daemon(),
    post("/api/v1/jails/{name}/reload", Later(api::jails::reload)).jails(),
    get("/api/v1/jails/{name}/check", Now(api::protection::jail)),
    post("/api/v1/jails/{name}/prove", Later(api::protection::prove)).bans().counted(Limit::Ban).takes(&["dry_run"]),
    get("/api/v1/jails/{name}/ignoreip", Now(api::jails::ignore_list)).asks_daemon().takes(PARAMETERS),
    post("/api/v1/jails/{name}/ignoreip", Later(api::jails::add_ignore)).jails().asks_daemon(),
    delete("/api/v1/jails/{name}/ignoreip", Later(api::jails::remove_ignore)).jails().asks_daemon().takes(&["ip"]),
    post("/api/v1/jails/{name}/ignoreself", Later(api::jails::ignore_self)).jails().asks_daemon(),
    get("/api/v1/jails/{name}/banned", Either(api::banned::of_jail))
        .takes(&["page", "page_size", "search", "q", "sort", "country"])
        .made_of(Sources::Bans)
        .csv_of("items", BAN),
    // blocklists
    get("/api/v1/blocklists", Now(api::blocklists::list)).takes(PARAMETERS),
    post("/api/v1/blocklists", Now(api::blocklists::create)).configures(),
    post("/api/v1/blocklists/preview", Later(api::blocklists::preview_url)).configures().counted(Limit::Preview),
    post("/api/v1/blocklists/import", Later(api::imports::import))
        .configures()
        .counted(Limit::Import)
        .long(Long::OnDemand),
    get("/api/v1/blocklists/import", Now(api::imports::progress)),
    get("/api/v1/blocklists/schedule", Now(api::imports::schedule_info)),
    put("/api/v1/blocklists/schedule", Now(api::imports::change_schedule)).configures(),
    get("/api/v1/blocklists/log", Either(api::imports::log))
        .takes(&["source_id", "page", "page_size", "cursor", "sort", "q"])
        .csv_of("items", IMPORT),
    get("/api/v1/blocklists/{source_id}", Now(api::blocklists::get)),
    put("/api/v1/blocklists/{source_id}", Now(api::blocklists::change)).configures(),
    delete("/api/v1/blocklists/{source_id}", Later(api::blocklists::remove)).configures(),
    get("/api/v1/blocklists/{source_id}/preview", Later(api::blocklists::preview)).configures(),
    // history
    get("/api/v1/history", Either(api::history::list))
        .takes(&[
            "range",
            "from",
            "to",
            "jail",
            "ip",
            "country",
            "q",
            "user",
            "origin",
            "source",
            "page",
            "page_size",
            "cursor",
            "sort",
        ])
        .made_of(Sources::Database)
        .csv_of("items", PAST_BAN),
    get("/api/v1/history/archive", Either(api::history::archive))
        .takes(&[
            "range",
            "from",
            "to",
            "jail",
            "ip",
            "country",
            "q",
            "user",
            "origin",
            "page",
            "page_size",
            "cursor",
            "sort",
        ])
        .made_of(Sources::Database)
        .csv_of("items", PAST_BAN),
    get("/api/v1/history/repeaters", Either(api::repeaters::list))
        .takes(&["by", "range", "from", "to", "origin", "page", "page_size"])
        .made_of(Sources::Database)
        .csv_of("items", REPEATER),
    get("/api/v1/history/{ip}", Either(api::history::of_ip)),
    // geo
    get("/api/v1/geo/lookup/{ip}", Either(api::geo::look_up)).asks_daemon(),
    get("/api/v1/geo/stats", Now(api::geo::stats)),
    post("/api/v1/geo/re-resolve", Now(api::geo::re_resolve)).configures(),
    // server
    get("/api/v1/server/settings", Now(api::server::settings)).asks_daemon(),
    put("/api/v1/server/settings", Now(api::server::change_settings)).configures().asks_daemon(),
    post("/api/v1/server/flush-logs", Now(api::server::flush_logs)).configures().asks_daemon(),
    // config
    post("/api/v1/config/reload", Later(api::config::reload)).configures().long(Long::OnDemand),
    post("/api/v1/config/restart", Either(api::config::restart_daemon)).configures().long(Long::OnDemand),
    get("/api/v1/config/service-status", Either(api::config::service_status)).asks_daemon(),
    get("/api/v1/config/global", Now(api::config::global)).asks_daemon(),
    put("/api/v1/config/global", Either(api::config::change_global)).configures().asks_daemon().counted(Limit::Config),
    post("/api/v1/config/regex-test", Later(api::regex::test)).reads_config().large(),
    post("/api/v1/config/preview-log", Later(api::regex::preview)).reads_config(),
    get("/api/v1/config/fail2ban-log", Later(api::logs::fail2ban_log))
        .reads_config()
        .asks_daemon()
        .takes(&["lines", "filter"])
        .csv_of("lines", &[]),
    get("/api/v1/config/changes", Either(api::changes::list)).reads_config().takes(PARAMETERS).csv_of("items", CHANGE),
    get("/api/v1/config/changes/{id}", Later(api::changes::detail)).reads_config(),
    post("/api/v1/config/changes/{id}/undo", Later(api::changes::undo))
        .configures()
        .long(Long::OnDemand)
        .counted(Limit::Config),
    // filters and actions
    get("/api/v1/config/filters", Either(api::filters::list)).reads_config().takes(PARAMETERS),
    post("/api/v1/config/filters", Later(api::filters::create)).configures().large().counted(Limit::Config),
    get("/api/v1/config/filters/{name}", Later(api::filters::detail)).reads_config(),
    put("/api/v1/config/filters/{name}", Later(api::filters::update)).configures().large().counted(Limit::Config),
    delete("/api/v1/config/filters/{name}", Later(api::filters::delete)).configures().counted(Limit::Config),
    post("/api/v1/config/filters/{name}/test", Later(api::filters::test)).reads_config().large(),
    get("/api/v1/config/actions", Either(api::actions::list)).reads_commands().takes(PARAMETERS),
    post("/api/v1/config/actions", Later(api::actions::create))
        .may(Scope::Actions, Role::Admin)
        .large()
        .counted(Limit::Config),
    get("/api/v1/config/actions/{name}", Later(api::actions::detail)).reads_commands(),
    put("/api/v1/config/actions/{name}", Later(api::actions::update))
        .may(Scope::Actions, Role::Admin)
        .large()
        .counted(Limit::Config),
    delete("/api/v1/config/actions/{name}", Later(api::actions::delete))
        .may(Scope::Actions, Role::Admin)
        .counted(Limit::Config),
    get("/api/v1/config/map-color-thresholds", Now(api::map::thresholds)),
    put("/api/v1/config/map-color-thresholds", Now(api::map::change_thresholds)).configures().counted(Limit::Config),
    // jail_config
    get("/api/v1/config/default", Later(api::config_default::show)).reads_commands(),
    put("/api/v1/config/default", Later(api::config_default::change))
        .configures()
        .large()
        .asks_daemon()
        .counted(Limit::Config),
    get("/api/v1/config/jails", Either(api::jail_config::list)).asks_daemon().takes(PARAMETERS).reads_commands(),
    post("/api/v1/config/jails", Later(api::jail_config::create))
        .configures()
        .asks_daemon()
        .counted(Limit::Config)
        .large(),
    get("/api/v1/config/jails/{name}", Later(api::jail_config::detail)).asks_daemon().reads_commands(),
    put("/api/v1/config/jails/{name}", Later(api::jail_config::update))
        .configures()
        .asks_daemon()
        .counted(Limit::Config)
        .large(),
    delete("/api/v1/config/jails/{name}", Later(api::jail_config::delete))
        .configures()
        .asks_daemon()
        .counted(Limit::Config),
    post("/api/v1/config/jails/{name}/commit", Later(api::jail_config::commit))
        .configures()
        .long(Long::OnDemand)
        .asks_daemon()
        .counted(Limit::Config),
    post("/api/v1/config/jails/{name}/rollback", Later(api::jail_config::rollback)).configures().asks_daemon(),
    get("/api/v1/config/jails/{name}/rollback", Later(api::jail_config::rollback)).configures().asks_daemon().changes(),
    get("/api/v1/config/jails/{name}/files", Later(api::jail_config::files))
        .reads_commands()
        .asks_daemon()
        .takes(PARAMETERS),
];

/// What a method and a path lead to.
#[derive(Debug)]
pub enum Found<'p> {
    /// A route, and the segments its parameters stand for, as sent.
    Route(&'static Route, Vec<&'p str>),
    /// The path exists, the method does not; those that do.
    OtherMethods(Vec<&'static str>),
    /// No such path.
    Nothing,
}

/// Looks a request up. `path` is without the base path.
pub fn find<'p>(method: &Method, path: &'p str) -> Found<'p> {
    let verb = match method {
        Method::Get | Method::Head => Some(Verb::Get),
        Method::Post => Some(Verb::Post),
        Method::Put => Some(Verb::Put),
        Method::Delete => Some(Verb::Delete),
        _ => None,
    };
    let mut others = Vec::new();
    let mut literal_only = false;
    for route in ROUTES {
        let Some(parameters) = parameters(route.path, path) else { continue };
        // What a literal names is not also what a parameter could stand for: /jails/reload-all is no jail.
        if literal_only && !parameters.is_empty() {
            continue;
        }
        literal_only |= parameters.is_empty();
        let is_changing_head = *method == Method::Head && route.changes;
        if verb == Some(route.method) && !is_changing_head {
            return Found::Route(route, parameters);
        }
        others.push(route.method.as_str());
        if route.method == Verb::Get && !route.changes {
            others.push("HEAD");
        }
    }
    if others.is_empty() { Found::Nothing } else { Found::OtherMethods(others) }
}

/// The segments of `path` where `pattern` has parameters; `None` when they do not match.
fn parameters<'p>(pattern: &str, path: &'p str) -> Option<Vec<&'p str>> {
    let mut found = Vec::new();
    let mut segments = path.split('/');
    for expected in pattern.split('/') {
        let segment = segments.next()?;
        if expected.starts_with('{') {
            if segment.is_empty() || segment == "." || segment == ".." {
                return None;
            }
            found.push(segment);
        } else if expected != segment {
            return None;
        }
    }
    segments.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;

    #[test]
    fn every_route_reaches_itself() {
        for route in ROUTES {
            let path = route
                .path
                .replace("{name}", "x")
                .replace("{ip}", "192.0.2.1")
                .replace("{source_id}", "7")
                .replace("{id}", "7");
            let method = Method::from_str(route.method.as_str()).unwrap();
            match find(&method, &path) {
                Found::Route(found, _) => assert!(std::ptr::eq(found, route), "{path} reaches {}", found.path),
                other => panic!("{path}: {other:?}"),
            }
        }
    }

    #[test]
    fn every_route_that_changes_something_needs_more_than_looking() {
        // What concerns oneself.
        let is_own = |path: &str| path.starts_with("/api/v1/auth/") || path == "/api/v1/setup";
        for route in ROUTES {
            let name = format!("{} {}", route.method.as_str(), route.path);
            if route.changes && !is_own(route.path) {
                assert!(route.scope > Scope::Read, "{name} needs a scope");
                let only_tries = ["/regex-test", "/preview-log", "/test"].iter().any(|end| route.path.ends_with(end));
                assert!(only_tries || route.role > Role::Viewer, "{name} needs a role");
            }
            // What a program may not have been given stays with people who may do everything.
            if route.scope >= Scope::Config && route.changes && route.role < Role::Admin {
                assert!(["/regex-test", "/preview-log", "/test"].iter().any(|end| route.path.ends_with(end)), "{name}");
            }
        }
    }

    #[test]
    fn the_public_routes_are_these() {
        let public: Vec<_> = ROUTES
            .iter()
            .filter(|route| !matches!(route.access, Access::Session | Access::SessionAlways | Access::Metrics))
            .map(|route| (route.method.as_str(), route.path))
            .collect();
        assert_eq!(
            public,
            [
                ("GET", "/api/v1/health"),
                ("GET", "/api/v1/meta"),
                ("GET", "/api/v1/openapi.json"),
                ("GET", "/api/v1/config/security-headers"),
                ("POST", "/api/v1/auth/login"),
                ("POST", "/api/v1/auth/challenge"),
                ("GET", "/api/v1/setup"),
                ("POST", "/api/v1/setup"),
                ("GET", "/api/v1/setup/timezone"),
            ]
        );
    }

    #[test]
    fn the_table_and_the_specification_name_the_same_operations() {
        let specification: serde_json::Value = serde_json::from_str(include_str!("../openapi.json")).unwrap();
        let paths = specification["paths"].as_object().unwrap();
        for route in ROUTES {
            let operation = &paths[route.path][route.method.as_str().to_ascii_lowercase()];
            assert!(operation.is_object(), "{} {} is not in openapi.json", route.method.as_str(), route.path);
            let is_public = operation["security"].as_array().is_some_and(Vec::is_empty);
            let open = !matches!(route.access, Access::Session | Access::SessionAlways | Access::Metrics);
            assert_eq!(is_public, open, "{}", route.path);
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let in_query = parameters.filter(|parameter| parameter["in"] == "query");
            let described: Vec<&str> = in_query.filter_map(|parameter| parameter["name"].as_str()).collect();
            assert_eq!(described, route.takes, "{}", route.path);
            let answers = &operation["responses"];
            assert_eq!(answers["304"].is_object(), route.is_polled(), "{}: 304", route.path);
            assert_eq!(answers["200"]["headers"]["ETag"].is_object(), route.is_polled(), "{}: ETag", route.path);
            let csv = &answers["200"]["content"]["text/csv"];
            assert_eq!(csv.is_object(), route.csv.is_some(), "{}: CSV", route.path);
            let text = &answers["200"]["content"]["text/plain"];
            assert!(text.is_object() || route.text.is_none(), "{}: text", route.path);
        }
    }

    #[test]
    fn every_operation_is_named_and_summed_up_on_one_line() {
        let specification: serde_json::Value = serde_json::from_str(include_str!("../openapi.json")).unwrap();
        let mut names = std::collections::BTreeSet::new();
        for route in ROUTES {
            let operation = &specification["paths"][route.path][route.method.as_str().to_ascii_lowercase()];
            let summary = operation["summary"].as_str().unwrap_or_default();
            assert!((10..=72).contains(&summary.len()) && !summary.ends_with('.'), "{}: {summary:?}", route.path);
            let name = operation["operationId"].as_str().unwrap_or_default();
            assert!(!name.is_empty() && names.insert(name), "{}: {name:?}", route.path);
            let takes_csrf = operation["parameters"]
                .as_array()
                .is_some_and(|all| all.iter().any(|one| one["$ref"] == "#/components/parameters/Csrf"));
            let wants_csrf = route.changes && matches!(route.access, Access::Session | Access::SessionAlways);
            assert_eq!(takes_csrf, wants_csrf, "{} {}", route.method.as_str(), route.path);
        }
    }

    #[test]
    fn paths_that_only_look_alike_are_not_found() {
        for path in [
            "/",
            "",
            "//api/v1/health",
            "/api/v1/health/",
            "/api/v1/../v1/health",
            "/API/v1/health",
            "/api/v1/jails/",
            "/api/v1/jails/..",
            "/api/v1/health;x=y",
            "/api/v1%2fhealth",
        ] {
            assert!(matches!(find(&Method::Get, path), Found::Nothing), "{path}");
        }
    }

    #[test]
    fn other_methods_are_named() {
        match find(&Method::Patch, "/api/v1/bans") {
            Found::OtherMethods(methods) => assert_eq!(methods, ["POST", "DELETE"]),
            other => panic!("{other:?}"),
        }
        match find(&Method::Get, "/api/v1/jails/reload-all") {
            Found::OtherMethods(methods) => assert_eq!(methods, ["POST"]),
            other => panic!("{other:?}"),
        }
        assert!(matches!(find(&Method::Head, "/api/v1/health"), Found::Route(..)));
    }
}

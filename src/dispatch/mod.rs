//! The whole chain a request passes, on one screen: `admit` on its head, `handle` once its body is there, `finish`
//! on every answer.

pub mod client;
pub(crate) mod dress;
mod identity;
mod permission;

use std::net::IpAddr;
use std::time::Instant;

use tiny_http::Method;

use crate::app::acting::Acting;
use crate::app::code::Code;
use crate::app::dry_run;
use crate::app::error::ApiError;
use crate::app::input::Query;
use crate::app::limits::Key;
use crate::app::request::{Access, BODY_WITHOUT_SESSION, Limit, Refused, Route, decode_parameters};
use crate::app::session::{CSRF_HEADER, clear_cookie, known_device, token_hash};
use crate::app::{Admitted, Ctx, Handler, Outcome, Request};
use crate::domain::audit::What;
use crate::domain::permission::Scope;
use crate::domain::quota::Quota;
use crate::domain::time;
use crate::page;
use crate::routes::{self, Found};
use crate::server::accepts::Accepts;
use crate::server::request::{Framing, Head, Peer};
use crate::server::response::Response;
use crate::store::Counter;

/// Judges a request by its head: may it go on, and with how long a body? The facts that are known go with the
/// judgement either way, for the log and the answer's headers.
pub fn admit(ctx: &mut Ctx, head: &Head, peer: Peer) -> (Admitted, Result<usize, ApiError>) {
    let mut admitted = introduce(ctx, head, peer);
    let limit = judge(ctx, head, &mut admitted);
    admitted.seed =
        ctx.number(&(identity::known_by(&admitted), admitted.role(), admitted.jails(), head.path(), head.query()));
    (admitted, limit)
}

/// The chain, in its order; who the client is, is known already. What a later step needs, an earlier one has found out, and what costs
/// more comes behind what costs less.
fn judge(ctx: &mut Ctx, head: &Head, admitted: &mut Admitted) -> Result<usize, ApiError> {
    // Rules of access have their place here: before anything is looked up. The page is the same for everybody and says nothing of this
    // machine; under whatever name it was reached, it can say what the API makes of that name.
    let own_path = client::own_path(&ctx.config.base_path, head.path());
    if ctx.config.ui {
        admitted.page = page::find(&head.method, &ctx.config.base_path, head.path(), own_path);
        if admitted.page.is_some() {
            return Ok(0);
        }
    }
    check_host(ctx, head)?;
    if head.method == Method::Options && admitted.cors_origin.is_some() {
        return Ok(0);
    }
    let found = routes::find(&head.method, own_path);
    let by_cookie = identity::recognise(ctx, head, admitted)?;
    // Clients that are banned from this server for a while have theirs here: none with an identity is.
    if !matches!(&found, Found::Route(route, _) if route.access == Access::Unlimited) {
        count_request(ctx, head, admitted)?;
    }
    let (route, segments) = take_route(found, head, admitted)?;
    check_setup(ctx, route, admitted)?;
    let is_identified = check_identity(ctx, route, admitted)?;
    admitted.parameters = decode_parameters(&segments)?;
    if is_identified {
        identity::note_use(ctx, admitted);
        permission::check(route, admitted)?;
    }
    check_read_only(ctx, route)?;
    check_csrf(head, route, by_cookie)?;
    check_query(head, route)?;
    if let Some(limit) = route.limit {
        count_change(ctx, limit, admitted)?;
    }
    body_limit(head, route, admitted)
}

/// 400 for a parameter that the route does not take. Every write of the configuration takes `dry_run`.
fn check_query(head: &Head, route: &Route) -> Result<(), ApiError> {
    if !route.takes_dry_run() {
        return Query(head.query()).only(route.takes);
    }
    Query(head.query()).only(&[route.takes, &["dry_run"]].concat())?;
    Query(head.query()).get::<bool>("dry_run").map(drop)
}

/// The route, which the log knows from here on even when its parameters are not fine; 404 and 405 where there is none.
fn take_route<'p>(
    found: Found<'p>,
    head: &Head,
    admitted: &mut Admitted,
) -> Result<(&'static Route, Vec<&'p str>), ApiError> {
    match found {
        Found::Route(route, segments) => {
            admitted.route = Some(route);
            Ok((route, segments))
        }
        Found::OtherMethods(methods) => {
            let allow = methods.join(", ");
            let detail = format!("This path does not take {}; it takes {allow}.", head.method);
            Err(ApiError::new(Code::MethodNotAllowed, detail).with("allowed", methods).with_header("allow", allow))
        }
        Found::Nothing => {
            admitted.unknown_path = shown_path(head.path());
            Err(ApiError::new(Code::NotFound, "There is no such path; GET /api/v1/openapi.json lists those there are."))
        }
    }
}

fn check_setup(ctx: &Ctx, route: &Route, admitted: &Admitted) -> Result<(), ApiError> {
    if !needs_setup(route.access) || ctx.is_set_up() || admitted.is_console {
        return Ok(());
    }
    Err(ApiError::new(
        Code::SetupRequired,
        "Setup is not complete. Set a master password first, with POST /api/v1/setup or the command bangui setup.",
    ))
}

/// 401 for whoever is nobody where somebody is needed. Says whether an identity is what opens the route.
fn check_identity(ctx: &mut Ctx, route: &Route, admitted: &Admitted) -> Result<bool, ApiError> {
    if !needs_session(route.access) || identity::may_scrape(ctx, route, admitted) {
        return Ok(false);
    }
    match &admitted.refused {
        Some(refused) => {
            let name = if let Refused::FromHere(name) = refused { name } else { "" };
            ctx.note_refusal(What::TokenRefused, admitted, name);
            Err(permission::refused(refused, admitted))
        }
        None if admitted.has_identity() => Ok(true),
        None => Err(unauthenticated(ctx, route, admitted)),
    }
}

/// How long the body may be; 413 where it says that it is longer.
fn body_limit(head: &Head, route: &Route, admitted: &Admitted) -> Result<usize, ApiError> {
    let limit = if admitted.has_identity() { route.body_limit } else { route.body_limit.min(BODY_WITHOUT_SESSION) };
    // A GET with a body is legal and meaningless: a little of it is read and ignored.
    let limit = if limit == 0 { 1024 } else { limit };
    if matches!(head.framing, Framing::Length(length) if length > limit as u64) {
        return Err(ApiError::new(
            Code::PayloadTooLarge,
            format!("The body is too large: this request takes at most {limit} bytes."),
        ));
    }
    Ok(limit)
}

/// What is known of a request that cannot be understood: where it came from.
pub fn stranger(ctx: &mut Ctx, peer: Peer) -> Admitted {
    let client = client::unparsed(ctx, peer);
    Admitted {
        route: None,
        page: None,
        unknown_path: "-".to_owned(),
        parameters: Vec::new(),
        client,
        session: None,
        token: None,
        refused: None,
        is_console: peer == Peer::Console,
        is_https: false,
        prefers_async: false,
        request_id: ctx.request_ids.make(),
        quota: Quota::NONE,
        cors_origin: None,
        accepts: Accepts::default(),
        seed: 0,
        state: None,
        started: Instant::now(),
    }
}

/// Who asks: the client's address, how it came, and under which name the request is logged.
fn introduce(ctx: &mut Ctx, head: &Head, peer: Peer) -> Admitted {
    let (client, is_https) = client::identify(ctx, head, peer);
    let given_id = head.header("x-request-id").filter(|id| is_request_id(id)).map(str::to_owned);
    let origin = head.header("origin").map(str::to_ascii_lowercase);
    let mut admitted = stranger(ctx, peer);
    admitted.client = client;
    admitted.is_https = is_https;
    admitted.accepts = Accepts::of(head);
    admitted.prefers_async = head
        .header("prefer")
        .is_some_and(|value| value.split([',', ';']).any(|one| one.trim().eq_ignore_ascii_case("respond-async")));
    admitted.cors_origin = origin.filter(|origin| ctx.config.cors_origins.contains(origin));
    if let Some(id) = given_id {
        admitted.request_id = id;
    }
    admitted
}

fn is_request_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// 421 unless the Host header names this machine: an attacker's page cannot reach us under a name of its own (DNS rebinding).
fn check_host(ctx: &Ctx, head: &Head) -> Result<(), ApiError> {
    let Some(host) = head.all("host").next() else { return Ok(()) };
    let host = std::str::from_utf8(host).map_err(|_| unknown_host())?;
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let own = &ctx.host_name;
    let is_own = !own.is_empty() && (name == *own || name.strip_suffix(".local") == Some(own));
    if bare.parse::<IpAddr>().is_ok() || name == "localhost" || is_own || ctx.config.allowed_hosts.contains(&name) {
        return Ok(());
    }
    Err(unknown_host())
}

fn unknown_host() -> ApiError {
    ApiError::new(
        Code::UnknownHost,
        "The Host header names a machine this server does not know. If the name is yours, add it to --allowed-hosts (BANGUI_ALLOWED_HOSTS).",
    )
}

fn needs_setup(access: Access) -> bool {
    access == Access::AfterSetup || needs_session(access)
}

fn needs_session(access: Access) -> bool {
    matches!(access, Access::Session | Access::SessionAlways | Access::Metrics)
}

/// 401; a logout clears the cookie all the same.
fn unauthenticated(ctx: &Ctx, route: &Route, admitted: &Admitted) -> ApiError {
    let error = ApiError::authentication_required();
    if route.access == Access::SessionAlways {
        return error.with_header("set-cookie", clear_cookie(ctx, admitted));
    }
    error
}

fn count_request(ctx: &mut Ctx, head: &Head, admitted: &mut Admitted) -> Result<(), ApiError> {
    if admitted.is_console {
        return Ok(());
    }
    let (key, limit) = match identity::known_by(admitted) {
        Some(hash) => (Key::Session(hash), ctx.config.rate_session),
        None => {
            let device = known_device(ctx, head)?.map(|device| Key::Device(token_hash(device)));
            (device.unwrap_or(Key::Anonymous(admitted.client.key())), ctx.config.rate_anonymous)
        }
    };
    let (name, setting) = match key {
        Key::Session(_) => ("session", "BANGUI_RATE_LIMIT_SESSION"),
        _ => ("anonymous", "BANGUI_RATE_LIMIT_ANONYMOUS"),
    };
    let counted = ctx.limits.count(key, limit, admitted.started);
    stand(admitted, counted, limit, name, setting)
}

/// Notes where the client stands with a limit; 429 where the limit is reached.
fn stand(
    admitted: &mut Admitted,
    counted: Result<Quota, i64>,
    limit: u32,
    name: &'static str,
    setting: &'static str,
) -> Result<(), ApiError> {
    let quota = counted.unwrap_or_else(|reset| Quota { limit, left: 0, reset: reset.max(1) });
    admitted.quota = admitted.quota.tighter(quota);
    let Err(seconds) = counted else { return Ok(()) };
    admitted.quota = quota;
    let what = match name {
        "ban" => "bans and unbans",
        "config" => "changes of the configuration",
        "import" => "imports",
        "preview" => "looks at lists",
        _ => "requests",
    };
    let window = if ["import", "preview"].contains(&name) { "an hour" } else { "a minute" };
    let detail = format!("Too many {what}: {limit} {window} are allowed ({setting}).");
    Err(ApiError::rate_limited(seconds, detail).with("limit", name).with("setting", setting))
}

/// Read-only mode refuses what changes something, but for the login and what concerns the session itself.
fn check_read_only(ctx: &Ctx, route: &Route) -> Result<(), ApiError> {
    let is_own = matches!(route.access, Access::AfterSetup | Access::SessionAlways);
    if route.changes && ctx.config.read_only && !is_own { Err(read_only()) } else { Ok(()) }
}

/// A change that a cookie speaks for carries the header that no page of another origin can send.
fn check_csrf(head: &Head, route: &Route, by_cookie: bool) -> Result<(), ApiError> {
    let (name, value) = CSRF_HEADER;
    let is_needed = route.changes && needs_session(route.access) && by_cookie;
    if !is_needed || head.header("x-bangui-request") == Some(value) {
        return Ok(());
    }
    Err(ApiError::new(Code::CsrfHeaderRequired, format!("Send the header {name}: {value} with changes.")))
}

fn read_only() -> ApiError {
    ApiError::new(Code::ReadOnly, "This server is read-only: BANGUI_READ_ONLY is set.")
}

/// How many lists may be looked at for each import that is allowed: several are compared before one is chosen.
const PREVIEWS_OF_AN_IMPORT: u32 = 5;

fn count_change(ctx: &mut Ctx, limit: Limit, admitted: &mut Admitted) -> Result<(), ApiError> {
    if admitted.is_console {
        return Ok(());
    }
    let (most, name, setting) = match limit {
        Limit::Ban => (ctx.config.rate_ban, "ban", "BANGUI_RATE_LIMIT_BAN"),
        Limit::Import => (ctx.config.rate_import, "import", "BANGUI_RATE_LIMIT_IMPORT"),
        Limit::Preview => {
            (ctx.config.rate_import.saturating_mul(PREVIEWS_OF_AN_IMPORT), "preview", "BANGUI_RATE_LIMIT_IMPORT")
        }
        Limit::Config => (ctx.config.rate_config, "config", "BANGUI_RATE_LIMIT_CONFIG"),
    };
    let counted = match (limit, identity::known_by(admitted)) {
        (Limit::Ban, _) => {
            let client = admitted.client.key();
            let counted = ctx.store.count(Counter::Ban, &client.to_string(), most, time::now());
            // Nobody stays locked out because a disk is full.
            counted.unwrap_or_else(|_| ctx.limits.count(Key::Bans(client), most, admitted.started))
        }
        (Limit::Import, _) => {
            ctx.store.count(Counter::Import, &admitted.client.key().to_string(), most, time::now())?
        }
        (Limit::Preview, _) => {
            ctx.store.count(Counter::Preview, &admitted.client.key().to_string(), most, time::now())?
        }
        (Limit::Config, Some(hash)) => ctx.limits.count(Key::Config(hash), most, admitted.started),
        (Limit::Config, None) => Ok(Quota::NONE),
    };
    stand(admitted, counted, most, name, setting)
}

/// Runs the handler.
pub fn handle(ctx: &mut Ctx, request: &mut Request) -> Result<Outcome, ApiError> {
    if let Some(page) = request.admitted.page {
        let config = &ctx.config;
        return Ok(Outcome::Answer(page.answer(&request.head, &config.base_path, &config.frame_ancestors)));
    }
    let Some(route) = request.admitted.route else { return Ok(Outcome::Answer(preflight())) };
    ctx.dry_run = route.takes_dry_run() && request.query().get("dry_run").is_ok_and(|wanted| wanted == Some(true));
    ctx.holds_actions = request.admitted.holds(Scope::Actions);
    panic_if_told(request);
    let outcome = ctx.acting_as(request.admitted.acting(), |ctx| match route.handler {
        Handler::Now(handler) => handler(ctx, request).map(Outcome::Answer),
        Handler::Later(handler) => handler(ctx, request).map(|job| Outcome::Job(Box::new(job))),
        Handler::Either(handler) => handler(ctx, request),
    });
    let outcome = match outcome {
        Ok(Outcome::Job(job)) if ctx.dry_run => Ok(Outcome::Job(Box::new(dry_run::of_job(*job)))),
        other => other,
    };
    ctx.dry_run = false;
    ctx.holds_actions = true;
    note_learned(ctx, outcome.as_ref().err());
    if let Ok(Outcome::Steps(_)) = outcome {
        return known_already(ctx, route, request).map_or(outcome, Ok);
    }
    outcome
}

/// What is told a client that has the answer already, where counters tell that nothing of it has changed: nobody makes it then. The
/// counters are of all jails: a key for some would learn from them that something happens in the others, and has no tag but one of what it is told.
fn known_already(ctx: &Ctx, route: &Route, request: &mut Request) -> Option<Outcome> {
    let is_counted = request.admitted.csv().is_none() && request.admitted.jails().is_none();
    let sources = route.sources.filter(|_| is_counted)?;
    let revision = ctx.revision(sources)?;
    let state = ctx.number(&(request.admitted.seed, revision));
    request.admitted.state = Some(state);
    request.admitted.accepts.has(&dress::tag(state)).then(|| Outcome::Answer(Response::not_modified()))
}

/// Runs what turns the outcome of a task into an answer, or the next step of an answer, in the name of who wanted it.
pub fn go_on<T>(ctx: &mut Ctx, who: Acting, work: impl FnOnce(&mut Ctx) -> Result<T, ApiError>) -> Result<T, ApiError> {
    let result = ctx.acting_as(who, work);
    note_learned(ctx, result.as_ref().err());
    result
}

/// What an answer has shown is for the health check, too: that our database fails, or that the daemon is gone or back.
fn note_learned(ctx: &mut Ctx, error: Option<&ApiError>) {
    ctx.storage_fails |= error.is_some_and(|error| error.code == Code::StorageUnavailable);
    ctx.heed_daemon();
}

/// A fault of ours on demand, in a debug build only: no request is known that makes one.
fn panic_if_told(request: &Request) {
    if cfg!(debug_assertions)
        && request.head.header("x-bangui-panic").is_some()
        && std::env::var_os("BANGUI_PANICS").is_some()
    {
        panic!("told to");
    }
}

fn preflight() -> Response {
    Response::no_content()
        .with("access-control-allow-methods", "GET, HEAD, POST, PUT, DELETE")
        .with("access-control-allow-headers", "authorization, content-type, x-bangui-request, x-request-id")
        .with("access-control-max-age", "600")
}

/// What the texts of failures call it.
const OUR_DATABASE: &str = "bangui's own database";

/// What a page of another origin may read of an answer's headers.
const EXPOSED: &str = "ETag, X-Request-ID, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset";

/// Says where our database lies, to whoever may know it, where that is what fails.
fn where_stored(ctx: &Ctx, admitted: &Admitted, mut error: ApiError) -> ApiError {
    if error.code == Code::StorageUnavailable && (admitted.has_identity() || admitted.is_console) {
        let named = format!("{OUR_DATABASE} {}", ctx.store.path().display());
        error.detail = error.detail.replacen(OUR_DATABASE, &named, 1);
    }
    error
}

/// Adds what every answer carries and writes the request's line in the log: method, route, status, code, time, client.
pub fn finish(ctx: &mut Ctx, method: &Method, admitted: &Admitted, result: Result<Response, ApiError>) -> Response {
    let (mut response, code) = match result {
        Ok(response) => (response, ""),
        Err(error) => {
            let error = where_stored(ctx, admitted, error).of_request(&admitted.request_id);
            if let Some(cause) = &error.cause {
                log::warn!("{} {cause}", admitted.request_id);
            }
            (error.response(), error.code.as_str())
        }
    };
    response.headers.push(("x-request-id", admitted.request_id.clone()));
    let quota = admitted.quota;
    if quota.limit > 0 {
        response.headers.push(("x-ratelimit-limit", quota.limit.to_string()));
        response.headers.push(("x-ratelimit-remaining", quota.left.to_string()));
        response.headers.push(("x-ratelimit-reset", quota.reset.to_string()));
    }
    if let Some(origin) = &admitted.cors_origin {
        response.headers.push(("access-control-expose-headers", EXPOSED.to_owned()));
        response.headers.push(("access-control-allow-origin", origin.clone()));
        response.headers.push(("access-control-allow-credentials", "true".to_owned()));
        response.headers.push(("vary", "origin".to_owned()));
    }
    match (admitted.route, admitted.page) {
        (Some(route), _) => dress::dress(ctx, admitted, route, &mut response),
        // What a file of the page says is with it.
        (None, Some(_)) if matches!(response.status.0, 200 | 304) => {}
        (None, _) => response.headers.push(("cache-control", "no-store".to_owned())),
    }
    let is_probe = admitted.page.is_some() || admitted.route.is_some_and(|route| route.access == Access::Unlimited);
    let level = if is_probe { log::Level::Debug } else { log::Level::Info };
    if log::log_enabled!(level) {
        let pattern = admitted.route.map_or(admitted.unknown_path.as_str(), |route| route.path);
        let took = admitted.started.elapsed().as_secs_f64() * 1000.0;
        let (status, client, id) = (response.status.0, admitted.client, &admitted.request_id);
        log::log!(level, "{id} {method} {pattern} {status} {code} {took:.1}ms {client}");
    }
    response
}

/// How much of a path that leads nowhere is logged, in bytes.
const SHOWN_PATH: usize = 100;

/// A path from outside as one word of the log.
fn shown_path(path: &str) -> String {
    let byte = |byte: u8| if byte.is_ascii_graphic() { char::from(byte) } else { '?' };
    let shown: String = path.bytes().take(SHOWN_PATH).map(byte).collect();
    if path.len() > SHOWN_PATH { shown + "..." } else { shown }
}

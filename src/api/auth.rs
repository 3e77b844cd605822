//! Login, session, logout. A password is compared in a child; a token is known here only while it is made.

use serde_json::{Value, json};

use crate::app::code::Code;
use crate::app::session::{
    COOKIE, DEVICE_BYTES, DEVICE_COOKIE, TOKEN_BYTES, clear_cookie, cookie, cookies, known_device, log_failure,
    random_token, token_hash,
};
use crate::app::{Admitted, ApiError, Ctx, Job, Request};
use crate::domain::actor::OWNER;
use crate::domain::client::Client;
use crate::domain::hex::hex;
use crate::domain::notification::Event;
use crate::domain::time;
use crate::jobs::{Task, password};
use crate::server::response::Response;
use crate::store::devices::DEVICE_SECONDS;
use crate::store::{Ended, Login, TokenHash};

/// The longest password that is looked at, in bytes: anything longer is no password of ours.
const LONGEST_PASSWORD: usize = 256;
/// How long a session lasts that is to be remembered, and the most that one is lengthened to, from its login, in seconds: 30 days.
const LONGEST_SESSION: i64 = 30 * 24 * 3600;

/// `POST /api/v1/auth/login`
pub fn login(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let mut fields = request.fields()?;
    let password: Option<String> = fields.required("password");
    let name: Option<String> = fields.optional("username");
    let wish = Wish {
        remember: fields.optional("remember").unwrap_or(false),
        return_token: fields.optional("return_token").unwrap_or(false),
    };
    if let Some(password) = &password {
        fields.check(
            !password.is_empty() && password.chars().count() <= LONGEST_PASSWORD,
            "password",
            "length",
            "A password must be 1 to 256 characters long.",
        );
    }
    fields.finish()?;
    let Some(of_owner) = ctx.stored.password_hash.clone() else { return Err(ApiError::internal("no password is set")) };
    let name = name.unwrap_or_else(|| OWNER.to_owned());
    let row = ctx.store.user(&name)?;
    // A name that nobody has takes as long as a wrong password and is answered like one.
    let hash = row.as_ref().map_or(of_owner, |row| row.password_hash.clone());
    let who = Attempt::of(ctx, request)?;
    if let Login::Wait(seconds) = ctx.store.may_log_in(&who.budget, who.is_known, time::now())? {
        log_failure(request.admitted.client, "too many attempts");
        return Err(ApiError::rate_limited(seconds, "Too many failed logins.").with("limit", "login"));
    }
    let secret = password::secret_form(&password.unwrap_or_default());
    let task = Task::VerifyPassword(password::Verify { secret, hash: hash.clone() });
    let admitted = request.admitted.clone();
    let urgent = who.is_known;
    let mut job = Job::new(task, move |ctx, matches| {
        // The password may have been changed while the old one was being compared.
        let now = ctx.store.user(&name)?.filter(|row| row.password_hash == hash);
        let user = now.filter(|_| matches == Value::Bool(true)).map(|row| row.user.id);
        finish_login(ctx, &admitted, &who, wish, user)
    });
    job.urgent = urgent;
    Ok(job)
}

/// What is wanted of a session, beside that it is good.
#[derive(Clone, Copy)]
struct Wish {
    /// It lasts 30 days, where the settings do not have all of them last longer.
    remember: bool,
    /// Its token stands in the answer, too.
    return_token: bool,
}

/// Who tries to log in, as the limits see it.
struct Attempt {
    /// Whose failures it counts among.
    budget: String,
    /// Strangers' failures do not keep it out, and its password waits before theirs.
    is_known: bool,
    /// The device, where it has logged in before.
    device: Option<String>,
}

impl Attempt {
    fn of(ctx: &Ctx, request: &Request) -> Result<Attempt, ApiError> {
        let client = request.admitted.client;
        if let Some(device) = known_device(ctx, &request.head)? {
            let budget = format!("device {}", hex(&token_hash(device)));
            return Ok(Attempt { budget, is_known: true, device: Some(device.to_owned()) });
        }
        let budget = client.key().to_string();
        let has_session = client != Client::Unknown && ctx.store.has_session(&budget, time::now())?;
        Ok(Attempt { budget, is_known: has_session || client.is_this_machine(), device: None })
    }
}

fn finish_login(
    ctx: &mut Ctx,
    admitted: &Admitted,
    who: &Attempt,
    wish: Wish,
    user: Option<i64>,
) -> Result<Response, ApiError> {
    let Some(user) = user else {
        ctx.store.login_failed(&who.budget, time::now())?;
        log_failure(admitted.client, "wrong password");
        if let Login::Wait(seconds) = ctx.store.may_log_in(&who.budget, who.is_known, time::now())? {
            let line = format!("{} has failed to log in too often and has to wait {seconds} seconds.", admitted.client);
            ctx.tell(Event::LoginBlocked, &line);
        }
        return Err(ApiError::new(Code::AuthenticationRequired, "The password is wrong."));
    };
    let token = random_token(&mut [0; TOKEN_BYTES])?;
    let device = who.device.clone().map_or_else(|| random_token(&mut [0; DEVICE_BYTES]), Ok)?;
    let now = time::now();
    let seconds = if wish.remember { ctx.session_seconds().max(LONGEST_SESSION) } else { ctx.session_seconds() };
    ctx.store.login_succeeded(&who.budget)?;
    ctx.store.add_session(&token_hash(&token), user, &admitted.client.key().to_string(), now, now + seconds)?;
    ctx.store.remember_device(&token_hash(&device), now)?;
    ctx.tell(Event::Login, &format!("{} has logged in.", admitted.client));
    let mut body = json!({ "expires_at": time::rfc3339(now + seconds) });
    if wish.return_token {
        body["token"] = json!(token);
    }
    Ok(Response::json(200, &body)
        .with("set-cookie", cookie(ctx, admitted, COOKIE, &token, seconds))
        .with("set-cookie", cookie(ctx, admitted, DEVICE_COOKIE, &device, DEVICE_SECONDS)))
}

/// `GET /api/v1/auth/session`
pub fn session(_ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let session = request.admitted.session.as_ref().ok_or_else(ApiError::authentication_required)?;
    Ok(Response::json(200, &json!({ "valid": true, "expires_at": time::rfc3339(session.expires_at) })))
}

/// `POST /api/v1/auth/session`: the session lasts its time from now on, and at most 30 days from its login. It never becomes shorter.
pub fn prolong(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let session = request.admitted.session.as_ref().ok_or_else(ApiError::authentication_required)?;
    let now = time::now();
    let longest = session.created_at + LONGEST_SESSION;
    let expires_at = (now + ctx.session_seconds()).min(longest).max(session.expires_at);
    if expires_at > session.expires_at {
        ctx.store.prolong_session(&session.token_hash, expires_at)?;
    }
    let response = Response::json(200, &json!({ "valid": true, "expires_at": time::rfc3339(expires_at) }));
    // A browser forgets its cookie with the end that it was told.
    let sent = cookies(&request.head, COOKIE, TOKEN_BYTES).find(|token| token_hash(token) == session.token_hash);
    Ok(match sent {
        Some(token) => response.with("set-cookie", cookie(ctx, &request.admitted, COOKIE, token, expires_at - now)),
        None => response,
    })
}

/// `POST /api/v1/auth/logout`
pub fn logout(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let session = request.admitted.session.as_ref().ok_or_else(ApiError::authentication_required)?;
    let warning = end(ctx, &session.token_hash);
    let cookie = clear_cookie(ctx, &request.admitted);
    Ok(Response::json(200, &json!({ "message": "Logged out." })).with("set-cookie", cookie).warning(warning))
}

/// Ends a session, and says what may still come of it. It is over whether or not that can be written: the database is told again when it
/// takes writes.
pub(super) fn end(ctx: &mut Ctx, session: &TokenHash) -> &'static str {
    match ctx.store.end_session(session) {
        Ended::Noted => "",
        Ended::Aside(error) => {
            log::warn!("a session was ended; the database cannot note it yet, and a file beside it has: {error}");
            ctx.storage_fails = true;
            ""
        }
        Ended::Here(error) => {
            log::warn!("a session was ended, and nothing on the disk can note it yet: {error}");
            ctx.storage_fails = true;
            "The disk takes no changes at all: have it writable before the server restarts, or the session is known again."
        }
    }
}

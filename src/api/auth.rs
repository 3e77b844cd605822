//! Login, in one step or two, session, logout. A password is compared in a child; a token is known here only while it is made.

use serde_json::{Value, json};

use crate::app::challenges::{CHALLENGE_SECONDS, Challenge, Wish};
use crate::app::code::Code;
use crate::app::session::{
    COOKIE, DEVICE_BYTES, DEVICE_COOKIE, TOKEN_BYTES, clear_cookie, cookie, cookies, known_device, log_failure,
    random_token, token_hash,
};
use crate::app::{Admitted, ApiError, Ctx, Job, Request};
use crate::domain::actor::{Actor, OWNER};
use crate::domain::audit::{Entry, What};
use crate::domain::client::Client;
use crate::domain::hex::hex;
use crate::domain::notification::Event;
use crate::domain::time;
use crate::jobs::{Task, password};
use crate::server::response::Response;
use crate::services::second_factor;
use crate::store::devices::DEVICE_SECONDS;
use crate::store::{Ended, Login, TokenHash, User, UserRow};

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
        ctx.note_refusal(What::LoginBlocked, &request.admitted, row.as_ref().map_or("", |row| &row.user.name));
        return Err(ApiError::rate_limited(seconds, "Too many failed logins.").with("limit", "login"));
    }
    let secret = password::secret_form(&password.unwrap_or_default());
    let task = Task::VerifyPassword(password::Verify { secret, hash: hash.clone() });
    let admitted = request.admitted.clone();
    let urgent = who.is_known;
    let mut job = Job::new(task, move |ctx, matches| {
        // The password may have been changed while the old one was being compared.
        let now = ctx.store.user(&name)?;
        // A name that nobody has may be a password that was typed into the wrong field: it is told nowhere.
        let meant = now.as_ref().map(|row| row.user.name.clone()).unwrap_or_default();
        let now = now.filter(|row| row.password_hash == hash);
        let user = now.filter(|_| matches == Value::Bool(true)).map(|row| row.user);
        let Some(user) = user else { return Err(wrong_password(ctx, &admitted, &who, &meant)?) };
        if ctx.store.has_second_factor(user.id)? {
            return Err(challenged(ctx, &admitted, who, wish, user, hash)?);
        }
        open_session(ctx, &admitted, &who, wish, &user)
    });
    job.urgent = urgent;
    Ok(job)
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

/// Counts a wrong password, of this user where there is one; gives its 401.
fn wrong_password(ctx: &mut Ctx, admitted: &Admitted, who: &Attempt, meant: &str) -> Result<ApiError, ApiError> {
    ctx.store.login_failed(&who.budget, time::now())?;
    log_failure(admitted.client, "wrong password");
    ctx.note_refusal(What::LoginFailed, admitted, meant);
    if let Login::Wait(seconds) = ctx.store.may_log_in(&who.budget, who.is_known, time::now())? {
        let line = format!("{} has failed to log in too often and has to wait {seconds} seconds.", admitted.client);
        ctx.tell(Event::LoginBlocked, &line);
    }
    Ok(ApiError::new(Code::AuthenticationRequired, "The password is wrong."))
}

/// Remembers that the password was right, for a code to complete the login; gives the 401 that asks for one. No failure is counted, and none
/// forgiven.
fn challenged(
    ctx: &mut Ctx,
    admitted: &Admitted,
    who: Attempt,
    wish: Wish,
    user: User,
    password_hash: String,
) -> Result<ApiError, ApiError> {
    let text = random_token(&mut [0; TOKEN_BYTES])?;
    let now = time::now();
    let challenge = Challenge {
        hash: token_hash(&text),
        user: user.id,
        name: user.name,
        password_hash,
        client: admitted.client.key(),
        budget: who.budget,
        device: who.device,
        wish,
        ends_at: now + CHALLENGE_SECONDS,
    };
    ctx.challenges.add(challenge, now);
    let detail = "The password is right. Send the code of your authenticator, or a recovery code, to POST /api/v1/auth/challenge.";
    Ok(ApiError::new(Code::MfaRequired, detail)
        .with("challenge", text)
        .with("expires_in", CHALLENGE_SECONDS)
        .with("methods", json!(["totp", "recovery_code"])))
}

/// `POST /api/v1/auth/challenge`: completes a login by a code.
pub fn challenge(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let mut fields = request.fields()?;
    let text: Option<String> = fields.required("challenge");
    let code: Option<String> = fields.required("code");
    fields.finish()?;
    let hash = token_hash(&text.unwrap_or_default());
    let admitted = &request.admitted;
    let waits = ctx.challenges.find(&hash, &admitted.client.key(), time::now()).cloned().ok_or_else(over)?;
    // The password may have been changed in between, and the user removed.
    let now = ctx.store.user(&waits.name)?;
    let is_same = |row: &UserRow| row.user.id == waits.user && row.password_hash == waits.password_hash;
    let user = now.filter(is_same).ok_or_else(over)?.user;
    second_factor::prove(ctx, &user, admitted.client, &code.unwrap_or_default())?;
    ctx.challenges.remove(&hash);
    let who = Attempt { budget: waits.budget, is_known: true, device: waits.device };
    open_session(ctx, admitted, &who, waits.wish, &user)
}

fn over() -> ApiError {
    let detail = "This login is over, or was begun elsewhere. Log in with the password again.";
    ApiError::new(Code::AuthenticationRequired, detail)
}

fn open_session(
    ctx: &mut Ctx,
    admitted: &Admitted,
    who: &Attempt,
    wish: Wish,
    user: &User,
) -> Result<Response, ApiError> {
    let token = random_token(&mut [0; TOKEN_BYTES])?;
    let device = who.device.clone().map_or_else(|| random_token(&mut [0; DEVICE_BYTES]), Ok)?;
    let now = time::now();
    let seconds = if wish.remember { ctx.session_seconds().max(LONGEST_SESSION) } else { ctx.session_seconds() };
    let client = admitted.client.key().to_string();
    ctx.noted(|ctx| {
        ctx.store.login_succeeded(&who.budget)?;
        ctx.store.add_session(&token_hash(&token), user.id, &client, now, now + seconds)?;
        ctx.store.remember_device(&token_hash(&device), now)?;
        Ok(((), Entry::new(What::Login, &user.name).by(Actor::User(user.name.clone()))))
    })?;
    ctx.tell(Event::Login, &format!("{} has logged in.", admitted.client));
    let mut body = json!({ "expires_at": time::rfc3339(now + seconds) });
    if wish.return_token {
        body["token"] = json!(token);
    }
    Ok(Response::json(200, &body)
        .with("set-cookie", cookie(ctx, admitted, COOKIE, &token, seconds))
        .with("set-cookie", cookie(ctx, admitted, DEVICE_COOKIE, &device, DEVICE_SECONDS)))
}

/// `GET /api/v1/auth/session`: of a token, too, which may have no end.
pub fn session(_ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let admitted = &request.admitted;
    let ends_at = match (&admitted.session, &admitted.token) {
        (Some(session), _) => Some(session.expires_at),
        (None, Some(token)) => token.may.expires_at,
        (None, None) => return Err(ApiError::authentication_required()),
    };
    Ok(Response::json(200, &json!({ "valid": true, "expires_at": ends_at.map(time::rfc3339) })))
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
    ctx.note(&Entry::new(What::Logout, &session.user.name));
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

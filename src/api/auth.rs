//! Login, session, logout. A password is compared in a child; a token is known here only while it is made.

use serde_json::{Value, json};

use super::dispatch::{COOKIE, token_hash};
use super::{Admitted, ApiError, Ctx, Job, Request};
use crate::domain::time;
use crate::jobs::{Task, password};
use crate::server::response::Response;
use crate::store::Login;

/// The longest password that is looked at, in bytes: anything longer is no password of ours.
const LONGEST_PASSWORD: usize = 256;

/// `POST /api/v1/auth/login`
pub fn login(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let mut fields = request.fields()?;
    let password: Option<String> = fields.required("password");
    if let Some(password) = &password {
        fields.check(
            !password.is_empty() && password.chars().count() <= LONGEST_PASSWORD,
            "password",
            "length",
            "A password has 1 to 256 characters.",
        );
    }
    fields.finish()?;
    let Some(hash) = ctx.stored.password_hash.clone() else { return Err(ApiError::internal("no password is set")) };
    let client = request.admitted.key.to_string();
    let is_known = ctx.store.has_session(&client, time::now())?;
    if let Login::Wait(seconds) = ctx.store.may_log_in(&client, is_known, time::now())? {
        return Err(ApiError::rate_limited(seconds, "Too many failed logins; wait before the next one."));
    }
    let secret = password::secret_form(&password.unwrap_or_default());
    let task = Task::VerifyPassword(password::Verify { secret, hash: hash.clone() });
    let admitted = request.admitted.clone();
    let mut job = Job::new(task, move |ctx, matches| finish_login(ctx, &admitted, &hash, matches));
    job.urgent = is_known;
    Ok(job)
}

fn finish_login(ctx: &mut Ctx, admitted: &Admitted, hash: &str, matches: Value) -> Result<Response, ApiError> {
    // The password may have been changed while the old one was being compared.
    let client = admitted.key.to_string();
    if matches != Value::Bool(true) || ctx.stored.password_hash.as_deref() != Some(hash) {
        ctx.store.login_failed(&client, time::now())?;
        return Err(ApiError::new(401, "authentication_required", "The password is wrong."));
    }
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(ApiError::internal)?;
    let token = password::hex(&random);
    let now = time::now();
    let expires_at = now + ctx.session_seconds();
    ctx.store.login_succeeded(&client)?;
    ctx.store.add_session(&token_hash(&token), &client, now, expires_at)?;
    let cookie = cookie(ctx, admitted, &token, ctx.session_seconds());
    Ok(Response::json(200, &json!({ "expires_at": time::rfc3339(expires_at) })).with("set-cookie", cookie))
}

/// `GET /api/v1/auth/session`
pub fn session(_ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let session = request.admitted.session.as_ref().ok_or_else(ApiError::authentication_required)?;
    Ok(Response::json(200, &json!({ "valid": true, "expires_at": time::rfc3339(session.expires_at) })))
}

/// `POST /api/v1/auth/logout`
pub fn logout(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let session = request.admitted.session.as_ref().ok_or_else(ApiError::authentication_required)?;
    ctx.store.end_session(&session.token_hash)?;
    let cookie = clear_cookie(ctx, &request.admitted);
    Ok(Response::json(200, &json!({ "message": "Logged out." })).with("set-cookie", cookie))
}

/// A cookie that makes the browser forget the session.
pub fn clear_cookie(ctx: &Ctx, admitted: &Admitted) -> String {
    cookie(ctx, admitted, "", 0)
}

fn cookie(ctx: &Ctx, admitted: &Admitted, token: &str, seconds: i64) -> String {
    let secure = if ctx.config.cookie_secure.unwrap_or(admitted.is_https) { "; Secure" } else { "" };
    format!("{COOKIE}={token}; HttpOnly; SameSite=Lax; Path=/; Max-Age={seconds}{secure}")
}

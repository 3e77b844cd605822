//! One's own sessions, and one's own password.

use serde_json::{Value, json};

use super::auth;
use crate::app::code::Code;
use crate::app::session::token_hash;
use crate::app::{Admitted, ApiError, Ctx, Outcome, Request};
use crate::domain::audit::{Entry, What};
use crate::domain::hex::hex;
use crate::domain::time;
use crate::server::response::Response;
use crate::services::proof::{Proof, proved};
use crate::services::setup::{PASSWORD_RULE, is_good_password};
use crate::store::{Session, SessionSeen, TokenHash};

/// Bytes of what names a session in a path: the beginning of the hash that the store knows it by.
const ID_BYTES: usize = 8;

fn id(hash: &TokenHash) -> String {
    hex(&hash[..ID_BYTES])
}

/// `GET /api/v1/auth/sessions`
pub fn list(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let sessions = ctx.store.sessions_of(request.admitted.user_id(), time::now())?;
    let own = request.admitted.session.as_ref().map(|session| session.token_hash);
    let items: Vec<Value> = sessions.iter().map(|seen| shown(ctx, seen, own)).collect();
    Ok(Response::json(200, &json!({ "items": items })))
}

fn shown(ctx: &Ctx, seen: &SessionSeen, own: Option<TokenHash>) -> Value {
    let session = &seen.session;
    let used_at = ctx.uses.of_session(&session.token_hash).unwrap_or(seen.used_at);
    json!({
        "id": id(&session.token_hash),
        "since": time::rfc3339(session.created_at),
        "last_used_at": time::rfc3339(used_at.max(session.created_at)),
        "expires_at": time::rfc3339(session.expires_at),
        "client": seen.client,
        "is_this_one": own == Some(session.token_hash),
    })
}

/// `DELETE /api/v1/auth/sessions/{id}`
pub fn end(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let wanted: String = request.admitted.parameters.first().cloned().unwrap_or_default();
    let sessions = ctx.store.sessions_of(request.admitted.user_id(), time::now())?;
    let Some(seen) = sessions.iter().find(|seen| id(&seen.session.token_hash) == wanted) else {
        let detail = "You have no such session, or it has ended. GET /api/v1/auth/sessions lists those there are.";
        return Err(ApiError::new(Code::SessionNotFound, detail));
    };
    let warning = auth::end(ctx, &seen.session.token_hash);
    ctx.note(&Entry::new(What::Logout, &seen.client).saying("A session was ended from another one."));
    Ok(Response::no_content().warning(warning))
}

/// `DELETE /api/v1/auth/sessions`: all but the one that asks.
pub fn end_others(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    // At the machine there is none to keep.
    let kept = request.admitted.session.as_ref().map_or(token_hash(""), |session| session.token_hash);
    let ended = ctx.noted(|ctx| {
        let ended = ctx.store.end_other_sessions(request.admitted.user_id(), &kept)?;
        let entry = Entry::new(What::Logout, "");
        Ok((ended, entry.saying(format!("All other sessions were ended: {ended}."))))
    })?;
    Ok(Response::json(200, &json!({ "ended": ended })))
}

/// `PUT /api/v1/auth/password`
pub fn change_password(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let mut fields = request.fields()?;
    let current: Option<String> = fields.required("current_password");
    let new: Option<String> = fields.required("new_password");
    if let Some(new) = &new {
        fields.check(is_good_password(new), "new_password", "strength", PASSWORD_RULE);
    }
    fields.finish()?;
    let then = |ctx: &mut Ctx, admitted: &Admitted, hash: Option<String>| {
        let kept = admitted.session.as_ref().map(|session: &Session| session.token_hash);
        ctx.noted(|ctx| {
            ctx.store.change_password(admitted.user_id(), &hash.unwrap_or_default(), kept.as_ref())?;
            Ok(((), Entry::new(What::PasswordChanged, admitted.user_or_owner().name)))
        })?;
        ctx.reload_stored()?;
        log::info!("{} has changed the password; the other sessions have ended", admitted.actor().in_words());
        Ok(Response::no_content())
    };
    proved(ctx, request, Proof::Password(current.unwrap_or_default()), new.as_deref(), then)
}

//! Whose session or key a request carries.

use crate::app::Ctx;
use crate::app::error::ApiError;
use crate::app::keys;
use crate::app::request::{Access, Admitted, Refused, Route};
use crate::app::session::{COOKIE, TOKEN_BYTES, cookies, token_hash};
use crate::domain::time;
use crate::server::request::Head;
use crate::store::{Token, TokenHash};

/// What a session or a key is known by.
pub fn known_by(admitted: &Admitted) -> Option<TokenHash> {
    let of_token = || admitted.token.as_ref().map(|token| token.hash);
    admitted.session.as_ref().map(|session| session.token_hash).or_else(of_token)
}

/// Finds the session; says whether a cookie carried its token.
pub fn recognise(ctx: &Ctx, head: &Head, admitted: &mut Admitted) -> Result<bool, ApiError> {
    if admitted.is_console {
        return Ok(false);
    }
    let bearer = head.header("authorization").and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    if let Some(key) = bearer.filter(|text| keys::is_meant(text)) {
        recognise_key(ctx, key, admitted)?;
        return Ok(false);
    }
    if let Some(token) = bearer {
        admitted.session = ctx.store.session(&token_hash(token), time::now())?;
        return Ok(false);
    }
    // Another server on this host may have set a cookie of the same name: whichever is ours counts.
    for token in cookies(head, COOKIE, TOKEN_BYTES) {
        admitted.session = ctx.store.session(&token_hash(token), time::now())?;
        if admitted.session.is_some() {
            break;
        }
    }
    Ok(cookies(head, COOKIE, TOKEN_BYTES).next().is_some())
}

/// Finds whose key it is; one that is nobody's, is over, or comes from where it may not be used is noted as such.
fn recognise_key(ctx: &Ctx, key: &str, admitted: &mut Admitted) -> Result<(), ApiError> {
    let found = if keys::is_whole(key) { ctx.store.token_by_hash(&token_hash(key))? } else { None };
    let is_over = |token: &Token| token.may.expires_at.is_some_and(|end| end <= time::now());
    let Some(token) = found.filter(|token| !is_over(token)) else {
        admitted.refused = Some(Refused::Unknown);
        return Ok(());
    };
    let allowed = &token.may.allowed_ips;
    let address = admitted.client.address();
    if allowed.is_empty() || address.is_some_and(|address| allowed.iter().any(|own| own.contains_address(address))) {
        admitted.token = Some(Box::new(token));
    } else {
        admitted.refused = Some(Refused::FromHere(token.may.name));
    }
    Ok(())
}

/// Whether the client comes from a network that may read metrics. One that is not known comes from nowhere.
pub fn may_scrape(ctx: &Ctx, route: &Route, admitted: &Admitted) -> bool {
    let networks = &ctx.config.metrics_networks;
    let is_named = |address| networks.iter().any(|network| network.contains_address(address));
    route.access == Access::Metrics && admitted.client.address().is_some_and(is_named)
}

/// Notes that it is used.
pub fn note_use(ctx: &mut Ctx, admitted: &Admitted) {
    let now = time::now();
    if let Some(session) = &admitted.session {
        ctx.uses.note_session(session.token_hash, now);
    } else if let Some(token) = &admitted.token {
        ctx.uses.note_token(token.id, now, admitted.client.to_string());
    }
}

//! The keys of programs: listed, made, changed, given another text, removed. The text is in the answer that made it and nowhere else.

use serde_json::{Value, json};

use super::users::{check_name, demand_owner, password_of_body};
use crate::app::code::Code;
use crate::app::input::Fields;
use crate::app::keys;
use crate::app::listed::Listed;
use crate::app::{ApiError, Ctx, Outcome, Request};
use crate::domain::address::IpOrNet;
use crate::domain::audit::{Entry, What};
use crate::domain::names::Running;
use crate::domain::permission::Scope;
use crate::domain::time;
use crate::server::response::Response;
use crate::services::proof::{Proof, proved};
use crate::store::{MOST_TOKENS, NewToken, Token};

/// What the list can be sorted by.
const FIELDS: &[&str] = &["id", "name", "user", "created_at", "expires_at", "last_used_at"];
/// What is shown of one and cannot be changed.
const READ_ONLY: [&str; 5] = ["id", "prefix", "user", "created_at", "rotated_at"];
/// Why another admin does not get the text of a token of the owner's, or widens it.
const OF_OWNER: &str = "This token is the owner's, to change and to rotate. You can delete it.";
/// What the audit does not tell of one: its name is said already, and how it was used is no change of it.
const UNTOLD: [&str; 7] = ["name", "id", "prefix", "created_at", "rotated_at", "last_used_at", "last_used_from"];
/// What a name may look like.
const NAME: &str = "[A-Za-z0-9_-]{1,64}";
/// How many addresses and networks, and how many jails, one can name.
const MOST_NAMED: usize = 50;

/// `GET /api/v1/tokens`
pub fn list(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let listed = Listed::read(request.query(), FIELDS)?.in_pages(request)?;
    let items: Vec<Value> = ctx.store.tokens()?.iter().map(|token| shown(ctx, token)).collect();
    let mut body = json!({ "items": items, "pagination": null });
    listed.shape(&mut body);
    Ok(Response::json(200, &body))
}

/// `GET /api/v1/tokens/{id}`
pub fn detail(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let token = named(ctx, request)?;
    Ok(Response::json(200, &shown(ctx, &token)))
}

fn shown(ctx: &Ctx, token: &Token) -> Value {
    let (used_at, used_from) = match ctx.uses.of_token(token.id) {
        Some((at, from)) => (Some(*at), Some(from.clone())),
        None => (token.used_at, token.used_from.clone()),
    };
    json!({
        "id": token.id,
        "name": token.may.name,
        "prefix": token.prefix,
        "user": token.user.name,
        "scopes": token.may.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>(),
        "jails": token.may.jails,
        "allowed_ips": token.may.allowed_ips.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "created_at": time::rfc3339(token.created_at),
        "rotated_at": token.rotated_at.map(time::rfc3339),
        "expires_at": token.may.expires_at.map(time::rfc3339),
        "last_used_at": used_at.map(time::rfc3339),
        "last_used_from": used_from,
    })
}

/// `POST /api/v1/tokens`
pub fn create(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let (may, password) = wanted(request.fields()?, None)?;
    let user = request.admitted.user_id();
    let others = ctx.store.tokens()?.into_iter().filter(|token| token.user.id == user).count() as i64;
    if others >= MOST_TOKENS {
        let detail = format!("Token limit reached ({others}/{MOST_TOKENS}). Delete one that is not used.");
        return Err(ApiError::new(Code::LimitReached, detail));
    }
    proved(ctx, request, Proof::Either(password), None, move |ctx, admitted, _| {
        let key = keys::make()?;
        let id = ctx.noted(|ctx| {
            let added = ctx.store.add_token(user, &may, &key.hash, &key.prefix, time::now())?;
            let id = added.ok_or_else(|| taken(&may.name))?;
            let entry = Entry::new(What::TokenCreated, &may.name);
            Ok((id, entry.differing(&json!({}), &shown(ctx, &stored(ctx, id)?), &UNTOLD)))
        })?;
        log::info!("{} has made the token {}", admitted.actor().in_words(), may.name);
        let mut body = shown(ctx, &stored(ctx, id)?);
        body["token"] = json!(key.text);
        Ok(Response::json(201, &body))
    })
}

/// `PUT /api/v1/tokens/{id}`: what is not named stays.
pub fn change(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let token = named(ctx, request)?;
    demand_owner(request, token.user.id, OF_OWNER)?;
    let mut fields = request.fields()?.not_empty();
    let read = fields.read_only(&READ_ONLY);
    // These may have changed since they were shown.
    for name in ["last_used_at", "last_used_from"] {
        fields.optional::<Value>(name);
    }
    let (may, password) = wanted(fields, Some(&token.may))?;
    let wrong = read.wrong(&shown(ctx, &token), |_| false);
    if !wrong.is_empty() {
        return Err(ApiError::wrong_shape(wrong));
    }
    proved(ctx, request, Proof::Either(password), None, move |ctx, admitted, _| {
        ctx.noted(|ctx| {
            let before = shown(ctx, &stored(ctx, token.id)?);
            if !ctx.store.change_token(token.id, &may)? {
                return Err(taken(&may.name));
            }
            let after = shown(ctx, &stored(ctx, token.id)?);
            let entry = Entry::new(What::TokenChanged, &token.may.name);
            Ok(((), entry.differing(&before, &after, &UNTOLD[1..])))
        })?;
        log::info!("{} has changed the token {}", admitted.actor().in_words(), may.name);
        Ok(Response::json(200, &shown(ctx, &stored(ctx, token.id)?)))
    })
}

/// `POST /api/v1/tokens/{id}/rotate`: the former text is dead with the answer.
pub fn rotate(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let token = named(ctx, request)?;
    demand_owner(request, token.user.id, OF_OWNER)?;
    let password = password_of_body(request)?;
    proved(ctx, request, Proof::Either(password), None, move |ctx, admitted, _| {
        let key = keys::make()?;
        ctx.noted(|ctx| {
            ctx.store.rotate_token(token.id, &key.hash, &key.prefix, time::now())?;
            Ok(((), Entry::new(What::TokenRotated, &token.may.name).saying("Its former text is dead.")))
        })?;
        log::info!("{} has given the token {} another text", admitted.actor().in_words(), token.may.name);
        let mut body = shown(ctx, &stored(ctx, token.id)?);
        body["rotated"] = json!(true);
        body["token"] = json!(key.text);
        Ok(Response::json(200, &body))
    })
}

/// `DELETE /api/v1/tokens/{id}`
pub fn remove(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let token = named(ctx, request)?;
    let password = password_of_body(request)?;
    proved(ctx, request, Proof::Either(password), None, move |ctx, admitted, _| {
        ctx.noted(|ctx| {
            ctx.store.remove_token(token.id)?;
            let entry = Entry::new(What::TokenDeleted, &token.may.name);
            Ok(((), entry.saying(format!("A token of {}.", token.user.name))))
        })?;
        log::info!("{} has deleted the token {}", admitted.actor().in_words(), token.may.name);
        Ok(Response::no_content())
    })
}

fn named(ctx: &Ctx, request: &Request) -> Result<Token, ApiError> {
    stored(ctx, request.row_id("id", "A token")?)
}

fn stored(ctx: &Ctx, id: i64) -> Result<Token, ApiError> {
    let unknown = || {
        let detail = format!("There is no token {id}. GET /api/v1/tokens lists those there are.");
        ApiError::new(Code::TokenNotFound, detail)
    };
    ctx.store.token(id)?.ok_or_else(unknown)
}

fn taken(name: &str) -> ApiError {
    let detail = format!("You have a token {name} already. Change it with PUT /api/v1/tokens/{{id}}.");
    ApiError::new(Code::Conflict, detail).with("name", name)
}

/// What a body asks for, and the password that proves who asks; what it does not name is as in `present`.
fn wanted(mut fields: Fields, present: Option<&NewToken>) -> Result<(NewToken, Option<String>), ApiError> {
    let name: Option<String> = match present {
        None => fields.required("name"),
        Some(present) => Some(fields.optional("name").unwrap_or_else(|| present.name.clone())),
    };
    let scopes = match present {
        None => scopes(&mut fields, true),
        Some(present) => scopes(&mut fields, false).or_else(|| Some(present.scopes.clone())),
    };
    let jails: Option<Vec<String>> = fields.optional("jails");
    let jails = jails.or_else(|| present.map(|own| own.jails.clone())).unwrap_or_default();
    fields.check(jails.len() <= MOST_NAMED, "jails", "length", "jails: at most 50 jails can be named.");
    for (at, jail) in jails.iter().enumerate() {
        let is_name = jail.parse::<Running>().is_ok();
        fields.check(is_name, &format!("jails.{at}"), "format", "The name of a jail is expected.");
    }
    let allowed_ips = allowed_ips(&mut fields, present);
    let expires_at = expires_at(&mut fields, present.and_then(|own| own.expires_at));
    let password = fields.optional("password");
    fields.finish()?;
    let (name, scopes) = (name.unwrap_or_default(), scopes.unwrap_or_default());
    check_name("a token", &name, b"_-", NAME)?;
    Ok((NewToken { name, scopes, jails, allowed_ips, expires_at }, password))
}

fn scopes(fields: &mut Fields, is_needed: bool) -> Option<Vec<Scope>> {
    let given: Option<Vec<String>> = if is_needed { fields.required("scopes") } else { fields.optional("scopes") };
    let given = given?;
    fields.check(!given.is_empty(), "scopes", "length", "scopes: name at least one.");
    let mut scopes = Vec::new();
    for (at, name) in given.iter().enumerate() {
        let scope = Scope::of(name);
        let detail = "One of read, bans, jails, config, actions and metrics is expected.";
        fields.check(scope.is_some(), &format!("scopes.{at}"), "enum", detail);
        scopes.extend(scope.filter(|scope| !scopes.contains(scope)));
    }
    Some(scopes)
}

fn allowed_ips(fields: &mut Fields, present: Option<&NewToken>) -> Vec<IpOrNet> {
    let Some(given) = fields.optional::<Vec<String>>("allowed_ips") else {
        return present.map(|own| own.allowed_ips.clone()).unwrap_or_default();
    };
    let detail = "allowed_ips: at most 50 addresses and networks can be named.";
    fields.check(given.len() <= MOST_NAMED, "allowed_ips", "length", detail);
    let mut allowed = Vec::new();
    for (at, text) in given.iter().enumerate() {
        let network = text.parse::<IpOrNet>();
        let detail = "An IP address or a network such as 192.0.2.0/24 is expected.";
        fields.check(network.is_ok(), &format!("allowed_ips.{at}"), "format", detail);
        allowed.extend(network);
    }
    allowed
}

/// The end: a time to come, or null for never.
fn expires_at(fields: &mut Fields, present: Option<i64>) -> Option<i64> {
    let Some(given) = fields.optional::<Option<String>>("expires_at") else { return present };
    let text = given?;
    let end = time::parse_rfc3339(&text);
    let is_fine = end.is_some_and(|end| end > time::now() || Some(end) == present);
    let detail = "expires_at: a time to come is expected, such as 2030-12-31T18:00:00Z, or null.";
    fields.check(is_fine, "expires_at", "format", detail);
    end
}

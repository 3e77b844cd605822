//! Who may log in: listed, added, changed, removed. The owner stays.

use serde_json::{Value, json};

use crate::app::code::Code;
use crate::app::input::Fields;
use crate::app::listed::Listed;
use crate::app::{ApiError, Ctx, Outcome, Request};
use crate::domain::audit::{Entry, What};
use crate::domain::permission::Role;
use crate::domain::time;
use crate::server::response::Response;
use crate::services::proof::{Proof, proved};
use crate::services::setup::{PASSWORD_RULE, is_good_password};
use crate::store::{MOST_USERS, OWNER_ID, UserRow};

/// What the list can be sorted by.
const FIELDS: &[&str] = &["name", "role", "created_at"];
/// What a name may look like.
const NAME: &str = "[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}";

/// `GET /api/v1/users`
pub fn list(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let listed = Listed::read(request.query(), FIELDS)?.in_pages(request)?;
    let items: Vec<Value> = ctx.store.users()?.iter().map(shown).collect();
    let mut body = json!({ "items": items, "pagination": null });
    listed.shape(&mut body);
    Ok(Response::json(200, &body))
}

fn shown(row: &UserRow) -> Value {
    json!({
        "name": row.user.name,
        "role": row.user.role.as_str(),
        "is_owner": row.user.id == OWNER_ID,
        "created_at": row.created_at.map(time::rfc3339),
    })
}

/// `POST /api/v1/users`
pub fn create(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let mut fields = request.fields()?;
    let name: Option<String> = fields.required("name");
    let role = role(&mut fields, true);
    let given: Option<String> = fields.required("new_password");
    check_password(&mut fields, given.as_deref());
    let proof = Proof::Either(fields.optional("password"));
    fields.finish()?;
    let (name, role) = (name.unwrap_or_default(), role.unwrap_or(Role::Viewer));
    check_name("a user", &name, b"_.@-", NAME)?;
    demand_room(ctx, &name)?;
    proved(ctx, request, proof, given.as_deref(), move |ctx, admitted, hash| {
        demand_room(ctx, &name)?;
        ctx.noted(|ctx| {
            if !ctx.store.add_user(&name, role, &hash.unwrap_or_default(), time::now())? {
                return Err(taken(&name));
            }
            let entry = Entry::new(What::UserCreated, &name);
            Ok(((), entry.changed("role", Value::Null, role.as_str().into())))
        })?;
        log::info!("{} has added the user {name}", admitted.actor().in_words());
        let row = ctx.store.user(&name)?.ok_or_else(|| unknown(&name))?;
        Ok(Response::json(201, &shown(&row)))
    })
}

/// `PUT /api/v1/users/{name}`: another role, or another password; what is not named stays.
pub fn change(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let row = named(ctx, request)?;
    let mut fields = request.fields()?.not_empty();
    let read = fields.read_only(&["name", "is_owner", "created_at"]);
    let role = role(&mut fields, false);
    let given: Option<String> = fields.optional("new_password");
    check_password(&mut fields, given.as_deref());
    let proof = Proof::Either(fields.optional("password"));
    fields.finish()?;
    let wrong = read.wrong(&shown(&row), |_| false);
    if !wrong.is_empty() {
        return Err(ApiError::wrong_shape(wrong));
    }
    if row.user.id == OWNER_ID && role.is_some_and(|role| role != Role::Admin) {
        return Err(owner_stays("keeps the role admin"));
    }
    if given.is_some() {
        demand_owner(request, row.user.id, "Only the owner changes the owner's password.")?;
    }
    proved(ctx, request, proof, given.as_deref(), move |ctx, admitted, hash| {
        let user = row.user;
        let kept = admitted.session.as_ref().filter(|session| session.user.id == user.id);
        if let Some(role) = role.filter(|role| *role != user.role) {
            ctx.noted(|ctx| {
                ctx.store.set_role(user.id, role)?;
                let entry = Entry::new(What::UserChanged, &user.name);
                Ok(((), entry.changed("role", user.role.as_str().into(), role.as_str().into())))
            })?;
        }
        if let Some(hash) = hash {
            ctx.noted(|ctx| {
                ctx.store.change_password(user.id, &hash, kept.map(|session| &session.token_hash))?;
                Ok(((), Entry::new(What::PasswordChanged, &user.name)))
            })?;
            ctx.reload_stored()?;
        }
        log::info!("{} has changed the user {}", admitted.actor().in_words(), user.name);
        let row = ctx.store.user(&user.name)?.ok_or_else(|| unknown(&user.name))?;
        Ok(Response::json(200, &shown(&row)))
    })
}

/// `DELETE /api/v1/users/{name}`: with all sessions and tokens.
pub fn remove(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let row = named(ctx, request)?;
    let proof = Proof::Either(password_of_body(request)?);
    if row.user.id == OWNER_ID {
        return Err(owner_stays("cannot be removed"));
    }
    proved(ctx, request, proof, None, move |ctx, admitted, _| {
        ctx.noted(|ctx| {
            ctx.store.remove_user(row.user.id)?;
            let entry = Entry::new(What::UserDeleted, &row.user.name);
            Ok(((), entry.saying("With all sessions and tokens.")))
        })?;
        log::info!("{} has removed the user {}", admitted.actor().in_words(), row.user.name);
        Ok(Response::no_content())
    })
}

/// The password of a body that need not be there.
pub(super) fn password_of_body(request: &Request) -> Result<Option<String>, ApiError> {
    if request.body.is_empty() {
        return Ok(None);
    }
    let mut fields = request.fields()?;
    let password = fields.optional("password");
    fields.finish()?;
    Ok(password)
}

fn role(fields: &mut Fields, is_needed: bool) -> Option<Role> {
    let given: Option<String> = if is_needed { fields.required("role") } else { fields.optional("role") };
    let role = given.as_deref().and_then(Role::of);
    fields.check(given.is_none() || role.is_some(), "role", "enum", "role: viewer, operator or admin is expected.");
    role
}

fn check_password(fields: &mut Fields, given: Option<&str>) {
    if let Some(given) = given {
        fields.check(is_good_password(given), "new_password", "strength", PASSWORD_RULE);
    }
}

/// 400 for a name that is not of ASCII letters, digits and these signs, as its pattern says.
pub(super) fn check_name(of: &str, name: &str, signs: &[u8], pattern: &str) -> Result<(), ApiError> {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || signs.contains(&byte);
    // `..` cannot stand in a path, nor what begins with a hyphen on a command line.
    let is_option_or_path = name.starts_with(['.', '-']);
    if (1..=64).contains(&name.len()) && name.bytes().all(is_fine) && !is_option_or_path {
        return Ok(());
    }
    let detail = format!("The name of {of} is {pattern}.");
    Err(ApiError::new(Code::InvalidName, detail).with("pattern", pattern))
}

fn named(ctx: &Ctx, request: &Request) -> Result<UserRow, ApiError> {
    let name = request.admitted.parameters.first().map(String::as_str).unwrap_or_default();
    ctx.store.user(name)?.ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> ApiError {
    let shown: String = name.chars().take(64).collect();
    let detail = format!("There is no user {shown}. GET /api/v1/users lists those there are.");
    ApiError::new(Code::UserNotFound, detail)
}

fn taken(name: &str) -> ApiError {
    let detail = format!("There is a user {name} already. Change it with PUT /api/v1/users/{name}.");
    ApiError::new(Code::Conflict, detail).with("name", name)
}

/// 403 where what is the owner's is asked for by another admin, who would log in as the owner by it.
pub(super) fn demand_owner(request: &Request, whose: i64, detail: &str) -> Result<(), ApiError> {
    let admitted = &request.admitted;
    if whose != OWNER_ID || admitted.is_console || admitted.user_id() == OWNER_ID {
        return Ok(());
    }
    Err(ApiError::new(Code::InsufficientRole, detail))
}

fn owner_stays(what: &str) -> ApiError {
    ApiError::new(Code::LastAdmin, format!("The owner, who did the setup, {what}.")).with("role", "admin")
}

/// 409 for a name that is taken, 403 where there are as many as there may be.
fn demand_room(ctx: &Ctx, name: &str) -> Result<(), ApiError> {
    let users = ctx.store.users()?;
    // Names that differ in case only are taken for each other by people.
    if let Some(row) = users.iter().find(|row| row.user.name.eq_ignore_ascii_case(name)) {
        return Err(taken(&row.user.name));
    }
    if users.len() as i64 >= MOST_USERS {
        let detail = format!("User limit reached ({MOST_USERS}/{MOST_USERS}). Delete one that is not used.");
        return Err(ApiError::new(Code::LimitReached, detail));
    }
    Ok(())
}

//! Proof of who asks, for what would let a stolen session take the machine over: a login of the last ten minutes, or the password.

use serde_json::Value;

use crate::app::code::Code;
use crate::app::session::log_failure;
use crate::app::{Admitted, ApiError, Ctx, Job, Outcome, Request};
use crate::domain::audit::What;
use crate::domain::time;
use crate::jobs::{Task, password};
use crate::server::response::Response;
use crate::store::Login;

/// How long a login is proof enough, in seconds.
const FRESH: i64 = 600;

/// What proves it.
pub enum Proof {
    /// Either of the two; the password where the body has one.
    Either(Option<String>),
    /// The password, however fresh the login is.
    Password(String),
}

/// Goes on once it is proved, with the hash of `new_password` where there is one.
pub fn proved(
    ctx: &mut Ctx,
    request: &Request,
    proof: Proof,
    new_password: Option<&str>,
    then: impl FnOnce(&mut Ctx, &Admitted, Option<String>) -> Result<Response, ApiError> + 'static,
) -> Result<Outcome, ApiError> {
    let admitted = request.admitted.clone();
    let given = match proof {
        Proof::Password(given) => Some(given),
        Proof::Either(given) => given.filter(|_| !is_fresh(&admitted)),
    };
    let proof = match given {
        _ if admitted.is_console => None,
        None if is_fresh(&admitted) => None,
        None => {
            let detail = "This needs a login of the last ten minutes, or the password in the field \"password\".";
            return Err(ApiError::new(Code::ReauthenticationRequired, detail));
        }
        Some(given) => Some(verify(ctx, &admitted, &given)?),
    };
    let secret = new_password.map(password::secret_form);
    if proof.is_none() && secret.is_none() {
        return then(ctx, &admitted, None).map(Outcome::Answer);
    }
    let task = Task::ChangePassword(password::Change { proof, secret });
    let job = Job::new(task, move |ctx, found| {
        if found["proved"] != Value::Bool(true) {
            ctx.store.login_failed(&budget(&admitted), time::now())?;
            log_failure(admitted.client, "wrong password");
            ctx.note_refusal(What::LoginFailed, &admitted, admitted.user().map_or("", |user| &user.name));
            return Err(ApiError::new(Code::AuthenticationRequired, "The password is wrong."));
        }
        then(ctx, &admitted, found["hash"].as_str().map(str::to_owned))
    });
    Ok(Outcome::Job(Box::new(job)))
}

fn is_fresh(admitted: &Admitted) -> bool {
    let now = time::now();
    admitted.is_console
        || admitted.session.as_ref().is_some_and(|session| (now - FRESH..=now).contains(&session.created_at))
}

/// Whose wrong passwords it counts among: the session's user's, from wherever they come.
fn budget(admitted: &Admitted) -> String {
    format!("user {}", admitted.user_id())
}

/// What compares the password with that of the session's user; 429 after too many wrong ones.
fn verify(ctx: &mut Ctx, admitted: &Admitted, given: &str) -> Result<password::Verify, ApiError> {
    if let Login::Wait(seconds) = ctx.store.may_log_in(&budget(admitted), true, time::now())? {
        ctx.note_refusal(What::LoginBlocked, admitted, admitted.user().map_or("", |user| &user.name));
        return Err(ApiError::rate_limited(seconds, "Too many wrong passwords.").with("limit", "login"));
    }
    let name = admitted.user().map(|user| user.name.clone()).unwrap_or_default();
    let row = ctx.store.user(&name)?.ok_or_else(ApiError::authentication_required)?;
    Ok(password::Verify { secret: password::secret_form(given), hash: row.password_hash })
}

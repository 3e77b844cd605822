//! The second factor: a code is tried in one place, whatever it is wanted for, and each wrong one counts.

use crate::app::code::Code;
use crate::app::session::{log_failure, token_hash};
use crate::app::{ApiError, Ctx};
use crate::domain::audit::{Entry, What};
use crate::domain::client::Client;
use crate::domain::time;
use crate::domain::totp::{self, RECOVERY_BYTES, RECOVERY_CODES, Typed};
use crate::machine;
use crate::store::{Login, TokenHash};

/// Uses a code of a user's up, of the authenticator or a recovery code. 401 for a wrong one, 429 after too many of them, also over
/// restarts, and 409 where logins of this user ask for none.
pub fn prove(ctx: &mut Ctx, user: i64, client: Client, text: &str) -> Result<(), ApiError> {
    demand_a_try(ctx, user)?;
    let is_right = match Typed::of(text) {
        Some(Typed::Totp(code)) => match step(ctx, user, true, code)? {
            Some(step) => ctx.store.use_step(user, step)?,
            None => false,
        },
        Some(Typed::Recovery(code)) => {
            let is_known = ctx.store.use_recovery_code(user, &token_hash(&code))?;
            if is_known {
                log::info!("{client} has used a recovery code; {} are left", ctx.store.recovery_codes_left(user)?);
            }
            is_known
        }
        None => false,
    };
    settle(ctx, user, client, is_right)
}

/// Confirms what was enrolled, with a code of the authenticator's. Gives the recovery codes, which nobody sees again.
pub fn confirm(ctx: &mut Ctx, user: i64, client: Client, text: &str) -> Result<Vec<String>, ApiError> {
    demand_a_try(ctx, user)?;
    let step = match Typed::of(text) {
        Some(Typed::Totp(code)) => step(ctx, user, false, code)?,
        _ => None,
    };
    settle(ctx, user, client, step.is_some())?;
    let (codes, hashes) = recovery_codes()?;
    let name = name(ctx, user)?;
    ctx.noted(|ctx| match ctx.store.confirm_second_factor(user, step.unwrap_or_default(), &hashes, time::now())? {
        true => Ok(((), Entry::new(What::TotpEnabled, name))),
        false => Err(already_enabled()),
    })?;
    Ok(codes)
}

/// What an authenticator reads from a QR code; it shows the name of this machine.
pub fn uri(secret: &[u8], user: &str) -> String {
    totp::uri(secret, user, &machine::host_name())
}

/// Ten new ones, and what the store knows them by.
pub fn recovery_codes() -> Result<(Vec<String>, Vec<TokenHash>), ApiError> {
    let mut codes = Vec::new();
    for _ in 0..RECOVERY_CODES {
        let mut bytes = [0; RECOVERY_BYTES];
        getrandom::fill(&mut bytes).map_err(ApiError::internal)?;
        codes.push(totp::recovery_code(&bytes));
    }
    let hashes = codes.iter().map(|code| token_hash(&code.replace('-', ""))).collect();
    Ok((codes, hashes))
}

/// 409: logins ask for a second factor already.
pub fn already_enabled() -> ApiError {
    let detail = "Logins ask for a second factor already. POST /api/v1/auth/totp/disable ends that.";
    ApiError::new(Code::TotpAlreadyEnabled, detail)
}

/// 409: there is none, or none that waits to be confirmed.
pub fn not_enabled() -> ApiError {
    ApiError::new(Code::TotpNotEnabled, "There is no second factor yet. POST /api/v1/auth/totp/enrol begins with one.")
}

/// The step of the authenticator's code; 409 where nothing is as far as that.
fn step(ctx: &Ctx, user: i64, is_confirmed: bool, code: u32) -> Result<Option<i64>, ApiError> {
    let factor = ctx.store.second_factor(user)?.ok_or_else(not_enabled)?;
    match (factor.is_confirmed, is_confirmed) {
        (true, false) => Err(already_enabled()),
        (false, true) => Err(not_enabled()),
        _ => Ok(totp::step_of(&factor.secret, code, time::now())),
    }
}

/// The name of a user, for the audit.
fn name(ctx: &Ctx, user: i64) -> Result<String, ApiError> {
    let all = ctx.store.users()?;
    Ok(all.into_iter().find(|row| row.user.id == user).map(|row| row.user.name).unwrap_or_default())
}

fn demand_a_try(ctx: &mut Ctx, user: i64) -> Result<(), ApiError> {
    match ctx.store.may_try_code(user, time::now())? {
        Login::Allowed => Ok(()),
        Login::Wait(seconds) => {
            let name = name(ctx, user)?;
            ctx.note_refused_here(What::LoginBlocked, &name);
            Err(ApiError::rate_limited(seconds, "Too many wrong codes.").with("limit", "login"))
        }
    }
}

fn settle(ctx: &mut Ctx, user: i64, client: Client, is_right: bool) -> Result<(), ApiError> {
    if is_right {
        return Ok(ctx.store.code_succeeded(user)?);
    }
    ctx.store.code_failed(user, time::now())?;
    log_failure(client, "wrong code");
    let name = name(ctx, user)?;
    ctx.note_refused_here(What::LoginFailed, &name);
    Err(ApiError::new(Code::AuthenticationRequired, "The code is wrong, or was used already."))
}

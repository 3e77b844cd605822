//! The second factor: a code is tried in one place, whatever it is wanted for, and each wrong one counts.

use crate::app::code::Code;
use crate::app::session::{log_failure, token_hash};
use crate::app::{ApiError, Ctx};
use crate::domain::audit::{Entry, What};
use crate::domain::client::Client;
use crate::domain::time;
use crate::domain::totp::{self, RECOVERY_BYTES, RECOVERY_CODES, Typed};
use crate::machine;
use crate::store::{Login, TokenHash, User};

/// Uses a code of a user's up, of the authenticator or a recovery code. 401 for a wrong one, 429 after too many of them, also over
/// restarts, and 409 where logins of this user ask for none.
pub fn prove(ctx: &mut Ctx, user: &User, client: Client, text: &str) -> Result<(), ApiError> {
    demand_a_try(ctx, user)?;
    let is_right = match Typed::of(text) {
        Some(Typed::Totp(code)) => {
            let factor = ctx.store.second_factor(user.id)?.filter(|factor| factor.is_confirmed);
            match totp::step_of(&factor.ok_or_else(not_enabled)?.secret, code, time::now()) {
                Some(step) => ctx.store.use_step(user.id, step)?,
                None => false,
            }
        }
        Some(Typed::Recovery(code)) => {
            let is_known = ctx.store.use_recovery_code(user.id, &token_hash(&code))?;
            if is_known {
                log::info!("{client} has used a recovery code; {} are left", ctx.store.recovery_codes_left(user.id)?);
            }
            is_known
        }
        None => false,
    };
    settle(ctx, user, client, is_right)
}

/// Confirms what was enrolled, with a code of the authenticator's. Gives the recovery codes, which nobody sees again. 409 where nothing waits
/// to be confirmed; else as `prove`.
pub fn confirm(ctx: &mut Ctx, user: &User, client: Client, text: &str) -> Result<Vec<String>, ApiError> {
    let factor = ctx.store.second_factor(user.id)?.ok_or_else(not_enabled)?;
    if factor.is_confirmed {
        return Err(already_enabled());
    }
    demand_a_try(ctx, user)?;
    let step = match Typed::of(text) {
        Some(Typed::Totp(code)) => totp::step_of(&factor.secret, code, time::now()),
        _ => None,
    };
    settle(ctx, user, client, step.is_some())?;
    let (codes, hashes) = recovery_codes()?;
    ctx.noted(|ctx| {
        match ctx.store.confirm_second_factor(user.id, step.unwrap_or_default(), &hashes, time::now())? {
            true => Ok(((), Entry::new(What::TotpEnabled, &user.name))),
            false => Err(already_enabled()),
        }
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

fn demand_a_try(ctx: &mut Ctx, user: &User) -> Result<(), ApiError> {
    match ctx.store.may_try_code(user.id, time::now())? {
        Login::Allowed => Ok(()),
        Login::Wait(seconds) => {
            ctx.note_refused_here(What::LoginBlocked, &user.name);
            Err(ApiError::rate_limited(seconds, "Too many wrong codes.").with("limit", "login"))
        }
    }
}

fn settle(ctx: &mut Ctx, user: &User, client: Client, is_right: bool) -> Result<(), ApiError> {
    if is_right {
        return Ok(ctx.store.code_succeeded(user.id)?);
    }
    ctx.store.code_failed(user.id, time::now())?;
    log_failure(client, "wrong code");
    ctx.note_refused_here(What::LoginFailed, &user.name);
    Err(ApiError::new(Code::AuthenticationRequired, "The code is wrong, or was used already."))
}

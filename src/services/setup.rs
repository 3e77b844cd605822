//! Setup, whoever asks for it: the API, the console, the command line.

use std::path::PathBuf;

use crate::app::code::Code;
use crate::app::{ApiError, Ctx};
use crate::domain::actor::OWNER;
use crate::domain::audit::{Entry, What};
use crate::jobs::password;

/// What setup is told.
#[derive(Debug, Default)]
pub struct Choices {
    /// Where the database is to lie, when that is a new file.
    pub new_database: Option<PathBuf>,
    /// What is stored: keys and texts.
    pub settings: Vec<(&'static str, String)>,
}

/// Completes setup with a hash already made; 409 when somebody was faster.
pub fn store(ctx: &mut Ctx, hash: &str, choices: Choices) -> Result<(), ApiError> {
    if ctx.store.stored()?.password_hash.is_some() {
        return Err(already_complete());
    }
    if let Some(path) = &choices.new_database {
        ctx.store.move_to(path)?;
    }
    let settings: Vec<(&str, &str)> = choices.settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
    ctx.noted(|ctx| match ctx.store.complete_setup(hash, &settings)? {
        true => Ok(((), Entry::new(What::Setup, OWNER))),
        false => Err(already_complete()),
    })?;
    ctx.reload_stored()?;
    Ok(())
}

/// 409: somebody was faster.
pub fn already_complete() -> ApiError {
    ApiError::new(Code::SetupAlreadyComplete, "Setup has been done already; log in, or use bangui set-password.")
}

/// What a master password must be, in words.
pub const PASSWORD_RULE: &str = "At least 14 characters (256 at most), or 8 with an upper-case letter, a digit and one of !@#$%^&*(); or the SHA-256 hex of such a password.";

/// Whether a master password is allowed: a long one whatever it consists of. One that looks like a hash in capitals is a mistake of a client.
pub fn is_good_password(password: &str) -> bool {
    let length = password.chars().count();
    password::is_sha256_hex(password)
        || ((14..=256).contains(&length) && !password::is_sha256_hex(&password.to_ascii_lowercase()))
        || ((8..=256).contains(&length)
            && password.chars().any(char::is_uppercase)
            && password.chars().any(|character| character.is_ascii_digit())
            && password.chars().any(|character| "!@#$%^&*()".contains(character)))
}

#[cfg(test)]
mod tests {
    use super::is_good_password;

    #[test]
    fn the_password_rule() {
        for good in ["Correct1!", "ÄÖÜäöü1!", "correct horse battery", &"a1".repeat(32)] {
            assert!(is_good_password(good), "{good}");
        }
        for bad in ["", "Short1!", "nouppercase1!", "NoDigits!!", "NoSpecial11", "thirteen long", &"A1".repeat(32)] {
            assert!(!is_good_password(bad), "{bad}");
        }
        assert!(!is_good_password(&format!("A1!{}", "x".repeat(254))));
    }
}

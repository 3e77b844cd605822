//! Setup: once, from the local network or with the code of the setup link, in one transaction.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::app::code::Code;
use crate::app::session::log_failure;
use crate::app::{ApiError, Ctx, Job, Request};
use crate::config::parse_timezone;
use crate::domain::audit::What;
use crate::domain::time;
use crate::jobs::{Task, password};
use crate::server::response::Response;
use crate::services::setup::{Choices, PASSWORD_RULE, already_complete, is_good_password, store};
use crate::store::Login;

/// `GET /api/v1/setup`
pub fn status(ctx: &mut Ctx, _request: &Request) -> Result<Response, ApiError> {
    Ok(Response::json(200, &json!({ "completed": ctx.is_set_up() })))
}

/// `GET /api/v1/setup/timezone`
pub fn timezone(ctx: &mut Ctx, _request: &Request) -> Result<Response, ApiError> {
    Ok(Response::json(200, &json!({ "timezone": ctx.timezone() })))
}

/// `POST /api/v1/setup`
pub fn complete(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    if ctx.is_set_up() {
        return Err(already_complete());
    }
    if !request.admitted.client.is_local_network() {
        check_code(ctx, request)?;
    }
    let (password, choices) = read(ctx, request).map_err(as_bad_request)?;
    let task = Task::HashPassword(password::Hash { secret: password::secret_form(&password) });
    // Whoever asked for it wants it done: it goes on when the connection breaks.
    Ok(Job::new(task, move |ctx, hash| {
        store(ctx, hash.as_str().unwrap_or_default(), choices)?;
        Ok(Response::json(201, &json!({ "message": "Setup is complete. You can log in now." })))
    })
    .detached())
}

/// From beyond the local network setup is open to whoever has the setup link, and a wrong code counts as a failed login does.
fn check_code(ctx: &mut Ctx, request: &Request) -> Result<(), ApiError> {
    let client = request.admitted.client;
    let code: Option<String> = request.fields().ok().and_then(|mut fields| fields.optional("code"));
    let refused = |why: &str| Err(ApiError::new(Code::SetupLocalOnly, format!("{why} {GET_LINK}")));
    let Some(code) = code else {
        return refused(
            "Setup is accepted from this machine and its local network, and from elsewhere with the code of the setup link.",
        );
    };
    let budget = client.key().to_string();
    if let Login::Wait(seconds) = ctx.store.may_log_in(&budget, false, time::now())? {
        log_failure(client, "too many attempts");
        ctx.note_refusal(What::LoginBlocked, &request.admitted, "");
        return Err(ApiError::rate_limited(seconds, "Too many wrong setup codes.").with("limit", "login"));
    }
    if is_same(&code, &ctx.setup_code) {
        return Ok(());
    }
    ctx.store.login_failed(&budget, time::now())?;
    log_failure(client, "wrong setup code");
    ctx.note_refusal(What::LoginFailed, &request.admitted, "");
    refused("The code is not that of the setup link, which is another one after each start of the server.")
}

/// How somebody gets in who is refused.
const GET_LINK: &str = "Run \"bangui setup-link\" on the server and open the link that it prints.";

/// Compares in a time that does not tell how much of a guess is right.
fn is_same(guess: &str, code: &str) -> bool {
    let differing = guess.bytes().zip(code.bytes()).fold(0, |seen, (a, b)| seen | (a ^ b));
    guess.len() == code.len() && std::hint::black_box(differing) == 0
}

/// Of the setup body, every failure is 400.
fn as_bad_request(mut error: ApiError) -> ApiError {
    error.status = 400;
    error
}

fn read(ctx: &Ctx, request: &Request) -> Result<(String, Choices), ApiError> {
    let mut fields = request.fields()?;
    let password: Option<String> = fields.required("master_password");
    // It was looked at where it is needed.
    fields.optional::<String>("code");
    let database: Option<String> = fields.optional("database_path");
    let socket: Option<String> = fields.optional("fail2ban_socket");
    let timezone: Option<String> = fields.optional("timezone");
    let minutes: Option<u32> = fields.optional("session_duration_minutes");
    if let Some(password) = &password {
        fields.check(is_good_password(password), "master_password", "strength", PASSWORD_RULE);
    }
    if let Some(socket) = &socket {
        let fine = socket.starts_with('/') && socket.len() <= 107 && !socket.chars().any(char::is_control);
        fields.check(fine, "fail2ban_socket", "path", "fail2ban_socket must be an absolute path of at most 107 bytes.");
    }
    if let Some(timezone) = &timezone {
        fields.check(
            parse_timezone(timezone).is_ok(),
            "timezone",
            "timezone",
            "timezone must be an IANA name such as Europe/Berlin.",
        );
    }
    if let Some(minutes) = minutes {
        fields.check(
            (1..=525_600).contains(&minutes),
            "session_duration_minutes",
            "range",
            "A session must last 1 to 525600 minutes.",
        );
    }
    let new_database = match &database {
        Some(text) => new_database(ctx, Path::new(text)).unwrap_or_else(|| {
            fields.check(
                false,
                "database_path",
                "path",
                "Only the database in use, or a new file in the same directory, can be named.",
            );
            None
        }),
        None => None,
    };
    fields.finish()?;
    let mut settings = vec![("timezone", timezone.unwrap_or_else(|| "UTC".into()))];
    settings.extend(socket.map(|socket| ("fail2ban_socket", socket)));
    settings.extend(minutes.map(|minutes| ("session_minutes", minutes.to_string())));
    Ok((password.unwrap_or_default(), Choices { new_database, settings }))
}

/// `Some(None)`: the open database. `Some(path)`: a new file beside it. `None`: neither.
fn new_database(ctx: &Ctx, path: &Path) -> Option<Option<PathBuf>> {
    let open = ctx.store.path();
    if path == open || path == ctx.config.database || path.canonicalize().is_ok_and(|path| path == open) {
        return Some(None);
    }
    let directory = path.parent()?.canonicalize().ok()?;
    let name = path.file_name()?;
    let is_plain = !path.to_string_lossy().chars().any(char::is_control);
    let is_new = std::fs::symlink_metadata(path).is_err();
    (directory == open.parent()? && is_new && is_plain).then(|| Some(directory.join(name)))
}

#[cfg(test)]
mod tests {
    use super::is_same;

    #[test]
    fn only_the_whole_code_is_the_code() {
        assert!(is_same("0123456789abcdef", "0123456789abcdef"));
        for guess in ["", "0", "0123456789abcde", "0123456789abcdeg", "0123456789abcdef0", "0123456789ABCDEF"] {
            assert!(!is_same(guess, "0123456789abcdef"), "{guess}");
        }
    }
}

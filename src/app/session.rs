//! Cookies and tokens: how a session and a known device are named on the wire, and what the store knows them by.

use sha2::{Digest, Sha256};

use super::error::ApiError;
use super::request::Admitted;
use super::state::Ctx;
use crate::domain::client::Client;
use crate::domain::hex::hex;
use crate::domain::time;
use crate::server::request::Head;
use crate::store::TokenHash;

/// The header that a cookie-authenticated change must carry, and its value: no page of another origin can send it.
pub const CSRF_HEADER: (&str, &str) = ("X-BanGUI-Request", "1");
/// The session cookie.
pub const COOKIE: &str = "bangui_session";
/// The cookie of a device that has logged in before.
pub const DEVICE_COOKIE: &str = "bangui_device";

/// Random bytes of a session's token and of a device's, written as twice as many hexadecimal digits.
pub const TOKEN_BYTES: usize = 32;
/// See `TOKEN_BYTES`.
pub const DEVICE_BYTES: usize = 16;

/// The values of the cookies of a name that look like a token of so many bytes. What else the headers hold need not be text.
///
/// All of them are looked at: whoever can set cookies for this host, as another server on it can, would otherwise only have to set more
/// than we look at, and the owner's own would be hidden. The length of a head bounds them to some three hundred.
pub fn cookies<'h>(head: &'h Head, name: &'static str, bytes: usize) -> impl Iterator<Item = &'h str> {
    let pairs = head.all("cookie").flat_map(|value| value.split(|byte| *byte == b';'));
    pairs.filter_map(move |pair| {
        let value = pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        let is_token = value.len() == 2 * bytes && value.iter().all(u8::is_ascii_hexdigit);
        std::str::from_utf8(value).ok().filter(|_| is_token)
    })
}

/// What the store knows a token by.
pub fn token_hash(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

/// A new token: random bytes as hexadecimal digits. The bytes are the caller's, who says by their number how many.
pub fn random_token(bytes: &mut [u8]) -> Result<String, ApiError> {
    getrandom::fill(bytes).map_err(ApiError::internal)?;
    Ok(hex(bytes))
}

/// The one form in which a failed login is logged, so that a filter of fail2ban's can read it: the address first, or `unknown`, which is none.
pub fn log_failure(client: Client, reason: &str) {
    log::warn!("{client} failed to log in: {reason}");
}

/// The cookie of a device that is known.
pub fn known_device<'h>(ctx: &Ctx, head: &'h Head) -> Result<Option<&'h str>, ApiError> {
    let mut devices = cookies(head, DEVICE_COOKIE, DEVICE_BYTES).peekable();
    if devices.peek().is_none() {
        return Ok(None);
    }
    let known = ctx.store.known_devices(time::now())?;
    Ok(devices.find(|device| known.contains(&token_hash(device))))
}

/// A cookie that makes the browser forget the session.
pub fn clear_cookie(ctx: &Ctx, admitted: &Admitted) -> String {
    cookie(ctx, admitted, COOKIE, "", 0)
}

/// A cookie of ours; `seconds` is how long it is kept, 0 ends it.
pub fn cookie(ctx: &Ctx, admitted: &Admitted, name: &str, token: &str, seconds: i64) -> String {
    let secure = if ctx.config.cookie_secure.unwrap_or(admitted.is_https) { "; Secure" } else { "" };
    // Another server on this host, below another path, has cookies of its own.
    let path = if ctx.config.base_path.is_empty() { "/" } else { &ctx.config.base_path };
    format!("{name}={token}; HttpOnly; SameSite=Lax; Path={path}; Max-Age={seconds}{secure}")
}

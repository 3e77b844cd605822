//! The API about itself: what a page has to know before it shows anything, the specification, and the header that changes need.

use std::net::IpAddr;

use serde_json::{Value, json};

use crate::app::session::CSRF_HEADER;
use crate::app::{ApiError, Ctx, Request};
use crate::domain::address::IpOrNet;
use crate::domain::time;
use crate::packed;
use crate::server::response::Response;
use crate::services::never_ban;

/// `GET /api/v1/meta`: to anybody what a login page needs, to whoever has a session also what may be done, and whether the own address is
/// banned: who is locked out of everything else learns it here.
pub fn about(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let admitted = &request.admitted;
    let address = admitted.client.address();
    let is_proxy =
        address.is_some_and(|address| ctx.config.trusted_proxies.iter().any(|proxy| proxy.contains_address(address)));
    let mut body = json!({
        "setup_complete": ctx.is_set_up(),
        "authenticated": admitted.has_identity(),
        // One person alone is the owner, whose name nobody has to know.
        "users": ctx.store.has_several_users()?,
        "time": time::rfc3339(time::now()),
        "timezone": ctx.timezone(),
        "base_path": ctx.config.base_path,
        "client": { "address": address, "is_proxy": is_proxy },
    });
    if admitted.has_identity() {
        body["client"]["banned"] = match address {
            Some(address) => banned_in(ctx, IpOrNet::from(address.to_canonical())),
            None => Value::Null,
        };
        body["client"]["is_never_banned"] = json!(address.map(|address| is_never_banned(ctx, address.to_canonical())));
        let role = admitted.role();
        let scopes = role.scopes().iter().filter(|scope| admitted.holds(**scope)).map(|scope| scope.as_str());
        body["user"] = json!({ "name": admitted.user_or_owner().name, "role": role.as_str(), "scopes": scopes.collect::<Vec<_>>() });
        body["version"] = json!(env!("CARGO_PKG_VERSION"));
        body["read_only"] = json!(ctx.config.read_only);
        body["action_edit_allowed"] = json!(ctx.config.allow_action_edit);
        body["mfa_enabled"] = json!(ctx.store.has_second_factor(admitted.user_id())?);
        body["limits"] = json!(ctx.store.room(time::now())?);
        body["features"] = json!(features(ctx));
    }
    Ok(Response::json(200, &body))
}

/// The jails that have this address banned; null where fail2ban cannot be asked, which no page waits for.
fn banned_in(ctx: &mut Ctx, address: IpOrNet) -> Value {
    if ctx.daemon_is_taken || !ctx.snapshot.online {
        return Value::Null;
    }
    ctx.jails_banning(&address).map_or(Value::Null, |jails| json!(jails))
}

/// Whether no jail bans this address, by the never-ban list; null where nobody knows the address.
fn is_never_banned(ctx: &Ctx, address: IpAddr) -> bool {
    never_ban::keeps(ctx, &IpOrNet::from(address), &[]).is_some()
}

/// What is there because of this machine's settings and files, beside what always is.
fn features(ctx: &Ctx) -> Vec<&'static str> {
    let all = [
        ("blocklist_set", ctx.config.blocklist_way.is_some()),
        ("country_file", ctx.geo.file().is_some()),
        ("country_server", ctx.config.geoip_online.is_some()),
    ];
    all.into_iter().filter_map(|(name, is_there)| is_there.then_some(name)).collect()
}

/// `GET /api/v1/openapi.json`: packed, as it is carried, for a client that takes it so.
pub fn openapi(_ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let response = if request.admitted.accepts.gzip {
        Response::json_bytes(200, packed::OPENAPI).with("content-encoding", "gzip")
    } else {
        Response::json_bytes(200, packed::openapi())
    };
    Ok(response.with("vary", "accept-encoding"))
}

/// `GET /api/v1/config/security-headers`
pub fn security_headers(_ctx: &mut Ctx, _request: &Request) -> Result<Response, ApiError> {
    let (name, value) = CSRF_HEADER;
    Ok(Response::json(200, &json!({ "csrf_header_name": name, "csrf_header_value": value })))
}

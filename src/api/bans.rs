//! Bans: listed, made and removed.

use std::net::IpAddr;

use serde_json::json;

use crate::app::code::Code;
use crate::app::{ApiError, Ctx, Job, Request};
use crate::domain::address::IpOrNet;
use crate::domain::client::Client;
use crate::domain::names::{JailName, Running};
use crate::jobs::{Task, bans};
use crate::machine;
use crate::server::response::Response;

/// The longest text that can be the name of something banned, in bytes.
const LONGEST_BANNED: usize = 256;

/// `POST /api/v1/bans`
pub fn ban(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let mut fields = request.fields()?;
    let ip: Option<String> = fields.required("ip");
    let jail: Option<String> = fields.required("jail");
    let force = fields.optional("force").unwrap_or(false);
    fields.finish()?;
    let target: IpOrNet = ip.unwrap_or_default().parse()?;
    let target = target.bannable()?;
    let Running(jail) = jail.unwrap_or_default().parse()?;
    if !force {
        protect(ctx, request.admitted.client, &target)?;
    }
    let socket = ctx.fail2ban_socket().to_owned();
    let task = Task::Ban(bans::Ban { socket, jail: jail.to_string(), ip: target.to_string(), force });
    Ok(Job::new(task, move |_, count| {
        let message = match count.as_u64() {
            Some(0) => format!("{target} was already banned in {jail}."),
            _ => format!("{target} is banned in {jail}."),
        };
        Ok(command_done(201, message, jail.as_str()))
    })
    .detached())
}

/// 409 for an address whose ban would shut out the caller, this machine, its gateway or a proxy in front.
fn protect(ctx: &Ctx, caller: Client, target: &IpOrNet) -> Result<(), ApiError> {
    if let Some((reason, what)) = target.too_much() {
        let detail = format!("{target} is {what}; use force to ban it all the same.");
        return Err(ApiError::new(Code::Conflict, detail).with("ip", target.to_string()).with("reason", reason));
    }
    let hit = |address: &IpAddr| target.contains_address(*address);
    let (reason, whose) = if caller.address().is_some_and(|address| hit(&address)) {
        (if target.is_network() { "contains_you" } else { "yourself" }, "your own address")
    } else if target.contains_address(IpAddr::from([127, 0, 0, 1])) || machine::own_addresses().iter().any(hit) {
        ("this_machine", "an address of this machine")
    } else if machine::gateways().iter().any(hit) {
        ("gateway", "the gateway of this machine")
    } else if ctx.config.trusted_proxies.iter().any(|proxy| proxy.overlaps(target)) {
        ("proxy", "a trusted proxy")
    } else {
        return Ok(());
    };
    let verb = if target.is_network() { "contains" } else { "is" };
    Err(ApiError::new(Code::Conflict, format!("{target} {verb} {whose}; use force to ban it all the same."))
        .with("ip", target.to_string())
        .with("reason", reason))
}

const NO_ADDRESS: &str = "ip must be an IP address, a network, or exactly what fail2ban lists as banned.";

/// `DELETE /api/v1/bans`
pub fn unban(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let (ip, jail, everything) = unban_input(request)?;
    let jail: Option<JailName> = jail.as_deref().map(JailName::from_daemon).transpose()?;
    let ip = match ip {
        Some(_) if everything => return Err(ApiError::invalid_input("Give ip or unban_all, not both.")),
        None if !everything => {
            return Err(ApiError::of_status(422, Code::InvalidInput, "Give ip, or unban_all to remove every ban.")
                .with(
                    "errors",
                    json!([{ "source_field": "ip", "rule": "required", "detail": "The field \"ip\" is missing." }]),
                ));
        }
        ip => ip.as_deref().map(listed).transpose()?,
    };
    let task = Task::Unban(bans::Unban {
        socket: ctx.fail2ban_socket().to_owned(),
        jail: jail.as_ref().map(JailName::to_string),
        ip: ip.clone(),
        set: ctx.set_place(),
    });
    Ok(Job::new(task, move |_, count| {
        let place = jail.as_ref().map_or("*", JailName::as_str);
        let count = count.as_u64().unwrap_or(0);
        let message = match ip {
            // What the daemon lists can be lifted, whatever it is; what it does not list has to be an address.
            Some(ip) if count == 0 && ip.parse::<IpOrNet>().is_err() => {
                return Err(ApiError::invalid_field("ip", NO_ADDRESS));
            }
            Some(ip) if count == 0 => format!("{ip} was not banned."),
            Some(ip) => format!("{ip} is no longer banned."),
            None => format!("{count} bans were removed."),
        };
        let message = match &jail {
            Some(jail) if jail.is_taken() => {
                format!("{message} This was done in all jails: fail2ban takes '{jail}' for a word of its own.")
            }
            _ => message,
        };
        Ok(command_done(200, message, place))
    })
    .detached())
}

/// `ip`, `jail` and `unban_all`, from the body or, where a proxy drops bodies of DELETE, from the query.
fn unban_input(request: &Request) -> Result<(Option<String>, Option<String>, bool), ApiError> {
    if request.body.is_empty() {
        let query = request.query();
        let everything = query.get::<bool>("unban_all")?.unwrap_or(false);
        return Ok((query.text("ip")?, query.text("jail")?, everything));
    }
    let mut fields = request.fields()?;
    let ip: Option<Option<String>> = fields.optional("ip");
    let jail: Option<Option<String>> = fields.optional("jail");
    let everything: Option<Option<bool>> = fields.optional("unban_all");
    fields.finish()?;
    Ok((ip.flatten(), jail.flatten(), everything.flatten().unwrap_or(false)))
}

/// What to send for a text that is listed as banned: the canonical form of an address, anything else as it is, since
/// whatever somebody had the daemon ban must be removable.
fn listed(text: &str) -> Result<String, ApiError> {
    if let Ok(address) = text.parse::<IpOrNet>() {
        return Ok(address.to_string());
    }
    let is_plain = !text.trim().is_empty() && text.len() <= LONGEST_BANNED && !text.chars().any(char::is_control);
    if is_plain && !text.starts_with('-') {
        Ok(text.to_owned())
    } else {
        Err(ApiError::invalid_field("ip", NO_ADDRESS))
    }
}

/// `DELETE /api/v1/bans/all`
pub fn unban_all(ctx: &mut Ctx, _request: &Request) -> Result<Job, ApiError> {
    let task = Task::Unban(bans::Unban {
        socket: ctx.fail2ban_socket().to_owned(),
        jail: None,
        ip: None,
        set: ctx.set_place(),
    });
    Ok(Job::new(task, |_, count| {
        let count = count.as_u64().unwrap_or(0);
        Ok(Response::json(200, &json!({ "message": format!("{count} bans were removed."), "count": count })))
    })
    .detached())
}

/// `JailCommandResponse` of the contract.
pub fn command_done(status: u16, message: String, jail: &str) -> Response {
    Response::json(status, &json!({ "message": message, "success": true, "jail": jail }))
}

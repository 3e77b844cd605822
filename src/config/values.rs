//! How the text of a setting becomes a value. What is wrong with it is said in words that follow the setting's name.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::firewall::Way;
use crate::server::listen::Address;
use crate::zones;

pub(super) fn list<V, E: ToString>(text: &str, parse: impl Fn(&str) -> Result<V, E>) -> Result<Vec<V>, String> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(|item| parse(item).map_err(|problem| format!("{item:?}: {}", problem.to_string())))
        .collect()
}

pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.contains('\0') {
        return Err("expected a path".into());
    }
    std::path::absolute(text).map_err(|error| error.to_string())
}

pub(super) fn number(text: &str, least: u32, most: u32) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("expected a whole number from {least} to {most}"))
}

pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err("expected 1 or 0".into()),
    }
}

pub(super) fn parse_listen(text: &str) -> Result<Address, String> {
    if let Some(path_text) = text.strip_prefix("unix:") {
        return path(path_text).map(Address::Unix);
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(Address::Tcp(address));
    }
    // A bare address or `localhost:PORT` are what people write; nothing is looked up in DNS.
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(Address::Tcp(SocketAddr::new(ip, 8000)));
    }
    if let Some(port) = text.strip_prefix("localhost:").and_then(|port| port.parse().ok()) {
        return Ok(Address::Tcp(SocketAddr::from(([127, 0, 0, 1], port))));
    }
    Err("expected ADDRESS:PORT, [ADDRESS]:PORT or unix:PATH".into())
}

/// An IANA time zone name that this program knows.
pub fn parse_timezone(text: &str) -> Result<String, String> {
    match zones::named(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err(format!("{text:?} is not a known time zone; expected an IANA name such as Europe/Berlin")),
    }
}

pub(super) fn parse_origin(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match host {
        Some(host) if !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/') => {
            Ok(text.to_ascii_lowercase())
        }
        _ => Err("expected scheme://host[:port], without a path".into()),
    }
}

/// Origins, `self`, or `none`, as the words of a policy's `frame-ancestors`.
pub(super) fn parse_frame_ancestors(text: &str) -> Result<String, String> {
    let word = |item: &str| match item.trim_matches('\'') {
        "self" => Ok("'self'".to_owned()),
        _ if item.contains([';', '\'', '"']) => Err("expected scheme://host[:port], self or none".into()),
        _ => parse_origin(item),
    };
    if matches!(text.trim().trim_matches('\''), "" | "none") {
        return Ok("'none'".into());
    }
    list(text, word).map(|words| words.join(" "))
}

pub(super) fn parse_base_path(text: &str) -> Result<String, String> {
    let trimmed = text.trim_end_matches('/');
    let segments_fine = trimmed.split('/').skip(1).all(|segment| {
        !segment.is_empty()
            && segment != "."
            && segment != ".."
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
    });
    if trimmed.is_empty() || (trimmed.starts_with('/') && segments_fine) {
        Ok(trimmed.to_owned())
    } else {
        Err("expected a path such as /bangui".into())
    }
}

pub(super) fn parse_web(text: &str) -> Result<String, String> {
    if text.starts_with("https://") || text.starts_with("http://") {
        Ok(text.to_owned())
    } else {
        Err("a URL that begins with https:// or http:// is expected".into())
    }
}

/// How imported addresses are dropped by a set of our own; `None` where fail2ban bans them.
pub(super) fn parse_blocklist_mode(text: &str) -> Result<Option<Way>, String> {
    match text {
        "fail2ban" => Ok(None),
        "nft" => Ok(Some(Way::Nft)),
        "ipset" => Ok(Some(Way::Ipset)),
        _ => Err("expected fail2ban, nft or ipset".to_owned()),
    }
}

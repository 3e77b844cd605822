//! Who sent a request, by its connection and by what trusted proxies say of it; and under which paths this server is reached.

use std::net::{IpAddr, Ipv4Addr};

use crate::app::Ctx;
use crate::domain::client::Client;
use crate::domain::forwarded::{self, Hop};
use crate::server::request::{Head, Peer};

/// The headers that say from where a request came.
const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED: &str = "forwarded";
/// What else a proxy sends, and no client on this machine by itself.
const OF_PROXIES: [&str; 4] = ["x-real-ip", "x-forwarded-proto", "x-forwarded-host", "via"];

/// The client, and whether it came by HTTPS.
///
/// Trusted proxies are believed about whom they had the request from, the nearest first; the first one that is none of them is the client.
/// A stage that cannot be read makes the client unknown, and so does a stranger on this machine who forwards: a proxy nobody told us of
/// must not make everybody local. Any other stranger may send what he likes.
pub(super) fn identify(ctx: &mut Ctx, head: &Head, peer: Peer) -> (Client, bool) {
    if peer == Peer::Console {
        return (Client::Address(Ipv4Addr::LOCALHOST.into()), false);
    }
    let says_something = head.all(FORWARDED_FOR).chain(head.all(FORWARDED)).next().is_some();
    let nearest = address_of(peer);
    if !is_trusted(ctx, peer) {
        if says_something {
            say_stranger(ctx, nearest);
        }
        let is_unknown =
            nearest.is_loopback() && (says_something || OF_PROXIES.iter().any(|name| head.all(name).next().is_some()));
        return (if is_unknown { Client::Unknown } else { Client::Address(nearest) }, false);
    }
    if !says_something {
        if peer != Peer::Unix {
            say_silent_proxy(ctx, nearest);
        }
        // Somebody at this machine may come without its proxy. From elsewhere comes the proxy only, for whomever.
        let client = if nearest.is_loopback() { Client::Address(nearest) } else { Client::Unknown };
        return (client, is_https(head));
    }
    (behind(ctx, head, nearest), is_https(head))
}

/// Who sent what could not be read as a request: of one that came by a proxy nothing is known.
pub(super) fn unparsed(ctx: &Ctx, peer: Peer) -> Client {
    match peer {
        Peer::Tcp(address) if !is_trusted(ctx, peer) => Client::Address(address),
        _ => Client::Unknown,
    }
}

/// Whether the peer may say who the client is.
fn is_trusted(ctx: &Ctx, peer: Peer) -> bool {
    match peer {
        Peer::Tcp(address) => is_proxy(ctx, address),
        Peer::Unix => true,
        Peer::Console => false,
    }
}

fn is_proxy(ctx: &Ctx, address: IpAddr) -> bool {
    ctx.config.trusted_proxies.iter().any(|network| network.contains_address(address))
}

/// A connection over a unix socket comes from this machine.
fn address_of(peer: Peer) -> IpAddr {
    match peer {
        Peer::Tcp(address) => address,
        Peer::Unix | Peer::Console => Ipv4Addr::LOCALHOST.into(),
    }
}

/// A proxy sets one of the two headers and hands on what its client sent of the other. So where both are there they must agree.
fn behind(ctx: &Ctx, head: &Head, nearest: IpAddr) -> Client {
    let mut found = None;
    let both = [forwarded::x_forwarded_for(head.all(FORWARDED_FOR)), forwarded::forwarded(head.all(FORWARDED))];
    for hops in both.into_iter().filter(|hops| !hops.is_empty()) {
        let client = first_stranger(ctx, &hops, nearest);
        if found.is_some_and(|other| other != client) {
            return Client::Unknown;
        }
        found = Some(client);
    }
    found.unwrap_or(Client::Address(nearest))
}

/// From the nearest stage outwards, the first one that is no trusted proxy.
fn first_stranger(ctx: &Ctx, hops: &[Hop], nearest: IpAddr) -> Client {
    let mut client = nearest;
    for hop in hops.iter().rev() {
        match hop {
            Hop::Unreadable => return Client::Unknown,
            Hop::Address(address) => client = *address,
        }
        if !is_proxy(ctx, client) {
            break;
        }
    }
    Client::Address(client)
}

fn is_https(head: &Head) -> bool {
    head.all("x-forwarded-proto").next().is_some_and(forwarded::proto_is_https)
        || head.all(FORWARDED).next().is_some_and(forwarded::forwarded_is_https)
}

fn say_stranger(ctx: &mut Ctx, address: IpAddr) {
    if !std::mem::replace(&mut ctx.proxies_said.stranger, true) {
        log::warn!(
            "{address} sends X-Forwarded-For and is no trusted proxy, so it is not believed; if it is your proxy, set \
             trusted_proxies = {address}"
        );
    }
}

fn say_silent_proxy(ctx: &mut Ctx, address: IpAddr) {
    if !std::mem::replace(&mut ctx.proxies_said.silent_proxy, true) {
        log::warn!(
            "the trusted proxy {address} does not say who its clients are, so they share its limits; have it send X-Forwarded-For"
        );
    }
}

/// The path below the base path, whether the proxy in front removes that or not.
pub(super) fn own_path<'p>(base: &str, path: &'p str) -> &'p str {
    path.strip_prefix(base).filter(|rest| rest.starts_with('/')).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::own_path;

    #[test]
    fn a_base_path_is_removed_by_the_proxy_or_here() {
        for path in ["/f2b/api/v1/jails", "/api/v1/jails"] {
            assert_eq!(own_path("/f2b", path), "/api/v1/jails");
            assert_eq!(own_path("", "/api/v1/jails"), "/api/v1/jails");
        }
        assert_eq!(own_path("/f2b", "/f2bapi/v1/jails"), "/f2bapi/v1/jails");
        assert_eq!(own_path("/f2b", "/f2b"), "/f2b");
    }
}

//! Who a failure is counted against: the address, network, name or identifier among the groups of a match.
//!
//! Nothing is resolved: a host name stays a name.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::failregex::Groups;
use super::use_dns::UseDns;

/// What the groups of a match say about its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// This address, network, name or identifier.
    Known(String),
    /// A host name, which `usedns = no` leaves out.
    NameRefused(String),
    /// None yet; a later line of the same connection may give it.
    Pending,
    /// None, and no connection either: fail2ban skips the match.
    Missing,
}

/// Decides as the daemon does: `ip4` before `ip6` before `dns` before `fid`; an identifier of its own goes before all of them.
pub fn identity(groups: &Groups, use_dns: UseDns) -> Identity {
    let group = |name: &str| groups.get(name).and_then(Option::as_deref);
    let prefix = group("cidr").filter(|text| !text.is_empty()).map(|text| text.parse::<u32>().unwrap_or(u32::MAX));
    let own = group("fid");
    let (text, canonical) = if let Some(text) = group("ip4") {
        (text, canonical_ip4(text, prefix))
    } else if let Some(text) = group("ip6") {
        (text, canonical_ip6(text, prefix))
    } else if let Some(text) = group("dns") {
        if use_dns == UseDns::No && text.parse::<std::net::IpAddr>().is_err() {
            return Identity::NameRefused(text.to_string());
        }
        (text, text.to_string())
    } else {
        return match own {
            Some(own) => Identity::Known(own.to_string()),
            None if group("mlfid").is_some() => Identity::Pending,
            None => Identity::Missing,
        };
    };
    match own {
        Some(own) if own != text => Identity::Known(own.to_string()),
        _ => Identity::Known(canonical),
    }
}

/// The address as the daemon writes it; text that is no address stays as it is.
fn canonical_ip4(text: &str, prefix: Option<u32>) -> String {
    match text.parse::<Ipv4Addr>() {
        Ok(address) => network_ip4(address, prefix),
        Err(_) => text.to_string(),
    }
}

fn network_ip4(address: Ipv4Addr, prefix: Option<u32>) -> String {
    match prefix {
        Some(0) => Ipv4Addr::UNSPECIFIED.to_string(),
        Some(bits @ 1..32) => format!("{}/{bits}", Ipv4Addr::from(u32::from(address) & (u32::MAX << (32 - bits)))),
        _ => address.to_string(),
    }
}

fn canonical_ip6(text: &str, prefix: Option<u32>) -> String {
    let Ok(address) = text.parse::<Ipv6Addr>() else {
        return text.to_string();
    };
    match prefix {
        Some(0) => return Ipv6Addr::UNSPECIFIED.to_string(),
        Some(bits @ 1..128) => {
            return format!("{}/{bits}", plain_ip6(Ipv6Addr::from(u128::from(address) & (u128::MAX << (128 - bits)))));
        }
        Some(_) => {}
        None => {
            if let Some(mapped) = address.to_ipv4_mapped() {
                return mapped.to_string();
            }
        }
    }
    plain_ip6(address)
}

/// As the C library writes it: the last 32 bits of an address that begins with 96 zero bits are dotted.
fn plain_ip6(address: Ipv6Addr) -> String {
    let segments = address.segments();
    if segments[..6] == [0; 6] && segments[6] != 0 {
        return format!("::{}", Ipv4Addr::from(u32::from(segments[6]) << 16 | u32::from(segments[7])));
    }
    address.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Identity {
        let groups = pairs.iter().map(|(name, value)| (name.to_string(), Some(value.to_string()))).collect();
        identity(&groups, UseDns::Warn)
    }

    #[test]
    fn addresses_are_canonical() {
        let known = |text: &str| Identity::Known(text.to_string());
        assert_eq!(of(&[("ip4", "192.0.2.1")]), known("192.0.2.1"));
        assert_eq!(of(&[("ip4", "192.0.2.300")]), known("192.0.2.300"));
        assert_eq!(of(&[("ip4", "192.0.2.77"), ("cidr", "24")]), known("192.0.2.0/24"));
        assert_eq!(of(&[("ip6", "2001:DB8::0:1")]), known("2001:db8::1"));
        assert_eq!(of(&[("ip6", "::ffff:c000:0201")]), known("192.0.2.1"));
        assert_eq!(of(&[("ip6", "2001:db8::1"), ("cidr", "64")]), known("2001:db8::/64"));
        assert_eq!(of(&[("fid", "a"), ("ip4", "192.0.2.1")]), known("a"));
        assert_eq!(of(&[("dns", "host.example")]), known("host.example"));
        assert_eq!(of(&[("mlfid", "7")]), Identity::Pending);
        assert_eq!(of(&[("user", "x")]), Identity::Missing);
    }
}

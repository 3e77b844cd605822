//! Who counts as one client. Pure: the socket's peer and the forwarded addresses come from the server.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// One client for every limit: an IPv4 address, or the /64 an IPv6 address lies in (one household has at least that many).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientKey(IpAddr);

impl ClientKey {
    /// The client an address belongs to. `::ffff:a.b.c.d` is the IPv4 client a.b.c.d.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) => {
                let network = u128::from(v6) & !((1 << 64) - 1);
                Self(IpAddr::V6(Ipv6Addr::from(network)))
            }
            v4 => Self(v4),
        }
    }
}

impl fmt::Display for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(v4) => write!(f, "{v4}"),
            IpAddr::V6(v6) => write!(f, "{v6}/64"),
        }
    }
}

/// Loopback, private, link-local or unique-local: where the owner of a new machine sits while it is set up.
pub fn is_local_network(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> String {
        ClientKey::of(text.parse().unwrap()).to_string()
    }

    #[test]
    fn an_ipv6_network_of_64_bits_is_one_client() {
        assert_eq!(key("2001:db8:1:2:3::4"), key("2001:db8:1:2:ffff::1"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("2001:db8::1"), "2001:db8::/64");
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_client() {
        assert_eq!(key("::ffff:192.0.2.7"), "192.0.2.7");
    }

    #[test]
    fn local_networks() {
        for yes in ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "172.31.0.1", "169.254.1.1", "fe80::1", "fd00::1"] {
            assert!(is_local_network(yes.parse().unwrap()), "{yes}");
        }
        for no in ["8.8.8.8", "172.32.0.1", "2001:db8::1", "100.64.0.1"] {
            assert!(!is_local_network(no.parse().unwrap()), "{no}");
        }
    }
}

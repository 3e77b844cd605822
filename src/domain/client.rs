//! Who counts as one client. Pure: the socket's peer and the forwarded addresses come from the server.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// Who sent a request, as far as it can be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// It came from this address.
    Address(IpAddr),
    /// It came by way of somebody who does not say from where: it is never local, never the proxy, and has one budget with all of its kind.
    Unknown,
}

impl Client {
    /// Who this is for limits.
    pub fn key(self) -> ClientKey {
        match self {
            Client::Address(address) => ClientKey::of(address),
            Client::Unknown => ClientKey::Unknown,
        }
    }

    /// The address, where there is one.
    pub fn address(self) -> Option<IpAddr> {
        match self {
            Client::Address(address) => Some(address),
            Client::Unknown => None,
        }
    }

    /// Whether it is on this machine.
    pub fn is_this_machine(self) -> bool {
        self.address().is_some_and(|address| address.to_canonical().is_loopback())
    }

    /// Whether it is on this machine or its local network.
    pub fn is_local_network(self) -> bool {
        self.address().is_some_and(is_local_network)
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Client::Address(address) => address.fmt(f),
            Client::Unknown => f.write_str("unknown"),
        }
    }
}

/// One client for every limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClientKey {
    /// An IPv4 address, or the /64 an IPv6 address lies in (one household has at least that many).
    Network(IpAddr, u8),
    /// All of whom nothing is known.
    Unknown,
}

impl ClientKey {
    /// The client an address belongs to. `::ffff:a.b.c.d` is the IPv4 client a.b.c.d.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) => Self::network(v6, 64),
            v4 => Self::Network(v4, 32),
        }
    }

    /// Whether it is on this machine.
    pub fn is_this_machine(self) -> bool {
        matches!(self, ClientKey::Network(address, _) if address.is_loopback())
    }

    /// The wider IPv6 network it lies in; `None` for an address of IPv4.
    pub fn within(self, bits: u8) -> Option<Self> {
        match self {
            ClientKey::Network(IpAddr::V6(v6), _) => Some(Self::network(v6, bits)),
            _ => None,
        }
    }

    fn network(address: Ipv6Addr, bits: u8) -> Self {
        let network = u128::from(address) & !(u128::MAX >> bits);
        ClientKey::Network(IpAddr::V6(Ipv6Addr::from(network)), bits)
    }
}

impl fmt::Display for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientKey::Network(IpAddr::V4(v4), _) => write!(f, "{v4}"),
            ClientKey::Network(v6, bits) => write!(f, "{v6}/{bits}"),
            ClientKey::Unknown => f.write_str("unknown"),
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
    fn wider_networks() {
        let key = ClientKey::of("2001:db8:1:2ff::4".parse().unwrap());
        assert_eq!(key.within(56).unwrap().to_string(), "2001:db8:1:200::/56");
        assert_eq!(key.within(48).unwrap().to_string(), "2001:db8:1::/48");
        assert_eq!(ClientKey::of("192.0.2.7".parse().unwrap()).within(48), None);
    }

    #[test]
    fn an_unknown_client_is_nowhere() {
        let client = Client::Unknown;
        assert!(!client.is_local_network() && !client.is_this_machine() && client.address().is_none());
        assert_eq!((client.to_string(), client.key()), ("unknown".to_owned(), ClientKey::Unknown));
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

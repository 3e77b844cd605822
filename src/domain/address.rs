//! IP addresses and networks as fail2ban must be told them: strictly read, written in one canonical form.
//!
//! Host names are not addresses here, and nothing is looked up.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is no address. The message is meant for whoever sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressError {
    /// Neither an IPv4 nor an IPv6 address.
    NotAnAddress,
    /// What follows the slash is no length of a prefix.
    BadPrefix,
    /// The whole Internet, where that would be a ban.
    Everything,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AddressError::NotAnAddress => {
                "an IPv4 address (four decimal numbers without leading zeros) or an IPv6 address without a zone is expected"
            }
            AddressError::BadPrefix => "the prefix length must be from 0 to 32 for IPv4, and from 0 to 128 for IPv6",
            AddressError::Everything => "a network of prefix length 0 is the whole Internet and is never banned",
        })
    }
}

impl std::error::Error for AddressError {}

/// An address, or a network whose bits behind the prefix are zero. A network of one address is that address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IpOrNet {
    address: IpAddr,
    prefix: u8,
}

const V4_BITS: u8 = 32;
const V6_BITS: u8 = 128;

impl IpOrNet {
    /// The network of `prefix` bits around `address`. An IPv4 address written as IPv6 becomes IPv4.
    pub fn new(address: IpAddr, prefix: u8) -> Result<IpOrNet, AddressError> {
        match address {
            IpAddr::V4(v4) if prefix <= V4_BITS => {
                let mask = u32::MAX.checked_shl(u32::from(V4_BITS - prefix)).unwrap_or(0);
                Ok(IpOrNet { address: IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask)), prefix })
            }
            IpAddr::V6(v6) if prefix <= V6_BITS => {
                if let (Some(v4), Some(rest)) = (v6.to_ipv4_mapped(), prefix.checked_sub(96)) {
                    return IpOrNet::new(IpAddr::V4(v4), rest);
                }
                let mask = u128::MAX.checked_shl(u32::from(V6_BITS - prefix)).unwrap_or(0);
                Ok(IpOrNet { address: IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask)), prefix })
            }
            _ => Err(AddressError::BadPrefix),
        }
    }

    /// The address, or the first one of the network.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits are fixed: 32 or 128 for a single address.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether this is more than one address.
    pub fn is_network(&self) -> bool {
        self.prefix < self.bits()
    }

    fn bits(&self) -> u8 {
        if self.address.is_ipv4() { V4_BITS } else { V6_BITS }
    }

    /// The network of `prefix` bits that it lies in; itself where it is as large already.
    pub fn within(&self, prefix: u8) -> IpOrNet {
        if self.prefix() <= prefix { *self } else { IpOrNet::new(self.address(), prefix).unwrap_or(*self) }
    }

    /// Whether all of `other` lies in here.
    pub fn contains(&self, other: &IpOrNet) -> bool {
        self.address.is_ipv4() == other.address.is_ipv4()
            && self.prefix <= other.prefix
            && IpOrNet::new(other.address, self.prefix) == Ok(*self)
    }

    /// Whether the address lies in here; an IPv4 address written as IPv6 counts as IPv4.
    pub fn contains_address(&self, address: IpAddr) -> bool {
        self.contains(&IpOrNet::from(address))
    }

    /// Whether any address is in both.
    pub fn overlaps(&self, other: &IpOrNet) -> bool {
        self.contains(other) || other.contains(self)
    }

    /// The first of these entries of an ignore list that has an address in common with it; host names are passed over.
    pub fn ignored_by<'e>(&self, entries: &'e [String]) -> Option<&'e String> {
        entries.iter().find(|entry| entry.parse::<IpOrNet>().is_ok_and(|entry| entry.overlaps(self)))
    }

    /// Refuses what must never be banned whatever else is known: everybody, and the address that means everybody.
    pub fn bannable(self) -> Result<IpOrNet, AddressError> {
        if self.prefix == 0 || (self.address.is_unspecified() && !self.is_network()) {
            Err(AddressError::Everything)
        } else {
            Ok(self)
        }
    }

    /// Why a ban of it is hardly what is meant, a word for programs and one for people: so wide that it shuts out whole parts of the world, or
    /// nothing that can ever be the source of a packet.
    pub fn too_much(&self) -> Option<(&'static str, &'static str)> {
        let (multicast, widest) = match self.address {
            IpAddr::V4(_) => (v4_net([224, 0, 0, 0], 4), WIDEST_V4),
            IpAddr::V6(_) => (v6_net([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), WIDEST_V6),
        };
        if self.prefix < widest {
            return Some(("too_wide", "wider than any single network"));
        }
        multicast.contains(self).then_some(("multicast", "for multicast, which nobody sends from"))
    }

    /// Whether every address of it is a host on the public Internet, as far as the registries of special-purpose addresses tell. Forms of
    /// IPv6 that carry an IPv4 address (NAT64, 6to4, Teredo) are as public as what they carry.
    pub fn is_public(&self) -> bool {
        match self.address {
            IpAddr::V4(_) => !RESERVED_V4.iter().any(|(a, prefix)| self.overlaps(&v4_net(*a, *prefix))),
            IpAddr::V6(first) => self.is_public_v6(first),
        }
    }

    fn is_public_v6(&self, first: Ipv6Addr) -> bool {
        let within = |segments: [u16; 8], prefix: u8| v6_net(segments, prefix).contains(self);
        let segments = first.segments();
        // The IPv4 network that stands behind the first `offset` bits.
        let carried = |offset: u8| {
            let bits = (first.to_bits() >> (96 - u32::from(offset))) as u32;
            let prefix = self.prefix.saturating_sub(offset).min(V4_BITS);
            IpOrNet::new(IpAddr::V4(Ipv4Addr::from_bits(bits)), prefix).is_ok_and(|net| net.is_public())
        };
        if within([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96) {
            return carried(96);
        }
        if within([0x2002, 0, 0, 0, 0, 0, 0, 0], 16) {
            return carried(16);
        }
        if within([0x2001, 0, 0, 0, 0, 0, 0, 0], 32) {
            // Teredo: the server's address in clear, the client's with its bits turned over. Only one address tells both.
            let client = Ipv4Addr::from_bits(!(first.to_bits() as u32));
            return self.prefix == V6_BITS && carried(32) && IpOrNet::from(IpAddr::V4(client)).is_public();
        }
        // Nothing else outside 2000::/3 is global unicast.
        self.prefix >= 3
            && segments[0] & 0xe000 == 0x2000
            && !RESERVED_V6.iter().any(|(a, prefix)| self.overlaps(&v6_net(*a, *prefix)))
    }
}

/// The shortest prefixes that are banned without being asked twice: whoever holds more holds it in many pieces.
const WIDEST_V4: u8 = 8;
const WIDEST_V6: u8 = 16;

/// IPv4 that is no host on the Internet, after the IANA registry of special-purpose addresses (RFC 6890 and successors).
const RESERVED_V4: [([u8; 4], u8); 15] = [
    ([0, 0, 0, 0], 8),       // this network
    ([10, 0, 0, 0], 8),      // private
    ([100, 64, 0, 0], 10),   // carrier-grade NAT
    ([127, 0, 0, 0], 8),     // loopback
    ([169, 254, 0, 0], 16),  // link-local, cloud metadata
    ([172, 16, 0, 0], 12),   // private
    ([192, 0, 0, 0], 24),    // protocol assignments
    ([192, 0, 2, 0], 24),    // documentation
    ([192, 88, 99, 0], 24),  // 6to4 relays, withdrawn
    ([192, 168, 0, 0], 16),  // private
    ([198, 18, 0, 0], 15),   // benchmarks
    ([198, 51, 100, 0], 24), // documentation
    ([203, 0, 113, 0], 24),  // documentation
    ([224, 0, 0, 0], 4),     // multicast
    ([240, 0, 0, 0], 4),     // reserved, broadcast
];

/// IPv6 inside 2000::/3 that is no host on the Internet. 6to4 and Teredo are decided before by what they carry.
const RESERVED_V6: [([u16; 8], u8); 4] = [
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), // protocol assignments: Teredo, benchmarks, ORCHID
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), // documentation
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), // 6to4, here as part of a wider network
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), // documentation
];

/// A network of the tables above.
fn v4_net(octets: [u8; 4], prefix: u8) -> IpOrNet {
    IpOrNet { address: IpAddr::from(octets), prefix }
}

fn v6_net(segments: [u16; 8], prefix: u8) -> IpOrNet {
    IpOrNet { address: IpAddr::from(segments), prefix }
}

impl From<IpAddr> for IpOrNet {
    fn from(address: IpAddr) -> IpOrNet {
        let address = address.to_canonical();
        IpOrNet { address, prefix: if address.is_ipv4() { V4_BITS } else { V6_BITS } }
    }
}

impl FromStr for IpOrNet {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<IpOrNet, AddressError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        // The standard library's parser is as strict as is wanted: no leading zeros, no short forms, no hexadecimal IPv4, no zone.
        let address: IpAddr = address.parse().map_err(|_| AddressError::NotAnAddress)?;
        let Some(prefix) = prefix else {
            return Ok(IpOrNet::from(address));
        };
        let digits = prefix.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || prefix.is_empty() || prefix.len() > 3 || (prefix.len() > 1 && prefix.starts_with('0')) {
            return Err(AddressError::BadPrefix);
        }
        IpOrNet::new(address, prefix.parse().map_err(|_| AddressError::BadPrefix)?)
    }
}

impl TryFrom<String> for IpOrNet {
    type Error = AddressError;

    fn try_from(text: String) -> Result<IpOrNet, AddressError> {
        text.parse()
    }
}

impl From<IpOrNet> for String {
    fn from(address: IpOrNet) -> String {
        address.to_string()
    }
}

impl fmt::Display for IpOrNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_network() { write!(f, "{}/{}", self.address, self.prefix) } else { write!(f, "{}", self.address) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpOrNet {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn attacks_are_no_addresses() {
        for text in [
            "",
            " ",
            "1.2.3.4;id",
            "1.2.3.4\n5.6.7.8",
            "1.2.3.4\n",
            " 1.2.3.4",
            "0x7f.1",
            "0x7f.0.0.1",
            "127.1",
            "2130706433",
            "1.2.3.04",
            "192.0.2.010",
            "1.2.3.256",
            "1.2.3",
            "localhost",
            "host.example",
            "fe80::1%eth0",
            "fe80::1%25eth0",
            "[::1]",
            "::ffff:1.2.3.04",
            "1::2::3",
            "12345::",
            "1.2.3.4:80",
            "１.2.3.4",
            "1.2.3.4\0",
            "-1.2.3.4",
            "+1.2.3.4",
        ] {
            assert_eq!(text.parse::<IpOrNet>(), Err(AddressError::NotAnAddress), "{text:?}");
        }
        for text in [
            "1.2.3.4/",
            "1.2.3.4/33",
            "1.2.3.4/+8",
            "1.2.3.4/08",
            "1.2.3.4/-1",
            "1.2.3.4/255.0.0.0",
            "::/129",
            "::/1e1",
            "1.2.3.4/8/8",
        ] {
            assert_eq!(text.parse::<IpOrNet>(), Err(AddressError::BadPrefix), "{text:?}");
        }
        assert!("1".repeat(10_000_000).parse::<IpOrNet>().is_err());
        for text in ["1.2.3.4/0", "::/0", "0.0.0.0/0", "::ffff:0:0/96"] {
            assert_eq!(net(text).bannable(), Err(AddressError::Everything), "{text}");
        }
        assert!(net("0.0.0.0/1").bannable().is_ok());
    }

    #[test]
    fn the_text_is_canonical() {
        for (text, canonical) in [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.77/24", "192.0.2.0/24"),
            ("192.0.2.5/32", "192.0.2.5"),
            ("2001:DB8:0::77", "2001:db8::77"),
            ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
            ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
            ("2001:db8::77/48", "2001:db8::/48"),
            ("2001:db8::77/128", "2001:db8::77"),
            ("::ffff:127.0.0.1", "127.0.0.1"),
            ("::ffff:7f00:1", "127.0.0.1"),
            ("::FFFF:192.0.2.77/120", "192.0.2.0/24"),
            ("::/0", "::/0"),
            ("255.255.255.255/1", "128.0.0.0/1"),
        ] {
            assert_eq!(net(text).to_string(), canonical);
            assert_eq!(net(canonical), net(text));
        }
    }

    #[test]
    fn addresses_in_json_are_checked_the_same_way() {
        let read = serde_json::from_str::<IpOrNet>;
        assert_eq!(read("\"192.0.2.7/24\"").unwrap(), net("192.0.2.0/24"));
        assert!(read("\"127.1\"").is_err());
        assert_eq!(serde_json::to_string(&net("::FFFF:1.2.3.4")).unwrap(), "\"1.2.3.4\"");
    }

    #[test]
    fn containment_is_by_prefix_and_family() {
        assert!(net("192.0.2.0/24").contains(&net("192.0.2.128/25")));
        assert!(net("192.0.2.0/24").contains(&net("192.0.2.255")));
        assert!(!net("192.0.2.0/24").contains(&net("192.0.3.0")));
        assert!(!net("192.0.2.0/25").contains(&net("192.0.2.0/24")));
        assert!(net("192.0.2.0/25").overlaps(&net("192.0.2.0/24")));
        assert!(!net("::/0").contains(&net("192.0.2.1")));
        assert!(net("0.0.0.0/0").contains_address("::ffff:1.2.3.4".parse().unwrap()));
        assert!(net("2001:db8::1").contains(&net("2001:db8::1")));
    }

    #[test]
    fn private_and_reserved_addresses_are_not_public() {
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "0.0.0.0/0",
            "8.0.0.0/5",
            "::",
            "::1",
            "::7f00:1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "3fff::1",
            "100::1",
            "64:ff9b:1::1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::/96",
            "64:ff9b::/64",
            "2002:a00:1::1",
            "2002:7f00:1::",
            "2002::/16",
            "2002::/15",
            "2001::1",
            "2001:2::1",
            "2001:20::1",
            "2000::/3",
            "::/0",
            "5f00::1",
            "2001:0:a00:1::f5ff:fffe",
            "2001:0:808:808::f5ff:fffe",
            "2001:0:808:808::/64",
            "::ffff:10.0.0.1",
        ] {
            assert!(!net(text).is_public(), "{text}");
        }
    }

    #[test]
    fn hosts_of_the_internet_are_public() {
        for text in [
            "8.8.8.8",
            "1.0.0.0/8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00::/12",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
            "2002:800::/24",
            "::ffff:8.8.8.8",
            "2001:0:808:808::f7f7:f7f7",
            "2400::/16",
        ] {
            assert!(net(text).is_public(), "{text}");
        }
    }
}

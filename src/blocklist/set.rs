//! Many addresses and networks in little memory: 4 bytes for an IPv4 address, 16 for IPv6, sorted, without duplicates.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sha2::{Digest, Sha256};

use crate::domain::address::IpOrNet;
use crate::domain::hex::hex;

/// The first bytes of an encoded set: its form and version.
const MAGIC: &[u8; 8] = b"bangset1";

/// A set of addresses and networks. `seal` sorts it; what reads it expects it sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressSet {
    v4: Vec<u32>,
    v4_nets: Vec<(u32, u8)>,
    v6: Vec<u128>,
    v6_nets: Vec<(u128, u8)>,
}

/// What became of networks that were replaced by their addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expanded {
    /// Networks that were replaced.
    pub networks: usize,
    /// The addresses in them.
    pub addresses: usize,
    /// Addresses that were there already.
    pub duplicates: usize,
}

impl FromIterator<IpOrNet> for AddressSet {
    /// They are sealed.
    fn from_iter<T: IntoIterator<Item = IpOrNet>>(entries: T) -> Self {
        let mut set = AddressSet::default();
        entries.into_iter().for_each(|entry| set.push(entry));
        set.seal();
        set
    }
}

impl AddressSet {
    /// Adds one.
    pub fn push(&mut self, entry: IpOrNet) {
        match (entry.address(), entry.is_network()) {
            (IpAddr::V4(v4), false) => self.v4.push(v4.to_bits()),
            (IpAddr::V4(v4), true) => self.v4_nets.push((v4.to_bits(), entry.prefix())),
            (IpAddr::V6(v6), false) => self.v6.push(v6.to_bits()),
            (IpAddr::V6(v6), true) => self.v6_nets.push((v6.to_bits(), entry.prefix())),
        }
    }

    /// Adds an IPv4 address.
    pub fn push_v4(&mut self, address: u32) {
        self.v4.push(address);
    }

    /// Adds an IPv4 network by its first address.
    pub fn push_v4_net(&mut self, first: u32, prefix: u8) {
        self.v4_nets.push((first, prefix));
    }

    /// Sorts it and drops what is there twice; returns how many were dropped.
    pub fn seal(&mut self) -> usize {
        let before = self.len();
        fn sort<T: Ord + Copy>(list: &mut Vec<T>) {
            list.sort_unstable();
            list.dedup();
        }
        sort(&mut self.v4);
        sort(&mut self.v4_nets);
        sort(&mut self.v6);
        sort(&mut self.v6_nets);
        before - self.len()
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.v4.len() + self.v4_nets.len() + self.v6.len() + self.v6_nets.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of its entries are networks.
    pub fn networks(&self) -> usize {
        self.v4_nets.len() + self.v6_nets.len()
    }

    /// Replaces the networks of up to `largest` addresses by these, the smallest first, as long as they are at most `most` in all, and drops
    /// the other networks.
    pub fn expand_networks(&mut self, largest: u32, most: usize) -> Expanded {
        let mut nets: Vec<(u32, IpOrNet)> = self
            .iter()
            .filter(IpOrNet::is_network)
            .filter_map(|net| {
                let bits = if net.address().is_ipv4() { 32 } else { 128 } - u32::from(net.prefix());
                1_u32.checked_shl(bits).filter(|size| *size <= largest).map(|size| (size, net))
            })
            .collect();
        nets.sort_unstable();
        (self.v4_nets, self.v6_nets) = (Vec::new(), Vec::new());
        let mut expanded = Expanded::default();
        for (size, net) in nets {
            if expanded.addresses + size as usize > most {
                break;
            }
            match net.address() {
                IpAddr::V4(v4) => self.v4.extend((0..size).map(|number| v4.to_bits() + number)),
                IpAddr::V6(v6) => self.v6.extend((0..size).map(|number| v6.to_bits() + u128::from(number))),
            }
            expanded.networks += 1;
            expanded.addresses += size as usize;
        }
        expanded.duplicates = self.seal();
        expanded
    }

    /// Its entries: addresses before networks, IPv4 before IPv6, in order.
    pub fn iter(&self) -> impl Iterator<Item = IpOrNet> + '_ {
        let v4 = self.v4.iter().map(|bits| (IpAddr::from(Ipv4Addr::from_bits(*bits)), 32));
        let v4_nets = self.v4_nets.iter().map(|(bits, prefix)| (IpAddr::from(Ipv4Addr::from_bits(*bits)), *prefix));
        let v6 = self.v6.iter().map(|bits| (IpAddr::from(Ipv6Addr::from_bits(*bits)), 128));
        let v6_nets = self.v6_nets.iter().map(|(bits, prefix)| (IpAddr::from(Ipv6Addr::from_bits(*bits)), *prefix));
        v4.chain(v6)
            .chain(v4_nets)
            .chain(v6_nets)
            .map(|(address, prefix)| IpOrNet::new(address, prefix).expect("it was one when it was pushed"))
    }

    /// Whether exactly this is in it.
    pub fn has(&self, entry: &IpOrNet) -> bool {
        match (entry.address(), entry.is_network()) {
            (IpAddr::V4(v4), false) => self.v4.binary_search(&v4.to_bits()).is_ok(),
            (IpAddr::V4(v4), true) => self.v4_nets.binary_search(&(v4.to_bits(), entry.prefix())).is_ok(),
            (IpAddr::V6(v6), false) => self.v6.binary_search(&v6.to_bits()).is_ok(),
            (IpAddr::V6(v6), true) => self.v6_nets.binary_search(&(v6.to_bits(), entry.prefix())).is_ok(),
        }
    }

    /// Drops what the other one has, too; returns how many were dropped.
    pub fn subtract(&mut self, other: &AddressSet) -> usize {
        fn without<T: Ord + Copy>(list: &mut Vec<T>, other: &[T]) {
            let mut rest = other;
            list.retain(|entry| {
                // Both are sorted, so what lies before is passed over once for all.
                rest = &rest[rest.partition_point(|passed| passed < entry)..];
                rest.first() != Some(entry)
            });
        }
        let before = self.len();
        without(&mut self.v4, &other.v4);
        without(&mut self.v4_nets, &other.v4_nets);
        without(&mut self.v6, &other.v6);
        without(&mut self.v6_nets, &other.v6_nets);
        before - self.len()
    }

    /// Adds what the other one has.
    pub fn merge(&mut self, other: &AddressSet) {
        self.v4.extend_from_slice(&other.v4);
        self.v4_nets.extend_from_slice(&other.v4_nets);
        self.v6.extend_from_slice(&other.v6);
        self.v6_nets.extend_from_slice(&other.v6_nets);
        self.seal();
    }

    /// Drops everything that has an address in common with `net`; returns how many were dropped.
    pub fn drop_overlapping(&mut self, net: &IpOrNet) -> usize {
        let before = self.len();
        match net.address() {
            IpAddr::V4(first) => {
                let host_bits = u32::MAX.checked_shr(u32::from(net.prefix())).unwrap_or(0);
                drop_range(&mut self.v4, first.to_bits(), first.to_bits() | host_bits);
                self.v4_nets.retain(|(bits, prefix)| {
                    let entry = IpOrNet::new(Ipv4Addr::from_bits(*bits).into(), *prefix);
                    entry.is_ok_and(|entry| !entry.overlaps(net))
                });
            }
            IpAddr::V6(first) => {
                let host_bits = u128::MAX.checked_shr(u32::from(net.prefix())).unwrap_or(0);
                drop_range(&mut self.v6, first.to_bits(), first.to_bits() | host_bits);
                self.v6_nets.retain(|(bits, prefix)| {
                    let entry = IpOrNet::new(Ipv6Addr::from_bits(*bits).into(), *prefix);
                    entry.is_ok_and(|entry| !entry.overlaps(net))
                });
            }
        }
        before - self.len()
    }

    /// Drops what is not on the public Internet; returns how many were dropped.
    pub fn drop_not_public(&mut self) -> usize {
        let before = self.len();
        let v4 = |bits: u32| IpAddr::from(Ipv4Addr::from_bits(bits));
        let v6 = |bits: u128| IpAddr::from(Ipv6Addr::from_bits(bits));
        // Most of the first 8 bits of IPv4, and of the first 16 of IPv6, hold only public addresses. In order, each is judged once.
        let mut octets = AllPublic::default();
        let mut four = |bits: u32, prefix: u8| {
            (prefix >= 8 && octets.are(v4(bits), 8, u128::from(bits >> 24))) || is_public(v4(bits), prefix)
        };
        self.v4.retain(|bits| four(*bits, 32));
        self.v4_nets.retain(|(bits, prefix)| four(*bits, *prefix));
        let mut segments = AllPublic::default();
        let mut six = |bits: u128, prefix: u8| {
            (prefix >= 16 && segments.are(v6(bits), 16, bits >> 112)) || is_public(v6(bits), prefix)
        };
        self.v6.retain(|bits| six(*bits, 128));
        self.v6_nets.retain(|(bits, prefix)| six(*bits, *prefix));
        before - self.len()
    }

    /// The set as bytes, for a file.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for count in [self.v4.len(), self.v4_nets.len(), self.v6.len(), self.v6_nets.len()] {
            bytes.extend_from_slice(&(count as u32).to_be_bytes());
        }
        self.v4.iter().for_each(|bits| bytes.extend_from_slice(&bits.to_be_bytes()));
        for (bits, prefix) in &self.v4_nets {
            bytes.extend_from_slice(&bits.to_be_bytes());
            bytes.push(*prefix);
        }
        self.v6.iter().for_each(|bits| bytes.extend_from_slice(&bits.to_be_bytes()));
        for (bits, prefix) in &self.v6_nets {
            bytes.extend_from_slice(&bits.to_be_bytes());
            bytes.push(*prefix);
        }
        bytes
    }

    /// The set in such bytes; `None` where they are not whole.
    pub fn decode(bytes: &[u8]) -> Option<AddressSet> {
        let mut rest = bytes.strip_prefix(MAGIC)?;
        let mut counts = [0_usize; 4];
        for count in &mut counts {
            *count = u32::from_be_bytes(take(&mut rest)?) as usize;
        }
        let mut set = AddressSet::default();
        for _ in 0..counts[0] {
            set.v4.push(u32::from_be_bytes(take(&mut rest)?));
        }
        for _ in 0..counts[1] {
            set.v4_nets.push((u32::from_be_bytes(take(&mut rest)?), take::<1>(&mut rest)?[0].min(32)));
        }
        for _ in 0..counts[2] {
            set.v6.push(u128::from_be_bytes(take(&mut rest)?));
        }
        for _ in 0..counts[3] {
            set.v6_nets.push((u128::from_be_bytes(take(&mut rest)?), take::<1>(&mut rest)?[0].min(128)));
        }
        set.seal();
        rest.is_empty().then_some(set)
    }

    /// The SHA-256 of its content, in hexadecimal: the same for lists that differ in order and comments only.
    pub fn fingerprint(&self) -> String {
        hex(&Sha256::digest(self.encode()))
    }
}

fn is_public(address: IpAddr, prefix: u8) -> bool {
    IpOrNet::new(address, prefix).is_ok_and(|net| net.is_public())
}

/// Whether all addresses that begin with the same bits are public, for the bits last asked for.
#[derive(Default)]
struct AllPublic {
    last: Option<(u128, bool)>,
}

impl AllPublic {
    fn are(&mut self, address: IpAddr, prefix: u8, bits: u128) -> bool {
        match self.last {
            Some((last, are)) if last == bits => are,
            _ => {
                let are = is_public(address, prefix);
                self.last = Some((bits, are));
                are
            }
        }
    }
}

fn drop_range<T: Ord + Copy>(list: &mut Vec<T>, first: T, last: T) {
    let start = list.partition_point(|entry| *entry < first);
    let end = list.partition_point(|entry| *entry <= last);
    list.drain(start..end);
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A set of these.
    pub fn set(texts: &[&str]) -> AddressSet {
        let mut set = AddressSet::default();
        texts.iter().for_each(|text| set.push(text.parse().unwrap()));
        set.seal();
        set
    }

    fn texts(set: &AddressSet) -> Vec<String> {
        set.iter().map(|entry| entry.to_string()).collect()
    }

    #[test]
    fn sets_are_sorted_and_have_everything_once() {
        let mut many = AddressSet::default();
        for text in ["9.9.9.9", "1.1.1.0/24", "2606::1", "8.8.8.8", "9.9.9.9", "2606:1::/32"] {
            many.push(text.parse().unwrap());
        }
        assert_eq!(many.seal(), 1);
        assert_eq!(texts(&many), ["8.8.8.8", "9.9.9.9", "2606::1", "1.1.1.0/24", "2606:1::/32"]);
        assert!(many.has(&"8.8.8.8".parse().unwrap()) && many.has(&"1.1.1.0/24".parse().unwrap()));
        assert!(!many.has(&"1.1.1.1".parse().unwrap()));
    }

    #[test]
    fn differences_and_unions() {
        let mut left = set(&["8.8.8.8", "9.9.9.9", "2606::1", "1.1.1.0/24"]);
        assert_eq!(left.subtract(&set(&["9.9.9.9", "1.1.1.0/25", "2606::1", "4.4.4.4"])), 2);
        assert_eq!(texts(&left), ["8.8.8.8", "1.1.1.0/24"]);
        left.merge(&set(&["4.4.4.4", "8.8.8.8"]));
        assert_eq!(texts(&left), ["4.4.4.4", "8.8.8.8", "1.1.1.0/24"]);
    }

    #[test]
    fn small_networks_become_their_addresses_and_large_ones_go() {
        let mut some = set(&["8.8.8.1", "8.8.8.0/30", "9.0.0.0/24", "9.9.0.0/16", "2606::/126"]);
        let expanded = some.expand_networks(256, 100);
        assert_eq!(expanded, Expanded { networks: 2, addresses: 8, duplicates: 1 });
        assert_eq!(some.networks(), 0);
        assert_eq!(texts(&some)[..5], ["8.8.8.0", "8.8.8.1", "8.8.8.2", "8.8.8.3", "2606::"]);
        let mut some = set(&["9.0.0.0/24", "9.9.0.0/16"]);
        assert_eq!(some.expand_networks(256, 300), Expanded { networks: 1, addresses: 256, duplicates: 0 });
        assert_eq!(some.len(), 256);
    }

    #[test]
    fn what_touches_a_network_is_dropped() {
        let mut some = set(&["1.1.1.1", "1.1.2.1", "1.1.0.0/16", "8.0.0.0/9", "2606::1", "2606::/64"]);
        assert_eq!(some.drop_overlapping(&"1.1.1.0/24".parse().unwrap()), 2);
        assert_eq!(some.drop_overlapping(&"2606::1".parse().unwrap()), 2);
        assert_eq!(texts(&some), ["1.1.2.1", "8.0.0.0/9"]);
        assert_eq!(some.drop_overlapping(&"0.0.0.0/0".parse().unwrap()), 2);
    }

    #[test]
    fn what_is_not_public_is_dropped() {
        let all = ["8.8.8.8", "10.0.0.1", "127.0.0.1", "192.168.1.0/24", "192.1.1.1", "0.0.0.0/1", "::1", "2606::1"];
        let mut some = set(&all);
        assert_eq!(some.drop_not_public(), 5);
        assert_eq!(texts(&some), ["8.8.8.8", "192.1.1.1", "2606::1"]);
    }

    #[test]
    fn a_set_comes_back_from_its_bytes_and_broken_bytes_do_not() {
        let some = set(&["8.8.8.8", "1.1.1.0/24", "2606::1", "2606:1::/32"]);
        let bytes = some.encode();
        assert_eq!(AddressSet::decode(&bytes), Some(some.clone()));
        for length in 0..bytes.len() {
            assert_eq!(AddressSet::decode(&bytes[..length]), None, "{length}");
        }
        assert_eq!(some.fingerprint().len(), 64);
        assert_ne!(some.fingerprint(), set(&["8.8.8.8"]).fingerprint());
    }
}

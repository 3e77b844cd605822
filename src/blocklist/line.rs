//! What one line of a blocklist says. Most lines are of few forms, which are read byte by byte; the others are read with care.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::domain::address::IpOrNet;

/// Wider IPv4 networks are mistakes or malice, not entries: a /8 is 16 million addresses.
pub(super) const WIDEST_V4: u8 = 8;
/// The same for IPv6: registries hand out /12 to themselves and /19 at most to others.
pub(super) const WIDEST_V6: u8 = 19;

/// What a line says that is of one of the usual forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Usual {
    /// A remark.
    Remark,
    /// An IPv4 address.
    V4(u32),
    /// An IPv4 network of a prefix below 32, whatever its other bits are.
    Net4(u32, u8),
}

/// The IPv4 address that the bytes begin with, and its length. Strict as the standard library: four decimal numbers without leading zeros.
fn v4(bytes: &[u8]) -> Option<(u32, usize)> {
    let (mut address, mut at) = (0_u32, 0);
    for part in 0..4 {
        let start = at;
        let mut number = 0_u32;
        while let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
            number = number * 10 + u32::from(digit);
            at += 1;
            if at - start > 3 {
                return None;
            }
        }
        if at == start || number > 255 || (at - start > 1 && bytes[start] == b'0') {
            return None;
        }
        address = address << 8 | number;
        if part < 3 {
            if bytes.get(at) != Some(&b'.') {
                return None;
            }
            at += 1;
        }
    }
    Some((address, at))
}

/// The address of a line that is nothing but one, and the length of that line with its end.
pub(super) fn plain_v4_line(bytes: &[u8]) -> Option<(u32, usize)> {
    let (address, mut at) = v4(bytes)?;
    if bytes.get(at) == Some(&b'\r') {
        at += 1;
    }
    (bytes.get(at) == Some(&b'\n')).then_some((address, at + 1))
}

/// Reads a line of one of the usual forms; `None` for any other, which says nothing yet.
pub(super) fn usual(line: &[u8]) -> Option<Usual> {
    if matches!(line.first(), Some(b'#' | b';')) {
        return Some(Usual::Remark);
    }
    let line = line.strip_prefix(b"\"").unwrap_or(line);
    let (address, at) = v4(line)?;
    let rest = &line[at..];
    let Some(prefix) = rest.strip_prefix(b"/") else {
        return ends(rest).then_some(Usual::V4(address));
    };
    let (prefix, rest) = match prefix {
        [tens @ b'1'..=b'3', ones @ b'0'..=b'9', rest @ ..] => ((tens - b'0') * 10 + ones - b'0', rest),
        [ones @ b'0'..=b'9', rest @ ..] => (ones - b'0', rest),
        _ => return None,
    };
    (prefix < 32 && ends(rest)).then_some(Usual::Net4(address, prefix))
}

/// Whether what follows an address cannot be part of it: neither a range nor a netmask.
fn ends(rest: &[u8]) -> bool {
    let blank = rest.trim_ascii_start();
    match blank.first() {
        None | Some(b',' | b';' | b'|' | b'#' | b'"' | b'\'') => true,
        Some(byte) => blank.len() < rest.len() && *byte != b'-' && !byte.is_ascii_digit(),
    }
}

/// Whether it is so wide that it must be a mistake.
pub(super) fn is_too_wide(entry: &IpOrNet) -> bool {
    entry.prefix() < if entry.address().is_ipv4() { WIDEST_V4 } else { WIDEST_V6 }
}

/// What a line says.
pub(super) enum Entry {
    /// An address or a network.
    One(IpOrNet),
    /// All addresses from the first to the last.
    Range(IpAddr, IpAddr),
}

/// Reads the beginning of a line that is neither empty nor a comment.
pub(super) fn entry_of(line: &str) -> Option<Entry> {
    let (word, rest) = first_word(line.trim_start_matches(['"', '\'']));
    if let Some((first, last)) = word.split_once('-') {
        return range(first, last);
    }
    if let Some((address, mask)) = word.split_once('/').filter(|(_, mask)| mask.contains('.')) {
        return masked(address, mask);
    }
    let one: IpOrNet = word.parse().ok()?;
    let blank = rest.trim_ascii_start();
    if rest.len() > blank.len() && !one.is_network() {
        let (next, after) = first_word(blank);
        if next == "-" {
            return range(word, first_word(after.trim_ascii_start()).0);
        }
        if let Some(last) = next.strip_prefix('-') {
            return range(word, last);
        }
        // Whatever else follows is a host name or a remark, and the address stands alone.
        return masked(word, next).or(Some(Entry::One(one)));
    }
    Some(Entry::One(one))
}

/// What stands before the first blank or mark that ends an entry, and the rest.
fn first_word(text: &str) -> (&str, &str) {
    let ends = |byte: u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b';' | b'|' | b'#' | b'"' | b'\'');
    text.split_at(text.bytes().position(ends).unwrap_or(text.len()))
}

fn range(first: &str, last: &str) -> Option<Entry> {
    let (first, last): (IpAddr, IpAddr) = (first.parse().ok()?, last.parse().ok()?);
    (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(Entry::Range(first, last))
}

/// An address and a netmask such as 255.255.255.0.
fn masked(address: &str, mask: &str) -> Option<Entry> {
    let mask = mask.parse::<Ipv4Addr>().ok()?.to_bits();
    let address: Ipv4Addr = address.parse().ok()?;
    let is_mask = mask.leading_ones() + mask.trailing_zeros().min(32) >= 32 && mask != 0;
    is_mask.then_some(Entry::One(IpOrNet::new(address.into(), mask.leading_ones() as u8).ok()?))
}

/// The networks that make up a range, or `None` where it is too wide.
pub(super) fn networks_of(first: IpAddr, last: IpAddr) -> Option<Vec<IpOrNet>> {
    let (bits, widest) = if first.is_ipv4() { (32, WIDEST_V4) } else { (128, WIDEST_V6) };
    let number = |address| match address {
        IpAddr::V4(v4) => u128::from(Ipv4Addr::to_bits(v4)),
        IpAddr::V6(v6) => Ipv6Addr::to_bits(v6),
    };
    let (mut at, end) = (number(first), number(last));
    if end - at >= 1 << (bits - u32::from(widest)) {
        return None;
    }
    let mut networks = Vec::new();
    while at <= end {
        let size = at.trailing_zeros().min((end - at + 1).ilog2());
        let address = match first {
            IpAddr::V4(_) => IpAddr::from(Ipv4Addr::from_bits(at as u32)),
            IpAddr::V6(_) => IpAddr::from(Ipv6Addr::from_bits(at)),
        };
        networks.push(IpOrNet::new(address, (bits - size) as u8).ok()?);
        match at.checked_add(1 << size) {
            Some(next) => at = next,
            None => break,
        }
    }
    Some(networks)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the careful way makes of a line, in the words of the quick one.
    fn carefully(line: &str) -> Option<Usual> {
        let line = line.trim();
        if line.starts_with(['#', ';']) {
            return Some(Usual::Remark);
        }
        match entry_of(line)? {
            Entry::One(entry) => match entry.address() {
                IpAddr::V4(address) if entry.is_network() => Some(Usual::Net4(address.to_bits(), entry.prefix())),
                IpAddr::V4(address) => Some(Usual::V4(address.to_bits())),
                IpAddr::V6(_) => None,
            },
            Entry::Range(..) => None,
        }
    }

    #[test]
    fn the_usual_forms_are_read_as_the_careful_way_reads_them() {
        let starts = [
            "8.8.8.8",
            "\"8.8.8.8",
            "8.8.8.08",
            "8.8.8",
            "256.1.1.1",
            "1.2.3.4/0",
            "1.2.3.4/8",
            "1.2.3.4/24",
            "1.2.3.4/31",
            "1.2.3.4/32",
            "1.2.3.4/33",
            "1.2.3.4/08",
            "1.2.3.4/255.255.0.0",
            "1.2.3.4/",
            "# x",
            "; x",
            "::1",
            "",
        ];
        let ends = [
            "",
            "\r",
            " ",
            "\t",
            ",x",
            ";x",
            "|x",
            "#x",
            "\"",
            "'",
            " x",
            " # x",
            " ; 1",
            " 255.255.255.0",
            " - 9.9.9.9",
            " -9.9.9.9",
            "-9.9.9.9",
            ".1",
            "x",
            "/",
            ":80",
            " \u{e9}",
            "\u{e9}",
            " ,1",
            "  \t 1.1.1.1",
            "0",
            "5",
        ];
        let mut usual_ones = 0;
        for start in starts {
            for end in ends {
                let line = format!("{start}{end}");
                let Some(quick) = usual(line.as_bytes()) else { continue };
                usual_ones += 1;
                let quick = match quick {
                    Usual::Net4(address, prefix) => {
                        let net = IpOrNet::new(Ipv4Addr::from_bits(address).into(), prefix).unwrap();
                        let IpAddr::V4(first) = net.address() else { panic!("{line}") };
                        Usual::Net4(first.to_bits(), prefix)
                    }
                    other => other,
                };
                assert_eq!(Some(quick), carefully(&line), "{line:?}");
            }
        }
        assert!(usual_ones > 100, "{usual_ones}");
    }
}

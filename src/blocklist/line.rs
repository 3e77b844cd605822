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

/// Whether what follows an address neither belongs to it nor is another address: no range, netmask, prefix or second address.
fn ends(rest: &[u8]) -> bool {
    let blank = rest.trim_ascii_start();
    let next = match blank.first() {
        None | Some(b'#') => return true,
        Some(b',' | b';' | b'|' | b'"' | b'\'') => {
            let start = blank.iter().position(|byte| !is_separator(*byte)).unwrap_or(blank.len());
            &blank[start..]
        }
        Some(_) if blank.len() == rest.len() => return false,
        Some(_) => blank,
    };
    // What begins with up to four hexadecimal digits and a dot or a colon may be an address.
    let digits = next.iter().take(5).take_while(|byte| byte.is_ascii_hexdigit()).count();
    !matches!(next.get(digits), Some(b'.' | b':' | b'-' | b'/')) || (digits > 0 && next.get(digits) == Some(&b'-'))
}

fn is_separator(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b',' | b';' | b'|' | b'"' | b'\'')
}

/// Whether it is so wide that it must be a mistake.
pub(super) fn is_too_wide(entry: &IpOrNet) -> bool {
    entry.prefix() < if entry.address().is_ipv4() { WIDEST_V4 } else { WIDEST_V6 }
}

/// What a line names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// An address or a network.
    One(IpOrNet),
    /// All addresses from the first to the last.
    Range(IpAddr, IpAddr),
}

impl Entry {
    /// The address, where it is a single one.
    fn single(&self) -> Option<IpAddr> {
        match self {
            Entry::One(entry) if !entry.is_network() => Some(entry.address()),
            _ => None,
        }
    }
}

/// Reads a line that is neither empty nor a remark and appends what it names: the addresses and networks it begins with, or where it begins
/// with something else, those of the first column that holds one.
pub(super) fn entries_of(line: &[u8], found: &mut Vec<Entry>) {
    if line.first() == Some(&b'{') {
        // A line of JSON: the first of its texts that is an address or a network.
        found.extend(line.split(|byte| *byte == b'"').skip(1).step_by(2).find_map(entry));
        return;
    }
    let mut words = Words { rest: line, begins_column: true };
    let mut at_start = true;
    while let Some((word, begins_column)) = words.next() {
        if !found.is_empty() {
            if !goes_on(word, &mut words, found) {
                return;
            }
        } else if begins_column && let Some(first) = entry(word) {
            found.push(first);
        } else if at_start && let Some(range) = labelled_range(line) {
            found.push(range);
            return;
        }
        at_start = false;
    }
}

/// Takes a word behind entries: what makes the last one a network or a range, or one more. `false` for anything else.
fn goes_on(word: &[u8], words: &mut Words<'_>, found: &mut Vec<Entry>) -> bool {
    let last = found.last().and_then(Entry::single);
    let changed = match (last, word) {
        (Some(first), b"-") => words.next().and_then(|(last, _)| range(first, last)),
        (Some(first), [b'-', last @ ..]) => range(first, last),
        (Some(address), [b'/', prefix @ ..]) => network(address, prefix),
        (Some(IpAddr::V4(address)), _) if found.len() == 1 => masked(address, word),
        _ => None,
    };
    if let Some(changed) = changed {
        found.pop();
        found.push(changed);
        return true;
    }
    if let Some(whole) = spanned(found, word) {
        found.clear();
        found.push(whole);
        return false;
    }
    let more = entry(word);
    found.extend(more);
    more.is_some()
}

/// The network of `start end prefix`, where the two addresses are its first and its last.
fn spanned(found: &[Entry], word: &[u8]) -> Option<Entry> {
    let [Entry::One(first), Entry::One(last)] = found else { return None };
    let Entry::One(whole) = network(first.address(), word)? else { return None };
    let networks = networks_of(first.address(), last.address())?;
    (networks == [whole]).then_some(Entry::One(whole))
}

/// The words of a line, and whether each begins a column.
struct Words<'a> {
    rest: &'a [u8],
    begins_column: bool,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<(&'a [u8], bool)> {
        let start = self.rest.iter().position(|byte| !is_separator(*byte))?;
        let begins_column = self.begins_column || self.rest[..start].iter().any(|byte| *byte != b' ');
        self.begins_column = false;
        let rest = &self.rest[start..];
        let length = rest.iter().position(|byte| is_separator(*byte) || *byte == b'#').unwrap_or(rest.len());
        let (word, rest) = rest.split_at(length);
        // What follows the mark is a remark.
        self.rest = if rest.first() == Some(&b'#') { &[] } else { rest };
        (!word.is_empty()).then_some((word, begins_column))
    }
}

/// An address, a network or a range in one word.
fn entry(word: &[u8]) -> Option<Entry> {
    if let Some((address, at)) = v4(word) {
        let address = IpAddr::from(Ipv4Addr::from_bits(address));
        return match &word[at..] {
            [] => Some(Entry::One(address.into())),
            [b'/', prefix @ ..] => network(address, prefix),
            [b'-', last @ ..] => range(address, last),
            _ => None,
        };
    }
    if !word.contains(&b':') {
        return None;
    }
    let text = std::str::from_utf8(word).ok()?;
    match text.split_once('-') {
        Some((first, last)) => range(first.parse().ok()?, last.as_bytes()),
        None => text.parse().ok().map(Entry::One),
    }
}

/// A range behind a label and a colon, which may hold any characters: the lists of peer-to-peer programs.
fn labelled_range(line: &[u8]) -> Option<Entry> {
    let colon = line.iter().rposition(|byte| *byte == b':')?;
    let (first, at) = v4(&line[colon + 1..])?;
    let last = line[colon + 1 + at..].strip_prefix(b"-")?;
    range(Ipv4Addr::from_bits(first).into(), last.trim_ascii_end())
}

fn address(word: &[u8]) -> Option<IpAddr> {
    match v4(word) {
        Some((address, at)) => (at == word.len()).then(|| Ipv4Addr::from_bits(address).into()),
        None => std::str::from_utf8(word).ok()?.parse().ok(),
    }
}

fn range(first: IpAddr, last: &[u8]) -> Option<Entry> {
    let last = address(last)?;
    (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(Entry::Range(first, last))
}

/// The network of an address and a prefix or, for IPv4, a netmask.
fn network(address: IpAddr, prefix: &[u8]) -> Option<Entry> {
    let number = match prefix {
        [b'0', _, ..] => return None,
        [b'0'..=b'9'] | [b'0'..=b'9', b'0'..=b'9'] | [b'1', b'0'..=b'9', b'0'..=b'9'] => {
            prefix.iter().fold(0_u8, |number, digit| number * 10 + (digit - b'0'))
        }
        _ => return if let IpAddr::V4(v4) = address { masked(v4, prefix) } else { None },
    };
    IpOrNet::new(address, number).ok().map(Entry::One)
}

/// An address and a netmask such as 255.255.255.0.
fn masked(address: Ipv4Addr, mask: &[u8]) -> Option<Entry> {
    let (mask, _) = v4(mask).filter(|(_, at)| *at == mask.len())?;
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
        let mut found = Vec::new();
        entries_of(line.as_bytes(), &mut found);
        let [Entry::One(one)] = found[..] else { return None };
        match one.address() {
            IpAddr::V4(v4) if one.is_network() => Some(Usual::Net4(v4.to_bits(), one.prefix())),
            IpAddr::V4(v4) => Some(Usual::V4(v4.to_bits())),
            IpAddr::V6(_) => None,
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

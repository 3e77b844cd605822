//! One ban in 36 bytes, and the form in which a child sends bans to the loop. What is banned need not be an address: a jail may ban by
//! any text, which is kept beside the rows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::domain::address::IpOrNet;
use crate::domain::history::Country;

/// The prefix of a row that bans a text; its number stands in the place of the address.
const TEXT: u8 = 255;
/// The prefix of a row that bans a text, on the wire: the text follows.
const LONGEST_TEXT: usize = u16::MAX as usize;

/// How long a ban lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasts {
    /// So many seconds from its start.
    Seconds(i64),
    /// For ever.
    Forever,
    /// Nobody says: a daemon before 0.11.
    Unknown,
}

/// A ban as whoever reads it knows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Told<'a> {
    /// What is banned.
    pub ip: &'a str,
    /// When, in Unix seconds; `None` where it cannot be told.
    pub since: Option<i64>,
    /// How long.
    pub lasts: Lasts,
    /// Which ban of the address it is, from 1.
    pub count: i64,
    /// Where the address is, if known.
    pub country: Option<Country>,
}

/// A ban.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The address as IPv6, an IPv4 address mapped; or the number of a text.
    address: [u8; 16],
    /// Unix seconds, 0 = unknown. Good until 2106.
    since: u32,
    /// The upper and lower half of the seconds it lasts; -1 = for ever, -2 = unknown.
    lasts: [u32; 2],
    count: u16,
    country: u16,
    prefix: u8,
    is_v4: bool,
}

/// By what rows are kept in order: when they end, and what they ban.
pub type EndKey = (i64, [u8; 16], u8);

/// How many bytes a row has on the wire, its text excepted.
pub const ROW: usize = 16 + 4 + 8 + 2 + 2 + 1 + 1;

impl Row {
    /// The ban; `text` keeps what is no address and gives its number.
    pub fn new(told: &Told<'_>, text: impl FnOnce(&str) -> u32) -> Row {
        let (address, prefix, is_v4) = match told.ip.parse::<IpOrNet>() {
            // Another way of writing it is another name for the daemon.
            Ok(net) if net.to_string() == told.ip => match net.address() {
                IpAddr::V4(v4) => (v4.to_ipv6_mapped().octets(), net.prefix(), true),
                IpAddr::V6(v6) => (v6.octets(), net.prefix(), false),
            },
            _ => {
                let mut number = [0; 16];
                number[..4].copy_from_slice(&text(told.ip).to_be_bytes());
                (number, TEXT, false)
            }
        };
        let seconds = match told.lasts {
            Lasts::Seconds(seconds) => seconds.max(0),
            Lasts::Forever => -1,
            Lasts::Unknown => -2,
        };
        Row {
            address,
            since: told.since.and_then(|since| u32::try_from(since).ok()).unwrap_or(0),
            lasts: [(seconds as u64 >> 32) as u32, seconds as u32],
            count: u16::try_from(told.count.max(1)).unwrap_or(u16::MAX),
            country: told.country.map_or(0, |country| country.number() as u16),
            prefix,
            is_v4,
        }
    }

    /// An address or a network that is banned from one Unix second to another.
    pub fn of_net(net: &IpOrNet, since: u32, until: u32, country: Option<Country>) -> Row {
        let (address, is_v4) = match net.address() {
            IpAddr::V4(v4) => (v4.to_ipv6_mapped().octets(), true),
            IpAddr::V6(v6) => (v6.octets(), false),
        };
        let country = country.map_or(0, |country| country.number() as u16);
        let lasts = [0, until.saturating_sub(since)];
        Row { address, since, lasts, count: 1, country, prefix: net.prefix(), is_v4 }
    }

    /// Whether it bans a text, and which.
    pub fn text(&self) -> Option<u32> {
        let [a, b, c, d, ..] = self.address;
        (self.prefix == TEXT).then(|| u32::from_be_bytes([a, b, c, d]))
    }

    /// What is banned, where that is an address or a network.
    pub fn net(&self) -> Option<IpOrNet> {
        let v6 = Ipv6Addr::from(self.address);
        let address = if self.is_v4 { IpAddr::V4(self.v4()) } else { IpAddr::V6(v6) };
        if self.prefix == TEXT { None } else { IpOrNet::new(address, self.prefix).ok() }
    }

    /// Whether it may ban all of this: what is certainly something else costs next to nothing.
    pub fn may_cover(&self, net: &IpOrNet) -> bool {
        let (bits, is_v4) = match net.address() {
            IpAddr::V4(v4) => (v4.to_ipv6_mapped().octets(), true),
            IpAddr::V6(v6) => (v6.octets(), false),
        };
        let whole = if is_v4 { 32 } else { 128 };
        self.is_v4 == is_v4 && self.prefix <= net.prefix() && (self.prefix < whole || self.address == bits)
    }

    fn v4(&self) -> Ipv4Addr {
        let [.., a, b, c, d] = self.address;
        Ipv4Addr::new(a, b, c, d)
    }

    /// By what addresses are put in order: IPv4 before IPv6, a network before what lies in it, texts last.
    pub fn address_key(&self) -> (u8, [u8; 16], u8) {
        let kind = if self.is_v4 { 0 } else { 1 + u8::from(self.prefix == TEXT) };
        (kind, self.address, self.prefix)
    }

    /// When it was made, in Unix seconds.
    pub fn since(&self) -> Option<i64> {
        (self.since > 0).then_some(i64::from(self.since))
    }

    /// How long it lasts.
    pub fn lasts(&self) -> Lasts {
        match (u64::from(self.lasts[0]) << 32 | u64::from(self.lasts[1])) as i64 {
            -1 => Lasts::Forever,
            seconds if seconds < 0 => Lasts::Unknown,
            seconds => Lasts::Seconds(seconds),
        }
    }

    /// When it ends, in Unix seconds; `None` for never and for unknown.
    pub fn until(&self) -> Option<i64> {
        match self.lasts() {
            Lasts::Seconds(seconds) => Some(self.since()?.saturating_add(seconds)),
            _ => None,
        }
    }

    /// By what rows are kept in order: what ends first comes first, and what never does comes last.
    pub fn end_key(&self) -> EndKey {
        (self.until().unwrap_or(i64::MAX), self.address, self.prefix)
    }

    /// Which ban of the address it is, from 1.
    pub fn count(&self) -> i64 {
        i64::from(self.count)
    }

    /// Where the address is, if known.
    pub fn country(&self) -> Option<Country> {
        Country::of_number(i64::from(self.country))
    }

    /// Appends what is banned, as text; nothing where it is a text itself.
    pub fn write(&self, out: &mut Vec<u8>) {
        if self.is_v4 {
            write_v4(self.v4(), self.prefix, out);
        } else if let Some(net) = self.net() {
            out.extend_from_slice(net.to_string().as_bytes());
        }
    }

    /// The front of `address_key`, in one number: two rows with different ones are in its order.
    pub fn front_of_address(&self) -> u64 {
        let (kind, address, prefix) = self.address_key();
        let [.., a, b, c, d] = address;
        let front = u64::from_be_bytes(std::array::from_fn(|at| address[at]));
        match kind {
            0 => u64::from(u32::from_be_bytes([a, b, c, d])) << 8 | u64::from(prefix),
            1 => 1 << 62 | front >> 2,
            _ => 1 << 63,
        }
    }

    /// Appends its form on the wire; `text` is what it bans where that is no address.
    pub fn encode(&self, text: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.address);
        for number in [self.since, self.lasts[0], self.lasts[1]] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&self.count.to_be_bytes());
        out.extend_from_slice(&self.country.to_be_bytes());
        out.extend_from_slice(&[self.prefix, u8::from(self.is_v4)]);
        if self.prefix == TEXT {
            let bytes = &text.as_bytes()[..text.len().min(LONGEST_TEXT)];
            out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
            out.extend_from_slice(bytes);
        }
    }

    /// Takes a row off the front of what a child sent. `text` keeps what is no address and gives its number.
    pub fn decode(bytes: &mut &[u8], text: impl FnOnce(&str) -> u32) -> Option<Row> {
        let (head, rest) = bytes.split_first_chunk::<ROW>()?;
        *bytes = rest;
        let number = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let short = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let mut address = [0; 16];
        address.copy_from_slice(&head[..16]);
        let prefix = head[32];
        if prefix == TEXT {
            let (length, rest) = bytes.split_first_chunk::<2>()?;
            let length = usize::from(u16::from_be_bytes(*length));
            let what = String::from_utf8_lossy(rest.get(..length)?);
            *bytes = &rest[length..];
            address[..4].copy_from_slice(&text(&what).to_be_bytes());
        }
        Some(Row {
            address,
            since: number(16),
            lasts: [number(20), number(24)],
            count: short(28),
            country: short(30),
            prefix,
            is_v4: head[33] == 1,
        })
    }
}

/// Every byte as decimal digits with a full stop behind them, and how many bytes these are.
const OCTETS: [([u8; 4], u8); 256] = {
    let (mut all, mut n) = ([([0; 4], 0); 256], 0);
    while n < 256 {
        let (hundreds, tens, ones) = (b'0' + (n / 100) as u8, b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8);
        all[n] = match n {
            100.. => ([hundreds, tens, ones, b'.'], 4),
            10.. => ([tens, ones, b'.', 0], 3),
            _ => ([ones, b'.', 0, 0], 2),
        };
        n += 1;
    }
    all
};

/// Appends the text of an IPv4 address or network, for a search through 100 000 of them.
fn write_v4(address: Ipv4Addr, prefix: u8, out: &mut Vec<u8>) {
    let (mut text, mut at) = ([0; 20], 0);
    for octet in address.octets() {
        let (digits, length) = &OCTETS[usize::from(octet)];
        text[at..at + 4].copy_from_slice(digits);
        at += usize::from(*length);
    }
    at -= 1;
    out.extend_from_slice(&text[..at]);
    if prefix < 32 {
        out.push(b'/');
        let (digits, length) = &OCTETS[usize::from(prefix)];
        out.extend_from_slice(&digits[..usize::from(*length) - 1]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(ip: &str) -> Told<'_> {
        let country = "DE".parse().ok();
        Told { ip, since: Some(1_700_000_000), lasts: Lasts::Seconds(3600), count: 2, country }
    }

    #[test]
    fn a_row_is_as_small_as_promised() {
        assert!(size_of::<Row>() <= 36, "{}", size_of::<Row>());
    }

    #[test]
    fn a_row_comes_back_from_the_wire() {
        for ip in ["198.51.100.7", "10.0.0.0/8", "2001:db8::7", "2001:db8::/32", "odd text", "1.2.3.4/32", ""] {
            for lasts in [Lasts::Seconds(0), Lasts::Seconds(1 << 40), Lasts::Forever, Lasts::Unknown] {
                for since in [None, Some(1), Some(4_000_000_000)] {
                    let row = Row::new(&Told { lasts, since, ..told(ip) }, |_| 7);
                    let mut bytes = Vec::new();
                    row.encode(ip, &mut bytes);
                    let mut seen = None;
                    let mut rest = bytes.as_slice();
                    let back = Row::decode(&mut rest, |text| {
                        seen = Some(text.to_owned());
                        7
                    });
                    assert_eq!((back, rest.len()), (Some(row), 0), "{ip}");
                    assert_eq!(seen.as_deref(), row.text().is_some().then_some(ip));
                    assert_eq!((row.lasts(), row.since()), (lasts, since));
                    assert_eq!(row.net().map(|net| net.to_string()), row.text().is_none().then(|| ip.to_owned()));
                    for cut in 0..bytes.len() {
                        assert_eq!(Row::decode(&mut &bytes[..cut], |_| 7), None);
                    }
                }
            }
        }
    }

    #[test]
    fn an_end_is_start_and_length_and_what_has_none_is_last() {
        let row = |lasts| Row::new(&Told { lasts, ..told("192.0.2.1") }, |_| 0);
        assert_eq!(row(Lasts::Seconds(60)).until(), Some(1_700_000_060));
        assert_eq!((row(Lasts::Forever).until(), row(Lasts::Unknown).until()), (None, None));
        assert!(row(Lasts::Seconds(1 << 33)).end_key() < row(Lasts::Forever).end_key());
    }

    #[test]
    fn what_is_searched_is_what_is_shown() {
        for n in 0..=u32::from(u16::MAX) {
            let address = Ipv4Addr::from(n.wrapping_mul(0x9e37_79b9));
            for prefix in [8, 24, 31, 32] {
                let mut text = Vec::new();
                write_v4(address, prefix, &mut text);
                let suffix = if prefix < 32 { format!("/{prefix}") } else { String::new() };
                assert_eq!(text, format!("{address}{suffix}").as_bytes());
            }
        }
    }
}

//! Reads a blocklist in whatever form it comes, piece by piece and in one pass: addresses, networks, ranges, netmasks, several on a line,
//! CSV, hosts files, lines of JSON, lists of peer-to-peer programs; `docs/blocklists.md` shows each. Every line is counted once, under what
//! it is, and every entry under what becomes of it; nothing is guessed.
//!
//! Not read here: packed lists (`unpack`), a list that is one JSON document on one line, and host names, which nothing here looks up.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use super::line::{Entry, Usual, WIDEST_V4, entries_of, is_too_wide, networks_of, plain_v4_line, usual};
use super::set::AddressSet;
use crate::domain::address::IpOrNet;

/// The longest line that is looked at, in bytes; of a longer one nothing is believed.
const LONGEST_LINE: usize = 4096;
/// What is looked at before the first line is believed, in bytes: enough to tell a page from a list.
const HEAD: usize = 512;

/// How much of a list is read at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Lines, comments included.
    pub lines: u64,
    /// Entries.
    pub entries: usize,
}

impl Limits {
    /// Two million entries are 8 MB of memory for IPv4 and more than any public list has.
    pub const DEFAULT: Limits = Limits { lines: 5_000_000, entries: 2_000_000 };
}

/// Why what came is no list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// A page for people.
    Html,
    /// UTF-16 or UTF-32.
    Utf16,
    /// Packed in another way than by gzip, or not text at all.
    Binary,
    /// Packed by gzip, and damaged or cut off.
    Damaged,
    /// Larger than so many bytes once it is unpacked.
    TooLarge(u64),
    /// More lines or entries than are read.
    TooLong,
    /// Not one usable address, though so many lines.
    Empty(u64),
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParseError::Html => f.write_str("this is a web page, not a list; use the address of the raw text file"),
            ParseError::Utf16 => f.write_str("the list is UTF-16 or UTF-32; only ASCII and UTF-8 are read"),
            ParseError::Binary => f.write_str("this is not text; use the address of the unpacked text file"),
            ParseError::Damaged => f.write_str("the list is packed by gzip, and what came of it is damaged or cut off"),
            ParseError::TooLarge(bytes) => {
                write!(f, "unpacked, the list is larger than {} MiB; use a smaller one", bytes >> 20)
            }
            ParseError::TooLong => {
                let Limits { lines, entries } = Limits::DEFAULT;
                write!(f, "the list has more than {lines} lines or {entries} entries; use a smaller one")
            }
            ParseError::Empty(lines) => {
                write!(f, "no usable address is in its {lines} lines; is it the right address?")
            }
        }
    }
}

impl std::error::Error for ParseError {}

/// What was passed over, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Lines that name no address.
    pub invalid: u64,
    /// Lines of more than 4096 bytes.
    pub line_too_long: u64,
    /// Private, reserved and documentation addresses.
    pub not_public: u64,
    /// Networks so wide that they must be a mistake.
    pub too_wide: u64,
    /// Entries that were there before.
    pub duplicate: u64,
}

impl Skipped {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.invalid + self.line_too_long + self.not_public + self.too_wide + self.duplicate
    }
}

/// What the lines are; each is counted once, so that the numbers add up to all lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lines {
    /// They name addresses or networks, whatever becomes of those.
    pub with_entries: u64,
    /// Remarks, and the line about the list itself in a list of JSON lines.
    pub comment: u64,
    /// Nothing stands in them.
    pub blank: u64,
    /// They name no address.
    pub invalid: u64,
    /// They have more than 4096 bytes.
    pub too_long: u64,
}

/// A list, read.
#[derive(Debug, Default, PartialEq)]
pub struct Parsed {
    /// Its public addresses and networks, sealed.
    pub entries: AddressSet,
    /// The first of them in the order of the list.
    pub first: Vec<IpOrNet>,
    /// All lines.
    pub lines: u64,
    /// What they are.
    pub kinds: Lines,
    /// Addresses and networks that the lines name: those in `entries`, and those that were passed over.
    pub named: u64,
    /// What was passed over.
    pub skipped: Skipped,
}

/// Reads a list piece by piece.
#[derive(Debug)]
pub struct Parser {
    limits: Limits,
    sample: usize,
    parsed: Parsed,
    /// The line that is not whole yet, or before the first line what has come.
    rest: Vec<u8>,
    /// The line that is not whole yet is too long to be kept.
    overlong: bool,
    started: bool,
    /// Lines end in a carriage return alone.
    ends_in_cr: bool,
    /// What the line that is read names.
    found: Vec<Entry>,
}

impl Parser {
    /// Keeps the first `sample` entries in the order of the list.
    pub fn new(limits: Limits, sample: usize) -> Parser {
        let (parsed, rest) = (Parsed::default(), Vec::new());
        Parser { limits, sample, parsed, rest, overlong: false, started: false, ends_in_cr: false, found: Vec::new() }
    }

    /// Lines so far.
    pub fn lines(&self) -> u64 {
        self.parsed.lines
    }

    /// Takes the next piece.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), ParseError> {
        if self.started {
            return self.take(bytes);
        }
        self.rest.extend_from_slice(bytes);
        if self.rest.len() >= HEAD { self.start() } else { Ok(()) }
    }

    fn start(&mut self) -> Result<(), ParseError> {
        self.started = true;
        let head = std::mem::take(&mut self.rest);
        if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") || head.starts_with(b"\0\0\xfe\xff") {
            return Err(ParseError::Utf16);
        }
        let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head);
        if text.starts_with(b"\x1f\x8b") || text.iter().take(HEAD).any(|byte| *byte == 0) {
            return Err(ParseError::Binary);
        }
        if text.trim_ascii_start().starts_with(b"<") {
            return Err(ParseError::Html);
        }
        let seen = &text[..text.len().min(HEAD)];
        // The very last byte says nothing: its line feed may be yet to come.
        let is_lone = |two: &[u8]| two[0] == b'\r' && two[1] != b'\n';
        self.ends_in_cr = !seen.contains(&b'\n') && seen.windows(2).any(is_lone);
        self.take(text)
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), ParseError> {
        if !self.ends_in_cr {
            return self.read(bytes);
        }
        let lines: Vec<u8> = bytes.iter().map(|byte| if *byte == b'\r' { b'\n' } else { *byte }).collect();
        self.read(&lines)
    }

    fn read(&mut self, mut bytes: &[u8]) -> Result<(), ParseError> {
        if !self.rest.is_empty() || self.overlong {
            let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
                self.keep(bytes);
                return Ok(());
            };
            self.keep(&bytes[..end]);
            let line = std::mem::take(&mut self.rest);
            let overlong = std::mem::take(&mut self.overlong);
            if overlong {
                self.overlong_line()?
            } else {
                self.line(&line)?
            }
            bytes = &bytes[end + 1..];
        }
        while !bytes.is_empty() {
            // Nine lines in ten of a long list are one IPv4 address and nothing else.
            if let Some((address, length)) = plain_v4_line(bytes) {
                self.count_line()?;
                self.parsed.kinds.with_entries += 1;
                self.v4(address);
                bytes = &bytes[length..];
                continue;
            }
            let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
                self.keep(bytes);
                return Ok(());
            };
            self.line(&bytes[..end])?;
            bytes = &bytes[end + 1..];
        }
        Ok(())
    }

    /// Keeps the beginning of a line whose end has not come yet.
    fn keep(&mut self, bytes: &[u8]) {
        if self.rest.len() + bytes.len() > LONGEST_LINE {
            self.overlong = true;
            self.rest.clear();
        }
        if !self.overlong {
            self.rest.extend_from_slice(bytes);
        }
    }

    fn count_line(&mut self) -> Result<(), ParseError> {
        self.parsed.lines += 1;
        if self.parsed.lines > self.limits.lines || self.parsed.entries.len() > self.limits.entries {
            return Err(ParseError::TooLong);
        }
        Ok(())
    }

    fn v4(&mut self, address: u32) {
        self.parsed.named += 1;
        self.parsed.entries.push_v4(address);
        if self.parsed.first.len() < self.sample {
            self.show(IpAddr::from(Ipv4Addr::from_bits(address)).into());
        }
    }

    fn push(&mut self, entry: IpOrNet) {
        self.parsed.named += 1;
        if is_too_wide(&entry) {
            self.parsed.skipped.too_wide += 1;
            return;
        }
        self.parsed.entries.push(entry);
        if self.parsed.first.len() < self.sample {
            self.show(entry);
        }
    }

    fn net4(&mut self, address: u32, prefix: u8) {
        if prefix < WIDEST_V4 {
            self.parsed.named += 1;
            self.parsed.skipped.too_wide += 1;
        } else if let Ok(net) = IpOrNet::new(Ipv4Addr::from_bits(address).into(), prefix) {
            self.push(net);
        }
    }

    fn range(&mut self, first: IpAddr, last: IpAddr) {
        match networks_of(first, last) {
            Some(networks) => networks.into_iter().for_each(|entry| self.push(entry)),
            None => {
                self.parsed.named += 1;
                self.parsed.skipped.too_wide += 1;
            }
        }
    }

    fn show(&mut self, entry: IpOrNet) {
        if entry.is_public() && !self.parsed.first.contains(&entry) {
            self.parsed.first.push(entry);
        }
    }

    fn overlong_line(&mut self) -> Result<(), ParseError> {
        self.count_line()?;
        self.parsed.kinds.too_long += 1;
        self.parsed.skipped.line_too_long += 1;
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<(), ParseError> {
        if line.len() > LONGEST_LINE {
            return self.overlong_line();
        }
        self.count_line()?;
        let kinds = &mut self.parsed.kinds;
        match usual(line) {
            Some(Usual::Remark) => kinds.comment += 1,
            Some(Usual::V4(address)) => {
                kinds.with_entries += 1;
                self.v4(address);
            }
            Some(Usual::Net4(address, prefix)) => {
                kinds.with_entries += 1;
                self.net4(address, prefix);
            }
            None => self.unusual_line(line.trim_ascii()),
        }
        Ok(())
    }

    fn unusual_line(&mut self, line: &[u8]) {
        let kinds = &mut self.parsed.kinds;
        match line.first() {
            None => return kinds.blank += 1,
            Some(b'#' | b';' | b'!') => return kinds.comment += 1,
            Some(_) if line.starts_with(b"//") => return kinds.comment += 1,
            Some(_) => {}
        }
        let mut found = std::mem::take(&mut self.found);
        entries_of(line, &mut found);
        if !found.is_empty() {
            kinds.with_entries += 1;
        } else if is_about_the_list(line) {
            kinds.comment += 1;
        } else {
            kinds.invalid += 1;
            self.parsed.skipped.invalid += 1;
        }
        for entry in found.drain(..) {
            match entry {
                Entry::One(entry) => self.push(entry),
                Entry::Range(first, last) => self.range(first, last),
            }
        }
        self.found = found;
    }

    /// The whole list.
    pub fn finish(mut self) -> Result<Parsed, ParseError> {
        if !self.started {
            self.start()?;
        }
        if !self.rest.is_empty() || self.overlong {
            self.read(b"\n")?;
        }
        let mut parsed = self.parsed;
        parsed.skipped.duplicate = parsed.entries.seal() as u64;
        parsed.skipped.not_public = parsed.entries.drop_not_public() as u64;
        if parsed.entries.is_empty() {
            return Err(ParseError::Empty(parsed.lines));
        }
        Ok(parsed)
    }
}

/// Whether a line of JSON is the one that lists of JSON lines end with, about themselves.
fn is_about_the_list(line: &[u8]) -> bool {
    let mut texts = line.split(|byte| *byte == b'"').skip(1).step_by(2);
    line.first() == Some(&b'{') && texts.next() == Some(b"type") && texts.next() == Some(b"metadata")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Result<Parsed, ParseError> {
        let mut parser = Parser::new(Limits::DEFAULT, 100);
        parser.feed(bytes)?;
        let whole = parser.finish()?;
        // Wherever the pieces are cut, the result is the same.
        for size in [1, 2, 3, 7, 600] {
            let mut parser = Parser::new(Limits::DEFAULT, 100);
            for piece in bytes.chunks(size) {
                parser.feed(piece)?;
            }
            assert_eq!(parser.finish()?, whole, "pieces of {size}");
        }
        Ok(whole)
    }

    fn texts(bytes: &[u8]) -> Vec<String> {
        parse(bytes).unwrap().first.iter().map(|entry| entry.to_string()).collect()
    }

    #[test]
    fn every_form_is_read() {
        for (line, expected) in [
            ("8.8.8.8", "8.8.8.8"),
            ("  8.8.8.8\t\r", "8.8.8.8"),
            ("8.8.8.8 # remark", "8.8.8.8"),
            ("8.8.8.8#remark", "8.8.8.8"),
            ("8.8.8.8;remark", "8.8.8.8"),
            ("1.10.16.0/20 ; SBL256894", "1.10.16.0/20"),
            ("\"8.8.8.8\",\"2026-01-01\",5", "8.8.8.8"),
            ("8.8.8.8,2026-01-01 00:00:00,443,offline", "8.8.8.8"),
            ("8.8.8.8\thost.example other.example", "8.8.8.8"),
            ("8.8.8.0 255.255.255.0", "8.8.8.0/24"),
            ("8.8.8.0/255.255.255.0", "8.8.8.0/24"),
            ("8.8.8.77/24", "8.8.8.0/24"),
            ("8.8.8.0-8.8.8.255", "8.8.8.0/24"),
            ("8.8.8.0 - 8.8.8.127 , remark", "8.8.8.0/25"),
            ("8.8.8.8-8.8.8.8", "8.8.8.8"),
            ("8.8.8.8 host.example 9.9.9.9", "8.8.8.8"),
            ("8.8.8.8 # 9.9.9.9", "8.8.8.8"),
            ("8.8.8.0 /24", "8.8.8.0/24"),
            ("8.8.8.0\t8.8.8.255\t24\t1234\tNAME", "8.8.8.0/24"),
            ("Some People, Inc: since 2020:8.8.8.0-8.8.8.255", "8.8.8.0/24"),
            ("2026-01-01 00:00:00,8.8.8.8,443,online", "8.8.8.8"),
            ("\"2026-01-01 00:00:00\",\"8.8.8.8\",\"443\"", "8.8.8.8"),
            ("{\"cidr\":\"8.8.8.0/24\",\"sblid\":\"SBL1\",\"rir\":\"arin\"}", "8.8.8.0/24"),
            ("2606:4700::1111", "2606:4700::1111"),
            ("2606:4700::/32", "2606:4700::/32"),
            ("2606:4700::-2606:4700::f", "2606:4700::/124"),
            ("::ffff:8.8.8.8", "8.8.8.8"),
        ] {
            assert_eq!(texts(line.as_bytes()), [expected], "{line}");
            assert_eq!(texts(format!("\u{feff}# x\r\n{line}\r\n").as_bytes()), [expected], "{line}");
        }
        for line in [
            "8.8.8.8 9.9.9.9",
            "8.8.8.8,9.9.9.9",
            "8.8.8.8;9.9.9.9;x",
            "\"8.8.8.8\", \"9.9.9.9\"",
            "8.8.8.8\t9.9.9.9\t24",
        ] {
            assert_eq!(texts(line.as_bytes()), ["8.8.8.8", "9.9.9.9"], "{line}");
        }
        assert_eq!(texts(b"8.8.8.8,2606:4700::1111"), ["8.8.8.8", "2606:4700::1111"]);
        assert_eq!(texts(b"8.8.8.0/24 9.9.9.0/24"), ["8.8.8.0/24", "9.9.9.0/24"]);
        assert_eq!(texts(b"8.8.8.8\r9.9.9.9\r\r# x\r4.4.4.4"), ["8.8.8.8", "9.9.9.9", "4.4.4.4"]);
        assert_eq!(texts(b"8.8.8.7-8.8.8.10"), ["8.8.8.7", "8.8.8.8/31", "8.8.8.10"]);
        assert_eq!(texts(b"223.255.255.255-223.255.255.255"), ["223.255.255.255"]);
    }

    #[test]
    fn what_is_no_entry_is_counted_with_its_reason() {
        let text = "# comment\n; comment\n// comment\n! comment\n\n8.8.8.8\n8.8.8.8\n10.0.0.1\n0.0.0.0 ads.example\n\
                    host.example\n1.2.3.04\n999.1.1.1\n1.2.3.4:80\n0.0.0.0/0\n::/0\n1.0.0.0-9.0.0.0\n9.9.9.9-8.8.8.8\n\
                    8.8.4.4\n\u{ff11}.2.3.4\n";
        let parsed = parse(text.as_bytes()).unwrap();
        assert_eq!(parsed.lines, 19);
        assert_eq!(parsed.entries.len(), 2);
        let expected = Skipped { invalid: 6, line_too_long: 0, not_public: 2, too_wide: 3, duplicate: 1 };
        assert_eq!(parsed.skipped, expected);
        let expected = Lines { with_entries: 8, comment: 4, blank: 1, invalid: 6, too_long: 0 };
        assert_eq!(parsed.kinds, expected);
        assert_eq!(parsed.named, 8);
    }

    #[test]
    fn what_is_no_list_is_an_error() {
        for page in ["<!DOCTYPE html><html>8.8.8.8", "\n  <html>\n8.8.8.8\n", "\u{feff}<?xml?>\n8.8.8.8"] {
            assert_eq!(parse(page.as_bytes()), Err(ParseError::Html), "{page}");
        }
        let utf16: Vec<u8> = "\u{feff}8.8.8.8\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(parse(&utf16), Err(ParseError::Utf16));
        assert_eq!(parse(&utf16[2..]), Err(ParseError::Binary), "UTF-16 without a mark");
        assert_eq!(parse(b"\x1f\x8b\x08rest"), Err(ParseError::Binary));
        assert_eq!(parse(b""), Err(ParseError::Empty(0)));
        assert_eq!(parse(b"# nothing\n10.0.0.1\n"), Err(ParseError::Empty(2)));
        assert_eq!(parse(br#"{"error": "not found"}"#), Err(ParseError::Empty(1)));
    }

    #[test]
    fn limits_hold() {
        let limits = Limits { lines: 10, entries: 3 };
        let mut parser = Parser::new(limits, 0);
        parser.feed("#\n".repeat(600).as_bytes()).unwrap_err();
        let mut parser = Parser::new(limits, 0);
        assert_eq!(parser.feed("8.8.8.8\n".repeat(100).as_bytes()), Err(ParseError::TooLong));
        // A line without an end takes no memory.
        let mut parser = Parser::new(Limits::DEFAULT, 0);
        for _ in 0..1000 {
            parser.feed(&[b'1'; 4096]).unwrap();
        }
        assert!(parser.rest.capacity() <= 4 * LONGEST_LINE);
        parser.feed(b"\n8.8.8.8").unwrap();
        let parsed = parser.finish().unwrap();
        assert_eq!((parsed.lines, parsed.entries.len(), parsed.skipped.line_too_long), (2, 1, 1));
    }
}

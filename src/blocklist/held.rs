//! What a set of our own holds: addresses and networks, each with when it was put there and when it leaves. The whole is one file, which a
//! child reads and replaces; the loop looks single entries up in it without reading it whole.
//!
//! The file is a head, then the IPv4 entries, then the IPv6 entries, each kind in order and of one length, all numbers big endian.

use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use super::set::AddressSet;
use crate::domain::address::IpOrNet;
use crate::files;

/// The first bytes of the file: its form and version.
const MAGIC: &[u8; 8] = b"bangheld";
/// The length of the head: the magic, two counts, and when the first entry leaves.
const HEAD: usize = 8 + 4 + 4 + 4;
/// The length of an entry behind its address: the prefix and two times.
const TAIL: usize = 1 + 4 + 4;
const V4: usize = 4 + TAIL;
const V6: usize = 16 + TAIL;
/// How much of the file is read at a time, in bytes.
const PIECE: usize = 64 * 1024;

/// An entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// What is dropped.
    pub net: IpOrNet,
    /// When it was put there, in Unix seconds.
    pub since: u32,
    /// When it leaves, in Unix seconds.
    pub until: u32,
}

/// What a set holds, in order: IPv4 before IPv6, a network before what lies in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    entries: Vec<Entry>,
}

impl Held {
    /// Its entries.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Its addresses and networks.
    pub fn addresses(&self) -> AddressSet {
        self.entries.iter().map(|entry| entry.net).collect()
    }

    /// Adds these; one that is there stays since when it was, and leaves no earlier than before.
    pub fn add(&mut self, nets: &AddressSet, since: u32, until: u32) {
        let old = self.entries.len();
        for net in nets.iter() {
            match self.entries[..old].binary_search_by(|entry| entry.net.cmp(&net)) {
                Ok(index) => self.entries[index].until = self.entries[index].until.max(until),
                Err(_) => self.entries.push(Entry { net, since, until }),
            }
        }
        self.entries.sort_unstable();
    }

    /// Takes these away; returns how many there were.
    pub fn take(&mut self, nets: &AddressSet) -> usize {
        self.keep(|entry| !nets.has(&entry.net))
    }

    /// Takes away what has an address in common with `net`; returns how many there were.
    pub fn take_overlapping(&mut self, net: &IpOrNet) -> usize {
        self.keep(|entry| !entry.net.overlaps(net))
    }

    /// Takes away what has left by `now`; returns how many there were.
    pub fn take_expired(&mut self, now: i64) -> usize {
        self.keep(|entry| i64::from(entry.until) > now)
    }

    fn keep(&mut self, wanted: impl FnMut(&Entry) -> bool) -> usize {
        let before = self.entries.len();
        self.entries.retain(wanted);
        before - self.entries.len()
    }

    /// The file.
    pub fn encode(&self) -> Vec<u8> {
        let v4 = self.entries.partition_point(|entry| entry.net.address().is_ipv4());
        let v6 = self.entries.len() - v4;
        let first_until = self.entries.iter().map(|entry| entry.until).min().unwrap_or(u32::MAX);
        let mut bytes = Vec::with_capacity(HEAD + v4 * V4 + v6 * V6);
        bytes.extend_from_slice(MAGIC);
        for number in [v4 as u32, v6 as u32, first_until] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        for entry in &self.entries {
            match entry.net.address() {
                IpAddr::V4(v4) => bytes.extend_from_slice(&v4.octets()),
                IpAddr::V6(v6) => bytes.extend_from_slice(&v6.octets()),
            }
            bytes.push(entry.net.prefix());
            bytes.extend_from_slice(&entry.since.to_be_bytes());
            bytes.extend_from_slice(&entry.until.to_be_bytes());
        }
        bytes
    }

    /// What a file holds; none is an empty set.
    pub fn load(path: &Path) -> io::Result<Held> {
        let Some(file) = HeldFile::open(path)? else { return Ok(Held::default()) };
        let mut entries = Vec::with_capacity(file.count());
        file.each(0, &mut |_, entry| {
            entries.push(entry);
            true
        })?;
        Ok(Held { entries })
    }
}

/// The file, open for reading; what is read stays the same when another takes its place.
#[derive(Debug)]
pub struct HeldFile {
    file: File,
    v4: usize,
    v6: usize,
    first_until: u32,
    identity: (u64, i64),
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the file of the set of blocklists is damaged")
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn entry_of(bytes: &[u8]) -> io::Result<Entry> {
    let (address, tail) = bytes.split_at(bytes.len() - TAIL);
    let address = match (<[u8; 4]>::try_from(address), <[u8; 16]>::try_from(address)) {
        (Ok(v4), _) => IpAddr::from(Ipv4Addr::from(v4)),
        (_, Ok(v6)) => IpAddr::from(Ipv6Addr::from(v6)),
        _ => return Err(damaged()),
    };
    let net = IpOrNet::new(address, tail[0]).map_err(|_| damaged())?;
    Ok(Entry { net, since: number(&tail[1..5]), until: number(&tail[5..9]) })
}

impl HeldFile {
    /// Opens it; `None` where there is none.
    pub fn open(path: &Path) -> io::Result<Option<HeldFile>> {
        let file = match files::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let mut head = [0; HEAD];
        file.read_exact_at(&mut head, 0).map_err(|_| damaged())?;
        let (v4, v6) = (number(&head[8..12]) as usize, number(&head[12..16]) as usize);
        let metadata = file.metadata()?;
        let is_whole = metadata.len() == (HEAD + v4 * V4 + v6 * V6) as u64;
        if &head[..8] != MAGIC || !is_whole {
            return Err(damaged());
        }
        let identity = (metadata.ino(), metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec());
        Ok(Some(HeldFile { file, v4, v6, first_until: number(&head[16..20]), identity }))
    }

    /// Tells one file from another that takes its place: its number, and when it was written, in nanoseconds.
    pub fn identity(&self) -> (u64, i64) {
        self.identity
    }

    /// How many entries it has, those included that have left since it was written.
    pub fn count(&self) -> usize {
        self.v4 + self.v6
    }

    /// How many entries are in force.
    pub fn count_at(&self, now: i64) -> io::Result<usize> {
        if now < i64::from(self.first_until) {
            return Ok(self.count());
        }
        let mut count = 0;
        self.each(0, &mut |_, entry| {
            count += usize::from(i64::from(entry.until) > now);
            true
        })?;
        Ok(count)
    }

    /// Visits the entries from a position on, as long as `visit` says so.
    pub fn each(&self, from: usize, visit: &mut dyn FnMut(usize, Entry) -> bool) -> io::Result<()> {
        let mut at = from;
        let mut piece = vec![0; PIECE];
        while at < self.count() {
            let (start, length, left) =
                if at < self.v4 { (self.place(at), V4, self.v4 - at) } else { (self.place(at), V6, self.count() - at) };
            let some = left.min(PIECE / length);
            let bytes = &mut piece[..some * length];
            self.file.read_exact_at(bytes, start)?;
            for bytes in bytes.chunks_exact(length) {
                if !visit(at, entry_of(bytes)?) {
                    return Ok(());
                }
                at += 1;
            }
        }
        Ok(())
    }

    fn place(&self, index: usize) -> u64 {
        let v6 = index.saturating_sub(self.v4);
        (HEAD + (index - v6) * V4 + v6 * V6) as u64
    }

    /// The entry at a position below `count`.
    pub fn at(&self, index: usize) -> io::Result<Entry> {
        let mut bytes = [0; V6];
        let bytes = &mut bytes[..if index < self.v4 { V4 } else { V6 }];
        self.file.read_exact_at(bytes, self.place(index))?;
        entry_of(bytes)
    }

    /// Exactly this entry.
    pub fn find(&self, net: &IpOrNet) -> io::Result<Option<Entry>> {
        let (mut low, mut high) = if net.address().is_ipv4() { (0, self.v4) } else { (self.v4, self.count()) };
        while low < high {
            let middle = low + (high - low) / 2;
            let entry = self.at(middle)?;
            match entry.net.cmp(net) {
                std::cmp::Ordering::Equal => return Ok(Some(entry)),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Ok(None)
    }

    /// Whether it is dropped at `now`, by itself or as part of a network.
    pub fn covers(&self, net: &IpOrNet, now: i64) -> io::Result<bool> {
        for prefix in 1..=net.prefix() {
            let Ok(wider) = IpOrNet::new(net.address(), prefix) else { continue };
            if self.find(&wider)?.is_some_and(|entry| i64::from(entry.until) > now) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::super::set::tests::set;
    use super::*;

    fn nets(held: &Held) -> Vec<String> {
        held.entries().iter().map(|entry| entry.net.to_string()).collect()
    }

    #[test]
    fn what_is_added_again_stays_longer_and_is_there_since_the_first_time() {
        let mut held = Held::default();
        held.add(&set(&["9.9.9.9", "1.1.1.0/24", "2606::/32"]), 10, 100);
        held.add(&set(&["9.9.9.9", "8.8.8.8", "1.1.1.7", "2606::1"]), 20, 200);
        held.add(&set(&["8.8.8.8"]), 30, 50);
        assert_eq!(nets(&held), ["1.1.1.0/24", "1.1.1.7", "8.8.8.8", "9.9.9.9", "2606::/32", "2606::1"]);
        let times: Vec<_> = held.entries().iter().map(|entry| (entry.since, entry.until)).collect();
        assert_eq!(times, [(10, 100), (20, 200), (20, 200), (10, 200), (10, 100), (20, 200)]);
        assert_eq!(held.take_expired(100), 2);
        assert_eq!(held.take(&set(&["8.8.8.8", "7.7.7.7"])), 1);
        assert_eq!(held.take_overlapping(&"2606::/16".parse().unwrap()), 1);
        assert_eq!(nets(&held), ["1.1.1.7", "9.9.9.9"]);
        assert_eq!(held.addresses(), set(&["1.1.1.7", "9.9.9.9"]));
    }

    #[test]
    fn entries_are_found_in_the_file_without_reading_it_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("held");
        assert!(HeldFile::open(&path).unwrap().is_none());
        assert_eq!(Held::load(&path).unwrap(), Held::default());
        let mut held = Held::default();
        let many: Vec<String> = (0..9000_u32).map(|n| Ipv4Addr::from(0x0800_0000 + n * 3).to_string()).collect();
        held.add(&set(&many.iter().map(String::as_str).collect::<Vec<_>>()), 5, 50);
        held.add(&set(&["1.1.0.0/16", "2606::1", "2607::/32", "2608::9"]), 7, 70);
        std::fs::write(&path, held.encode()).unwrap();
        assert_eq!(Held::load(&path).unwrap(), held);
        let file = HeldFile::open(&path).unwrap().unwrap();
        assert_eq!((file.count(), file.count_at(49).unwrap(), file.count_at(50).unwrap()), (9004, 9004, 4));
        for entry in held.entries() {
            assert_eq!(file.find(&entry.net).unwrap(), Some(*entry));
        }
        for (text, now, expected) in [
            ("1.1.2.3", 69, true),
            ("1.1.2.3", 70, false),
            ("1.1.2.0/24", 69, true),
            ("1.0.0.0/8", 69, false),
            ("1.2.0.0", 69, false),
            ("2607::5", 69, true),
            ("2609::5", 69, false),
            ("8.0.0.1", 49, false),
            ("8.0.0.3", 49, true),
        ] {
            assert_eq!(file.covers(&text.parse().unwrap(), now).unwrap(), expected, "{text} at {now}");
        }
        let mut seen = Vec::new();
        file.each(8999, &mut |index, entry| {
            seen.push((index, entry));
            index < 9001
        })
        .unwrap();
        assert_eq!(seen.len(), 3);
        assert!(seen.iter().all(|(index, entry)| held.entries()[*index] == *entry));
    }

    #[test]
    fn a_damaged_file_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("held");
        let mut held = Held::default();
        held.add(&set(&["1.1.1.1", "2606::1"]), 5, 50);
        let bytes = held.encode();
        for length in 0..bytes.len() {
            std::fs::write(&path, &bytes[..length]).unwrap();
            assert!(Held::load(&path).is_err(), "{length} bytes");
        }
        let mut wrong = bytes.clone();
        wrong[HEAD + 4] = 33;
        std::fs::write(&path, wrong).unwrap();
        assert!(Held::load(&path).is_err());
    }
}

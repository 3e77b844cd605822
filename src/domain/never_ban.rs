//! An entry of the list of what is never banned: an address, a network or the name of a host, with why, by whom and how long.
//!
//! Nothing is looked up here.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::actor::Actor;
use super::address::IpOrNet;

/// How many entries there can be.
pub const MOST: usize = 1000;
/// How many jails an entry can name.
pub const MOST_JAILS: usize = 100;
/// The longest name of a host, in characters.
const LONGEST_NAME: usize = 253;
/// The longest part of one between two dots.
const LONGEST_LABEL: usize = 63;

/// Who is never banned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// An address or a network.
    Net(IpOrNet),
    /// The name of a host, in lower case and without the last dot.
    Name(String),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Net(net) => net.fmt(f),
            Who::Name(name) => f.write_str(name),
        }
    }
}

/// A text is nobody who could be on the list. The message is meant for whoever sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nobody;

impl fmt::Display for Nobody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an IP address, a network such as 192.0.2.0/24, or the name of a host is expected")
    }
}

impl FromStr for Who {
    type Err = Nobody;

    /// Strict, for the text goes into a file of fail2ban's: a name consists of letters, digits, `-`, `_` and dots, and its last part begins with
    /// a letter, so that a mistyped address is no name.
    fn from_str(text: &str) -> Result<Who, Nobody> {
        let text = text.trim();
        if let Ok(net) = text.parse() {
            return Ok(Who::Net(net));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let is_label = |label: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            let edge = |c: char| c.is_ascii_alphanumeric() || c == '_';
            (1..=LONGEST_LABEL).contains(&label.len())
                && label.chars().all(plain)
                && label.starts_with(edge)
                && label.ends_with(edge)
        };
        let last_is_a_word =
            name.rsplit('.').next().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_lowercase()));
        let fits = name.len() <= LONGEST_NAME && name.split('.').all(is_label) && last_is_a_word;
        if fits { Ok(Who::Name(name)) } else { Err(Nobody) }
    }
}

/// Where an entry is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It was written down, and whoever it names may still be banned.
    New,
    /// It is in force, and whoever it names was let out.
    InForce,
    /// It is no more, and the jails may still have it.
    Going,
}

impl State {
    /// As it is stored.
    pub fn number(self) -> i64 {
        match self {
            State::New => 1,
            State::InForce => 0,
            State::Going => 2,
        }
    }

    /// One that was stored; what is unknown is put in force once more.
    pub fn of(number: i64) -> State {
        match number {
            0 => State::InForce,
            2 => State::Going,
            _ => State::New,
        }
    }
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeverBan {
    /// Its number; 0 before it is stored.
    pub id: i64,
    /// Who, in the canonical form.
    pub entry: String,
    /// The jails that it holds in; none for all of them, those included that are made later.
    pub jails: Vec<String>,
    /// Why; empty where nobody said.
    pub note: String,
    /// When it ends, in Unix seconds; `None` for never.
    pub until: Option<i64>,
    /// When it was made, in Unix seconds.
    pub at: i64,
    /// Who made it.
    pub actor: Actor,
    /// Where it is on its way.
    pub state: State,
}

impl NeverBan {
    /// Whether it holds in a jail.
    pub fn holds_in(&self, jail: &str) -> bool {
        self.jails.is_empty() || self.jails.iter().any(|own| own == jail)
    }

    /// What the jails are told of it.
    pub fn told(&self) -> Told {
        Told { entry: self.entry.clone(), jails: self.jails.clone() }
    }
}

/// What jails are told of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Who.
    pub entry: String,
    /// In which jails; none for all.
    pub jails: Vec<String>,
}

impl Told {
    /// Whether it holds in a jail.
    pub fn holds_in(&self, jail: &str) -> bool {
        self.jails.is_empty() || self.jails.iter().any(|own| own == jail)
    }
}

/// Whether an entry, which stands for these addresses where it is a name, has an address in common with `target`.
pub fn covers(who: &Who, addresses: &[IpAddr], target: &IpOrNet) -> bool {
    match who {
        Who::Net(net) => net.overlaps(target),
        Who::Name(_) => addresses.iter().any(|address| target.contains_address(*address)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_networks_and_names_are_told_apart() {
        let canonical = [
            (" 192.0.2.7 ", "192.0.2.7"),
            ("192.0.2.7/24", "192.0.2.0/24"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("Office.Example.ORG.", "office.example.org"),
            ("router", "router"),
            ("_dmarc.1and1.example", "_dmarc.1and1.example"),
        ];
        for (text, expected) in canonical {
            assert_eq!(text.parse::<Who>().unwrap().to_string(), expected);
        }
    }

    #[test]
    fn what_could_be_more_than_a_name_or_is_a_mistyped_address_is_refused() {
        let long = "a.".repeat(130);
        for text in [
            "",
            " ",
            ".",
            "300.1.2.3",
            "192.0.2",
            "1.2.3.4.5",
            "192.0.2.1/33",
            "a b",
            "a,b",
            "a\nb",
            "[a]",
            "a;b",
            "a%b",
            "%(x)s",
            "file:/x",
            "-a",
            "a-",
            "a..b",
            "müller.example",
            "$(x)",
            "`x`",
            "a#b",
            "a/b",
            "0x7f.1",
            "a\u{0}",
            "fe80::1%eth0",
            long.as_str(),
        ] {
            assert_eq!(text.parse::<Who>(), Err(Nobody), "{text:?}");
        }
        assert_eq!("a".repeat(64).parse::<Who>(), Err(Nobody));
    }
}

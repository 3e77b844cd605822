//! Names of jails, filters and actions, as checked types: who holds one need not check again.
//!
//! The daemon reads its commands by position, and configuration files by section; a name that means something else in either place does not
//! exist here. Whether a jail of that name exists is not known here.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name, in bytes: with `.local` and a temporary suffix it still fits every file system.
const MAX_NAME: usize = 128;

/// The longest name of a jail that is taken from the daemon, in bytes.
const MAX_FOREIGN_NAME: usize = 512;

/// Words that stand in the daemon's commands where the name of a jail stands (`set loglevel`, `stop all`), or that mean a
/// section of their own in its files (`[DEFAULT]`, `%(known/x)s`).
const RESERVED: [&str; 17] = [
    "all",
    // No word of the daemon's, but a jail's name that reads like one is asking for an accident.
    "all-jails",
    "allowipv6",
    "banned",
    "dbfile",
    "dbmaxmatches",
    "dbpurgeage",
    "default",
    "definition",
    "includes",
    "init",
    "known",
    "loglevel",
    "logtarget",
    "syslogsocket",
    "thread",
    "unban",
];

/// A place in the daemon's commands where the name of a jail stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// `get NAME …`
    Get,
    /// `set NAME …`
    Set,
    /// `stop NAME`, to a daemon before 0.10; later ones take only `--all` there, which they let no jail be called.
    OldStop,
}

/// Words that the daemon takes for its own where a jail's name stands, and where it does so. In `add`, `start`, `status`, `reload` and
/// `unban` every name that a jail can have is one: these know options only, and no jail is called `--all`.
const TAKEN: [(&str, &[Place]); 9] = [
    ("loglevel", &[Place::Get, Place::Set]),
    ("logtarget", &[Place::Get, Place::Set]),
    ("syslogsocket", &[Place::Get, Place::Set]),
    ("thread", &[Place::Get, Place::Set]),
    ("dbfile", &[Place::Get, Place::Set]),
    ("dbmaxmatches", &[Place::Get, Place::Set]),
    ("dbpurgeage", &[Place::Get, Place::Set]),
    ("allowipv6", &[Place::Set]),
    ("all", &[Place::OldStop]),
];

/// Why a text is no name. The message is meant for whoever sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameError {
    /// Empty, or longer than 128 bytes.
    Length,
    /// A character other than letters, digits and `_ . @ -`, or a first one other than a letter, a digit, `_` or `@`.
    Character,
    /// A character that ends a line or does something else instead of being seen.
    Control,
    /// A word of fail2ban's own.
    Reserved,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::Length => write!(f, "a name must be 1 to {MAX_NAME} characters long"),
            NameError::Character => {
                write!(f, "a name may contain letters, digits and _ . @ -, and must not start with . or -")
            }
            NameError::Control => write!(f, "the name of a jail must not contain control characters"),
            NameError::Reserved => write!(f, "fail2ban uses this name for a command of its own"),
        }
    }
}

impl std::error::Error for NameError {}

fn check(text: &str, first: fn(char) -> bool) -> Result<(), NameError> {
    if text.is_empty() || text.len() > MAX_NAME {
        return Err(NameError::Length);
    }
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '@' | '-');
    if !text.starts_with(first) || !text.chars().all(inner) {
        return Err(NameError::Character);
    }
    Ok(())
}

fn is_reserved(text: &str) -> bool {
    RESERVED.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// The name of a jail.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JailName(String);

impl JailName {
    /// A name the daemon itself may have listed. It may hold characters that we would not give to a jail of ours, and begin with a dash, so
    /// that an odd jail is seen and commanded as any other; but none that would tear a line, and it is no option of the daemon's own.
    pub fn from_daemon(text: &str) -> Result<JailName, NameError> {
        if text.is_empty() || text.len() > MAX_FOREIGN_NAME {
            return Err(NameError::Length);
        }
        if text.chars().any(char::is_control) {
            return Err(NameError::Control);
        }
        if text == "--all" {
            return Err(NameError::Reserved);
        }
        Ok(JailName(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the daemon would take it for a word of its own in this place. It tells upper from lower case.
    pub fn is_taken_in(&self, place: Place) -> bool {
        TAKEN.iter().any(|(word, places)| *word == self.0 && places.contains(&place))
    }

    /// Whether the daemon cannot be told anything about a jail of this name, so that no file can make it.
    pub fn is_taken(&self) -> bool {
        self.is_taken_in(Place::Set)
    }
}

/// A jail that may run already, whatever it is called: what a client names to see or to command it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running(pub JailName);

impl FromStr for Running {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Running, NameError> {
        JailName::from_daemon(text).map(Running)
    }
}

impl FromStr for JailName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<JailName, NameError> {
        check(text, |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '@'))?;
        if is_reserved(text) { Err(NameError::Reserved) } else { Ok(JailName(text.to_owned())) }
    }
}

impl TryFrom<String> for JailName {
    type Error = NameError;

    fn try_from(text: String) -> Result<JailName, NameError> {
        text.parse()
    }
}

impl From<JailName> for String {
    fn from(name: JailName) -> String {
        name.0
    }
}

impl fmt::Display for JailName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a filter or an action: the name of its file, without `.conf` or `.local`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConfName(String);

impl ConfName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ConfName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<ConfName, NameError> {
        check(text, |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '@'))?;
        let lower = text.to_ascii_lowercase();
        if text.contains("..") || text.ends_with('.') {
            return Err(NameError::Character);
        }
        // With its extension it would be another file: x.local means what x.conf is overridden by.
        if [".conf", ".local", ".d"].iter().any(|end| lower.ends_with(end)) {
            return Err(NameError::Reserved);
        }
        Ok(ConfName(text.to_owned()))
    }
}

impl TryFrom<String> for ConfName {
    type Error = NameError;

    fn try_from(text: String) -> Result<ConfName, NameError> {
        text.parse()
    }
}

impl From<ConfName> for String {
    fn from(name: ConfName) -> String {
        name.0
    }
}

impl fmt::Display for ConfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Jail names that were tried against such interfaces.
    const ATTACKS: [&str; 22] = [
        "",
        "../x",
        "%2e%2e%2f",
        "a/b",
        "a\0b",
        "a\nb",
        "-h",
        "--all",
        "all",
        "ALL",
        "loglevel",
        "LogTarget",
        "dbfile",
        "allowipv6",
        "thread",
        "DEFAULT",
        "INCLUDES",
        "sshd]\n[evil",
        "ѕshd",
        "ss hd",
        ".hidden",
        "a%(b)s",
    ];

    #[test]
    fn attacks_are_no_names() {
        for text in ATTACKS {
            assert!(text.parse::<JailName>().is_err(), "{text:?}");
        }
        assert_eq!("x".repeat(300).parse::<JailName>(), Err(NameError::Length));
        assert!("x".repeat(128).parse::<JailName>().is_ok());
        for text in ["", "../x", "a/b", "a\0b", "-h", "a..b", "x.conf", "x.LOCAL", "x.d", ".x", "a."] {
            assert!(text.parse::<ConfName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn names_in_json_are_checked_the_same_way() {
        assert_eq!(serde_json::from_str::<JailName>("\"sshd\"").unwrap().as_str(), "sshd");
        assert!(serde_json::from_str::<JailName>("\"loglevel\"").is_err());
        assert!(serde_json::from_str::<ConfName>("\"../x\"").is_err());
        assert_eq!(serde_json::to_string(&"sshd".parse::<ConfName>().unwrap()).unwrap(), "\"sshd\"");
    }

    #[test]
    fn ordinary_names_are_names() {
        for text in
            ["sshd", "nginx-http-auth", "3proxy", "_x", "@home", "a.b", "sshd-ddos@2", "allow", "blocklist-import"]
        {
            assert_eq!(text.parse::<JailName>().unwrap().as_str(), text);
            assert_eq!(text.parse::<ConfName>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn the_daemon_may_list_odder_names_but_no_commands() {
        for text in ["my jail", "nginx:80", "日本", "a/b", "a, b", "all", "-dash", "loglevel"] {
            assert!(text.parse::<JailName>().is_err());
            assert_eq!(JailName::from_daemon(text).unwrap().as_str(), text);
        }
        for text in ["", "--all", "a\nb"] {
            assert!(JailName::from_daemon(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_name_is_taken_where_the_daemon_reads_a_word_of_its_own() {
        let name = |text| JailName::from_daemon(text).unwrap();
        for (text, get, set, old_stop) in [
            ("loglevel", true, true, false),
            ("dbfile", true, true, false),
            ("allowipv6", false, true, false),
            ("all", false, false, true),
            ("LogLevel", false, false, false),
            ("-dash", false, false, false),
            ("unban", false, false, false),
        ] {
            let taken = [Place::Get, Place::Set, Place::OldStop].map(|place| name(text).is_taken_in(place));
            assert_eq!(taken, [get, set, old_stop], "{text}");
        }
    }
}

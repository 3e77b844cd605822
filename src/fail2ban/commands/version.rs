//! The daemon's version, and what it therefore understands.
//!
//! The table was measured on 0.9.7, 0.10.6, 0.11.2, 1.0.2, 1.1.0 and 1.1.1.

use std::fmt;

/// A version of fail2ban; ordered by its three numbers, then by its text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version {
    numbers: [u32; 3],
    text: String,
}

impl Version {
    /// Reads `1.0.2`, `1.1.2.dev1` or `0.11`; `None` where it starts with no two numbers.
    pub fn parse(text: &str) -> Option<Version> {
        let mut numbers = [0; 3];
        for (index, part) in text.trim().split('.').take(3).enumerate() {
            let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
            match digits.parse() {
                Ok(number) => numbers[index] = number,
                Err(_) if index < 2 => return None,
                Err(_) => {}
            }
        }
        text.contains('.').then(|| Version { numbers, text: text.trim().to_owned() })
    }

    /// The text as the daemon gave it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn at_least(&self, major: u32, minor: u32) -> bool {
        self.numbers >= [major, minor, 0]
    }

    /// `reload`, `unban`, `banned`, several addresses per ban, `ignoreself`, `prefregex`, `maxmatches`, `logtimezone`: from 0.10.
    pub fn is_modern(&self) -> bool {
        self.at_least(0, 10)
    }

    /// `get J banip`, with times too, and growing ban times: from 0.11. So is version 4 of its database.
    pub fn has_ban_times(&self) -> bool {
        self.at_least(0, 11)
    }

    /// `set allowipv6`: from 1.0.
    pub fn has_allow_ipv6(&self) -> bool {
        self.at_least(1, 0)
    }

    /// Whether it is one of those whose inner parts were compared with what is written here: up to 1.1.
    pub fn is_known(&self) -> bool {
        !self.at_least(1, 2)
    }

    /// `stats`, the counters and backends of all jails in one short answer: from 1.1.0.
    pub fn has_stats(&self) -> bool {
        self.at_least(1, 1)
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Version) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Version) -> std::cmp::Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| self.text.cmp(&other.text))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        let version = |text| Version::parse(text).unwrap();
        assert!(version("0.9.7") < version("0.10.6"));
        assert!(version("1.1.2.dev1") > version("1.1.1"));
        assert!(version("1.1.0").has_stats() && !version("1.0.2").has_stats());
        assert!(version("0.11.2").has_ban_times() && !version("0.10.6").has_ban_times());
        assert!(version("0.10.6").is_modern() && !version("0.9.7").is_modern());
        assert!(version("1.0.1").has_allow_ipv6() && !version("0.11.2").has_allow_ipv6());
        assert_eq!(version("1.1").to_string(), "1.1");
        assert_eq!(version(" 1.1.2.dev1\n").as_str(), "1.1.2.dev1");
        for text in ["", "x", "1", "a.b.c", "1.x"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}

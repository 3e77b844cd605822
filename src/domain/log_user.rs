//! The users that log lines name: by a word before them, for every program has a way of its own. Nothing is known of filters.

/// Words behind which a log line has the name of a user.
const BEFORE_USER: [&str; 10] =
    ["user", "for", "login", "account", "acct", "username", "ruser", "name", "sasl_username", "authcid"];

/// Words that follow these and are no names.
const NO_USERS: [&str; 14] = [
    "invalid",
    "illegal",
    "unknown",
    "non-existent",
    "from",
    "to",
    "by",
    "at",
    "is",
    "not",
    "port",
    "a",
    "the",
    "with",
];

/// Whether log lines name a user that was tried: as a word behind one that says so, as in `Failed password for invalid user bob` or
/// `user=<bob>`. Another host or service of the same name is no user.
pub fn names_user(lines: &str, user: &str) -> bool {
    let is_said_before = |before: &str| {
        let before = before.trim_end_matches(is_between);
        says_user(before.rsplit(is_between).next().unwrap_or_default())
    };
    !user.is_empty()
        && lines.match_indices(user).any(|(at, _)| {
            let (before, after) = (&lines[..at], &lines[at + user.len()..]);
            let line = before.rsplit('\n').next().unwrap_or_default();
            line.ends_with(is_between) && !after.starts_with(|next: char| !is_between(next)) && is_said_before(line)
        })
}

/// The user that the newest of some log lines names, if one does. A name that is one of the words of such lines is not found.
pub fn user_named(lines: &[String]) -> Option<&str> {
    lines.iter().rev().find_map(|line| user_of(line))
}

fn user_of(line: &str) -> Option<&str> {
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches(is_between);
        let (word, behind) = rest.split_at(rest.find(is_between).unwrap_or(rest.len()));
        if word.is_empty() {
            return None;
        }
        rest = behind;
        if !says_user(word) {
            continue;
        }
        // `ruser= rhost=...` names nobody.
        let value = match behind.strip_prefix('=') {
            Some(value) if value.starts_with(char::is_whitespace) => continue,
            Some(value) => value,
            None => behind,
        };
        let value = value.trim_start_matches(is_between);
        let name = value.split(is_between).next().unwrap_or_default();
        let is_other = NO_USERS.iter().any(|word| name.eq_ignore_ascii_case(word)) || says_user(name);
        let whole = value.split(|letter| letter != ':' && is_between(letter)).next().unwrap_or_default();
        if !name.is_empty() && !is_other && whole.parse::<std::net::IpAddr>().is_err() {
            return Some(name);
        }
    }
}

/// What stands between the words of a log line.
fn is_between(letter: char) -> bool {
    letter.is_whitespace() || "=:<>()[]{}\"',;".contains(letter)
}

/// Whether a user is named behind this word.
fn says_user(word: &str) -> bool {
    BEFORE_USER.iter().any(|known| word.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_a_word_that_a_line_calls_one() {
        for line in [
            "sshd[1]: Invalid user bob from 203.0.113.9 port 22",
            "sshd[1]: Failed password for invalid user bob from 203.0.113.9",
            "sshd[1]: Failed password for bob from 203.0.113.9",
            "dovecot: login: user=<bob>, rip=203.0.113.9",
            "pam_unix(sshd:auth): authentication failure; ruser=bob rhost=203.0.113.9",
            "first line\nlogin \"bob\" failed",
        ] {
            assert!(names_user(line, "bob"), "{line}");
        }
        for line in ["bob sshd[1]: failed", "for bobby", "user abob", "user\nbob", "from bob", "", "Invalid user Bob"] {
            assert!(!names_user(line, "bob"), "{line}");
        }
        assert!(!names_user("user x", ""));
    }

    #[test]
    fn the_user_that_was_tried_is_found_in_the_lines() {
        let named = |line: &str| user_named(&[line.to_owned()]).map(str::to_owned);
        for (line, user) in [
            ("sshd[1]: Failed password for invalid user bob from 203.0.113.9 port 22", "bob"),
            ("sshd[1]: Failed password for root from 203.0.113.9", "root"),
            ("pam_unix(sshd:auth): authentication failure; logname= uid=0 ruser= rhost=203.0.113.9  user=root", "root"),
            ("auth failed, user=<bob>, method=PLAIN", "bob"),
            ("login: \"bob@example.org\" refused", "bob@example.org"),
            ("sasl_username=bob", "bob"),
        ] {
            assert_eq!(named(line).as_deref(), Some(user), "{line}");
            assert!(names_user(line, user), "{line}");
        }
        for line in [
            "",
            "user",
            "ruser= rhost=203.0.113.9",
            "Invalid user from 203.0.113.9",
            "no match for 203.0.113.9",
            "for 2001:db8::7",
            "bob",
        ] {
            assert_eq!(named(line), None, "{line}");
        }
        let lines = ["user alice".to_owned(), "user bob".to_owned(), "nothing".to_owned()];
        assert_eq!(user_named(&lines), Some("bob"), "the newest");
    }
}

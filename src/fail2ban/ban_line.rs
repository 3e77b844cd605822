//! What the daemon's log says of a ban, line by line: `2026-11-27 11:19:10,123 fail2ban.actions [7]: NOTICE [lab] Ban 192.0.2.7`, and what
//! becomes of it by the journal or syslog, which write times of their own. A restored ban is no news, and neither is a longer one.

use jiff::civil::DateTime;

/// A ban that the log tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BanLine<'a> {
    /// When, by the daemon's clock, and the milliseconds of that second.
    pub at: (DateTime, i64),
    /// The jail.
    pub jail: &'a str,
    /// What was banned.
    pub ip: &'a str,
}

/// The length of a time with its milliseconds.
pub(super) const TIME: usize = "2026-11-27 11:19:10,123".len();

/// Jail and address of the ban that a message in the journal tells of, if it does. How much stands before it depends on the way it took:
/// `fail2ban.actions[7]: NOTICE [lab] Ban 192.0.2.7`, or a part of it.
pub fn in_journal(message: &str) -> Option<(&str, &str)> {
    let rest = match message.strip_prefix("fail2ban.actions") {
        Some(rest) => rest.split_once("]: ")?.1.trim_start(),
        None => message,
    };
    let rest = rest.strip_prefix("NOTICE").unwrap_or(rest);
    ban(rest)
}

/// Jail and address behind the head of a line.
fn ban(message: &str) -> Option<(&str, &str)> {
    let (jail, ip) = message.trim_start().strip_prefix('[')?.rsplit_once("] Ban ")?;
    let ip = ip.trim_end();
    let is_plain = |text: &str| !text.is_empty() && !text.chars().any(char::is_control);
    (is_plain(jail) && is_plain(ip)).then_some((jail, ip))
}

/// The ban that a line tells of, if it does.
pub fn read(line: &str) -> Option<BanLine<'_>> {
    let (time, rest) = line.split_at_checked(TIME)?;
    let (head, message) = rest.split_once(": NOTICE ")?;
    if head.split_whitespace().next().is_none_or(|name| name.split('[').next() != Some("fail2ban.actions")) {
        return None;
    }
    let (jail, ip) = ban(message)?;
    Some(BanLine { at: moment(time)?, jail, ip })
}

pub(super) fn moment(text: &str) -> Option<(DateTime, i64)> {
    let (seconds, millis) = text.split_once(',')?;
    let at: DateTime = seconds.parse().ok()?;
    Some((at, millis.parse().ok().filter(|millis| (0..1000).contains(millis))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_the_journal_is_read_whichever_way_it_took() {
        for message in [
            "[lab] Ban 192.0.2.7",
            "NOTICE [lab] Ban 192.0.2.7",
            "fail2ban.actions[4711]: NOTICE [lab] Ban 192.0.2.7",
            "fail2ban.actions        [4711]: NOTICE  [lab] Ban 192.0.2.7",
        ] {
            assert_eq!(in_journal(message), Some(("lab", "192.0.2.7")), "{message}");
        }
        for other in [
            "[lab] Restore Ban 192.0.2.7",
            "NOTICE [lab] Unban 192.0.2.7",
            "x [lab] Ban 192.0.2.7",
            "WARNING [lab] Ban 192.0.2.7",
            "",
        ] {
            assert_eq!(in_journal(other), None, "{other}");
        }
    }

    #[test]
    fn a_line_of_a_ban_is_read_and_no_other() {
        let head = "2026-11-27 11:19:10,123 fail2ban.actions        [4711]: ";
        let read_it = |rest: &str| {
            let line = format!("{head}{rest}");
            read(&line).map(|ban| (ban.jail.to_owned(), ban.ip.to_owned(), ban.at.0.to_string(), ban.at.1))
        };
        let found =
            |jail: &str, ip: &str| Some((jail.to_owned(), ip.to_owned(), "2026-11-27T11:19:10".to_owned(), 123));
        assert_eq!(read_it("NOTICE  [lab] Ban 192.0.2.7"), found("lab", "192.0.2.7"));
        assert_eq!(read_it("NOTICE  [lab] Ban 2001:db8::/32\r"), found("lab", "2001:db8::/32"));
        assert_eq!(read_it("NOTICE  [a b] Ban an odd id"), found("a b", "an odd id"));
        for other in [
            "NOTICE  [lab] Restore Ban 192.0.2.7",
            "NOTICE  [lab] Unban 192.0.2.7",
            "NOTICE  [lab] Increase Ban 192.0.2.7 (2 # 2:00:00 -> 2026-11-27 13:19:10)",
            "NOTICE  [lab] 192.0.2.7 already banned",
            "WARNING [lab] Ban 192.0.2.7",
            "NOTICE  [lab] Ban ",
            "NOTICE  [] Ban 192.0.2.7",
            "",
        ] {
            assert_eq!(read_it(other), None, "{other}");
        }
        for line in [
            "2026-11-27 11:19:10,123 fail2ban.filter         [4711]: NOTICE  [lab] Ban 192.0.2.7",
            "2026-11-27 25:19:10,123 fail2ban.actions        [4711]: NOTICE  [lab] Ban 192.0.2.7",
            "2026-11-27 11:19:10 fail2ban.actions        [4711]: NOTICE  [lab] Ban 192.0.2.7",
            "[lab] Ban 192.0.2.7",
            "ääääääääääää",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }
}

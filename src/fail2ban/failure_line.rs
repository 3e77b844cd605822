//! What the daemon's log says of failures, line by line: `2026-11-27 11:19:10,123 fail2ban.filter [7]: INFO [lab] Found 192.0.2.7 - 2026-11-27
//! 11:19:09`, what else ends its count of them, and what becomes of it in the journal. Nothing is counted here.

use jiff::civil::DateTime;

use super::ban_line::{TIME, moment};

/// What a line tells of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A failure was counted.
    Failure {
        /// The jail.
        jail: &'a str,
        /// Who failed.
        ip: &'a str,
        /// When, by the daemon's clock.
        at: DateTime,
        /// As how many it counts: more than one for whoever was banned before.
        count: u32,
    },
    /// Somebody was banned, also by hand, also again after a start.
    Ban {
        /// The jail.
        jail: &'a str,
        /// Who.
        ip: &'a str,
    },
    /// A jail was made or has stopped: it has counted nothing.
    Begun(&'a str),
    /// The daemon has started: nothing is counted.
    Started,
}

/// As how many one failure counts at most.
const MOST: f64 = 100.0;

/// What a line of its log tells, and when it was written, if it is of failures.
pub fn read(line: &str) -> Option<(DateTime, Event<'_>)> {
    let (time, rest) = line.split_at_checked(TIME)?;
    let rest = rest.trim_start().strip_prefix("fail2ban.")?;
    let (head, message) = rest.split_once("]: ")?;
    let event = event(head.split([' ', '[']).next().unwrap_or_default(), without_level(message)?)?;
    Some((moment(time)?.0, event))
}

/// What a message in the journal tells, if it is of failures. Which part of the program has written it may stand in it, or be its sender.
pub fn in_journal<'a>(sender: &'a str, message: &'a str) -> Option<Event<'a>> {
    let (part, rest) = match message.strip_prefix("fail2ban.") {
        Some(rest) => {
            let (head, message) = rest.split_once("]: ")?;
            (head.split([' ', '[']).next().unwrap_or_default(), message)
        }
        None => (sender.strip_prefix("fail2ban.").unwrap_or_default(), message),
    };
    event(part, without_level(rest).unwrap_or(rest))
}

fn without_level(message: &str) -> Option<&str> {
    ["INFO", "NOTICE"].iter().find_map(|level| message.strip_prefix(level)?.strip_prefix(' ')).map(str::trim_start)
}

/// `part` is the part of the daemon that says it; empty where that is not known.
fn event<'a>(part: &str, message: &'a str) -> Option<Event<'a>> {
    let is_of = |own: &str| part.is_empty() || part == own;
    if let Some(rest) = message.strip_prefix("Jail '").filter(|_| is_of("jail")) {
        return Some(Event::Begun(rest.strip_suffix("' stopped")?));
    }
    if let Some(rest) = message.strip_prefix("Creating new jail '").filter(|_| is_of("jail")) {
        return Some(Event::Begun(rest.trim_end().strip_suffix('\'')?));
    }
    if message.starts_with("Starting Fail2ban v") && is_of("server") {
        return Some(Event::Started);
    }
    // The first of these is the daemon's word: what follows may be of an attacker's making.
    let (jail, rest) = message.strip_prefix('[')?.split_once("] ")?;
    let (word, rest) = rest.split_once(' ')?;
    match word {
        "Found" if is_of("filter") || is_of("observer") => failure(jail, rest),
        "Attempt" if is_of("filter") => failure(jail, rest),
        "Ban" if is_of("actions") => Some(Event::Ban { jail, ip: rest.trim_end() }),
        "Restore" if is_of("actions") => Some(Event::Ban { jail, ip: rest.strip_prefix("Ban ")?.trim_end() }),
        _ => None,
    }
}

/// `192.0.2.7 - 2026-11-27 11:19:09`, or of whoever was banned before `192.0.2.7, bad - 2026-11-27 11:19:09, 1 # -> 2.0, Ban`, which comes on
/// top of the former.
fn failure<'a>(jail: &'a str, rest: &'a str) -> Option<Event<'a>> {
    let (ip, tail) = rest.trim_end().rsplit_once(" - ")?;
    let (time, more) = match tail.split_once(", ") {
        Some((time, more)) => (time, Some(more)),
        None => (tail, None),
    };
    let (ip, count) = match more {
        None => (ip, 1),
        Some(more) => {
            let number = more.split_once("-> ")?.1.split(',').next()?;
            let times: f64 = number.parse().ok().filter(|times: &f64| *times > 1.0)?;
            (ip.strip_suffix(", bad")?, (times.min(MOST) - 1.0).round() as u32)
        }
    };
    let is_plain = |text: &str| !text.is_empty() && !text.chars().any(char::is_control);
    let at = time.parse().ok()?;
    (is_plain(jail) && is_plain(ip)).then_some(Event::Failure { jail, ip, at, count })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "2026-11-27 11:19:10,123 ";

    fn told(rest: &str) -> String {
        let line = format!("{HEAD}{rest}");
        match read(&line) {
            None => "nothing".to_owned(),
            Some((_, Event::Failure { jail, ip, at, count })) => format!("{jail} {ip} {at} {count}"),
            Some((_, Event::Ban { jail, ip })) => format!("{jail} bans {ip}"),
            Some((_, Event::Begun(jail))) => format!("{jail} begins"),
            Some((_, Event::Started)) => "start".to_owned(),
        }
    }

    #[test]
    fn lines_of_failures_are_read_and_no_others() {
        for (line, expected) in [
            (
                "fail2ban.filter         [9]: INFO    [lab] Found 192.0.2.7 - 2026-11-27 11:19:09",
                "lab 192.0.2.7 2026-11-27T11:19:09 1",
            ),
            (
                "fail2ban.filter         [9]: INFO    [a b] Attempt 2001:db8::7 - 2026-11-27 11:19:09\r",
                "a b 2001:db8::7 2026-11-27T11:19:09 1",
            ),
            (
                "fail2ban.observer       [9]: INFO    [lab] Found 192.0.2.7, bad - 2026-11-27 11:19:09, 2 # -> 3.0, Ban",
                "lab 192.0.2.7 2026-11-27T11:19:09 2",
            ),
            ("fail2ban.actions        [9]: NOTICE  [lab] Ban 192.0.2.7", "lab bans 192.0.2.7"),
            ("fail2ban.actions        [9]: NOTICE  [lab] Restore Ban 192.0.2.7", "lab bans 192.0.2.7"),
            ("fail2ban.jail           [9]: INFO    Jail 'lab' stopped", "lab begins"),
            ("fail2ban.jail           [9]: INFO    Creating new jail 'lab'", "lab begins"),
            ("fail2ban.jail           [9]: INFO    Jail 'lab' started", "nothing"),
            ("fail2ban.server         [9]: INFO    Starting Fail2ban v1.0.2", "start"),
            ("fail2ban.filter         [9]: INFO    [lab] Ignore 192.0.2.7 by ip", "nothing"),
            ("fail2ban.actions        [9]: INFO    [lab] Found 192.0.2.7 - 2026-11-27 11:19:09", "nothing"),
            ("fail2ban.filter         [9]: INFO    [lab] Found 192.0.2.7 - yesterday", "nothing"),
            ("fail2ban.filter         [9]: INFO    [] Found 192.0.2.7 - 2026-11-27 11:19:09", "nothing"),
            ("other.filter            [9]: INFO    [lab] Found 192.0.2.7 - 2026-11-27 11:19:09", "nothing"),
            ("", "nothing"),
        ] {
            assert_eq!(told(line), expected, "{line}");
        }
    }

    #[test]
    fn an_odd_id_does_not_tell_of_another_jail() {
        let line =
            "fail2ban.filter [9]: INFO [lab] Found x] Found 192.0.2.7 - 2026-11-27 11:19:08 - 2026-11-27 11:19:09";
        assert_eq!(told(line), "lab x] Found 192.0.2.7 - 2026-11-27 11:19:08 2026-11-27T11:19:09 1");
    }

    #[test]
    fn a_message_of_the_journal_is_read_whichever_way_it_took() {
        let message = "[lab] Found 192.0.2.7 - 2026-11-27 11:19:09";
        for (sender, before) in [
            ("fail2ban.filter", ""),
            ("fail2ban.filter", "INFO "),
            ("fail2ban", "INFO "),
            ("fail2ban", "fail2ban.filter[9]: INFO "),
            ("fail2ban.filter", "fail2ban.filter         [9]: INFO    "),
        ] {
            let text = format!("{before}{message}");
            let found = in_journal(sender, &text);
            assert!(matches!(found, Some(Event::Failure { jail: "lab", ip: "192.0.2.7", count: 1, .. })), "{text}");
        }
        assert_eq!(in_journal("fail2ban.actions", message), None);
    }
}

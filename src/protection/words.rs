//! Numbers, lists and spans of time as they are said.

/// `one` jail, two `many`.
pub fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A span of time in its largest unit.
pub fn span(seconds: i64) -> String {
    let (number, unit) = match seconds.max(0) {
        seconds if seconds >= 2 * 86_400 => (seconds / 86_400, "day"),
        seconds if seconds >= 2 * 3600 => (seconds / 3600, "hour"),
        seconds if seconds >= 120 => (seconds / 60, "minute"),
        seconds => (seconds, "second"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

/// Some of a list, and how many more there are.
pub fn some(all: &[String]) -> String {
    match all {
        [] => String::new(),
        [only] => only.clone(),
        [first, second] => format!("{first} and {second}"),
        [first, second, rest @ ..] => format!("{first}, {second} and {} more", rest.len()),
    }
}

/// Loading a jail again would leave alone what is the same in the files: its rules are made by a start only.
pub const ANEW: &str = "Stop the jail and start it again: its bans are kept, and their rules are made again. If a firewall was reloaded, have it \
                start fail2ban afterwards.";

/// Some of a list as the subject of a sentence.
pub fn are(all: &[String]) -> String {
    format!("{} {}", some(all), if all.len() == 1 { "is" } else { "are" })
}

/// A name as a part of a path.
pub fn in_path(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(byte as char);
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_lists_and_names_are_said_as_people_say_them() {
        let spans = [1, 59, 119, 120, 7199, 7200, 9 * 86_400].map(span);
        assert_eq!(spans, ["1 second", "59 seconds", "119 seconds", "2 minutes", "119 minutes", "2 hours", "9 days"]);
        let all: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        assert_eq!([some(&all[..1]), some(&all[..2]), some(&all)], ["a", "a and b", "a, b and 2 more"]);
        assert_eq!(in_path("a b/ü"), "a%20b%2F%C3%BC");
    }
}

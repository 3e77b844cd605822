//! What the scripted daemon answers when a test has not said otherwise: the shapes of a healthy daemon's replies, by version.
//!
//! No command changes anything; a setter echoes its value. A command the version did not have yet fails as it did there.

use super::pickle::{Value, failure, success, text, texts, unknown_jail};

/// The reply of a daemon of this version with these jails.
pub fn reply(version: &str, jails: &[String], words: &[String]) -> Value {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let minor = |wanted: &str| version_number(version) >= version_number(wanted);
    let mut sorted = jails.to_vec();
    sorted.sort();
    match words.as_slice() {
        ["ping", ..] => success(text("pong")),
        ["version"] => success(text(version)),
        ["status"] => success(Value::List(vec![
            pair("Number of jail", Value::Int(jails.len() as i32)),
            pair("Jail list", text(sorted.join(", "))),
        ])),
        ["status", "--all", ..] | ["stats" | "statistic" | "statistics"] if !minor("1.1") => match words[0] {
            "status" => unknown_jail("--all"),
            _ => invalid(),
        },
        ["stats" | "statistic" | "statistics"] | ["status", "--all", "stats"] => {
            success(Value::Dict(sorted.into_iter().map(|jail| (jail, stats())).collect()))
        }
        ["status", jail, rest @ ..] => of_jail(jails, jail, || match rest {
            ["stats"] if minor("1.1") => success(stats()),
            ["short"] => success(status(false)),
            _ => success(status(true)),
        }),
        ["banned"] => success(Value::List(
            sorted.into_iter().map(|jail| Value::Dict(vec![(jail, Value::List(vec![ip("203.0.113.7")]))])).collect(),
        )),
        ["get" | "set", "loglevel", ..] => success(text("INFO")),
        ["get" | "set", "logtarget", ..] => success(text("/var/log/fail2ban.log")),
        ["get" | "set", "syslogsocket", ..] => success(text("auto")),
        ["get" | "set", "dbfile", ..] => success(Value::None),
        ["get" | "set", "dbmaxmatches", ..] => success(Value::Int(10)),
        ["get" | "set", "dbpurgeage", ..] => success(Value::Int(86400)),
        ["flushlogs"] => success(text("rolled over")),
        ["reload", ..] => success(text("OK")),
        ["unban", _, ..] => success(Value::Int(1)),
        ["start", jail] | ["stop", jail] => of_jail(jails, jail, || success(Value::None)),
        ["get", jail, property, rest @ ..] => of_jail(jails, jail, || get(property, rest)),
        ["set", jail, property, values @ ..] => of_jail(jails, jail, || set(property, values)),
        _ => invalid(),
    }
}

/// `1.0.2` as a number that sorts; what follows the third part is ignored.
fn version_number(version: &str) -> (u32, u32) {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

fn of_jail(jails: &[String], jail: &str, reply: impl FnOnce() -> Value) -> Value {
    if jails.iter().any(|known| known == jail) { reply() } else { unknown_jail(jail) }
}

fn invalid() -> Value {
    failure("builtins", "Exception", vec![text("Invalid command")])
}

fn pair(name: &str, value: Value) -> Value {
    Value::Tuple(vec![text(name), value])
}

fn ip(address: &str) -> Value {
    Value::Ip(address.into())
}

fn stats() -> Value {
    let zero_and = |total| Value::Tuple(vec![Value::Int(0), Value::Int(total)]);
    let bans = Value::Tuple(vec![Value::Int(1), Value::Int(3)]);
    Value::List(vec![text("polling"), zero_and(5), bans])
}

fn status(with_addresses: bool) -> Value {
    let mut actions = vec![pair("Currently banned", Value::Int(1)), pair("Total banned", Value::Int(3))];
    if with_addresses {
        actions.push(pair("Banned IP list", Value::List(vec![ip("203.0.113.7")])));
    }
    let filter = vec![
        pair("Currently failed", Value::Int(0)),
        pair("Total failed", Value::Int(5)),
        pair("File list", texts(&["/var/log/auth.log"])),
    ];
    Value::List(vec![pair("Filter", Value::List(filter)), pair("Actions", Value::List(actions))])
}

fn get(property: &str, rest: &[&str]) -> Value {
    let value = match (property, rest) {
        ("logpath", _) => texts(&["/var/log/auth.log"]),
        ("logencoding", _) => text("UTF-8"),
        ("usedns", _) => text("warn"),
        ("ignorecommand" | "prefregex", _) => text(""),
        ("journalmatch" | "ignoreregex", _) => Value::List(vec![]),
        ("ignoreself", _) => Value::Bool(true),
        ("ignoreip", _) => Value::List(vec![ip("127.0.0.0/8"), ip("::1")]),
        ("ignorecache" | "logtimezone", _) => Value::None,
        ("failregex", _) => texts(&["^Failed password for .* from (?P<ip4>\\S+)$"]),
        ("findtime" | "bantime", _) => Value::Int(600),
        ("datepattern", _) => Value::Tuple(vec![Value::None, text("Default Detectors")]),
        ("maxretry" | "maxmatches", _) => Value::Int(5),
        ("maxlines", _) => Value::Int(1),
        ("actions", _) => texts(&["noop"]),
        ("banned", []) | ("banip", []) => Value::List(vec![ip("203.0.113.7")]),
        ("banned", [address]) => Value::Int(i32::from(*address == "203.0.113.7")),
        ("banip", ["--with-time"]) => texts(&["203.0.113.7 \t2026-01-01 00:00:00 + 600 = 2026-01-01 00:10:00"]),
        ("bantime.increment" | "bantime.overalljails", _) => Value::Bool(false),
        (other, _) if other.starts_with("bantime.") => Value::None,
        _ => return invalid(),
    };
    success(value)
}

fn set(property: &str, values: &[&str]) -> Value {
    match property {
        "banip" | "unbanip" => success(Value::Int(values.len() as i32)),
        "idle" => success(Value::Bool(values == ["on"])),
        "ignoreself" => success(Value::Bool(values != ["false"])),
        "addignoreip" => success(Value::List(values.iter().map(|address| ip(address)).collect())),
        "delignoreip" => success(Value::List(vec![])),
        _ => match values {
            [value] => success(text(*value)),
            _ => invalid(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(version: &str, words: &[&str]) -> Value {
        let words: Vec<String> = words.iter().map(|word| word.to_string()).collect();
        reply(version, &["lab".into()], &words)
    }

    #[test]
    fn commands_a_version_lacks_fail_there() {
        assert_eq!(ask("1.0.2", &["stats"]), invalid());
        assert_eq!(ask("0.9.7", &["status", "--all"]), unknown_jail("--all"));
        assert_ne!(ask("1.1.0", &["stats"]), invalid());
        assert_ne!(ask("1.1.2.dev1", &["status", "--all", "stats"]), unknown_jail("--all"));
    }

    #[test]
    fn unknown_jails_fail_whatever_is_asked() {
        for words in [&["status", "x"][..], &["get", "x", "bantime"], &["set", "x", "idle", "on"], &["stop", "x"]] {
            assert_eq!(ask("1.0.2", words), unknown_jail("x"), "{words:?}");
        }
    }
}

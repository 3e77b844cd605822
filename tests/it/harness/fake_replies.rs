//! What the scripted daemon answers when a test has not said otherwise: the shapes of a healthy daemon's replies, by version.
//!
//! What is banned, ignored and set is remembered, so that it is listed, and lifted once. Not acted on: a reload, which is always well, and a
//! stop or a start, which leave the jails as they are. A command the version did not have yet fails as it did there.

use std::collections::{BTreeMap, HashMap};

use super::pickle::{Value, failure, success, text, texts, unknown_jail};

/// Who is banned in every jail from the start.
const BANNED: &str = "203.0.113.7";

/// What the daemon has been told so far.
#[derive(Default)]
pub struct State {
    /// Who is banned, by jail, once anything has changed there.
    bans: BTreeMap<String, Vec<String>>,
    ignored: BTreeMap<String, Vec<String>>,
    /// Values that were set: `loglevel`, or `lab bantime`.
    values: HashMap<String, Value>,
}

impl State {
    fn bans(&mut self, jail: &str) -> &mut Vec<String> {
        self.bans.entry(jail.to_owned()).or_insert_with(|| vec![BANNED.to_owned()])
    }

    fn ignored(&mut self, jail: &str) -> &mut Vec<String> {
        self.ignored.entry(jail.to_owned()).or_insert_with(|| vec!["127.0.0.0/8".into(), "::1".into()])
    }

    /// Keeps a value in the form of the one that is there, and gives it back as the daemon does.
    fn keep(&mut self, name: &str, value: &str, now: &Value) -> Value {
        let kept = match (now, value.parse()) {
            (Value::Bool(_), _) => Value::Bool(!["false", "off", "0", "no"].contains(&value)),
            (Value::Int(_), Ok(number)) => Value::Int(number),
            _ => text(value),
        };
        self.values.insert(name.to_owned(), kept.clone());
        kept
    }
}

/// The reply of a daemon of this version with these jails, which it remembers where it changes something.
pub fn reply(state: &mut State, version: &str, jails: &[String], words: &[String]) -> Value {
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
            ["short"] => success(status(state.bans(jail), false)),
            _ => success(status(state.bans(jail), true)),
        }),
        ["banned"] => success(Value::List(
            sorted
                .into_iter()
                .map(|jail| (ips(state.bans(&jail)), jail))
                .map(|(bans, jail)| dict(jail, bans))
                .collect(),
        )),
        ["get", name] => {
            server_value(name).map_or_else(invalid, |value| success(state.values.get(*name).cloned().unwrap_or(value)))
        }
        ["set", name, value] if server_value(name).is_some() => {
            let now = server_value(name).unwrap_or(Value::None);
            success(state.keep(name, value, &now))
        }
        ["flushlogs"] => success(text("rolled over")),
        ["reload", ..] => success(text("OK")),
        ["unban", rest @ ..] if !rest.is_empty() => {
            let gone: usize = jails.iter().map(|jail| lift(state.bans(jail), rest)).sum();
            success(Value::Int(gone as i32))
        }
        ["start", jail] | ["stop", jail] => of_jail(jails, jail, || success(Value::None)),
        ["get", jail, property, rest @ ..] => of_jail(jails, jail, || get(state, jail, property, rest)),
        ["set", jail, property, values @ ..] => of_jail(jails, jail, || set(state, jail, property, values)),
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

fn dict(name: String, value: Value) -> Value {
    Value::Dict(vec![(name, value)])
}

fn ips(addresses: &[String]) -> Value {
    Value::List(addresses.iter().map(|address| ip(address)).collect())
}

/// Lifts these bans, or all; gives how many there were.
fn lift(bans: &mut Vec<String>, addresses: &[&str]) -> usize {
    let before = bans.len();
    bans.retain(|ban| !addresses.contains(&ban.as_str()) && !addresses.contains(&"--all"));
    before - bans.len()
}

/// What a setting of the server is from the start.
fn server_value(name: &str) -> Option<Value> {
    Some(match name {
        "loglevel" => text("INFO"),
        "logtarget" => text("/var/log/fail2ban.log"),
        "syslogsocket" => text("auto"),
        "dbfile" => Value::None,
        "dbmaxmatches" => Value::Int(10),
        "dbpurgeage" => Value::Int(86400),
        _ => return None,
    })
}

fn stats() -> Value {
    let zero_and = |total| Value::Tuple(vec![Value::Int(0), Value::Int(total)]);
    let bans = Value::Tuple(vec![Value::Int(1), Value::Int(3)]);
    Value::List(vec![text("polling"), zero_and(5), bans])
}

fn status(bans: &[String], with_addresses: bool) -> Value {
    let count = bans.len() as i32;
    let mut actions = vec![pair("Currently banned", Value::Int(count)), pair("Total banned", Value::Int(2 + count))];
    if with_addresses {
        actions.push(pair("Banned IP list", ips(bans)));
    }
    let filter = vec![
        pair("Currently failed", Value::Int(0)),
        pair("Total failed", Value::Int(5)),
        pair("File list", texts(&["/var/log/auth.log"])),
    ];
    Value::List(vec![pair("Filter", Value::List(filter)), pair("Actions", Value::List(actions))])
}

fn get(state: &mut State, jail: &str, property: &str, rest: &[&str]) -> Value {
    let bans = state.bans(jail).clone();
    match (property, rest) {
        ("ignoreip", _) => return success(ips(state.ignored(jail))),
        ("banned", []) | ("banip", []) => return success(ips(&bans)),
        ("banned", [address]) => return success(Value::Int(i32::from(bans.iter().any(|ban| ban == address)))),
        ("banip", ["--with-time"]) => {
            let line = |ban: &String| format!("{ban} \t2026-01-01 00:00:00 + 600 = 2026-01-01 00:10:00");
            return success(Value::List(bans.iter().map(line).map(text).collect()));
        }
        _ => {}
    }
    match state.values.get(&format!("{jail} {property}")) {
        Some(kept) => success(kept.clone()),
        None => jail_value(property).map_or_else(invalid, success),
    }
}

/// What a value of a jail is from the start.
fn jail_value(property: &str) -> Option<Value> {
    Some(match property {
        "logpath" => texts(&["/var/log/auth.log"]),
        "logencoding" => text("UTF-8"),
        "usedns" => text("warn"),
        "ignorecommand" | "prefregex" => text(""),
        "journalmatch" | "ignoreregex" => Value::List(vec![]),
        "ignoreself" => Value::Bool(true),
        "ignorecache" | "logtimezone" => Value::None,
        "failregex" => texts(&["^Failed password for .* from (?P<ip4>\\S+)$"]),
        "findtime" | "bantime" => Value::Int(600),
        "datepattern" => Value::Tuple(vec![Value::None, text("Default Detectors")]),
        "maxretry" | "maxmatches" => Value::Int(5),
        "maxlines" => Value::Int(1),
        "actions" => texts(&["noop"]),
        "bantime.increment" | "bantime.overalljails" => Value::Bool(false),
        other if other.starts_with("bantime.") => Value::None,
        _ => return None,
    })
}

/// Setters of lists whose getters have another name; what they do is not remembered.
const ADDERS: [&str; 8] = [
    "addlogpath",
    "dellogpath",
    "addfailregex",
    "delfailregex",
    "addignoreregex",
    "delignoreregex",
    "addaction",
    "delaction",
];

fn set(state: &mut State, jail: &str, property: &str, values: &[&str]) -> Value {
    match (property, values) {
        ("banip", [_, ..]) => {
            let bans = state.bans(jail);
            let before = bans.len();
            for address in values {
                if !bans.iter().any(|ban| ban == address) {
                    bans.push((*address).to_owned());
                }
            }
            success(Value::Int((bans.len() - before) as i32))
        }
        ("unbanip", [_, ..]) => success(Value::Int(lift(state.bans(jail), values) as i32)),
        ("idle", ["on" | "off"]) => success(Value::Bool(values == ["on"])),
        ("addignoreip", [_, ..]) => {
            state.ignored(jail).extend(values.iter().map(|address| (*address).to_owned()));
            success(ips(state.ignored(jail)))
        }
        ("delignoreip", [_, ..]) => {
            lift(state.ignored(jail), values);
            success(ips(state.ignored(jail)))
        }
        (property, [value]) => match jail_value(property) {
            Some(now) => success(state.keep(&format!("{jail} {property}"), value, &now)),
            None if ADDERS.contains(&property) => success(text(*value)),
            None => invalid(),
        },
        _ => invalid(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(version: &str, words: &[&str]) -> Value {
        let words: Vec<String> = words.iter().map(|word| word.to_string()).collect();
        reply(&mut State::default(), version, &["lab".into()], &words)
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

    #[test]
    fn what_is_banned_ignored_and_set_is_remembered_and_what_there_is_not_is_refused() {
        let mut state = State::default();
        let mut ask = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| word.to_string()).collect();
            reply(&mut state, "1.0.2", &["lab".into()], &words)
        };
        assert_eq!(ask(&["set", "lab", "banip", "192.0.2.1", BANNED]), success(Value::Int(1)));
        assert_eq!(ask(&["get", "lab", "banip"]), success(Value::List(vec![ip(BANNED), ip("192.0.2.1")])));
        assert_eq!(ask(&["get", "lab", "banned", "192.0.2.1"]), success(Value::Int(1)));
        assert_eq!(ask(&["set", "lab", "unbanip", "192.0.2.1"]), success(Value::Int(1)));
        assert_eq!(ask(&["set", "lab", "unbanip", "192.0.2.1"]), success(Value::Int(0)));
        assert_eq!(ask(&["unban", "--all"]), success(Value::Int(1)));
        assert_eq!(ask(&["get", "lab", "banip"]), success(Value::List(vec![])));
        ask(&["set", "lab", "delignoreip", "::1"]);
        assert_eq!(ask(&["get", "lab", "ignoreip"]), success(Value::List(vec![ip("127.0.0.0/8")])));
        assert_eq!(ask(&["set", "lab", "bantime", "90"]), success(Value::Int(90)));
        assert_eq!(ask(&["get", "lab", "bantime"]), success(Value::Int(90)));
        ask(&["set", "loglevel", "DEBUG"]);
        assert_eq!(ask(&["get", "loglevel"]), success(text("DEBUG")));
        for words in
            [&["set", "lab", "nothing", "1"][..], &["set", "lab", "idle", "maybe"], &["unban"], &["get", "what"]]
        {
            assert_eq!(ask(words), invalid(), "{words:?}");
        }
    }
}

//! Actions that write each command they run to a file, and the rules that these add up to.

use std::collections::BTreeSet;
use std::fs;

use super::real_daemon::RealDaemon;

/// The file of commands that ran.
const LOG: &str = "actions.log";

/// A rule: `start ACTION JAIL PORT` or `ban ACTION JAIL PORT ADDRESS`.
pub type Rules = BTreeSet<String>;

/// Writes an action that logs its commands. Its parameter `port` is part of each.
pub fn write_action(daemon: &RealDaemon, name: &str) {
    let log = daemon.path(LOG).display().to_string();
    let line = |word: &str, rest: &str| format!("action{word} = echo \"{word} {name} <name> <port>{rest}\" >> {log}\n");
    let text = format!(
        "[Definition]\n{}{}{}{}actioncheck =\n[Init]\nport = 0\n",
        line("start", ""),
        line("stop", ""),
        line("ban", " <ip>"),
        line("unban", " <ip>")
    );
    fs::write(daemon.path(&format!("action.d/{name}.conf")), text).unwrap();
}

/// The commands that ran, in their order.
pub fn commands(daemon: &RealDaemon) -> Vec<String> {
    fs::read_to_string(daemon.path(LOG)).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// What the commands add up to: what was started and banned, less what was stopped and unbanned.
pub fn rules(daemon: &RealDaemon) -> Rules {
    let mut rules = Rules::new();
    for command in commands(daemon) {
        let (word, rest) = command.split_once(' ').unwrap_or_default();
        match word {
            "start" | "ban" => drop(rules.insert(command.clone())),
            "stop" => drop(rules.remove(&format!("start {rest}"))),
            "unban" => drop(rules.remove(&format!("ban {rest}"))),
            _ => {}
        }
    }
    rules
}

//! The commands that `fail2ban-client -d` computes from the files: what a daemon with this configuration is told.
//!
//! They are kept and sent back as they are. They are not checked here: an expression in them may not compile.

use serde::{Deserialize, Serialize};

use super::literal;
use super::value::Value;

/// A stream of commands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stream(Vec<Value>);

impl Stream {
    /// Reads the output of `-d`: one list a line. `None` where a line is none.
    pub fn parse(output: &str) -> Option<Stream> {
        let commands = output.lines().filter(|line| !line.trim().is_empty()).map(|line| {
            let command = literal::parse(line)?;
            matches!(&command, Value::List(words) if words.first()?.as_str().is_some()).then_some(command)
        });
        commands.collect::<Option<Vec<_>>>().map(Stream)
    }

    /// A stream of commands that were computed here.
    pub fn of_commands(commands: Vec<Value>) -> Stream {
        Stream(commands)
    }

    /// The words that its `set` commands name behind the jail.
    pub fn words_set(&self) -> Vec<&str> {
        let set = self.0.iter().filter(|command| matches!(word(command, 0), Some("set" | "multi-set")));
        set.filter_map(|command| word(command, 2)).collect()
    }

    /// The backend of the first jail it makes.
    pub fn backend(&self) -> Option<&str> {
        self.0.iter().find(|command| word(command, 0) == Some("add")).and_then(|command| word(command, 2))
    }

    /// The backend it makes this jail with.
    pub fn backend_of(&self, jail: &str) -> Option<&str> {
        let added = |command: &&Value| word(command, 0) == Some("add") && word(command, 1) == Some(jail);
        self.0.iter().find(added).and_then(|command| word(command, 2))
    }

    /// The jails it starts, in its order.
    pub fn jails(&self) -> Vec<String> {
        let started = self.0.iter().filter(|command| word(command, 0) == Some("start"));
        started.filter_map(|command| word(command, 1)).map(str::to_owned).collect()
    }

    /// The commands that make and start one jail, and nothing else.
    pub fn of_jail(&self, jail: &str) -> Stream {
        Stream(self.0.iter().filter(|command| is_of(command, jail)).cloned().collect())
    }

    /// The commands that are no jail's: those of the daemon as a whole.
    pub fn of_server(&self) -> Stream {
        let jails: Vec<&str> = self.added().collect();
        Stream(self.0.iter().filter(|command| !jails.iter().any(|jail| is_of(command, jail))).cloned().collect())
    }

    /// The jails it makes.
    fn added(&self) -> impl Iterator<Item = &str> {
        let added = self.0.iter().filter(|command| word(command, 0) == Some("add"));
        added.filter_map(|command| word(command, 1))
    }

    /// What its `set` commands say behind this word, in their order. Of `multi-set` each item counts.
    pub fn values_of(&self, name: &str) -> Vec<&Value> {
        let mut all = Vec::new();
        for command in self.0.iter().filter(|command| word(command, 2) == Some(name)) {
            let values = command.items().and_then(|items| items.get(3..)).unwrap_or_default();
            match (word(command, 0), values) {
                (Some("multi-set"), [Value::List(items)]) => all.extend(items),
                (Some("set" | "multi-set"), values) => all.extend(values),
                _ => {}
            }
        }
        all
    }

    /// What it says of these words, said to another jail.
    pub fn values_for(&self, jail: &str, words: &[&str]) -> Stream {
        let named = self.0.iter().filter(|command| word(command, 2).is_some_and(|word| words.contains(&word)));
        let renamed = named.filter_map(|command| {
            let mut items = command.items()?.to_vec();
            *items.get_mut(1)? = Value::from(jail);
            Some(Value::List(items))
        });
        Stream(renamed.collect())
    }

    /// The actions it gives a jail, in their order. It must be the stream of one jail.
    pub fn actions(&self) -> Vec<WantedAction<'_>> {
        let mut all: Vec<WantedAction<'_>> = Vec::new();
        for command in &self.0 {
            let Some([_, _, Value::Str(kind), Value::Str(name), rest @ ..]) = command.items() else { continue };
            match kind.as_str() {
                "addaction" => {
                    all.push(WantedAction { name, is_python: !rest.is_empty(), parameters: Vec::new() });
                }
                "action" => {
                    let Some(action) = all.iter_mut().find(|action| action.name == name) else { continue };
                    match (word(command, 0), rest) {
                        (Some("multi-set"), [Value::List(pairs)]) => {
                            let pairs = pairs.iter().filter_map(|pair| match pair.items()? {
                                [Value::Str(key), value] => Some((key.as_str(), value)),
                                _ => None,
                            });
                            action.parameters.extend(pairs);
                        }
                        (_, [Value::Str(key), value]) => action.parameters.push((key, value)),
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        all
    }

    /// The commands of one jail, so that its start gives back each ban that lasts at most so long (-1: for ever) as the daemon's database
    /// has it. Otherwise the start shortens every ban to the jail's ban time, and forgets those that are older.
    pub fn restoring(&self, longest: i64) -> Stream {
        let own = |name: &str| self.0.iter().filter(|command| word(command, 2) == Some(name)).cloned().collect();
        let (times, growth): (Vec<Value>, Vec<Value>) = (own("bantime"), own("bantime.increment"));
        let mut commands = Vec::new();
        for command in &self.0 {
            if word(command, 0) != Some("start") || times.is_empty() {
                commands.push(command.clone());
                continue;
            }
            let jail = word(command, 1).unwrap_or_default();
            let set = |name: &str, value: &str| Value::List(["set", jail, name, value].map(Value::from).to_vec());
            commands.push(set("bantime", &longest.to_string()));
            if !growth.is_empty() {
                commands.push(set("bantime.increment", "false"));
            }
            // It stays at rest until its own ban time is back, so that nothing is banned for the longest one.
            commands.push(set("idle", "on"));
            commands.push(command.clone());
            commands.push(set("idle", "on"));
            commands.extend(times.iter().chain(&growth).cloned());
            commands.push(set("idle", "off"));
        }
        Stream(commands)
    }

    /// The commands, for the daemon.
    pub fn to_value(&self) -> Value {
        Value::List(self.0.clone())
    }

    /// The commands one by one, for a daemon that does not take them together.
    pub fn commands(&self) -> &[Value] {
        &self.0
    }

    /// How many commands it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// An action as the commands make it.
#[derive(Debug, Clone, PartialEq)]
pub struct WantedAction<'s> {
    /// Its name in the jail.
    pub name: &'s str,
    /// Whether it is a Python file, of whose parameters the daemon tells nothing that could be compared.
    pub is_python: bool,
    /// Its commands and parameters; the last of one name counts.
    pub parameters: Vec<(&'s str, &'s Value)>,
}

impl<'s> WantedAction<'s> {
    /// What a parameter is to be, where the commands name it.
    pub fn parameter(&self, name: &str) -> Option<&'s Value> {
        self.parameters.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }
}

/// Whether a command makes, sets up or starts this jail. `set loglevel` and its like have three words and are no jail's.
fn is_of(command: &Value, jail: &str) -> bool {
    let is_long = command.items().is_some_and(|words| words.len() > 3);
    match word(command, 0) {
        Some("add" | "start") => word(command, 1) == Some(jail),
        Some("set" | "multi-set") => is_long && word(command, 1) == Some(jail),
        _ => false,
    }
}

fn word(command: &Value, index: usize) -> Option<&str> {
    command.items()?.get(index)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str =
        "['set', 'loglevel', 'INFO']\n['add', 'a', 'polling']\n['add', 'b', 'polling']\n\n['set', 'a', 'usedns', 'no']
['multi-set', 'a', 'action', 'x', [['name', 'a']]]\n['start', 'a']\n['start', 'b']\n";

    #[test]
    fn a_stream_is_read_and_taken_apart() {
        let stream = Stream::parse(OUTPUT).unwrap();
        assert_eq!(stream.commands().len(), 7);
        assert_eq!(stream.jails(), ["a", "b"]);
        let own = stream.of_jail("a");
        assert_eq!((own.commands().len(), own.jails()), (4, vec!["a".to_owned()]));
        assert!(stream.of_jail("c").is_empty());
        let text = serde_json::to_string(&stream).unwrap();
        assert_eq!(serde_json::from_str::<Stream>(&text).unwrap(), stream);
        assert_eq!(Stream::parse("['a']\nERROR: x\n"), None);
        assert_eq!(Stream::parse("[]\n"), None);
    }
}

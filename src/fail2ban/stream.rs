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

    /// The jails it starts, in its order.
    pub fn jails(&self) -> Vec<String> {
        let started = self.0.iter().filter(|command| word(command, 0) == Some("start"));
        started.filter_map(|command| word(command, 1)).map(str::to_owned).collect()
    }

    /// The commands that make and start one jail, and nothing else.
    pub fn of_jail(&self, jail: &str) -> Stream {
        // The name of a jail stands second in each of them; `set loglevel` and its like are no jail's.
        let own = |command: &&Value| {
            matches!(word(command, 0), Some("add" | "set" | "multi-set" | "start")) && word(command, 1) == Some(jail)
        };
        Stream(self.0.iter().filter(own).cloned().collect())
    }

    /// The commands, for the daemon.
    pub fn to_value(&self) -> Value {
        Value::List(self.0.clone())
    }

    /// The commands one by one, for a daemon that does not take them together.
    pub fn commands(&self) -> &[Value] {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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

//! Bans that last longer or shorter than those of their jail. The daemon knows no such command, so the jail is given another ban time for a
//! moment: a ban is made, and made again, which gives it a time of its own; then the jail has its own time back. It rests meanwhile, or
//! another ban would be measured by that time.

use super::Daemon;
use crate::domain::names::{JailName, Place};
use crate::fail2ban::error::Error;
use crate::fail2ban::stream::Stream;
use crate::fail2ban::value::Value;

/// A ban with a time of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timed {
    /// What is banned, in its canonical form.
    pub ip: String,
    /// Seconds from now on; -1 for ever.
    pub seconds: i64,
    /// A ban of it that lasts longer is lifted first: the daemon only ever lengthens.
    pub is_lifted: bool,
}

/// What a jail gets back.
struct OwnTimes {
    ban_time: Value,
    /// Whether ban times grow.
    grows: bool,
}

impl Daemon {
    /// Bans these, each for its own time. `is_paused` where the jail rests and is to go on resting.
    pub fn ban_for(&mut self, jail: &JailName, bans: &[Timed], is_paused: bool) -> Result<(), Error> {
        let name = self.named(Place::Set, jail)?.to_owned();
        let own = self.own_times(jail)?;
        let all = |word: &str, values: Vec<Value>| {
            let words = [Value::from("set"), Value::from(name.as_str()), Value::from(word)];
            Value::List(words.into_iter().chain(values).collect())
        };
        let set = |word: &str, value: Value| all(word, vec![value]);
        // An older daemon takes one address in a command.
        let takes_many = self.version()?.is_modern();
        let mut commands = vec![set("idle", "on".into())];
        if own.grows {
            commands.push(set("bantime.increment", "false".into()));
        }
        for some in bans.chunk_by(|a, b| takes_many && a.seconds == b.seconds) {
            let ips = |of: &dyn Fn(&Timed) -> bool| -> Vec<Value> {
                some.iter().filter(|ban| of(ban)).map(|ban| Value::from(ban.ip.as_str())).collect()
            };
            let (lifted, seconds) = (ips(&|ban| ban.is_lifted), some[0].seconds);
            if !lifted.is_empty() {
                commands.push(all("unbanip", lifted));
            }
            // A ban without a time of its own is measured by the jail's, and nothing is longer than for ever: so it is given a time first.
            let times = if seconds < 0 { vec![3600, 3600, -1] } else { vec![seconds; 2] };
            for seconds in times {
                commands.push(set("bantime", Value::from(seconds.to_string().as_str())));
                commands.push(all("banip", ips(&|_| true)));
            }
        }
        let mut end = vec![set("bantime", own.ban_time)];
        if own.grows {
            end.push(set("bantime.increment", "true".into()));
        }
        if !is_paused {
            end.push(set("idle", "off".into()));
        }
        let whole = commands.into_iter().chain(end.iter().cloned()).collect();
        let made = self.run_stream(&Stream::of_commands(whole));
        if made.is_err() {
            // It ended at the command that failed. Whatever that was, the jail gets its own times back.
            let _ = self.run_stream(&Stream::of_commands(end));
        }
        made
    }

    /// How old a ban may be, in seconds, for the daemon to restore it at its start; `None` where its age does not matter.
    pub fn restore_age(&mut self, jail: &JailName) -> Result<Option<i64>, Error> {
        let own = self.own_times(jail)?;
        let seconds = own.ban_time.as_str().and_then(|text| text.parse::<f64>().ok()).map(|seconds| seconds as i64);
        Ok(seconds.filter(|seconds| *seconds >= 0 && !own.grows))
    }

    fn own_times(&mut self, jail: &JailName) -> Result<OwnTimes, Error> {
        let name = self.named(Place::Get, jail)?.to_owned();
        let ban_time = self.client.ask(&["get", &name, "bantime"])?;
        let grows = self.version()?.has_ban_times()
            && self.client.ask(&["get", &name, "bantime.increment"])?.as_bool().unwrap_or(false);
        Ok(OwnTimes { ban_time: Value::from(ban_time.shown().as_str()), grows })
    }
}

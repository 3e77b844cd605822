//! Reads back what a jail has in force after a load, and says what of it is not what its commands say.
//!
//! It compares what can be compared exactly. Expressions are counted only, since the daemon keeps them expanded, and a date pattern is not
//! looked at: what the daemon tells of it is its own name for it.

use crate::conf::time;
use crate::domain::address::IpOrNet;
use crate::domain::names::JailName;
use crate::fail2ban::difference::{Strictness, difference as action_difference};
use crate::fail2ban::stream::Stream;
use crate::fail2ban::{Daemon, Error, Value};

/// How the text of a value is read by the daemon.
#[derive(Clone, Copy)]
enum Kind {
    /// As it is; the empty text is none.
    Text,
    /// An encoding; `auto` is whatever the daemon's locale has.
    Encoding,
    /// One of the four words, or `no`.
    UseDns,
    /// A whole number.
    Number,
    /// A time, of which whole seconds count.
    Seconds,
    /// Yes or no.
    Truth,
    /// A list of which the number counts.
    Count,
}

/// Setters, which are getters as well but for the lists.
const VALUES: [(&str, &str, Kind); 19] = [
    ("usedns", "usedns", Kind::UseDns),
    ("findtime", "findtime", Kind::Seconds),
    ("bantime", "bantime", Kind::Seconds),
    ("maxretry", "maxretry", Kind::Number),
    ("maxmatches", "maxmatches", Kind::Number),
    ("maxlines", "maxlines", Kind::Number),
    ("logencoding", "logencoding", Kind::Encoding),
    ("logtimezone", "logtimezone", Kind::Text),
    ("ignoreself", "ignoreself", Kind::Truth),
    ("ignorecommand", "ignorecommand", Kind::Text),
    ("bantime.increment", "bantime.increment", Kind::Truth),
    ("bantime.factor", "bantime.factor", Kind::Text),
    ("bantime.formula", "bantime.formula", Kind::Text),
    ("bantime.multipliers", "bantime.multipliers", Kind::Text),
    ("bantime.maxtime", "bantime.maxtime", Kind::Seconds),
    ("bantime.rndtime", "bantime.rndtime", Kind::Seconds),
    ("bantime.overalljails", "bantime.overalljails", Kind::Text),
    ("addfailregex", "failregex", Kind::Count),
    ("addignoreregex", "ignoreregex", Kind::Count),
];

/// The first difference, in words that follow the name of the jail. `own` are the jail's commands.
pub(super) fn difference(daemon: &mut Daemon, jail: &JailName, own: &Stream) -> Result<Option<String>, Error> {
    if let Some(what) = action_difference(daemon, jail, own, Strictness::AfterLoad)? {
        return Ok(Some(what));
    }
    for (setter, getter, kind) in VALUES {
        let wanted = own.values_of(setter);
        if wanted.is_empty() {
            continue;
        }
        let Some(present) = daemon.value_of(jail.as_str(), getter)? else { continue };
        if !kind.is_so(&wanted, &present) {
            let last = wanted.last().map(|value| value.shown()).unwrap_or_default();
            let what = match kind {
                Kind::Count => format!(
                    "has {} values of {getter}, the files say {}",
                    present.items().map_or(0, <[Value]>::len),
                    wanted.len()
                ),
                _ => format!("has {getter} = {}, the files say {last}", present.shown()),
            };
            return Ok(Some(what));
        }
    }
    lists(daemon, jail, own)
}

/// Log files, and what is ignored.
fn lists(daemon: &mut Daemon, jail: &JailName, own: &Stream) -> Result<Option<String>, Error> {
    let is_file = own.backend().is_some_and(|backend| !backend.to_ascii_lowercase().starts_with("systemd"));
    if is_file && let Some(present) = daemon.value_of(jail.as_str(), "logpath")?.and_then(|value| value.texts()) {
        let wanted = own.values_of("addlogpath").into_iter().filter_map(Value::as_str);
        // Behind each path stands where to begin.
        let wanted: Vec<&str> = wanted.filter(|word| !matches!(*word, "head" | "tail")).collect();
        if let Some(path) = wanted.iter().find(|path| !present.iter().any(|own| own == **path)) {
            return Ok(Some(format!("does not read {path}")));
        }
        if let Some(path) = present.iter().find(|path| !wanted.contains(&path.as_str())) {
            return Ok(Some(format!("reads {path}, which the files do not name")));
        }
    }
    let present = daemon.ignore_list(jail)?;
    let present: Vec<IpOrNet> = present.iter().filter_map(|entry| entry.parse().ok()).collect();
    // Host names and files are not told in the same words.
    let wanted = own.values_of("addignoreip").into_iter().filter_map(Value::as_str);
    let missing = wanted.filter_map(|entry| entry.parse::<IpOrNet>().ok()).find(|entry| !present.contains(entry));
    Ok(missing.map(|entry| format!("does not ignore {entry}")))
}

impl Kind {
    fn is_so(self, wanted: &[&Value], present: &Value) -> bool {
        let Some(last) = wanted.last() else { return true };
        let text = last.shown();
        match self {
            Kind::Text => text == present.shown() || (text.is_empty() && present.is_none()),
            Kind::Encoding => text.eq_ignore_ascii_case("auto") || text.eq_ignore_ascii_case(&present.shown()),
            Kind::UseDns => {
                let text = text.to_ascii_lowercase();
                !["yes", "warn", "no", "raw"].contains(&text.as_str()) || text == present.shown()
            }
            Kind::Number => text.trim().parse().ok() == present.as_i64(),
            Kind::Seconds => match (time::seconds(&text), present.as_f64()) {
                (Ok(wanted), Some(present)) => (wanted.as_f64() - present).abs() < 1.0,
                // None, where the text is empty.
                (Err(_), _) => true,
                (Ok(_), None) => false,
            },
            Kind::Truth => {
                let wanted = ["1", "true", "yes", "on"].contains(&text.to_ascii_lowercase().as_str());
                present.as_bool() == Some(wanted)
            }
            Kind::Count => present.items().is_some_and(|items| items.len() == wanted.len()),
        }
    }
}

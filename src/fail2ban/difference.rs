//! What of a running jail is not as its commands would make it: its actions, and where it takes its lines from.
//!
//! A reload changes these in place and runs neither the old commands nor the new ones, so that rules of the old ones stay and those of the
//! new ones are never made; an action that is new in it, it even deletes. Whoever finds a difference restarts the jail.

use super::commands::Daemon;
use super::error::Error;
use super::stream::{Stream, WantedAction};
use super::value::Value;
use crate::domain::names::JailName;

/// What every action has, and what that is where the files say nothing. The daemon's own constants come with it.
const COMMANDS: [&str; 9] = [
    "actionstart",
    "actionban",
    "actionreban",
    "actionunban",
    "actioncheck",
    "actionrepair",
    "actionflush",
    "actionstop",
    "actionreload",
];
/// What else an action holds without being told so.
const OWN: [&str; 4] = ["ESCAPE_CRE", "ESCAPE_VN_CRE", "banEpoch", "timeout"];
/// A parameter that the daemon passes over: each ban has a time of its own.
const IGNORED: &str = "bantime";
/// Read as a time. It takes effect at once, so that no restart is needed for it.
const TIME: &str = "timeout";

/// Which differences count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// Those for which a jail has to be restarted: also a parameter that the commands do not name, and Python, of which nothing can be known.
    BeforeLoad,
    /// Those that must not be left.
    AfterLoad,
}

/// The first difference in words that follow the name of the jail, or `None`. `own` are the jail's commands.
pub fn difference(
    daemon: &mut Daemon,
    jail: &JailName,
    own: &Stream,
    strictness: Strictness,
) -> Result<Option<String>, Error> {
    let wanted = own.actions();
    let names = daemon.action_names(jail)?;
    if names.iter().ne(wanted.iter().map(|action| action.name)) {
        let wanted: Vec<&str> = wanted.iter().map(|action| action.name).collect();
        return Ok(Some(format!("has the actions {}, the files say {}", listed(&names), listed(&wanted))));
    }
    let wants_journal = own.backend().is_some_and(|backend| backend.to_ascii_lowercase().starts_with("systemd"));
    if daemon.reads_journal(jail)? != wants_journal {
        let (is, should) = if wants_journal { ("log files", "the journal") } else { ("the journal", "log files") };
        return Ok(Some(format!("reads {is}, the files say {should}")));
    }
    for action in &wanted {
        if let Some(what) = action_difference(daemon, jail, action, strictness)? {
            return Ok(Some(what));
        }
    }
    Ok(None)
}

fn listed<T: AsRef<str>>(names: &[T]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("'{}'", name.as_ref())).collect();
    if quoted.is_empty() { "none".to_owned() } else { quoted.join(", ") }
}

fn action_difference(
    daemon: &mut Daemon,
    jail: &JailName,
    action: &WantedAction<'_>,
    strictness: Strictness,
) -> Result<Option<String>, Error> {
    let name = action.name;
    if action.is_python {
        return Ok((strictness == Strictness::BeforeLoad).then(|| format!("runs Python action '{name}'")));
    }
    let properties = daemon.action_properties(jail, name)?;
    if !COMMANDS.iter().all(|command| properties.iter().any(|property| property == command)) {
        return Ok(Some(format!("has a Python action '{name}', the files have commands")));
    }
    let none = Value::from("");
    let unset = COMMANDS.iter().filter(|command| action.parameter(command).is_none());
    let mut expected: Vec<(&str, &Value)> = unset.map(|command| (*command, &none)).collect();
    expected.extend(action.parameters.iter().filter_map(|(key, _)| Some((*key, action.parameter(key)?))));
    for (key, value) in expected.into_iter().filter(|(key, _)| ![IGNORED, TIME].contains(key)) {
        // What cannot be told is a method of the action's, called instead of set.
        let Some(present) = daemon.action_property(jail, name, key)? else { continue };
        if present.shown() != value.shown() {
            return Ok(Some(format!(
                "has '{}' as {key} of action '{name}', the files say '{}'",
                present.shown(),
                value.shown()
            )));
        }
    }
    // Later versions may hold more of their own.
    if strictness == Strictness::BeforeLoad && daemon.version()?.is_known() {
        let is_named = |property: &&String| {
            let property = property.as_str();
            OWN.contains(&property) || COMMANDS.contains(&property) || action.parameter(property).is_some()
        };
        if let Some(extra) = properties.iter().find(|property| !is_named(property)) {
            return Ok(Some(format!("has a parameter {extra} of action '{name}' that the files do not name")));
        }
    }
    Ok(None)
}

//! What a change of the files does to the jails: which of their values differ, and which jails are to be loaded for it. The daemon is not
//! asked.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::effective::Effective;
use crate::conf::{self, JailView, StreamOptions, Tree, time};

/// The most values that are told of one change.
const MOST: usize = 500;
/// The longest value that is told whole, in bytes.
const LONGEST: usize = 4096;

/// A value that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// The jail; `None` for a setting of the daemon itself.
    pub jail: Option<String>,
    /// The field, as the API names it.
    pub field: String,
    /// What it is without the change; null where there is none.
    pub before: Value,
    /// What it is with it.
    pub after: Value,
}

/// The files of two states, compared.
#[derive(Debug)]
pub struct Comparison {
    /// The values that differ.
    pub effect: Vec<Effect>,
    /// The jails whose commands differ, or whether they are enabled.
    pub affected: Vec<String>,
    /// Whether settings of the daemon itself differ.
    pub server: bool,
}

/// Compares the files as they are with those of a change.
pub fn compare(before: &Tree, after: &Tree, options: &StreamOptions) -> Comparison {
    let names: BTreeSet<String> = before.jails().iter().chain(&after.jails()).map(|name| name.to_string()).collect();
    let mut done = Comparison { effect: Vec::new(), affected: Vec::new(), server: false };
    for name in &names {
        let (old, new) = (before.jail(name, options).ok(), after.jail(name, options).ok());
        if is_affected(old.as_ref(), new.as_ref()) {
            done.affected.push(name.clone());
        }
        done.effect.extend(of_jail(name, old.as_ref(), new.as_ref()));
    }
    let server = of_server(before, after, options);
    done.server = !server.is_empty();
    done.effect.extend(server);
    done.effect.truncate(MOST);
    done.effect.iter_mut().for_each(|effect| {
        shorten(&mut effect.before);
        shorten(&mut effect.after);
    });
    done
}

fn is_affected(old: Option<&JailView>, new: Option<&JailView>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => {
            old.enabled != new.enabled || old.commands != new.commands || old.problem != new.problem
        }
        (None, Some(one)) | (Some(one), None) => one.enabled,
        (None, None) => false,
    }
}

fn of_jail(name: &str, old: Option<&JailView>, new: Option<&JailView>) -> Vec<Effect> {
    let (before, after) = (fields(old), fields(new));
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let value = |fields: &Map<String, Value>, key: &str| fields.get(key).cloned().unwrap_or_default();
    let differing = keys.into_iter().filter_map(|key| {
        let (before, after) = (value(&before, key), value(&after, key));
        (before != after).then(|| Effect { jail: Some(name.to_owned()), field: key.clone(), before, after })
    });
    differing.collect()
}

/// The values of a jail by the names of their fields: none for no jail.
fn fields(view: Option<&JailView>) -> Map<String, Value> {
    let Some(view) = view else { return Map::new() };
    let Ok(Value::Object(mut fields)) = serde_json::to_value(Effective { view }.values()) else { return Map::new() };
    for key in ["ban_time", "find_time"] {
        if let Some(value) = fields.get_mut(key)
            && let Some(seconds) = value.as_str().and_then(|text| time::seconds(text).ok())
        {
            *value = seconds.as_f64().into();
        }
    }
    let growth = fields.remove("bantime_escalation");
    for (key, value) in growth.as_ref().and_then(Value::as_object).into_iter().flatten() {
        fields.insert(format!("bantime_escalation.{key}"), value.clone());
    }
    fields.extend(action_parameters(view).into_iter().map(|(key, text)| (key, Value::from(text))));
    fields.retain(|_, value| !value.is_null() && *value != Value::Array(Vec::new()));
    fields
}

/// What the actions of a jail are given, by `actions.NAME.OPTION`.
fn action_parameters(view: &JailView) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for command in &view.commands {
        let [verb, _, kind, name, rest @ ..] = command.as_slice() else { continue };
        if kind.as_str() != Some("action") {
            continue;
        }
        let mut put = |key: &conf::Value, value: &conf::Value| {
            all.insert(format!("actions.{}.{}", name.to_text(), key.to_text()), value.to_text().into_owned());
        };
        match (verb.as_str(), rest) {
            (Some("multi-set"), [conf::Value::List(pairs)]) => {
                for pair in pairs {
                    if let conf::Value::List(pair) = pair
                        && let [key, value] = pair.as_slice()
                    {
                        put(key, value);
                    }
                }
            }
            (_, [key, value]) => put(key, value),
            _ => {}
        }
    }
    all
}

/// The settings of the daemon itself.
fn of_server(before: &Tree, after: &Tree, options: &StreamOptions) -> Vec<Effect> {
    let settings = |tree: &Tree| -> BTreeMap<String, String> {
        let commands = tree.server(&options.version).unwrap_or_default();
        let pairs = commands.iter().filter_map(|command| match command.as_slice() {
            [verb, key, value] if verb.as_str() == Some("set") => {
                Some((server_field(&key.to_text()).to_owned(), value.to_text().into_owned()))
            }
            _ => None,
        });
        pairs.collect()
    };
    let (before, after) = (settings(before), settings(after));
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differing = keys.into_iter().filter(|key| before.get(*key) != after.get(*key));
    let value = |text: Option<&String>| text.map_or(Value::Null, |text| text.as_str().into());
    differing
        .map(|key| Effect {
            jail: None,
            field: key.clone(),
            before: value(before.get(key)),
            after: value(after.get(key)),
        })
        .collect()
}

/// The API's name of a setting of the daemon.
fn server_field(key: &str) -> &str {
    match key {
        "loglevel" => "log_level",
        "logtarget" => "log_target",
        "dbpurgeage" => "db_purge_age",
        "dbmaxmatches" => "db_max_matches",
        other => other,
    }
}

/// A value that is told cut short where it is long.
fn shorten(value: &mut Value) {
    match value {
        Value::String(text) if text.len() > LONGEST => {
            let end = (0..=LONGEST).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
            text.truncate(end);
            text.push_str("...");
        }
        Value::Array(items) => {
            items.truncate(MOST);
            items.iter_mut().for_each(shorten);
        }
        _ => {}
    }
}

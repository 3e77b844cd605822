//! One jail: its options, its filter and its actions, computed in the order in which fail2ban computes them.
//!
//! A jail whose filter or action is missing is still a result, with the reason in it, because fail2ban goes on with
//! the other jails; everything else that is wrong refuses the whole configuration.

use std::rc::Rc;

use super::config::{Config, Entry};
use super::definition::{Definition, Known, Type, known, known_options};
use super::error::Error;
use super::glob::join;
use super::layers::{Loader, without_ending};
use super::ordered::Ordered;
use super::params::{invocation_as, invocations_as};
use super::value::{Command, Value, quoted};
use super::version::Version;

const fn with_default(kind: Type, name: &'static str, default: &'static str) -> Known {
    Known { kind, name, default: Some(default) }
}

/// The options that decide whether a jail is looked at any further.
pub const FIRST_OPTIONS: [Known; 3] = [
    with_default(Type::Bool, "enabled", "false"),
    with_default(Type::Text, "backend", "auto"),
    with_default(Type::Text, "filter", ""),
];

/// The options of a jail, those of a filter included, which a jail may override. The last two are known since 1.1.1.
pub const JAIL_OPTIONS: [Known; 31] = [
    with_default(Type::Bool, "enabled", "false"),
    with_default(Type::Text, "backend", "auto"),
    known(Type::Int, "maxretry"),
    known(Type::Int, "maxmatches"),
    known(Type::Text, "findtime"),
    known(Type::Text, "bantime"),
    known(Type::Bool, "bantime.increment"),
    known(Type::Text, "bantime.factor"),
    known(Type::Text, "bantime.formula"),
    known(Type::Text, "bantime.multipliers"),
    known(Type::Text, "bantime.maxtime"),
    known(Type::Text, "bantime.rndtime"),
    known(Type::Bool, "bantime.overalljails"),
    known(Type::Text, "ignorecommand"),
    known(Type::Bool, "ignoreself"),
    known(Type::Text, "ignoreip"),
    known(Type::Text, "ignorecache"),
    with_default(Type::Text, "filter", ""),
    known(Type::Text, "logtimezone"),
    known(Type::Text, "logencoding"),
    known(Type::Text, "logpath"),
    with_default(Type::Text, "action", ""),
    known(Type::Text, "usedns"),
    known(Type::Text, "prefregex"),
    known(Type::Text, "ignoreregex"),
    known(Type::Text, "failregex"),
    known(Type::Int, "maxlines"),
    known(Type::Text, "datepattern"),
    known(Type::Text, "journalmatch"),
    with_default(Type::Bool, "skip_if_nologs", "false"),
    with_default(Type::Bool, "systemd_if_nologs", "true"),
];

/// How many of [`JAIL_OPTIONS`] a version knows.
fn known_by(version: &Version) -> usize {
    if version.may_do_without_logs() { JAIL_OPTIONS.len() } else { JAIL_OPTIONS.len() - 2 }
}

/// An action of a jail.
#[derive(Debug)]
pub enum Action {
    /// An action written in Python, which is one command.
    Python(Command),
    /// An action of shell commands.
    Shell {
        /// Its name in the jail, unique there.
        name: String,
        /// Its options.
        definition: Box<Definition>,
    },
}

impl Action {
    /// Its options, unless it is written in Python.
    pub fn definition(&self) -> Option<&Definition> {
        match self {
            Action::Python(_) => None,
            Action::Shell { definition, .. } => Some(definition),
        }
    }
}

/// A jail, computed.
#[derive(Debug)]
pub struct Jail {
    /// Its name.
    pub name: Rc<str>,
    /// Its own options.
    pub options: Ordered<Value>,
    /// Its filter, if it names one.
    pub filter: Option<Definition>,
    /// Its actions.
    pub actions: Vec<Action>,
    /// Why fail2ban skips it, if it does.
    pub skipped: Option<String>,
}

/// Computes a jail; `None` when it is disabled and not `forced`. What the filter defines is added to the jail's section
/// in `config` as `known/…` and stays there, visible to later jails, as with fail2ban.
pub fn jail(
    loader: &mut Loader,
    config: &mut Config,
    name: &Rc<str>,
    version: &Version,
    forced: bool,
) -> Result<Option<Jail>, Error> {
    let options = known_options(config, name, &FIRST_OPTIONS)?;
    if !forced && options.get("enabled") != Some(&Value::Bool(true)) {
        return Ok(None);
    }
    let mut jail = Jail { name: name.clone(), options, filter: None, actions: Vec::new(), skipped: None };
    jail.skipped = jail.complete(loader, config, version)?;
    Ok(Some(jail))
}

impl Jail {
    fn text(&self, option: &str) -> Rc<str> {
        match self.options.get(option) {
            Some(Value::Str(text)) => text.clone(),
            _ => "".into(),
        }
    }

    /// Reads filter, options and actions. The answer is the reason for which fail2ban skips the jail, if any.
    fn complete(
        &mut self,
        loader: &mut Loader,
        config: &mut Config,
        version: &Version,
    ) -> Result<Option<String>, Error> {
        if let Some(reason) = self.read_filter(loader, config, version)? {
            return Ok(Some(reason));
        }
        self.options = known_options(config, &self.name, &JAIL_OPTIONS[..known_by(version)])?;
        if let Some(filter) = &mut self.filter {
            filter.read(&self.options, false, version)?;
        }
        for action in invocations_as(&self.text("action"), version)? {
            if let Some(reason) = self.read_action(loader, &action, version)? {
                return Ok(Some(reason));
            }
        }
        Ok(None)
    }

    fn read_filter(
        &mut self,
        loader: &mut Loader,
        config: &mut Config,
        version: &Version,
    ) -> Result<Option<String>, Error> {
        let text = self.text("filter");
        if text.is_empty() {
            return Ok(None);
        }
        let called = match invocation_as(&text, version) {
            Ok(called) => called,
            Err(reason) => {
                let text = quoted(&text);
                return Ok(Some(format!("Invalid filter definition {text}: {reason}")));
            }
        };
        let Some(mut filter) = Definition::filter(loader, &called.name, called.parameters, version)? else {
            let name = quoted(&called.name);
            return Ok(Some(format!("Unable to read the filter {name}")));
        };
        filter.apply_backend(&self.text("backend"));
        filter.read(&self.options, true, version)?;
        let combined = filter.combined(&[]).map_err(|error| self.blame(error))?;
        if let Some(section) = config.sections.get_mut(&self.name) {
            for (key, value) in combined.iter() {
                if !key.starts_with("known/") && &**key != "__name__" {
                    let value = value.clone();
                    let origin = None;
                    section.insert(["known/", key].concat(), Entry { value, origin });
                }
            }
        }
        self.filter = Some(filter);
        Ok(None)
    }

    fn read_action(&mut self, loader: &mut Loader, text: &str, version: &Version) -> Result<Option<String>, Error> {
        let mut called = match invocation_as(text, version) {
            Ok(called) => called,
            Err(reason) => {
                let text = quoted(text);
                return Ok(Some(format!("Invalid action definition {text}: {reason}")));
            }
        };
        if called.name.ends_with(".py") {
            let command = self.python_action(loader.base(), &called.name, &called.parameters);
            self.actions.push(Action::Python(command));
            return Ok(None);
        }
        let name = self.name_action(&called.name, &mut called.parameters);
        let Some(mut definition) = Definition::action(loader, &called.name, called.parameters, version)? else {
            let name = quoted(&called.name);
            return Ok(Some(format!("Unable to read action {name}")));
        };
        definition.read(&self.options, false, version)?;
        let definition = Box::new(definition);
        self.actions.push(Action::Shell { name, definition });
        Ok(None)
    }

    /// Completes the parameters of an action by `name` and `actname`, and says what it is called in this jail.
    fn name_action(&self, file: &str, parameters: &mut Ordered<Value>) -> String {
        if !parameters.contains("name") {
            parameters.insert("name", Value::Str(self.name.clone()));
        }
        let name = parameters.get("name").map_or(String::new(), |name| name.to_text().into());
        if let Some(given) = parameters.get("actname") {
            return given.to_text().into_owned();
        }
        let unique = match name.strip_prefix(&*self.name) {
            Some(rest) => format!("{file}{rest}"),
            None => format!("{file}-{name}"),
        };
        parameters.insert("actname", Value::text(unique.as_str()));
        unique
    }

    fn python_action(&self, base: &str, file: &str, parameters: &Ordered<Value>) -> Command {
        let name = match parameters.get("actname") {
            Some(name) => name.clone(),
            None => Value::from(without_ending(file)),
        };
        let rest = parameters.iter().filter(|(key, _)| &***key != "actname");
        let rest: Vec<String> =
            rest.map(|(key, value)| format!("{}: {}", json_text(key), json_text(&value.to_text()))).collect();
        vec![
            "set".into(),
            Value::Str(self.name.clone()),
            "addaction".into(),
            name,
            join(base, &join("action.d", file)).into(),
            format!("{{{}}}", rest.join(", ")).into(),
        ]
    }

    /// Names the jail in an error that does not say where it comes from.
    fn blame(&self, error: Error) -> Error {
        match error {
            Error::Definition { jail: None, subject, message } => {
                Error::Definition { jail: Some(self.name.to_string()), subject, message }
            }
            other => other,
        }
    }
}

/// A text in JSON as Python's `json.dumps` writes it: everything beyond printable ASCII is escaped.
fn json_text(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out.push('"');
    out
}

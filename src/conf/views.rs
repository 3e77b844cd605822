//! What is in force for one jail, filter or action, in a form that can be shown: raw and effective values, each with
//! the file and line it comes from.
//!
//! Nothing here fails because of a mistake in a configuration: the mistake is part of the view.

use std::rc::Rc;

use super::config::{Config, Entry, Given, NoValue, Origin};
use super::definition::{Definition, Known, convert};
use super::error::Error;
use super::jail::{JAIL_OPTIONS, Jail, jail};
use super::layers::Loader;
use super::ordered::Ordered;
use super::params::{Invocation, invocation_as, invocations_as};
use super::stream::{StreamOptions, jail_commands};
use super::value::{Command, Value};
use super::version::Version;

/// An option as some file sets it.
#[derive(Clone, Debug)]
pub struct OptionView {
    /// Its key, in lower case.
    pub key: Rc<str>,
    /// Its value as written.
    pub raw: String,
    /// Its value with references resolved and in its type, or why it has none.
    pub value: Result<Value, String>,
    /// The file and line that set it; later files win, so this is the place that counts.
    pub origin: Option<Origin>,
    /// Whether it comes from `[DEFAULT]` and not from the section itself.
    pub inherited: bool,
}

/// A jail as the files define it, whether it is enabled or not.
#[derive(Clone, Debug)]
pub struct JailView {
    /// Its name.
    pub name: Rc<str>,
    /// Whether it is enabled.
    pub enabled: bool,
    /// Every option its section sets, then those it inherits from `[DEFAULT]`.
    pub options: Vec<OptionView>,
    /// The options that fail2ban knows, with their defaults, as they are in force; empty where there is a problem.
    pub effective: Ordered<Value>,
    /// Its filter with parameters, if it names one that can be read.
    pub filter: Option<Invocation>,
    /// Its actions with parameters, as far as they can be read.
    pub actions: Vec<Invocation>,
    /// The commands that set it up, as if it were enabled, without its start; empty where there is a problem.
    pub commands: Vec<Command>,
    /// The files that filter and actions are made of.
    pub files: Vec<Rc<str>>,
    /// Why fail2ban would skip it, or refuse the whole configuration if it were enabled.
    pub problem: Option<String>,
}

impl JailView {
    /// The option of this key, if any file sets it.
    pub fn option(&self, key: &str) -> Option<&OptionView> {
        self.options.iter().find(|option| &*option.key == key)
    }
}

/// A filter or action as its files define it.
#[derive(Clone, Debug)]
pub struct DefinitionView {
    /// Its name.
    pub name: String,
    /// The files it is made of, in order; later ones win.
    pub files: Vec<Rc<str>>,
    /// The options of `[Definition]`, own and inherited.
    pub definition: Vec<OptionView>,
    /// The options of `[Init]`, which a jail's parameters override; those of conditional sections carry the condition
    /// in their key.
    pub init: Vec<OptionView>,
    /// All options with references and tags replaced; empty where there is a problem.
    pub effective: Ordered<Value>,
    /// Why fail2ban would refuse it, if it would.
    pub problem: Option<String>,
    /// The version of fail2ban whose reading this is.
    pub version: Version,
}

impl DefinitionView {
    /// The option of this key in `[Definition]` or `[Init]`, if any file sets it.
    pub fn option(&self, key: &str) -> Option<&OptionView> {
        let mut all = self.definition.iter().chain(&self.init);
        all.find(|option| &*option.key == key)
    }
}

/// Which filter and actions a jail names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JailUse {
    /// The jail.
    pub jail: Rc<str>,
    /// Whether it is enabled.
    pub enabled: bool,
    /// The name of its filter.
    pub filter: Option<String>,
    /// The names of its actions.
    pub actions: Vec<String>,
    /// Its backend: `auto`, `polling`, `pyinotify`, `systemd`.
    pub backend: String,
}

/// Every option of a section, own ones first, then those of `[DEFAULT]`.
fn option_views(config: &Config, section: &str, known: &[Known]) -> Vec<OptionView> {
    let view = |key: &Rc<str>, entry: &Entry, inherited| {
        let value = match config.get(section, key, &Given::new()) {
            Ok(value) => Ok(typed(known, key, value)),
            Err(NoValue::Broken(error)) => Err(error.to_string()),
            Err(NoValue::Section | NoValue::Option) => Ok(Value::None),
        };
        OptionView {
            key: key.clone(),
            raw: entry.value.to_text().into_owned(),
            value,
            origin: entry.origin.clone(),
            inherited,
        }
    };
    let Some(own) = config.sections.get(section) else {
        return Vec::new();
    };
    let written = |entry: &Entry| entry.origin.is_some();
    let mut views: Vec<OptionView> =
        own.iter().filter(|(_, entry)| written(entry)).map(|(key, entry)| view(key, entry, false)).collect();
    let inherited = config.defaults.iter();
    let inherited = inherited.filter(|(key, entry)| written(entry) && !own.contains(key));
    views.extend(inherited.map(|(key, entry)| view(key, entry, true)));
    views
}

fn typed(known: &[Known], key: &str, value: Value) -> Value {
    match known.iter().find(|option| option.name == key) {
        Some(option) => convert(option.kind, value).unwrap_or_else(|| option.default_value()),
        None => value,
    }
}

fn text_of(config: &Config, section: &str, key: &str) -> String {
    match config.get(section, key, &Given::new()) {
        Ok(value) => value.to_text().into_owned(),
        Err(_) => String::new(),
    }
}

/// The view of one jail; `config` must hold fail2ban's own defaults.
pub(super) fn jail_view(loader: &mut Loader, config: &mut Config, name: &Rc<str>, options: &StreamOptions) -> JailView {
    let version = &options.version;
    let used = jail_use(config, name, version);
    let mut view = JailView {
        name: name.clone(),
        enabled: used.enabled,
        options: Vec::new(),
        effective: Ordered::new(),
        filter: None,
        actions: Vec::new(),
        commands: Vec::new(),
        files: Vec::new(),
        problem: None,
    };
    match computed(loader, config, name, options) {
        Ok((jail, commands)) => {
            let mut definitions: Vec<&Definition> = jail.filter.iter().collect();
            definitions.extend(jail.actions.iter().filter_map(|action| action.definition()));
            for definition in definitions {
                let files = definition.layers.files.iter();
                view.files.extend(files.cloned());
            }
            match &jail.skipped {
                Some(reason) => view.problem = Some(reason.clone()),
                None => view.commands = commands,
            }
            view.effective = jail.options;
        }
        Err(error) => view.problem = Some(error.to_string()),
    }
    view.options = option_views(config, name, &JAIL_OPTIONS);
    view.filter = invocation_as(&text_of(config, name, "filter"), version).ok();
    let actions = invocations_as(&text_of(config, name, "action"), version).unwrap_or_default();
    view.actions = actions.iter().filter_map(|text| invocation_as(text, version).ok()).collect();
    view
}

fn computed(
    loader: &mut Loader,
    config: &mut Config,
    name: &Rc<str>,
    options: &StreamOptions,
) -> Result<(Jail, Vec<Command>), Error> {
    let mut jail = jail(loader, config, name, &options.version, true)?
        .ok_or_else(|| Error::Missing { kind: "jail", name: name.to_string() })?;
    let commands = jail_commands(&mut jail, options, &mut Vec::new())?;
    Ok((jail, commands))
}

/// Which filter and actions a jail names, without reading them.
pub(super) fn jail_use(config: &Config, name: &Rc<str>, version: &Version) -> JailUse {
    let filter = invocation_as(&text_of(config, name, "filter"), version).ok();
    let actions = invocations_as(&text_of(config, name, "action"), version).unwrap_or_default();
    let actions = actions.iter().filter_map(|text| invocation_as(text, version).ok());
    JailUse {
        jail: name.clone(),
        enabled: super::value::boolean(&text_of(config, name, "enabled")),
        filter: filter.map(|called| called.name),
        actions: actions.map(|called| called.name).collect(),
        backend: text_of(config, name, "backend"),
    }
}

/// The view of a filter or an action.
pub(super) fn definition_view(name: &str, mut definition: Definition, version: &Version) -> DefinitionView {
    let config = &definition.layers.config;
    let known = definition.known();
    let mut view = DefinitionView {
        name: name.to_owned(),
        files: definition.layers.files.clone(),
        definition: option_views(config, "Definition", known),
        init: option_views(config, "Init", &[]),
        effective: Ordered::new(),
        problem: None,
        version: version.clone(),
    };
    view.init.retain(|option| !option.inherited);
    let effective = definition.read(&Ordered::new(), true, version).and_then(|()| definition.combined(&[]));
    match effective {
        Ok(effective) => view.effective = effective,
        Err(error) => view.problem = Some(error.to_string()),
    }
    view
}

//! The options of a filter or an action, computed from its files, its parameters and the jail that uses it.
//!
//! It follows the order in which fail2ban looks things up, step by step, because results of earlier steps are visible
//! to later ones. What the options mean is the business of `jail` and `stream`.

use std::borrow::Cow;
use std::rc::Rc;

use super::config::{Config, Given, NoValue, found_value, is_lower, lower};
use super::error::Error;
use super::glob::join;
use super::layers::{Layers, Loader, absolute_if_dotted, condition};
use super::ordered::Ordered;
use super::tags::{Found, substitute};
use super::value::{Value, boolean, integer};
use super::version::Version;

/// The type an option is converted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Text stays as it is.
    Text,
    /// `1 true yes on` are true.
    Bool,
    /// A whole number; what is none becomes the default.
    Int,
}

/// An option that fail2ban knows.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Its type.
    pub kind: Type,
    /// Its key.
    pub name: &'static str,
    /// What it is when no file sets it; `None` means that it is left out then.
    pub default: Option<&'static str>,
}

/// A [`Known`] option without a default.
pub(crate) const fn known(kind: Type, name: &'static str) -> Known {
    Known { kind, name, default: None }
}

/// The options of a filter.
pub const FILTER_OPTIONS: [Known; 7] = [
    known(Type::Text, "usedns"),
    known(Type::Text, "prefregex"),
    known(Type::Text, "ignoreregex"),
    known(Type::Text, "failregex"),
    known(Type::Int, "maxlines"),
    known(Type::Text, "datepattern"),
    known(Type::Text, "journalmatch"),
];

/// The options of an action.
pub const ACTION_OPTIONS: [Known; 13] = [
    known(Type::Text, "actionstart"),
    known(Type::Bool, "actionstart_on_demand"),
    known(Type::Text, "actionstop"),
    known(Type::Text, "actionflush"),
    known(Type::Text, "actionreload"),
    known(Type::Text, "actioncheck"),
    known(Type::Text, "actionrepair"),
    known(Type::Bool, "actionrepair_on_unban"),
    known(Type::Text, "actionban"),
    known(Type::Text, "actionprolong"),
    known(Type::Text, "actionreban"),
    known(Type::Text, "actionunban"),
    known(Type::Bool, "norestored"),
];

impl Known {
    /// The default as a value.
    pub fn default_value(&self) -> Value {
        match self.default {
            None => Value::None,
            Some(text) => convert(self.kind, Value::from(text)).unwrap_or(Value::None),
        }
    }
}

/// Converts a value to a type; `None` when it does not fit.
pub fn convert(kind: Type, value: Value) -> Option<Value> {
    match (kind, &value) {
        (Type::Bool, Value::Str(text)) => Some(Value::Bool(boolean(text))),
        (Type::Bool, other) => Some(Value::Bool(other.is_truthy())),
        (Type::Int, Value::Str(text)) => integer(text).map(Value::Int),
        _ => Some(value),
    }
}

/// Values from outside with their keys in lower case, as a lookup wants them.
pub fn lowered(options: Ordered<Value>) -> Given {
    if options.keys().all(|key| is_lower(key)) {
        return options;
    }
    let mut given = Given::with_capacity(options.len());
    for (key, value) in options.iter() {
        match lower(key) {
            Cow::Borrowed(_) => given.insert(key.clone(), value.clone()),
            Cow::Owned(key) => given.insert(key, value.clone()),
        }
    }
    given
}

/// The known options of a section, in their types.
pub fn known_options(config: &Config, section: &str, options: &[Known]) -> Result<Ordered<Value>, Error> {
    let mut values = Ordered::with_capacity(options.len());
    let given = Given::new();
    let scope = config.scope(section, &given);
    for option in options {
        let value = match scope.as_ref().map_or(Err(NoValue::Section), |scope| scope.get(option.name)) {
            Err(NoValue::Broken(error)) => return Err(error),
            Err(NoValue::Option) if option.default.is_none() => continue,
            Err(NoValue::Section | NoValue::Option) => option.default_value(),
            Ok(value) => convert(option.kind, value).unwrap_or_else(|| option.default_value()),
        };
        values.insert(option.name, value);
    }
    Ok(values)
}

/// A filter or an action in use by a jail.
#[derive(Debug)]
pub struct Definition {
    /// Its files and what they hold.
    pub layers: Rc<Layers>,
    known: &'static [Known],
    /// The parameters from the jail, and after [`Definition::read`] also the options of `[Init]`.
    pub parameters: Ordered<Value>,
    options: Ordered<Value>,
    given: Given,
    /// Whether nothing given from outside changes what its values expand to.
    is_alone: bool,
    /// Options that tags asked for. They are kept from the first pass on, as fail2ban does, even where a second pass
    /// would find something else.
    found: Found,
}

impl Definition {
    /// The filter `name` with these parameters; `None` when it has no readable file.
    pub fn filter(
        loader: &mut Loader,
        name: &str,
        parameters: Ordered<Value>,
        version: &Version,
    ) -> Result<Option<Definition>, Error> {
        let path = join("filter.d", &absolute_if_dotted(name));
        Definition::new(loader.load_as(&path, version)?, &FILTER_OPTIONS, parameters)
    }

    /// The action `name` with these parameters; `None` when it has no readable file.
    pub fn action(
        loader: &mut Loader,
        name: &str,
        parameters: Ordered<Value>,
        version: &Version,
    ) -> Result<Option<Definition>, Error> {
        let path = join("action.d", &absolute_if_dotted(name));
        Definition::new(loader.load_as(&path, version)?, &ACTION_OPTIONS, parameters)
    }

    fn new(
        layers: Option<Rc<Layers>>,
        known: &'static [Known],
        parameters: Ordered<Value>,
    ) -> Result<Option<Definition>, Error> {
        Ok(layers.map(|layers| Definition {
            layers,
            known,
            parameters,
            options: Ordered::new(),
            given: Given::new(),
            is_alone: false,
            found: Found::default(),
        }))
    }

    /// The options that fail2ban knows in it.
    pub fn known(&self) -> &'static [Known] {
        self.known
    }

    /// Sets `logtype` by the jail's backend, unless a parameter or the filter itself sets it.
    pub fn apply_backend(&mut self, backend: &str) {
        let given = self.parameters.get("logtype");
        let own = self.layers.config.sections.get("Definition");
        if given.is_some_and(Value::is_truthy) || own.is_some_and(|own| own.contains("logtype")) {
            return;
        }
        let journal = backend.starts_with("systemd");
        let logtype = if journal { "journal" } else { "file" };
        self.parameters.insert("logtype", Value::from(logtype));
    }

    /// Reads the options, with those of the jail visible to references. `all` takes every option of `[Definition]`,
    /// not only the known ones.
    pub fn read(&mut self, jail: &Ordered<Value>, all: bool, version: &Version) -> Result<(), Error> {
        let config = &self.layers.config;
        let given = jail.merged(&self.parameters);
        let own = self.parameters.len();
        // Whoever gives an option from outside has it already. Types come later, since tags need texts.
        let wanted: Vec<&Known> = self.known.iter().filter(|option| !given.contains(option.name)).collect();
        self.given = lowered(given);
        self.is_alone = config.sections.contains("Definition") && !self.layers.is_influenced(&self.given);
        self.options = Ordered::with_capacity(self.known.len());
        for option in wanted {
            if self.is_alone {
                if let Some(value) = self.layers.definition(option.name)? {
                    self.options.insert(option.name, value);
                }
                continue;
            }
            match config.get_lower("Definition", option.name, &self.given) {
                Ok(value) => self.options.insert(option.name, value),
                Err(NoValue::Section) => self.options.insert(option.name, option.default_value()),
                Err(NoValue::Option) => {}
                Err(NoValue::Broken(error)) => return Err(error),
            }
        }
        if let Some(init) = config.sections.get("Init") {
            for key in init.keys().filter(|key| &***key != "__name__") {
                let is_known = key.starts_with("known/");
                if is_known && self.parameters.contains(key) {
                    continue;
                }
                let value = self.layers.init(key)?.unwrap_or(Value::None);
                if !is_known {
                    self.parameters.insert(["known/", key].concat(), value.clone());
                }
                if !self.parameters.contains(key) {
                    let value = match condition(key).filter(|_| version.gives_conditions()) {
                        // What was given for the option itself holds in every case, the conditional ones included.
                        Some((plain, _)) => given_for(plain, &self.parameters, own, jail).unwrap_or(value),
                        None => value,
                    };
                    self.parameters.insert(key.clone(), value);
                }
            }
        }
        if let Some(own) = config.sections.get("Definition").filter(|_| all) {
            for key in own.keys() {
                if &**key != "__name__" && !self.options.contains(key) {
                    let value = own_value(config, "Definition", key)?;
                    self.options.insert(key.clone(), value);
                }
            }
        }
        Ok(())
    }

    /// All options and parameters with their tags replaced and their types converted.
    pub fn combined(&mut self, ignore: &[&str]) -> Result<Ordered<Value>, Error> {
        let together = self.options.merged(&self.parameters);
        if together.is_empty() {
            return Ok(together);
        }
        // An option with a conditional variant is chosen among its variants at ban time only.
        let conditional: Vec<String> = together.keys().filter_map(|key| Some(condition(key)?.0.to_owned())).collect();
        let ignore: Vec<&str> = ignore.iter().copied().chain(conditional.iter().map(String::as_str)).collect();
        let (layers, given, is_alone) = (&self.layers, &self.given, self.is_alone);
        let mut options = substitute(together, &ignore, &mut self.found, &mut |tag| {
            let value = match is_alone && !given.contains(&lower(tag)) {
                true => layers.definition(tag)?,
                false => found_value(layers.config.get_tag("Definition", tag, given))?,
            };
            Ok(match value {
                None | Some(Value::None) => None,
                Some(Value::Str(text)) => Some(text),
                Some(value) => Some(value.to_text().as_ref().into()),
            })
        })?;
        for option in self.known {
            let value = options.get(option.name).cloned();
            if let Some(value) = value.filter(|value| *value != Value::None) {
                let value = convert(option.kind, value).unwrap_or(Value::None);
                options.insert(option.name, value);
            }
        }
        Ok(options)
    }
}

/// What was given for an option: by one of the first `own` parameters, or by the jail.
fn given_for(option: &str, parameters: &Ordered<Value>, own: usize, jail: &Ordered<Value>) -> Option<Value> {
    let by_parameter = parameters.position(option).filter(|&place| place < own);
    by_parameter.map(|place| parameters.at(place)).or_else(|| jail.get(option)).cloned()
}

/// The expanded value of an option that is known to stand in the section.
fn own_value(config: &Config, section: &str, option: &str) -> Result<Value, Error> {
    Ok(found_value(config.get_lower(section, option, &Given::new()))?.unwrap_or(Value::None))
}

//! Sections with options, as merged from one or several files, and the expansion of `%(…)s` in their values.
//!
//! It mirrors Python's basic interpolation as fail2ban extends it: `%(section/name)s`, `%(default/name)s`,
//! `%(known/name)s` and `%(__name__)s`. Reading files is `layers`' business; `<tags>` are `tags`' business.

use std::borrow::Cow;
use std::rc::Rc;

use super::error::Error;
use super::ordered::Ordered;
use super::value::{Value, is_word};

/// The place where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file, as fail2ban would name it.
    pub file: Rc<str>,
    /// The line, counted from 1.
    pub line: u32,
}

/// A value as written, before expansion, with its origin. Values that fail2ban itself supplies have none.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The value; text but for numbers that a jail takes over from its filter.
    pub value: Value,
    /// Where it was written.
    pub origin: Option<Origin>,
}

/// The options of one section.
pub type Options = Ordered<Entry>;

/// Values given from outside, which win over the section's own; the keys are in lower case.
pub type Given = Ordered<Value>;

/// Sections with options.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The options of `[DEFAULT]`.
    pub defaults: Options,
    /// All other sections in order, and for each section that a later file changed, the values from before as
    /// `KNOWN/section`.
    pub sections: Ordered<Options>,
}

/// Why an option has no value.
#[derive(Debug)]
pub enum NoValue {
    /// There is no such section.
    Section,
    /// There is no such option, neither in the section nor in `[DEFAULT]`.
    Option,
    /// There is one, but it cannot be expanded.
    Broken(Error),
}

/// A value, if there is one.
pub(crate) fn found_value(result: Result<Value, NoValue>) -> Result<Option<Value>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(NoValue::Section | NoValue::Option) => Ok(None),
        Err(NoValue::Broken(error)) => Err(error),
    }
}

/// How deep references may be nested: Python's own limit.
const MAX_DEPTH: usize = 10;

/// How long an expanded value may become, in bytes. Ten levels of references could otherwise fill any memory.
const MAX_EXPANDED: usize = 4 << 20;

impl Config {
    /// The options of a section, unless there is none of this name.
    fn section(&self, section: &str) -> Option<&Options> {
        self.sections.get(section)
    }

    /// The value of an option as written, with its origin, from the section or from `[DEFAULT]`.
    pub fn entry(&self, section: &str, option: &str) -> Option<&Entry> {
        self.section(section).and_then(|own| own.get(option)).or_else(|| self.defaults.get(option))
    }

    /// The expanded value of an option: of `given`, else of the section, else of `[DEFAULT]`.
    pub fn get(&self, section: &str, option: &str, given: &Given) -> Result<Value, NoValue> {
        self.get_lower(section, &lower(option), given)
    }

    /// Like [`Config::get`], for an option that is in lower case already.
    pub fn get_lower(&self, section: &str, option: &str, given: &Given) -> Result<Value, NoValue> {
        self.scope(section, given).ok_or(NoValue::Section)?.get(option)
    }

    /// Where options of a section are looked up, several in turn; `None` when there is no such section.
    pub fn scope<'a>(&'a self, section: &'a str, given: &'a Given) -> Option<Scope<'a>> {
        let own = self.section(section);
        let is_there = own.is_some() || section == "DEFAULT";
        is_there.then_some(Scope { config: self, own, given, section, option: "" })
    }

    /// The names behind every `%(`, in lower case: what values may refer to.
    pub fn references(&self) -> Vec<String> {
        let all = self.sections.iter().flat_map(|(_, options)| options.iter()).chain(self.defaults.iter());
        let mut names: Vec<String> = Vec::new();
        for (_, entry) in all {
            let mut rest = entry.value.as_str().unwrap_or_default();
            while let Some(at) = memchr::memchr(b'%', rest.as_bytes()) {
                rest = &rest[at + 1..];
                let Some(name) = rest.strip_prefix('(') else { continue };
                let name = &name[..memchr::memchr(b')', name.as_bytes()).unwrap_or(name.len())];
                let name = lower(name);
                if !names.iter().any(|known| *known == *name) {
                    names.push(name.into_owned());
                }
            }
        }
        names
    }

    /// Like [`Config::get`], for the `<section/option>` of tags: a section before a slash is looked into first.
    pub fn get_tag(&self, section: &str, option: &str, given: &Given) -> Result<Value, NoValue> {
        if let Some((place, name)) = split_reference(option) {
            let known;
            let places: &[&str] = match place.to_lowercase().as_str() {
                "known" => {
                    known = format!("KNOWN/{section}");
                    &[&known, section]
                }
                "default" => &["DEFAULT"],
                _ => &[place],
            };
            for place in places {
                match self.get(place, name, &Given::new()) {
                    Err(NoValue::Section | NoValue::Option) => {}
                    other => return other,
                }
            }
        }
        self.get(section, option, given)
    }
}

/// A key as the parser stores it.
pub(crate) fn lower(key: &str) -> Cow<'_, str> {
    if is_lower(key) {
        return Cow::Borrowed(key);
    }
    Cow::Owned(key.to_lowercase())
}

/// Whether a key is surely as the parser stores it.
pub(crate) fn is_lower(key: &str) -> bool {
    key.as_bytes().iter().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase())
}

/// Splits `section/option` of a tag.
fn split_reference(option: &str) -> Option<(&str, &str)> {
    let (place, name) = option.split_once('/')?;
    // A regular expression's `$` also matches before a newline at the end of the text.
    let name = name.strip_suffix('\n').unwrap_or(name);
    let fits = !place.is_empty()
        && place.chars().all(|c| is_word(c) || c == '-')
        && !name.is_empty()
        && !name.contains(super::value::is_space)
        && !name.contains('>');
    fits.then_some((place, name))
}

/// What a reference may refer to while one option is expanded.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    config: &'a Config,
    own: Option<&'a Options>,
    given: &'a Given,
    section: &'a str,
    option: &'a str,
}

/// References with a slash that were met on the way to the current value, with what they stand for.
type Met<'a> = Vec<(String, Cow<'a, Value>)>;

impl<'a> Scope<'a> {
    /// The expanded value of an option, which is in lower case.
    pub fn get(&self, option: &str) -> Result<Value, NoValue> {
        let value = self.lookup(option, &[]).ok_or(NoValue::Option)?;
        let Value::Str(text) = value.as_ref() else {
            return Ok(value.into_owned());
        };
        if memchr::memchr(b'%', text.as_bytes()).is_none() {
            return Ok(value.into_owned());
        }
        let mut out = String::with_capacity(text.len() * 2);
        let scope = Scope { option, ..*self };
        scope.expand(text, &mut Vec::new(), 1, &mut out).map_err(NoValue::Broken)?;
        Ok(Value::text(out))
    }

    fn lookup(&self, name: &str, met: &[(String, Cow<'a, Value>)]) -> Option<Cow<'a, Value>> {
        if let Some((_, value)) = met.iter().rev().find(|(known, _)| known == name) {
            return Some(value.clone());
        }
        if let Some(value) = self.given.get(name) {
            // Python turns whatever is given from outside into text, but for None.
            return Some(match value {
                Value::Str(_) | Value::None => Cow::Borrowed(value),
                other => Cow::Owned(Value::text(other.to_text().as_ref())),
            });
        }
        self.own
            .and_then(|own| own.get(name))
            .or_else(|| self.config.defaults.get(name))
            .map(|entry| Cow::Borrowed(&entry.value))
    }

    /// Expands `text` to the end of `out`. `met` comes back as it was.
    fn expand(&self, text: &str, met: &mut Met<'a>, depth: usize, out: &mut String) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(self.error(format!("references are nested more than {MAX_DEPTH} deep, perhaps in a circle")));
        }
        let before = met.len();
        self.meet_references(text, met);
        let mut rest = text;
        while let Some(at) = memchr::memchr(b'%', rest.as_bytes()) {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(behind) = rest.strip_prefix("%%") {
                out.push('%');
                rest = behind;
                continue;
            }
            let (name, behind) = reference(rest).ok_or_else(|| {
                let shown: String = rest.chars().take(20).collect();
                self.error(format!(
                    "a '%' that is neither '%%' nor '%(name)s', at \"{shown}\"; write '%%' for a percent sign"
                ))
            })?;
            rest = behind;
            self.append(&lower(name), met, depth, out)?;
        }
        out.push_str(rest);
        met.truncate(before);
        Ok(())
    }

    /// Appends what one reference stands for.
    fn append(&self, name: &str, met: &mut Met<'a>, depth: usize, out: &mut String) -> Result<(), Error> {
        if name == "__name__" {
            out.push_str(self.section);
            return Ok(());
        }
        let value = self
            .lookup(name, met)
            .ok_or_else(|| self.error(format!("%({name})s refers to an option that is not there")))?;
        if out.len() > MAX_EXPANDED {
            return Err(self.error(format!("the value grows beyond {MAX_EXPANDED} bytes")));
        }
        match value.as_ref() {
            Value::Str(text) if text.contains('%') => self.expand(text, met, depth + 1, out),
            Value::Str(text) => {
                out.push_str(text);
                Ok(())
            }
            _ => Err(self.error(format!("%({name})s refers to a number of the filter; fail2ban accepts texts only"))),
        }
    }

    /// Looks up the references with a slash in `text`. Their section and option are case-sensitive here but looked up
    /// in lower case afterwards, so one with a capital letter is never found; fail2ban has it so.
    fn meet_references(&self, text: &str, met: &mut Met<'a>) {
        if memchr::memchr(b'/', text.as_bytes()).is_none() {
            return;
        }
        let mut rest = text;
        while let Some(at) = rest.find("%(") {
            rest = &rest[at + 2..];
            let length = rest.find(|c: char| !is_word(c) && c != '-').unwrap_or(rest.len());
            let Some(name) = rest[length..].strip_prefix('/').filter(|_| length > 0) else {
                continue;
            };
            let Some(close) = name.find(')').filter(|&close| close > 0) else {
                continue;
            };
            if !name[close + 1..].starts_with('s') {
                continue;
            }
            let (place, option) = (&rest[..length], &name[..close]);
            let whole = &rest[..length + 1 + close];
            rest = &name[close + 2..];
            if self.lookup(whole, met).is_some() {
                continue;
            }
            if let Some(value) = self.referenced(place, option) {
                met.push((whole.to_owned(), Cow::Borrowed(value)));
            }
        }
    }

    /// What `%(place/option)s` stands for.
    fn referenced(&self, place: &str, option: &str) -> Option<&'a Value> {
        let section = match place.to_lowercase().as_str() {
            "default" => None,
            "known" => self.config.section(&format!("KNOWN/{}", self.section)),
            _ => Some(self.config.section(place)?),
        };
        section
            .and_then(|options| options.get(option))
            .or_else(|| self.config.defaults.get(option))
            .map(|entry| &entry.value)
    }

    fn error(&self, message: String) -> Error {
        let entry = self.config.entry(self.section, self.option);
        let origin = entry.and_then(|entry| entry.origin.as_ref());
        Error::Interpolation {
            place: origin.map_or_else(String::new, |at| format!("{}:{}", at.file, at.line)),
            section: self.section.to_owned(),
            option: self.option.to_owned(),
            message,
        }
    }
}

/// Splits `%(name)s…` into the name and what follows.
fn reference(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix("%(")?;
    let close = rest.find(')').filter(|&close| close > 0)?;
    Some((&rest[..close], rest[close + 1..].strip_prefix('s')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(sections: &[(&str, &[(&str, &str)])]) -> Config {
        let mut config = Config::default();
        for (name, options) in sections {
            let mut list = Options::new();
            for (key, value) in *options {
                let value = Value::from(*value);
                list.insert(*key, Entry { value, origin: None });
            }
            match *name {
                "DEFAULT" => config.defaults = list,
                name => config.sections.insert(name, list),
            }
        }
        config
    }

    fn get(config: &Config, section: &str, option: &str) -> Result<String, NoValue> {
        let value = config.get(section, option, &Given::new())?;
        Ok(value.to_text().into_owned())
    }

    #[test]
    fn references_reach_own_default_other_and_known_values() {
        let config = config(&[
            ("DEFAULT", &[("d", "D"), ("x", "default x")]),
            ("KNOWN/a", &[("x", "known x %(d)s")]),
            (
                "a",
                &[
                    ("x", "own x"),
                    ("plain", "%(X)s|%(d)s|%(__name__)s|100%%"),
                    ("known", "%(known/x)s"),
                    ("known-default", "%(known/d)s"),
                    ("default", "%(default/x)s"),
                    ("other", "%(b/y)s"),
                    ("other-default", "%(b/d)s"),
                    ("capital", "%(B/y)s"),
                    ("missing", "%(nosuch)s"),
                ],
            ),
            ("b", &[("y", "b's y %(x)s")]),
            ("B", &[("y", "capital")]),
        ]);
        let value = |option| get(&config, "a", option).expect("a value");
        assert_eq!(value("plain"), "own x|D|a|100%");
        assert_eq!(value("known"), "known x D");
        assert_eq!(value("known-default"), "D");
        assert_eq!(value("default"), "default x");
        assert_eq!(value("other"), "b's y own x");
        assert_eq!(value("other-default"), "D");
        assert!(matches!(get(&config, "a", "capital"), Err(NoValue::Broken(_))));
        assert!(matches!(get(&config, "a", "missing"), Err(NoValue::Broken(_))));
        assert!(matches!(get(&config, "a", "none"), Err(NoValue::Option)));
        assert!(matches!(get(&config, "none", "x"), Err(NoValue::Section)));
    }

    #[test]
    fn a_lone_percent_a_circle_and_growth_are_errors() {
        let long = "x".repeat(1000);
        let mut options = vec![
            ("lone".to_owned(), "50%".to_owned()),
            ("self".to_owned(), "%(self)s".to_owned()),
            ("e0".to_owned(), long),
        ];
        for level in 1..9 {
            let below = format!("%(e{})s", level - 1);
            options.push((format!("e{level}"), below.repeat(10)));
        }
        let options: Vec<(&str, &str)> = options.iter().map(|(k, v)| (&**k, &**v)).collect();
        let config = config(&[("a", &options)]);
        for option in ["lone", "self", "e8"] {
            assert!(matches!(get(&config, "a", option), Err(NoValue::Broken(_))), "{option}");
        }
        assert_eq!(get(&config, "a", "e2").expect("a value").len(), 100_000);
    }
}

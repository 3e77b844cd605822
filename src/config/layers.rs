//! The layers of settings: a file, the environment, arguments; the later the stronger.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Config, SETTINGS};

impl Config {
    /// Joins the layers, the later the stronger. `options` are pairs of an option's name and its value, as given.
    pub fn load(
        defaults: Self,
        file: Option<&Path>,
        environment: &BTreeMap<String, String>,
        options: &[(String, String)],
    ) -> Result<Self, String> {
        let mut config = defaults;
        if let Some(file) = file {
            let text =
                std::fs::read_to_string(file).map_err(|error| format!("--config {}: {error}", file.display()))?;
            config.apply_file(&text).map_err(|problem| format!("{}: {problem}", file.display()))?;
        }
        for setting in SETTINGS {
            if let Some(text) = environment.get(setting.variable).filter(|text| !text.is_empty()) {
                setting.give(&mut config, text.trim()).map_err(|problem| format!("{}: {problem}", setting.variable))?;
            }
        }
        for (name, text) in join_repeated(options) {
            let setting = SETTINGS
                .iter()
                .find(|setting| setting.option == Some(name.as_str()))
                .ok_or_else(|| format!("unknown option --{name}; see --help"))?;
            setting.give(&mut config, text.trim()).map_err(|problem| format!("--{name}: {problem}"))?;
        }
        Ok(config)
    }

    /// `key = value` lines; `#` starts a comment line; quotes around a value are dropped; a key that repeats adds to a list.
    pub(super) fn apply_file(&mut self, text: &str) -> Result<(), String> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, value) =
                line.split_once('=').ok_or_else(|| format!("line {}: expected key = value", index + 1))?;
            let value = value.trim();
            let value = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
            pairs.push((key.trim().to_owned(), value.to_owned()));
        }
        for (key, value) in join_repeated(&pairs) {
            let setting =
                SETTINGS.iter().find(|setting| setting.key() == key).ok_or_else(|| format!("unknown key {key:?}"))?;
            setting.give(self, &value).map_err(|problem| format!("{key}: {problem}"))?;
        }
        Ok(())
    }
}

/// Values of a name given several times, joined by commas, in the order of first use.
fn join_repeated(pairs: &[(String, String)]) -> Vec<(String, String)> {
    let mut joined: Vec<(String, String)> = Vec::new();
    for (name, value) in pairs {
        match joined.iter_mut().find(|(known, _)| known == name) {
            Some((_, all)) => {
                all.push(',');
                all.push_str(value);
            }
            None => joined.push((name.clone(), value.clone())),
        }
    }
    joined
}

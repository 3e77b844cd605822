//! The settings that a person may change while the server runs. What was given at the start (argument, environment, file) is stronger, and
//! cannot be changed here.

use serde_json::{Value, json};

use super::state::Ctx;
use crate::config::{self, Config};
use crate::store;

/// One of them.
pub struct Changeable {
    /// Its name in the API.
    pub name: &'static str,
    /// The environment variable of the same setting; its key is also the one in our database.
    pub variable: &'static str,
    /// What it is until somebody says otherwise, as a text.
    default: &'static str,
    /// How it is now.
    shown: fn(&Config) -> Value,
}

/// All of them.
pub const CHANGEABLE: [Changeable; 4] = [
    Changeable {
        name: "timezone",
        variable: "BANGUI_TIMEZONE",
        default: "UTC",
        shown: |config| json!(config.timezone.as_deref().unwrap_or("UTC")),
    },
    Changeable {
        name: "archive_days",
        variable: "BANGUI_ARCHIVE_DAYS",
        default: "365",
        shown: |config| json!(config.archive.days),
    },
    Changeable {
        name: "metrics_networks",
        variable: "BANGUI_METRICS_NETWORKS",
        default: "",
        shown: |config| config.metrics_networks.iter().map(ToString::to_string).collect(),
    },
    Changeable {
        name: "digest_hour",
        variable: "BANGUI_DIGEST_HOUR",
        default: "7",
        shown: |config| json!(config.digest_hour),
    },
];

impl Changeable {
    /// Its key in our database and in a file of settings.
    pub fn key(&self) -> String {
        config::key_of(self.variable)
    }

    /// Whether it was given at the start.
    pub fn is_fixed(&self, config: &Config) -> bool {
        config.given.contains(&self.variable)
    }

    /// How it is now.
    pub fn shown(&self, config: &Config) -> Value {
        (self.shown)(config)
    }

    /// Sets it; without a text to what it is by itself. Says what is wrong with the text.
    pub fn set(&self, config: &mut Config, text: Option<&str>) -> Result<(), String> {
        config::set(config, self.variable, text.unwrap_or(self.default))
    }
}

impl Ctx {
    /// Takes over what is stored of them. A text that is not understood any more leaves the setting as it is by itself.
    pub fn take_stored_settings(&mut self) -> Result<(), store::Error> {
        for setting in &CHANGEABLE {
            if setting.is_fixed(&self.config) {
                continue;
            }
            let stored = self.store.setting(&setting.key())?;
            if let Err(problem) = setting.set(&mut self.config, stored.as_deref()) {
                log::warn!("the stored setting {}: {problem}", setting.name);
            }
        }
        Ok(())
    }
}

//! What fail2ban's files say of the jails.

use std::collections::BTreeMap;
use std::path::Path;

use crate::apply::filter_of;
use crate::conf::{JailView, StreamOptions, Tree, Value, Version};
use crate::pattern::FilterDefinition;
use crate::protection::facts::{Enabled, JailFacts};

/// What was read.
pub struct Configured {
    /// The jails that are enabled.
    pub enabled: Vec<Enabled>,
    /// The filters of those that run.
    pub filters: BTreeMap<String, FilterDefinition>,
    /// fail2ban is told not to look at IPv6.
    pub ipv6_is_off: bool,
}

/// Reads the files; `None` where they cannot be read here.
pub fn read(config_dir: &Path, version: &str, running: &[JailFacts]) -> Option<Configured> {
    let version = Version::new(version);
    let tree = Tree::load(config_dir).ok()?.read_as(version.clone());
    let options = StreamOptions { version: version.clone(), ..StreamOptions::default() };
    let ipv6 = tree.server_option("allowipv6").unwrap_or_default().to_lowercase();
    let ipv6_is_off = version.has_allowipv6() && ["no", "false", "off", "0"].contains(&ipv6.as_str());
    let mut found = Configured { enabled: Vec::new(), filters: BTreeMap::new(), ipv6_is_off };
    for used in tree.uses(&version) {
        let name = used.jail.to_string();
        let runs = running.iter().any(|jail| jail.name == name);
        if !used.enabled && !runs {
            continue;
        }
        let view = tree.jail(&name, &options).ok();
        if used.enabled {
            let problem = view.as_ref().and_then(|view| view.problem.clone());
            found.enabled.push(Enabled { name: name.clone(), problem, actions: actions(view.as_ref()) });
        }
        if let Some(view) = view.filter(|view| runs && view.problem.is_none()) {
            found.filters.insert(name, filter_of(&view, &version));
        }
    }
    Some(found)
}

/// The actions that the daemon is told to load, by the names that they get.
fn actions(view: Option<&JailView>) -> Vec<String> {
    let commands = view.into_iter().flat_map(|view| view.commands.iter());
    let added = commands.filter(|command| command.get(2).and_then(Value::as_str) == Some("addaction"));
    added.filter_map(|command| Some(command.get(3)?.as_str()?.to_owned())).collect()
}

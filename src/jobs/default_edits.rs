//! `[DEFAULT]`: what every jail has that does not say otherwise, shown with what each jail says otherwise, and changed in a file of our own.
//!
//! Its values are those of a jail that says nothing, so that they are read, checked and written as those of a jail are.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::changes::undo::loaded;
use super::expressions;
use super::failure::Failure;
use super::jail_config::{JailConfigs, below};
use super::jail_edits::{Edited, changed, is_own};
use super::jail_rules::{Limits, Rules};
use super::own_file::{self, parsed};
use crate::apply::effect::compare;
use crate::apply::effective::Effective;
use crate::apply::values::edited;
use crate::apply::{Apply, FileChange, Scope};
use crate::conf::{self, JailView, LocalFile, Overlay, Tree};
use crate::domain::as_read::{AsRead, FieldError};
use crate::domain::jail_values::{JailValues, OPTIONS};

/// The jail that says nothing; it exists while it is looked at only.
const PROBE: &str = "bangui-default";
/// What belongs to one jail or its filter, and has no place in `[DEFAULT]`.
const OF_A_JAIL: [&str; 6] = ["filter", "fail_regex", "ignore_regex", "log_paths", "prefregex", "journalmatch"];
/// What is shown of a jail and not of `[DEFAULT]`.
const NOT_SHOWN: [&str; 5] = ["name", "active", "source_file", "has_local_override", "pending_changes"];

/// The files with a jail in them that says nothing.
fn probed(configs: &JailConfigs, mut overlay: Overlay) -> Result<(Tree, JailView), conf::Error> {
    let base = Tree::load(&configs.config_dir)?.base();
    let section = format!("[{PROBE}]\nfilter =\nlogpath =\nfailregex =\n");
    overlay.insert(format!("{base}/jail.d/zzzz-{PROBE}.local"), Some(section.into_bytes()));
    let tree = Tree::load_with(&configs.config_dir, overlay)?;
    let view = tree.jail(PROBE, &configs.options())?;
    Ok((tree, view))
}

/// The values of `[DEFAULT]` as the API shows them.
fn shown(configs: &JailConfigs, tree: &Tree, view: &JailView) -> Value {
    let mut values = configs.describe(tree, view);
    if let Some(fields) = values.as_object_mut() {
        fields.retain(|field, _| !OF_A_JAIL.contains(&&**field) && !NOT_SHOWN.contains(&&**field));
    }
    values
}

/// What the jails say otherwise: jail, field, value and file.
fn overrides(configs: &JailConfigs, tree: &Tree) -> Result<Vec<Value>, conf::Error> {
    let mut found = Vec::new();
    for view in tree.all_jails(&configs.options())?.iter().filter(|view| &*view.name != PROBE) {
        let values = serde_json::to_value(Effective { view }.values()).unwrap_or_default();
        for (field, key) in OPTIONS.iter().filter(|(field, _)| !OF_A_JAIL.contains(field)) {
            let Some(option) = view.options.iter().find(|option| *option.key == **key && !option.inherited) else {
                continue;
            };
            let value = match field.split_once('.') {
                Some((object, part)) => &values[object][part],
                None => &values[field],
            };
            let file = option.origin.as_ref().map(|origin| below(&tree.base(), &origin.file));
            found.push(json!({ "jail": &*view.name, "field": field, "value": value, "file": file }));
        }
    }
    Ok(found)
}

/// `[DEFAULT]` with what the jails say otherwise, as the API shows it.
fn describe(configs: &JailConfigs) -> Result<Value, Failure> {
    let (tree, view) = probed(configs, Overlay::new())?;
    Ok(json!({ "default": shown(configs, &tree, &view), "overrides": overrides(configs, &tree)? }))
}

/// Show `[DEFAULT]`.
#[derive(Debug, Serialize, Deserialize)]
pub struct ShowDefault {
    /// What describes a jail.
    pub configs: JailConfigs,
}

impl ShowDefault {
    /// The body of the answer.
    pub fn run(self) -> Result<Value, Failure> {
        describe(&self.configs)
    }
}

/// Change `[DEFAULT]`, at once and for good.
#[derive(Debug, Serialize, Deserialize)]
pub struct EditDefault {
    /// The values.
    pub values: JailValues,
    /// What else was sent of what a GET shows.
    pub read: AsRead,
    /// Whether it is written although expressions can stop fail2ban, or a jail can ban nobody then.
    pub force: bool,
    /// What the owner allows.
    pub limits: Limits,
    /// What describes a jail.
    pub configs: JailConfigs,
    /// The apply; its files and jails are filled in here.
    pub apply: Apply,
}

impl EditDefault {
    /// What was done, as [`Edited`].
    pub fn run(mut self) -> Result<Value, Failure> {
        let (values, read, force) = (std::mem::take(&mut self.values), std::mem::take(&mut self.read), self.force);
        Ok(json!(self.edit(values, &read, force)?))
    }

    /// Changes `[DEFAULT]`, and loads the jails that it changes.
    fn edit(mut self, values: JailValues, read: &AsRead, force: bool) -> Result<Edited, Failure> {
        let foreign: Vec<FieldError> =
            values.fields().into_iter().filter(|field| OF_A_JAIL.contains(&&**field)).map(foreign).collect();
        if !foreign.is_empty() {
            return Err(Failure::WrongFields(foreign));
        }
        let configs = self.configs.clone();
        let (tree, view) = probed(&configs, Overlay::new())?;
        let present = Effective { view: &view }.values();
        let now = shown(&configs, &tree, &view);
        let wrong = read.wrong(&now, |_| true);
        if !wrong.is_empty() {
            return Err(Failure::WrongFields(wrong));
        }
        let file = LocalFile::defaults();
        let before = own_file::read(&self.apply.place.config_dir, &file)?;
        let own = parsed(before.as_deref(), &file)?;
        let mut news = changed(&values, &now);
        news.reset.retain(|field| is_own(&own, DEFAULT, field));
        let news = Rules { limits: &self.limits, tree: &tree, present: &present }.checked(news)?;
        let costs = expressions::judge_jail(&news, &present, &tree, force)?;
        if news.is_empty() {
            return Ok(Edited { jail: describe(&configs)?, ..Edited::default() });
        }
        let after = edited(DEFAULT, &own, &news)?;
        self.apply.changes = vec![FileChange::new(&file, before, Some(after.text))];
        let jails = self.reached_by(&configs, &news)?;
        self.apply.scope = Scope::Jails(jails);
        self.apply.asks = !force;
        let applied = self.apply.run(super::apply::TURN)?;
        Ok(Edited { jail: describe(&configs)?, applied: Some(applied), costs, ..Edited::default() })
    }

    /// The jails that the change reaches. An error where another file says otherwise, so that it would reach none.
    fn reached_by(&self, configs: &JailConfigs, news: &JailValues) -> Result<Vec<String>, Failure> {
        let overlay: Overlay = self.apply.overlay();
        let options = configs.options();
        let (_, view) = probed(configs, overlay.clone())?;
        let wanted = news.fields().into_iter().filter(|field| !news.reset.contains(field));
        for field in wanted {
            let Some((_, key)) = OPTIONS.iter().find(|(own, _)| *own == field) else { continue };
            let origin = view.option(key).and_then(|option| option.origin.as_ref());
            if let Some(origin) = origin.filter(|origin| !origin.file.ends_with(&*LocalFile::defaults().name)) {
                let file = below(&Tree::load(&configs.config_dir)?.base(), &origin.file);
                let line = origin.line;
                return Err(Failure::Conflict(format!(
                    "{field} would have no effect: {file}:{line} says otherwise and is read later; change it there."
                )));
            }
        }
        let before = Tree::load(&configs.config_dir)?;
        let after = Tree::load_with(&configs.config_dir, overlay).map_err(Failure::of_change)?;
        let affected = compare(&before, &after, &options).affected;
        loaded(&self.apply, &before, &after, affected, &options)
    }
}

/// The section.
const DEFAULT: &str = "DEFAULT";

fn foreign(field: String) -> FieldError {
    let detail = format!(
        "{field} belongs to a jail and has no place in [DEFAULT]; set it with PUT /api/v1/config/jails/{{name}}."
    );
    FieldError { source_field: field, rule: "unknown".into(), detail }
}

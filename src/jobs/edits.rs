//! A change to a filter or an action, in a child: the new text of its `.local` file is computed, tried in the place
//! where it is going to be, and handed to the safe apply.
//!
//! Shipped files are never touched. What the daemon makes of the change is the business of `apply`.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::bans::answering;
use super::definitions::{self, Kind, check_filter, one, tree_of, unsafe_tags, written};
use super::expressions::stands_in_a_filter;
use super::failure::Failure;
use super::refusal::Refusal;
use super::service::CHANGES;
use crate::apply::{Apply, FileChange, Scope};
use crate::conf::{self, Document, Folder, LocalFile, NewValue, Overlay, Tree};
use crate::domain::as_read::AsRead;
use crate::fail2ban;

/// Change a filter or an action.
#[derive(Debug, Serialize, Deserialize)]
pub struct EditDefinition {
    /// Which kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// What is to be done.
    pub edit: Edit,
    /// Whether expressions that can stop fail2ban are written all the same.
    #[serde(default)]
    pub force: bool,
    /// The apply; its files and jails are filled in here.
    pub apply: Apply,
}

/// What is to be done.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub enum Edit {
    /// Make a new one.
    Create(Vec<Setting>),
    /// Set and remove options.
    Update(Vec<Setting>, Sent),
    /// Remove the `.local` file.
    Delete,
}

/// What else was sent of what a GET shows.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sent {
    /// The fields that are compared with what there is.
    pub read: AsRead,
    /// Whether the daemon answers, as the one who reads is told it.
    pub is_online: bool,
}

/// An option to be set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// The section; `None` for where the option stands now, else `[Definition]`.
    pub section: Option<String>,
    /// Its key.
    pub key: String,
    /// Its value in the configuration language; `None` to remove it from the `.local` file.
    pub value: Option<String>,
}

/// A change that makes sense as far as its own file goes.
#[derive(Debug)]
struct Plan {
    /// `None` where what was read has come back.
    change: Option<FileChange>,
    /// The enabled jails whose filter or actions are made of the file, whether they run or not.
    jails: Vec<String>,
    /// The body of the answer; null after a removal.
    body: Value,
}

impl Setting {
    /// Whether it is what the API shows of the filter or action.
    fn is_shown(&self, shown: &Value) -> bool {
        let Some(section) = &self.section else { return as_option(&shown[&self.key]) == self.value };
        let (section, condition) = section.split_once('?').unwrap_or((section, ""));
        let field = if section == "Init" { "init_vars" } else { "definition_vars" };
        let name = if condition.is_empty() { self.key.clone() } else { format!("{}?{condition}", self.key) };
        self.value.is_some() && as_option(&shown[field][name]) == self.value
    }
}

/// A field as the option it is written to.
fn as_option(field: &Value) -> Option<String> {
    match field {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(lines) => Some(lines.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")),
        other => Some(other.to_string()),
    }
}

impl EditDefinition {
    /// The filter or action as it is now under `definition`, and under `applied` what the apply says, where there was one.
    pub fn run(mut self) -> Result<Value, Failure> {
        let plan = self.plan()?;
        let Some(change) = plan.change else { return Ok(json!({ "definition": plan.body })) };
        let jails = self.running(plan.jails)?;
        self.apply.asks = !self.force;
        self.apply.changes = vec![change];
        self.apply.scope = Scope::Jails(jails);
        let applied = self.apply.run(super::apply::TURN)?;
        Ok(json!({ "definition": plan.body, "applied": applied }))
    }

    /// Those of the jails that run: one that was stopped by hand stays stopped. All of them without a daemon.
    fn running(&self, mut jails: Vec<String>) -> Result<Vec<String>, Failure> {
        if jails.is_empty() || self.apply.daemon_hangs {
            return Ok(jails);
        }
        let names = answering(&self.apply.place.socket, CHANGES).and_then(|mut daemon| daemon.jail_names());
        match names {
            Ok(names) => jails.retain(|jail| names.iter().any(|name| name.as_str() == jail)),
            // Without one that answers, nothing is loaded, and the apply says so.
            Err(fail2ban::Error::Unreachable { .. } | fail2ban::Error::Busy { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(jails)
    }

    fn plan(&self) -> Result<Plan, Failure> {
        let directory = &self.apply.place.config_dir;
        let tree = tree_of(&self.apply.place)?;
        let known = match self.kind {
            Kind::Filter => tree.filters(),
            Kind::Action => tree.actions(),
        };
        let is_known = known.contains(&self.name);
        let file = match self.kind {
            Kind::Filter => LocalFile::filter(&self.name),
            Kind::Action => LocalFile::action(&self.name),
        }?;
        let path = file.path(&tree.base());
        let saved = Folder::open(directory, file.folder).and_then(|folder| folder.read(&file.name))?;
        let text = |bytes: Vec<u8>| {
            String::from_utf8(bytes)
                .map_err(|_| Refusal::Configuration(format!("{path} is not UTF-8; convert it first")))
        };
        let before = saved.map(|saved| text(saved.bytes)).transpose()?;
        match (&self.edit, is_known) {
            (Edit::Create(_), true) => return Err(Refusal::Exists(self.name.clone()).into()),
            (Edit::Update(..) | Edit::Delete, false) => return Err(self.kind.missing(&self.name).into()),
            _ => {}
        }
        let settings = match &self.edit {
            Edit::Create(settings) => settings.clone(),
            Edit::Update(settings, sent) => {
                let shown = one(&tree, self.kind, &self.name)?;
                let news = self.changed(&shown, settings, sent)?;
                if news.is_empty() {
                    let body = definitions::with_warnings(&tree, self.kind, &self.name, shown);
                    return Ok(Plan { change: None, jails: Vec::new(), body });
                }
                news
            }
            Edit::Delete => {
                if before.is_none() {
                    return Err(Refusal::Shipped(self.name.clone()).into());
                }
                let jails = made_of(&tree, self.kind, &path);
                if !jails.is_empty() {
                    return Err(Refusal::Used(self.name.clone(), jails).into());
                }
                return Ok(Plan { change: Some(FileChange::new(&file, before, None)), jails, body: Value::Null });
            }
        };
        let after = self.edited(&tree, is_known, before.as_deref().unwrap_or_default(), &settings)?;
        if is_known && after == before.as_deref().unwrap_or_default() {
            let body = definitions::with_warnings(&tree, self.kind, &self.name, one(&tree, self.kind, &self.name)?);
            return Ok(Plan { change: None, jails: Vec::new(), body });
        }
        let overlay = Overlay::from([(path.clone(), Some(after.clone().into_bytes()))]);
        let changed = Tree::load_with(directory, overlay).map_err(Failure::of_change)?.read_as(tree.version().clone());
        let mut body = one(&changed, self.kind, &self.name)?;
        body["warnings"] = json!(self.check(&tree, &changed, &settings)?);
        // The file is about to be there.
        body["has_local_override"] = true.into();
        let jails = made_of(&changed, self.kind, &path);
        Ok(Plan { change: Some(FileChange::new(&file, before, Some(after))), jails, body })
    }

    /// Those of the settings that are not what is there already. What was read can be sent back whole, and changes nothing.
    fn changed(&self, shown: &Value, settings: &[Setting], sent: &Sent) -> Result<Vec<Setting>, Failure> {
        let mut shown = shown.clone();
        shown["active"] = definitions::is_active(&shown, sent.is_online).into();
        let is_unchanged = |field: &str| {
            settings.iter().filter(|setting| setting.key == field).all(|setting| setting.is_shown(&shown))
        };
        let wrong = sent.read.wrong(&shown, is_unchanged);
        if !wrong.is_empty() {
            return Err(Failure::WrongFields(wrong));
        }
        // Alone, null is a wish: whatever our file says of it goes.
        let is_wish = |setting: &&Setting| setting.value.is_none() && !sent.read.is_whole;
        Ok(settings.iter().filter(|setting| is_wish(setting) || !setting.is_shown(&shown)).cloned().collect())
    }

    /// The new text of the `.local` file.
    fn edited(&self, tree: &Tree, is_known: bool, before: &str, settings: &[Setting]) -> Result<String, Failure> {
        let fault = |fault: conf::Fault| {
            Refusal::Configuration(format!("{}.local:{}: {}", self.name, fault.line, fault.message))
        };
        let mut document = Document::parse(before).map_err(fault)?;
        // One that is broken now can be mended: then there is no view, and options go to where they usually stand.
        let view = if is_known { self.kind.view(tree, &self.name).ok() } else { None };
        for setting in settings {
            let stands_in_init =
                || view.as_ref().is_some_and(|view| view.init.iter().any(|option| *option.key == *setting.key));
            let section = match &setting.section {
                Some(section) => section,
                None if stands_in_init() => "Init",
                None => "Definition",
            };
            document = match &setting.value {
                Some(value) => document.set(section, &setting.key, &NewValue::Raw(value.clone())),
                None => document.remove(section, &setting.key),
            }
            .map_err(|error| Refusal::Configuration(error.to_string()))?;
        }
        Ok(document.text)
    }

    /// Whether it makes sense where it is going to be; gives what to warn of.
    fn check(&self, tree: &Tree, changed: &Tree, settings: &[Setting]) -> Result<Vec<String>, Failure> {
        let view = self.kind.view(changed, &self.name).map_err(Failure::of_change)?;
        if let Some(problem) = &view.problem {
            return Err(Refusal::Configuration(problem.clone()).into());
        }
        for setting in settings.iter().filter(|setting| setting.section.is_none()) {
            let Some(wanted) = &setting.value else { continue };
            let found = written(&view, &setting.key);
            if found.is_none_or(|option| option.raw.trim() != wanted.trim()) {
                let place = found
                    .and_then(|option| option.origin.as_ref())
                    .map(|origin| format!("{}:{}", origin.file, origin.line));
                let place = place.unwrap_or_else(|| "another file".to_owned());
                return Err(Refusal::Configuration(format!(
                    "{} would have no effect: {place} overrides it.",
                    setting.key
                ))
                .into());
            }
        }
        match self.kind {
            Kind::Filter => Ok(check_filter(&view, &|text| self.force || stands_in_a_filter(tree, text))?),
            Kind::Action => {
                let effective = view.effective.iter();
                Ok(effective.flat_map(|(key, value)| unsafe_tags(key, &value.to_text())).collect())
            }
        }
    }
}

/// The enabled jails whose filter or actions are made of a file, directly or by inclusion.
fn made_of(tree: &Tree, kind: Kind, path: &str) -> Vec<String> {
    let uses = tree.uses(tree.version());
    let holds = |name: &str| kind.view(tree, name).is_ok_and(|view| view.files.iter().any(|file| **file == *path));
    let enabled = uses.iter().filter(|used| used.enabled);
    let found = enabled.filter(|used| match kind {
        Kind::Filter => used.filter.as_deref().is_some_and(holds),
        Kind::Action => used.actions.iter().any(|action| holds(action)),
    });
    found.map(|used| used.jail.to_string()).collect()
}

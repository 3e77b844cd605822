//! Sees to it that a change leaves no jail deaf: one that runs and reads nothing of what it is meant to read. The daemon takes such a jail
//! without a word.
//!
//! A jail that was deaf before is somebody's own decision and is left alone.

use super::check::{self, Problem};
use super::error::ApplyError;
use super::plan::{Apply, FileChange, Scope};
use crate::conf::{Document, LocalFile, NewValue, Overlay, StreamOptions, Tree};

impl Apply {
    /// The same change, where a jail is given log files and no backend while the files have it read the journal: then its own file says
    /// `backend = auto` too, since whoever names log files wants them to be read. Both together are a contradiction and an error.
    pub(super) fn with_hearing(&self, options: &StreamOptions) -> Result<Apply, ApplyError> {
        let mut change = self.clone();
        let Scope::Jails(jails) = &self.scope else { return Ok(change) };
        for jail in jails {
            let Ok(file) = LocalFile::jail(jail) else { continue };
            for own in change.changes.iter_mut().filter(|own| own.folder == file.folder && own.name == file.name) {
                if let Some(document) = self.hearing(own, jail, options)? {
                    own.after = Some(document.text);
                }
            }
        }
        Ok(change)
    }

    /// The file of a jail that has to name a backend.
    fn hearing(&self, own: &FileChange, jail: &str, options: &StreamOptions) -> Result<Option<Document>, ApplyError> {
        // What cannot be read is told by the check.
        let parsed = |text: &Option<String>| Document::parse(text.clone().unwrap_or_default()).ok();
        let (Some(before), Some(after)) = (parsed(&own.before), parsed(&own.after)) else { return Ok(None) };
        let value = |document: &Document, key: &str| document.setting(jail, key).map(|setting| setting.value.clone());
        let names_logs = value(&after, "logpath").is_some_and(|paths| !paths.trim().is_empty());
        let is_new = |key: &str| value(&after, key) != value(&before, key);
        let is_enabled = is_new("enabled") && value(&after, "enabled").is_some_and(|text| text.trim() == "true");
        let is_given = names_logs && (is_new("logpath") || is_new("backend"));
        if !is_given && !is_enabled {
            return Ok(None);
        }
        let Ok(tree) = Tree::load_with(&self.place.config_dir, self.overlay()) else { return Ok(None) };
        let Ok(view) = tree.jail(jail, options) else { return Ok(None) };
        if !check::reads_journal(&view) {
            return Ok(None);
        }
        // One that is enabled with the log files it has already is meant to read them, unless it says what to read of the journal.
        if !is_given && (value(&after, "backend").is_some() || check::deaf(&tree, options, jail).is_none()) {
            return Ok(None);
        }
        if value(&after, "backend").is_some() && is_new("backend") {
            let reason = "backend: systemd reads the journal and none of the log files that it is given; set backend to auto, or leave \
                          the log paths out";
            return Err(ApplyError::Invalid(Problem {
                jail: Some(jail.to_owned()),
                file: None,
                line: None,
                reason: reason.to_owned(),
            }));
        }
        Ok(Some(after.set(jail, "backend", &NewValue::Literal("auto".to_owned()))?))
    }

    /// A jail that the change makes deaf.
    pub(super) fn check_hearing(&self, overlay: Overlay, options: &StreamOptions) -> Result<(), ApplyError> {
        let tree = Tree::load_with(&self.place.config_dir, overlay)?;
        let names: Vec<String> = match &self.scope {
            Scope::All => tree.jails().iter().map(|jail| jail.to_string()).collect(),
            Scope::Jails(names) => names.clone(),
        };
        let deaf: Vec<_> = names.iter().filter_map(|jail| Some((jail, check::deaf(&tree, options, jail)?))).collect();
        if deaf.is_empty() {
            return Ok(());
        }
        let before = Tree::load(&self.place.config_dir)?;
        let new = deaf.into_iter().find(|(jail, _)| check::deaf(&before, options, jail).is_none());
        new.map_or(Ok(()), |(_, problem)| Err(ApplyError::Invalid(problem)))
    }
}

//! Takes a change back: what it has done to its files is undone, and what was edited since stays, option by option. Then it is a change
//! like any other.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::apply::diffs::{FileDiff, diffs};
use crate::apply::effect::{Effect, compare};
use crate::apply::never_ban::is_own;
use crate::apply::{Applied, Apply, FileChange, Scope};
use crate::conf::{Document, Folder, NewValue, Overlay, StreamOptions, Tree};
use crate::domain::jail_values::is_command;
use crate::domain::json as text;
use crate::domain::permission::Commands;
use crate::fail2ban;
use crate::files::Kind;
use crate::jobs::apply::TURN;
use crate::jobs::bans::answering;
use crate::jobs::definitions::tree_of;
use crate::jobs::failure::Failure;
use crate::jobs::service::CHANGES;

/// Take a change back.
#[derive(Debug, Serialize, Deserialize)]
pub struct Undo {
    /// Its files before and after, as JSON.
    pub files: String,
    /// Whether what becomes part of a command may be changed.
    pub commands: Commands,
    /// The apply; its files and jails are filled in here.
    pub apply: Apply,
}

/// What was taken back.
#[derive(Debug, Serialize, Deserialize)]
pub struct Undone {
    /// What the apply has done.
    pub applied: Applied,
    /// The diffs of its files.
    pub files: Vec<FileDiff>,
}

/// What is said where there is nothing but the file of who is never banned: it follows the list, and would be written again.
const OF_NEVER_BAN: &str = "This change only brought the never-ban list into fail2ban's files, which follow that list. Add or take away the \
                            entry itself: bangui never-ban, or /api/v1/never-ban.";

impl Undo {
    /// What was done, as [`Undone`].
    pub fn run(mut self) -> Result<Value, Failure> {
        let mut files: Vec<FileChange> =
            text::read(&self.files).map_err(|error| Failure::CommandFailed(error.to_string()))?;
        let count = files.len();
        files.retain(|file| !is_own(&file.folder, &file.name));
        if files.is_empty() && count > 0 {
            return Err(Failure::Conflict(OF_NEVER_BAN.to_owned()));
        }
        if let Some(file) = files.iter().find(|file| !is_ours(file)) {
            return Err(Failure::Conflict(format!(
                "{} is not a file that this program writes, so the change of it is not taken back here. GET the change for its diff, and \
                 edit the file by hand.",
                file.path()
            )));
        }
        let changes = self.changes(&files)?;
        let tree = tree_of(&self.apply.place)?;
        let base = tree.base();
        let overlay: Overlay = changes
            .iter()
            .map(|change| (format!("{base}/{}", change.path()), change.after.clone().map(String::into_bytes)))
            .collect();
        let after = Tree::load_with(&self.apply.place.config_dir, overlay)
            .map_err(Failure::of_change)?
            .read_as(tree.version().clone());
        let options = StreamOptions { version: tree.version().clone(), ..StreamOptions::default() };
        let done = compare(&tree, &after, &options);
        self.check_commands(&changes, &done.effect)?;
        self.apply.scope = match done.server {
            true => Scope::All,
            false => Scope::Jails(loaded(&self.apply, &tree, &after, done.affected, &options)?),
        };
        self.apply.changes = changes;
        let applied = self.apply.run(TURN)?;
        Ok(json!(Undone { files: diffs(&applied.changes), applied }))
    }

    /// The files as they are without the change.
    fn changes(&self, files: &[FileChange]) -> Result<Vec<FileChange>, Failure> {
        let mut changes = Vec::new();
        let mut moved = Vec::new();
        for file in files {
            let now = self.read(file)?;
            match taken_back(file, now.as_deref()) {
                Some(after) if after == now => {}
                Some(after) => changes.push(FileChange { before: now, after, ..file.clone() }),
                None => moved.push(FileDiff::new(&file.path(), file.after.as_deref(), now.as_deref())),
            }
        }
        if !moved.is_empty() {
            let paths: Vec<&str> = moved.iter().map(|file| file.path.as_str()).collect();
            let detail = format!(
                "Nothing was changed: what this change wrote into {} was edited since, in the same place. The diff shows what is there now; \
                 take the later change back first, or set the values by hand.",
                paths.join(" and ")
            );
            return Err(Failure::Moved { detail, files: moved });
        }
        if changes.is_empty() {
            let detail = "There is nothing to take back: the files are as they were before this change.".to_owned();
            return Err(Failure::Moved { detail, files: Vec::new() });
        }
        Ok(changes)
    }

    fn read(&self, file: &FileChange) -> Result<Option<String>, Failure> {
        if !self.apply.place.config_dir.join(&file.folder).exists() {
            return Ok(None);
        }
        let saved =
            Folder::open(&self.apply.place.config_dir, &file.folder)?.read(&file.name).map_err(|error| match error
                .trouble()
            {
                Some(trouble) if trouble.kind == Kind::NotAFile => Failure::OddFile(trouble),
                _ => error.into(),
            })?;
        let text = saved.map(|saved| String::from_utf8(saved.bytes)).transpose();
        text.map_err(|_| Failure::Conflict(format!("{} is not valid UTF-8; correct it first.", file.path())))
    }

    /// What becomes part of a command that root runs is changed by an undo only where it may be changed at all.
    fn check_commands(&self, changes: &[FileChange], effect: &[Effect]) -> Result<(), Failure> {
        if self.commands == Commands::Allowed {
            return Ok(());
        }
        let of_action = changes.iter().find(|change| change.folder == "action.d").map(FileChange::path);
        let named = effect.iter().find(|effect| is_command(&effect.field)).map(|effect| effect.field.clone());
        match of_action.or(named) {
            None => Ok(()),
            Some(what) => {
                let detail = format!("Taking this change back changes commands that fail2ban runs ({what}).");
                Err(Failure::commands(&detail, self.commands))
            }
        }
    }
}

/// Those of the jails that are to be loaded: one that was stopped by hand stays stopped, unless the change is what enabled it.
pub(in crate::jobs) fn loaded(
    apply: &Apply,
    before: &Tree,
    after: &Tree,
    affected: Vec<String>,
    options: &StreamOptions,
) -> Result<Vec<String>, Failure> {
    if affected.is_empty() || apply.daemon_hangs {
        return Ok(affected);
    }
    let names = answering(&apply.place.socket, CHANGES).and_then(|mut daemon| daemon.jail_names());
    let running = match names {
        Ok(names) => names,
        // Without one that answers, nothing is loaded, and the apply says so.
        Err(fail2ban::Error::Unreachable { .. } | fail2ban::Error::Busy { .. }) => return Ok(affected),
        Err(error) => return Err(error.into()),
    };
    let is_enabled = |tree: &Tree, jail: &str| tree.jail(jail, options).is_ok_and(|view| view.enabled);
    let is_loaded = |jail: &String| {
        running.iter().any(|name| name.as_str() == jail) || (is_enabled(after, jail) && !is_enabled(before, jail))
    };
    Ok(affected.into_iter().filter(is_loaded).collect())
}

/// Whether this program writes files of this name there.
fn is_ours(file: &FileChange) -> bool {
    match file.folder.as_str() {
        "filter.d" | "action.d" => file.name.ends_with(".local"),
        "jail.d" | "fail2ban.d" => file.name.starts_with("zz-bangui") && file.name.ends_with(".local"),
        _ => false,
    }
}

/// The text of a file without what a change has done to it; `None` where that was edited since. Options that the change has not touched
/// stay as they are now.
fn taken_back(file: &FileChange, now: Option<&str>) -> Option<Option<String>> {
    if now == file.after.as_deref() || now == file.before.as_deref() {
        return Some(file.before.clone());
    }
    let parsed = |text: Option<&str>| Document::parse(text.unwrap_or_default()).ok();
    let (before, after) = (parsed(file.before.as_deref())?, parsed(file.after.as_deref())?);
    let mut document = parsed(now)?;
    for (section, key) in places(&before, &after) {
        let value = |document: &Document| document.setting(&section, &key).map(|setting| setting.value.to_string());
        let (old, new, present) = (value(&before), value(&after), value(&document));
        if old == new || present == old {
            continue;
        }
        if present != new {
            return None;
        }
        document = match old {
            Some(text) => document.set(&section, &key, &NewValue::Raw(text)),
            None => document.remove(&section, &key),
        }
        .ok()?;
    }
    // A file that the change has made, and in which nothing else is said by now.
    let is_left_over = file.before.is_none() && document.settings.is_empty();
    Some((!is_left_over).then_some(document.text))
}

/// Section and key of every option that stands in one of the two.
fn places(before: &Document, after: &Document) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    for document in [before, after] {
        for setting in &document.settings {
            let place = (document.sections[setting.section].name.to_string(), setting.key.to_string());
            if !all.contains(&place) {
                all.push(place);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(before: Option<&str>, after: Option<&str>) -> FileChange {
        let own = |text: Option<&str>| text.map(str::to_owned);
        FileChange { folder: "jail.d".into(), name: "zz-bangui-x.local".into(), before: own(before), after: own(after) }
    }

    #[test]
    fn a_change_is_taken_back_and_later_edits_of_other_options_stay() {
        let change = file(Some("[x]\nmaxretry = 3\n"), Some("[x]\nmaxretry = 5\n"));
        let undone = |now: Option<&str>| taken_back(&change, now);
        assert_eq!(undone(Some("[x]\nmaxretry = 5\n")), Some(Some("[x]\nmaxretry = 3\n".into())));
        let later = "# mine\n[x]\nmaxretry = 5\nbantime = 1h\n";
        assert_eq!(undone(Some(later)), Some(Some("# mine\n[x]\nmaxretry = 3\nbantime = 1h\n".into())));
        assert_eq!(undone(Some("[x]\nmaxretry = 7\n")), None, "edited in the same place");
        assert_eq!(undone(None), None, "the file is gone");
        assert_eq!(undone(Some("[x\n")), None, "the file is broken");
    }

    #[test]
    fn a_file_that_the_change_made_goes_unless_more_stands_in_it_by_now() {
        let change = file(None, Some("[x]\nmaxretry = 5\n"));
        assert_eq!(taken_back(&change, Some("[x]\nmaxretry = 5\n")), Some(None));
        assert_eq!(taken_back(&change, Some("[x]\n\nmaxretry = 5\n")), Some(None));
        let left = taken_back(&change, Some("[x]\nmaxretry = 5\nbantime = 1h\n"));
        assert_eq!(left, Some(Some("[x]\nbantime = 1h\n".into())));
    }

    #[test]
    fn a_file_that_the_change_removed_comes_back_beside_what_was_made_since() {
        let change = file(Some("[x]\nmaxretry = 5\n"), None);
        assert_eq!(taken_back(&change, None), Some(Some("[x]\nmaxretry = 5\n".into())));
        let both = taken_back(&change, Some("[x]\nbantime = 1h\n")).unwrap().unwrap();
        assert!(both.contains("bantime = 1h\nmaxretry = 5"), "{both}");
        assert_eq!(taken_back(&change, Some("[x]\nmaxretry = 9\n")), None);
    }

    #[test]
    fn files_of_others_are_not_ours() {
        let named = |folder: &str, name: &str| {
            is_ours(&FileChange { folder: folder.into(), name: name.into(), ..file(None, None) })
        };
        assert!(named("filter.d", "sshd.local") && named("jail.d", "zz-bangui-x.local"));
        for (folder, name) in
            [("", "jail.local"), ("jail.d", "mine.local"), ("filter.d", "sshd.conf"), ("..", "zz-bangui-x.local")]
        {
            assert!(!named(folder, name), "{folder}/{name}");
        }
    }
}

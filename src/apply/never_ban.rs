//! What is never banned, as fail2ban's files have it: a section for each jail, in a file that is read behind all others.
//!
//! It adds to what a jail ignores anyway, by a reference, so that whatever somebody writes by hand goes on counting. Three things about that
//! reference decide what is written here; each of them has fail2ban refuse the whole configuration:
//! * in `[DEFAULT]` it refers to itself, so each jail has a section;
//! * where nothing has the option, there is nothing to refer to, so a file that is read before those of people gives `[DEFAULT]` an empty one;
//! * where the jail's own value has such a reference already, the second one meets the first for ever, so what that amounts to is written out.
//!
//! Who is on the list is the business of whoever has it.

use std::path::Path;

use super::plan::{Apply, FileChange};
use crate::conf::{self, Folder, LocalFile, Overlay, Tree};
use crate::domain::never_ban::Told;

/// The option of fail2ban's.
const OPTION: &str = "ignoreip";
/// The option that holds what is never banned in all jails.
const SHARED: &str = "bangui_never_ban";
/// How both files begin.
const HEAD: &str = "# Written by bangui, which keeps here what is never banned; what is edited here is overwritten.\n\
                    # Entries are added and removed by `bangui never-ban`; `bangui never-ban clear` removes all of them and both files.\n";
/// What an ignore list holds where somebody must have put it, to be found again.
const MARK: &str = "192.0.2.255";

impl Apply {
    /// The same change with the file of what is never banned as the changed configuration needs it. Where that cannot be computed, the check
    /// says what is wrong.
    pub(super) fn with_never_ban(mut self) -> Apply {
        let Some(told) = &self.never_ban else { return self };
        let others = self.changes.iter().filter(|change| !is_own(&change.folder, &change.name)).cloned().collect();
        let own = changes(&self.place.config_dir, told, &Apply { changes: others, ..self.clone() }.overlay());
        if let Ok(own) = own {
            self.changes.retain(|change| !is_own(&change.folder, &change.name));
            self.changes.extend(own);
        }
        self
    }

    /// What is never banned in a jail.
    pub fn never_banned_in(&self, jail: &str) -> Vec<String> {
        let all = self.never_ban.iter().flatten();
        all.filter(|own| own.holds_in(jail)).map(|own| own.entry.clone()).collect()
    }
}

/// Whether a file is one of the two.
pub fn is_own(folder: &str, name: &str) -> bool {
    [LocalFile::never_ban(), LocalFile::never_ban_first()].iter().any(|own| own.folder == folder && own.name == name)
}

/// The configuration as it is without what is written here.
pub fn tree_without(config_dir: &Path, overlay: &Overlay) -> Result<Tree, conf::Error> {
    Tree::load_with(config_dir, without(config_dir, overlay))
}

/// What an overlay must say for the configuration to be without what is written here.
pub fn without(config_dir: &Path, overlay: &Overlay) -> Overlay {
    let mut overlay = overlay.clone();
    for file in [LocalFile::never_ban(), LocalFile::never_ban_first()] {
        overlay.insert(path(config_dir, &file), None);
    }
    overlay
}

/// How the two files have to change for this to be in force in the jails that the files name, with `overlay` written beside them.
pub fn changes(config_dir: &Path, told: &[Told], overlay: &Overlay) -> Result<Vec<FileChange>, conf::Error> {
    let (first, last) = (LocalFile::never_ban_first(), LocalFile::never_ban());
    let (mut first_text, mut last_text) = (None, None);
    if !told.is_empty() {
        let tree = tree_without(config_dir, overlay)?;
        first_text = needs_first(config_dir, overlay, &tree)?.then(|| format!("{HEAD}[DEFAULT]\n{OPTION} =\n"));
        last_text = Some(text(&tree, told));
    }
    let mut changes = Vec::new();
    for (file, after) in [(first, first_text), (last, last_text)] {
        let before = read(config_dir, &file)?;
        if before != after {
            changes.push(FileChange::new(&file, before, after));
        }
    }
    Ok(changes)
}

/// The text of the file behind all others.
fn text(tree: &Tree, told: &[Told]) -> String {
    let mut text = HEAD.to_owned();
    let for_all: Vec<&str> = told.iter().filter(|own| own.jails.is_empty()).map(|own| own.entry.as_str()).collect();
    if !for_all.is_empty() {
        text.push_str(&format!("[DEFAULT]\n{SHARED} = {}\n", for_all.join("\n    ")));
    }
    for jail in tree.jails() {
        let own = told.iter().filter(|own| !own.jails.is_empty() && own.holds_in(&jail)).map(|own| own.entry.clone());
        let mut words = vec![others(tree, &jail)];
        if !for_all.is_empty() {
            words.push(format!("%({SHARED})s"));
        }
        words.extend(own);
        if words.len() > 1 {
            words.retain(|word| !word.is_empty());
            text.push_str(&format!("\n[{jail}]\n{OPTION} = {}\n", words.join("\n    ")));
        }
    }
    text
}

/// What a jail ignores anyway.
fn others(tree: &Tree, jail: &str) -> String {
    let known = format!("%(known/{OPTION})s");
    match tree.jail_option(jail, OPTION) {
        Some(option) if option.written.to_lowercase().contains("%(known/") => {
            let amount = option.amount.unwrap_or_default();
            conf::words(&amount).into_iter().map(|word| word.replace('%', "%%")).collect::<Vec<_>>().join("\n    ")
        }
        _ => known,
    }
}

/// Whether the first file is needed: not where something that is read before it has the option, which it would hide.
fn needs_first(config_dir: &Path, overlay: &Overlay, tree: &Tree) -> Result<bool, conf::Error> {
    if tree.jail_option("DEFAULT", OPTION).is_none() {
        return Ok(true);
    }
    let mut marked = without(config_dir, overlay);
    let text = format!("[DEFAULT]\n{OPTION} = {MARK}\n");
    marked.insert(path(config_dir, &LocalFile::never_ban_first()), Some(text.into_bytes()));
    let marked = Tree::load_with(config_dir, marked)?;
    // What wins over it comes after it.
    Ok(marked.jail_option("DEFAULT", OPTION).is_some_and(|option| option.written != MARK))
}

/// The text of one of the two files; `None` where there is none.
fn read(config_dir: &Path, file: &LocalFile) -> Result<Option<String>, conf::Error> {
    if !config_dir.join(file.folder).exists() {
        return Ok(None);
    }
    let saved = Folder::open(config_dir, file.folder)?.read(&file.name)?;
    // It is written anew whatever somebody has made of it.
    Ok(saved.map(|saved| String::from_utf8_lossy(&saved.bytes).into_owned()))
}

fn path(config_dir: &Path, file: &LocalFile) -> String {
    file.path(config_dir.to_string_lossy().trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::StreamOptions;

    fn told(entry: &str, jails: &[&str]) -> Told {
        Told { entry: entry.to_owned(), jails: jails.iter().map(|jail| jail.to_string()).collect() }
    }

    /// What each jail ignores once the files are written.
    fn ignored(files: &[(&str, &str)], told: &[Told]) -> (Vec<(String, String)>, Vec<String>) {
        let root = tempfile::tempdir().unwrap();
        let all =
            [("jail.conf", "[DEFAULT]\nenabled = true\nbackend = polling\nfilter =\naction =\n[a]\n[b]\n[c d]\n")];
        for (name, text) in all.iter().chain(files) {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        std::fs::create_dir_all(root.path().join("jail.d")).unwrap();
        let changes = changes(root.path(), told, &Overlay::new()).unwrap();
        for change in &changes {
            std::fs::write(root.path().join(change.path()), change.after.as_ref().unwrap()).unwrap();
        }
        assert_eq!(super::changes(root.path(), told, &Overlay::new()).unwrap(), [], "it is as it has to be");
        let stream = Tree::load(root.path()).unwrap().stream(&StreamOptions::default()).unwrap();
        let lists = stream
            .commands
            .iter()
            .filter(|command| command.get(2).is_some_and(|word| word.as_str() == Some("addignoreip")));
        let texts = |command: &Vec<conf::Value>| {
            let words: Vec<String> = command.iter().map(|word| word.to_text().into_owned()).collect();
            (words[1].clone(), words[3..].join(" "))
        };
        (lists.map(texts).collect(), changes.iter().map(|change| change.name.clone()).collect())
    }

    fn lists(of: &[(&str, &str)]) -> Vec<(String, String)> {
        of.iter().map(|(jail, list)| (jail.to_string(), list.to_string())).collect()
    }

    const FIRST: &str = "00-bangui-never-ban.conf";
    const LAST: &str = "zzz-bangui-never-ban.local";

    #[test]
    fn it_is_added_where_nothing_was_ignored_before() {
        let (found, files) = ignored(&[], &[told("192.0.2.1", &[]), told("192.0.2.2", &["b"])]);
        assert_eq!(found, lists(&[("a", "192.0.2.1"), ("b", "192.0.2.1 192.0.2.2"), ("c d", "192.0.2.1")]));
        assert_eq!(files, [FIRST, LAST]);
    }

    #[test]
    fn what_others_have_written_goes_on_counting_wherever_it_stands() {
        for (file, has_first) in
            [("jail.conf", false), ("jail.d/00-a.conf", false), ("jail.d/x.conf", true), ("jail.local", true)]
        {
            let text = "[DEFAULT]\nenabled = true\nbackend = polling\nfilter =\naction =\nignoreip = 10.0.0.0/8\n[a]\n[b]\nignoreip = 10.0.0.1\n[c d]\n";
            let (found, files) = ignored(&[(file, text)], &[told("office.example", &[])]);
            let expected = lists(&[
                ("a", "10.0.0.0/8 office.example"),
                ("b", "10.0.0.1 office.example"),
                ("c d", "10.0.0.0/8 office.example"),
            ]);
            assert_eq!((found, files.contains(&FIRST.to_owned())), (expected, has_first), "{file}");
        }
    }

    #[test]
    fn a_jail_that_refers_to_what_was_before_is_not_referred_to_again() {
        let jail = "[DEFAULT]\nignoreip = 10.0.0.0/8\n[a]\nignoreip = %(known/ignoreip)s 10.0.0.1\n";
        let (found, _) = ignored(&[("jail.local", jail)], &[told("192.0.2.1", &[])]);
        assert_eq!(found[0], ("a".to_owned(), "10.0.0.0/8 10.0.0.1 192.0.2.1".to_owned()));
    }

    #[test]
    fn an_entry_of_one_jail_leaves_the_others_as_they_are() {
        let (found, _) = ignored(&[], &[told("192.0.2.1", &["c d", "gone"])]);
        assert_eq!(
            found.into_iter().filter(|(_, list)| !list.is_empty()).collect::<Vec<_>>(),
            lists(&[("c d", "192.0.2.1")])
        );
    }
}

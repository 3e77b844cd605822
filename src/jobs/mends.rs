//! What mends a daemon that does not start because of one jail: reading the journal in the place of a log that is missing, or doing without
//! the jail. Nothing is changed here; each is offered as the requests that do it, and only where the files, judged with it, are right.

use std::path::Path;

use serde_json::{Value, json};

use super::own_file::{self, parsed};
use crate::apply::check::{check, deaf};
use crate::apply::values::edited;
use crate::apply::{Problem, Scope};
use crate::conf::{self, LocalFile, StreamOptions, Tree};
use crate::domain::jail_values::JailValues;
use crate::domain::names::JailName;
use crate::fail2ban::installed;

/// Where the files of a journal lie, where there is one.
const JOURNALS: [&str; 2] = ["/run/log/journal", "/var/log/journal"];
/// The request that starts the daemon, or ends it and starts it again.
const RESTART: (&str, &str) = ("POST", "/api/v1/config/restart");

/// The files of a daemon that does not start, and what is wrong with them.
pub struct Broken<'a> {
    /// The directory with `jail.conf`.
    pub config_dir: &'a Path,
    /// As they are.
    pub tree: &'a Tree,
    /// As for a start.
    pub options: &'a StreamOptions,
    /// Everything that is wrong.
    pub problems: &'a [Problem],
}

/// What starts it, where nothing is wrong with its files.
pub fn start(hangs: bool) -> Value {
    let sentence = match hangs {
        true => "End fail2ban, which does not answer any more, and start it again.",
        false => "Start fail2ban.",
    };
    json!({ "id": if hangs { "restart" } else { "start" }, "jail": null, "sentence": sentence, "requests": [request(RESTART, Value::Null)] })
}

impl Broken<'_> {
    /// What mends each problem that is one jail's, the gentler way first. The last one that there is also starts the daemon.
    pub fn mends(&self) -> Vec<Value> {
        let jails = self.problems.iter().filter_map(|problem| problem.jail.as_deref());
        jails.flat_map(|jail| [self.read_journal(jail), self.switch_off(jail)].into_iter().flatten()).collect()
    }

    fn read_journal(&self, jail: &str) -> Option<Value> {
        let has_journal = JOURNALS.iter().any(|path| Path::new(path).exists());
        let lenient = StreamOptions { allow_missing_logs: true, ..self.options.clone() };
        let lacks_log = check(self.tree, &lenient, &Scope::Jails(vec![jail.to_owned()])).is_ok();
        if !lacks_log || !has_journal || !installed::reads_journals(Path::new("fail2ban-client")) {
            return None;
        }
        let values = JailValues { backend: Some("systemd".to_owned()), ..JailValues::default() };
        let after = self.judged(jail, &values)?;
        let view = after.jail(jail, self.options).ok()?;
        let says_what = view.commands.iter().any(
            |command| matches!(command.as_slice(), [_, _, conf::Value::Str(word), ..] if &**word == "addjournalmatch"),
        );
        if !says_what || deaf(&after, self.options, jail).is_some() {
            return None;
        }
        let sentence = format!("Have {jail} read the systemd journal instead of its log file, which is missing.");
        Some(self.mend("read_journal", jail, &sentence, json!({ "backend": "systemd" })))
    }

    fn switch_off(&self, jail: &str) -> Option<Value> {
        self.judged(jail, &JailValues { enabled: Some(false), ..JailValues::default() })?;
        let sentence = format!("Switch {jail} off, so that fail2ban starts without it.");
        Some(self.mend("switch_off", jail, &sentence, json!({ "enabled": false })))
    }

    /// The files with values of a jail, where nothing is wrong in it then.
    fn judged(&self, jail: &str, values: &JailValues) -> Option<Tree> {
        // One of any other name cannot be changed here.
        jail.parse::<JailName>().ok()?;
        let file = LocalFile::jail(jail).ok()?;
        let own = own_file::read(self.config_dir, &file).and_then(|text| parsed(text.as_deref(), &file)).ok()?;
        // Log files that are named here are meant to be read.
        if values.backend.is_some() && own.setting(jail, "logpath").is_some() {
            return None;
        }
        let after = edited(jail, &own, values).ok()?;
        let overlay = [(file.path(&self.tree.base()), Some(after.text.into_bytes()))].into_iter().collect();
        let tree = Tree::load_with(self.config_dir, overlay).ok()?;
        check(&tree, self.options, &Scope::Jails(vec![jail.to_owned()])).ok()?;
        Some(tree)
    }

    fn mend(&self, id: &str, jail: &str, sentence: &str, change: Value) -> Value {
        let path = format!("/api/v1/config/jails/{}", jail);
        let commit = format!("{path}/commit");
        let mut requests = vec![request(("PUT", &path), change), request(("POST", &commit), Value::Null)];
        if self.problems.len() == 1 {
            requests.push(request(RESTART, Value::Null));
        }
        json!({ "id": id, "jail": jail, "sentence": sentence, "requests": requests })
    }
}

fn request((method, path): (&str, &str), body: Value) -> Value {
    json!({ "method": method, "path": path, "body": body })
}

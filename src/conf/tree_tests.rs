//! Tests of the questions a tree answers: origins, effective values, problems, and changes that are not written yet.

use std::fs;
use std::path::Path;

use super::*;

fn plant(root: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

fn tree() -> (tempfile::TempDir, Tree) {
    let root = tempfile::tempdir().unwrap();
    plant(
        root.path(),
        &[
            (
                "jail.conf",
                "[DEFAULT]\nbantime = 10m\nbanaction = act\naction = %(banaction)s[name=%(__name__)s, port=\"1,2\"]\n\
                 [sshd]\nfilter = f[mode=x]\nmaxretry = 5\n[off]\nfilter = nosuch\n[bad]\nbantime = %(nosuch)s\n",
            ),
            (
                "jail.d/zz-bangui-sshd.local",
                "# ours\n[sshd]\nenabled = true\nmaxretry = 3\nfailregex = %(known/failregex)s\n   own <HOST>\n",
            ),
            ("filter.d/f.conf", "[Definition]\nfailregex = <mode> <HOST>\n[Init]\nmode = normal\n"),
            ("filter.d/f.local", "[Definition]\nmaxlines = 2\n"),
            ("filter.d/onlylocal.local", "[Definition]\nfailregex = %(x)s\n"),
            ("action.d/act.conf", "[Definition]\nactionban = ban <ip> <port>\n"),
        ],
    );
    let tree = Tree::load(root.path()).unwrap();
    (root, tree)
}

fn call(text: &str) -> Invocation {
    invocation(text).unwrap()
}

#[test]
fn a_jail_tells_what_is_in_force_and_where_it_comes_from() {
    let (root, tree) = tree();
    let options = StreamOptions::default();
    let names: Vec<String> = tree.jails().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["sshd", "off", "bad"]);
    let sshd = tree.jail("sshd", &options).unwrap();
    assert!(sshd.enabled && sshd.problem.is_none(), "{:?}", sshd.problem);
    let base = root.path().to_str().unwrap();
    let place = |key: &str| {
        let origin = sshd.option(key).unwrap().origin.clone().unwrap();
        format!("{}:{}", origin.file.strip_prefix(base).unwrap(), origin.line)
    };
    assert_eq!(place("maxretry"), "/jail.d/zz-bangui-sshd.local:4");
    assert_eq!(place("filter"), "/jail.conf:6");
    assert_eq!(place("bantime"), "/jail.conf:2");
    assert!(sshd.option("bantime").unwrap().inherited);
    assert_eq!(sshd.option("maxretry").unwrap().value, Ok(Value::Int(3)));
    let failregex = sshd.option("failregex").unwrap();
    assert_eq!(failregex.raw, "%(known/failregex)s\nown <HOST>");
    assert_eq!(failregex.value, Ok("x <HOST>\nown <HOST>".into()));
    assert_eq!(sshd.effective.get("backend"), Some(&"auto".into()));
    assert_eq!(sshd.filter.as_ref().unwrap().name, "f");
    assert_eq!(sshd.actions[0].name, "act");
    assert_eq!(sshd.actions[0].parameters.get("port"), Some(&"1,2".into()));
    assert!(sshd.commands.len() > 3);
    let files: Vec<&str> = sshd.files.iter().map(|file| &file[base.len()..]).collect();
    assert_eq!(files, ["/filter.d/f.conf", "/filter.d/f.local", "/action.d/act.conf"]);
    // Values that a filter adds are no options of the jail's files.
    assert!(sshd.options.iter().all(|option| !option.key.starts_with("known/")));
}

#[test]
fn mistakes_are_part_of_the_view() {
    let (_root, tree) = tree();
    let options = StreamOptions::default();
    let off = tree.jail("off", &options).unwrap();
    assert!(!off.enabled);
    assert_eq!(off.problem.as_deref(), Some("Unable to read the filter 'nosuch'"));
    let bad = tree.jail("bad", &options).unwrap();
    assert!(bad.problem.unwrap().contains("jail.conf:11"));
    assert!(matches!(tree.jail("SSHD", &options), Err(Error::Missing { .. })));
    assert!(matches!(tree.filter(&call("nosuch"), "auto"), Err(Error::Missing { .. })));
    let broken = tree.filter(&call("onlylocal"), "auto").unwrap();
    assert!(broken.problem.is_some() && broken.option("failregex").unwrap().value.is_err());
}

#[test]
fn filters_and_actions_are_listed_with_their_users() {
    let (_root, tree) = tree();
    assert_eq!(tree.filters(), ["f", "onlylocal"]);
    assert_eq!(tree.actions(), ["act"]);
    let uses = tree.uses(&Version::default());
    assert_eq!(uses[0].filter.as_deref(), Some("f"));
    assert_eq!((uses[1].enabled, uses[1].actions.as_slice()), (false, &["act".to_owned()][..]));
    let filter = tree.filter(&call("f[mode=y]"), "systemd").unwrap();
    assert_eq!(filter.effective.get("failregex"), Some(&"y <HOST>".into()));
    assert_eq!(filter.effective.get("logtype"), Some(&"journal".into()));
    assert_eq!(filter.effective.get("maxlines"), Some(&Value::Int(2)));
    assert_eq!(filter.init[0].raw, "normal");
    assert_eq!(filter.files.len(), 2);
    let action = tree.action(&call("act[port=7]")).unwrap();
    assert_eq!(action.effective.get("actionban"), Some(&"ban <ip> 7".into()));
}

#[test]
fn a_change_can_be_judged_before_it_is_written() {
    let (root, tree) = tree();
    let file = LocalFile::jail("sshd").unwrap();
    let folder = Folder::open(root.path(), file.folder).unwrap();
    let old = folder.read(&file.name).unwrap().unwrap();
    let document = Document::parse(String::from_utf8(old.bytes.clone()).unwrap()).unwrap();
    let changed = |value: &str| {
        let value = NewValue::Raw(value.to_owned());
        let text = document.set("sshd", "bantime", &value).unwrap().text;
        let path = file.path(&tree.base());
        Tree::load_with(root.path(), Overlay::from([(path, Some(text.into_bytes()))])).unwrap()
    };
    let options = StreamOptions::default();
    let value = |tree: &Tree| tree.jail("sshd", &options).unwrap().option("bantime").unwrap().value.clone();
    assert_eq!(value(&changed("%(default/bantime)s 1h")), Ok("10m 1h".into()));
    assert!(value(&changed("%(nosuch)s")).is_err());
    assert!(changed("%(nosuch)s").stream(&options).is_err());
    // The file with our changes gone, as after a delete.
    let gone = Overlay::from([(file.path(&tree.base()), None)]);
    let gone = Tree::load_with(root.path(), gone).unwrap();
    assert!(!gone.jail("sshd", &options).unwrap().enabled);
    assert_eq!(folder.read(&file.name).unwrap().unwrap(), old, "nothing was written");
    // A new jail in a new file.
    let path = LocalFile::jail("new").unwrap().path(&tree.base());
    let new = Overlay::from([(path, Some(b"[new]\nenabled = true\n".to_vec()))]);
    let new = Tree::load_with(root.path(), new).unwrap();
    assert_eq!(new.jails().len(), 4);
    assert_eq!(new.stream(&options).unwrap().jails.len(), 2);
}

#[test]
fn a_start_needs_log_files_and_a_dump_does_not() {
    let root = tempfile::tempdir().unwrap();
    let files = [("jail.conf", "[a]\nenabled = true\nlogpath = /nonexistent/*.log\n")];
    plant(root.path(), &files);
    let tree = Tree::load(root.path()).unwrap();
    assert!(tree.stream(&StreamOptions::default()).is_ok());
    let start = StreamOptions { allow_missing_logs: false, ..StreamOptions::default() };
    let error = tree.stream(&start).unwrap_err().to_string();
    assert!(error.contains("jail 'a'") && error.contains("/nonexistent/*.log"), "{error}");
}

#[test]
fn one_jail_can_be_asked_for_and_old_daemons_are_spared() {
    let (_root, tree) = tree();
    let only =
        StreamOptions { only: Some("sshd".to_owned()), version: Version::new("0.11.2"), ..StreamOptions::default() };
    let stream = tree.stream(&only).unwrap();
    assert_eq!(stream.jails.len(), 1);
    assert!(!stream.commands.iter().any(|c| c[1] == "allowipv6".into()));
    let missing = StreamOptions { only: Some("none".to_owned()), ..StreamOptions::default() };
    assert!(matches!(tree.stream(&missing), Err(Error::Missing { .. })));
}

#[test]
fn the_directory_must_exist() {
    let error = Tree::load(Path::new("/nonexistent/fail2ban")).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/fail2ban"));
}

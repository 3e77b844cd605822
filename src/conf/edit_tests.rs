//! Tests of edits: what may be written, what is refused, and that everything else stays byte for byte.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use super::*;

fn document(text: &str) -> Document {
    Document::parse(text).expect("a text the parser takes")
}

fn set(text: &str, section: &str, key: &str, value: &str) -> String {
    let value = NewValue::Literal(value.to_owned());
    let changed = document(text).set(section, key, &value);
    changed.expect("a value that can be written").text
}

#[test]
fn a_value_is_replaced_in_its_place_and_the_rest_stays() {
    let text = "# head\n[a]\n; note\nKey:  old\t; why\n  more ; and this\n# inside\n\n  last\n\n[b]\nkey = b\n";
    assert_eq!(
        set(text, "a", "KEY", "new"),
        "# head\n[a]\n; note\nKey:  new\t; why\n; and this\n# inside\n\n\n[b]\nkey = b\n"
    );
    assert_eq!(set(text, "b", "key", "1\n2"), text.replace("key = b\n", "key = 1\n    2\n"));
    assert_eq!(set("[a]\nx=1", "a", "x", "2"), "[a]\nx=2");
    assert_eq!(set("[a]\nx=", "a", "x", "2"), "[a]\nx= 2");
    assert_eq!(set("[a]\r\nx = 1\r\n", "a", "x", "2\n3"), "[a]\r\nx = 2\r\n    3\r\n");
    assert_eq!(set("[a]\nx = 1 ; c\n", "a", "x", ""), "[a]\nx =  ; c\n");
}

#[test]
fn a_new_option_goes_behind_the_last_of_its_section() {
    let text = "[a]\nx = 1\n   2\n\n# about b\n[b]\n";
    assert_eq!(set(text, "a", "y", "3"), "[a]\nx = 1\n   2\ny = 3\n\n# about b\n[b]\n");
    assert_eq!(set(text, "b", "y", "3"), format!("{text}y = 3\n"));
    assert_eq!(set(text, "c", "y", "3"), format!("{text}\n[c]\ny = 3\n"));
    assert_eq!(set("", "c", "y", "\n1\n2"), "[c]\ny =\n    1\n    2\n");
    assert_eq!(set("[a]", "a", "y", "3"), "[a]\ny = 3");
    // Indented files stay what they are: a line further left would swallow the next one.
    assert_eq!(set("[a]\n  x = 1\n  z = 2\n  [b]\n", "a", "y", "3"), "[a]\n  x = 1\n  z = 2\n  y = 3\n  [b]\n");
    assert_eq!(set("[a]\n  [b]\n", "a", "y", "3"), "[a]\n  y = 3\n  [b]\n");
}

#[test]
fn removing_keeps_comments_and_the_neighbours() {
    let text = "[a]\nx = 1 ; c\n  2\n# inside\n  3\ny = 4\n";
    let removed = document(text).remove("a", "X").expect("a text that parses");
    assert_eq!(removed.text, "[a]\n; c\n# inside\ny = 4\n");
    let same = document(text).remove("a", "none").expect("nothing to do");
    assert_eq!(same.text, text);
}

#[test]
fn values_mean_themselves_or_are_refused() {
    for (value, back) in [
        ("50%", "50%%"),
        ("%(known/x)s", "%%(known/x)s"),
        ("[evil]\nenabled = true", "[evil]\nenabled = true"),
        ("x\n[evil]\nactionban = rm", "x\n[evil]\nactionban = rm"),
        ("before = /etc/shadow", "before = /etc/shadow"),
        ("  padded \n\n lines \n\n", "padded\n\nlines"),
        ("a;b#c", "a;b#c"),
        ("#not a comment", "#not a comment"),
        ("tab\tinside", "tab\tinside"),
        ("back\\", "back\\"),
        ("<ip> \"'`$(id)", "<ip> \"'`$(id)"),
        ("", ""),
        ("= x", "= x"),
        ("ünïcödé", "ünïcödé"),
    ] {
        let written = set("[keep]\na = 1\n", "s", "k", value);
        let parsed = document(&written);
        assert_eq!(&*parsed.setting("s", "k").expect("the option").value, back);
        assert_eq!(parsed.sections.len(), 2, "{value:?} made a section");
        assert_eq!(parsed.settings.len(), 2, "{value:?} made an option");
    }
    for value in [
        "a ; comment",
        "; comment",
        "x\n; comment",
        "x\n# comment",
        "x\n   #c",
        "a\r\nb",
        "a\rb",
        "a\0b",
        "\u{feff}a",
        "a\u{feff}",
        "a\u{b}b",
        "a\u{2028}b",
        "a\u{85}b",
        "a\x1b[31m",
        "a\t;b",
    ] {
        let value = NewValue::Literal(value.to_owned());
        let result = document("[s]\n").set("s", "k", &value);
        assert!(matches!(result, Err(Error::Refused { .. })), "{value:?}");
    }
    let huge = NewValue::Literal("x".repeat(300 << 10));
    assert!(document("").set("s", "k", &huge).is_err());
}

#[test]
fn raw_values_may_refer_but_not_break() {
    for value in ["%(known/failregex)s\n  more", "100%%", "%(x)s%(y)s"] {
        let value = NewValue::Raw(value.to_owned());
        assert!(document("").set("s", "k", &value).is_ok(), "{value:?}");
    }
    for value in ["50%", "%", "%(x", "%(x)", "%()s", "%%%", "%s"] {
        let value = NewValue::Raw(value.to_owned());
        assert!(document("").set("s", "k", &value).is_err(), "{value:?}");
    }
}

#[test]
fn names_cannot_smuggle() {
    let value = NewValue::Literal("1".to_owned());
    for section in [
        "",
        "a]\n[b",
        "a b",
        "[a",
        "a]",
        "INCLUDES",
        "includes",
        "-x",
        ".x",
        "a\0",
        "a/b",
        "..",
        "ä",
        "a#",
        "KNOWN/a",
        "a\u{202e}b",
        "a?b]c",
    ] {
        assert!(document("").set(section, "k", &value).is_err(), "{section:?}");
    }
    for key in ["", "a=b", "a:b", "a b", "k\nx", "[k]", "#k", ";k", "known/x", "__name__", "-k", "a\r", "k\0", "ﬁ"] {
        assert!(document("").set("s", key, &value).is_err(), "{key:?}");
    }
    for key in ["before", "After"] {
        assert!(document("").set("DEFAULT", key, &value).is_err());
    }
    let odd = document("[odd name]\nx = 1\n");
    assert!(odd.set("odd name", "x", &value).is_ok(), "what is there may be changed");
    assert!(document("").set("Init?family=inet6", "blk", &value).is_ok());
}

#[test]
fn file_names_are_our_own_and_plain() {
    let path = |file: Result<LocalFile, Error>| file.expect("a plain name").path("/etc/fail2ban");
    assert_eq!(path(LocalFile::jail("sshd")), "/etc/fail2ban/jail.d/zz-bangui-sshd.local");
    assert_eq!(path(LocalFile::filter("apache-auth")), "/etc/fail2ban/filter.d/apache-auth.local");
    assert_eq!(path(LocalFile::action("a.b")), "/etc/fail2ban/action.d/a.b.local");
    for name in [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "%2e%2e%2f",
        "a\0b",
        "a\nb",
        "-h",
        "--all",
        "sshd]\n[evil",
        "sshd ",
        "ѕshd",
        "/x",
        ".hidden",
    ] {
        assert!(LocalFile::jail(name).is_err(), "{name:?}");
        assert!(LocalFile::filter(name).is_err(), "{name:?}");
        assert!(LocalFile::action(name).is_err(), "{name:?}");
    }
    assert!(LocalFile::jail(&"x".repeat(300)).is_err());
    assert!(LocalFile::jail("default").is_err() && LocalFile::jail("INCLUDES").is_err());
}

fn folder() -> (tempfile::TempDir, Folder) {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("jail.d")).unwrap();
    let folder = Folder::open(root.path(), "jail.d").unwrap();
    (root, folder)
}

#[test]
fn a_file_is_replaced_whole_with_its_mode_and_owner() {
    let (root, folder) = folder();
    let path = root.path().join("jail.d/x.local");
    folder.replace("x.local", b"one").unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    // Giving a file away needs root; without it the owner is ours anyway.
    let given = std::os::unix::fs::chown(&path, Some(1), Some(1)).is_ok();
    let before = folder.read("x.local").unwrap();
    let inode = fs::metadata(&path).unwrap().ino();
    folder.replace("x.local", b"two").unwrap();
    let after = fs::metadata(&path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"two");
    assert_eq!(after.mode() & 0o7777, 0o640);
    assert_ne!(after.ino(), inode, "renamed, not written over");
    if given {
        assert_eq!((after.uid(), after.gid()), (1, 1));
    }
    folder.restore("x.local", before.as_ref()).unwrap();
    assert_eq!(folder.read("x.local").unwrap(), before);
    folder.restore("x.local", None).unwrap();
    assert_eq!(folder.read("x.local").unwrap(), None);
    folder.remove("x.local").unwrap();
    assert_eq!(fs::read_dir(root.path().join("jail.d")).unwrap().count(), 0);
}

#[test]
fn links_and_special_files_are_refused_and_left_alone() {
    let (root, folder) = folder();
    let outside = root.path().join("outside");
    fs::write(&outside, "secret").unwrap();
    symlink(&outside, root.path().join("jail.d/link.local")).unwrap();
    symlink("nowhere", root.path().join("jail.d/dangling.local")).unwrap();
    fs::create_dir(root.path().join("jail.d/dir.local")).unwrap();
    for name in ["link.local", "dangling.local", "dir.local"] {
        assert!(folder.read(name).is_err(), "{name}");
        assert!(folder.replace(name, b"x").is_err(), "{name}");
    }
    for name in ["../outside", "", ".", "..", "a/b", "a\0b"] {
        assert!(folder.replace(name, b"x").is_err(), "{name:?}");
        assert!(folder.read(name).is_err(), "{name:?}");
    }
    assert_eq!(fs::read_to_string(&outside).unwrap(), "secret");
    let path = root.path().join("jail.d/fifo.local");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    if made.is_ok_and(|status| status.success()) {
        assert!(folder.read("fifo.local").is_err(), "a FIFO must not hold us");
    }
}

#[test]
fn the_directory_is_the_one_that_was_opened() {
    let (root, folder) = folder();
    fs::rename(root.path().join("jail.d"), root.path().join("moved")).unwrap();
    fs::create_dir(root.path().join("evil")).unwrap();
    symlink("evil", root.path().join("jail.d")).unwrap();
    folder.replace("x.local", b"one").unwrap();
    assert!(root.path().join("moved/x.local").exists());
    assert_eq!(fs::read_dir(root.path().join("evil")).unwrap().count(), 0);
}

#[test]
fn a_directory_open_to_everybody_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("jail.d");
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    assert!(Folder::open(root.path(), "jail.d").is_err());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(Folder::open(root.path(), "jail.d").is_ok());
    assert!(Folder::open(root.path(), "../jail.d").is_err());
}

#[test]
fn a_full_disk_leaves_the_old_file_and_nothing_else() {
    let (root, folder) = folder();
    folder.replace("x.local", b"old").unwrap();
    let error = folder
        .write("x.local", 0o600, None, None, &mut |file| {
            io::Write::write_all(file, b"half of the n")?;
            Err(io::Error::from_raw_os_error(libc::ENOSPC))
        })
        .unwrap_err();
    assert!(error.to_string().contains("No space left"), "{error}");
    assert_eq!(fs::read(root.path().join("jail.d/x.local")).unwrap(), b"old");
    assert_eq!(fs::read_dir(root.path().join("jail.d")).unwrap().count(), 1);
}

#[test]
fn leftovers_of_a_killed_process_are_removed_and_never_read() {
    let (root, folder) = folder();
    for name in [".bangui-1-0.tmp", "keep.local", ".keep"] {
        fs::write(root.path().join("jail.d").join(name), "[x]\nenabled = true\n").unwrap();
    }
    fs::write(root.path().join("jail.conf"), "").unwrap();
    let tree = Tree::load(root.path()).unwrap();
    assert_eq!(tree.jail_files().len(), 2);
    folder.remove_leftovers().unwrap();
    assert_eq!(fs::read_dir(root.path().join("jail.d")).unwrap().count(), 2);
}

#[test]
fn a_missing_directory_is_made_only_when_asked() {
    let root = tempfile::tempdir().unwrap();
    assert!(Folder::open(root.path(), "jail.d").is_err());
    Folder::open_or_create(root.path(), "jail.d").unwrap();
    Folder::open_or_create(root.path(), "jail.d").unwrap();
    assert!(Folder::open_or_create(root.path(), "a/b").is_err());
    fs::write(root.path().join("file"), "").unwrap();
    assert!(Folder::open_or_create(root.path(), "file").is_err());
}

#[test]
fn a_file_that_is_no_configuration_is_not_edited() {
    let (_root, folder) = folder();
    for (bytes, line) in [(&b"[a]\nx=1\n\xff\n"[..], 3), (b"[a]\nx=1\nx=2\n", 3), (b"x=1\n", 1)] {
        folder.replace("x.local", bytes).unwrap();
        let saved = folder.read("x.local").unwrap().unwrap();
        let error = saved.document(&folder.path_of("x.local")).unwrap_err();
        assert!(error.to_string().contains(&format!("x.local:{line}: ")), "{error}");
    }
}

#[test]
fn no_blank_line_is_lost_in_a_file_of_lone_carriage_returns() {
    assert_eq!(set("\r[a]\ry = 1\n\n", "a", "x", "2"), "\r[a]\ry = 1\nx = 2\n\n");
    assert_eq!(set("[a]\rx = 1\r  2\n\nz = 3\n", "a", "x", "4"), "[a]\rx = 4\r\n\nz = 3\n");
    let removed = document("[a]\ry = 1\rx = 2\n\nz = 3\n").remove("a", "x").unwrap();
    assert_eq!(removed.text, "[a]\ry = 1\r\n\nz = 3\n");
}

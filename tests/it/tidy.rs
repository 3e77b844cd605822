//! The house rules that a machine can hold: where files may be, how they begin, how long they are, and who may use whom.
//!
//! What needs judgement (whether a comment says why, whether a name is right) is left to people.

use std::fs;
use std::path::{Path, PathBuf};

/// Which modules of `src/` a module may name. What stands on all of the others (`main_loop`, `routes`, `cli`, `config`) is not limited.
const MAY_USE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("server", &["domain"]),
    ("store", &["domain", "files"]),
    ("fail2ban", &["domain", "files", "program"]),
    ("firewall", &["domain", "program"]),
    ("pattern", &["domain"]),
    ("conf", &["domain", "files", "pattern"]),
    ("geo", &["domain", "files"]),
    ("blocklist", &["domain", "files"]),
    ("apply", &["conf", "domain", "fail2ban", "files", "pattern"]),
];

/// The longest file, in lines before its tests.
const LONGEST: usize = 500;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["utils", "util", "helpers", "helper", "common", "manager", "misc"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a directory, with its text.
fn rust_files(directory: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

fn sources() -> Vec<(PathBuf, String)> {
    let files = rust_files(&root().join("src"));
    assert!(files.len() > 5, "this is the place of the sources");
    files
}

/// The part of a file that is shipped: what stands before its tests.
fn shipped(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or_default()
}

#[test]
fn every_file_says_first_what_it_is_for() {
    for (path, text) in sources().into_iter().chain(rust_files(&root().join("tests/it"))) {
        assert!(text.starts_with("//!"), "{} does not begin with //!", path.display());
    }
}

#[test]
fn no_file_is_too_long_to_be_read() {
    for (path, text) in sources() {
        let tests = path.file_stem().is_some_and(|stem| stem == "tests");
        let lines = shipped(&text).lines().count();
        assert!(tests || lines <= LONGEST, "{} has {lines} lines, more than {LONGEST}", path.display());
    }
}

#[test]
fn no_module_has_an_empty_name() {
    for (path, _) in sources().into_iter().chain(rust_files(&root().join("tests/it"))) {
        let below = path.strip_prefix(root()).unwrap();
        for part in below.components().map(|part| part.as_os_str().to_string_lossy().into_owned()) {
            let name = part.trim_end_matches(".rs");
            assert!(!EMPTY_NAMES.contains(&name), "{}: {name} says nothing", path.display());
        }
    }
}

#[test]
fn nothing_is_left_undone_or_skipped() {
    // Put together here, so that this file does not contain them.
    let forbidden =
        [concat!("to", "do!("), concat!("unimple", "mented!("), concat!("#[ig", "nore"), concat!("TO", "DO")];
    for (path, text) in sources().into_iter().chain(rust_files(&root().join("tests/it"))) {
        for word in forbidden {
            assert!(!text.contains(word), "{}: {word}", path.display());
        }
    }
}

#[test]
fn modules_use_only_what_they_may() {
    for (module, may_use) in MAY_USE {
        let directory = root().join("src").join(module);
        for (path, text) in rust_files(&directory) {
            let edges = shipped(&text).split("crate::").skip(1).map(|rest| {
                let end = rest.find(|letter: char| !(letter.is_alphanumeric() || letter == '_')).unwrap_or(rest.len());
                &rest[..end]
            });
            for used in edges.filter(|used| used != module) {
                assert!(may_use.contains(&used), "{}: {module} may not use {used}", path.display());
            }
        }
    }
}

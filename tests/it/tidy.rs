//! The house rules that a machine can hold: where files may be, how they begin, how long they are, and who may use whom.
//!
//! What needs judgement (whether a comment says why, whether a name is right) is left to people.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Which modules of `src/` a module may use. Each stands below those that use it, so that the picture has no circle; a new entry is the one
/// kind of change that is worth a long review.
const MAY_USE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("files", &[]),
    ("conf", &["domain", "files"]),
    ("program", &[]),
    ("protection", &["domain"]),
    ("notify", &["domain", "fetch", "files"]),
    ("fail2ban", &["domain", "files", "program"]),
    ("pattern", &["domain"]),
    ("apply", &["conf", "domain", "fail2ban", "files", "pattern"]),
    ("blocklist", &["domain", "files"]),
    ("firewall", &["domain", "program"]),
    ("server", &["domain"]),
    ("packed", &[]),
    ("page", &["packed", "server"]),
    ("zones", &["files", "packed"]),
    ("config", &["domain", "firewall", "server", "zones"]),
    ("fetch", &["domain", "files"]),
    ("remote", &["domain", "fetch"]),
    ("geo", &["domain", "files"]),
    ("held", &["domain"]),
    ("machine", &[]),
    ("renewal", &[]),
    (
        "jobs",
        &[
            "apply",
            "blocklist",
            "conf",
            "config",
            "domain",
            "fail2ban",
            "fetch",
            "files",
            "firewall",
            "geo",
            "held",
            "machine",
            "notify",
            "pattern",
            "program",
            "protection",
            "renewal",
            "server",
            "zones",
        ],
    ),
    ("store", &["domain", "files"]),
    (
        "app",
        &[
            "apply",
            "blocklist",
            "conf",
            "config",
            "domain",
            "fail2ban",
            "fetch",
            "files",
            "geo",
            "held",
            "jobs",
            "machine",
            "page",
            "protection",
            "server",
            "store",
        ],
    ),
    (
        "services",
        &[
            "app",
            "apply",
            "blocklist",
            "domain",
            "fail2ban",
            "fetch",
            "jobs",
            "machine",
            "notify",
            "protection",
            "server",
            "store",
            "zones",
        ],
    ),
    (
        "api",
        &[
            "app",
            "apply",
            "blocklist",
            "config",
            "domain",
            "fail2ban",
            "fetch",
            "geo",
            "held",
            "jobs",
            "notify",
            "packed",
            "protection",
            "server",
            "services",
            "store",
        ],
    ),
    ("log_sink", &["renewal"]),
    ("routes", &["api", "app", "domain"]),
    ("dispatch", &["app", "domain", "page", "routes", "server", "store"]),
    (
        "main_loop",
        &[
            "app",
            "blocklist",
            "dispatch",
            "domain",
            "fail2ban",
            "files",
            "geo",
            "jobs",
            "machine",
            "renewal",
            "server",
            "services",
            "store",
            "zones",
        ],
    ),
    (
        "cli",
        &[
            "app",
            "conf",
            "config",
            "domain",
            "fail2ban",
            "firewall",
            "jobs",
            "log_sink",
            "machine",
            "main_loop",
            "pattern",
            "remote",
            "services",
            "store",
            "zones",
        ],
    ),
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

/// A file of `src/` as a module: `store::open`; the file that makes a folder a module has the folder's name.
fn module_of(path: &Path) -> String {
    let below = path.strip_prefix(root().join("src")).unwrap().with_extension("");
    let mut parts: Vec<String> = below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts.join("::")
}

/// The text without comments, and without its tests.
fn code(text: &str) -> String {
    let tests = ["#[cfg(test)]\nmod ", "#[cfg(test)]\npub(crate) mod tests"];
    let end = tests.iter().filter_map(|start| text.find(start)).min().unwrap_or(text.len());
    // A module that is declared for tests only is followed by more code.
    let shipped = if text[end..].lines().nth(1).is_some_and(|line| line.ends_with(';')) { text } else { &text[..end] };
    shipped
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
        .replace("(in crate::", "(in ")
}

/// Every path below `prefix` that a tree of `use` names.
fn paths_of(prefix: &str, tree: &str, found: &mut Vec<String>) {
    let tree = tree.trim();
    let Some((before, group)) = tree.split_once('{') else {
        let name = tree.split(" as ").next().unwrap_or_default().trim();
        found.push(format!("{prefix}{name}"));
        return;
    };
    let inside = group.strip_suffix('}').unwrap_or(group);
    let (mut depth, mut start) = (0, 0);
    for (at, letter) in inside.char_indices().chain([(inside.len(), ',')]) {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !inside[start..at].trim().is_empty() {
                    paths_of(&format!("{prefix}{before}"), &inside[start..at], found);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// The modules that a module uses, by its `use` lines, by paths from the root, and by names of its own children.
fn uses(module: &str, text: &str, all: &BTreeSet<String>) -> BTreeSet<String> {
    let mut paths = Vec::new();
    for statement in text.split(';') {
        let Some(at) = statement.rfind("use ").filter(|at| {
            statement[..*at].trim_end().is_empty() || {
                let before = statement[..*at].trim_end();
                before.ends_with("pub") || before.ends_with(')') || before.ends_with('}') || before.ends_with(']')
            }
        }) else {
            continue;
        };
        paths_of("", &statement[at + 4..].replace('\n', " "), &mut paths);
    }
    for rest in text.split("crate::").skip(1) {
        let end = rest.find(|letter: char| !(letter.is_alphanumeric() || letter == '_' || letter == ':'));
        paths.push(format!("crate::{}", &rest[..end.unwrap_or(rest.len())]));
    }
    let own: Vec<&str> = module.split("::").filter(|part| *part != "lib").collect();
    let mut used = BTreeSet::new();
    for path in paths {
        let mut parts: Vec<&str> = path.split("::").map(str::trim).filter(|part| !part.is_empty()).collect();
        let mut base: Vec<&str> = match parts.first() {
            Some(&"crate") => Vec::new(),
            _ => own.clone(),
        };
        while matches!(parts.first(), Some(&"super" | &"self" | &"crate")) {
            if parts.remove(0) == "super" {
                base.pop();
            }
        }
        base.extend(parts);
        let place = (1..=base.len()).rev().map(|length| base[..length].join("::")).find(|place| all.contains(place));
        used.extend(place.filter(|place| place != module));
    }
    let children = all.iter().filter_map(|other| other.strip_prefix(&format!("{module}::")));
    for child in children.filter(|child| !child.contains("::")) {
        if text.contains(&format!("{child}::")) && text.contains(&format!("mod {child};")) {
            used.insert(format!("{module}::{child}"));
        }
    }
    used
}

/// What every module of `src/` uses.
fn picture() -> BTreeMap<String, BTreeSet<String>> {
    let files = sources();
    let is_test =
        |module: &str| module.rsplit("::").next().is_some_and(|name| name.contains("test") && name != "test_filter");
    let all: BTreeSet<String> =
        files.iter().map(|(path, _)| module_of(path)).filter(|module| !is_test(module)).collect();
    files
        .iter()
        .map(|(path, text)| (module_of(path), code(text)))
        .filter(|(module, _)| all.contains(module) && module != "lib" && module != "main")
        .map(|(module, text)| {
            let used = uses(&module, &text, &all);
            (module, used)
        })
        .collect()
}

#[test]
fn the_picture_of_the_modules_has_no_circle() {
    let picture = picture();
    assert!(picture.values().map(BTreeSet::len).sum::<usize>() > 500, "the uses of modules are found");
    // Whoever uses nothing that is left is taken away; what cannot be taken away stands in a circle or above one.
    let mut left: BTreeMap<&String, BTreeSet<&String>> =
        picture.iter().map(|(module, used)| (module, used.iter().collect())).collect();
    loop {
        let done: Vec<&String> = left.iter().filter(|(_, used)| used.is_empty()).map(|(module, _)| *module).collect();
        if done.is_empty() {
            break;
        }
        left.retain(|module, _| !done.contains(module));
        let known: BTreeSet<&String> = left.keys().copied().collect();
        left.values_mut().for_each(|used| used.retain(|module| known.contains(module)));
    }
    let shown: Vec<String> = left.iter().map(|(module, used)| format!("{module} -> {used:?}")).collect();
    assert!(left.is_empty(), "a circle is among:\n{}", shown.join("\n"));
}

/// Words that only these modules may have in their code, whatever they use: who speaks SQL, and who opens sockets.
const WORDS: &[(&[&str], &[&str])] = &[
    (&["rusqlite", "SELECT ", "INSERT ", "DELETE FROM ", "PRAGMA "], &["fail2ban::database", "store"]),
    (
        &["mio::", "TcpStream", "TcpListener", "UnixStream", "UnixListener", "UdpSocket"],
        // An import looks whether anybody is behind the daemon's socket.
        &["cli::ask", "fail2ban::client", "jobs::children", "jobs::import", "main_loop", "remote", "server"],
    ),
];

/// `api` has no SQL and no socket words, and a child never opens our database: that takes words which only those below have.
#[test]
fn sql_and_sockets_are_where_they_belong() {
    let mut seen = BTreeSet::new();
    for (path, text) in sources() {
        let (module, text) = (module_of(&path), code(&text));
        for (words, homes) in WORDS {
            let home = homes.iter().find(|home| module.starts_with(*home));
            for word in words.iter().filter(|word| text.contains(*word)) {
                assert!(home.is_some() || module.contains("test"), "{module} says {word:?}, which is for {homes:?}");
                seen.extend(home);
            }
        }
    }
    let homes: BTreeSet<&&str> = WORDS.iter().flat_map(|(_, homes)| *homes).collect();
    let idle: Vec<_> = homes.difference(&seen).collect();
    assert!(idle.is_empty(), "{idle:?} have nothing of what they are the home of");
    // Nobody who may say SQL of ours is within a child's reach.
    let jobs = MAY_USE.iter().find(|(module, _)| *module == "jobs").unwrap().1;
    assert!(!jobs.iter().any(|used| ["store", "app", "services", "api", "main_loop"].contains(used)));
}

#[test]
fn modules_use_only_what_they_may() {
    let top = |module: &str| module.split("::").next().unwrap_or_default().to_owned();
    let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (module, uses) in picture() {
        let own = top(&module);
        used.entry(own.clone()).or_default().extend(uses.iter().map(|other| top(other)).filter(|other| *other != own));
    }
    let table: BTreeMap<String, BTreeSet<String>> = MAY_USE
        .iter()
        .map(|(module, uses)| ((*module).to_owned(), uses.iter().map(|used| (*used).to_owned()).collect()))
        .collect();
    for (module, uses) in &used {
        let may = table.get(module).unwrap_or_else(|| panic!("{module} is missing from the table"));
        for other in uses {
            assert!(may.contains(other), "{module} may not use {other}");
        }
        for other in may {
            assert!(uses.contains(other), "{module} does not use {other}: the table is out of date");
        }
    }
    assert_eq!(table.len(), used.len(), "the table names a module that is no more");
}

//! File name patterns as Python's `glob` expands them: `*`, `?`, `[…]`, hidden files only by a leading dot.
//!
//! The order is the directory's own, since fail2ban does not sort log files. `**` is an ordinary `*`.

use std::fs;
use std::path::Path;

/// Names a pattern may stand for; beyond this the rest is dropped. No log directory comes near.
const MAX_MATCHES: usize = 100_000;

/// All existing paths that a pattern stands for. Names that are not UTF-8 are left out.
pub fn glob(pattern: &str) -> Vec<String> {
    let mut found = Vec::new();
    expand(pattern, false, &mut found);
    found
}

/// Whether a text holds one of the characters that make it a pattern.
pub fn is_pattern(text: &str) -> bool {
    text.as_bytes().iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

/// Splits a path as Python's `os.path.split` does: the directory loses its trailing slashes unless it is all slashes.
fn split(path: &str) -> (&str, &str) {
    let at = path.rfind('/').map_or(0, |slash| slash + 1);
    let (directory, name) = path.split_at(at);
    let trimmed = directory.trim_end_matches('/');
    (if trimmed.is_empty() { directory } else { trimmed }, name)
}

/// Joins as Python's `os.path.join` does: an absolute second part wins.
pub fn join(directory: &str, name: &str) -> String {
    if name.starts_with('/') || directory.is_empty() {
        return name.to_owned();
    }
    let slash = if directory.ends_with('/') { "" } else { "/" };
    [directory, slash, name].concat()
}

fn expand(pattern: &str, directories_only: bool, found: &mut Vec<String>) {
    let (directory, name) = split(pattern);
    if !is_pattern(pattern) {
        let there = if name.is_empty() {
            !directory.is_empty() && Path::new(directory).is_dir()
        } else {
            exists_even_dangling(pattern)
        };
        if there {
            found.push(pattern.to_owned());
        }
        return;
    }
    let mut directories = Vec::new();
    if directory != pattern && is_pattern(directory) {
        expand(directory, true, &mut directories);
    } else {
        directories.push(directory.to_owned());
    }
    for directory in directories {
        if is_pattern(name) {
            for entry in matching(&directory, name, directories_only) {
                found.push(join(&directory, &entry));
            }
        } else {
            let path = join(&directory, name);
            let there = if name.is_empty() { Path::new(&directory).is_dir() } else { exists_even_dangling(&path) };
            if there {
                found.push(path);
            }
        }
        if found.len() > MAX_MATCHES {
            found.truncate(MAX_MATCHES);
            return;
        }
    }
}

fn exists_even_dangling(path: &str) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// The names in a directory that match, in the directory's order.
fn matching(directory: &str, pattern: &str, directories_only: bool) -> Vec<String> {
    let place = if directory.is_empty() { "." } else { directory };
    let Ok(entries) = fs::read_dir(place) else {
        return Vec::new();
    };
    let pattern: Vec<char> = pattern.chars().collect();
    let hidden = pattern.first() == Some(&'.');
    entries
        .flatten()
        .filter(|entry| !directories_only || entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| hidden || !name.starts_with('.'))
        .filter(|name| matches(name, &pattern))
        .take(MAX_MATCHES)
        .collect()
}

/// Whether a name fits a pattern. After a `*` fails, only the latest `*` needs to take more, so the time is bounded by
/// the product of the two lengths.
fn matches(name: &str, pattern: &[char]) -> bool {
    let name: Vec<char> = name.chars().collect();
    let (mut n, mut p) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p + 1, n));
            p += 1;
            continue;
        }
        if let Some(length) = pattern.get(p).and_then(|_| one(name[n], &pattern[p..])) {
            n += 1;
            p += length;
            continue;
        }
        let Some((behind, taken)) = star else {
            return false;
        };
        star = Some((behind, taken + 1));
        (p, n) = (behind, taken + 1);
    }
    pattern[p..].iter().all(|&c| c == '*')
}

/// The length of the pattern's first element if it matches the character.
fn one(c: char, pattern: &[char]) -> Option<usize> {
    match pattern[0] {
        '?' => Some(1),
        '[' => match class_end(pattern) {
            None => (c == '[').then_some(1),
            Some(end) => in_class(c, &pattern[1..end]).then_some(end + 1),
        },
        literal => (c == literal).then_some(1),
    }
}

/// The index of the `]` that closes the class at the start, if one does.
fn class_end(pattern: &[char]) -> Option<usize> {
    let mut at = 1;
    if pattern.get(at) == Some(&'!') {
        at += 1;
    }
    if pattern.get(at) == Some(&']') {
        at += 1;
    }
    let rest = pattern.get(at..)?;
    rest.iter().position(|&c| c == ']').map(|found| at + found)
}

/// Whether a character is in a class, given without its brackets. A range that runs backwards is empty.
fn in_class(c: char, class: &[char]) -> bool {
    let (negated, class) = match class.strip_prefix(&['!']) {
        Some(rest) => (true, rest),
        None => (false, class),
    };
    let mut at = 0;
    let mut found = false;
    while at < class.len() {
        if class.get(at + 1) == Some(&'-') && at + 2 < class.len() {
            found |= (class[at]..=class[at + 2]).contains(&c);
            at += 3;
        } else {
            found |= class[at] == c;
            at += 1;
        }
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(name: &str, pattern: &str) -> bool {
        matches(name, &pattern.chars().collect::<Vec<char>>())
    }

    #[test]
    fn patterns_match_as_in_python() {
        assert!(fits("access.log", "*.log") && fits("access.log", "*acc*l*g*"));
        assert!(fits("a1", "a[0-9]") && !fits("ab", "a[0-9]") && fits("ab", "a[!0-9]"));
        assert!(fits("a]", "a[]]") && fits("a[", "a[") && fits("a-", "a[x-]"));
        assert!(fits("", "*") && !fits("", "?") && !fits("ab", "a"));
    }

    #[test]
    fn paths_expand_over_directories() {
        let root = tempfile::tempdir().unwrap();
        let base = root.path().to_str().unwrap();
        for name in ["a/x.log", "b/x.log", "b/.hidden.log", "b/y.txt"] {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let mut all = glob(&format!("{base}/*/*.log"));
        all.sort();
        assert_eq!(all, [format!("{base}/a/x.log"), format!("{base}/b/x.log")]);
        assert_eq!(glob(&format!("{base}/b/.h*")).len(), 1);
        assert_eq!(glob(&format!("{base}/b/y.txt")).len(), 1);
        assert_eq!(glob(&format!("{base}/b/none")), Vec::<String>::new());
        assert_eq!(glob(&format!("{base}/*/y.txt")), [format!("{base}/b/y.txt")]);
        assert_eq!(glob(&format!("{base}/*/")).len(), 2);
        assert_eq!(glob(""), Vec::<String>::new());
    }
}

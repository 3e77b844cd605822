//! How two states of a file differ, as a unified diff. Nothing is merged here.

use std::fmt::Write as _;

/// Lines of one side times lines of the other, ends in common left out, up to which they are compared line by line: beyond that the
/// comparison could take minutes, and the diff replaces them as one piece.
const COMPARED: usize = 16 << 20;

/// The unified diff of a file from `before` to `after`; `None` is no file. Empty where nothing differs.
pub fn unified(path: &str, before: Option<&str>, after: Option<&str>) -> String {
    if before == after {
        return String::new();
    }
    let name = |side: char, text: Option<&str>| match text {
        Some(_) => format!("{side}/{path}"),
        None => "/dev/null".to_owned(),
    };
    let (old_name, new_name) = (name('a', before), name('b', after));
    let (old, new) = (before.unwrap_or_default(), after.unwrap_or_default());
    if differing(old, new) > COMPARED {
        return replaced(&old_name, &new_name, old, new);
    }
    let mut options = diffy::DiffOptions::new();
    options.set_original_filename(old_name).set_modified_filename(new_name);
    options.create_patch(old, new).to_string()
}

/// How many pairs of lines there are between the ends that both have in common.
fn differing(old: &str, new: &str) -> usize {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let same = |(a, b): &(&&str, &&str)| a == b;
    let start = old.iter().zip(&new).take_while(same).count();
    let end = old[start..].iter().rev().zip(new[start..].iter().rev()).take_while(same).count();
    (old.len() - start - end).saturating_mul(new.len() - start - end)
}

/// All lines of one file for all lines of the other.
fn replaced(old_name: &str, new_name: &str, old: &str, new: &str) -> String {
    let mut diff = String::with_capacity(old.len() + new.len() + 256);
    let (gone, come) = (old.lines().count(), new.lines().count());
    let _ = writeln!(diff, "--- {old_name}\n+++ {new_name}\n@@ -1,{gone} +1,{come} @@");
    for (sign, text) in [('-', old), ('+', new)] {
        text.lines().for_each(|line| _ = writeln!(diff, "{sign}{line}"));
    }
    diff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_names_the_file_and_the_lines() {
        let diff = unified("jail.d/x.local", Some("[lab]\nmaxretry = 3\n"), Some("[lab]\nmaxretry = 5\n"));
        let expected =
            "--- a/jail.d/x.local\n+++ b/jail.d/x.local\n@@ -1,2 +1,2 @@\n [lab]\n-maxretry = 3\n+maxretry = 5\n";
        assert_eq!(diff, expected);
        assert_eq!(unified("x", Some("a\n"), Some("a\n")), "");
        assert!(unified("x", None, Some("a\n")).starts_with("--- /dev/null\n+++ b/x\n"));
        assert!(unified("x", Some("a\n"), None).contains("+++ /dev/null\n"));
    }

    #[test]
    fn files_that_have_nothing_in_common_take_no_minutes() {
        let file = |word: &str| (0..60_000).map(|number| format!("{word}{number}\n")).collect::<String>();
        let started = std::time::Instant::now();
        let diff = unified("x", Some(&file("a")), Some(&file("b")));
        assert!(diff.contains("@@ -1,60000 +1,60000 @@") && diff.ends_with("+b59999\n"));
        assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
    }
}

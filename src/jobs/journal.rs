//! What a jail reads of the systemd journal, checked: its matches, and the options of the backend. The journal itself is not looked at.

use std::path::{Component, Path, PathBuf};

use crate::conf::Invocation;

/// Where the journal of a machine that keeps none on disk is.
const VOLATILE: &str = "/run/log/journal";
/// The longest match, in bytes.
const LONGEST: usize = 1024;
/// The most matches.
const MOST: usize = 50;

/// What is wrong with matches, one a line: `FIELD=value` and `+`.
pub fn check_match(text: &str) -> Result<(), String> {
    let wrong = || {
        "journalmatch is made of FIELD=value, such as _SYSTEMD_UNIT=sshd.service, with + between what may be instead; several have a line each."
            .to_owned()
    };
    let lines: Vec<&str> = text.split('\n').collect();
    if lines.len() > MOST || !lines.into_iter().all(is_match) { Err(wrong()) } else { Ok(()) }
}

fn is_match(line: &str) -> bool {
    let fits = line.len() <= LONGEST && line.trim() == line && !line.chars().any(char::is_control);
    let Some(words) = words(line).filter(|words| fits && !words.is_empty()) else { return false };
    words.iter().all(|word| {
        let is_name = |name: &str| {
            (1..=64).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
        };
        word == "+" || word.split_once('=').is_some_and(|(name, value)| is_name(name) && !value.is_empty())
    })
}

/// The words of a line as a shell splits them; `None` where a quote is open, or a character means more than itself.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let (mut word, mut quote): (Option<String>, Option<char>) = (None, None);
    for c in line.chars() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('\\' | '`' | '$' | ';' | '#' | '<' | '>' | '|' | '&' | '%', _) => return None,
            (' ', None) => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// What is wrong with `systemd[option=value, ...]`: a journal lies under a directory of logs, as a log file does.
pub fn check_backend(called: &Invocation, text: &str, log_dirs: &[PathBuf]) -> Result<(), String> {
    if text.len() > LONGEST || text.chars().any(char::is_control) {
        return Err(format!("backend must be a single line of at most {LONGEST} bytes."));
    }
    for (key, value) in called.parameters.iter() {
        let value = value.to_text();
        match &**key {
            "journalpath" | "journalfiles" => {
                if value.is_empty() || !value.split([' ', ',']).all(|path| is_below(path, log_dirs)) {
                    let dirs: Vec<String> = log_dirs.iter().map(|dir| dir.display().to_string()).collect();
                    return Err(format!("{key} must be a path below {} or {VOLATILE}.", dirs.join(", ")));
                }
            }
            "journalflags" => {
                if value.parse::<u8>().is_ok_and(|flags| flags < 64) {
                    continue;
                }
                return Err("journalflags is a number from 0 to 63: 1 local only, 2 runtime only, 4 system only, 8 current user.".to_owned());
            }
            "namespace" => {
                let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '*' | '+');
                if value.is_empty() || value.len() > 128 || !value.chars().all(plain) {
                    return Err("namespace is the name of a namespace of the journal.".to_owned());
                }
            }
            _ => {
                return Err(format!(
                    "The backend systemd has no option '{key}'; there are journalpath, journalfiles, journalflags and namespace."
                ));
            }
        }
    }
    Ok(())
}

fn is_below(path: &str, log_dirs: &[PathBuf]) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | '@' | '*' | '?' | '~');
    let own = Path::new(path);
    let goes_up = own.components().any(|part| part == Component::ParentDir);
    let below = log_dirs.iter().map(PathBuf::as_path).chain([Path::new(VOLATILE)]).any(|dir| own.starts_with(dir));
    path.chars().all(plain) && !goes_up && below
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::invocation;

    #[test]
    fn matches_are_fields_with_values() {
        for good in ["_SYSTEMD_UNIT=sshd.service", "_SYSTEMD_UNIT=sshd.service + _COMM=sshd", "_COMM=\"a b\"\n_COMM=c"]
        {
            assert_eq!(check_match(good), Ok(()), "{good}");
        }
        for wrong in [
            "",
            "x",
            "a=b",
            "_COMM=",
            "_COMM=\"a",
            "_COMM=$(id)",
            "_COMM=a;id",
            "_COMM=a\n[evil]",
            "_COMM=a\r",
            "_COMM=%(x)s",
            "_COMM=<ip>",
            "_COMM=`id`",
            " _COMM=a",
        ] {
            assert!(check_match(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_journal_lies_where_logs_are() {
        let dirs = [PathBuf::from("/var/log")];
        for good in [
            "systemd[journalpath=/var/log/journal]",
            "systemd[journalfiles=\"/run/log/journal/*/system.journal\", journalflags=1]",
        ] {
            assert_eq!(check_backend(&invocation(good).unwrap(), good, &dirs), Ok(()), "{good}");
        }
        for wrong in [
            "systemd[journalpath=/etc]",
            "systemd[journalpath=/var/log/../../etc]",
            "systemd[journalpath=/var/log-evil]",
            "systemd[journalflags=x]",
            "systemd[journalflags=1;id]",
            "systemd[actionban=id]",
            "systemd[journalpath=\"/var/log/$(id)\"]",
        ] {
            assert!(check_backend(&invocation(wrong).unwrap(), wrong, &dirs).is_err(), "{wrong}");
        }
    }
}

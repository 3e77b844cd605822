//! What fail2ban's own programs say when something is wrong. It runs none of them.

use crate::program::Outcome;

/// The text of the lines fail2ban logs as errors, without time and module.
pub(super) fn errors_in(stderr: &str) -> String {
    let errors = stderr.lines().filter_map(|line| Some(line.split_once(" ERROR ")?.1.trim()));
    errors.collect::<Vec<_>>().join("; ")
}

/// The jails of whose log files none was found.
pub(super) fn without_logs(stderr: &str) -> impl Iterator<Item = &str> {
    stderr.lines().filter_map(|line| {
        let (_, rest) = line.split_once("Have not found any log file for ")?;
        Some(rest.rsplit_once(" jail")?.0)
    })
}

/// The last thing a program wrote that may say what was wrong.
pub(super) fn reason(outcome: &Outcome) -> String {
    let errors = errors_in(&outcome.stderr);
    let said = outcome.stdout.trim();
    match (errors.is_empty(), said.is_empty()) {
        (_, false) => said.to_owned(),
        (false, true) => errors,
        (true, true) => outcome.stderr.lines().last().unwrap_or("it did not say why").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jails_without_logs_are_named() {
        let stderr = "2026 x [1]: WARNING Have not found any log file for my jail jail\n2026 x [1]: INFO other\n";
        assert_eq!(without_logs(stderr).collect::<Vec<_>>(), ["my jail"]);
    }

    #[test]
    fn what_is_told_is_the_most_telling_of_what_was_said() {
        let said = |stdout: &str, stderr: &str| {
            reason(&Outcome { success: false, stdout: stdout.to_owned(), stderr: stderr.to_owned() })
        };
        assert_eq!(said("", "2026 x [1]: ERROR   bad thing\n2026 x [1]: INFO other\n"), "bad thing");
        assert_eq!(said("sorry\n", "2026 x [1]: ERROR   bad thing\n"), "sorry");
        assert_eq!(said("", "one\ntwo\n"), "two");
        assert_eq!(said("", ""), "it did not say why");
    }
}

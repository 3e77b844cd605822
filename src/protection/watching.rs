//! Does a jail see what it should: it runs, its log is there and grows, its filter fits, the dates are right.

use super::facts::{Facts, JailFacts, JournalFacts, LogFacts, LogState, Source, Trial};
use super::finding::{Level, Step};
use super::words::{count, in_path, some, span};

/// A log that was written to within this time is alive, in seconds.
const QUIET: i64 = 2 * 86_400;
/// So many lines that look like failures are no accident.
const MISSED: usize = 3;

/// The jail runs, and was not told to rest.
pub fn runs(facts: &Facts, jail: &JailFacts) -> Option<Step> {
    let name = &jail.name;
    if jail.rests {
        let path = format!("/api/v1/jails/{}/resume", in_path(name));
        let step =
            Step::new("runs", "paused", Level::Warn, format!("{name} is paused: it bans nobody until it is resumed."));
        return Some(step.mend("Resume it.").press(path));
    }
    let enabled = facts.enabled.as_ref().map(|all| all.iter().any(|own| own.name == *name));
    Some(match enabled {
        Some(false) => {
            Step::ok("runs", format!("{name} runs. The files do not enable it, so it will be gone after a restart."))
        }
        _ => Step::ok("runs", format!("{name} runs.")),
    })
}

/// There is something to read, and it can be read.
pub fn logs(_: &Facts, jail: &JailFacts) -> Option<Step> {
    Some(match &jail.source {
        Source::Files(logs) if logs.is_empty() => {
            let said = format!("{} has no log to watch, so it will never ban anybody.", jail.name);
            let mend = "Give it a log file (logpath), or have it read the journal (backend = systemd).";
            Step::new("logs", "no_log", Level::Bad, said).mend(mend)
        }
        Source::Files(logs) => files(&jail.name, logs),
        Source::Journal(journal) => from_journal(&jail.name, journal),
    })
}

fn files(name: &str, logs: &[LogFacts]) -> Step {
    let of = |wanted: &dyn Fn(&LogState) -> bool| -> Vec<String> {
        logs.iter().filter(|log| wanted(&log.state)).map(|log| log.path.clone()).collect()
    };
    let all: Vec<String> = logs.iter().map(|log| log.path.clone()).collect();
    let missing = of(&|state| *state == LogState::Missing);
    let is_deaf = missing.len() == logs.len();
    if !missing.is_empty() {
        let level = if is_deaf { Level::Bad } else { Level::Warn };
        let said = format!("{name} watches {}, but there is no such file.", some(&missing));
        let newer = logs.iter().filter(|log| log.state == LogState::Missing).find_map(|log| log.newer_beside.as_ref());
        let seen = newer.map_or_else(String::new, |newer| format!("{newer} was written to last."));
        let mend = "Find out where the service writes its log now, and set that as the log path of the jail.";
        return Step::new("logs", "log_missing", level, said).seen(seen).mend(mend);
    }
    let unreadable = logs.iter().find_map(|log| match &log.state {
        LogState::Unreadable(why) => Some((&log.path, why)),
        _ => None,
    });
    if let Some((path, why)) = unreadable {
        let said = format!("{path}, the log of {name}, cannot be read.");
        let mend = "Let the user that fail2ban runs as read it.";
        return Step::new("logs", "log_unreadable", Level::Unknown, said).seen(why.clone()).mend(mend);
    }
    let elsewhere = of(&|state| *state == LogState::Elsewhere);
    if !elsewhere.is_empty() {
        let said = format!("The log of {name} cannot be looked at from here: fail2ban runs in a container of its own.");
        return Step::new("logs", "log_elsewhere", Level::Unknown, said).seen(some(&elsewhere));
    }
    Step::ok("logs", format!("{} can be read.", some(&all)))
}

fn from_journal(name: &str, journal: &JournalFacts) -> Step {
    if journal.is_missing {
        let said = format!("{name} reads the systemd journal, but this machine keeps none.");
        let mend = "Start systemd-journald, or give the jail a log file (logpath and backend = auto).";
        return Step::new("logs", "no_journal", Level::Bad, said).mend(mend);
    }
    if let Some(why) = &journal.problem {
        let said = format!("The journal that {name} reads cannot be looked at from here.");
        return Step::new("logs", "journal_unreadable", Level::Unknown, said).seen(why.clone());
    }
    Step::ok("logs", "The systemd journal can be read.")
}

/// Something is written there.
pub fn grows(facts: &Facts, jail: &JailFacts) -> Option<Step> {
    let name = &jail.name;
    match &jail.source {
        Source::Files(logs) => {
            let readable: Vec<&LogFacts> = logs.iter().filter(|log| log.state == LogState::Readable).collect();
            let last = readable.iter().max_by_key(|log| log.changed)?;
            let ago = facts.now - last.changed;
            if let Some(newer) = last.newer_beside.as_ref().filter(|_| ago > 600) {
                let said = format!("{name} watches {}, but its service writes to {newer} now.", last.path);
                let mend = "Set that file as the log path of the jail, or have the service open its log again (logrotate's postrotate).";
                return Some(Step::new("grows", "log_moved", Level::Bad, said).mend(mend));
            }
            if ago < QUIET {
                return Some(Step::ok("grows", format!("The last line is from {} ago.", span(ago))));
            }
            let said = format!("{name} has seen no new log line for {}.", span(ago));
            let mend = "If the service is in use, look whether it still writes to this file; else put this to rest.";
            Some(Step::new("grows", "log_quiet", Level::Unknown, said).seen(last.path.clone()).mend(mend))
        }
        Source::Journal(journal) => match journal.lines {
            Some(0) => {
                let said = format!("The journal holds no recent line for {name}.");
                let mend = "Look whether the service has another name than the journalmatch of the jail says.";
                Some(Step::new("grows", "journal_quiet", Level::Unknown, said).seen(journal.matches.clone()).mend(mend))
            }
            Some(lines) => Some(Step::ok(
                "grows",
                format!("The journal holds {} for it.", count(lines, "recent line", "recent lines")),
            )),
            None => None,
        },
    }
}

/// Whether each of its log files is missing.
fn has_no_log(jail: &JailFacts) -> bool {
    let Source::Files(logs) = &jail.source else { return false };
    !logs.is_empty() && logs.iter().all(|log| log.state == LogState::Missing)
}

/// The filter knows the lines that it should.
pub fn filter(_: &Facts, jail: &JailFacts) -> Option<Step> {
    let name = &jail.name;
    let trial = match &jail.trial {
        Ok(trial) => trial,
        // That there is nothing to try it on was said of its logs.
        Err(_) if has_no_log(jail) => return None,
        Err(why) => {
            let said = format!("The filter of {name} could not be tried on its log.");
            return Some(Step::new("filter", "filter_not_tried", Level::Unknown, said).seen(why.clone()));
        }
    };
    if trial.lines == 0 {
        return Some(Step::ok("filter", "There is no line yet to try the filter on."));
    }
    let lines = count(trial.lines, "line", "lines");
    if trial.missed >= MISSED && trial.matched == 0 {
        let said = format!(
            "The filter of {name} misses what it should find: {} of the last {lines} look like failed logins, and it takes none of them for one.",
            trial.missed
        );
        let mend = "Try the filter on such a line, and mend it; the service may be newer than the filter.";
        let seen = trial.missed_line.clone().unwrap_or_default();
        return Some(Step::new("filter", "filter_misses", Level::Warn, said).seen(seen).mend(mend));
    }
    Some(match trial.matched {
        0 => Step::ok("filter", format!("None of the last {lines} is a failure, and none looks like one.")),
        matched => Step::ok(
            "filter",
            format!("{} of the last {lines} {} a failure.", matched, if matched == 1 { "is" } else { "are" }),
        ),
    })
}

/// The dates of the lines are understood, and are those of this machine's clock.
pub fn dates(_: &Facts, jail: &JailFacts) -> Option<Step> {
    let name = &jail.name;
    let trial: &Trial = jail.trial.as_ref().ok().filter(|trial| trial.lines > 0)?;
    if trial.dated == 0 {
        let said = format!(
            "fail2ban cannot read the dates in the log of {name}, so it does not know when something happened."
        );
        let mend = "Set the datepattern of the jail to the form of these dates.";
        return Some(Step::new("dates", "dates_not_understood", Level::Bad, said).mend(mend));
    }
    let off = trial.other_zone + trial.ahead;
    if off > 0 && off * 2 > trial.matched {
        let (kind, what, mend) = if trial.other_zone >= trial.ahead {
            let mend = "Set logtimezone of the jail to the zone of the log, such as UTC+0000.";
            ("dates_other_zone", "in another time zone than this machine's", mend)
        } else {
            (
                "dates_ahead",
                "ahead of this machine's clock",
                "Compare the clock of the service with that of this machine.",
            )
        };
        let said = format!("The dates in the log of {name} are {what}, so its failures do not count.");
        let seen = format!("{off} of {} failures.", trial.matched);
        return Some(Step::new("dates", kind, Level::Bad, said).seen(seen).mend(mend));
    }
    Some(Step::ok("dates", "The dates of its log are understood."))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn facts() -> Facts {
        Facts { now: NOW, enabled: None, ..Facts::default() }
    }

    fn watching(logs: &[(&str, LogState, i64)]) -> JailFacts {
        let log = |(path, state, ago): &(&str, LogState, i64)| LogFacts {
            path: path.to_string(),
            state: state.clone(),
            changed: NOW - ago,
            newer_beside: None,
        };
        let source = Source::Files(logs.iter().map(log).collect());
        JailFacts { name: "sshd".into(), source, trial: Ok(Trial::default()), ..JailFacts::default() }
    }

    #[track_caller]
    fn expect(step: Option<Step>, kind: &str, level: Level) {
        let step = step.unwrap();
        assert_eq!((step.kind.as_str(), step.level), (kind, level), "{step:?}");
        assert!(step.sentence.ends_with('.') && level >= Level::Ok);
    }

    #[test]
    fn a_log_that_is_not_there_leaves_a_jail_deaf_and_one_of_two_does_not() {
        let there = ("/var/log/a.log", LogState::Readable, 5);
        let gone = ("/var/log/b.log", LogState::Missing, 0);
        expect(logs(&facts(), &watching(&[])), "no_log", Level::Bad);
        expect(logs(&facts(), &watching(std::slice::from_ref(&gone))), "log_missing", Level::Bad);
        expect(logs(&facts(), &watching(&[there.clone(), gone])), "log_missing", Level::Warn);
        expect(logs(&facts(), &watching(&[there])), "ok", Level::Ok);
        let unreadable = ("/x", LogState::Unreadable("Permission denied".into()), 0);
        expect(logs(&facts(), &watching(&[unreadable])), "log_unreadable", Level::Unknown);
        expect(logs(&facts(), &watching(&[("/x", LogState::Elsewhere, 0)])), "log_elsewhere", Level::Unknown);
    }

    #[test]
    fn a_quiet_log_is_not_proven_and_one_that_was_moved_is_bad() {
        expect(grows(&facts(), &watching(&[("/a", LogState::Readable, 60)])), "ok", Level::Ok);
        let mut quiet = watching(&[("/a", LogState::Readable, 9 * 86_400), ("/b", LogState::Readable, 10 * 86_400)]);
        expect(grows(&facts(), &quiet), "log_quiet", Level::Unknown);
        assert!(grows(&facts(), &quiet).unwrap().sentence.contains("9 days"));
        if let Source::Files(logs) = &mut quiet.source {
            logs[0].newer_beside = Some("/a.1".into());
        }
        expect(grows(&facts(), &quiet), "log_moved", Level::Bad);
        assert_eq!(grows(&facts(), &watching(&[("/a", LogState::Missing, 0)])), None);
    }

    #[test]
    fn the_journal_is_missing_unreadable_or_quiet() {
        let mut jail = watching(&[]);
        let mut with = |journal: JournalFacts| {
            jail.source = Source::Journal(journal);
            jail.clone()
        };
        let missing = JournalFacts { is_missing: true, ..JournalFacts::default() };
        expect(logs(&facts(), &with(missing)), "no_journal", Level::Bad);
        let unreadable = JournalFacts { problem: Some("no".into()), ..JournalFacts::default() };
        expect(logs(&facts(), &with(unreadable)), "journal_unreadable", Level::Unknown);
        let quiet = with(JournalFacts { lines: Some(0), ..JournalFacts::default() });
        expect(logs(&facts(), &quiet), "ok", Level::Ok);
        expect(grows(&facts(), &quiet), "journal_quiet", Level::Unknown);
        let busy = with(JournalFacts { lines: Some(7), ..JournalFacts::default() });
        expect(grows(&facts(), &busy), "ok", Level::Ok);
    }

    #[test]
    fn a_filter_that_misses_what_looks_like_failures_is_told_from_one_with_nothing_to_find() {
        let tried = |trial: Trial| JailFacts { trial: Ok(trial), ..watching(&[]) };
        let trial = Trial { lines: 100, dated: 100, ..Trial::default() };
        expect(filter(&facts(), &tried(trial.clone())), "ok", Level::Ok);
        let missed = Trial { missed: 40, ..trial.clone() };
        expect(filter(&facts(), &tried(missed.clone())), "filter_misses", Level::Warn);
        expect(filter(&facts(), &tried(Trial { matched: 5, ..missed })), "ok", Level::Ok);
        expect(filter(&facts(), &tried(Trial { missed: 2, ..trial })), "ok", Level::Ok);
        let untried = JailFacts { trial: Err("It is not below the allowed directories.".into()), ..watching(&[]) };
        expect(filter(&facts(), &untried), "filter_not_tried", Level::Unknown);
        assert_eq!(dates(&facts(), &untried), None);
    }

    #[test]
    fn dates_are_unknown_of_another_zone_or_ahead() {
        let tried = |trial: Trial| JailFacts { trial: Ok(trial), ..watching(&[]) };
        let trial = Trial { lines: 10, dated: 10, matched: 4, ..Trial::default() };
        expect(dates(&facts(), &tried(trial.clone())), "ok", Level::Ok);
        expect(dates(&facts(), &tried(Trial { dated: 0, ..trial.clone() })), "dates_not_understood", Level::Bad);
        expect(dates(&facts(), &tried(Trial { other_zone: 4, ..trial.clone() })), "dates_other_zone", Level::Bad);
        expect(dates(&facts(), &tried(Trial { ahead: 3, ..trial.clone() })), "dates_ahead", Level::Bad);
        expect(dates(&facts(), &tried(Trial { ahead: 1, ..trial })), "ok", Level::Ok);
    }

    #[test]
    fn a_paused_jail_is_named() {
        let jail = JailFacts { rests: true, ..watching(&[]) };
        expect(runs(&facts(), &jail), "paused", Level::Warn);
        expect(runs(&facts(), &watching(&[])), "ok", Level::Ok);
    }
}

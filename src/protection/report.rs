//! All that was found in one look, and the verdict in a sentence.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::finding::{Level, Step};
use super::words::count;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When it was looked, in Unix seconds.
    pub checked_at: i64,
    /// What jails share.
    pub machine: Vec<Step>,
    /// Jail by jail: those that run, and those that should.
    pub jails: Vec<JailReport>,
}

/// What was found of one jail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JailReport {
    /// Its name.
    pub jail: String,
    /// Whether it runs.
    pub runs: bool,
    /// Step by step.
    pub steps: Vec<Step>,
}

/// How it stands, all told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The worst of what is not at rest.
    pub level: Level,
    /// In a sentence or two.
    pub sentence: String,
}

impl Report {
    /// Every finding with its jail, the worst first.
    pub fn findings(&self) -> Vec<(Option<&str>, &Step)> {
        let machine = self.machine.iter().map(|step| (None, step));
        let jails = self.jails.iter().flat_map(|own| own.steps.iter().map(|step| (Some(own.jail.as_str()), step)));
        let mut all: Vec<(Option<&str>, &Step)> =
            machine.chain(jails).filter(|(_, step)| step.level != Level::Ok).collect();
        all.sort_by_key(|(_, step)| std::cmp::Reverse(step.level));
        all
    }

    /// How many checks were made, and how many of them came out well.
    pub fn counts(&self) -> (usize, usize) {
        let steps = || self.machine.iter().chain(self.jails.iter().flat_map(|own| own.steps.iter()));
        (steps().count(), steps().filter(|step| step.level == Level::Ok).count())
    }

    /// How many jails watch, of how many that should.
    pub fn watching(&self) -> (usize, usize) {
        let is_watching = |own: &&JailReport| own.runs && own.steps.iter().all(|step| step.level < Level::Bad);
        (self.jails.iter().filter(is_watching).count(), self.jails.len())
    }

    /// The verdict; what is at rest does not count.
    pub fn verdict(&self, is_at_rest: &dyn Fn(&str) -> bool) -> Verdict {
        let all = self.findings();
        let open: Vec<&(Option<&str>, &Step)> =
            all.iter().filter(|(jail, step)| !is_at_rest(&step.finding_id(*jail))).collect();
        let level = open.iter().map(|(_, step)| step.level).max().unwrap_or(Level::Ok);
        let worst = open.iter().find(|(_, step)| step.level == level);
        let (watching, jails) = self.watching();
        let sentence = match (level, worst) {
            (Level::Bad, Some((jail, step))) => self.not_protected(*jail, step, &open),
            (Level::Warn, Some((_, step))) => {
                let number = open.iter().filter(|(_, step)| step.level == Level::Warn).count();
                format!("Protected, with {} to look at. {}", count(number, "thing", "things"), step.sentence)
            }
            (Level::Unknown, Some((None, step))) if self.jails.is_empty() => step.sentence.clone(),
            (Level::Unknown, Some((_, step))) => {
                format!("Probably protected. {} watching. {}", are(watching), step.sentence)
            }
            _ => format!("Protected. {watching} of {} watching{}.", are(jails), self.bans_in_words()),
        };
        Verdict { level, sentence }
    }

    fn not_protected(&self, jail: Option<&str>, step: &Step, open: &[&(Option<&str>, &Step)]) -> String {
        let Some(jail) = jail else { return format!("Not protected: {}", step.sentence) };
        let mut others: Vec<&str> =
            open.iter().filter(|(_, step)| step.level == Level::Bad).filter_map(|(own, _)| *own).collect();
        others.retain(|own| *own != jail);
        others.dedup();
        let more = match others.len() {
            0 => String::new(),
            number => format!(" and {}", count(number, "other jail", "other jails")),
        };
        format!("Not protected: {jail}{more}. {}", step.sentence)
    }

    /// What is known of the bans of all jails together.
    fn bans_in_words(&self) -> &'static str {
        let bans = || self.jails.iter().flat_map(|own| own.steps.iter()).filter(|step| step.check == "bans");
        let are_seen = bans().any(|step| step.level == Level::Ok && step.sentence.starts_with("The packet filter"));
        let are_all = bans().count() == self.jails.len() && bans().all(|step| step.level == Level::Ok);
        match (are_seen, are_all) {
            (true, true) => ", and their bans are in the packet filter",
            (false, true) => ", and nobody is banned",
            _ => "",
        }
    }

    /// The report of one jail.
    pub fn jail(&self, name: &str) -> Option<&JailReport> {
        self.jails.iter().find(|own| own.jail == name)
    }
}

impl JailReport {
    /// How it stands, by what is not at rest.
    pub fn shown(&self, checked_at: &str, is_at_rest: &dyn Fn(&str) -> bool) -> Value {
        let open = |step: &&Step| step.level != Level::Ok && !is_at_rest(&step.finding_id(Some(&self.jail)));
        let worst = self.steps.iter().filter(open).max_by_key(|step| step.level);
        let sentence = match worst {
            Some(step) => step.sentence.clone(),
            None => format!("{} works, as far as was looked at.", self.jail),
        };
        let steps: Vec<Value> = self.steps.iter().map(|step| step.shown(&self.jail)).collect();
        json!({
            "jail": self.jail, "level": worst.map_or(Level::Ok, |step| step.level), "sentence": sentence,
            "checked_at": checked_at, "steps": steps,
        })
    }
}

fn are(jails: usize) -> String {
    format!("{} {}", count(jails, "jail", "jails"), if jails == 1 { "is" } else { "are" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(steps: Vec<Step>) -> Report {
        let ok = vec![Step::ok("bans", "Nobody is banned.")];
        let jails = vec![
            JailReport { jail: "sshd".into(), runs: true, steps },
            JailReport { jail: "web".into(), runs: true, steps: ok },
        ];
        Report { checked_at: 0, machine: vec![Step::ok("daemon", "fail2ban answers.")], jails }
    }

    fn said(report: &Report) -> (Level, String) {
        let verdict = report.verdict(&|_| false);
        (verdict.level, verdict.sentence)
    }

    #[test]
    fn the_verdict_is_the_worst_that_is_not_at_rest() {
        let good = report(vec![Step::ok("bans", "The packet filter keeps out the 2 banned addresses.")]);
        let green = "Protected. 2 of 2 jails are watching, and their bans are in the packet filter.";
        assert_eq!(said(&good), (Level::Ok, green.into()));
        let quiet = Step::new("grows", "log_quiet", Level::Unknown, "Quiet.");
        let paused = Step::new("runs", "paused", Level::Warn, "It is paused.");
        let through = Step::new("holds", "gets_through", Level::Bad, "It gets through.");
        let grey = report(vec![quiet.clone()]);
        assert_eq!(said(&grey), (Level::Unknown, "Probably protected. 2 jails are watching. Quiet.".into()));
        let amber = report(vec![quiet.clone(), paused.clone()]);
        assert_eq!(said(&amber), (Level::Warn, "Protected, with 1 thing to look at. It is paused.".into()));
        let red = report(vec![quiet, paused, through]);
        assert_eq!(said(&red), (Level::Bad, "Not protected: sshd. It gets through.".into()));
        let verdict = red.verdict(&|id| id == "gets_through:sshd");
        assert_eq!(verdict.level, Level::Warn);
        assert_eq!(red.verdict(&|_| true).level, Level::Ok);
        assert_eq!((red.counts(), red.watching()), ((5, 2), (1, 2)));
    }

    #[test]
    fn what_jails_share_is_said_without_a_jail() {
        let mut away = report(vec![]);
        away.machine = vec![Step::new("daemon", "daemon_away", Level::Bad, "fail2ban is not running.")];
        assert_eq!(said(&away).1, "Not protected: fail2ban is not running.");
    }
}

//! Whether this machine is protected, as it was last looked: kept in memory, beside the findings that somebody has put to rest, which are stored.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::domain::actor::Actor;
use crate::domain::json;
use crate::domain::time;
use crate::protection::{Level, Report, Verdict};
use crate::store;

/// The setting that holds what is at rest.
const SETTING: &str = "rested_findings";
/// How many findings can be at rest.
pub const MOST: usize = 100;
/// How long after the start it is looked for the first time, unless somebody asks before.
const FIRST: Duration = Duration::from_secs(60);
/// How often it is looked.
const AGAIN: Duration = Duration::from_secs(300);
/// How soon after something changed: one change seldom comes alone.
const SOON: Duration = Duration::from_secs(2);
/// A look that is not back after this has failed.
const LOST: Duration = Duration::from_secs(40);

/// A finding that somebody has put to rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rest {
    /// The finding.
    pub id: String,
    /// Why.
    pub note: String,
    /// Until when, in Unix seconds; `None` for ever.
    pub until: Option<i64>,
    /// Since when.
    pub at: i64,
    /// Who did so.
    pub actor: Actor,
}

/// What is known.
#[derive(Debug)]
pub struct Protection {
    /// What was found last.
    pub report: Option<Report>,
    rests: Vec<Rest>,
    due: Instant,
    /// A child looks since then.
    looking: Option<Instant>,
}

impl Protection {
    /// What is stored; nothing was looked at yet.
    pub fn of(store: &store::Store, now: Instant) -> Result<Protection, store::Error> {
        let stored = store.setting(SETTING)?;
        // What this program wrote it can read.
        let rests = stored.and_then(|text| json::read(&text).ok()).unwrap_or_default();
        Ok(Protection { report: None, rests, due: now + FIRST, looking: None })
    }

    /// Something may be different now: it is looked again soon, where it was looked before.
    pub fn doubt(&mut self) {
        if self.report.is_some() {
            self.due = self.due.min(Instant::now() + SOON);
        }
    }

    /// When it is looked next.
    pub fn due(&self) -> Instant {
        self.looking.map_or(self.due, |since| self.due.max(since + LOST))
    }

    /// Whether a child looks just now.
    pub fn is_looking(&self, now: Instant) -> bool {
        self.looking.is_some_and(|since| now < since + LOST)
    }

    /// A child begins to look.
    pub fn begin(&mut self, now: Instant) {
        self.looking = Some(now);
        self.due = now + AGAIN;
    }

    /// It has looked.
    pub fn take(&mut self, report: Report) {
        self.looking = None;
        // Of two that looked at the same time, the later one counts.
        if self.report.as_ref().is_none_or(|own| own.checked_at <= report.checked_at) {
            self.report = Some(report);
        }
    }

    /// The rest of a finding, where it is at rest.
    pub fn rest_of(&self, id: &str) -> Option<&Rest> {
        let now = time::now();
        self.rests.iter().find(|rest| rest.id == id && rest.until.is_none_or(|until| until > now))
    }

    /// Puts a finding to rest, or takes that back, and writes it down. `false` where there is no room.
    pub fn set(&mut self, store: &mut store::Store, id: &str, rest: Option<Rest>) -> Result<bool, store::Error> {
        let now = time::now();
        let mut rests = self.rests.clone();
        rests.retain(|own| own.id != id && own.until.is_none_or(|until| until > now));
        rests.extend(rest);
        if rests.len() > MOST {
            return Ok(false);
        }
        store.set_settings(&[(SETTING, &json!(rests).to_string())])?;
        self.rests = rests;
        Ok(true)
    }

    /// Whether there is such a finding.
    pub fn has(&self, id: &str) -> bool {
        self.report.iter().flat_map(Report::findings).any(|(jail, step)| step.finding_id(jail) == id)
    }

    /// The verdict; not looked yet is not known.
    pub fn verdict(&self) -> Verdict {
        match &self.report {
            Some(report) => report.verdict(&|id| self.rest_of(id).is_some()),
            None => Verdict { level: Level::Unknown, sentence: "Not looked yet.".to_owned() },
        }
    }

    /// As it is shown.
    pub fn shown(&self) -> Value {
        let verdict = self.verdict();
        let findings = self.report.as_ref().map(Report::findings).unwrap_or_default();
        let findings: Vec<Value> = findings
            .into_iter()
            .map(|(jail, step)| {
                let id = step.finding_id(jail);
                let rest = self.rest_of(&id).map(shown);
                json!({
                    "id": id, "level": step.level, "jail": jail, "sentence": step.sentence, "detail": step.detail,
                    "remedy": step.remedy, "rest": rest,
                })
            })
            .collect();
        let rested = findings.iter().filter(|finding| !finding["rest"].is_null()).count();
        let (steps, ok) = self.report.as_ref().map_or((0, 0), Report::counts);
        let (watching, jails) = self.report.as_ref().map_or((0, 0), Report::watching);
        json!({
            "level": verdict.level, "sentence": verdict.sentence,
            "checked_at": self.report.as_ref().map(|report| time::rfc3339(report.checked_at)),
            "findings": findings, "rested": rested,
            "checked": { "jails": jails, "watching": watching, "steps": steps, "ok": ok },
        })
    }

    /// One jail as it is shown; `None` where the last look knew no such jail.
    pub fn jail(&self, name: &str) -> Option<Value> {
        let report = self.report.as_ref()?;
        let at = time::rfc3339(report.checked_at);
        Some(report.jail(name)?.shown(&at, &|id| self.rest_of(id).is_some()))
    }
}

/// A rest as it is shown.
fn shown(rest: &Rest) -> Value {
    json!({
        "note": rest.note, "until": rest.until.map(time::rfc3339), "at": time::rfc3339(rest.at), "actor": rest.actor,
    })
}

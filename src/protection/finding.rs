//! What a check says: how bad it is, in one sentence, what was seen, and what mends it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How good or bad something is; the later, the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It was looked at and is as it should be.
    Ok,
    /// It could not be looked at, or nothing shows yet whether it works.
    Unknown,
    /// It should be looked at.
    Warn,
    /// It does not protect.
    Bad,
}

impl Level {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Unknown => "unknown",
            Level::Warn => "warn",
            Level::Bad => "bad",
        }
    }
}

/// A request that mends it, for a button.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Press {
    /// `POST` and so on.
    pub method: String,
    /// The path with `/api/v1`.
    pub path: String,
    /// The body; null where there is none.
    pub body: Option<Value>,
}

/// What mends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remedy {
    /// In words.
    pub text: String,
    /// And as a request, where that is safe.
    pub request: Option<Press>,
}

/// What one check came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What was looked at: `logs`, `filter` and so on.
    pub check: String,
    /// What was found there, such as `log_missing`; the same word wherever it is found.
    pub kind: String,
    /// How bad it is.
    pub level: Level,
    /// One sentence for a person who is no expert.
    pub sentence: String,
    /// What was seen; empty where the sentence says all.
    pub detail: String,
    /// What mends it.
    pub remedy: Option<Remedy>,
}

impl Step {
    /// All is well.
    pub fn ok(check: &str, sentence: impl Into<String>) -> Step {
        Step::new(check, "ok", Level::Ok, sentence)
    }

    /// Something was found.
    pub fn new(check: &str, kind: &str, level: Level, sentence: impl Into<String>) -> Step {
        let (check, kind) = (check.to_owned(), kind.to_owned());
        Step { check, kind, level, sentence: sentence.into(), detail: String::new(), remedy: None }
    }

    /// With what was seen.
    pub fn seen(mut self, detail: impl Into<String>) -> Step {
        self.detail = detail.into();
        self
    }

    /// With what mends it.
    pub fn mend(mut self, text: impl Into<String>) -> Step {
        self.remedy = Some(Remedy { text: text.into(), request: None });
        self
    }

    /// With a POST that does so.
    pub fn press(mut self, path: String) -> Step {
        if let Some(remedy) = &mut self.remedy {
            remedy.request = Some(Press { method: "POST".into(), path, body: None });
        }
        self
    }

    /// The name under which it can be put to rest.
    pub fn finding_id(&self, jail: Option<&str>) -> String {
        match jail {
            Some(jail) => format!("{}:{jail}", self.kind),
            None => self.kind.clone(),
        }
    }

    /// As a step of its jail.
    pub fn shown(&self, jail: &str) -> Value {
        let finding = (self.level != Level::Ok).then(|| self.finding_id(Some(jail)));
        json!({
            "id": self.check, "level": self.level, "sentence": self.sentence, "detail": self.detail,
            "remedy": self.remedy, "finding": finding,
        })
    }
}

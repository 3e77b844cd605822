//! The child processes that speak for Python and fail2ban.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Deserialize;
use serde_json::json;

use crate::harness::release::Release;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/pattern");
/// The zone that the annotations of the sample logs are written for. Upstream's harness says `CET-01CEST-02`, without the rules
/// for the change to summer time; the annotations follow Europe's, so we and Python both get these.
pub const SAMPLE_ZONE: &str = "CET-1CEST-2,M3.5.0,M10.5.0/3";

/// The interpreter that fail2ban itself runs on.
pub fn python() -> Command {
    Release::under_test().python()
}

/// An expanded filter as the installed fail2ban reads it.
#[derive(Clone, Debug, Deserialize)]
pub struct Expanded {
    pub name: String,
    pub options: serde_json::Value,
    pub prefregex: Option<String>,
    pub failregex: Vec<String>,
    pub ignoreregex: Vec<String>,
    pub maxlines: usize,
    pub datepattern: Option<String>,
    #[serde(default)]
    pub journal: bool,
    #[serde(default)]
    pub lines: Vec<Sample>,
}

/// A sample line with its annotation.
#[derive(Clone, Debug, Deserialize)]
pub struct Sample {
    pub line: String,
    pub at: String,
    pub note: serde_json::Map<String, serde_json::Value>,
    pub time: Option<f64>,
}

/// Every filter: with samples once for each set of options that the samples name, and as installed.
#[derive(Deserialize)]
pub struct Export {
    pub filters: Vec<Expanded>,
    pub stock: Vec<Expanded>,
}

/// Asks the installed fail2ban for its filters and samples.
pub fn export() -> Export {
    let output =
        python().arg(format!("{DATA}/export_filters.py")).env("TZ", SAMPLE_ZONE).output().expect("python3 runs");
    assert!(output.status.success(), "is fail2ban installed? {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the export is JSON")
}

/// Positions of a match and its groups, in characters.
pub type Spans = Vec<Option<(usize, usize)>>;

/// What Python says of one pattern.
pub enum Verdict {
    /// It does not compile.
    Refused(String),
    /// The texts with a match; `None` for a search that took too long.
    Found { names: BTreeMap<String, usize>, found: BTreeMap<usize, Option<Spans>> },
}

/// A Python process that answers questions.
pub struct Oracle {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Oracle {
    /// For `re`.
    pub fn start() -> Oracle {
        Oracle::of("oracle.py")
    }

    /// For fail2ban's date detector.
    pub fn dates() -> Oracle {
        Oracle::of("oracle_dates.py")
    }

    /// For how long `re` takes.
    pub fn times() -> Oracle {
        Oracle::of("oracle_time.py")
    }

    /// For fail2ban's filter.
    pub fn filters() -> Oracle {
        Oracle::of("oracle_filter.py")
    }

    fn of(script: &str) -> Oracle {
        let mut child = python()
            .arg(format!("{DATA}/{script}"))
            .env("TZ", SAMPLE_ZONE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs");
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Oracle { child, input, output }
    }

    pub fn ask(&mut self, request: &serde_json::Value) -> serde_json::Value {
        writeln!(self.input, "{request}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line} for {request}"))
    }

    /// Sets the texts that `search` searches when given none.
    pub fn share(&mut self, texts: &[String]) {
        self.ask(&json!({ "texts": texts }));
    }

    pub fn search(&mut self, pattern: &str, multiline: bool, texts: Option<&[String]>) -> Verdict {
        let answer = self.ask(&json!({ "pattern": pattern, "multiline": multiline, "texts": texts }));
        if let Some(error) = answer.get("error") {
            return Verdict::Refused(error.as_str().unwrap().to_string());
        }
        let found: Vec<(usize, serde_json::Value)> = serde_json::from_value(answer["found"].clone()).unwrap();
        Verdict::Found {
            names: serde_json::from_value(answer["names"].clone()).unwrap(),
            found: found.into_iter().map(|(index, spans)| (index, serde_json::from_value(spans).ok())).collect(),
        }
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

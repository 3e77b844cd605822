//! Looks for everything in a configuration that the daemon would refuse in the middle of a reload, which would cost it its jails.
//!
//! It reads files and compiles expressions; it asks no daemon. What only the daemon can know, the name of an encoding for example, is found
//! by the reload itself and undone.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::plan::Scope;
use crate::conf::{self, JailView, Origin, Stream, StreamOptions, Tree, Value, time};
use crate::pattern::date::{Clock, DateDetector};
use crate::pattern::{FailRegex, PatternError, UseDns};

/// Something that the daemon would refuse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The jail, where it is one jail's.
    pub jail: Option<String>,
    /// The file, where it is known.
    pub file: Option<String>,
    /// Its line, from 1.
    pub line: Option<u32>,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(jail) = &self.jail {
            write!(f, "jail '{jail}': ")?;
        }
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, "{file}:{line}: {}", self.reason),
            (Some(file), None) => write!(f, "{file}: {}", self.reason),
            _ => f.write_str(&self.reason),
        }
    }
}

impl From<conf::Error> for Problem {
    fn from(error: conf::Error) -> Problem {
        let reason = error.to_string();
        let (file, line) = match &error {
            conf::Error::Syntax { file, line, message } => {
                return Problem { jail: None, file: Some(file.clone()), line: Some(*line), reason: message.clone() };
            }
            conf::Error::Interpolation { place, section, option, message } => {
                let Some((file, line)) = place.rsplit_once(':') else {
                    return Problem { jail: None, file: None, line: None, reason };
                };
                // The place is told once.
                let reason = format!("option '{option}' of [{section}]: {message}");
                return Problem { jail: None, file: Some(file.to_owned()), line: line.parse().ok(), reason };
            }
            conf::Error::Io { path, .. } => (Some(path.clone()), None),
            conf::Error::Definition { jail: Some(jail), subject, message } => {
                let reason = if subject.is_empty() { message.clone() } else { format!("{subject}: {message}") };
                return Problem { jail: Some(jail.clone()), file: None, line: None, reason };
            }
            _ => (None, None),
        };
        Problem { jail: None, file, line, reason }
    }
}

/// Checks all enabled jails of the scope.
pub fn check(tree: &Tree, options: &StreamOptions, scope: &Scope) -> Result<(), Problem> {
    match scope {
        Scope::All => {
            let stream = tree.stream(options);
            if let Some(odd) = tree.odd_file() {
                return Err(odd.into());
            }
            let stream = stream?;
            server_times(&stream)?;
            check_stream(tree, options, &stream)
        }
        Scope::Jails(jails) => {
            tree.server(&options.version)?;
            let known = tree.jails();
            for jail in jails.iter().filter(|jail| known.iter().any(|name| **name == ***jail)) {
                let options = StreamOptions { only: Some(jail.clone()), ..options.clone() };
                check_stream(tree, &options, &tree.stream(&options)?)?;
            }
            Ok(())
        }
    }
}

/// Why an enabled jail would run and hear nothing: the daemon takes it without a word. One without expressions only holds what is banned by
/// hand, and one that reads the whole journal because nothing else is named may mean it.
pub fn deaf(tree: &Tree, options: &StreamOptions, jail: &str) -> Option<Problem> {
    let view = tree.jail(jail, options).ok().filter(|view| view.enabled && view.problem.is_none())?;
    let says = |word: &str| {
        view.commands.iter().any(|command| matches!(command.as_slice(), [_, _, Value::Str(own), ..] if **own == *word))
    };
    let has_logs = view.effective.get("logpath").is_some_and(|value| !value.to_text().trim().is_empty());
    let reason = match reads_journal(&view) {
        _ if !says("addfailregex") => return None,
        true if has_logs && !says("addjournalmatch") => {
            "backend: systemd reads none of the jail's log files, and no journalmatch says what of the journal it is to read; \
             set backend to auto, or leave the log paths out and give it a journalmatch"
        }
        false if !has_logs => {
            "logpath: the jail would have nothing to read; give it log paths, or a journalmatch and the backend systemd"
        }
        _ => return None,
    };
    let (option, reason) = reason.split_once(": ")?;
    Some(located(tree, options, jail, option, reason.to_owned()))
}

/// Whether the jail reads the systemd journal, rather than files.
pub(super) fn reads_journal(view: &JailView) -> bool {
    let backend = view.effective.get("backend").map(|value| value.to_text().to_ascii_lowercase());
    backend.is_some_and(|backend| backend.starts_with("systemd"))
}

fn check_stream(tree: &Tree, options: &StreamOptions, stream: &Stream) -> Result<(), Problem> {
    if let Some((jail, reason)) = stream.skipped.first() {
        return Err(Problem { jail: Some(jail.to_string()), file: None, line: None, reason: reason.clone() });
    }
    for jail in &stream.jails {
        let commands = Commands::of(stream, jail);
        if let Err((option, reason)) = commands.check() {
            return Err(located(tree, options, jail, option, reason));
        }
    }
    Ok(())
}

fn server_times(stream: &Stream) -> Result<(), Problem> {
    for command in &stream.commands {
        if let [Value::Str(set), Value::Str(word), value] = command.as_slice()
            && (&**set, &**word) == ("set", "dbpurgeage")
        {
            let reason = time::seconds(&value.to_text()).err();
            if let Some(reason) = reason {
                let reason = format!("dbpurgeage: {reason}");
                return Err(Problem { jail: None, file: None, line: None, reason });
            }
        }
    }
    Ok(())
}

/// Where an option of a jail, or of its filter, was written.
fn located(tree: &Tree, options: &StreamOptions, jail: &str, option: &str, reason: String) -> Problem {
    let view = tree.jail(jail, options).ok();
    let own = view.as_ref().and_then(|view| view.option(option)).and_then(|option| option.origin.clone());
    let backend = || {
        let backend = view.as_ref()?.effective.get("backend")?;
        Some(backend.to_text().into_owned())
    };
    let of_filter = || -> Option<Origin> {
        let filter = tree.filter(view.as_ref()?.filter.as_ref()?, &backend()?).ok()?;
        filter.option(option)?.origin.clone()
    };
    let origin = own.or_else(of_filter);
    Problem {
        jail: Some(jail.to_owned()),
        file: origin.as_ref().map(|origin| origin.file.to_string()),
        line: origin.map(|origin| origin.line),
        reason: format!("{option}: {reason}"),
    }
}

/// The commands of one jail: word and values.
struct Commands<'s>(Vec<(&'s str, Vec<&'s Value>)>);

/// The option that is wrong, and why.
type Wrong = (&'static str, String);

impl<'s> Commands<'s> {
    fn of(stream: &'s Stream, jail: &str) -> Commands<'s> {
        let mut own = Vec::new();
        for command in &stream.commands {
            if let [Value::Str(verb), Value::Str(name), Value::Str(word), values @ ..] = command.as_slice()
                && matches!(&**verb, "set" | "multi-set")
                && **name == *jail
            {
                let values = values.iter().flat_map(|value| match value {
                    Value::List(items) if &**verb == "multi-set" => items.iter().collect(),
                    other => vec![other],
                });
                own.push((&**word, values.collect()));
            }
        }
        Commands(own)
    }

    fn texts(&self, word: &str) -> Vec<String> {
        let own = self.0.iter().filter(|(own, _)| *own == word);
        own.flat_map(|(_, values)| values.iter().map(|value| value.to_text().into_owned())).collect()
    }

    /// The last one counts.
    fn text(&self, word: &str) -> Option<String> {
        self.texts(word).pop()
    }

    fn check(&self) -> Result<(), Wrong> {
        self.numbers()?;
        self.actions()?;
        self.patterns()
    }

    /// A reload takes the second of two actions for the first one; a start refuses it, and with it everything else.
    fn actions(&self) -> Result<(), Wrong> {
        let names = self.0.iter().filter(|(word, _)| *word == "addaction");
        let names: Vec<&&Value> = names.filter_map(|(_, values)| values.first()).collect();
        let again = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name));
        again.map_or(Ok(()), |(_, name)| {
            let name = name.to_text();
            let reason = format!(
                "two actions are called '{name}', and fail2ban would not start; give one of them another name with [actname=...]"
            );
            Err(("action", reason))
        })
    }

    fn numbers(&self) -> Result<(), Wrong> {
        for word in ["bantime", "findtime", "bantime.maxtime", "bantime.rndtime"] {
            for text in self.texts(word).iter().filter(|text| !text.is_empty()) {
                time::seconds(text).map_err(|reason| (word, reason))?;
            }
        }
        for word in ["maxretry", "maxmatches", "maxlines"] {
            for text in self.texts(word) {
                let number: Result<i64, _> = text.trim().parse();
                number.map_err(|_| (word, "a whole number is expected".to_owned()))?;
            }
        }
        for text in self.texts("bantime.factor").iter().filter(|text| !text.is_empty()) {
            let number: Result<f64, _> = text.trim().parse();
            number.map_err(|_| ("bantime.factor", format!("'{text}' is not a number")))?;
        }
        for text in self.texts("bantime.multipliers").iter().filter(|text| !text.is_empty()) {
            let are_numbers = text.split(' ').all(|number| number.parse::<i64>().is_ok());
            if !are_numbers {
                return Err((
                    "bantime.multipliers",
                    "whole numbers with one blank between them are expected".to_owned(),
                ));
            }
        }
        Ok(())
    }

    fn patterns(&self) -> Result<(), Wrong> {
        let use_dns = self.text("usedns").map_or_else(UseDns::default, |text| UseDns::of(&text));
        let multi_line = self.text("maxlines").is_some_and(|lines| lines.parse().is_ok_and(|lines: i64| lines > 1));
        let prefregex = self.text("prefregex").filter(|text| !text.is_empty());
        let compiled = match &prefregex {
            Some(text) => refused(FailRegex::new(text, use_dns, false)).map_err(|reason| ("prefregex", reason))?,
            None => None,
        };
        // One that only the daemon understands may hold the failure-id.
        let is_unknown = prefregex.is_some() && compiled.is_none();
        for text in self.texts("addfailregex").into_iter().chain(self.texts("failregex")) {
            let regex = match is_unknown {
                true => FailRegex::new(&text, use_dns, multi_line),
                false => FailRegex::failure(&text, use_dns, multi_line, compiled.as_ref()),
            };
            refused(regex).map_err(|reason| ("failregex", format!("'{text}': {reason}")))?;
        }
        for text in self.texts("addignoreregex").into_iter().chain(self.texts("ignoreregex")) {
            let regex = FailRegex::new(&text, use_dns, false);
            refused(regex).map_err(|reason| ("ignoreregex", format!("'{text}': {reason}")))?;
        }
        let (dates, zone) = (self.text("datepattern"), self.text("logtimezone"));
        let dates = DateDetector::new(dates.as_deref(), zone.as_deref(), Clock::utc());
        refused(dates).map_err(|reason| ("datepattern", reason))?;
        Ok(())
    }
}

/// What the daemon would refuse, too; limits of our own are no reason to refuse a file.
fn refused<T>(result: Result<T, PatternError>) -> Result<Option<T>, String> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.daemon_refuses() => Err(error.to_string()),
        Err(_) => Ok(None),
    }
}

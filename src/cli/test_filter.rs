//! `bangui test-filter`: what a filter as a whole makes of each line of a log.
//!
//! `command` reads the filter from the configuration, `run` does the test. Memory stays bounded whatever the log: lines are read one
//! by one, and what is longer than the limit of `pattern` is cut and reported as too long.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use super::invocation::{Failure, Invocation};
use crate::conf::{self, Tree};
use crate::domain::names::ConfName;
use crate::jobs::expressions::Expressions;
use crate::pattern::date::Clock;
use crate::pattern::{Filter, FilterDefinition, FilterError, LineReport, MAX_TEXT_BYTES, Warning, warnings};
use crate::zones;

/// Lines without a match that the summary shows.
const SHOWN_MISSED: usize = 20;
/// Kinds of dates that the summary shows.
const SHOWN_DATES: usize = 10;

/// Why a test could not be done.
#[derive(Debug)]
pub enum TestError {
    /// An expression of the filter was refused.
    Filter(FilterError),
    /// The log could not be read, or the result not written.
    Io(io::Error),
}

impl std::fmt::Display for TestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TestError::Filter(error) => write!(f, "the filter cannot be used: {error}"),
            TestError::Io(error) => write!(f, "cannot go on reading or writing: {error}"),
        }
    }
}

impl std::error::Error for TestError {}

impl From<io::Error> for TestError {
    fn from(error: io::Error) -> TestError {
        TestError::Io(error)
    }
}

/// What became of the lines, counted as `fail2ban-regex` counts.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All, but for blank ones and those that begin with `#`.
    pub lines: usize,
    /// Part of a failure, or of one whose host is not known yet.
    pub matched: usize,
    /// Taken out by an ignoreregex, or no failure by themselves.
    pub ignored: usize,
    /// The rest.
    pub missed: usize,
}

/// `bangui test-filter NAME[options] [--json] FILE|-`
pub fn command(invocation: &Invocation) -> Result<(), Failure> {
    let [called, file] = invocation.arguments.as_slice() else {
        return Err(Failure::usage("test-filter takes a filter and a log: bangui test-filter NAME[options] FILE|-"));
    };
    let mut definition = definition(&invocation.config()?.fail2ban_config, called, invocation.option("as-version"))?;
    if let Some(zone) = invocation.option("log-timezone") {
        definition.logtimezone = Some(zone.to_owned());
    }
    if let Some(text) = invocation.option("find-time") {
        definition.findtime = Some(find_time(text)?);
    }
    let json = invocation.option("json").is_some();
    let mut output = io::stdout().lock();
    // Logs are written in the machine's own zone.
    let clock = Clock::of(zones::local());
    let done = if file == "-" {
        run(&definition, clock, json, &mut io::stdin().lock(), &mut output)
    } else {
        let log = File::open(file).map_err(|error| super::invocation::cannot_read(Path::new(file), &error))?;
        run(&definition, clock, json, &mut BufReader::new(log), &mut output)
    };
    match done {
        // A reader that left early, such as `head`, has seen enough.
        Err(TestError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map(drop).map_err(|error| Failure::failed(error.to_string())),
    }
}

/// A find time, such as `1d 12h` or a number of seconds.
fn find_time(text: &str) -> Result<u32, Failure> {
    let seconds =
        conf::time::seconds(text).map_err(|reason| Failure::usage(format!("--find-time: {reason}")))?.as_f64();
    if !(0.0..=f64::from(u32::MAX)).contains(&seconds) {
        return Err(Failure::usage(format!("--find-time: {text:?} is no time from 0 to 136 years")));
    }
    Ok(seconds as u32)
}

/// The filter that the configuration in `directory` has for `sshd` or `sshd[mode=aggressive]`, as this version of fail2ban reads it; `None`
/// for the installed one.
fn definition(directory: &Path, called: &str, version: Option<&str>) -> Result<FilterDefinition, Failure> {
    let version = super::dump_config::version(version);
    let wrong = |reason: String| Failure::usage(format!("{called:?} names no filter: {reason}"));
    let invocation = conf::invocation_as(called, &version).map_err(wrong)?;
    invocation.name.parse::<ConfName>().map_err(|error| wrong(error.to_string()))?;
    let failed = |error: conf::Error| Failure::failed(error.to_string());
    let view =
        Tree::load(directory).and_then(|tree| tree.read_as(version).filter(&invocation, "auto")).map_err(failed)?;
    view.filter_definition().map_err(Failure::failed)
}

/// Tests every line of `input` and writes the result: with `json` an object per line, else a summary.
pub fn run(
    definition: &FilterDefinition,
    clock: Clock,
    json: bool,
    input: &mut dyn BufRead,
    output: &mut dyn Write,
) -> Result<Counts, TestError> {
    let filter = Filter::new(definition, clock).map_err(TestError::Filter)?;
    // A summary says of every expression how often it matches; an object is what the daemon makes of the line.
    let mut filter = filter.try_all(!json).keep_date(!json);
    let mut summary = Summary::default();
    while let Some(line) = read_line(input)? {
        let shown = line.trim_end_matches('\r');
        if !json && (shown.is_empty() || shown.starts_with('#')) {
            continue;
        }
        let report = LineReport::of(&mut filter, &line);
        if json {
            serde_json::to_writer(&mut *output, &report).map_err(io::Error::from)?;
            output.write_all(b"\n")?;
        }
        summary.add(report);
    }
    if !json {
        summary.print(&filter, definition, output)?;
    }
    output.flush()?;
    Ok(summary.counts)
}

/// The next line without its end; of one that is too long, just enough to be refused for it. Bytes that are no UTF-8 are replaced.
fn read_line(input: &mut dyn BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let mut any = false;
    loop {
        let chunk = match input.fill_buf() {
            Ok(chunk) => chunk,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if chunk.is_empty() {
            break;
        }
        any = true;
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let part = &chunk[..end.unwrap_or(chunk.len())];
        let room = MAX_TEXT_BYTES.saturating_sub(line.len());
        line.extend_from_slice(&part[..part.len().min(room)]);
        let used = end.map_or(chunk.len(), |end| end + 1);
        input.consume(used);
        if end.is_some() {
            break;
        }
    }
    Ok(any.then(|| String::from_utf8_lossy(&line).into_owned()))
}

#[derive(Default)]
struct Summary {
    counts: Counts,
    failregex: BTreeMap<usize, usize>,
    ignoreregex: BTreeMap<usize, usize>,
    /// Lines that prefregex matched, and whether it did so last.
    prefixed: usize,
    prefixed_last: bool,
    /// Lines that match at an odd time, with the first that says why.
    odd: usize,
    odd_hint: Option<String>,
    /// Lines with a date, by the name of the template that found it.
    dates: BTreeMap<String, usize>,
    missed: Vec<(String, Option<String>)>,
}

impl Summary {
    fn add(&mut self, report: LineReport) {
        let tally = &report.tally;
        self.counts.lines += 1;
        // Where it was not searched, fail2ban-regex counts what it made of the line before.
        self.prefixed_last = report.prefregex.unwrap_or(self.prefixed_last);
        self.prefixed += usize::from(self.prefixed_last);
        if let Some(template) = &report.template {
            *self.dates.entry(template.clone()).or_default() += 1;
        }
        for (counts, found) in [(&mut self.failregex, &tally.failregex), (&mut self.ignoreregex, &tally.ignoreregex)] {
            for index in found {
                *counts.entry(*index).or_default() += 1;
            }
        }
        if report.time_problem.is_some() {
            self.odd += 1;
            self.odd_hint.get_or_insert_with(|| report.hint.clone().unwrap_or_default());
        }
        // The lines before that belong to the match were missed when they came, and are the last that were.
        let taken = tally.taken.min(self.counts.missed);
        self.counts.matched += taken;
        self.counts.missed -= taken;
        if self.counts.missed < self.missed.len() {
            self.missed.truncate(self.counts.missed);
        }
        if tally.ignored {
            self.counts.ignored += 1;
        } else if tally.matched {
            self.counts.matched += 1;
        } else {
            self.counts.missed += 1;
            if self.missed.len() < SHOWN_MISSED {
                self.missed.push((report.line, report.hint));
            }
        }
    }

    fn print(&self, filter: &Filter, definition: &FilterDefinition, output: &mut dyn Write) -> io::Result<()> {
        let Counts { lines, matched, ignored, missed } = &self.counts;
        if definition.prefregex.is_some() {
            writeln!(output, "Prefregex: {} total\n", self.prefixed)?;
        }
        writeln!(output, "Failregex: {} total", self.failregex.values().sum::<usize>())?;
        print_counts(&self.failregex, &definition.failregex, output)?;
        writeln!(output, "\nIgnoreregex: {} total", self.ignoreregex.values().sum::<usize>())?;
        print_counts(&self.ignoreregex, &definition.ignoreregex, output)?;
        writeln!(output, "\nDates: {} of {lines} lines", self.dates.values().sum::<usize>())?;
        for (name, count) in self.dates.iter().take(SHOWN_DATES) {
            writeln!(output, "  {count} x {name}")?;
        }
        writeln!(output, "\nLines: {lines} lines, {ignored} ignored, {matched} matched, {missed} missed")?;
        if let Some(hint) = &self.odd_hint {
            writeln!(output, "\nLines that match at an odd time: {}; of the first: {hint}", self.odd)?;
        }
        if !self.missed.is_empty() {
            writeln!(output, "\nMissed (the first {SHOWN_MISSED}):")?;
        }
        for (line, hint) in &self.missed {
            writeln!(output, "  {}", printable(line))?;
            if let Some(hint) = hint {
                writeln!(output, "    {hint}")?;
            }
        }
        for warning in Expressions::of(definition).warnings(None) {
            writeln!(output, "Warning: {}", printable(&warning))?;
        }
        print_warnings(filter, output)
    }
}

fn print_counts(counts: &BTreeMap<usize, usize>, expressions: &[String], output: &mut dyn Write) -> io::Result<()> {
    for (index, count) in counts {
        let expression = expressions.get(*index).map_or("", String::as_str);
        writeln!(output, "  {}: {count} x {}", index + 1, printable(expression))?;
    }
    Ok(())
}

fn print_warnings(filter: &Filter, output: &mut dyn Write) -> io::Result<()> {
    let groups = [("failregex", filter.failregex()), ("ignoreregex", filter.ignoreregex())];
    for (option, expressions) in groups {
        for (index, regex) in expressions.iter().enumerate() {
            for warning in warnings(regex.pattern())
                .iter()
                .filter(|warning| option == "failregex" || !matches!(warning, Warning::GreedyPrefix(_)))
            {
                writeln!(output, "Warning: {option} {}: {warning}", index + 1)?;
            }
        }
    }
    Ok(())
}

/// Without control characters, which could play tricks on a terminal, and not longer than a few lines.
fn printable(text: &str) -> String {
    let shown: String =
        text.chars().take(300).map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect();
    if shown.len() < text.len() && text.chars().count() > 300 { shown + "…" } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    fn test(json: bool, input: &[u8]) -> (Counts, String) {
        let definition = FilterDefinition {
            failregex: vec![r"^ fail <HOST>$".to_string(), r"^ fehler <HOST>$".to_string()],
            ignoreregex: vec!["192\\.0\\.2\\.9".to_string()],
            ..FilterDefinition::default()
        };
        let clock = Clock { now: Some(1_124_013_600), zone: TimeZone::UTC };
        let mut output = Vec::new();
        let counts = run(&definition, clock, json, &mut &input[..], &mut output).unwrap();
        (counts, String::from_utf8(output).unwrap())
    }

    const LOG: &[u8] = b"2005-08-14 09:00:00 fail 192.0.2.1\n2005-08-14 09:00:00 fehler 192.0.2.2\r\n2005-08-14 09:00:00 fail 192.0.2.9\nother \xff\x1b[1m";

    #[test]
    fn json_has_an_object_per_line() {
        let (counts, text) = test(true, LOG);
        assert_eq!(counts, Counts { lines: 4, matched: 2, ignored: 1, missed: 1 });
        let objects: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(objects.len(), 4);
        assert_eq!(objects[0]["host"], "192.0.2.1");
        assert_eq!(objects[1]["failregex"], 1);
        assert_eq!((&objects[2]["ignored"], &objects[2]["matched"]), (&true.into(), &false.into()));
        assert_eq!(objects[0]["timestamp"], "2005-08-14T09:00:00Z");
        for name in ["line", "matched", "host", "groups", "timestamp", "ignored"] {
            assert!(objects.iter().all(|object| object.get(name).is_some()), "{name}");
        }
    }

    #[test]
    fn summary_counts_and_hides_control_characters() {
        let (_, text) = test(false, LOG);
        assert!(text.contains("Lines: 4 lines, 1 ignored, 2 matched, 1 missed"), "{text}");
        assert!(text.contains("2: 1 x ^ fehler <HOST>$"), "{text}");
        assert!(!text.contains('\x1b'), "{text}");
    }

    #[test]
    fn a_long_line_is_refused_and_the_next_is_read() {
        let mut log = vec![b'x'; 1_000_000];
        log.extend_from_slice(b"\n2005-08-14 09:00:00 fail 192.0.2.1\n");
        let (counts, text) = test(true, &log);
        assert_eq!((counts.lines, counts.matched), (2, 1));
        assert!(text.len() < 3 * MAX_TEXT_BYTES);
    }
}

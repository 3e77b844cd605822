//! What expressions can cost fail2ban: judged before they are written, and named where they stand in the files already.
//!
//! The judging is `pattern::cost`'s. Here is decided what is refused, what is said, and how long is looked.

use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::refusal::{Refusal, TooSlow};
use crate::conf::{Invocation, JailView, StreamOptions, Tree, Value};
use crate::domain::jail_values::JailValues;
use crate::pattern::behind::Prefix;
use crate::pattern::cost::{self, Judgement, Slow};
use crate::pattern::date::DateDetector;
use crate::pattern::tags::expand_tags;
use crate::pattern::{FilterDefinition, Release, UseDns};

/// How long the expressions of one request are looked at, in seconds.
const PATIENCE: Duration = Duration::from_secs(4);
/// How far the cost of a real line is reckoned, in nanoseconds.
const REAL_LINE: u64 = 100_000_000;
/// Longest part of a line that a sentence shows, in characters; the whole is a field of its own.
const SHOWN: usize = 40;

/// Expressions of one filter or jail.
pub struct Expressions {
    use_dns: UseDns,
    /// What a line passes before a failregex gets to see its content.
    prefix: Option<Rc<Prefix>>,
    all: Vec<Expression>,
}

struct Expression {
    field: String,
    /// From 1.
    number: usize,
    /// As it is written.
    text: String,
    /// It looks at several lines.
    multi_line: bool,
    /// What fail2ban searches for, where that is not `text` with its tags replaced: a date pattern comes to one or more of these.
    searched: Option<String>,
    /// It is searched for behind this.
    prefix: Option<Rc<Prefix>>,
}

impl Expression {
    /// What fail2ban searches for, and what that can cost.
    fn judged(&self, use_dns: UseDns) -> (String, Judgement) {
        let expanded = self.searched.clone().unwrap_or_else(|| expand_tags(&self.text, use_dns));
        let judgement = match &self.prefix {
            Some(prefix) => prefix.judge(&expanded, self.multi_line),
            None => cost::judge(&expanded, self.multi_line),
        };
        (expanded, judgement)
    }

    /// What it takes in a real line, in nanoseconds.
    fn measured(&self, expanded: &str, line: &str) -> u64 {
        match &self.prefix {
            Some(prefix) => prefix.measure(expanded, self.multi_line, line, REAL_LINE),
            None => cost::measure(expanded, self.multi_line, line, REAL_LINE),
        }
    }
}

impl Expressions {
    /// None yet.
    pub fn new(use_dns: UseDns) -> Expressions {
        Expressions { use_dns, prefix: None, all: Vec::new() }
    }

    /// Those of a filter.
    pub fn of(definition: &FilterDefinition) -> Expressions {
        let use_dns = if definition.usedns.is_empty() { UseDns::default() } else { UseDns::of(&definition.usedns) };
        let prefregex: Vec<String> = definition.prefregex.iter().filter(|text| !text.is_empty()).cloned().collect();
        Expressions::new(use_dns)
            .with("prefregex", &prefregex, false)
            .behind(prefregex.first().map_or("", String::as_str))
            .with("failregex", &definition.failregex, definition.maxlines > 1)
            .with("ignoreregex", &definition.ignoreregex, false)
            .with_dates("datepattern", definition.datepattern.as_deref().unwrap_or_default(), definition.release)
    }

    /// Those that a jail sets in the daemon.
    pub fn of_jail(view: &JailView) -> Expressions {
        let of = |words: [&str; 2]| -> Vec<String> {
            let own = view
                .commands
                .iter()
                .filter(|command| command.get(2).and_then(Value::as_str).is_some_and(|word| words.contains(&word)));
            let values = own.flat_map(|command| command.iter().skip(3));
            let flat = values.flat_map(|value| match value {
                Value::List(items) => items.iter().collect(),
                other => vec![other],
            });
            flat.map(|value| value.to_text().into_owned()).collect()
        };
        let use_dns = of(["usedns", "usedns"]).pop().map_or_else(UseDns::default, |text| UseDns::of(&text));
        let lines = of(["maxlines", "maxlines"]).pop().and_then(|text| text.trim().parse::<u32>().ok());
        let prefregex: Vec<String> =
            of(["prefregex", "prefregex"]).pop().into_iter().filter(|text| !text.is_empty()).collect();
        Expressions::new(use_dns)
            .with("prefregex", &prefregex, false)
            .behind(prefregex.first().map_or("", String::as_str))
            .with("failregex", &of(["addfailregex", "failregex"]), lines.is_some_and(|lines| lines > 1))
            .with("ignoreregex", &of(["addignoreregex", "ignoreregex"]), false)
            .with_dates(
                "datepattern",
                &of(["datepattern", "datepattern"]).pop().unwrap_or_default(),
                Release::default(),
            )
    }

    /// Behind this prefregex, where it is not empty.
    pub fn behind(mut self, prefregex: &str) -> Expressions {
        let prefix = Some(prefregex).filter(|text| !text.is_empty());
        self.prefix = prefix.and_then(|text| Prefix::new(&expand_tags(text, self.use_dns))).map(Rc::new);
        self
    }

    /// And these.
    pub fn with(mut self, field: &str, list: &[String], multi_line: bool) -> Expressions {
        let prefix = self.prefix.clone().filter(|_| ["failregex", "fail_regex"].contains(&field));
        self.all.extend(list.iter().enumerate().map(|(index, text)| Expression {
            field: field.to_owned(),
            number: index + 1,
            text: text.clone(),
            multi_line,
            searched: None,
            prefix: prefix.clone(),
        }));
        self
    }

    /// And date patterns, one a line.
    pub fn with_dates(mut self, field: &str, patterns: &str, release: Release) -> Expressions {
        let lines = patterns.lines().map(str::trim).filter(|line| !line.is_empty());
        for (index, text) in lines.enumerate() {
            self.all.extend(DateDetector::expressions(text, release).into_iter().map(|searched| Expression {
                field: field.to_owned(),
                number: index + 1,
                text: text.to_owned(),
                multi_line: false,
                searched: Some(searched),
                prefix: None,
            }));
        }
        self
    }

    /// Whether this one is among them, byte for byte.
    pub fn holds(&self, text: &str) -> bool {
        self.all.iter().any(|own| own.text == text)
    }

    /// What to warn of. The first that can stop fail2ban is refused instead, unless `may_stay` says otherwise of it.
    /// `line` is a real line that the time is told for, too.
    pub fn judge(&self, line: Option<&str>, may_stay: &dyn Fn(&str) -> bool) -> Result<Vec<String>, Refusal> {
        self.judge_until(Instant::now() + PATIENCE, line, may_stay)
    }

    /// The same, as long as there is time.
    pub fn judge_until(
        &self,
        deadline: Instant,
        line: Option<&str>,
        may_stay: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<String>, Refusal> {
        let mut told = Vec::new();
        for expression in &self.all {
            let Expression { field, number, text, .. } = expression;
            if Instant::now() >= deadline {
                told.push(format!(
                    "{field} {number} and those after it were not checked for their cost, because that would take too long"
                ));
                break;
            }
            let (expanded, judgement) = expression.judged(self.use_dns);
            if judgement.unfinished && !may_stay(text) {
                return Err(unjudged(field, *number, text));
            }
            if judgement.unfinished {
                told.push(format!("{field} {number} is too complex to be checked for its cost completely; the parts that were checked are not slow"));
            }
            let Some(slow) = judgement.slow else { continue };
            let mut detail = format!("{field} {number}: {}", sentence(&slow));
            if slow.is_too_slow() && !may_stay(text) {
                return Err(refusal(field, text, slow, detail));
            }
            if let Some(line) = line {
                let nanoseconds = expression.measured(&expanded, line);
                let more = if nanoseconds > REAL_LINE { "more than " } else { "" };
                detail.push_str(&format!("; on the longest line that was tried it takes {more}{}", time(nanoseconds)));
            }
            told.push(detail);
        }
        Ok(told)
    }

    /// What to warn of, and nothing refused.
    pub fn warnings(&self, line: Option<&str>) -> Vec<String> {
        self.judge(line, &|_| true).unwrap_or_default()
    }
}

/// What to warn of among the expressions that a jail is to have. The first that can stop fail2ban is refused, unless it stands in the
/// files already (`present` are the jail's own values) or `force` is set.
pub fn judge_jail(values: &JailValues, present: &JailValues, tree: &Tree, force: bool) -> Result<Vec<String>, Refusal> {
    let use_dns = values.use_dns.as_ref().or(present.use_dns.as_ref());
    let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    let prefregex: Vec<String> = values.prefregex.iter().filter(|text| !text.is_empty()).cloned().collect();
    let use_dns = use_dns.map_or_else(UseDns::default, |text| UseDns::of(text));
    let (old, new) = (present.prefregex.as_deref().unwrap_or_default(), values.prefregex.as_deref());
    // Expressions that stay are behind another one then, which may let through what the old one held back.
    let is_let_through = |text: &str| {
        let before = || Expressions::new(use_dns).behind(old).with("fail_regex", &[text.to_owned()], false);
        new.is_some_and(|new| new != old) && before().judge(None, &|_| false).is_ok()
    };
    let stay = if new.is_some() && values.fail_regex.is_none() { &present.fail_regex } else { &None };
    let all = Expressions::new(use_dns)
        .with("prefregex", &prefregex, false)
        .behind(new.unwrap_or(old))
        .with("fail_regex", &list(&values.fail_regex), false)
        .with("fail_regex", &list(stay), false)
        .with("ignore_regex", &list(&values.ignore_regex), false)
        .with_dates(
            "date_pattern",
            values.date_pattern.as_ref().and_then(|text| text.as_deref()).unwrap_or_default(),
            Release::default(),
        );
    let has = |own: &Option<Vec<String>>, text: &str| own.iter().flatten().any(|known| known == text);
    all.judge(None, &|text| {
        force
            || has(&present.fail_regex, text) && !is_let_through(text)
            || has(&present.ignore_regex, text)
            || present.prefregex.as_deref() == Some(text)
            || present
                .date_pattern
                .iter()
                .flatten()
                .flat_map(|patterns| patterns.lines())
                .any(|line| line.trim() == text)
            || stands_in_a_filter(tree, text) && !is_let_through(text)
    })
}

/// What the enabled jails of the files have that one line can stop fail2ban with, a sentence each. The shortest are looked at first, so that
/// most are within the time there is.
pub fn hanging(config_dir: &Path, patience: Duration) -> Vec<String> {
    let (deadline, mut known) = (Instant::now() + patience, BTreeSet::new());
    let views = Tree::load(config_dir).and_then(|tree| tree.all_jails(&StreamOptions::default())).unwrap_or_default();
    let mut all: Vec<(Rc<str>, UseDns, Expression)> = Vec::new();
    for view in views.iter().filter(|view| view.enabled) {
        let Expressions { use_dns, all: own, .. } = Expressions::of_jail(view);
        let behind = |own: &Expression| own.prefix.as_ref().map(|prefix| prefix.source().to_owned());
        let news = own.into_iter().filter(|own| known.insert((own.text.clone(), own.searched.clone(), behind(own))));
        all.extend(news.map(|own| (view.name.clone(), use_dns, own)));
    }
    all.sort_by_key(|(_, _, own)| own.text.len());
    let mut told = Vec::new();
    for (jail, use_dns, own) in all {
        if Instant::now() >= deadline {
            break;
        }
        let slow = own.judged(use_dns).1.slow.filter(Slow::is_too_slow);
        told.extend(slow.map(|slow| format!("Jail {jail}: {} {}: {}.", own.field, own.number, sentence(&slow))));
    }
    told
}

/// Whether an expression stands in a filter of the files, byte for byte.
pub fn stands_in_a_filter(tree: &Tree, text: &str) -> bool {
    let called = |name: &String| Invocation { name: name.clone(), ..Invocation::default() };
    let definition = |name: &String| tree.filter(&called(name), "auto").ok()?.filter_definition().ok();
    tree.filters().iter().filter_map(definition).any(|definition| Expressions::of(&definition).holds(text))
}

/// One that is too large to be judged is not written: what nobody has looked through may be what stops fail2ban.
fn unjudged(field: &str, number: usize, text: &str) -> Refusal {
    Refusal::Unjudged {
        field: field.to_owned(),
        expression: text.to_owned(),
        detail: format!(
            "{field} {number} is too large to be checked for what it can cost fail2ban. Split it into several, make its repetitions and \
             alternatives fewer, or send \"force\": true to save it as it is."
        ),
    }
}

fn refusal(field: &str, text: &str, slow: Slow, detail: String) -> Refusal {
    let written = text.find(&slow.construct.construct).map(|at| text[..at].chars().count());
    Refusal::TooSlow(Box::new(TooSlow {
        field: field.to_owned(),
        expression: text.to_owned(),
        position: written.unwrap_or(slow.construct.position),
        construct: slow.construct.construct,
        line: slow.line,
        seconds: slow.nanoseconds as f64 / 1e9,
        detail: format!(
            "{detail}. Rewrite it so that each text can be matched in one way only, or send \"force\": true to save it as it is."
        ),
    }))
}

/// What is slow, on what, and how slow.
fn sentence(slow: &Slow) -> String {
    let start: String = slow.line.chars().take(SHOWN).collect();
    let takes = if slow.is_too_slow() { "more than a second".to_owned() } else { time(slow.nanoseconds) };
    let grows = if slow.exponential { ", and each few characters more double that" } else { "" };
    format!(
        "`{}` makes fail2ban search one line for {takes}{grows}, during which it does nothing else; the line has {} characters and begins {start:?}",
        slow.construct.construct,
        slow.line.chars().count(),
    ) + if slow.is_content { ", as content of the prefregex" } else { "" }
}

fn time(nanoseconds: u64) -> String {
    match nanoseconds {
        cost::TOO_LONG.. => "more than a second".to_owned(),
        1_000_000.. => format!("{} ms", nanoseconds / 1_000_000),
        _ => "less than a millisecond".to_owned(),
    }
}

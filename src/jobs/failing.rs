//! What is behind failures that lead to no ban yet, in a child: the user names that were tried, as the logs of the jails and their filters
//! tell, and where the addresses are. Where fail2ban writes its own log to the journal, the failures themselves are read from there.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::bans::answering;
use super::failure::Failure;
use super::log_paths;
use super::protection::{configured, logs};
use super::tail::{LogFile, shown};
use crate::domain::history::Country;
use crate::domain::log_user::user_named;
use crate::domain::names::JailName;
use crate::domain::time;
use crate::fail2ban::journal::{self, Told};
use crate::fail2ban::{Daemon, Error};
use crate::geo::{Geo, GeoSource};
use crate::pattern::date::Clock;
use crate::pattern::{Filter, FilterDefinition};
use crate::protection::facts::{JailFacts, JournalFacts};
use crate::zones;

/// How long fail2ban may take for one answer.
const ANSWERS: Duration = Duration::from_secs(5);
/// How much of the end of each log is read, in bytes.
const WITHIN: u64 = 4 << 20;
/// Lines of those who fail that are looked at, of each log.
const LINES: usize = 4000;
/// The same of a journal, of whoever wrote them.
const JOURNAL_LINES: &str = "4000";
/// Logs of a jail that are read.
const MOST_LOGS: usize = 8;
/// The longest name that is told, in characters.
const LONGEST_NAME: usize = 64;
/// How far back a journal is read where a jail counts for longer, in seconds.
const FARTHEST: f64 = 86_400.0;

/// Look at what is behind failures.
#[derive(Debug, Serialize, Deserialize)]
pub struct LookAtFailing {
    /// fail2ban's socket.
    pub socket: PathBuf,
    /// The directory with `jail.conf`.
    pub config_dir: PathBuf,
    /// Where logs may be read.
    pub allowed: Vec<PathBuf>,
    /// Who fails, by jail.
    pub wanted: BTreeMap<String, Vec<String>>,
    /// fail2ban writes its log to the journal: failures are read from there.
    pub journal: bool,
    /// Files that know countries.
    pub geo: GeoSource,
}

/// What was found.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Found {
    /// What the journal tells, where that was asked for.
    pub told: Option<Vec<Told>>,
    /// Why the journal was not read.
    pub why_not: Option<String>,
    /// Who fails.
    pub behind: Vec<Behind>,
}

/// What is known of one who fails.
#[derive(Debug, Serialize, Deserialize)]
pub struct Behind {
    /// The jail.
    pub jail: String,
    /// Who.
    pub ip: String,
    /// The names that were tried, the latest last.
    pub users: Vec<String>,
    /// Where it is.
    pub country: Option<Country>,
}

impl LookAtFailing {
    /// A `Found`.
    pub fn run(mut self) -> Result<Value, Failure> {
        let mut daemon = answering(&self.socket, ANSWERS)?;
        let mut found = Found::default();
        if self.journal {
            match self.read_journal(&mut daemon) {
                Ok(told) => found.told = Some(told),
                Err(why_not) => found.why_not = Some(why_not),
            }
        }
        let version = daemon.version()?;
        let named = |name: &String| JailFacts { name: name.clone(), ..JailFacts::default() };
        let jails: Vec<JailFacts> = self.wanted.keys().map(named).collect();
        let filters = configured::read(&self.config_dir, version.as_str(), &jails).map(|all| all.filters);
        let geo = Geo::open(&self.geo);
        for (name, ips) in &self.wanted {
            let Ok(jail) = JailName::from_daemon(name) else { continue };
            let filter = filters.as_ref().and_then(|all| all.get(name));
            let tried = match self.tried(&mut daemon, &jail, filter, ips) {
                Ok(tried) => tried,
                // It was stopped meanwhile, or cannot be asked by its name.
                Err(Error::UnknownJail(_) | Error::NameTaken(_)) => BTreeMap::new(),
                Err(error) => return Err(error.into()),
            };
            found.behind.extend(ips.iter().map(|ip| Behind {
                jail: name.clone(),
                ip: ip.clone(),
                users: tried.get(ip).cloned().unwrap_or_default(),
                country: geo.look_up_text(ip).country,
            }));
        }
        Ok(json!(found))
    }

    /// What the journal tells of failures that may still count; who fails by that is wanted, too.
    fn read_journal(&mut self, daemon: &mut Daemon) -> Result<Vec<Told>, String> {
        let mut longest = 600.0_f64;
        for jail in daemon.jail_names().unwrap_or_default() {
            longest = longest.max(daemon.jail_limits(&jail).map_or(0.0, |limits| limits.find_time));
        }
        let since = time::now() - longest.min(FARTHEST) as i64;
        let told = journal::failures(&self.socket, since, &zones::local())?;
        for event in &told {
            if let Told::Failure { jail, ip, .. } = event {
                let ips = self.wanted.entry(jail.clone()).or_default();
                if !ips.contains(ip) {
                    ips.push(ip.clone());
                }
            }
        }
        Ok(told)
    }

    /// The names that each of them has tried in a jail.
    fn tried(
        &self,
        daemon: &mut Daemon,
        jail: &JailName,
        definition: Option<&FilterDefinition>,
        ips: &[String],
    ) -> Result<BTreeMap<String, Vec<String>>, Error> {
        let wanted: BTreeSet<&str> = ips.iter().map(String::as_str).collect();
        let settings = daemon.jail_settings(jail)?;
        let mut names = Names { since: time::now() as f64 - settings.find_time, wanted, found: BTreeMap::new() };
        if daemon.reads_journal(jail)? {
            let groups: Vec<String> = settings.journal_match.iter().map(|group| group.join(" ")).collect();
            let mut journal = JournalFacts { matches: groups.join(" + "), ..JournalFacts::default() };
            // Its dates are the journal's own.
            let definition = definition.map(|own| FilterDefinition { datepattern: None, ..own.clone() });
            let lines = logs::read_journal(&mut journal, JOURNAL_LINES, false).unwrap_or_default();
            let wanted = names.wanted.clone();
            names.look(definition.as_ref(), lines.iter().filter(|line| names_one(&wanted, line)));
            return Ok(names.found);
        }
        for path in settings.log_paths.iter().take(MOST_LOGS) {
            let Ok(path) = log_paths::allowed(&self.allowed, Path::new(path)) else { continue };
            let file = LogFile { path, allowed: self.allowed.clone() };
            if let Ok(tail) = file.tail_within(WITHIN, LINES, |line| names_one(&names.wanted, line)) {
                names.look(definition, tail.lines.iter());
            }
        }
        Ok(names.found)
    }
}

/// Whether a line has one of these in it, as a word.
fn names_one(wanted: &BTreeSet<&str>, line: &str) -> bool {
    words(line).any(|word| wanted.contains(word))
}

/// The words of a line that may be addresses, or what else a filter takes for one who fails.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let is_between = |letter: char| letter.is_whitespace() || "=<>()[]{}\"',;".contains(letter);
    line.split(is_between).map(|word| word.trim_matches(':').trim_end_matches('.'))
}

/// The names that were tried.
struct Names<'a> {
    /// What is older does not count, in Unix seconds.
    since: f64,
    wanted: BTreeSet<&'a str>,
    found: BTreeMap<String, Vec<String>>,
}

impl Names<'_> {
    /// Looks at lines in which one of them is named. Without a filter the words of a line decide.
    fn look<'l>(&mut self, definition: Option<&FilterDefinition>, lines: impl Iterator<Item = &'l String>) {
        let filter = definition.and_then(|own| Filter::new(own, Clock::of(zones::local())).ok()).map(RefCell::new);
        for line in lines {
            let (host, user) = match &filter {
                None => (words(line).find(|word| self.wanted.contains(word)).map(str::to_owned), None),
                Some(filter) => {
                    let result = filter.borrow_mut().test_line(line);
                    let is_old = result.timestamp.is_some_and(|at| at < self.since);
                    let Some(hit) = result.failure().filter(|_| !is_old) else { continue };
                    (hit.host.clone(), hit.failure.groups.get("user").cloned().flatten())
                }
            };
            let Some(host) = host.map(canonical).filter(|host| self.wanted.contains(host.as_str())) else { continue };
            let named = || user_named(std::slice::from_ref(line)).map(str::to_owned);
            let user = user.filter(|user| !user.is_empty()).or_else(named);
            if let Some(user) = user {
                let user: String = shown(&user).chars().take(LONGEST_NAME).collect();
                let all = self.found.entry(host).or_default();
                all.retain(|own| *own != user);
                all.push(user);
            }
        }
    }
}

/// An address as fail2ban writes it; anything else as it is.
fn canonical(host: String) -> String {
    host.parse::<IpAddr>().map_or(host, |address| address.to_canonical().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_word_of_a_line() {
        let wanted = BTreeSet::from(["192.0.2.7", "2001:db8::7"]);
        for line in
            ["from 192.0.2.7 port 4", "rip=192.0.2.7, lip=x", "[192.0.2.7]: no", "by 192.0.2.7.", "<2001:db8::7>"]
        {
            assert!(names_one(&wanted, line), "{line}");
        }
        for line in ["from 192.0.2.70", "x192.0.2.7", "192.0.2.7/24", ""] {
            assert!(!names_one(&wanted, line), "{line}");
        }
    }

    #[test]
    fn names_are_those_of_failures_of_the_wanted() {
        let definition = FilterDefinition {
            failregex: vec!["^\\s*fail <F-USER>\\S*</F-USER> from <HOST>$".to_owned()],
            ..FilterDefinition::default()
        };
        let lines: Vec<String> = [
            "fail anna from 192.0.2.7",
            "ok user bob from 192.0.2.7",
            "fail carl from 192.0.2.8",
            "fail eve from 192.0.2.7",
            "fail anna from 192.0.2.7",
        ]
        .map(|line| format!("{} {line}", time::rfc3339(time::now())))
        .to_vec();
        let mut names = Names { since: 0.0, wanted: BTreeSet::from(["192.0.2.7"]), found: BTreeMap::new() };
        names.look(Some(&definition), lines.iter());
        assert_eq!(names.found, BTreeMap::from([("192.0.2.7".to_owned(), vec!["eve".to_owned(), "anna".to_owned()])]));
        let mut old = Names { since: 1e12, wanted: BTreeSet::from(["192.0.2.7"]), found: BTreeMap::new() };
        old.look(Some(&definition), lines.iter());
        assert!(old.found.is_empty());
    }
}

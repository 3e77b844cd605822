//! What was seen of the machine: the checks know nothing else.

use std::collections::HashSet;
use std::net::IpAddr;

use super::ruleset::Ruleset;

/// Everything that was seen in one look.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// When, in Unix seconds.
    pub now: i64,
    /// Whether fail2ban answers.
    pub daemon: Daemon,
    /// The jails that run.
    pub jails: Vec<JailFacts>,
    /// The jails that the files enable; `None` where the files cannot be read here.
    pub enabled: Option<Vec<Enabled>>,
    /// What the packet filter holds.
    pub packet_filter: PacketFilter,
    /// What fail2ban's own log says.
    pub own_log: OwnLog,
    /// The addresses of this machine by which others reach it; none where fail2ban has another network.
    pub own_addresses: Vec<IpAddr>,
    /// The files tell fail2ban not to look at IPv6.
    pub ipv6_is_off: bool,
    /// How long bans are remembered over a restart, in seconds: 0 without a database; `None` for to their end.
    pub remembered: Option<f64>,
    /// The command that has fail2ban start with the machine, where it does not.
    pub boot_command: Option<String>,
}

/// Whether fail2ban answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Daemon {
    /// It does.
    #[default]
    Answers,
    /// Not in time.
    Busy,
    /// It may not be asked.
    NotPermitted(String),
    /// It is not there; what is wrong with its files or stands in its log, a sentence each.
    Away(Vec<String>),
}

/// A jail that the files enable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Enabled {
    /// Its name.
    pub name: String,
    /// Why fail2ban would not start it.
    pub problem: Option<String>,
    /// The names of its actions.
    pub actions: Vec<String>,
}

/// A jail that runs.
#[derive(Debug, Clone)]
pub struct JailFacts {
    /// Its name.
    pub name: String,
    /// It was told to rest.
    pub rests: bool,
    /// Where its lines come from.
    pub source: Source,
    /// What its filter makes of the last lines.
    pub trial: Tried,
    /// Its actions as they are loaded.
    pub actions: Vec<Action>,
    /// How many addresses it holds.
    pub banned: u64,
    /// Those that were looked for in the packet filter.
    pub looked_for: Vec<String>,
    /// Seconds within which failures count together.
    pub find_time: f64,
    /// Seconds that a ban lasts; below 0 for ever.
    pub ban_time: f64,
    /// What it ignores: addresses, networks, names.
    pub ignored: Vec<String>,
    /// Whether it ignores this machine's own addresses by itself; `None` where that is not known.
    pub ignores_own: Option<bool>,
    /// Whether a command is asked whom it ignores besides.
    pub asks_whom_to_ignore: bool,
}

impl Default for JailFacts {
    fn default() -> Self {
        JailFacts {
            name: String::new(),
            rests: false,
            source: Source::Files(Vec::new()),
            trial: Err(String::new()),
            actions: Vec::new(),
            banned: 0,
            looked_for: Vec::new(),
            find_time: 600.0,
            ban_time: 600.0,
            ignored: Vec::new(),
            ignores_own: None,
            asks_whom_to_ignore: false,
        }
    }
}

/// Where the lines of a jail come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// Log files.
    Files(Vec<LogFacts>),
    /// The journal of systemd.
    Journal(JournalFacts),
}

/// A log file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogFacts {
    /// Its path, as fail2ban has it.
    pub path: String,
    /// What is there.
    pub state: LogState,
    /// When it was last written to, in Unix seconds.
    pub changed: i64,
    /// A file beside it that begins with its name and is newer: it was moved, and something writes there now.
    pub newer_beside: Option<String>,
}

/// What is at a path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum LogState {
    /// A file that can be read.
    #[default]
    Readable,
    /// Nothing.
    Missing,
    /// fail2ban runs in another container: what is at this path there is not known here.
    Elsewhere,
    /// Something that cannot be read by fail2ban's user or by us, and why.
    Unreadable(String),
}

/// The journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JournalFacts {
    /// What is looked for in it, as `journalctl` takes it.
    pub matches: String,
    /// Lines of the last day or so that fit, up to some hundreds; or why it was not read.
    pub lines: Option<usize>,
    /// Why it was not read.
    pub problem: Option<String>,
    /// There is none on this machine.
    pub is_missing: bool,
}

/// What a filter makes of the last lines of its log.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trial {
    /// How many lines it was tried on.
    pub lines: usize,
    /// How many are failures.
    pub matched: usize,
    /// How many it knows at all: failures, parts of failures, and what it leaves out on purpose.
    pub known: usize,
    /// How many have a date that is understood.
    pub dated: usize,
    /// How many look like a failed login, with an address, and are unknown to it.
    pub missed: usize,
    /// One of those.
    pub missed_line: Option<String>,
    /// Whose failures they are: the first two, which tells whether they are all of one.
    pub hosts: Vec<String>,
    /// How many of the failures have a date that lies ahead of when they can have been written.
    pub ahead: usize,
    /// How many of them look as if they were written in another time zone.
    pub other_zone: usize,
}

/// What came of trying a filter, or why it was not tried.
pub type Tried = Result<Trial, String>;

/// An action of a jail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Action {
    /// Its name.
    pub name: String,
    /// The programs that show its bans: `nft`, `iptables-save`, `ipset`; none where it does not ban by the packet filter of this machine.
    pub tools: Vec<&'static str>,
}

impl Action {
    /// Whether its bans stand in the packet filter of this machine.
    pub fn filters_packets(&self) -> bool {
        !self.tools.is_empty()
    }
}

/// What was seen of the packet filter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PacketFilter {
    /// The tools that told something: `nft` and so on.
    pub read: Vec<&'static str>,
    /// Why the others, or all, did not: one sentence.
    pub problem: Option<String>,
    /// Of the addresses that were looked for, those that it keeps out.
    pub kept_out: HashSet<String>,
    /// Its rules, as far as they are about the addresses that are followed through them; `None` where they were not read.
    pub rules: Option<Ruleset>,
    /// Addresses that rules of a jail keep out and that no jail has banned: jail, address.
    pub left_over: Vec<(String, String)>,
}

impl PacketFilter {
    /// Whether the bans of a jail would be seen in it.
    pub fn shows(&self, jail: &JailFacts) -> bool {
        let mut tools = jail.actions.iter().flat_map(|action| action.tools.iter());
        tools.all(|tool| self.read.contains(tool))
    }
}

/// What fail2ban's log says of the last day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnLog {
    /// Why it was not read; `None` where it was.
    pub problem: Option<String>,
    /// Addresses that failed again while they were banned: jail, address, when (Unix seconds), since the jail was last started.
    pub already_banned: Vec<(String, String, i64)>,
    /// Errors: jail where one is named, and the line.
    pub errors: Vec<String>,
}

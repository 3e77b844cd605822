//! What the past is asked with and answered in: ranges of time cut into buckets, filters, positions in a list, and a
//! ban as history knows it. The archive and fail2ban's own database both speak it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::log_user::names_user;
use super::own_ban::Ours;

/// The jail that blocklists are imported into.
pub const BLOCKLIST_JAIL: &str = "blocklist-import";

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;
/// The first Monday of Unix time, 1970-01-05, from which weeks are counted.
const FIRST_MONDAY: i64 = 4 * DAY;

/// How bans are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keeping {
    /// Seconds between two looks into fail2ban's database.
    pub seconds: u32,
    /// Days that bans are kept; 0 = no bound.
    pub days: u32,
    /// Bans that are kept; 0 = no bound.
    pub rows: u32,
    /// MiB our database may use for them; 0 = no bound.
    pub mib: u32,
}

impl Default for Keeping {
    fn default() -> Keeping {
        Keeping { seconds: 60, days: 365, rows: 0, mib: 0 }
    }
}

/// A text that is none of the words allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unknown;

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is none of the values allowed")
    }
}

impl std::error::Error for Unknown {}

/// The ranges of the dashboards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Range {
    /// 24 buckets of an hour.
    Day,
    /// 28 buckets of six hours.
    Week,
    /// 30 buckets of a day.
    Month,
    /// 53 buckets of a week, from Monday.
    Year,
}

impl FromStr for Range {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Range, Unknown> {
        match text {
            "24h" => Ok(Range::Day),
            "7d" => Ok(Range::Week),
            "30d" => Ok(Range::Month),
            "365d" => Ok(Range::Year),
            _ => Err(Unknown),
        }
    }
}

/// A range at a moment: whole buckets in UTC, the last one running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Start of the first bucket, Unix seconds.
    pub start: i64,
    /// End of the last bucket, exclusive.
    pub end: i64,
    /// Length of a bucket in seconds.
    pub bucket: i64,
}

impl Range {
    /// Length of a bucket in seconds.
    pub fn bucket(self) -> i64 {
        match self {
            Range::Day => HOUR,
            Range::Week => 6 * HOUR,
            Range::Month => DAY,
            Range::Year => WEEK,
        }
    }

    fn buckets(self) -> i64 {
        match self {
            Range::Day => 24,
            Range::Week => 28,
            Range::Month => 30,
            Range::Year => 53,
        }
    }

    /// The range that ends with the bucket `now` lies in.
    pub fn window(self, now: i64) -> Window {
        let bucket = self.bucket();
        let end = bucket_start(now, bucket) + bucket;
        Window { start: end - self.buckets() * bucket, end, bucket }
    }
}

/// The start of the bucket of `seconds` that a time lies in; weeks begin on Monday.
pub fn bucket_start(time: i64, seconds: i64) -> i64 {
    let origin = if seconds == WEEK { FIRST_MONDAY } else { 0 };
    time - (time - origin).rem_euclid(seconds)
}

impl Window {
    /// From one moment to another one, exclusive; its buckets are as long as leaves some sixty of them at most, but for years.
    pub fn between(start: i64, end: i64) -> Window {
        let bucket = match end.saturating_sub(start) {
            length if length <= 2 * DAY => HOUR,
            length if length <= 14 * DAY => 6 * HOUR,
            length if length <= 92 * DAY => DAY,
            _ => WEEK,
        };
        Window { start, end, bucket }
    }

    /// As long a window that ends where this one begins.
    pub fn before(self) -> Window {
        Window { start: self.start - (self.end - self.start), end: self.start, bucket: self.bucket }
    }

    /// The contract's word for the length of a bucket.
    pub fn bucket_name(self) -> &'static str {
        match self.bucket {
            HOUR => "1h",
            DAY => "1d",
            WEEK => "7d",
            _ => "6h",
        }
    }

    /// The starts of all buckets, oldest first; the first one may begin before the window does.
    pub fn starts(self) -> impl Iterator<Item = i64> {
        let bucket = self.bucket.max(1);
        (bucket_start(self.start, bucket)..self.end).step_by(bucket as usize)
    }

    /// Whether a time lies in it.
    pub fn contains(self, time: i64) -> bool {
        (self.start..self.end).contains(&time)
    }
}

/// Where a ban came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// An imported list.
    Blocklist,
    /// Anything else on this machine.
    Selfblock,
}

impl Origin {
    /// The origin of a jail's bans.
    pub fn of(jail: &str) -> Origin {
        if jail == BLOCKLIST_JAIL { Origin::Blocklist } else { Origin::Selfblock }
    }
}

impl FromStr for Origin {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Origin, Unknown> {
        match text {
            "blocklist" => Ok(Origin::Blocklist),
            "selfblock" => Ok(Origin::Selfblock),
            _ => Err(Unknown),
        }
    }
}

/// What is counted as one that comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// An address, or a network that was banned as one.
    Address,
    /// A network: 256 addresses of IPv4, a `/64` of IPv6.
    Network,
    /// Whoever runs the network.
    Operator,
}

impl FromStr for By {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<By, Unknown> {
        match text {
            "address" => Ok(By::Address),
            "network" => Ok(By::Network),
            "operator" => Ok(By::Operator),
            _ => Err(Unknown),
        }
    }
}

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The daemon's own database: what it still remembers.
    Fail2ban,
    /// Our long-term copy.
    Archive,
}

impl FromStr for Source {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Source, Unknown> {
        match text {
            "fail2ban" => Ok(Source::Fail2ban),
            "archive" => Ok(Source::Archive),
            _ => Err(Unknown),
        }
    }
}

/// A country by its ISO 3166-1 alpha-2 code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Country([u8; 2]);

impl Country {
    /// A number for a table: 0 is kept for unknown.
    pub fn number(self) -> i64 {
        i64::from(self.0[0]) << 8 | i64::from(self.0[1])
    }

    /// The country of a number; `None` for 0 and for any that is no country's.
    pub fn of_number(number: i64) -> Option<Country> {
        let bytes = u16::try_from(number).ok()?.to_be_bytes();
        bytes.iter().all(u8::is_ascii_uppercase).then_some(Country(bytes))
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("two capital letters are text")
    }
}

impl FromStr for Country {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Country, Unknown> {
        let bytes: [u8; 2] = text.as_bytes().try_into().map_err(|_| Unknown)?;
        if bytes.iter().all(u8::is_ascii_uppercase) { Ok(Country(bytes)) } else { Err(Unknown) }
    }
}

impl TryFrom<String> for Country {
    type Error = Unknown;

    fn try_from(text: String) -> Result<Country, Unknown> {
        text.parse()
    }
}

impl From<Country> for String {
    fn from(country: Country) -> String {
        country.as_str().to_owned()
    }
}

/// What is known of where an address is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The country.
    pub country: Option<Country>,
    /// The network, like `AS3320`.
    pub asn: Option<String>,
    /// Who runs the network.
    pub org: Option<String>,
}

/// Lines that are told of a ban, and bytes of each.
const MAX_LINES: usize = 10;
const MAX_LINE: usize = 400;

/// The log lines that led to a ban, as many and as long as are kept: each one line.
pub fn short_lines(lines: &[String]) -> Vec<String> {
    let short = |line: &String| {
        let end = (0..=MAX_LINE.min(line.len())).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
        line[..end].replace('\n', " ")
    };
    lines.iter().take(MAX_LINES).map(short).collect()
}

/// A position in a list that is sorted newest first: rows behind it are older, or as old with a lower number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Unix seconds.
    pub time: i64,
    /// The number of the row.
    pub id: i64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}", self.time, self.id)
    }
}

impl FromStr for Cursor {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Cursor, Unknown> {
        let (time, id) = text.split_once('-').ok_or(Unknown)?;
        let number = |digits: &str| match digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            true => i64::from_str_radix(digits, 16).map_err(|_| Unknown),
            false => Err(Unknown),
        };
        Ok(Cursor { time: number(time)?, id: number(id)? })
    }
}

/// Which bans of the past are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Only these times; `None` is all.
    pub window: Option<Window>,
    /// Only this jail.
    pub jail: Option<String>,
    /// Only addresses that begin with this text.
    pub ip_prefix: Option<String>,
    /// Only this origin.
    pub origin: Option<Origin>,
    /// Only from this country.
    pub country: Option<Country>,
    /// Only bans with this text, in lower case, in their address, their jail or their log lines.
    pub search: Option<String>,
    /// Only bans whose log lines name this user.
    pub user: Option<String>,
}

impl Filter {
    /// Whether a ban is wanted.
    pub fn takes(&self, jail: &str, ip: &str, banned_at: i64) -> bool {
        self.window.is_none_or(|window| window.contains(banned_at))
            && self.jail.as_deref().is_none_or(|wanted| wanted == jail)
            && self.ip_prefix.as_deref().is_none_or(|prefix| ip.starts_with(prefix))
            && self.origin.is_none_or(|origin| origin == Origin::of(jail))
    }

    /// Whether the log lines of a ban have to be known to tell if it is wanted.
    pub fn asks_lines(&self) -> bool {
        self.search.is_some() || self.user.is_some()
    }

    /// Whether a ban is wanted for what is written of it; `lines` are its log lines, one a line.
    pub fn takes_text(&self, jail: &str, ip: &str, lines: &str) -> bool {
        self.search.as_deref().is_none_or(|search| has(ip, search) || has(jail, search) || has(lines, search))
            && self.user.as_deref().is_none_or(|user| names_user(lines, user))
    }
}

/// Whether a text has another in it, which is in lower case; upper and lower case are one. Most texts are ASCII, and are not copied for it.
fn has(text: &str, search: &str) -> bool {
    let Some(first) = search.bytes().next() else { return true };
    if !text.is_ascii() {
        return text.to_lowercase().contains(search);
    }
    let (text, search) = (text.as_bytes(), search.as_bytes());
    let Some(last) = text.len().checked_sub(search.len()) else { return false };
    let mut starts = memchr::memchr2_iter(first, first.to_ascii_uppercase(), &text[..=last]);
    starts.any(|at| text[at..at + search.len()].eq_ignore_ascii_case(search))
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// Behind this position.
    pub after: Option<Cursor>,
    /// Rows to skip.
    pub skip: u64,
    /// Rows at most.
    pub limit: u32,
}

/// A ban of the past.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PastBan {
    /// The number of its row, which orders bans of one second.
    pub id: i64,
    /// The jail.
    pub jail: String,
    /// What was banned.
    pub ip: String,
    /// Unix seconds.
    pub banned_at: i64,
    /// Seconds, -1 for ever, `None` where unknown.
    pub ban_time: Option<f64>,
    /// Which ban of this address it was, from 1.
    pub count: i64,
    /// Failures that led to it.
    pub failures: i64,
    /// Log lines that led to it, oldest first.
    pub matches: Vec<String>,
    /// Where the address was known to be.
    pub country: Option<Country>,
    /// What was done about it here, as the archive knows it.
    pub ours: Ours,
}

impl PastBan {
    /// Its position in a list.
    pub fn cursor(&self) -> Cursor {
        Cursor { time: self.banned_at, id: self.id }
    }
}

/// A part of a list, newest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Listing {
    /// The rows.
    pub bans: Vec<PastBan>,
    /// Rows of the whole list.
    pub total: u64,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

/// What is wanted of the bans a filter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// A part of the list.
    List(Slice),
    /// How many from each country, and a part of the list.
    ByCountry(Slice),
    /// How many from each jail.
    ByJail,
    /// How many in each bucket of the window.
    Trend,
}

impl Question {
    /// The same with another part of the list.
    pub fn with(self, slice: Slice) -> Question {
        match self {
            Question::List(_) => Question::List(slice),
            Question::ByCountry(_) => Question::ByCountry(slice),
            other => other,
        }
    }
}

/// What was wanted, the rest empty.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The part of the list.
    pub listing: Listing,
    /// Bans from each country that is known.
    pub by_country: Vec<(Country, u64)>,
    /// Bans from each jail, most first.
    pub by_jail: Vec<(String, u64)>,
    /// Bans in each bucket that has any, by its start.
    pub by_bucket: Vec<(i64, u64)>,
    /// Bans in the window altogether, those without a country included.
    pub total: u64,
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;

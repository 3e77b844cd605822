//! Bans: made, lifted and listed. Addresses go out in the form the caller gives; `domain::address` knows the right one.

use super::{Daemon, not_an_option};
use crate::domain::address::IpOrNet;
use crate::domain::names::{JailName, Place};
use crate::fail2ban::error::Error;
use crate::fail2ban::error::unexpected;
use crate::fail2ban::value::Value;

/// One line of `get J banip --with-time`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BanLine<'a> {
    /// What is banned: an address or a network, or whatever somebody else had the daemon ban.
    pub ip: &'a str,
    /// When it was banned, `YYYY-MM-DD HH:MM:SS` in the daemon's own time zone, which nobody tells.
    pub banned_at_local: &'a str,
    /// Seconds it lasts, cut off to whole ones; -1 for ever.
    pub seconds: i64,
    /// When it ends, as `banned_at_local`.
    pub ends_at_local: &'a str,
}

/// Differences of time zones are multiples of this many seconds.
const ZONE_STEP: i64 = 900;
/// No time zone is further from UTC, in seconds.
const FURTHEST_ZONE: i64 = 15 * 3600;

impl BanLine<'_> {
    /// When it was banned, in seconds of the daemon's own time zone.
    pub fn local_start(&self) -> Option<i64> {
        local_seconds(self.banned_at_local)
    }

    /// Seconds from the start that is listed to the end that is listed, -1 for ever. The daemon cuts off each number by itself, so that this
    /// may be one more than `seconds`; whoever adds up those has an end that is too early. Of clocks that are changed in between it knows
    /// nothing.
    pub fn listed_seconds(&self) -> i64 {
        let listed = || Some(local_seconds(self.ends_at_local)? - self.local_start()? - self.seconds);
        match listed() {
            Some(cut_off) if self.seconds >= 0 && cut_off.rem_euclid(ZONE_STEP) == 1 => self.seconds + 1,
            _ => self.seconds,
        }
    }
}

/// `YYYY-MM-DD HH:MM:SS` as seconds of the zone that it is in.
fn local_seconds(text: &str) -> Option<i64> {
    let local = text.parse::<jiff::civil::DateTime>().ok()?;
    Some(local.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

/// How far a time zone is from UTC in which it is `local` when it is `utc`, all in seconds. The two need not be quite of one moment.
pub fn zone_of(local: i64, utc: i64) -> i64 {
    local.saturating_sub(utc).saturating_add(ZONE_STEP / 2).div_euclid(ZONE_STEP).saturating_mul(ZONE_STEP)
}

/// The time zone of the daemon, learned from bans whose times are known in it and in UTC.
#[derive(Debug, Default)]
pub struct LearnedZone {
    offset: Option<i64>,
}

impl LearnedZone {
    /// When a ban was made, in Unix seconds: from the daemon's text, which is right but has no zone, and from its database, which knows the
    /// zone of that very day but may remember another ban of the same address. `None` where nothing tells the zone.
    pub fn start(&mut self, local: i64, remembered: Option<i64>) -> Option<i64> {
        let own = remembered.map(|utc| (zone_of(local, utc), utc)).filter(|(zone, _)| zone.abs() <= FURTHEST_ZONE);
        match own {
            // The daemon cuts seconds off in one place and rounds them in the other.
            Some((zone, utc)) if (local - zone - utc).abs() <= 1 => self.offset = Some(zone),
            Some((zone, _)) => return Some(local - self.offset.unwrap_or(zone)),
            None => {}
        }
        self.offset.map(|zone| local - zone)
    }
}

/// Takes such a line apart; `None` where it is none. What is banned may hold anything, so it is read from the end.
pub fn parse_ban_line(line: &str) -> Option<BanLine<'_>> {
    let (ip, times) = line.rsplit_once(" \t")?;
    let (start, end) = times.split_once(" + ")?;
    let (seconds, end) = end.split_once(" = ")?;
    Some(BanLine { ip, banned_at_local: start, seconds: seconds.parse().ok()?, ends_at_local: end.trim_end() })
}

impl Daemon {
    /// Bans addresses and returns how many were not banned before. Their actions run before the answer comes, so it may take seconds each.
    /// A daemon before 0.10 takes one at a time, bans a moment later and does not say: there all of them count.
    pub fn ban(&mut self, jail: &JailName, addresses: &[IpOrNet]) -> Result<u64, Error> {
        let texts: Vec<String> = addresses.iter().map(IpOrNet::to_string).collect();
        let modern = self.version()?.is_modern();
        let mut words = vec!["set", self.named(Place::Set, jail)?, "banip"];
        if modern {
            words.extend(texts.iter().map(String::as_str));
            return counted(&self.client.call(&words)?);
        }
        for text in &texts {
            words.truncate(3);
            words.push(text);
            self.client.call(&words)?;
        }
        Ok(texts.len() as u64)
    }

    /// Lifts bans of one jail and returns how many there were. The texts are canonical, or exactly what the daemon lists. Where the daemon
    /// takes the jail's name for a word of its own, they are lifted in all jails: it knows no other way.
    pub fn unban(&mut self, jail: &JailName, texts: &[&str]) -> Result<u64, Error> {
        for text in texts {
            not_an_option(text)?;
        }
        if texts.is_empty() {
            return Ok(0);
        }
        if jail.is_taken() {
            return self.unban_everywhere(texts);
        }
        let mut words = vec!["set", jail.as_str(), "unbanip"];
        if self.version()?.is_modern() {
            words.extend(texts);
            return counted(&self.client.call(&words)?);
        }
        let mut lifted = 0;
        for text in texts {
            words.truncate(3);
            words.push(text);
            match self.client.call(&words) {
                Ok(_) => lifted += 1,
                Err(Error::Refused { class, message })
                    if class == "ValueError" && message.contains("is not banned") => {}
                Err(error) => return Err(error),
            }
        }
        Ok(lifted)
    }

    /// Lifts bans in all jails and returns how many there were.
    pub fn unban_everywhere(&mut self, texts: &[&str]) -> Result<u64, Error> {
        for text in texts {
            not_an_option(text)?;
        }
        if texts.is_empty() {
            return Ok(0);
        }
        if self.version()?.is_modern() {
            let mut words = vec!["unban"];
            words.extend(texts);
            return counted(&self.client.call(&words)?);
        }
        let mut lifted = 0;
        for jail in self.jail_names()? {
            lifted += self.unban(&jail, texts)?;
        }
        Ok(lifted)
    }

    /// Lifts all bans of all jails and returns how many there were. The daemon forgets their history, too.
    pub fn unban_all(&mut self) -> Result<u64, Error> {
        if self.version()?.is_modern() {
            return counted(&self.client.call(&["unban", "--all"])?);
        }
        let mut lifted = 0;
        for jail in self.jail_names()? {
            let mut texts = Vec::new();
            self.each_banned(&jail, &mut |text| texts.push(text.to_owned()))?;
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            lifted += self.unban(&jail, &texts)?;
        }
        Ok(lifted)
    }

    /// Hands over what a jail has banned, one after the other (from 0.11 in the order in which they end), and returns their number.
    pub fn each_banned(&mut self, jail: &JailName, visit: &mut dyn FnMut(&str)) -> Result<usize, Error> {
        let version = self.version()?;
        if version.is_modern() {
            let property = if version.has_ban_times() { "banip" } else { "banned" };
            if jail.is_taken_in(Place::Get) {
                return self.each_banned_beside(jail, visit);
            }
            return self.client.ask_strings(&["get", jail.as_str(), property], visit);
        }
        let status = self.client.ask(&["status", jail.as_str()])?;
        let actions = status.lookup("Actions");
        let list = actions.and_then(|actions| actions.lookup("Banned IP list")?.items());
        let texts = list.ok_or_else(|| unexpected("its bans"))?.iter().filter_map(Value::as_str);
        Ok(texts.map(visit).count())
    }

    /// The same for a jail that cannot be asked by its name: out of the answer that has the bans of all.
    fn each_banned_beside(&mut self, jail: &JailName, visit: &mut dyn FnMut(&str)) -> Result<usize, Error> {
        let mut count = None;
        self.each_jail_with_bans(&mut |name, bans| {
            if name == jail.as_str() {
                count = Some(bans.iter().filter_map(Value::as_str).map(&mut *visit).count());
            }
        })?;
        count.ok_or_else(|| Error::UnknownJail(jail.as_str().to_owned()))
    }

    /// All jails by their names, each with its bans. From 0.10.
    pub(super) fn each_jail_with_bans(&mut self, visit: &mut dyn FnMut(&str, &[Value])) -> Result<(), Error> {
        let answer = self.client.ask(&["banned"])?;
        // A list with a dictionary of one entry for each.
        for jail in answer.items().ok_or_else(|| unexpected("its bans"))? {
            for (name, bans) in jail.pairs().ok_or_else(|| unexpected("its bans"))? {
                if let (Some(name), Some(bans)) = (name.as_str(), bans.items()) {
                    visit(name, bans);
                }
            }
        }
        Ok(())
    }

    /// The same with their times, from 0.11; `None` from an older daemon. A line of unknown form is passed over and not counted.
    pub fn each_banned_with_time(
        &mut self,
        jail: &JailName,
        visit: &mut dyn FnMut(BanLine<'_>),
    ) -> Result<Option<usize>, Error> {
        if !self.version()?.has_ban_times() || jail.is_taken_in(Place::Get) {
            return Ok(None);
        }
        let mut count = 0;
        let mut parse = |line: &str| {
            if let Some(ban) = parse_ban_line(line) {
                count += 1;
                visit(ban);
            }
        };
        self.client.ask_strings(&["get", jail.as_str(), "banip", "--with-time"], &mut parse)?;
        Ok(Some(count))
    }

    /// Whether exactly this is banned by the jail. The daemon looks through its whole list, so for more than a few fetch that instead.
    pub fn is_banned(&mut self, jail: &JailName, text: &str) -> Result<bool, Error> {
        if self.version()?.is_modern() {
            if jail.is_taken_in(Place::Get) {
                return Ok(self.jails_banning(text)?.contains(jail));
            }
            let answer = self.client.ask(&["get", jail.as_str(), "banned", not_an_option(text)?])?;
            return answer.as_bool().ok_or_else(|| unexpected("a ban"));
        }
        let mut found = false;
        self.each_banned(jail, &mut |banned| found |= banned == text)?;
        Ok(found)
    }

    /// The jails that have exactly this banned.
    pub fn jails_banning(&mut self, text: &str) -> Result<Vec<JailName>, Error> {
        if self.version()?.is_modern() {
            let answer = self.client.ask(&["banned", not_an_option(text)?])?;
            let names = answer.items().and_then(|lists| lists.first()?.texts()).ok_or_else(|| unexpected("a ban"))?;
            return Ok(names.iter().filter_map(|name| JailName::from_daemon(name).ok()).collect());
        }
        let mut banning = Vec::new();
        for jail in self.jail_names()? {
            if self.is_banned(&jail, text)? {
                banning.push(jail);
            }
        }
        Ok(banning)
    }
}

fn counted(value: &Value) -> Result<u64, Error> {
    value.as_i64().and_then(|number| number.try_into().ok()).ok_or_else(|| unexpected("a number of bans"))
}

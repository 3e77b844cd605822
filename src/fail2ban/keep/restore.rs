//! Waits for what a jail does by itself at its start: the start commands of its actions, and the bans that the daemon remembers.
//!
//! Nothing tells when the restore is over. Those bans are waited for that the database has as in force and that the jail does not ignore;
//! one that comes all the same when we have given up must not move those that we have made (`again.rs`).

use std::collections::HashSet;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::bans::Kept;
use crate::domain::address::IpOrNet;
use crate::domain::names::JailName;
use crate::fail2ban::commands::Daemon;
use crate::fail2ban::database::Database;
use crate::fail2ban::error::Error;
use crate::fail2ban::stream::{Stream, WantedAction};

/// How long nothing may come back before the rest is taken for missing; more where single bans take long.
const STALLED: Duration = Duration::from_secs(3);
/// How long the daemon's own restore is waited for: 7 000 bans with nftables.
const RESTORED: Duration = Duration::from_secs(120);
/// How often it is looked at.
const ROUND: Duration = Duration::from_millis(20);
/// How long the start commands of a jail's actions are waited for. One that fails never says that it has run.
const STARTED: Duration = Duration::from_secs(20);

/// How many bans the daemon will restore by itself: of these, or of all that it remembers of the jail. It must not shorten them.
pub(super) fn expected(database: &Database, jail: &JailName, own: &Stream, kept: Option<&Kept>) -> u64 {
    let wanted: Option<HashSet<&str>> = kept.map(|kept| kept.bans.iter().map(|ban| ban.ip.as_str()).collect());
    let ignored: Vec<IpOrNet> =
        own.values_of("addignoreip").iter().filter_map(|value| value.as_str()?.parse().ok()).collect();
    let now = Timestamp::now().as_second();
    let mut count = 0;
    let read = database.each_current(Some(jail.as_str()), &mut |ban| {
        let is_over = ban.times.ends_at().is_some_and(|end| end <= now);
        let is_ignored =
            ban.ip.parse::<IpOrNet>().is_ok_and(|address| ignored.iter().any(|net| net.contains(&address)));
        let is_wanted = wanted.as_ref().is_none_or(|wanted| wanted.contains(ban.ip.as_str()));
        count += u64::from(!is_over && !is_ignored && is_wanted);
    });
    match read {
        Ok(()) => count,
        // Without its rows it is not known what comes: all of them may.
        Err(_) => kept.map_or(0, |kept| kept.bans.len() as u64),
    }
}

/// Waits until the jail has run the start commands of its actions: a ban that comes before would find no chain to be put in.
///
/// The daemon has a word for it that is not meant for others (since 0.10); a ban that it has restored tells it as well.
pub(super) fn wait_for_actions(daemon: &mut Daemon, jail: &JailName, own: &Stream) -> Result<(), Error> {
    let actions = own.actions();
    let has_start = |action: &&WantedAction<'_>| {
        !action.is_python && action.parameter("actionstart").is_some_and(|start| !start.shown().trim().is_empty())
    };
    let (start, mut waits): (Instant, Vec<_>) = (Instant::now(), actions.iter().filter(has_start).collect());
    while start.elapsed() < STARTED {
        let mut left = Vec::new();
        for action in waits {
            let is_late = daemon.action_property(jail, action.name, "_startOnDemand")?;
            let started = daemon.action_property(jail, action.name, "_CommandAction__started")?;
            let is_empty = started.is_some_and(|started| started.pairs().is_some_and(<[_]>::is_empty));
            if is_empty && !is_late.and_then(|value| value.as_bool()).unwrap_or(false) {
                left.push(action);
            }
        }
        if left.is_empty() || daemon.counters(jail)?.counters.currently_banned > 0 {
            return Ok(());
        }
        waits = left;
        std::thread::sleep(ROUND);
    }
    Ok(())
}

/// Waits until the jail has so many bans, or nothing more comes.
pub(super) fn wait_for_restore(daemon: &mut Daemon, jail: &JailName, wanted: u64) -> Result<(), Error> {
    let (start, mut count, mut since, mut longest) = (Instant::now(), 0, Instant::now(), STALLED / 3);
    while start.elapsed() < RESTORED {
        let now = daemon.counters(jail)?.counters.currently_banned;
        if now >= wanted {
            return Ok(());
        }
        if now > count {
            longest = longest.max(since.elapsed());
            (count, since) = (now, Instant::now());
        } else if since.elapsed() > longest * 3 {
            return Ok(());
        }
        std::thread::sleep(ROUND);
    }
    Ok(())
}

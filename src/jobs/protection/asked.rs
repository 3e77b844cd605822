//! What fail2ban says of its jails.

use std::collections::BTreeMap;

use crate::domain::names::JailName;
use crate::fail2ban::{Daemon, Error, Value};
use crate::protection::facts::{Action, JailFacts, JournalFacts, LogFacts, Source};

/// So many bans of a jail are asked for; of more, only those that are known already are looked for.
const MOST_BANS: u64 = 2000;

/// Its jails, as far as it tells.
pub fn jails(
    daemon: &mut Daemon,
    some_bans: &BTreeMap<String, Vec<String>>,
    resting: &[String],
) -> Result<Vec<JailFacts>, Error> {
    let mut found = Vec::new();
    for name in daemon.jail_names()? {
        match jail(daemon, &name, some_bans.get(name.as_str())) {
            Ok(facts) => found.push(JailFacts { rests: resting.iter().any(|own| own == name.as_str()), ..facts }),
            // It was stopped meanwhile, or cannot be asked by its name.
            Err(Error::UnknownJail(_) | Error::NameTaken(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn jail(daemon: &mut Daemon, name: &JailName, some_bans: Option<&Vec<String>>) -> Result<JailFacts, Error> {
    let settings = daemon.jail_settings(name)?;
    let banned = daemon.counters(name)?.counters.currently_banned;
    let mut looked_for = Vec::new();
    match some_bans {
        _ if banned == 0 => {}
        Some(some) if banned > MOST_BANS => looked_for.clone_from(some),
        None if banned > MOST_BANS => {}
        _ => drop(daemon.each_banned(name, &mut |ip| looked_for.push(ip.to_owned()))?),
    }
    let source = match daemon.reads_journal(name)? {
        true => {
            let matches: Vec<String> = settings.journal_match.iter().map(|group| group.join(" ")).collect();
            Source::Journal(JournalFacts { matches: matches.join(" + "), ..JournalFacts::default() })
        }
        false => {
            let log = |path: &String| LogFacts { path: path.clone(), ..LogFacts::default() };
            Source::Files(settings.log_paths.iter().map(log).collect())
        }
    };
    let mut actions = Vec::new();
    for action in &settings.actions {
        actions.push(action_of(daemon, name, action)?);
    }
    Ok(JailFacts {
        name: name.to_string(),
        source,
        actions,
        banned,
        looked_for,
        find_time: settings.find_time,
        ban_time: settings.ban_time,
        ignored: daemon.ignore_list(name)?,
        ignores_own: settings.ignore_self,
        asks_whom_to_ignore: !settings.ignore_command.is_empty(),
        trial: Err("It was not tried.".to_owned()),
        ..JailFacts::default()
    })
}

/// How long fail2ban remembers bans over a restart, in seconds: 0 without a database; `None` for to their end, as from 0.11 on.
pub fn remembered(daemon: &mut Daemon) -> Result<Option<f64>, Error> {
    if daemon.database_path()?.is_none() {
        return Ok(Some(0.0));
    }
    let keeps_to_the_end = daemon.version()?.has_ban_times();
    if keeps_to_the_end { Ok(None) } else { Ok(daemon.server_settings()?.db_purge_age.map(|age| age as f64)) }
}

/// The actions of one jail.
pub fn actions(daemon: &mut Daemon, jail: &JailName) -> Result<Vec<Action>, Error> {
    let names = daemon.action_names(jail)?;
    names.iter().map(|name| action_of(daemon, jail, name)).collect()
}

fn action_of(daemon: &mut Daemon, jail: &JailName, name: &str) -> Result<Action, Error> {
    // Asked for what is not there, fail2ban would write an error into its log each time.
    let bans = daemon.action_properties(jail, name)?.iter().any(|own| own == "actionban");
    let command = if bans { daemon.action_property(jail, name, "actionban")? } else { None };
    let command = command.as_ref().and_then(Value::as_str).unwrap_or_default();
    Ok(Action { name: name.to_owned(), tools: tools(command) })
}

/// The programs that show what a command does to the packet filter.
fn tools(command: &str) -> Vec<&'static str> {
    let has = |word: &str| command.contains(word);
    match () {
        () if has("firewall-cmd") => vec!["nft", "iptables-save"],
        () if has("ipset ") || has("<ipset") => vec!["iptables-save", "ipset"],
        () if has("nft ") || has("<nftables>") => vec!["nft"],
        () if has("iptables") || has("ip6tables") || has("ufw ") => vec!["iptables-save"],
        () => Vec::new(),
    }
}

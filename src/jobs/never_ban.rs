//! What is never banned is brought into force, in a child: the files that each start of fail2ban reads, the jails that run now, the bans that
//! there are, and what is imported.
//!
//! Who is on the list is the loop's to say. What cannot be done now is told in a sentence and done by the next look.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::apply::TURN;
use super::bans::{CHANGES, answering};
use super::failure::Failure;
use super::import::tend::{Tend, Tended};
use crate::apply::never_ban::{changes, tree_without};
use crate::apply::{Applied, Apply};
use crate::conf::{self, Overlay, Tree};
use crate::domain::address::IpOrNet;
use crate::domain::as_read::FieldError;
use crate::domain::history::BLOCKLIST_JAIL;
use crate::domain::names::JailName;
use crate::domain::never_ban::{Told, Who};
use crate::fail2ban::{Daemon, Error};

/// How long names are looked up for: what is left keeps the addresses it had.
const LOOKS_UP: Duration = Duration::from_secs(20);
/// How many bans are lifted by one command, so that other clients of the daemon have their turn.
const SOME: usize = 100;
/// What fail2ban lists where everybody is ignored, and what it must be told to take that away.
const EVERYBODY: [(&str, &str); 2] = [("0.0.0.0", "0.0.0.0/0"), ("::", "::/0")];

/// Bring the list into force.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeepNeverBan {
    /// Where the daemon and its files are; what is never banned is in there.
    pub apply: Apply,
    /// What is no longer on the list, and the jails may have it still.
    pub gone: Vec<Told>,
    /// What is new: whoever it names is let out.
    pub new: Vec<Told>,
    /// The addresses of names as they were last looked up.
    pub known: BTreeMap<String, Vec<IpAddr>>,
    /// The names that are looked up now.
    pub names: Vec<String>,
    /// What is set in jails and not in their files, by jail.
    pub pending: BTreeMap<String, Vec<String>>,
    /// The jails that an entry is to hold in, where somebody has just named them: one of them that is nowhere is a mistake.
    pub named: Vec<String>,
    /// What is imported is looked after, where that is wanted.
    pub tend: Option<Tend>,
}

/// What was done.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Kept {
    /// What the apply has done, where files were changed.
    pub applied: Option<Applied>,
    /// Jails that ignore it now; `None` where fail2ban was not reached.
    pub jails: Option<Vec<String>>,
    /// The addresses of names.
    pub addresses: BTreeMap<String, Vec<IpAddr>>,
    /// Names that were not found.
    pub not_found: Vec<String>,
    /// Jail and address of the bans that were lifted.
    pub lifted: Vec<(String, String)>,
    /// Why it is not in force as it should be, a sentence each.
    pub problems: Vec<String>,
    /// What became of imported addresses.
    pub tended: Option<Tended>,
}

impl KeepNeverBan {
    /// A `Kept`.
    pub fn run(mut self) -> Result<Value, Failure> {
        self.demand_jails()?;
        let mut kept = Kept::default();
        if let Err(failure) = self.write(&mut kept) {
            kept.problems.push(format!("Its file under fail2ban's configuration is not written: {failure}."));
        }
        self.look_up(&mut kept);
        match self.tell(&mut kept) {
            Ok(jails) => kept.jails = Some(jails),
            // The next daemon reads the files.
            Err(Error::Unreachable { .. } | Error::ShuttingDown) => {}
            Err(error) => kept.problems.push(format!("fail2ban could not be told all of it: {error}.")),
        }
        if let Some(tend) = &mut self.tend {
            tend.never.extend(addresses(&self.new, &kept.addresses));
            kept.tended = Some(tend.tend());
        }
        Ok(json!(kept))
    }

    /// Refuses jails that neither run nor stand in a file. What cannot be read is taken to have them.
    fn demand_jails(&self) -> Result<(), Failure> {
        if self.named.is_empty() {
            return Ok(());
        }
        let Ok(tree) = tree_without(&self.apply.place.config_dir, &Overlay::new()) else { return Ok(()) };
        let mut known: BTreeSet<String> = tree.jails().iter().map(ToString::to_string).collect();
        if let Ok(mut daemon) = answering(&self.apply.place.socket, CHANGES) {
            known.extend(daemon.jail_names()?.iter().map(JailName::to_string));
        }
        known.insert(BLOCKLIST_JAIL.to_owned());
        let unknown = self.named.iter().enumerate().filter(|(_, name)| !known.contains(*name));
        let there: Vec<&str> = known.iter().map(String::as_str).collect();
        let wrong: Vec<FieldError> = unknown
            .map(|(at, name)| FieldError {
                source_field: format!("jails.{at}"),
                rule: "unknown".into(),
                detail: format!("jails.{at}: there is no jail {name}; there are {}.", there.join(", ")),
            })
            .collect();
        if wrong.is_empty() { Ok(()) } else { Err(Failure::WrongFields(wrong)) }
    }

    /// The files.
    fn write(&mut self, kept: &mut Kept) -> Result<(), String> {
        let told = self.apply.never_ban.clone().unwrap_or_default();
        let files = changes(&self.apply.place.config_dir, &told, &Overlay::new()).map_err(text)?;
        if !files.is_empty() {
            self.apply.changes = files;
            kept.applied = Some(self.apply.run(TURN).map_err(text)?);
        }
        Ok(())
    }

    /// The addresses of names. fail2ban looks them up itself whenever somebody fails; what is found here is for the bans there are.
    fn look_up(&self, kept: &mut Kept) {
        kept.addresses = self.known.clone();
        let start = Instant::now();
        for name in &self.names {
            if start.elapsed() > LOOKS_UP {
                kept.problems.push("Not all names were looked up in time; they are looked up again.".to_owned());
                break;
            }
            let found: BTreeSet<IpAddr> = match (name.as_str(), 0).to_socket_addrs() {
                Ok(found) => found.map(|socket| socket.ip().to_canonical()).collect(),
                Err(_) => BTreeSet::new(),
            };
            if found.is_empty() {
                // One that is not found for a moment keeps the addresses it had.
                kept.not_found.push(name.clone());
            } else {
                kept.addresses.insert(name.clone(), found.into_iter().collect());
            }
        }
    }

    /// The running jails; gives those that were told.
    fn tell(&self, kept: &mut Kept) -> Result<Vec<String>, Error> {
        let told = self.apply.never_ban.clone().unwrap_or_default();
        let mut daemon = answering(&self.apply.place.socket, CHANGES)?;
        // What files that cannot be read say is unknown: then nothing is taken away.
        let tree = tree_without(&self.apply.place.config_dir, &Overlay::new()).ok();
        let out = self.let_out(&kept.addresses);
        let mut jails = Vec::new();
        for jail in daemon.jail_names()? {
            match self.tell_one(&mut daemon, &jail, &told, tree.as_ref()) {
                Ok(()) => jails.push(jail.to_string()),
                // It has stopped meanwhile, or cannot be commanded because of its name.
                Err(Error::UnknownJail(_) | Error::NameTaken(_)) => continue,
                Err(error) => return Err(error),
            }
            match lift(&mut daemon, &jail, &out, &mut kept.lifted) {
                Err(Error::UnknownJail(_)) => {}
                other => other?,
            }
        }
        Ok(jails)
    }

    fn tell_one(&self, daemon: &mut Daemon, jail: &JailName, told: &[Told], tree: Option<&Tree>) -> Result<(), Error> {
        let present = daemon.ignore_list(jail)?;
        let has: BTreeSet<String> = present.iter().map(|entry| canonical(entry)).collect();
        let wanted: BTreeSet<&str> =
            told.iter().filter(|own| own.holds_in(jail.as_str())).map(|own| own.entry.as_str()).collect();
        let missing: Vec<&str> = wanted.iter().copied().filter(|entry| !has.contains(*entry)).collect();
        for some in missing.chunks(SOME) {
            daemon.add_ignored(jail, some)?;
        }
        let Some(tree) = tree else { return Ok(()) };
        let gone = self.gone.iter().filter(|own| own.holds_in(jail.as_str()) && !wanted.contains(own.entry.as_str()));
        let gone: Vec<&Told> = gone.filter(|own| has.contains(&own.entry)).collect();
        if gone.is_empty() {
            return Ok(());
        }
        let amount = tree.jail_option(jail.as_str(), "ignoreip").and_then(|option| option.amount).unwrap_or_default();
        let of_files = conf::words(&amount).into_iter().map(canonical);
        let pending = self.pending.get(jail.as_str()).into_iter().flatten().map(|entry| canonical(entry));
        let others: BTreeSet<String> = of_files.chain(pending).collect();
        for own in gone.into_iter().filter(|own| !others.contains(&own.entry)) {
            for entry in present.iter().filter(|entry| canonical(entry) == own.entry) {
                let is_everybody = EVERYBODY.iter().any(|(_, meant)| *meant == own.entry);
                daemon.remove_ignore(jail, if is_everybody { &own.entry } else { entry })?;
            }
        }
        Ok(())
    }

    /// Who is let out: what is new, and where a name has other addresses than before, those.
    fn let_out(&self, addresses: &BTreeMap<String, Vec<IpAddr>>) -> Vec<(IpOrNet, Told)> {
        let mut out = Vec::new();
        for own in &self.new {
            out.extend(nets(&own.entry, addresses).into_iter().map(|net| (net, own.clone())));
        }
        let told = self.apply.never_ban.iter().flatten();
        for own in told.filter(|own| self.names.contains(&own.entry) && !self.new.contains(own)) {
            let known = self.known.get(&own.entry);
            let is_other = |address: &&IpAddr| known.is_none_or(|known| !known.contains(address));
            let others = addresses.get(&own.entry).into_iter().flatten().filter(is_other);
            out.extend(others.map(|address| (IpOrNet::from(*address), own.clone())));
        }
        out
    }
}

/// Lifts what a jail has banned of these: the very addresses, and whatever lies in a network or has it inside.
fn lift(
    daemon: &mut Daemon,
    jail: &JailName,
    out: &[(IpOrNet, Told)],
    lifted: &mut Vec<(String, String)>,
) -> Result<(), Error> {
    let out: Vec<IpOrNet> = out.iter().filter(|(_, own)| own.holds_in(jail.as_str())).map(|(net, _)| *net).collect();
    if out.is_empty() {
        return Ok(());
    }
    let mut banned = Vec::new();
    daemon.each_banned(jail, &mut |text| {
        if text.parse::<IpOrNet>().is_ok_and(|one| out.iter().any(|net| net.overlaps(&one))) {
            banned.push(text.to_owned());
        }
    })?;
    for some in banned.chunks(SOME) {
        let texts: Vec<&str> = some.iter().map(String::as_str).collect();
        daemon.unban(jail, &texts)?;
        lifted.extend(some.iter().map(|text| (jail.to_string(), text.clone())));
    }
    Ok(())
}

/// The addresses and networks that entries stand for.
fn addresses(told: &[Told], known: &BTreeMap<String, Vec<IpAddr>>) -> Vec<IpOrNet> {
    told.iter().flat_map(|own| nets(&own.entry, known)).collect()
}

fn nets(entry: &str, known: &BTreeMap<String, Vec<IpAddr>>) -> Vec<IpOrNet> {
    match entry.parse() {
        Ok(Who::Net(net)) => vec![net],
        Ok(Who::Name(name)) => known.get(&name).into_iter().flatten().map(|address| IpOrNet::from(*address)).collect(),
        Err(_) => Vec::new(),
    }
}

/// An entry of an ignore list as the list here would have it.
fn canonical(entry: &str) -> String {
    if let Some((_, meant)) = EVERYBODY.iter().find(|(listed, _)| *listed == entry) {
        return (*meant).to_owned();
    }
    entry.parse::<Who>().map_or_else(|_| entry.to_owned(), |who| who.to_string())
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

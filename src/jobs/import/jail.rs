//! The jail of imported addresses: made on demand, filled and emptied in chunks that leave the daemon free for others.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::apply::{Applied, Apply, ApplyError, FileChange, Scope};
use crate::blocklist::set::AddressSet;
use crate::conf::{Folder, LocalFile};
use crate::domain::address::IpOrNet;
use crate::domain::names::JailName;
use crate::fail2ban::{Daemon, Error};
use crate::jobs::bans::answering;
use crate::jobs::failure::Failure;
use crate::jobs::pace::{HOLD, Pace};

/// The jail's name, which the contract knows.
pub const JAIL: &str = "blocklist-import";
/// How long a chunk may take before it is a failure: each ban runs the commands of an action.
const CHANGES: Duration = Duration::from_secs(60);
/// How long another change of the configuration is waited for: nobody is kept from anything meanwhile.
const TURN: Duration = Duration::from_secs(300);
/// Bans that are lifted before the time is looked at: 2 s with nftables.
const LOOKS_UP: usize = 100;
/// Actions that take networks. The sets of nftables and ipset actions hold addresses only.
const TAKE_NETWORKS: &[&str] = &["iptables", "route", "ufw", "pf", "ipfw", "shorewall", "firewallcmd-rich"];

/// What is done with a few addresses.
type Work<'a> = dyn FnMut(&mut Daemon, &JailName, &[IpOrNet]) -> Result<(), Error> + 'a;

/// The jail, ready for bans.
pub struct ImportJail {
    daemon: Daemon,
    name: JailName,
    /// What is banned in it now.
    pub banned: AddressSet,
    /// What its ignore list names.
    pub ignored: Vec<IpOrNet>,
    /// Whether its action takes networks.
    pub takes_networks: bool,
    /// What making it has done, where it had to be made.
    pub loaded: Option<Applied>,
    pace: Pace,
}

impl ImportJail {
    /// Makes sure that the jail runs with this ban time, and asks once what it has banned.
    pub fn open(apply: &Apply, ban_seconds: u32) -> Result<ImportJail, Failure> {
        let (daemon, name, runs) = connect(&apply.place.socket)?;
        let loaded = make(apply, ban_seconds, runs)?;
        Ok(ImportJail { loaded, ..ImportJail::of(daemon, name)? })
    }

    /// The jail where it runs, as it is.
    pub fn running(socket: &Path) -> Result<Option<ImportJail>, Error> {
        let (daemon, name, runs) = connect(socket)?;
        if runs { ImportJail::of(daemon, name).map(Some) } else { Ok(None) }
    }

    fn of(mut daemon: Daemon, name: JailName) -> Result<ImportJail, Error> {
        let mut banned = AddressSet::default();
        daemon.each_banned(&name, &mut |text| {
            if let Ok(entry) = text.parse() {
                banned.push(entry);
            }
        })?;
        banned.seal();
        let ignored = daemon.ignore_list(&name)?.iter().filter_map(|entry| entry.parse().ok()).collect();
        let actions = daemon.jail_settings(&name)?.actions;
        let takes =
            |action: &String| TAKE_NETWORKS.iter().any(|known| action.starts_with(known)) && !action.contains("ipset");
        let takes_networks = !actions.is_empty() && actions.iter().all(takes);
        Ok(ImportJail { daemon, name, banned, ignored, takes_networks, loaded: None, pace: Pace::default() })
    }

    /// Bans them all and returns how many were not banned before; `told` hears the number so far.
    pub fn ban(&mut self, addresses: &AddressSet, told: &mut dyn FnMut(u64)) -> Result<u64, Error> {
        let mut count = 0;
        self.in_chunks(addresses, &mut |daemon, name, chunk| {
            count += daemon.ban(name, chunk)?;
            told(count);
            Ok(())
        })?;
        self.banned.merge(addresses);
        Ok(count)
    }

    /// Lifts the bans of all of them and returns how many there were.
    pub fn unban(&mut self, addresses: &AddressSet) -> Result<u64, Error> {
        let mut count = 0;
        self.in_chunks(addresses, &mut |daemon, name, chunk| {
            let texts: Vec<String> = chunk.iter().map(IpOrNet::to_string).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            count += daemon.unban(name, &texts)?;
            Ok(())
        })?;
        self.banned.subtract(addresses);
        Ok(count)
    }

    /// Lifts these bans until a certain time; returns how many are left.
    pub fn unban_until(&mut self, mut addresses: Vec<IpOrNet>, until: Instant) -> Result<u64, Error> {
        while !addresses.is_empty() && Instant::now() < until {
            let some = addresses.split_off(addresses.len().saturating_sub(LOOKS_UP));
            self.unban(&some.into_iter().collect())?;
        }
        Ok(addresses.len() as u64)
    }

    /// Does something with them, a few at a time: as many as keep the daemon busy for a moment only, and a rest after each.
    fn in_chunks(&mut self, addresses: &AddressSet, work: &mut Work<'_>) -> Result<(), Error> {
        let mut entries = addresses.iter();
        loop {
            let chunk: Vec<IpOrNet> = entries.by_ref().take(self.pace.chunk()).collect();
            if chunk.is_empty() {
                return Ok(());
            }
            let start = Instant::now();
            work(&mut self.daemon, &self.name, &chunk)?;
            let took = start.elapsed();
            self.pace.note(chunk.len(), took);
            std::thread::sleep((took / 4).clamp(Duration::from_millis(1), HOLD));
        }
    }
}

/// The daemon, the jail's name, and whether it runs.
fn connect(socket: &Path) -> Result<(Daemon, JailName, bool), Error> {
    let mut daemon = answering(socket, CHANGES)?;
    let name: JailName = JAIL.parse().expect("the name of our jail is one");
    let runs = daemon.jail_names()?.contains(&name);
    Ok((daemon, name, runs))
}

/// Writes the jail's file where it is not as it should be, and has the daemon load it; what cannot be loaded is taken back.
fn make(apply: &Apply, ban_seconds: u32, runs: bool) -> Result<Option<Applied>, Failure> {
    let file = LocalFile::jail(JAIL)?;
    let folder = Folder::open(&apply.place.config_dir, file.folder)?;
    let before = folder.read(&file.name)?;
    let before = before.map(|saved| String::from_utf8_lossy(&saved.bytes).into_owned());
    let wanted = file_of(ban_seconds);
    let is_written = before.as_ref() == Some(&wanted);
    if runs && is_written {
        return Ok(None);
    }
    let changes = if is_written { Vec::new() } else { vec![FileChange::new(&file, before, Some(wanted))] };
    let scope = Scope::Jails(vec![JAIL.to_owned()]);
    Apply { changes, scope, stops: false, ..apply.clone() }.run(TURN).map(Some).map_err(not_made)
}

/// Why the jail cannot be made. That its file would be wrong is nothing that whoever asked for the import has sent.
fn not_made(error: ApplyError) -> Failure {
    let ApplyError::Invalid(problem) = error else { return error.into() };
    // What it bans with is all that the jail takes from the files.
    let hint = "it bans with banaction_allports of [DEFAULT]; in jail.local, banaction_allports = nftables[type=allports] is one for example";
    Failure::CommandFailed(format!("The jail {JAIL} cannot be made: {problem}; {hint}"))
}

/// What the jail's file says. No log and no filter: the jail only holds what is banned by hand.
fn file_of(ban_seconds: u32) -> String {
    format!(
        "# Written by bangui: the jail of imported blocklists. Changes are overwritten.\n[{JAIL}]\nenabled = true\nfilter =\n\
         backend = polling\nmaxretry = 1\nbantime = {ban_seconds}\nbantime.increment = false\n\
         action = %(banaction_allports)s[name=%(__name__)s]\n"
    )
}

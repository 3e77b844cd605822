//! The jail of imported addresses: made on demand, filled and emptied in chunks that leave the daemon free for others.

use std::time::{Duration, Instant};

use crate::apply::{Apply, FileChange, Scope};
use crate::blocklist::set::AddressSet;
use crate::conf::{self, Folder, LocalFile};
use crate::domain::address::IpOrNet;
use crate::domain::names::JailName;
use crate::fail2ban::stream::Stream;
use crate::fail2ban::{Daemon, Error};
use crate::jobs::Failure;
use crate::jobs::bans::answering;

/// The jail's name, which the contract knows.
pub const JAIL: &str = "blocklist-import";
/// How long a chunk may take before it is a failure: each ban runs the commands of an action.
const CHANGES: Duration = Duration::from_secs(60);
/// How long one command should keep the daemon from others. Measured: an nftables ban takes 16 ms.
const HOLD: Duration = Duration::from_millis(40);
/// How long another change of the configuration is waited for: nobody is kept from anything meanwhile.
const TURN: Duration = Duration::from_secs(300);
/// Addresses in the first command, and at most in one.
const FIRST: usize = 2;
const MOST: usize = 50;
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
    /// The commands of the files, where they were loaded.
    pub loaded: Option<Stream>,
    chunk: usize,
}

impl ImportJail {
    /// Makes sure that the jail runs with this ban time, and asks once what it has banned.
    pub fn open(apply: &Apply, ban_seconds: u32) -> Result<ImportJail, Failure> {
        let mut daemon = answering(&apply.place.socket, CHANGES)?;
        let name: JailName = JAIL.parse().expect("the name of our jail is one");
        let runs = daemon.jail_names()?.contains(&name);
        let loaded = make(apply, ban_seconds, runs)?;
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
        Ok(ImportJail { daemon, name, banned, ignored, takes_networks, loaded, chunk: FIRST })
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

    /// Does something with them, a few at a time: as many as keep the daemon busy for a moment only, and a rest after each.
    fn in_chunks(&mut self, addresses: &AddressSet, work: &mut Work<'_>) -> Result<(), Error> {
        let mut entries = addresses.iter();
        loop {
            let chunk: Vec<IpOrNet> = entries.by_ref().take(self.chunk).collect();
            if chunk.is_empty() {
                return Ok(());
            }
            let start = Instant::now();
            work(&mut self.daemon, &self.name, &chunk)?;
            let took = start.elapsed().max(Duration::from_micros(100));
            let fitting = (chunk.len() as f64 * HOLD.as_secs_f64() / took.as_secs_f64()) as usize;
            self.chunk = fitting.clamp(1, (self.chunk * 2).min(MOST));
            std::thread::sleep((took / 4).clamp(Duration::from_millis(1), HOLD));
        }
    }
}

/// Writes the jail's file where it is not as it should be, and has the daemon load it; what cannot be loaded is taken back.
fn make(apply: &Apply, ban_seconds: u32, runs: bool) -> Result<Option<Stream>, Failure> {
    let file = LocalFile::jail(JAIL).map_err(files)?;
    let folder = Folder::open(&apply.place.config_dir, file.folder).map_err(files)?;
    let before = folder.read(&file.name).map_err(files)?;
    let before = before.map(|saved| String::from_utf8_lossy(&saved.bytes).into_owned());
    let wanted = file_of(ban_seconds);
    let is_written = before.as_ref() == Some(&wanted);
    if runs && is_written {
        return Ok(None);
    }
    let changes = if is_written { Vec::new() } else { vec![FileChange::new(&file, before, Some(wanted))] };
    let scope = Scope::Jails(vec![JAIL.to_owned()]);
    Ok(Apply { changes, scope, stops: false, ..apply.clone() }.run(TURN)?.stream)
}

fn files(error: conf::Error) -> Failure {
    Failure::Files(error.to_string())
}

/// What the jail's file says. No log and no filter: the jail only holds what is banned by hand.
fn file_of(ban_seconds: u32) -> String {
    format!(
        "# Written by bangui: the jail of imported blocklists. Changes are overwritten.\n[{JAIL}]\nenabled = true\nfilter =\n\
         backend = polling\nmaxretry = 1\nbantime = {ban_seconds}\nbantime.increment = false\n\
         action = %(banaction_allports)s[name=%(__name__)s]\n"
    )
}

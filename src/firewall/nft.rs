//! The set as a table of nftables, `inet bangui`: addresses in sets that are looked up by hash, networks in sets of intervals, IPv4 and IPv6
//! apart, and a rule for each in a chain before the one of fail2ban. Not more is dropped than fail2ban would, what is meant for this machine,
//! unless a second chain, for what it forwards, is wanted.
//!
//! Why not one set of intervals for all: `nft` needs 156 MB of memory to fill one with 100 000 addresses, and 6 MB to fill one by hash in
//! pieces (1.0.6, measured). To fill it in pieces without ever being half filled, there are two generations of the sets: one in force, and one
//! that is filled and then takes the other's place in a single transaction. The kernel itself tells which is which, because it does not
//! delete a set that a rule uses; listing the table would read every address back.

use std::fmt::Write;
use std::net::IpAddr;

use super::reach::Reach;
use super::tool::{CHUNK, FirewallError, Timed, Tool};
use crate::domain::address::IpOrNet;

const PROGRAM: &str = "nft";
/// The chains by their names and hooks: what is for this machine, and what it forwards.
const CHAINS: [(&str, &str); 2] = [("blocklist", "input"), ("forwarded", "forward")];
const GENERATIONS: [char; 2] = ['a', 'b'];

/// A kind of entries, which has a set of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    name: &'static str,
    /// What its set is made of.
    of: &'static str,
    /// What of a packet is looked up in it.
    field: &'static str,
}

const KINDS: [Kind; 4] = [
    Kind { name: "blocklist4", of: "type ipv4_addr; flags timeout;", field: "ip saddr" },
    Kind { name: "networks4", of: "type ipv4_addr; flags interval, timeout;", field: "ip saddr" },
    Kind { name: "blocklist6", of: "type ipv6_addr; flags timeout;", field: "ip6 saddr" },
    Kind { name: "networks6", of: "type ipv6_addr; flags interval, timeout;", field: "ip6 saddr" },
];

fn kind_of(entry: &IpOrNet) -> usize {
    match (entry.address(), entry.is_network()) {
        (IpAddr::V4(_), false) => 0,
        (IpAddr::V4(_), true) => 1,
        (IpAddr::V6(_), false) => 2,
        (IpAddr::V6(_), true) => 3,
    }
}

fn load(tool: &Tool, script: &str) -> Result<(), FirewallError> {
    tool.run(&["-f", "-"], script)
}

fn is_in_use(error: &FirewallError) -> bool {
    matches!(error, FirewallError::Refused(_, why) if why.contains("esource busy"))
}

/// Makes the sets of a generation new and empty; that fails where it is the one in force.
fn fresh(generation: char) -> String {
    let mut script = "add table inet bangui\n".to_owned();
    for Kind { name, of, .. } in KINDS {
        let make = format!("add set inet bangui {name}_{generation} {{ {of} }}\n");
        script += &format!("{make}delete set inet bangui {name}_{generation}\n{make}");
    }
    script
}

/// The chains that are wanted; the others are taken away.
fn is_wanted(hook: &str, reach: Reach) -> bool {
    hook == "input" || reach == Reach::Forwarded
}

/// Puts the sets of a generation in force and takes the others away.
fn switch(generation: char, reach: Reach) -> String {
    let mut script = String::new();
    for (chain, hook) in CHAINS {
        // Behind prerouting, before the -1 of fail2ban's chain and the 0 of others.
        script += &format!(
            "add chain inet bangui {chain} {{ type filter hook {hook} priority -10; policy accept; }}\nflush chain inet bangui {chain}\n"
        );
        if !is_wanted(hook, reach) {
            // Added first, for one that is not there cannot be deleted.
            script += &format!("delete chain inet bangui {chain}\n");
            continue;
        }
        for Kind { name, field, .. } in KINDS {
            script += &format!("add rule inet bangui {chain} {field} @{name}_{generation} counter drop\n");
        }
    }
    for other in GENERATIONS.into_iter().filter(|other| *other != generation) {
        for Kind { name, of, .. } in KINDS {
            // Added first, for one that is not there cannot be deleted.
            script +=
                &format!("add set inet bangui {name}_{other} {{ {of} }}\ndelete set inet bangui {name}_{other}\n");
        }
    }
    script
}

/// The commands that fill the sets of a generation, gathered until they are long enough to be worth a call.
struct Filling<'a> {
    tool: &'a Tool,
    generation: char,
    /// For each kind the elements that are not sent yet, and how many they are.
    waiting: [(String, usize); 4],
    /// The last network of either family: what lies in it needs no entry of its own, and would be refused.
    last: [Option<IpOrNet>; 4],
}

impl Filling<'_> {
    fn add(&mut self, (entry, seconds): Timed) -> Result<(), FirewallError> {
        let kind = kind_of(&entry);
        if entry.is_network() {
            if self.last[kind].is_some_and(|last| last.contains(&entry)) {
                return Ok(());
            }
            self.last[kind] = Some(entry);
        }
        let (text, count) = &mut self.waiting[kind];
        let comma = if *count > 0 { "," } else { "" };
        // Writing to a text does not fail.
        let _ = write!(text, "{comma}{entry} timeout {seconds}s");
        *count += 1;
        // Networks go all at once: for each further piece of them `nft` reads back what is there.
        if *count == CHUNK && !entry.is_network() { self.send(kind) } else { Ok(()) }
    }

    fn fill(&mut self, entries: &mut dyn Iterator<Item = Timed>) -> Result<(), FirewallError> {
        for entry in entries {
            self.add(entry)?;
        }
        (0..KINDS.len()).try_for_each(|kind| self.send(kind))
    }

    fn send(&mut self, kind: usize) -> Result<(), FirewallError> {
        let (elements, count) = std::mem::take(&mut self.waiting[kind]);
        if count == 0 {
            return Ok(());
        }
        let name = KINDS[kind].name;
        load(self.tool, &format!("add element inet bangui {name}_{} {{ {elements} }}\n", self.generation))
    }
}

/// Makes exactly these what is dropped.
pub(super) fn replace(reach: Reach, entries: &mut dyn Iterator<Item = Timed>) -> Result<(), FirewallError> {
    let tool = Tool::find(PROGRAM)?;
    let [first, second] = GENERATIONS;
    let generation = match load(&tool, &fresh(first)) {
        Ok(()) => first,
        Err(error) if is_in_use(&error) => load(&tool, &fresh(second)).map(|()| second)?,
        Err(error) => return Err(error),
    };
    let mut filling = Filling { tool: &tool, generation, waiting: Default::default(), last: [None; 4] };
    let filled = filling.fill(entries).and_then(|()| load(&tool, &switch(generation, reach)));
    if filled.is_err() {
        // What was filled in vain need not take memory; where even that fails, the next fill begins with it.
        let _ = load(&tool, &fresh(generation));
    }
    filled
}

/// Drops one address no longer; a network only with all others (`replace`), since it may stand for what lies in it.
pub(super) fn lift(address: &IpOrNet) -> Result<(), FirewallError> {
    let tool = Tool::find(PROGRAM)?;
    let name = KINDS[kind_of(address)].name;
    for generation in GENERATIONS {
        match load(&tool, &format!("delete element inet bangui {name}_{generation} {{ {address} }}\n")) {
            Err(FirewallError::Refused(_, why)) if why.contains("No such file") => {}
            other => return other,
        }
    }
    Ok(())
}

/// Asks without doing it whether each chain may be deleted, which one that is there may, and a set, which one that a rule uses may not.
pub(super) fn is_in_force(reach: Reach) -> Result<bool, FirewallError> {
    let tool = Tool::find(PROGRAM)?;
    for (chain, _) in CHAINS.iter().filter(|(_, hook)| is_wanted(hook, reach)) {
        match tool.run(&["-c", "-f", "-"], &format!("delete chain inet bangui {chain}\n")) {
            Err(FirewallError::Refused(_, why)) if why.contains("No such file") => return Ok(false),
            // One with rules in it may not be deleted, to some kernels.
            Err(error) if !is_in_use(&error) => return Err(error),
            _ => {}
        }
    }
    for generation in GENERATIONS {
        let script = format!("delete set inet bangui {}_{generation}\n", KINDS[0].name);
        match tool.run(&["-c", "-f", "-"], &script) {
            Err(error) if is_in_use(&error) => return Ok(true),
            Ok(()) => {}
            Err(FirewallError::Refused(_, why)) if why.contains("No such file") => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Takes the table away.
pub(super) fn remove() -> Result<(), FirewallError> {
    // Added first, for one that is not there cannot be deleted.
    load(&Tool::find(PROGRAM)?, "add table inet bangui\ndelete table inet bangui\n")
}

//! The set as two sets of ipset, IPv4 and IPv6, and a rule of iptables or ip6tables for each. A set is filled under another name and swapped.

use std::fmt::Write;
use std::net::IpAddr;

use super::reach::Reach;
use super::tool::{CHUNK, FirewallError, Timed, Tool, is_forbidden};
use crate::domain::address::IpOrNet;

const PROGRAM: &str = "ipset";

/// What belongs to a family of addresses.
#[derive(Clone, Copy, Debug)]
struct Family {
    set: &'static str,
    filled: &'static str,
    /// What the set is made of; it must be the same for ever, because sets of different kinds cannot be swapped.
    of: &'static str,
    tables: &'static str,
}

const FAMILIES: [Family; 2] = [
    Family {
        set: "bangui-blocklist4",
        filled: "bangui-filling4",
        of: "hash:net family inet maxelem 1048576 timeout 0",
        tables: "iptables",
    },
    Family {
        set: "bangui-blocklist6",
        filled: "bangui-filling6",
        of: "hash:net family inet6 maxelem 1048576 timeout 0",
        tables: "ip6tables",
    },
];

fn family_of(entry: &IpOrNet) -> usize {
    usize::from(matches!(entry.address(), IpAddr::V6(_)))
}

fn restore(tool: &Tool, script: &str) -> Result<(), FirewallError> {
    tool.run(&["-exist", "restore"], script)
}

fn is_absent(error: &FirewallError) -> bool {
    matches!(error, FirewallError::Refused(_, why) if why.contains("does not exist"))
}

/// Makes exactly these what is dropped.
pub(super) fn replace(reach: Reach, entries: &mut dyn Iterator<Item = Timed>) -> Result<(), FirewallError> {
    let tool = Tool::find(PROGRAM)?;
    let mut waiting = String::new();
    for Family { filled, of, .. } in FAMILIES {
        waiting += &format!("create {filled} {of}\nflush {filled}\n");
    }
    let (mut count, mut has_any) = (0, [false; 2]);
    for (entry, seconds) in entries {
        let family = family_of(&entry);
        has_any[family] = true;
        // Writing to a text does not fail.
        let _ = writeln!(waiting, "add {} {entry} timeout {seconds}", FAMILIES[family].filled);
        count += 1;
        if count == CHUNK {
            restore(&tool, &std::mem::take(&mut waiting))?;
            count = 0;
        }
    }
    // Without the program for a family nothing of it is dropped: where there is something to drop, that is an error.
    for (family, _) in FAMILIES.iter().zip(has_any).filter(|(_, has_any)| *has_any) {
        Tool::find(family.tables)?;
    }
    for Family { set, filled, of, .. } in FAMILIES {
        waiting += &format!("create {set} {of}\nswap {filled} {set}\ndestroy {filled}\n");
    }
    restore(&tool, &waiting)?;
    for (family, has_any) in FAMILIES.iter().zip(has_any) {
        match Tool::find(family.tables) {
            Ok(tables) => make_rules(&tables, family, reach)?,
            Err(error) if has_any => return Err(error),
            Err(_) => {}
        }
    }
    Ok(())
}

/// The chain of what is for this machine, and that of what it forwards.
const CHAINS: [&str; 2] = ["INPUT", "FORWARD"];

fn is_wanted(chain: &str, reach: Reach) -> bool {
    chain == "INPUT" || reach == Reach::Forwarded
}

/// The words of a command on the rule in a chain; it waits for others that change the tables.
fn rule<'a>(command: &'a str, chain: &'a str, family: &Family) -> [&'a str; 10] {
    ["-w", command, chain, "-m", "set", "--match-set", family.set, "src", "-j", "DROP"]
}

fn has_rule(tables: &Tool, chain: &str, family: &Family) -> Result<bool, FirewallError> {
    let outcome = tables.try_run(&rule("-C", chain, family), "")?;
    match tables.refusal(&outcome) {
        FirewallError::Refused(name, why) if !outcome.success && is_forbidden(&why) => {
            Err(FirewallError::Refused(name, why))
        }
        // Any other failure says that there is no such rule; why none can be made is told when that is tried.
        _ => Ok(outcome.success),
    }
}

/// A rule in each chain that is wanted, and none in the others.
fn make_rules(tables: &Tool, family: &Family, reach: Reach) -> Result<(), FirewallError> {
    for chain in CHAINS {
        match (has_rule(tables, chain, family)?, is_wanted(chain, reach)) {
            (false, true) => tables.run(&rule("-I", chain, family), "")?,
            (true, false) => tables.run(&rule("-D", chain, family), "")?,
            _ => {}
        }
    }
    Ok(())
}

/// Drops one address or network no longer.
pub(super) fn lift(entry: &IpOrNet) -> Result<(), FirewallError> {
    let tool = Tool::find(PROGRAM)?;
    match tool.run(&["-exist", "del", FAMILIES[family_of(entry)].set, &entry.to_string()], "") {
        Err(error) if is_absent(&error) => Ok(()),
        other => other,
    }
}

/// Whether sets and rules are there; of a family without its program nothing can be.
pub(super) fn is_in_force(reach: Reach) -> Result<bool, FirewallError> {
    let tool = Tool::find(PROGRAM)?;
    for family in &FAMILIES {
        let Ok(tables) = Tool::find(family.tables) else { continue };
        if !tool.try_run(&["list", "-t", family.set], "")?.success {
            return Ok(false);
        }
        for chain in CHAINS.iter().filter(|chain| is_wanted(chain, reach)) {
            if !has_rule(&tables, chain, family)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Takes rules and sets away.
pub(super) fn remove() -> Result<(), FirewallError> {
    let tool = Tool::find(PROGRAM)?;
    for family in &FAMILIES {
        if let Ok(tables) = Tool::find(family.tables) {
            for chain in CHAINS {
                if has_rule(&tables, chain, family)? {
                    tables.run(&rule("-D", chain, family), "")?;
                }
            }
        }
        for set in [family.set, family.filled] {
            match tool.run(&["destroy", set], "") {
                Err(error) if !is_absent(&error) => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

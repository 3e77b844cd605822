//! A jail put to the proof: what was tried with an address that nobody has, what was seen of it, and what it comes to, step by step.
//!
//! What is done is not known here; see `jobs::protection::prove`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::finding::{Level, Step};
use super::path::{Fate, Way, follow};
use super::ruleset::{Place, Ruleset};

/// How many ports of a jail are followed.
const MOST_PORTS: usize = 10;

/// All that was seen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Proof {
    /// The jail.
    pub jail: String,
    /// The address, of a network for examples: nobody has it.
    pub address: String,
    /// Only told what it would do.
    pub is_dry: bool,
    /// The actions that were run: those that ban by the packet filter of this machine.
    pub run: Vec<String>,
    /// Those that a ban runs besides, and that were not run: mail, reports, other machines.
    pub spared: Vec<String>,
    /// Why it cannot be looked whether anything comes of it, so that nothing was done.
    pub unseen: Option<String>,
    /// Actions that failed, each with what is known.
    pub failed: Vec<String>,
    /// Where the address was found while it was banned.
    pub found: Vec<Place>,
    /// What becomes of a packet of it, by port; `None` for any port.
    pub fates: Vec<(Option<u16>, Fate)>,
    /// Actions that did not lift it, each with what is known.
    pub not_lifted: Vec<String>,
    /// Where it still stands afterwards.
    pub left: Vec<Place>,
    /// Chains that were made for it and stay, as they would after any ban.
    pub made: Vec<String>,
}

/// As it is answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proved {
    /// The worst of the steps.
    pub level: Level,
    /// What it comes to.
    pub sentence: String,
    /// Step by step.
    pub steps: Vec<Step>,
}

impl Proof {
    /// What it comes to.
    pub fn judged(&self) -> Proved {
        let steps: Vec<Step> = match self.is_dry || self.run.is_empty() || self.unseen.is_some() {
            true => [self.named(), self.unproved()].into_iter().flatten().collect(),
            false => {
                let all = [self.named(), Some(self.banned()), self.is_found(), self.passes(), Some(self.lifted())];
                all.into_iter().flatten().collect()
            }
        };
        let level = steps.iter().map(|step| step.level).max().unwrap_or(Level::Ok);
        let worst = steps.iter().find(|step| step.level == level && level != Level::Ok);
        let sentence = match worst {
            Some(step) => step.sentence.clone(),
            None if self.is_dry => {
                format!("{} would be banned in {} for a moment. Nothing was done yet.", self.address, self.jail)
            }
            None => format!("{} works: what it bans is kept out.", self.jail),
        };
        Proved { level, sentence, steps }
    }

    /// As it is answered.
    pub fn shown(&self) -> Value {
        let proved = self.judged();
        let actions = self.run.iter().map(|name| (name, true)).chain(self.spared.iter().map(|name| (name, false)));
        let actions: Vec<Value> = actions.map(|(name, runs)| json!({ "name": name, "runs": runs })).collect();
        let found = |places: &[Place]| -> Vec<Value> { places.iter().map(shown).collect() };
        let steps: Vec<Value> = proved
            .steps
            .iter()
            .map(|step| json!({ "id": step.check, "level": step.level, "sentence": step.sentence, "detail": step.detail, "remedy": step.remedy }))
            .collect();
        json!({
            "jail": self.jail, "level": proved.level, "sentence": proved.sentence, "address": self.address,
            "dry_run": self.is_dry, "actions": actions, "steps": steps,
            "found": found(&self.found), "left": found(&self.left),
        })
    }

    /// Which actions run, and which do not.
    fn named(&self) -> Option<Step> {
        if self.run.is_empty() {
            return None;
        }
        let (run, address) = (list(&self.run), &self.address);
        let said = match self.is_dry {
            true => format!("{run} would run for {address}."),
            false => format!("{run} ran for {address}."),
        };
        let spared = match self.spared.as_slice() {
            [] => "A ban runs nothing else here.".to_owned(),
            all => format!(
                "A real ban runs {} as well (mail, reports, other machines). That is left out, so nobody is told of this one.",
                list(all)
            ),
        };
        Some(Step::ok("actions", said).seen(spared))
    }

    /// Why nothing can be proved here.
    fn unproved(&self) -> Option<Step> {
        let step = |kind: &str, said: String| Step::new("found", kind, Level::Unknown, said);
        if let Some(why) = &self.unseen {
            let said = "The packet filter cannot be read from here, so nothing was tried.".to_owned();
            return Some(step("packet_filter_unseen", said).seen(why.clone()));
        }
        if !self.run.is_empty() {
            return None;
        }
        match self.spared.as_slice() {
            [] => {
                let said = format!("{} has no action, so nothing that it bans is kept out.", self.jail);
                Some(Step::new("actions", "no_action", Level::Bad, said).mend("Give it an action (banaction)."))
            }
            all => {
                let said = format!(
                    "{} bans by {}, which is not this machine's packet filter, so it cannot be proved from here. Nothing was run.",
                    self.jail,
                    list(all)
                );
                Some(step("other_action", said))
            }
        }
    }

    fn banned(&self) -> Step {
        if let [first, ..] = self.failed.as_slice() {
            let said = format!("{} could not ban: its action failed.", self.jail);
            let mend = "fail2ban's own log says which command failed and why. Mend that, then restart the jail.";
            return Step::new("banned", "ban_failed", Level::Bad, said).seen(first.clone()).mend(mend);
        }
        Step::ok("banned", format!("{} was banned for a moment.", self.address))
    }

    fn is_found(&self) -> Option<Step> {
        if self.found.is_empty() {
            if !self.failed.is_empty() {
                return None;
            }
            let said = format!("{} was banned, but no rule of the packet filter keeps it out.", self.address);
            let mend = "The action bans elsewhere than in what packets pass here: look whether fail2ban runs in a container, and whether its action uses the packet filter that this machine uses (nftables or iptables).";
            return Some(Step::new("found", "not_found", Level::Bad, said).mend(mend));
        }
        let places: Vec<String> = self.found.iter().map(place).collect();
        let rules: Vec<&str> = self.found.iter().map(|place| place.rule.as_str()).collect();
        Some(Step::ok("found", format!("It was found in {}.", list(&places))).seen(rules.join("\n")))
    }

    /// Whether its packets come to that rule.
    fn passes(&self) -> Option<Step> {
        if self.found.is_empty() {
            return None;
        }
        Some(passes(&self.fates, &self.found))
    }

    fn lifted(&self) -> Step {
        if let Some(first) = self.not_lifted.first() {
            let said = format!("The ban of {} could not be lifted.", self.address);
            let mend = "Restart the jail, which makes its rules anew. Nobody has this address, so it harms nobody.";
            return Step::new("lifted", "not_lifted", Level::Warn, said).seen(first.clone()).mend(mend);
        }
        if !self.left.is_empty() {
            let places: Vec<String> = self.left.iter().map(place).collect();
            let said = format!("{} was lifted, but still stands in {}.", self.address, list(&places));
            let mend = "What lifts a ban in this action (actionunban) does not fit what makes one; mend it, then restart the jail.";
            return Step::new("lifted", "still_there", Level::Warn, said).mend(mend);
        }
        let step = Step::ok("lifted", "The ban was lifted, and no list, count or history has it.");
        match self.made.as_slice() {
            [] => step,
            all => step.seen(format!("Made with it, and kept for the next ban: {}.", list(all))),
        }
    }
}

/// Whether packets of an address that is kept out at these places come to them.
pub(super) fn passes(fates: &[(Option<u16>, Fate)], found: &[Place]) -> Step {
    let open = fates.iter().find_map(|(port, fate)| match fate {
        Fate::Passes(way) => Some((*port, way)),
        _ => None,
    });
    if let Some((port, way)) = open {
        return gets_past(port, way, found);
    }
    let perhaps = fates.iter().find_map(|(_, fate)| match fate {
        Fate::Perhaps(chain, rule) => Some(format!("{chain}: {rule}")),
        _ => None,
    });
    if let Some(rule) = perhaps {
        let said = "A rule before the jail's own may let packets through: that depends on conditions that cannot be judged from here.";
        return Step::new("passes", "way_unknown", Level::Unknown, said).seen(rule);
    }
    let ports: Vec<String> = fates.iter().filter_map(|(port, _)| port.map(|port| port.to_string())).collect();
    if fates.iter().any(|(_, fate)| *fate == Fate::Unknown) || fates.is_empty() {
        let said = "Whether every packet comes to that rule depends on conditions that cannot be judged from here.";
        return Step::new("passes", "way_unknown", Level::Unknown, said);
    }
    let to = match ports.as_slice() {
        [] => "any port".to_owned(),
        [port] => format!("port {port}"),
        ports => format!("ports {}", list(ports)),
    };
    Step::ok("passes", format!("Packets to {to} come to the jail's rule, and no rule before it lets them through."))
}

/// What becomes of packets of an address that is kept out at these places, by their ports.
pub fn fates(rules: &Ruleset, address: IpAddr, found: &[Place]) -> Vec<(Option<u16>, Fate)> {
    let ports: BTreeSet<u16> = found.iter().flat_map(|place| place.ports.iter()).map(|(first, _)| *first).collect();
    let is_for_all = found.iter().any(|place| place.ports.is_empty());
    let ports = ports.into_iter().take(MOST_PORTS).map(Some).chain(is_for_all.then_some(None));
    ports.map(|port| (port, follow(rules, address, port))).collect()
}

/// A step that says how a banned address comes through.
fn gets_past(port: Option<u16>, way: &Way, found: &[Place]) -> Step {
    let to = port.map_or_else(|| "any port".to_owned(), |port| format!("port {port}"));
    if let Some(inside) = way.published {
        let said = format!(
            "Packets to {to} do not pass the jail's rule: a container publishes this port, so they are passed on to it."
        );
        let seen = format!(
            "Inside, it is port {inside}. Packets for containers pass the chains FORWARD and DOCKER-USER, not INPUT."
        );
        let mend = format!(
            "Give the jail the chain DOCKER-USER (chain = DOCKER-USER) and the port {inside}, which packets have there, or all ports."
        );
        return Step::new("passes", "bypassed", Level::Bad, said).seen(seen).mend(mend);
    }
    let own_table =
        |(chain, _): &&(String, String)| found.iter().any(|place| chain.starts_with(&format!("{} ", place.table)));
    if let Some((chain, rule)) = way.accepted.iter().find(own_table) {
        let said = format!("Packets to {to} are let through by a rule before the jail's own.");
        let mend = "Put fail2ban's rule before the rule that accepts: restart the jail after the firewall, or remove that rule.";
        return Step::new("passes", "accepted_before", Level::Bad, said).seen(format!("{chain}: {rule}")).mend(mend);
    }
    let ports: Vec<String> = found.iter().flat_map(|place| place.ports.iter()).map(ports_in_words).collect();
    let said = format!("Packets to {to} do not come to the jail's rule.");
    let seen = match ports.as_slice() {
        [] => String::new(),
        all => format!(
            "It is about {}.",
            if let [only] = all { format!("port {only}") } else { format!("ports {}", list(all)) }
        ),
    };
    let mend = "Set the port of the jail to the one that the service listens on, then restart the jail.";
    Step::new("passes", "not_passed", Level::Bad, said).seen(seen).mend(mend)
}

/// Ports from one to another.
pub(super) fn ports_in_words((first, last): &(u16, u16)) -> String {
    if first == last { first.to_string() } else { format!("{first} to {last}") }
}

/// A place in words.
pub(super) fn place(place: &Place) -> String {
    let Place { tool, table, chain, set, .. } = place;
    let set = set.as_ref().map_or_else(String::new, |set| format!(", by its set {set}"));
    format!("chain {chain} of table {table} ({tool}){set}")
}

/// All of them, with an "and" before the last.
pub(super) fn list(all: &[String]) -> String {
    match all {
        [] => String::new(),
        [only] => only.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

fn shown(place: &Place) -> Value {
    let ports: Vec<String> = place
        .ports
        .iter()
        .map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") })
        .collect();
    json!({ "tool": place.tool, "table": place.table, "chain": place.chain, "set": place.set, "rule": place.rule, "ports": ports })
}

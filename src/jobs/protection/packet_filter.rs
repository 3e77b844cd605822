//! Asks the tools of the packet filter what it holds. They are only told to print.

use std::ffi::OsStr;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use crate::program::{self, NotRun};
use crate::protection::facts::{Action, JailFacts, PacketFilter};
use crate::protection::packet_filter::{Wanted, ipset, iptables, nft};
use crate::protection::ruleset::Ruleset;
use crate::protection::{iptables_rules, nft_rules};

/// How long each may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Why they are not asked.
const ELSEWHERE: &str = "fail2ban runs in a container with a network of its own.";

/// What those tools print that show the bans of these jails. `is_elsewhere`: fail2ban has a packet filter that is not ours.
pub fn look(jails: &[JailFacts], is_elsewhere: bool) -> PacketFilter {
    let mut found = PacketFilter::default();
    let tools: Vec<&str> =
        jails.iter().flat_map(|jail| jail.actions.iter().flat_map(|action| action.tools.iter().copied())).collect();
    if tools.is_empty() {
        return found;
    }
    if is_elsewhere {
        found.problem = Some(ELSEWHERE.to_owned());
        return found;
    }
    let mut wanted = Wanted::new(jails.iter().flat_map(|jail| jail.looked_for.iter().map(String::as_str)));
    let mut note = |tool: &'static str, read: Result<(), String>| match read {
        Ok(()) => found.read.push(tool),
        Err(why) => found.problem = Some(why),
    };
    if tools.contains(&"nft") {
        note("nft", printed("nft", &["list", "ruleset"]).map(|text| nft(&text, &mut wanted)));
    }
    if tools.contains(&"iptables-save") {
        let used = printed("iptables-save", &[]).map(|text| {
            let mut used = iptables(&text, &mut wanted);
            // A machine without IPv6 has no such rules.
            let for_ipv6 = printed("ip6tables-save", &[]).unwrap_or_default();
            used.extend(iptables(&for_ipv6, &mut wanted));
            used
        });
        if let (true, Ok(used)) = (tools.contains(&"ipset"), &used) {
            note("ipset", printed("ipset", &["save"]).map(|text| ipset(&text, used, &mut wanted)));
        }
        note("iptables-save", used.map(drop));
    }
    found.kept_out = wanted.found();
    found
}

/// All rules, where those can be read that these actions make; of what sets hold, these addresses. The text says why they cannot.
pub fn ruleset(actions: &[Action], is_elsewhere: bool, addresses: &[IpAddr]) -> Result<Ruleset, String> {
    if is_elsewhere {
        return Err(ELSEWHERE.to_owned());
    }
    let is_needed = |tool: &str| actions.iter().any(|action| action.tools.contains(&tool));
    let mut rules = Ruleset::about(addresses);
    // What others have made bears on the way of a packet, but need not be there.
    let read = |tool: &str, args: &[&str]| match printed(tool, args) {
        Err(why) if is_needed(tool) => Err(why),
        other => Ok(other.unwrap_or_default()),
    };
    nft_rules::read(&mut rules, &read("nft", &["list", "ruleset"])?);
    iptables_rules::read(&mut rules, &read("iptables-save", &[])?, false);
    iptables_rules::read(&mut rules, &read("ip6tables-save", &[])?, true);
    if is_needed("ipset") {
        rules.add_ipset(&printed("ipset", &["save"])?);
    }
    Ok(rules)
}

/// What a tool prints, or a sentence that says why it does not.
fn printed(tool: &str, args: &[&str]) -> Result<String, String> {
    let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
    match program::run(Path::new(tool), &args, PATIENCE) {
        Ok(done) if done.success => Ok(done.stdout),
        Ok(done) => Err(format!("{tool}: {}", done.stderr.lines().next().unwrap_or("it failed").trim())),
        Err(NotRun::Missing) => Err(format!("{tool} is not installed here.")),
        Err(NotRun::TooLong) => Err(format!("{tool} did not answer in time.")),
        Err(NotRun::Failed(why)) => Err(format!("{tool} could not be run: {why}.")),
    }
}

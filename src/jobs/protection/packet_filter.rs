//! Asks the tools of the packet filter what it holds. They are only told to print.

use std::ffi::OsStr;
use std::net::IpAddr;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::domain::address::IpOrNet;
use crate::fail2ban::Daemon;
use crate::program::{self, MAX_OUTPUT, NotRun};
use crate::protection::facts::{Action, JailFacts, PacketFilter};
use crate::protection::left_over::Strangers;
use crate::protection::packet_filter::{Wanted, ipset, iptables, nft};
use crate::protection::reached::sample;
use crate::protection::ruleset::Ruleset;
use crate::protection::{iptables_rules, nft_rules};

/// How long each may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Why they are not asked.
const ELSEWHERE: &str = "fail2ban runs in a container with a network of its own.";

/// How often it is looked again while actions are still at work, and how long between.
const ROUNDS: usize = 4;
const BETWEEN: Duration = Duration::from_millis(300);
/// So many addresses on which fail2ban and the packet filter differ are asked for once more.
const MOST_ASKED: usize = 20;

/// What the tools print that show the bans of these jails. `is_elsewhere`: fail2ban has a packet filter that is not ours.
///
/// Where it is not what the jails have banned, it is looked again as long as that changes: an action may be at work. And fail2ban is asked
/// once more of what differs: a ban may have ended meanwhile, or begun.
pub fn look(daemon: &mut Daemon, jails: &mut [JailFacts], is_elsewhere: bool) -> PacketFilter {
    let tools: Vec<&'static str> =
        jails.iter().flat_map(|jail| jail.actions.iter().flat_map(|action| action.tools.iter().copied())).collect();
    if tools.is_empty() {
        return PacketFilter::default();
    }
    if is_elsewhere {
        return PacketFilter { problem: Some(ELSEWHERE.to_owned()), ..PacketFilter::default() };
    }
    // What is no address, as with an expression of its own (<F-ID>), is in no rule.
    jails.iter_mut().for_each(|jail| jail.looked_for.retain(|text| text.parse::<IpOrNet>().is_ok()));
    let mut found = look_once(&tools, jails);
    let mut differing = missing(jails, &found).len() + found.left_over.len();
    for _ in 0..ROUNDS {
        if differing == 0 {
            break;
        }
        thread::sleep(BETWEEN);
        found = look_once(&tools, jails);
        let now = missing(jails, &found).len() + found.left_over.len();
        if now == differing {
            break;
        }
        differing = now;
    }
    let banning = |daemon: &mut Daemon, ip: &str| daemon.jails_banning(ip).ok();
    let mut over = Vec::new();
    for (jail, ip) in missing(jails, &found).into_iter().take(MOST_ASKED) {
        if banning(daemon, &ip).is_some_and(|by| !by.iter().any(|own| own.as_str() == jail)) {
            over.push((jail, ip));
        }
    }
    for jail in jails {
        let is_over = |ip: &String| over.iter().any(|(own, gone)| *own == jail.name && gone == ip);
        let ended = jail.looked_for.iter().filter(|ip| is_over(ip)).count();
        jail.looked_for.retain(|ip| !is_over(ip));
        jail.banned = jail.banned.saturating_sub(ended as u64);
    }
    found.left_over.retain(|(_, ip)| banning(daemon, ip).is_some_and(|by| by.is_empty()));
    found
}

/// Addresses that a jail has banned and that are not kept out, where that would be seen: jail, address.
fn missing(jails: &[JailFacts], found: &PacketFilter) -> Vec<(String, String)> {
    let seen = jails.iter().filter(|jail| jail.actions.iter().any(Action::filters_packets) && found.shows(jail));
    let all = seen.flat_map(|jail| jail.looked_for.iter().map(move |ip| (jail, ip)));
    let missing = all.filter(|(_, ip)| !found.kept_out.contains(*ip));
    missing.map(|(jail, ip)| (jail.name.clone(), ip.clone())).collect()
}

fn look_once(tools: &[&'static str], jails: &[JailFacts]) -> PacketFilter {
    let mut found = PacketFilter::default();
    let mut wanted = Wanted::new(jails.iter().flat_map(|jail| jail.looked_for.iter().map(String::as_str)));
    let mut strangers = Strangers::of(jails);
    let mut texts = Texts::default();
    let mut is_whole = true;
    let asked: [(_, &[&str], _); 3] = [
        ("nft", &["list", "ruleset"], &mut texts.nft),
        ("iptables-save", &[], &mut texts.iptables),
        ("ipset", &["save"], &mut texts.ipset),
    ];
    for (tool, args, own) in asked {
        if tool == "ipset" && !tools.contains(&"ipset") {
            continue;
        }
        match printed(tool, args) {
            Ok(text) => {
                *own = text;
                found.read.push(tool);
            }
            // What others have made bears on the way of a packet, but need not be there.
            Err(why) if tools.contains(&tool) => {
                found.problem = Some(why);
                is_whole = false;
            }
            Err(_) => {}
        }
    }
    // A machine without IPv6 has no such rules.
    texts.ip6tables = printed("ip6tables-save", &[]).unwrap_or_default();
    if tools.contains(&"nft") {
        nft(&texts.nft, &mut wanted);
        strangers.nft(&texts.nft);
    }
    if tools.contains(&"iptables-save") {
        let mut used = iptables(&texts.iptables, &mut wanted);
        used.extend(iptables(&texts.ip6tables, &mut wanted));
        ipset(&texts.ipset, &used, &mut wanted);
        for text in [&texts.iptables, &texts.ip6tables] {
            strangers.iptables(text);
        }
        strangers.ipset(&texts.ipset);
    }
    found.kept_out = wanted.found();
    found.left_over = strangers.found();
    found.rules = is_whole.then(|| texts.rules(&sample(jails, &found.kept_out)));
    found
}

/// What they have printed.
#[derive(Default)]
struct Texts {
    nft: String,
    iptables: String,
    ip6tables: String,
    ipset: String,
}

impl Texts {
    /// As rules; of what sets hold, these addresses.
    fn rules(&self, addresses: &[IpAddr]) -> Ruleset {
        let mut rules = Ruleset::about(addresses);
        nft_rules::read(&mut rules, &self.nft);
        iptables_rules::read(&mut rules, &self.iptables, false);
        iptables_rules::read(&mut rules, &self.ip6tables, true);
        rules.add_ipset(&self.ipset);
        rules
    }
}

/// All rules, where those can be read that these actions make; of what sets hold, these addresses. The text says why they cannot.
pub fn ruleset(actions: &[Action], is_elsewhere: bool, addresses: &[IpAddr]) -> Result<Ruleset, String> {
    if is_elsewhere {
        return Err(ELSEWHERE.to_owned());
    }
    let is_needed = |tool: &str| actions.iter().any(|action| action.tools.contains(&tool));
    // What others have made bears on the way of a packet, but need not be there.
    let read = |tool: &str, args: &[&str]| match printed(tool, args) {
        Err(why) if is_needed(tool) => Err(why),
        other => Ok(other.unwrap_or_default()),
    };
    let mut texts = Texts {
        nft: read("nft", &["list", "ruleset"])?,
        iptables: read("iptables-save", &[])?,
        ip6tables: read("ip6tables-save", &[])?,
        ipset: String::new(),
    };
    if is_needed("ipset") {
        texts.ipset = printed("ipset", &["save"])?;
    }
    Ok(texts.rules(addresses))
}

/// What a tool prints, or a sentence that says why it does not.
fn printed(tool: &str, args: &[&str]) -> Result<String, String> {
    let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
    match program::run(Path::new(tool), &args, PATIENCE) {
        Ok(done) if done.stdout.len() as u64 >= MAX_OUTPUT => Err(format!("{tool} prints more than can be read here.")),
        Ok(done) if done.success => Ok(done.stdout),
        Ok(done) => Err(format!("{tool}: {}", done.stderr.lines().next().unwrap_or("it failed").trim())),
        Err(NotRun::Missing) => Err(format!("{tool} is not installed here.")),
        Err(NotRun::TooLong) => Err(format!("{tool} did not answer in time.")),
        Err(NotRun::Failed(why)) => Err(format!("{tool} could not be run: {why}.")),
    }
}

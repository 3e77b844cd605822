//! Do the settings let the jails do their work: who is ignored, what is remembered, what the log calls an address, and whether fail2ban comes
//! back with the machine.

use std::net::IpAddr;

use super::facts::{Facts, JailFacts};
use super::finding::{Level, Step};
use super::words::{count, some};
use crate::domain::address::IpOrNet;

/// So many failures of one address of the own network are no accident.
const MANY_OF_ONE: usize = 10;
/// A ban that lasts longer than this should outlive a restart, in seconds.
const LONG: f64 = 86_400.0;

/// Nobody is ignored who should not be.
pub fn ignores(_: &Facts, jail: &JailFacts) -> Option<Step> {
    let name = &jail.name;
    let nets = jail.ignored.iter().filter_map(|entry| match entry.as_str() {
        // As fail2ban lists a network without a prefix; the addresses themselves are nobody's.
        "0.0.0.0" | "::" => format!("{entry}/0").parse::<IpOrNet>().ok(),
        _ => entry.parse().ok(),
    });
    let wide: Vec<IpOrNet> = nets.filter(is_wide).collect();
    // The widest says it.
    let net = wide.iter().min_by_key(|net| net.prefix())?;
    let mend = "Take it off the ignore list of the jail (ignoreip).";
    if net.prefix() > 0 {
        let said = format!("{name} ignores {net}, which is a large part of the internet.");
        return Some(Step::new("ignores", "ignores_many", Level::Warn, said).mend(mend));
    }
    let said = match net.address() {
        IpAddr::V4(_) => format!("{name} ignores {net}, which is everybody: it will never ban anybody."),
        IpAddr::V6(_) => format!("{name} ignores {net}, which is everybody with an IPv6 address."),
    };
    Some(Step::new("ignores", "ignores_everybody", Level::Bad, said).mend(mend))
}

/// Whether it is so wide that it cannot be a network of one's own.
fn is_wide(net: &IpOrNet) -> bool {
    match net.address() {
        IpAddr::V4(_) => net.prefix() < 8,
        IpAddr::V6(first) => net.prefix() < 3 || (net.prefix() < 16 && first.segments()[0] & 0xe000 == 0x2000),
    }
}

/// Failures are those of people, not of a proxy in front.
pub fn one_address(_: &Facts, jail: &JailFacts) -> Option<Step> {
    let name = &jail.name;
    let trial = jail.trial.as_ref().ok().filter(|trial| trial.matched >= MANY_OF_ONE)?;
    let [only] = trial.hosts.as_slice() else { return None };
    let net: IpOrNet = only.parse().ok()?;
    if !is_own(net.address()) {
        return None;
    }
    let said = format!(
        "All {} failures that {name} found come from {only}, an address of the own network: the service may stand behind a proxy.",
        trial.matched
    );
    let mend = "Have the service log who the proxy speaks for (X-Forwarded-For or the PROXY protocol), and ignore the proxy's address.";
    Some(Step::new("addresses", "one_address", Level::Warn, said).mend(mend))
}

/// Whether it is an address that nobody on the internet has.
fn is_own(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(own) => own.is_loopback() || own.is_private() || own.is_link_local(),
        IpAddr::V6(own) => own.is_loopback() || own.is_unique_local() || own.is_unicast_link_local(),
    }
}

/// Jails do not ban the machine itself.
pub fn own_address(facts: &Facts) -> Option<Step> {
    let may_ban = |jail: &&JailFacts| {
        jail.ignores_own == Some(false) && !jail.asks_whom_to_ignore && uncovered(facts, jail).is_some()
    };
    let jails: Vec<&JailFacts> = facts.jails.iter().filter(may_ban).collect();
    let own = uncovered(facts, jails.first()?)?;
    let names: Vec<String> = jails.iter().map(|jail| jail.name.clone()).collect();
    let said = format!("This machine may ban itself: {} with ignoreself off.", runs(&names));
    let seen = format!("{own} is an address of this machine and on no ignore list.");
    let mend = "Set ignoreself = true, or put the addresses of this machine on the ignore list (ignoreip).";
    Some(Step::new("own_address", "own_not_ignored", Level::Warn, said).seen(seen).mend(mend))
}

fn runs(names: &[String]) -> String {
    format!("{} {}", some(names), if names.len() == 1 { "runs" } else { "run" })
}

/// An address of this machine that a jail does not ignore; `None`, too, where a name on its list may stand for it.
fn uncovered(facts: &Facts, jail: &JailFacts) -> Option<IpAddr> {
    let mut nets = Vec::new();
    for entry in &jail.ignored {
        nets.push(entry.parse::<IpOrNet>().ok()?);
    }
    facts.own_addresses.iter().copied().find(|own| !nets.iter().any(|net| net.contains_address(*own)))
}

/// IPv6 is watched, where this machine has it.
pub fn ipv6(facts: &Facts) -> Option<Step> {
    let is_global = |own: &&IpAddr| matches!(own, IpAddr::V6(own) if own.segments()[0] & 0xe000 == 0x2000);
    let own = facts.own_addresses.iter().find(is_global).filter(|_| facts.ipv6_is_off)?;
    let said = format!("This machine has the IPv6 address {own}, but fail2ban does not look at IPv6 (allowipv6).");
    let mend = "Set allowipv6 = auto in fail2ban.local, then restart fail2ban.";
    Some(Step::new("ipv6", "ipv6_off", Level::Warn, said).mend(mend))
}

/// What is banned for long is still banned after a restart.
pub fn memory(facts: &Facts) -> Option<Step> {
    let remembered = facts.remembered?;
    let is_longer = |jail: &&JailFacts| jail.ban_time < 0.0 || (jail.ban_time > LONG && jail.ban_time > remembered);
    let long: Vec<String> = facts.jails.iter().filter(is_longer).map(|jail| jail.name.clone()).collect();
    if long.is_empty() {
        return None;
    }
    let said = match remembered > 0.0 {
        true => format!(
            "After a restart fail2ban forgets bans of {} before they end: its database keeps them for less long.",
            some(&long)
        ),
        false => format!("After a restart fail2ban forgets the bans of {}: it has no database.", some(&long)),
    };
    let mend = "Set dbfile, and dbpurgeage to no less than the longest ban time, in fail2ban.local.";
    Some(Step::new("memory", "bans_forgotten", Level::Warn, said).mend(mend))
}

/// fail2ban has noted no error.
pub fn errors(facts: &Facts) -> Option<Step> {
    let first = facts.own_log.errors.first()?;
    let said =
        format!("fail2ban has noted {} within the last day.", count(facts.own_log.errors.len(), "error", "errors"));
    let mend = "Its log says what failed. Where that is an action, the ban may not be in force.";
    Some(Step::new("errors", "own_log_errors", Level::Warn, said).seen(first.clone()).mend(mend))
}

/// fail2ban starts with the machine.
pub fn boot(facts: &Facts) -> Option<Step> {
    let how = facts.boot_command.as_ref()?;
    let said = "fail2ban runs now, but it does not start with this machine.";
    Some(Step::new("boot", "not_at_boot", Level::Warn, said).mend(format!("Run as root: {how}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protection::facts::{OwnLog, Trial};

    fn jail(ignored: &[&str]) -> JailFacts {
        let ignored = ignored.iter().map(|entry| entry.to_string()).collect();
        JailFacts { name: "sshd".into(), ignored, ignores_own: Some(false), ban_time: 3600.0, ..JailFacts::default() }
    }

    fn kind(step: Option<Step>) -> String {
        step.map_or_else(|| "none".into(), |step| step.kind)
    }

    #[test]
    fn an_entry_that_lets_everybody_in_is_told_from_a_network_of_ones_own() {
        let said = |entries: &[&str]| kind(ignores(&Facts::default(), &jail(entries)));
        let own = [
            "127.0.0.1/8",
            "::1",
            "10.0.0.0/8",
            "192.168.0.0/16",
            "fc00::/7",
            "fe80::/10",
            "2001:db8::/32",
            "home.example",
        ];
        assert_eq!(said(&own), "none");
        assert_eq!(said(&["10.0.0.1", "0.0.0.0/0"]), "ignores_everybody");
        assert_eq!(said(&["::/0"]), "ignores_everybody");
        assert_eq!(said(&["::1", "0.0.0.0"]), "ignores_everybody", "as fail2ban lists 0.0.0.0/0");
        assert_eq!(said(&["128.0.0.0/1"]), "ignores_many");
        assert_eq!(said(&["2000::/3"]), "ignores_many");
    }

    #[test]
    fn failures_of_one_own_address_alone_are_those_of_a_proxy() {
        let said = |hosts: &[&str], matched: usize| {
            let hosts = hosts.iter().map(|host| host.to_string()).collect();
            let trial = Ok(Trial { lines: 100, matched, hosts, ..Trial::default() });
            kind(one_address(&Facts::default(), &JailFacts { trial, ..jail(&[]) }))
        };
        assert_eq!(said(&["127.0.0.1"], 10), "one_address");
        assert_eq!(said(&["172.17.0.1"], 50), "one_address");
        assert_eq!(said(&["172.17.0.1"], 9), "none");
        assert_eq!(said(&["203.0.113.4"], 50), "none");
        assert_eq!(said(&["192.168.1.7", "203.0.113.4"], 50), "none");
    }

    #[test]
    fn a_machine_that_may_ban_itself_is_named_once() {
        let own: Vec<IpAddr> = vec!["203.0.113.1".parse().unwrap()];
        let with = |jails: Vec<JailFacts>| Facts { jails, own_addresses: own.clone(), ..Facts::default() };
        let step = own_address(&with(vec![jail(&[]), jail(&["10.0.0.0/8"])])).unwrap();
        assert_eq!((step.kind.as_str(), step.level), ("own_not_ignored", Level::Warn));
        assert!(step.detail.starts_with("203.0.113.1 "), "{step:?}");
        assert_eq!(own_address(&with(vec![jail(&["203.0.113.0/24"])])), None);
        assert_eq!(own_address(&with(vec![jail(&["myself.example"])])), None, "a name may stand for it");
        assert_eq!(own_address(&with(vec![JailFacts { ignores_own: Some(true), ..jail(&[]) }])), None);
        assert_eq!(own_address(&with(vec![JailFacts { ignores_own: None, ..jail(&[]) }])), None);
        assert_eq!(own_address(&with(vec![JailFacts { asks_whom_to_ignore: true, ..jail(&[]) }])), None);
    }

    #[test]
    fn ipv6_that_is_not_looked_at_counts_where_there_is_any() {
        let with = |own: &str, ipv6_is_off| Facts {
            own_addresses: vec![own.parse().unwrap()],
            ipv6_is_off,
            ..Facts::default()
        };
        assert_eq!(kind(ipv6(&with("2001:db8::1", true))), "ipv6_off");
        assert_eq!(kind(ipv6(&with("2001:db8::1", false))), "none");
        assert_eq!(kind(ipv6(&with("fd00::1", true))), "none");
        assert_eq!(kind(ipv6(&with("192.0.2.1", true))), "none");
    }

    #[test]
    fn bans_that_last_longer_than_the_memory_of_them_are_forgotten() {
        let said = |ban_time: f64, remembered: Option<f64>| {
            kind(memory(&Facts { jails: vec![JailFacts { ban_time, ..jail(&[]) }], remembered, ..Facts::default() }))
        };
        assert_eq!(said(7.0 * 86_400.0, Some(86_400.0)), "bans_forgotten");
        assert_eq!(said(-1.0, Some(0.0)), "bans_forgotten");
        assert_eq!(said(7.0 * 86_400.0, None), "none");
        assert_eq!(said(7.0 * 86_400.0, Some(8.0 * 86_400.0)), "none");
        assert_eq!(said(600.0, Some(0.0)), "none", "it is over soon anyway");
    }

    #[test]
    fn errors_of_the_last_day_and_a_service_that_is_not_enabled_are_said() {
        let own_log = OwnLog { errors: vec!["7f0 -- failed with 1".into()], ..OwnLog::default() };
        let step = errors(&Facts { own_log, ..Facts::default() }).unwrap();
        assert_eq!((step.kind.as_str(), step.detail.as_str()), ("own_log_errors", "7f0 -- failed with 1"));
        assert_eq!(errors(&Facts::default()), None);
        assert_eq!(boot(&Facts::default()), None);
        let off = Facts { boot_command: Some("systemctl enable fail2ban".into()), ..Facts::default() };
        assert_eq!(kind(boot(&off)), "not_at_boot");
    }
}

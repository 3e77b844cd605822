//! Do packets of whoever is banned come to the rules that keep them out? Some of a jail's addresses are followed through the rules; and where a
//! ban is missing, it is said why. What the rules do not tell for certain is not claimed.

use std::collections::HashSet;
use std::net::IpAddr;

use super::facts::{Facts, JailFacts};
use super::finding::{Level, Step};
use super::prove::{self, list};
use super::ruleset::{Hook, Ruleset};
use super::words::{ANEW, are, some};
use crate::domain::address::IpOrNet;

/// How many missing addresses of a jail are looked for in sets that nothing uses.
const MISSING: usize = 3;

fn address(text: &str) -> Option<IpAddr> {
    text.parse::<IpOrNet>().ok().map(|net| net.address())
}

/// The addresses of a jail that are followed: of those that are kept out one of each family, which no other jail has banned.
fn followed(jails: &[JailFacts], jail: &JailFacts, kept_out: &HashSet<String>) -> Vec<IpAddr> {
    let is_own = |ip: &&String| {
        kept_out.contains(*ip) && !jails.iter().any(|other| other.name != jail.name && other.looked_for.contains(ip))
    };
    let own = |is_v6: bool| {
        let mut of_family = jail.looked_for.iter().filter(|ip| ip.contains(':') == is_v6);
        of_family.find(is_own).and_then(|ip| address(ip))
    };
    [own(false), own(true)].into_iter().flatten().collect()
}

/// All addresses that the model of the rules has to know of, to follow those that are kept out and to find those that are not.
pub fn sample(jails: &[JailFacts], kept_out: &HashSet<String>) -> Vec<IpAddr> {
    let mut all = Vec::new();
    for jail in jails {
        all.extend(followed(jails, jail, kept_out));
        let missing = jail.looked_for.iter().filter(|ip| !kept_out.contains(*ip));
        all.extend(missing.filter_map(|ip| address(ip)).take(MISSING));
    }
    all
}

/// Packets of banned addresses come to the rules of the jail.
pub fn passes(facts: &Facts, jail: &JailFacts) -> Option<Step> {
    let rules = facts.packet_filter.rules.as_ref().filter(|_| facts.packet_filter.shows(jail))?;
    if !jail.actions.iter().any(|action| action.filters_packets()) {
        return None;
    }
    let all = followed(&facts.jails, jail, &facts.packet_filter.kept_out);
    let mut steps = all.iter().filter_map(|address| way(rules, &jail.name, *address)).collect::<Vec<Step>>();
    let worst = steps.iter().position(|step| step.level == Level::Bad).unwrap_or(0);
    let step = (worst < steps.len()).then(|| steps.swap_remove(worst))?;
    if step.level != Level::Ok {
        return Some(step);
    }
    let texts: Vec<String> = all.iter().map(|ip| ip.to_string()).collect();
    Some(step.seen(format!("Followed: {}.", list(&texts))))
}

/// What becomes of packets of one address; `None` where that cannot be told.
fn way(rules: &Ruleset, name: &str, address: IpAddr) -> Option<Step> {
    let places = rules.places(address);
    let mut hooks: Vec<Vec<Hook>> = Vec::new();
    for place in &places {
        hooks.push(rules.hooks_to(place)?);
    }
    let first = places.first()?;
    if hooks.iter().all(Vec::is_empty) {
        let said = format!("No packet comes to the rules of {name}, so its bans keep nobody out.");
        let seen = format!("{address} is in {}.", prove::place(first));
        return Some(Step::new("passes", "not_passed", Level::Bad, said).seen(seen).mend(ANEW));
    }
    let fates = prove::fates(rules, address, &places);
    let is_published =
        fates.iter().any(|(_, fate)| matches!(fate, super::path::Fate::Passes(way) if way.published.is_some()));
    // Rules for packets that only pass this machine are about services of others, whose ports are not known here.
    let is_for_others = |own: &Vec<Hook>| !own.contains(&Hook::Input) && !own.contains(&Hook::Prerouting);
    if !is_published && hooks.iter().any(is_for_others) {
        return None;
    }
    let step = prove::passes(&fates, &places);
    (step.level != Level::Unknown).then_some(step)
}

/// Why banned addresses are not kept out, where that can be told.
pub(super) fn why_missing(facts: &Facts, jail: &JailFacts, missing: &[String]) -> Option<Step> {
    let name = &jail.name;
    let rules = facts.packet_filter.rules.as_ref()?;
    let of_sets = missing.iter().filter_map(|ip| Some((ip, rules.unused_sets(address(ip)?).into_iter().next()?)));
    if let Some((ip, set)) = of_sets.into_iter().next() {
        let said = format!("The bans of {name} are in a set that no rule uses, so they keep nobody out.");
        return Some(Step::new("bans", "set_unused", Level::Bad, said).seen(format!("{ip} is in {set}.")).mend(ANEW));
    }
    let is_v6 = |ip: &&String| ip.contains(':');
    if missing.iter().all(|ip| is_v6(&ip)) && jail.looked_for.iter().filter(is_v6).count() == missing.len() {
        let said = format!("The packet filter keeps out no IPv6 address that {name} has banned.");
        let seen = format!("{} of {} are missing: {}.", missing.len(), jail.looked_for.len(), some(missing));
        let mend = "If its action is for IPv4 only, give it one for both, such as nftables; else stop the jail and start it again.";
        return Some(Step::new("bans", "ipv6_missing", Level::Bad, said).seen(seen).mend(mend));
    }
    None
}

/// The rules of the jail keep out nobody whose ban is over.
pub fn left_over(facts: &Facts, jail: &JailFacts) -> Option<Step> {
    let name = &jail.name;
    let own = facts.packet_filter.left_over.iter().filter(|(own, _)| own == name);
    let all: Vec<String> = own.map(|(_, ip)| ip.clone()).collect();
    if all.is_empty() {
        return None;
    }
    let them = if all.len() == 1 { "it" } else { "them" };
    let said = format!("{} not banned, but the rules of {name} still keep {them} out.", are(&all));
    Some(Step::new("left_over", "left_over", Level::Warn, said).seen(format!("{}.", list(&all))).mend(ANEW))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protection::facts::{Action, PacketFilter};
    use crate::protection::{iptables_rules, nft_rules};

    const V4: &str = "192.0.2.1";
    const V6: &str = "2001:db8::1";

    fn jail(name: &str, banned: &[&str]) -> JailFacts {
        let looked_for = banned.iter().map(|ip| ip.to_string()).collect();
        let actions = vec![Action { name: "own".into(), tools: vec!["nft"] }];
        JailFacts { name: name.into(), actions, banned: banned.len() as u64, looked_for, ..JailFacts::default() }
    }

    fn facts(jails: Vec<JailFacts>, kept_out: &[&str], nft: &str, iptables: &str) -> Facts {
        let kept_out: HashSet<String> = kept_out.iter().map(|ip| ip.to_string()).collect();
        let mut rules = Ruleset::about(&sample(&jails, &kept_out));
        nft_rules::read(&mut rules, nft);
        iptables_rules::read(&mut rules, iptables, false);
        let packet_filter = PacketFilter { read: vec!["nft"], kept_out, rules: Some(rules), ..PacketFilter::default() };
        Facts { jails, packet_filter, ..Facts::default() }
    }

    fn kind(step: Option<Step>) -> String {
        step.map_or_else(|| "none".to_owned(), |step| step.kind)
    }

    fn nft(before: &str, rule: &str) -> String {
        let rules: String =
            [before, rule].iter().filter(|own| !own.is_empty()).map(|own| format!("\t\t{own}\n")).collect();
        format!(
            "table inet f2b-table {{\n\tset addr-set-lab {{\n\t\ttype ipv4_addr\n\t\telements = {{ {V4} }}\n\t}}\n\tchain f2b-chain {{\n\
             \t\ttype filter hook input priority filter - 1; policy accept;\n{rules}\t}}\n}}\n"
        )
    }
    const RULE: &str = "tcp dport 22 ip saddr @addr-set-lab reject with icmp port-unreachable";

    #[test]
    fn a_rule_that_packets_pass_is_told_from_one_that_they_do_not() {
        let said = |nft: &str, iptables: &str| {
            let facts = facts(vec![jail("lab", &[V4])], &[V4], nft, iptables);
            kind(passes(&facts, &facts.jails[0]))
        };
        assert_eq!(said(&nft("", RULE), ""), "ok");
        assert_eq!(said(&nft("tcp dport 22 accept", RULE), ""), "accepted_before");
        // What cannot be judged from outside is no fault.
        for unclear in ["iifname \"eth0\" accept", "ip saddr vmap @friends", "iifname vmap { \"eth0\" : jump more }"] {
            assert!(["ok", "none"].contains(&said(&nft(unclear, RULE), "").as_str()), "{unclear}");
        }
        let docker = "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING ! -i docker0 -p tcp -m tcp --dport 22 -j DNAT --to-destination 172.17.0.2:22\nCOMMIT\n";
        assert_eq!(said(&nft("", RULE), docker), "bypassed");
        let for_loopback = docker.replace("! -i docker0", "-d 127.0.0.1/32 ! -i docker0");
        assert_eq!(said(&nft("", RULE), &for_loopback), "ok");
        let by_interface = docker.replace("! -i docker0", "-i eth0");
        assert_eq!(said(&nft("", RULE), &by_interface), "none");
    }

    #[test]
    fn a_chain_to_which_nothing_leads_keeps_nobody_out_and_one_for_others_is_not_judged() {
        let said = |jump: &str| {
            let rules = format!(
                "*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n:f2b-lab - [0:0]\n{jump}-A INPUT -p tcp --dport 22 -j ACCEPT\n\
                 -A f2b-lab -s {V4}/32 -j REJECT\n-A f2b-lab -s 198.51.100.1/32 -j REJECT\n-A f2b-lab -j RETURN\nCOMMIT\n"
            );
            let facts = facts(vec![jail("lab", &[V4])], &[V4], "", &rules);
            kind(passes(&facts, &facts.jails[0]))
        };
        assert_eq!(said("-A INPUT -p tcp -m multiport --dports 22 -j f2b-lab\n"), "ok");
        assert_eq!(said(""), "not_passed");
        assert_eq!(said("-A FORWARD -p tcp -m multiport --dports 22 -j f2b-lab\n"), "none");
    }

    #[test]
    fn it_is_said_why_bans_are_missing() {
        let unused = facts(vec![jail("lab", &[V4])], &[], &nft("", ""), "");
        let step = why_missing(&unused, &unused.jails[0], &[V4.to_owned()]).unwrap();
        assert_eq!((step.kind.as_str(), step.level), ("set_unused", Level::Bad));
        assert!(step.detail.contains("set addr-set-lab of table inet f2b-table (nft)"), "{step:?}");
        let used = facts(vec![jail("lab", &[V4])], &[], &nft("", RULE), "");
        assert_eq!(why_missing(&used, &used.jails[0], &[V4.to_owned()]), None);
        let both = facts(vec![jail("lab", &[V4, V6])], &[V4], &nft("", RULE), "");
        assert_eq!(kind(why_missing(&both, &both.jails[0], &[V6.to_owned()])), "ipv6_missing");
        let all = [V4.to_owned(), V6.to_owned()];
        assert_eq!(why_missing(&both, &both.jails[0], &all), None);
    }

    #[test]
    fn who_is_kept_out_without_a_ban_is_named_and_an_address_of_two_jails_is_not_followed() {
        let mut left =
            facts(vec![jail("lab", &[V4]), jail("recidive", &[V4])], &[V4], &nft("tcp dport 22 accept", RULE), "");
        assert_eq!(kind(passes(&left, &left.jails[0])), "none");
        assert_eq!(left_over(&left, &left.jails[0]), None);
        left.packet_filter.left_over = vec![("lab".into(), "192.0.2.9".into())];
        let step = left_over(&left, &left.jails[0]).unwrap();
        assert_eq!((step.kind.as_str(), step.level), ("left_over", Level::Warn));
        assert!(step.sentence.starts_with("192.0.2.9 is not banned"), "{step:?}");
        assert_eq!(left_over(&left, &left.jails[1]), None);
    }
}

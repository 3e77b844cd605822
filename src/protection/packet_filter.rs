//! What the tools of the packet filter print, and which addresses it keeps out by that.
//!
//! An address counts where a rule that drops or rejects names it, or where a set holds it that such a rule uses. Which packets pass that rule is not
//! asked.

use std::collections::HashSet;
use std::net::IpAddr;

use crate::domain::address::IpOrNet;

/// The addresses that are looked for, in order, and whether each was found.
#[derive(Debug, Default)]
pub struct Wanted {
    all: Vec<(Range, String, bool)>,
}

/// Addresses from one to another: whether they are IPv6, the first, the last.
pub type Range = (bool, u128, u128);

impl Wanted {
    /// Texts that are neither addresses nor networks are not looked for.
    pub fn new<'a>(texts: impl Iterator<Item = &'a str>) -> Wanted {
        let mut all: Vec<(Range, String, bool)> =
            texts.filter_map(|text| Some((range(text)?, text.to_owned(), false))).collect();
        all.sort();
        all.dedup();
        Wanted { all }
    }

    /// Marks what lies within this range.
    fn mark(&mut self, (is_v6, first, last): Range) {
        let from = self.all.partition_point(|((own_v6, own_first, _), ..)| (*own_v6, *own_first) < (is_v6, first));
        let inside = self.all[from..]
            .iter_mut()
            .take_while(|((own_v6, own_first, _), ..)| *own_v6 == is_v6 && *own_first <= last);
        inside.filter(|((_, _, own_last), ..)| *own_last <= last).for_each(|(_, _, is_found)| *is_found = true);
    }

    /// Those that were found.
    pub fn found(self) -> HashSet<String> {
        self.all.into_iter().filter(|(.., is_found)| *is_found).map(|(_, text, _)| text).collect()
    }
}

/// `192.0.2.1`, `192.0.2.0/24` or `192.0.2.1-192.0.2.9`.
pub(super) fn range(text: &str) -> Option<Range> {
    if let Some((first, last)) = text.split_once('-') {
        let (first, last): (IpAddr, IpAddr) = (first.parse().ok()?, last.parse().ok()?);
        return (first.is_ipv6() == last.is_ipv6()).then(|| (first.is_ipv6(), number(first), number(last)));
    }
    let net: IpOrNet = text.parse().ok()?;
    let address = net.address();
    let width = if address.is_ipv6() { 128 } else { 32 };
    let rest = width - u32::from(net.prefix());
    let size = if rest == 128 { u128::MAX } else { (1 << rest) - 1 };
    Some((address.is_ipv6(), number(address), number(address) | size))
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// Every address, network and range that a piece of text names.
pub(super) fn ranges_in(text: &str) -> impl Iterator<Item = Range> {
    let is_part = |letter: char| letter.is_ascii_hexdigit() || ".:/-".contains(letter);
    let words = text.split(move |letter| !is_part(letter));
    // A colon or a dot at least, and nothing that begins like a number of something else.
    words.filter(|word| word.len() > 2 && word.contains(['.', ':'])).filter_map(range)
}

/// Marks every address of a piece of text.
fn mark_all(text: &str, wanted: &mut Wanted) {
    ranges_in(text).for_each(|range| wanted.mark(range));
}

/// What a rule does with whoever is to be kept out, the last two by a chain of fail2ban's that logs first.
const KEEPS_OUT: [&str; 5] = ["drop", "reject", "DROP", "REJECT", "TARPIT"];
const OWN_CHAIN: [&str; 2] = ["jump f2b", "-j f2b"];

fn keeps_out(rule: &str) -> bool {
    rule.split([' ', ',', '}', '{']).any(|word| KEEPS_OUT.contains(&word))
        || OWN_CHAIN.iter().any(|jump| rule.contains(jump))
}

/// Reads what `nft list ruleset` prints.
pub fn nft(text: &str, wanted: &mut Wanted) {
    let used = sets_used_by_nft(text);
    let (mut table, mut set, mut depth_of_elements) = (String::new(), None, false);
    for line in text.lines() {
        let trimmed = line.trim();
        if let Some(name) = trimmed.strip_prefix("table ") {
            table = name.trim_end_matches(['{', ' ']).to_owned();
        } else if let Some(name) = trimmed.strip_prefix("set ").or_else(|| trimmed.strip_prefix("map ")) {
            set = Some((table.clone(), name.trim_end_matches(['{', ' ']).to_owned()));
        } else if trimmed.starts_with("chain ") {
            set = None;
        } else if let Some(name) = &set {
            depth_of_elements |= trimmed.starts_with("elements = {");
            if depth_of_elements && used.contains(name) {
                mark_all(trimmed, wanted);
            }
            depth_of_elements &= !trimmed.ends_with('}');
        } else if trimmed.contains("saddr ") && keeps_out(trimmed) {
            let from = trimmed.split("saddr ").nth(1).unwrap_or_default();
            let is_not = from.starts_with("!=");
            let end = if from.starts_with('{') { from.find('}') } else { from.find(' ') };
            if !is_not {
                mark_all(&from[..end.unwrap_or(from.len())], wanted);
            }
        }
    }
}

/// The sets by which some rule keeps somebody out, with their tables.
fn sets_used_by_nft(text: &str) -> HashSet<(String, String)> {
    let (mut used, mut table) = (HashSet::new(), String::new());
    for line in text.lines() {
        let trimmed = line.trim();
        if let Some(name) = trimmed.strip_prefix("table ") {
            table = name.trim_end_matches(['{', ' ']).to_owned();
        } else if trimmed.contains("saddr @") && keeps_out(trimmed) {
            let name = trimmed.split("saddr @").nth(1).unwrap_or_default();
            used.insert((table.clone(), name.split(' ').next().unwrap_or_default().to_owned()));
        }
    }
    used
}

/// Reads what `iptables-save` or `ip6tables-save` prints, and gives the sets of ipset that keep somebody out.
pub fn iptables(text: &str, wanted: &mut Wanted) -> HashSet<String> {
    let mut used = HashSet::new();
    for rule in text.lines().filter(|line| line.starts_with("-A ") && keeps_out(line)) {
        let mut words = rule.split(' ').peekable();
        let mut before = "";
        while let Some(word) = words.next() {
            let next = words.peek().copied().unwrap_or_default();
            if word == "-s" && before != "!" {
                mark_all(next, wanted);
            } else if word == "--match-set" && before != "!" {
                used.insert(next.to_owned());
            }
            before = word;
        }
    }
    used
}

/// Reads what `ipset save` prints: of the sets that are used.
pub fn ipset(text: &str, used: &HashSet<String>, wanted: &mut Wanted) {
    for line in text.lines() {
        let mut words = line.split(' ');
        if words.next() == Some("add")
            && words.next().is_some_and(|set| used.contains(set))
            && let Some(range) = words.next().and_then(|entry| range(entry.split(',').next().unwrap_or(entry)))
        {
            wanted.mark(range);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(wanted: &[&str], read: impl Fn(&mut Wanted)) -> Vec<String> {
        let mut all = Wanted::new(wanted.iter().copied());
        read(&mut all);
        let mut found: Vec<String> = all.found().into_iter().collect();
        found.sort();
        found
    }

    const NFT: &str = "table inet f2b-table {
	set addr-set-sshd {
		type ipv4_addr
		elements = { 192.0.2.1, 192.0.2.2,
			     192.0.2.4-192.0.2.6 }
	}

	set left-over {
		type ipv4_addr
		elements = { 192.0.2.3 }
	}

	set addr6-set-sshd {
		type ipv6_addr
		flags interval
		elements = { 2001:db8::/32 timeout 1h expires 3m4s }
	}

	chain f2b-chain {
		type filter hook input priority filter - 1; policy accept;
		tcp dport { 22 } ip saddr @addr-set-sshd reject with icmp port-unreachable
		tcp dport 22 ip6 saddr @addr6-set-sshd drop
		ip saddr 198.51.100.7 counter packets 0 bytes 0 drop
		ip saddr { 198.51.100.9, 198.51.100.10 } drop
		ip saddr != 203.0.113.1 drop
		ip saddr 10.0.0.0/8 accept
	}
}
table ip other {
	set addr-set-sshd {
		type ipv4_addr
		elements = { 192.0.2.9 }
	}
}
";

    #[test]
    fn an_address_counts_in_a_rule_that_drops_or_in_a_set_that_one_uses() {
        let wanted = [
            "192.0.2.1",
            "192.0.2.2",
            "192.0.2.3",
            "192.0.2.5",
            "192.0.2.9",
            "198.51.100.7",
            "198.51.100.9",
            "203.0.113.1",
            "10.1.2.3",
            "2001:db8::5",
            "2001:db8:1::/48",
            "2001::/16",
            "198.51.100.0/24",
        ];
        let kept_out = found(&wanted, |all| nft(NFT, all));
        let expected =
            ["192.0.2.1", "192.0.2.2", "192.0.2.5", "198.51.100.7", "198.51.100.9", "2001:db8:1::/48", "2001:db8::5"];
        assert_eq!(kept_out, expected);
        assert!(found(&wanted, |all| nft("", all)).is_empty());
    }

    #[test]
    fn rules_of_iptables_and_sets_of_ipset_that_they_use() {
        let rules = "*filter\n:f2b-sshd - [0:0]\n-A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd\n\
            -A f2b-sshd -s 192.0.2.1/32 -j REJECT --reject-with icmp-port-unreachable\n-A INPUT -s 192.0.2.2/32 -j ACCEPT\n\
            -A INPUT ! -s 192.0.2.3/32 -j DROP\n-A INPUT -p tcp -m set --match-set f2b-web src -j DROP\n-A f2b-sshd -j RETURN\nCOMMIT\n";
        let sets = "create f2b-web hash:ip family inet\nadd f2b-web 192.0.2.4 timeout 600\ncreate old hash:net family inet\nadd old 192.0.2.5\nadd f2b-web 192.0.2.6,tcp:80\n";
        let wanted = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6"];
        let kept_out = found(&wanted, |all| {
            let used = iptables(rules, all);
            ipset(sets, &used, all);
        });
        assert_eq!(kept_out, ["192.0.2.1", "192.0.2.4", "192.0.2.6"]);
    }
}

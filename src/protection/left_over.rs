//! Who is kept out by a jail's rules without a ban, by what the tools of the packet filter print.
//!
//! Only sets and chains that have the name which fail2ban's actions give them for the jail are looked at: others may hold what somebody put there.

use std::collections::HashMap;

use super::facts::JailFacts;
use super::packet_filter::{Range, range};

/// So many are noted.
const MOST: usize = 20;

/// What is looked for, and what was found.
#[derive(Debug, Default)]
pub struct Strangers {
    /// The jails, by the names of their sets and chains.
    owners: HashMap<String, String>,
    /// All that is banned, in order, each with the last address up to there.
    banned: Vec<(Range, u128)>,
    found: Vec<(String, String)>,
}

impl Strangers {
    /// Jails whose bans are known only in part are left out.
    pub fn of(jails: &[JailFacts]) -> Strangers {
        let mut own = Strangers::default();
        let whole = jails.iter().filter(|jail| jail.banned as usize <= jail.looked_for.len());
        let all: Vec<&JailFacts> = whole.filter(|jail| jail.actions.iter().any(|own| own.filters_packets())).collect();
        for form in ["f2b-", "fail2ban-", "addr-set-", "addr6-set-"] {
            own.owners.extend(all.iter().map(|jail| (format!("{form}{}", jail.name), jail.name.clone())));
        }
        for jail in all {
            own.owners.entry(format!("f2b-{}6", jail.name)).or_insert_with(|| jail.name.clone());
        }
        let mut banned: Vec<Range> =
            jails.iter().flat_map(|jail| jail.looked_for.iter()).filter_map(|ip| range(ip)).collect();
        banned.sort_unstable();
        let mut last = (false, 0);
        for one in banned {
            last = if last.0 == one.0 { (one.0, last.1.max(one.2)) } else { (one.0, one.2) };
            own.banned.push((one, last.1));
        }
        own
    }

    /// Jail and address of each.
    pub fn found(self) -> Vec<(String, String)> {
        self.found
    }

    /// Notes what stands there, unless something of it is banned, or it ends by itself.
    fn note(&mut self, owner: &str, element: &str) {
        let mut words = element.split([' ', ',']).filter(|word| !word.is_empty());
        let Some(text) = words.next() else { return };
        let ends = words.any(|word| word == "expires")
            || element.split(" timeout ").nth(1).is_some_and(|left| !left.starts_with('0'));
        let Some(range) = range(text).filter(|_| !ends && self.found.len() < MOST) else { return };
        let before = self.banned.partition_point(|((is_v6, first, _), _)| (*is_v6, *first) <= (range.0, range.2));
        let is_banned = before.checked_sub(1).and_then(|at| self.banned.get(at));
        if is_banned.is_some_and(|(own, last)| own.0 == range.0 && *last >= range.1) {
            return;
        }
        let text = text.trim_end_matches("/32").trim_end_matches("/128");
        self.found.push((owner.to_owned(), text.to_owned()));
    }

    /// Looks at what `nft list ruleset` prints.
    pub fn nft(&mut self, text: &str) {
        let (mut owner, mut is_in_elements) = (None, false);
        for line in text.lines() {
            let line = line.trim();
            if let Some(name) = line.strip_prefix("set ") {
                owner = self.owners.get(name.trim_end_matches(['{', ' '])).cloned();
            } else if line.starts_with("chain ") {
                owner = None;
            } else if let Some(owner) = &owner {
                let begins = line.strip_prefix("elements = {");
                is_in_elements |= begins.is_some();
                if is_in_elements {
                    let elements = begins.unwrap_or(line).trim_end_matches('}');
                    elements.split(',').for_each(|element| self.note(owner, element.trim()));
                }
                is_in_elements &= !line.ends_with('}');
            }
        }
    }

    /// Looks at what `iptables-save` or `ip6tables-save` prints.
    pub fn iptables(&mut self, text: &str) {
        for line in text.lines() {
            let Some((chain, rest)) = line.strip_prefix("-A ").and_then(|rest| rest.split_once(" -s ")) else {
                continue;
            };
            let is_dropped = ["DROP", "REJECT"].iter().any(|what| rest.contains(&format!("-j {what}")));
            if let Some(owner) = self.owners.get(chain).filter(|_| is_dropped).cloned() {
                self.note(&owner, rest.split(' ').next().unwrap_or_default());
            }
        }
    }

    /// Looks at what `ipset save` prints.
    pub fn ipset(&mut self, text: &str) {
        for line in text.lines() {
            let Some((set, element)) = line.strip_prefix("add ").and_then(|rest| rest.split_once(' ')) else {
                continue;
            };
            if let Some(owner) = self.owners.get(set).cloned() {
                self.note(&owner, element);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protection::facts::Action;

    fn jail(name: &str, banned: &[&str], number: u64) -> JailFacts {
        let actions = vec![Action { name: "own".into(), tools: vec!["nft"] }];
        let looked_for = banned.iter().map(|ip| ip.to_string()).collect();
        JailFacts { name: name.into(), actions, looked_for, banned: number, ..JailFacts::default() }
    }

    #[test]
    fn who_is_in_a_set_or_chain_of_a_jail_and_banned_by_none_is_named() {
        let jails = [
            jail("sshd", &["192.0.2.1", "198.51.100.0/24", "2001:db8::1"], 3),
            jail("web", &["192.0.2.7"], 1),
            jail("many", &[], 9000),
        ];
        let mut all = Strangers::of(&jails);
        all.nft(
            "table inet f2b-table {\n\tset addr-set-sshd {\n\t\ttype ipv4_addr\n\t\telements = { 192.0.2.1, 192.0.2.9,\n\t\t\t     192.0.2.7, 198.51.100.9, \
             203.0.113.1-203.0.113.9, 192.0.2.8 timeout 1h expires 3m }\n\t}\n\tset addr-set-many {\n\t\telements = { 192.0.2.50 }\n\t}\n\tset own {\n\t\telements \
             = { 192.0.2.51 }\n\t}\n\tchain f2b-chain {\n\t\tip saddr 192.0.2.52 drop\n\t}\n}\n",
        );
        all.iptables("-A f2b-web -s 192.0.2.7/32 -j REJECT\n-A f2b-web -s 192.0.2.60/32 -j DROP\n-A f2b-web -s 192.0.2.61/32 -j RETURN\n-A INPUT -s 192.0.2.62/32 -j DROP\n");
        all.ipset("create f2b-web6 hash:ip family inet6\nadd f2b-web6 2001:db8::1\nadd f2b-web6 2001:db8::2 timeout 0\nadd f2b-web6 2001:db8::3 timeout 60\nadd own 192.0.2.70\n");
        let found = all.found();
        let found: Vec<(&str, &str)> = found.iter().map(|(jail, ip)| (jail.as_str(), ip.as_str())).collect();
        let expected =
            [("sshd", "192.0.2.9"), ("sshd", "203.0.113.1-203.0.113.9"), ("web", "192.0.2.60"), ("web", "2001:db8::2")];
        assert_eq!(found, expected);
    }
}

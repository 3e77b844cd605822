//! The way of a packet through the packet filter: whether somebody outside who opens a connection to a port is kept out, and if not, which rule
//! lets him pass.
//!
//! It is followed as far as the conditions of the rules are known. Where it depends on something else, nothing is claimed.

use std::net::IpAddr;

use super::packet_filter::{Range, range};
use super::ruleset::{Chain, Condition, Hook, Rule, Ruleset, Verdict, is_within};

/// How deep chains may call each other: the kernel's own limit for nftables.
const DEEPEST: u32 = 16;

/// What becomes of the packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is kept out.
    KeptOut,
    /// That depends on what is not known here.
    Unknown,
    /// A rule before the one that keeps it out may let it through, by a condition that is not known here: its chain, and the rule.
    Perhaps(String, String),
    /// It gets through.
    Passes(Way),
}

/// How it got through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// The port is published from a container: packets for it do not come to this machine but pass it on, as this port.
    pub published: Option<u16>,
    /// The rules that let it through, each with its chain, in their order.
    pub accepted: Vec<(String, String)>,
}

/// How much is known of a condition.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fits {
    No,
    Unknown,
    Yes,
}

/// What a chain comes to.
enum Flow {
    /// It decides nothing.
    On,
    Accepted,
    KeptOut,
}

/// The first packet of a connection.
struct Walk<'r> {
    rules: &'r Ruleset,
    from: Range,
    /// `None` where it is not known; then rules about ports are not.
    port: Option<u16>,
    is_in_doubt: bool,
    is_perhaps_sent_on: bool,
    accepted: Vec<(String, String)>,
    /// The first rule of the chain that is followed, and of those that it calls, that may let it through.
    may_pass: Option<(String, String)>,
    /// The first such rule of a chain that would else have kept it out.
    doubted: Option<(String, String)>,
}

impl<'r> Walk<'r> {
    fn new(rules: &'r Ruleset, from: Range, port: Option<u16>) -> Walk<'r> {
        let (accepted, may_pass, doubted) = (Vec::new(), None, None);
        Walk { rules, from, port, is_in_doubt: false, is_perhaps_sent_on: false, accepted, may_pass, doubted }
    }
}

/// What becomes of a TCP packet from this address to this port.
pub fn follow(rules: &Ruleset, from: IpAddr, port: Option<u16>) -> Fate {
    let Some(from) = range(&from.to_string()) else { return Fate::Unknown };
    let mut walk = Walk::new(rules, from, port);
    if walk.is_kept_out_at(Hook::Prerouting) {
        return Fate::KeptOut;
    }
    let published = port.and_then(|port| walk.published(port));
    let hook = if published.is_some() { Hook::Forward } else { Hook::Input };
    // A rule that may send it on, by a condition that is not known here: then it has to be kept out either way.
    let is_perhaps_sent_on = std::mem::take(&mut walk.is_perhaps_sent_on) && published.is_none();
    walk.port = published.or(port);
    walk.accepted.clear();
    match walk.is_kept_out_at(hook) {
        true if is_perhaps_sent_on => Fate::Unknown,
        true => Fate::KeptOut,
        false => match walk.doubted.take() {
            Some((chain, rule)) => Fate::Perhaps(chain, rule),
            None if walk.is_in_doubt => Fate::Unknown,
            None => Fate::Passes(Way { published, accepted: walk.accepted }),
        },
    }
}

/// The port that a container gets packets for this port at; `None` where they are for the machine itself.
pub fn published(rules: &Ruleset, from: IpAddr, port: u16) -> Option<u16> {
    let from = range(&from.to_string())?;
    Walk::new(rules, from, Some(port)).published(port)
}

impl<'r> Walk<'r> {
    /// The chains that packets come into there.
    fn chains_at(&self, hook: Hook) -> impl Iterator<Item = &'r Chain> + use<'r> {
        let is_v6 = self.from.0;
        let family = move |chain: &&Chain| match chain.table.split(' ').next() {
            Some("ip") => !is_v6,
            Some("ip6") => is_v6,
            Some("inet") => true,
            _ => false,
        };
        let rules: &'r Ruleset = self.rules;
        rules.chains.iter().filter(move |chain| chain.hook == Some(hook)).filter(family)
    }

    /// Whether one of them keeps it out: what one accepts goes on to the others.
    fn is_kept_out_at(&mut self, hook: Hook) -> bool {
        for chain in self.chains_at(hook) {
            self.may_pass = None;
            let is_kept_out = match self.chain(chain, DEEPEST) {
                Flow::KeptOut => true,
                Flow::On => chain.policy_drops,
                Flow::Accepted => false,
            };
            match self.may_pass.take() {
                None if is_kept_out => return true,
                Some(rule) if is_kept_out => _ = self.doubted.get_or_insert(rule),
                _ => {}
            }
        }
        false
    }

    fn chain(&mut self, chain: &Chain, depth: u32) -> Flow {
        for rule in &chain.rules {
            let fits = self.fits(chain, rule);
            if fits == Fits::No {
                continue;
            }
            let is_sure = fits == Fits::Yes;
            let (target, is_last) = match &rule.verdict {
                Verdict::Drop if is_sure => return Flow::KeptOut,
                Verdict::Drop => {
                    self.is_in_doubt = true;
                    continue;
                }
                Verdict::Accept if is_sure => {
                    self.accepted.push((format!("{} {}", chain.table, chain.name), rule.text.clone()));
                    return Flow::Accepted;
                }
                Verdict::Return if is_sure => return Flow::On,
                Verdict::Accept | Verdict::Return => {
                    self.note_doubt(chain, rule);
                    continue;
                }
                Verdict::Jump(target) => (target, false),
                Verdict::Goto(target) => (target, is_sure),
                _ => continue,
            };
            let Some(target) = self.rules.chain(&chain.table, target).filter(|_| depth > 0) else { continue };
            match self.chain(target, depth - 1) {
                Flow::KeptOut if is_sure => return Flow::KeptOut,
                Flow::KeptOut => self.is_in_doubt = true,
                Flow::Accepted if is_sure => return Flow::Accepted,
                Flow::Accepted => self.note_doubt(chain, rule),
                _ if is_last => return Flow::On,
                _ => {}
            }
        }
        Flow::On
    }

    fn note_doubt(&mut self, chain: &Chain, rule: &Rule) {
        self.may_pass.get_or_insert_with(|| (format!("{} {}", chain.table, chain.name), rule.text.clone()));
    }

    fn fits(&self, chain: &Chain, rule: &Rule) -> Fits {
        rule.conditions.iter().map(|condition| self.is_met(chain, condition)).min().unwrap_or(Fits::Yes)
    }

    fn is_met(&self, chain: &Chain, condition: &Condition) -> Fits {
        let known = |is_met: bool| if is_met { Fits::Yes } else { Fits::No };
        match condition {
            Condition::From(all, is_not) => known(all.iter().any(|own| is_within(&self.from, own)) != *is_not),
            Condition::FromSet(set, is_not) => known(self.rules.is_in_set(&chain.table, set, &self.from) != *is_not),
            Condition::Port(all, is_not) => match self.port {
                Some(port) => known(all.iter().any(|(first, last)| (*first..=*last).contains(&port)) != *is_not),
                None => Fits::Unknown,
            },
            Condition::Tcp(is_met) | Condition::Is(is_met) => known(*is_met),
            Condition::Ipv6(is_v6) => known(*is_v6 == self.from.0),
            Condition::Unknown => Fits::Unknown,
        }
    }

    /// Where a rule sends packets for this port on to a container.
    fn published(&mut self, port: u16) -> Option<u16> {
        self.chains_at(Hook::Prerouting).find_map(|chain| self.sent_on(chain, port, DEEPEST))
    }

    fn sent_on(&mut self, chain: &Chain, port: u16, depth: u32) -> Option<u16> {
        for rule in &chain.rules {
            let names_port = rule.conditions.iter().any(|condition| matches!(condition, Condition::Port(_, false)));
            match (&rule.verdict, self.fits(chain, rule)) {
                (_, Fits::No) => {}
                // Without a port of its own it is a rule for all that a network does, and not of a service.
                (Verdict::Forwarded(to), Fits::Yes) if names_port => return Some(to.unwrap_or(port)),
                // One for packets to an address or by an interface: `-d 127.0.0.1` is not for anybody outside.
                (Verdict::Forwarded(_), _) if names_port => self.is_perhaps_sent_on = true,
                (Verdict::Jump(target) | Verdict::Goto(target), _) => {
                    let target = self.rules.chain(&chain.table, target).filter(|_| depth > 0);
                    if let Some(to) = target.and_then(|target| self.sent_on(target, port, depth - 1)) {
                        return Some(to);
                    }
                }
                (Verdict::Return, Fits::Yes) => return None,
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protection::{iptables_rules, nft_rules};

    const BAD: &str = "192.0.2.1";

    fn rules(nft: &str, iptables: &str, ipset: &str) -> Ruleset {
        let mut rules = Ruleset::about(&[BAD.parse().unwrap(), "2001:db8::1".parse().unwrap()]);
        nft_rules::read(&mut rules, nft);
        if !iptables.is_empty() {
            iptables_rules::read(&mut rules, iptables, false);
        }
        rules.add_ipset(ipset);
        rules
    }

    fn passes(rules: &Ruleset, from: &str, port: u16) -> Option<String> {
        match follow(rules, from.parse().unwrap(), Some(port)) {
            Fate::KeptOut => None,
            Fate::Unknown => Some("unknown".into()),
            Fate::Perhaps(_, rule) => Some(format!("perhaps by {rule}")),
            Fate::Passes(way) => {
                let rule = way.accepted.first().map_or("no rule", |(_, rule)| rule);
                Some(way.published.map_or_else(|| rule.to_owned(), |port| format!("published as {port}")))
            }
        }
    }

    const NFT: &str = "table inet f2b-table {
	set addr-set-sshd {
		type ipv4_addr
		elements = { 198.51.100.7, 192.0.2.1,
			     198.51.100.9 }
	}
	chain f2b-chain {
		type filter hook input priority filter - 1; policy accept;
		tcp dport { 22, 2222-2230 } ip saddr @addr-set-sshd reject with icmp port-unreachable
		meta l4proto tcp ip6 saddr { 2001:db8::1 } drop
		tcp dport 80 meta mark 0x1 ip saddr @addr-set-sshd drop
	}
}
";

    #[test]
    fn a_rule_before_that_may_accept_is_named_and_nothing_is_claimed() {
        let ours = "-A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd\n-A f2b-sshd -s 192.0.2.1/32 -j REJECT\n";
        for may_accept in [
            "-A INPUT -m mark --mark 0x1 -j ACCEPT",
            "-A INPUT -m limit --limit 5/sec -j ACCEPT",
            "-A INPUT -m recent --rcheck --name DEFAULT --mask 255.255.255.255 --rsource -j ACCEPT",
            "-A INPUT -m string --string \"x\" --algo bm --to 65535 -j ACCEPT",
            "-A INPUT -i eth0 -j ACCEPT",
            "-A f2b-sshd -m mark --mark 0x1 -j RETURN",
        ] {
            let save = format!("*filter\n:INPUT ACCEPT [0:0]\n:f2b-sshd - [0:0]\n{may_accept}\n{ours}COMMIT\n");
            let found = passes(&rules("", &save, ""), BAD, 22);
            assert_eq!(found, Some(format!("perhaps by {may_accept}")));
            // What accepts behind it, or nothing of a new connection, changes nothing.
            let save = format!("*filter\n:INPUT ACCEPT [0:0]\n:f2b-sshd - [0:0]\n{ours}{may_accept}\nCOMMIT\n");
            assert_eq!(passes(&rules("", &save, ""), BAD, 22), None, "{may_accept}");
        }
        for accepts in ["meta mark 0x1 accept", "limit rate 5/second accept", "iifname \"eth0\" accept"] {
            let nft = NFT.replace("\t\ttcp dport { 22", &format!("\t\t{accepts}\n\t\ttcp dport {{ 22"));
            assert_eq!(passes(&rules(&nft, "", ""), BAD, 22), Some(format!("perhaps by {accepts}")));
        }
    }

    #[test]
    fn a_rule_of_nftables_keeps_out_for_its_ports_and_says_where() {
        let all = rules(NFT, "", "");
        assert_eq!(passes(&all, BAD, 22), None);
        assert_eq!(passes(&all, BAD, 2225), None);
        assert_eq!(passes(&all, BAD, 443).as_deref(), Some("no rule"));
        assert_eq!(passes(&all, BAD, 80).as_deref(), Some("unknown"));
        assert_eq!(passes(&all, "203.0.113.1", 22).as_deref(), Some("no rule"));
        assert_eq!(passes(&all, "2001:db8::1", 443), None);
        let places = all.places(BAD.parse().unwrap());
        let shown: Vec<(&str, &str, Option<&str>)> =
            places.iter().map(|own| (own.table.as_str(), own.chain.as_str(), own.set.as_deref())).collect();
        assert_eq!(shown[0], ("inet f2b-table", "f2b-chain", Some("addr-set-sshd")));
        assert_eq!(places[0].ports, [(22, 22), (2222, 2230)]);
        assert!(all.places("203.0.113.1".parse().unwrap()).is_empty());
        assert_eq!(all.places("2001:db8::1".parse().unwrap())[0].set, None);
    }

    #[test]
    fn a_rule_before_that_accepts_is_found_where_it_is_of_the_same_chain_and_sure() {
        let before = |rule: &str| NFT.replace("\t\ttcp dport { 22", &format!("\t\t{rule}\n\t\ttcp dport {{ 22"));
        let said = |rule: &str| passes(&rules(&before(rule), "", ""), BAD, 22);
        for rule in [
            "accept",
            "tcp dport 22 counter packets 3 bytes 9 accept",
            "ct state new accept",
            "ip saddr 192.0.2.0/24 accept",
        ] {
            assert_eq!(said(rule).as_deref(), Some(rule));
        }
        for rule in [
            "iifname \"lo\" accept",
            "ct state established,related accept",
            "tcp dport 80 accept",
            "udp dport 22 accept",
            "ip saddr 198.51.100.0/24 accept",
        ] {
            assert_eq!(said(rule), None, "{rule}");
        }
        // What another chain lets through comes to this one all the same.
        let other = format!(
            "{NFT}table inet own {{\n\tchain in {{\n\t\ttype filter hook input priority 0; policy accept;\n\t\taccept\n\t}}\n}}\n"
        );
        assert_eq!(passes(&rules(&other, "", ""), BAD, 22), None);
    }

    const IPTABLES: &str = "*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:DOCKER-USER - [0:0]
:f2b-sshd - [0:0]
-A INPUT -m set --match-set f2b-x src -m comment --comment \"a b -j X\" -j DROP
-A INPUT -p tcp -m multiport --dports 22,2222:2230 -j f2b-sshd
-A FORWARD -j DOCKER-USER
-A DOCKER-USER -p tcp -m multiport --dports 8081 -j f2b-sshd
-A f2b-sshd -s 192.0.2.1/32 -j REJECT --reject-with icmp-port-unreachable
-A f2b-sshd -j RETURN
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 2222 -j DNAT --to-destination 172.17.0.2:22
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:8081
COMMIT
";

    #[test]
    fn a_port_that_docker_publishes_does_not_pass_the_chain_for_this_machine() {
        let all = rules("", IPTABLES, "");
        assert_eq!(passes(&all, BAD, 22), None);
        assert_eq!(passes(&all, BAD, 80).as_deref(), Some("no rule"));
        assert_eq!(passes(&all, BAD, 2222).as_deref(), Some("published as 22"));
        assert_eq!(passes(&all, BAD, 8080), None, "the chain of Docker's own jumps there");
        assert_eq!(
            (published(&all, BAD.parse().unwrap(), 22), published(&all, BAD.parse().unwrap(), 2222)),
            (None, Some(22))
        );
        let places = all.places(BAD.parse().unwrap());
        assert_eq!((places.len(), places[0].table.as_str(), places[0].chain.as_str()), (1, "ip filter", "f2b-sshd"));
        let dropping = IPTABLES.replace(":INPUT ACCEPT", ":INPUT DROP");
        assert_eq!(passes(&rules("", &dropping, ""), BAD, 80), None);
    }

    #[test]
    fn a_set_of_ipset_counts_where_a_rule_uses_it() {
        let sets = "create f2b-x hash:ip family inet\nadd f2b-x 192.0.2.1 timeout 600\nadd other 198.51.100.1\n";
        let all = rules("", IPTABLES, sets);
        assert_eq!(passes(&all, BAD, 80), None);
        let places = all.places(BAD.parse().unwrap());
        assert_eq!(places[0].set.as_deref(), Some("f2b-x"), "{places:?}");
        let unused = IPTABLES.replace("--match-set f2b-x src", "--match-set f2b-y src");
        assert_eq!(passes(&rules("", &unused, sets), BAD, 80).as_deref(), Some("no rule"));
        // What nft shows of tables that iptables made says less; it is forgotten.
        let both = rules(
            "table ip filter {\n\tchain INPUT {\n\t\ttype filter hook input priority filter; policy accept;\n\t\taccept\n\t}\n}\n",
            IPTABLES,
            sets,
        );
        assert_eq!(passes(&both, BAD, 22), None);
    }
}

//! The rules of the packet filter as a model: chains, what their rules look at, and what they do with a packet. Only what bears on who is kept
//! out is told apart; a condition that is not known here stays unknown, and nothing is concluded from it.

use std::net::IpAddr;

use super::packet_filter::{Range, range, ranges_in};

/// Everything the tools have printed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ruleset {
    /// The chains, in the order in which they were printed.
    pub chains: Vec<Chain>,
    /// The sets, of nftables with their tables and of ipset without. Of what they hold, what was asked for.
    sets: Vec<Set>,
    /// The addresses that are asked for: sets may hold very many others.
    wanted: Vec<Range>,
}

/// A set of addresses.
#[derive(Debug, Clone, Default, PartialEq)]
struct Set {
    table: String,
    name: String,
    holds: Vec<Range>,
}

/// A chain.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chain {
    /// `nft` or `iptables`.
    pub tool: &'static str,
    /// Its table with its family: `inet f2b-table`, `ip filter`.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Where packets come into it; `None` where others jump there.
    pub hook: Option<Hook>,
    /// Its rules.
    pub rules: Vec<Rule>,
    /// What no rule of it decides is kept out.
    pub policy_drops: bool,
}

/// Where packets come into a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// All that arrive, before it is known where they go.
    Prerouting,
    /// All that are for this machine.
    Input,
    /// All that only pass it, as those for a container do.
    Forward,
    /// Others.
    Other,
}

/// A rule.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rule {
    /// As it was printed.
    pub text: String,
    /// What it looks at.
    pub conditions: Vec<Condition>,
    /// What it does with a packet that fits.
    pub verdict: Verdict,
}

/// What a rule looks at.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// The sender is one of these, or none of them.
    From(Vec<Range>, bool),
    /// The sender is in this set, or is not.
    FromSet(String, bool),
    /// The port is one of these, or none of them.
    Port(Vec<(u16, u16)>, bool),
    /// Whether TCP is meant.
    Tcp(bool),
    /// Whether the packet is IPv6.
    Ipv6(bool),
    /// It is true, or false, of the first packet of somebody outside.
    Is(bool),
    /// Something else.
    Unknown,
}

/// What a rule does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing that matters here.
    #[default]
    Nothing,
    /// It lets through.
    Accept,
    /// It keeps out.
    Drop,
    /// Back to where it came from.
    Return,
    /// On to another chain of the same table, and back.
    Jump(String),
    /// The same without a way back.
    Goto(String),
    /// The packet goes to another machine or container, there to this port where another is named.
    Forwarded(Option<u16>),
}

/// Where an address is kept out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `nft` or `iptables`.
    pub tool: &'static str,
    /// The table with its family.
    pub table: String,
    /// The chain.
    pub chain: String,
    /// The set that holds it; `None` where the rule names it itself.
    pub set: Option<String>,
    /// The rule.
    pub rule: String,
    /// The ports that this rule is about, or those by which packets come to its chain; none for all.
    pub ports: Vec<(u16, u16)>,
}

impl Ruleset {
    /// An empty one; of what sets hold, it will note only these.
    pub fn about(addresses: &[IpAddr]) -> Ruleset {
        let wanted = addresses.iter().filter_map(|address| range(&address.to_string())).collect();
        Ruleset { wanted, ..Ruleset::default() }
    }

    /// Whether a rule names other addresses than those that are asked for, so that it bears on none of their packets: there may be one for each
    /// ban.
    pub(super) fn is_about_others(&self, rule: &Rule) -> bool {
        rule.conditions.iter().any(|condition| match condition {
            Condition::From(all, false) => !self.wanted.iter().any(|one| all.iter().any(|own| is_within(one, own))),
            _ => false,
        })
    }

    /// The sets that hold an address and that no rule names, each in words.
    pub fn unused_sets(&self, address: IpAddr) -> Vec<String> {
        let Some(address) = range(&address.to_string()) else { return Vec::new() };
        let holding = self.sets.iter().filter(|set| set.holds.iter().any(|own| is_within(&address, own)));
        let unused = holding.filter(|set| {
            let of_table = self.chains.iter().filter(|chain| set.table.is_empty() || chain.table == set.table);
            !of_table.flat_map(|chain| chain.rules.iter()).any(|rule| rule.names_set(&set.name))
        });
        let in_words = |set: &Set| match set.table.as_str() {
            "" => format!("set {} (ipset)", set.name),
            table => format!("set {} of table {table} (nft)", set.name),
        };
        unused.map(in_words).collect()
    }

    /// By which of these packets come to the chain of a place; `None` where that cannot be told.
    pub fn hooks_to(&self, place: &Place) -> Option<Vec<Hook>> {
        if !["ip", "ip6", "inet"].contains(&place.table.split(' ').next().unwrap_or_default()) {
            return None;
        }
        let own: Vec<&Chain> = self.chains.iter().filter(|chain| chain.table == place.table).collect();
        // Where a map names chains, it is not known from where they are called.
        if own.iter().flat_map(|chain| chain.rules.iter()).any(|rule| rule.text.contains(" vmap ")) {
            return None;
        }
        let (mut names, mut next) = (vec![place.chain.as_str()], 0);
        let mut hooks = Vec::new();
        while let Some(name) = names.get(next).copied() {
            next += 1;
            hooks.extend(own.iter().filter(|chain| chain.name == name).filter_map(|chain| chain.hook));
            let calls = |rule: &Rule| matches!(&rule.verdict, Verdict::Jump(to) | Verdict::Goto(to) if to == name);
            let callers = own.iter().filter(|chain| chain.rules.iter().any(calls)).map(|chain| chain.name.as_str());
            let new: Vec<&str> = callers.filter(|caller| !names.contains(caller)).collect();
            names.extend(new);
        }
        Some(hooks)
    }

    /// Forgets these tables.
    pub(super) fn forget(&mut self, tables: &[String]) {
        self.chains.retain(|chain| !tables.contains(&chain.table));
    }

    /// Takes in what `ipset save` prints.
    pub fn add_ipset(&mut self, text: &str) {
        for line in text.lines() {
            let mut words = line.split(' ');
            if words.next() == Some("add")
                && let (Some(set), Some(entry)) = (words.next(), words.next())
            {
                self.note_set("", set, &entry.replace(',', " "));
            }
        }
    }

    /// Notes of a set what of its elements was asked for.
    pub(super) fn note_set(&mut self, table: &str, name: &str, elements: &str) {
        let wanted = &self.wanted;
        let is_wanted = |own: &Range| wanted.iter().any(|one| is_within(one, own));
        let holds: Vec<Range> = ranges_in(elements).filter(is_wanted).collect();
        if holds.is_empty() {
            return;
        }
        match self.sets.iter_mut().find(|set| set.table == table && set.name == name) {
            Some(set) => set.holds.extend(holds),
            None => self.sets.push(Set { table: table.to_owned(), name: name.to_owned(), holds }),
        }
    }

    /// Whether a set of this table, or of ipset, holds an address that was asked for.
    pub(super) fn is_in_set(&self, table: &str, name: &str, address: &Range) -> bool {
        let is_it = |set: &&Set| (set.table == table || set.table.is_empty()) && set.name == name;
        self.sets.iter().filter(is_it).any(|set| set.holds.iter().any(|own| is_within(address, own)))
    }

    /// Everywhere this address is kept out by a rule that is about it, whatever packets pass that rule.
    pub fn places(&self, address: IpAddr) -> Vec<Place> {
        let Some(address) = range(&address.to_string()) else { return Vec::new() };
        let mut found = Vec::new();
        for chain in &self.chains {
            for rule in chain.rules.iter().filter(|rule| self.keeps_out(chain, rule)) {
                let mut place = None;
                let mut ports = Vec::new();
                for condition in &rule.conditions {
                    match condition {
                        Condition::From(all, false) if all.iter().any(|own| is_within(&address, own)) => {
                            place = place.or(Some(None));
                        }
                        Condition::FromSet(set, false) if self.is_in_set(&chain.table, set, &address) => {
                            place = Some(Some(set.clone()));
                        }
                        Condition::Port(all, false) => ports.clone_from(all),
                        _ => {}
                    }
                }
                let Some(set) = place else { continue };
                if ports.is_empty() {
                    ports = self.ports_to(chain);
                }
                found.push(Place {
                    tool: chain.tool,
                    table: chain.table.clone(),
                    chain: chain.name.clone(),
                    set,
                    rule: rule.text.clone(),
                    ports,
                });
            }
        }
        found
    }

    /// The ports by which other chains of its table come to a chain.
    fn ports_to(&self, chain: &Chain) -> Vec<(u16, u16)> {
        let of_table = self.chains.iter().filter(|other| other.table == chain.table);
        let to_it = of_table
            .flat_map(|other| other.rules.iter())
            .filter(|rule| matches!(&rule.verdict, Verdict::Jump(to) | Verdict::Goto(to) if *to == chain.name));
        let mut ports = Vec::new();
        for rule in to_it {
            let named = rule.conditions.iter().find_map(|condition| match condition {
                Condition::Port(all, false) => Some(all),
                _ => None,
            });
            match named {
                Some(all) => ports.extend_from_slice(all),
                None => return Vec::new(),
            }
        }
        ports
    }

    /// Whether a rule drops, or goes where fail2ban's actions log before they do so.
    fn keeps_out(&self, chain: &Chain, rule: &Rule) -> bool {
        match &rule.verdict {
            Verdict::Drop => true,
            Verdict::Jump(to) | Verdict::Goto(to) => {
                let target = self.chain(&chain.table, to);
                target.is_some_and(|target| target.rules.iter().any(|rule| rule.verdict == Verdict::Drop))
            }
            _ => false,
        }
    }

    /// A chain by its table and name.
    pub fn chain(&self, table: &str, name: &str) -> Option<&Chain> {
        self.chains.iter().find(|chain| chain.table == table && chain.name == name)
    }
}

impl Rule {
    /// Whether it looks into a set of this name.
    fn names_set(&self, name: &str) -> bool {
        let mut words = self.text.split([' ', '"']).peekable();
        while let Some(word) = words.next() {
            if word.strip_prefix('@') == Some(name) || (word == "--match-set" && words.peek() == Some(&name)) {
                return true;
            }
        }
        false
    }
}

/// A condition on the sender. What names no address is not known here, such as a map or a mask.
pub(super) fn from(value: &str, is_not: bool) -> Condition {
    let all: Vec<Range> = ranges_in(value).collect();
    if all.is_empty() { Condition::Unknown } else { Condition::From(all, is_not) }
}

/// Whether one range lies within another.
pub(super) fn is_within(one: &Range, other: &Range) -> bool {
    one.0 == other.0 && other.1 <= one.1 && one.2 <= other.2
}

/// `22`, `22-25` or `22:25`.
fn port_range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once(['-', ':']).unwrap_or((text, text));
    // A name is none that can be told here: then the condition is not known.
    Some((first.parse().ok()?, last.parse().ok()?))
}

/// Ports as a list with commas; `None` where one of them is not known.
pub(super) fn port_ranges(text: &str) -> Option<Vec<(u16, u16)>> {
    text.split([',', ' ', '{', '}']).filter(|part| !part.is_empty()).map(port_range).collect()
}

/// The words of a rule; what stands in quotation marks, or in braces, is one.
pub(super) fn words(line: &str) -> Vec<&str> {
    let (mut words, mut start, mut depth, mut quoted) = (Vec::new(), None, 0_u32, false);
    for (at, letter) in line.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            '{' if !quoted => depth += 1,
            '}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        let is_between = letter.is_ascii_whitespace() && !quoted && depth == 0;
        match (is_between, start) {
            (true, Some(from)) => {
                words.push(&line[from..at]);
                start = None;
            }
            (false, None) => start = Some(at),
            _ => {}
        }
    }
    words.extend(start.map(|from| &line[from..]));
    words
}

/// Somebody outside comes neither from loopback nor from the network of containers; of other interfaces it is not known which one it is.
pub(super) fn from_interface(name: &str, is_not: bool) -> Condition {
    let name = name.trim_matches('"');
    let is_inside = ["lo", "docker", "br-", "veth", "cni", "virbr", "podman"].iter().any(|own| name.starts_with(own));
    match is_inside {
        true => Condition::Is(is_not),
        false => Condition::Unknown,
    }
}

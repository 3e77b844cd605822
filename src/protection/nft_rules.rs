//! What `nft list ruleset` prints, as rules.

use super::ruleset::{Chain, Condition, Hook, Rule, Ruleset, Verdict, from, from_interface, port_ranges, words};

/// Takes in all of it.
pub fn read(ruleset: &mut Ruleset, text: &str) {
    let (mut table, mut set, mut elements) = (String::new(), None::<String>, String::new());
    let mut is_in_chain = false;
    for line in text.lines() {
        let line = line.trim();
        let named = |word: &str| line.strip_prefix(word).map(|rest| rest.trim_end_matches(['{', ' ']).to_owned());
        if let Some(name) = named("table ") {
            table = name;
        } else if let Some(name) = named("chain ") {
            (set, is_in_chain) = (None, true);
            ruleset.chains.push(Chain { tool: "nft", table: table.clone(), name, ..Chain::default() });
        } else if let Some(name) = named("set ").or_else(|| named("map ")) {
            (set, is_in_chain) = (Some(name), false);
        } else if let Some(name) = &set {
            let begins = line.starts_with("elements = {");
            if begins || !elements.is_empty() {
                elements.push_str(line);
                elements.push(' ');
            }
            if !elements.is_empty() && line.ends_with('}') {
                ruleset.note_set(&table, name, elements.trim_start_matches("elements = {"));
                elements.clear();
            }
        } else if line == "}" || line.is_empty() {
            is_in_chain = false;
        } else if is_in_chain {
            let own = rule(line);
            let is_about_others = ruleset.is_about_others(&own);
            let Some(chain) = ruleset.chains.last_mut() else { continue };
            match line.strip_prefix("type ") {
                Some(about) => (chain.hook, chain.policy_drops) = (hook(about), about.contains("policy drop")),
                None if is_about_others => {}
                None => chain.rules.push(own),
            }
        }
    }
}

/// `filter hook input priority filter - 1; policy accept;`
fn hook(about: &str) -> Option<Hook> {
    let mut words = about.split(' ').skip_while(|word| *word != "hook");
    Some(match words.nth(1)? {
        "prerouting" => Hook::Prerouting,
        "input" => Hook::Input,
        "forward" => Hook::Forward,
        _ => Hook::Other,
    })
}

/// One rule.
fn rule(line: &str) -> Rule {
    let mut rule = Rule { text: line.to_owned(), ..Rule::default() };
    let words = words(line);
    let mut rest = words.as_slice();
    while let [word, after @ ..] = rest {
        rest = after;
        match *word {
            "accept" => rule.verdict = Verdict::Accept,
            "drop" => rule.verdict = Verdict::Drop,
            "return" => rule.verdict = Verdict::Return,
            "reject" => {
                rule.verdict = Verdict::Drop;
                break;
            }
            "jump" | "goto" => {
                let Some(to) = take(&mut rest) else { break };
                rule.verdict = if *word == "jump" { Verdict::Jump(to.into()) } else { Verdict::Goto(to.into()) };
            }
            "dnat" | "redirect" => {
                rule.verdict = forwarded(word, rest);
                break;
            }
            "masquerade" | "snat" | "queue" => break,
            // Words that say how it is counted and logged.
            "counter" | "continue" => {}
            "packets" | "bytes" | "prefix" | "level" | "flags" | "group" | "comment" => _ = take(&mut rest),
            "log" => {}
            _ => rule.conditions.extend(condition(word, &mut rest)),
        }
    }
    if line.contains(" vmap ") && (line.contains("new :") || !line.contains("ct state vmap")) {
        // What a map says of this packet is not known: it may keep it out.
        rule.conditions.push(Condition::Unknown);
        rule.verdict = Verdict::Drop;
    }
    rule
}

/// The next word.
fn take<'w>(rest: &mut &[&'w str]) -> Option<&'w str> {
    let (first, after) = rest.split_first()?;
    *rest = after;
    Some(first)
}

/// What it looks at, from its first word on; `None` for what always fits.
fn condition(word: &str, rest: &mut &[&str]) -> Option<Condition> {
    let what = match word {
        "ip" | "ip6" | "tcp" | "udp" | "th" | "meta" | "ct" | "fib" => take(rest)?,
        "iifname" | "iif" => "",
        _ => return Some(Condition::Unknown),
    };
    let is_not = rest.first() == Some(&"!=");
    if is_not {
        *rest = &rest[1..];
    }
    let value = take(rest)?;
    Some(match (word, what) {
        ("ip" | "ip6", "saddr") => match value.strip_prefix('@') {
            Some(set) => Condition::FromSet(set.to_owned(), is_not),
            None => from(value, is_not),
        },
        // Nobody outside sends to loopback.
        ("ip", "daddr") if value.starts_with("127.") => Condition::Is(is_not),
        ("tcp" | "th", "dport") => {
            port_ranges(value).map_or(Condition::Unknown, |ports| Condition::Port(ports, is_not))
        }
        ("udp", "dport") => Condition::Is(is_not),
        ("meta", "l4proto") | ("ip", "protocol") | ("ip6", "nexthdr") => {
            Condition::Tcp(named_in(value, "tcp") != is_not)
        }
        ("meta", "nfproto") => Condition::Ipv6((value == "ipv6") != is_not),
        // A map of verdicts says what becomes of packets of a connection that stands; the first packet passes it.
        ("ct", "state") if value == "vmap" => {
            let map = take(rest).unwrap_or_default();
            return map.contains("new").then_some(Condition::Unknown);
        }
        ("ct", "state") => Condition::Is(named_in(value, "new") != is_not),
        ("fib", _) => {
            // `fib daddr type local`: it is for this machine.
            if value == "type" {
                let kind = take(rest).unwrap_or_default();
                return (kind != "local").then_some(Condition::Unknown);
            }
            Condition::Unknown
        }
        ("iifname" | "iif", _) => from_interface(value, is_not),
        _ => Condition::Unknown,
    })
}

/// Whether a list names it.
fn named_in(list: &str, name: &str) -> bool {
    list.split([',', ' ', '{', '}']).any(|one| one == name)
}

/// `dnat to 172.17.0.2:80`, `dnat ip to ...`, `redirect to :8080`.
fn forwarded(word: &str, rest: &[&str]) -> Verdict {
    let to = rest.iter().skip_while(|word| **word != "to").nth(1).copied().unwrap_or_default();
    match word {
        "dnat" => Verdict::Forwarded(to.rsplit_once(':').and_then(|(_, port)| port.parse().ok())),
        // It stays on this machine; that it has another port there is not followed.
        _ => Verdict::Nothing,
    }
}

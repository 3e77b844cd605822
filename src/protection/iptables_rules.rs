//! What `iptables-save` and `ip6tables-save` print, as rules.

use super::ruleset::{Chain, Condition, Hook, Rule, Ruleset, Verdict, from, from_interface, port_ranges, words};

/// Takes in all of it. What `nft` has printed of the same tables is forgotten: it cannot name sets of ipset.
pub fn read(ruleset: &mut Ruleset, text: &str, is_v6: bool) {
    let family = if is_v6 { "ip6" } else { "ip" };
    let tables: Vec<String> =
        text.lines().filter_map(|line| Some(format!("{family} {}", line.strip_prefix('*')?.trim()))).collect();
    ruleset.forget(&tables);
    let mut table = String::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = format!("{family} {}", name.trim());
        } else if let Some(about) = line.strip_prefix(':') {
            let mut words = about.split(' ');
            let name = words.next().unwrap_or_default().to_owned();
            let (hook, policy_drops) = (hook(&name), words.next() == Some("DROP"));
            let table = table.clone();
            ruleset.chains.push(Chain { tool: "iptables", table, name, hook, policy_drops, rules: Vec::new() });
        } else if let Some(about) = line.strip_prefix("-A ") {
            let (name, rest) = about.split_once(' ').unwrap_or((about, ""));
            let own = rule(line, rest);
            if !ruleset.is_about_others(&own) {
                let mut of_table = ruleset.chains.iter_mut().rev().filter(|chain| chain.table == table);
                if let Some(chain) = of_table.find(|chain| chain.name == name) {
                    chain.rules.push(own);
                }
            }
        }
    }
}

fn hook(chain: &str) -> Option<Hook> {
    match chain {
        "PREROUTING" => Some(Hook::Prerouting),
        "INPUT" => Some(Hook::Input),
        "FORWARD" => Some(Hook::Forward),
        "OUTPUT" | "POSTROUTING" => Some(Hook::Other),
        _ => None,
    }
}

/// One rule.
fn rule(line: &str, rest: &str) -> Rule {
    let mut rule = Rule { text: line.to_owned(), ..Rule::default() };
    let words = words(rest);
    let mut words = words.iter().copied().peekable();
    let mut is_not = false;
    while let Some(word) = words.next() {
        let negated = std::mem::take(&mut is_not);
        let mut value = || words.next().unwrap_or_default();
        match word {
            "!" => is_not = true,
            "-m" | "--reject-with" | "--comment" | "--set-xmark" | "--log-prefix" | "--log-level" => _ = value(),
            // `--match-set NAME src`
            "--match-set" => {
                let (name, side) = (value().to_owned(), value());
                let from_sender = side.starts_with("src");
                rule.conditions.push(match from_sender {
                    true => Condition::FromSet(name, negated),
                    false => Condition::Unknown,
                });
            }
            "-j" => rule.verdict = verdict(value()),
            "-g" => rule.verdict = Verdict::Goto(value().to_owned()),
            "--to-destination" => {
                let port = value().rsplit_once(':').and_then(|(_, port)| port.parse().ok());
                rule.verdict = Verdict::Forwarded(port);
            }
            // Some have no value: what follows is the next option then.
            _ if word.starts_with('-') => {
                let value = words.next_if(|next| !next.starts_with('-') && *next != "!").unwrap_or_default();
                rule.conditions.extend(condition(word, value, negated));
            }
            _ => rule.conditions.push(Condition::Unknown),
        }
    }
    rule
}

fn verdict(target: &str) -> Verdict {
    match target {
        "ACCEPT" => Verdict::Accept,
        "DROP" | "REJECT" | "TARPIT" => Verdict::Drop,
        "RETURN" => Verdict::Return,
        "DNAT" => Verdict::Forwarded(None),
        "LOG" | "NFLOG" | "MARK" | "CONNMARK" | "MASQUERADE" | "SNAT" | "REDIRECT" | "NFQUEUE" | "TCPMSS" | "SET" => {
            Verdict::Nothing
        }
        chain => Verdict::Jump(chain.to_owned()),
    }
}

/// One option with its value; `None` for what always fits.
fn condition(option: &str, value: &str, is_not: bool) -> Option<Condition> {
    Some(match option {
        "-s" => from(value, is_not),
        "-p" if value == "all" => return None,
        "-p" => Condition::Tcp((value == "tcp") != is_not),
        "--dport" | "--dports" => port_ranges(value).map_or(Condition::Unknown, |ports| Condition::Port(ports, is_not)),
        "--ctstate" | "--state" => Condition::Is(value.split(',').any(|state| state == "NEW") != is_not),
        "-i" => from_interface(value, is_not),
        // Nobody outside sends to loopback.
        "-d" if value.starts_with("127.") => Condition::Is(is_not),
        "--dst-type" if value == "LOCAL" && !is_not => return None,
        _ => Condition::Unknown,
    })
}

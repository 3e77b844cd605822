//! Does a ban keep anybody out: actions are loaded, the packet filter holds the addresses, and nobody who is banned comes again.

use super::facts::{Facts, JailFacts};
use super::finding::{Level, Step};
use super::reached;
use super::words::{ANEW, are, count, in_path, some, span};

/// The jail has the actions that its files name.
pub fn actions(facts: &Facts, jail: &JailFacts) -> Option<Step> {
    let name = &jail.name;
    let path = format!("/api/v1/jails/{}/reload", in_path(name));
    if jail.actions.is_empty() {
        let said = format!("{name} has no action: it notes who is banned, and keeps nobody out.");
        let mend = "Load the jail again; if that does not help, give it an action (banaction).";
        return Some(Step::new("actions", "no_action", Level::Bad, said).mend(mend).press(path));
    }
    let loaded: Vec<String> = jail.actions.iter().map(|action| action.name.clone()).collect();
    let configured = facts.enabled.as_ref()?.iter().find(|own| own.name == *name)?;
    let missing: Vec<String> = configured.actions.iter().filter(|own| !loaded.contains(own)).cloned().collect();
    if !missing.is_empty() {
        let said = format!("{name} should run {}, but fail2ban has not loaded it.", some(&missing));
        let step =
            Step::new("actions", "action_not_loaded", Level::Bad, said).seen(format!("Loaded: {}.", some(&loaded)));
        return Some(step.mend("Load the jail again.").press(path));
    }
    Some(Step::ok("actions", format!("Its actions are loaded: {}.", some(&loaded))))
}

/// The packet filter holds who is banned.
pub fn bans(facts: &Facts, jail: &JailFacts) -> Option<Step> {
    let name = &jail.name;
    if jail.actions.is_empty() {
        return None;
    }
    if !jail.actions.iter().any(|action| action.filters_packets()) {
        let names: Vec<String> = jail.actions.iter().map(|action| action.name.clone()).collect();
        let said = format!(
            "{name} does not ban by this machine's packet filter, so whether its bans hold cannot be looked at from here."
        );
        return Some(
            Step::new("bans", "other_action", Level::Unknown, said).seen(format!("It runs {}.", some(&names))),
        );
    }
    if !facts.packet_filter.shows(jail) {
        // Said once for all jails.
        return None;
    }
    if jail.banned == 0 {
        return Some(Step::ok("bans", "Nobody is banned, so there is nothing to look for in the packet filter."));
    }
    let missing: Vec<String> =
        jail.looked_for.iter().filter(|ip| !facts.packet_filter.kept_out.contains(*ip)).cloned().collect();
    let looked_for = jail.looked_for.len();
    if looked_for == 0 {
        return None;
    }
    if missing.is_empty() {
        let of = if jail.banned as usize > looked_for { format!(" of {}", jail.banned) } else { String::new() };
        let addresses = count(looked_for, "banned address", "banned addresses");
        return Some(Step::ok(
            "bans",
            format!("The packet filter keeps out the {addresses}{of} that were looked for."),
        ));
    }
    if let Some(step) = reached::why_missing(facts, jail, &missing) {
        return Some(step);
    }
    let said = match missing.len() == looked_for {
        true => format!(
            "The packet filter keeps out none of the {} of {name}.",
            count(looked_for, "banned address", "banned addresses")
        ),
        false => format!("{} banned by {name}, but not in the packet filter.", are(&missing)),
    };
    let seen = format!("{} of {looked_for} are missing: {}.", missing.len(), some(&missing));
    Some(Step::new("bans", "ban_missing", Level::Bad, said).seen(seen).mend(ANEW))
}

/// Nobody who is banned fails again: fail2ban's own log tells.
pub fn holds(facts: &Facts, jail: &JailFacts) -> Option<Step> {
    let name = &jail.name;
    if facts.own_log.problem.is_some() {
        return None;
    }
    let mut again: Vec<&(String, String, i64)> =
        facts.own_log.already_banned.iter().filter(|(own, ..)| own == name).collect();
    again.sort_by_key(|(.., at)| std::cmp::Reverse(*at));
    let Some((_, last, at)) = again.first() else {
        return Some(Step::ok("holds", "No banned address has failed again within the last day."));
    };
    let mut addresses: Vec<String> = Vec::new();
    for (_, ip, _) in &again {
        if !addresses.contains(ip) {
            addresses.push(ip.clone());
        }
    }
    let said = match addresses.len() {
        1 => format!("{last} is banned and still gets through."),
        several => format!("{last} and {} are banned and still get through.", count(several - 1, "other", "others")),
    };
    let seen = format!(
        "fail2ban saw {last} fail again {} ago, more than a minute after its ban ({name}).",
        span(facts.now - at)
    );
    let mend = "The ban does not reach these packets: look whether the port of the jail is the one that the service listens on, whether the service is published by Docker (chain DOCKER-USER), or stands behind a proxy; then restart the jail.";
    Some(Step::new("holds", "gets_through", Level::Bad, said).seen(seen).mend(mend))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protection::facts::{Action, Enabled, OwnLog, PacketFilter};

    fn jail(banned: &[&str]) -> JailFacts {
        JailFacts {
            name: "sshd".into(),
            actions: vec![Action { name: "nft".into(), tools: vec!["nft"] }],
            banned: banned.len() as u64,
            looked_for: banned.iter().map(|ip| ip.to_string()).collect(),
            ..JailFacts::default()
        }
    }

    fn seen(kept_out: &[&str]) -> Facts {
        let kept_out = kept_out.iter().map(|ip| ip.to_string()).collect();
        Facts {
            packet_filter: PacketFilter { read: vec!["nft"], kept_out, ..PacketFilter::default() },
            now: 1000,
            ..Facts::default()
        }
    }

    #[track_caller]
    fn expect(step: Option<Step>, kind: &str, level: Level) -> Step {
        let step = step.unwrap();
        assert_eq!((step.kind.as_str(), step.level), (kind, level), "{step:?}");
        step
    }

    #[test]
    fn a_ban_that_no_rule_holds_is_bad() {
        let two = ["192.0.2.1", "192.0.2.2"];
        expect(bans(&seen(&two), &jail(&two)), "ok", Level::Ok);
        expect(bans(&seen(&[]), &jail(&[])), "ok", Level::Ok);
        let step = expect(bans(&seen(&two[..1]), &jail(&two)), "ban_missing", Level::Bad);
        assert!(step.sentence.starts_with("192.0.2.2 is banned"), "{step:?}");
        let step = expect(bans(&seen(&[]), &jail(&two)), "ban_missing", Level::Bad);
        assert!(step.sentence.contains("none of the 2"), "{step:?}");
    }

    #[test]
    fn what_cannot_be_seen_is_not_called_broken() {
        assert_eq!(bans(&Facts::default(), &jail(&["192.0.2.1"])), None);
        let mut mail = jail(&["192.0.2.1"]);
        mail.actions[0].tools.clear();
        expect(bans(&seen(&[]), &mail), "other_action", Level::Unknown);
        let unread = Facts { own_log: OwnLog { problem: Some("x".into()), ..OwnLog::default() }, ..Facts::default() };
        assert_eq!(holds(&unread, &mail), None);
    }

    #[test]
    fn an_action_that_is_configured_and_not_loaded_is_bad() {
        let with = |actions: &[&str]| Facts {
            enabled: Some(vec![Enabled {
                name: "sshd".into(),
                actions: actions.iter().map(|name| name.to_string()).collect(),
                ..Enabled::default()
            }]),
            ..Facts::default()
        };
        expect(actions(&with(&["nft"]), &jail(&[])), "ok", Level::Ok);
        expect(actions(&with(&["nft", "mail"]), &jail(&[])), "action_not_loaded", Level::Bad);
        let none = JailFacts { actions: Vec::new(), ..jail(&[]) };
        expect(actions(&with(&["nft"]), &none), "no_action", Level::Bad);
        assert_eq!(bans(&seen(&[]), &none), None);
    }

    #[test]
    fn whoever_is_banned_and_fails_again_gets_through() {
        let log = |all: &[(&str, &str, i64)]| Facts {
            own_log: OwnLog {
                already_banned: all.iter().map(|(jail, ip, at)| (jail.to_string(), ip.to_string(), *at)).collect(),
                ..OwnLog::default()
            },
            now: 1000,
            ..Facts::default()
        };
        expect(holds(&log(&[("web", "192.0.2.1", 900)]), &jail(&[])), "ok", Level::Ok);
        let one = expect(holds(&log(&[("sshd", "192.0.2.1", 900); 3]), &jail(&[])), "gets_through", Level::Bad);
        assert_eq!(one.sentence, "192.0.2.1 is banned and still gets through.");
        let two = log(&[("sshd", "192.0.2.1", 800), ("sshd", "192.0.2.2", 900)]);
        assert!(holds(&two, &jail(&[])).unwrap().sentence.starts_with("192.0.2.2 and 1 other are"));
    }
}

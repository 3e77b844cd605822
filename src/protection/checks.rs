//! The checks, in their order, and what they come to.

use super::facts::{Daemon, Facts, JailFacts};
use super::finding::{Level, Step};
use super::report::{JailReport, Report};
use super::words::in_path;
use super::{in_force, reached, settings, watching};
use crate::domain::history::BLOCKLIST_JAIL;

/// A check of one jail; `None` where there is nothing to be said.
type Check = fn(&Facts, &JailFacts) -> Option<Step>;

/// Whether a jail sees what is to be banned.
const WATCHING: [Check; 6] =
    [watching::logs, watching::grows, watching::filter, watching::dates, settings::one_address, settings::ignores];
/// Whether what it bans is kept out.
const IN_FORCE: [Check; 5] = [in_force::actions, in_force::bans, reached::passes, reached::left_over, in_force::holds];

/// All checks of a jail. That of imported lists holds what bangui bans there, and is not meant to watch anything.
fn of_jail(facts: &Facts, jail: &JailFacts) -> Vec<Step> {
    let watching: &[Check] = if jail.name == BLOCKLIST_JAIL { &[] } else { &WATCHING };
    let first: [Check; 1] = [watching::runs];
    first.iter().chain(watching).chain(&IN_FORCE).filter_map(|check| check(facts, jail)).collect()
}

/// All checks of what jails share.
const OF_MACHINE: [fn(&Facts) -> Option<Step>; 9] = [
    daemon,
    jails,
    packet_filter,
    own_log,
    settings::errors,
    settings::own_address,
    settings::ipv6,
    settings::memory,
    settings::boot,
];

/// Makes every check.
pub fn check(facts: &Facts) -> Report {
    let machine = OF_MACHINE.iter().filter_map(|check| check(facts)).collect();
    let of_one = |jail: &JailFacts| JailReport { jail: jail.name.clone(), runs: true, steps: of_jail(facts, jail) };
    let running = facts.jails.iter().map(of_one);
    let mut jails: Vec<JailReport> = running.collect();
    if facts.daemon == Daemon::Answers {
        jails.extend(not_running(facts));
    }
    Report { checked_at: facts.now, machine, jails }
}

/// Jails that the files enable and that do not run.
fn not_running(facts: &Facts) -> impl Iterator<Item = JailReport> {
    let enabled = facts.enabled.iter().flatten();
    enabled.filter(|own| !facts.jails.iter().any(|jail| jail.name == own.name)).map(|own| {
        let name = &own.name;
        let said = format!("{name} is enabled in the files, but it does not run.");
        let step = Step::new("runs", "not_running", Level::Bad, said);
        let step = match &own.problem {
            Some(problem) => step.seen(problem.clone()).mend("Mend what is wrong with it, then start it."),
            None => step.mend("Start it.").press(format!("/api/v1/jails/{}/start", in_path(name))),
        };
        JailReport { jail: name.clone(), runs: false, steps: vec![step] }
    })
}

/// fail2ban answers.
fn daemon(facts: &Facts) -> Option<Step> {
    Some(match &facts.daemon {
        Daemon::Answers => Step::ok("daemon", "fail2ban answers."),
        Daemon::Busy => {
            let said = "fail2ban is busy and did not answer in time.";
            Step::new("daemon", "daemon_busy", Level::Unknown, said).mend("Look again in a minute.")
        }
        Daemon::NotPermitted(why) => {
            let said = "fail2ban may not be asked by this program.";
            Step::new("daemon", "daemon_not_permitted", Level::Unknown, said)
                .seen(why.clone())
                .mend("Run bangui as the user that fail2ban runs as, which is root as a rule.")
        }
        Daemon::Away(why) => {
            let step = Step::new("daemon", "daemon_away", Level::Bad, "fail2ban is not running.").seen(why.join(" "));
            step.mend("Start it; if it does not stay, mend what is said here first.")
                .press("/api/v1/config/restart".to_owned())
        }
    })
}

/// Some jail runs.
fn jails(facts: &Facts) -> Option<Step> {
    if facts.daemon != Daemon::Answers {
        return None;
    }
    if facts.jails.is_empty() {
        let said = "fail2ban runs, but no jail does: it watches nothing.";
        return Some(
            Step::new("jails", "no_jails", Level::Bad, said)
                .mend("Enable a jail for each service that can be reached."),
        );
    }
    Some(Step::ok("jails", "There are jails."))
}

/// The packet filter can be looked at, where it is in use.
fn packet_filter(facts: &Facts) -> Option<Step> {
    let mut users =
        facts.jails.iter().filter(|jail| jail.actions.iter().any(|action| action.filters_packets())).peekable();
    users.peek()?;
    if users.all(|jail| facts.packet_filter.shows(jail)) {
        return Some(Step::ok(
            "packet_filter",
            format!("The packet filter can be read ({}).", facts.packet_filter.read.join(", ")),
        ));
    }
    let said = "The packet filter cannot be read from here, so whether the bans are in it was not looked at.";
    let seen = facts.packet_filter.problem.clone().unwrap_or_default();
    let mend = "Run bangui as root on the machine itself, or put this to rest.";
    Some(Step::new("packet_filter", "packet_filter_unseen", Level::Unknown, said).seen(seen).mend(mend))
}

/// fail2ban's own log can be read: it tells who comes through all the same.
fn own_log(facts: &Facts) -> Option<Step> {
    if facts.daemon != Daemon::Answers {
        return None;
    }
    Some(match &facts.own_log.problem {
        None => Step::ok("own_log", "fail2ban's own log can be read."),
        Some(why) => {
            let said = "fail2ban's own log cannot be read from here, so whether somebody gets through in spite of a ban was not looked at.";
            let mend = "Have fail2ban log to a file below an allowed directory, or put this to rest.";
            Step::new("own_log", "own_log_unseen", Level::Unknown, said).seen(why.clone()).mend(mend)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protection::facts::{Action, Enabled, OwnLog, PacketFilter, Source};

    fn kinds(facts: &Facts) -> Vec<String> {
        let report = check(facts);
        let of_jails = report.jails.iter().flat_map(|jail| jail.steps.iter());
        let bad = report.machine.iter().chain(of_jails).filter(|step| step.level != Level::Ok);
        bad.map(|step| step.kind.clone()).collect()
    }

    fn jail(name: &str) -> JailFacts {
        let actions = vec![Action { name: "nft".into(), tools: vec!["nft"] }];
        let source = Source::Files(vec![Default::default()]);
        JailFacts { name: name.into(), actions, source, trial: Ok(Default::default()), ..JailFacts::default() }
    }

    #[test]
    fn what_is_away_is_said_once_and_nothing_else_is_guessed() {
        let enabled = Some(vec![Enabled { name: "sshd".into(), ..Enabled::default() }]);
        let away = Facts { daemon: Daemon::Away(vec!["No log.".into()]), enabled: enabled.clone(), ..Facts::default() };
        assert_eq!(kinds(&away), ["daemon_away"]);
        let busy = Facts { daemon: Daemon::Busy, ..away };
        assert_eq!(kinds(&busy), ["daemon_busy"]);
        let none = Facts { enabled, ..Facts::default() };
        assert_eq!(kinds(&none), ["no_jails", "not_running"]);
    }

    #[test]
    fn a_packet_filter_out_of_sight_is_said_once_however_many_jails_there_are() {
        let unseen = Facts { jails: vec![jail("a"), jail("b")], ..Facts::default() };
        assert_eq!(kinds(&unseen), ["packet_filter_unseen"]);
        let packet_filter = PacketFilter { read: vec!["nft"], ..PacketFilter::default() };
        let seen = Facts { packet_filter, ..unseen };
        assert!(kinds(&seen).is_empty(), "{:?}", kinds(&seen));
        let log = OwnLog { problem: Some("It goes to STDOUT.".into()), ..OwnLog::default() };
        assert_eq!(kinds(&Facts { own_log: log, ..seen }), ["own_log_unseen"]);
    }

    #[test]
    fn the_jail_of_imported_lists_is_not_said_to_be_deaf() {
        let packet_filter = PacketFilter { read: vec!["nft"], ..PacketFilter::default() };
        let deaf = |name| JailFacts { source: Source::Files(Vec::new()), ..jail(name) };
        let with = |name| Facts { jails: vec![deaf(name)], packet_filter: packet_filter.clone(), ..Facts::default() };
        assert_eq!(kinds(&with("sshd")).first().map(String::as_str), Some("no_log"));
        assert!(kinds(&with(BLOCKLIST_JAIL)).is_empty(), "{:?}", kinds(&with(BLOCKLIST_JAIL)));
    }
}

//! Reloads of a real daemon with every mistake in the files that was seen to cost jails.

use std::path::Path;

use super::*;
use crate::fail2ban::real_daemon::{RealDaemon, poll};

const BROKEN: &str = "[one]\nfailregex = ^bad (<HOST>$\n";

fn started() -> (RealDaemon, Daemon) {
    let real = RealDaemon::start();
    let mut daemon = real.daemon();
    poll("both jails run", || names(&mut daemon).unwrap() == ["one", "two"]);
    (real, daemon)
}

fn all(real: &RealDaemon, daemon: &mut Daemon, last_good: Option<&Stream>) -> Result<Report, ReloadError> {
    reload(daemon, &real.installation(), &Scope::All, last_good, None)
}

fn one(real: &RealDaemon, daemon: &mut Daemon, jail: &str, last_good: Option<&Stream>) -> Result<Report, ReloadError> {
    reload(daemon, &real.installation(), &Scope::Jails { names: vec![jail.to_owned()], stops: false }, last_good, None)
}

fn jail(name: &str) -> JailName {
    name.parse().unwrap()
}

#[test]
fn a_broken_expression_costs_no_jail() {
    let (real, mut daemon) = started();
    let good = all(&real, &mut daemon, None).unwrap();
    assert_eq!((&good.jails_before, &good.jails_after), (&names(&mut daemon).unwrap(), &good.stream.jails()));
    daemon.ban(&jail("two"), &["192.0.2.7".parse().unwrap()]).unwrap();
    real.write("jail.local", BROKEN);

    // What a plain reload does: the reason for all of this.
    assert!(!real.installation().run_client(&["reload"], LOAD_LIMIT).unwrap().success);
    assert!(names(&mut daemon).unwrap().is_empty());
    // Later reloads refuse the same way, and bring back what they can.
    daemon.reload_stream(None, &good.stream).unwrap();

    poll("both jails run", || names(&mut daemon).unwrap().len() == 2);

    let error = all(&real, &mut daemon, Some(&good.stream)).unwrap_err();
    let ReloadError::Refused(why) = &error else { panic!("{error}") };
    assert!(why.contains("'one'") && why.contains("Unable to compile regular expression"), "{why}");
    assert_eq!(names(&mut daemon).unwrap(), ["one", "two"]);
    assert!(daemon.jail_settings(&jail("one")).unwrap().fail_regex[0].contains("login failed"));
    poll("the ban is back from the database", || daemon.is_banned(&jail("two"), "192.0.2.7").unwrap());
    // And the jails work: they are not only listed.
    let stamp = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S").to_string();
    real.write("two.log", &format!("{stamp} login failed user=x from 192.0.2.8\n").repeat(2));
    poll("the jail reads its log", || daemon.counters(&jail("two")).unwrap().counters.total_failed > 0);
}

/// An action that passes every check and cannot be made.
const FAILING: &str = "[one]\naction = failing.py\n[two]\naction = failing.py\n";

#[test]
fn a_jail_whose_new_action_cannot_be_made_comes_back_with_its_bans() {
    let (real, mut daemon) = started();
    let good = all(&real, &mut daemon, None).unwrap();
    daemon.ban(&jail("two"), &["192.0.2.7".parse().unwrap()]).unwrap();
    real.write("action.d/failing.py", "raise ValueError('not today')\n");
    real.write("jail.local", FAILING);
    let error = all(&real, &mut daemon, Some(&good.stream)).unwrap_err();
    let ReloadError::Lost { jails, missing, why } = &error else { panic!("{error}") };
    assert_eq!((jails.join(" "), missing.len()), ("one".to_owned(), 0), "the other one was not touched");
    assert!(why.contains("not today"), "{why}");
    let error = one(&real, &mut daemon, "two", Some(&good.stream)).unwrap_err();
    assert!(matches!(&error, ReloadError::Lost { missing, .. } if missing.is_empty()), "{error}");
    assert_eq!(names(&mut daemon).unwrap(), ["one", "two"]);
    assert!(daemon.is_banned(&jail("two"), "192.0.2.7").unwrap());
}

#[test]
fn without_good_commands_only_that_jail_is_lost() {
    let (real, mut daemon) = started();
    real.write("action.d/failing.py", "raise ValueError('not today')\n");
    real.write("jail.local", FAILING);
    let error = all(&real, &mut daemon, None).unwrap_err();
    let ReloadError::Lost { jails, missing, .. } = &error else { panic!("{error}") };
    assert_eq!((jails.join(" "), missing.join(" ")), ("one".to_owned(), "one".to_owned()));
    assert_eq!(names(&mut daemon).unwrap(), ["two"]);
    real.write("jail.local", "");
    let mut after = all(&real, &mut daemon, None).unwrap().jails_after;
    after.sort();
    assert_eq!(after, ["one", "two"]);
}

#[test]
fn a_jail_left_half_made_survives_the_next_good_reload() {
    let (real, mut daemon) = started();
    daemon.stop_jail(&jail("one")).unwrap();
    real.write("jail.local", BROKEN);
    assert!(!real.installation().run_client(&["reload"], LOAD_LIMIT).unwrap().success);
    real.write("jail.local", "");
    let mut after = all(&real, &mut daemon, None).unwrap().jails_after;
    after.sort();
    assert_eq!(after, ["one", "two"]);
}

#[test]
fn files_that_would_cost_a_jail_are_not_loaded() {
    let (real, mut daemon) = started();
    real.write("jail.local", "[one]\nfilter = nosuch\n");
    let error = all(&real, &mut daemon, None).unwrap_err();
    assert!(
        matches!(&error, ReloadError::WouldLose { jails, why } if jails == &["one"] && why.contains("nosuch")),
        "{error}"
    );
    let error = one(&real, &mut daemon, "one", None).unwrap_err();
    assert!(matches!(&error, ReloadError::WouldLose { .. }), "{error}");
    for broken in [
        "[one]\nlogpath = /nosuch/file\n",
        "[one\n",
        "[one]\nbantime = %(nosuch)s\n",
        "[one]\nenabled = true\nenabled = true\n",
    ] {
        real.write("jail.local", broken);
        let error = all(&real, &mut daemon, None).unwrap_err();
        assert!(matches!(&error, ReloadError::Refused(why) if !why.is_empty()), "{broken}: {error}");
        assert_eq!(names(&mut daemon).unwrap(), ["one", "two"], "{broken}");
    }
    // A jail that is switched off is meant to go.
    real.write("jail.local", "[one]\nenabled = false\n");
    let report = all(&real, &mut daemon, None).unwrap();
    assert_eq!((report.jails_before.len(), report.jails_after), (2, vec!["two".to_owned()]));
}

#[test]
fn a_stopped_jail_comes_back_when_the_files_enable_it() {
    let (real, mut daemon) = started();
    assert_eq!(daemon.stop_jail(&jail("one")), Ok(true));
    let report = one(&real, &mut daemon, "one", None).unwrap();
    assert_eq!((report.jails_before, report.jails_after.len()), (vec!["two".to_owned()], 2));
    for absent in ["off", "nosuch"] {
        assert_eq!(one(&real, &mut daemon, absent, None), Err(ReloadError::NotEnabled(absent.to_owned())));
    }
    let good = one(&real, &mut daemon, "one", None).unwrap().stream;
    real.write("jail.local", BROKEN);
    let error = one(&real, &mut daemon, "one", Some(&good)).unwrap_err();
    assert!(matches!(&error, ReloadError::Refused(_)), "{error}");
    assert_eq!(names(&mut daemon).unwrap().len(), 2);
    daemon.stop_jail(&jail("one")).unwrap();
    let error = one(&real, &mut daemon, "one", Some(&good)).unwrap_err();
    assert!(matches!(&error, ReloadError::Refused(_)), "{error}");
    assert_eq!(names(&mut daemon).unwrap(), ["two"], "nothing half made stays");
}

#[test]
fn a_client_that_is_missing_or_another_version_is_not_used() {
    let (real, mut daemon) = started();
    let mut place = real.installation();
    place.client = Path::new("no-such-client").to_owned();
    assert_eq!(reload(&mut daemon, &place, &Scope::All, None, None), Err(ReloadError::NoClient));
    real.write("client", "#!/bin/sh\necho 9.9.9\n");
    place.client = real.path("client");
    assert_eq!(reload(&mut daemon, &place, &Scope::All, None, None), Err(ReloadError::NoClient), "not executable");
    std::fs::set_permissions(&place.client, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let error = reload(&mut daemon, &place, &Scope::All, None, None).unwrap_err();
    assert!(matches!(&error, ReloadError::OtherVersion { client, .. } if client == "9.9.9"), "{error}");
    assert_eq!(names(&mut daemon).unwrap().len(), 2);
}

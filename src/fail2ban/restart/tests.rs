//! Restarts of a real daemon: by its client, by a command, by something like a service manager, and with nothing that could start it.

use super::*;
use crate::fail2ban::real_daemon::{RealDaemon, poll};

fn started() -> (RealDaemon, Daemon, i32) {
    let real = RealDaemon::start();
    let mut daemon = real.daemon();
    poll("both jails run", || names(&mut daemon).unwrap() == ["one", "two"]);
    let pid = daemon.client().daemon_pid().unwrap();
    (real, daemon, pid)
}

fn script(real: &RealDaemon, name: &str, text: &str) -> String {
    real.write(name, &format!("#!/bin/sh\n{text}\n"));
    let path = real.path(name);
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    path.display().to_string()
}

/// What starts the daemon in the foreground.
fn server(real: &RealDaemon) -> String {
    let (directory, socket, pid) = (real.path(""), real.socket(), real.path("f.pid"));
    format!("fail2ban-server -xf -c {} -s {} -p {} start", directory.display(), socket.display(), pid.display())
}

fn asked<'a>(start_command: Option<&'a str>, remembered: &'a mut dyn FnMut() -> Bans) -> Asked<'a> {
    Asked { start_command, known_pid: None, remembered, settle: Box::leak(Box::new(|| ())) }
}

fn check_report(report: &Report, daemon: &mut Daemon, former: i32) {
    assert_eq!(
        (report.jails_before.join(" "), report.jails_after.join(" ")),
        ("one two".to_owned(), "one two".to_owned())
    );
    assert_eq!(report.version, daemon.version().unwrap().to_string());
    daemon.ping().unwrap();
    assert_ne!(daemon.client().daemon_pid(), Some(former));
}

#[test]
fn a_private_daemon_is_restarted_by_its_client() {
    let (real, mut daemon, former) = started();
    let report = restart(&mut daemon, &real.installation(), &mut asked(None, &mut Bans::new)).unwrap();
    check_report(&report, &mut daemon, former);
    // It is killed: what is left of it does no harm.
    let pid = daemon.client().daemon_pid().unwrap();
    // SAFETY: kill takes two integers; the process is the daemon of this test.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    poll("it is dead", || daemon.ping().is_err());
    let report = restart(&mut daemon, &real.installation(), &mut asked(None, &mut Bans::new)).unwrap();
    assert!(report.jails_before.is_empty());
    poll("its jails are back", || names(&mut daemon).is_ok_and(|names| names.len() == 2));
}

#[test]
fn a_command_of_the_owner_starts_it() {
    let (real, mut daemon, former) = started();
    let report = restart(&mut daemon, &real.installation(), &mut asked(Some(&server(&real)), &mut Bans::new)).unwrap();
    check_report(&report, &mut daemon, former);
}

#[test]
fn a_service_manager_restarts_it() {
    let (real, mut daemon, former) = started();
    let text = format!(
        "kill {former}; while [ -e /proc/{former}/exe ]; do sleep 0.1; done; {} </dev/null >/dev/null 2>&1 &",
        server(&real)
    );
    let way = Way::Service(vec![script(&real, "service", &text), "restart".to_owned()]);
    // The former process is our child and would stay a zombie.
    let report =
        restart_by(&way, State::Well, &mut daemon, &real.installation(), &mut asked(None, &mut Bans::new)).unwrap();
    check_report(&report, &mut daemon, former);
    let refusing = Way::Service(vec![script(&real, "refuse", "echo 'not as this user' >&2; exit 4")]);
    let error = restart_by(&refusing, State::Well, &mut daemon, &real.installation(), &mut asked(None, &mut Bans::new))
        .unwrap_err();
    assert_eq!(error, RestartError::NotStopped("not as this user".to_owned()));
    daemon.ping().unwrap();
}

#[test]
fn what_could_not_come_back_is_not_stopped() {
    let (real, mut daemon, former) = started();
    let error = restart(&mut daemon, &real.installation(), &mut asked(Some("/no/such/program start"), &mut Bans::new))
        .unwrap_err();
    assert_eq!(error, RestartError::CannotStart("/no/such/program".to_owned()));
    let mut place = real.installation();
    place.client = PathBuf::from("no-such-client");
    assert_eq!(
        restart(&mut daemon, &place, &mut asked(None, &mut Bans::new)),
        Err(RestartError::CannotStart("no-such-client".to_owned()))
    );
    real.write("jail.local", "[one]\nlogpath = /no/such/log\n");
    let error = restart(&mut daemon, &real.installation(), &mut asked(None, &mut Bans::new)).unwrap_err();
    assert!(matches!(&error, RestartError::BadConfiguration(why) if !why.is_empty()), "{error}");
    daemon.ping().unwrap();
    assert_eq!(daemon.client().daemon_pid(), Some(former));
}

#[test]
fn a_daemon_that_stays_away_is_reported() {
    let (real, mut daemon, _) = started();
    let start = Instant::now();
    let error = restart(
        &mut daemon,
        &real.installation(),
        &mut asked(Some(&script(&real, "nothing", "exit 1")), &mut Bans::new),
    )
    .unwrap_err();
    assert!(matches!(error, RestartError::NotBack(_)), "{error}");
    assert!(start.elapsed() > BACK_LIMIT * 2, "it was waited for twice");
}

#[test]
fn a_private_socket_belongs_to_no_service() {
    assert_eq!(service_of(Path::new("/tmp/x/f.sock"), State::Gone), None);
}

//! Bans that fail2ban makes and loses while it logs to a systemd journal: a real one, in a namespace of its own. Left out where there is no
//! journald, or nobody may start it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::archive_own::archived;
use crate::ban_log::churn;
use crate::harness::client::Client;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::Launch;
use crate::harness::{left_out, wait_until};

const LIMIT: Duration = Duration::from_secs(30);
const JOURNALD: &str = "/lib/systemd/systemd-journald";

/// A journal of its own, and a `journalctl` that reads it.
struct Journal {
    name: String,
    process: Child,
    programs: TempDir,
}

impl Journal {
    fn start() -> Option<Journal> {
        // SAFETY: it takes nothing and gives a number.
        let is_root = unsafe { libc::geteuid() } == 0;
        if !is_root || !PathBuf::from(JOURNALD).exists() {
            return None;
        }
        let name = format!("bangui-{}", std::process::id());
        let mut command = Command::new(JOURNALD);
        command.arg(&name).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        crate::harness::die_with_us(&mut command);
        let process = command.spawn().ok()?;
        let programs = tempfile::tempdir().unwrap();
        let script = programs.path().join("journalctl");
        fs::write(&script, format!("#!/bin/sh\nexec /usr/bin/journalctl --namespace={name} \"$@\"\n")).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let journal = Journal { name, process, programs };
        wait_until("the journal", LIMIT, || fs::exists(journal.socket()).unwrap());
        Some(journal)
    }

    fn socket(&self) -> String {
        format!("/run/systemd/journal.{}/dev-log", self.name)
    }

    fn path(&self) -> String {
        format!("{}:{}", self.programs.path().display(), std::env::var("PATH").unwrap())
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(format!("/run/systemd/journal.{}", self.name));
        for place in ["/var/log/journal", "/run/log/journal"] {
            for entry in fs::read_dir(place).into_iter().flatten().flatten() {
                if entry.file_name().to_string_lossy().ends_with(&format!(".{}", self.name)) {
                    let _ = fs::remove_dir_all(entry.path());
                }
            }
        }
    }
}

#[track_caller]
fn expect_each_once(admin: &Client, told: &BTreeMap<String, usize>) {
    let mut kept = BTreeMap::new();
    wait_until("each of them once", LIMIT, || {
        kept.clear();
        for item in archived(admin).iter().filter_map(|item| item["ip"].as_str()).filter(|ip| told.contains_key(*ip)) {
            *kept.entry(item.to_owned()).or_insert(0) += 1;
        }
        kept.values().sum::<usize>() >= told.values().sum()
    });
    assert_eq!(kept, *told);
}

#[test]
fn what_is_told_to_the_journal_only_is_in_the_archive_once() {
    let Some(journal) = Journal::start() else { return left_out("no journal of its own can be started") };
    let mut daemon = RealDaemon::configured();
    // Nothing else tells of a ban.
    fs::write(daemon.path("fail2ban.local"), "[Definition]\ndbfile = None\n").unwrap();
    daemon.start_again();
    daemon.client(&["set", "syslogsocket", &journal.socket()]);
    daemon.client(&["set", "logtarget", "SYSLOG"]);
    let launch = Launch::for_real(&daemon).env("PATH", &journal.path()).env("BANGUI_ARCHIVE_SECONDS", "1");
    let (mut server, admin) = launch.start().into_ready();
    // It reads from where the journal ended when it first looked.
    let mut tries = 0;
    wait_until("the first that is told", LIMIT, || {
        tries += 1;
        let ip = format!("203.0.113.{}", tries % 250);
        daemon.client(&["set", "lab", "banip", &ip]);
        archived(&admin).iter().any(|item| item["ip"] != "")
    });
    let mut told = churn(&daemon, 0, 40);
    expect_each_once(&admin, &told);
    // Anybody may write to the journal under any name.
    let forged = Command::new("setpriv")
        .args(["--reuid=65534", "--clear-groups", "logger", "--socket", &journal.socket(), "-t", "fail2ban.actions"])
        .args(["-p", "daemon.warning", "NOTICE [lab] Ban 192.0.2.66"])
        .status();
    assert!(forged.is_ok_and(|status| status.success()));
    // While nobody reads it goes on.
    server.kill();
    told.append(&mut churn(&daemon, 60, 20));
    server.start_again();
    let admin = server.client().login();
    expect_each_once(&admin, &told);
    assert!(archived(&admin).iter().all(|item| item["ip"] != "192.0.2.66"), "written by somebody else");
}

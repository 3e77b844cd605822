//! Safe apply against the real daemon: whatever goes wrong, the jails, every value in them and the files are as before; and what a killed
//! process leaves half done is undone by the next start.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::harness::client::Client;
use crate::harness::list_server::{IMPORT, JAIL, ListServer, add, addresses, import};
use crate::harness::real_daemon::RealDaemon;
use crate::harness::release::Release;
use crate::harness::server::{Launch, Server};
use crate::harness::{left_out, wait_until};
use crate::jail_config::{getters, ready};

const LAB: &str = "/api/v1/config/jails/lab";
const COMMIT: &str = "/api/v1/config/jails/lab/commit";
const JAILS: [&str; 3] = ["lab", "slow", "sshd"];

/// Every configuration file with its content.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for folder in ["", "jail.d", "filter.d", "action.d", "fail2ban.d"] {
        for entry in fs::read_dir(directory.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.display().to_string();
            if path.is_file() && [".conf", ".local", ".tmp"].iter().any(|end| name.ends_with(end)) {
                all.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    all
}

/// Jails, their values and the files: what must be as before.
#[derive(Debug, PartialEq)]
struct State {
    status: String,
    values: Vec<Vec<String>>,
    files: BTreeMap<String, Vec<u8>>,
}

fn state(daemon: &RealDaemon) -> State {
    State {
        status: daemon.client(&["status"]),
        values: JAILS.map(|jail| getters(daemon, jail)).to_vec(),
        files: files(daemon.config()),
    }
}

#[test]
fn mistakes_by_hand_cost_no_jail_and_no_value() {
    let daemon = RealDaemon::start();
    let (_server, admin) = ready(&daemon);
    let before = state(&daemon);
    let hand = daemon.path("jail.d/by-hand.local");
    for (text, said) in [
        ("[lab]\nfailregex = ^bad (<HOST>$\n", "by-hand.local"),
        ("[lab]\nfailregex = ^no host$\n", "No failure-id group"),
        ("[lab]\nfilter = missing\n", "missing"),
        ("[lab]\naction = missing\n", "missing"),
        // A reload would take it, and the next start of the daemon would not.
        ("[lab]\naction = noop\n  noop[name=lab]\n", "two actions are called 'noop'"),
        ("[lab]\nbantime = abc\n", "bantime"),
        ("[lab]\nbantime = __import__('os').getpid()\n", "bantime"),
        ("[lab]\nmaxretry = abc\n", "maxretry"),
        ("[lab]\nlogpath = /nonexistent/x.log\n", "log"),
        ("[lab]\nbantime = %(nothing)s\n", "nothing"),
        ("[lab]\ndatepattern = (((\n", "datepattern"),
        ("garbage\n", "by-hand.local"),
        // Only the daemon can know this one: it is loaded, fails, and is undone.
        ("[lab]\nlogencoding = no-such-encoding\n", ""),
    ] {
        fs::write(&hand, text).unwrap();
        for target in ["/api/v1/jails/reload-all", "/api/v1/jails/lab/reload"] {
            let answer = admin.post_empty(target).expect(409).json();
            assert!(answer["detail"].as_str().unwrap().contains(said), "{text}: {answer}");
        }
        fs::remove_file(&hand).unwrap();
        admin.post_empty("/api/v1/jails/reload-all").expect(200);
        assert_eq!(state(&daemon), before, "after {text:?}");
    }
}

#[test]
fn a_change_that_makes_it_wrong_is_refused_with_file_and_line() {
    let daemon = RealDaemon::start();
    let (_server, admin) = ready(&daemon);
    // The change would be right by itself, but not with what the filter demands.
    fs::write(daemon.path("filter.d/asks.conf"), "[Definition]\nfailregex = ^<nothing> <HOST>(\n").unwrap();
    let before = state(&daemon);
    admin.put(LAB, json!({"filter": "asks"})).expect(200);
    let refused = admin.post_empty(COMMIT).expect_error(422, "config_validation_failed").json();
    assert!(refused["metadata"]["file"].as_str().unwrap().ends_with("filter.d/asks.conf"), "{refused}");
    assert_eq!((&refused["metadata"]["line"], &refused["metadata"]["jail"]), (&json!(2), &json!("lab")));
    assert_eq!(state(&daemon), before);
}

#[test]
fn what_only_the_daemon_can_refuse_is_undone() {
    let daemon = RealDaemon::start();
    let (_server, admin) = ready(&daemon);
    // By hand, since a request with it is refused; the jail does not run, so that only the commit can find out.
    fs::write(daemon.path("jail.d/odd.conf"), "[off]\nlogencoding = no-such-encoding\n").unwrap();
    let before = state(&daemon);
    let off = "/api/v1/config/jails/off";
    admin.put(off, json!({"enabled": true})).expect(200);
    let answer = admin.post_empty(&format!("{off}/commit"));
    assert_eq!(answer.status, 409, "{answer}");
    assert_eq!(state(&daemon), before);
    admin.get(&format!("{off}/rollback")).expect(200);
    assert_eq!(state(&daemon), before);
}

#[test]
fn one_apply_at_a_time() {
    let daemon = RealDaemon::start();
    let (_server, admin) = ready(&daemon);
    let other = admin.clone();
    let statuses = std::thread::scope(|scope| {
        let first = scope.spawn(move || other.post_empty("/api/v1/jails/reload-all").status);
        let mut seen = Vec::new();
        while !first.is_finished() {
            seen.push(admin.post_empty("/api/v1/jails/lab/reload").status);
        }
        seen.push(first.join().unwrap());
        seen
    });
    assert!(statuses.iter().all(|status| [200, 409].contains(status)), "{statuses:?}");
    assert!(statuses.contains(&409), "{statuses:?}");
}

/// What a stopped client says while the program under test runs it.
pub struct SlowClient {
    directory: tempfile::TempDir,
}

impl SlowClient {
    /// A `fail2ban-client` before the real one that waits before it prints the commands to load, so that there is time to kill.
    pub fn new() -> SlowClient {
        let directory = tempfile::tempdir().unwrap();
        let mark = directory.path().join("reloading");
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in *' -d') touch {mark}; while [ -e {mark}.wait ]; do sleep 0.02; done;; esac\nexec {client} \"$@\"\n",
            mark = mark.display(),
            client = Release::under_test().program("fail2ban-client").get_program().to_string_lossy()
        );
        let path = directory.path().join("fail2ban-client");
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(directory.path().join("reloading.wait"), "").unwrap();
        SlowClient { directory }
    }

    pub fn path(&self) -> String {
        format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.directory.path().display())
    }

    pub fn is_reached(&self) -> bool {
        self.directory.path().join("reloading").exists()
    }

    pub fn go_on(&self) {
        let _ = fs::remove_file(self.directory.path().join("reloading.wait"));
    }
}

pub fn journal(server: &Server) -> std::path::PathBuf {
    server.database().with_extension("db.apply")
}

/// Commits in a thread of its own, and gives the answer or nothing when the connection breaks.
pub fn commit_aside(admin: &Client) -> std::thread::JoinHandle<()> {
    let admin = admin.clone();
    std::thread::spawn(move || {
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| admin.post_empty(COMMIT)));
    })
}

#[test]
fn an_apply_killed_before_its_reload_is_undone_at_the_next_start() {
    let daemon = RealDaemon::start();
    let client = SlowClient::new();
    let (server, _) = ready(&daemon);
    let mut server = server.with_env("PATH", &client.path());
    let admin = server.client().login();
    let before = state(&daemon);
    admin.put(LAB, json!({"max_retry": 12})).expect(200);
    let commit = commit_aside(&admin);
    wait_until("the reload", Duration::from_secs(20), || client.is_reached());
    assert!(daemon.path("jail.d/zz-bangui-lab.local").exists());
    assert!(journal(&server).exists());
    server.kill();
    client.go_on();
    commit.join().unwrap();
    server.start_again();
    wait_until("the undo", Duration::from_secs(20), || !journal(&server).exists());
    assert_eq!(files(daemon.config()), before.files);
    // What was set and never committed is still pending, and is set again.
    let admin = server.client().login();
    assert_eq!(admin.get(LAB).expect(200).json()["jail"]["pending_changes"], json!(["max_retry"]));
    admin.get(&format!("{LAB}/rollback")).expect(200);
    assert_eq!(state(&daemon), before);
}

#[test]
fn an_apply_killed_behind_its_reload_is_undone_as_well() {
    let daemon = RealDaemon::start();
    let (mut server, admin) = ready(&daemon);
    let before = state(&daemon);
    admin.put(LAB, json!({"find_time": 99})).expect(200);
    let journal = journal(&server);
    let commit = commit_aside(&admin);
    // The journal is the first thing an apply writes, and a kill at any time from then on must do no harm.
    wait_until("the journal", Duration::from_secs(20), || journal.exists() || commit.is_finished());
    wait_until("the new value", Duration::from_secs(20), || {
        commit.is_finished() || daemon.log().contains("Reload jail")
    });
    server.kill();
    commit.join().unwrap();
    let interrupted = journal.exists();
    server.start_again();
    wait_until("the undo", Duration::from_secs(20), || !journal.exists());
    let admin = server.client().login();
    if interrupted {
        admin.get(&format!("{LAB}/rollback")).expect(200);
    } else {
        admin.delete(LAB).expect(204);
    }
    assert_eq!(state(&daemon), before);
}

/// A daemon, a server whose `fail2ban-client` waits in its reload, and a subscribed list.
fn with_slow_client(daemon: &RealDaemon, client: &SlowClient, lists: &ListServer) -> (Server, Client) {
    lists.list("/list", &addresses(3));
    let (server, _) = Launch::for_real(daemon).env("BANGUI_ALLOW_PRIVATE_FETCH", "1").start().into_ready();
    let server = server.with_env("PATH", &client.path());
    let admin = server.client().login();
    add(&admin, &lists.url("/list"), false);
    (server, admin)
}

#[test]
fn an_import_that_makes_its_jail_and_a_change_take_turns() {
    let daemon = RealDaemon::with_action("noop", "true");
    let (client, lists) = (SlowClient::new(), ListServer::start());
    let (server, admin) = with_slow_client(&daemon, &client, &lists);
    admin.put(LAB, json!({"max_retry": 12})).expect(200);
    // The import is about to load its jail: whoever wants to change something is told so, and nothing is undone.
    std::thread::scope(|scope| {
        let import = scope.spawn(|| import(&admin));
        wait_until("the reload", Duration::from_secs(20), || client.is_reached());
        admin.post_empty(COMMIT).expect_error(409, "apply_in_progress");
        assert!(journal(&server).exists() && daemon.path(&format!("jail.d/zz-bangui-{JAIL}.local")).exists());
        client.go_on();
        assert_eq!(import.join().unwrap()["total_imported"], 3);
    });
    admin.post_empty(COMMIT).expect(200);
    // The other way round the import waits.
    let client = SlowClient::new();
    let server = server.with_env("PATH", &client.path());
    let admin = server.client().login();
    daemon.client(&["stop", JAIL]);
    lists.list("/list", &addresses(5));
    admin.put(LAB, json!({"max_retry": 13})).expect(200);
    let commit = commit_aside(&admin);
    wait_until("the reload", Duration::from_secs(20), || client.is_reached());
    std::thread::scope(|scope| {
        let import = scope.spawn(|| import(&admin));
        wait_until("the import", Duration::from_secs(20), || admin.get(IMPORT).json()["lines"] == 5);
        client.go_on();
        // fail2ban itself remembers the three of before.
        assert_eq!(import.join().unwrap()["total_imported"], 2);
    });
    commit.join().unwrap();
    assert_eq!(daemon.banned(JAIL).len(), 5);
    assert_eq!(daemon.client(&["get", "lab", "maxretry"]), "13");
    assert!(!journal(&server).exists());
}

#[test]
fn an_import_killed_while_it_makes_its_jail_is_undone_before_the_next_change() {
    let daemon = RealDaemon::with_action("noop", "true");
    let (client, lists) = (SlowClient::new(), ListServer::start());
    let (server, admin) = with_slow_client(&daemon, &client, &lists);
    let file = daemon.path(&format!("jail.d/zz-bangui-{JAIL}.local"));
    std::thread::scope(|scope| {
        let import = scope.spawn(|| admin.post_empty(IMPORT));
        wait_until("the reload", Duration::from_secs(20), || client.is_reached());
        assert!(file.exists() && journal(&server).exists());
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", server.pid())).unwrap();
        for child in children.split_whitespace() {
            // SAFETY: kill only takes two numbers; the process is a child of the server, which has not waited for it.
            unsafe { libc::kill(child.parse().unwrap(), libc::SIGKILL) };
        }
        client.go_on();
        import.join().unwrap().expect_error(503, "busy");
    });
    wait_until("the undo", Duration::from_secs(20), || !journal(&server).exists());
    assert!(!file.exists() && !daemon.client(&["status"]).contains(JAIL));
    // A journal that nobody has noticed: the next change begins with it.
    let left = {
        let client = SlowClient::new();
        let server = server.with_env("PATH", &client.path());
        let admin = server.client().login();
        let importing = {
            let admin = admin.clone();
            std::thread::spawn(move || import(&admin))
        };
        wait_until("the reload", Duration::from_secs(20), || client.is_reached());
        let left = (fs::read(journal(&server)).unwrap(), fs::read(&file).unwrap());
        client.go_on();
        importing.join().unwrap();
        fs::remove_file(&file).unwrap();
        daemon.client(&["reload"]);
        (server, left)
    };
    let (server, (text, jail)) = left;
    let admin = server.client().login();
    fs::write(journal(&server), text).unwrap();
    fs::write(&file, jail).unwrap();
    admin.put(LAB, json!({"max_retry": 12})).expect(200);
    admin.post_empty(COMMIT).expect(200);
    assert!(!journal(&server).exists() && !file.exists());
    assert_eq!(daemon.client(&["get", "lab", "maxretry"]), "12");
}

#[test]
fn kills_at_many_moments_leave_the_old_or_the_new_state() {
    let daemon = RealDaemon::start();
    let (mut server, admin) = ready(&daemon);
    let mut admin = admin;
    let before = state(&daemon);
    let (path, mut in_the_middle) = (journal(&server), 0);
    for (round, wait) in [0u64, 0, 2, 10, 40, 100, 200, 400].into_iter().enumerate() {
        admin.put(LAB, json!({"max_retry": 20 + round})).expect(200);
        let commit = commit_aside(&admin);
        // All but the first moment are counted from where it begins to change anything: what comes before takes as long as it takes.
        if round > 0 {
            wait_until("the journal", Duration::from_secs(20), || path.exists() || commit.is_finished());
            std::thread::sleep(Duration::from_millis(wait));
        }
        server.kill();
        in_the_middle += usize::from(path.exists());
        commit.join().unwrap();
        server.start_again();
        wait_until("the undo", Duration::from_secs(30), || !path.exists());
        admin = server.client().login();
        // 404, 409: it was not committed, and there is no file of ours.
        let deleted = admin.delete(LAB);
        assert!([204, 409].contains(&deleted.status), "{deleted}");
        admin.get(&format!("{LAB}/rollback")).expect(200);
        assert_eq!(state(&daemon), before, "killed after {wait} ms");
    }
    assert!(in_the_middle >= 3, "only {in_the_middle} of eight kills came in the middle of it");
}

#[test]
fn a_filter_deleted_between_check_and_reload_costs_nothing() {
    let daemon = RealDaemon::start();
    let client = SlowClient::new();
    let (server, _) = ready(&daemon);
    let server = server.with_env("PATH", &client.path());
    let admin = server.client().login();
    let before = state(&daemon);
    let filter = daemon.path("filter.d/lab.conf");
    let text = fs::read(&filter).unwrap();
    admin.put(LAB, json!({"max_retry": 12})).expect(200);
    let status = std::thread::scope(|scope| {
        let commit = scope.spawn(|| admin.post_empty(COMMIT).status);
        wait_until("the reload", Duration::from_secs(20), || client.is_reached());
        fs::remove_file(&filter).unwrap();
        client.go_on();
        commit.join().unwrap()
    });
    assert_eq!(status, 409);
    assert_eq!(daemon.client(&["status"]), before.status, "no jail is lost");
    fs::write(&filter, text).unwrap();
    admin.get(&format!("{LAB}/rollback")).expect(200);
    assert_eq!(state(&daemon), before);
}

#[test]
fn a_daemon_killed_in_the_middle_finds_its_old_files() {
    let mut daemon = RealDaemon::start();
    let client = SlowClient::new();
    let (server, _) = ready(&daemon);
    let server = server.with_env("PATH", &client.path());
    let admin = server.client().login();
    let before = state(&daemon);
    admin.put(LAB, json!({"max_retry": 12})).expect(200);
    let other = admin.clone();
    let commit = std::thread::spawn(move || other.post_empty(COMMIT).status);
    wait_until("the reload", Duration::from_secs(20), || client.is_reached());
    daemon.kill();
    client.go_on();
    let status = commit.join().unwrap();
    assert_eq!(status, 502, "there is no daemon any more");
    assert_eq!(files(daemon.config()), before.files);
    daemon.start_again();
    admin.get(&format!("{LAB}/rollback")).expect(200);
    assert_eq!(state(&daemon), before);
}

#[test]
fn without_the_daemons_own_client_the_commands_are_ours() {
    let daemon = RealDaemon::start();
    let empty = tempfile::tempdir().unwrap();
    let (server, _) = ready(&daemon);
    let server = server.with_env("PATH", &empty.path().display().to_string());
    let admin = server.client().login();
    let before = state(&daemon);
    daemon.client(&["set", "lab", "banip", "203.0.113.3"]);
    admin.put(LAB, json!({"max_retry": 12, "find_time": "5m"})).expect(200);
    admin.post_empty(COMMIT).expect(200);
    assert_eq!(daemon.client(&["get", "lab", "maxretry"]), "12");
    admin.post_empty("/api/v1/jails/reload-all").expect(200);
    assert_eq!(daemon.client(&["get", "lab", "findtime"]), "300");
    assert_eq!(daemon.banned("lab"), ["203.0.113.3"]);
    admin.post_empty("/api/v1/jails/slow/stop").expect(200);
    admin.post_empty("/api/v1/jails/slow/start").expect(200);
    admin.delete(LAB).expect(204);
    assert_eq!(state(&daemon), State { status: daemon.client(&["status"]), ..before });
    assert!(JAILS.iter().all(|jail| daemon.client(&["status"]).contains(jail)));
}

#[test]
fn old_values_do_not_survive_a_reload() {
    let daemon = RealDaemon::start();
    let (_server, admin) = ready(&daemon);
    let before = state(&daemon);
    daemon.client(&["set", "lab", "banip", "203.0.113.3"]);
    for (word, value) in [
        ("prefregex", "^<F-CONTENT>.*</F-CONTENT>$"),
        ("maxlines", "5"),
        ("datepattern", "%Y"),
        ("logtimezone", "UTC+0200"),
        ("bantime.increment", "true"),
        ("bantime.factor", "3"),
        ("ignorecommand", "/bin/false"),
    ] {
        daemon.client(&["set", "lab", word, value]);
    }
    assert_ne!(state(&daemon), before);
    admin.post_empty("/api/v1/jails/lab/reload").expect(200);
    assert_eq!(state(&daemon), before);
    assert_eq!(daemon.banned("lab"), ["203.0.113.3"]);
}

#[test]
fn where_the_journal_cannot_be_written_nothing_changes() {
    let daemon = RealDaemon::start();
    let (server, admin) = ready(&daemon);
    admin.put(LAB, json!({"max_retry": 12})).expect(200);
    let before = files(daemon.config());
    // As good as a full disk, and nothing must be mounted for it: its temporary file cannot be made.
    let blocked = server.database().with_extension("db.apply-new");
    fs::create_dir(&blocked).unwrap();
    admin.post_empty(COMMIT).expect_error(500, "config_unusable");
    assert_eq!(files(daemon.config()), before);
    fs::remove_dir(&blocked).unwrap();
    admin.post_empty(COMMIT).expect(200);
}

/// A small file system over a directory, for this thread and what it starts; gone with them.
struct SmallDisk {
    filler: std::path::PathBuf,
}

impl SmallDisk {
    /// `None`, said loudly, where it cannot be made.
    fn over(directory: &Path) -> Option<SmallDisk> {
        let place = std::ffi::CString::new(directory.as_os_str().as_encoded_bytes()).unwrap();
        // SAFETY: the calls take constant strings and `place`, all NUL-terminated and alive, and change this thread's view of files only.
        let made = unsafe {
            libc::unshare(libc::CLONE_NEWNS) == 0
                && libc::mount(
                    c"none".as_ptr(),
                    c"/".as_ptr(),
                    std::ptr::null(),
                    libc::MS_REC | libc::MS_PRIVATE,
                    std::ptr::null(),
                ) == 0
                && libc::mount(
                    c"none".as_ptr(),
                    place.as_ptr(),
                    c"tmpfs".as_ptr(),
                    0,
                    c"size=64k,mode=755".as_ptr().cast(),
                ) == 0
        };
        if !made {
            let why = std::io::Error::last_os_error();
            left_out(&format!("a full disk under an apply: no small one can be mounted here ({why})"));
        }
        made.then(|| SmallDisk { filler: directory.join("filler") })
    }

    /// Takes all space that is left.
    fn fill(&self) {
        use std::io::Write;
        let mut file = fs::File::create(&self.filler).unwrap();
        let error = loop {
            if let Err(error) = file.write_all(&[0; 512]) {
                break error;
            }
        };
        assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
    }

    fn empty(&self) {
        fs::remove_file(&self.filler).unwrap();
    }
}

#[test]
fn a_full_disk_costs_no_jail_no_value_and_no_file() {
    let mut daemon = RealDaemon::configured();
    let Some(disk) = SmallDisk::over(&daemon.path("jail.d")) else { return };
    daemon.start_again();
    let (_server, admin) = ready(&daemon);
    admin.put(LAB, json!({"max_retry": 7})).expect(200);
    admin.post_empty(COMMIT).expect(200);
    let before = state(&daemon);
    disk.fill();
    // A change of a file, a new file, and one that is written beside a running daemon.
    admin.put(LAB, json!({"max_retry": 12})).expect(200);
    let answer = admin.post_empty(COMMIT).expect_error(500, "config_disk_full").json();
    assert!(answer["detail"].as_str().unwrap().contains("No space left"), "{answer}");
    let new = json!({"name": "mine", "enabled": true, "filter": "lab", "log_paths": [daemon.path("off.log")]});
    admin.post("/api/v1/config/jails", new.clone()).expect_error(500, "config_disk_full");
    let answer = admin.post("/api/v1/jails/lab/ignoreip", json!({"ip": "203.0.113.7"}));
    assert_eq!(answer.status, 500, "{answer}");
    daemon.client(&["set", "lab", "delignoreip", "203.0.113.7"]);
    admin.get(&format!("{LAB}/rollback")).expect(200);
    assert_eq!(state(&daemon), before);
    // What takes a change back is a change like others.
    disk.empty();
    admin.put(LAB, json!({"max_retry": 8})).expect(200);
    admin.post_empty(COMMIT).expect(200);
    let changes = "/api/v1/config/changes";
    let undo = format!("{changes}/{}/undo", admin.get(changes).expect(200).json()["items"][0]["id"]);
    let before_it = state(&daemon);
    disk.fill();
    admin.post_empty(&undo).expect_error(500, "config_disk_full");
    assert_eq!(state(&daemon), before_it);
    disk.empty();
    admin.post_empty(&undo).expect(200);
    assert_eq!(state(&daemon), before);
    admin.put(LAB, json!({"max_retry": 12})).expect(200);
    admin.post_empty(COMMIT).expect(200);
    assert_eq!(daemon.client(&["get", "lab", "maxretry"]), "12");
    admin.post("/api/v1/config/jails", new).expect(201);
    admin.delete("/api/v1/config/jails/mine").expect(204);
    admin.delete(LAB).expect(204);
}

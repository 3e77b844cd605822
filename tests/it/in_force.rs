//! What the files say is in force after each way of loading them: the actions of a jail above all, whose commands are logged here, so that
//! it shows which rules there are and which were left behind.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::client::Client;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::rules::{commands, rules, write_action};
use crate::harness::server::{Launch, Server};
use crate::harness::{not_installed, wait_until};
use crate::jail_config::ready;

const LAB: &str = "/api/v1/config/jails/lab";
const IP: &str = "203.0.113.3";

/// A daemon whose jail `lab` runs this action and has an address banned.
fn banned_by(action: &str) -> (RealDaemon, Server, Client) {
    let mut daemon = RealDaemon::configured();
    for name in ["old", "new"] {
        write_action(&daemon, name);
    }
    fs::write(daemon.path("jail.local"), format!("[lab]\naction = {action}\n")).unwrap();
    daemon.start_again();
    daemon.client(&["set", "lab", "banip", IP]);
    let directory = daemon.config().display().to_string();
    let launch = Launch::for_real(&daemon).env("BANGUI_ALLOWED_LOG_DIRS", &directory);
    let (server, admin) = launch.env("BANGUI_ALLOW_ACTION_EDIT", "1").start().into_ready();
    (daemon, server, admin)
}

/// The rules of jail `lab` are these and no others; `None` stands for the action's own port.
#[track_caller]
fn expect(daemon: &RealDaemon, actions: &[(&str, &str)]) {
    let mut wanted: Vec<String> = Vec::new();
    for (action, port) in actions {
        wanted.push(format!("start {action} lab {port}"));
        wanted.push(format!("ban {action} lab {port} {IP}"));
    }
    wanted.sort();
    let seen = || rules(daemon).into_iter().collect::<Vec<String>>();
    // The last command of the last ban may still run.
    let until = Instant::now() + Duration::from_secs(5);
    while seen() != wanted && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(seen(), wanted, "{:#?}", commands(daemon));
    assert_eq!(daemon.banned("lab"), [IP]);
}

fn commit(admin: &Client, values: serde_json::Value) {
    admin.put(LAB, values).expect(200);
    admin.post_empty(&format!("{LAB}/commit")).expect(200);
}

#[test]
fn an_action_in_place_of_another_runs() {
    let (daemon, _server, admin) = banned_by("old");
    expect(&daemon, &[("old", "0")]);
    commit(&admin, json!({"actions": ["new"]}));
    expect(&daemon, &[("new", "0")]);
    admin.get(&format!("{LAB}/rollback")).expect(200);
    admin.delete(LAB).expect(204);
    expect(&daemon, &[("old", "0")]);
}

#[test]
fn an_action_beside_another_runs() {
    let (daemon, _server, admin) = banned_by("old");
    commit(&admin, json!({"actions": ["old", "new"]}));
    expect(&daemon, &[("old", "0"), ("new", "0")]);
    // The other order is another start.
    commit(&admin, json!({"actions": ["new"]}));
    expect(&daemon, &[("new", "0")]);
}

#[test]
fn an_action_of_another_name_runs() {
    let (daemon, _server, admin) = banned_by("old");
    commit(&admin, json!({"actions": ["old[actname=other]"]}));
    assert_eq!(daemon.client(&["get", "lab", "actions"]).lines().last(), Some("other"));
    expect(&daemon, &[("old", "0")]);
}

#[test]
fn another_port_is_in_force_and_leaves_no_rule_of_the_old_one() {
    let (daemon, _server, admin) = banned_by("old[port=\"22\"]");
    commit(&admin, json!({"actions": ["old[port=\"2222\"]"]}));
    expect(&daemon, &[("old", "2222")]);
    daemon.client(&["set", "lab", "unbanip", IP]);
    assert_eq!(rules(&daemon).len(), 1);
}

#[test]
fn an_edited_start_of_an_action_runs_and_the_old_stop_before_it() {
    let (daemon, _server, admin) = banned_by("old");
    let log = daemon.path("actions.log").display().to_string();
    let edit = json!({
        "actionstart": format!("echo \"start edited <name> 1\" >> {log}"),
        "actionstop": format!("echo \"stop edited <name> 1\" >> {log}"),
        "actionban": format!("echo \"ban edited <name> 1 <ip>\" >> {log}"),
        "actionunban": format!("echo \"unban edited <name> 1 <ip>\" >> {log}"),
    });
    admin.put("/api/v1/config/actions/old", edit).expect(200);
    expect(&daemon, &[("edited", "1")]);
    // As by hand, and the override goes.
    fs::remove_file(daemon.path("action.d/old.local")).unwrap();
    admin.post_empty("/api/v1/config/reload").expect(204);
    expect(&daemon, &[("old", "0")]);
}

#[test]
fn a_parameter_that_goes_is_not_left() {
    let (daemon, _server, admin) = banned_by("old[port=\"22\", chain=\"X\"]");
    commit(&admin, json!({"actions": ["old[port=\"22\"]"]}));
    let properties = daemon.client(&["get", "lab", "actionproperties", "old"]);
    assert!(!properties.contains("chain"), "{properties}");
    expect(&daemon, &[("old", "22")]);
}

#[test]
fn what_is_edited_by_hand_is_in_force_after_each_kind_of_reload() {
    let (daemon, _server, admin) = banned_by("old");
    for (action, other) in [("new", "old"), ("old", "new"), ("new", "old")].into_iter().zip([
        ("/api/v1/config/reload", 204),
        ("/api/v1/jails/reload-all", 200),
        ("/api/v1/jails/lab/reload", 200),
    ]) {
        let text = format!("[DEFAULT]\nbanaction = {}\n[lab]\naction = %(banaction)s\n", action.0);
        fs::write(daemon.path("jail.local"), text).unwrap();
        admin.post_empty(other.0).expect(other.1);
        expect(&daemon, &[(action.0, "0")]);
    }
}

/// A Python action that logs like the others.
fn write_python(daemon: &RealDaemon) {
    let log = daemon.path("actions.log").display().to_string();
    let text = format!(
        "from fail2ban.server.action import ActionBase\n\
         class Told(ActionBase):\n\
         \tdef __init__(self, jail, name, port='0'):\n\t\tsuper(Told, self).__init__(jail, name)\n\t\tself.port = port\n\
         \tdef say(self, what):\n\t\twith open('{log}', 'a') as log: log.write(what + '\\n')\n\
         \tdef start(self): self.say('start py %s %s' % (self._jail.name, self.port))\n\
         \tdef stop(self): self.say('stop py %s %s' % (self._jail.name, self.port))\n\
         \tdef ban(self, info): self.say('ban py %s %s %s' % (self._jail.name, self.port, info['ip']))\n\
         \tdef unban(self, info): self.say('unban py %s %s %s' % (self._jail.name, self.port, info['ip']))\n\
         Action = Told\n"
    );
    fs::write(daemon.path("action.d/told.py"), text).unwrap();
}

#[test]
fn a_python_action_beside_others_survives_every_load() {
    let (daemon, _server, admin) = banned_by("old");
    write_python(&daemon);
    let jail = |port: u32| {
        let text = format!("[lab]\naction = old\n  told.py[port=\"{port}\"]\n");
        fs::write(daemon.path("jail.local"), text).unwrap();
    };
    jail(1);
    for (target, status, port) in [
        ("/api/v1/config/reload", 204, 1),
        ("/api/v1/jails/reload-all", 200, 1),
        ("/api/v1/jails/lab/reload", 200, 2),
        ("/api/v1/config/reload", 204, 3),
    ] {
        jail(port);
        admin.post_empty(target).expect(status);
        expect(&daemon, &[("old", "0"), ("py", &port.to_string())]);
    }
    commit(&admin, json!({"max_retry": 9}));
    assert_eq!(daemon.client(&["get", "lab", "maxretry"]), "9");
    expect(&daemon, &[("old", "0"), ("py", "3")]);
    // A value of before that only a restart, or a second reload, gets rid of.
    daemon.client(&["set", "lab", "maxlines", "5"]);
    admin.post_empty("/api/v1/jails/lab/reload").expect(200);
    expect(&daemon, &[("old", "0"), ("py", "3")]);
}

#[test]
fn a_python_action_that_the_jail_does_not_have_yet_can_be_added() {
    let (daemon, _server, admin) = banned_by("old");
    write_python(&daemon);
    let missing = admin.put("/api/v1/config/jails/lab", json!({"actions": ["old", "none.py"]}));
    missing.expect_error(400, "invalid_input");
    commit(&admin, json!({"actions": ["old", "told.py[port=\"7\"]"]}));
    expect(&daemon, &[("old", "0"), ("py", "7")]);
}

/// Each address with the second in which its ban ends.
fn ends(daemon: &RealDaemon) -> Vec<(String, String)> {
    let list = daemon.client(&["get", "lab", "banip", "--with-time"]);
    let mut ends: Vec<(String, String)> = list
        .lines()
        .map(|line| {
            let (ip, rest) = line.split_once(" \t").unwrap();
            (ip.to_owned(), rest.rsplit_once(" = ").unwrap().1.to_owned())
        })
        .collect();
    ends.sort();
    ends
}

/// The same addresses, each with the same end to a second or two.
#[track_caller]
fn expect_ends(daemon: &RealDaemon, wanted: &[(String, String)]) {
    let seen = ends(daemon);
    assert_eq!(seen.len(), wanted.len(), "{seen:?} {wanted:?}");
    for ((ip, end), (wanted_ip, wanted_end)) in seen.iter().zip(wanted) {
        assert_eq!(ip, wanted_ip);
        let seconds = |text: &str| text.parse::<jiff::civil::DateTime>().unwrap();
        let apart = seconds(end).duration_since(seconds(wanted_end)).as_secs().abs();
        assert!(apart <= 2, "{ip} ends at {end}, not at {wanted_end}");
    }
}

/// Bans an address for its own time, and -1 for ever, as the daemon can be brought to do it.
fn ban_for(daemon: &RealDaemon, ip: &str, seconds: i64) {
    daemon.client(&["set", "lab", "bantime", "50000"]);
    daemon.client(&["set", "lab", "banip", ip]);
    daemon.client(&["set", "lab", "banip", ip]);
    daemon.client(&["set", "lab", "bantime", &seconds.to_string()]);
    daemon.client(&["set", "lab", "banip", ip]);
    daemon.client(&["set", "lab", "bantime", "3600"]);
}

#[test]
fn a_restarted_jail_has_each_ban_to_its_old_end() {
    let (daemon, _server, admin) = banned_by("old");
    // Longer than the jail's ban time, for ever, and one that the jail ignores by now.
    ban_for(&daemon, "203.0.113.4", 28 * 86_400);
    ban_for(&daemon, "203.0.113.5", -1);
    daemon.client(&["set", "lab", "banip", "203.0.113.6"]);
    let before = ends(&daemon);
    assert!(before.iter().any(|(ip, end)| ip == "203.0.113.5" && end.starts_with("9999")), "{before:?}");
    commit(&admin, json!({"actions": ["new"], "ignore_ips": ["203.0.113.6"]}));
    expect_ends(&daemon, &before);
    let rules = rules(&daemon);
    assert_eq!(rules.len(), 5, "{rules:?}");
    assert!(rules.iter().all(|rule| rule.contains(" new ")), "{rules:?}");
}

#[test]
fn without_a_database_a_restarted_jail_has_its_bans_as_well() {
    let mut daemon = RealDaemon::configured();
    for name in ["old", "new"] {
        write_action(&daemon, name);
    }
    fs::write(daemon.path("jail.local"), "[lab]\naction = old\n").unwrap();
    fs::write(daemon.path("fail2ban.local"), "[Definition]\ndbfile = None\n").unwrap();
    daemon.start_again();
    daemon.client(&["set", "lab", "banip", IP]);
    ban_for(&daemon, "203.0.113.4", 28 * 86_400);
    ban_for(&daemon, "203.0.113.5", -1);
    let before = ends(&daemon);
    let (_server, admin) = ready(&daemon);
    commit(&admin, json!({"actions": ["new"]}));
    expect_ends(&daemon, &before);
    assert!(rules(&daemon).iter().all(|rule| rule.contains(" new ")), "{:?}", rules(&daemon));
}

#[test]
fn a_ban_made_longer_after_it_was_written_down_keeps_its_end() {
    let (daemon, _server, admin) = banned_by("old");
    // The daemon measures running bans by the new time at once, and remembers the old one.
    daemon.client(&["set", "lab", "bantime", "90000"]);
    let before = ends(&daemon);
    commit(&admin, json!({"actions": ["new"]}));
    expect_ends(&daemon, &before);
}

#[test]
fn a_change_that_fails_runs_the_old_actions_on_with_their_bans() {
    let (daemon, _server, admin) = banned_by("old");
    ban_for(&daemon, "203.0.113.4", 28 * 86_400);
    let before = ends(&daemon);
    let by_hand = daemon.path("jail.d/by-hand.local");
    fs::write(&by_hand, "[lab]\naction = new\nlogencoding = no-such-encoding\n").unwrap();
    admin.post_empty("/api/v1/jails/lab/reload").expect(409);
    fs::remove_file(&by_hand).unwrap();
    admin.post_empty("/api/v1/jails/lab/reload").expect(200);
    expect_ends(&daemon, &before);
    wait_until("the old rules", Duration::from_secs(5), || rules(&daemon).len() == 3);
    assert!(rules(&daemon).iter().all(|rule| rule.contains(" old ")), "{:?}", rules(&daemon));
}

/// A daemon whose `[DEFAULT]` has jails read the journal, as Debian's 13 does; its own three read files. `None` where it cannot do that.
fn reading_the_journal() -> Option<(RealDaemon, Server, Client)> {
    let mut daemon = RealDaemon::configured();
    let own = "[DEFAULT]\nbackend = systemd\n[lab]\nbackend = polling\n[slow]\nbackend = polling\n[sshd]\nbackend = polling\n";
    fs::write(daemon.path("jail.local"), own).unwrap();
    daemon.start_again();
    if !daemon.try_client(&["add", "probe", "systemd"]).0 {
        not_installed("jails that read the journal: this fail2ban cannot (python3-systemd)");
        return None;
    }
    daemon.client(&["start", "probe"]);
    daemon.client(&["stop", "probe"]);
    let (server, admin) = ready(&daemon);
    Some((daemon, server, admin))
}

/// The jail reads this log file.
#[track_caller]
fn expect_heard(daemon: &RealDaemon, jail: &str, log: &str) {
    let status = daemon.client(&["status", jail]);
    assert!(status.contains(&daemon.path(log).display().to_string()), "{status}");
}

#[test]
fn a_jail_with_log_files_is_not_deaf_where_jails_read_the_journal() {
    let Some((daemon, _server, admin)) = reading_the_journal() else { return };
    let logs = json!([daemon.path("off.log")]);
    let new = json!({"name": "new", "enabled": true, "filter": "lab", "log_paths": logs});
    admin.post("/api/v1/config/jails", new).expect(201);
    expect_heard(&daemon, "new", "off.log");
    // A jail of the files, which is enabled with them.
    let off = "/api/v1/config/jails/off";
    admin.put(off, json!({"enabled": true, "log_paths": logs})).expect(200);
    admin.post_empty(&format!("{off}/commit")).expect(200);
    expect_heard(&daemon, "off", "off.log");
}

#[test]
fn a_jail_that_would_be_deaf_is_refused() {
    let Some((daemon, _server, admin)) = reading_the_journal() else { return };
    let files = || fs::read_dir(daemon.path("jail.d")).unwrap().count();
    // The journal for a jail with log files and nothing that says what to read of it.
    let put = admin.put(LAB, json!({"backend": "systemd"}));
    if put.status == 200 {
        let refused = admin.post_empty(&format!("{LAB}/commit")).expect_error(422, "config_validation_failed").json();
        assert!(refused["detail"].as_str().unwrap().contains("set backend to auto"), "{refused}");
    }
    admin.get(&format!("{LAB}/rollback")).expect(200);
    let both = json!({"name": "new", "enabled": true, "filter": "sshd", "log_paths": [daemon.path("off.log")], "backend": "systemd"});
    let refused = admin.post("/api/v1/config/jails", both).expect_error(422, "config_validation_failed").json();
    assert!(refused["detail"].as_str().unwrap().contains("leave the log paths out"), "{refused}");
    let none = json!({"name": "new", "enabled": true, "filter": "lab", "backend": "polling"});
    let refused = admin.post("/api/v1/config/jails", none).expect_error(422, "config_validation_failed").json();
    assert!(refused["detail"].as_str().unwrap().contains("nothing to read"), "{refused}");
    assert_eq!((files(), daemon.client(&["status"]).contains("new")), (0, false));
    // With a match of the journal it hears.
    let journal = json!({"name": "new", "enabled": true, "filter": "sshd", "backend": "systemd"});
    admin.post("/api/v1/config/jails", journal).expect(201);
    assert!(daemon.client(&["status", "new"]).contains("_SYSTEMD_UNIT"));
    // One for bans by hand has nothing to hear.
    let by_hand = json!({"name": "hand", "enabled": true, "backend": "polling", "actions": ["noop"]});
    admin.post("/api/v1/config/jails", by_hand).expect(201);
}

#[test]
fn a_jail_that_was_deaf_before_can_be_edited() {
    let mut daemon = RealDaemon::configured();
    fs::write(daemon.path("jail.local"), "[quiet]\nenabled = true\nfilter = lab\n").unwrap();
    daemon.start_again();
    let (_server, admin) = ready(&daemon);
    let quiet = "/api/v1/config/jails/quiet";
    admin.put(quiet, json!({"max_retry": 9})).expect(200);
    admin.post_empty(&format!("{quiet}/commit")).expect(200);
    assert_eq!(daemon.client(&["get", "quiet", "maxretry"]), "9");
}

/// Has commands of action `new` take their time.
fn slow_down(daemon: &RealDaemon, words: &[(&str, &str)]) {
    let file = daemon.path("action.d/new.conf");
    let mut text = fs::read_to_string(&file).unwrap();
    for (word, seconds) in words {
        text = text.replace(&format!("action{word} = "), &format!("action{word} = sleep {seconds}; "));
    }
    fs::write(file, text).unwrap();
}

#[test]
fn a_jail_whose_actions_are_slow_has_each_ban_to_its_old_end() {
    let (daemon, _server, admin) = banned_by("old");
    for last in 4..7 {
        daemon.client(&["set", "lab", "banip", &format!("203.0.113.{last}")]);
    }
    let before = ends(&daemon);
    // Each of them longer than a restore that seems to stand still is waited for.
    slow_down(&daemon, &[("start", "2"), ("ban", "1.3")]);
    wait_until("bans that are older than their restart may move them", Duration::from_secs(10), || {
        let began = daemon.client(&["get", "lab", "banip", "--with-time"]);
        let seconds = |text: &str| text.parse::<jiff::civil::DateTime>().unwrap();
        let first = began.split(" \t").nth(1).and_then(|rest| rest.split(" + ").next()).map(seconds).unwrap();
        jiff::Zoned::now().datetime().duration_since(first).as_secs() > 4
    });
    commit(&admin, json!({"actions": ["new"]}));
    wait_until("each rule", Duration::from_secs(20), || rules(&daemon).len() == 5);
    expect_ends(&daemon, &before);
    let ran: Vec<String> = commands(&daemon).into_iter().filter(|command| command.contains(" new ")).collect();
    assert!(ran[0].starts_with("start "), "nothing is banned before the actions have started: {ran:?}");
}

#[test]
fn without_a_database_and_with_slow_actions_a_ban_keeps_its_end() {
    let mut daemon = RealDaemon::configured();
    for name in ["old", "new"] {
        write_action(&daemon, name);
    }
    slow_down(&daemon, &[("start", "2"), ("ban", "3")]);
    fs::write(daemon.path("jail.local"), "[lab]\naction = old\n").unwrap();
    fs::write(daemon.path("fail2ban.local"), "[Definition]\ndbfile = None\n").unwrap();
    daemon.start_again();
    daemon.client(&["set", "lab", "banip", IP]);
    ban_for(&daemon, "203.0.113.4", 28 * 86_400);
    let before = ends(&daemon);
    let (_server, admin) = ready(&daemon);
    commit(&admin, json!({"actions": ["new"]}));
    expect_ends(&daemon, &before);
    let ran: Vec<String> = commands(&daemon).into_iter().filter(|command| command.contains(" new ")).collect();
    assert!(ran.len() == 3 && ran[0].starts_with("start "), "{ran:?}");
}

#[test]
fn a_ban_by_an_id_is_in_force_after_a_restart_of_its_jail() {
    let mut daemon = RealDaemon::configured();
    let log = daemon.path("actions.log").display().to_string();
    for name in ["old", "new"] {
        let line = |word: &str| format!("action{word} = echo \"{word} {name} <fid>\" >> {log}\n");
        fs::write(
            daemon.path(&format!("action.d/{name}.conf")),
            format!("[Definition]\n{}{}", line("ban"), line("unban")),
        )
        .unwrap();
    }
    fs::write(daemon.path("filter.d/ids.conf"), "[Definition]\nfailregex = ^\\s*bad <F-ID>\\w+</F-ID> from <ADDR>$\n")
        .unwrap();
    fs::write(daemon.path("jail.local"), "[lab]\nfilter = ids\naction = old\nmaxretry = 1\n").unwrap();
    daemon.start_again();
    let now = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S").to_string();
    daemon.append_log("lab.log", &format!("{now} bad mallory from 203.0.113.9"));
    wait_until("a ban of mallory", Duration::from_secs(20), || {
        commands(&daemon).iter().any(|line| line == "ban old mallory")
    });
    wait_until("its row", Duration::from_secs(5), || !ends(&daemon).is_empty());
    let before = ends(&daemon);
    let (_server, admin) = ready(&daemon);
    commit(&admin, json!({"actions": ["new"]}));
    let ran = commands(&daemon);
    assert!(ran.iter().any(|line| line == "ban new mallory"), "{ran:?}");
    expect_ends(&daemon, &before);
}

#[test]
fn a_ban_made_shorter_after_it_was_written_down_keeps_its_end() {
    let (daemon, _server, admin) = banned_by("old");
    // Another one keeps the restore from shortening all.
    ban_for(&daemon, "203.0.113.4", 28 * 86_400);
    daemon.client(&["set", "lab", "bantime", "1800"]);
    let before = ends(&daemon);
    commit(&admin, json!({"actions": ["new"], "ban_time": 1800}));
    expect_ends(&daemon, &before);
}

/// A daemon without a database, so that it restores nothing, whose jail `lab` is about to get the action `new`. Addresses are banned.
fn forgetful(addresses: u8, new: &str) -> (RealDaemon, Server, Client) {
    let mut daemon = RealDaemon::configured();
    write_action(&daemon, "old");
    fs::write(daemon.path("action.d/new.conf"), format!("[Definition]\nactionban = {new}\nactionunban = true\n"))
        .unwrap();
    fs::write(daemon.path("jail.local"), "[lab]\naction = old\n").unwrap();
    fs::write(daemon.path("fail2ban.local"), "[Definition]\ndbfile = None\n").unwrap();
    daemon.start_again();
    for last in 1..=addresses {
        daemon.client(&["set", "lab", "banip", &format!("203.0.113.{last}")]);
    }
    let (server, admin) = ready(&daemon);
    (daemon, server, admin)
}

#[test]
fn bans_that_are_made_again_behind_slow_ones_keep_their_ends() {
    // The first ones are quick, so that the others seem to be.
    let (daemon, _server, admin) = forgetful(5, "expr <ip> : '.*[12]$' || sleep 2");
    let before = ends(&daemon);
    commit(&admin, json!({"actions": ["new"]}));
    expect_ends(&daemon, &before);
}

#[test]
fn restarts_do_not_add_up_to_another_end() {
    let (daemon, _server, admin) = forgetful(3, "true");
    let before = ends(&daemon);
    for round in 0..6 {
        commit(&admin, json!({"actions": [if round % 2 == 0 { "new" } else { "old" }]}));
    }
    expect_ends(&daemon, &before);
}

#[test]
fn a_daemon_that_does_not_evaluate_ban_times_is_told_seconds() {
    let (daemon, _server, admin) = forgetful(3, "true");
    let before = ends(&daemon);
    // An action in Python can change the daemon from within; a release that takes only numbers is made so.
    let strict = "from fail2ban.server.action import ActionBase\n\
                  from fail2ban.server.mytime import MyTime\n\
                  taken = MyTime.str2seconds\n\
                  def strict(value):\n\tif 'time' in str(value): raise ValueError('no number')\n\treturn taken(value)\n\
                  MyTime.str2seconds = staticmethod(strict)\n\
                  class Action(ActionBase): pass\n";
    let file = daemon.path("action.d/strict.py");
    fs::write(&file, strict).unwrap();
    daemon.client(&["set", "slow", "addaction", "strict", &file.display().to_string(), "{}"]);
    let (is_taken, said) = daemon.try_client(&["set", "slow", "bantime", "9-time.time()"]);
    assert!(!is_taken, "{said}");
    commit(&admin, json!({"actions": ["new"]}));
    expect_ends(&daemon, &before);
}

//! Random edits of the configuration on real daemons. After each of them every value, every action, every ban with its end, and the rules
//! that the commands of the actions add up to are those that a fresh start from the same files would give.
//!
//! `BANGUI_EDITS` is the number of edits (40; CI makes 300, `make edits` 5 000), `BANGUI_SEED` what they are drawn from: a fixed number, so that
//! a change is judged by the edits of the last one, or `time`, which `make edits` sets and which prints the number.
//! `BANGUI_DAEMONS` how many daemons run side by side (4). The edits of one daemon depend on the seed and its number alone. A failure is shrunk to the shortest list found in time.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use bangui::fail2ban::stream::Stream;
use bangui::fail2ban::{Client as Wire, Value as Plain};
use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::release::Release;
use crate::harness::server::{Launch, Server};

/// What the edits are drawn from where nothing else is said.
const SEED: u64 = 1_795_752_411_216_515_594;
/// How far the end of a ban may move, in seconds: the daemon cuts off parts of seconds in some places and rounds them in others.
const MOST_APART: u64 = 3;
/// What is looked at in each jail.
const GETTERS: [&str; 25] = [
    "usedns",
    "findtime",
    "bantime",
    "maxretry",
    "maxmatches",
    "maxlines",
    "prefregex",
    "datepattern",
    "logtimezone",
    "logencoding",
    "ignoreself",
    "ignoreip",
    "ignorecommand",
    "ignorecache",
    "failregex",
    "ignoreregex",
    "logpath",
    "journalmatch",
    "bantime.increment",
    "bantime.factor",
    "bantime.formula",
    "bantime.multipliers",
    "bantime.maxtime",
    "bantime.rndtime",
    "bantime.overalljails",
];

/// One thing that is done.
#[derive(Debug, Clone)]
enum Step {
    Put(String, Value),
    Post(String, Value),
    Get(String),
    Delete(String),
    /// A file written by hand.
    Write(&'static str, String),
    /// What somebody else says to the daemon.
    Say(Vec<String>),
}

/// What belongs together: looked at when all of it is done.
type Edit = Vec<Step>;

/// A small generator of numbers that look random (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }

    fn one<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    fn some<T: Clone>(&mut self, all: &[T], least: usize) -> Vec<T> {
        let mut rest = all.to_vec();
        let count = least + self.below(all.len() + 1 - least);
        (0..count).map(|_| rest.remove(self.below(rest.len()))).collect()
    }
}

/// Where `DIR` stands in a value, the daemon's directory is meant.
fn value(dice: &mut Dice) -> (&'static str, Value) {
    match dice.below(17) {
        0 => ("ban_time", json!(dice.one(&[600, 3600, 86_400, 604_800, -1]))),
        1 => ("find_time", json!(dice.one(&["10m", "1h", "77", "2d"]))),
        2 => ("max_retry", json!(1 + dice.below(9))),
        3 => ("use_dns", json!(dice.one(&["yes", "warn", "no", "raw"]))),
        4..=7 => ("actions", json!(actions(dice))),
        8 => ("ignore_ips", json!(dice.some(&["192.0.2.1", "198.51.100.0/24", "2001:db8::1", "203.0.113.2"], 0))),
        9 => ("ban_time", json!(dice.one(&["20m", "3h"]))),
        10 => ("fail_regex", json!(dice.some(&["^a <HOST>$", "^b <ADDR> x", "^c <F-ID>\\S+</F-ID> <HOST>"], 1))),
        11 => ("ignore_regex", json!(dice.some(&["^ignored <HOST>$", "never"], 0))),
        12 => (
            "date_pattern",
            dice.one(&[json!("%Y-%m-%d %H:%M:%S"), json!("{^LN-BEG}"), json!("EPOCH"), json!(null)]).clone(),
        ),
        13 => ("log_encoding", json!(dice.one(&["auto", "utf-8", "latin-1", "ascii"]))),
        14 => ("log_paths", json!(dice.some(&["DIR/lab.log", "DIR/slow.log", "DIR/auth.log"], 1))),
        15 => ("backend", json!(dice.one(&["auto", "polling"]))),
        _ => ("bantime_escalation", growth(dice)),
    }
}

fn actions(dice: &mut Dice) -> Vec<String> {
    let mut all = dice.some(&["one", "two", "three"], 1);
    for name in &mut all {
        *name = match dice.below(4) {
            0 => *dice.one(&["one[port=22]", "one[port=\"80,443\"]", "one[actname=first]"]),
            _ => *name,
        };
    }
    let mut seen = BTreeSet::new();
    all.retain(|text| seen.insert(text.split('[').next().unwrap_or_default().to_owned()));
    all.into_iter().map(str::to_owned).collect()
}

fn growth(dice: &mut Dice) -> Value {
    match dice.below(3) {
        0 => json!(null),
        1 => json!({"increment": true, "factor": 2.0, "max_time": 700_000}),
        _ => json!({"increment": true, "multipliers": "1 2 4", "overall_jails": true}),
    }
}

fn edit(dice: &mut Dice) -> Edit {
    let jail = *dice.one(&["lab", "web", "sshd", "mine"]);
    let at = format!("/api/v1/config/jails/{jail}");
    let commit = Step::Post(format!("{at}/commit"), Value::Null);
    match dice.below(20) {
        0..=9 => {
            let count = 1 + dice.below(3);
            let values = (0..count).map(|_| value(dice)).map(|(name, value)| (name.to_owned(), value)).collect();
            let put = Step::Put(at.clone(), Value::Object(values));
            match dice.below(5) {
                0 => vec![put, Step::Get(format!("{at}/rollback"))],
                _ => vec![put, commit],
            }
        }
        10 => vec![Step::Put(at.clone(), json!({"enabled": dice.below(3) > 0})), commit],
        11 => {
            let stock = *dice.one(&["vsftpd", "proftpd", "dovecot", "nginx-http-auth", "pure-ftpd"]);
            let at = format!("/api/v1/config/jails/{stock}");
            let on = dice.below(3) > 0;
            vec![
                Step::Put(at.clone(), json!({"enabled": on, "log_paths": ["DIR/auth.log"]})),
                Step::Post(format!("{at}/commit"), Value::Null),
            ]
        }
        12 => vec![Step::Delete(format!("/api/v1/config/jails/{}", dice.one(&["mine", "lab", "web", "lab", "web"])))],
        13 => {
            let actions = actions(dice);
            let body = json!({"name": "mine", "enabled": true, "filter": "lab", "log_paths": ["DIR/slow.log"], "actions": actions});
            vec![Step::Post("/api/v1/config/jails".to_owned(), body)]
        }
        14 | 15 => {
            let name = *dice.one(&["one", "two", "three"]);
            let mark = dice.below(3);
            let line = |word: &str, rest: &str| command(&format!("{word} {name}{mark}"), rest);
            let body = json!({
                "actionstart": line("start", ""), "actionstop": line("stop", ""),
                "actionban": line("ban", " <ip>"), "actionunban": line("unban", " <ip>"),
            });
            vec![Step::Put(format!("/api/v1/config/actions/{name}"), body)]
        }
        16 => {
            let text =
                format!("[DEFAULT]\nbanaction = {}\nmaxretry = {}\n", dice.one(&["one", "two"]), 2 + dice.below(5));
            let load = *dice.one(&["/api/v1/config/reload", "/api/v1/jails/reload-all", "/api/v1/jails/lab/reload"]);
            // The reload of one jail leaves the others as they are.
            let all = Step::Post("/api/v1/config/reload".to_owned(), Value::Null);
            vec![Step::Write("jail.d/by-hand.local", text), Step::Post(load.to_owned(), Value::Null), all]
        }
        17 => {
            let regex = dice.some(&["^lab: bad <HOST>$", "^other <HOST>", "^third <ADDR>"], 1);
            vec![Step::Put("/api/v1/config/filters/lab".to_owned(), json!({"failregex": regex}))]
        }
        18 => {
            let address = format!("203.0.113.{}", 10 + dice.below(40));
            vec![Step::Say(["set", jail, "banip", &address].map(str::to_owned).to_vec())]
        }
        _ => {
            // A ban of its own length, as it can be brought about.
            let address = format!("203.0.113.{}", 60 + dice.below(40));
            let length = *dice.one(&["1209600", "-1", "5000"]);
            vec![Step::Say(["own", jail, length, &address].map(str::to_owned).to_vec())]
        }
    }
}

/// Writes to a file of the daemon that runs it, so that two daemons can have one configuration.
fn command(what: &str, rest: &str) -> String {
    format!("echo \"{what} <name> <port>{rest}\" >> DIR/actions.$PPID")
}

/// One daemon with its server, and another daemon that is started afresh from the same files again and again.
struct World {
    daemon: RealDaemon,
    fresh: RealDaemon,
    _server: Server,
    admin: Client,
    /// How many edits were taken, and how many were refused.
    taken: Cell<(usize, usize)>,
}

/// What is banned in each jail: each address with the daemon's text of its start, and with its length.
type Bans = BTreeMap<String, BTreeMap<String, (i64, i64)>>;

impl World {
    fn new() -> World {
        let daemon = RealDaemon::packaged();
        let directory = daemon.config().display().to_string();
        for name in ["one", "two", "three"] {
            let line =
                |word: &str, rest: &str| format!("action{word} = {}\n", command(&format!("{word} {name}"), rest));
            let text = format!(
                "[Definition]\n{}{}{}{}[Init]\nport = 0\n",
                line("start", ""),
                line("stop", ""),
                line("ban", " <ip>"),
                line("unban", " <ip>")
            );
            fs::write(daemon.path(&format!("action.d/{name}.conf")), text.replace("DIR", &directory)).unwrap();
        }
        fs::write(daemon.path("action.d/told.py"), PYTHON.replace("DIR", &directory)).unwrap();
        let jails = "[DEFAULT]\nbackend = polling\nbanaction = one\nbanaction_allports = one\nusedns = no\nbantime = 1h\n\
                     [sshd]\nbackend = polling\n[lab]\nenabled = true\nfilter = lab\nlogpath = DIR/lab.log\naction = two\n\
                     [web]\nenabled = true\nfilter = lab\nlogpath = DIR/slow.log\naction = %(banaction)s[port=80]\n  told.py\n";
        fs::write(daemon.path("jail.local"), jails.replace("DIR", &directory)).unwrap();
        let launch = Launch::for_real(&daemon).env("BANGUI_ALLOWED_LOG_DIRS", &directory);
        let launch = launch.env("BANGUI_ALLOW_ACTION_EDIT", "1").env("BANGUI_RATE_LIMIT_CONFIG", "0");
        let (server, admin) = launch.env("BANGUI_RATE_LIMIT", "0").start().into_ready();
        admin.post_empty("/api/v1/config/reload").expect(204);
        let log = daemon.path("slow.log");
        let mine = json!({"name": "mine", "enabled": true, "filter": "lab", "log_paths": [log], "actions": ["one"]});
        admin.post("/api/v1/config/jails", mine).expect(201);
        let fresh = RealDaemon::start();
        World { daemon, fresh, _server: server, admin, taken: Cell::default() }
    }

    fn here(&self, value: &Value) -> Value {
        let text = value.to_string().replace("DIR", &self.daemon.config().display().to_string());
        serde_json::from_str(&text).unwrap()
    }

    /// Does it, and gives the statuses. Only an answer that the program must not give is an error.
    fn act(&self, edit: &Edit) -> Result<(), String> {
        for step in edit {
            let answer = match step {
                Step::Put(target, body) => self.admin.put(target, self.here(body)),
                Step::Post(target, Value::Null) => self.admin.post_empty(target),
                Step::Post(target, body) => self.admin.post(target, self.here(body)),
                Step::Get(target) => self.admin.get(target),
                Step::Delete(target) => self.admin.delete(target),
                Step::Write(path, text) => {
                    fs::write(self.daemon.path(path), text).unwrap();
                    continue;
                }
                Step::Say(words) => {
                    self.say(words);
                    continue;
                }
            };
            let (taken, refused) = self.taken.get();
            let is_taken = answer.status < 300;
            self.taken.set((taken + usize::from(is_taken), refused + usize::from(!is_taken)));
            if !is_taken && std::env::var_os("BANGUI_SHOW_REFUSED").is_some() {
                eprintln!("{step:?}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
            }
            // What asks for what is not there, or for what is already there, is refused.
            if ![200, 201, 204, 400, 404, 409, 422].contains(&answer.status) {
                return Err(format!("{step:?}: {answer}"));
            }
            if answer.status == 409
                && !answer.to_string().contains("\"conflict\"")
                && !answer.to_string().contains("not_found")
                // A jail that an edit has switched off cannot be loaded.
                && !answer.to_string().contains("does not enable jail")
            {
                return Err(format!("{step:?}: {answer}"));
            }
        }
        Ok(())
    }

    fn say(&self, words: &[String]) {
        let mut wire = wire(&self.daemon);
        let [word, jail, rest @ ..] = words else { return };
        match (word.as_str(), rest) {
            ("own", [length, ip]) => {
                let Ok(own) = wire.ask(&["get", jail, "bantime"]) else { return };
                for value in ["50000", length] {
                    wire.call(&["set", jail, "bantime", value]).unwrap();
                    for _ in 0..2 {
                        wire.call(&["set", jail, "banip", ip]).unwrap();
                    }
                }
                wire.call(&["set", jail, "bantime", &own.shown()]).unwrap();
            }
            // The jail may not run.
            _ => drop(wire.call(&words.iter().map(String::as_str).collect::<Vec<_>>())),
        }
    }

    /// Whether everything is as after a fresh start; else what is not. `before` is what was banned before the edit, with the ban times.
    fn compare(&self, before: &(Bans, BTreeMap<String, String>)) -> Result<(), String> {
        let (main, fresh) = (&mut wire(&self.daemon), &mut wire(&self.fresh));
        self.start_afresh(fresh)?;
        let jails = names(main);
        let wanted = names(fresh);
        if jails != wanted {
            return Err(format!("runs {jails:?}, a fresh start {wanted:?}"));
        }
        for jail in &jails {
            let (is, should) = (values(main, jail), values(fresh, jail));
            if let Some((is, should)) = is.iter().zip(&should).find(|(is, should)| is != should) {
                return Err(format!("{jail} has {is}, a fresh start {should}"));
            }
            if is.len() != should.len() {
                return Err(format!("{jail} has {is:?}, a fresh start {should:?}"));
            }
        }
        self.compare_bans(main, before)?;
        let bans = bans(main);
        for (jail, bans) in &bans {
            if !bans.is_empty() {
                let words = ["set", jail, "banip"].into_iter().chain(bans.keys().map(String::as_str));
                fresh.call(&words.collect::<Vec<_>>()).map_err(|error| error.to_string())?;
            }
        }
        let until = Instant::now() + Duration::from_secs(5);
        loop {
            let (is, should) = (rules(&self.daemon, &self.daemon), rules(&self.daemon, &self.fresh));
            if is == should {
                return Ok(());
            }
            if Instant::now() > until {
                let left: Vec<_> = is.difference(&should).collect();
                let missing: Vec<_> = should.difference(&is).collect();
                return Err(format!("rules left behind: {left:?}, missing: {missing:?}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// No ban is lost, and each ends when it did. One without a length of its own follows its jail's ban time, as the daemon has it; and
    /// one that was shortened so may come back as long as it was written down.
    fn compare_bans(&self, main: &mut Wire, before: &(Bans, BTreeMap<String, String>)) -> Result<(), String> {
        let now = bans(main);
        for (jail, bans) in &before.0 {
            let Some(present) = now.get(jail) else { continue };
            let is_changed = ask(main, &["get", jail, "bantime"]) != before.1[jail];
            for (ip, (start, length)) in bans {
                let end = |start: i64, length: i64| if length < 0 { i64::MAX } else { start + length };
                let Some((new_start, new_length)) = present.get(ip) else {
                    // In a long run a ban ends by itself.
                    if end(*start, *length) <= local_now() {
                        continue;
                    }
                    return Err(format!("{jail} has lost its ban of {ip}"));
                };
                let apart = end(*start, *length).abs_diff(end(*new_start, *new_length));
                if apart > MOST_APART && !is_changed {
                    return Err(format!(
                        "{jail}: the ban of {ip} lasted {length} from {start}, now {new_length} from {new_start}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Has the other daemon start with these files, as its own client would.
    fn start_afresh(&self, fresh: &mut Wire) -> Result<(), String> {
        let output =
            Release::under_test().program("fail2ban-client").arg("-c").arg(self.daemon.config()).arg("-d").output();
        let output = output.map_err(|error| error.to_string())?;
        let stream = Stream::parse(&String::from_utf8_lossy(&output.stdout)).ok_or("no commands")?;
        // In the order of a start: every jail is made before the first one runs.
        let server = stream.of_server();
        let is_own = |command: &&Plain| !server.commands().contains(command);
        let own = stream.commands().iter().filter(is_own).cloned().collect();
        fresh.call(&["stop", "--all"]).map_err(|error| format!("a fresh daemon does not stop: {error}"))?;
        let command = Plain::List(vec![Plain::from("server-stream"), Plain::List(own)]);
        fresh.call_value(&command).map(drop).map_err(|error| {
            let log = self.fresh.log();
            let end: Vec<&str> = log.lines().rev().take(12).collect();
            format!("a fresh start fails: {error}\n{}", end.join("\n"))
        })
    }
}

fn wire(daemon: &RealDaemon) -> Wire {
    Wire::new(daemon.socket().to_owned(), Duration::from_secs(60))
}

fn ask(wire: &mut Wire, words: &[&str]) -> String {
    match wire.ask(words) {
        Ok(value) => value.shown(),
        Err(error) => error.to_string(),
    }
}

fn names(wire: &mut Wire) -> Vec<String> {
    let status = wire.ask(&["status"]).unwrap();
    let list = status.lookup("Jail list").unwrap().shown();
    let mut names: Vec<String> = list.split(", ").filter(|name| !name.is_empty()).map(str::to_owned).collect();
    names.sort();
    names
}

/// Every getter, and every command and parameter of every action.
fn values(wire: &mut Wire, jail: &str) -> Vec<String> {
    let mut all = Vec::new();
    for getter in GETTERS {
        let mut value = ask(wire, &["get", jail, getter]);
        if ["ignoreip", "logpath"].contains(&getter) {
            let mut parts: Vec<&str> = value.split(", ").collect();
            parts.sort_unstable();
            value = parts.join(", ");
        }
        all.push(format!("{getter} = {value}"));
    }
    let actions = wire.ask(&["get", jail, "actions"]).unwrap().texts().unwrap();
    all.push(format!("actions = {actions:?}"));
    for action in &actions {
        for property in wire.ask(&["get", jail, "actionproperties", action]).unwrap().texts().unwrap() {
            let value = ask(wire, &["get", jail, "action", action, &property]);
            all.push(format!("{action} {property} = {value}"));
        }
    }
    all
}

fn bans(wire: &mut Wire) -> Bans {
    let mut all = Bans::new();
    for jail in names(wire) {
        let lines = wire.ask(&["get", &jail, "banip", "--with-time"]).unwrap().texts().unwrap();
        let bans = lines.iter().map(|line| {
            let (ip, rest) = line.split_once(" \t").unwrap();
            let (start, rest) = rest.split_once(" + ").unwrap();
            let start: jiff::civil::DateTime = start.parse().unwrap();
            let start = start.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_second();
            (ip.to_owned(), (start, rest.split_once(" = ").unwrap().0.parse().unwrap()))
        });
        let bans = bans.collect();
        all.insert(jail, bans);
    }
    all
}

/// Now, in seconds of the daemon's own zone, as `bans` has them.
fn local_now() -> i64 {
    jiff::Zoned::now().datetime().to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_second()
}

/// What the commands that a daemon ran add up to.
fn rules(files: &RealDaemon, daemon: &RealDaemon) -> BTreeSet<String> {
    let pid = fs::read_to_string(daemon.path("f.pid")).unwrap();
    let text = fs::read_to_string(files.path(&format!("actions.{}", pid.trim()))).unwrap_or_default();
    let mut rules = BTreeSet::new();
    for command in text.lines() {
        let (word, rest) = command.split_once(' ').unwrap_or_default();
        match word {
            "start" | "ban" => drop(rules.insert(command.to_owned())),
            "stop" => drop(rules.remove(&format!("start {rest}"))),
            "unban" => drop(rules.remove(&format!("ban {rest}"))),
            _ => {}
        }
    }
    rules
}

/// A Python action that logs as the others do.
const PYTHON: &str = "import os
from fail2ban.server.action import ActionBase
class Told(ActionBase):
\tdef __init__(self, jail, name, port='0'):
\t\tsuper(Told, self).__init__(jail, name)
\t\tself.port = port
\tdef say(self, word, rest=''):
\t\twith open('DIR/actions.%d' % os.getpid(), 'a') as log:
\t\t\tlog.write('%s told %s %s%s\\n' % (word, self._jail.name, self.port, rest))
\tdef start(self): self.say('start')
\tdef stop(self): self.say('stop')
\tdef ban(self, info): self.say('ban', ' %s' % info['ip'])
\tdef unban(self, info): self.say('unban', ' %s' % info['ip'])
Action = Told
";

/// The first edit after which something is not as it should be, and what.
fn first_failure(edits: &[Edit]) -> Option<(usize, String)> {
    let world = World::new();
    for (number, edit) in edits.iter().enumerate() {
        let before = || {
            let mut main = wire(&world.daemon);
            let bans = bans(&mut main);
            let times = bans.keys().map(|jail| (jail.clone(), ask(&mut main, &["get", jail, "bantime"]))).collect();
            (bans, times)
        };
        // What is said to the daemon itself may make a ban longer: then it is to stay as that has left it.
        let is_said = edit.iter().all(|step| matches!(step, Step::Say(_)));
        let mut known = before();
        let done = world.act(edit);
        if is_said {
            known = before();
        }
        if let Err(what) = done.and_then(|()| world.compare(&known)) {
            return Some((number, what));
        }
    }
    let (taken, refused) = world.taken.get();
    eprintln!("random edits: {taken} requests were taken, {refused} were refused");
    assert!(edits.len() < 20 || taken > refused * 2, "most edits must be taken, or nothing is tried");
    None
}

/// Leaves out what is not needed for a failure, half of it at a time, then one by one, until time is over.
fn shrunk(mut edits: Vec<Edit>, mut what: String, until: Instant) -> (Vec<Edit>, String) {
    let mut size = edits.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at + size < edits.len() && Instant::now() < until {
            let rest: Vec<Edit> = edits[..at].iter().chain(&edits[at + size..]).cloned().collect();
            match first_failure(&rest) {
                Some((number, why)) => {
                    edits = rest[..=number].to_vec();
                    what = why;
                }
                None => at += size,
            }
        }
        size /= 2;
    }
    (edits, what)
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn after_any_edit_everything_is_as_after_a_fresh_start() {
    let seed = match std::env::var("BANGUI_SEED").as_deref() {
        Ok("time") => jiff::Timestamp::now().as_nanosecond() as u64,
        _ => number("BANGUI_SEED", SEED),
    };
    let (count, daemons) = (number("BANGUI_EDITS", 40), number("BANGUI_DAEMONS", 4).max(1));
    eprintln!("random edits: BANGUI_SEED={seed} BANGUI_EDITS={count} BANGUI_DAEMONS={daemons}");
    let started = Instant::now();
    let failures: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..daemons)
            .map(|worker| {
                scope.spawn(move || {
                    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(worker * 2 + 1) | 1);
                    let edits: Vec<Edit> = (0..count.div_ceil(daemons)).map(|_| edit(&mut dice)).collect();
                    let (number, what) = first_failure(&edits)?;
                    eprintln!("random edits: worker {worker}, edit {number}: {what}");
                    let until = Instant::now() + Duration::from_secs(120);
                    let (edits, what) = shrunk(edits[..=number].to_vec(), what, until);
                    let list: Vec<String> = edits.iter().map(|edit| format!("  {edit:?}")).collect();
                    Some(format!("{what}\nafter\n{}", list.join("\n")))
                })
            })
            .collect();
        workers.into_iter().filter_map(|worker| worker.join().expect("a worker ends")).collect()
    });
    eprintln!("random edits: {count} in {} s", started.elapsed().as_secs());
    assert!(failures.is_empty(), "BANGUI_SEED={seed} BANGUI_EDITS={count}:\n{}", failures.join("\n\n"));
}

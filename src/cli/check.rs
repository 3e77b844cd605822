//! `bangui check`: tells in plain words whether what the server needs is usable, and what to do if not.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::invocation::{Failure, Invocation};
use crate::conf::{JailView, StreamOptions, Tree, Version};
use crate::config::{Config, DEFAULT_FAIL2BAN_SOCKET};
use crate::domain::time;
use crate::fail2ban::{Client, Daemon, installed};
use crate::firewall::{Reach, Way};
use crate::jobs::expressions::Expressions;
use crate::jobs::tail::{LogFile, shown};
use crate::jobs::why::Why;
use crate::main_loop::control::{self, Order};
use crate::store::{Error, Store};

/// How long the daemon may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// One line for each thing that is needed. Fails when one is not usable.
pub fn run(invocation: &Invocation) -> Result<(), Failure> {
    let config = invocation.config()?;
    let (stored_socket, database) = check_database(&config);
    let socket = config.fail2ban_socket.clone().or(stored_socket).unwrap_or_else(|| DEFAULT_FAIL2BAN_SOCKET.into());
    let reached = check_socket(&socket);
    let is_away = reached.is_err();
    let mut results = vec![database, reached, check_directory(&config.fail2ban_config)];
    if is_away {
        results.extend(why_away(&config.fail2ban_config));
    }
    results.extend(config.blocklist_way.map(|way| check_set(way, config.blocklist_reach)));
    for result in &results {
        match result {
            Ok(line) => println!("ok       {line}"),
            Err(line) => println!("problem  {line}"),
        }
    }
    for line in costly_expressions(&config.fail2ban_config) {
        println!("warning  {line}");
    }
    let problems = results.iter().filter(|result| result.is_err()).count();
    if problems > 0 {
        return Err(Failure::failed(format!("{problems} of {} checks found a problem", results.len())));
    }
    Ok(())
}

type Line = Result<String, String>;

/// What the expressions of enabled jails can cost. A configuration that cannot be read is told of elsewhere.
fn costly_expressions(directory: &Path) -> Vec<String> {
    let version = Version::known(installed::version(Path::new("fail2ban-client")).as_deref());
    let options = StreamOptions { version, ..StreamOptions::default() };
    let views = Tree::load(directory).and_then(|tree| tree.all_jails(&options));
    let enabled = views.unwrap_or_default().into_iter().filter(|view| view.enabled);
    let told = |view: JailView| {
        let found = Expressions::of_jail(&view).warnings(None);
        found.into_iter().map(move |warning| format!("jail {}: {warning}", view.name)).collect::<Vec<_>>()
    };
    enabled.flat_map(told).collect()
}

/// Whether imported addresses can be dropped by a set of our own.
fn check_set(way: Way, reach: Reach) -> Line {
    match way.is_in_force(reach) {
        Ok(true) => Ok("blocklists: the set of imported addresses is in force".to_owned()),
        Ok(false) => Ok("blocklists: the packet filter can be changed; there is no set yet".to_owned()),
        Err(error) => Err(format!("blocklists: {error}")),
    }
}

fn check_database(config: &Config) -> (Option<std::path::PathBuf>, Line) {
    // The server that runs is asked first: opening its database waits a while for it to be closed.
    if let Some(reply) = control::ask(&config.database, &Order::IsSetUp) {
        return (None, running(&config.database, reply));
    }
    match Store::open(&config.database) {
        Ok(mut store) => {
            let stored = store.stored().unwrap_or_default();
            let state =
                if stored.password_hash.is_some() { "setup is done" } else { "setup is not done yet: bangui setup" };
            let line = match store.try_to_write(time::now()) {
                Ok(()) => Ok(format!("database {}: {state}", store.path().display())),
                Err(error) => unwritable(store.path(), &error.to_string()),
            };
            (stored.fail2ban_socket, line)
        }
        Err(Error::Locked(path)) => {
            let reply = control::ask(&path, &Order::IsSetUp);
            (None, reply.map_or_else(|| Err(Error::Locked(path.clone()).to_string()), |reply| running(&path, reply)))
        }
        Err(error) => (None, Err(error.to_string())),
    }
}

/// What the server that has the database open says of it.
fn running(path: &Path, is_set_up: control::Reply) -> Line {
    if let Some(Err(problem)) = control::ask(path, &Order::TakesWrites) {
        return unwritable(path, &problem);
    }
    let state = match is_set_up? {
        Value::Bool(true) => "setup is done",
        _ => "setup is not done yet: bangui setup",
    };
    Ok(format!("database {}: in use by the running server, {state}", path.display()))
}

/// Nothing is noted of what is done meanwhile.
fn unwritable(path: &Path, problem: &str) -> Line {
    Err(format!(
        "database {}: it takes no writes: {problem}. Make room on its disk, or have it writable again; bans can be lifted meanwhile",
        path.display()
    ))
}

fn check_socket(socket: &Path) -> Line {
    let mut daemon = Daemon::new(Client::new(socket.to_owned(), PATIENCE));
    let version = daemon.version().map_err(|error| error.to_string())?;
    let jails = daemon.jail_names().map_err(|error| error.to_string())?;
    Ok(format!("fail2ban {} answers at {} and runs {} jails", version.as_str(), socket.display(), jails.len()))
}

/// What keeps a daemon that is away from starting, a line each.
fn why_away(directory: &Path) -> Vec<Line> {
    let target = Tree::load(directory).ok().and_then(|tree| tree.server_option("logtarget"));
    let log = target.map(PathBuf::from).filter(|path| path.is_absolute()).map(|path| LogFile {
        allowed: path.parent().map(Path::to_owned).into_iter().collect(),
        path: path.canonicalize().unwrap_or(path),
    });
    let found = Why { config_dir: directory.to_owned(), log }.look();
    let problems = found.problems.iter().map(|problem| Err(format!("fail2ban would not start: {problem}")));
    let errors = found.log_errors.iter().map(|line| Err(format!("fail2ban's log: {}", shown(line))));
    problems.chain(errors).collect()
}

fn check_directory(directory: &Path) -> Line {
    let shown = directory.display();
    for name in ["jail.conf", "filter.d", "action.d"] {
        let path = directory.join(name);
        if let Err(error) = std::fs::metadata(&path) {
            return Err(format!(
                "configuration {shown}: {name}: {error}; name fail2ban's directory with --fail2ban-config, or install fail2ban"
            ));
        }
    }
    let path = std::ffi::CString::new(directory.as_os_str().as_encoded_bytes()).map_err(|error| error.to_string())?;
    // SAFETY: the text ends in NUL and outlives the call.
    let writable = unsafe { libc::access(path.as_ptr(), libc::W_OK) } == 0;
    let rights = if writable { "can be changed" } else { "can be read, not changed: run as root to edit it" };
    Ok(format!("configuration {shown} {rights}"))
}

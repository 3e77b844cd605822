//! The command stream: what fail2ban's client would send to the daemon for a configuration, command by command.
//!
//! It equals the output of `fail2ban-client -d`. Sending it is the business of others.

use std::path::Path;
use std::rc::Rc;

use super::config::Config;
use super::definition::{FILTER_OPTIONS, Known, Type, known, known_options};
use super::error::Error;
use super::glob::{glob, is_pattern};
use super::jail::{Action, JAIL_OPTIONS, Jail, jail};
use super::layers::{Layers, Loader, Warning};
use super::ordered::Ordered;
use super::params::{shell_words, words, words_of_old};
use super::value::{Command, Value};
use super::version::Version;
use crate::domain::digits::in_ascii;

/// What a stream is computed for.
#[derive(Clone, Debug)]
pub struct StreamOptions {
    /// The daemon that is to understand it.
    pub version: Version,
    /// Whether a jail may be left without any log file. A dump allows it; a start or a reload refuses it.
    pub allow_missing_logs: bool,
    /// Compute this jail only, even of a configuration with others.
    pub only: Option<String>,
}

impl Default for StreamOptions {
    fn default() -> Self {
        StreamOptions { version: Version::default(), allow_missing_logs: true, only: None }
    }
}

/// A command stream with what is known about it.
#[derive(Debug, Default)]
pub struct Stream {
    /// The commands, in order.
    pub commands: Vec<Command>,
    /// The jails it starts.
    pub jails: Vec<Rc<str>>,
    /// The jails that are enabled but skipped, each with fail2ban's reason.
    pub skipped: Vec<(Rc<str>, String)>,
    /// The jails that are enabled and left out on purpose, since they have no log file and say so (`skip_if_nologs`).
    pub without_logs: Vec<Rc<str>>,
    /// What fail2ban would only log.
    pub warnings: Vec<Warning>,
}

impl Stream {
    /// Whether fail2ban's client calls the configuration usable: when every enabled jail is skipped, it does not.
    pub fn is_usable(&self) -> bool {
        self.skipped.is_empty() || !self.jails.is_empty() || !self.without_logs.is_empty()
    }
}

const fn or(kind: Type, name: &'static str, default: &'static str) -> Known {
    Known { kind, name, default: Some(default) }
}

/// Options of the server with their place in the stream.
const SERVER_OPTIONS: [Known; 7] = [
    or(Type::Text, "syslogsocket", "auto"),
    or(Type::Text, "loglevel", "INFO"),
    // The client asks for the target itself, earlier and with this default.
    or(Type::Text, "logtarget", "/var/log/fail2ban.log"),
    or(Type::Text, "allowipv6", "auto"),
    or(Type::Text, "dbfile", "/var/lib/fail2ban/fail2ban.sqlite3"),
    known(Type::Int, "dbmaxmatches"),
    or(Type::Text, "dbpurgeage", "1d"),
];

/// An option of the server as the files have it, or fail2ban's own default; `None` where there is neither, or it cannot be computed.
pub(super) fn server_option(main: Option<&Layers>, key: &'static str) -> Option<String> {
    let empty = Config::default();
    let config = main.map_or(&empty, |layers| &layers.config);
    let places = [or(Type::Text, "socket", ""), or(Type::Text, "pidfile", "/var/run/fail2ban/fail2ban.pid")];
    let asked: Vec<Known> = SERVER_OPTIONS.into_iter().chain(places).filter(|known| known.name == key).collect();
    let options = known_options(config, "Definition", &asked).ok()?;
    let text = options.get(key)?.to_text().into_owned();
    (!text.is_empty()).then_some(text)
}

/// The commands that set up the server itself.
pub(super) fn server_commands(main: Option<&Layers>, version: &Version) -> Result<Vec<Command>, Error> {
    let empty = Config::default();
    let config = main.map_or(&empty, |layers| &layers.config);
    // The client expands these two as well, so a bad value there refuses everything.
    let early = [or(Type::Text, "socket", ""), or(Type::Text, "pidfile", "")];
    known_options(config, "Definition", &early)?;
    let options = known_options(config, "Definition", &SERVER_OPTIONS)?;
    let level = options.get("loglevel").map(Value::to_text).unwrap_or_default();
    if !is_log_level(&level) {
        return Err(Error::Definition {
            jail: None,
            subject: "fail2ban.conf".to_owned(),
            message: format!("'{level}' is no log level; use CRITICAL, ERROR, WARNING, NOTICE, INFO or DEBUG"),
        });
    }
    let mut commands = Vec::new();
    if config.sections.contains("Thread") {
        let thread = known_options(config, "Thread", &[known(Type::Int, "stacksize")])?;
        let thread = thread.iter().map(|(key, value)| (key.to_string(), value.clone()));
        let thread: Vec<(String, Value)> = thread.collect();
        if !thread.is_empty() {
            commands.push(vec!["set".into(), "thread".into(), Value::Map(thread)]);
        }
    }
    for (key, value) in options.iter() {
        if &**key != "allowipv6" || version.has_allowipv6() {
            commands.push(vec!["set".into(), Value::Str(key.clone()), value.clone()]);
        }
    }
    Ok(commands)
}

fn is_log_level(level: &str) -> bool {
    let names = [
        "CRITICAL",
        "FATAL",
        "ERROR",
        "WARNING",
        "WARN",
        "NOTICE",
        "MSG",
        "INFO",
        "DEBUG",
        "TRACEDEBUG",
        "HEAVYDEBUG",
        "NOTSET",
    ];
    let number = !level.is_empty() && in_ascii(level).bytes().all(|byte| byte.is_ascii_digit());
    number || names.contains(&level.to_uppercase().as_str())
}

/// Computes the whole stream.
pub(super) fn stream(
    loader: &mut Loader,
    main: Option<&Layers>,
    jails: &Config,
    options: &StreamOptions,
) -> Result<Stream, Error> {
    let mut stream = Stream { commands: server_commands(main, &options.version)?, ..Stream::default() };
    let mut config = jails.clone();
    add_defaults(&mut config, loader.base(), &options.version);
    let names: Vec<Rc<str>> = match &options.only {
        Some(name) if config.sections.contains(name) => vec![name.as_str().into()],
        Some(name) => {
            return Err(Error::Missing { kind: "jail", name: name.clone() });
        }
        None => jail_names(&config),
    };
    for name in &names {
        let Some(mut jail) = jail(loader, &mut config, name, &options.version, false)? else {
            continue;
        };
        let is_wrong = jail.skipped.is_some();
        let commands = jail_commands(&mut jail, options, &mut stream.warnings)?;
        stream.commands.extend(commands);
        match jail.skipped {
            Some(reason) if is_wrong => stream.skipped.push((jail.name, reason)),
            Some(_) => stream.without_logs.push(jail.name),
            None => stream.jails.push(jail.name),
        }
    }
    for name in &stream.jails {
        let start = vec!["start".into(), Value::Str(name.clone())];
        stream.commands.push(start);
    }
    Ok(stream)
}

/// The names of all sections that fail2ban takes for jails.
pub(super) fn jail_names(config: &Config) -> Vec<Rc<str>> {
    let names = config.sections.keys();
    let names = names.filter(|name| !name.starts_with("KNOWN/") && &***name != "INCLUDES");
    names.cloned().collect()
}

/// Adds the two defaults that fail2ban itself supplies to jails.
pub(super) fn add_defaults(config: &mut Config, base: &str, version: &Version) {
    let known = [("fail2ban_version", version.text()), ("fail2ban_confpath", base)];
    for (key, value) in known.into_iter().take(if version.knows_its_directory() { 2 } else { 1 }) {
        let value = Value::from(value);
        let origin = None;
        config.defaults.insert(key, super::config::Entry { value, origin });
    }
}

/// The commands of one jail, but for its start. A jail that is left out for want of log files is marked as skipped.
pub(super) fn jail_commands(
    jail: &mut Jail,
    options: &StreamOptions,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Command>, Error> {
    let name = Value::Str(jail.name.clone());
    if let Some(reason) = &jail.skipped {
        let message = format!("Jail '{}' skipped, because of wrong configuration: {reason}", jail.name);
        return Ok(vec![vec!["config-error".into(), message.into()]]);
    }
    let mut commands = Vec::new();
    if let Some(filter) = &mut jail.filter {
        let combined = filter.combined(&[])?;
        filter_commands(&mut commands, &name, &combined, &options.version)?;
    }
    filter_commands(&mut commands, &name, &jail.options, &options.version)?;
    let mut backend = jail.options.get("backend").cloned().unwrap_or(Value::None);
    let mut paths = Vec::new();
    for option in JAIL_OPTIONS.iter().filter(|option| !is_of_filter(option.name)) {
        let Some(value) = jail.options.get(option.name) else {
            continue;
        };
        match option.name {
            "logpath" => match logs(jail, &value.to_text(), options, warnings)? {
                Logs::Files(commands) => paths = commands,
                Logs::Journal => backend = "systemd".into(),
                Logs::Skip => {
                    let message = format!("Jail '{}' skipped, because of missing log files.", jail.name);
                    jail.skipped = Some("none of its log files exists, and skip_if_nologs is set".to_owned());
                    return Ok(vec![vec!["config-error".into(), message.into()]]);
                }
            },
            "ignoreip" => {
                let text = value.to_text();
                let mut command = vec!["set".into(), name.clone(), "addignoreip".into()];
                let entries = if options.version.divides_at_any_space() { words(&text) } else { words_of_old(&text) };
                command.extend(entries.into_iter().map(Value::from));
                commands.push(command);
            }
            "enabled" | "backend" | "filter" | "action" | "skip_if_nologs" | "systemd_if_nologs" => {}
            other => commands.push(vec!["set".into(), name.clone(), other.into(), value.clone()]),
        }
    }
    commands.extend(paths);
    for action in &mut jail.actions {
        commands.extend(action_commands(&name, action)?);
    }
    commands.insert(0, vec!["add".into(), name, backend]);
    Ok(commands)
}

/// Whether an option of a jail is one that its filter has, too, and that [`filter_commands`] sends.
fn is_of_filter(option: &str) -> bool {
    FILTER_OPTIONS.iter().any(|known| known.name == option)
}

/// Adds the commands for the options of a filter. A jail that overrides some of them goes through this a second time,
/// with its own options.
fn filter_commands(
    commands: &mut Vec<Command>,
    jail: &Value,
    options: &Ordered<Value>,
    version: &Version,
) -> Result<(), Error> {
    let set = |key: &str, value: Value| vec!["set".into(), jail.clone(), key.into(), value];
    // These come before everything else, in the order in which they occur.
    let mut first = 0;
    for (key, value) in options.iter() {
        let is_list = matches!(&**key, "failregex" | "ignoreregex" | "journalmatch");
        if *value == Value::None && (is_list || version.passes_over_no_value()) {
            continue;
        }
        match &**key {
            "failregex" | "ignoreregex" => {
                let text = value.to_text();
                let lines: Vec<Value> = text.split('\n').filter(|line| !line.is_empty()).map(Value::from).collect();
                let key = format!("add{key}");
                match lines.len() {
                    0 => {}
                    1 => commands.extend(lines.into_iter().map(|line| set(&key, line))),
                    _ => commands.push(vec!["multi-set".into(), jail.clone(), key.into(), Value::List(lines)]),
                }
            }
            "usedns" | "maxlines" | "prefregex" => {
                let place = if &**key == "usedns" { 0 } else { first };
                commands.insert(place, set(key, value.clone()));
                first += 1;
            }
            "journalmatch" => {
                for line in value.to_text().split('\n').filter(|line| !line.is_empty()) {
                    let parts = shell_words(line).map_err(|reason| Error::Definition {
                        jail: Some(jail.to_text().into_owned()),
                        subject: "journalmatch".to_owned(),
                        message: format!("{reason} in \"{line}\""),
                    })?;
                    let mut command = vec!["set".into(), jail.clone(), "addjournalmatch".into()];
                    command.extend(parts.into_iter().map(Value::from));
                    commands.push(command);
                }
            }
            "datepattern" => commands.push(set(key, value.clone())),
            // It once compared so that any part of the word was taken for it, such as a parameter "date".
            key if version.takes_parts_of_datepattern() && "datepattern".contains(key) => {
                commands.push(set(key, value.clone()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What is watched for a jail.
enum Logs {
    /// The files that these commands add.
    Files(Vec<Command>),
    /// The journal, for want of files.
    Journal,
    /// Nothing: the jail says that it does without then.
    Skip,
}

/// The log files which exist now, or what comes instead.
fn logs(jail: &Jail, value: &str, options: &StreamOptions, warnings: &mut Vec<Warning>) -> Result<Logs, Error> {
    let backend = jail.options.get("backend").map(Value::to_text).unwrap_or_default();
    if backend.starts_with("systemd") {
        return Ok(Logs::Files(Vec::new()));
    }
    let commands = log_commands(jail, value, warnings)?;
    if !commands.is_empty() {
        return Ok(Logs::Files(commands));
    }
    if options.version.may_do_without_logs() {
        let is_on = |option: &str| jail.options.get(option) == Some(&Value::Bool(true));
        let has_match = jail.options.get("journalmatch").is_some_and(|value| *value != Value::None);
        if backend.starts_with("auto") && is_on("systemd_if_nologs") && has_match {
            return Ok(Logs::Journal);
        }
        if is_on("skip_if_nologs") {
            return Ok(Logs::Skip);
        }
    }
    if !options.allow_missing_logs {
        return Err(Error::Definition {
            jail: Some(jail.name.to_string()),
            subject: String::new(),
            message: match value.trim() {
                "" => "it names no log file; set logpath".to_owned(),
                files => format!(
                    "none of its log files exists: {}; create one, or set logpath to another",
                    files.replace('\n', ", ")
                ),
            },
        });
    }
    warnings.push(Warning {
        subject: format!("jail '{}'", jail.name),
        message: "none of its log files exists, so fail2ban would refuse to start".to_owned(),
    });
    Ok(Logs::Files(commands))
}

/// The commands that add the log files which exist now.
fn log_commands(jail: &Jail, value: &str, warnings: &mut Vec<Warning>) -> Result<Vec<Command>, Error> {
    let mut commands = Vec::new();
    for line in value.split('\n') {
        let (pattern, position) = line.rsplit_once(' ').unwrap_or((line, "head"));
        if pattern.contains('\0') && is_pattern(pattern) {
            return Err(Error::Definition {
                jail: Some(jail.name.to_string()),
                subject: String::new(),
                message: "logpath holds a NUL character".to_owned(),
            });
        }
        for path in glob(pattern) {
            if Path::new(&path).exists() {
                commands.push(vec![
                    "set".into(),
                    Value::Str(jail.name.clone()),
                    "addlogpath".into(),
                    path.into(),
                    position.into(),
                ]);
            } else {
                warnings
                    .push(Warning { subject: path, message: "is a dangling link and cannot be watched".to_owned() });
            }
        }
    }
    Ok(commands)
}

/// The files that exist now of those that lines of `logpath` name, each with whether it is read from its end.
pub fn log_files(lines: &[String]) -> Vec<(String, bool)> {
    let mut files: Vec<(String, bool)> = Vec::new();
    for line in lines {
        let (pattern, position) = line.rsplit_once(' ').unwrap_or((line, "head"));
        // One that is named as it is and does not exist is for the daemon to refuse.
        let found = if is_pattern(pattern) { glob(pattern) } else { vec![pattern.to_owned()] };
        let is_new = |path: &String| !files.iter().any(|(known, _)| known == path);
        let found: Vec<_> = found.into_iter().filter(is_new).map(|path| (path, position == "tail")).collect();
        files.extend(found);
    }
    files
}

/// The commands of one action.
fn action_commands(jail: &Value, action: &mut Action) -> Result<Vec<Command>, Error> {
    let (name, definition) = match action {
        Action::Python(command) => return Ok(vec![command.clone()]),
        Action::Shell { name, definition } => (Value::text(name.as_str()), definition),
    };
    let ignore = ["matches", "ipmatches", "ipjailmatches", "timeout", "bantime"];
    let options = definition.combined(&ignore)?;
    let is_known = |key: &str| definition.known().iter().any(|option| option.name == key);
    let mut properties: Vec<Vec<Value>> = Vec::new();
    for (key, value) in options.iter().filter(|(key, _)| is_known(key)) {
        properties.push(vec![Value::Str(key.clone()), value.clone()]);
    }
    // Parameters go out as they were given: their tags are the daemon's to replace.
    for (key, value) in definition.parameters.iter() {
        if !is_known(key) && !key.starts_with("known/") {
            properties.push(vec![Value::Str(key.clone()), value.clone()]);
        }
    }
    let mut commands = vec![vec!["set".into(), jail.clone(), "addaction".into(), name.clone()]];
    let mut head = vec![Value::from("set"), jail.clone(), "action".into(), name];
    if properties.len() > 1 {
        head[0] = "multi-set".into();
        head.push(Value::List(properties.into_iter().map(Value::List).collect()));
        commands.push(head);
    } else if let Some(property) = properties.into_iter().next() {
        head.extend(property);
        commands.push(head);
    }
    Ok(commands)
}

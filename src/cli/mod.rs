//! Commands of the program, one file each, and the reading of the command line.

pub mod check;
pub mod dump_config;
pub mod geo_update;
pub mod job;
pub mod remove_set;
pub mod serve;
pub mod set_password;
pub mod setup;
pub mod test_filter;
pub mod unlock;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead, IsTerminal, Read};
use std::path::{Path, PathBuf};

use lexopt::Arg;

use crate::config::{Config, SETTINGS};
use crate::jobs::password::{Hash, secret_form};
use crate::services::setup::{PASSWORD_RULE, is_good_password};

/// A failure of a command: one line for people, and the exit code.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit code: 2 for a wrong command line or setting, 1 for the rest.
    pub code: u8,
    /// What happened and what to do.
    pub line: String,
}

impl Failure {
    /// The command line or a setting is wrong.
    pub fn usage(line: impl Into<String>) -> Self {
        Self { code: 2, line: line.into() }
    }

    /// The command could not do its work.
    pub fn failed(line: impl Into<String>) -> Self {
        Self { code: 1, line: line.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

/// A command, its line of help, and what runs it.
pub struct Command {
    /// Its name on the command line.
    pub name: &'static str,
    /// One line of help.
    pub help: &'static str,
    /// Options of its own: name and whether a value follows.
    pub options: &'static [(&'static str, bool)],
    /// Whether it takes further arguments.
    pub arguments: bool,
    /// Runs it.
    pub run: fn(&Invocation) -> Result<(), Failure>,
}

/// Every command there is, in the order of the help.
pub const COMMANDS: &[Command] = &[
    Command { name: "serve", help: "run the server (the default)", options: &[], arguments: false, run: serve::run },
    Command {
        name: "check",
        help: "tell whether socket, database and configuration directory are usable",
        options: &[],
        arguments: false,
        run: check::run,
    },
    Command {
        name: "setup",
        help: "set the master password of a new installation",
        options: &[("password-file", true)],
        arguments: false,
        run: setup::run,
    },
    Command {
        name: "set-password",
        help: "replace the master password; ends all sessions",
        options: &[("password-file", true)],
        arguments: false,
        run: set_password::run,
    },
    Command {
        name: "unlock",
        help: "lift every lock on logins that failed passwords have led to",
        options: &[],
        arguments: false,
        run: unlock::run,
    },
    Command {
        name: "geo",
        help: "geo update: fetch a country database and put it where the server looks",
        options: &[],
        arguments: true,
        run: geo_update::run,
    },
    Command {
        name: "remove-set",
        help: "take the set of imported addresses out of the packet filter",
        options: &[],
        arguments: false,
        run: remove_set::run,
    },
    Command {
        name: "dump-config",
        help: "print the commands fail2ban's files come to, one a line as JSON",
        options: &[("as-version", true)],
        arguments: false,
        run: |invocation| {
            let config = invocation.config()?;
            // fail2ban does not make the directory absolute, and some values are made of its name.
            let directory = invocation.setting("fail2ban-config").map_or(config.fail2ban_config, PathBuf::from);
            dump_config::run(&directory, invocation.option("as-version"), &mut std::io::stdout().lock())
                .map_err(|error| Failure::failed(error.to_string()))
        },
    },
    Command {
        name: "test-filter",
        help: "tell what a filter makes of each line of a log: NAME[options] FILE|-",
        options: &[("json", false), ("as-version", true), ("log-timezone", true), ("find-time", true)],
        arguments: true,
        run: test_filter::command,
    },
];

/// A command line, read.
#[derive(Debug, Default)]
pub struct Invocation {
    /// `--config`.
    config_file: Option<PathBuf>,
    /// Options of settings: name and value.
    settings: Vec<(String, String)>,
    /// Options of the command: name and value, empty where it takes none.
    options: Vec<(String, String)>,
    /// Arguments behind the command.
    pub arguments: Vec<String>,
}

impl Invocation {
    /// The value of an option of the command.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The value of a setting as the command line has it.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All settings together.
    pub fn config(&self) -> Result<Config, Failure> {
        let environment: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        // SAFETY: geteuid takes nothing, touches no memory and cannot fail.
        let is_root = unsafe { libc::geteuid() } == 0;
        let text = |name: &str| environment.get(name).map(String::as_str);
        let defaults = Config::defaults(is_root, text("HOME"), text("XDG_DATA_HOME"));
        Config::load(defaults, self.config_file.as_deref(), &environment, &self.settings).map_err(Failure::usage)
    }

    /// The hash of a new master password, which must follow the rule.
    pub fn new_password_hash(&self) -> Result<String, Failure> {
        let password = self.password()?;
        if !is_good_password(&password) {
            return Err(Failure::failed(format!("this password is not allowed. {PASSWORD_RULE}")));
        }
        Hash { secret: secret_form(&password) }.run().map_err(|error| Failure::failed(error.to_string()))
    }

    /// A password, from `--password-file` or standard input: its first line.
    fn password(&self) -> Result<String, Failure> {
        let text = match self.option("password-file").filter(|path| *path != "-") {
            Some(path) => {
                read_limited(&mut std::fs::File::open(path).map_err(|error| cannot_read(Path::new(path), &error))?)
            }
            None => {
                let _hidden = std::io::stdin().is_terminal().then(HiddenInput::start);
                // The first line only: a person at a terminal need not end the input.
                let mut line = String::new();
                std::io::stdin().lock().take(4096).read_line(&mut line).map(|_| line)
            }
        };
        let text = text.map_err(|error| Failure::failed(format!("cannot read the password: {error}")))?;
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }
}

/// While it lives, what is typed at the terminal is not shown.
struct HiddenInput(Option<libc::termios>);

impl HiddenInput {
    fn start() -> Self {
        eprint!("Master password: ");
        // SAFETY: a termios is plain data for which all zeros is a value; the calls read and write that one structure.
        unsafe {
            let mut before: libc::termios = std::mem::zeroed();
            if libc::tcgetattr(0, &mut before) != 0 {
                return Self(None);
            }
            let mut hidden = before;
            hidden.c_lflag &= !libc::ECHO;
            libc::tcsetattr(0, libc::TCSANOW, &hidden);
            Self(Some(before))
        }
    }
}

impl Drop for HiddenInput {
    fn drop(&mut self) {
        eprintln!();
        if let Some(before) = &self.0 {
            // SAFETY: the structure was filled by tcgetattr.
            unsafe { libc::tcsetattr(0, libc::TCSANOW, before) };
        }
    }
}

fn read_limited(file: &mut std::fs::File) -> std::io::Result<String> {
    let mut text = String::new();
    file.take(4096).read_to_string(&mut text)?;
    Ok(text)
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("cannot read {}: {error}", path.display()))
}

/// A write beyond the limit of a file's size (`ulimit -f`) is an error like that of a full disk, not the end of the program. A handler and
/// not `SIG_IGN`, because programs that are started would inherit that.
fn outlive_file_limit() {
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: the handler does nothing, which is safe at any instant.
    unsafe { libc::signal(libc::SIGXFSZ, nothing as extern "C" fn(libc::c_int) as libc::sighandler_t) };
}

/// Reads the command line and runs the command. `arguments` are without the program's name.
pub fn run(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<(), Failure> {
    outlive_file_limit();
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut invocation = Invocation::default();
    let mut command: Option<&Command> = None;
    let wrong = |error: lexopt::Error| Failure::usage(format!("{error}; see bangui --help"));
    while let Some(argument) = parser.next().map_err(wrong)? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return print(&help()),
            Arg::Short('V') | Arg::Long("version") => return print(&format!("bangui {}\n", env!("CARGO_PKG_VERSION"))),
            Arg::Long("config") => invocation.config_file = Some(parser.value().map_err(wrong)?.into()),
            Arg::Long(name) => {
                let name = name.to_owned();
                let own = command.and_then(|command| command.options.iter().find(|(own, _)| *own == name));
                if let Some((_, has_value)) = own {
                    let value = if *has_value { text(parser.value().map_err(wrong)?)? } else { String::new() };
                    invocation.options.push((name, value));
                } else if SETTINGS.iter().any(|setting| setting.option == Some(&name)) {
                    let value = text(parser.value().map_err(wrong)?)?;
                    invocation.settings.push((name, value));
                } else {
                    return Err(Failure::usage(format!("unknown option --{name}; see bangui --help")));
                }
            }
            Arg::Short(letter) => return Err(Failure::usage(format!("unknown option -{letter}; see bangui --help"))),
            Arg::Value(value) => {
                let value = text(value)?;
                match command {
                    None if value == "job" => return job::run(),
                    None => command = Some(named(&value)?),
                    Some(command) if command.arguments => invocation.arguments.push(value),
                    Some(_) => return Err(Failure::usage(format!("unexpected argument {value:?}; see bangui --help"))),
                }
            }
        }
    }
    (command.unwrap_or(&COMMANDS[0]).run)(&invocation)
}

fn named(name: &str) -> Result<&'static Command, Failure> {
    let found = COMMANDS.iter().find(|command| command.name == name);
    found.ok_or_else(|| Failure::usage(format!("unknown command {name:?}; see bangui --help")))
}

fn text(value: std::ffi::OsString) -> Result<String, Failure> {
    value.into_string().map_err(|value| Failure::usage(format!("{value:?} is not valid text")))
}

fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    // A reader that left early, such as `head`, has seen enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}

/// The help, made from the tables of commands and settings.
fn help() -> String {
    let mut out =
        String::from("bangui - the BanGUI API for fail2ban\n\nUsage: bangui [COMMAND] [OPTIONS]\n\nCommands:\n");
    for command in COMMANDS {
        out += &format!("  {:<14} {}\n", command.name, command.help);
    }
    out += "\nOptions:\n";
    for setting in SETTINGS {
        if let Some(option) = setting.option {
            out += &format!("  --{:<27} {}\n", format!("{option} {}", setting.value), setting.help);
        }
    }
    out += "  --config FILE                 settings from a file: key = value lines\n";
    out += "  --password-file FILE          setup and set-password: the password is its first line (standard input)\n";
    out += "  --as-version VERSION          dump-config, test-filter: as this fail2ban, such as 1.1.0 (the installed one)\n";
    out +=
        "  --log-timezone ZONE           test-filter: zone of dates that name none, such as UTC+0200 (the machine's)\n";
    out += "  --find-time TIME              test-filter: lines older than this are said to be (10m)\n";
    out += "  --json                        test-filter: an object per line instead of a summary\n";
    out += "  --version, --help\n\nEnvironment (arguments win; in a file the key is the name in lower case without BANGUI_):\n";
    for setting in SETTINGS {
        out += &format!("  {:<33} {}\n", setting.variable, setting.help);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(arguments: &[&str]) -> Failure {
        run(arguments.iter().map(std::ffi::OsString::from)).unwrap_err()
    }

    #[test]
    fn wrong_command_lines_are_one_line_and_code_2() {
        for arguments in [
            &["nonsense"][..],
            &["--nonsense"],
            &["-x"],
            &["check", "extra"],
            &["--listen"],
            &["check", "--listen", "nowhere"],
            &["check", "--config", "/nonexistent/file"],
        ] {
            let failure = fails(arguments);
            assert_eq!(failure.code, 2, "{failure}");
            assert!(!failure.line.contains('\n'), "{failure}");
        }
    }

    #[test]
    fn the_help_names_every_option_variable_and_command() {
        let help = help();
        for setting in SETTINGS {
            assert!(help.contains(setting.variable));
            assert!(setting.option.is_none_or(|option| help.contains(&format!("--{option}"))));
        }
        assert!(COMMANDS.iter().all(|command| help.contains(command.name)));
    }
}

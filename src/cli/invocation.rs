//! A command line as its command sees it: options, settings, a password; and a failure as its caller sees it.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead, IsTerminal, Read};
use std::path::{Path, PathBuf};

use crate::config::Config;
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

/// A command, as the help, the manual and the completions of shells show it, and what runs it.
pub struct Command {
    /// Its name on the command line.
    pub name: &'static str,
    /// What may follow it, as the help writes it; empty where nothing may.
    pub arguments: &'static str,
    /// One line of help.
    pub help: &'static str,
    /// Options of its own.
    pub options: &'static [Choice],
    /// Runs it.
    pub run: fn(&Invocation) -> Result<(), Failure>,
}

/// An option of a command.
pub struct Choice {
    /// Its name, without the dashes.
    pub name: &'static str,
    /// The placeholder of its value; empty where it takes none.
    pub value: &'static str,
    /// One line of help.
    pub help: &'static str,
}

/// An option of a command.
pub(super) const fn choice(name: &'static str, value: &'static str, help: &'static str) -> Choice {
    Choice { name, value, help }
}

/// A command line, read.
#[derive(Default)]
pub struct Invocation {
    /// Every command there is, for the help.
    pub(super) commands: &'static [Command],
    /// `--config`.
    pub(super) config_file: Option<PathBuf>,
    /// Options of settings: name and value.
    pub(super) settings: Vec<(String, String)>,
    /// Options of the command: name and value, empty where it takes none.
    pub(super) options: Vec<(String, String)>,
    /// Arguments behind the command.
    pub arguments: Vec<String>,
}

impl Invocation {
    /// The value of an option of the command.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether nothing was said at all.
    pub(super) fn is_empty(&self) -> bool {
        self.config_file.is_none() && self.settings.is_empty() && self.options.is_empty()
    }

    /// Whether the answer is wanted as JSON.
    pub fn is_json(&self) -> bool {
        self.option("json").is_some()
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

    /// A new password, which must follow the rule.
    pub fn new_password(&self) -> Result<String, Failure> {
        let password = self.password()?;
        if is_good_password(&password) {
            return Ok(password);
        }
        Err(Failure::failed(format!("this password is not allowed. {PASSWORD_RULE}")))
    }

    /// The hash of a new master password, which must follow the rule.
    pub fn new_password_hash(&self) -> Result<String, Failure> {
        let password = self.new_password()?;
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
        eprint!("Password: ");
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

pub(super) fn cannot_read(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("cannot read {}: {error}", path.display()))
}

//! Commands of the program, one file each, and the reading of the command line.

pub mod check;
pub mod dump_config;
pub mod geo_update;
mod invocation;
pub mod job;
pub mod remove_set;
pub mod serve;
pub mod set_password;
pub mod setup;
pub mod test_filter;
pub mod unlock;

use std::path::PathBuf;

use lexopt::Arg;

pub use self::invocation::{Failure, Invocation};
use crate::config::SETTINGS;

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

//! Commands of the program, one table for all of them, and the reading of the command line.

mod access;
mod ask;
mod bans;
mod changes;
pub mod check;
pub mod dump_config;
mod failing;
pub mod geo_update;
mod help;
mod invocation;
pub mod job;
mod never_ban;
mod on_database;
mod past;
mod pause;
mod protection;
mod prove;
pub mod remove_set;
pub mod serve;
pub mod set_password;
pub mod setup;
mod setup_link;
mod show;
mod status;
mod table;
pub mod test_filter;
pub mod totp;
pub mod unlock;

use lexopt::Arg;

use self::invocation::{Choice, choice};
pub use self::invocation::{Command, Failure, Invocation};
use crate::config::SETTINGS;

const JSON: Choice = choice("json", "", "one JSON document, with the fields of the API");
const SERVER: Choice = choice("server", "URL", "ask another machine's bangui; needs --token");
const TOKEN: Choice = choice("token", "FILE", "a file whose first line is a token of that server");
const PASSWORD_FILE: Choice = choice("password-file", "FILE", "the password is its first line (standard input)");
const AS_VERSION: Choice = choice("as-version", "VERSION", "as this fail2ban, such as 1.1.0 (the installed one)");

/// Every command there is, in the order of the help.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "status",
        arguments: "",
        help: "whether fail2ban answers, and how its jails are",
        options: &[JSON, SERVER, TOKEN],
        run: status::status,
    },
    Command {
        name: "jails",
        arguments: "[NAME]",
        help: "the jails that run, or one of them with all its values",
        options: &[JSON, SERVER, TOKEN],
        run: status::jails,
    },
    Command {
        name: "protection",
        arguments: "[JAIL]",
        help: "whether this machine is protected, or each step of one jail; exit code 1 where something is wrong",
        options: &[JSON, SERVER, TOKEN],
        run: protection::run,
    },
    Command {
        name: "prove",
        arguments: "JAIL",
        help: "ban an address that nobody has, see whether it is kept out, and lift it; exit code 1 where it is not",
        options: &[choice("dry-run", "", "only say which actions would run"), JSON, SERVER, TOKEN],
        run: prove::run,
    },
    Command {
        name: "bans",
        arguments: "[JAIL]",
        help: "who is banned now",
        options: &[JSON, SERVER, TOKEN],
        run: bans::list,
    },
    Command {
        name: "failing",
        arguments: "[JAIL]",
        help: "who is failing now, and how many more times until a ban",
        options: &[JSON, SERVER, TOKEN],
        run: failing::list,
    },
    Command {
        name: "ban",
        arguments: "ADDRESS...|-",
        help: "ban addresses or networks; - reads a list",
        options: &[
            choice("jail", "NAME", "in this jail (the only one there is)"),
            choice("for", "TIME", "as long as this: 10m, 3d, 4w, or -1 for ever (the jail's ban time)"),
            choice("note", "TEXT", "why, for whoever asks later"),
            choice("force", "", "also what would lock you or this machine out"),
            JSON,
            SERVER,
            TOKEN,
        ],
        run: bans::ban,
    },
    Command {
        name: "unban",
        arguments: "[ADDRESS...|-]",
        help: "let addresses out again; - reads a list",
        options: &[
            choice("jail", "NAME", "out of this jail (out of all)"),
            choice("me", "", "the address that this SSH session comes from"),
            choice("all", "", "everybody, out of every jail"),
            choice("never-again", "", "and put them on the never-ban list first"),
            choice("note", "TEXT", "why, for whoever asks later"),
            choice("for", "TIME", "with --never-again: as long as this, such as 3d (for ever)"),
            JSON,
            SERVER,
            TOKEN,
        ],
        run: bans::unban,
    },
    Command {
        name: "find",
        arguments: "ADDRESS",
        help: "whether an address is banned, where and why, and what it did before",
        options: &[JSON, SERVER, TOKEN],
        run: past::find,
    },
    Command {
        name: "history",
        arguments: "",
        help: "the bans of the last time, the latest first",
        options: &[
            choice("range", "RANGE", "24h, 7d, 30d or 365d (24h)"),
            choice("jail", "NAME", "of this jail"),
            choice("ip", "ADDRESS", "of addresses that begin so"),
            choice("origin", "ORIGIN", "blocklist or selfblock"),
            choice("source", "SOURCE", "fail2ban or archive (fail2ban)"),
            choice("number", "NUMBER", "how many at most, up to 500 (50)"),
            JSON,
            SERVER,
            TOKEN,
        ],
        run: past::history,
    },
    Command {
        name: "log",
        arguments: "",
        help: "the last lines of fail2ban's log",
        options: &[
            choice("number", "NUMBER", "how many (50)"),
            choice("filter", "TEXT", "only lines that hold this text"),
            JSON,
            SERVER,
            TOKEN,
        ],
        run: past::log,
    },
    Command {
        name: "never-ban",
        arguments: "[list | add ENTRY | remove ID-OR-ENTRY... | clear]",
        help: "who is never banned: an address, a network, a host name",
        options: &[
            choice("note", "TEXT", "with add: why, for whoever asks later"),
            choice("for", "TIME", "with add: as long as this, such as 3d (for ever)"),
            choice("until", "TIME", "with add: until then, such as 2030-12-31T18:00:00Z (for ever)"),
            choice("jail", "NAME", "with add: in this jail only, or several with commas between them (in all)"),
            choice("force", "", "with add: also a network that would let in everybody"),
            JSON,
            SERVER,
            TOKEN,
        ],
        run: never_ban::run,
    },
    Command {
        name: "user",
        arguments: "[list | add NAME | role NAME ROLE | password NAME | remove NAME...]",
        help: "who may log in: viewers look, operators ban and let out, admins do everything",
        options: &[
            choice("role", "ROLE", "with add: viewer, operator or admin (viewer)"),
            PASSWORD_FILE,
            JSON,
            SERVER,
            TOKEN,
        ],
        run: access::user,
    },
    Command {
        name: "token",
        arguments: "[list | add NAME | rotate ID | remove ID...]",
        help: "keys of programs: a widget, a monitor, a script",
        options: &[
            choice(
                "scope",
                "LIST",
                "with add: of read, bans, jails, config, actions and metrics, with commas between them (read)",
            ),
            choice("jail", "LIST", "with add: for these jails only (for all)"),
            choice("from", "LIST", "with add: usable from these addresses and networks only (from everywhere)"),
            choice("until", "TIME", "with add: until then, such as 2030-12-31T18:00:00Z (for ever)"),
            JSON,
            SERVER,
            TOKEN,
        ],
        run: access::token,
    },
    Command {
        name: "audit",
        arguments: "",
        help: "what people and programs have done, the latest first",
        options: &[
            choice("event-type", "LIST", "these kinds of events, such as ban,unban"),
            choice("actor", "NAME", "by this user or token, or by system or console"),
            choice("client", "ADDRESS", "from this address"),
            choice("from", "TIME", "from then on, such as 2026-11-27T08:00:00Z"),
            choice("to", "TIME", "before then"),
            choice("search", "TEXT", "with this text anywhere"),
            choice("number", "NUMBER", "how many at most, up to 500 (50)"),
            JSON,
            SERVER,
            TOKEN,
        ],
        run: access::audit,
    },
    Command {
        name: "pause",
        arguments: "JAIL",
        help: "let a jail rest for some time: it bans nobody, and keeps its bans",
        options: &[choice("for", "TIME", "how long: 10m, 2h, or -1 for no end"), JSON, SERVER, TOKEN],
        run: pause::pause,
    },
    Command {
        name: "resume",
        arguments: "JAIL",
        help: "let a paused jail watch its logs again",
        options: &[JSON, SERVER, TOKEN],
        run: pause::resume,
    },
    Command {
        name: "changes",
        arguments: "[ID]",
        help: "what was changed in the configuration, or one change with its diff",
        options: &[JSON, SERVER, TOKEN],
        run: changes::changes,
    },
    Command {
        name: "undo",
        arguments: "ID",
        help: "take a change of the configuration back",
        options: &[JSON, SERVER, TOKEN],
        run: changes::undo,
    },
    Command {
        name: "import",
        arguments: "",
        help: "import the blocklists now",
        options: &[JSON, SERVER, TOKEN],
        run: past::import,
    },
    Command { name: "serve", arguments: "", help: "run the server", options: &[], run: serve::run },
    Command {
        name: "check",
        arguments: "",
        help: "tell whether socket, database and configuration directory are usable",
        options: &[],
        run: check::run,
    },
    Command {
        name: "setup",
        arguments: "",
        help: "set the master password of a new installation",
        options: &[PASSWORD_FILE],
        run: setup::run,
    },
    Command {
        name: "setup-link",
        arguments: "",
        help: "print the link that sets up the running server from any browser",
        options: &[],
        run: setup_link::run,
    },
    Command {
        name: "set-password",
        arguments: "",
        help: "replace the owner's password; ends the owner's sessions",
        options: &[PASSWORD_FILE],
        run: set_password::run,
    },
    Command {
        name: "totp",
        arguments: "reset NAME",
        help: "have a user whose authenticator is lost log in by the password alone",
        options: &[],
        run: totp::run,
    },
    Command {
        name: "unlock",
        arguments: "",
        help: "lift every lock on logins that failed passwords have led to",
        options: &[],
        run: unlock::run,
    },
    Command {
        name: "geo",
        arguments: "update",
        help: "fetch a country database and put it where the server looks",
        options: &[],
        run: geo_update::run,
    },
    Command {
        name: "remove-set",
        arguments: "",
        help: "take the set of imported addresses out of the packet filter",
        options: &[],
        run: remove_set::run,
    },
    Command {
        name: "dump-config",
        arguments: "",
        help: "print the commands fail2ban's files come to, one a line as JSON",
        options: &[AS_VERSION],
        run: dump_config::command,
    },
    Command {
        name: "test-filter",
        arguments: "NAME[options] FILE|-",
        help: "tell what a filter makes of each line of a log",
        options: &[
            choice("json", "", "an object per line instead of a summary"),
            AS_VERSION,
            choice("log-timezone", "ZONE", "zone of dates that name none, such as UTC+0200 (the machine's)"),
            choice("find-time", "TIME", "lines older than this are said to be (10m)"),
        ],
        run: test_filter::command,
    },
    Command {
        name: "completions",
        arguments: "bash|zsh|fish",
        help: "print what completes these commands in a shell",
        options: &[],
        run: help::completions,
    },
    Command { name: "man", arguments: "", help: "print the manual page", options: &[], run: help::manual },
    Command { name: "help", arguments: "[COMMAND]", help: "print the help", options: &[], run: help::command },
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
    let mut invocation = Invocation { commands: COMMANDS, ..Invocation::default() };
    let mut command: Option<&Command> = None;
    let wrong = |error: lexopt::Error| Failure::usage(format!("{error}; see bangui help"));
    while let Some(argument) = parser.next().map_err(wrong)? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => {
                table::print(&command.map_or_else(|| help::all(COMMANDS), help::of));
                return Ok(());
            }
            Arg::Short('V') | Arg::Long("version") => {
                table::print(&format!("bangui {}\n", env!("CARGO_PKG_VERSION")));
                return Ok(());
            }
            Arg::Long("config") => invocation.config_file = Some(parser.value().map_err(wrong)?.into()),
            Arg::Long(name) => {
                let name = name.to_owned();
                let own = command.and_then(|command| command.options.iter().find(|own| own.name == name));
                if let Some(own) = own {
                    let value =
                        if own.value.is_empty() { String::new() } else { text(parser.value().map_err(wrong)?)? };
                    invocation.options.push((name, value));
                } else if SETTINGS.iter().any(|setting| setting.option == Some(&name)) {
                    let value = text(parser.value().map_err(wrong)?)?;
                    invocation.settings.push((name, value));
                } else {
                    return Err(Failure::usage(unknown_option(&name, command)));
                }
            }
            Arg::Short(letter) => return Err(Failure::usage(format!("unknown option -{letter}; see bangui help"))),
            Arg::Value(value) => {
                let value = text(value)?;
                match command {
                    None if value == "job" => return job::run(),
                    None => command = Some(named(&value)?),
                    Some(command) if !command.arguments.is_empty() => invocation.arguments.push(value),
                    Some(command) => {
                        let name = command.name;
                        return Err(Failure::usage(format!("unexpected argument {value:?}; see bangui help {name}")));
                    }
                }
            }
        }
    }
    match command {
        Some(command) => (command.run)(&invocation),
        None if invocation.is_empty() => {
            table::print(&help::all(COMMANDS));
            Ok(())
        }
        None => Err(Failure::usage("which command? bangui serve runs the server; see bangui help")),
    }
}

/// An option before its command is one that a person may have meant for it.
fn unknown_option(name: &str, command: Option<&Command>) -> String {
    let is_known = COMMANDS.iter().any(|command| command.options.iter().any(|own| own.name == name));
    match command {
        None if is_known => format!("--{name} stands behind its command; see bangui help"),
        None => format!("unknown option --{name}; see bangui help"),
        Some(command) => format!("{} has no option --{name}; see bangui help {}", command.name, command.name),
    }
}

fn named(name: &str) -> Result<&'static Command, Failure> {
    let found = COMMANDS.iter().find(|command| command.name == name);
    found.ok_or_else(|| Failure::usage(format!("unknown command {name:?}; see bangui help")))
}

fn text(value: std::ffi::OsString) -> Result<String, Failure> {
    value.into_string().map_err(|value| Failure::usage(format!("{value:?} is not valid text")))
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
        for text in [help::all(COMMANDS), help::page(COMMANDS)] {
            for setting in SETTINGS {
                assert!(text.contains(setting.variable));
                let in_roff = |option: &str| text.contains(&format!("\\-\\-{}", option.replace('-', "\\-")));
                assert!(setting.option.is_none_or(|option| text.contains(&format!("--{option}")) || in_roff(option)));
            }
            assert!(
                COMMANDS
                    .iter()
                    .all(|command| text.contains(&command.name.replace('-', "\\-")) || text.contains(command.name))
            );
        }
        for command in COMMANDS {
            let own = help::of(command);
            assert!(command.options.iter().all(|option| own.contains(&format!("--{}", option.name))), "{own}");
        }
    }
}

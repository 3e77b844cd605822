//! The help, the manual page and the completions of shells, all made from the tables of commands and settings.

use super::invocation::{Command, Failure, Invocation};
use super::table::print;
use crate::config::SETTINGS;

/// What an exit code means, for the help and the manual.
const EXIT_CODES: &[(&str, &str)] = &[
    ("0", "done"),
    ("1", "refused or failed; the line on standard error says why"),
    ("2", "the command line or a setting is wrong"),
    ("3", "fail2ban, or the server, does not answer"),
];

/// `bangui help [COMMAND]`
pub fn command(invocation: &Invocation) -> Result<(), Failure> {
    match invocation.arguments.first() {
        Some(name) => match invocation.commands.iter().find(|command| command.name == name) {
            Some(command) => print(&of(command)),
            None => return Err(Failure::usage(format!("unknown command {name:?}; see bangui help"))),
        },
        None => print(&all(invocation.commands)),
    }
    Ok(())
}

/// `bangui man`
pub fn manual(invocation: &Invocation) -> Result<(), Failure> {
    print(&page(invocation.commands));
    Ok(())
}

/// `bangui completions SHELL`
pub fn completions(invocation: &Invocation) -> Result<(), Failure> {
    match invocation.arguments.first().map(String::as_str) {
        Some("bash") => print(&bash(invocation.commands)),
        Some("zsh") => print(&zsh(invocation.commands)),
        Some("fish") => print(&fish(invocation.commands)),
        _ => return Err(Failure::usage("for which shell? bash, zsh and fish are known")),
    }
    Ok(())
}

/// The help of the whole program.
pub fn all(commands: &[Command]) -> String {
    let mut out =
        String::from("bangui - the BanGUI API for fail2ban\n\nUsage: bangui COMMAND [OPTIONS]\n\nCommands:\n");
    for command in commands {
        out += &format!("  {:<34} {}\n", format!("{} {}", command.name, command.arguments), command.help);
    }
    out += "\n\"bangui help COMMAND\" tells the options of a command. Options of all of them:\n";
    out += &settings();
    out += "\nEnvironment (arguments win; in a file the key is the name in lower case without BANGUI_):\n";
    for setting in SETTINGS {
        out += &format!("  {:<33} {}\n", setting.variable, setting.help);
    }
    out + "\n" + &exit_codes()
}

/// The help of one command.
pub fn of(command: &Command) -> String {
    let arguments = if command.arguments.is_empty() { String::new() } else { format!(" {}", command.arguments) };
    let mut out = format!("bangui {} - {}\n\nUsage: bangui {0}{arguments} [OPTIONS]\n", command.name, command.help);
    if !command.options.is_empty() {
        out += "\nOptions:\n";
        for option in command.options {
            out += &format!("  --{:<27} {}\n", format!("{} {}", option.name, option.value), option.help);
        }
    }
    out += "\nOptions of all commands:\n";
    out + &settings() + "\n" + &exit_codes()
}

fn settings() -> String {
    let mut out = String::new();
    for setting in SETTINGS {
        if let Some(option) = setting.option {
            out += &format!("  --{:<27} {}\n", format!("{option} {}", setting.value), setting.help);
        }
    }
    out + "  --config FILE                 settings from a file: key = value lines\n  --version, --help\n"
}

fn exit_codes() -> String {
    let lines = EXIT_CODES.iter().map(|(code, meaning)| format!("  {code}  {meaning}\n"));
    "Exit codes:\n".to_owned() + &lines.collect::<String>()
}

/// The manual page, for man(1).
pub fn page(commands: &[Command]) -> String {
    let mut out = format!(
        ".TH BANGUI 1 \"\" \"bangui {}\"\n.SH NAME\nbangui \\- the BanGUI API for fail2ban\n.SH SYNOPSIS\n.B bangui\n.I COMMAND\n[OPTIONS]\n.SH COMMANDS\n",
        env!("CARGO_PKG_VERSION")
    );
    for command in commands {
        out += &format!(".SS \"{} {}\"\n{}.\n", roff(command.name), roff(command.arguments), sentence(command.help));
        for option in command.options {
            out += &term(&format!("--{}", option.name), option.value, option.help);
        }
    }
    out += ".SH OPTIONS\n";
    for setting in SETTINGS {
        if let Some(option) = setting.option {
            out += &term(&format!("--{option}"), setting.value, setting.help);
        }
    }
    out += &term("--config", "FILE", "settings from a file: key = value lines");
    out += ".SH ENVIRONMENT\nArguments win. In a file the key is the name in lower case without BANGUI_.\n";
    for setting in SETTINGS {
        out += &term(setting.variable, "", setting.help);
    }
    out += ".SH EXIT STATUS\n";
    for (code, meaning) in EXIT_CODES {
        out += &term(code, "", meaning);
    }
    out
}

fn term(name: &str, value: &str, help: &str) -> String {
    let value = if value.is_empty() { String::new() } else { format!(" \\fI{}\\fR", roff(value)) };
    format!(".TP\n\\fB{}\\fR{value}\n{}.\n", roff(name), sentence(help))
}

/// Text for roff: a dash that can be copied, and nothing that is taken for a request.
fn roff(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq")
}

/// The same with a capital letter, for a sentence; one that begins with a dash or a name stays as it is.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let text = letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect());
    let escaped = roff(&text);
    if escaped.starts_with(['.', '\'']) { format!("\\&{escaped}") } else { escaped }
}

/// The options of a command, those of all commands among them, with their dashes.
fn options_of(command: &Command) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let own = command.options.iter().map(|option| (option.name, option.value, option.help));
    let settings = SETTINGS.iter().filter_map(|setting| Some((setting.option?, setting.value, setting.help)));
    own.chain(settings).chain([("config", "FILE", "settings from a file"), ("help", "", "print the help")])
}

/// What of the values of a command can be completed without asking anybody.
fn words_of(command: &Command, commands: &[Command]) -> Vec<&'static str> {
    match command.name {
        "help" => commands.iter().map(|command| command.name).collect(),
        "completions" => vec!["bash", "zsh", "fish"],
        "geo" => vec!["update"],
        _ => Vec::new(),
    }
}

fn bash(commands: &[Command]) -> String {
    let names: Vec<&str> = commands.iter().map(|command| command.name).collect();
    let mut out = format!(
        "# bash completion for bangui\n_bangui() {{\n    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}\n    COMPREPLY=()\n    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        COMPREPLY=($(compgen -W '{} --help --version' -- \"$word\"))\n        return\n    fi\n    case $before in\n    --*-file | --config | --database | --token | --fail2ban-*) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n    esac\n    case ${{COMP_WORDS[1]}} in\n",
        names.join(" ")
    );
    for command in commands {
        let options = options_of(command).map(|(name, ..)| format!("--{name}"));
        let words: Vec<String> = words_of(command, commands).into_iter().map(str::to_owned).chain(options).collect();
        let files =
            if command.name == "test-filter" { "\n        COMPREPLY+=($(compgen -f -- \"$word\"))" } else { "" };
        out += &format!(
            "    {})\n        COMPREPLY=($(compgen -W '{}' -- \"$word\")){files} ;;\n",
            command.name,
            words.join(" ")
        );
    }
    out + "    esac\n}\ncomplete -F _bangui bangui\n"
}

fn zsh(commands: &[Command]) -> String {
    let quoted = |text: &str| text.replace('\'', "'\\''").replace(':', "\\:").replace('[', "\\[").replace(']', "\\]");
    let mut out = String::from("#compdef bangui\n_bangui() {\n  local -a commands=(\n");
    for command in commands {
        out += &format!("    '{}:{}'\n", command.name, quoted(command.help));
    }
    out +=
        "  )\n  if (( CURRENT == 2 )); then\n    _describe command commands\n    return\n  fi\n  case $words[2] in\n";
    for command in commands {
        out += &format!("    {})\n      _arguments", command.name);
        for (name, value, help) in options_of(command) {
            let value = match value {
                "" => String::new(),
                "FILE" | "DIRECTORY" => format!(":{value}:_files"),
                value => format!(":{}:", quoted(value)),
            };
            out += &format!(" \\\n        '--{name}[{}]{value}'", quoted(help));
        }
        let words = words_of(command, commands);
        if !words.is_empty() {
            out += &format!(" \\\n        '2:argument:({})'", words.join(" "));
        }
        out += " ;;\n";
    }
    out + "  esac\n}\n_bangui \"$@\"\n"
}

fn fish(commands: &[Command]) -> String {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('\'', "\\'");
    let mut out = String::from("# fish completion for bangui\ncomplete -c bangui -f\n");
    for command in commands {
        let (name, help) = (command.name, quoted(command.help));
        out += &format!("complete -c bangui -n __fish_use_subcommand -a {name} -d '{help}'\n");
        let condition = format!("-n '__fish_seen_subcommand_from {name}'");
        for (option, value, help) in options_of(command) {
            let takes = match value {
                "" => "",
                "FILE" | "DIRECTORY" => " -r -F",
                _ => " -x",
            };
            out += &format!("complete -c bangui {condition} -l {option}{takes} -d '{}'\n", quoted(help));
        }
        let words = words_of(command, commands);
        if !words.is_empty() {
            out += &format!("complete -c bangui {condition} -a '{}'\n", words.join(" "));
        }
    }
    out
}

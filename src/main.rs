//! The `bangui` program: arguments become a `Config`, which becomes one command.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let directory = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[1..] {
        ["dump-config"] => "/etc/fail2ban",
        ["dump-config", "--fail2ban-config", directory] => directory,
        _ => {
            eprintln!("usage: bangui dump-config [--fail2ban-config DIR]");
            return ExitCode::from(2);
        }
    };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match bangui::cli::dump_config::run(directory.as_ref(), &mut out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bangui: {error}");
            ExitCode::FAILURE
        }
    }
}

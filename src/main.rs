//! The `bangui` program: a command line becomes one command, and its failure one line.

use std::process::ExitCode;

fn main() -> ExitCode {
    match bangui::cli::run(std::env::args_os().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bangui: {failure}");
            ExitCode::from(failure.code)
        }
    }
}

//! The `bangui` program: a command line becomes one command, and its failure one line.

use std::process::ExitCode;

/// In the place of musl's, see Cargo.toml.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    match bangui::cli::run(std::env::args_os().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bangui: {failure}");
            ExitCode::from(failure.code)
        }
    }
}

//! `bangui job`: what the server starts for slow work. Not for people, so the help does not name it.

use super::invocation::Failure;
use crate::jobs;

/// Reads one task from standard input and sends frames on standard output.
pub fn run() -> Result<(), Failure> {
    let mut output = std::io::stdout().lock();
    jobs::child_main(&mut std::io::stdin().lock(), &mut output)
        .map_err(|error| Failure::failed(format!("job: {error}")))
}

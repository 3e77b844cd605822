//! One change of the configuration at a time, whichever process makes it: a file that is locked as long as one is under way. The lock goes
//! with its process, however that ends.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use super::error::ApplyError;
use super::journal::failed;
use crate::files;

/// How often it is tried again.
const ROUND: Duration = Duration::from_millis(50);

/// Waits for its turn, at most so long. Others wait until what is returned is dropped.
pub fn take(journal: &Path, patience: Duration) -> Result<File, ApplyError> {
    let path = &files::beside(journal, "-lock");
    let file = files::lock_file(path).map_err(failed(path))?;
    let until = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(ROUND),
            Err(TryLockError::WouldBlock) => return Err(ApplyError::InProgress),
            Err(TryLockError::Error(error)) => return Err(failed(path)(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_one_waits_and_gives_up_in_time() {
        let directory = tempfile::tempdir().unwrap();
        let journal = directory.path().join("journal");
        let first = take(&journal, Duration::ZERO).unwrap();
        assert!(matches!(take(&journal, Duration::from_millis(80)), Err(ApplyError::InProgress)));
        let waiting = std::thread::spawn({
            let journal = journal.clone();
            move || take(&journal, Duration::from_secs(30)).is_ok()
        });
        drop(first);
        assert!(waiting.join().unwrap());
        assert!(
            take(Path::new("/nonexistent/journal"), Duration::ZERO)
                .is_err_and(|error| error.to_string().contains("nonexistent"))
        );
    }
}

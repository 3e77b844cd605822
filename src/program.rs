//! Runs another program to its end, or to a deadline, and keeps what it wrote.
//!
//! It blocks: it is meant for a child process of ours. No shell is involved. What a text it wrote means is for others to say.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How much of each output is kept, in bytes: the commands of a hundred jails take a tenth of it.
pub const MAX_OUTPUT: u64 = 8 << 20;
/// How much is heard of a program that goes on, in bytes.
const MAX_HEARD: usize = 16 << 10;
/// How often it is asked whether the program has ended. The client of fail2ban takes 60 ms at least.
const ROUND: Duration = Duration::from_millis(5);

/// How a program ended and what it wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether its exit code was 0.
    pub success: bool,
    /// What it wrote for the next program.
    pub stdout: String,
    /// What it wrote for a person.
    pub stderr: String,
}

/// Why a program did not run to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotRun {
    /// There is no such program, or it may not be run.
    Missing,
    /// It could not be started.
    Failed(String),
    /// It took too long and was killed.
    TooLong,
}

/// Where a program is: a path as it is, a plain name where the search path finds it. `None` where it may not be run.
pub fn find(program: &Path) -> Option<PathBuf> {
    let runs =
        |path: &Path| path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0);
    if program.components().count() > 1 {
        return runs(program).then(|| program.to_owned());
    }
    // A service may be started without one.
    let search = std::env::var_os("PATH").unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".into());
    std::env::split_paths(&search).map(|directory| directory.join(program)).find(|path| runs(path))
}

/// Runs a program that reads nothing, at most for `limit`.
pub fn run(program: &Path, args: &[&OsStr], limit: Duration) -> Result<Outcome, NotRun> {
    run_with(program, args, &[], limit)
}

/// Runs a program that reads `input`, at most for `limit`.
pub fn run_with(program: &Path, args: &[&OsStr], input: &[u8], limit: Duration) -> Result<Outcome, NotRun> {
    let program = find(program).ok_or(NotRun::Missing)?;
    let failed = |error: std::io::Error| NotRun::Failed(error.to_string());
    let (mut stdout, mut stderr) = (memory_file().map_err(failed)?, memory_file().map_err(failed)?);
    let mut command = Command::new(program);
    command.args(args).current_dir("/").stdin(readable(input).map_err(failed)?);
    // Paths and expressions may hold any letter, and Python would refuse to print them in the plain locale of a service.
    command.env("LC_ALL", "C.UTF-8").env("PYTHONIOENCODING", "utf-8:backslashreplace");
    command.stdout(stdout.try_clone().map_err(failed)?).stderr(stderr.try_clone().map_err(failed)?);
    let mut child = command.spawn().map_err(failed)?;
    let deadline = Instant::now() + limit;
    loop {
        match child.try_wait().map_err(failed)? {
            Some(status) => {
                return Ok(Outcome {
                    success: status.success(),
                    stdout: content(&mut stdout),
                    stderr: content(&mut stderr),
                });
            }
            None if Instant::now() < deadline => std::thread::sleep(ROUND),
            None => {
                // It may end by itself between the two, so neither result matters.
                let _ = child.kill();
                let _ = child.wait();
                return Err(NotRun::TooLong);
            }
        }
    }
}

/// A program that was started and may go on for ever.
#[derive(Debug)]
pub struct Started {
    output: File,
}

impl Started {
    /// What it has said so far, both outputs together.
    pub fn said(&self) -> String {
        // At a place of our own: the file's is where the program goes on writing.
        let mut bytes = vec![0; MAX_HEARD];
        let length = self.output.read_at(&mut bytes, 0).unwrap_or(0);
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    /// Takes [`LAST_WORDS`] more of what it says and then nothing: what writes to the end of its days would fill the memory.
    ///
    /// Some are left because a program may take it badly that its output fails: fail2ban in the foreground answers on its socket first,
    /// prints "Server ready" once its jails stand, and shuts down where it cannot.
    pub fn stop_listening(self) {
        // Where the length is not set, it is sealed at what it has.
        let _ = self.output.metadata().and_then(|now| self.output.set_len(now.len() + LAST_WORDS));
        // SAFETY: fcntl takes numbers; the descriptor is open as long as the file is. Where it fails, a little memory is all there is to lose.
        unsafe { libc::fcntl(self.output.as_raw_fd(), libc::F_ADD_SEALS, libc::F_SEAL_GROW) };
    }
}

/// How many bytes a started program may still write once nobody listens; it is room in a sparse file, not memory.
const LAST_WORDS: u64 = 64 << 10;

/// Starts a program that may go on for ever, in a session of its own so that it outlives us, without anything of ours but the environment.
pub fn start(program: &Path, args: &[&OsStr]) -> Result<Started, NotRun> {
    let program = find(program).ok_or(NotRun::Missing)?;
    let failed = |error: std::io::Error| NotRun::Failed(error.to_string());
    let output = memory_file().map_err(failed)?;
    let handle = || output.try_clone().map_err(failed);
    let mut command = Command::new(program);
    command.args(args).current_dir("/").stdin(Stdio::null()).stdout(handle()?).stderr(handle()?);
    // SAFETY: between fork and exec only setsid runs, which is async-signal-safe and touches no memory.
    unsafe {
        command.pre_exec(|| {
            // It fails only for the leader of a group, which a fresh child is not.
            libc::setsid();
            Ok(())
        });
    }
    command.spawn().map_err(failed)?;
    Ok(Started { output })
}

/// What a program is to read; without anything there is nothing to read at all.
fn readable(input: &[u8]) -> std::io::Result<Stdio> {
    if input.is_empty() {
        return Ok(Stdio::null());
    }
    let mut file = memory_file()?;
    file.write_all(input)?;
    file.rewind()?;
    Ok(file.into())
}

/// A file without a name, so that a program can write more than a pipe holds while nobody reads.
fn memory_file() -> std::io::Result<File> {
    // SAFETY: the name is a constant string with its zero; the result is a new descriptor or -1.
    let descriptor = unsafe { libc::memfd_create(c"output".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
    if descriptor < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made and belongs to nobody else.
    Ok(unsafe { File::from_raw_fd(descriptor) })
}

fn content(file: &mut File) -> String {
    let mut bytes = Vec::new();
    // A file in memory can be read as long as there is memory; what was read until then is worth having.
    let _ = file.rewind().and_then(|()| file.take(MAX_OUTPUT).read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Result<Outcome, NotRun> {
        run(Path::new("sh"), &["-c".as_ref(), script.as_ref()], limit)
    }

    #[test]
    fn both_outputs_and_the_code_are_kept() {
        let outcome = shell("echo out; echo bad >&2; exit 3", Duration::from_secs(10)).unwrap();
        assert_eq!((outcome.success, outcome.stdout.as_str()), (false, "out\n"));
        assert_eq!(outcome.stderr, "bad\n");
        let long = shell("i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i+1)); done", Duration::from_secs(30))
            .unwrap();
        assert_eq!(long.stdout.len(), 220_000);
    }

    #[test]
    fn what_a_program_is_to_read_may_be_longer_than_a_pipe_holds() {
        let long = vec![b'x'; 300_000];
        let outcome = run_with(Path::new("wc"), &["-c".as_ref()], &long, Duration::from_secs(30)).unwrap();
        assert_eq!(outcome.stdout.trim(), "300000");
        let nothing = run(Path::new("wc"), &["-c".as_ref()], Duration::from_secs(30)).unwrap();
        assert_eq!(nothing.stdout.trim(), "0");
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        let start = Instant::now();
        assert_eq!(shell("exec sleep 60", Duration::from_millis(100)), Err(NotRun::TooLong));
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_started_program_may_say_a_last_word_and_not_talk_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let (go, end) = (path("go"), path("end"));
        let script = format!(
            "while [ ! -e {go} ]; do sleep 0.02; done; echo ready; word=$?; head -c 1000000 /dev/zero 2>/dev/null; echo $word $? >{end}.new; mv {end}.new {end}",
            go = go.display(),
            end = end.display()
        );
        start(Path::new("sh"), &["-c".as_ref(), script.as_ref()]).unwrap().stop_listening();
        std::fs::write(go, "").unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while !end.exists() && Instant::now() < deadline {
            std::thread::sleep(ROUND);
        }
        assert_eq!(std::fs::read_to_string(end).unwrap(), "0 1\n");
    }

    #[test]
    fn a_missing_program_is_missing() {
        assert_eq!(run(Path::new("no-such-program"), &[], ROUND), Err(NotRun::Missing));
        assert_eq!(find(Path::new("/etc/passwd")), None);
        assert_eq!(find(Path::new("/etc")), None);
        assert!(find(Path::new("sh")).is_some_and(|path| path.is_absolute()));
    }
}

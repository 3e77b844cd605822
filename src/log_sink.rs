//! Standard error as a log that is never waited for: whoever reads it may have stopped, and the server has one thread.
//!
//! A line goes out whole or not at all; how many did not is said before the next one that does. A record is one line, whatever bytes of others
//! stand in it: nobody can write a line of his own. Times and levels are the logger's.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

use crate::renewal;

/// The longest line, in bytes: a pipe takes up to 4 096 in one piece, or nothing.
const LONGEST: usize = 4_000;

/// How to write without waiting.
#[derive(Debug)]
enum Way {
    /// A descriptor of our own that never waits: other users of a pipe or a terminal keep theirs as it is.
    Own(File),
    /// A socket is told so with each message.
    Socket,
    /// A file does not keep anybody waiting but by its disk.
    Plain,
}

/// The end of the log that bytes go into.
#[derive(Debug)]
struct LogSink {
    way: Way,
    line: Vec<u8>,
    dropped: u64,
    /// A line went out in part, so that the next one begins with its end.
    is_torn: bool,
}

impl LogSink {
    /// Standard error.
    fn stderr() -> Self {
        let kind = std::fs::metadata("/proc/self/fd/2").map(|metadata| metadata.file_type());
        let way = match kind {
            Ok(kind) if kind.is_socket() => Way::Socket,
            Ok(kind) if kind.is_fifo() || kind.is_char_device() => {
                let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
                let own = OpenOptions::new().write(true).custom_flags(flags).open("/proc/self/fd/2");
                own.map_or(Way::Plain, Way::Own)
            }
            _ => Way::Plain,
        };
        Self { way, line: Vec::new(), dropped: 0, is_torn: false }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.way {
            Way::Own(file) => file.write(bytes),
            Way::Socket => {
                let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
                // SAFETY: the pointer and the length are those of one slice, which is only read.
                let count = unsafe { libc::send(2, bytes.as_ptr().cast(), bytes.len(), flags) };
                usize::try_from(count).map_err(|_| io::Error::last_os_error())
            }
            Way::Plain if is_ready() => io::stderr().lock().write(bytes),
            Way::Plain => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn flush_line(&mut self) {
        let mut whole = Vec::new();
        if self.is_torn {
            whole.push(b'\n');
        }
        if self.dropped > 0 {
            let lines = if self.dropped == 1 { "line of the log was" } else { "lines of the log were" };
            whole.extend_from_slice(format!("{} {lines} dropped, since nobody read it\n", self.dropped).as_bytes());
        }
        self.line.truncate(LONGEST - 1);
        whole.append(&mut self.line);
        whole.push(b'\n');
        match self.send(&whole) {
            Ok(count) => (self.dropped, self.is_torn) = (0, count < whole.len()),
            Err(_) => self.dropped += 1,
        }
    }
}

impl Write for LogSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            match byte {
                b'\n' => self.flush_line(),
                byte => self.line.push(*byte),
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A logger that makes one line of each record.
struct OneLine(Box<dyn log::Log>);

impl log::Log for OneLine {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        self.0.enabled(metadata)
    }

    fn log(&self, record: &log::Record<'_>) {
        let text = clean(&record.args().to_string());
        self.0.log(&log::Record::builder().metadata(record.metadata().clone()).args(format_args!("{text}")).build());
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// Text without control characters.
fn clean(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// Logs to standard error: the service manager knows where that goes, and a router has no flash to spare for it.
pub fn start(level: log::LevelFilter) {
    let config = simplelog::ConfigBuilder::new()
        .set_time_format_rfc3339()
        .set_thread_level(log::LevelFilter::Off)
        .set_target_level(log::LevelFilter::Off)
        .set_location_level(log::LevelFilter::Off)
        .build();
    let logger = OneLine(simplelog::WriteLogger::new(level, config, LogSink::stderr()));
    // Fails only where a logger is set already, and this is the one place that sets one.
    if log::set_boxed_logger(Box::new(logger)).is_ok() {
        log::set_max_level(level);
    }
    // The standard library would wait for whoever reads.
    std::panic::set_hook(Box::new(|panic| {
        log::error!("{panic}");
        renewal::after_panic();
    }));
}

/// Whether standard error takes something now.
fn is_ready() -> bool {
    let mut asked = libc::pollfd { fd: io::stderr().as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    // SAFETY: one structure, which lives through the call; it does not wait.
    unsafe { libc::poll(&mut asked, 1, 0) == 1 }
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn nobody_writes_a_line_of_his_own_into_the_log() {
        let text =
            "x\n2026-01-01T00:00:00Z [WARN] 192.0.2.1 failed to log in: wrong password\r\u{1b}[2J\u{85}\u{9b}\0é";
        let cleaned = clean(text);
        assert!(!cleaned.chars().any(char::is_control) && cleaned.ends_with('é'), "{cleaned:?}");
        assert_eq!(cleaned.chars().count(), text.chars().count());
    }
}

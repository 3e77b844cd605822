//! Standard error as a log that is never waited for: whoever reads it may have stopped, and the server has one thread.
//!
//! A line goes out whole or not at all; how many did not is said before the next one that does. Formatting is the logger's.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

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
pub struct LogSink {
    way: Way,
    line: Vec<u8>,
    dropped: u64,
    /// A line went out in part, so that the next one begins with its end.
    is_torn: bool,
}

impl LogSink {
    /// Standard error.
    pub fn stderr() -> Self {
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

/// Whether standard error takes something now.
fn is_ready() -> bool {
    let mut asked = libc::pollfd { fd: io::stderr().as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    // SAFETY: one structure, which lives through the call; it does not wait.
    unsafe { libc::poll(&mut asked, 1, 0) == 1 }
}

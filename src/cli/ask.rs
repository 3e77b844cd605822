//! Asking for something through the API: of the server that runs here, of one that this command runs for itself where none does, or of one
//! elsewhere.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::invocation::{Failure, Invocation};
use crate::app::Ctx;
use crate::app::code::Code;
use crate::config::Config;
use crate::main_loop::MainLoop;
use crate::main_loop::control::{self, Order};
use crate::remote::{Remote, Reply};
use crate::store::{Error, Store};

/// The exit code where the server, or fail2ban, does not answer.
pub const UNREACHABLE: u8 = 3;
/// How long what is busy is asked again, and how often.
const PATIENCE: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(200);

/// A server that can be asked.
#[derive(Debug)]
pub struct Asked {
    remote: Remote,
    /// Ends when this does.
    _own: Option<Own>,
}

/// A server of this command's own. It ends with the command.
#[derive(Debug)]
struct Own {
    database: PathBuf,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Own {
    fn drop(&mut self) {
        if control::ask(&self.database, &Order::Leave).is_some()
            && let Some(thread) = self.thread.take()
        {
            // What it has begun is done before the command ends. Where it panicked, that has been told.
            let _ = thread.join();
        }
    }
}

impl Asked {
    /// Finds the server: `--server`, else the one that has this database open, else one of our own.
    pub fn open(invocation: &Invocation) -> Result<Asked, Failure> {
        let config = invocation.config()?;
        if let Some(url) = invocation.option("server") {
            return elsewhere(invocation, url, config.blocklist_ca_file.as_deref());
        }
        // The server that runs is asked first: opening its database waits a while for it to be closed.
        if let Some(Ok(stream)) = control::converse(&config.database) {
            return Ok(Asked { remote: over(config.database, Some(stream)), _own: None });
        }
        match Store::open(&config.database) {
            Ok(store) => here(config, store),
            Err(Error::Locked(path)) => Ok(Asked { remote: over(path, None), _own: None }),
            Err(error) => Err(Failure::failed(format!(
                "{error}; run this as the user who runs bangui, or name another machine's: --server URL --token FILE"
            ))),
        }
    }

    /// The answer to a GET.
    pub fn get(&self, path: &str) -> Result<Value, Failure> {
        self.send("GET", path, None)
    }

    /// The answer to any request; `path` begins behind `/api/v1`. A refusal is a failure.
    pub fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        judged(self.reply(method, path, body)?)
    }

    /// The same of work that may go on behind its answer: its end is waited for, and what it led to is the answer.
    pub fn send_and_wait(&self, method: &str, path: &str, body: &Value) -> Result<Value, Failure> {
        let reply = self.reply(method, path, Some(body))?;
        let job = reply.body["job"].as_str().filter(|_| reply.status == 202).map(encoded);
        let Some(job) = job else { return judged(reply) };
        loop {
            let mut told = self.get(&format!("/jobs/{job}"))?;
            match told["status"].as_u64() {
                Some(status) if status < 400 => return Ok(told["result"].take()),
                Some(status) => {
                    return judged(Reply { status: status as u16, body: told["error"].take(), warning: None });
                }
                None => std::thread::sleep(AGAIN),
            }
        }
    }

    /// Any answer but that something is busy just now, which a person would only have to try again.
    fn reply(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Reply, Failure> {
        let until = Instant::now() + PATIENCE;
        loop {
            let reply = self.remote.send(method, path, body).map_err(|line| Failure { code: UNREACHABLE, line })?;
            let code = reply.body["code"].as_str().unwrap_or_default();
            let is_busy = code == Code::Busy.as_str() || code == Code::Fail2banDatabaseUnreadable.as_str();
            if !is_busy || Instant::now() >= until {
                return Ok(reply);
            }
            std::thread::sleep(AGAIN);
        }
    }
}

/// The answer, or what it refuses in one line.
fn judged(reply: Reply) -> Result<Value, Failure> {
    if reply.status < 400 {
        if let Some(warning) = reply.warning {
            eprintln!("bangui: {warning}");
        }
        return Ok(reply.body);
    }
    let detail = reply.body["detail"].as_str().map(str::to_owned);
    let line = detail.unwrap_or_else(|| format!("the server answered with status {}", reply.status));
    let wrong: Vec<&str> = reply.body["metadata"]["errors"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|e| e["detail"].as_str())
        .collect();
    let line = if wrong.len() > 1 { wrong.join(" ") } else { line };
    let code = if reply.status == 502 { UNREACHABLE } else { 1 };
    Err(Failure { code, line })
}

fn elsewhere(invocation: &Invocation, url: &str, authorities: Option<&Path>) -> Result<Asked, Failure> {
    let file = invocation.option("token").ok_or_else(|| {
        Failure::usage("--server needs --token FILE, a file whose first line is a token of that server")
    })?;
    let text =
        std::fs::read_to_string(file).map_err(|error| super::invocation::cannot_read(Path::new(file), &error))?;
    let token = text.lines().next().unwrap_or_default().trim().to_owned();
    let remote = Remote::at(url, token, authorities).map_err(Failure::usage)?;
    Ok(Asked { remote, _own: None })
}

/// Over the control socket beside this database: the connection that is there, then a new one for whatever needs one.
fn over(database: PathBuf, first: Option<UnixStream>) -> Remote {
    let first = Mutex::new(first);
    Remote::over(move || {
        let ready = first.lock().ok().and_then(|mut first| first.take());
        match ready.map(Ok).or_else(|| control::converse(&database)) {
            Some(Ok(stream)) => Ok(stream),
            Some(Err(line)) => Err(io::Error::other(line)),
            None => Err(io::Error::other(format!(
                "{} is open in another process, which has no control socket beside it; stop that one",
                database.display()
            ))),
        }
    })
}

/// One of our own, in a thread beside this one: the database is ours alone, so no other one runs.
fn here(config: Config, store: Store) -> Result<Asked, Failure> {
    let database = store.path().to_owned();
    let (tell, told) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let made = Ctx::new(config, store).map_err(|error| error.to_string()).and_then(MainLoop::for_one);
        match made {
            Ok(main_loop) => {
                // Who asked is told once the control socket is there. What ends the loop early ends the connection, too.
                let _ = tell.send(Ok(()));
                let _ = main_loop.run();
            }
            Err(line) => _ = tell.send(Err(line)),
        }
    });
    let begun = told.recv().unwrap_or_else(|_| Err("the server for this command ended at once".to_owned()));
    begun.map_err(Failure::failed)?;
    let own = Own { database: database.clone(), thread: Some(thread) };
    Ok(Asked { remote: over(database, None), _own: Some(own) })
}

/// What stands in a query, encoded.
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_special_in_a_query_is_encoded() {
        assert_eq!(encoded("a b&c=2001:db8::/32"), "a%20b%26c%3D2001%3Adb8%3A%3A%2F32");
    }
}

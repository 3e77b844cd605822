//! A scripted fail2ban on a unix socket: it answers from a table, records what it was asked, and misbehaves on demand.
//!
//! It speaks the daemon's framing and remembers what it is told to ban, ignore and set; no jail does anything. Replies carry the opcodes of the Python its version had.
//! One thread per connection; all end when the daemon goes away or is dropped.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tempfile::TempDir;

use super::fake_replies;
use super::pickle::{CLOSE, END, Python, Value, decode, encode, text};

/// How the daemon misbehaves, from the next request on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not.
    None,
    /// Accepts connections and reads, but never answers.
    Hung,
    /// Answers rightly, after this long.
    Slow(Duration),
    /// Sends half of the pickle, then the terminator.
    Truncated,
    /// Sends bytes that are no pickle, then the terminator.
    Garbage,
    /// Sends a list of this many bytes in well-formed pickle.
    Huge(usize),
    /// Declares a text of 4 GiB and sends nothing of it.
    Declared,
    /// The same with a length of 8 bytes.
    DeclaredLong,
    /// Sends a text without an end, for as long as somebody reads.
    Endless,
    /// Sends half of the pickle and closes.
    CloseInTheMiddle,
    /// Closes without an answer.
    CloseAtOnce,
}

struct Script {
    python: Python,
    version: String,
    jails: Vec<String>,
    fault: Fault,
    replies: HashMap<Vec<String>, Value>,
    state: fake_replies::State,
    commands: Vec<Vec<String>>,
    connections: HashMap<(u64, u64), UnixStream>,
    one_at_a_time: Arc<Mutex<()>>,
    /// Counts how often the daemon was started; threads of an earlier life end.
    life: u64,
    running: bool,
}

/// The scripted daemon.
pub struct FakeDaemon {
    directory: TempDir,
    socket: PathBuf,
    script: Arc<Mutex<Script>>,
}

impl FakeDaemon {
    /// A daemon of version 1.0.2 with the jails `sshd` and `lab`.
    pub fn start() -> FakeDaemon {
        FakeDaemon::start_version("1.0.2")
    }

    /// A daemon of this version; 0.9 to 0.11 answer as Python 2 does.
    pub fn start_version(version: &str) -> FakeDaemon {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let socket = directory.path().join("fail2ban.sock");
        let python = if version.starts_with("0.") { Python::Two } else { Python::Three };
        let daemon = FakeDaemon {
            directory,
            socket,
            script: Arc::new(Mutex::new(Script {
                python,
                version: version.into(),
                jails: vec!["sshd".into(), "lab".into()],
                fault: Fault::None,
                replies: HashMap::new(),
                state: fake_replies::State::default(),
                commands: Vec::new(),
                connections: HashMap::new(),
                one_at_a_time: Arc::default(),
                life: 0,
                running: false,
            })),
        };
        daemon.come_back();
        daemon
    }

    /// The path of its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// A directory of its own, empty but for the socket; serves as configuration directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Answers this command with this whole reply (see `success` and `failure`), instead of what the built-in table says.
    pub fn reply(&self, command: &[&str], reply: Value) {
        let command = command.iter().map(|word| word.to_string()).collect();
        self.script().replies.insert(command, reply);
    }

    /// Replaces the jails.
    pub fn set_jails(&self, jails: &[&str]) {
        self.script().jails = jails.iter().map(|jail| jail.to_string()).collect();
    }

    /// Misbehaves this way from now on.
    pub fn set_fault(&self, fault: Fault) {
        self.script().fault = fault;
    }

    /// The commands it was sent since the last call, in order.
    pub fn take_commands(&self) -> Vec<Vec<String>> {
        std::mem::take(&mut self.script().commands)
    }

    /// How many connections are open now.
    pub fn open_connections(&self) -> usize {
        self.script().connections.len()
    }

    /// Goes away: connections closed, socket file removed.
    pub fn go_away(&self) {
        self.leave_stale_socket();
        let _ = std::fs::remove_file(&self.socket);
    }

    /// Dies as after a crash: connections closed, socket file left, nobody behind it.
    pub fn leave_stale_socket(&self) {
        let mut script = self.script();
        script.running = false;
        script.life += 1;
        for (_, connection) in script.connections.drain() {
            let _ = connection.shutdown(std::net::Shutdown::Both);
        }
        drop(script);
        // Wakes the accepting thread, which then sees that its life is over and closes the listener.
        let _ = UnixStream::connect(&self.socket);
        super::wait_until("the fake daemon's end", Duration::from_secs(5), || {
            UnixStream::connect(&self.socket).is_err()
        });
    }

    /// Comes back after `go_away` or `leave_stale_socket`, without a fault.
    pub fn come_back(&self) {
        let _ = std::fs::remove_file(&self.socket);
        let listener = UnixListener::bind(&self.socket).expect("the socket path is free");
        let mut script = self.script();
        script.fault = Fault::None;
        script.running = true;
        let life = script.life;
        drop(script);
        let shared = Arc::clone(&self.script);
        std::thread::spawn(move || accept(&listener, &shared, life));
    }

    /// Restarts under its clients.
    pub fn restart(&self) {
        self.go_away();
        self.come_back();
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().expect("no thread of the daemon panics")
    }
}

impl Drop for FakeDaemon {
    fn drop(&mut self) {
        if self.script().running {
            self.go_away();
        }
    }
}

fn accept(listener: &UnixListener, shared: &Arc<Mutex<Script>>, life: u64) {
    let mut number = 0;
    while let Ok((stream, _)) = listener.accept() {
        let mut script = shared.lock().expect("no thread of the daemon panics");
        if script.life != life {
            return;
        }
        number += 1;
        let key = (life, number);
        let clone = stream.try_clone().expect("a descriptor is free");
        script.connections.insert(key, clone);
        drop(script);
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            let _ = serve(stream, &shared);
            let mut script = shared.lock().expect("no thread of the daemon panics");
            script.connections.remove(&key);
        });
    }
}

/// Answers one connection until it ends.
fn serve(mut stream: UnixStream, shared: &Mutex<Script>) -> std::io::Result<()> {
    let mut pending = Vec::new();
    let mut buffer = [0; 65536];
    loop {
        while let Some(end) = find(&pending, END) {
            let request: Vec<u8> = pending.drain(..end + END.len()).collect();
            if request.starts_with(CLOSE) {
                return Ok(());
            }
            if !answer(&mut stream, shared, &request[..end])? {
                return Ok(());
            }
        }
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            count => pending.extend_from_slice(&buffer[..count]),
        }
    }
}

/// Answers one request; `false` closes the connection.
fn answer(stream: &mut UnixStream, shared: &Mutex<Script>, request: &[u8]) -> std::io::Result<bool> {
    let (fault, pickle, one_at_a_time) = {
        let mut script = shared.lock().expect("no thread of the daemon panics");
        let reply = script.reply_to(request);
        let pickle = encode(&reply, script.python);
        (script.fault, pickle, Arc::clone(&script.one_at_a_time))
    };
    // The daemon runs one command at a time for all of its clients.
    let _turn = one_at_a_time.lock().expect("no thread of the daemon panics");
    let half = &pickle[..pickle.len() / 2];
    match fault {
        Fault::None => {}
        Fault::Hung => return Ok(true),
        Fault::Slow(time) => std::thread::sleep(time),
        Fault::Truncated => {
            stream.write_all(&[half, END].concat())?;
            return Ok(true);
        }
        Fault::Garbage => {
            stream.write_all(&[b"\xff\x00<html>not a pickle</html>\n", END].concat())?;
            return Ok(true);
        }
        Fault::Huge(bytes) => {
            write_huge(stream, bytes)?;
            return Ok(true);
        }
        Fault::Declared => {
            stream.write_all(b"\x80\x05K\x00X\xf0\xff\xff\xff")?;
            return Ok(true);
        }
        Fault::DeclaredLong => {
            stream.write_all(b"\x80\x05K\x00\x8d\xf0\xff\xff\xff\xff\xff\xff\x3f")?;
            return Ok(true);
        }
        Fault::Endless => {
            stream.write_all(b"\x80\x05X\xff\xff\xff\xff")?;
            loop {
                stream.write_all(&[b'x'; 65536])?;
            }
        }
        Fault::CloseInTheMiddle => {
            stream.write_all(half)?;
            return Ok(false);
        }
        Fault::CloseAtOnce => return Ok(false),
    }
    stream.write_all(&[&pickle, END].concat())?;
    Ok(true)
}

/// A reply `(0, [text, text, …])` of about this many bytes, in pieces.
fn write_huge(stream: &mut UnixStream, bytes: usize) -> std::io::Result<()> {
    let mut item = vec![0x8c, 250];
    item.extend([b'x'; 250]);
    let piece = item.repeat(256);
    stream.write_all(b"\x80\x05K\x00](")?;
    for _ in 0..bytes / piece.len() {
        stream.write_all(&piece)?;
    }
    stream.write_all(b"e\x86.")?;
    stream.write_all(END)
}

fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|part| part == mark)
}

impl Script {
    /// The reply to one request, which is recorded.
    fn reply_to(&mut self, request: &[u8]) -> Value {
        let words = match decode(request) {
            Ok(Value::List(items)) => items,
            Ok(_) => Vec::new(),
            Err(error) => return text(format!("ERROR: {error}")),
        };
        let words: Vec<String> = words
            .iter()
            .map(|word| match word {
                Value::Text(text) => text.clone(),
                other => format!("{other:?}"),
            })
            .collect();
        self.commands.push(words.clone());
        match self.replies.get(&words) {
            Some(reply) => reply.clone(),
            None => fake_replies::reply(&mut self.state, &self.version, &self.jails, &words),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::pickle::success;
    use std::process::Command;

    /// Sends commands with Python's own pickle over one connection and prints what comes back, one value a line.
    const CLIENT: &str = r#"
import sys, socket, pickle, ast
s = socket.socket(socket.AF_UNIX); s.settimeout(float(sys.argv[2])); s.connect(sys.argv[1])
END = b"<F2B_END_COMMAND>"
for line in sys.argv[3:]:
    s.sendall(pickle.dumps(ast.literal_eval(line), 2) + END)
    data = bytearray()
    while not data.endswith(END):
        try: more = s.recv(1 << 20)
        except TimeoutError: print("TIMEOUT"); sys.exit()
        if not more: print("CLOSED after", len(data)); sys.exit()
        data += more
        if len(data) > 150 << 20: print("TOO MUCH"); sys.exit()
    try: value = pickle.loads(data[:-len(END)])
    except Exception as e: value = "BROKEN " + type(e).__name__
    if len(data) > 100000: value = ("%d MB" % (len(data) >> 20), type(value))
    print(value)
s.sendall(b"<F2B_CLOSE_COMMAND>" + END)
"#;

    fn ask(daemon: &FakeDaemon, patience: &str, commands: &[&str]) -> Vec<String> {
        let output = Command::new("python3")
            .args(["-c", CLIENT])
            .arg(daemon.socket())
            .arg(patience)
            .args(commands)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        text.lines().map(str::to_string).collect()
    }

    #[test]
    fn a_python_client_is_answered_and_recorded() {
        let daemon = FakeDaemon::start();
        daemon.reply(&["get", "dbfile"], success(text("/x")));
        let answers = ask(&daemon, "5", &["['ping']", "['status']", "['get','dbfile']", "['what']"]);
        assert_eq!(
            answers,
            [
                "(0, 'pong')",
                "(0, [('Number of jail', 2), ('Jail list', 'lab, sshd')])",
                "(0, '/x')",
                "(1, Exception('Invalid command'))"
            ]
        );
        assert_eq!(daemon.take_commands()[2], ["get", "dbfile"]);
        assert!(daemon.take_commands().is_empty());
    }

    #[test]
    fn each_fault_shows_as_what_it_is() {
        let daemon = FakeDaemon::start();
        for (fault, wanted) in [
            (Fault::Hung, "TIMEOUT"),
            (Fault::Truncated, "BROKEN"),
            (Fault::Garbage, "BROKEN"),
            (Fault::CloseInTheMiddle, "CLOSED after 6"),
            (Fault::CloseAtOnce, "CLOSED after 0"),
            (Fault::Endless, "TOO MUCH"),
            (Fault::Huge(100 << 20), "('99 MB', <class 'tuple'>)"),
            (Fault::Slow(Duration::from_millis(50)), "(0, 'pong')"),
        ] {
            daemon.set_fault(fault);
            let answers = ask(&daemon, "5", &["['ping']"]);
            assert!(answers[0].starts_with(wanted), "{fault:?}: {answers:?}");
        }
    }

    #[test]
    fn it_goes_away_leaves_its_socket_and_comes_back() {
        let daemon = FakeDaemon::start();
        let connection = UnixStream::connect(daemon.socket()).unwrap();
        daemon.leave_stale_socket();
        let error = UnixStream::connect(daemon.socket()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        assert_eq!((&connection).read(&mut [0; 8]).unwrap(), 0);
        daemon.come_back();
        assert_eq!(ask(&daemon, "5", &["['ping']"]), ["(0, 'pong')"]);
        daemon.go_away();
        assert!(!daemon.socket().exists());
        daemon.restart();
        assert_eq!(ask(&daemon, "5", &["['ping']"]), ["(0, 'pong')"]);
        super::super::wait_until("the client's end", Duration::from_secs(5), || daemon.open_connections() == 0);
    }
}

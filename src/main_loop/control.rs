//! The control socket `<database>.ctl`: how the commands at this machine reach a running server, which owns the database. Only root and
//! the server's own user may use it; a line of JSON in, one out. One order turns the connection into one of the API.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mio::net::UnixListener;
use mio::{Interest, Registry};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::app::acting::Acting;
use crate::app::limits::Limits;
use crate::app::{ApiError, Ctx};
use crate::domain::json;
use crate::domain::time;
use crate::fail2ban::client::credentials;
use crate::server::listen::Accepted;
use crate::server::request::Peer;
use crate::server::stream::Stream;
use crate::server::token::Source;
use crate::services::first_run::Opening;
use crate::services::setup::{self, Choices};

/// How long a caller may take for its line: it is a command of ours, and sends it at once.
const PATIENCE: Duration = Duration::from_millis(200);
/// The longest line, in bytes.
const LONGEST: u64 = 16 * 1024;

/// What the server can be asked.
#[derive(Debug, Serialize, Deserialize)]
pub enum Order {
    /// Whether setup is done.
    IsSetUp,
    /// Whether its database takes writes.
    TakesWrites,
    /// Where its page is opened, and with which code.
    Opening,
    /// Complete setup.
    Setup {
        /// The Argon2id hash of the password in PHC form.
        hash: String,
        /// An IANA time zone.
        timezone: Option<String>,
        /// fail2ban's socket.
        fail2ban_socket: Option<String>,
    },
    /// Replace the owner's password, which ends the owner's sessions.
    SetPassword {
        /// The Argon2id hash of the password in PHC form.
        hash: String,
    },
    /// Have a user log in by the password alone.
    ResetTotp {
        /// The name of the user.
        user: String,
    },
    /// Lift every lock on logins.
    Unlock,
    /// What follows on this connection are requests of the API, by whoever sits at this machine.
    Converse,
    /// The server that a command has started for itself alone is done.
    Leave,
}

/// What it answers: what it was asked for, or the reason why not.
pub type Reply = Result<Value, String>;

/// The listening end.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
    is_left: bool,
}

/// What becomes of a connection after its line.
enum Next {
    Converse(Accepted),
    Leave,
}

/// Where the control socket of a database lies.
pub fn path_of(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".ctl");
    name.into()
}

impl Control {
    /// Opens it. The database is ours alone, so a socket that lies there is left over and is replaced.
    pub fn open(database: &Path) -> io::Result<Self> {
        let path = path_of(database);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path, is_left: false })
    }

    /// Registers it.
    pub fn register(&mut self, registry: &Registry) -> io::Result<()> {
        registry.register(&mut self.listener, Source::Control.token(), Interest::READABLE)
    }

    /// Serves whoever waits. Callers are ours, so each is waited for, briefly. Gives what is to be served as HTTP from now on.
    pub fn serve(&mut self, ctx: &mut Ctx) -> Vec<Accepted> {
        let mut to_serve = Vec::new();
        while let Ok((stream, _)) = self.listener.accept() {
            // SAFETY: the descriptor was just accepted, and `stream` gives it up here.
            let stream = unsafe { std::os::fd::FromRawFd::from_raw_fd(std::os::fd::IntoRawFd::into_raw_fd(stream)) };
            match serve_one(ctx, stream) {
                Ok(Some(Next::Converse(accepted))) => to_serve.push(accepted),
                Ok(Some(Next::Leave)) => self.is_left = true,
                Ok(None) => {}
                Err(error) => log::warn!("control socket: {error}"),
            }
        }
        to_serve
    }

    /// Whether the command that this server was started for is done with it.
    pub fn is_left(&self) -> bool {
        self.is_left
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // Best effort: a file that stays is replaced at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

fn serve_one(ctx: &mut Ctx, mut stream: StdUnixStream) -> io::Result<Option<Next>> {
    let uid = credentials(&stream)?.uid;
    // SAFETY: geteuid takes nothing, touches no memory and cannot fail.
    if uid != 0 && uid != unsafe { libc::geteuid() } {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new((&stream).take(LONGEST)).read_line(&mut line)?;
    let order: Order = json::read(&line)?;
    let (converses, leaves) = (matches!(order, Order::Converse), matches!(order, Order::Leave));
    let reply = ctx.acting_as(Acting::CONSOLE, |ctx| obey(ctx, order));
    let mut text = json::text(&reply)?;
    text.push('\n');
    stream.write_all(text.as_bytes())?;
    if !converses {
        return Ok(leaves.then_some(Next::Leave));
    }
    stream.set_nonblocking(true)?;
    let stream = Stream::Unix(mio::net::UnixStream::from_std(stream));
    Ok(Some(Next::Converse(Accepted { stream, peer: Peer::Console })))
}

fn obey(ctx: &mut Ctx, order: Order) -> Reply {
    let worded = |error: ApiError| error.detail;
    match order {
        Order::Converse | Order::Leave => Ok(Value::Bool(true)),
        Order::IsSetUp => Ok(Value::Bool(ctx.is_set_up())),
        Order::TakesWrites => {
            let tried = ctx.store.try_to_write(time::now());
            ctx.storage_fails = tried.is_err();
            tried.map(|()| Value::Bool(true)).map_err(|error| error.to_string())
        }
        Order::Opening => serde_json::to_value(Opening::of(ctx)).map_err(|error| error.to_string()),
        Order::Setup { hash, timezone, fail2ban_socket } => {
            let mut choices = Choices::default();
            choices.settings.extend(timezone.map(|text| ("timezone", text)));
            choices.settings.extend(fail2ban_socket.map(|text| ("fail2ban_socket", text)));
            setup::store(ctx, &hash, choices).map_err(worded)?;
            log::info!("setup completed over the control socket");
            Ok(Value::Bool(true))
        }
        Order::SetPassword { hash } => {
            if !ctx.is_set_up() {
                return Err("Setup is not done; use bangui setup.".into());
            }
            ctx.store.set_owner_password(&hash, time::now()).map_err(|error| worded(error.into()))?;
            ctx.reload_stored().map_err(|error| error.to_string())?;
            ctx.limits = Limits::default();
            log::info!("the owner's password was changed over the control socket; the owner's sessions have ended");
            Ok(Value::Bool(true))
        }
        Order::ResetTotp { user } => {
            let row = ctx.store.user(&user).map_err(|error| error.to_string())?;
            let Some(row) = row else {
                return Err(format!("There is no user {user}; bangui user lists those there are."));
            };
            let done = ctx.store.reset_second_factor(&row.user, time::now());
            let was_there = done.map_err(|error| error.to_string())?;
            log::info!("the second factor of {user} was reset over the control socket");
            Ok(Value::Bool(was_there))
        }
        Order::Unlock => {
            ctx.store.unlock(time::now()).map_err(|error| worded(error.into()))?;
            ctx.limits = Limits::default();
            log::info!("all locks on logins lifted over the control socket");
            Ok(Value::Bool(true))
        }
    }
}

/// A connection over which the server that owns a database takes requests of the API. `None`: none is running.
pub fn converse(database: &Path) -> Option<Result<StdUnixStream, String>> {
    let stream = StdUnixStream::connect(path_of(database)).ok()?;
    Some(exchange(&stream, &Order::Converse).and_then(|_| {
        stream.set_read_timeout(None).map_err(|error| error.to_string())?;
        Ok(stream)
    }))
}

/// Asks the server that owns a database. `None`: none is running.
pub fn ask(database: &Path, order: &Order) -> Option<Reply> {
    let stream = StdUnixStream::connect(path_of(database)).ok()?;
    Some(exchange(&stream, order))
}

/// A line there and one back, of which nothing more is read than the line.
fn exchange(mut stream: &StdUnixStream, order: &Order) -> Reply {
    let mut talk = || -> io::Result<Reply> {
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut text = json::text(order)?;
        text.push('\n');
        stream.write_all(text.as_bytes())?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(json::read(&line)?)
    };
    talk().unwrap_or_else(|error| Err(format!("the running server did not answer: {error}")))
}

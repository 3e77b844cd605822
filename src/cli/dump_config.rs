//! `bangui dump-config`: the command stream of a configuration directory, one command per line as JSON.
//!
//! It reads files and writes to `out`; it needs no daemon and changes nothing.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::invocation::{Failure, Invocation};
use crate::conf::{Error, StreamOptions, Tree, Value, Version};
use crate::domain::json;
use crate::fail2ban::installed;

/// Why the stream could not be printed.
#[derive(Debug)]
pub enum DumpError {
    /// fail2ban would refuse this configuration.
    Config(Error),
    /// Every enabled jail is skipped; the stream was printed, and these are fail2ban's reasons.
    NoJailUsable(Vec<String>),
    /// The output cannot be written.
    Output(io::Error),
}

impl std::fmt::Display for DumpError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DumpError::Config(error) => error.fmt(out),
            DumpError::NoJailUsable(reasons) => {
                write!(out, "every enabled jail is skipped: {}", reasons.join("; "))
            }
            DumpError::Output(error) => write!(out, "cannot write the stream: {error}"),
        }
    }
}

impl std::error::Error for DumpError {}

/// How much is written at a time, in bytes.
const BUFFER: usize = 64 << 10;

/// `bangui dump-config`
pub fn command(invocation: &Invocation) -> Result<(), Failure> {
    let config = invocation.config()?;
    // fail2ban does not make the directory absolute, and some values are made of its name.
    let directory = invocation.setting("fail2ban-config").map_or(config.fail2ban_config, PathBuf::from);
    run(&directory, invocation.option("as-version"), &mut io::stdout().lock())
        .map_err(|error| Failure::failed(error.to_string()))
}

/// Prints the stream of the configuration in `config_dir`, as this version of fail2ban would compute it; `None` for the installed one.
pub fn run(config_dir: &Path, version: Option<&str>, out: &mut dyn Write) -> Result<(), DumpError> {
    let tree = Tree::load(config_dir).map_err(DumpError::Config)?;
    let stream = tree
        .stream(&StreamOptions { version: self::version(version), ..StreamOptions::default() })
        .map_err(DumpError::Config)?;
    // Standard output flushes at every line end, which would be a system call for each command.
    let mut out = BufWriter::with_capacity(BUFFER, out);
    let mut line = Vec::new();
    for command in &stream.commands {
        line.clear();
        write_list(&mut line, command);
        line.push(b'\n');
        out.write_all(&line).map_err(DumpError::Output)?;
    }
    out.flush().map_err(DumpError::Output)?;
    // The process ends here: taking everything apart would be a tenth of its time.
    std::mem::forget(tree);
    if stream.is_usable() {
        std::mem::forget(stream);
        return Ok(());
    }
    let reasons = stream.skipped.into_iter();
    let reasons = reasons.map(|(jail, reason)| format!("{jail}: {reason}"));
    Err(DumpError::NoJailUsable(reasons.collect()))
}

/// The version of this name, else the installed one, else the one that is taken for granted.
pub fn version(name: Option<&str>) -> Version {
    let name = name.map(str::to_owned).or_else(|| installed::version(Path::new("fail2ban-client")));
    name.as_deref().map(Version::new).unwrap_or_default()
}

/// Appends a list in JSON. Most of a stream is long texts that need no escape; serde_json spends several times as much on them.
fn write_list(out: &mut Vec<u8>, items: &[Value]) {
    out.push(b'[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        match item {
            Value::Str(text) => write_text(out, text.as_bytes()),
            Value::List(items) => write_list(out, items),
            other => out.extend_from_slice(json::text(other).expect("texts and numbers are JSON").as_bytes()),
        }
    }
    out.push(b']');
}

fn write_text(out: &mut Vec<u8>, text: &[u8]) {
    let (mut from, mut at) = (0, 0);
    out.push(b'"');
    loop {
        while at < text.len() && text[at] >= b' ' && text[at] != b'"' && text[at] != b'\\' {
            at += 1;
        }
        out.extend_from_slice(&text[from..at]);
        match text.get(at) {
            None => break,
            Some(b'\n') => out.extend_from_slice(b"\\n"),
            Some(byte @ (b'"' | b'\\')) => out.extend_from_slice(&[b'\\', *byte]),
            Some(byte) => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
        }
        at += 1;
        from = at;
    }
    out.push(b'"');
}

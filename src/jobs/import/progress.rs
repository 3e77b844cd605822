//! How far an import is, told now and then to whoever watches.

use std::time::{Duration, Instant};

use serde_json::json;

use super::task::Source;
use crate::jobs::frames::FrameWriter;

/// How often it is told.
const TELL: Duration = Duration::from_millis(200);

/// What is told, and to whom.
pub(super) struct Progress<'a, 'w> {
    out: &'a mut FrameWriter<'w>,
    told: Instant,
    source: (i64, String),
    bytes: u64,
    lines: u64,
    /// Of the sources before, and of this one.
    banned: (u64, u64),
}

impl<'a, 'w> Progress<'a, 'w> {
    /// Nothing is done yet.
    pub fn new(out: &'a mut FrameWriter<'w>) -> Progress<'a, 'w> {
        Progress { out, told: Instant::now(), source: (0, String::new()), bytes: 0, lines: 0, banned: (0, 0) }
    }

    /// A source is begun.
    pub fn begin(&mut self, source: &Source) {
        self.source = (source.id, source.url.clone());
        (self.bytes, self.lines) = (0, 0);
        self.banned = (self.banned.0 + self.banned.1, 0);
        self.tell();
    }

    /// So much of its list has been read.
    pub fn read(&mut self, bytes: u64, lines: u64) {
        (self.bytes, self.lines) = (bytes, lines);
        self.tell_when_due();
    }

    /// All of its list has been read, so many lines.
    pub fn has_read(&mut self, lines: u64) {
        self.lines = lines;
        self.tell();
    }

    /// So many of its addresses are banned.
    pub fn banned(&mut self, count: u64) {
        self.banned.1 = count;
        self.tell_when_due();
    }

    fn tell_when_due(&mut self) {
        if self.told.elapsed() >= TELL {
            self.tell();
        }
    }

    fn tell(&mut self) {
        self.told = Instant::now();
        let (id, url) = &self.source;
        let banned = self.banned.0 + self.banned.1;
        let (bytes, lines) = (self.bytes, self.lines);
        // Nobody listens any more only when the parent is gone, and we go with it.
        let _ = self
            .out
            .progress(&json!({ "source_id": id, "source_url": url, "bytes": bytes, "lines": lines, "banned": banned }));
    }
}

//! Reads the bans that the daemon's log tells of, as they are written: one that is made and gone between two looks into the daemon's
//! database is told of nowhere else, and without a database none is. It waits for the file to change; a file that is moved away is read on
//! for a while beside the new one, for the daemon goes on writing to it until it is told. Nothing is known of logs that are no files.
//! The failures that it tells of are counted in memory; so at a start what was read already is read for them once more, as far as they may
//! still count.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use mio::unix::SourceFd;
use mio::{Interest, Registry};
use serde::{Deserialize, Serialize};

use crate::app::Ctx;
use crate::domain::json;
use crate::domain::time;
use crate::fail2ban::ban_line;
use crate::fail2ban::failure_line::{self, Event};
use crate::files;
use crate::server::token::Source;
use crate::store::archive::{LOG_MARK, Logged};
use crate::{store, zones};

/// Bytes that are read in one step.
const BLOCK: usize = 16 * 1024;
/// How far back is read of what was written while nobody read, in bytes.
const FARTHEST: u64 = 16 << 20;
/// How much of what was read already is read again for failures, in bytes: some 20 000 of them.
const AGAIN: u64 = 2 << 20;
/// Steps that are done at once where somebody waits.
const AT_ONCE: usize = 8;
/// How long it rests between two steps.
const REST: Duration = Duration::from_millis(5);
/// How long it rests after it has read to the end: so a busy log costs five short reads a second.
const AT_END: Duration = Duration::from_millis(200);
/// How often it looks whether the file has been replaced, and reads where the system tells of no changes.
const LOOK: Duration = Duration::from_secs(30);
/// The same soon after the file was moved away, and where nothing tells of changes.
const LOOK_SOON: Duration = Duration::from_secs(1);
/// How long a file that was moved away is read on.
const READ_ON: Duration = Duration::from_secs(120);
/// Files that are read at a time: the present one, and those that were moved away a moment ago.
const FILES: usize = 3;
/// Time zones differ by so many seconds, or a multiple.
const ZONE_STEP: i64 = 900;

/// How far a log has been read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    device: u64,
    inode: u64,
    offset: u64,
    /// Seconds by which the daemon's time zone is behind that of this machine.
    #[serde(default)]
    zone: i64,
}

/// A file that is read.
#[derive(Debug)]
struct Followed {
    file: File,
    mark: Mark,
    /// From where it is read again for failures, up to where reading goes on.
    again: u64,
    /// The number of its watch; -1 where there is none.
    watch: i32,
    /// What was read of it at once is news: it was read to its end before.
    is_live: bool,
    /// Until when it is read on; `None` for the present one.
    until: Option<Instant>,
}

/// The log that is read.
#[derive(Debug)]
pub struct BanLog {
    path: Option<PathBuf>,
    /// The present one is the last.
    files: Vec<Followed>,
    /// Tells of changes; `None` where the system cannot.
    inotify: Option<OwnedFd>,
    is_registered: bool,
    read_at: Instant,
    look_at: Instant,
    zone: Option<TimeZone>,
    /// Seconds by which the daemon's is behind it.
    zone_off: i64,
    /// What was last complained of, so that the log says it once.
    complaint: String,
}

impl BanLog {
    /// Nothing is read yet.
    pub fn new(now: Instant) -> BanLog {
        // SAFETY: it takes a number, and gives a descriptor that is ours or -1.
        let fd = unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) };
        // SAFETY: nobody else has this descriptor.
        let inotify = (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) });
        BanLog {
            path: None,
            files: Vec::new(),
            inotify,
            is_registered: false,
            read_at: now,
            look_at: now,
            zone: None,
            zone_off: 0,
            complaint: String::new(),
        }
    }

    /// When it is due.
    pub fn next(&self) -> Instant {
        self.read_at.min(self.look_at)
    }

    /// The file has changed.
    pub fn on_event(&mut self, now: Instant) {
        let Some(inotify) = &self.inotify else { return };
        let mut events = [0_u8; 4096];
        loop {
            // SAFETY: the buffer is as long as is said, and the descriptor is open.
            let length = unsafe { libc::read(inotify.as_raw_fd(), events.as_mut_ptr().cast(), events.len()) };
            let Some(mut rest) = usize::try_from(length).ok().and_then(|length| events.get(..length)) else { break };
            // The number of the watch, what has happened, a cookie, and the length of a name: four bytes each.
            while let Some((head, behind)) = rest.split_first_chunk::<16>() {
                let number = |at: usize| u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
                if number(4) != libc::IN_MODIFY {
                    self.look_at = now;
                }
                rest = behind.get(number(12) as usize..).unwrap_or_default();
            }
            if length == 0 {
                break;
            }
        }
        self.read_at = self.read_at.min(now + AT_END);
    }

    /// Reads what is due; with `at_once`, whatever there is. The rest has another turn.
    pub fn run(&mut self, ctx: &mut Ctx, registry: &Registry, at_once: bool, now: Instant) {
        let is_moved = ctx.daemon_log.target.as_deref().filter(|target| target.starts_with('/')) != self.target();
        if !at_once && !is_moved && now < self.next() {
            return;
        }
        self.register(registry);
        if now >= self.look_at || at_once || is_moved {
            self.look(ctx, now);
            self.look_at = now + if self.is_watched() { LOOK } else { LOOK_SOON };
        }
        let mut goes_on = true;
        for _ in 0..if at_once { AT_ONCE } else { 1 } {
            goes_on &= self.read_all(ctx);
            if !goes_on {
                break;
            }
        }
        ctx.daemon_log.is_behind = goes_on;
        if !goes_on {
            ctx.failing.caught_up.clone_from(&self.path);
        }
        self.files.retain(|file| file.until.is_none_or(|until| now < until));
        // Without changes it is not read again before the next look.
        self.read_at = if goes_on { now + REST } else { self.look_at };
    }

    /// A step of each file. True where there is more.
    fn read_all(&mut self, ctx: &mut Ctx) -> bool {
        let mut goes_on = false;
        for at in 0..self.files.len() {
            match self.read(ctx, at) {
                Ok(more) => goes_on |= more,
                Err(why) => self.complain(why),
            }
        }
        goes_on
    }

    fn target(&self) -> Option<&str> {
        self.path.as_deref().and_then(Path::to_str)
    }

    /// Whether a change of the file, or of its name, is told of.
    fn is_watched(&self) -> bool {
        let is_whole = |file: &Followed| file.watch >= 0 && file.until.is_none();
        self.path.is_none() || (!self.files.is_empty() && self.files.iter().all(is_whole))
    }

    fn register(&mut self, registry: &Registry) {
        if let (false, Some(inotify)) = (self.is_registered, &self.inotify) {
            let fd = inotify.as_raw_fd();
            self.is_registered =
                registry.register(&mut SourceFd(&fd), Source::BanLog.token(), Interest::READABLE).is_ok();
            if !self.is_registered {
                self.inotify = None;
            }
        }
    }

    /// Finds out whether there is another file than the one that is read.
    fn look(&mut self, ctx: &mut Ctx, now: Instant) {
        let target = ctx.daemon_log.target.as_deref().filter(|target| target.starts_with('/')).map(PathBuf::from);
        if target != self.path {
            self.files.clear();
            self.path = target;
        }
        let Some(path) = self.path.clone() else { return };
        let found = std::fs::metadata(&path).ok().map(|found| (found.dev(), found.ino()));
        let known = self.files.last().map(|file| (file.mark.device, file.mark.inode));
        if found == known {
            return;
        }
        if found.is_none() {
            // It was moved away, and the new one is still to come.
            self.files.iter_mut().for_each(|file| file.until = file.until.or(Some(now + READ_ON)));
            return;
        }
        let opened = match known {
            Some(_) => self.open(&path, 0).map(|mut new| {
                new.iter_mut().for_each(|file| file.is_live = true);
                new
            }),
            None => self.begin(ctx, &path),
        };
        match opened {
            Ok(new) => {
                // The daemon goes on writing to the one before until it is told.
                self.files.iter_mut().for_each(|file| file.until = file.until.or(Some(now + READ_ON)));
                self.files.extend(new);
                let excess = self.files.len().saturating_sub(FILES);
                self.files.drain(..excess);
                self.read_at = now;
                self.complaint.clear();
            }
            Err(error) => self.complain(format!("{}: {error}", path.display())),
        }
    }

    /// Where reading goes on at the start: where it ended, also where the file was moved away since. At the end the first time.
    fn begin(&mut self, ctx: &mut Ctx, path: &Path) -> io::Result<Vec<Followed>> {
        let stored = ctx.store.archive_mark(LOG_MARK).ok().flatten();
        let mut new = self.open(path, 0)?;
        let Some(present) = new.last_mut() else { return Ok(new) };
        let size = present.file.metadata()?.len();
        let Some(marks) = stored.and_then(|text| json::read::<Vec<Mark>>(&text).ok()) else {
            (present.mark.offset, present.is_live) = (size, true);
            present.again = size.saturating_sub(AGAIN);
            let text = json::text(&[&present.mark]).unwrap_or_default();
            if let Err(error) = ctx.store.begin_log(&text) {
                self.complain(error.to_string());
            }
            return Ok(new);
        };
        self.zone_off = marks.last().map_or(0, |mark| mark.zone);
        let known = |file: &Followed| {
            let is_it = |mark: &&Mark| (mark.device, mark.inode) == (file.mark.device, file.mark.inode);
            marks.iter().find(is_it).map(|mark| mark.offset)
        };
        present.mark.offset = known(present).filter(|offset| *offset <= size).unwrap_or(0);
        present.mark.offset = present.mark.offset.max(size.saturating_sub(FARTHEST));
        present.again = size.saturating_sub(AGAIN).min(present.mark.offset);
        let mut before = path.as_os_str().to_owned();
        before.push(".1");
        let Ok(mut all) = self.open(Path::new(&before), 0) else { return Ok(new) };
        all.retain_mut(|file| {
            let offset = known(file);
            (file.mark.offset, file.until) = (offset.unwrap_or(0), Some(Instant::now() + READ_ON));
            file.again = file.mark.offset.saturating_sub(AGAIN);
            offset.is_some()
        });
        all.append(&mut new);
        Ok(all)
    }

    fn open(&self, path: &Path, offset: u64) -> io::Result<Vec<Followed>> {
        let file = files::open(path)?;
        let found = file.metadata()?;
        let mark = Mark { device: found.dev(), inode: found.ino(), offset, zone: self.zone_off };
        let again = mark.offset;
        Ok(vec![Followed { file, mark, again, watch: self.watch(path), is_live: false, until: None }])
    }

    fn watch(&self, path: &Path) -> i32 {
        let (Some(inotify), Ok(path)) = (&self.inotify, std::ffi::CString::new(path.as_os_str().as_bytes())) else {
            return -1;
        };
        let changes = libc::IN_MODIFY | libc::IN_MOVE_SELF | libc::IN_DELETE_SELF | libc::IN_ATTRIB;
        // SAFETY: the descriptor is open, and the path ends in a zero byte.
        unsafe { libc::inotify_add_watch(inotify.as_raw_fd(), path.as_ptr(), changes) }
    }

    /// Reads a step of a file. True where there is more.
    fn read(&mut self, ctx: &mut Ctx, at: usize) -> Result<bool, String> {
        let mut block = vec![0; BLOCK];
        let file = &mut self.files[at];
        let size = file.file.metadata().map_err(|error| error.to_string())?.len();
        if size < file.mark.offset {
            // It was emptied, not moved away.
            (file.mark.offset, file.again) = (0, 0);
        }
        if file.again < file.mark.offset {
            return self.read_again(ctx, at);
        }
        let length = file.file.read_at(&mut block, file.mark.offset).map_err(|error| error.to_string())?;
        let is_whole = length == BLOCK;
        let end = match block[..length].iter().rposition(|byte| *byte == b'\n') {
            Some(last) => last + 1,
            // One line fills it all: no line of a ban does.
            None if is_whole => length,
            None => 0,
        };
        let is_live = file.is_live;
        let bans = self.told(ctx, &block[..end], is_live);
        let file = &mut self.files[at];
        file.mark.offset += end as u64;
        file.again = file.mark.offset;
        file.is_live |= !is_whole;
        let zone = self.zone_off;
        let marks: Vec<Mark> = self.files.iter().map(|file| Mark { zone, ..file.mark.clone() }).collect();
        if !bans.is_empty() {
            let mark = json::text(&marks).unwrap_or_default();
            if let Err(error) = ctx.store.archive_logged(&bans, &mark, time::now()) {
                self.files[at].mark.offset -= end as u64;
                self.files[at].again = self.files[at].mark.offset;
                ctx.storage_fails |= !matches!(error, store::Error::Locked(_));
                return Err(error.to_string());
            }
            // What is shown as banned is to be looked at again.
            ctx.banned.doubt();
        }
        Ok(is_whole && end > 0)
    }

    /// Reads a step of what was read before this program was started, for the failures in it.
    fn read_again(&mut self, ctx: &mut Ctx, at: usize) -> Result<bool, String> {
        let file = &mut self.files[at];
        let most = (file.mark.offset - file.again).min(BLOCK as u64) as usize;
        let mut block = vec![0; most];
        let length = file.file.read_at(&mut block, file.again).map_err(|error| error.to_string())?;
        // What is written up to there ends with a line.
        let end = block[..length].iter().rposition(|byte| *byte == b'\n').map_or(length, |last| last + 1);
        file.again = if end == 0 { file.mark.offset } else { file.again + end as u64 };
        self.told(ctx, &block[..end], false);
        Ok(true)
    }

    /// What some lines tell: bans, which it gives, and failures, which are counted.
    fn told(&mut self, ctx: &mut Ctx, block: &[u8], is_live: bool) -> Vec<Logged> {
        let mut found = Vec::new();
        for line in block.split(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(line);
            let Some((written, event)) = failure_line::read(&line) else { continue };
            self.learn_zone(ctx, written, is_live);
            match event {
                Event::Failure { jail, ip, at, count } => {
                    let at = self.shown_here(at);
                    ctx.failing.now.failed(jail, ip, at, count);
                }
                Event::Begun(jail) => ctx.failing.now.forget_jail(jail),
                Event::Started => ctx.failing.now.forget_all(),
                Event::Ban { jail, ip } => {
                    ctx.failing.now.banned(jail, ip);
                    if let Some(ban) = ban_line::read(&line) {
                        let at = (self.shown_here(ban.at.0) + self.zone_off) * 1000 + ban.at.1;
                        let country = ctx.place_of(ban.ip).country;
                        found.push(Logged { jail: ban.jail.to_owned(), ip: ban.ip.to_owned(), at, country });
                    }
                }
            }
        }
        found
    }

    /// Unix time in seconds of when the clocks of this machine show it.
    fn shown_here(&mut self, at: DateTime) -> i64 {
        let zone = self.zone.get_or_insert_with(zones::local);
        zone.to_ambiguous_zoned(at).compatible().map_or(0, |at| at.timestamp().as_second())
    }

    /// What is read as it is written tells by how much the daemon's zone is another than ours.
    fn learn_zone(&mut self, ctx: &mut Ctx, written: DateTime, is_live: bool) {
        if is_live {
            let told = self.shown_here(written);
            self.zone_off = (time::now() - told + ZONE_STEP / 2).div_euclid(ZONE_STEP) * ZONE_STEP;
        }
        ctx.failing.now.set_zone(self.zone_off);
    }

    fn complain(&mut self, why: String) {
        if why != self.complaint {
            log::warn!("fail2ban's log is not read: {why}");
            self.complaint = why;
        }
    }
}

//! Keeps the archive: copies what fail2ban's database and the set of imported addresses have that we have not, removes what is kept too
//! long, and looks up countries that have become known. One short step at a time, between requests.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::held::HeldCopy;
use crate::app::banned::CatchUp;
use crate::app::seen::TheirDatabase;
use crate::app::{ApiError, Ctx, Job};
use crate::domain::json;
use crate::domain::time;
use crate::fail2ban::database::{Ban, DatabaseError, Mark, Page};
use crate::geo::Geo;
use crate::jobs::Task;
use crate::jobs::their_database::{ReadTheirs, Wanted};
use crate::server::response::Response;
use crate::store::archive::{Bounds, FAIL2BAN_MARK, NewBan};
use crate::store::{self, Store};

/// What a step should take, reading and writing together; its page grows and shrinks to that.
const STEP: Duration = Duration::from_millis(3);
/// Bounds of what a step keeps, in rows.
const PAGES: (usize, usize) = (64, 512);
/// Rows that a child reads: starting it costs more than a step, and so it brings enough for several.
const READ_ROWS: usize = 1024;
/// How long a child may take to read a page; it is killed a little earlier.
const READ_LIMIT: Duration = Duration::from_secs(12);
/// How long it rests at least between two steps of one pass, so that requests have their turn.
const REST: Duration = Duration::from_millis(5);
/// When what could not be done is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long it rests at most after trouble with a database, so that its end is noticed soon.
const AFTER_TROUBLE: Duration = Duration::from_secs(10);
/// How long fail2ban's database may be locked without that being trouble.
const LOCKED: Duration = Duration::from_secs(60);
/// How often old rows are looked for.
const PURGE: Duration = Duration::from_secs(600);
/// How often files that know countries are looked at.
const LOOK_AT_FILES: Duration = Duration::from_secs(60);
/// Rows of a step of removing and of looking up.
const ROWS: usize = 64;
/// How many places in fail2ban's database are remembered. The newest may be gone when its ban was lifted by hand.
const MARKS: usize = 16;

/// When what is due, and how the last steps went.
#[derive(Debug)]
pub struct Archivist {
    copy_at: Instant,
    held_at: Instant,
    purge_at: Instant,
    files_at: Instant,
    page: usize,
    held: HeldCopy,
    /// A pass goes on: where the database is has been settled at its beginning.
    is_copying: bool,
    /// A child reads the journal first.
    awaits_journal: bool,
    /// The database of which a child reads a page.
    asked: Option<PathBuf>,
    /// What it read of this database and is not kept yet.
    left: Option<(PathBuf, Page)>,
    /// Since when fail2ban's database has been locked whenever it was looked into.
    locked_since: Option<Instant>,
    /// What was last complained of, so that the log says it once.
    complaint: String,
}

/// Why a step did not work.
enum Problem {
    Theirs(DatabaseError),
    Ours(store::Error),
}

impl From<DatabaseError> for Problem {
    fn from(error: DatabaseError) -> Self {
        Problem::Theirs(error)
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        Problem::Ours(error)
    }
}

impl Archivist {
    /// Everything is due at once.
    pub fn new(now: Instant) -> Self {
        Self {
            copy_at: now,
            held_at: now,
            purge_at: now + AGAIN,
            files_at: now,
            page: PAGES.0 * 4,
            held: HeldCopy::default(),
            is_copying: false,
            awaits_journal: false,
            asked: None,
            left: None,
            locked_since: None,
            complaint: String::new(),
        }
    }

    /// When the next step is due; `now` where a page has been read.
    pub fn next(&self, ctx: &Ctx, now: Instant) -> Instant {
        let copy = self.next_copy(ctx, now);
        copy.min(self.held_at).min(self.purge_at).min(self.files_at)
    }

    /// When it is due to copy what fail2ban's database has.
    pub fn next_copy(&self, ctx: &Ctx, now: Instant) -> Instant {
        let is_idle = self.asked.is_none() && self.left.is_none() && !self.awaits_journal;
        let is_wanted = ctx.daemon_log.catch_up == CatchUp::Wanted && is_idle;
        // What the log tells of comes first: a ban is found there by whoever tells of it next.
        let has_come = (ctx.their_page.is_some() && !ctx.daemon_log.is_behind)
            || (self.awaits_journal && !ctx.daemon_log.is_being_read);
        if has_come || is_wanted { now } else { self.copy_at }
    }

    /// Does one step, if one is due.
    pub fn run(&mut self, ctx: &mut Ctx, daemon_is_free: bool, now: Instant) {
        if now >= self.next_copy(ctx, now) {
            self.copy(ctx, daemon_is_free, now);
        } else if now >= self.held_at {
            self.copy_held(ctx, now);
        } else if now >= self.purge_at {
            self.purge(ctx, now);
        } else if now >= self.files_at {
            self.resolve(ctx, now);
        }
    }

    /// Does a step of copying what fail2ban's database has.
    pub fn copy(&mut self, ctx: &mut Ctx, daemon_is_free: bool, now: Instant) {
        if let Some(path) = self.asked.take() {
            return self.take(ctx, path, now);
        }
        if let Some((path, page)) = self.left.take() {
            ctx.their_page = Some(Ok(page));
            return self.take(ctx, path, now);
        }
        ctx.their_page = None;
        if ctx.daemon_log.catch_up == CatchUp::Wanted {
            ctx.daemon_log.catch_up = CatchUp::Running;
        }
        let is_new = !self.is_copying && !self.awaits_journal && ctx.snapshot.online && daemon_is_free;
        if is_new && let Ok(target) = ctx.daemon.log_target() {
            ctx.daemon_log.target = Some(target);
            // Whether there is anything to read in the journal is told by counters, which may be half a minute old.
            if ctx.daemon_log.is_in_journal() {
                ctx.look_again();
            }
        }
        if is_new && ctx.config.fail2ban_database.is_none() {
            // It may have moved since the last pass. Where the daemon does not say, the place last known will do.
            if let Ok(path) = ctx.daemon.database_path() {
                if path.is_none() {
                    ctx.their_database = TheirDatabase::None;
                }
                ctx.known_database = path;
            }
        }
        // One that came to no end is not waited for.
        let has_waited = std::mem::take(&mut self.awaits_journal);
        ctx.daemon_log.is_being_read &= !has_waited;
        if !self.is_copying && !has_waited {
            match ctx.read_journal() {
                Ok(is_read) => self.awaits_journal = is_read,
                Err(error) => self.complain(ctx, error.into()),
            }
            if self.awaits_journal {
                self.copy_at = now + READ_LIMIT;
                return;
            }
        }
        let path = ctx.config.fail2ban_database.clone().or_else(|| ctx.known_database.clone());
        let Some(path) = path else {
            self.copy_at = now + AGAIN;
            ctx.daemon_log.catch_up = CatchUp::Idle;
            return;
        };
        match self.ask(ctx, path) {
            Ok(()) => self.copy_at = now + READ_LIMIT,
            Err(error) => {
                self.copy_at = now + AFTER_TROUBLE;
                ctx.daemon_log.catch_up = CatchUp::Idle;
                self.complain(ctx, error.into());
            }
        }
    }

    /// Has a child read the next page.
    fn ask(&mut self, ctx: &mut Ctx, path: PathBuf) -> Result<(), store::Error> {
        let wanted = Wanted::Page(marks(ctx)?, READ_ROWS);
        self.asked = Some(path.clone());
        let task = Task::ReadTheirs(ReadTheirs { path, wanted });
        ctx.background.push(Job::new(task, |ctx, page| {
            ctx.their_page = Some(json::from_tree(page).map_err(ApiError::internal)?);
            Ok(Response::no_content())
        }));
        Ok(())
    }

    /// Keeps some of what the child has read, and leaves the rest for the next step; nothing where it did not come to an end.
    fn take(&mut self, ctx: &mut Ctx, path: PathBuf, now: Instant) {
        let begun = Instant::now();
        let step = match ctx.their_page.take() {
            Some(Ok(mut page)) => {
                let rest = page.bans.split_off(self.page.min(page.bans.len()));
                let next = page.next;
                let kept = keep(ctx, &page).map_err(Problem::from);
                self.left =
                    Some((path, Page { bans: rest, next })).filter(|(_, left)| kept.is_ok() && !left.bans.is_empty());
                kept.map(|()| next.is_some() || self.left.is_some())
            }
            Some(Err(error)) => Err(error.into()),
            None => Err(DatabaseError::Unreadable(path, "reading it did not come to an end".to_owned()).into()),
        };
        let took = begun.elapsed();
        self.page = fitting(self.page, took);
        let period = Duration::from_secs(u64::from(ctx.config.archive.seconds));
        self.is_copying = matches!(step, Ok(true));
        self.copy_at = now
            + match &step {
                Ok(true) => took + REST.max(took),
                Ok(false) => period,
                Err(Problem::Theirs(DatabaseError::Locked)) => AGAIN,
                Err(_) => period.min(AFTER_TROUBLE),
            };
        let goes_on = matches!(step, Ok(true) | Err(Problem::Theirs(DatabaseError::Locked)));
        if ctx.daemon_log.catch_up == CatchUp::Running && !goes_on {
            ctx.daemon_log.catch_up = CatchUp::Idle;
        }
        ctx.their_database = self.theirs(ctx.their_database, step.as_ref().err(), now);
        match step {
            Ok(_) => self.complaint.clear(),
            Err(problem) => self.complain(ctx, problem),
        }
    }

    /// How their database is now. It is locked for moments all the time; what lasts is trouble.
    fn theirs(&mut self, before: TheirDatabase, problem: Option<&Problem>, now: Instant) -> TheirDatabase {
        let is_locked = matches!(problem, Some(Problem::Theirs(DatabaseError::Locked)));
        let since = self.locked_since.filter(|_| is_locked).unwrap_or(now);
        self.locked_since = is_locked.then_some(since);
        match problem {
            None => TheirDatabase::Ok,
            Some(Problem::Theirs(DatabaseError::NotKept)) => TheirDatabase::None,
            Some(Problem::Theirs(_)) if is_locked && now - since < LOCKED => before,
            Some(Problem::Theirs(_)) => TheirDatabase::Error,
            Some(Problem::Ours(_)) => before,
        }
    }

    /// Copies some of what was put into the set of imported addresses.
    fn copy_held(&mut self, ctx: &mut Ctx, now: Instant) {
        let period = Duration::from_secs(u64::from(ctx.config.archive.seconds));
        let begun = Instant::now();
        match self.held.step(ctx, self.page) {
            Ok(goes_on) => {
                let took = begun.elapsed();
                self.page = fitting(self.page, took);
                self.held_at = now + if goes_on { took + REST.max(took) } else { period };
            }
            Err(error) => {
                self.held_at = now + period.min(AFTER_TROUBLE);
                self.complain(ctx, error.into());
            }
        }
    }

    fn purge(&mut self, ctx: &mut Ctx, now: Instant) {
        let bounds = Bounds {
            days: ctx.config.archive.days,
            rows: u64::from(ctx.config.archive.rows),
            bytes: u64::from(ctx.config.archive.mib) << 20,
        };
        match ctx.store.purge_archive(bounds, ROWS, time::now()) {
            Ok(gone) => {
                self.purge_at = now + if gone == ROWS { now.elapsed() + REST } else { PURGE };
            }
            Err(error) => {
                self.purge_at = now + PURGE;
                self.complain(ctx, error.into());
            }
        }
    }

    /// Looks whether the files have changed, or looks some rows up that have no country.
    fn resolve(&mut self, ctx: &mut Ctx, now: Instant) {
        let step = match ctx.resolve_from {
            Some(from) => resolve_some(ctx, from),
            None => look_at_files(ctx),
        };
        match step {
            Ok(()) if ctx.resolve_from.is_some() => self.files_at = now + now.elapsed() + REST,
            Ok(()) => self.files_at = now + LOOK_AT_FILES,
            Err(error) => {
                self.files_at = now + LOOK_AT_FILES;
                self.complain(ctx, error.into());
            }
        }
    }

    fn complain(&mut self, ctx: &mut Ctx, problem: Problem) {
        let line = match problem {
            // It is writing: nothing to tell anybody.
            Problem::Theirs(DatabaseError::Locked) => return,
            Problem::Theirs(error) => error.to_string(),
            Problem::Ours(error) => {
                ctx.storage_fails = true;
                error.to_string()
            }
        };
        if line != self.complaint {
            log::warn!("the archive waits: {line}");
            self.complaint = line;
        }
    }
}

/// Where the archive has come to in the daemon's database. Where to go on is found anew each time, for the daemon may have deleted rows.
fn marks(ctx: &Ctx) -> Result<Vec<Mark>, store::Error> {
    let text = ctx.store.archive_mark(FAIL2BAN_MARK)?.unwrap_or_default();
    Ok(json::read(&text).unwrap_or_default())
}

/// Keeps a page of bans.
fn keep(ctx: &mut Ctx, page: &Page) -> Result<(), store::Error> {
    let Some(newest) = page.bans.last() else { return Ok(()) };
    let mut marks = marks(ctx)?;
    remember(&mut marks, Mark::from(newest));
    let marks = json::text(&marks).expect("numbers and texts are JSON");
    let bans: Vec<NewBan<'_>> = page.bans.iter().map(|ban| new_ban(ctx, ban)).collect();
    ctx.store.archive_bans(&bans, Some((FAIL2BAN_MARK, &marks)), time::now())?;
    if ctx.config.geoip_online.is_some() {
        let now = Instant::now();
        for ban in bans.iter().filter(|ban| ban.country.is_none() && Geo::is_askable(ban.ip)) {
            ctx.asking.want(ban.ip, now);
        }
    }
    Ok(())
}

/// The newest place comes first, and of the older ones some stay: a ban that is lifted by hand is gone from the database, and its place with it.
fn remember(marks: &mut Vec<Mark>, newest: Mark) {
    marks.insert(0, newest);
    marks.truncate(MARKS);
}

/// The page that would have taken as long as a step should.
fn fitting(page: usize, took: Duration) -> usize {
    let page = match took {
        took if took > STEP => page / 2,
        took if took < STEP / 2 => page * 2,
        _ => page,
    };
    page.clamp(PAGES.0, PAGES.1)
}

fn new_ban<'a>(ctx: &Ctx, ban: &'a Ban) -> NewBan<'a> {
    NewBan {
        jail: &ban.jail,
        ip: &ban.ip,
        banned_at: ban.times.banned_at,
        ban_time: ban.times.ban_time,
        count: ban.times.count,
        failures: ban.data.failures,
        matches: &ban.data.matches,
        country: ctx.place_of(&ban.ip).country,
    }
}

/// With other files than last time, everything that has no country is looked up once.
fn look_at_files(ctx: &mut Ctx) -> Result<(), store::Error> {
    ctx.geo.refresh();
    let files = ctx.geo.fingerprint();
    if !files.is_empty() && ctx.store.archive_resolved_with()?.as_deref() != Some(&files) {
        ctx.resolve_from = Some((0, 0));
    }
    Ok(())
}

fn resolve_some(ctx: &mut Ctx, from: (i64, i64)) -> Result<(), store::Error> {
    let geo = &ctx.geo;
    let country = |ip: &str| geo.look_up_text(ip).country;
    let store: &mut Store = &mut ctx.store;
    let result = store.resolve_countries(from, ROWS, time::now(), &country);
    // A failure ends it; the next look at the files begins anew.
    ctx.resolve_from = result.as_ref().ok().and_then(|(_, next)| *next);
    result?;
    if ctx.resolve_from.is_none() {
        ctx.store.set_archive_resolved_with(&ctx.geo.fingerprint())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_places_are_remembered_the_newest_first() {
        let mark =
            |number: i64| Mark { rowid: number, banned_at: number, ip: number.to_string(), jail: "lab".to_owned() };
        let mut marks = Vec::new();
        (0..40).for_each(|number| remember(&mut marks, mark(number)));
        assert_eq!(marks, (24..40).rev().map(mark).collect::<Vec<_>>());
    }

    #[test]
    fn a_database_that_stays_locked_is_trouble_and_a_moment_is_not() {
        let start = Instant::now();
        let mut archivist = Archivist::new(start);
        let locked = Problem::Theirs(DatabaseError::Locked);
        let mut at =
            |seconds, problem| archivist.theirs(TheirDatabase::Ok, problem, start + Duration::from_secs(seconds));
        assert_eq!(at(0, Some(&locked)), TheirDatabase::Ok);
        assert_eq!(at(59, Some(&locked)), TheirDatabase::Ok);
        assert_eq!(at(60, Some(&locked)), TheirDatabase::Error);
        assert_eq!(at(61, None), TheirDatabase::Ok);
        assert_eq!(at(62, Some(&locked)), TheirDatabase::Ok, "it begins anew");
        assert_eq!(at(63, Some(&Problem::Theirs(DatabaseError::NotKept))), TheirDatabase::None);
        assert_eq!(at(64, Some(&Problem::Theirs(DatabaseError::Absent("x".into())))), TheirDatabase::Error);
    }
}

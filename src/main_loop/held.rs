//! Copies what is put into the set of imported addresses into the archive, some at a time. The set is a file that a child replaces whole; each
//! new one is looked through once for what was put there since the newest that is known.

use crate::app::Ctx;
use crate::blocklist::held::{Entry, HeldFile};
use crate::domain::history::BLOCKLIST_JAIL;
use crate::domain::time;
use crate::store;
use crate::store::archive::{HELD_MARK, NewBan};

/// Entries that are looked at in one step: 1 ms for 20 000.
const LOOKED_AT: usize = 20_000;

/// How far it has come.
#[derive(Debug, Default)]
pub struct HeldCopy {
    /// The file that is looked through, or was last.
    file: Option<(u64, i64)>,
    /// The entry to go on with; `None` at the end.
    next: Option<usize>,
    /// The newest entry that was seen in this file.
    newest: u32,
}

impl HeldCopy {
    /// Copies up to `page` entries. True where there is more.
    pub fn step(&mut self, ctx: &mut Ctx, page: usize) -> Result<bool, store::Error> {
        let Some(held) = ctx.held() else { return Ok(false) };
        if self.file != Some(held.identity()) {
            *self = HeldCopy { file: Some(held.identity()), next: Some(0), newest: 0 };
        }
        let Some(from) = self.next else { return Ok(false) };
        let mark: Option<u32> = ctx.store.archive_mark(HELD_MARK)?.and_then(|text| text.parse().ok());
        let (some, next) = self.some(&held, from, mark.unwrap_or(0), page);
        let texts: Vec<String> = some.iter().map(|entry| entry.net.to_string()).collect();
        let bans: Vec<NewBan<'_>> = some.iter().zip(&texts).map(|(entry, ip)| new_ban(ctx, entry, ip)).collect();
        // Entries of the mark's own second are looked at again next time, for there may be more of them then.
        let newest = self.newest.max(mark.unwrap_or(0));
        let is_news = next.is_none() && mark.unwrap_or(0) != newest;
        let newest = newest.to_string();
        ctx.store.archive_bans(&bans, is_news.then_some((HELD_MARK, newest.as_str())), time::now())?;
        self.next = next;
        Ok(next.is_some())
    }

    /// Entries since the mark, and where to go on. A file that cannot be read any more is at its end: a new one will come.
    fn some(&mut self, held: &HeldFile, from: usize, mark: u32, page: usize) -> (Vec<Entry>, Option<usize>) {
        let (mut some, mut next) = (Vec::new(), None);
        let newest = &mut self.newest;
        let read = held.each(from, &mut |index, entry| {
            if some.len() >= page || index >= from + LOOKED_AT {
                next = Some(index);
                return false;
            }
            *newest = entry.since.max(*newest);
            if entry.since >= mark {
                some.push(entry);
            }
            true
        });
        (some, if read.is_ok() { next } else { None })
    }
}

fn new_ban<'a>(ctx: &Ctx, entry: &Entry, ip: &'a str) -> NewBan<'a> {
    NewBan {
        jail: BLOCKLIST_JAIL,
        ip,
        banned_at: i64::from(entry.since),
        ban_time: Some(f64::from(entry.until) - f64::from(entry.since)),
        count: 1,
        failures: 0,
        matches: &[],
        country: ctx.place_of(ip).country,
    }
}

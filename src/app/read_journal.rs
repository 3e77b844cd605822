//! What fail2ban tells the systemd journal of is read by a child, whenever its database is.

use serde::{Deserialize, Serialize};

use super::banned::CatchUp;
use super::error::ApiError;
use super::state::{Ctx, Job};
use crate::domain::{json, time};
use crate::fail2ban::journal::Found;
use crate::jobs::Task;
use crate::jobs::journal_bans::ReadJournal;
use crate::server::response::Response;
use crate::store;
use crate::store::archive::{LOG_MARK, Logged};

impl Ctx {
    /// Has a child read what the journal tells of bans since it was last read. False where that is not needed.
    pub fn read_journal(&mut self) -> Result<bool, store::Error> {
        let made = Some(self.snapshot.made);
        let is_wanted = self.daemon_log.catch_up != CatchUp::Idle || made != self.daemon_log.read_at;
        if !self.daemon_log.is_in_journal() || !is_wanted || self.daemon_log.is_being_read {
            return Ok(false);
        }
        let mark = self.store.archive_mark(LOG_MARK)?.and_then(|text| json::read::<Mark>(text).ok());
        let task = Task::ReadJournal(ReadJournal {
            socket: self.fail2ban_socket().to_owned(),
            after: mark.map(|mark| mark.journal),
        });
        self.daemon_log.is_being_read = true;
        self.background.push(Job::new(task, move |ctx, found| {
            let found: Found = json::from_tree(found).map_err(ApiError::internal)?;
            let is_whole = !found.goes_on && found.why_not.is_none();
            ctx.take_journal(found)?;
            ctx.daemon_log.read_at = made.filter(|_| is_whole);
            ctx.daemon_log.is_being_read = false;
            Ok(Response::no_content())
        }));
        Ok(true)
    }

    fn take_journal(&mut self, found: Found) -> Result<(), store::Error> {
        let why_not = found.why_not.unwrap_or_default();
        if why_not != self.daemon_log.complaint {
            if !why_not.is_empty() {
                log::warn!("what fail2ban writes to the journal is not read: {why_not}");
            }
            self.daemon_log.complaint = why_not;
        }
        let Some(journal) = found.end else { return Ok(()) };
        let mark = json::text(&Mark { journal }).unwrap_or_default();
        if found.is_first {
            return self.store.begin_log(&mark);
        }
        let told = |(jail, ip, at): (String, String, i64)| {
            let country = self.place_of(&ip).country;
            Logged { jail, ip, at, country }
        };
        let bans: Vec<Logged> = found.bans.into_iter().map(told).collect();
        self.store.archive_logged(&bans, &mark, time::now())?;
        if !bans.is_empty() {
            // What is shown as banned is to be looked at again.
            self.banned.doubt();
        }
        Ok(())
    }
}

/// How far the journal has been read.
#[derive(Debug, Serialize, Deserialize)]
struct Mark {
    journal: String,
}

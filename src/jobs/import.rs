//! An import of blocklists, in a child: read each list, ban what is new, lift what left it. The outcome goes back as data;
//! killed at any moment it leaves bans that the next import finds, and nothing half written.

mod jail;
mod lists;
mod never;
mod progress;
pub mod read;
mod target;
mod task;
pub mod tend;

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use self::lists::Lists;
use self::progress::Progress;
use self::read::{Read, ReadError};
use self::target::Target;
use super::failure::Failure;
use super::frames::FrameWriter;
use crate::blocklist::parse::Parsed;
use crate::blocklist::set::AddressSet;
use crate::domain::address::IpOrNet;
use crate::domain::time;
use crate::fail2ban;
use crate::fetch::{FetchError, Validators};

pub use self::jail::JAIL;
pub use self::task::{Import, Outcome, Source, SourceOutcome};

/// Addresses of the largest network that is banned address by address.
const LARGEST_EXPANDED: u32 = 256;
/// Addresses of all such networks of a list: a ban takes fail2ban up to 16 ms.
const MOST_EXPANDED: usize = 4096;

/// Why a socket is not connected to.
fn reason_of(error: &std::io::Error) -> fail2ban::Reason {
    match error.kind() {
        std::io::ErrorKind::NotFound => fail2ban::Reason::Absent,
        std::io::ErrorKind::PermissionDenied => fail2ban::Reason::NotPermitted,
        _ => fail2ban::Reason::Refused,
    }
}

/// An import under way.
struct Run<'a, 'w> {
    task: &'a Import,
    progress: Progress<'a, 'w>,
    target: Option<Target>,
    lists: Lists<'a>,
    /// What the lists so far name.
    claimed: AddressSet,
    /// Whether `claimed` names all that the lists do.
    knows_all: bool,
    /// What left each list, until all lists are read.
    removed: Vec<(usize, AddressSet)>,
    started: i64,
}

impl Import {
    /// The outcome of every source. An error is one of the daemon: where it bans, nothing can be done without it.
    pub fn run(self, out: &mut FrameWriter<'_>) -> Result<Value, Failure> {
        // Where it cannot be had, what is to be lifted meanwhile may be lifted a moment too early or too late.
        let _lock = if self.set.way.is_none() { self.set.lock_lists().ok() } else { None };
        if self.set.way.is_none() {
            // What another way has left is to be gone before lists are taken for banned; that it stays is told when the set is tended.
            let _ = self.commit(None);
            // Without a command: an import that changes nothing asks nothing.
            UnixStream::connect(&self.apply.place.socket).map_err(|error| fail2ban::Error::Unreachable {
                path: self.apply.place.socket.clone(),
                reason: reason_of(&error),
                why: error.to_string(),
            })?;
        }
        let mut run = Run {
            task: &self,
            progress: Progress::new(out),
            target: None,
            lists: Lists::new(&self.set),
            claimed: AddressSet::default(),
            knows_all: true,
            removed: Vec::new(),
            started: time::now(),
        };
        let mut sources = Vec::new();
        for (index, source) in self.sources.iter().enumerate() {
            sources.push(run.import(index, source)?);
        }
        run.lift_removed(&mut sources)?;
        run.commit(&mut sources);
        let loaded = match run.target {
            Some(Target::Jail(jail)) => jail.loaded,
            _ => None,
        };
        Ok(json!(Outcome { sources, loaded }))
    }
}

impl Run<'_, '_> {
    fn import(&mut self, index: usize, source: &Source) -> Result<SourceOutcome, Failure> {
        self.progress.begin(source);
        let old = self.lists.load(source.id);
        let lasts = source.fingerprint.is_some()
            && source.bans_until >= self.task.horizon
            && old.is_some()
            && self.lists.are_banned();
        let known = if lasts { source.known.clone() } else { Validators::default() };
        let mut outcome = SourceOutcome::unchanged(source);
        if source.rests {
            self.claim(old.as_ref());
            return Ok(outcome);
        }
        let read = read::read(&source.url, &known, &self.task.door, 0, &mut |bytes, lines| {
            self.progress.read(bytes, lines);
        });
        match read {
            Err(error) => {
                outcome.fail(&error);
                self.claim(old.as_ref());
            }
            Ok(Read::Unchanged) => self.claim(old.as_ref()),
            Ok(Read::List(parsed, known, hosts, place)) => {
                outcome.fetched = Some(place);
                self.progress.has_read(parsed.lines);
                let fingerprint = parsed.entries.fingerprint();
                outcome.known = known;
                if lasts && source.fingerprint.as_ref() == Some(&fingerprint) {
                    self.claim(old.as_ref());
                    return Ok(outcome);
                }
                outcome.unchanged = false;
                outcome.fingerprint = Some(fingerprint);
                let hosts: Vec<IpOrNet> = hosts.into_iter().map(IpOrNet::from).collect();
                self.ban_list(index, source, (*parsed, &hosts), old, &mut outcome)?;
            }
        }
        Ok(outcome)
    }

    fn claim(&mut self, list: Option<&AddressSet>) {
        match list {
            Some(list) => self.claimed.merge(list),
            None => self.knows_all = false,
        }
    }

    fn ban_list(
        &mut self,
        index: usize,
        source: &Source,
        (parsed, hosts): (Parsed, &[IpOrNet]),
        old: Option<AddressSet>,
        outcome: &mut SourceOutcome,
    ) -> Result<(), Failure> {
        let Parsed { entries: mut list, skipped, kinds, named, .. } = parsed;
        (outcome.lines, outcome.named) = (Some(kinds), named);
        outcome.skip("invalid", skipped.invalid);
        outcome.skip("line_too_long", skipped.line_too_long);
        outcome.skip("not_public", skipped.not_public);
        outcome.skip("too_wide", skipped.too_wide);
        outcome.skip("duplicate", skipped.duplicate);
        let target = match self.target.take() {
            Some(target) => target,
            None => Target::open(self.task, self.started)?,
        };
        let target = self.target.insert(target);
        let most = target.most();
        if list.len() > most {
            return self.leave_out(list.len() - most, most, old, outcome);
        }
        // Before networks are taken apart: one that holds a protected address is left out whole.
        let never = self.task.protected.iter().chain(target.ignored()).chain(hosts);
        let protected: usize = never.map(|net| list.drop_overlapping(net)).sum();
        outcome.skip("protected", protected as u64);
        if !target.takes_networks() && list.networks() > 0 {
            outcome.expand(&mut list);
        }
        let mut fresh = list.clone();
        outcome.skip("in_another_list", fresh.subtract(&self.claimed) as u64);
        let mut new = fresh.clone();
        let already = new.subtract(target.banned());
        // Bans of the last import that end before the next one are made again, which only prolongs them.
        let is_due = source.bans_until > 0 && source.bans_until < self.task.horizon;
        if !is_due {
            outcome.skip("already_banned", already as u64);
        }
        let needed = target.banned().len() + new.len();
        if needed > most {
            return self.leave_out(needed - most, most, old, outcome);
        }
        let renews = is_due || target.renews_at_no_cost();
        let progress = &mut self.progress;
        let banned = target.ban(if renews { &fresh } else { &new }, &mut |count| progress.banned(count))?;
        progress.banned(banned);
        outcome.imported = banned;
        if renews || source.bans_until == 0 {
            outcome.bans_until = self.started + i64::from(self.task.ban_seconds);
        }
        self.keep(index, source, list, old, outcome);
        if outcome.error.is_some() {
            // So that it is told again next time.
            outcome.forget();
        }
        Ok(())
    }

    /// There is no room for the list: it stays as it was.
    fn leave_out(
        &mut self,
        over: usize,
        most: usize,
        old: Option<AddressSet>,
        outcome: &mut SourceOutcome,
    ) -> Result<(), Failure> {
        let text = format!("the list has {over} entries too many: at most {most} fit; use a smaller list");
        outcome.error = Some(text);
        outcome.forget();
        self.claim(old.as_ref());
        Ok(())
    }

    /// Remembers the list, and until they are lifted the entries that left it.
    fn keep(
        &mut self,
        index: usize,
        source: &Source,
        mut list: AddressSet,
        old: Option<AddressSet>,
        outcome: &mut SourceOutcome,
    ) {
        self.claimed.merge(&list);
        let mut gone = old.unwrap_or_default();
        gone.subtract(&list);
        let mut stays = AddressSet::default();
        if source.unban_removed && !gone.is_empty() {
            list.merge(&gone);
            self.removed.push((index, gone));
        } else {
            stays = gone;
        }
        let kept = self.lists.save(source.id, &list).and_then(|()| match &self.target {
            Some(target) => self.lists.save_left(source.id, stays, &list, target.banned()),
            None => Ok(()),
        });
        if let Err(error) = kept {
            outcome.error = Some(format!("the list was imported but cannot be kept for the next time: {error}"));
            outcome.forget();
        }
    }

    /// Unbans what left its list and is in no other, once all lists are known.
    fn lift_removed(&mut self, outcomes: &mut [SourceOutcome]) -> Result<(), Failure> {
        for (index, mut removed) in std::mem::take(&mut self.removed) {
            let (source, outcome) = (&self.task.sources[index], &mut outcomes[index]);
            if !self.knows_all {
                // Another list could not be read: what it holds is not known. Next time.
                outcome.forget();
                continue;
            }
            let left = removed.clone();
            removed.subtract(&self.claimed);
            if let Some(target) = &mut self.target {
                outcome.unbanned = target.unban(&removed)?;
            }
            let kept = self.lists.load(source.id).map(|mut list| {
                list.subtract(&left);
                self.lists.save(source.id, &list)
            });
            if !matches!(kept, Some(Ok(()))) {
                outcome.forget();
            }
        }
        Ok(())
    }

    /// Puts a set of our own in force as the lists want it, all at once. Where that fails, everything is as before, and is tried again whole.
    fn commit(&mut self, outcomes: &mut [SourceOutcome]) {
        if self.task.set.way.is_none() {
            return;
        }
        let done = self.task.commit(self.target.as_ref()).map_err(|error| error.to_string());
        let done = done.and_then(|_lock| self.lists.put_in_place().map_err(|error| error.to_string()));
        let Err(why) = done else { return };
        for outcome in outcomes.iter_mut().filter(|outcome| outcome.error.is_none()) {
            outcome.error = Some(format!("the addresses are not in force: {why}"));
            (outcome.imported, outcome.unbanned, outcome.unchanged) = (0, 0, false);
            outcome.forget();
        }
    }
}

impl SourceOutcome {
    /// Nothing has changed.
    fn unchanged(source: &Source) -> SourceOutcome {
        SourceOutcome {
            id: source.id,
            url: source.url.clone(),
            imported: 0,
            unbanned: 0,
            skipped: BTreeMap::new(),
            lines: None,
            named: 0,
            expanded: (0, 0),
            note: None,
            error: None,
            passing: None,
            unchanged: true,
            known: source.known.clone(),
            fingerprint: source.fingerprint.clone(),
            bans_until: source.bans_until,
            fetched: None,
        }
    }

    /// Takes networks apart into their addresses where those are few, and leaves out the others: the jail takes addresses only.
    fn expand(&mut self, list: &mut AddressSet) {
        let had = list.networks() as u64;
        let expanded = list.expand_networks(LARGEST_EXPANDED, MOST_EXPANDED);
        self.expanded = (expanded.networks as u64, expanded.addresses as u64);
        self.skip("duplicate", expanded.duplicates as u64);
        let left_out = had - self.expanded.0;
        self.skip("network", left_out);
        if left_out == 0 {
            return;
        }
        let text = format!(
            "{left_out} of the {had} networks were left out: the action of the jail takes single addresses, and only networks of up to \
             {LARGEST_EXPANDED} addresses, {MOST_EXPANDED} in all, are banned address by address; set BANGUI_BLOCKLIST_MODE=nft to drop \
             networks whole"
        );
        // Nothing of it is banned: that must not look like success.
        if list.is_empty() { self.error = Some(text) } else { self.note = Some(text) }
    }

    fn skip(&mut self, reason: &str, count: u64) {
        if count > 0 {
            *self.skipped.entry(reason.to_owned()).or_default() += count;
        }
    }

    fn fail(&mut self, error: &ReadError) {
        self.unchanged = false;
        self.error = Some(error.to_string());
        self.passing = match error {
            ReadError::Fetch(FetchError::Status { retry_after: Some(seconds), .. }) => Some(*seconds),
            ReadError::Fetch(error) if error.is_passing() => Some(0),
            _ => None,
        };
    }

    /// Has the list read whole next time.
    fn forget(&mut self) {
        self.known = Validators::default();
        self.fingerprint = None;
    }
}

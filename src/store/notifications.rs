//! Channels of notifications, and what is told through them: a message waits here until it was sent or given up, so nothing is lost with
//! the process. It is bounded: of each channel and event one message gathers what happens, and one message of a channel is tried at a time.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::error::Error;
use super::open::Store;
use crate::domain::history::Country;
use crate::domain::json;
use crate::domain::notification::{Ban, Channel, Event, MOST, Message};

/// How long after the last of them bans are told, and how long after the first at most, in seconds: a storm is one message.
const GATHER: i64 = 2;
const GATHER_AT_MOST: i64 = 30;
/// When so many messages of bans were sent within a minute, there is one a minute from then on.
const QUICK_MESSAGES: i64 = 3;
const MINUTE: i64 = 60;
/// How long a ban lasts of which that is not known yet, in seconds.
const USUAL_BAN: i64 = 600;
/// How long it waits after the first attempt that failed, and at most after any, in seconds: each wait is twice the one before.
const FIRST_WAIT: i64 = 5;
const LONGEST_WAIT: i64 = 300;
/// The longest wait that a receiver may ask for, in seconds.
const LONGEST_WISH: i64 = 3600;
/// After so long a message is given up, in seconds: two days.
pub const GIVEN_UP: i64 = 2 * 86_400;
/// What was sent or given up is kept of so many.
const MOST_DONE: i64 = 500;

/// What has become of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It waits to be sent.
    Waiting,
    /// It was sent.
    Sent,
    /// It was given up.
    GivenUp,
}

impl State {
    fn of(number: i64) -> State {
        match number {
            0 => State::Waiting,
            1 => State::Sent,
            _ => State::GivenUp,
        }
    }

    /// As the API shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Sent => "sent",
            State::GivenUp => "failed",
        }
    }
}

/// A message, and how its sending goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Notification {
    /// Its number.
    pub id: i64,
    /// The channel.
    pub channel: i64,
    /// What that was called.
    pub channel_name: String,
    /// What is said.
    pub message: Message,
    /// When it came up, in Unix seconds.
    pub created_at: i64,
    /// When something last happened to it.
    pub updated_at: i64,
    /// What has become of it.
    pub state: State,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is tried next.
    pub due: i64,
    /// Why the last attempt failed, as JSON.
    pub failure: Option<String>,
}

const COLUMNS: &str =
    "id, channel, channel_name, message, created_at, updated_at, state, attempts, due, failure FROM notifications";

fn read(row: &Row<'_>) -> rusqlite::Result<Notification> {
    let message: String = row.get(3)?;
    Ok(Notification {
        id: row.get(0)?,
        channel: row.get(1)?,
        channel_name: row.get(2)?,
        // What this program wrote it can read.
        message: json::read(&message).unwrap_or_else(|_| Message::new(Event::Digest, "", 0)),
        created_at: row.get(4)?,
        updated_at: row.get(5)?,
        state: State::of(row.get(6)?),
        attempts: row.get(7)?,
        due: row.get(8)?,
        failure: row.get(9)?,
    })
}

impl Store {
    /// The channels, oldest first.
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// Reads them, after a change and at the start.
    pub(super) fn read_channels(&mut self) -> Result<(), Error> {
        let mut statement =
            self.connection.prepare_cached("SELECT id, settings FROM notification_channels ORDER BY id LIMIT ?1")?;
        let rows = statement.query_map([MOST as i64], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
        let mut channels = Vec::new();
        for row in rows {
            let (id, text) = row?;
            if let Ok(channel) = json::read::<Channel>(&text) {
                channels.push(Channel { id, ..channel });
            }
        }
        self.channels = Arc::new(channels);
        Ok(())
    }

    /// Adds a channel and gives its number; `None` where there is no room.
    pub fn add_channel(&mut self, new: &Channel) -> Result<Option<i64>, Error> {
        let used: i64 =
            self.connection.query_row("SELECT count(*) FROM notification_channels", [], |row| row.get(0))?;
        if used >= MOST as i64 {
            return Ok(None);
        }
        self.connection
            .prepare_cached("INSERT INTO notification_channels (settings) VALUES (?1)")?
            .execute([text(new)])?;
        let id = self.connection.last_insert_rowid();
        self.read_channels()?;
        Ok(Some(id))
    }

    /// Gives a channel other values. What waits for it is tried at once.
    pub fn change_channel(&mut self, channel: &Channel, now: i64) -> Result<(), Error> {
        let transaction = self.connection.savepoint()?;
        transaction
            .prepare_cached("UPDATE notification_channels SET settings = ?2 WHERE id = ?1")?
            .execute((channel.id, text(channel)))?;
        transaction
            .prepare_cached("UPDATE notifications SET due = ?2 WHERE channel = ?1 AND state = 0 AND attempts > 0")?
            .execute([channel.id, now])?;
        transaction.commit()?;
        self.read_channels()
    }

    /// Removes a channel with what waits for it. False where there is none.
    pub fn remove_channel(&mut self, id: i64) -> Result<bool, Error> {
        let transaction = self.connection.savepoint()?;
        let gone = transaction.prepare_cached("DELETE FROM notification_channels WHERE id = ?1")?.execute([id])?;
        transaction.prepare_cached("DELETE FROM notifications WHERE channel = ?1 AND state = 0")?.execute([id])?;
        transaction.commit()?;
        self.read_channels()?;
        Ok(gone > 0)
    }

    /// Notes what is to be told, for each channel that tells of it.
    pub fn tell(&mut self, message: &Message, now: i64) -> Result<(), Error> {
        let channels = Arc::clone(&self.channels);
        if !channels.iter().any(|channel| channel.wants(message.event)) {
            return Ok(());
        }
        let transaction = self.connection.savepoint()?;
        for channel in channels.iter().filter(|channel| channel.wants(message.event)) {
            gather(&transaction, channel, message, now)?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// When the next message is due, in Unix seconds, of channels that send nothing just now.
    pub fn notification_due(&self, busy: &[i64], now: i64) -> Result<Option<i64>, Error> {
        let mut soonest: Option<i64> = None;
        for channel in self.channels.iter().filter(|channel| channel.enabled && !busy.contains(&channel.id)) {
            if let Some((_, due)) = next_of(&self.connection, channel.id)? {
                // A time that far ahead was written before the clock was set back.
                let due = if due > now + LONGEST_WISH { now } else { due };
                soonest = Some(soonest.map_or(due, |other| other.min(due)));
            }
        }
        Ok(soonest)
    }

    /// Takes a message that is due, and notes that it is tried: it is tried again later where nobody says what became of it.
    pub fn take_notification(&mut self, busy: &[i64], now: i64) -> Result<Option<(Channel, Notification)>, Error> {
        let channels = Arc::clone(&self.channels);
        for channel in channels.iter().filter(|channel| channel.enabled && !busy.contains(&channel.id)) {
            let Some((id, due)) = next_of(&self.connection, channel.id)? else { continue };
            if due > now && due <= now + LONGEST_WISH {
                continue;
            }
            self.connection
                .prepare_cached(
                    "UPDATE notifications SET attempts = attempts + 1, updated_at = ?2, due = ?2 + min(?3, ?4 << min(attempts, 20))
                     WHERE id = ?1",
                )?
                .execute(params![id, now, LONGEST_WAIT, FIRST_WAIT])?;
            let mut find = self.connection.prepare_cached(&format!("SELECT {COLUMNS} WHERE id = ?1"))?;
            return Ok(Some((channel.clone(), find.query_row([id], read)?)));
        }
        Ok(None)
    }

    /// A message was sent.
    pub fn notification_sent(&mut self, id: i64, now: i64) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "UPDATE notifications SET state = 1, failure = NULL, updated_at = ?2 WHERE id = ?1 AND state = 0",
            )?
            .execute([id, now])?;
        self.forget_notifications()
    }

    /// An attempt has failed; `wait` are the seconds that the receiver wishes to be left alone. Gives whether that was the last one.
    pub fn notification_failed(&mut self, id: i64, why: &str, wait: Option<u64>, now: i64) -> Result<bool, Error> {
        let wish = wait.map_or(0, |wait| i64::try_from(wait).unwrap_or(LONGEST_WISH).min(LONGEST_WISH));
        self.connection
            .prepare_cached(
                "UPDATE notifications SET failure = ?2, due = max(due, ?3 + ?4), updated_at = ?3,
                 state = iif(created_at < ?3 - ?5, 2, 0) WHERE id = ?1 AND state = 0",
            )?
            .execute(params![id, why, now, wish, GIVEN_UP])?;
        let mut find = self.connection.prepare_cached("SELECT state FROM notifications WHERE id = ?1")?;
        let state: Option<i64> = find.query_row([id], |row| row.get(0)).optional()?;
        Ok(state == Some(2))
    }

    /// Gives up what has waited too long, for a channel that is switched off, too.
    pub fn expire_notifications(&mut self, now: i64) -> Result<(), Error> {
        let old = now - GIVEN_UP - LONGEST_WISH;
        let mut update = self.connection.prepare_cached(
            "UPDATE notifications SET state = 2, updated_at = ?1 WHERE state = 0 AND created_at < ?2",
        )?;
        let gone = update.execute([now, old])?;
        drop(update);
        if gone > 0 { self.forget_notifications() } else { Ok(()) }
    }

    fn forget_notifications(&self) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "DELETE FROM notifications WHERE state <> 0 AND id <=
                 (SELECT id FROM notifications WHERE state <> 0 ORDER BY id DESC LIMIT 1 OFFSET ?1)",
            )?
            .execute([MOST_DONE])?;
        Ok(())
    }

    /// What waits, was sent or given up, newest first.
    pub fn notifications(&self) -> Result<Vec<Notification>, Error> {
        let sql = format!("SELECT {COLUMNS} ORDER BY id DESC LIMIT ?1");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let most = MOST_DONE + (MOST * (Event::ALL.len() + 1)) as i64;
        Ok(statement.query_map([most], read)?.collect::<Result<_, _>>()?)
    }
}

/// The message of a channel that is tried next, and when: one that was tried before any other.
fn next_of(connection: &Connection, channel: i64) -> rusqlite::Result<Option<(i64, i64)>> {
    connection
        .prepare_cached(
            "SELECT id, due FROM notifications WHERE channel = ?1 AND state = 0 ORDER BY attempts DESC, due, id LIMIT 1",
        )?
        .query_row([channel], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// Bans that are new, by their rows in the archive, are noted for each channel that tells of them, in the transaction that stores them. One
/// that was told before and whose time is not over is the same ban: it was made again.
pub(super) fn gather_bans(
    transaction: &Transaction<'_>,
    channels: &[Channel],
    rows: &[i64],
    now: i64,
) -> rusqlite::Result<()> {
    if rows.is_empty() || !channels.iter().any(|channel| channel.wants(Event::Ban)) {
        return Ok(());
    }
    let mut all: Vec<Option<Message>> = vec![None; channels.len()];
    for row in rows {
        let Some(ban) = ban_of(transaction, *row)? else { continue };
        if !channels.iter().any(|channel| channel.wants_ban(&ban)) || was_banned(transaction, &ban)? {
            continue;
        }
        let one = Message::of_ban(&ban);
        for (_, message) in channels.iter().zip(&mut all).filter(|(channel, _)| channel.wants_ban(&ban)) {
            match message {
                Some(message) => message.join(&one),
                None => *message = Some(one.clone()),
            }
        }
    }
    for (channel, message) in channels.iter().zip(all) {
        if let Some(message) = message {
            gather(transaction, channel, &message, now)?;
        }
    }
    Ok(())
}

/// A ban of the archive; `None` for one of an imported list.
fn ban_of(transaction: &Transaction<'_>, row: i64) -> rusqlite::Result<Option<Ban>> {
    transaction
        .prepare_cached(
            "SELECT name, ip, country, banned_at FROM archive JOIN archive_jails ON archive_jails.id = archive.jail
             WHERE archive.id = ?1 AND archive.jail <> 0",
        )?
        .query_row([row], |row| {
            let country = Country::of_number(row.get(2)?);
            Ok(Ban { jail: row.get(0)?, ip: row.get(1)?, country, at: row.get(3)? })
        })
        .optional()
}

/// Whether the address was banned in the jail just before, and not let out here since.
fn was_banned(transaction: &Transaction<'_>, ban: &Ban) -> rusqlite::Result<bool> {
    transaction
        .prepare_cached(
            "SELECT 1 FROM archive INDEXED BY archive_by_ip
             WHERE ip = ?1 AND jail = (SELECT id FROM archive_jails WHERE name = ?2) AND banned_at < ?3
             AND (ban_time < 0 OR banned_at + ifnull(ban_time, ?4) > ?3 + 1) AND NOT EXISTS (
                 SELECT 1 FROM archive_lifts WHERE (archive_lifts.ip = ?1 OR archive_lifts.ip IS NULL)
                 AND at BETWEEN banned_at - 1 AND ?3 + 1) LIMIT 1",
        )?
        .exists(params![ban.ip, ban.jail, ban.at, USUAL_BAN])
}

/// Adds to the message that nobody has tried to send yet, or begins one.
fn gather(transaction: &Connection, channel: &Channel, message: &Message, now: i64) -> rusqlite::Result<()> {
    let event = message.event.as_str();
    let mut find = transaction.prepare_cached(&format!(
        "SELECT {COLUMNS} WHERE channel = ?1 AND event = ?2 AND state = 0 AND attempts = 0 LIMIT 1"
    ))?;
    if let Some(mut known) = find.query_row(params![channel.id, event], read).optional()? {
        known.message.join(message);
        let due = match message.event {
            Event::Ban => known.due.max((now + GATHER).min(known.created_at + GATHER_AT_MOST)),
            _ => known.due,
        };
        transaction
            .prepare_cached("UPDATE notifications SET message = ?2, updated_at = ?3, due = ?4 WHERE id = ?1")?
            .execute(params![known.id, text(&known.message), now, due])?;
        return Ok(());
    }
    let due = if message.event == Event::Ban { first_due(transaction, channel.id, now)? } else { now };
    transaction
        .prepare_cached(
            "INSERT INTO notifications (channel, channel_name, event, message, created_at, updated_at, state, attempts, due)
             VALUES (?1, ?2, ?3, ?4, ?5, ?5, 0, 0, ?6)",
        )?
        .execute(params![channel.id, channel.name, event, text(message), now, due])?;
    Ok(())
}

/// When a message of bans that begins now is sent: soon, and once a minute where bans go on and on.
fn first_due(transaction: &Connection, channel: i64, now: i64) -> rusqlite::Result<i64> {
    let mut find = transaction.prepare_cached(
        "SELECT count(*), max(updated_at) FROM notifications
         WHERE channel = ?1 AND event = 'ban' AND state = 1 AND updated_at BETWEEN ?2 AND ?3",
    )?;
    let (count, last): (i64, Option<i64>) =
        find.query_row(params![channel, now - MINUTE, now], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let rests = last.filter(|_| count >= QUICK_MESSAGES).map_or(0, |last| last + MINUTE);
    Ok((now + GATHER).max(rests))
}

fn text(value: &impl serde::Serialize) -> String {
    json::text(value).unwrap_or_default()
}

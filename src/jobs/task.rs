//! The tasks of the slow lane: each with its lane, its deadline, and what it does.

use std::io::{Read, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::failure::Failure;
use super::frames::FrameWriter;
use super::{
    apply, bans, bulk, changes, default_edits, definitions, edits, failing, geo_update, history, ignored, import,
    jail_config, jail_edits, journal_bans, logs, never_ban, notify, own_bans, password, patterns, places, preview,
    protection, read_held, release, restored, server_edits, service, their_database, why,
};
use crate::domain::json;

/// Which of the few children at a time a task counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Reading files, testing filters: two at a time.
    General,
    /// Keeps the daemon busy: one at a time, and quick commands of the loop wait meanwhile.
    Daemon,
    /// Restarting the daemon: one at a time, and it waits for nobody, because what keeps the daemon may be what is wrong.
    Restart,
    /// Reading a little of fail2ban's database: one at a time, and others need not wait where it hangs.
    Theirs,
    /// Hashing a password: one at a time.
    Password,
    /// Many bans made or lifted: one at a time, and the daemon is free for others between its commands.
    Bulk,
    /// A blocklist import: one at a time.
    Import,
    /// Telling somebody something, however slow the receiver is: four at a time.
    Notify,
    /// Fetching a country database, however slow its server is: one at a time.
    Geo,
}

/// What a child is to do.
#[derive(Debug, Serialize, Deserialize)]
pub enum Task {
    /// Hash a password.
    HashPassword(password::Hash),
    /// Compare a password with a hash.
    VerifyPassword(password::Verify),
    /// See `password::Change`.
    ChangePassword(password::Change),
    /// Ban an address.
    Ban(own_bans::Ban),
    /// Ban or lift many addresses.
    Bulk(bulk::Bulk),
    /// See to it that bans last as long as was said.
    KeepEnds(own_bans::KeepEnds),
    /// Bring what is never banned into force.
    KeepNeverBan(Box<never_ban::KeepNeverBan>),
    /// List the ignore entries of the files.
    ListIgnored(ignored::ListIgnored),
    /// Remove bans.
    Unban(bans::Unban),
    /// Let one address out, wherever it is banned.
    Release(release::Release),
    /// Read what jails have banned, for the loop's table.
    ReadHeld(read_held::ReadHeld),
    /// Change configuration files and load them; without a change, load them.
    Apply(Box<crate::apply::Apply>),
    /// Undo an apply that died.
    Recover(apply::Recover),
    /// Read a little of fail2ban's database for the loop.
    ReadTheirs(their_database::ReadTheirs),
    /// Read what the systemd journal tells of bans.
    ReadJournal(journal_bans::ReadJournal),
    /// Look at what is behind failures.
    LookAtFailing(failing::LookAtFailing),
    /// Count what fail2ban restores after its start.
    CountRestored(restored::CountRestored),
    /// Ask fail2ban's database about the past.
    AskHistory(history::Ask),
    /// Change a jail: its values at once, or its file.
    EditJail(Box<jail_edits::EditJail>),
    /// Show `[DEFAULT]`.
    ShowDefault(default_edits::ShowDefault),
    /// Change `[DEFAULT]`.
    EditDefault(Box<default_edits::EditDefault>),
    /// Take a change of configuration files back.
    Undo(Box<changes::Undo>),
    /// Show the diffs of a change.
    ShowChange(changes::ShowChange),
    /// See whether configuration files are as they were.
    LookAtFiles(changes::LookAtFiles),
    /// Change the daemon's own settings and their file.
    EditServer(Box<server_edits::EditServer>),
    /// Set values again after a restart of the daemon.
    SetAgain(apply::SetAgain),
    /// What the files say of all jails.
    JailConfigs(jail_config::JailConfigs),
    /// Look whether this machine is protected.
    LookAtProtection(protection::Look),
    /// Put a jail to the proof.
    Prove(protection::prove::Prove),
    /// Find out why the daemon does not run.
    WhyAway(why::Why),
    /// How the files have logs watched, by jail.
    ReadBackends(jail_config::ReadBackends),
    /// Restart the daemon.
    Restart(service::Restart),
    /// Stop a jail.
    StopJail(service::StopJail),
    /// Show filters or actions.
    ShowDefinitions(definitions::Show),
    /// Change a filter or an action.
    EditDefinition(Box<edits::EditDefinition>),
    /// Test a whole filter.
    TestFilter(patterns::TestFilter),
    /// Try one expression on one line.
    TestRegex(patterns::TestRegex),
    /// Try one expression on the end of a log.
    PreviewLog(patterns::PreviewLog),
    /// Read the end of a log.
    ReadLog(logs::ReadLog),
    /// Import blocklists.
    Import(Box<import::Import>),
    /// Look at a blocklist.
    Preview(preview::Preview),
    /// Ask a server outside where addresses are.
    AskPlaces(places::AskPlaces),
    /// Fetch a country database.
    UpdateGeo(geo_update::UpdateGeo),
    /// Look after what is imported.
    Tend(import::tend::Tend),
    /// Send a message to somebody.
    Notify(Box<notify::Notify>),
}

impl Task {
    /// The children it counts against.
    pub fn lane(&self) -> Lane {
        match self {
            Task::HashPassword(_) | Task::VerifyPassword(_) | Task::ChangePassword(_) => Lane::Password,
            Task::TestFilter(_) | Task::TestRegex(_) | Task::PreviewLog(_) => Lane::General,
            Task::ReadLog(_) | Task::ShowDefinitions(_) | Task::AskHistory(_) => Lane::General,
            Task::JailConfigs(_) | Task::ReadBackends(_) | Task::WhyAway(_) => Lane::General,
            Task::ShowChange(_) | Task::LookAtFiles(_) | Task::ListIgnored(_) => Lane::General,
            Task::ShowDefault(_) | Task::LookAtProtection(_) | Task::LookAtFailing(_) => Lane::General,
            Task::EditDefault(_) => Lane::Daemon,
            Task::ReadTheirs(_) | Task::ReadJournal(_) => Lane::Theirs,
            Task::CountRestored(_) => Lane::General,
            Task::Import(_) => Lane::Import,
            Task::Bulk(_) => Lane::Bulk,
            Task::Preview(_) | Task::AskPlaces(_) | Task::Tend(_) => Lane::General,
            Task::UpdateGeo(_) => Lane::Geo,
            Task::Notify(_) => Lane::Notify,
            Task::Restart(_) => Lane::Restart,
            Task::Ban(_) | Task::KeepEnds(_) | Task::Unban(_) | Task::ReadHeld(_) | Task::KeepNeverBan(_) => {
                Lane::Daemon
            }
            Task::Apply(_) | Task::Recover(_) | Task::EditJail(_) | Task::EditDefinition(_) => Lane::Daemon,
            Task::SetAgain(_) | Task::StopJail(_) | Task::EditServer(_) | Task::Undo(_) => Lane::Daemon,
            Task::Release(_) | Task::Prove(_) => Lane::Daemon,
        }
    }

    /// How long it may take before it is killed.
    pub fn deadline(&self) -> Duration {
        match self {
            Task::HashPassword(_) | Task::VerifyPassword(_) | Task::ChangePassword(_) => Duration::from_secs(30),
            Task::JailConfigs(_) | Task::ReadBackends(_) => Duration::from_secs(30),
            Task::ShowChange(_) | Task::LookAtFiles(_) | Task::ListIgnored(_) => Duration::from_secs(30),
            Task::ShowDefault(_) | Task::LookAtProtection(_) | Task::LookAtFailing(_) => Duration::from_secs(30),
            Task::EditDefault(_) => Duration::from_secs(400),
            Task::Ban(_) | Task::Unban(_) | Task::Release(_) | Task::Prove(_) => Duration::from_secs(70),
            // A load, and another one to undo it.
            Task::Apply(_) | Task::EditDefinition(_) | Task::EditJail(_) | Task::Recover(_) => Duration::from_secs(400),
            Task::EditServer(_) | Task::Undo(_) | Task::KeepNeverBan(_) => Duration::from_secs(400),
            Task::TestFilter(_) | Task::TestRegex(_) | Task::PreviewLog(_) => Duration::from_secs(20),
            Task::ReadLog(_) | Task::ShowDefinitions(_) | Task::WhyAway(_) => Duration::from_secs(20),
            Task::ReadHeld(_) | Task::AskHistory(_) => Duration::from_secs(60),
            Task::SetAgain(_) | Task::KeepEnds(_) | Task::CountRestored(_) => Duration::from_secs(60),
            Task::ReadTheirs(_) => their_database::DEADLINE,
            Task::ReadJournal(_) => journal_bans::DEADLINE,
            Task::StopJail(_) => Duration::from_secs(180),
            // Its end, and two starts, each with a limit of its own.
            Task::Restart(_) => Duration::from_secs(400),
            // 10 000 bans at three a second, and one before it: then something is wrong.
            Task::Bulk(_) => Duration::from_secs(2 * 3600),
            // A hundred slow servers, and 50 000 bans at 60 a second: then something is wrong.
            Task::Import(_) => Duration::from_secs(4 * 3600),
            // Many calls of other programs, or lifts by fail2ban, each with a limit of its own.
            Task::Tend(_) => Duration::from_secs(300),
            Task::Preview(_) => Duration::from_secs(150),
            Task::AskPlaces(_) => Duration::from_secs(30),
            Task::Notify(_) => notify::DEADLINE,
            Task::UpdateGeo(_) => geo_update::PATIENCE + Duration::from_secs(30),
        }
    }

    /// Whether it changes the configuration: one at a time, and none waits.
    pub fn applies(&self) -> bool {
        matches!(
            self,
            Task::Apply(_)
                | Task::EditDefinition(_)
                | Task::Recover(_)
                | Task::EditJail(_)
                | Task::EditDefault(_)
                | Task::EditServer(_)
                | Task::Undo(_)
        )
    }

    /// Whether it ends between two of its steps when it is asked to, by SIGTERM, and tells what it has done.
    pub fn ends_when_asked(&self) -> bool {
        matches!(self, Task::Bulk(_))
    }

    /// Whether it only reads what is banned.
    pub fn reads_bans(&self) -> bool {
        matches!(self, Task::ReadHeld(_))
    }

    /// Whether it may change what is banned in ways that no counter shows: a jail that is loaded again has its bans from the daemon's
    /// database, with other ends.
    pub fn unsettles_bans(&self) -> bool {
        let is_of_daemon = matches!(self.lane(), Lane::Daemon | Lane::Restart);
        let tells = matches!(
            self,
            Task::Ban(_)
                | Task::KeepEnds(_)
                | Task::Unban(_)
                | Task::Release(_)
                | Task::Prove(_)
                | Task::ReadHeld(_)
                | Task::KeepNeverBan(_)
        );
        is_of_daemon && !tells
    }

    /// Whether it does its part without a daemon that answers: files are changed all the same.
    pub fn does_without_daemon(&self) -> bool {
        match self {
            Task::Apply(apply) => !apply.changes.is_empty(),
            Task::EditDefinition(_) | Task::EditJail(_) | Task::EditServer(_) | Task::Undo(_) => true,
            Task::KeepNeverBan(_) | Task::EditDefault(_) => true,
            _ => false,
        }
    }

    fn run(self, out: &mut FrameWriter<'_>) -> Result<Value, Failure> {
        match self {
            Task::HashPassword(task) => Ok(Value::String(task.run()?)),
            Task::VerifyPassword(task) => Ok(Value::Bool(task.run()?)),
            Task::ChangePassword(task) => Ok(task.run()?),
            Task::Ban(task) => task.run(),
            Task::Bulk(task) => task.run(out),
            Task::KeepEnds(task) => task.run(),
            Task::KeepNeverBan(task) => task.run(),
            Task::ListIgnored(task) => task.run(),
            Task::Unban(task) => task.run(),
            Task::Release(task) => task.run(),
            Task::ReadHeld(task) => task.run(out),
            Task::Apply(task) => apply::apply(*task),
            Task::Recover(task) => task.run(),
            Task::JailConfigs(task) => task.run(),
            Task::EditServer(task) => task.run(),
            Task::SetAgain(task) => task.run(),
            Task::EditJail(task) => task.run(),
            Task::ShowDefault(task) => task.run(),
            Task::EditDefault(task) => task.run(),
            Task::Undo(task) => task.run(),
            Task::ShowChange(task) => task.run(),
            Task::LookAtFiles(task) => task.run(),
            Task::ReadBackends(task) => task.run(),
            Task::AskHistory(task) => task.run(out),
            Task::ReadTheirs(task) => task.run(),
            Task::ReadJournal(task) => task.run(),
            Task::LookAtFailing(task) => task.run(),
            Task::CountRestored(task) => task.run(),
            Task::WhyAway(task) => task.run(),
            Task::LookAtProtection(task) => task.run(),
            Task::Prove(task) => task.run(),
            Task::Restart(task) => task.run(),
            Task::StopJail(task) => task.run(),
            Task::EditDefinition(task) => task.run(),
            Task::ShowDefinitions(task) => task.run(),
            Task::TestFilter(task) => task.run(),
            Task::TestRegex(task) => task.run(),
            Task::PreviewLog(task) => task.run(),
            Task::ReadLog(task) => task.run(),
            Task::Import(task) => task.run(out),
            Task::Preview(task) => task.run(),
            Task::AskPlaces(task) => Ok(task.run()),
            Task::UpdateGeo(task) => task.run(),
            Task::Tend(task) => Ok(task.run()),
            Task::Notify(task) => Ok(task.run()),
        }
    }
}

/// The whole life of a child: one task in, frames out. Errors are those of its pipes; then nobody listens any more.
pub fn child_main(input: &mut dyn Read, output: &mut dyn Write) -> std::io::Result<()> {
    let mut text = Vec::new();
    input.read_to_end(&mut text)?;
    let task: Task = json::read(text)?;
    let mut frames = FrameWriter::new(output);
    match task.run(&mut frames) {
        Ok(value) => frames.done(&value),
        // What a dry run would do is its result, however deep in the change it was found out.
        Err(Failure::DryRun(preview)) => frames.done(&json!(preview)),
        Err(failure) => frames.failed(&failure),
    }
}

//! The children at work and those who wait for a place. The loop polls their pipes; nothing here waits.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mio::unix::pipe::{Receiver, Sender};
use mio::{Interest, Registry};

use super::failure::Failure;
use super::frames::{self, Frame};
use super::task::{Lane, Task};
use crate::domain::json;
use crate::renewal;
use crate::server::token::{Slot, Source};

/// Tasks of one lane that may wait for a place: strangers at the login leave the others their queue.
const MAX_WAITING: usize = 8;
/// Urgent tasks that may wait beyond that.
const MAX_URGENT: usize = 4;
/// Children of the lanes General and Daemon at a time.
const MAX_SHARED: usize = 2;
/// Messages that are sent at a time: a few slow receivers do not keep the others waiting.
const MAX_NOTIFY: usize = 4;
/// Killed children that the kernel may hold before no more are sent where they are held.
const MAX_HELD: usize = 4;
/// What is read of a child in one turn, in bytes.
const TURN_BYTES: usize = 64 * 1024;
/// How long a child may take to end once it has said its last word.
const LAST_MOMENT: Duration = Duration::from_secs(2);

/// Names a task from its submission to its end.
pub type TaskId = u64;

/// There is no place to wait left.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

struct Waiting {
    id: TaskId,
    task: Task,
    urgent: bool,
    deadline: Instant,
}

struct Running {
    id: TaskId,
    lane: Lane,
    /// It makes bans again that were there when it began.
    keeps_ends: bool,
    child: Child,
    input: Option<(Sender, Vec<u8>, usize)>,
    output: Receiver,
    buffer: Vec<u8>,
    readable: bool,
    deadline: Instant,
}

/// All children.
#[derive(Default)]
pub struct Children {
    places: Vec<(u16, Option<Running>)>,
    waiting: VecDeque<Waiting>,
    /// Ended or about to, but not yet taken off the process table, with the time at which they are killed.
    ended: Vec<(Child, Instant)>,
    failed: Vec<(TaskId, Failure)>,
    last_id: TaskId,
    scratch: Vec<u8>,
}

impl Children {
    /// Takes a task; it starts when its lane has a place. An `urgent` one waits before the others.
    pub fn submit(&mut self, task: Task, urgent: bool, now: Instant) -> Result<TaskId, Full> {
        let same = self.waiting.iter().filter(|waiting| waiting.task.lane() == task.lane()).count();
        if same >= MAX_WAITING + if urgent { MAX_URGENT } else { 0 } {
            return Err(Full);
        }
        self.last_id += 1;
        let deadline = now + task.deadline();
        self.waiting.push_back(Waiting { id: self.last_id, task, urgent, deadline });
        Ok(self.last_id)
    }

    /// Whether a child that keeps the daemon busy is at work.
    pub fn daemon_is_taken(&self) -> bool {
        self.running().any(|running| matches!(running.lane, Lane::Daemon | Lane::Restart))
    }

    /// Whether many bans are being made or lifted, or are to be.
    pub fn any_bulk(&self) -> bool {
        self.running().any(|running| running.lane == Lane::Bulk)
            || self.waiting.iter().any(|waiting| waiting.task.lane() == Lane::Bulk)
    }

    /// Whether bans are being made again that fail2ban may have lost, or are to be.
    fn keeps_ends(&self) -> bool {
        self.running().any(|running| running.keeps_ends)
            || self.waiting.iter().any(|waiting| matches!(waiting.task, Task::KeepEnds(_)))
    }

    /// Asks a task that ends when it is asked to. True where it never began, and is no more.
    pub fn ask_to_end(&mut self, id: TaskId) -> bool {
        if let Some(at) = self.waiting.iter().position(|waiting| waiting.id == id) {
            return self.waiting.remove(at).is_some();
        }
        if let Some(running) = self.place_of(id).and_then(|index| self.places[index].1.as_ref()) {
            // SAFETY: it is our own child, not yet waited for, so the number is its own.
            unsafe { libc::kill(running.child.id() as libc::pid_t, libc::SIGTERM) };
        }
        false
    }

    /// Whether any child is at work or waits for a place.
    pub fn any(&self) -> bool {
        self.running().next().is_some() || !self.waiting.is_empty() || !self.ended.is_empty() || !self.failed.is_empty()
    }

    fn running(&self) -> impl Iterator<Item = &Running> {
        self.places.iter().filter_map(|(_, place)| place.as_ref())
    }

    fn has_place(&self, lane: Lane) -> bool {
        let same = self.running().filter(|running| running.lane == lane).count();
        let shared = self.running().filter(|running| matches!(running.lane, Lane::General | Lane::Daemon)).count();
        match lane {
            // A file system that hangs holds its readers even when they are killed: more of them would not help.
            Lane::Theirs => same == 0 && self.ended.len() < MAX_HELD,
            // What it lifts would be made again by a child that does not know of it.
            Lane::Bulk => same == 0 && !self.keeps_ends(),
            Lane::Password | Lane::Import | Lane::Geo | Lane::Restart => same == 0,
            Lane::Daemon => !self.daemon_is_taken() && shared < MAX_SHARED,
            Lane::General => shared < MAX_SHARED,
            Lane::Notify => same < MAX_NOTIFY,
        }
    }

    /// Starts what has a place. Each lane keeps its order, urgent ones first.
    pub fn start_waiting(&mut self, registry: &Registry) {
        while let Some(index) = self.next_startable() {
            let Some(waiting) = self.waiting.remove(index) else { return };
            let id = waiting.id;
            if let Err(error) = self.start(waiting, registry) {
                log::error!("cannot start a child process: {error}");
                self.failed.push((id, Failure::Crashed));
            }
        }
    }

    fn next_startable(&self) -> Option<usize> {
        let fits = |waiting: &Waiting| self.has_place(waiting.task.lane());
        self.waiting
            .iter()
            .position(|waiting| waiting.urgent && fits(waiting))
            .or_else(|| self.waiting.iter().position(fits))
    }

    fn start(&mut self, waiting: Waiting, registry: &Registry) -> io::Result<()> {
        let mut command = Command::new(renewal::own_program());
        command.arg("job").stdin(Stdio::piped()).stdout(Stdio::piped());
        let (parent, ends_when_asked) = (std::process::id(), waiting.task.ends_when_asked());
        // SAFETY: between fork and exec only async-signal-safe calls are made: prctl, getppid, sigprocmask on a set of its own, and _exit.
        unsafe {
            command.pre_exec(move || {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                // The parent may have died before the line above: then nobody would end us.
                if libc::getppid() as u32 != parent {
                    libc::_exit(1);
                }
                if ends_when_asked {
                    let mut held: libc::sigset_t = std::mem::zeroed();
                    libc::sigaddset(&raw mut held, libc::SIGTERM);
                    libc::sigprocmask(libc::SIG_BLOCK, &raw const held, std::ptr::null_mut());
                }
                Ok(())
            });
        }
        let mut child = command.spawn()?;
        renewal::child_began(child.id());
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("no pipes"));
        };
        let (mut sender, mut receiver) = (Sender::from(stdin), Receiver::from(stdout));
        sender.set_nonblocking(true)?;
        receiver.set_nonblocking(true)?;
        let index = match self.places.iter().position(|(_, place)| place.is_none()) {
            Some(index) => index,
            None => {
                self.places.push((0, None));
                self.places.len() - 1
            }
        };
        let slot = Slot { index, generation: self.places[index].0 };
        registry.register(&mut receiver, Source::ChildOutput(slot).token(), Interest::READABLE)?;
        registry.register(&mut sender, Source::ChildInput(slot).token(), Interest::WRITABLE)?;
        let bytes = json::text(&waiting.task)?.into_bytes();
        self.places[index].1 = Some(Running {
            id: waiting.id,
            lane: waiting.task.lane(),
            keeps_ends: matches!(waiting.task, Task::KeepEnds(_)),
            child,
            input: Some((sender, bytes, 0)),
            output: receiver,
            buffer: Vec::new(),
            readable: true,
            deadline: waiting.deadline,
        });
        self.feed(slot);
        Ok(())
    }

    fn get(&mut self, slot: Slot) -> Option<&mut Running> {
        match self.places.get_mut(slot.index) {
            Some((generation, place)) if *generation == slot.generation => place.as_mut(),
            _ => None,
        }
    }

    /// A child's standard input is ready: the rest of its task is written.
    pub fn on_input_ready(&mut self, slot: Slot) {
        self.feed(slot);
    }

    fn feed(&mut self, slot: Slot) {
        let Some(running) = self.get(slot) else { return };
        let Some((sender, bytes, done)) = &mut running.input else { return };
        while *done < bytes.len() {
            match sender.write(&bytes[*done..]) {
                Ok(count) => *done += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // It has ended already; its output tells how.
                Err(_) => break,
            }
        }
        // Closing the pipe is the end of the task's text.
        running.input = None;
    }

    /// A child's standard output is ready.
    pub fn on_output_ready(&mut self, slot: Slot) {
        if let Some(running) = self.get(slot) {
            running.readable = true;
        }
    }

    /// The next frame of any child of which `wanted` takes more now. Ends are given once, and free the child's place.
    pub fn next_frame(&mut self, mut wanted: impl FnMut(TaskId) -> bool) -> Option<(TaskId, Frame)> {
        if let Some((id, failure)) = self.failed.pop() {
            return Some((id, Frame::Failed(failure)));
        }
        for index in 0..self.places.len() {
            let Some(running) = self.places[index].1.as_mut() else { continue };
            if !wanted(running.id) {
                continue;
            }
            let id = running.id;
            let frame = match running.frame(&mut self.scratch) {
                Ok(Some(frame)) => frame,
                Ok(None) => continue,
                Err(failure) => Frame::Failed(failure),
            };
            if frame.is_end() {
                self.release(index, false);
            }
            return Some((id, frame));
        }
        None
    }

    /// Ends a task whose answer nobody waits for.
    pub fn cancel(&mut self, id: TaskId) {
        self.waiting.retain(|waiting| waiting.id != id);
        if let Some(index) = self.place_of(id) {
            self.release(index, true);
        }
    }

    fn place_of(&self, id: TaskId) -> Option<usize> {
        self.places.iter().position(|(_, place)| place.as_ref().is_some_and(|running| running.id == id))
    }

    /// Frees a place. The child is killed at once, or ends by itself in a moment, having said its last word.
    fn release(&mut self, index: usize, kill: bool) {
        let (generation, place) = &mut self.places[index];
        let Some(mut running) = place.take() else { return };
        *generation = generation.wrapping_add(1);
        if has_ended(&mut running.child) {
            return;
        }
        if kill {
            let _ = running.child.kill();
        }
        self.ended.push((running.child, Instant::now() + LAST_MOMENT));
    }

    /// Ends what is overdue and takes ended children off the process table. Call a few times a second.
    pub fn expire(&mut self, now: Instant) {
        self.ended.retain_mut(|(child, killed_at)| {
            if now >= *killed_at {
                let _ = child.kill();
            }
            !has_ended(child)
        });
        for index in 0..self.places.len() {
            let overdue =
                self.places[index].1.as_ref().filter(|running| now >= running.deadline).map(|running| running.id);
            if let Some(id) = overdue {
                self.release(index, true);
                self.failed.push((id, Failure::TimedOut));
            }
        }
        let overdue = |waiting: &Waiting| now >= waiting.deadline;
        self.failed.extend(
            self.waiting.iter().filter(|waiting| overdue(waiting)).map(|waiting| (waiting.id, Failure::TimedOut)),
        );
        self.waiting.retain(|waiting| !overdue(waiting));
    }

    /// Ends all that wait in a lane and need the daemon, because it makes no sense to start them now.
    pub fn fail_waiting(&mut self, lane: Lane, failure: &Failure) {
        let failed = &mut self.failed;
        self.waiting.retain(|waiting| {
            let stays = waiting.task.lane() != lane || waiting.task.does_without_daemon();
            if !stays {
                failed.push((waiting.id, failure.clone()));
            }
            stays
        });
    }

    /// How long the loop may sleep without missing the end of a child.
    pub fn tick(&self) -> Option<Duration> {
        self.any().then_some(Duration::from_millis(250))
    }
}

/// Takes it off the process table where it has ended.
fn has_ended(child: &mut Child) -> bool {
    let ended = matches!(child.try_wait(), Ok(Some(_)) | Err(_));
    if ended {
        renewal::child_ended(child.id());
    }
    ended
}

impl Running {
    /// The next whole frame; `None` while none is there.
    fn frame(&mut self, scratch: &mut Vec<u8>) -> Result<Option<Frame>, Failure> {
        scratch.resize(TURN_BYTES, 0);
        loop {
            if let Some(frame) = frames::take(&mut self.buffer)? {
                return Ok(Some(frame));
            }
            if !self.readable {
                return Ok(None);
            }
            match self.output.read(scratch) {
                Ok(0) => return Err(Failure::Crashed),
                Ok(count) => self.buffer.extend_from_slice(&scratch[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Failure::Crashed),
            }
        }
    }
}

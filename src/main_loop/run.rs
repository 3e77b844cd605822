//! The loop itself: what is waited for, and to whom each thing that happens is passed.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::time::{Duration, Instant};

use mio::{Events, Poll};
use serde_json::Value;
use tiny_http::Method;

use super::ban_log::BanLog;
use super::control::Control;
use super::daemon::DaemonWatch;
use super::quiet::Quiet;
use super::signals::Signals;
use super::timers::Timers;
use super::waiters::{Background, Parked, Pending, Stepping, TOO_MANY};
use crate::app::banned::CatchUp;
use crate::app::code::Code;
use crate::app::csv::Csv;
use crate::app::{Admitted, ApiError, Ctx, Job, Outcome, Request, Then};
use crate::dispatch;
use crate::domain::time;
use crate::fail2ban;
use crate::jobs::children::{Children, Full, TaskId};
use crate::jobs::frames::Frame;
use crate::jobs::{Failure, Lane};
use crate::renewal;
use crate::server::listen;
use crate::server::request::Framing;
use crate::server::response::Response;
use crate::server::token::{Slot, Source};
use crate::server::turn::Problem;
use crate::server::{Connections, HttpEvent};
use crate::services::{first_run, imports};

/// Headers of every answer. The program serves no pages, so its policy allows nothing.
const SECURITY_HEADERS: &[(&str, &str)] = &[
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
];

/// The running program.
pub struct MainLoop {
    pub(super) poll: Poll,
    pub(super) ctx: Ctx,
    pub(super) connections: Connections<Admitted>,
    pub(super) children: Children,
    pub(super) pending: HashMap<TaskId, Pending>,
    /// Tasks of timers: no client waits for them.
    pub(super) background: HashMap<TaskId, Background>,
    pub(super) parked: Vec<Parked>,
    pub(super) stepping: VecDeque<Stepping>,
    pub(super) watch: DaemonWatch,
    pub(super) timers: Timers,
    pub(super) ban_log: BanLog,
    /// `None` where no socket can be made beside the database; then the other commands need the server stopped.
    pub(super) control: Option<Control>,
    pub(super) signals: Signals,
    /// Undoes an apply that died; no other one may begin meanwhile.
    pub(super) recovery: Option<TaskId>,
    /// That has failed for want of the daemon, and is tried again when it is back.
    pub(super) recovery_waits: bool,
    /// Sets again what held at run time only.
    pub(super) setting_again: Option<TaskId>,
    /// When that is tried again, where it has failed.
    pub(super) set_again_at: Option<Instant>,
    pub(super) stopping: Option<Instant>,
    /// It serves one command at this machine, while no server runs: nothing happens by itself.
    is_for_one: bool,
}

impl MainLoop {
    /// Opens what the program listens on. Says where on standard error, one line each.
    pub fn new(mut ctx: Ctx) -> Result<Self, String> {
        let listeners = listen::open(&ctx.config.listen, renewal::inherited())?;
        let trusted = ctx.config.trusted_proxies.clone();
        let trusts = Box::new(move |address| trusted.iter().any(|net| net.contains_address(address)));
        let control = Control::open(ctx.store.path())
            .inspect_err(|error| log::warn!("no control socket beside the database: {error}"))
            .ok();
        first_run::tell(&mut ctx, &listeners);
        let connections = Connections::new(listeners, SECURITY_HEADERS, trusts);
        let prepare = || -> io::Result<(Poll, Signals)> { Ok((Poll::new()?, Signals::catch()?)) };
        let (poll, signals) = prepare().map_err(|error| format!("cannot start: {error}"))?;
        Ok(Self {
            poll,
            connections,
            children: Children::default(),
            pending: HashMap::new(),
            background: HashMap::new(),
            parked: Vec::new(),
            stepping: VecDeque::new(),
            watch: DaemonWatch::default(),
            timers: Timers::new(),
            ban_log: BanLog::new(Instant::now()),
            control,
            recovery: None,
            recovery_waits: false,
            setting_again: None,
            set_again_at: None,
            signals,
            stopping: None,
            is_for_one: false,
            ctx,
        })
    }

    /// What serves the commands of this machine while no server runs: it listens nowhere but on the control socket.
    pub fn for_one(mut ctx: Ctx) -> Result<Self, String> {
        ctx.config.listen.clear();
        // Whoever asks asks at once. Where this finds no daemon, the answers say so.
        let _ = ctx.take_snapshot();
        let new = Self::new(ctx)?;
        match new.control {
            Some(_) => Ok(Self { is_for_one: true, ..new }),
            None => Err("no control socket can be made beside the database".to_owned()),
        }
    }

    /// Runs until a signal ends it.
    pub fn run(mut self) -> Result<(), String> {
        self.register().map_err(|error| format!("cannot start: {error}"))?;
        if !self.is_for_one {
            self.outlive_panics();
        }
        let mut events = Events::with_capacity(256);
        let mut quiet = Quiet::new(Instant::now());
        self.recover();
        while !self.is_done() {
            let now = Instant::now();
            let timeout = quiet.before_sleep(self.timeout(now), now);
            match self.poll.poll(&mut events, Some(timeout)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(format!("waiting failed: {error}"));
                }
                _ => {}
            }
            let now = Instant::now();
            self.connections.set_now(now);
            quiet.woken(!events.is_empty(), now);
            for event in &events {
                self.on_event(event);
            }
            self.serve_connections();
            self.serve_children();
            self.serve_parked();
            self.serve_steps();
            self.serve_timers();
            self.connections.accept(self.poll.registry());
        }
        Ok(())
    }

    fn register(&mut self) -> io::Result<()> {
        let registry = self.poll.registry();
        self.connections.register(registry)?;
        self.signals.register(registry)?;
        self.control.as_mut().map_or(Ok(()), |control| control.register(registry))
    }

    fn on_event(&mut self, event: &mio::event::Event) {
        match Source::of(event.token()) {
            Some(Source::Listener(_)) => self.connections.on_listener_ready(),
            Some(Source::Connection(slot)) => self.connections.on_ready(slot, event),
            Some(Source::ChildOutput(slot)) => self.children.on_output_ready(slot),
            Some(Source::ChildInput(slot)) => self.children.on_input_ready(slot),
            Some(Source::Daemon) => self.watch.on_connection_event(&mut self.ctx),
            Some(Source::BanLog) => self.ban_log.on_event(Instant::now()),
            Some(Source::Probe) => self.watch.on_probe_event(&mut self.ctx),
            Some(Source::Control) => {
                let Some(control) = &mut self.control else { return };
                for accepted in control.serve(&mut self.ctx) {
                    self.connections.adopt(accepted, self.poll.registry());
                }
                if self.is_for_one && control.is_left() {
                    self.stop();
                }
            }
            Some(Source::Signal) => self.on_signal(),
            None => {}
        }
    }

    /// How long nothing can happen by itself.
    fn timeout(&mut self, now: Instant) -> Duration {
        let goes_on =
            self.ctx.daemon_log.catch_up == CatchUp::Idle && self.parked.iter().any(|parked| parked.for_archive);
        if goes_on
            || self.connections.has_ready()
            || self.connections.wants_accept()
            || self.next_step().is_some()
            || self.ctx.has_to_note()
        {
            return Duration::ZERO;
        }
        let timers = if self.is_for_one { Timers::next_for_one } else { Timers::next };
        let mut wait = timers(&self.timers, &mut self.ctx, now);
        if self.ctx.reads_log(self.is_for_one) {
            wait = wait.min(self.ban_log.next().saturating_duration_since(now));
        }
        if self.connections.any_open() || self.children.any() || self.stopping.is_some() || !self.parked.is_empty() {
            wait = wait.min(Duration::from_millis(250));
        }
        if let Some(until) = self.connections.accept_rest_until() {
            wait = wait.min(until.saturating_duration_since(now));
        }
        wait
    }

    fn serve_connections(&mut self) {
        // One round: what becomes ready meanwhile has its turn in the next, behind the poll.
        let mut turns = self.connections.round();
        while let Some(event) = self.connections.next_event(&mut turns) {
            match event {
                HttpEvent::Head(slot) => {
                    self.judge(slot);
                    turns += 1;
                }
                HttpEvent::Request(slot) => {
                    self.answer(slot);
                    turns += 1;
                }
                HttpEvent::Broken(slot, problem) => {
                    self.answer_broken(slot, problem);
                    turns += 1;
                }
                HttpEvent::Gone(slot) => self.abandon(slot),
            }
        }
    }

    fn judge(&mut self, slot: Slot) {
        let is_full = !self.connections.has_buffer_room();
        self.answering(slot, &Method::Get, "");
        let ctx = &mut self.ctx;
        let Some((head, peer)) = self.connections.head(slot) else { return };
        let method = head.method.clone();
        // Whoever brings no body is heard even when those of others fill all there is.
        let has_room = !is_full || head.framing == Framing::Length(0);
        match dispatch::admit(ctx, head, peer) {
            (admitted, Ok(limit)) if has_room => self.connections.admit(slot, admitted, limit),
            (admitted, judged) => {
                let busy = || ApiError::busy("Too many requests are coming in at once.");
                let error = judged.err().unwrap_or_else(busy);
                self.connections.refuse(slot, dispatch::finish(&mut self.ctx, &method, &admitted, Err(error)));
            }
        }
        renewal::answered();
    }

    fn answer_broken(&mut self, slot: Slot, problem: Problem) {
        let Some(peer) = self.connections.peer(slot) else { return };
        let admitted = dispatch::stranger(&mut self.ctx, peer);
        // Whatever method it was, the answer has a body.
        let response = dispatch::finish(&mut self.ctx, &Method::Get, &admitted, Err(problem.into()));
        self.connections.respond(slot, response);
    }

    fn answer(&mut self, slot: Slot) {
        let Some((head, body, admitted, _)) = self.connections.take_request(slot) else { return };
        let request = Request { head, body, admitted, has_waited: false };
        let asks_daemon = request.admitted.route.is_some_and(|route| route.asks_daemon);
        self.ctx.daemon_is_taken = self.children.daemon_is_taken();
        if asks_daemon && self.ctx.daemon_is_taken {
            return self.park(slot, request);
        }
        self.handle(slot, request);
    }

    pub(super) fn handle(&mut self, slot: Slot, mut request: Request) {
        self.answering(slot, &request.head.method, &request.admitted.request_id);
        let outcome = dispatch::handle(&mut self.ctx, &mut request);
        renewal::answered();
        match outcome {
            Ok(Outcome::Answer(response)) => {
                self.connections.respond(
                    slot,
                    dispatch::finish(&mut self.ctx, &request.head.method, &request.admitted, Ok(response)),
                );
            }
            Ok(Outcome::Job(job)) => self.submit(slot, request.head.method, request.admitted, *job),
            Ok(Outcome::Steps(steps)) => self.begin_steps(slot, request, steps),
            Ok(Outcome::Again) => self.park_again(slot, request),
            Ok(Outcome::AfterArchive) => self.park_for_archive(slot, request),
            Err(error) => {
                self.connections.respond(
                    slot,
                    dispatch::finish(&mut self.ctx, &request.head.method, &request.admitted, Err(error)),
                );
            }
        }
        self.cancel_jobs();
        self.watch.follow(&mut self.ctx, self.poll.registry());
    }

    pub(super) fn submit(&mut self, slot: Slot, method: Method, admitted: Admitted, job: Job) {
        let lane = job.task.lane();
        let unsettles = job.task.unsettles_bans();
        let resting = lane == Lane::Daemon && !job.task.does_without_daemon() && self.ctx.daemon.client().is_resting();
        let applies = job.task.applies();
        let submitted = if applies && (self.recovery.is_some() || self.pending.values().any(|other| other.applies)) {
            Err(ApiError::new(
                Code::ApplyInProgress,
                "Another change of the configuration is being applied; try again shortly.",
            ))
        } else if resting {
            Err(fail2ban::Error::Busy { waited: Duration::ZERO }.into())
        } else {
            let submitted = self.children.submit(job.task, job.urgent, Instant::now());
            submitted.map_err(|Full| ApiError::busy(TOO_MANY))
        };
        match submitted {
            Ok(id) => {
                let (then, packed) = match job.then {
                    Then::Finish(finish) => (Some(finish), false),
                    Then::Stream(packed) => (None, packed),
                };
                let csv = admitted.csv().map(Csv::new);
                let (streaming, abandoned) = (false, false);
                let pending = Pending {
                    slot,
                    method,
                    admitted,
                    then,
                    csv,
                    packed,
                    streaming,
                    detached: job.detached,
                    abandoned,
                    job: None,
                    lane,
                    applies,
                    unsettles,
                    undo: job.undo,
                };
                self.pending.insert(id, pending);
                self.answer_the_hasty(id);
                self.children.start_waiting(self.poll.registry());
            }
            Err(error) => {
                if let Some(undo) = job.undo {
                    undo(&mut self.ctx);
                }
                if lane == Lane::Import {
                    imports::not_started(&mut self.ctx);
                }
                self.connections.respond(slot, dispatch::finish(&mut self.ctx, &method, &admitted, Err(error)));
            }
        }
    }

    fn serve_children(&mut self) {
        loop {
            let (pending, connections) = (&self.pending, &mut self.connections);
            let wanted = |id: TaskId| match pending.get(&id) {
                Some(pending) if pending.streaming && !pending.abandoned => connections.stream_room(pending.slot),
                _ => true,
            };
            let Some((id, frame)) = self.children.next_frame(wanted) else { break };
            self.on_frame(id, frame);
        }
        self.children.start_waiting(self.poll.registry());
    }

    fn on_frame(&mut self, id: TaskId, frame: Frame) {
        match frame {
            Frame::Part(bytes) if self.background.contains_key(&id) => self.ctx.banned.take(&bytes),
            Frame::Part(bytes) => {
                let Some(pending) = self.pending.get_mut(&id) else { return };
                if !pending.streaming && !pending.abandoned {
                    pending.streaming = true;
                    let mut head = Response::json_bytes(200, b"".as_slice());
                    if pending.packed {
                        head = head.with("content-encoding", "gzip");
                    }
                    let head = dispatch::finish(&mut self.ctx, &pending.method, &pending.admitted, Ok(head));
                    if !self.connections.stream_head(pending.slot, &head) {
                        // A HEAD request has its answer: nothing more is wanted.
                        self.pending.remove(&id);
                        return self.children.cancel(id);
                    }
                }
                let rows = pending.csv.as_mut().map(|csv| csv.take(&bytes));
                self.connections.stream_part(pending.slot, rows.as_ref().unwrap_or(&bytes));
            }
            Frame::Progress(value) => self.on_progress(id, value),
            Frame::Done(value) => self.on_end(id, Ok(value)),
            Frame::Failed(failure) => self.on_end(id, Err(failure)),
        }
    }

    pub(super) fn on_end(&mut self, id: TaskId, outcome: Result<Value, Failure>) {
        if let Err(Failure::Fail2ban(error)) = &outcome
            && error.is_away()
        {
            self.ctx.note_away(error.clone());
        }
        if let Some(task) = self.background.remove(&id) {
            return self.on_background_end(task, outcome);
        }
        if self.recovery == Some(id) {
            self.recovery = None;
            return self.after_recovery(&outcome);
        }
        if self.setting_again == Some(id) {
            self.setting_again = None;
            return self.after_set_again(outcome);
        }
        let Some(pending) = self.pending.remove(&id) else { return };
        self.note_failed_import(pending.lane, &outcome);
        if let (Err(_), Some(undo)) = (&outcome, pending.undo) {
            undo(&mut self.ctx);
        }
        if pending.unsettles {
            self.ctx.distrust_bans();
        }
        if pending.applies && matches!(outcome, Err(Failure::Crashed | Failure::TimedOut)) {
            self.recover();
        }
        if matches!(pending.lane, Lane::Daemon | Lane::Bulk) {
            self.after_daemon_task(outcome.as_ref().err());
        }
        if pending.lane == Lane::Restart {
            // Whatever the former one did, the present one is asked anew.
            self.watch.is_back(&mut self.ctx);
            self.ctx.daemon.client_mut().disconnect();
        }
        if pending.streaming {
            if let Err(failure) = &outcome {
                log::warn!("{} the answer broke off: {failure:?}", pending.admitted.request_id);
            }
            return self.connections.stream_end(pending.slot, outcome.is_ok());
        }
        if !pending.abandoned && pending.job.is_none() {
            self.answering(pending.slot, &pending.method, &pending.admitted.request_id);
        }
        let (ctx, acting) = (&mut self.ctx, pending.admitted.acting());
        let result = match (outcome, pending.then) {
            (Ok(value), Some(finish)) => dispatch::go_on(ctx, acting, |ctx| finish(ctx, value)),
            (Ok(_), None) => Ok(Response::json_bytes(200, b"".as_slice())),
            (Err(failure), _) => Err(failure.into()),
        };
        if let Some(job) = self.ctx.next_job.take() {
            return self.submit(pending.slot, pending.method, pending.admitted, *job);
        }
        let response = dispatch::finish(&mut self.ctx, &pending.method, &pending.admitted, result);
        renewal::answered();
        if let Some(job) = &pending.job {
            self.ctx.long_jobs.end(job, response, time::now());
        } else if !pending.abandoned {
            self.connections.respond(pending.slot, response);
        }
    }

    /// A child has had the daemon: what we know of it is out of date, or it hangs, and others need not find out one by one.
    pub(super) fn after_daemon_task(&mut self, failure: Option<&Failure>) {
        match failure {
            Some(Failure::Fail2ban(error @ fail2ban::Error::Busy { .. })) => {
                self.ctx.daemon.client_mut().begin_rest();
                self.children.fail_waiting(Lane::Daemon, &Failure::Fail2ban(error.clone()));
            }
            _ => self.ctx.expect_changes(),
        }
    }

    fn serve_timers(&mut self) {
        let now = Instant::now();
        if self.timers.tick(now) {
            self.connections.expire();
            self.children.expire(now);
            self.answer_the_slow(now);
        }
        let is_free = !self.children.daemon_is_taken() && !imports::keeps_daemon_busy(&self.ctx);
        self.ctx.note_what_waits();
        if self.ctx.own_bans.any_settled() {
            self.ctx.settle_some_own_bans();
        }
        self.ctx.bulk_is_under_way =
            self.ctx.own_bans.any_settled() || self.children.any_bulk() || self.stepping.iter().any(Stepping::changes);
        if self.ctx.reads_log(self.is_for_one) {
            let at_once = self.ctx.their_page.is_some() || self.ctx.daemon_log.catch_up != CatchUp::Idle;
            self.ban_log.run(&mut self.ctx, self.poll.registry(), at_once, now);
        }
        let by_itself = if self.is_for_one { Timers::run_for_one } else { Timers::run };
        by_itself(&mut self.timers, &mut self.ctx, is_free, now);
        self.submit_background();
        self.ctx.heed_daemon();
        if is_free && self.ctx.snapshot.online && !self.ctx.snapshot.stale {
            if std::mem::take(&mut self.recovery_waits) {
                self.recover();
            } else if self.ctx.restarted && !self.is_for_one {
                self.set_again();
            }
        }
        self.watch.follow(&mut self.ctx, self.poll.registry());
    }
}

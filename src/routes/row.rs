//! How a row of the table of routes is written: a method, a path and a handler, and behind them what is not as usual.

use crate::app::csv::Columns;
use crate::app::request::{Access, BODY_WITHOUT_SESSION, Handler, Limit, Long, OfJails, Route, Verb};
use crate::app::revision::Sources;
use crate::domain::permission::{Role, Scope};

/// The longest body of a route, in bytes, unless it says otherwise.
const BODY: usize = 64 * 1024;
/// The longest body of a route that takes configuration or log lines, in bytes.
const LARGE_BODY: usize = 1024 * 1024;

pub(super) const fn route(method: Verb, path: &'static str, handler: Handler) -> Route {
    let changes = !matches!(method, Verb::Get);
    let body_limit = if changes { BODY } else { 0 };
    Route {
        method,
        path,
        access: Access::Session,
        scope: Scope::Read,
        for_people: false,
        of_jails: OfJails::All,
        role: Role::Viewer,
        changes,
        body_limit,
        asks_daemon: false,
        limit: None,
        long: Long::No,
        takes: &[],
        sources: None,
        csv: None,
        text: None,
        handler,
    }
}

pub(super) const fn get(path: &'static str, handler: Handler) -> Route {
    route(Verb::Get, path, handler)
}

pub(super) const fn post(path: &'static str, handler: Handler) -> Route {
    route(Verb::Post, path, handler)
}

pub(super) const fn put(path: &'static str, handler: Handler) -> Route {
    route(Verb::Put, path, handler)
}

pub(super) const fn delete(path: &'static str, handler: Handler) -> Route {
    route(Verb::Delete, path, handler)
}

impl Route {
    pub(super) const fn open(mut self, access: Access) -> Self {
        self.access = access;
        if matches!(access, Access::Public | Access::AfterSetup | Access::Unlimited) && self.body_limit > 0 {
            self.body_limit = BODY_WITHOUT_SESSION;
        }
        self
    }

    /// What it touches, and the least that one must be.
    pub(super) const fn may(mut self, scope: Scope, role: Role) -> Self {
        self.scope = scope;
        self.role = role;
        self
    }

    /// Banning and letting out.
    pub(super) const fn bans(self) -> Self {
        self.may(Scope::Bans, Role::Operator)
    }

    /// Jails as they run.
    pub(super) const fn jails(self) -> Self {
        self.may(Scope::Jails, Role::Admin)
    }

    /// The configuration, and whatever changes what it says.
    pub(super) const fn configures(self) -> Self {
        self.may(Scope::Config, Role::Admin)
    }

    /// Who may do what: for people who may do everything.
    pub(super) const fn governs(self) -> Self {
        self.may(Scope::Config, Role::Admin).for_people()
    }

    /// Reading what the configuration says, or what its files and logs hold.
    pub(super) const fn reads_config(self) -> Self {
        self.may(Scope::Config, Role::Viewer)
    }

    /// No program's key opens it.
    pub(super) const fn for_people(mut self) -> Self {
        self.for_people = true;
        self
    }

    /// What a key that is for some jails finds there; unless it says so, such a key is refused.
    pub(super) const fn of_jails(mut self, of_jails: OfJails) -> Self {
        self.of_jails = of_jails;
        self
    }

    /// Reading what may hold secrets: commands and their parameters.
    pub(super) const fn reads_commands(self) -> Self {
        self.may(Scope::Config, Role::Admin)
    }

    /// A GET that changes something.
    pub(super) const fn changes(mut self) -> Self {
        self.changes = true;
        self
    }

    /// Configuration and log lines may be long.
    pub(super) const fn large(mut self) -> Self {
        self.body_limit = LARGE_BODY;
        self
    }

    pub(super) const fn asks_daemon(mut self) -> Self {
        self.asks_daemon = true;
        self
    }

    /// Its client need not wait for its end.
    pub(super) const fn long(mut self, long: Long) -> Self {
        self.long = long;
        self
    }

    pub(super) const fn takes(mut self, parameters: &'static [&'static str]) -> Self {
        self.takes = parameters;
        self
    }

    pub(super) const fn csv_of(mut self, list: &'static str, fields: &'static [&'static str]) -> Self {
        self.csv = Some(Columns { list, fields });
        self
    }

    /// Answered in lines of text, of this type.
    pub(super) const fn text(mut self, kind: &'static str) -> Self {
        self.text = Some(kind);
        self
    }

    pub(super) const fn made_of(mut self, sources: Sources) -> Self {
        self.sources = Some(sources);
        self
    }

    pub(super) const fn counted(mut self, limit: Limit) -> Self {
        self.limit = Some(limit);
        self
    }
}

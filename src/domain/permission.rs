//! What one may do: the role of a person, the scope of a program.

/// What a route touches. A program's key names those it may use; `Read` is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Looking: lists, counts, history.
    Read,
    /// Bans and unbans.
    Bans,
    /// Jails as they run: start, stop, pause, what they ignore.
    Jails,
    /// The configuration, its files, blocklists, the daemon's own settings.
    Config,
    /// What becomes a command that root runs.
    Actions,
    /// The figures for a monitor.
    Metrics,
}

impl Scope {
    /// All of them, the least first.
    pub const ALL: [Scope; 6] = [Scope::Read, Scope::Bans, Scope::Jails, Scope::Config, Scope::Actions, Scope::Metrics];

    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Bans => "bans",
            Scope::Jails => "jails",
            Scope::Config => "config",
            Scope::Actions => "actions",
            Scope::Metrics => "metrics",
        }
    }

    /// One by its name on the wire.
    pub fn of(name: &str) -> Option<Scope> {
        Scope::ALL.into_iter().find(|scope| scope.as_str() == name)
    }
}

/// Whether what becomes a command that root runs may be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Commands {
    /// It may.
    Allowed,
    /// Not through this server: its settings say so.
    Off,
    /// Not with this token, which lacks the scope `actions`.
    OutOfScope,
}

/// What a person may do; each role may do all that those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Looks.
    Viewer,
    /// Bans, lets out, pauses.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Role; 3] = [Role::Viewer, Role::Operator, Role::Admin];

    /// One by its name on the wire.
    pub fn of(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == name)
    }

    /// The scopes in which the role can do something.
    pub fn scopes(self) -> &'static [Scope] {
        use Scope::{Actions, Bans, Config, Jails, Metrics, Read};
        match self {
            Role::Viewer => &[Read, Config, Metrics],
            Role::Operator => &[Read, Bans, Jails, Config, Metrics],
            Role::Admin => &[Read, Bans, Jails, Config, Actions, Metrics],
        }
    }

    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }
}

//! Who does something: passed on to whatever is written, so that it can be told later who it was.

use serde::{Deserialize, Serialize};

/// The name of the account that setup makes.
pub const OWNER: &str = "admin";

/// Whoever acts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "name", rename_all = "lowercase")]
pub enum Actor {
    /// A person, by the name of the account.
    User(String),
    /// A program, by the name of its token.
    Token(String),
    /// This program by itself: a timer, the mending of what was interrupted.
    #[default]
    System,
    /// Whoever sits at the machine, by a command.
    Console,
}

impl Actor {
    /// Which of the four, as it is stored and shown.
    pub fn kind(&self) -> &'static str {
        match self {
            Actor::User(_) => "user",
            Actor::Token(_) => "token",
            Actor::System => "system",
            Actor::Console => "console",
        }
    }

    /// Whoever it is, as the log names it.
    pub fn in_words(&self) -> String {
        match self {
            Actor::User(name) => format!("the user {name}"),
            Actor::Token(name) => format!("the token {name}"),
            Actor::System => "bangui".to_owned(),
            Actor::Console => "somebody at this machine".to_owned(),
        }
    }

    /// Its name; empty where it has none.
    pub fn name(&self) -> &str {
        match self {
            Actor::User(name) | Actor::Token(name) => name,
            Actor::System | Actor::Console => "",
        }
    }

    /// One that was stored; what was written by a later version is taken for the system.
    pub fn of(kind: &str, name: String) -> Actor {
        match kind {
            "user" => Actor::User(name),
            "token" => Actor::Token(name),
            "console" => Actor::Console,
            _ => Actor::System,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_comes_back_from_what_is_stored_of_it() {
        for actor in [Actor::User("admin".into()), Actor::Token("widget".into()), Actor::System, Actor::Console] {
            assert_eq!(Actor::of(actor.kind(), actor.name().to_owned()), actor);
        }
    }
}

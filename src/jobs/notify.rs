//! Sending one message, in a child: a receiver may be slow, or never answer.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::machine;
use crate::notify::{self, Delivery};

/// How long a child may take: a sender gives up earlier.
pub const DEADLINE: Duration = Duration::from_secs(45);

/// Send a message.
#[derive(Debug, Serialize, Deserialize)]
pub struct Notify {
    /// What, and whom.
    pub delivery: Delivery,
}

impl Notify {
    /// The failure as JSON; null where it was sent. That it cannot be sent is no failure of the task.
    pub fn run(self) -> Value {
        json!(notify::send(&self.delivery, machine::own_addresses()).err())
    }
}

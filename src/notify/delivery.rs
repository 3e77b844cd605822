//! A message and whom it is for: all that a child needs to send it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::domain::notification::{Channel, Message};

/// A message to be sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Whom.
    pub channel: Channel,
    /// What.
    pub message: Message,
    /// Names this message: the same at each attempt.
    pub id: String,
    /// The name of this machine.
    pub host: String,
    /// Addresses that are not public are fine, by the settings of the server.
    pub allow_private: bool,
    /// A file of certificates of the authorities that are trusted instead of those that are built in.
    pub authorities: Option<PathBuf>,
}

impl Delivery {
    /// Whether it may go to an address that is not public.
    pub fn allows_private(&self) -> bool {
        self.allow_private || self.channel.allow_private
    }

    /// In a few words and one line, with the name of this machine.
    pub fn title(&self) -> String {
        let title = self.message.title();
        if self.host.is_empty() { title } else { format!("{}: {title}", self.host) }
    }
}

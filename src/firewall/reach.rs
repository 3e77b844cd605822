//! Which packets a set is held against.

use serde::{Deserialize, Serialize};

/// Which packets are held against the set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// Those for this machine.
    #[default]
    Here,
    /// Those that it forwards as well: to a router's network, to containers.
    Forwarded,
}

//! Messages on their way out: in the form that each kind of receiver takes, sent once. It waits for the network, so it is meant for a child
//! process of ours. What waits to be sent, and when it is tried again, is none of its business.

mod delivery;
pub mod email;
mod failure;
mod hmac;
mod send;
pub mod webhook;

pub use self::delivery::Delivery;
pub use self::failure::{Failure, Kind};
pub use self::send::send;

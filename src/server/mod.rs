//! The connections of our clients: accepting them, keeping them within limits, and their HTTP/1.1. The only code
//! that touches a client's socket. It knows nothing of what is asked; its owner polls, judges and answers.
//!
//! Not here: TLS (a reverse proxy's work), HTTP/2, compression.

pub mod accepts;
pub mod body;
pub mod connection;
mod connections;
pub mod listen;
pub mod outgoing;
pub mod request;
pub mod response;
mod room;
pub mod stream;
pub mod token;
pub mod turn;

pub use connections::{Connections, HttpEvent, MAX_BUFFERED};

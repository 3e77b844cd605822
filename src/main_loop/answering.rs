//! Who is told of a panic: the client for whom the loop works at that moment.

use tiny_http::Method;

use super::run::MainLoop;
use crate::renewal::{self, Client};
use crate::server::token::Slot;

impl MainLoop {
    /// From now on a panic is not the end: the program begins anew on what it listens on.
    pub(super) fn outlive_panics(&self) {
        renewal::serve_on(
            self.connections.listeners(),
            self.connections.fixed_headers() + "cache-control: no-store\r\n",
        );
    }

    /// What follows is for this client, who gets a 500 should it panic.
    pub(super) fn answering(&mut self, slot: Slot, method: &Method, request_id: &str) {
        let head_only = *method == Method::Head;
        let client = self.connections.silent_socket(slot).map(|socket| Client { socket, head_only });
        renewal::answering(client, request_id);
    }
}

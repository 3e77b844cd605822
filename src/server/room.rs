//! Who has to go when there is no place for one more connection. Never one whose request is being answered.

use std::fs::File;
use std::time::Duration;

use super::connections::{ACCEPT_REST, Connections};
use super::request::Peer;
use super::turn::Standing;
use crate::domain::client::ClientKey;

/// Connections of one client address; loopback, unix sockets and trusted proxies excepted.
const MAX_PER_CLIENT: usize = 16;
/// A client that has taken nothing of its answer for this long may be dropped to make room.
const STALLED_AFTER: Duration = Duration::from_millis(250);

impl<T> Connections<T> {
    /// Whether the address of a new connection has its share already, half-open ones of its own making room first.
    pub(super) fn is_over_share(&mut self, peer: Peer) -> bool {
        let Peer::Tcp(address) = peer else { return false };
        if address.to_canonical().is_loopback() || (self.trusts)(address) {
            return false;
        }
        let key = ClientKey::of(address);
        let count = self.open().filter(|(_, connection)| client_of(connection.peer) == Some(key)).count();
        if count < MAX_PER_CLIENT {
            return false;
        }
        let own = self
            .open()
            .filter(|(_, connection)| client_of(connection.peer) == Some(key))
            .filter(|(_, connection)| matches!(connection.standing().0, Standing::HalfOpen | Standing::Idle))
            .min_by_key(|(_, connection)| connection.standing().1)
            .map(|(slot, _)| slot);
        match own {
            Some(slot) => {
                self.close(slot);
                false
            }
            None => true,
        }
    }

    /// Drops one connection: the oldest half-open one of the address that holds most of them, else the longest idle
    /// one, else one whose client takes nothing of its answer. Never one whose request is being answered.
    pub(super) fn make_room(&mut self) -> bool {
        let mut holders: Vec<(Option<ClientKey>, usize)> = Vec::new();
        for (_, connection) in self.open().filter(|(_, connection)| connection.standing().0 == Standing::HalfOpen) {
            let key = client_of(connection.peer);
            match holders.iter_mut().find(|(holder, _)| *holder == key) {
                Some((_, count)) => *count += 1,
                None => holders.push((key, 1)),
            }
        }
        let worst = holders.iter().max_by_key(|(_, count)| *count).map(|(key, _)| *key);
        let now = self.now;
        let victim = self
            .open()
            .filter_map(|(slot, connection)| {
                let (standing, since) = connection.standing();
                let rank = match standing {
                    Standing::HalfOpen if Some(client_of(connection.peer)) == worst => 0,
                    Standing::Idle => 1,
                    Standing::Stalled(since) if now.duration_since(since) >= STALLED_AFTER => 2,
                    _ => return None,
                };
                Some((rank, since, slot))
            })
            .min_by_key(|(rank, since, _)| (*rank, *since))
            .map(|(_, _, slot)| slot);
        if let Some(slot) = victim {
            self.close(slot);
        }
        victim.is_some()
    }

    /// Out of descriptors: drop one connection; when there is none to drop, take the reserve, turn one client away with it, and rest.
    pub(super) fn without_descriptors(&mut self, listener: usize) {
        if self.make_room() {
            return;
        }
        self.reserve = None;
        let _ = self.listeners[listener].accept();
        self.reserve = File::open("/dev/null").ok();
        self.accept_rest_until = Some(self.now + ACCEPT_REST);
    }
}

fn client_of(peer: Peer) -> Option<ClientKey> {
    match peer {
        Peer::Tcp(address) => Some(ClientKey::of(address)),
        Peer::Unix | Peer::Console => None,
    }
}

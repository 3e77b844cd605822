//! The deadlines of a connection, by a clock of the test's own.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use super::*;

const FIXED: Fixed<'_> = Fixed { headers: b"", date: "D" };

/// A connection of which an answer of a megabyte is on its way, and its client.
fn answered(now: Instant) -> (Connection<()>, UnixStream, Vec<u8>) {
    let (mut client, ours) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let stream = Stream::Unix(mio::net::UnixStream::from_std(ours));
    let (mut connection, mut scratch) = (Connection::new(stream, Peer::Unix, now), vec![0; 4096]);
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(connection.turn(now, &mut scratch, &mut TurnBudget::default()), Turn::Head);
    connection.admit((), 0);
    assert_eq!(connection.turn(now, &mut scratch, &mut TurnBudget::default()), Turn::Request);
    connection.take_request().unwrap();
    connection.respond(Response::json_bytes(200, vec![b' '; 1 << 20]), now, &FIXED);
    assert_eq!(connection.turn(now, &mut scratch, &mut TurnBudget::default()), Turn::Blocked);
    (connection, client, scratch)
}

#[test]
fn a_client_that_takes_nothing_of_its_answer_for_30_seconds_is_dropped() {
    let now = Instant::now();
    let (connection, _client, _) = answered(now);
    assert!(!connection.is_overdue(now + Duration::from_secs(29)));
    assert!(connection.is_overdue(now + Duration::from_secs(30)));
}

#[test]
fn a_client_that_takes_a_little_has_its_time_again() {
    let now = Instant::now();
    let (mut connection, mut client, mut scratch) = answered(now);
    client.read_exact(&mut vec![0; 200_000]).unwrap();
    let later = now + Duration::from_secs(20);
    connection.on_ready(false, true);
    assert_eq!(connection.turn(later, &mut scratch, &mut TurnBudget::default()), Turn::Blocked);
    assert!(!connection.is_overdue(now + Duration::from_secs(49)));
    assert!(connection.is_overdue(now + Duration::from_secs(50)));
}

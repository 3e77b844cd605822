//! The connection against a scripted daemon that does everything wrong.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::thread;

use socket2::{Domain, SockAddr, Socket, Type};

use super::*;
use crate::fail2ban::encode::TERMINATOR;

const PONG: &[u8] = b"\x80\x02K\x00U\x04pongq\x00\x86q\x01.<F2B_END_COMMAND>";
const QUICK: Duration = Duration::from_millis(300);

/// A daemon at a socket of its own, which lives as long as the directory.
struct Fake {
    directory: tempfile::TempDir,
}

impl Fake {
    /// Runs `script` in a thread of its own, on a listener like the daemon's.
    fn new(script: impl FnOnce(UnixListener) + Send + 'static) -> Fake {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("sock")).unwrap();
        thread::spawn(move || script(listener));
        Fake { directory }
    }

    /// A daemon that sends `reply` to the first request it gets, then closes.
    fn once(reply: Vec<u8>) -> Fake {
        Fake::new(move |listener| {
            let (mut stream, _) = listener.accept().unwrap();
            read_request(&mut stream);
            // The client may have given up by now.
            let _ = stream.write_all(&reply);
        })
    }

    fn client(&self) -> Client {
        Client::new(self.directory.path().join("sock"), QUICK)
    }
}

/// Reads to the terminator; false at the end of the connection.
fn read_request(stream: &mut UnixStream) -> bool {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(TERMINATOR) {
        match stream.read(&mut byte) {
            Ok(1) => seen.push(byte[0]),
            _ => return false,
        }
    }
    true
}

fn answer_all(mut stream: UnixStream, reply: &[u8]) {
    while read_request(&mut stream) {
        stream.write_all(reply).unwrap();
    }
}

#[test]
fn one_connection_serves_many_calls() {
    let fake = Fake::new(|listener| answer_all(listener.accept().unwrap().0, PONG));
    let mut client = fake.client();
    assert!(!client.is_connected() && client.as_raw_fd().is_none());
    for _ in 0..100 {
        assert_eq!(client.ask(&["ping"]), Ok(Value::from("pong")));
    }
    assert!(client.is_connected() && client.as_raw_fd().is_some());
    client.disconnect();
    assert!(!client.is_connected());
}

#[test]
fn absent_stale_and_forbidden_sockets_are_unreachable() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sock");
    let ask = |path: &Path| Client::new(path.to_owned(), QUICK).ask(&["ping"]).unwrap_err().to_string();
    assert!(ask(&path).contains("there is no such socket"));
    drop(UnixListener::bind(&path).unwrap());
    assert!(ask(&path).contains("nobody listens"));
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(ask(&file).contains("nobody listens"));
    let long = directory.path().join("x".repeat(200));
    assert!(ask(&long).contains("no usable path"));
}

#[test]
fn a_silent_daemon_costs_the_patience_and_no_more() {
    let fake = Fake::new(|listener| {
        // Accepted, held open, never answered.
        let _held = listener.accept().unwrap();
        let _ = listener.accept();
    });
    let mut client = fake.client().with_rests();
    let start = Instant::now();
    assert_eq!(client.ask(&["ping"]), Err(Error::Busy { waited: QUICK }));
    assert!(start.elapsed() >= QUICK && start.elapsed() < QUICK * 3);
    assert!(!client.is_connected(), "a connection with an answer outstanding is never used again");
    // And then nothing for a while.
    let start = Instant::now();
    assert_eq!(client.ask(&["ping"]), Err(Error::Busy { waited: Duration::ZERO }));
    assert!(start.elapsed() < QUICK / 2);
}

#[test]
fn a_slow_drip_does_not_extend_the_patience() {
    let fake = Fake::new(|listener| {
        let (mut stream, _) = listener.accept().unwrap();
        read_request(&mut stream);
        for byte in PONG {
            thread::sleep(Duration::from_millis(20));
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
        }
    });
    let start = Instant::now();
    assert_eq!(fake.client().ask(&["ping"]), Err(Error::Busy { waited: QUICK }));
    assert!(start.elapsed() < QUICK * 2);
}

#[test]
fn a_full_backlog_is_busy_and_not_down() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sock");
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    socket.bind(&SockAddr::unix(&path).unwrap()).unwrap();
    socket.listen(1).unwrap();
    let _waiting: Vec<_> = (0..2).map(|_| UnixStream::connect(&path).unwrap()).collect();
    assert_eq!(Client::new(path, QUICK).ask(&["ping"]), Err(Error::Busy { waited: QUICK }));
}

#[test]
fn broken_answers_are_protocol_errors() {
    let mut no_terminator = PONG.to_vec();
    no_terminator.truncate(PONG.len() - TERMINATOR.len());
    no_terminator.extend_from_slice(b"<F2B_END_NONSENSE>");
    let mut two = PONG.to_vec();
    two.extend_from_slice(PONG);
    for (what, reply) in [
        ("nothing", vec![]),
        ("cut", PONG[..9].to_vec()),
        ("cut in the terminator", PONG[..PONG.len() - 3].to_vec()),
        ("web server", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        ("no terminator", no_terminator),
        ("two answers", two),
        ("not a reply", b"N.<F2B_END_COMMAND>".to_vec()),
        ("unknown status", b"K\x02N\x86.<F2B_END_COMMAND>".to_vec()),
    ] {
        let fake = Fake::once(reply);
        let mut client = fake.client();
        let result = client.ask(&["ping"]);
        assert!(matches!(result, Err(Error::Protocol(_))), "{what}: {result:?}");
    }
}

#[test]
fn a_terminator_inside_a_text_does_not_end_the_reply() {
    let mut reply = b"K\x00U\x13a".to_vec();
    reply.extend_from_slice(TERMINATOR);
    reply.extend_from_slice(b"b\x86.");
    reply.extend_from_slice(TERMINATOR);
    assert_eq!(Fake::once(reply).client().ask(&["get"]), Ok(Value::from("a<F2B_END_COMMAND>b")));
}

#[test]
fn errors_of_the_daemon_are_told_apart() {
    let error = |pickle: &[u8]| {
        let mut reply = pickle.to_vec();
        reply.extend_from_slice(TERMINATOR);
        Fake::once(reply).client().ask(&["x"]).unwrap_err()
    };
    assert_eq!(
        error(b"K\x01cfail2ban.exceptions\nUnknownJailException\nU\x03abc\x85R\x86."),
        Error::UnknownJail("abc".to_owned())
    );
    let refused = |class: &str, message: &str| Error::Refused { class: class.to_owned(), message: message.to_owned() };
    assert_eq!(
        error(b"K\x01cbuiltins\nException\nU\x0fInvalid command\x85R\x86."),
        refused("Exception", "Invalid command")
    );
    assert_eq!(
        error(b"K\x01cbuiltins\nFileNotFoundError\nK\x02U\x04goneU\x02/x\x87R\x86."),
        refused("FileNotFoundError", "gone: /x")
    );
    assert_eq!(error(b"K\x01cbuiltins\nKeyError\n)R\x86."), refused("KeyError", "KeyError"));
    assert_eq!(error(b"U\x0aERROR: abc."), refused("ERROR", "abc"));
    assert_eq!(error(b"(U\x08SHUTDOWNl."), Error::ShuttingDown);
}

#[test]
fn a_reply_over_the_limit_is_refused_before_it_is_read() {
    let mut reply = b"K\x00X\x00\x00\x40\x06".to_vec();
    reply.resize(reply.len() + (100 << 20), b'x');
    let fake = Fake::once(reply);
    let mut client = Client::new(fake.directory.path().join("sock"), Duration::from_secs(30)).with_reply_limit(1 << 20);
    assert_eq!(client.ask(&["get"]), Err(Error::Protocol("the reply is longer than 1024 KiB".to_owned())));
    assert!(!client.is_connected());
}

#[test]
fn a_restarted_daemon_is_found_again() {
    // Each connection answers one call and is closed, as a restart would.
    let fake = Fake::new(|listener| {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            read_request(&mut stream);
            stream.write_all(PONG).unwrap();
        }
    });
    let mut client = fake.client();
    let closed = |client: &Client| {
        let deadline = Instant::now() + Duration::from_secs(5);
        while is_quiet(client.stream.as_ref().unwrap()) {
            assert!(Instant::now() < deadline, "the script closes each connection");
            thread::yield_now();
        }
    };
    for _ in 0..20 {
        assert_eq!(client.ask(&["ping"]), Ok(Value::from("pong")));
        // A question may meet the closing at any moment; a command is safe once the closing can be seen.
        assert_eq!(client.ask(&["ping"]), Ok(Value::from("pong")));
        closed(&client);
        assert_eq!(client.call(&["ping"]), Ok(Value::from("pong")));
    }
}

#[test]
fn only_questions_are_asked_twice() {
    let script = |listener: UnixListener| {
        let (mut stream, _) = listener.accept().unwrap();
        read_request(&mut stream);
        stream.write_all(PONG).unwrap();
        // It takes the second request and dies of it.
        read_request(&mut stream);
        drop(stream);
        answer_all(listener.accept().unwrap().0, PONG);
    };
    let fake = Fake::new(script);
    let mut client = fake.client();
    client.ask(&["ping"]).unwrap();
    assert_eq!(client.ask(&["ping"]), Ok(Value::from("pong")));
    let fake = Fake::new(script);
    let mut client = fake.client();
    client.ask(&["ping"]).unwrap();
    assert!(matches!(client.call(&["stop"]), Err(Error::Protocol(_))));
}

#[test]
fn a_long_list_is_visited() {
    let mut reply = b"\x80\x05K\x00]\x94(".to_vec();
    for number in 0..100_000u32 {
        let address = std::net::Ipv4Addr::from(number).to_string();
        reply.extend_from_slice(&[0x8c, address.len() as u8]);
        reply.extend_from_slice(address.as_bytes());
        reply.push(0x94);
    }
    reply.extend_from_slice(b"e\x86.");
    reply.extend_from_slice(TERMINATOR);
    let fake = Fake::once(reply);
    let mut client = Client::new(fake.directory.path().join("sock"), Duration::from_secs(30));
    let mut last = String::new();
    assert_eq!(client.ask_strings(&["get", "x", "banip"], &mut |text| last = text.to_owned()), Ok(100_000));
    assert_eq!(last, "0.1.134.159");
}

#[test]
fn a_list_that_is_an_error_is_that_error() {
    let fake =
        Fake::once(b"K\x01cfail2ban.exceptions\nUnknownJailException\nU\x03abc\x85R\x86.<F2B_END_COMMAND>".to_vec());
    let result = fake.client().ask_strings(&["get", "abc", "banip"], &mut |_| panic!("nothing to visit"));
    assert_eq!(result, Err(Error::UnknownJail("abc".to_owned())));
    let result = Fake::once(PONG.to_vec()).client().ask_strings(&["x"], &mut |_| panic!("nothing to visit"));
    assert!(matches!(result, Err(Error::Protocol(_))));
}

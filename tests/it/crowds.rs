//! Many at once: connections of one client, passwords that wait for their hash, and a password that is changed while an old one waits.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::harness::client::PASSWORD;
use crate::harness::http::{Address, Wire};
use crate::harness::list_server::{LISTS, ListServer, Reply, add};
use crate::harness::server::{Launch, Server, program};
use crate::harness::{is_alive, left_out, wait_until};

const LOGIN: &str = "/api/v1/auth/login";
/// Connections of one client, as ARCHITECTURE.md says.
const OF_ONE_CLIENT: usize = 16;

/// An address of this machine that is not loopback.
fn own_address() -> Option<[u8; 4]> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: the kernel only says which address it would use.
    socket.connect("192.0.2.1:9").ok()?;
    match socket.local_addr().ok()?.ip() {
        std::net::IpAddr::V4(v4) if !v4.is_loopback() => Some(v4.octets()),
        _ => None,
    }
}

/// A connection from this address of ours to the same address.
fn connect_from(source: [u8; 4], port: u16) -> TcpStream {
    use std::os::fd::FromRawFd;
    let address = |port: u16| libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(source) },
        sin_zero: [0; 8],
    };
    let length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    // SAFETY: the addresses live through the calls that read them, and the descriptor is owned by the stream alone.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
        assert!(socket >= 0, "{}", std::io::Error::last_os_error());
        let stream = TcpStream::from_raw_fd(socket);
        let (here, there) = (address(0), address(port));
        assert_eq!(libc::bind(socket, (&raw const here).cast(), length), 0, "{}", std::io::Error::last_os_error());
        assert_eq!(libc::connect(socket, (&raw const there).cast(), length), 0, "{}", std::io::Error::last_os_error());
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }
}

#[test]
fn a_client_has_sixteen_connections_and_no_more() {
    let Some(own) = own_address() else {
        return left_out("what needs an address of this machine that is not loopback");
    };
    let server = Launch::without_daemon().listen(&["0.0.0.0:0"]).start();
    let Address::Tcp(at) = server.address() else { panic!("it listens on TCP") };
    let mut open: Vec<_> = (0..OF_ONE_CLIENT + 4)
        .map(|_| {
            let mut stream = connect_from(own, at.port());
            stream.write_all(b"GET /").unwrap();
            stream
        })
        .collect();
    let is_closed = |stream: &mut TcpStream| {
        stream.set_nonblocking(true).unwrap();
        match stream.read(&mut [0]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        }
    };
    wait_until("the older ones to make room", Duration::from_secs(5), || {
        open.retain_mut(|stream| !is_closed(stream));
        open.len() <= OF_ONE_CLIENT
    });
    assert_eq!(open.len(), OF_ONE_CLIENT);
    // Others have theirs.
    server.client().get("/api/v1/setup").expect(200);
}

/// Work that takes long is done by two children at a time. Eight more tasks wait, and the next one is told to come again.
#[test]
fn two_children_work_eight_tasks_wait_and_the_next_is_turned_away() {
    let (server, admin) = Launch::without_daemon().env("BANGUI_ALLOW_PRIVATE_FETCH", "1").start().into_ready();
    let lists = ListServer::start();
    lists.set("/late", Reply::Late(60, String::new()));
    let target = format!("{LISTS}/{}/preview", add(&admin, &lists.url("/late"), false));
    let ask = || {
        let mut wire = Wire::connect(server.address());
        wire.send(admin.head_of("GET", &target, None));
        wire.set_patience(Duration::from_millis(20));
        wire
    };
    let mut asked = 0;
    let mut at_work: Vec<Wire> = (0..2).map(|_| ask()).collect();
    wait_until("two children at work", Duration::from_secs(20), || {
        asked += lists.take_requests().len();
        asked == 2 && children(&server) == 2
    });
    at_work.extend((0..8).map(|_| ask()));
    at_work.push(ask());
    let mut turned_away = Vec::new();
    wait_until("one that is turned away", Duration::from_secs(10), || {
        at_work.retain_mut(|wire| {
            let answer = wire.try_answer("GET").ok();
            let waits = answer.is_none();
            turned_away.extend(answer);
            waits
        });
        !turned_away.is_empty()
    });
    assert_eq!(children(&server), 2, "no third one was started for those that wait");
    assert!(lists.has_no_request());
    assert_eq!(turned_away.len(), 1, "the queue is full");
    turned_away.remove(0).expect_error(503, "busy");
    // Whoever gives up frees a place, and a child does not live on without its client.
    at_work.into_iter().for_each(Wire::reset);
    wait_until("the end of the children", Duration::from_secs(20), || children(&server) == 0);
}

/// How many children of the server live; one that has ended may not have been taken off the process table yet.
fn children(server: &Server) -> usize {
    let path = format!("/proc/{0}/task/{0}/children", server.pid());
    let children = std::fs::read_to_string(path).unwrap();
    children.split_whitespace().filter(|child| is_alive(child.parse().unwrap())).count()
}

/// Sends logins of as many strangers and does not wait for the answers.
fn strangers(server: &Server, count: usize) -> Vec<Wire> {
    (0..count).map(|number| begin_login(server, &format!("198.51.100.{number}"), "wrong", "")).collect()
}

fn begin_login(server: &Server, address: &str, password: &str, device: &str) -> Wire {
    let body = json!({ "password": password }).to_string();
    let client = server.client().with_header("X-Forwarded-For", address);
    let client = client.with_header("Cookie", &format!("bangui_device={device}"));
    let mut wire = Wire::connect(server.address());
    wire.send(client.head_of("POST", LOGIN, Some(body.len())) + &body);
    wire
}

fn proxied() -> Server {
    Launch::without_daemon().args(&["--trusted-proxies", "127.0.0.1"]).start()
}

#[test]
fn passwords_of_strangers_that_wait_do_not_fill_the_queue_of_a_known_device() {
    let (server, _) = proxied().into_ready();
    let first = begin_login(&server, "203.0.113.1", PASSWORD, "").answer("POST", LOGIN).expect(200);
    let cookies = first.headers("set-cookie");
    let device = cookies.iter().find_map(|value| value.strip_prefix("bangui_device=")).unwrap();
    let device = device.split(';').next().unwrap().to_owned();
    let crowd = strangers(&server, 20);
    begin_login(&server, "192.0.2.9", PASSWORD, &device).answer("POST", LOGIN).expect(200);
    let statuses: Vec<u16> = crowd.into_iter().map(|mut wire| wire.answer("POST", LOGIN).status).collect();
    assert!(statuses.iter().all(|status| [401, 503].contains(status)), "{statuses:?}");
    let turned_away = statuses.iter().filter(|status| **status == 503).count();
    assert!(turned_away > 0, "eight wait, the others are told to come again: {statuses:?}");
}

/// The old password was right when it came, and is not when it is its turn.
#[test]
fn an_old_password_that_waits_while_it_is_changed_is_wrong() {
    let (server, _) = proxied().into_ready();
    let _crowd = strangers(&server, 8);
    let mut old = begin_login(&server, "203.0.113.7", PASSWORD, "");
    let mut command = Command::new(program())
        .args(["set-password", "--database", server.database().to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    command.stdin.take().unwrap().write_all(b"Other2!horse\n").unwrap();
    assert!(command.wait().unwrap().success());
    old.answer("POST", LOGIN).expect_error(401, "authentication_required");
    begin_login(&server, "203.0.113.7", "Other2!horse", "").answer("POST", LOGIN).expect(200);
}

//! A real nginx in front, configured as the documentation says: both ways of a sub-path, and `X-Forwarded-For` as nginx sends it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::harness::client::{Client, Identity, PASSWORD};
use crate::harness::http::{Address, Wire};
use crate::harness::server::Launch;
use crate::harness::{die_with_us, not_installed, wait_until};

const LOGIN: &str = "/api/v1/auth/login";
const SESSION: &str = "/api/v1/auth/session";
const SETUP: &str = "/api/v1/setup";

/// A real nginx in front, with a configuration of the test's own.
struct Nginx {
    child: Child,
    address: Address,
    _directory: tempfile::TempDir,
}

impl Nginx {
    /// `None`, with a line that says so, where there is none.
    fn start(locations: &str) -> Option<Nginx> {
        let Some(program) = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx"]
            .into_iter()
            .map(PathBuf::from)
            .find(|path| path.exists())
        else {
            not_installed("what needs nginx: it is not installed (apt-get install nginx-light)");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let (conf, socket) = (directory.path().join("nginx.conf"), directory.path().join("front.sock"));
        std::fs::write(&conf, configuration(directory.path(), &socket, locations)).unwrap();
        let mut command = Command::new(program);
        command.arg("-p").arg(directory.path()).arg("-c").arg(&conf).arg("-e").arg("stderr").stderr(Stdio::null());
        die_with_us(&mut command);
        let child = command.spawn().unwrap();
        let started = Nginx { child, address: Address::Unix(socket), _directory: directory };
        wait_until("nginx", Duration::from_secs(10), || Wire::try_connect(&started.address).is_ok());
        Some(started)
    }

    fn client(&self) -> Client {
        Client::new(self.address.clone())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// nginx takes the client's address from a header of the test's, as it would from the network.
fn configuration(directory: &Path, socket: &Path, locations: &str) -> String {
    let place = directory.display();
    format!(
        "daemon off; master_process off; pid {place}/pid; events {{}}\n\
         http {{\n access_log off; client_body_temp_path {place}/1; proxy_temp_path {place}/2; fastcgi_temp_path {place}/3;\n \
         uwsgi_temp_path {place}/4; scgi_temp_path {place}/5;\n set_real_ip_from unix:; real_ip_header X-Test-From;\n \
         server {{ listen unix:{};\n {locations}\n }}\n}}\n",
        socket.display()
    )
}

/// What the documentation tells to write.
const HEADERS: &str = "proxy_set_header Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; \
                       proxy_set_header X-Forwarded-Proto https; proxy_set_header Forwarded \"\";";

#[test]
fn a_real_nginx_in_front_by_both_ways_of_a_sub_path() {
    let (server, _) = Launch::without_daemon()
        .args(&["--trusted-proxies", "127.0.0.1", "--base-path", "/bangui"])
        .start()
        .into_ready();
    let Address::Tcp(at) = server.address() else { panic!() };
    let ways = [
        format!("location /bangui/ {{ {HEADERS} proxy_pass http://{at}; }}"),
        format!("location /bangui/ {{ {HEADERS} proxy_pass http://{at}/; }}"),
    ];
    for locations in ways {
        let Some(nginx) = Nginx::start(&locations) else { return };
        let front = nginx.client().with_header("X-Test-From", "203.0.113.20");
        let path = |target: &str| format!("/bangui{target}");
        let answer = front.post(&path(LOGIN), json!({"password": PASSWORD})).expect(200);
        let cookie = answer.header("set-cookie").unwrap();
        assert!(cookie.contains("; Path=/bangui;") && cookie.contains("; Secure"), "{cookie}");
        let identity = Identity::Cookie(answer.session_cookie().unwrap());
        front.with_identity(identity).get(&path(SESSION)).expect(200);
        // A stranger behind nginx is himself, whatever he writes into the headers.
        let setup = json!({"master_password": PASSWORD});
        for (name, value) in
            [("X-Forwarded-For", "127.0.0.1"), ("Forwarded", "for=127.0.0.1"), ("X-Forwarded-For", "\u{e9}")]
        {
            front.with_header(name, value).post(&path(SETUP), setup.clone()).expect(409);
        }
        let log = server.log();
        let by_us: Vec<_> = log.lines().filter(|line| line.contains("POST /api/v1/setup 409")).collect();
        assert!(by_us.len() >= 3 && by_us.iter().all(|line| line.ends_with(" 203.0.113.20")), "{log}");
    }
}

#[test]
fn a_real_nginx_that_nobody_told_of_makes_no_stranger_local() {
    let server = Launch::without_daemon().start();
    let Address::Tcp(at) = server.address() else { panic!() };
    let Some(nginx) = Nginx::start(&format!("location / {{ {HEADERS} proxy_pass http://{at}; }}")) else { return };
    let stranger = nginx.client().with_header("X-Test-From", "203.0.113.20");
    stranger.post(SETUP, json!({"master_password": PASSWORD})).expect_error(403, "setup_local_only");
}

//! Notifications by mail, to a real mail server with STARTTLS and TLS that takes nothing without an account; and the digest of a day.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::real_daemon::RealDaemon;
use crate::harness::receiver::Receiver;
use crate::harness::server::{Launch, Server};
use crate::harness::{die_with_us, not_installed, wait_until};

const CHANNELS: &str = "/api/v1/notifications";
const TEST: &str = "/api/v1/notifications/test";
const SOON: Duration = Duration::from_secs(30);
/// Debian's own, which has the mail server.
const PYTHON: &str = "/usr/bin/python3";
/// What no answer and no log may hold.
const PASSWORD: &str = "open sesame";

fn data(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/data/tls", name].iter().collect()
}

/// A mail server.
struct MailServer {
    child: Child,
    port: u16,
    mails: Arc<Mutex<Vec<Value>>>,
}

impl MailServer {
    fn start(certificate: &str, mode: &str) -> MailServer {
        let mut command = Command::new(PYTHON);
        command.arg(data("mail.py")).arg(data(certificate)).arg(mode).stdout(Stdio::piped()).stderr(Stdio::null());
        die_with_us(&mut command);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().unwrap().unwrap().parse().unwrap();
        let mails = Arc::<Mutex<Vec<Value>>>::default();
        let kept = mails.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                kept.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        MailServer { child, port, mails }
    }

    fn channel(&self, security: &str) -> Value {
        json!({"name": "Mail", "kind": "email", "host": "localhost", "port": self.port, "security": security,
            "username": "box", "password": PASSWORD, "from": "Box <box@example.org>",
            "to": ["anna@example.org", "bert@example.org"], "events": ["login"], "allow_private": true})
    }

    fn mails(&self) -> Vec<Value> {
        self.mails.lock().unwrap().clone()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn mail_goes_over_tls_to_whom_it_is_for_and_its_password_stays_inside() {
    let has = Command::new(PYTHON).args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status();
    if !has.is_ok_and(|status| status.success()) {
        return not_installed("a mail server (python3-aiosmtpd)");
    }
    let (starttls, tls) = (MailServer::start("server.pem", "starttls"), MailServer::start("server.pem", "tls"));
    let plain = MailServer::start("server.pem", "plain");
    let other = MailServer::start("other-name.pem", "starttls");
    let daemon = RealDaemon::configured();
    let authority = data("authority.pem");
    let launch = Launch::for_real(&daemon).env("BANGUI_BLOCKLIST_CA_FILE", authority.to_str().unwrap());
    let (server, admin) = launch.start().into_ready();
    let tested = |body: &Value| {
        let answer = admin.post(TEST, body.clone()).expect(200);
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!text.contains(PASSWORD) && !text.contains("secret words"), "{text}");
        answer.json()["failure"].clone()
    };
    assert_eq!(tested(&starttls.channel("starttls")), Value::Null);
    assert_eq!(tested(&tls.channel("tls")), Value::Null);
    let mail = starttls.mails().remove(0);
    assert_eq!(
        (&mail["from"], &mail["to"]),
        (&json!("box@example.org"), &json!(["anna@example.org", "bert@example.org"]))
    );
    let text = mail["text"].as_str().unwrap();
    assert!(text.contains("Subject: ") && text.contains(": Test\r\n") && text.contains("come through."), "{text}");
    assert_eq!(tls.mails().len(), 1);
    // Nothing is said to a server that is not who it should be, or offers no protection.
    let kind = |body: &Value| tested(body)["kind"].clone();
    assert_eq!(kind(&other.channel("starttls")), "tls");
    assert_eq!(kind(&plain.channel("starttls")), "tls");
    assert_eq!(kind(&plain.channel("tls")), "tls");
    assert!(other.mails().is_empty() && plain.mails().is_empty());
    let with = |name: &str, value: Value| {
        let mut body = starttls.channel("starttls");
        body[name] = value;
        body
    };
    let wrong = tested(&with("password", json!("wrong")));
    assert_eq!((&wrong["kind"], &wrong["status"]), (&json!("authentication"), &json!(535)));
    let refused = tested(&with("to", json!(["nobody@example.org"])));
    assert_eq!((&refused["kind"], &refused["status"]), (&json!("status"), &json!(550)));
    assert_eq!(kind(&with("host", json!("no-such-host.invalid"))), "unresolved");
    assert_eq!(kind(&with("port", json!(1))), "refused");
    let mut public = with("port", json!(587));
    public["allow_private"] = json!(false);
    assert_eq!(kind(&public), "not_public", "only what is looked up tells that this name leads home");

    let made = admin.post(CHANNELS, starttls.channel("starttls")).expect(201).json();
    assert_eq!((&made["has_secret"], &made["password"]), (&json!(true), &Value::Null));
    let own = format!("{CHANNELS}/{}", made["id"]);
    assert_eq!(admin.put(&own, made.clone()).expect(200).json(), made, "what was read changes nothing");
    let _ = server.client().login();
    wait_until("the login is told", SOON, || starttls.mails().len() == 2);
    for (body, field) in [
        (json!({"host": "a/b"}), "host"),
        (json!({"port": 22, "allow_private": false}), "port"),
        (json!({"security": "none"}), "security"),
        (json!({"from": "box@example.org\r\nBcc: x@example.org"}), "from"),
        (json!({"to": []}), "to"),
        (json!({"to": ["anna@example.org", "nobody"]}), "to.1"),
        (json!({"username": "a\nb"}), "username"),
        (json!({"password": "a\r\nb"}), "password"),
        (json!({"url": "https://example.org/"}), "url"),
    ] {
        let errors =
            admin.put(&own, body.clone()).expect_error(422, "invalid_input").json()["metadata"]["errors"].clone();
        assert!(errors.to_string().contains(&format!("\"source_field\":\"{field}\"")), "{body}: {errors}");
    }
    // Another server does not learn the password of this one.
    let moved = admin.put(&own, json!({"port": other.port})).expect(200);
    assert!(moved.header("x-bangui-warning").unwrap().contains("secret was forgotten"));
    assert_eq!(moved.json()["has_secret"], false);
    assert!(!server.log().contains(PASSWORD), "{}", server.log());
}

#[test]
fn a_digest_that_is_due_is_told_once() {
    let receiver = Receiver::start();
    let daemon = RealDaemon::start();
    let (mut server, admin) = Server::ready(&daemon);
    let body = json!({"name": "Hook", "kind": "webhook", "url": receiver.url("/"), "allow_private": true});
    admin.post(CHANNELS, body).expect(201);
    admin.put("/api/v1/settings", json!({"digest_hour": 0})).expect(200);
    for ip in ["203.0.113.1", "203.0.113.2"] {
        admin.post("/api/v1/bans", json!({"ip": ip, "jail": "lab"})).expect(201);
    }
    server.kill();
    let database = rusqlite::Connection::open(server.database()).unwrap();
    let sql = "INSERT INTO settings (key, value) VALUES ('digest_at', ?1) ON CONFLICT (key) DO UPDATE SET value = ?1";
    let yesterday = jiff::Timestamp::now().as_second() - 86_400;
    database.execute(sql, [yesterday.to_string()]).unwrap();
    drop(database);
    server.start_again();
    // It waits for the first look, which is a minute after the start unless somebody asks for one.
    server.client().login().post_empty("/api/v1/protection/check").expect(200);
    wait_until("the digest is told", Duration::from_secs(60), || !receiver.events("digest").is_empty());
    let digest = receiver.events("digest").remove(0);
    let text = digest["text"].as_str().unwrap();
    assert!(text.starts_with("2 addresses were banned since the last one.\nBy jail: lab 2.\n"), "{text}");
    assert!(!text.contains("Not looked yet"), "{text}");
    assert_eq!(receiver.events("digest").len(), 1);
}

//! The second factor: enrolled, asked for, lost, reset. And everything that somebody could try who has the password, a session or a copy of
//! the database, but not the authenticator.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::harness::client::{Client, PASSWORD};
use crate::harness::contract::demand_seen;
use crate::harness::server::{Launch, Server};
use crate::harness::shim::Shim;
use crate::operations::{demand_documented, provoke_general_refusals};

const LOGIN: &str = "/api/v1/auth/login";
const CHALLENGE: &str = "/api/v1/auth/challenge";
const TOTP: &str = "/api/v1/auth/totp";
const ENROL: &str = "/api/v1/auth/totp/enrol";
const CONFIRM: &str = "/api/v1/auth/totp/confirm";
const RENEW: &str = "/api/v1/auth/totp/recovery-codes";
const DISABLE: &str = "/api/v1/auth/totp/disable";

/// An authenticator, written in another language than the program.
struct Authenticator {
    secret: String,
    shim: Shim,
    ahead: i64,
}

impl Authenticator {
    /// The code of a step that no call before has given, at the beginning of it: it cannot be over before it is used.
    fn code(&mut self) -> String {
        self.ahead += 30;
        let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
        self.ahead += 10 - (real + self.ahead).rem_euclid(30);
        self.shim.set_clock_off(self.ahead);
        let program = "import base64, hashlib, hmac, struct, sys\n\
            mac = hmac.new(base64.b32decode(sys.argv[1]), struct.pack('>Q', int(sys.argv[2])), hashlib.sha1).digest()\n\
            at = mac[-1] & 15\n\
            print('%06d' % ((struct.unpack('>I', mac[at:at + 4])[0] & 0x7fffffff) % 1000000))";
        let step = ((real + self.ahead) / 30).to_string();
        let output = Command::new("python3").args(["-c", program, &self.secret, &step]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

/// A server whose owner has a second factor, the owner's session, the authenticator and the recovery codes.
fn enrolled() -> (Server, Client, Authenticator, Vec<String>) {
    enrolled_on(Launch::without_daemon())
}

fn enrolled_on(launch: Launch) -> (Server, Client, Authenticator, Vec<String>) {
    let shim = Shim::new();
    let (server, admin) = shim.launch(launch).start().into_ready();
    let secret = admin.post_empty(ENROL).expect(201).json()["secret"].as_str().unwrap().to_owned();
    let mut app = Authenticator { secret, shim, ahead: 0 };
    let confirmed = admin.post(CONFIRM, json!({"code": app.code()})).expect(200).json();
    let codes: Vec<String> =
        confirmed["recovery_codes"].as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned()).collect();
    (server, admin, app, codes)
}

/// The first step of a login; gives the challenge.
fn challenge(client: &Client) -> Value {
    client.post(LOGIN, json!({"password": PASSWORD})).expect_error(401, "mfa_required").json()["metadata"]["challenge"]
        .clone()
}

fn answer(client: &Client, challenge: &Value, code: &str) -> u16 {
    client.post(CHALLENGE, json!({"challenge": challenge, "code": code})).status
}

#[test]
fn every_documented_status_of_the_second_factor() {
    let shim = Shim::new();
    let (server, admin) = shim.launch(Launch::without_daemon()).start().into_ready();
    admin.post(CONFIRM, json!({"code": "000000"})).expect_error(409, "totp_not_enabled");
    admin.post(RENEW, json!({"code": "000000"})).expect_error(409, "totp_not_enabled");
    admin.post(DISABLE, json!({"password": PASSWORD, "code": "000000"})).expect_error(409, "totp_not_enabled");
    admin.post(ENROL, json!({"password": 1})).expect_error(422, "invalid_input");
    let first = admin.post_empty(ENROL).expect(201).json();
    let made = admin.post_empty(ENROL).expect(201).json();
    assert_ne!(first["secret"], made["secret"], "begun anew");
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert!(made["otpauth_uri"].as_str().unwrap().contains(&format!(":admin?secret={secret}&issuer=bangui")), "{made}");
    assert_eq!(admin.get(TOTP).expect(200).json(), json!({"enabled": false, "recovery_codes_left": 0}));
    server.client().login();
    let mut app = Authenticator { secret, shim, ahead: 0 };
    admin.post(CONFIRM, json!({"code": "12345"})).expect_error(401, "authentication_required");
    admin.post(CONFIRM, json!({})).expect_error(422, "invalid_input");
    for _ in 1..10 {
        admin.post(CONFIRM, json!({"code": "not it"})).expect_error(401, "authentication_required");
    }
    admin.post(CONFIRM, json!({"code": app.code()})).expect_error(429, "rate_limit_exceeded");
    app.ahead += 301;
    let codes = admin.post(CONFIRM, json!({"code": app.code()})).expect(200).json();
    assert_eq!(admin.get(TOTP).expect(200).json(), json!({"enabled": true, "recovery_codes_left": 10}));
    assert_eq!(admin.get("/api/v1/meta").expect(200).json()["mfa_enabled"], true);
    admin.post_empty(ENROL).expect_error(409, "totp_already_enabled");
    admin.post(CONFIRM, json!({"code": app.code()})).expect_error(409, "totp_already_enabled");
    let wish = json!({"password": PASSWORD, "return_token": true, "remember": true});
    let asked = server.client().post(LOGIN, wish).expect_error(401, "mfa_required").json();
    assert_eq!(asked["metadata"]["methods"], json!(["totp", "recovery_code"]));
    assert_eq!(asked["metadata"]["expires_in"], 300);
    server
        .client()
        .post(CHALLENGE, json!({"challenge": asked["metadata"]["challenge"]}))
        .expect_error(422, "invalid_input");
    server.client().send("POST", CHALLENGE, Some(b"{")).expect_error(400, "invalid_input");
    let body = json!({"challenge": asked["metadata"]["challenge"], "code": app.code()});
    let done = server.client().post(CHALLENGE, body.clone()).expect(200).json();
    assert!(done["token"].is_string(), "what was wished for is remembered: {done}");
    server.client().post(CHALLENGE, body).expect_error(401, "authentication_required");
    let former = codes["recovery_codes"][0].as_str().unwrap();
    let renewed = admin.post(RENEW, json!({"code": app.code(), "password": PASSWORD})).expect(200).json();
    admin.post(DISABLE, json!({"password": PASSWORD, "code": former})).expect_error(401, "authentication_required");
    admin.post(DISABLE, json!({"password": "wrong", "code": app.code()})).expect_error(401, "authentication_required");
    let fresh = renewed["recovery_codes"][9].as_str().unwrap().to_lowercase();
    admin.post(DISABLE, json!({"password": PASSWORD, "code": fresh})).expect(204);
    server.client().login();
    assert_eq!(admin.get(TOTP).expect(200).json(), json!({"enabled": false, "recovery_codes_left": 0}));
    for path in [TOTP, ENROL, CONFIRM, RENEW, DISABLE] {
        provoke_general_refusals(path);
    }
    for path in [ENROL, CONFIRM, RENEW, DISABLE] {
        admin.send("POST", path, Some(b"{")).expect_error(400, "invalid_input");
    }
    for path in [RENEW, DISABLE] {
        admin.post(path, json!({"code": 1})).expect_error(422, "invalid_input");
    }
    // A budget of wrong codes is one for all of them.
    let secret =
        admin.post(ENROL, json!({"password": PASSWORD})).expect(201).json()["secret"].as_str().unwrap().to_owned();
    app.secret = secret;
    admin.post(CONFIRM, json!({"code": app.code()})).expect(200);
    let open = challenge(&server.client());
    for _ in 0..10 {
        admin.post(RENEW, json!({"code": "x", "password": PASSWORD})).expect_error(401, "authentication_required");
    }
    let code = app.code();
    admin.post(RENEW, json!({"code": code, "password": PASSWORD})).expect_error(429, "rate_limit_exceeded");
    admin.post(DISABLE, json!({"code": code, "password": PASSWORD})).expect_error(429, "rate_limit_exceeded");
    assert_eq!(answer(&server.client(), &open, &code), 429);
    for path in [TOTP, ENROL, CONFIRM, RENEW, DISABLE] {
        demand_documented(path);
    }
    demand_seen("POST /api/v1/auth/challenge", &[200, 400, 401, 422, 429]);
}

#[test]
fn eleven_wrong_codes_are_too_many_over_two_restarts() {
    let (mut server, _admin, mut app, codes) = enrolled();
    for tried in 0..10 {
        if tried == 4 || tried == 8 {
            server.kill();
            server.start_again();
        }
        let open = challenge(&server.client());
        assert_eq!(answer(&server.client(), &open, "not it"), 401, "{tried}");
    }
    let open = challenge(&server.client());
    for code in [app.code(), codes[0].clone(), "000000".to_owned()] {
        let refused = server.client().post(CHALLENGE, json!({"challenge": open, "code": code}));
        let refused = refused.expect_error(429, "rate_limit_exceeded").json();
        assert!(refused["metadata"]["retry_after_seconds"].as_i64().unwrap() > 200, "{refused}");
    }
    assert!(server.log().contains("failed to log in: wrong code"), "{}", server.log());
    app.ahead += 301;
    let code = app.code();
    let open = challenge(&server.client());
    assert_eq!(answer(&server.client(), &open, &code), 200);
}

#[test]
fn one_code_is_good_for_one_login() {
    let (server, _admin, mut app, codes) = enrolled();
    let try_at_once = |code: &str| {
        let open: Vec<Value> = (0..4).map(|_| challenge(&server.client())).collect();
        let statuses: Vec<u16> = thread::scope(|scope| {
            let each: Vec<_> = open.iter().map(|open| scope.spawn(|| answer(&server.client(), open, code))).collect();
            each.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 3, "{statuses:?}");
        // A right one has forgiven those before it, not those behind it.
        let open = challenge(&server.client());
        assert_eq!(answer(&server.client(), &open, code), 401);
    };
    try_at_once(&app.code());
    try_at_once(&codes[3]);
    app.ahead += 301;
    // A step before the last one that was used is over, though clocks may differ that much.
    let earlier = app.code();
    let later = app.code();
    let (one, other) = (challenge(&server.client()), challenge(&server.client()));
    assert_eq!(answer(&server.client(), &one, &later), 200);
    assert_eq!(answer(&server.client(), &other, &earlier), 401);
}

#[test]
fn a_login_that_was_begun_ends_with_its_time_its_password_and_its_client() {
    let (server, admin, mut app, _) = enrolled_on(Launch::without_daemon().env("BANGUI_TRUSTED_PROXIES", "127.0.0.1"));
    let forwarded = |address: &str| server.client().with_header("X-Forwarded-For", address);
    let open = challenge(&forwarded("203.0.113.5"));
    let code = app.code();
    assert_eq!(answer(&forwarded("203.0.113.6"), &open, &code), 401, "begun elsewhere");
    assert_eq!(answer(&forwarded("203.0.113.5"), &open, &code), 200);
    let late = challenge(&server.client());
    app.ahead += 300;
    let code = app.code();
    assert_eq!(answer(&server.client(), &late, &code), 401, "five minutes are over");
    let open = challenge(&server.client());
    let change = json!({"current_password": PASSWORD, "new_password": "correct horse battery"});
    admin.put("/api/v1/auth/password", change).expect(204);
    assert_eq!(answer(&server.client(), &open, &code), 401, "begun with the former password");
    assert_eq!(answer(&server.client(), &json!("x"), &code), 401);
}

#[test]
fn a_stolen_session_enrols_no_second_factor_and_ends_none() {
    let shim = Shim::new();
    let (_server, admin) = shim.launch(Launch::without_daemon()).start().into_ready();
    let mut app = Authenticator { secret: String::new(), shim, ahead: 601 };
    app.shim.set_clock_off(app.ahead);
    admin.post_empty(ENROL).expect_error(403, "reauthentication_required");
    admin.post(ENROL, json!({"password": "wrong"})).expect_error(401, "authentication_required");
    app.secret =
        admin.post(ENROL, json!({"password": PASSWORD})).expect(201).json()["secret"].as_str().unwrap().to_owned();
    admin.post(CONFIRM, json!({"code": app.code()})).expect(200);
    admin.post(RENEW, json!({"code": app.code()})).expect_error(403, "reauthentication_required");
    admin.post(DISABLE, json!({"code": app.code()})).expect_error(422, "invalid_input");
}

#[test]
fn who_lost_the_authenticator_comes_back_by_the_console_and_a_copied_database_opens_nothing() {
    let (mut server, admin, mut app, codes) = enrolled();
    let key = server.database().with_extension("db.key");
    let secret = app.secret.clone();
    for file in fs::read_dir(server.database().parent().unwrap()).unwrap() {
        let file = file.unwrap().path();
        let bytes = fs::read(&file).unwrap_or_default();
        for word in std::iter::once(&secret).chain(&codes) {
            let plain = word.replace('-', "");
            assert!(!bytes.windows(plain.len()).any(|part| part == plain.as_bytes()), "{}", file.display());
        }
    }
    assert!(!server.log().contains(&secret), "a secret is in the log");
    fs::rename(&key, key.with_extension("away")).unwrap();
    let open = challenge(&server.client());
    server
        .client()
        .post(CHALLENGE, json!({"challenge": open, "code": app.code()}))
        .expect_error(503, "storage_unavailable");
    assert_eq!(answer(&server.client(), &open, &codes[0]), 200, "a recovery code needs no key");
    let reset = |name: &str, server: &Server| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bangui"));
        command.args(["totp", "reset", name, "--database"]).arg(server.database());
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    assert!(!reset("nobody", &server).0);
    let (is_done, said) = reset("admin", &server);
    assert!(is_done && said.contains("by the password alone"), "{said}");
    server.client().login();
    app.secret =
        admin.post(ENROL, json!({"password": PASSWORD})).expect(201).json()["secret"].as_str().unwrap().to_owned();
    admin.post(CONFIRM, json!({"code": app.code()})).expect(200);
    challenge(&server.client());
    server.kill();
    assert!(!reset("nobody", &server).0);
    assert!(reset("admin", &server).0);
    assert!(reset("admin", &server).1.contains("has no second factor"));
    server.start_again();
    server.client().login();
}

//! Every error a client can see, in the words it sees: held against `tests/data/errors.txt`, so that a change of wording is looked at.
//! `BANGUI_REWRITE=1 cargo test --lib app::error` writes that file anew.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::apply::{ApplyError, Problem as Wrong};
use crate::conf;
use crate::fail2ban::reload::ReloadError;
use crate::jobs::refusal::TooSlow;

fn of_a_failure(error: impl Into<Failure>) -> ApiError {
    ApiError::from(error.into())
}

fn text() -> String {
    "why".to_owned()
}

fn jails() -> Vec<String> {
    vec!["sshd".to_owned(), "nginx".to_owned()]
}

fn wrong() -> Wrong {
    Wrong { jail: Some("sshd".into()), file: Some("/etc/fail2ban/jail.local".into()), line: Some(7), reason: text() }
}

fn of_configuration() -> Vec<conf::Error> {
    let io = |kind| conf::Error::Io {
        action: "read",
        path: "/etc/fail2ban/jail.conf".into(),
        source: std::io::Error::from_raw_os_error(kind),
    };
    vec![
        io(libc::ENOENT),
        io(libc::EACCES),
        io(libc::ENOSPC),
        io(libc::EISDIR),
        io(libc::EIO),
        conf::Error::Syntax { file: "/etc/fail2ban/jail.local".into(), line: 7, message: text() },
        conf::Error::Interpolation {
            place: "/etc/fail2ban/jail.local:7".into(),
            section: "sshd".into(),
            option: "port".into(),
            message: text(),
        },
        conf::Error::Definition { jail: Some("sshd".into()), subject: "filter 'none'".into(), message: text() },
        conf::Error::Missing { kind: "jail", name: "none".into() },
        conf::Error::Missing { kind: "filter", name: "none".into() },
        conf::Error::Missing { kind: "action", name: "none".into() },
        conf::Error::Missing { kind: "file", name: "none".into() },
        conf::Error::Limit { message: text() },
        conf::Error::Refused { message: text() },
    ]
}

fn of_fail2ban() -> Vec<fail2ban::Error> {
    use fail2ban::Error::*;
    let unreachable = |reason| Unreachable { path: "/run/fail2ban.sock".into(), reason, why: text() };
    vec![
        unreachable(Reason::Absent),
        unreachable(Reason::Refused),
        unreachable(Reason::NotPermitted),
        unreachable(Reason::Timeout),
        Busy { waited: Duration::from_secs(2) },
        Untrusted { path: "/run/fail2ban.sock".into(), uid: 1000 },
        Protocol(text()),
        Unsendable(text()),
        UnknownJail("none".into()),
        NameTaken("loglevel".into()),
        Refused { class: "ValueError".into(), message: text() },
        ShuttingDown,
    ]
}

fn of_applies() -> Vec<ApplyError> {
    let problem = Wrong { jail: None, ..wrong() };
    vec![
        ApplyError::Invalid(wrong()),
        ApplyError::WasInvalid(wrong()),
        ApplyError::WasInvalid(problem),
        ApplyError::Changed("jail.d/zz-bangui-sshd.local".into()),
        ApplyError::InProgress,
        ApplyError::Interrupted,
        ApplyError::Journal(text()),
        ApplyError::HalfUndone { why: text(), undo: "what".into() },
        ApplyError::Reload(ReloadError::NoClient),
        ApplyError::Reload(ReloadError::OtherVersion { client: "1.0.2".into(), daemon: "1.1.0".into() }),
        ApplyError::Reload(ReloadError::Refused(text())),
        ApplyError::Reload(ReloadError::WouldLose { jails: jails(), why: text() }),
        ApplyError::Reload(ReloadError::NotEnabled("sshd".into())),
        ApplyError::Reload(ReloadError::Lost { jails: jails(), missing: Vec::new(), why: text() }),
        ApplyError::Reload(ReloadError::Lost { jails: jails(), missing: jails(), why: text() }),
        ApplyError::Reload(ReloadError::Differs {
            jail: "sshd".into(),
            what: "has maxretry = 3, the files say 4".into(),
        }),
    ]
}

fn of_refusals() -> Vec<Refusal> {
    let slow = TooSlow {
        field: "failregex.0".into(),
        expression: "^(a|a)*b <HOST>".into(),
        construct: "(a|a)*".into(),
        position: 1,
        line: "aaaa".into(),
        seconds: 2.0,
        detail: "One sentence.".into(),
    };
    vec![
        Refusal::NoFilter("none".into()),
        Refusal::NoAction("none".into()),
        Refusal::Configuration(text()),
        Refusal::Expression { field: "fail_regex".into(), detail: text() },
        Refusal::TooSlow(Box::new(slow)),
        Refusal::Expressions(vec![("failregex.0".into(), text()), ("failregex.2".into(), text())]),
        Refusal::Log("The log file cannot be read.".into()),
        Refusal::Exists("lab".into()),
        Refusal::Shipped("sshd".into()),
        Refusal::Used("lab".into(), jails()),
    ]
}

fn of_failures() -> Vec<Failure> {
    let refused = || fail2ban::Error::Refused { class: "ValueError".into(), message: text() };
    vec![
        Failure::Conflict(text()),
        Failure::TimedOut,
        Failure::Crashed,
        Failure::NoMemory(text()),
        Failure::CommandFailed(text()),
        Failure::NotBack(text()),
        Failure::Upstream(text()),
        Failure::OddFile(Trouble::of("open", "/etc/fail2ban/x.local", &std::io::Error::from_raw_os_error(libc::ELOOP))),
        Failure::NoFile(text()),
        Failure::BadValue { field: "max_retry".into(), detail: text() },
        Failure::Expressions(vec![("fail_regex.1".into(), text())]),
        Failure::Forbidden(text()),
        Failure::NotSet { field: "max_retry".into(), error: refused(), left: Vec::new() },
        Failure::NotSet { field: "max_retry".into(), error: refused(), left: vec!["find_time".into()] },
    ]
}

fn of_requests() -> Vec<ApiError> {
    let problems = [
        Problem::Head(BadHead::Malformed("The request line is malformed.")),
        Problem::Head(BadHead::TooLarge),
        Problem::Head(BadHead::Expectation),
        Problem::Body(BadBody::TooLarge),
        Problem::Body(BadBody::Malformed),
        Problem::NoRoom,
        Problem::Late,
    ];
    let mut all: Vec<ApiError> = problems.into_iter().map(ApiError::from).collect();
    all.extend([NameError::Length, NameError::Character, NameError::Control, NameError::Reserved].map(ApiError::from));
    all.extend([AddressError::NotAnAddress, AddressError::BadPrefix, AddressError::Everything].map(ApiError::from));
    all.push(ApiError::authentication_required());
    all.push(ApiError::rate_limited(90, "Too many failed logins.").with("limit", "login"));
    all.push(ApiError::internal("cause").of_request("8f2c41"));
    all.push(ApiError::away(None));
    all
}

fn of_others() -> Vec<ApiError> {
    let path = || PathBuf::from("/var/lib/fail2ban/fail2ban.sqlite3");
    let databases = [
        DatabaseError::NotKept,
        DatabaseError::Absent(path()),
        DatabaseError::Unreadable(path(), text()),
        DatabaseError::Locked,
        DatabaseError::Damaged(path(), text()),
    ];
    let fetches = [
        FetchError::BadUrl("it is not a URL".into()),
        FetchError::NotPublic { host: "lab".into(), address: [10, 0, 0, 1].into() },
        FetchError::Unreachable(text()),
        FetchError::Untrusted(text()),
        FetchError::Status { status: 404, retry_after: None },
        FetchError::Status { status: 500, retry_after: None },
        FetchError::TooLarge(1 << 20),
        FetchError::TooSlow,
        FetchError::TooManyRedirects,
    ];
    let mut all: Vec<ApiError> = databases.into_iter().map(ApiError::from).collect();
    all.extend(fetches.into_iter().map(ApiError::from));
    all.push(store::Error::Locked(path()).into());
    all
}

#[test]
fn every_error_reads_as_it_was_reviewed() {
    let groups: [(&str, Vec<ApiError>); 7] = [
        ("requests", of_requests()),
        ("fail2ban", of_fail2ban().into_iter().map(ApiError::from).collect()),
        ("the configuration", of_configuration().into_iter().map(of_a_failure).collect()),
        ("applies", of_applies().into_iter().map(of_a_failure).collect()),
        ("filters and actions", of_refusals().into_iter().map(ApiError::from).collect()),
        ("work in children", of_failures().into_iter().map(ApiError::from).collect()),
        ("databases and downloads", of_others()),
    ];
    let mut found = String::new();
    for (name, errors) in groups {
        writeln!(found, "# {name}").unwrap();
        for error in errors {
            let metadata = Value::from(error.metadata);
            writeln!(found, "{} {}: {}\n    {metadata}", error.status, error.code, error.detail).unwrap();
        }
    }
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/errors.txt");
    if std::env::var_os("BANGUI_REWRITE").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let reviewed = std::fs::read_to_string(&path).unwrap_or_default();
    let (old, new): (Vec<&str>, Vec<&str>) = (reviewed.lines().collect(), found.lines().collect());
    let gone = old.iter().filter(|line| !new.contains(line));
    let came = new.iter().filter(|line| !old.contains(line));
    let differs: Vec<String> =
        gone.map(|line| format!("- {line}")).chain(came.map(|line| format!("+ {line}"))).collect();
    assert!(
        old == new,
        "look at the words, then: BANGUI_REWRITE=1 cargo test --lib app::error\n{}",
        differs.join("\n")
    );
}

#[test]
fn an_error_of_the_configuration_is_the_same_whichever_way_it_comes() {
    let seen = |error: ApiError| (error.code, error.detail, error.metadata);
    for (by_a_job, by_an_apply) in of_configuration().into_iter().zip(of_configuration()) {
        let by_an_apply = Failure::from(ApplyError::Files(by_an_apply));
        assert_eq!(seen(Failure::from(by_a_job).into()), seen(by_an_apply.into()));
    }
}

#[test]
fn no_error_speaks_of_types_or_lacks_its_full_stop() {
    let all = of_requests().into_iter().chain(of_others()).chain(of_configuration().into_iter().map(of_a_failure));
    for error in all.chain(of_applies().into_iter().map(of_a_failure)) {
        assert!(error.detail.ends_with('.'), "{}", error.detail);
        for word in ["f64", "u32", "usize", "untagged", "variant", "struct ", "Option"] {
            assert!(!error.detail.contains(word), "{}", error.detail);
        }
    }
}

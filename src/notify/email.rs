//! A message as mail: over a connection that is protected before anything is said, to the very address that was checked.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use lettre::address::Envelope;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, CertificateStore, SmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;

use super::delivery::Delivery;
use super::failure::{Failure, Kind};
use crate::domain::notification::{Mail, Security};
use crate::fetch::{self, FetchError};

/// How long a connection, and each answer of the server, may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// Ports of public mail servers: another one needs consent.
pub const PORTS: [u16; 4] = [25, 465, 587, 2525];
/// The ways to say who one is: over TLS, a password goes as it is.
const MECHANISMS: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];

/// Sends a message.
pub fn send(delivery: &Delivery, mail: &Mail, own: &[IpAddr]) -> Result<(), Failure> {
    let letter = letter(delivery, mail)?;
    let tls = tls(mail, delivery.authorities.as_deref())?;
    let hello = ClientId::Domain(if delivery.host.is_empty() { "localhost".to_owned() } else { delivery.host.clone() });
    let implicit = (mail.security == Security::Tls).then_some(&tls);
    let failed = |error: Error| failure(&error, mail);
    let mut last = None;
    let mut found = None;
    for place in places(delivery, mail, own)? {
        match SmtpConnection::connect(place, Some(PATIENCE), &hello, implicit, None) {
            Ok(connection) => {
                found = Some(connection);
                break;
            }
            Err(error) => last = Some(error),
        }
    }
    let Some(mut connection) = found else {
        return Err(last.map_or_else(|| unresolved(mail), |error| failure(&error, mail)));
    };
    if mail.security == Security::Starttls {
        if !connection.can_starttls() {
            connection.abort();
            let detail = format!("{} offers no STARTTLS on port {}; nothing was sent.", mail.host, mail.port);
            return Err(Failure::new(Kind::Tls, detail));
        }
        connection.starttls(&tls, &hello).map_err(failed)?;
    }
    if !mail.username.is_empty() {
        let credentials = Credentials::new(mail.username.clone(), mail.password.clone().unwrap_or_default());
        connection.auth(&MECHANISMS, &credentials).map_err(|error| match code(&error) {
            Some(status) if status != 421 => Failure {
                kind: Kind::Authentication,
                status: Some(status),
                detail: format!("{} does not take the account and its password ({status}).", mail.host),
                wait: None,
            },
            _ => failure(&error, mail),
        })?;
    }
    connection.send(&letter.0, &letter.1).map_err(failed)?;
    // It is sent, however the server takes the farewell.
    let _ = connection.quit();
    Ok(())
}

/// Where the server is. Each of its addresses is checked, and one of those that are returned is connected to.
fn places(delivery: &Delivery, mail: &Mail, own: &[IpAddr]) -> Result<Vec<SocketAddr>, Failure> {
    let found = (mail.host.as_str(), mail.port).to_socket_addrs().map_err(|_| unresolved(mail))?;
    let found: Vec<SocketAddr> = found.collect();
    let allow_private = delivery.allows_private();
    for place in &found {
        fetch::check_address(&mail.host, place.ip(), allow_private, own)
            .map_err(|error| Failure::of(&error, &mail.host))?;
    }
    Ok(found)
}

fn unresolved(mail: &Mail) -> Failure {
    Failure::of(&FetchError::Unresolved, &mail.host)
}

fn tls(mail: &Mail, authorities: Option<&Path>) -> Result<TlsParameters, Failure> {
    let unusable = |why: String| Failure::new(Kind::Tls, why);
    fetch::use_own_cryptography();
    let mut builder = TlsParameters::builder(mail.host.clone());
    if let Some(file) = authorities {
        let pem = crate::files::read(file, 16 << 20).map_err(|error| {
            unusable(format!("The authorities of BANGUI_BLOCKLIST_CA_FILE cannot be read: {error}."))
        })?;
        let own = Certificate::from_pem(&pem)
            .map_err(|_| unusable("BANGUI_BLOCKLIST_CA_FILE holds no certificates in PEM form.".to_owned()))?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(own);
    }
    builder.build().map_err(|_| unusable(format!("{} is no name that a certificate can be for.", mail.host)))
}

/// The envelope and the text of the letter.
fn letter(delivery: &Delivery, mail: &Mail) -> Result<(Envelope, Vec<u8>), Failure> {
    let bad = |what: &str| Failure::new(Kind::BadTarget, format!("{what} is no address that mail can be sent to."));
    let from: Mailbox = mail.from.parse().map_err(|_| bad("The sender"))?;
    let mut builder = MessageBuilder::new()
        .from(from)
        .subject(delivery.title())
        .message_id(Some(format!(
            "<{}@{}>",
            delivery.id,
            if delivery.host.is_empty() { "bangui" } else { &delivery.host }
        )))
        .header(ContentType::TEXT_PLAIN);
    for to in &mail.to {
        builder = builder.to(to.parse::<Mailbox>().map_err(|_| bad("A receiver"))?);
    }
    let text = format!("{}\n\n-- \nbangui on {}\n", delivery.message.text(), delivery.host);
    let letter = builder.body(text).map_err(|_| bad("A receiver"))?;
    Ok((letter.envelope().clone(), letter.formatted()))
}

/// Whether a text is the address of somebody, with or without a name.
pub fn is_mailbox(text: &str) -> bool {
    text.len() <= 320 && text.is_ascii() && !text.chars().any(char::is_control) && text.parse::<Mailbox>().is_ok()
}

/// Whether a text can be an account's name or password.
pub fn is_credential(text: &str) -> bool {
    text.len() <= 500 && !text.chars().any(char::is_control)
}

fn code(error: &Error) -> Option<u16> {
    error.status().map(u16::from)
}

fn failure(error: &Error, mail: &Mail) -> Failure {
    let host = &mail.host;
    if let Some(status) = code(error) {
        let detail = format!("{host} does not take the message ({status}).");
        return Failure { kind: Kind::Status, status: Some(status), detail, wait: None };
    }
    let io_kind = std::iter::successors(std::error::Error::source(error), |error| error.source())
        .find_map(|error| error.downcast_ref::<io::Error>());
    let text = io_kind.map(ToString::to_string).unwrap_or_default();
    if let Some(distrusted) = fetch::distrust(&text).or_else(|| fetch::distrust(&format!("{error:?}"))) {
        return Failure::of(&distrusted, host);
    }
    match io_kind.map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => Failure::new(
            Kind::Refused,
            format!("{host} refuses the connection: nothing listens on port {}.", mail.port),
        ),
        Some(io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => Failure::of(&FetchError::TooSlow, host),
        _ if error.is_tls() || text.contains("InvalidMessage") || text.contains("corrupt message") => Failure::new(
            Kind::Tls,
            format!("{host} does not speak TLS as expected on port {}; is it STARTTLS there, or TLS?", mail.port),
        ),
        _ => Failure::of(&FetchError::Unreachable(text), host),
    }
}

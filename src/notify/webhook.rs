//! A message as a webhook: the form of each preset, and the request that carries it.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::delivery::Delivery;
use super::failure::{Failure, Kind};
use super::hmac;
use crate::domain::notification::{Preset, Webhook};
use crate::fetch::{self, FetchError, Rules};

/// How long all of it may take.
const TIME: Duration = Duration::from_secs(20);
/// What is read of an answer, in bytes: nothing of it is looked at.
const BYTES: u64 = 1024;
/// The longest text that Discord takes, in characters; Telegram takes 4096.
const LONGEST_CHAT: usize = 2000;

/// What is sent.
struct Form {
    body: Vec<u8>,
    headers: Vec<(&'static str, String)>,
}

/// Sends a message.
pub fn send(delivery: &Delivery, hook: &Webhook, own: Vec<IpAddr>) -> Result<(), Failure> {
    let allow_private = delivery.allows_private();
    let authorities = delivery.authorities.clone();
    let rules = Rules { allow_private, own, bytes: BYTES, time: TIME, authorities };
    let uri = fetch::check_url(&hook.url, allow_private).map_err(|error| Failure::of(&error, "it"))?;
    let host = uri.host().unwrap_or("it");
    let form = form(delivery, hook);
    let failed = |error: FetchError| Failure::of(&error, host);
    let reply = fetch::send(&hook.url, &form.body, &form.headers, &rules).map_err(failed)?;
    match reply.status {
        200..300 => Ok(()),
        status => Err(Failure::of_status(status, reply.number("retry-after"), host)),
    }
}

fn form(delivery: &Delivery, hook: &Webhook) -> Form {
    let (title, text) = (delivery.title(), delivery.message.text());
    let is_alarm = delivery.message.event.is_alarm();
    let token = hook.token.clone();
    let mut headers = vec![("content-type", "application/json".to_owned()), ("x-bangui-delivery", delivery.id.clone())];
    let body = match hook.preset {
        Preset::Json => delivery.message.json(&delivery.host, &title, &delivery.id),
        Preset::Ntfy => {
            headers[0].1 = "text/plain; charset=utf-8".to_owned();
            headers.push(("title", ascii(&title)));
            headers.push(("priority", if is_alarm { "4" } else { "3" }.to_owned()));
            Value::Null
        }
        Preset::Gotify => json!({ "title": title, "message": text, "priority": if is_alarm { 8 } else { 4 } }),
        Preset::Telegram => json!({ "chat_id": hook.chat_id, "text": chat(&title, &text) }),
        Preset::Discord => json!({ "content": chat(&title, &text), "allowed_mentions": { "parse": [] } }),
        Preset::Slack => json!({ "text": slack(&chat(&title, &text)) }),
    };
    match (hook.preset, token) {
        (Preset::Gotify, Some(token)) => headers.push(("x-gotify-key", token)),
        (_, Some(token)) => headers.push(("authorization", format!("Bearer {token}"))),
        (_, None) => {}
    }
    let body = if hook.preset == Preset::Ntfy { text } else { body.to_string() }.into_bytes();
    if let Some(secret) = &hook.secret {
        headers.push(("x-bangui-signature", format!("sha256={}", hmac::hex(secret.as_bytes(), &body))));
    }
    Form { body, headers }
}

/// For a chat: the title as its first line.
fn chat(title: &str, text: &str) -> String {
    format!("{title}\n{text}").chars().take(LONGEST_CHAT).collect()
}

/// What Slack would take for a command is none.
fn slack(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// As the value of a header: what is no ASCII is left out, and so is whatever would end it.
fn ascii(text: &str) -> String {
    text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).collect()
}

/// Whether a text can be a token in a header.
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What is wrong with a URL, in words that name what allows it.
pub fn check(url: &str, allow_private: bool) -> Result<(), Failure> {
    match fetch::check_url(url, allow_private) {
        Ok(_) => Ok(()),
        // It would do with the consent for private addresses, so that is what is missing.
        Err(FetchError::BadUrl(_)) if !allow_private && fetch::check_url(url, true).is_ok() => Err(Failure::new(
            Kind::BadTarget,
            "The port is not the default one of http or https; allow_private allows any for this channel.",
        )),
        Err(error) => {
            let host = url.split("://").nth(1).and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or("it");
            Err(Failure::of(&error, host))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::notification::{Ban, Channel, Message, Target};

    fn delivery(preset: Preset, jail: &str) -> (Delivery, Webhook) {
        let hook = Webhook {
            preset,
            url: "https://example.org/secret-path".into(),
            chat_id: "42".into(),
            secret: Some("key".into()),
            token: Some("tok".into()),
        };
        let channel = Channel {
            id: 1,
            name: "n".into(),
            enabled: true,
            target: Target::Webhook(hook.clone()),
            allow_private: false,
            events: vec![],
            jails: vec![],
            countries: vec![],
            created_at: 0,
            updated_at: 0,
        };
        let ban = Ban { jail: jail.into(), ip: "192.0.2.1".into(), country: "DE".parse().ok(), at: 1 };
        let message = Message::of_ban(&ban);
        let delivery =
            Delivery { channel, message, id: "d1".into(), host: "box".into(), allow_private: false, authorities: None };
        (delivery, hook)
    }

    fn headers(form: &Form) -> String {
        form.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
    }

    #[test]
    fn each_preset_has_its_form() {
        let said = "192.0.2.1 (DE) was banned in sshd.";
        for (_, preset) in Preset::ALL {
            let (delivery, hook) = delivery(preset, "sshd");
            let form = form(&delivery, &hook);
            let body = String::from_utf8(form.body.clone()).unwrap();
            assert!(body.contains(said), "{body}");
            assert!(headers(&form).contains(&format!("sha256={}", hmac::hex(b"key", &form.body))));
            let json: Value = serde_json::from_str(&body).unwrap_or_default();
            match preset {
                Preset::Json => {
                    assert_eq!(
                        (&json["event"], &json["host"], &json["count"]),
                        (&json!("ban"), &json!("box"), &json!(1))
                    );
                }
                Preset::Ntfy => assert!(headers(&form).contains("title: box: 192.0.2.1 banned in sshd\n")),
                Preset::Gotify => assert!(headers(&form).contains("x-gotify-key: tok\n")),
                Preset::Telegram => assert_eq!(json["chat_id"], "42"),
                Preset::Discord => assert_eq!(json["allowed_mentions"]["parse"], json!([])),
                Preset::Slack => assert!(json["text"].as_str().unwrap().starts_with("box: 192.0.2.1 banned")),
            }
        }
    }

    #[test]
    fn a_name_of_somebody_else_is_no_header_and_no_command() {
        let (delivery, hook) = delivery(Preset::Ntfy, "a\r\nX-Evil: 1 ü");
        let form = form(&delivery, &hook);
        assert!(
            form.headers.iter().all(|(_, value)| value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()))
        );
        assert_eq!(slack("<!channel> & co"), "&lt;!channel&gt; &amp; co");
        assert!(is_token("abc") && !is_token("a b") && !is_token("") && !is_token("a\n"));
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_without_its_token() {
        let said = |url: &str, private| check(url, private).err().map(|failure| failure.detail);
        assert_eq!(said("https://example.org/x", false), None);
        assert_eq!(said("http://127.0.0.1:9/x", true), None);
        assert!(said("http://127.0.0.1/token", false).unwrap().contains("allow_private"));
        assert!(said("http://example.org:8080/token", false).unwrap().contains("allow_private"));
        for url in ["http://127.0.0.1/token", "ftp://example.org/token", "http://a:token@example.org/"] {
            assert!(!said(url, false).unwrap().contains("token"), "{url}");
        }
    }
}

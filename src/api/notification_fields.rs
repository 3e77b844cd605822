//! The fields of a channel of notifications in a body: read, checked, and joined with what there is already.

use serde_json::Value;

use crate::app::ApiError;
use crate::app::input::Fields;
use crate::domain::names::Running;
use crate::domain::notification::{Channel, Event, Mail, Preset, Security, Target, Webhook};
use crate::domain::secrets::MASK;
use crate::domain::time;
use crate::jobs::Failure;
use crate::notify::{email, webhook};

/// What is shown of a channel and cannot be changed.
pub const READ_ONLY: [&str; 6] = ["id", "kind", "has_secret", "has_token", "created_at", "updated_at"];
/// The longest name of a channel, in characters.
const LONGEST_NAME: usize = 100;
/// The longest secret, in characters.
const LONGEST_SECRET: usize = 500;
/// The most jails, or countries, that a channel names.
const MOST_NAMED: usize = 100;
/// The most receivers of mail.
const MOST_RECEIVERS: usize = 10;
/// Where bots of Telegram are told what to say, before their token.
const TELEGRAM: &str = "https://api.telegram.org/";

/// What a body asks for.
pub struct Wanted {
    /// The channel.
    pub channel: Channel,
    /// A secret is forgotten: it was given for another receiver.
    pub forgets: bool,
}

impl Wanted {
    /// Reads a body; what it does not name is as in `present`. `any` address is allowed by the settings of the server.
    pub fn read(mut fields: Fields, present: Option<&Channel>, any: bool) -> Result<Wanted, ApiError> {
        let shown = present.map_or(Value::Null, Channel::shown);
        let read = present.map(|_| fields.read_only(&READ_ONLY));
        if let Some(wrong) = read.map(|read| read.wrong(&shown, |_| false)).filter(|wrong| !wrong.is_empty()) {
            return Err(Failure::WrongFields(wrong).into());
        }
        fields.drop_unchanged(|name, value| shown[name] == *value);
        let now = time::now();
        let kind = match present.map(|own| &own.target) {
            Some(Target::Webhook(_)) => "webhook".to_owned(),
            Some(Target::Email(_)) => "email".to_owned(),
            None => fields.required::<String>("kind").unwrap_or_else(|| "webhook".to_owned()),
        };
        fields.check(["webhook", "email"].contains(&&*kind), "kind", "enum", "kind: webhook or email is expected.");
        let allow_private = fields.optional("allow_private").or(present.map(|own| own.allow_private)).unwrap_or(false);
        let (target, forgets) = match kind.as_str() {
            "email" => mail_of(&mut fields, present, allow_private || any),
            _ => webhook_of(&mut fields, present, allow_private || any),
        };
        let channel = Channel {
            id: present.map_or(0, |own| own.id),
            name: name(&mut fields, present),
            enabled: fields.optional("enabled").or(present.map(|own| own.enabled)).unwrap_or(true),
            target,
            allow_private,
            events: events(&mut fields, present),
            jails: named(&mut fields, "jails", present.map(|own| &own.jails)),
            countries: named(&mut fields, "countries", present.map(|own| &own.countries)),
            created_at: present.map_or(now, |own| own.created_at),
            updated_at: present.map_or(now, |own| own.updated_at),
        };
        check_names(&mut fields, &channel);
        fields.finish()?;
        Ok(Wanted { channel, forgets })
    }
}

fn name(fields: &mut Fields, present: Option<&Channel>) -> String {
    let name: String = match present {
        None => fields.required("name").unwrap_or_else(|| "x".to_owned()),
        Some(own) => fields.optional("name").unwrap_or_else(|| own.name.clone()),
    };
    let is_name = (1..=LONGEST_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    fields.check(
        is_name,
        "name",
        "length",
        "name: 1 to 100 characters are expected, none of them a control character.",
    );
    name
}

fn events(fields: &mut Fields, present: Option<&Channel>) -> Vec<Event> {
    let given: Option<Vec<String>> = fields.optional("events");
    let Some(names) = given else { return present.map_or_else(|| Event::DEFAULT.to_vec(), |own| own.events.clone()) };
    let mut events: Vec<Event> = names.iter().filter_map(|name| Event::of(name)).collect();
    let all = Event::ALL.map(Event::as_str).join(", ");
    fields.check(events.len() == names.len(), "events", "enum", &format!("events: some of {all} are expected."));
    fields.check(
        !names.is_empty(),
        "events",
        "length",
        "events: at least one is expected; switch the channel off instead.",
    );
    events.sort();
    events.dedup();
    events
}

fn named(fields: &mut Fields, field: &str, present: Option<&Vec<String>>) -> Vec<String> {
    let given: Option<Option<Vec<String>>> = fields.optional(field);
    given.map(Option::unwrap_or_default).or_else(|| present.cloned()).unwrap_or_default()
}

fn check_names(fields: &mut Fields, channel: &Channel) {
    let Channel { jails, countries, .. } = channel;
    fields.check(jails.len() <= MOST_NAMED, "jails", "length", "jails: at most 100 jails can be named.");
    let are_jails = jails.iter().all(|jail| jail.parse::<Running>().is_ok());
    fields.check(are_jails, "jails", "format", "jails: a list of the names of jails is expected; empty for all.");
    fields.check(countries.len() <= MOST_NAMED, "countries", "length", "countries: at most 100 can be named.");
    let is_country = |text: &String| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase());
    let are_countries = countries.iter().all(is_country);
    fields.check(
        are_countries,
        "countries",
        "format",
        "countries: codes of two capital letters, such as DE, are expected; empty for all.",
    );
}

/// A secret: what is sent, `null` for none, or what there is where it is for the same receiver.
fn secret(fields: &mut Fields, name: &str, present: Option<&String>) -> Option<String> {
    if fields.takes_null(name) {
        return None;
    }
    let given: Option<String> = fields.optional(name);
    let is_plain = given.as_ref().is_none_or(|text| webhook::is_token(text) && text.len() <= LONGEST_SECRET);
    let rule = format!("{name}: 1 to {LONGEST_SECRET} printable ASCII characters without blanks are expected.");
    fields.check(is_plain, name, "format", &rule);
    given.or_else(|| present.cloned())
}

/// The receiver of a webhook, and whether a secret was forgotten.
fn webhook_of(fields: &mut Fields, present: Option<&Channel>, allow_private: bool) -> (Target, bool) {
    let old = present.and_then(|own| match &own.target {
        Target::Webhook(hook) => Some(hook),
        Target::Email(_) => None,
    });
    let given: Option<String> = fields.optional("preset");
    let preset = given.as_deref().map_or_else(|| Some(old.map_or(Preset::Json, |old| old.preset)), Preset::of);
    let all = Preset::ALL.map(|(name, _)| name).join(", ");
    fields.check(preset.is_some(), "preset", "enum", &format!("preset: one of {all} is expected."));
    let preset = preset.unwrap_or(Preset::Json);
    let url: Option<String> = match old {
        None => fields.required("url"),
        Some(_) => fields.optional("url"),
    };
    let is_other = old.is_some_and(|old| url.as_ref().is_some_and(|url| *url != old.url));
    let kept = old.filter(|_| !is_other);
    let sent = url.is_some() || old.is_none();
    let url = url.or_else(|| old.map(|old| old.url.clone())).unwrap_or_default();
    if !url.contains(MASK) {
        // Consent that is taken back is a change of what may be asked, so the URL is looked at even where it stays.
        let problem = if url.is_empty() { None } else { webhook::check(&url, allow_private).err() };
        let detail = problem.as_ref().map_or("", |problem| problem.detail.as_str());
        fields.check(problem.is_none(), "url", "format", detail);
    } else if sent {
        fields.check(
            false,
            "url",
            "format",
            "url: it is masked where it holds a token; send all of it, or leave it out.",
        );
    }
    let secret_now = secret(fields, "secret", kept.and_then(|old| old.secret.as_ref()));
    let token = secret(fields, "token", kept.and_then(|old| old.token.as_ref()));
    let chat: Option<Option<String>> = fields.optional("chat_id");
    let chat_id =
        chat.map(Option::unwrap_or_default).or_else(|| old.map(|old| old.chat_id.clone())).unwrap_or_default();
    let is_chat = chat_id.len() <= 100 && chat_id.bytes().all(|byte| byte.is_ascii_graphic());
    fields.check(is_chat, "chat_id", "format", "chat_id: a number, or @ and the name of a channel, is expected.");
    if preset == Preset::Telegram {
        fields.check(
            !chat_id.is_empty(),
            "chat_id",
            "required",
            "chat_id: Telegram wants to know which chat it is for.",
        );
        let example = format!("url: {TELEGRAM}bot<token>/sendMessage is expected.");
        fields.check(url.contains(MASK) || url.ends_with("/sendMessage"), "url", "format", &example);
    }
    let had = |secret: fn(&Webhook) -> &Option<String>| old.is_some_and(|old| secret(old).is_some());
    let forgets =
        is_other && ((had(|old| &old.secret) && secret_now.is_none()) || (had(|old| &old.token) && token.is_none()));
    (Target::Webhook(Webhook { preset, url, chat_id, secret: secret_now, token }), forgets)
}

/// The receivers of mail, and whether a password was forgotten.
fn mail_of(fields: &mut Fields, present: Option<&Channel>, allow_private: bool) -> (Target, bool) {
    let old = present.and_then(|own| match &own.target {
        Target::Email(mail) => Some(mail),
        Target::Webhook(_) => None,
    });
    let text = |fields: &mut Fields, name: &str, old: Option<&String>| -> String {
        let given: Option<String> = match old {
            None => fields.required(name),
            Some(_) => fields.optional(name),
        };
        given.or_else(|| old.cloned()).unwrap_or_default()
    };
    let host = text(fields, "host", old.map(|old| &old.host));
    let is_host = host.is_empty() || webhook::check(&format!("https://{host}/"), allow_private).is_ok();
    let rule = "host: the name of a mail server is expected; one in your own network needs allow_private.";
    fields.check(is_host && !host.contains([':', '/', '?', '#']), "host", "format", rule);
    let given: Option<String> = fields.optional("security");
    let security = match given.as_deref() {
        None => Some(old.map_or(Security::Starttls, |old| old.security)),
        Some("starttls") => Some(Security::Starttls),
        Some("tls") => Some(Security::Tls),
        Some(_) => None,
    };
    fields.check(security.is_some(), "security", "enum", "security: starttls or tls is expected.");
    let security = security.unwrap_or(Security::Starttls);
    let usual = if security == Security::Tls { 465 } else { 587 };
    let port = fields.optional::<u16>("port").or(old.map(|old| old.port)).unwrap_or(usual);
    let is_port = port > 0 && (allow_private || email::PORTS.contains(&port));
    fields.check(is_port, "port", "range", "port: one of 25, 465, 587, 2525 is expected; allow_private allows any.");
    let given: Option<Option<String>> = fields.optional("username");
    let username =
        given.map(Option::unwrap_or_default).or_else(|| old.map(|old| old.username.clone())).unwrap_or_default();
    fields.check(email::is_credential(&username), "username", "format", "username: one line of text is expected.");
    let from = text(fields, "from", old.map(|old| &old.from));
    let rule = "from: an address such as box@example.org is expected.";
    fields.check(from.is_empty() || email::is_mailbox(&from), "from", "format", rule);
    let given: Option<Vec<String>> = match old {
        None => fields.required("to"),
        Some(_) => fields.optional("to"),
    };
    let is_missing = old.is_none() && given.is_none();
    let to = given.or_else(|| old.map(|old| old.to.clone())).unwrap_or_default();
    let are_some = is_missing || (1..=MOST_RECEIVERS).contains(&to.len());
    fields.check(are_some, "to", "length", "to: 1 to 10 addresses are expected.");
    for (index, one) in to.iter().enumerate() {
        let rule = "An address such as anna@example.org is expected.";
        fields.check(email::is_mailbox(one), &format!("to.{index}"), "format", rule);
    }
    let is_same =
        |old: &&Mail| (&old.host, old.port, old.security, &old.username) == (&host, port, security, &username);
    let kept = old.filter(is_same).and_then(|old| old.password.clone());
    let forgets_null = fields.takes_null("password");
    let given: Option<String> = fields.optional("password");
    let is_plain = given.as_deref().is_none_or(|text| !text.is_empty() && email::is_credential(text));
    fields.check(is_plain, "password", "format", "password: one line of text is expected; null for none.");
    let password = if forgets_null { None } else { given.or(kept) };
    let had = old.is_some_and(|old| old.password.is_some());
    let forgets = had && password.is_none() && !forgets_null;
    (Target::Email(Mail { host, port, security, username, password, from, to }), forgets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::notification::masked_url;

    fn fields(body: &str) -> Fields {
        Fields::parse(body.as_bytes()).unwrap()
    }

    fn hook(channel: &Channel) -> &Webhook {
        match &channel.target {
            Target::Webhook(hook) => hook,
            Target::Email(_) => panic!("no webhook"),
        }
    }

    #[test]
    fn a_secret_goes_with_its_receiver() {
        let body = r#"{"name":"n","kind":"webhook","url":"https://example.org/hook?key=abc","secret":"s","token":"t"}"#;
        let one = Wanted::read(fields(body), None, false).unwrap().channel;
        assert_eq!(one.events, Event::DEFAULT);
        let change = |body: &str| Wanted::read(fields(body), Some(&one), false).unwrap();
        let same = change(r#"{"url":"https://example.org/hook?key=***","name":"m"}"#);
        assert_eq!((hook(&same.channel), same.forgets, same.channel.name.as_str()), (hook(&one), false, "m"));
        let shown = change(&one.shown().to_string());
        assert_eq!((&shown.channel, shown.forgets), (&one, false), "what was read changes nothing");
        let other = change(r#"{"url":"https://example.org/other"}"#);
        assert_eq!((&hook(&other.channel).secret, &hook(&other.channel).token, other.forgets), (&None, &None, true));
        let again = change(r#"{"url":"https://example.org/other","secret":"x","token":null}"#);
        assert_eq!((hook(&again.channel).secret.as_deref(), &hook(&again.channel).token), (Some("x"), &None));
        assert!(Wanted::read(fields(r#"{"url":"https://example.net/hook?key=***"}"#), Some(&one), false).is_err());
        assert_eq!(masked_url(&hook(&one).url), "https://example.org/hook?key=***");
    }
}

//! What is told to people: channels, events, and what a message says. Pure; who stores, sends and shows it is elsewhere.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::history::Country;
use super::secrets::MASK;
use super::time::rfc3339;

/// Channels at most.
pub const MOST: usize = 25;
/// Sentences, and bans, that a message names at most; the rest is a count.
const MOST_NAMED: usize = 10;
/// Jails that a message counts one by one.
const MOST_JAILS: usize = 20;
/// What counts those of all other jails.
const OTHER_JAILS: &str = "other jails";
/// The longest sentence of a message, in characters.
const LONGEST_LINE: usize = 500;

/// What can happen that somebody may want to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// An address was banned.
    Ban,
    /// fail2ban has been away for a while.
    DaemonDown,
    /// It is back.
    DaemonUp,
    /// This machine is not protected any more.
    ProtectionBad,
    /// It is again.
    ProtectionOk,
    /// A blocklist could not be imported.
    ImportFailed,
    /// Somebody has logged in here.
    Login,
    /// A client has failed to log in so often that it has to wait.
    LoginBlocked,
    /// fail2ban's configuration was changed here.
    ConfigChanged,
    /// What the day was like.
    Digest,
}

impl Event {
    /// All of them.
    pub const ALL: [Event; 10] = [
        Event::Ban,
        Event::DaemonDown,
        Event::DaemonUp,
        Event::ProtectionBad,
        Event::ProtectionOk,
        Event::ImportFailed,
        Event::Login,
        Event::LoginBlocked,
        Event::ConfigChanged,
        Event::Digest,
    ];
    /// Those that a channel tells of unless it is said otherwise.
    pub const DEFAULT: [Event; 4] = [Event::DaemonDown, Event::ProtectionBad, Event::LoginBlocked, Event::Digest];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Event::Ban => "ban",
            Event::DaemonDown => "daemon_down",
            Event::DaemonUp => "daemon_up",
            Event::ProtectionBad => "protection_bad",
            Event::ProtectionOk => "protection_ok",
            Event::ImportFailed => "import_failed",
            Event::Login => "login",
            Event::LoginBlocked => "login_blocked",
            Event::ConfigChanged => "config_changed",
            Event::Digest => "digest",
        }
    }

    /// The one of this name.
    pub fn of(name: &str) -> Option<Event> {
        Event::ALL.into_iter().find(|event| event.as_str() == name)
    }

    /// Whether somebody should look at once.
    pub fn is_alarm(self) -> bool {
        matches!(self, Event::DaemonDown | Event::ProtectionBad | Event::LoginBlocked | Event::ImportFailed)
    }
}

/// In which form a webhook is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Our own, for programs.
    Json,
    /// ntfy.sh, or a server of its kind: the URL is that of the topic.
    Ntfy,
    /// Gotify: the URL is that of its `/message`.
    Gotify,
    /// A bot of Telegram.
    Telegram,
    /// A webhook of Discord.
    Discord,
    /// An incoming webhook of Slack, or of a server of its kind.
    Slack,
}

impl Preset {
    /// All of them, by their names.
    pub const ALL: [(&'static str, Preset); 6] = [
        ("json", Preset::Json),
        ("ntfy", Preset::Ntfy),
        ("gotify", Preset::Gotify),
        ("telegram", Preset::Telegram),
        ("discord", Preset::Discord),
        ("slack", Preset::Slack),
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        Preset::ALL.iter().find(|(_, preset)| *preset == self).map_or("json", |(name, _)| name)
    }

    /// The one of this name.
    pub fn of(name: &str) -> Option<Preset> {
        Preset::ALL.iter().find(|(own, _)| *own == name).map(|(_, preset)| *preset)
    }
}

/// A receiver of webhooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// The form.
    pub preset: Preset,
    /// Where it is sent; a token may be in it.
    pub url: String,
    /// The chat, for Telegram.
    pub chat_id: String,
    /// Signs what is sent.
    pub secret: Option<String>,
    /// Says who sends it, where the preset has a place for it.
    pub token: Option<String>,
}

/// How a connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// It begins in plain text and changes to TLS before anything is said.
    Starttls,
    /// TLS from its beginning.
    Tls,
}

/// A receiver of mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// The server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
    /// The account there; empty where it wants none.
    pub username: String,
    /// Its password.
    pub password: Option<String>,
    /// The sender.
    pub from: String,
    /// The receivers.
    pub to: Vec<String>,
}

/// Whom something is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// A program, over HTTP.
    Webhook(Webhook),
    /// A person, by mail.
    Email(Mail),
}

/// A way to tell somebody something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// Its number.
    pub id: i64,
    /// What it is called here.
    pub name: String,
    /// It tells nothing while it is not.
    pub enabled: bool,
    /// Whom.
    pub target: Target,
    /// It may be at an address that is not public.
    pub allow_private: bool,
    /// Of what it tells.
    pub events: Vec<Event>,
    /// Only bans of these jails; empty for all.
    pub jails: Vec<String>,
    /// Only bans of addresses in these countries; empty for all.
    pub countries: Vec<String>,
    /// Since when there is this channel, in Unix seconds: what happened before is not told.
    pub created_at: i64,
    /// When it was changed last.
    pub updated_at: i64,
}

impl Channel {
    /// Whether it tells of this.
    pub fn wants(&self, event: Event) -> bool {
        self.enabled && self.events.contains(&event)
    }

    /// Whether it tells of this ban.
    pub fn wants_ban(&self, ban: &Ban) -> bool {
        let country = ban.country.as_ref().map(Country::as_str);
        self.wants(Event::Ban)
            && ban.at >= self.created_at
            && (self.jails.is_empty() || self.jails.contains(&ban.jail))
            && (self.countries.is_empty() || self.countries.iter().any(|own| Some(own.as_str()) == country))
    }

    /// Its target without secrets, and whether it has any.
    pub fn shown(&self) -> Value {
        let mut body = json!({
            "id": self.id,
            "name": self.name,
            "enabled": self.enabled,
            "events": self.events,
            "jails": self.jails,
            "countries": self.countries,
            "allow_private": self.allow_private,
            "created_at": rfc3339(self.created_at),
            "updated_at": rfc3339(self.updated_at),
        });
        let of_target = match &self.target {
            Target::Webhook(hook) => json!({
                "kind": "webhook",
                "preset": hook.preset,
                "url": masked_url(&hook.url),
                "chat_id": hook.chat_id,
                "has_secret": hook.secret.is_some() || hook.token.is_some(),
                "has_token": hook.token.is_some(),
            }),
            Target::Email(mail) => json!({
                "kind": "email",
                "host": mail.host,
                "port": mail.port,
                "security": mail.security,
                "username": mail.username,
                "from": mail.from,
                "to": mail.to,
                "has_secret": mail.password.is_some(),
            }),
        };
        if let (Value::Object(all), Value::Object(more)) = (&mut body, of_target) {
            all.extend(more);
        }
        body
    }
}

/// A URL without what may be a token in it: the values of its query, and each part of its path that is long or holds a colon. What names the
/// chat at Telegram, and what follows `webhooks` or `services`, is a token however short.
pub fn masked_url(url: &str) -> String {
    let (rest, query) = url.split_once('?').map_or((url, None), |(rest, query)| (rest, Some(query)));
    let path_at = rest.find("://").and_then(|at| rest[at + 3..].find('/').map(|slash| at + 3 + slash));
    let (place, path) = rest.split_at(path_at.unwrap_or(rest.len()));
    let mut is_behind = false;
    let parts = path.split('/').map(|part| {
        let is_token = is_behind || part.len() >= 16 || part.contains(':') || part.contains("%3A");
        is_behind |= ["webhooks", "services", "hooks"].contains(&part);
        if is_token && !part.is_empty() { MASK } else { part }
    });
    let mut masked = format!("{place}{}", parts.collect::<Vec<_>>().join("/"));
    if let Some(query) = query {
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, _)) => format!("{name}={MASK}"),
            None => MASK.to_owned(),
        });
        masked.push('?');
        masked.push_str(&pairs.collect::<Vec<_>>().join("&"));
    }
    masked
}

/// A ban to be told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// The jail.
    pub jail: String,
    /// What was banned.
    pub ip: String,
    /// Where it is, if known.
    pub country: Option<Country>,
    /// Unix seconds.
    pub at: i64,
}

/// What is told: one thing, or many of a kind that happened while it waited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// What happened.
    pub event: Event,
    /// When the first of it happened, in Unix seconds.
    pub at: i64,
    /// How many there are.
    pub count: u64,
    /// What is said of each, a sentence each; the first few of them.
    pub lines: Vec<String>,
    /// The first few bans.
    pub bans: Vec<Ban>,
    /// Bans by jail.
    pub jails: BTreeMap<String, u64>,
}

impl Message {
    /// One thing that happened.
    pub fn new(event: Event, line: &str, at: i64) -> Message {
        let lines = vec![cleaned(line)];
        Message { event, at, count: 1, lines, bans: Vec::new(), jails: BTreeMap::new() }
    }

    /// A ban.
    pub fn of_ban(ban: &Ban) -> Message {
        let jails = BTreeMap::from([(ban.jail.clone(), 1)]);
        Message { event: Event::Ban, at: ban.at, count: 1, lines: Vec::new(), bans: vec![ban.clone()], jails }
    }

    /// The same, sent to see whether messages come through.
    pub fn as_test(mut self) -> Message {
        self.count = 0;
        self
    }

    /// One more sentence of the same thing.
    pub fn add(&mut self, line: &str) {
        self.lines.push(cleaned(line));
    }

    /// Takes up another of the same event.
    pub fn join(&mut self, other: &Message) {
        self.at = self.at.min(other.at);
        self.count += other.count;
        let room = |len: usize| MOST_NAMED.saturating_sub(len);
        self.lines.extend(other.lines.iter().take(room(self.lines.len())).cloned());
        self.bans.extend(other.bans.iter().take(room(self.bans.len())).cloned());
        for (jail, count) in &other.jails {
            let has_room = self.jails.len() < MOST_JAILS || self.jails.contains_key(jail);
            let name = if has_room { jail.as_str() } else { OTHER_JAILS };
            *self.jails.entry(name.to_owned()).or_default() += count;
        }
    }

    /// In a few words, in one line.
    pub fn title(&self) -> String {
        match (self.event, self.count, self.bans.first()) {
            (_, 0, _) => "Test".to_owned(),
            (Event::Ban, 1, Some(ban)) => cleaned(&format!("{} banned in {}", ban.ip, ban.jail)),
            (Event::Ban, count, _) => format!("{count} bans"),
            (Event::DaemonDown, ..) => "fail2ban is not running".to_owned(),
            (Event::DaemonUp, ..) => "fail2ban is running again".to_owned(),
            (Event::ProtectionBad, ..) => "Not protected".to_owned(),
            (Event::ProtectionOk, ..) => "Protected again".to_owned(),
            (Event::ImportFailed, ..) => "A blocklist could not be imported".to_owned(),
            (Event::Login, ..) => "Login to bangui".to_owned(),
            (Event::LoginBlocked, ..) => "Failed logins to bangui".to_owned(),
            (Event::ConfigChanged, ..) => "The configuration of fail2ban was changed".to_owned(),
            (Event::Digest, ..) => "What happened since yesterday".to_owned(),
        }
    }

    /// All of it, in lines.
    pub fn text(&self) -> String {
        if self.event == Event::Ban {
            return self.bans_text();
        }
        let mut text = self.lines.join("\n");
        let unsaid = self.count.saturating_sub(self.lines.len() as u64);
        if unsaid > 0 {
            text.push_str(&format!("\nand {unsaid} more"));
        }
        text
    }

    fn bans_text(&self) -> String {
        let named = |ban: &Ban| match &ban.country {
            Some(country) => format!("{} ({})", ban.ip, country.as_str()),
            None => ban.ip.clone(),
        };
        if let (1, Some(ban)) = (self.count, self.bans.first()) {
            return cleaned(&format!("{} was banned in {}.", named(ban), ban.jail));
        }
        let jails: Vec<String> = self.jails.iter().map(|(jail, count)| format!("{jail} {count}")).collect();
        let bans: Vec<String> = self.bans.iter().map(named).collect();
        let unsaid = self.count.saturating_sub(bans.len() as u64);
        let more = if unsaid > 0 { format!(" and {unsaid} more") } else { String::new() };
        format!("{} bans: {}.\n{}{more}.", self.count, cleaned_long(&jails.join(", ")), cleaned_long(&bans.join(", ")))
    }

    /// For programs.
    pub fn json(&self, host: &str, title: &str, delivery: &str) -> Value {
        let bans: Vec<Value> = self
            .bans
            .iter()
            .map(|ban| json!({ "ip": ban.ip, "jail": ban.jail, "country": ban.country, "at": rfc3339(ban.at) }))
            .collect();
        json!({
            "event": if self.count == 0 { "test" } else { self.event.as_str() },
            "title": title,
            "text": self.text(),
            "count": self.count,
            "at": rfc3339(self.at),
            "host": host,
            "delivery": delivery,
            "jails": self.jails,
            "bans": bans,
        })
    }
}

/// In one line, of a length that any receiver takes: what somebody else has named may hold anything.
fn cleaned(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST_LINE).collect()
}

fn cleaned_long(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(4 * LONGEST_LINE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ban(jail: &str, ip: &str, country: &str) -> Ban {
        Ban { jail: jail.into(), ip: ip.into(), country: country.parse().ok(), at: 100 }
    }

    #[test]
    fn a_storm_is_one_message_of_bounded_size() {
        let mut message = Message::of_ban(&ban("sshd", "192.0.2.1", "DE"));
        assert_eq!(message.text(), "192.0.2.1 (DE) was banned in sshd.");
        for number in 0..5000 {
            message.join(&Message::of_ban(&ban(&format!("jail{}", number % 100), &format!("10.0.0.{number}"), "")));
        }
        assert_eq!((message.count, message.bans.len()), (5001, 10));
        assert_eq!(message.jails.values().sum::<u64>(), 5001);
        assert!(message.jails.len() <= MOST_JAILS + 1);
        assert_eq!(message.title(), "5001 bans");
        assert!(message.text().ends_with("and 4991 more."), "{}", message.text());
    }

    #[test]
    fn what_somebody_else_has_named_stays_in_its_line() {
        let message = Message::of_ban(&ban("a\r\nBcc: x", "192.0.2.1\n", ""));
        assert!(!message.title().contains(['\r', '\n']));
        assert!(!message.text().contains(['\r', '\n']));
        assert_eq!(Message::new(Event::Login, "a\nb", 1).text(), "ab");
    }

    #[test]
    fn tokens_in_urls_are_masked() {
        for (url, shown) in [
            ("https://hooks.slack.com/services/T0/B0/xyz", "https://hooks.slack.com/services/***/***/***"),
            ("https://discord.com/api/webhooks/1/abc", "https://discord.com/api/webhooks/***/***"),
            ("https://api.telegram.org/bot12:ab/sendMessage", "https://api.telegram.org/***/sendMessage"),
            ("https://push.example/message?token=abc&x", "https://push.example/message?token=***&***"),
            ("https://ntfy.sh/alerts", "https://ntfy.sh/alerts"),
            ("https://ntfy.sh/0123456789abcdef", "https://ntfy.sh/***"),
            ("http://127.0.0.1:8080/hook", "http://127.0.0.1:8080/hook"),
            ("https://example.org", "https://example.org"),
        ] {
            assert_eq!(masked_url(url), shown);
        }
    }

    #[test]
    fn a_channel_tells_of_what_it_is_asked_for() {
        let target = Target::Webhook(Webhook {
            preset: Preset::Json,
            url: "https://example.org/".into(),
            chat_id: String::new(),
            secret: Some("s".into()),
            token: None,
        });
        let mut channel = Channel {
            id: 1,
            name: "n".into(),
            enabled: true,
            target,
            allow_private: false,
            events: vec![Event::Ban],
            jails: vec!["sshd".into()],
            countries: vec!["DE".into()],
            created_at: 100,
            updated_at: 100,
        };
        assert!(channel.wants_ban(&ban("sshd", "192.0.2.1", "DE")));
        assert!(!channel.wants_ban(&ban("lab", "192.0.2.1", "DE")));
        assert!(!channel.wants_ban(&ban("sshd", "192.0.2.1", "FR")));
        assert!(!channel.wants_ban(&ban("sshd", "192.0.2.1", "")));
        assert!(!channel.wants_ban(&Ban { at: 99, ..ban("sshd", "192.0.2.1", "DE") }), "it was before the channel");
        channel.enabled = false;
        assert!(!channel.wants_ban(&ban("sshd", "192.0.2.1", "DE")));
        assert_eq!(channel.shown()["has_secret"], true);
        assert!(!channel.shown().to_string().contains("\"s\""));
        assert!(Event::ALL.into_iter().all(|event| Event::of(event.as_str()) == Some(event)));
    }
}

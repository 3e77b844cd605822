//! What people and programs have done, as the record of it names it: the kinds of events, and what one of them says. Pure; it is kept by the
//! store.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::actor::Actor;
use super::secrets;

/// The longest text of one field of an event, in characters: the record is for reading, and whole files are in the list of changes.
const LONGEST: usize = 300;
/// The most values that an event names; of others it says how many there are.
const MOST_CHANGES: usize = 20;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is its name in the list below")]
pub enum What {
    Setup,
    Login,
    LoginFailed,
    LoginBlocked,
    Logout,
    PasswordChanged,
    TotpEnabled,
    TotpDisabled,
    UserCreated,
    UserChanged,
    UserDeleted,
    TokenCreated,
    TokenChanged,
    TokenRotated,
    TokenDeleted,
    TokenRefused,
    Ban,
    Unban,
    NeverBanAdded,
    NeverBanRemoved,
    JailStarted,
    JailStopped,
    JailPaused,
    Reload,
    Restart,
    ConfigChanged,
    ConfigUndone,
    SettingsChanged,
    BlocklistChanged,
    Import,
    NotificationFailed,
    Unlock,
    AuditDeleted,
}

impl What {
    /// All of them, with the names that the API and the database have for them.
    pub const ALL: [(What, &str); 33] = [
        (What::Setup, "setup"),
        (What::Login, "login"),
        (What::LoginFailed, "login_failed"),
        (What::LoginBlocked, "login_blocked"),
        (What::Logout, "logout"),
        (What::PasswordChanged, "password_changed"),
        (What::TotpEnabled, "totp_enabled"),
        (What::TotpDisabled, "totp_disabled"),
        (What::UserCreated, "user_created"),
        (What::UserChanged, "user_changed"),
        (What::UserDeleted, "user_deleted"),
        (What::TokenCreated, "token_created"),
        (What::TokenChanged, "token_changed"),
        (What::TokenRotated, "token_rotated"),
        (What::TokenDeleted, "token_deleted"),
        (What::TokenRefused, "token_refused"),
        (What::Ban, "ban"),
        (What::Unban, "unban"),
        (What::NeverBanAdded, "never_ban_added"),
        (What::NeverBanRemoved, "never_ban_removed"),
        (What::JailStarted, "jail_started"),
        (What::JailStopped, "jail_stopped"),
        (What::JailPaused, "jail_paused"),
        (What::Reload, "reload"),
        (What::Restart, "restart"),
        (What::ConfigChanged, "config_changed"),
        (What::ConfigUndone, "config_undone"),
        (What::SettingsChanged, "settings_changed"),
        (What::BlocklistChanged, "blocklist_changed"),
        (What::Import, "import"),
        (What::NotificationFailed, "notification_failed"),
        (What::Unlock, "unlock"),
        (What::AuditDeleted, "audit_deleted"),
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(what, _)| *what == self).map_or("", |(_, name)| *name)
    }
}

/// A value that is another than before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Changed {
    /// What it is a value of.
    pub field: String,
    /// What it was; null where there was none.
    pub before: Value,
    /// What it is; null where there is none.
    pub after: Value,
}

/// An event as it is written down.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What happened.
    pub what: What,
    /// What it happened to; empty where that is clear.
    pub target: String,
    /// More of it in a sentence; empty where there is no more.
    pub detail: String,
    /// The values that are others than before.
    pub changes: Vec<Changed>,
    /// Who did it, where that is somebody else than whoever acts.
    pub by: Option<Actor>,
}

impl Entry {
    /// One of which nothing is said but what it happened to.
    pub fn new(what: What, target: impl Into<String>) -> Entry {
        Entry { what, target: short(target.into()), detail: String::new(), changes: Vec::new(), by: None }
    }

    /// The same, with a sentence.
    pub fn saying(mut self, detail: impl Into<String>) -> Entry {
        self.detail = short(secrets::masked(&detail.into()));
        self
    }

    /// The same, done by this one.
    pub fn by(mut self, actor: Actor) -> Entry {
        self.by = Some(actor);
        self
    }

    /// The same, with a value that is another now; what looks like a secret is masked. One that is the same is left out.
    pub fn changed(mut self, field: &str, before: Value, after: Value) -> Entry {
        if before == after {
            return self;
        }
        match self.changes.len() {
            MOST_CHANGES => {
                let rest = Changed { field: "...".to_owned(), before: Value::Null, after: Value::Null };
                self.changes.push(rest);
            }
            count if count > MOST_CHANGES => {}
            _ => {
                let [before, after] = [before, after].map(|value| shown(field, value));
                self.changes.push(Changed { field: field.to_owned(), before, after });
            }
        }
        self
    }

    /// The same, with all fields in which two objects differ, but for some.
    pub fn differing(mut self, before: &Value, after: &Value, but: &[&str]) -> Entry {
        let names = |value: &Value| value.as_object().map(|map| map.keys().cloned().collect::<Vec<_>>());
        let mut fields = names(after).unwrap_or_default();
        fields.extend(names(before).unwrap_or_default().into_iter().filter(|name| after.get(name).is_none()));
        for field in fields.iter().filter(|field| !but.contains(&field.as_str())) {
            self = self.changed(field, before[field].clone(), after[field].clone());
        }
        self
    }
}

/// A value without what looks like a secret, by itself or by the name of its field.
pub fn masked(field: &str, value: &mut Value) {
    match value {
        Value::String(text) => {
            let named = secrets::masked(&format!("{field} = {text}"));
            *text = named.split_once(" = ").map_or_else(String::new, |(_, text)| text.to_owned());
        }
        Value::Array(items) => items.iter_mut().for_each(|item| masked(field, item)),
        Value::Object(map) => map.iter_mut().for_each(|(name, item)| masked(name, item)),
        _ => {}
    }
}

fn shown(field: &str, mut value: Value) -> Value {
    masked(field, &mut value);
    match value {
        Value::String(text) => Value::String(short(text)),
        // A list is read as it is written: that is shorter, and no one reads the hundredth of its items here.
        value @ (Value::Array(_) | Value::Object(_)) if value.to_string().len() > LONGEST => {
            Value::String(short(value.to_string()))
        }
        value => value,
    }
}

/// A text of one line and of a length that a record can hold.
fn short(text: String) -> String {
    if text.chars().count() <= LONGEST && !text.chars().any(char::is_control) {
        return text;
    }
    let plain = |character: char| if character.is_control() { ' ' } else { character };
    let mut cut: String = text.chars().take(LONGEST).map(plain).collect();
    if text.chars().count() > LONGEST {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_event_has_one_name() {
        for (at, (what, name)) in What::ALL.iter().enumerate() {
            assert_eq!((*what as usize, what.as_str()), (at, *name));
        }
    }

    #[test]
    fn secrets_and_long_texts_do_not_get_into_an_event() {
        let before =
            json!({ "url": "https://a.example", "password": "hunter2", "same": 1, "list": ["a"], "gone": true });
        let after =
            json!({ "url": "https://b.example\nx", "password": "hunter3", "same": 1, "list": vec!["long"; 200] });
        let entry =
            Entry::new(What::SettingsChanged, "x\ny").saying("token=abcdef").differing(&before, &after, &["url"]);
        let text = json!(entry.changes).to_string();
        assert!(!text.contains("hunter") && !text.contains("same") && !text.contains("https"), "{text}");
        assert!(text.len() < 1000 && text.contains("gone"), "{text}");
        assert_eq!((entry.target.as_str(), entry.detail.contains("abcdef")), ("x y", false));
        let many = (0..50).fold(entry, |entry, at| entry.changed(&format!("f{at}"), json!(0), json!(1)));
        assert_eq!((many.changes.len(), many.changes[20].field.as_str()), (21, "..."));
    }
}

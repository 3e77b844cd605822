//! What a client sends back of what it has read: fields that nobody can change, and values that are no longer allowed but are there.
//!
//! A body that was read is taken as it is and changes nothing. Where it differs in a field that cannot be changed, that field is named.
//! What is shown of a thing is only known where it is read, which may be in another process: so this is plain data.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A field of a body that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// The field.
    pub source_field: String,
    /// The rule it breaks, for programs.
    pub rule: Cow<'static, str>,
    /// One sentence, for people.
    pub detail: String,
}

/// The part of a body that is compared with what there is before anything is changed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AsRead {
    /// Fields that cannot be changed, as they were sent.
    pub read_only: Map<String, Value>,
    /// Whether every field that cannot be changed was sent: then the body is what was read, and what is in it as it was read is no wish.
    pub is_whole: bool,
    /// Values that break a rule for new ones, by field.
    pub faults: Vec<FieldError>,
}

impl AsRead {
    /// What is wrong with the body, beside what is `shown`: fields that cannot be changed and are different, and values that break a rule
    /// and are not what there is already.
    pub fn wrong(&self, shown: &Value, is_unchanged: impl Fn(&str) -> bool) -> Vec<FieldError> {
        let differs = self.read_only.iter().filter(|(name, value)| shown[name.as_str()] != **value);
        let mut wrong: Vec<FieldError> = differs.map(|(name, _)| cannot_change(name, &shown[name.as_str()])).collect();
        wrong.extend(self.faults.iter().filter(|fault| !is_unchanged(&fault.source_field)).cloned());
        wrong
    }
}

/// What is said of a field that was sent with another value than it has.
fn cannot_change(name: &str, shown: &Value) -> FieldError {
    let is = match shown.to_string() {
        text if text.len() <= 80 => format!("it is {text}"),
        _ => "it is not what was sent".to_owned(),
    };
    FieldError {
        source_field: name.to_owned(),
        rule: "read_only".into(),
        detail: format!("{name} cannot be changed here, and {is}. Leave it out, or send it as GET shows it."),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_that_cannot_be_changed_is_taken_as_it_is_and_named_where_it_differs() {
        let shown = json!({"name": "lab", "active": true, "failregex": []});
        let fault = FieldError { source_field: "failregex".into(), rule: "min_items".into(), detail: "One.".into() };
        let Value::Object(read_only) = json!({"name": "lab", "active": true}) else { return };
        let mut sent = AsRead { read_only, is_whole: true, faults: vec![fault] };
        assert_eq!(sent.wrong(&shown, |field| field == "failregex"), []);
        sent.read_only.insert("active".into(), false.into());
        let wrong = sent.wrong(&shown, |_| false);
        let told: Vec<(&str, &str)> = wrong.iter().map(|error| (&*error.source_field, &*error.rule)).collect();
        assert_eq!(told, [("active", "read_only"), ("failregex", "min_items")]);
        assert!(wrong[0].detail.starts_with("active cannot be changed here, and it is true."), "{}", wrong[0].detail);
    }
}

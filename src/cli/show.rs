//! Values of answers as people read them.

use serde_json::Value;

use super::table::print;
use crate::domain::json;

/// One JSON document.
pub fn object(value: &Value) {
    // A value that came as JSON is written as JSON.
    print(&(json::text(value).unwrap_or_default() + "\n"));
}

/// A field that is text; empty where there is none.
pub fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

/// A value as a word: `-` where it is not known.
pub fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(yes) => (if *yes { "yes" } else { "no" }).to_owned(),
        Value::Number(_) => number(value),
        other => other.to_string(),
    }
}

/// A number, without a fraction that is none.
pub fn number(value: &Value) -> String {
    match (value.as_i64(), value.as_f64()) {
        (Some(whole), _) => whole.to_string(),
        (None, Some(float)) => float.to_string(),
        (None, None) => "-".to_owned(),
    }
}

/// `1 jail`, `3 jails`.
pub fn count(value: &Value, field: &str, one: &str, many: &str) -> String {
    let shown = number(&value[field]);
    let name = if shown == "1" { one } else { many };
    format!("{shown} {name}")
}

/// A number of seconds as people write it: `10m`, `1d 12h`; for ever where it is negative.
pub fn seconds(value: &Value) -> String {
    let Some(seconds) = value.as_f64() else { return "-".to_owned() };
    if seconds < 0.0 {
        return "for ever".to_owned();
    }
    let mut rest = seconds as u64;
    let mut parts = Vec::new();
    for (unit, name) in [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")] {
        if rest >= unit {
            parts.push(format!("{}{name}", rest / unit));
            rest %= unit;
        }
    }
    parts.truncate(2);
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

/// A time as RFC 3339 in the zone of this machine, without its fraction; `-` where there is none.
pub fn time(value: &Value) -> String {
    let Some(time) = value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok()) else {
        return word(value);
    };
    time.to_zoned(crate::zones::local()).strftime("%F %T").to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_as_people_write_them() {
        for (value, shown) in
            [(600.0, "10m"), (129_600.0, "1d 12h"), (90_061.0, "1d 1h"), (0.0, "0s"), (-1.0, "for ever")]
        {
            assert_eq!(seconds(&json!(value)), shown);
        }
        assert_eq!(seconds(&json!(null)), "-");
        assert_eq!(
            (number(&json!(3)), number(&json!(2.5)), number(&json!(null))),
            ("3".into(), "2.5".into(), "-".into())
        );
    }
}

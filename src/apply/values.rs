//! The edits of a jail's own file that make values permanent.

use crate::conf::{Document, Error, NewValue};
use crate::domain::jail_values::{Growth, JailValues};

/// The file of a jail with these values in it. Everything else in it stays, byte for byte. Expressions of a jail replace its filter's.
pub fn edited(jail: &str, file: &Document, values: &JailValues) -> Result<Document, Error> {
    let mut edit = Edit { section: jail, file: file.clone() };
    edit.text("enabled", values.enabled.map(|on| on.to_string()))?;
    edit.text("filter", values.filter.clone())?;
    edit.text("backend", values.backend.clone())?;
    edit.text("bantime", values.ban_time.clone())?;
    edit.text("findtime", values.find_time.clone())?;
    edit.text("maxretry", values.max_retry.map(|count| count.to_string()))?;
    edit.text("failregex", values.fail_regex.as_ref().map(|list| list.join("\n")))?;
    edit.text("ignoreregex", values.ignore_regex.as_ref().map(|list| list.join("\n")))?;
    edit.text("logpath", values.log_paths.as_ref().map(|list| list.join("\n")))?;
    edit.text("action", values.actions.as_ref().map(|list| list.join("\n")))?;
    edit.text("logencoding", values.log_encoding.clone())?;
    edit.text("usedns", values.use_dns.clone())?;
    edit.text("prefregex", values.prefregex.clone())?;
    edit.text("ignoreip", values.ignore_ips.as_ref().map(|list| list.join(" ")))?;
    edit.text("ignoreself", values.ignore_self.map(|on| on.to_string()))?;
    if let Some(pattern) = &values.date_pattern {
        edit.or_remove("datepattern", pattern.clone())?;
    }
    if let Some(growth) = &values.bantime_escalation {
        edit.growth(growth.as_ref())?;
    }
    Ok(edit.file)
}

struct Edit<'e> {
    section: &'e str,
    file: Document,
}

impl Edit<'_> {
    fn text(&mut self, key: &str, value: Option<String>) -> Result<(), Error> {
        if let Some(value) = value {
            self.file = self.file.set(self.section, key, &NewValue::Literal(value))?;
        }
        Ok(())
    }

    fn or_remove(&mut self, key: &str, value: Option<String>) -> Result<(), Error> {
        match value {
            Some(_) => self.text(key, value),
            None => {
                self.file = self.file.remove(self.section, key)?;
                Ok(())
            }
        }
    }

    fn growth(&mut self, growth: Option<&Growth>) -> Result<(), Error> {
        self.or_remove("bantime.increment", growth.map(|growth| growth.increment.to_string()))?;
        self.or_remove("bantime.factor", growth.and_then(|growth| growth.factor).map(|factor| factor.to_string()))?;
        self.or_remove("bantime.formula", growth.and_then(|growth| growth.formula.clone()))?;
        self.or_remove("bantime.multipliers", growth.and_then(|growth| growth.multipliers.clone()))?;
        let seconds = |number: f64| (number.round() as i64).to_string();
        self.or_remove("bantime.maxtime", growth.and_then(|growth| growth.max_time).map(seconds))?;
        self.or_remove("bantime.rndtime", growth.and_then(|growth| growth.rnd_time).map(seconds))?;
        self.or_remove("bantime.overalljails", growth.map(|growth| growth.overall_jails.to_string()))
    }
}

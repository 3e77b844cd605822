//! The edits of a jail's own file that make values permanent.

use crate::conf::{Document, Error, NewValue};
use crate::domain::jail_values::{Growth, JailValues, OPTIONS};

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
    edit.text("port", values.port.clone())?;
    edit.text("protocol", values.protocol.clone())?;
    edit.text("banaction", values.banaction.clone())?;
    edit.text("chain", values.chain.clone())?;
    edit.text("journalmatch", values.journalmatch.clone())?;
    edit.text("maxlines", values.maxlines.map(|lines| lines.to_string()))?;
    edit.text("logtimezone", values.logtimezone.clone())?;
    edit.text("ignorecommand", values.ignorecommand.clone())?;
    match &values.date_pattern {
        Some(None) => edit.remove("datepattern")?,
        pattern => edit.text("datepattern", pattern.clone().flatten())?,
    }
    match &values.bantime_escalation {
        Some(Some(growth)) => edit.growth(growth)?,
        Some(None) => edit.no_growth()?,
        None => {}
    }
    // What is reset has a value, too: the one that the other files give.
    for field in &values.reset {
        match OPTIONS.iter().find(|(own, _)| own == field) {
            Some((_, key)) => edit.remove(key)?,
            None => edit.no_growth()?,
        }
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

    fn remove(&mut self, key: &str) -> Result<(), Error> {
        self.file = self.file.remove(self.section, key)?;
        Ok(())
    }

    fn growth(&mut self, growth: &Growth) -> Result<(), Error> {
        let seconds = |number: f64| (number.round() as i64).to_string();
        self.text("bantime.increment", growth.increment.map(|on| on.to_string()))?;
        self.text("bantime.factor", growth.factor.map(|factor| factor.to_string()))?;
        self.text("bantime.formula", growth.formula.clone())?;
        self.text("bantime.multipliers", growth.multipliers.clone())?;
        self.text("bantime.maxtime", growth.max_time.map(seconds))?;
        self.text("bantime.rndtime", growth.rnd_time.map(seconds))?;
        self.text("bantime.overalljails", growth.overall_jails.map(|on| on.to_string()))
    }

    fn no_growth(&mut self) -> Result<(), Error> {
        let keys = OPTIONS.iter().filter(|(_, key)| key.starts_with("bantime."));
        keys.into_iter().try_for_each(|(_, key)| self.remove(key))
    }
}

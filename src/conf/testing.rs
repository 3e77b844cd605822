//! The bridge from a filter's files to the filter that can be tried: what `pattern` needs of a [`DefinitionView`].
//!
//! Nothing is compiled here; a pattern that Python would refuse goes through as it is.

use super::value::Value;
use super::views::DefinitionView;
use crate::pattern::{FilterDefinition, Release};

impl DefinitionView {
    /// The filter as the daemon gets it. The error is why fail2ban would refuse its files.
    pub fn filter_definition(&self) -> Result<FilterDefinition, String> {
        if let Some(problem) = &self.problem {
            return Err(problem.clone());
        }
        let text = |key: &str| {
            let value = self.effective.get(key).filter(|value| value.is_truthy());
            value.map(|value| value.to_text().into_owned())
        };
        let maxlines = match self.effective.get("maxlines") {
            Some(Value::Int(lines)) => usize::try_from(*lines).unwrap_or(1),
            _ => 1,
        };
        let (major, minor, patch) = self.version.numbers();
        Ok(FilterDefinition {
            prefregex: text("prefregex"),
            failregex: self.effective_lines("failregex"),
            ignoreregex: self.effective_lines("ignoreregex"),
            datepattern: text("datepattern"),
            maxlines,
            usedns: text("usedns").unwrap_or_default(),
            logtimezone: None,
            findtime: None,
            release: Release(major, minor, patch),
        })
    }

    /// The lines of an option as they are in force, such as each failregex.
    pub fn effective_lines(&self, key: &str) -> Vec<String> {
        let value = self.effective.get(key).filter(|value| **value != Value::None);
        value.map(|value| lines(&value.to_text())).unwrap_or_default()
    }
}

/// The expressions in a value: one a line, empty lines left out, as fail2ban splits them.
pub fn lines(value: &str) -> Vec<String> {
    value.split('\n').filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::conf::{Tree, invocation};

    #[test]
    fn a_filter_with_parameters_becomes_its_expressions() {
        let base = tempfile::tempdir().unwrap();
        fs::create_dir(base.path().join("filter.d")).unwrap();
        fs::write(base.path().join("jail.conf"), "").unwrap();
        let text = "[Definition]\nfailregex = ^a <x> <HOST>$\n\n            ^b <HOST>$\nignoreregex =\nprefregex = <mode>\n[Init]\nmode = ^m\nx = 1\nmaxlines = 3\n";
        fs::write(base.path().join("filter.d/f.conf"), text).unwrap();
        fs::write(base.path().join("filter.d/g.conf"), "[Definition]\nfailregex = %(nothing)s\n").unwrap();
        fs::write(base.path().join("filter.d/empty.conf"), "").unwrap();
        let tree = Tree::load(base.path()).unwrap();
        let view = |called: &str| tree.filter(&invocation(called).unwrap(), "auto").unwrap();
        let plain = view("f").filter_definition().unwrap();
        assert_eq!(plain.failregex, ["^a 1 <HOST>$", "^b <HOST>$"]);
        assert_eq!((plain.prefregex.as_deref(), plain.maxlines, plain.ignoreregex.len()), (Some("^m"), 3, 0));
        let called = view("f[x=2, mode=\"\"]").filter_definition().unwrap();
        assert_eq!(called.failregex[0], "^a 2 <HOST>$");
        assert_eq!(called.prefregex, None);
        assert_eq!(view("empty").filter_definition().unwrap().failregex.len(), 0);
        assert!(view("g").filter_definition().unwrap_err().contains("nothing"));
    }
}

//! What is found out about the jails that a change touches: which of their values differ, which of them could ban nobody any more, and which
//! would close another service's port.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::barren::{Barren, barren};
use super::effect::{Effect, compare};
use super::error::ApplyError;
use super::outlook::Check;
use super::plan::Apply;
use super::ports::{self, Services};
use crate::conf::{JailView, StreamOptions, Tree};

/// How long logs are looked at for all jails together.
const PATIENCE: Duration = Duration::from_secs(2);

/// What was found out.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// The values that differ.
    pub effect: Vec<Effect>,
    /// The jails that could ban nobody.
    pub barren: Vec<Barren>,
    /// What else is to be said, a sentence each.
    pub warnings: Vec<String>,
}

impl Findings {
    /// The same for a dry run.
    pub(super) fn checks(&self) -> Vec<Check> {
        let force = |barren: &Barren| format!("{} \"force\": true saves it all the same.", barren.sentence);
        let bad = self.barren.iter().map(|barren| Check::bad(force(barren)));
        bad.chain(self.warnings.iter().map(Check::warn)).collect()
    }

    /// Everything as sentences.
    pub(super) fn sentences(&self) -> Vec<String> {
        self.barren.iter().map(|barren| barren.sentence.clone()).chain(self.warnings.iter().cloned()).collect()
    }
}

impl Apply {
    /// What is found out about the change. Files that could not be read before it say nothing.
    pub(super) fn findings(&self, options: &StreamOptions) -> Result<Findings, ApplyError> {
        if self.changes.is_empty() {
            return Ok(Findings::default());
        }
        let after = Tree::load_with(&self.place.config_dir, self.overlay())?;
        let Ok(before) = Tree::load(&self.place.config_dir) else { return Ok(Findings::default()) };
        let compared = compare(&before, &after, options);
        let mut found = Findings { effect: compared.effect, ..Findings::default() };
        let deadline = Instant::now() + PATIENCE;
        let mut others: Option<(Vec<JailView>, Services)> = None;
        // What an action is not given changes no command, and is meant all the same.
        let named =
            found.effect.iter().filter(|effect| effect.field == "port").filter_map(|effect| effect.jail.clone());
        let jails: BTreeSet<String> = compared.affected.iter().cloned().chain(named).collect();
        for jail in &jails {
            let Ok(new) = after.jail(jail, options) else { continue };
            let old = before.jail(jail, options).ok();
            found.barren.extend(barren(old.as_ref(), &new, &options.version, deadline));
            if found.effect.iter().any(|effect| effect.field == "port" && effect.jail.as_deref() == Some(jail)) {
                let (views, services) =
                    others.get_or_insert_with(|| (before.all_jails(options).unwrap_or_default(), Services::load()));
                found.warnings.extend(ports::warnings(old.as_ref(), &new, views, services));
            }
        }
        Ok(found)
    }
}

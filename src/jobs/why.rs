//! Why the daemon does not run, as far as its files and its log tell, in a child: the files are judged as its own client would judge them
//! before a start, and beyond that every expression is compiled.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::failure::Failure;
use super::mends::Broken;
use super::tail::LogFile;
use crate::apply::check::check;
use crate::apply::{Problem, Scope};
use crate::conf::{StreamOptions, Tree, Version};
use crate::fail2ban::installed;

/// How many problems and how many lines of the log are told.
const MOST: usize = 10;
/// How many lines of the log are looked at.
const LOOKED_AT: usize = 200;

/// Find out why the daemon does not run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Why {
    /// The directory with `jail.conf`.
    pub config_dir: PathBuf,
    /// The daemon's own log, where it is a file that may be read.
    pub log: Option<LogFile>,
}

/// What was found.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Found {
    /// What is wrong with the files: it would not start with them.
    pub problems: Vec<Problem>,
    /// What mends them, as the API shows it.
    pub mends: Vec<Value>,
    /// The last errors in its log, the newest last.
    pub log_errors: Vec<String>,
}

impl Why {
    /// What was found, as JSON.
    pub fn run(self) -> Result<Value, Failure> {
        Ok(json!(self.look()))
    }

    /// What was found.
    pub fn look(&self) -> Found {
        let is_error = |line: &str| [" ERROR ", " CRITICAL "].iter().any(|word| line.contains(word));
        let tail = self.log.as_ref().and_then(|log| log.tail(LOOKED_AT, |_| true).ok()).unwrap_or_default();
        let mut log_errors: Vec<String> = tail.lines.into_iter().filter(|line| is_error(line)).collect();
        log_errors.drain(..log_errors.len().saturating_sub(MOST));
        let tree = match Tree::load(&self.config_dir) {
            Ok(tree) => tree,
            Err(error) => return Found { problems: vec![error.into()], mends: Vec::new(), log_errors },
        };
        // As for a start: a jail without its log is an error.
        let version = Version::known(installed::version(Path::new("fail2ban-client")).as_deref());
        let options = StreamOptions { allow_missing_logs: false, version, ..StreamOptions::default() };
        let problems = problems(&tree, &options);
        let broken = Broken { config_dir: &self.config_dir, tree: &tree, options: &options, problems: &problems };
        let mends = broken.mends();
        Found { mends, problems, log_errors }
    }
}

fn problems(tree: &Tree, options: &StreamOptions) -> Vec<Problem> {
    let mut problems: Vec<Problem> = tree.server(&options.version).err().map(Problem::from).into_iter().collect();
    for jail in tree.jails() {
        let found = check(tree, options, &Scope::Jails(vec![jail.to_string()])).err();
        problems.extend(
            found
                .filter(|problem| !problems.contains(problem))
                .map(|problem| Problem { jail: problem.jail.or_else(|| Some(jail.to_string())), ..problem }),
        );
        if problems.len() >= MOST {
            break;
        }
    }
    problems
}

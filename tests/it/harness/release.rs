//! Which fail2ban a test runs: the installed one, or another release in a directory of its own (`tests/fail2ban/fetch`).
//!
//! `BANGUI_FAIL2BAN_ROOT` names the directory of the release that all tests run on; without it, it is the machine's own. The tests that
//! compare with several releases compare with those of `BANGUI_FAIL2BAN_RELEASES` as well, directories with `:` between them.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A release of fail2ban.
#[derive(Clone, Debug)]
pub struct Release(PathBuf);

impl Release {
    /// The one that the tests run on.
    pub fn under_test() -> Release {
        Release(std::env::var_os("BANGUI_FAIL2BAN_ROOT").unwrap_or_else(|| "/".into()).into())
    }

    /// That one and the others there are to compare with.
    pub fn all() -> Vec<Release> {
        let others = std::env::var_os("BANGUI_FAIL2BAN_RELEASES").unwrap_or_default();
        let others = std::env::split_paths(&others).filter(|path| !path.as_os_str().is_empty()).map(Release);
        let mut all = vec![Release::under_test()];
        all.extend(others);
        if all.len() == 1 {
            super::not_installed("the comparison with other releases of fail2ban; BANGUI_FAIL2BAN_RELEASES names none");
        }
        all
    }

    /// One of its programs, `fail2ban-client` for example.
    pub fn program(&self, name: &str) -> Command {
        Command::new(self.0.join("usr/bin").join(name))
    }

    /// The search path for the program under test, so that it finds this release's client.
    pub fn search_path(&self) -> String {
        let rest = std::env::var("PATH").unwrap_or_default();
        format!("{}:{rest}", self.0.join("usr/bin").display())
    }

    /// The configuration it comes with.
    pub fn stock(&self) -> PathBuf {
        self.0.join("etc/fail2ban")
    }

    /// Where Python finds its modules.
    pub fn modules(&self) -> PathBuf {
        self.0.join("usr/lib/python3/dist-packages")
    }

    /// The interpreter that it runs on, which finds its modules by `FAIL2BAN_MODULES`, and its configuration by `FAIL2BAN_STOCK`.
    pub fn python(&self) -> Command {
        let mut python = Command::new("/usr/bin/python3");
        python.env("FAIL2BAN_MODULES", self.modules()).env("FAIL2BAN_STOCK", self.stock());
        python
    }

    /// What its client says its version is.
    #[track_caller]
    pub fn version(&self) -> String {
        // The short form changes the number of a version in development.
        let output =
            self.program("fail2ban-client").arg("--version").output().expect("this release of fail2ban is there");
        let text = String::from_utf8_lossy(&output.stdout);
        let text = text.lines().next().unwrap_or_default();
        text.trim().trim_start_matches("Fail2Ban v").to_owned()
    }

    /// The sample logs of its own tests.
    pub fn samples(&self) -> PathBuf {
        self.modules().join(Path::new("fail2ban/tests/files/logs"))
    }
}

//! The version of the fail2ban that is installed, read from its files: asking its client would take longer than all the rest of a command.
//!
//! Nothing is run. A version that is found nowhere is unknown, and the caller has to do with a guess.

use std::fs;
use std::path::{Path, PathBuf};

use crate::files;
use crate::program;

/// How much of `version.py` is read, in bytes: it has 50 lines.
const MAX_LENGTH: u64 = 64 << 10;

/// The version of the package that this client belongs to, such as `1.0.2`.
pub fn version(client: &Path) -> Option<String> {
    let prefix = prefix(client)?;
    // Debian's place first: looking through the whole directory takes longer than to read the file.
    let usual = read(&prefix.join("lib/python3/dist-packages/fail2ban/version.py"));
    usual.or_else(|| modules(&prefix).iter().find_map(|modules| read(&modules.join("fail2ban/version.py"))))
}

/// Whether Python has beside it what the backend `systemd` needs.
pub fn reads_journals(client: &Path) -> bool {
    let found = |modules: &PathBuf| modules.join("systemd/journal.py").exists();
    prefix(client).is_some_and(|prefix| modules(&prefix).iter().any(found))
}

/// `/usr` for `/usr/bin/fail2ban-client`.
fn prefix(client: &Path) -> Option<PathBuf> {
    let client = program::find(client)?.canonicalize().ok()?;
    client.parent()?.parent().map(Path::to_owned)
}

/// Where modules of Python's lie.
fn modules(prefix: &Path) -> Vec<PathBuf> {
    let mut modules = Vec::new();
    for entry in fs::read_dir(prefix.join("lib")).into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(b"python") {
            modules.extend(["site-packages", "dist-packages"].map(|name| entry.path().join(name)));
        }
    }
    modules
}

/// The version in a `version.py`.
fn read(path: &Path) -> Option<String> {
    let text = String::from_utf8(files::read(path, MAX_LENGTH).ok()?).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix("version")?.trim_start().strip_prefix('='))?;
    let value = value.trim().trim_matches(['"', '\'']);
    value.starts_with(|first: char| first.is_ascii_digit()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_version_is_found_beside_the_client() {
        let root = tempfile::tempdir().unwrap();
        let client = root.path().join("bin/fail2ban-client");
        let modules = root.path().join("lib/python3.13/site-packages/fail2ban");
        fs::create_dir_all(root.path().join("bin")).unwrap();
        fs::create_dir_all(&modules).unwrap();
        fs::write(&client, "").unwrap();
        fs::set_permissions(&client, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(version(&client), None);
        fs::write(modules.join("version.py"), "# text\nversion = \"1.1.0\"\ndef normVersion():\n").unwrap();
        assert_eq!(version(&client).as_deref(), Some("1.1.0"));
        fs::write(modules.join("version.py"), "version = unknown\n").unwrap();
        assert_eq!(version(&client), None);
        assert!(!reads_journals(&client));
        let journal = root.path().join("lib/python3/dist-packages/systemd");
        fs::create_dir_all(&journal).unwrap();
        fs::write(journal.join("journal.py"), "").unwrap();
        assert!(reads_journals(&client));
    }

    #[test]
    fn the_installed_version_is_what_its_client_says() {
        let client = Path::new("fail2ban-client");
        let said = std::process::Command::new(client).arg("-V").output().unwrap();
        assert_eq!(version(client).unwrap(), String::from_utf8_lossy(&said.stdout).trim());
    }
}

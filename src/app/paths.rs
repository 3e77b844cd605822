//! Which paths of the machine a client may name: log files under the allowed directories, after resolving links.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::error::ApiError;
use crate::config::Config;
use crate::files;
use crate::jobs::log_paths;

/// Targets of the daemon's log that are no files.
const NAMED_TARGETS: [&str; 5] = ["STDOUT", "STDERR", "SYSLOG", "SYSOUT", "SYSTEMD-JOURNAL"];

/// A log target of the daemon: a named one, or a file under the allowed directories. `kept` are databases and sockets, which are never
/// written to, nor is what stands beside them under a longer name.
pub fn log_target(config: &Config, kept: &[&Path], target: &str) -> Result<String, ApiError> {
    if NAMED_TARGETS.contains(&target) {
        return Ok(target.to_owned());
    }
    let path = allowed(config, Path::new(target)).map_err(|problem| ApiError::invalid_field("log_target", problem))?;
    if let Some(whose) = is_kept(config, kept, &path) {
        let detail =
            format!("{} is {whose}, and fail2ban would write its log into it. Name a file of its own.", path.display());
        return Err(ApiError::invalid_field("log_target", detail));
    }
    Ok(path.to_string_lossy().into_owned())
}

/// Whose file a path is, where a log must not be written to it.
fn is_kept(config: &Config, kept: &[&Path], path: &Path) -> Option<&'static str> {
    let resolved = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let directory = resolved(&config.fail2ban_config);
    let below = ["jail.conf", "jail.local", "fail2ban.conf", "fail2ban.local", "paths-common.conf"];
    let folders = ["jail.d", "fail2ban.d", "filter.d", "action.d"];
    if let Ok(rest) = path.strip_prefix(&directory) {
        let is_part =
            below.iter().any(|name| rest == Path::new(name)) || folders.iter().any(|name| rest.starts_with(name));
        let is_conf = rest.extension().is_some_and(|ending| ending == "conf" || ending == "local");
        if is_part || is_conf {
            return Some("a file of fail2ban's configuration");
        }
    }
    let begins = |file: &&&Path| {
        let own = resolved(file);
        let (own, path) = (own.as_os_str().as_encoded_bytes(), path.as_os_str().as_encoded_bytes());
        path.strip_prefix(own).is_some_and(|rest| rest.is_empty() || b"-.".contains(&rest[0]))
    };
    if kept.iter().any(|file| begins(&file)) {
        return Some("a database, or beside one");
    }
    // Whatever else is there: a log is text.
    let mut head = [0; 512];
    let length = files::open(path).and_then(|mut file| file.read(&mut head)).unwrap_or(0);
    head[..length].contains(&0).then_some("no log: it is not text")
}

/// The resolved path of a file that exists, or may be made, under an allowed directory. The error is a sentence.
pub fn allowed(config: &Config, path: &Path) -> Result<PathBuf, String> {
    log_paths::allowed(&config.allowed_log_dirs, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_target_is_a_named_one_or_a_file_under_the_allowed_directories() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::defaults(false, None, None);
        let logs = directory.path().to_owned();
        config.allowed_log_dirs = vec![logs.clone()];
        for bad in ["/etc/cron.d/x", "/proc/self/mem", "relative", "/"] {
            assert!(log_target(&config, &[], bad).is_err(), "{bad}");
        }
        std::fs::write(logs.join("own.db"), "SQLite format 3\0").unwrap();
        std::fs::write(logs.join("wtmp"), [1, 0, 0]).unwrap();
        std::fs::create_dir_all(logs.join("f2b/jail.d")).unwrap();
        config.fail2ban_config = logs.join("f2b");
        let kept = [logs.join("own.db")];
        let kept: Vec<&Path> = kept.iter().map(PathBuf::as_path).collect();
        for bad in ["own.db", "own.db-wal", "own.db.ctl", "wtmp", "f2b/jail.local", "f2b/jail.d/x.log", "f2b/new.conf"]
        {
            assert!(log_target(&config, &kept, logs.join(bad).to_str().unwrap()).is_err(), "{bad}");
        }
        for good in ["f2b/f.log", "own.dbx.log", "f.log"] {
            assert!(log_target(&config, &kept, logs.join(good).to_str().unwrap()).is_ok(), "{good}");
        }
        assert_eq!(log_target(&config, &[], "SYSLOG").unwrap(), "SYSLOG");
    }
}

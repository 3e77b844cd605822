//! Which paths of the machine a client may name: log files under the allowed directories, after resolving links.

use std::path::{Component, Path, PathBuf};

use super::ApiError;
use crate::config::Config;

/// Targets of the daemon's log that are no files.
const NAMED_TARGETS: [&str; 5] = ["STDOUT", "STDERR", "SYSLOG", "SYSOUT", "SYSTEMD-JOURNAL"];

/// A log target of the daemon: a named one, or a file under the allowed directories.
pub fn log_target(config: &Config, target: &str) -> Result<String, ApiError> {
    if NAMED_TARGETS.contains(&target) {
        return Ok(target.to_owned());
    }
    let path = allowed(config, Path::new(target)).map_err(|problem| ApiError::invalid_field("log_target", problem))?;
    Ok(path.to_string_lossy().into_owned())
}

/// The resolved path of a file that exists, or may be made, under an allowed directory. The error is a sentence.
pub fn allowed(config: &Config, path: &Path) -> Result<PathBuf, String> {
    let outside = || {
        let list: Vec<String> = config.allowed_log_dirs.iter().map(|dir| dir.display().to_string()).collect();
        format!("The path must lie under one of: {}.", list.join(", "))
    };
    let text = path.to_str().ok_or("The path is not valid text.")?;
    let is_plain = path.is_absolute()
        && !text.chars().any(|character| character.is_control() || "*?[]<>%".contains(character))
        && path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if !is_plain {
        return Err("An absolute path without .. and wildcards is expected.".into());
    }
    let name = path.file_name().ok_or_else(outside)?;
    let resolved = match path.canonicalize() {
        Ok(resolved) => resolved,
        Err(_) => {
            let directory = path.parent().unwrap_or(Path::new("/"));
            let directory = directory.canonicalize().map_err(|error| format!("{}: {error}.", directory.display()))?;
            // A link to nowhere would be followed by whoever creates the file.
            if path.symlink_metadata().is_ok() {
                return Err(outside());
            }
            directory.join(name)
        }
    };
    let is_inside = config.allowed_log_dirs.iter().any(|directory| {
        let directory = directory.canonicalize().unwrap_or_else(|_| directory.clone());
        resolved != directory && resolved.starts_with(&directory)
    });
    if !is_inside {
        return Err(outside());
    }
    match resolved.metadata() {
        Ok(found) if !found.is_file() => Err("The path is not a regular file.".into()),
        _ => Ok(resolved),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_under_the_allowed_directories() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let logs = root.join("logs");
        std::fs::create_dir_all(logs.join("sub")).unwrap();
        std::fs::write(root.join("secret"), "").unwrap();
        std::os::unix::fs::symlink(root.join("secret"), logs.join("link")).unwrap();
        std::os::unix::fs::symlink(root.join("nowhere"), logs.join("dangling")).unwrap();
        std::os::unix::fs::symlink(root, logs.join("up")).unwrap();
        let mut config = Config::defaults(false, None, None);
        config.allowed_log_dirs = vec![logs.clone()];
        for good in ["f.log", "sub/f.log"] {
            assert!(allowed(&config, &logs.join(good)).is_ok(), "{good}");
        }
        for bad in ["", "../secret", "link", "dangling", "up/secret", "sub", "none/f", "a*", "a\nb"] {
            assert!(allowed(&config, &logs.join(bad)).is_err(), "{bad}");
        }
        for bad in ["/etc/cron.d/x", "/proc/self/mem", "relative", "/"] {
            assert!(log_target(&config, bad).is_err(), "{bad}");
        }
        assert_eq!(log_target(&config, "SYSLOG").unwrap(), "SYSLOG");
    }
}

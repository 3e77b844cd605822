//! Which paths of the machine a client may name for logs: files under the allowed directories, after resolving links, and patterns of them.

use std::path::{Component, Path, PathBuf};

use crate::conf::{glob, is_pattern};

/// The most files a pattern may stand for.
const MOST_FILES: usize = 1000;

fn outside(directories: &[PathBuf]) -> String {
    let list: Vec<String> = directories.iter().map(|dir| dir.display().to_string()).collect();
    format!("The path must be below one of these directories: {}.", list.join(", "))
}

/// Whether a resolved path is one of the directories or below one.
fn is_inside(directories: &[PathBuf], resolved: &Path) -> bool {
    directories.iter().any(|directory| {
        let directory = directory.canonicalize().unwrap_or_else(|_| directory.clone());
        resolved.starts_with(&directory)
    })
}

/// Whether a text is an absolute path that means the same wherever it is written.
fn is_plain(text: &str, forbidden: &str) -> bool {
    let path = Path::new(text);
    path.is_absolute()
        && !text.chars().any(|character| character.is_control() || forbidden.contains(character))
        && path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
}

/// The resolved path of a file that exists, or may be made, under an allowed directory. The error is a sentence.
pub fn allowed(directories: &[PathBuf], path: &Path) -> Result<PathBuf, String> {
    let text = path.to_str().ok_or("The path is not valid text.")?;
    if !is_plain(text, "*?[]<>%") {
        return Err("The path must be absolute, without .. and without wildcards.".into());
    }
    let name = path.file_name().ok_or_else(|| outside(directories))?;
    let resolved = match path.canonicalize() {
        Ok(resolved) => resolved,
        Err(_) => {
            let directory = path.parent().unwrap_or(Path::new("/"));
            let directory = directory.canonicalize().map_err(|error| format!("{}: {error}.", directory.display()))?;
            // A link to nowhere would be followed by whoever creates the file.
            if path.symlink_metadata().is_ok() {
                return Err(outside(directories));
            }
            directory.join(name)
        }
    };
    if !is_inside(directories, &resolved) || directories.contains(&resolved) {
        return Err(outside(directories));
    }
    match resolved.metadata() {
        Ok(found) if !found.is_file() => Err("The path is not a regular file.".into()),
        _ => Ok(resolved),
    }
}

/// The log files of a jail as a client names them: a file that exists, resolved, or a pattern for at least one, as it is. Every file it
/// stands for now lies under an allowed directory, and so does what it may stand for later.
pub fn logs(directories: &[PathBuf], text: &str) -> Result<String, String> {
    if text.contains([' ', ';', '#']) {
        return Err("fail2ban cannot read a path that contains spaces, ; or #.".to_owned());
    }
    if !is_pattern(text) {
        let resolved = allowed(directories, Path::new(text))?;
        return match (resolved.is_file(), resolved.to_str()) {
            (true, Some(text)) if !text.contains([' ', ';', '#']) => Ok(text.to_owned()),
            (true, _) => Err("fail2ban cannot read a path that contains spaces, ; or #.".to_owned()),
            (false, _) => Err(format!("{text} does not exist; fail2ban would refuse the jail.")),
        };
    }
    if !is_plain(text, "<>%") {
        return Err("The path must be absolute and without ..; the wildcards *, ? and [ ] are allowed.".into());
    }
    // The part without wildcards decides where the rest can lead.
    let fixed: PathBuf =
        Path::new(text).components().take_while(|part| !is_pattern(&part.as_os_str().to_string_lossy())).collect();
    if !fixed.canonicalize().is_ok_and(|fixed| is_inside(directories, &fixed)) {
        return Err(outside(directories));
    }
    let found = glob(text);
    if found.is_empty() {
        return Err(format!("No file matches {text}, so fail2ban would refuse the jail."));
    }
    if found.len() > MOST_FILES {
        return Err(format!("{text} matches {} files; at most {MOST_FILES} are allowed.", found.len()));
    }
    for path in &found {
        // Names of files that the pattern finds are not the client's words: only where they lead is judged.
        let resolved = Path::new(path).canonicalize().map_err(|error| format!("{path}: {error}."))?;
        if !is_inside(directories, &resolved) {
            return Err(format!("{text} includes {path}, which links to another place. {}", outside(directories)));
        }
        if !resolved.is_file() {
            return Err(format!("{text} includes {path}, which is not a regular file."));
        }
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_under_the_allowed_directories() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let logs_dir = root.join("logs");
        std::fs::create_dir_all(logs_dir.join("sub")).unwrap();
        std::fs::write(root.join("secret"), "").unwrap();
        for name in ["a.log", "b.log", "sub/c.log"] {
            std::fs::write(logs_dir.join(name), "").unwrap();
        }
        std::os::unix::fs::symlink(root.join("secret"), logs_dir.join("link")).unwrap();
        std::os::unix::fs::symlink(root.join("nowhere"), logs_dir.join("dangling")).unwrap();
        std::os::unix::fs::symlink(root, logs_dir.join("up")).unwrap();
        let directories = [logs_dir.clone()];
        for good in ["f.log", "sub/f.log"] {
            assert!(allowed(&directories, &logs_dir.join(good)).is_ok(), "{good}");
        }
        for bad in ["", "../secret", "link", "dangling", "up/secret", "sub", "none/f", "a*", "a\nb"] {
            assert!(allowed(&directories, &logs_dir.join(bad)).is_err(), "{bad}");
        }
        let named = |name: &str| logs(&directories, &format!("{}/{name}", logs_dir.display()));
        for good in ["a.log", "*.log", "?.log", "[ab].log", "*/c.log", "sub/*"] {
            assert!(named(good).is_ok(), "{good}: {:?}", named(good));
        }
        for bad in ["none.log", "none*", "*", "li*", "up/*", "../*", "u*/secret", "a\n*", "*.log tail", "%*"] {
            assert!(named(bad).is_err(), "{bad}");
        }
        assert!(logs(&directories, &format!("{}/*/a.log", root.display())).is_err());
        assert!(logs(&directories, "/etc/pass*").is_err());
    }

    #[test]
    fn a_directory_whose_name_only_begins_like_an_allowed_one_is_another() {
        let directory = tempfile::tempdir().unwrap();
        let inside = directory.path().join("log");
        let beside = directory.path().join("log-evil");
        for place in [&inside, &beside] {
            std::fs::create_dir(place).unwrap();
            std::fs::write(place.join("a.log"), "").unwrap();
        }
        let directories = [inside.clone()];
        let named = |place: &Path, name: &str| logs(&directories, place.join(name).to_str().unwrap());
        for name in ["a.log", "*.log"] {
            assert!(named(&inside, name).is_ok(), "{:?}", named(&inside, name));
            assert!(named(&beside, name).is_err(), "{name}");
        }
        assert!(logs(&directories, &format!("{}*/a.log", inside.display())).is_err());
        for name in ["a.log", "new.log"] {
            assert!(allowed(&directories, &inside.join(name)).is_ok(), "{name}");
            assert!(allowed(&directories, &beside.join(name)).is_err(), "{name}");
        }
    }
}

//! `bangui geo update`: fetches a country database, checks it by opening it, and puts it where the server looks. The server takes it
//! within a minute. Whatever goes wrong, the file that was there stays.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Failure, Invocation};
use crate::config::Config;
use crate::geo::file::{GeoFile, MAX_BYTES};

/// How long fetching may take altogether.
const PATIENCE: Duration = Duration::from_secs(600);

/// `geo update` is all there is of `geo`.
pub fn run(invocation: &Invocation) -> Result<(), Failure> {
    if invocation.arguments != ["update"] {
        return Err(Failure::usage("expected: bangui geo update"));
    }
    let config = invocation.config()?;
    let target = target(&config);
    let file = fetch(&config.geoip_update_url, &target).map_err(Failure::failed)?;
    println!("{}: {}, built {}", target.display(), file.kind(), crate::domain::time::rfc3339(file.built_at()));
    Ok(())
}

/// The file of the settings, else one beside our database, where the server looks first.
fn target(config: &Config) -> PathBuf {
    let own = || config.database.with_file_name("country.mmdb");
    config.geoip_database.clone().unwrap_or_else(own)
}

/// Fetches to a file beside the target and renames it over that once it has proved sound.
fn fetch(url: &str, target: &Path) -> Result<GeoFile, String> {
    let part = target.with_extension("mmdb.part");
    let fetched = download(url, &part).and_then(|()| replace(&part, target));
    if fetched.is_err() {
        // It may never have been made.
        let _ = fs::remove_file(&part);
    }
    fetched
}

fn download(url: &str, part: &Path) -> Result<(), String> {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).max_redirects(5).build().into();
    let failed = |error: &dyn std::fmt::Display| format!("cannot fetch {url}: {error}; the file in use stays");
    let mut answer = agent.get(url).call().map_err(|error| failed(&error))?;
    // One byte more than is allowed tells a file that is too large from one that just fits.
    let mut reader = answer.body_mut().with_config().limit(MAX_BYTES + 2).reader().take(MAX_BYTES + 1);
    if let Some(directory) = part.parent() {
        fs::create_dir_all(directory).map_err(|error| cannot_write(part, &error))?;
    }
    // What is left of a run that was killed is in nobody's way.
    let _ = fs::remove_file(part);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(part)
        .map_err(|error| cannot_write(part, &error))?;
    let mut buffer = vec![0; 64 * 1024];
    let mut length = 0;
    loop {
        let read = reader.read(&mut buffer).map_err(|error| failed(&error))?;
        if read == 0 {
            break;
        }
        length += read as u64;
        if length > MAX_BYTES {
            return Err(failed(&format!("it is larger than {} MiB", MAX_BYTES >> 20)));
        }
        file.write_all(&buffer[..read]).map_err(|error| cannot_write(part, &error))?;
    }
    file.sync_all().map_err(|error| cannot_write(part, &error))
}

/// Opens the new file, and makes it the one in use.
fn replace(part: &Path, target: &Path) -> Result<GeoFile, String> {
    let file = GeoFile::open(part).map_err(|error| format!("what came is of no use: {error}"))?;
    fs::rename(part, target).map_err(|error| cannot_write(target, &error))?;
    if let Some(Ok(directory)) = target.parent().map(fs::File::open) {
        // The name survives a power cut only once the directory is on the disk; a file system that cannot do that has done its best.
        let _ = directory.sync_all();
    }
    Ok(file)
}

fn cannot_write(path: &Path, error: &io::Error) -> String {
    format!("cannot write {}: {error}; check the directory's owner and space", path.display())
}

#[cfg(test)]
mod tests {
    use std::io::BufRead;
    use std::net::TcpListener;

    use super::*;
    use crate::geo::writer::{Item, database};

    /// Answers one request with these bytes; gives its URL.
    fn serve(body: Vec<u8>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = io::BufReader::new(stream.try_clone().unwrap()).lines();
            while head.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            // Whoever has had enough goes away.
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(&body);
        });
        format!("http://{address}/country.mmdb")
    }

    #[test]
    fn a_sound_file_replaces_the_old_one_and_nothing_else_does() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("sub/country.mmdb");
        let sound = database("New", &[("5.0.0.0/8", Item::Map(vec![("country_code", Item::Text("DE"))]))]);
        assert_eq!(fetch(&serve(sound.clone()), &target).unwrap().kind(), "New");
        assert_eq!(fs::read(&target).unwrap(), sound);
        for bad in [Vec::new(), b"<html>no such file</html>".to_vec(), sound[..sound.len() / 2].to_vec()] {
            let error = fetch(&serve(bad), &target).unwrap_err();
            assert!(error.contains("of no use"), "{error}");
        }
        let error = fetch("http://127.0.0.1:1/none", &target).unwrap_err();
        assert!(error.contains("stays"), "{error}");
        assert_eq!(fs::read(&target).unwrap(), sound);
        let left = fs::read_dir(target.parent().unwrap()).unwrap().count();
        assert_eq!(left, 1, "no half file stays behind");
    }
}

//! The command stream against fail2ban itself, every release there is: what `fail2ban-client -d` prints decides, for the stock
//! configuration and for hand-made trees, one per group of quirks.
//!
//! `make test` installs fail2ban; each test fails where nothing was compared.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bangui::conf::{StreamOptions, Tree, Version};
use serde_json::Value;

use crate::harness::release::Release;

/// What a program makes of a configuration: the commands, unless it refuses, and whether it calls the whole usable.
#[derive(Debug, PartialEq)]
struct Verdict {
    commands: Vec<Value>,
    usable: bool,
}

/// Trees that are something else before 1.0: actions are divided at line ends only, mistakes in their parameters passed over, and the
/// configuration directory has no name.
const NOT_BEFORE_1_0: [&str; 5] =
    ["bad-conditional-parameters", "conditional-parameters", "interpolation-version", "skipped-jail", "syntax"];

/// The releases to compare with.
fn releases() -> Vec<(Release, Version)> {
    Release::all().into_iter().map(|release| (release.clone(), Version::new(&release.version()))).collect()
}

/// Runs `fail2ban-client -d` and turns its Python literals into JSON.
fn theirs(release: &Release, directory: &Path) -> (Verdict, Duration, String) {
    let begin = Instant::now();
    let output = release
        .program("fail2ban-client")
        .arg("-c")
        .arg(directory)
        .arg("-d")
        .env("PYTHONIOENCODING", "utf-8:surrogateescape")
        .output()
        .unwrap();
    let took = begin.elapsed();
    let verdict = Verdict { commands: as_json(&output.stdout), usable: output.status.success() };
    let said = format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    (verdict, took, said)
}

/// The commands that `fail2ban-client -d` printed.
pub fn as_json(printed: &[u8]) -> Vec<Value> {
    let script = "import sys, ast, json\n\
        for line in sys.stdin:\n    \
        if line.startswith('['): print(json.dumps(ast.literal_eval(line)))";
    let mut python = Command::new("python3")
        .args(["-c", script])
        .env("PYTHONIOENCODING", "utf-8:surrogateescape")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = python.stdin.take().unwrap();
    let printed = printed.to_owned();
    let writer = std::thread::spawn(move || {
        use std::io::Write;
        input.write_all(&printed).unwrap();
    });
    let json = python.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(json.status.success());
    let commands = String::from_utf8(json.stdout).unwrap();
    commands.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What this program makes of the same directory.
fn ours(directory: &Path, version: &Version) -> (Verdict, Duration, String) {
    let begin = Instant::now();
    let options = StreamOptions { version: version.clone(), ..StreamOptions::default() };
    let stream = Tree::load(directory).and_then(|tree| tree.stream(&options));
    let took = begin.elapsed();
    match stream {
        Ok(stream) => {
            let commands = stream.commands.iter();
            let verdict = Verdict {
                commands: commands.map(|c| serde_json::to_value(c).unwrap()).collect(),
                usable: stream.is_usable(),
            };
            (verdict, took, String::new())
        }
        Err(error) => {
            let verdict = Verdict { commands: Vec::new(), usable: false };
            (verdict, took, error.to_string())
        }
    }
}

/// Compares both, command by command, and returns the verdict with both times.
fn compare(
    name: &str,
    directory: &Path,
    (release, version): &(Release, Version),
) -> (Verdict, Duration, Duration, String) {
    let name = format!("{name}, fail2ban {}", version.text());
    let (expected, their_time, said) = theirs(release, directory);
    let (found, our_time, error) = ours(directory, version);
    for (at, (left, right)) in expected.commands.iter().zip(&found.commands).enumerate() {
        assert_eq!(left, right, "{name}: command {at}, fail2ban's left, ours right");
    }
    let context = format!("{name}: fail2ban says {said:?}, we say {error:?}");
    assert_eq!(expected.commands.len(), found.commands.len(), "{context}");
    assert_eq!(expected.usable, found.usable, "{context}");
    (found, their_time, our_time, error)
}

/// Writes the files of a `.tree` text below `root`: each begins at a line `=== path`.
fn plant(text: &[u8], root: &Path) {
    let crlf = text.windows(5).any(|part| part == b"crlf:");
    let mut file: Option<PathBuf> = None;
    let mut content = Vec::new();
    let place = root.to_str().unwrap();
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        if let Some(name) = line.strip_prefix(b"=== ") {
            write_file(file.take(), &mut content);
            let name = std::str::from_utf8(name).unwrap().trim_end();
            file = Some(root.join(name));
        } else if let Ok(line) = std::str::from_utf8(line) {
            let line = line.replace("@ROOT@", place);
            let end = if crlf { "\r\n" } else { "\n" };
            content.extend_from_slice(line.replace('\n', end).as_bytes());
        } else {
            content.extend_from_slice(line);
        }
        if file.is_none() {
            content.clear();
        }
    }
    write_file(file, &mut content);
}

fn write_file(file: Option<PathBuf>, content: &mut Vec<u8>) {
    if let Some(file) = file {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, &content).unwrap();
    }
    content.clear();
}

#[test]
fn conf_parity_hand_made_trees() {
    releases().iter().for_each(hand_made_trees);
}

fn hand_made_trees(release: &(Release, Version)) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/conf");
    let mut compared = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read(&path).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if release.1.text().starts_with("0.") && NOT_BEFORE_1_0.contains(&name.as_str()) {
            continue;
        }
        let root = tempfile::tempdir().unwrap();
        plant(&text, root.path());
        // What is to be seen of a tree is not that the server has no file of its own, which releases from 1.1.1 on refuse.
        let main = root.path().join("fail2ban.conf");
        if !main.exists() {
            fs::write(main, "").unwrap();
        }
        if name == "logpaths" {
            symlink("nowhere", root.path().join("log/dangling-two.log")).unwrap();
            symlink("nowhere", root.path().join("log/tzz.log")).unwrap();
        }
        let (verdict, _, _, error) = compare(&name, root.path(), release);
        let expect = expectation(&text, &release.1);
        let skipped = verdict.commands.iter().filter(|c| c[0] == "config-error").count();
        match expect.as_str() {
            "stream" => assert!(verdict.usable && skipped == 0, "{name}: {error}"),
            "some skipped" => assert!(verdict.usable && skipped > 0, "{name}"),
            "unusable" => assert!(!verdict.usable && !verdict.commands.is_empty()),
            "refused" => {
                assert!(verdict.commands.is_empty(), "{name}");
                assert!(!error.contains('\n') && error.len() > 10, "{name}: {error:?}");
            }
            other => panic!("{name}: {other:?}"),
        }
        compared += 1;
    }
    assert!(compared >= 50, "only {compared} trees compared");
}

/// What a tree's first line says is to come of it: `expect: stream`, or `expect: stream, from 1.1.1 some skipped`.
fn expectation(tree: &[u8], version: &Version) -> String {
    let line = String::from_utf8_lossy(tree.split(|&byte| byte == b'\n').next().unwrap()).into_owned();
    let line = line.strip_prefix("expect: ").unwrap_or_else(|| panic!("{line:?}"));
    match line.split_once(", from 1.1.1 ") {
        None => line.to_owned(),
        Some((_, later)) if version.numbers() >= (1, 1, 1) => later.to_owned(),
        Some((before, _)) => before.to_owned(),
    }
}

#[test]
fn conf_parity_undecodable_files_are_passed_over_as_a_whole() {
    releases().iter().for_each(undecodable_files);
}

fn undecodable_files(release: &(Release, Version)) {
    // From 1.1.1 on each file of the server and of the jails has to be readable.
    let passes_over = release.1.numbers() < (1, 1, 1);
    let root = tempfile::tempdir().unwrap();
    plant(
        b"=== fail2ban.conf\n=== jail.conf\n[a]\nenabled = true\nbantime = 1\n[b]\nenabled = true\n=== jail.local\n[a]\nbantime = 2\n# \xff\n",
        root.path(),
    );
    assert_eq!(compare("bad byte", root.path(), release).0.usable, passes_over);
    // The parser stops at a duplicate before Python decodes a bad byte 20 KB further down.
    let mut late = b"[a]\nx=1\nx=2\n".to_vec();
    late.extend(b"# filler\n".repeat(3000));
    late.extend(b"\xff\n");
    fs::write(root.path().join("jail.local"), &late).unwrap();
    assert!(!compare("late bad byte", root.path(), release).0.usable);
    let late = [b"# \xff\n", &late[..]].concat();
    fs::write(root.path().join("jail.local"), &late).unwrap();
    assert_eq!(compare("early bad byte", root.path(), release).0.usable, passes_over);
    fs::remove_file(root.path().join("jail.local")).unwrap();
    fs::create_dir(root.path().join("jail.local")).unwrap();
    assert_eq!(compare("a directory", root.path(), release).0.usable, passes_over);
    fs::remove_dir(root.path().join("jail.local")).unwrap();
    symlink("nowhere", root.path().join("jail.local")).unwrap();
    assert!(compare("a dangling link", root.path(), release).0.usable);
    fs::write(root.path().join("fail2ban.local"), b"[Definition]\nloglevel = DEBUG\n# \xff\n").unwrap();
    assert_eq!(compare("bad byte in the server's file", root.path(), release).0.usable, passes_over);
}

#[test]
fn conf_parity_without_the_files_of_the_server_or_of_the_jails() {
    releases().iter().for_each(without_main_files);
}

fn without_main_files(release: &(Release, Version)) {
    let does_without = release.1.numbers() < (1, 1, 1);
    for files in
        ["jail.conf", "fail2ban.conf", "none.conf", "jail.local fail2ban.local", "jail.d/x.conf fail2ban.d/y.local"]
    {
        let root = tempfile::tempdir().unwrap();
        for file in files.split(' ') {
            write_file(Some(root.path().join(file)), &mut Vec::new());
        }
        let complete = files.contains("jail.") && files.contains("fail2ban.");
        assert_eq!(compare(files, root.path(), release).0.usable, does_without || complete, "{files}");
    }
}

#[test]
fn conf_parity_a_directory_named_relative_to_where_one_is() {
    releases().iter().for_each(relative_directory);
}

/// The program is asked, since the directory that a name is relative to belongs to a process.
fn relative_directory(release: &(Release, Version)) {
    if release.1.numbers() < (1, 0, 0) {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let tree = b"=== conf/fail2ban.conf\n=== conf/jail.conf\n[INCLUDES]\nbefore = ../more.conf\n[a]\nenabled = true\nbantime = %(fail2ban_confpath)s\nlogpath = log/*.log\nfilter = ./f\naction = x.py\n  ./conf/action.d/act\n=== more.conf\n[b]\nenabled = true\n=== f.conf\n[Definition]\nfailregex = ^<HOST>\n=== conf/action.d/act.conf\n[Definition]\nactionban = <actname>\n=== log/a.log\n";
    plant(tree, root.path());
    for directory in ["conf", "./conf", "conf/", "../conf", "conf//", "conf/../conf"] {
        let below = if directory.starts_with("..") { root.path().join("conf") } else { root.path().to_owned() };
        let theirs =
            release.0.program("fail2ban-client").args(["-c", directory, "-d"]).current_dir(&below).output().unwrap();
        assert!(theirs.status.success(), "{directory}: {theirs:?}");
        let ours = Command::new(env!("CARGO_BIN_EXE_bangui"))
            .args(["dump-config", "--fail2ban-config", directory, "--as-version", release.1.text()])
            .current_dir(&below)
            .output()
            .unwrap();
        assert!(ours.status.success(), "{directory}: {}", String::from_utf8_lossy(&ours.stderr));
        let ours = String::from_utf8(ours.stdout).unwrap();
        let ours: Vec<Value> = ours.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(as_json(&theirs.stdout), ours, "{directory}, fail2ban {}", release.1.text());
    }
}

/// Copies the stock configuration, enables every jail and makes their log files below `root`.
fn plant_stock(release: &Release, root: &Path, backend: &str) -> PathBuf {
    let directory = root.join("fail2ban");
    let status = Command::new("cp").arg("-r").arg(release.stock()).arg(&directory).status().unwrap();
    assert!(status.success());
    let log = root.join("log");
    fs::create_dir_all(log.join("nested")).unwrap();
    for name in ["one.log", "two.log", "nested/three.log"] {
        fs::write(log.join(name), "").unwrap();
    }
    let log = log.to_str().unwrap();
    let stock = fs::read_to_string(release.stock().join("jail.conf")).unwrap();
    let mut local = format!(
        "[DEFAULT]\nbackend = {backend}\ndefault_backend = {backend}\nblocklist_de_apikey = k\nabuseipdb_apikey = k\n"
    );
    let names = stock.lines().filter_map(|line| line.strip_prefix('[')?.strip_suffix(']'));
    for (at, name) in names.filter(|name| !["DEFAULT", "INCLUDES"].contains(name)).enumerate() {
        local.push_str(&format!("[{name}]\nenabled = true\nbackend = {backend}\n"));
        match at % 3 {
            0 => local.push_str(&format!("logpath = {log}/one.log\n")),
            1 => local.push_str(&format!("logpath = {log}/*.log tail\n  {log}/*/three.log\n")),
            _ => {}
        }
    }
    for action in ["action_mwl", "action_blocklist_de", "action_xarf", "action_abuseipdb"] {
        let uses =
            format!("[with-{action}]\nenabled = true\nfilter = sshd\nlogpath = {log}/one.log\naction = %({action})s\n");
        local.push_str(&uses);
    }
    fs::write(directory.join("jail.local"), local).unwrap();
    directory
}

#[test]
fn conf_parity_stock_configuration_with_every_jail_and_backend() {
    let backends = ["auto", "polling", "systemd", "pyinotify", "gamin"];
    for (release, backend) in releases().iter().flat_map(|release| backends.map(|backend| (release, backend))) {
        let root = tempfile::tempdir().unwrap();
        let directory = plant_stock(&release.0, root.path(), backend);
        let (verdict, slow, fast, error) = compare(backend, &directory, release);
        assert!(verdict.usable && verdict.commands.len() > 1000, "{error}");
        eprintln!(
            "fail2ban {}, backend {backend}: {} commands equal; fail2ban-client -d {} ms, we {:.1} ms in this build",
            release.1.text(),
            verdict.commands.len(),
            slow.as_millis(),
            fast.as_secs_f64() * 1000.0
        );
    }
}

#[test]
fn conf_parity_every_stock_action() {
    releases().iter().for_each(every_stock_action);
}

fn every_stock_action(release: &(Release, Version)) {
    let root = tempfile::tempdir().unwrap();
    let directory = plant_stock(&release.0, root.path(), "polling");
    let mut local = String::new();
    for entry in fs::read_dir(release.0.stock().join("action.d")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(action) = name.strip_suffix(".conf") else {
            continue;
        };
        local.push_str(&format!(
            "[use-{action}]\nenabled = true\nfilter = sshd\naction = {action}[port=\"1,2\"]\n  {action}[name=x, blocktype=DROP]\n"
        ));
    }
    fs::write(directory.join("jail.local"), local).unwrap();
    let (verdict, ..) = compare("every action", &directory, release);
    assert!(verdict.commands.len() > 200);
}

//! The summary of `bangui test-filter` against that of `fail2ban-regex`: the same counts for the sample logs of each filter, several lines
//! searched together included.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::harness::release::Release;

/// Samples over which fail2ban-regex takes minutes.
const SLOW: [&str; 2] = ["domino-smtp", "apache-overflows"];

/// The figures of a summary: totals of the expressions, and the lines.
fn figures(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    let wanted = |line: &&str| {
        let total = ["Prefregex: ", "Failregex: ", "Ignoreregex: "].iter().any(|start| line.starts_with(start));
        total || line.starts_with("Lines: ")
    };
    text.lines().filter(wanted).map(|line| line.trim().to_owned()).collect()
}

fn theirs(release: &Release, filter: &str, log: &Path) -> Vec<String> {
    let stock = release.stock();
    let file = stock.join("filter.d").join(format!("{filter}.conf"));
    // By its path: a plain name is that of a jail, from 1.1 on. Names of hosts stay names, as with us.
    figures(&release.program("fail2ban-regex").arg("--raw").arg("-c").arg(&stock).arg(log).arg(file).output().unwrap())
}

fn ours(release: &Release, filter: &str, log: &Path) -> Vec<String> {
    let mut bangui = Command::new(env!("CARGO_BIN_EXE_bangui"));
    bangui.args(["test-filter", "--as-version", &release.version(), "--fail2ban-config"]).arg(release.stock());
    figures(&bangui.arg(filter).arg(log).output().unwrap())
}

#[test]
fn summaries_count_as_fail2ban_regex_counts() {
    let release = Release::under_test();
    let (mut wrong, mut compared, mut several) = (Vec::new(), 0, 0);
    let (begin, scratch) = (Instant::now(), tempfile::tempdir().unwrap());
    let mut logs: Vec<_> = fs::read_dir(release.samples()).unwrap().map(|entry| entry.unwrap().path()).collect();
    logs.sort();
    for log in logs {
        let filter = log.file_name().unwrap().to_str().unwrap().to_owned();
        let file = release.stock().join("filter.d").join(format!("{filter}.conf"));
        if SLOW.contains(&filter.as_str()) || !file.is_file() || !log.is_file() {
            continue;
        }
        // 1.0.2 does not see a last line that has no end.
        let text = fs::read(&log).unwrap();
        let log = scratch.path().join(&filter);
        fs::write(&log, [&text[..], b"\n"].concat()).unwrap();
        let (expected, found) = (theirs(&release, &filter, &log), ours(&release, &filter, &log));
        compared += 1;
        several += usize::from(fs::read_to_string(file).unwrap().contains("\nmaxlines"));
        if expected.is_empty() || expected != found {
            wrong.push(format!("{filter}: fail2ban-regex {expected:?}, we {found:?}"));
        }
    }
    println!("{compared} summaries, {several} of several lines together, in {:?}", begin.elapsed());
    assert!(compared > 70 && several > 1, "only {compared} summaries compared: are the sample logs installed?");
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(begin.elapsed() < Duration::from_secs(600));
}

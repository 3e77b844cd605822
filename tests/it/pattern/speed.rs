//! How fast filters compile, and how many lines a second they judge, next to `fail2ban-regex` on the same log.
//!
//! Prints figures; it is ignored in ordinary runs, since they mean something in a release build only:
//! `cargo test --release --test it pattern::speed -- --ignored --nocapture`.

use std::io::{BufReader, Write};
use std::process::Command;
use std::time::Instant;

use bangui::cli::test_filter;
use bangui::pattern::Filter;
use bangui::pattern::date::Clock;

use super::oracle::export;
use super::samples::definition;

/// Lines of the log that both judge.
const LINES: usize = 20_000;

#[test]
#[ignore = "measures; run it in a release build"]
fn compile_time_and_lines_per_second() {
    let export = export();
    let start = Instant::now();
    let mut expressions = 0;
    for filter in &export.stock {
        let made = Filter::new(&definition(filter), Clock::system()).unwrap();
        expressions += made.failregex().len() + made.ignoreregex().len() + usize::from(made.prefregex().is_some());
    }
    println!("{} stock filters, {expressions} expressions compiled in {:?}", export.stock.len(), start.elapsed());
    for name in ["sshd", "apache-auth", "postfix", "nginx-http-auth"] {
        compare(&export, name);
    }
}

fn compare(export: &super::oracle::Export, name: &str) {
    let samples: Vec<&str> = export
        .filters
        .iter()
        .filter(|filter| filter.name == name && !filter.journal)
        .flat_map(|filter| filter.lines.iter().map(|sample| sample.line.as_str()))
        .collect();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("test.log");
    let mut log = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    for index in 0..LINES {
        writeln!(log, "{}", samples[index % samples.len()]).unwrap();
    }
    log.flush().unwrap();
    let stock = export.stock.iter().find(|filter| filter.name == name).unwrap();
    let start = Instant::now();
    let mut input = BufReader::new(std::fs::File::open(&path).unwrap());
    let counts = test_filter::run(&definition(stock), Clock::system(), true, &mut input, &mut std::io::sink()).unwrap();
    let ours = start.elapsed();
    assert_eq!(counts.lines, LINES);
    let start = Instant::now();
    let output = Command::new("fail2ban-regex").arg(&path).arg(name).output().expect("fail2ban-regex runs");
    let theirs = start.elapsed();
    let text = String::from_utf8_lossy(&output.stdout);
    let summary = text.lines().find(|line| line.starts_with("Lines:")).unwrap_or("no summary");
    println!(
        "{name}: ours {:.0} lines/s ({} matched, {} ignored), fail2ban-regex {:.0} lines/s ({summary}), {:.1} times as fast",
        LINES as f64 / ours.as_secs_f64(),
        counts.matched,
        counts.ignored,
        LINES as f64 / theirs.as_secs_f64(),
        theirs.as_secs_f64() / ours.as_secs_f64(),
    );
}

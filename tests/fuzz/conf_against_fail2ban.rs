//! Fuzzing of the configuration language against the installed fail2ban: both must make the same of the same text.
//!
//! The generator and the time limit are those of `fuzz_conf`. Where fail2ban is not installed the tests say that they are left out; where
//! it is, they count what was compared and fail when that was nothing.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use bangui::conf::{Document, Error, StreamOptions, Tree, Version, invocation, invocations};

use super::fuzz_conf::{random_tree, run, soup};
use super::harness::not_installed;
use super::harness::release::Release;

fn plant(files: &[(&str, String)], root: &Path) {
    for (name, text) in files {
        let path: PathBuf = root.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory can be made");
        fs::write(path, text).expect("a file can be written");
    }
}

/// A process of Python that answers one line of JSON for each line it is sent.
struct Oracle {
    python: std::process::Child,
    input: std::process::ChildStdin,
    output: BufReader<std::process::ChildStdout>,
}

impl Oracle {
    /// Starts `script`; `None` where fail2ban is not installed.
    fn start(script: &str) -> Option<Oracle> {
        let release = Release::under_test();
        if release.program("fail2ban-client").arg("-V").output().is_err() {
            not_installed("fuzzing against fail2ban: it is not installed");
            return None;
        }
        let mut python = release
            .python()
            .args(["-W", "ignore", "-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is there wherever fail2ban is");
        let input = python.stdin.take().expect("a pipe");
        let mut output = BufReader::new(python.stdout.take().expect("a pipe"));
        let mut line = String::new();
        output.read_line(&mut line).expect("the oracle starts");
        assert_eq!(line.trim(), "ready");
        Some(Oracle { python, input, output })
    }

    fn ask(&mut self, question: &str) -> serde_json::Value {
        writeln!(self.input, "{question}").expect("the oracle listens");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the oracle answers");
        serde_json::from_str(&line).expect("JSON")
    }

    fn stop(mut self) {
        drop(self.input);
        self.python.wait().expect("the oracle ends");
    }
}

/// Asks the installed fail2ban for the streams of many directories in one process. For each directory that is written
/// to its input, one line of JSON comes back: the commands, or null when it refuses.
const ORACLE: &str = r#"
import sys, json, logging
import os
sys.path.insert(0, os.environ['FAIL2BAN_MODULES'])
logging.disable(logging.CRITICAL)
from fail2ban.client.fail2bancmdline import Fail2banCmdLine
import fail2ban.client.fail2bancmdline as module
module.output = lambda text: None
print('ready', flush=True)
for line in sys.stdin:
    found = []
    module.output = found.append
    try:
        client = Fail2banCmdLine()
        answer = client.initCmdLine(['fail2ban-client', '-c', line.rstrip('\n'), '-d'])
        refused = not found or isinstance(found[-1], str)
        print(json.dumps({'usable': bool(answer), 'commands': [] if refused else found}), flush=True)
    except Exception as error:
        print(json.dumps({'usable': False, 'commands': []}), flush=True)
"#;

#[test]
fn fuzz_conf_oracle_trees_give_what_the_installed_fail2ban_gives() {
    let Some(mut oracle) = Oracle::start(ORACLE) else {
        return;
    };
    let version = Version::new(&Release::under_test().version());
    let (mut accepted, mut refused, mut slowest) = (0, 0, Duration::ZERO);
    run("parity", |random| {
        let files = random_tree(random);
        let root = tempfile::tempdir().expect("a directory");
        plant(&files, root.path());
        let options = StreamOptions { version: version.clone(), ..StreamOptions::default() };
        let begin = Instant::now();
        let stream = Tree::load(root.path()).and_then(|tree| tree.stream(&options));
        slowest = slowest.max(begin.elapsed());
        if let Err(Error::Limit { .. }) = &stream {
            return; // fail2ban has no limits and would fill the memory with this one.
        }
        let theirs = oracle.ask(root.path().to_str().expect("UTF-8"));
        let ours = match &stream {
            Ok(stream) => {
                serde_json::json!({"usable": stream.is_usable(), "commands": stream.commands})
            }
            Err(_) => serde_json::json!({"usable": false, "commands": []}),
        };
        assert_eq!(ours, theirs, "ours left, fail2ban's right\n{files:#?}\n{:?}", stream.err());
        if ours["commands"] == serde_json::json!([]) {
            refused += 1;
        } else {
            accepted += 1;
        }
    });
    eprintln!("parity: {accepted} trees accepted by both, {refused} refused by both, our slowest {slowest:?}");
    assert!(
        accepted > 0 && refused > 0,
        "{accepted} trees accepted and {refused} refused: too few to have compared anything"
    );
    oracle.stop();
}

/// Answers what fail2ban reads in a text as parameters, as a list of actions and as words of a shell.
const PARAMETERS: &str = r#"
import sys, json, shlex
import os
sys.path.insert(0, os.environ['FAIL2BAN_MODULES'])
from fail2ban.helpers import extractOptions, splitWithOptions, splitwords
def attempt(function, text):
    try: return function(text)
    except ValueError as error: return str(error)
print('ready', flush=True)
for line in sys.stdin:
    text = json.loads(line)
    parts = [part.strip() for part in splitWithOptions(text)]
    print(json.dumps([attempt(extractOptions, text), parts, splitwords(text)]), flush=True)
"#;

#[test]
fn fuzz_conf_parameters_are_read_as_the_installed_fail2ban_reads_them() {
    let Some(mut oracle) = Oracle::start(PARAMETERS) else {
        return;
    };
    let pieces = [
        "a",
        "b[",
        "[",
        "]",
        "=",
        "x=",
        "y='",
        "\"",
        "'",
        ",",
        " ",
        "\n",
        "][",
        "] [",
        "x=1",
        "a[x=1]",
        "a[x=\"1, 2\"]",
        "é",
        "-",
        ".",
        "\t",
        "1",
        "z=]",
        "='",
        ", ",
    ];
    let mut compared = 0;
    let is_old = !Version::new(&Release::under_test().version()).divides_at_any_space();
    run("parameters", |random| {
        let text: String = (0..random.below(14)).map(|_| random.pick(&pieces)).collect();
        let theirs = oracle.ask(&serde_json::to_string(&text).expect("JSON"));
        let called = match invocation(&text) {
            Ok(called) => {
                let pairs = called.parameters.iter();
                let pairs = pairs.map(|(key, value)| (key.to_string(), serde_json::json!(value)));
                let map: serde_json::Map<String, serde_json::Value> = pairs.collect();
                serde_json::json!([called.name, map])
            }
            Err(reason) => serde_json::json!(reason),
        };
        let list = invocations(&text).expect("a short list");
        let words = if is_old { bangui::conf::words_of_old(&text) } else { bangui::conf::words(&text) };
        assert_eq!(serde_json::json!([called, list, words]), theirs, "{text:?}");
        compared += 1;
    });
    assert!(compared > 0, "nothing was compared");
    oracle.stop();
}

/// Answers what fail2ban's parser reads in a file, or null when it refuses the file.
const PARSER: &str = r#"
import sys, json, io, configparser
import os
sys.path.insert(0, os.environ['FAIL2BAN_MODULES'])
from fail2ban.client.configparserinc import SafeConfigParserWithIncludes
print('ready', flush=True)
for line in sys.stdin:
    parser = SafeConfigParserWithIncludes()
    text = io.TextIOWrapper(io.BytesIO(json.loads(line).encode()), encoding='utf-8')
    try:
        parser.read_file(text, 'x')
        print(json.dumps([parser.get_defaults(), parser.get_sections()]), flush=True)
    except configparser.Error:
        print('null', flush=True)
"#;

#[test]
fn fuzz_conf_files_are_parsed_as_the_installed_fail2ban_parses_them() {
    let Some(mut oracle) = Oracle::start(PARSER) else {
        return;
    };
    let (mut accepted, mut refused) = (0, 0);
    run("files", |random| {
        let text = match random.below(3) {
            0 => soup(random),
            _ => format!("[s]\nfirst = 1{}", soup(random)),
        };
        let theirs = oracle.ask(&serde_json::to_string(&text).expect("JSON"));
        let Ok(document) = Document::parse(text.as_str()) else {
            assert!(theirs.is_null(), "only we refuse {text:?}");
            refused += 1;
            return;
        };
        accepted += 1;
        let mut defaults = serde_json::Map::new();
        let mut sections = serde_json::Map::new();
        for section in &document.sections {
            if &*section.name != "DEFAULT" {
                sections.insert(section.name.to_string(), serde_json::json!({}));
            }
        }
        for setting in &document.settings {
            let name = &document.sections[setting.section].name;
            let options = match sections.get_mut(&**name) {
                Some(options) => options.as_object_mut().expect("a section is an object"),
                None => &mut defaults,
            };
            options.insert(setting.key.to_string(), serde_json::json!(&*setting.value));
        }
        assert_eq!(serde_json::json!([defaults, sections]), theirs, "{text:?}");
    });
    eprintln!("files: {accepted} accepted by both, {refused} refused by both");
    assert!(
        accepted > 0 && refused > 0,
        "{accepted} files accepted and {refused} refused: too few to have compared anything"
    );
    oracle.stop();
}

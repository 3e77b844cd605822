//! Answers packed with gzip, by the one compressor that the loop keeps: making a new one each time would cost more than the packing.

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// How long a body has to be to be worth packing, and how long it may be without keeping others waiting, in bytes.
pub const WORTH: std::ops::RangeInclusive<usize> = 1024..=65_536;
/// What every file of gzip begins with: deflate, no name, no time, the fastest way, any system.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];

/// The compressor; it is made when it is first needed.
#[derive(Debug, Default)]
pub struct Gzip {
    compress: Option<Compress>,
}

impl Gzip {
    /// Packs a body; `None` where that makes it no smaller.
    pub fn pack(&mut self, body: &[u8]) -> Option<Vec<u8>> {
        let compress = self.compress.get_or_insert_with(|| Compress::new(Compression::fast(), false));
        compress.reset();
        let mut packed = Vec::with_capacity(body.len());
        packed.extend_from_slice(&HEAD);
        // A vector is never made longer by this: what does not fit is not worth it.
        let status = compress.compress_vec(body, &mut packed, FlushCompress::Finish);
        if !matches!(status, Ok(Status::StreamEnd)) {
            return None;
        }
        let mut sum = Crc::new();
        sum.update(body);
        packed.extend_from_slice(&sum.sum().to_le_bytes());
        packed.extend_from_slice(&(body.len() as u32).to_le_bytes());
        (packed.len() < body.len()).then_some(packed)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_one_compressor_packs_again_and_again_is_unpacked_as_it_was() {
        let mut gzip = Gzip::default();
        for length in [1024, 5000, 65_536, 1024] {
            let body: Vec<u8> = format!("{{\"items\":{length}}},").bytes().cycle().take(length).collect();
            let packed = gzip.pack(&body).unwrap();
            assert!(packed.len() * 4 < body.len());
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut plain).unwrap();
            assert_eq!(plain, body);
        }
        let mut state = 7_u32;
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        assert_eq!(gzip.pack(&noise.take(4096).collect::<Vec<_>>()), None, "noise is sent as it is");
    }
}

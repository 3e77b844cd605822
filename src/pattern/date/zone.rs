//! Names and offsets of time zones as fail2ban reads them: every abbreviation is a fixed offset.

/// Offsets in minutes and the abbreviations that fail2ban takes for them.
const ABBREVIATIONS: [(i32, &str); 38] = [
    (-720, "Y"),
    (-660, "X NUT SST"),
    (-600, "W CKT HAST HST TAHT TKT"),
    (-570, "MART MIT"),
    (-540, "V AKST GAMT GIT HADT HNY"),
    (-480, "U AKDT CIST HAY HNP PST PT"),
    (-420, "T HAP HNR MST PDT"),
    (-360, "S CST EAST GALT HAR HNC MDT"),
    (-300, "R CDT COT EASST ECT EST ET HAC HNE PET"),
    (-270, "HLV VET"),
    (-240, "Q AST BOT CLT COST EDT FKT GYT HAE HNA PYT"),
    (-210, "HNT NST NT"),
    (-180, "P ADT ART BRT CLST FKST GFT HAA PMST PYST SRT UYT WGT"),
    (-150, "HAT NDT"),
    (-120, "O BRST FNT PMDT UYST WGST"),
    (-60, "N AZOT CVT EGT"),
    (0, "Z EGST GMT UTC WET WT"),
    (60, "A CET DFT WAT WEDT WEST"),
    (120, "B CAT CEDT CEST EET SAST WAST"),
    (180, "C EAT EEDT EEST IDT MSK"),
    (210, "IRST"),
    (240, "D AMT AZT GET GST KUYT MSD MUT RET SAMT SCT"),
    (270, "AFT IRDT"),
    (300, "E AMST AQTT AZST HMT MAWT MVT PKT TFT TJT TMT UZT YEKT"),
    (330, "SLT"),
    (345, "NPT"),
    (360, "F ALMT BIOT BTT IOT KGT NOVT OMST YEKST"),
    (390, "CCT MMT"),
    (420, "G CXT DAVT HOVT ICT KRAT NOVST OMSST THA WIB"),
    (480, "H ACT AWST BDT BNT CAST HKT IRKT KRAST MYT PHT SGT ULAT WITA WST"),
    (540, "I AWDT IRKST JST KST PWT TLT WDT WIT YAKT"),
    (570, "ACST"),
    (600, "K AEST ChST PGT VLAT YAKST YAPT"),
    (630, "ACDT LHST"),
    (660, "L AEDT LHDT MAGT NCT PONT SBT VLAST VUT"),
    (690, "NFT"),
    (720, "M ANAST ANAT FJT GILT MAGST MHT NZST PETST PETT TVT WFT"),
    (780, "FJST NZDT"),
];

/// The offset from UTC in minutes of `UTC`, `CET+0100`, `-0430`, `+02:00`; `None` when it is not of that form, or names an unknown zone.
pub fn offset_minutes(zone: &str) -> Option<i32> {
    let letters = zone.bytes().take_while(u8::is_ascii_uppercase).count();
    let (name, offset) = zone.split_at(letters);
    if !matches!(letters, 0 | 1 | 3..=5) {
        return None;
    }
    let base = if name.is_empty() { 0 } else { abbreviation(name)? };
    Some(base + if offset.is_empty() { 0 } else { numeric(offset)? })
}

fn abbreviation(name: &str) -> Option<i32> {
    ABBREVIATIONS.iter().find(|(_, names)| names.split(' ').any(|known| known == name)).map(|(minutes, _)| *minutes)
}

/// `+hh`, `+hhmm` or `+hh:mm`, at most 19 hours.
fn numeric(offset: &str) -> Option<i32> {
    let (sign, digits) = match offset.as_bytes().first()? {
        b'+' => (1, &offset[1..]),
        b'-' => (-1, &offset[1..]),
        _ => return None,
    };
    let digits = if digits.len() == 5 && digits.as_bytes()[2] == b':' {
        digits.replacen(':', "", 1)
    } else {
        digits.to_string()
    };
    if !matches!(digits.len(), 2 | 4)
        || !digits.bytes().all(|byte| byte.is_ascii_digit())
        || !digits.starts_with(['0', '1'])
    {
        return None;
    }
    let hours: i32 = digits[..2].parse().ok()?;
    let minutes: i32 = if digits.len() == 4 { digits[2..].parse().ok()? } else { 0 };
    Some(sign * (hours * 60 + minutes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets() {
        for (zone, minutes) in [
            ("UTC", 0),
            ("Z", 0),
            ("CET", 60),
            ("CET+0130", 150),
            ("-0430", -270),
            ("+02:00", 120),
            ("-01", -60),
            ("NPT", 345),
        ] {
            assert_eq!(offset_minutes(zone), Some(minutes), "{zone}");
        }
        for zone in ["utc", "XYZ", "+2", "+0260x", "+25:00", "Europe/Paris", "CE", "UTC+1:00"] {
            assert_eq!(offset_minutes(zone), None, "{zone}");
        }
        assert_eq!(offset_minutes(""), Some(0));
    }
}

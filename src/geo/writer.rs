//! A small writer of MMDB files, so that tests have every layout and every damage without a file of somebody else's.

use std::net::IpAddr;

/// A value of the format.
pub enum Item {
    /// Text.
    Text(&'static str),
    /// A number of 32 bits.
    Number(u32),
    /// Names and values.
    Map(Vec<(&'static str, Item)>),
}

fn head(out: &mut Vec<u8>, kind: u8, size: usize) {
    assert!(size < 285, "longer values are not needed");
    let (size, more) = if size < 29 { (size as u8, None) } else { (29, Some((size - 29) as u8)) };
    if kind > 7 {
        out.extend([size, kind - 7]);
    } else {
        out.push(kind << 5 | size);
    }
    out.extend(more);
}

fn write(out: &mut Vec<u8>, item: &Item) {
    match item {
        Item::Text(text) => {
            head(out, 2, text.len());
            out.extend(text.as_bytes());
        }
        Item::Number(number) => {
            head(out, 6, 4);
            out.extend(number.to_be_bytes());
        }
        Item::Map(pairs) => {
            head(out, 7, pairs.len());
            for (name, value) in pairs {
                write(out, &Item::Text(name));
                write(out, value);
            }
        }
    }
}

/// A file with these networks of IPv4 or IPv6, each with its record.
pub fn database(kind: &'static str, networks: &[(&str, Item)]) -> Vec<u8> {
    let mut data = Vec::new();
    // Each node has two sides: a node, nothing, or a record by its place in `data`.
    let mut nodes: Vec<[Side; 2]> = vec![[Side::Nothing; 2]];
    for (network, record) in networks {
        let place = data.len();
        write(&mut data, record);
        let (address, prefix) = network.split_once('/').unwrap();
        let prefix: u32 = prefix.parse().unwrap();
        let (bits, prefix) = match address.parse().unwrap() {
            IpAddr::V4(v4) => (u128::from(v4.to_bits()), prefix + 96),
            IpAddr::V6(v6) => (v6.to_bits(), prefix),
        };
        let mut at = 0;
        for depth in 0..prefix {
            let side = (bits >> (127 - depth) & 1) as usize;
            if depth + 1 == prefix {
                nodes[at][side] = Side::Record(place);
            } else if let Side::Node(next) = nodes[at][side] {
                at = next;
            } else {
                nodes.push([Side::Nothing; 2]);
                nodes[at][side] = Side::Node(nodes.len() - 1);
                at = nodes.len() - 1;
            }
        }
    }
    let mut out = Vec::new();
    for side in nodes.iter().flatten() {
        let value = match side {
            Side::Node(node) => *node,
            Side::Nothing => nodes.len(),
            Side::Record(place) => nodes.len() + 16 + place,
        };
        out.extend((value as u32).to_be_bytes());
    }
    out.extend([0; 16]);
    out.extend(data);
    out.extend(b"\xab\xcd\xefMaxMind.com");
    let number = |name, value| (name, Item::Number(value));
    let fields = vec![
        number("node_count", nodes.len() as u32),
        number("record_size", 32),
        number("ip_version", 6),
        number("binary_format_major_version", 2),
        number("binary_format_minor_version", 0),
        number("build_epoch", 1_790_000_000),
        ("database_type", Item::Text(kind)),
    ];
    write_metadata(&mut out, fields);
    out
}

/// The metadata wants numbers of their own widths and two containers that nobody reads here.
fn write_metadata(out: &mut Vec<u8>, fields: Vec<(&'static str, Item)>) {
    head(out, 7, fields.len() + 2);
    for (name, value) in &fields {
        write(out, &Item::Text(name));
        match (*name, value) {
            ("build_epoch", Item::Number(number)) => {
                head(out, 9, 8);
                out.extend(u64::from(*number).to_be_bytes());
            }
            ("node_count", value) => write(out, value),
            (_, Item::Number(number)) => {
                head(out, 5, 2);
                out.extend((*number as u16).to_be_bytes());
            }
            (_, value) => write(out, value),
        }
    }
    write(out, &Item::Text("languages"));
    head(out, 11, 0);
    write(out, &Item::Text("description"));
    head(out, 7, 0);
}

#[derive(Clone, Copy)]
enum Side {
    Node(usize),
    Nothing,
    Record(usize),
}

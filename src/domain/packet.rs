//! What the actions of a jail are told of the packet filter: ports, a protocol, a chain. They stand in commands that root runs, so nothing
//! gets through here that a shell, a file or a packet filter could read as anything else.

/// The most entries of a list of ports.
const MOST_PORTS: usize = 100;
/// The longest name of a service, in bytes.
const LONGEST_SERVICE: usize = 32;
/// The protocols that iptables and nftables know by name.
pub const PROTOCOLS: [&str; 12] =
    ["tcp", "udp", "udplite", "sctp", "dccp", "icmp", "icmpv6", "ipv6-icmp", "esp", "ah", "mh", "all"];

/// A part of a list of ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Port {
    /// From the first to the last.
    Range(u16, u16),
    /// The name of a service.
    Service(String),
}

/// The list, in order; else what is wrong with it, in a sentence.
pub fn ports(text: &str) -> Result<Vec<Port>, String> {
    let wrong = || {
        "port is a list of numbers from 0 to 65535, ranges such as 8000:8010 and names of services such as ssh, with commas between them."
            .to_owned()
    };
    let parts: Vec<&str> = text.split(',').map(|part| part.trim_matches(' ')).collect();
    if parts.len() > MOST_PORTS {
        return Err(format!("port has at most {MOST_PORTS} entries."));
    }
    parts.into_iter().map(|part| port(part).ok_or_else(wrong)).collect()
}

fn port(text: &str) -> Option<Port> {
    let is_number = |text: &str| (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let (first, last) = text.split_once([':', '-']).unwrap_or((text, text));
    if is_number(first) && is_number(last) {
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        return (first <= last).then_some(Port::Range(first, last));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
    let is_name = text.len() <= LONGEST_SERVICE
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().any(|c| c.is_ascii_alphabetic())
        && text.chars().all(plain);
    is_name.then(|| Port::Service(text.to_owned()))
}

/// The list as it is written: iptables and nftables take ranges with a colon, and no blanks.
pub fn written(ports: &[Port]) -> String {
    let parts = ports.iter().map(|port| match port {
        Port::Range(first, last) if first == last => first.to_string(),
        Port::Range(first, last) => format!("{first}:{last}"),
        Port::Service(name) => name.clone(),
    });
    parts.collect::<Vec<_>>().join(",")
}

/// What is wrong with a protocol, or several with commas between them.
pub fn check_protocol(text: &str) -> Result<(), String> {
    match text.split(',').all(|one| PROTOCOLS.contains(&one)) {
        true => Ok(()),
        false => Err(format!("protocol must be one of {}.", PROTOCOLS.join(", "))),
    }
}

/// What is wrong with the name of a chain. One that begins with a hyphen would be an option of the packet filter's program.
pub fn check_chain(text: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    match (1..=28).contains(&text.len()) && text.chars().all(plain) && !text.starts_with('-') {
        true => Ok(()),
        false => {
            Err("chain is the name of a chain: 1 to 28 letters, digits, '_' and '-', of which '-' is not the first."
                .to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_numbers_ranges_and_services() {
        for (text, wanted) in [
            ("22", "22"),
            ("ssh, 22,8000-8010", "ssh,22,8000:8010"),
            ("0:65535", "0:65535"),
            ("pop3s,http-alt", "pop3s,http-alt"),
        ] {
            assert_eq!(written(&ports(text).unwrap()), wanted);
        }
        for wrong in [
            "",
            ",",
            "22,",
            "22; touch x #",
            "22\n[evil]",
            "$(id)",
            "`id`",
            "22 23",
            "65536",
            "30:20",
            "1:2:3",
            "-1",
            "--flush",
            "ssh|id",
            "%(known/port)s",
            "<ip>",
            "22]",
            "22\"",
            "ssh'",
            "22\u{2028}",
            "٢٢",
            "22\t",
            "a/b",
            "22#",
        ] {
            assert!(ports(wrong).is_err(), "{wrong:?}");
        }
        assert!(ports(&"1,".repeat(200)).is_err());
    }

    #[test]
    fn protocols_and_chains_are_words() {
        for good in ["tcp", "tcp,udp", "ipv6-icmp"] {
            assert!(check_protocol(good).is_ok(), "{good}");
        }
        for wrong in ["", "TCP", "tcp;id", "tcp ", "tcp\n", "xyz", "tcp,", "$(id)"] {
            assert!(check_protocol(wrong).is_err(), "{wrong:?}");
        }
        for good in ["INPUT", "DOCKER-USER", "f2b_1"] {
            assert!(check_chain(good).is_ok(), "{good}");
        }
        let long = "x".repeat(29);
        for wrong in ["", "-F", "a b", "a;b", "a\nb", "<known/chain>", long.as_str(), "ä", "a.b"] {
            assert!(check_chain(wrong).is_err(), "{wrong:?}");
        }
    }
}

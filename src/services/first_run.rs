//! The first minutes of an installation: where the page is opened, how from a machine with a screen, and the link that sets it up from
//! anywhere. It decides nothing about who may: that is `api/setup.rs`.

use std::io::IsTerminal;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::app::Ctx;
use crate::machine;
use crate::server::listen::{Address, Listener};

/// Where the page is opened.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// Its addresses, the best first, each with a slash at its end. None where only a proxy reaches it and nobody has told its name.
    pub urls: Vec<String>,
    /// What is listened on where nothing beyond this machine is: from elsewhere it takes a tunnel to there.
    pub tunnel_to: Option<SocketAddr>,
    /// What is listened on beyond this machine.
    pub beyond: Vec<SocketAddr>,
    /// The code of the setup link, while no password is set.
    pub code: Option<String>,
    /// Whether there is a page at all.
    pub has_page: bool,
}

impl Opening {
    /// As this server is.
    pub fn of(ctx: &Ctx) -> Opening {
        let tcp: Vec<SocketAddr> = ctx.listens.iter().filter_map(tcp).collect();
        let beyond: Vec<SocketAddr> = tcp.iter().filter(|address| !address.ip().is_loopback()).copied().collect();
        let base = &ctx.config.base_path;
        let is_behind_proxy = !ctx.config.trusted_proxies.is_empty() || tcp.len() < ctx.listens.len();
        let mut urls = Vec::new();
        if let Some(host) = ctx.config.allowed_hosts.first().filter(|_| is_behind_proxy) {
            urls.push(format!("https://{host}{base}/"));
        }
        // Whom a proxy hides is reached by its name alone, where that is known.
        if urls.is_empty() {
            let own = machine::own_addresses();
            urls.extend(tcp.iter().map(|address| format!("http://{}{base}/", reached(*address, &own))));
            urls.dedup();
        }
        let tunnel_to = tcp.first().filter(|_| beyond.is_empty()).copied();
        let code = (!ctx.is_set_up()).then(|| ctx.setup_code.clone());
        Opening { urls, tunnel_to, beyond, code, has_page: ctx.config.ui }
    }

    /// The link that sets it up. The code stands behind the `#`, which no browser sends and no log of a proxy's holds.
    pub fn link(&self) -> Option<String> {
        let (url, code) = (self.urls.first()?, self.code.as_ref()?);
        self.has_page.then(|| format!("{url}#/setup?code={code}"))
    }

    /// The command that makes the way from another machine, where it takes one.
    pub fn tunnel(&self, ssh: &Ssh) -> Option<String> {
        let to = self.tunnel_to?;
        let port = ssh.port.map(|port| format!("-p {port} ")).unwrap_or_default();
        Some(format!("ssh {port}-L {}:{to} {}@{}", to.port(), ssh.user, ssh.host))
    }

    /// For the person who has just started the server at a terminal.
    pub fn for_terminal(&self, ssh: &Ssh) -> String {
        let tunnel = self.tunnel(ssh).map(|command| {
            format!("From another machine, run this there first, then open the same address:\n\n    {command}\n\n")
        });
        let text = match (&self.code, self.link(), self.urls.first()) {
            (Some(_), Some(link), _) => format!(
                "\nNo password is set yet. Open this in a browser and choose one (the link works once, until then or until the server ends):\n\n    {link}\n\n"
            ),
            (Some(_), None, _) => "\nNo password is set yet. Set one with: bangui setup\n\n".to_owned(),
            (None, _, Some(url)) if self.has_page => format!("\nOpen {url} in a browser.\n\n"),
            _ => return String::new(),
        };
        text + &tunnel.filter(|_| self.has_page).unwrap_or_default()
    }

    /// The same in a line for the log, which others may read: without the code.
    pub fn for_log(&self, ssh: &Ssh) -> Option<String> {
        let tunnel =
            self.tunnel(ssh).map(|command| format!("; from another machine after: {command}")).unwrap_or_default();
        match (&self.code, self.urls.first()) {
            (Some(_), Some(url)) if self.has_page => Some(format!(
                "no password is set yet: open {url} in a browser and choose one{tunnel}; bangui setup-link prints the link for a browser \
                 beyond the local network"
            )),
            (Some(_), _) => Some("no password is set yet: bangui setup sets one".to_owned()),
            (None, Some(url)) if self.has_page => Some(format!("open {url} in a browser{tunnel}")),
            _ => None,
        }
    }

    /// What is to be said of a server that others reach before it has a password.
    pub fn warning(&self) -> Option<String> {
        let address = self.beyond.first().filter(|_| self.code.is_some())?;
        Some(format!(
            "no password is set, and {address} is reached from beyond this machine: until one is set, whoever is in its network can set it"
        ))
    }
}

/// How this machine is reached by SSH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssh {
    /// As whom.
    pub user: String,
    /// Its name or address.
    pub host: String,
    /// Its port, where that is not the usual one.
    pub port: Option<u16>,
}

impl Ssh {
    /// As the session over which this is run came here; else by the machine's own name.
    pub fn here() -> Ssh {
        let variable = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
        let user = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(variable).unwrap_or_else(|| "root".to_owned());
        match machine::ssh_connection() {
            Some(way) => {
                Ssh { user, host: way.server.to_string(), port: Some(way.server_port).filter(|port| *port != 22) }
            }
            None => Ssh { user, host: machine::host_name(), port: None },
        }
    }
}

/// Tells what is listened on, and where the page is: at a terminal to whoever sits there, else in the log.
pub fn tell(ctx: &mut Ctx, listeners: &[Listener]) {
    for listener in listeners {
        eprintln!("listening on {}", listener.describe());
    }
    ctx.listens = listeners.iter().filter_map(Listener::address).collect();
    // Nothing is to be told by what serves one command at this machine.
    if listeners.is_empty() {
        return;
    }
    let (opening, ssh) = (Opening::of(ctx), Ssh::here());
    if let Some(warning) = opening.warning() {
        log::warn!("{warning}");
    }
    if std::io::stderr().is_terminal() {
        eprint!("{}", opening.for_terminal(&ssh));
    } else if let Some(line) = opening.for_log(&ssh) {
        log::info!("{line}");
    }
}

fn tcp(address: &Address) -> Option<SocketAddr> {
    match address {
        Address::Tcp(address) => Some(*address),
        Address::Unix(_) => None,
    }
}

/// Where an address that is listened on is reached: of all of this machine's, the first that a neighbour can use.
fn reached(address: SocketAddr, own: &[IpAddr]) -> SocketAddr {
    if !address.ip().is_unspecified() {
        return address;
    }
    let is_usable = |ip: &&IpAddr| match ip {
        IpAddr::V4(v4) => address.is_ipv4() && !v4.is_loopback() && !v4.is_link_local(),
        IpAddr::V6(v6) => address.is_ipv6() && !v6.is_loopback() && !v6.is_unicast_link_local(),
    };
    let loopback = if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
    SocketAddr::new(own.iter().find(is_usable).copied().unwrap_or(loopback), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening(tunnel_to: Option<&str>, beyond: &[&str], code: Option<&str>) -> Opening {
        Opening {
            urls: vec!["http://127.0.0.1:8000/".into()],
            tunnel_to: tunnel_to.map(|text| text.parse().unwrap()),
            beyond: beyond.iter().map(|text| text.parse().unwrap()).collect(),
            code: code.map(str::to_owned),
            has_page: true,
        }
    }

    #[test]
    fn the_code_stands_behind_the_hash_and_never_in_the_log() {
        let ssh = Ssh { user: "anna".into(), host: "vps.example".into(), port: None };
        let new = opening(Some("127.0.0.1:8000"), &[], Some("c0de"));
        assert_eq!(new.link().unwrap(), "http://127.0.0.1:8000/#/setup?code=c0de");
        assert!(new.for_terminal(&ssh).contains("c0de") && !new.for_log(&ssh).unwrap().contains("c0de"));
        let done = opening(Some("127.0.0.1:8000"), &[], None);
        assert_eq!(done.link(), None);
        assert!(!done.for_terminal(&ssh).contains("password"));
    }

    #[test]
    fn the_way_by_ssh_is_named_where_it_takes_one() {
        let ssh = Ssh { user: "anna".into(), host: "vps.example".into(), port: Some(2222) };
        let tunnel = |opening: Opening| opening.tunnel(&ssh);
        assert_eq!(
            tunnel(opening(Some("[::1]:8000"), &[], None)).unwrap(),
            "ssh -p 2222 -L 8000:[::1]:8000 anna@vps.example"
        );
        assert_eq!(tunnel(opening(None, &["0.0.0.0:8000"], None)), None);
    }

    #[test]
    fn only_a_server_that_others_reach_without_a_password_is_warned_of() {
        assert!(opening(None, &["0.0.0.0:8000"], Some("c")).warning().unwrap().contains("0.0.0.0:8000"));
        assert_eq!(opening(None, &["0.0.0.0:8000"], None).warning(), None);
        assert_eq!(opening(Some("127.0.0.1:8000"), &[], Some("c")).warning(), None);
    }

    #[test]
    fn all_addresses_of_a_machine_are_told_by_one_that_others_can_use() {
        let own =
            ["127.0.0.1", "169.254.3.3", "::1", "fe80::1", "192.0.2.7", "2001:db8::7"].map(|ip| ip.parse().unwrap());
        let at = |text: &str, own: &[IpAddr]| reached(text.parse().unwrap(), own).to_string();
        assert_eq!(at("0.0.0.0:80", &own), "192.0.2.7:80");
        assert_eq!(at("[::]:80", &own), "[2001:db8::7]:80");
        assert_eq!(at("0.0.0.0:80", &own[..3]), "127.0.0.1:80");
        assert_eq!(at("192.168.1.1:80", &own), "192.168.1.1:80");
    }
}

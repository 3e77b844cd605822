//! What this machine is in its network: its own addresses and its gateways, which are not to be banned. And what the
//! program holds of its memory.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses of all interfaces.
pub fn own_addresses() -> Vec<IpAddr> {
    let mut list: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: the call stores a list in `list`, which is freed below, after its last use.
    if unsafe { libc::getifaddrs(&mut list) } != 0 {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut next = list;
    while !next.is_null() {
        // SAFETY: `next` is an entry of the list, which is not freed yet; its address is either null or of the family it names.
        unsafe {
            found.extend(address_of((*next).ifa_addr));
            next = (*next).ifa_next;
        }
    }
    // SAFETY: the list came from getifaddrs and is not used any more.
    unsafe { libc::freeifaddrs(list) };
    found
}

/// # Safety
/// `address` is null, or points to a socket address of the family it names.
unsafe fn address_of(address: *const libc::sockaddr) -> Option<IpAddr> {
    if address.is_null() {
        return None;
    }
    // SAFETY: not null, and the caller vouches that the structure is of the family it names.
    unsafe {
        match i32::from((*address).sa_family) {
            libc::AF_INET => {
                let v4 = &*address.cast::<libc::sockaddr_in>();
                Some(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)).into())
            }
            libc::AF_INET6 => {
                let v6 = &*address.cast::<libc::sockaddr_in6>();
                Some(Ipv6Addr::from(v6.sin6_addr.s6_addr).into())
            }
            _ => None,
        }
    }
}

/// The name the kernel knows this machine by, in lower case; empty when it has none.
pub fn host_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_ascii_lowercase()
}

/// The ends of an SSH session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SshConnection {
    /// Where the person comes from.
    pub client: IpAddr,
    /// Where this machine was reached.
    pub server: IpAddr,
    /// The port of that.
    pub server_port: u16,
}

/// The session that this process was started in: from its own environment or, since `sudo` clears that, from one of a process before it.
pub fn ssh_connection() -> Option<SshConnection> {
    if let Ok(value) = std::env::var("SSH_CONNECTION") {
        return parsed(&value);
    }
    let mut process = std::os::unix::process::parent_id();
    for _ in 0..32 {
        let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        let mut variables = environment.split(|byte| *byte == 0);
        if let Some(value) = variables.find_map(|variable| variable.strip_prefix(b"SSH_CONNECTION=")) {
            return parsed(std::str::from_utf8(value).ok()?);
        }
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        process = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()?;
        if process <= 1 {
            return None;
        }
    }
    None
}

/// `CLIENT PORT SERVER PORT`, as sshd writes it.
fn parsed(value: &str) -> Option<SshConnection> {
    let mut parts = value.split(' ');
    let client = parts.next()?.parse().ok()?;
    let (server, server_port) = (parts.nth(1)?.parse().ok()?, parts.next()?.parse().ok()?);
    Some(SshConnection { client, server, server_port })
}

/// The gateways of all routes, as the kernel lists them.
pub fn gateways() -> Vec<IpAddr> {
    let v4 = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    let v6 = std::fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default();
    let mut found: Vec<IpAddr> = v4.lines().skip(1).filter_map(gateway_v4).map(IpAddr::from).collect();
    found.extend(v6.lines().filter_map(gateway_v6).map(IpAddr::from));
    found.sort();
    found.dedup();
    found
}

/// The third column, in the byte order of this machine.
fn gateway_v4(line: &str) -> Option<Ipv4Addr> {
    let field = line.split_whitespace().nth(2)?;
    let raw = u32::from_str_radix(field, 16).ok().filter(|raw| *raw != 0)?;
    Some(Ipv4Addr::from(raw.to_ne_bytes()))
}

/// The fifth column.
fn gateway_v6(line: &str) -> Option<Ipv6Addr> {
    let field = line.split_whitespace().nth(4)?;
    let raw = u128::from_str_radix(field, 16).ok().filter(|raw| *raw != 0)?;
    Some(Ipv6Addr::from(raw))
}

/// The program's own code in memory.
#[derive(Debug)]
pub struct Code {
    start: usize,
    length: usize,
}

impl Code {
    /// Where the kernel has mapped it; `None` where it does not say.
    pub fn of_this_program() -> Option<Code> {
        let own = fs::read_link("/proc/self/exe").ok()?;
        let maps = fs::read_to_string("/proc/self/maps").ok()?;
        maps.lines().find_map(|line| {
            // START-END MODE OFFSET DEVICE INODE PATH
            let mut parts = line.split_ascii_whitespace();
            let (start, end) = parts.next()?.split_once('-')?;
            let is_ours = parts.next() == Some("r-xp") && parts.nth(3).is_some_and(|path| own.as_os_str() == path);
            let number = |text| usize::from_str_radix(text, 16).ok();
            let (start, end) = (number(start)?, number(end)?);
            is_ours.then(|| Code { start, length: end - start })
        })
    }

    /// Unmaps its pages; each is mapped again as soon as it is needed.
    pub fn let_go(&self) {
        // SAFETY: the pages are of a file and cannot be written to: nothing is in them that the kernel cannot read again.
        unsafe { libc::madvise(self.start as *mut libc::c_void, self.length, libc::MADV_DONTNEED) };
    }
}

/// Memory that this program takes, in bytes, and the processor time it has taken, in seconds; children count for themselves.
pub fn spent() -> Option<(u64, f64)> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is a name in brackets that may have spaces in it; behind it `state` is the third.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    // SAFETY: both only read a number that the system has.
    let (ticks, page) = unsafe { (libc::sysconf(libc::_SC_CLK_TCK), libc::sysconf(libc::_SC_PAGESIZE)) };
    let (ticks, page) = (u64::try_from(ticks).ok()?, u64::try_from(page).ok()?);
    Some((number(24)? * page, (number(14)? + number(15)?) as f64 / ticks as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_ours() {
        assert!(own_addresses().contains(&IpAddr::from([127, 0, 0, 1])));
    }

    #[test]
    fn an_ssh_session_as_sshd_tells_it() {
        let told = parsed("203.0.113.9 50022 2001:db8::1 2222").unwrap();
        assert_eq!(
            (told.client.to_string(), told.server.to_string(), told.server_port),
            ("203.0.113.9".into(), "2001:db8::1".into(), 2222)
        );
        assert_eq!(parsed("203.0.113.9"), None);
    }

    #[test]
    fn routes_as_the_kernel_prints_them() {
        let first = u32::from_ne_bytes([192, 168, 1, 1]);
        let line = format!("eth0\t00000000\t{first:08X}\t0003\t0\t0\t0\t00000000\t0\t0\t0");
        assert_eq!(gateway_v4(&line), Some(Ipv4Addr::new(192, 168, 1, 1)));
        assert_eq!(gateway_v4("eth0\t0001A8C0\t00000000\t0001"), None);
        let v6 = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000000 00000000 00000003 eth0";
        assert_eq!(gateway_v6(v6), Some("fe80::1".parse().unwrap()));
    }
}

//! A name server that answers as a test wants, and may change its mind.

use std::collections::HashMap;
use std::net::{IpAddr, UdpSocket};
use std::sync::{Arc, Mutex};

/// For each name what it is, one answer after the other; the last one stays.
type Answers = Arc<Mutex<HashMap<String, Vec<Vec<IpAddr>>>>>;

/// A running server. It ends with the process of the test.
pub struct NameServer {
    answers: Answers,
    asked: Arc<Mutex<Vec<String>>>,
}

impl NameServer {
    /// Serves on a socket.
    pub fn on(socket: UdpSocket) -> NameServer {
        let server = NameServer { answers: Answers::default(), asked: Arc::default() };
        let (answers, asked) = (server.answers.clone(), server.asked.clone());
        std::thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut query) {
                if let Some(reply) = answer(&query[..length], &answers, &asked) {
                    let _ = socket.send_to(&reply, from);
                }
            }
        });
        server
    }

    /// What a name is: the first answer, then the next, and so on.
    pub fn set(&self, name: &str, answers: &[&[&str]]) {
        let parse = |texts: &&[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        self.answers.lock().unwrap().insert(name.to_owned(), answers.iter().map(parse).collect());
    }

    /// How often the IPv4 addresses of a name were asked for.
    pub fn lookups(&self, name: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| *asked == name).count()
    }
}

/// The reply to a query of one question: a new answer for each that asks for IPv4; IPv6 belongs to the answer of the IPv4 question.
fn answer(query: &[u8], answers: &Answers, asked: &Mutex<Vec<String>>) -> Option<Vec<u8>> {
    let (mut name, mut at) = (Vec::new(), 12);
    while *query.get(at)? != 0 {
        let length = usize::from(query[at]);
        name.push(String::from_utf8_lossy(query.get(at + 1..at + 1 + length)?).into_owned());
        at += 1 + length;
    }
    let name = name.join(".");
    let end = at + 5;
    let wants_v6 = query.get(at + 2)? == &28;
    let mut all = answers.lock().unwrap();
    let list = all.get_mut(&name);
    let is_known = list.is_some();
    let current: Vec<IpAddr> = list.as_ref().and_then(|list| list.first().cloned()).unwrap_or_default();
    if !wants_v6 {
        asked.lock().unwrap().push(name);
        if let Some(list) = list.filter(|list| list.len() > 1) {
            list.remove(0);
        }
    }
    let wanted: Vec<&IpAddr> = current.iter().filter(|address| address.is_ipv6() == wants_v6).collect();
    let mut reply = query[..2].to_vec();
    // A response, recursion available; 3 is: no such name.
    reply.extend([0x81, if is_known { 0x80 } else { 0x83 }, 0, 1, 0, wanted.len() as u8, 0, 0, 0, 0]);
    reply.extend(query.get(12..end)?);
    for address in wanted {
        reply.extend([0xc0, 12, 0, if wants_v6 { 28 } else { 1 }, 0, 1, 0, 0, 0, 0]);
        match address {
            IpAddr::V4(v4) => reply.extend([&[0, 4][..], &v4.octets()].concat()),
            IpAddr::V6(v6) => reply.extend([&[0, 16][..], &v6.octets()].concat()),
        }
    }
    Some(reply)
}

//! The bans of every jail, and what tells whether they still are what the daemon has: two counters and the jail's ban time, which cost
//! little to ask for. Where they differ from what they were when the jail was read, it is to be read again.

use super::row::{Row, Told};

/// What a child begins a jail with, on the wire.
const JAIL: u8 = b'J';
/// What it begins a ban with.
const BAN: u8 = b'B';
/// What it ends a jail with.
const END: u8 = b'E';

/// How many seconds after a ban the daemon may still lengthen it, and write it down.
const YOUNG: i64 = 1;
/// The longest list that is read again for that.
const MOST_YOUNG: usize = 10_000;

/// What a running jail says of itself in a few bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signs {
    /// Bans in force.
    pub current: u64,
    /// Bans since the jail was started.
    pub total: u64,
    /// How long a ban lasts that has no time of its own, in seconds: the ends of these move with it. `None` where it cannot be asked.
    pub ban_time: Option<i64>,
}

/// The bans of one jail.
#[derive(Clone, Debug, Default)]
pub struct JailBans {
    name: String,
    /// In the order in which they end.
    rows: Vec<Row>,
    /// What is banned and no address.
    texts: Vec<Box<str>>,
    /// What the jail said just before it was read; `None` before the first time, and once something may have changed unseen.
    signs: Option<Signs>,
    /// When it was read, in Unix seconds.
    read_at: i64,
    /// When it was last known to be as it is here, in Unix seconds.
    as_of: i64,
    /// There were new bans when it was read: the daemon lengthens some of them, and writes them down, a moment later.
    is_young: bool,
}

impl JailBans {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its bans, in the order in which they end.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// When it was last known to be as it is here, in Unix seconds.
    pub fn as_of(&self) -> i64 {
        self.as_of
    }

    /// What a row bans.
    pub fn shown(&self, row: &Row) -> String {
        let text = || self.text(row).to_owned();
        row.net().map_or_else(text, |net| net.to_string())
    }

    /// What a row bans where that is no address.
    pub fn text(&self, row: &Row) -> &str {
        row.text().and_then(|number| self.texts.get(number as usize)).map_or("", |text| text)
    }

    /// Whether it was read at all.
    pub fn is_known(&self) -> bool {
        self.as_of > 0
    }

    fn put(&mut self, bytes: &mut &[u8]) -> Option<()> {
        let texts = &mut self.texts;
        let row = Row::decode(bytes, |text| {
            texts.push(text.into());
            texts.len() as u32 - 1
        })?;
        self.rows.push(row);
        Some(())
    }

    /// Compares it with what the jail says now. True where it is still right; bans whose time is over and which the daemon has lifted
    /// have gone from it.
    fn agrees(&mut self, signs: Signs, now: i64) -> bool {
        let Some(known) = self.signs else { return false };
        if known.total != signs.total || known.ban_time != signs.ban_time {
            return false;
        }
        let count = self.rows.len() as u64;
        let over = self.rows.iter().take_while(|row| row.until().is_some_and(|until| until <= now + 1)).count() as u64;
        if signs.current > count || count - signs.current > over {
            return false;
        }
        self.rows.drain(..(count - signs.current) as usize);
        self.as_of = now;
        true
    }
}

/// What is banned now.
#[derive(Debug, Default)]
pub struct HeldBans {
    /// In the daemon's order.
    jails: Vec<JailBans>,
    /// A jail whose bans are coming from a child.
    coming: Option<JailBans>,
    /// Rises with every change of any row.
    revision: u64,
}

impl HeldBans {
    /// Its jails, in the daemon's order.
    pub fn jails(&self) -> &[JailBans] {
        &self.jails
    }

    /// One of them.
    pub fn jail(&self, name: &str) -> Option<&JailBans> {
        self.jails.iter().find(|jail| jail.name == name)
    }

    /// Rises with every change of any row.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// These are the jails there are; what others had is gone.
    pub fn keep_only(&mut self, names: &[&str]) {
        if self.jails.iter().map(JailBans::name).eq(names.iter().copied()) {
            return;
        }
        let mut old = std::mem::take(&mut self.jails);
        for name in names {
            let known = old.iter().position(|jail| jail.name == *name).map(|at| old.swap_remove(at));
            self.jails.push(known.unwrap_or_else(|| JailBans { name: (*name).to_owned(), ..JailBans::default() }));
        }
        self.revision += 1;
    }

    /// A jail is no more.
    pub fn forget(&mut self, name: &str) {
        self.jails.retain(|jail| jail.name != name);
        self.revision += 1;
    }

    /// Anything may have changed without a sign: every jail is to be read again.
    pub fn distrust(&mut self) {
        self.jails.iter_mut().for_each(|jail| jail.signs = None);
    }

    /// The same of one jail.
    pub fn distrust_jail(&mut self, name: &str) {
        self.jails.iter_mut().filter(|jail| jail.name == name).for_each(|jail| jail.signs = None);
    }

    /// Whether what is here of a jail is what it has, by what it says now.
    pub fn agrees(&mut self, name: &str, signs: Signs, now: i64) -> bool {
        let Some(jail) = self.jails.iter_mut().find(|jail| jail.name == name) else { return false };
        let before = jail.rows.len();
        let agrees = jail.agrees(signs, now);
        if before != jail.rows.len() {
            self.revision += 1;
        }
        let is_due = jail.is_young && jail.read_at + YOUNG < now;
        jail.is_young &= !is_due;
        agrees && !is_due
    }

    /// Takes what a child has sent of the jails it reads; `None` where it makes no sense.
    pub fn take(&mut self, mut bytes: &[u8]) -> Option<()> {
        while let Some((kind, rest)) = bytes.split_first() {
            bytes = rest;
            match *kind {
                JAIL => self.coming = Some(begun(&mut bytes)?),
                BAN => self.coming.as_mut()?.put(&mut bytes)?,
                END => {
                    let jail = self.coming.take()?;
                    self.put(ended(jail, &mut bytes)?);
                }
                _ => return None,
            }
        }
        Some(())
    }

    /// A child has ended: what it did not send to the end is not believed.
    pub fn end(&mut self) {
        self.coming = None;
    }

    fn put(&mut self, mut jail: JailBans) {
        self.revision += 1;
        jail.rows.sort_unstable_by_key(Row::end_key);
        match self.jails.iter_mut().find(|known| known.name == jail.name) {
            Some(known) => {
                let total = |jail: &JailBans| jail.signs.map(|signs| signs.total);
                jail.is_young = total(known) != total(&jail) && jail.rows.len() <= MOST_YOUNG;
                *known = jail;
            }
            None => self.jails.push(jail),
        }
    }
}

/// Appends what a child says first of a jail: its name, and how many bans follow, as far as that is known.
pub fn begin(name: &str, count: u32, out: &mut Vec<u8>) {
    out.push(JAIL);
    out.extend_from_slice(&count.to_be_bytes());
    out.extend_from_slice(&(name.len() as u16).to_be_bytes());
    out.extend_from_slice(name.as_bytes());
}

/// Appends a ban.
pub fn ban(told: &Told<'_>, out: &mut Vec<u8>) {
    out.push(BAN);
    Row::new(told, |_| 0).encode(told.ip, out);
}

/// Appends what a child says last of a jail: what the jail said before it was read, and when that was, in Unix seconds.
pub fn end(signs: Signs, as_of: i64, out: &mut Vec<u8>) {
    out.push(END);
    for number in [signs.current as i64, signs.total as i64, signs.ban_time.unwrap_or(i64::MIN), as_of] {
        out.extend_from_slice(&number.to_be_bytes());
    }
}

fn begun(bytes: &mut &[u8]) -> Option<JailBans> {
    let (count, rest) = bytes.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (name, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    *bytes = rest;
    let name = String::from_utf8_lossy(name).into_owned();
    // Exactly as many as come: twice as many as needed would be too much for a router.
    let rows = Vec::with_capacity((u32::from_be_bytes(*count) as usize).min(1 << 20));
    Some(JailBans { name, rows, ..JailBans::default() })
}

fn ended(jail: JailBans, bytes: &mut &[u8]) -> Option<JailBans> {
    let mut next = || {
        let (number, rest) = bytes.split_first_chunk::<8>()?;
        *bytes = rest;
        Some(i64::from_be_bytes(*number))
    };
    let (current, total, ban_time, as_of) = (next()? as u64, next()? as u64, next()?, next()?);
    let ban_time = (ban_time != i64::MIN).then_some(ban_time);
    Some(JailBans { signs: Some(Signs { current, total, ban_time }), as_of, read_at: as_of, ..jail })
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::row::Lasts;
    use super::*;

    pub(in crate::held) const NOW: i64 = 1_700_000_000;

    fn signs(current: u64, total: u64) -> Signs {
        Signs { current, total, ban_time: Some(3600) }
    }

    /// A jail as a child would send it: addresses with the seconds they still last.
    pub(in crate::held) fn sent(name: &str, bans: &[(&str, i64)], total: u64) -> Vec<u8> {
        let mut out = Vec::new();
        begin(name, bans.len() as u32, &mut out);
        for (ip, left) in bans {
            let lasts = if *left < 0 { Lasts::Forever } else { Lasts::Seconds(100 + left) };
            ban(&Told { ip, since: Some(NOW - 100), lasts, count: 1, country: None }, &mut out);
        }
        end(signs(bans.len() as u64, total), NOW, &mut out);
        out
    }

    fn shown(held: &HeldBans, name: &str) -> Vec<String> {
        let jail = held.jail(name).unwrap();
        jail.rows().iter().map(|row| jail.shown(row)).collect()
    }

    #[test]
    fn what_a_child_sends_is_kept_in_the_order_in_which_it_ends() {
        let mut held = HeldBans::default();
        held.keep_only(&["lab", "sshd"]);
        let bytes = sent("lab", &[("192.0.2.1", 50), ("odd", 20), ("2001:db8::1", -1), ("192.0.2.0/24", 30)], 4);
        held.take(&bytes).unwrap();
        assert_eq!(shown(&held, "lab"), ["odd", "192.0.2.0/24", "192.0.2.1", "2001:db8::1"]);
        assert!(held.agrees("lab", signs(4, 4), NOW));
        assert!(!held.agrees("sshd", signs(0, 0), NOW), "it was never read");
        held.keep_only(&["sshd"]);
        assert!(held.jail("lab").is_none());
    }

    #[test]
    fn a_ban_that_is_over_goes_without_being_read_again_and_any_other_change_wants_it() {
        let mut held = HeldBans::default();
        let fill = |held: &mut HeldBans| {
            held.take(&sent("lab", &[("192.0.2.1", 10), ("192.0.2.2", 20), ("192.0.2.3", 900)], 3)).unwrap();
        };
        fill(&mut held);
        assert!(held.agrees("lab", signs(3, 3), NOW + 30), "the daemon has not lifted them yet");
        assert_eq!(shown(&held, "lab").len(), 3);
        assert!(!held.agrees("lab", signs(2, 3), NOW), "one went before its time");
        fill(&mut held);
        assert!(!held.agrees("lab", signs(1, 3), NOW + 15), "two went, and one of them before its time");
        fill(&mut held);
        assert!(!held.agrees("lab", signs(3, 4), NOW + 15), "one came and one went");
        assert!(!held.agrees("lab", Signs { ban_time: Some(60), ..signs(3, 3) }, NOW));
        let mut held = HeldBans::default();
        fill(&mut held);
        assert!(held.agrees("lab", signs(1, 3), NOW + 25));
        assert_eq!(shown(&held, "lab"), ["192.0.2.3"]);
        held.distrust();
        assert!(!held.agrees("lab", signs(1, 3), NOW + 25));
    }

    #[test]
    fn new_bans_are_read_once_more_since_the_daemon_lengthens_them_a_moment_later() {
        let mut held = HeldBans::default();
        held.take(&sent("lab", &[("192.0.2.1", 900)], 1)).unwrap();
        held.take(&sent("lab", &[("192.0.2.1", 900), ("192.0.2.2", 900)], 2)).unwrap();
        assert!(held.agrees("lab", signs(2, 2), NOW), "not at once");
        assert!(held.agrees("lab", signs(2, 2), NOW + 1));
        assert!(!held.agrees("lab", signs(2, 2), NOW + 2));
        assert!(held.agrees("lab", signs(2, 2), NOW + 3), "and not again");
    }

    #[test]
    fn half_a_jail_is_none_and_nonsense_is_refused() {
        let mut held = HeldBans::default();
        let bytes = sent("lab", &[("192.0.2.1", 10), ("192.0.2.2", 20)], 2);
        held.take(&bytes[..bytes.len() - 33]).unwrap();
        held.end();
        assert!(held.jail("lab").is_none());
        assert_eq!(held.take(&bytes[bytes.len() - 33..]), None);
        assert_eq!(held.take(b"X"), None);
        for cut in 1..bytes.len() {
            // Whatever it is, it ends.
            let _ = HeldBans::default().take(&bytes[..cut]);
        }
    }
}

//! Which bans a list shows, and in what order: filters, a search, and one field to sort by. A page of 100 000 is picked without sorting
//! them all.

use std::cmp::Ordering;
use std::str::FromStr;

use super::row::Row;
use super::table::{HeldBans, JailBans};
use crate::domain::history::{BLOCKLIST_JAIL, Country, Origin};

/// What a list can be sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The address: IPv4 first.
    Ip,
    /// The name of the jail.
    Jail,
    /// When it was made.
    BannedAt,
    /// When it ends; what never does comes last.
    ExpiresAt,
    /// Which ban of its address it is.
    BanCount,
    /// The country's code.
    Country,
}

/// A field, and whether the largest comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// The field.
    pub field: Field,
    /// The largest comes first.
    pub is_descending: bool,
}

impl Sort {
    /// The words of all fields.
    pub const FIELDS: &'static [&'static str] = &[
        "ip",
        "-ip",
        "jail",
        "-jail",
        "banned_at",
        "-banned_at",
        "expires_at",
        "-expires_at",
        "ban_count",
        "-ban_count",
        "country",
        "-country",
    ];
}

/// A text is no field of a ban.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoField;

impl FromStr for Sort {
    type Err = NoField;

    fn from_str(text: &str) -> Result<Sort, NoField> {
        let name = text.strip_prefix('-').unwrap_or(text);
        let field = match name {
            "ip" => Field::Ip,
            "jail" => Field::Jail,
            "banned_at" => Field::BannedAt,
            "expires_at" => Field::ExpiresAt,
            "ban_count" => Field::BanCount,
            "country" => Field::Country,
            _ => return Err(NoField),
        };
        Ok(Sort { field, is_descending: name.len() < text.len() })
    }
}

/// Which bans are wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// Of this jail only.
    pub jail: Option<String>,
    /// Of these jails only: whoever asks may not know of others.
    pub among: Option<Vec<String>>,
    /// With this text in the address, in lower case.
    pub search: Option<String>,
    /// The text may be in the name of the jail as well.
    pub searches_jails: bool,
    /// From this country only.
    pub country: Option<Country>,
    /// Of this origin only.
    pub origin: Option<Origin>,
}

impl Wanted {
    /// Whether anything of a jail may be wanted.
    pub fn takes_jail(&self, name: &str) -> bool {
        let is_among = |jails: &Vec<String>| jails.iter().any(|jail| jail == name);
        self.jail.as_deref().is_none_or(|jail| jail == name)
            && self.among.as_ref().is_none_or(is_among)
            && self.origin.is_none_or(|origin| origin == Origin::of(name))
    }

    /// Whether the search finds a jail by its name.
    pub fn names(&self, jail: &str) -> bool {
        self.searches_jails && self.search.as_deref().is_some_and(|text| jail.to_lowercase().contains(text))
    }

    /// Whether it comes from where the bans are to come from.
    pub fn is_from(&self, row: &Row) -> bool {
        self.country.is_none_or(|country| row.country() == Some(country))
    }

    /// Whether every ban of a jail is wanted that is wanted at all.
    pub fn is_all(&self) -> bool {
        self.search.is_none() && self.country.is_none()
    }
}

/// The place of a ban: the number of its jail, and that of its row. A row of the set of imported addresses has `SET` for a jail.
pub type Place = (u32, u32);

/// Stands for the set of imported addresses in a place.
pub const SET: u32 = u32::MAX;

/// What a place is sorted by first, and the place.
type Keyed = (u128, Place);

/// So many are kept for a page at least, and twice as many as are before its end, before those are dropped that cannot be on it.
const MOST_KEPT: usize = 512;
/// Bytes of text that are searched at once.
const SEARCHED: usize = 8192;

/// What is picked from: the table, and rows that some of the set of imported addresses have become.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The table.
    pub held: &'a HeldBans,
    /// Rows of the set.
    pub set: &'a [Row],
}

impl<'a> View<'a> {
    /// The ban at a place.
    pub fn row(&self, place: Place) -> &'a Row {
        match self.jail(place) {
            Some(jail) => &jail.rows()[place.1 as usize],
            None => &self.set[place.1 as usize],
        }
    }

    /// The jail of a place; `None` where it is the set.
    pub fn jail(&self, place: Place) -> Option<&'a JailBans> {
        if place.0 == SET { None } else { Some(&self.held.jails()[place.0 as usize]) }
    }

    /// Puts the page of these in order and gives it. Only what may be on it is kept: most bans cost one comparison of two numbers.
    pub fn sorted_page(&self, places: &[Place], sort: Sort, skip: u64, limit: usize) -> Vec<Place> {
        let skip = usize::try_from(skip).unwrap_or(usize::MAX).min(places.len());
        let end = skip.saturating_add(limit).min(places.len());
        if skip == end {
            return Vec::new();
        }
        let rank = self.rank_of_jails();
        let by = |a: &Keyed, b: &Keyed| a.0.cmp(&b.0).then_with(|| self.compare(a.1, b.1, sort, &rank));
        let (most, mut kept) = (end.saturating_mul(2).max(MOST_KEPT).min(places.len()), Vec::<Keyed>::new());
        let mut last = u128::MAX;
        for place in places {
            let key = self.key(*place, sort, &rank);
            if key > last {
                continue;
            }
            if kept.len() == most {
                kept.select_nth_unstable_by(end - 1, by);
                kept.truncate(end);
                last = kept[end - 1].0;
            }
            kept.push((key, *place));
        }
        kept.select_nth_unstable_by(end - 1, by);
        kept.truncate(end);
        if skip > 0 {
            kept.select_nth_unstable_by(skip, by);
        }
        let page = &mut kept[skip..];
        page.sort_unstable_by(by);
        page.iter().map(|(_, place)| *place).collect()
    }

    /// A number that comes first where a ban comes first; bans that have the same are to be compared.
    fn key(&self, place: Place, sort: Sort, rank: &[u32]) -> u128 {
        let row = self.row(place);
        let field = match sort.field {
            Field::Ip => 0,
            Field::Jail => u64::from(*rank.get(place.0 as usize).or(rank.last()).unwrap_or(&0)),
            Field::BannedAt => row.since().map_or(0, |since| since as u64 + 1),
            Field::ExpiresAt => row.until().unwrap_or(i64::MAX) as u64,
            Field::BanCount => row.count() as u64,
            Field::Country => row.country().map_or(0, |country| country.number() as u64 + 1),
        };
        let key = u128::from(field) << 64 | u128::from(row.front_of_address());
        if sort.is_descending { !key } else { key }
    }

    /// The jails by their names, so that these are compared once and not for each ban; the last one is that of the set.
    fn rank_of_jails(&self) -> Vec<u32> {
        let names: Vec<&str> = self.held.jails().iter().map(JailBans::name).chain([BLOCKLIST_JAIL]).collect();
        let mut order: Vec<usize> = (0..names.len()).collect();
        order.sort_by_key(|at| names[*at]);
        let mut rank = vec![0_u32; order.len()];
        order.into_iter().enumerate().for_each(|(place, at)| rank[at] = place as u32);
        rank
    }

    fn compare(&self, a: Place, b: Place, sort: Sort, rank: &[u32]) -> Ordering {
        let (one, other) = (self.row(a), self.row(b));
        let jail = |place: Place| rank.get(place.0 as usize).or(rank.last());
        let by_field = match sort.field {
            Field::Ip => Ordering::Equal,
            Field::Jail => jail(a).cmp(&jail(b)),
            Field::BannedAt => one.since().cmp(&other.since()),
            Field::ExpiresAt => one.until().unwrap_or(i64::MAX).cmp(&other.until().unwrap_or(i64::MAX)),
            Field::BanCount => one.count().cmp(&other.count()),
            Field::Country => one.country().cmp(&other.country()),
        };
        let text = |place: Place| self.jail(place).map_or("", |jail| jail.text(self.row(place)));
        let by_address = || match (one.text(), other.text()) {
            (Some(_), Some(_)) => text(a).cmp(text(b)),
            _ => one.address_key().cmp(&other.address_key()),
        };
        let ordering = by_field.then_with(by_address).then_with(|| a.cmp(&b));
        if sort.is_descending { ordering.reverse() } else { ordering }
    }
}

/// The bans that are wanted, in the order of the table: jail by jail, each in the order in which they end.
pub fn wanted(held: &HeldBans, wanted: &Wanted) -> Vec<Place> {
    let mut places = Vec::new();
    for (at, jail) in of_jails(held, wanted) {
        let rows = || jail.rows().iter().enumerate();
        let place = |row: usize| (at as u32, row as u32);
        match wanted.search.as_deref().filter(|_| !wanted.names(jail.name())) {
            Some(needle) => search(jail, needle, |row| {
                if wanted.is_from(&jail.rows()[row]) {
                    places.push(place(row));
                }
            }),
            None if wanted.country.is_none() => places.extend((0..jail.rows().len()).map(place)),
            None => places.extend(rows().filter(|(_, row)| wanted.is_from(row)).map(|(row, _)| place(row))),
        }
    }
    places
}

/// Bans among which the first `end` of a list are that is sorted by when they end, and how many there are in all: the rows of a jail are in
/// that order, so only one end of each is looked at. `None` where the list is another.
pub fn first_to_end(held: &HeldBans, wanted: &Wanted, sort: Sort, end: usize) -> Option<(u64, Vec<Place>)> {
    if sort.field != Field::ExpiresAt || !wanted.is_all() {
        return None;
    }
    let (mut total, mut places) = (0, Vec::new());
    for (at, jail) in of_jails(held, wanted) {
        let rows = jail.rows();
        let until = |row: &Row| row.until().unwrap_or(i64::MAX);
        let place = |row: usize| (at as u32, row as u32);
        total += rows.len() as u64;
        // All that end at one time are compared by their addresses.
        if sort.is_descending {
            let last = rows.len().checked_sub(end).and_then(|first| rows.get(first)).map_or(i64::MIN, until);
            places.extend((rows.partition_point(|row| until(row) < last)..rows.len()).map(place));
        } else {
            let last = end.checked_sub(1).and_then(|last| rows.get(last)).map_or(i64::MAX, until);
            places.extend((0..rows.partition_point(|row| until(row) <= last)).map(place));
        }
    }
    Some((total, places))
}

/// Finds the bans of a jail that have `needle`, which is in lower case, in what they ban. Many are written one below the other and searched
/// together.
fn search(jail: &JailBans, needle: &str, mut found: impl FnMut(usize)) {
    let finder = memchr::memmem::Finder::new(needle);
    let (mut text, mut ends) = (Vec::with_capacity(SEARCHED + 64), Vec::new());
    let mut first = 0;
    for (index, row) in jail.rows().iter().enumerate() {
        if row.text().is_some() {
            // Case by case, and with a line feed in it, perhaps.
            if jail.text(row).to_lowercase().contains(needle) {
                text.extend_from_slice(needle.as_bytes());
            }
        } else {
            row.write(&mut text);
        }
        text.push(b'\n');
        ends.push(text.len());
        if text.len() < SEARCHED && index + 1 < jail.rows().len() {
            continue;
        }
        let mut from = 0;
        while let Some(at) = finder.find(&text[from..]) {
            let row = ends.partition_point(|end| *end <= from + at);
            // A needle that has a line feed could be found across two.
            if from + at + needle.len() < ends[row] {
                found(first + row);
            }
            from = ends[row];
        }
        first += ends.len();
        text.clear();
        ends.clear();
    }
}

/// The jails of which something may be wanted, with their numbers.
pub fn of_jails<'a>(held: &'a HeldBans, wanted: &'a Wanted) -> impl Iterator<Item = (usize, &'a JailBans)> {
    held.jails().iter().enumerate().filter(|(_, jail)| wanted.takes_jail(jail.name()))
}

/// A page of the whole table as it stands, without a look at the other bans: how many there are, and the places of those on the page.
pub fn plain_page(held: &HeldBans, wanted: &Wanted, skip: u64, limit: usize) -> (u64, Vec<Place>) {
    let (mut total, mut places) = (0, Vec::new());
    let end = skip.saturating_add(limit as u64);
    for (at, jail) in of_jails(held, wanted) {
        let count = jail.rows().len() as u64;
        let from = skip.max(total).min(total + count) - total;
        let to = end.max(total).min(total + count) - total;
        places.extend((from..to).map(|row| (at as u32, row as u32)));
        total += count;
    }
    (total, places)
}

#[cfg(test)]
mod tests {
    use super::super::row::{Lasts, Told};
    use super::super::table::{self, Signs};
    use super::*;

    const NOW: i64 = 1_700_000_000;

    /// Two jails with many bans whose fields are all over the place.
    fn filled() -> HeldBans {
        let mut held = HeldBans::default();
        for (jail, count) in [("zz", 3000_u32), ("aa", 2000)] {
            let mut out = Vec::new();
            table::begin(jail, count, &mut out);
            for n in 0..count {
                let scattered = n.wrapping_mul(2_654_435_761);
                let ip = match n % 50 {
                    0 => format!("text {n}"),
                    1 => format!("2001:db8::{n:x}"),
                    _ => std::net::Ipv4Addr::from(0x0a00_0000 + scattered % 0x00ff_ffff).to_string(),
                };
                let lasts = if n % 30 == 0 { Lasts::Forever } else { Lasts::Seconds(i64::from(scattered % 999)) };
                let country = ["DE", "FR", "AT"].get(n as usize % 4).and_then(|code| code.parse().ok());
                let since = Some(NOW - i64::from(n % 70));
                table::ban(&Told { ip: &ip, since, lasts, count: i64::from(n % 5), country }, &mut out);
            }
            table::end(Signs { current: 0, total: 0, ban_time: None }, NOW, &mut out);
            held.take(&out).unwrap();
        }
        held
    }

    #[test]
    fn pages_of_every_order_are_the_whole_order_cut_in_pieces() {
        let held = filled();
        let view = View { held: &held, set: &[] };
        let all = wanted(&held, &Wanted::default());
        assert_eq!(all.len(), 5000);
        for field in Sort::FIELDS {
            let sort: Sort = field.parse().unwrap();
            let whole = view.sorted_page(&all, sort, 0, usize::MAX / 2);
            let rank = view.rank_of_jails();
            let follows = |a: &Place, b: &Place| view.compare(*a, *b, sort, &rank).is_lt();
            assert!(whole.is_sorted_by(follows), "{field}: by its numbers as by itself");
            let mut pieces = Vec::new();
            for page in 0..51 {
                pieces.extend(view.sorted_page(&all, sort, page * 100, 100));
            }
            assert_eq!(pieces, whole, "{field}");
            for page in 0..51 {
                let (skip, end) = (page * 100, page as usize * 100 + 100);
                let Some((total, some)) = first_to_end(&held, &Wanted::default(), sort, end) else { continue };
                let expected = whole.iter().skip(skip as usize).take(100);
                assert!(view.sorted_page(&some, sort, skip, 100).iter().eq(expected), "{field} {page}");
                assert!(total == 5000 && (end > 1000 || some.len() < 2500), "{field} {page} {}", some.len());
            }
            let mut set = whole.clone();
            set.sort_unstable();
            assert_eq!(set, all, "{field}: each once");
            let keys: Vec<_> = whole.iter().map(|place| view.row(*place).until().unwrap_or(i64::MAX)).collect();
            assert!(*field != "expires_at" || keys.is_sorted());
            assert!(*field != "-expires_at" || keys.iter().rev().is_sorted());
        }
        assert_eq!("size".parse::<Sort>(), Err(NoField));
        let mut plain = Vec::new();
        for page in 0..60 {
            let (total, some) = plain_page(&held, &Wanted::default(), page * 100, 100);
            assert_eq!(total, 5000);
            plain.extend(some);
        }
        assert_eq!(plain, all);
    }

    #[test]
    fn filters_and_searches_find_what_a_look_at_each_finds() {
        let held = filled();
        let shown = |place: &Place| {
            let jail = &held.jails()[place.0 as usize];
            (
                jail.name().to_owned(),
                jail.shown(&jail.rows()[place.1 as usize]),
                held.jails()[place.0 as usize].rows()[place.1 as usize].country(),
            )
        };
        let all: Vec<_> = wanted(&held, &Wanted::default()).iter().map(shown).collect();
        let germany: Country = "DE".parse().unwrap();
        for search in [None, Some("10.1"), Some("db8::"), Some("text 1"), Some("7"), Some("nowhere")] {
            for country in [None, Some(germany)] {
                for jail in [None, Some("aa"), Some("none")] {
                    let asked = Wanted {
                        jail: jail.map(str::to_owned),
                        among: None,
                        search: search.map(str::to_owned),
                        country,
                        origin: Some(Origin::Selfblock),
                        searches_jails: false,
                    };
                    let found: Vec<_> = wanted(&held, &asked).iter().map(shown).collect();
                    let by_hand: Vec<_> = all
                        .iter()
                        .filter(|(name, ip, at)| {
                            jail.is_none_or(|jail| jail == name)
                                && search.is_none_or(|search| ip.contains(search))
                                && (country.is_none() || *at == country)
                        })
                        .cloned()
                        .collect();
                    assert_eq!(found, by_hand, "{asked:?}");
                }
            }
        }
        // A line feed is in no address, though many are searched together.
        for none in ["\n", "1\n", "\n1"] {
            assert!(super::wanted(&held, &Wanted { search: Some(none.to_owned()), ..Wanted::default() }).is_empty());
        }
        let imported = Wanted { origin: Some(Origin::Blocklist), ..Wanted::default() };
        assert!(wanted(&held, &imported).is_empty());
    }
}

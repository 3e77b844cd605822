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
        self.jail.as_deref().is_none_or(|jail| jail == name)
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

    /// Puts the page of these in order and gives it: what lies before and behind it stays in any order.
    pub fn sorted_page(&self, mut places: Vec<Place>, sort: Sort, skip: u64, limit: usize) -> Vec<Place> {
        let skip = usize::try_from(skip).unwrap_or(usize::MAX).min(places.len());
        let end = skip.saturating_add(limit).min(places.len());
        let rank = self.rank_of_jails();
        let by = |a: &Place, b: &Place| self.compare(*a, *b, sort, &rank);
        if skip > 0 && skip < places.len() {
            places.select_nth_unstable_by(skip, by);
        }
        let rest = &mut places[skip..];
        if end - skip < rest.len() {
            rest.select_nth_unstable_by(end - skip, by);
        }
        let page = &mut places[skip..end];
        page.sort_unstable_by(by);
        page.to_vec()
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
    let needle = wanted.search.as_deref().unwrap_or_default();
    let finder = memchr::memmem::Finder::new(needle);
    let mut places = Vec::new();
    for (at, jail) in of_jails(held, wanted) {
        if wanted.is_all() {
            places.extend((0..jail.rows().len()).map(|row| (at as u32, row as u32)));
            continue;
        }
        let is_named = wanted.names(jail.name());
        let is_wanted = |row: &Row| {
            wanted.is_from(row) && (needle.is_empty() || is_named || row.has(&finder) || has_text(jail, row, needle))
        };
        let rows = jail.rows().iter().enumerate().filter(|(_, row)| is_wanted(row));
        places.extend(rows.map(|(row, _)| (at as u32, row as u32)));
    }
    places
}

fn has_text(jail: &JailBans, row: &Row, needle: &str) -> bool {
    row.text().is_some() && jail.text(row).to_lowercase().contains(needle)
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
            let whole = view.sorted_page(all.clone(), sort, 0, usize::MAX / 2);
            let mut pieces = Vec::new();
            for page in 0..51 {
                pieces.extend(view.sorted_page(all.clone(), sort, page * 100, 100));
            }
            assert_eq!(pieces, whole, "{field}");
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
        let imported = Wanted { origin: Some(Origin::Blocklist), ..Wanted::default() };
        assert!(wanted(&held, &imported).is_empty());
    }
}

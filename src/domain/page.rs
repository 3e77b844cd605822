//! Paging by number and by position: which rows a page holds, and the block that describes it in an answer.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// A page a client asked for. Checked: `number` is at least 1, `size` is 1 to 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    number: u32,
    size: u32,
}

impl Page {
    /// The largest page, in rows.
    pub const MAX_SIZE: u32 = 500;
    /// Rows of a page when the client does not say.
    pub const DEFAULT_SIZE: u32 = 100;

    /// `None` where a number is out of range.
    pub fn new(number: u32, size: u32) -> Option<Self> {
        (number >= 1 && (1..=Self::MAX_SIZE).contains(&size)).then_some(Self { number, size })
    }

    /// Rows to skip.
    pub fn offset(self) -> u64 {
        u64::from(self.number - 1) * u64::from(self.size)
    }

    /// Rows of a page.
    pub fn size(self) -> u32 {
        self.size
    }

    /// Counted from 1.
    pub fn number(self) -> u32 {
        self.number
    }

    /// The block for an answer, when `total` rows exist.
    pub fn describe(self, total: u64) -> Pagination {
        let total_pages = total.div_ceil(u64::from(self.size));
        Pagination {
            page: self.number,
            page_size: self.size,
            total,
            total_pages,
            has_next_page: u64::from(self.number) < total_pages,
            has_prev_page: self.number > 1,
            next_cursor: None,
        }
    }

    /// The block for rows that were found, by number or behind a place.
    pub fn describe_rows<T: fmt::Display>(self, total: u64, rows: Rows<T>) -> Pagination {
        let number = rows.before / u64::from(self.size) + 1;
        let next = rows.last.map(|behind| Position { rows: rows.before + rows.count as u64, behind });
        Pagination {
            page: u32::try_from(number).unwrap_or(u32::MAX),
            has_next_page: next.is_some(),
            has_prev_page: rows.before > 0,
            next_cursor: next.map(|next| next.to_string()),
            ..self.describe(total)
        }
    }
}

/// Rows of a list that is wanted the other way round: how many to skip, and how many to take, of the `total` rows in the order that they have.
pub fn from_the_end(skip: u64, limit: u32, total: u64) -> (u64, u32) {
    let left = total.saturating_sub(skip);
    let take = left.min(u64::from(limit));
    (left - take, take as u32)
}

impl Pagination {
    /// The block of a list that is given as a whole: one page, as long as the list.
    pub fn whole(total: u64) -> Pagination {
        Pagination {
            page: 1,
            page_size: u32::try_from(total.max(1)).unwrap_or(u32::MAX),
            total,
            total_pages: total.min(1),
            has_next_page: false,
            has_prev_page: false,
            next_cursor: None,
        }
    }
}

/// Where a client goes on in a list: behind which row, and how many rows came before. On the wire `ROWS.POSITION`, the rows in
/// hexadecimal, so that the block of an answer can tell the number of its page without counting again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position<T> {
    /// Rows before it.
    pub rows: u64,
    /// The last of them.
    pub behind: T,
}

impl<T: fmt::Display> fmt::Display for Position<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{}", self.rows, self.behind)
    }
}

/// A text is no place in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPosition;

impl<T: FromStr> FromStr for Position<T> {
    type Err = NoPosition;

    fn from_str(text: &str) -> Result<Self, NoPosition> {
        let (rows, behind) = text.split_once('.').ok_or(NoPosition)?;
        if !rows.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NoPosition);
        }
        let rows = u64::from_str_radix(rows, 16).map_err(|_| NoPosition)?;
        // More rows than any list has would overflow where pages are counted.
        let rows = if rows < 1 << 48 { rows } else { return Err(NoPosition) };
        Ok(Self { rows, behind: behind.parse().map_err(|_| NoPosition)? })
    }
}

/// The rows an answer holds, as paging by position and by number know them alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows<T> {
    /// Rows of the list before the first one.
    pub before: u64,
    /// Rows in the answer.
    pub count: usize,
    /// The last row, where more follow.
    pub last: Option<T>,
}

/// `Pagination` of the contract.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the contract names and explains these fields")]
pub struct Pagination {
    pub page: u32,
    pub page_size: u32,
    pub total: u64,
    pub total_pages: u64,
    pub has_next_page: bool,
    pub has_prev_page: bool,
    pub next_cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::{NoPosition, Page, Position, Rows};

    #[test]
    fn limits_are_inclusive() {
        assert!(Page::new(0, 1).is_none());
        assert!(Page::new(1, 0).is_none());
        assert!(Page::new(1, 501).is_none());
        assert!(Page::new(u32::MAX, 500).is_some());
    }

    #[test]
    fn a_position_is_read_as_it_is_written() {
        let place = Position { rows: 300, behind: -7_i64 };
        assert_eq!(place.to_string().parse(), Ok(place));
        for bad in ["", ".", "1", ".7", "+1.7", "1.", "1.x", "ffffffffffffffff.7", "1.7.7"] {
            assert_eq!(bad.parse::<Position<i64>>(), Err(NoPosition), "{bad}");
        }
    }

    #[test]
    fn pages_by_position_are_those_by_number() {
        let page = Page::new(1, 10).unwrap();
        let last = page.describe_rows(25, Rows { before: 20, count: 5, last: None::<i64> });
        assert_eq!((last.page, last.has_next_page, last.has_prev_page, last.next_cursor), (3, false, true, None));
        let second = page.describe_rows(25, Rows { before: 10, count: 10, last: Some(4) });
        assert_eq!((second.page, second.has_next_page, second.next_cursor.as_deref()), (2, true, Some("14.4")));
    }

    #[test]
    fn the_last_page_has_no_next() {
        let page = Page::new(3, 10).unwrap();
        assert_eq!(page.offset(), 20);
        assert!(!page.describe(30).has_next_page);
        assert!(page.describe(31).has_next_page);
        assert_eq!(page.describe(0).total_pages, 0);
    }
}

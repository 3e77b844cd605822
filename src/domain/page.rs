//! Paging by number: which rows a page holds, and the block that describes it in an answer.

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
    use super::Page;

    #[test]
    fn limits_are_inclusive() {
        assert!(Page::new(0, 1).is_none());
        assert!(Page::new(1, 0).is_none());
        assert!(Page::new(1, 501).is_none());
        assert!(Page::new(u32::MAX, 500).is_some());
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

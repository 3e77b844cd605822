//! A condition of SQL over the archive, put together piece by piece with its values.

use rusqlite::types::Value;

use crate::domain::history::{Cursor, Window};

/// A condition of SQL, with its values, for the rows a filter takes.
#[derive(Default)]
pub(super) struct Condition {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

impl Condition {
    pub(super) fn and(&mut self, sql: &str, values: impl IntoIterator<Item = Value>) {
        self.sql.push_str(if self.sql.is_empty() { " WHERE " } else { " AND " });
        self.sql.push_str(sql);
        self.values.extend(values);
    }

    /// The rows of a window, behind a position. One upper bound, for an index is entered at one place: of two, it may be the wrong one.
    pub(super) fn between(&mut self, window: Option<Window>, after: Option<Cursor>) {
        if let Some(window) = window {
            self.and("banned_at >= ?", [window.start.into()]);
        }
        let end = window.map(|window| (window.end, i64::MIN));
        let before = after.map(|after| (after.time, after.id)).into_iter().chain(end).min();
        if let Some((time, id)) = before {
            self.and("(banned_at, id) < (?, ?)", [time.into(), id.into()]);
        }
    }
}

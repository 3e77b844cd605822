//! Tables and lines for a terminal: as wide as it is, safe whatever the text, and coloured only where somebody looks.

use std::io::{self, IsTerminal, Write};

/// The width where nobody says: that of a terminal of old.
const USUAL_WIDTH: usize = 80;
/// What stands between columns.
const GAP: &str = "  ";

/// Writes text to standard output. A reader that left early, such as `head`, has seen enough.
pub fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

/// Text as one line that does nothing to a terminal: what comes from logs and networks may hold anything.
pub fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// Rows below a heading, in columns.
#[derive(Debug)]
pub struct Table {
    heading: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty one.
    pub fn new(heading: &[&'static str]) -> Table {
        Table { heading: heading.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.iter().map(|cell| plain(cell)).collect());
    }

    /// As text of at most `width` letters a line, where there is a limit: what is too wide is cut in the last column.
    fn text(&self, width: Option<usize>, is_bold: bool) -> String {
        let columns = self.heading.len();
        let mut widths: Vec<usize> = self.heading.iter().map(|name| name.chars().count()).collect();
        for row in &self.rows {
            for (at, cell) in row.iter().enumerate() {
                widths[at] = widths[at].max(cell.chars().count());
            }
        }
        let before: usize = widths[..columns - 1].iter().map(|width| width + GAP.len()).sum();
        let last = width.map_or(usize::MAX, |width| width.saturating_sub(before).max(10));
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let mut line = String::new();
            for (at, cell) in cells.enumerate() {
                if at + 1 == columns {
                    line += &cut(cell, last);
                } else {
                    line += &format!("{cell:<width$}{GAP}", width = widths[at]);
                }
            }
            line.trim_end().to_owned() + "\n"
        };
        let mut out = line(&mut self.heading.iter().copied());
        if is_bold {
            out = format!("\u{1b}[1m{}\u{1b}[0m\n", out.trim_end());
        }
        for row in &self.rows {
            out += &line(&mut row.iter().map(String::as_str));
        }
        out
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Prints it, where it has rows.
    pub fn print(&self) {
        if !self.rows.is_empty() {
            print(&self.text(terminal_width(), has_colours()));
        }
    }
}

/// The beginning of a text that is too long, and a sign that there is more.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['…']).collect()
}

/// Whether standard output is a terminal whose user wants colours (no-color.org).
fn has_colours() -> bool {
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|kind| kind == "dumb");
    !is_plain && io::stdout().is_terminal()
}

/// How many letters a line of the terminal takes; `None` where there is no terminal, and nothing is cut.
fn terminal_width() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    // SAFETY: a winsize is plain data for which all zeros is a value; the call fills that one structure.
    let columns = unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        (libc::ioctl(1, libc::TIOCGWINSZ as _, &mut size) == 0).then_some(usize::from(size.ws_col))
    };
    Some(columns.filter(|columns| *columns > 0).unwrap_or(USUAL_WIDTH))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["JAIL", "LINE"]);
        table.row(vec!["sshd".into(), "a line that is longer than others".into()]);
        table.row(vec!["x".into(), "short".into()]);
        table
    }

    #[test]
    fn columns_stand_below_each_other_and_the_last_one_is_cut() {
        assert_eq!(table().text(Some(20), false), "JAIL  LINE\nsshd  a line that i…\nx     short\n");
        assert_eq!(table().text(None, false), "JAIL  LINE\nsshd  a line that is longer than others\nx     short\n");
    }

    #[test]
    fn nothing_from_outside_reaches_the_terminal_as_a_command() {
        let mut table = Table::new(&["LINE"]);
        table.row(vec!["\u{1b}]0;pwned\u{7}ü\n".into()]);
        assert_eq!(table.text(None, false), "LINE\n\u{fffd}]0;pwned\u{fffd}ü\u{fffd}\n");
    }
}

//! Changes to one `.local` file: set or remove an option and keep every other byte.
//!
//! What is written is parsed again and compared before anybody sees it, so that no name and no value can turn into a
//! section, another option, a comment or a reference. Reading and replacing files is `write`'s business; whether the
//! changed configuration makes sense as a whole is the business of whoever applies it.

use super::document::{Document, Kind, comment_start};
use super::error::Error;
use super::value::{strip, strip_end, strip_start};

/// A value to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewValue {
    /// Text that means itself: every `%` is written as `%%`.
    Literal(String),
    /// Text in the configuration language, where `%(name)s` refers to another option. Whether the reference resolves
    /// must be checked with the changed tree.
    Raw(String),
}

/// The longest value that is written, in bytes.
pub const MAX_VALUE: usize = 256 << 10;

/// The longest name of a section, option, jail, filter or action that is written, in bytes.
pub const MAX_NAME: usize = 128;

impl Document {
    /// Sets an option: in its place when it is there, else behind the last option of the section, else in a new section
    /// at the end. White space at the ends of lines and empty lines at the end of a value are dropped, as fail2ban
    /// itself would drop them.
    pub fn set(&self, section: &str, key: &str, value: &NewValue) -> Result<Document, Error> {
        check_section(self, section)?;
        check_key(section, key)?;
        let lines = encode(key, value)?;
        let text = match self.find(section, key) {
            Some(index) => self.replaced(index, &lines),
            None => self.inserted(section, key, &lines),
        };
        let expected = lines.join("\n");
        self.checked(text, section, key, Some(strip_end(&expected)))
    }

    /// Removes an option. Comments and blank lines inside its value stay; so does its section.
    pub fn remove(&self, section: &str, key: &str) -> Result<Document, Error> {
        let Some(index) = self.find(section, key) else {
            return Ok(self.clone());
        };
        let mut text = String::with_capacity(self.text.len());
        self.push_others(&mut text, index, 0);
        self.checked(text, section, key, None)
    }

    fn find(&self, section: &str, key: &str) -> Option<usize> {
        let key = key.to_lowercase();
        self.settings
            .iter()
            .position(|setting| *setting.key == *key && *self.sections[setting.section].name == *section)
    }

    /// Whether a line adds to the value of a setting.
    fn belongs(&self, setting: usize, line: usize) -> bool {
        let setting = &self.settings[setting];
        let adds = matches!(self.lines[line].kind, Kind::Option | Kind::Continuation);
        adds && (setting.line..=setting.last).contains(&line)
    }

    /// The comment behind the value in a line.
    fn inline_comment(&self, line: usize) -> Option<&str> {
        let text = self.line_text(line);
        comment_start(text).map(|at| &text[at..])
    }

    /// The line end this file uses. A lone `\r` is not written: with a `\n` behind it, it would be one line end.
    fn line_end(&self) -> &'static str {
        let is_windows = self.lines.first().is_some_and(|line| &self.text[line.end..line.next] == "\r\n");
        if is_windows { "\r\n" } else { "\n" }
    }

    /// Appends the lines from `first` on but for those of a setting, of which the comments stay.
    fn push_others(&self, text: &mut String, index: usize, first: usize) {
        for at in first..self.lines.len() {
            let line = self.lines[at];
            let kept = match self.belongs(index, at) {
                false => &self.text[line.start..line.end],
                true => match self.inline_comment(at) {
                    Some(comment) => comment,
                    None => continue,
                },
            };
            let end = &self.text[line.end..line.next];
            if text.ends_with('\r') && kept.is_empty() && end.starts_with('\n') {
                // The two would be one line end, and the blank line between them lost.
                text.push('\n');
            }
            text.push_str(kept);
            text.push_str(end);
        }
    }

    /// The text with another value for a setting. Comments inside the old value stay behind the new one.
    fn replaced(&self, index: usize, lines: &[String]) -> String {
        let setting = &self.settings[index];
        let first = self.lines[setting.line];
        let old = self.line_text(setting.line);
        let value_end = strip_end(&old[..comment_start(old).unwrap_or(old.len())]).len();
        let delimiter = old.find(['=', ':']).map_or(0, |at| at + 1);
        let value_start = value_end - strip_start(&old[delimiter..value_end]).len();
        let mut text = self.text[..first.start].to_owned();
        text.push_str(&old[..value_start.max(delimiter)]);
        if value_end <= delimiter && !lines[0].is_empty() {
            text.push(' ');
        }
        text.push_str(&lines[0]);
        text.push_str(&old[value_end.max(delimiter)..]);
        self.push_continuations(&mut text, indent(old), &lines[1..]);
        text.push_str(&self.text[first.end..first.next]);
        self.push_others(&mut text, index, setting.line + 1);
        text
    }

    /// The text with a new option.
    fn inserted(&self, section: &str, key: &str, lines: &[String]) -> String {
        let end = self.line_end();
        let (at, indent) = match self.place(section) {
            Some(place) => place,
            None => {
                let mut text = self.text.clone();
                if !text.is_empty() {
                    if !text.ends_with(['\n', '\r']) {
                        text.push_str(end);
                    }
                    text.push_str(end);
                }
                text.push_str(&format!("[{section}]{end}"));
                self.push_option(&mut text, "", key, lines);
                text.push_str(end);
                return text;
            }
        };
        let mut text = self.text[..at].to_owned();
        let unfinished = !text.ends_with(['\n', '\r']);
        if unfinished {
            text.push_str(end);
        }
        self.push_option(&mut text, indent, key, lines);
        if !unfinished {
            text.push_str(end);
        }
        text.push_str(&self.text[at..]);
        text
    }

    fn push_option(&self, text: &mut String, indent: &str, key: &str, lines: &[String]) {
        let blank = if lines[0].is_empty() { "" } else { " " };
        text.push_str(&format!("{indent}{key} ={blank}{}", lines[0]));
        self.push_continuations(text, indent, &lines[1..]);
    }

    fn push_continuations(&self, text: &mut String, indent: &str, lines: &[String]) {
        for line in lines {
            text.push_str(self.line_end());
            if !line.is_empty() {
                text.push_str(&format!("{indent}    {line}"));
            }
        }
    }

    /// Where a new option of a section goes: the offset behind the line before it, and its indentation. It must be
    /// indented like its neighbours, or it would become, or make of the next line, a continuation.
    fn place(&self, section: &str) -> Option<(usize, &str)> {
        let number = self.sections.iter().rposition(|own| *own.name == *section)?;
        let header = self.sections[number].line;
        let last = self.settings.iter().rfind(|own| own.section == number);
        if let Some(last) = last {
            return Some((self.lines[last.last].next, indent(self.line_text(last.line))));
        }
        let next =
            (header + 1..self.lines.len()).find(|&at| !matches!(self.lines[at].kind, Kind::Blank | Kind::Comment));
        let indentation = next.map_or("", |at| indent(self.line_text(at)));
        Some((self.lines[header].next, indentation))
    }

    /// Parses the new text and compares: all settings must be as before, but for the one that was to be changed.
    fn checked(&self, text: String, section: &str, key: &str, value: Option<&str>) -> Result<Document, Error> {
        let changed = Document::parse(text).map_err(|fault| {
            let message = &fault.message;
            Error::refused(format!("'{key}' of [{section}] cannot be written: {message}"))
        })?;
        let key = key.to_lowercase();
        let list = |document: &Document| -> Vec<(String, String, String)> {
            let settings = document.settings.iter();
            let mut all: Vec<(String, String, String)> = settings
                .map(|own| {
                    let section = document.sections[own.section].name.to_string();
                    (section, own.key.to_string(), own.value.to_string())
                })
                .filter(|(own, name, _)| !(own == section && *name == key))
                .collect();
            all.sort();
            all
        };
        let found = changed.setting(section, &key).map(|own| &*own.value);
        let mut names: Vec<&str> = self.sections.iter().map(|own| &*own.name).collect();
        if value.is_some() && !names.contains(&section) {
            names.push(section);
        }
        let same_sections = changed.sections.iter().map(|own| &*own.name).eq(names);
        if found != value || list(self) != list(&changed) || !same_sections {
            return Err(Error::refused(format!(
                "'{key}' of [{section}] cannot be written so that fail2ban reads the same value back"
            )));
        }
        Ok(changed)
    }
}

/// The white space at the start of a line.
fn indent(line: &str) -> &str {
    &line[..line.len() - strip_start(line).len()]
}

/// Whether a name may be part of a file name and of a section header: letters, digits, `_`, `.` and `-` of ASCII,
/// beginning with a letter, a digit or `_`.
pub fn is_plain_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.len() <= MAX_NAME && name.starts_with(plain) && name.chars().all(|c| plain(c) || c == '.' || c == '-')
}

/// Sections that exist may have any name; new ones have a plain name, or one with a condition such as
/// `Init?family=inet6`. `[INCLUDES]` is never touched, because it names files.
fn check_section(document: &Document, section: &str) -> Result<(), Error> {
    let (name, condition) = section.split_once('?').unwrap_or((section, ""));
    let plain = is_plain_name(name) && condition.chars().all(|c| c.is_ascii_alphanumeric() || "_=.-".contains(c));
    let known = document.sections.iter().any(|own| *own.name == *section);
    if section.eq_ignore_ascii_case("INCLUDES") || !(plain || known) {
        return Err(Error::refused(format!(
            "section {section:?} cannot be written; use letters, digits, '_', '.' and '-'"
        )));
    }
    Ok(())
}

fn check_key(section: &str, key: &str) -> Result<(), Error> {
    let lower = key.to_lowercase();
    let includes = section == "DEFAULT" && ["before", "after"].contains(&lower.as_str());
    if !is_plain_name(key) || lower == "__name__" || includes {
        return Err(Error::refused(format!(
            "option {key:?} cannot be written in [{section}]; use letters, digits, '_', '.' and '-'"
        )));
    }
    Ok(())
}

/// The lines of a value as they are written, or why it cannot be.
fn encode(key: &str, value: &NewValue) -> Result<Vec<String>, Error> {
    let refuse = |reason: &str| Err(Error::refused(format!("the value of '{key}' {reason}")));
    let text = match value {
        NewValue::Literal(text) => text.replace('%', "%%"),
        NewValue::Raw(text) => text.clone(),
    };
    if text.len() > MAX_VALUE {
        return refuse("is longer than 256 KiB");
    }
    if let Some(c) = text.chars().find(|&c| is_forbidden(c)) {
        return refuse(&format!("holds the character U+{:04X}, which has no place in a configuration file", c as u32));
    }
    let mut lines: Vec<String> = text.split('\n').map(|line| strip(line).to_owned()).collect();
    while lines.len() > 1 && lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    for (at, line) in lines.iter().enumerate() {
        if line.starts_with(';') || (at > 0 && line.starts_with('#')) {
            return refuse("has a line that begins with '#' or ';', which fail2ban takes for a comment");
        }
        if comment_start(line).is_some_and(|at| at > 0) {
            return refuse("has a ';' behind white space, where fail2ban begins a comment");
        }
    }
    if let NewValue::Raw(text) = value {
        check_references(key, text)?;
    }
    Ok(lines)
}

/// Characters that no value may hold: controls but newline and tab, line separators, byte order marks.
fn is_forbidden(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}')
}

/// Whether every `%` is `%%` or begins `%(name)s`.
fn check_references(key: &str, text: &str) -> Result<(), Error> {
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        rest = &rest[at + 1..];
        let reference = || {
            let inner = rest.strip_prefix('(')?;
            let close = inner.find(')').filter(|&close| close > 0)?;
            inner[close + 1..].strip_prefix('s')
        };
        rest = match rest.strip_prefix('%').or_else(reference) {
            Some(rest) => rest,
            None => {
                return Err(Error::refused(format!(
                    "the value of '{key}' has a '%' that is neither '%%' nor '%(name)s'; write '%%' for a percent sign"
                )));
            }
        };
    }
    Ok(())
}

/// A file of our own in the configuration directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalFile {
    /// The directory below the configuration directory.
    pub folder: &'static str,
    /// The name in that directory.
    pub name: String,
}

impl LocalFile {
    /// The file for our changes to a jail: `jail.d/zz-bangui-<name>.local`.
    pub fn jail(name: &str) -> Result<LocalFile, Error> {
        let reserved = ["DEFAULT", "INCLUDES"];
        if reserved.iter().any(|word| word.eq_ignore_ascii_case(name)) {
            return Err(Error::refused(format!("a jail cannot be called '{name}'")));
        }
        LocalFile::new("jail.d", name, format!("zz-bangui-{name}.local"))
    }

    /// The file for our changes to `[DEFAULT]`: no jail can be called so, so that no jail's file is.
    pub fn defaults() -> LocalFile {
        LocalFile { folder: "jail.d", name: "zz-bangui-DEFAULT.local".to_owned() }
    }

    /// The file for changes to a filter: `filter.d/<name>.local`.
    pub fn filter(name: &str) -> Result<LocalFile, Error> {
        LocalFile::new("filter.d", name, format!("{name}.local"))
    }

    /// The file for changes to an action: `action.d/<name>.local`.
    pub fn action(name: &str) -> Result<LocalFile, Error> {
        LocalFile::new("action.d", name, format!("{name}.local"))
    }

    /// The file for our changes to the server's options: `fail2ban.d/zz-bangui.local`.
    pub fn server() -> LocalFile {
        LocalFile { folder: "fail2ban.d", name: "zz-bangui.local".to_owned() }
    }

    /// The file for what is never banned: `jail.d/zzz-bangui-never-ban.local`, the last one of all.
    pub fn never_ban() -> LocalFile {
        LocalFile { folder: "jail.d", name: "zzz-bangui-never-ban.local".to_owned() }
    }

    /// The file that gives `[DEFAULT]` an ignore list where nothing else does: `jail.d/00-bangui-never-ban.conf`, the first one of those that
    /// come after `jail.conf`.
    pub fn never_ban_first() -> LocalFile {
        LocalFile { folder: "jail.d", name: "00-bangui-never-ban.conf".to_owned() }
    }

    fn new(folder: &'static str, name: &str, file: String) -> Result<LocalFile, Error> {
        if !is_plain_name(name) {
            return Err(Error::refused(format!(
                "{name:?} is no name for a file; use letters, digits, '_', '.' and '-'"
            )));
        }
        Ok(LocalFile { folder, name: file })
    }

    /// The path as the loader names it, for an overlay.
    pub fn path(&self, base: &str) -> String {
        format!("{base}/{}/{}", self.folder, self.name)
    }
}

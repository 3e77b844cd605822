//! Files of this program's own among the daemon's configuration, read to be edited.

use std::path::Path;

use super::failure::Failure;
use crate::conf::{self, Document, Folder, LocalFile};
use crate::files::Kind;

/// The text of a file of ours; `None` where there is none.
pub(super) fn read(config_dir: &Path, file: &LocalFile) -> Result<Option<String>, Failure> {
    if !config_dir.join(file.folder).exists() {
        return Ok(None);
    }
    let odd = |error: conf::Error| match error.trouble() {
        Some(trouble) if trouble.kind == Kind::NotAFile => Failure::OddFile(trouble),
        _ => error.into(),
    };
    let saved = Folder::open(config_dir, file.folder)?.read(&file.name).map_err(odd)?;
    let text = saved.map(|saved| String::from_utf8(saved.bytes)).transpose();
    text.map_err(|_| Failure::Conflict(format!("{} is not valid UTF-8; correct it first.", file.name)))
}

/// The file, which must be in the configuration language.
pub(super) fn parsed(text: Option<&str>, file: &LocalFile) -> Result<Document, Failure> {
    Document::parse(text.unwrap_or_default())
        .map_err(|fault| Failure::Conflict(format!("{}:{}: {}", file.name, fault.line, fault.message)))
}

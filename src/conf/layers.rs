//! Which files make up a configuration, in which order, and what they give when merged.
//!
//! The order is `X.conf`, `X.d/*.conf`, `X.local`, `X.d/*.local`, each with the files it includes; later files win.
//! Files are read once per [`Loader`]; pending changes can be laid over them without being written.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::rc::Rc;

use super::config::{Config, Entry, Given, NoValue, Options, Origin, found_value};
use super::document::Document;
use super::error::Error;
use super::glob::{glob, join};
use super::listing::{Listings, Presence};
use super::ordered::{Index, Ordered};
use super::value::{Value, is_word};
use super::version::Version;
use crate::files;

/// The largest file that is read, in bytes; fail2ban's own largest has 26 KB.
pub const MAX_FILE: u64 = 4 << 20;

/// How deep files may include each other.
const MAX_INCLUDE_DEPTH: usize = 64;

/// How many files one configuration may be made of, repeated ones counted.
const MAX_FILES: usize = 4096;

/// Contents that stand for files: new or changed ones, or `None` for removed ones; by path as the loader names it.
pub type Overlay = BTreeMap<String, Option<Vec<u8>>>;

/// Something that fail2ban only logs, although it often means that a setting is not in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The file, jail, filter or action it is about.
    pub subject: String,
    /// What is wrong, in one sentence.
    pub message: String,
}

/// A merged configuration with the files it was made of.
#[derive(Debug, Default)]
pub struct Layers {
    /// The merged sections.
    pub config: Config,
    /// The files that were read, in order; later ones win. A file included several times is listed each time.
    pub files: Vec<Rc<str>>,
    /// The first of its own files that cannot be read, and why. A version that needs every file has nothing then.
    pub unread: Option<Unread>,
    /// What its values refer to.
    references: OnceCell<Vec<String>>,
    /// Expanded values where nothing is given from outside: most jails share an action.
    definition: RefCell<Ordered<Option<Value>>>,
    init: RefCell<Ordered<Option<Value>>>,
}

impl Layers {
    /// Whether something given from outside may change the expansion of a value.
    pub fn is_influenced(&self, given: &Given) -> bool {
        self.references.get_or_init(|| self.config.references()).iter().any(|name| given.contains(name))
    }

    /// What an option of `[Definition]`, or a tag there, expands to by itself; `None` where there is nothing of that name.
    pub fn definition(&self, option: &str) -> Result<Option<Value>, Error> {
        remembered(&self.definition, option, || self.config.get_tag("Definition", option, &Given::new()))
    }

    /// What an option of `[Init]` expands to; `None` where there is nothing of that name.
    pub fn init(&self, option: &str) -> Result<Option<Value>, Error> {
        remembered(&self.init, option, || self.config.get_lower("Init", option, &Given::new()))
    }
}

fn remembered(
    values: &RefCell<Ordered<Option<Value>>>,
    option: &str,
    expand: impl FnOnce() -> Result<Value, NoValue>,
) -> Result<Option<Value>, Error> {
    if let Some(known) = values.borrow().get(option) {
        return Ok(known.clone());
    }
    let value = found_value(expand())?;
    values.borrow_mut().insert(option, value.clone());
    Ok(value)
}

/// A file that is there and cannot be read.
#[derive(Clone, Debug)]
pub struct Unread {
    file: Rc<str>,
    /// The line, counted from 1, where one can be named.
    line: Option<u32>,
    reason: Rc<str>,
}

impl Unread {
    /// The error of a version of fail2ban that needs every file.
    pub fn error(&self) -> Error {
        let (file, reason) = (self.file.to_string(), &self.reason);
        match self.line {
            Some(line) => Error::Syntax {
                file,
                line,
                message: "this is not UTF-8, and this version of fail2ban refuses the file; convert it".to_owned(),
            },
            None => Error::Definition {
                jail: None,
                subject: file,
                message: format!("it cannot be read, and this version of fail2ban does not do without it: {reason}"),
            },
        }
    }
}

/// A single parsed file; `None` when it cannot be opened or decoded, which fail2ban passes over.
type Parsed = Option<Rc<Config>>;

/// Reads configurations below one directory.
#[derive(Debug, Default)]
pub struct Loader {
    base: String,
    overlay: Overlay,
    listings: Listings,
    pub(super) parsed: Index<String, Parsed>,
    pub(super) include_lists: Index<String, Vec<Rc<str>>>,
    merged: Index<String, Option<Rc<Layers>>>,
    /// The files that were passed over, although they are there.
    unread: Index<String, Unread>,
    /// The first path where a file should be and something else is, and what the system says of it. fail2ban waits for a pipe for ever.
    odd: Option<(String, String)>,
    /// What was passed over so far.
    pub warnings: Vec<Warning>,
}

impl Loader {
    /// A loader for the configuration directory `base`, such as `/etc/fail2ban`.
    pub fn new(base: &Path, overlay: Overlay) -> Result<Loader, Error> {
        let name = base.to_str().ok_or_else(|| {
            let shown = base.display();
            Error::refused(format!("the configuration directory {shown} is not UTF-8"))
        })?;
        fs::metadata(base).map_err(|source| Error::io("open directory", name, source))?;
        let base = name.trim_end_matches('/').to_owned();
        let listings = Listings::new(&base);
        Ok(Loader { base, overlay, listings, ..Loader::default() })
    }

    /// The configuration directory without trailing slashes.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Of the files that were read so far, the first that is a pipe, a socket or a device, as an error.
    pub fn odd_file(&self) -> Option<Error> {
        let (path, what) = self.odd.as_ref()?;
        let source = std::io::Error::new(std::io::ErrorKind::InvalidInput, what.clone());
        Some(Error::io("read", path, source))
    }

    /// Like [`Loader::load`], as this version does: some have nothing where one of the files cannot be read.
    pub fn load_as(&mut self, name: &str, version: &Version) -> Result<Option<Rc<Layers>>, Error> {
        let found = self.load(name)?;
        Ok(found.filter(|layers| layers.unread.is_none() || !version.needs_every_file()))
    }

    /// Everything that configures `name`, such as `jail` or `filter.d/sshd`; `None` when there is no readable file.
    pub fn load(&mut self, name: &str) -> Result<Option<Rc<Layers>>, Error> {
        if let Some(found) = self.merged.get(name) {
            return Ok(found.clone());
        }
        let files = self.candidates(name);
        let mut layers = Layers::default();
        for file in self.with_includes(&files, &[])? {
            if let Some(config) = self.parse(&file)? {
                // What others include is kept for them; the rest is wanted only here.
                if files.iter().any(|own| **own == *file) {
                    self.parsed.remove(&*file);
                }
                merge(&mut layers.config, Rc::unwrap_or_clone(config));
                layers.files.push(file);
            }
        }
        if !self.unread.is_empty() {
            layers.unread = files.iter().find_map(|file| self.unread.get(file)).cloned();
        }
        let found = (!layers.files.is_empty()).then(|| Rc::new(layers));
        self.merged.insert(name.to_owned(), found.clone());
        Ok(found)
    }

    /// The files for `name` that exist, in order.
    fn candidates(&mut self, name: &str) -> Vec<String> {
        let path = join(&self.base, name);
        let folder = [&*path, ".d"].concat();
        let mut files = vec![[&*path, ".conf"].concat()];
        files.extend(self.sorted(&folder, ".conf"));
        files.push([&*path, ".local"].concat());
        files.extend(self.sorted(&folder, ".local"));
        files.retain(|file| self.exists(file));
        files
    }

    /// The names of all filters or actions in a folder, sorted: every `X.conf` and `X.local` that is not hidden.
    pub fn names(&mut self, folder: &str) -> Vec<String> {
        let directory = join(&self.base, folder);
        let mut names = self.sorted(&directory, ".conf");
        names.extend(self.sorted(&directory, ".local"));
        names.retain(|path| self.exists(path));
        let mut names: Vec<String> =
            names.iter().map(|path| without_ending(&path[directory.len() + 1..]).to_owned()).collect();
        names.sort();
        names.dedup();
        names
    }

    fn exists(&mut self, file: &str) -> bool {
        self.is_there(file, Path::exists)
    }

    /// Whether the file is there; `ask` puts the question to the system where nothing else knows.
    fn is_there(&mut self, file: &str, ask: fn(&Path) -> bool) -> bool {
        match self.overlay.get(file) {
            Some(content) => content.is_some(),
            None => match self.listings.presence(file) {
                Presence::Absent => false,
                Presence::File => true,
                Presence::Unknown => ask(Path::new(file)),
            },
        }
    }

    /// The visible files of a directory with this ending, sorted by name.
    fn sorted(&mut self, directory: &str, ending: &str) -> Vec<String> {
        let prefix = format!("{directory}/");
        let mut found = match self.listings.with_ending(directory, ending) {
            Some(names) => names.iter().map(|name| format!("{prefix}{name}")).collect(),
            None => glob(&format!("{prefix}*{ending}")),
        };
        for path in self.overlay.keys() {
            let name = path.strip_prefix(&prefix).unwrap_or_default();
            let visible = !name.is_empty() && !name.starts_with('.') && !name.contains('/');
            if visible && name.ends_with(ending) && !found.contains(path) {
                found.push(path.clone());
            }
        }
        found.sort();
        found
    }

    /// The files with their companions and everything they include, in the order in which they are merged.
    /// Lists are remembered by their files alone, as fail2ban does, which matters where files include in a circle.
    fn with_includes(&mut self, files: &[String], seen: &[String]) -> Result<Vec<Rc<str>>, Error> {
        if seen.len() > MAX_INCLUDE_DEPTH {
            return Err(Error::limit(format!(
                "{}: files include each other more than {MAX_INCLUDE_DEPTH} deep",
                files.join(", ")
            )));
        }
        let files = self.with_companions(files);
        let key = files.join("\x01");
        if let Some(list) = self.include_lists.get(&key) {
            return Ok(list.clone());
        }
        let mut list = Vec::new();
        for file in &files {
            let Some(config) = self.parse(file)? else {
                continue;
            };
            list.extend(self.included(&config, "before", file, seen)?);
            list.push(Rc::from(file.as_str()));
            list.extend(self.included(&config, "after", file, seen)?);
            if list.len() > MAX_FILES {
                return Err(Error::limit(format!("{file}: the configuration is made of more than {MAX_FILES} files")));
            }
        }
        self.include_lists.insert(key, list.clone());
        Ok(list)
    }

    /// Each file followed by the `.local` file of the same name, if there is one and it is not in the list itself.
    fn with_companions(&mut self, files: &[String]) -> Vec<String> {
        let mut all = Vec::with_capacity(files.len());
        for file in files {
            all.push(file.clone());
            let local = [without_ending(file), ".local"].concat();
            if self.is_there(&local, Path::is_file) && !files.contains(&local) {
                all.push(local);
            }
        }
        all
    }

    /// The files that `file` includes by its option `before` or `after`.
    fn included(&mut self, config: &Config, option: &str, file: &str, seen: &[String]) -> Result<Vec<Rc<str>>, Error> {
        let named = config.sections.contains("INCLUDES") && config.entry("INCLUDES", option).is_some();
        if !named {
            return Ok(Vec::new());
        }
        let value = match config.get("INCLUDES", option, &Given::new()) {
            Ok(value) => value,
            Err(NoValue::Broken(error)) => return Err(error),
            Err(NoValue::Section | NoValue::Option) => return Ok(Vec::new()),
        };
        let directory = file.rfind('/').map_or("", |slash| &file[..slash]);
        let mut seen_below = seen.to_vec();
        seen_below.push(file.to_owned());
        let mut list = Vec::new();
        for name in value.to_text().split('\n') {
            let path = join(directory, name);
            if path.contains('\0') {
                return Err(Error::Definition {
                    jail: None,
                    subject: file.to_owned(),
                    message: format!("'{option}' includes a file name with a NUL character in it"),
                });
            }
            if !seen.contains(&path) {
                list.extend(self.with_includes(&[path], &seen_below)?);
            }
        }
        Ok(list)
    }

    /// Parses one file, once.
    fn parse(&mut self, file: &str) -> Result<Parsed, Error> {
        if let Some(parsed) = self.parsed.get(file) {
            return Ok(parsed.clone());
        }
        let parsed = match self.read(file) {
            // Includes that are not there are common: shipped files name optional ones.
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => None,
            Err(source) => {
                // A directory is passed over by fail2ban, too.
                if self.odd.is_none() && fs::metadata(file).is_ok_and(|about| !about.is_file() && !about.is_dir()) {
                    self.odd = Some((file.to_owned(), source.to_string()));
                }
                self.pass_over(file, None, format!("cannot be read and is passed over: {source}"));
                None
            }
            Ok(bytes) if bytes.len() as u64 > MAX_FILE => {
                return Err(Error::limit(format!("{file}: larger than {MAX_FILE} bytes")));
            }
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => {
                    let document = Document::parse(text).map_err(|fault| Error::Syntax {
                        file: file.to_owned(),
                        line: fault.line,
                        message: fault.message,
                    })?;
                    Some(Rc::new(sections(&document, file)))
                }
                Err(error) => {
                    let valid = error.utf8_error().valid_up_to();
                    undecodable(file, error.as_bytes(), valid)?;
                    let lines = error.as_bytes()[..valid].iter().filter(|&&byte| byte == b'\n').count();
                    let line = u32::try_from(lines + 1).unwrap_or(u32::MAX);
                    let message = "is not UTF-8, so all of it is passed over (from fail2ban 1.1.1 on, what it belongs to is unusable)";
                    self.pass_over(file, Some(line), message.to_owned());
                    None
                }
            },
        };
        self.parsed.insert(file.to_owned(), parsed.clone());
        Ok(parsed)
    }

    /// The bytes of a file, at most one more than [`MAX_FILE`].
    fn read(&mut self, file: &str) -> std::io::Result<Vec<u8>> {
        match self.overlay.get(file) {
            Some(Some(bytes)) => return Ok(bytes.clone()),
            Some(None) => return Err(std::io::ErrorKind::NotFound.into()),
            None if self.listings.presence(file) == Presence::Absent => {
                return Err(std::io::ErrorKind::NotFound.into());
            }
            None => {}
        }
        let opened = files::open(Path::new(file))?;
        let about = opened.metadata()?;
        let size = usize::try_from(about.len().min(MAX_FILE + 1)).unwrap_or(0);
        let mut bytes = Vec::with_capacity(size);
        // As long as it was when it was opened, so that one that grows all the time has an end, too.
        opened.take(size as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn pass_over(&mut self, file: &str, line: Option<u32>, message: String) {
        let unread = Unread { file: file.into(), line, reason: message.as_str().into() };
        self.unread.insert(file.to_owned(), unread);
        self.warnings.push(Warning { subject: file.to_owned(), message });
    }
}

/// How many bytes Python decodes at a time.
const PYTHON_CHUNK: usize = 8192;

/// A file that is not UTF-8 is passed over, unless the parser stops at something else before Python gets to decode
/// the bad byte.
fn undecodable(file: &str, bytes: &[u8], valid: usize) -> Result<(), Error> {
    let decoded = valid / PYTHON_CHUNK * PYTHON_CHUNK;
    let text = String::from_utf8_lossy(&bytes[..decoded]);
    let lines = text.rfind('\n').map_or(0, |at| at + 1);
    match Document::parse(&text[..lines]) {
        Err(fault) if fault.stops => {
            Err(Error::Syntax { file: file.to_owned(), line: fault.line, message: fault.message })
        }
        _ => Ok(()),
    }
}

/// fail2ban resolves a name that begins with `./` against its working directory.
pub(crate) fn absolute_if_dotted(name: &str) -> String {
    match name.strip_prefix("./") {
        Some(rest) => match std::env::current_dir() {
            Ok(directory) => join(&directory.to_string_lossy(), rest),
            Err(_) => name.to_owned(),
        },
        None => name.to_owned(),
    }
}

/// A path without the ending of its file name; leading dots are not an ending.
pub fn without_ending(path: &str) -> &str {
    let start = path.rfind('/').map_or(0, |slash| slash + 1);
    let name = &path[start..];
    let visible = name.len() - name.trim_start_matches('.').len();
    match name[visible..].rfind('.') {
        Some(dot) => &path[..start + visible + dot],
        None => path,
    }
}

/// The sections of one file.
fn sections(document: &Document, file: &str) -> Config {
    let mut config = Config::default();
    let file: Rc<str> = file.into();
    for section in &document.sections {
        if &*section.name != "DEFAULT" {
            config.sections.insert(section.name.clone(), Options::new());
        }
    }
    for setting in &document.settings {
        let name = &document.sections[setting.section].name;
        let options = match &**name {
            "DEFAULT" => Some(&mut config.defaults),
            name => config.sections.get_mut(name),
        };
        let line = u32::try_from(setting.line + 1).unwrap_or(u32::MAX);
        let entry =
            Entry { value: Value::Str(setting.value.clone()), origin: Some(Origin { file: file.clone(), line }) };
        if let Some(options) = options {
            options.insert(setting.key.clone(), entry);
        }
    }
    config
}

/// Lays a file over what came before. What it changes in a section stays reachable as `KNOWN/section`.
fn merge(all: &mut Config, file: Config) {
    all.defaults.extend(&file.defaults);
    for (name, options) in file.sections {
        let (name, options) = match condition(&name) {
            Some((name, condition)) => {
                let mut renamed = Ordered::with_capacity(options.len());
                // An option `__name__` of such a section is dropped: the parser once had one of its own there.
                for (key, entry) in options.into_iter().filter(|(key, _)| &**key != "__name__") {
                    renamed.insert(format!("{key}{condition}"), entry);
                }
                (Rc::from(name), renamed)
            }
            None => (name, options),
        };
        let Some(before) = all.sections.get_mut(&name) else {
            all.sections.insert(name, options);
            continue;
        };
        let mut changed = Options::new();
        for (key, entry) in before.iter().filter(|(key, _)| options.contains(key)) {
            changed.insert(key.clone(), entry.clone());
        }
        before.extend(&options);
        let known = format!("KNOWN/{name}");
        match all.sections.get_mut(&known) {
            Some(options) => options.extend(&changed),
            None => all.sections.insert(known, changed),
        }
    }
}

/// Splits the name of a conditional section such as `Init?family=inet6`.
pub fn condition(name: &str) -> Option<(&str, &str)> {
    let at = name.as_bytes().iter().position(|&byte| byte == b'?')?;
    let (name, condition) = name.split_at(at);
    (!name.is_empty() && name.chars().all(is_word) && condition.len() > 1).then_some((name, condition))
}

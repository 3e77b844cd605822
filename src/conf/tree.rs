//! A configuration directory as a whole, and the questions that can be asked of it.
//!
//! Files of the server and of the jails are read at once, those of filters and actions when they are first needed, and
//! none twice. To see later changes, load the tree again.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use super::config::{Config, Given, Origin};
use super::definition::Definition;
use super::error::Error;
use super::layers::{Layers, Loader, Overlay, Warning};
use super::params::Invocation;
use super::stream::{Stream, StreamOptions, add_defaults, jail_names, server_commands, server_option, stream};
use super::value::Command;
use super::version::Version;
use super::views::{DefinitionView, JailUse, JailView, definition_view, jail_use, jail_view};

/// An option of a jail as the files have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawOption {
    /// As it is written.
    pub written: String,
    /// What it amounts to.
    pub amount: Option<String>,
    /// Where it is written.
    pub origin: Option<Origin>,
}

/// A configuration directory.
#[derive(Debug)]
pub struct Tree {
    loader: RefCell<Loader>,
    main: Option<Rc<Layers>>,
    jails: Rc<Layers>,
    /// Whether there is any file of jails.
    has_jails: bool,
    version: Version,
}

impl Tree {
    /// Reads the configuration in `directory`, such as `/etc/fail2ban`. The error is why fail2ban would refuse it.
    pub fn load(directory: &Path) -> Result<Tree, Error> {
        Tree::load_with(directory, Overlay::new())
    }

    /// Reads the few files of the server itself, and none of a jail's.
    pub fn load_server(directory: &Path) -> Result<Tree, Error> {
        let mut loader = Loader::new(directory, Overlay::new())?;
        let main = loader.load("fail2ban")?;
        let (jails, version) = (Rc::default(), Version::default());
        Ok(Tree { loader: RefCell::new(loader), main, jails, has_jails: false, version })
    }

    /// Like [`Tree::load`], as if the files in `overlay` were already written.
    pub fn load_with(directory: &Path, overlay: Overlay) -> Result<Tree, Error> {
        let mut loader = Loader::new(directory, overlay)?;
        let main = loader.load("fail2ban")?;
        let jails = loader.load("jail")?;
        let has_jails = jails.is_some();
        let jails = jails.unwrap_or_default();
        Ok(Tree { loader: RefCell::new(loader), main, jails, has_jails, version: Version::default() })
    }

    /// The version that it is read as.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The same, with filters and actions read as this version does.
    pub fn read_as(mut self, version: Version) -> Tree {
        self.version = version;
        self
    }

    /// The configuration directory, without trailing slashes.
    pub fn base(&self) -> String {
        self.loader.borrow().base().to_owned()
    }

    /// Everything that was passed over while reading so far.
    pub fn warnings(&self) -> Vec<Warning> {
        self.loader.borrow().warnings.clone()
    }

    /// Whether a file was looked for outside the folders of the configuration itself.
    pub fn reads_elsewhere(&self) -> bool {
        let loader = self.loader.borrow();
        let is_elsewhere = |path: &str| {
            let inner = path.strip_prefix(loader.base()).and_then(|rest| rest.strip_prefix('/'));
            let folder = inner.map(|inner| inner.rsplit_once('/').map_or("", |(folder, _)| folder));
            !folder.is_some_and(|folder| ["", "jail.d", "fail2ban.d", "filter.d", "action.d"].contains(&folder))
        };
        let listed = loader.include_lists.values().flatten().any(|path| is_elsewhere(path));
        listed || loader.parsed.keys().any(|path| is_elsewhere(path))
    }

    /// Of the files that were read so far, the first that is a pipe, a socket or a device, as an error. Here it was passed over; fail2ban
    /// would wait for a pipe for ever.
    pub fn odd_file(&self) -> Option<Error> {
        self.loader.borrow().odd_file()
    }

    /// Computes the command stream, equal to what `fail2ban-client -d` prints.
    pub fn stream(&self, options: &StreamOptions) -> Result<Stream, Error> {
        if options.version.needs_every_file() {
            self.demand_files()?;
        }
        let mut loader = self.loader.borrow_mut();
        let mut stream = stream(&mut loader, self.main.as_deref(), &self.jails.config, options)?;
        stream.warnings.extend(loader.warnings.iter().cloned());
        Ok(stream)
    }

    /// That the files of the server and of the jails are there and can be read.
    fn demand_files(&self) -> Result<(), Error> {
        let main = self.main.as_deref();
        if let Some(unread) = main.and_then(|main| main.unread.as_ref()).or(self.jails.unread.as_ref()) {
            return Err(unread.error());
        }
        let missing = [("fail2ban.conf", main.is_some()), ("jail.conf", self.has_jails)];
        match missing.iter().find(|(_, is_there)| !is_there) {
            None => Ok(()),
            Some((file, _)) => Err(Error::Definition {
                jail: None,
                subject: format!("{}/{file}", self.base()),
                message:
                    "it is not there, and this version of fail2ban does not do without it; create it, empty if need be"
                        .to_owned(),
            }),
        }
    }

    /// The names of all jails, enabled or not, in the order of the stream.
    pub fn jails(&self) -> Vec<Rc<str>> {
        jail_names(&self.jails.config)
    }

    /// An option of a jail as it stands in the files, its own or that of `[DEFAULT]`, and what it amounts to; `None` where no file has it, and
    /// no amount where it refers to what is not there. `DEFAULT` is that section alone.
    pub fn jail_option(&self, jail: &str, key: &str) -> Option<RawOption> {
        let config = &self.jails.config;
        let entry = config.entry(jail, key)?;
        let amount = config.get(jail, key, &Given::new()).ok().map(|value| value.to_text().into_owned());
        Some(RawOption { written: entry.value.to_text().into_owned(), amount, origin: entry.origin.clone() })
    }

    /// The files that jails are made of, in order; later ones win.
    pub fn jail_files(&self) -> &[Rc<str>] {
        &self.jails.files
    }

    /// The files that the server's own options are made of, in order; later ones win.
    pub fn server_files(&self) -> &[Rc<str>] {
        self.main.as_deref().map_or(&[], |main| &main.files)
    }

    /// The commands that set up the server itself.
    pub fn server(&self, version: &Version) -> Result<Vec<Command>, Error> {
        server_commands(self.main.as_deref(), version)
    }

    /// An option of the server's own section (`pidfile`, `logtarget`, `dbfile` …) as the files have it, or fail2ban's own default.
    pub fn server_option(&self, key: &'static str) -> Option<String> {
        server_option(self.main.as_deref(), key)
    }

    /// Everything about one jail, enabled or not.
    pub fn jail(&self, name: &str, options: &StreamOptions) -> Result<JailView, Error> {
        let mut views = self.views(&[name.into()], options)?;
        views.pop().ok_or_else(|| missing("jail", name))
    }

    /// Everything about all jails.
    pub fn all_jails(&self, options: &StreamOptions) -> Result<Vec<JailView>, Error> {
        self.views(&self.jails(), options)
    }

    fn views(&self, names: &[Rc<str>], options: &StreamOptions) -> Result<Vec<JailView>, Error> {
        let mut loader = self.loader.borrow_mut();
        let mut config = self.config(loader.base(), &options.version);
        let known = jail_names(&config);
        names
            .iter()
            .map(|name| match known.contains(name) {
                true => Ok(jail_view(&mut loader, &mut config, name, options)),
                false => Err(missing("jail", name)),
            })
            .collect()
    }

    /// The jails' configuration with what fail2ban itself supplies.
    fn config(&self, base: &str, version: &Version) -> Config {
        let mut config = self.jails.config.clone();
        add_defaults(&mut config, base, version);
        config
    }

    /// Which filter and actions every jail names, whether they exist or not.
    pub fn uses(&self, version: &Version) -> Vec<JailUse> {
        let config = self.config(self.loader.borrow().base(), version);
        let names = jail_names(&config);
        names.iter().map(|name| jail_use(&config, name, version)).collect()
    }

    /// The names of all filters, those that only others include among them.
    pub fn filters(&self) -> Vec<String> {
        self.loader.borrow_mut().names("filter.d")
    }

    /// Whether there is a Python action of this name, such as `smtp.py`.
    pub fn has_python_action(&self, name: &str) -> bool {
        name.ends_with(".py") && Path::new(&self.base()).join("action.d").join(name).is_file()
    }

    /// The names of all actions, those that only others include among them.
    pub fn actions(&self) -> Vec<String> {
        self.loader.borrow_mut().names("action.d")
    }

    /// Everything about a filter as called with these parameters. `backend` is the jail's, which decides `logtype`.
    pub fn filter(&self, called: &Invocation, backend: &str) -> Result<DefinitionView, Error> {
        let mut loader = self.loader.borrow_mut();
        let parameters = called.parameters.clone();
        let found = Definition::filter(&mut loader, &called.name, parameters, &self.version)?;
        let mut filter = found.ok_or_else(|| missing("filter", &called.name))?;
        filter.apply_backend(backend);
        Ok(definition_view(&called.name, filter, &self.version))
    }

    /// Everything about an action as called with these parameters.
    pub fn action(&self, called: &Invocation) -> Result<DefinitionView, Error> {
        let mut loader = self.loader.borrow_mut();
        let parameters = called.parameters.clone();
        let found = Definition::action(&mut loader, &called.name, parameters, &self.version)?;
        let action = found.ok_or_else(|| missing("action", &called.name))?;
        Ok(definition_view(&called.name, action, &self.version))
    }
}

fn missing(kind: &'static str, name: &str) -> Error {
    Error::Missing { kind, name: name.to_owned() }
}

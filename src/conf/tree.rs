//! A configuration directory as a whole, and the questions that can be asked of it.
//!
//! Files of the server and of the jails are read at once, those of filters and actions when they are first needed, and
//! none twice. To see later changes, load the tree again.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use super::error::Error;
use super::layers::{Layers, Loader, Overlay, Warning};
use super::stream::{Stream, StreamOptions, stream};

/// A configuration directory.
#[derive(Debug)]
pub struct Tree {
    loader: RefCell<Loader>,
    main: Option<Rc<Layers>>,
    jails: Rc<Layers>,
}

impl Tree {
    /// Reads the configuration in `directory`, such as `/etc/fail2ban`. The error is why fail2ban would refuse it.
    pub fn load(directory: &Path) -> Result<Tree, Error> {
        Tree::load_with(directory, Overlay::new())
    }

    /// Like [`Tree::load`], as if the files in `overlay` were already written.
    pub fn load_with(directory: &Path, overlay: Overlay) -> Result<Tree, Error> {
        let mut loader = Loader::new(directory, overlay)?;
        let main = loader.load("fail2ban")?;
        let jails = loader.load("jail")?.unwrap_or_default();
        Ok(Tree {
            loader: RefCell::new(loader),
            main,
            jails,
        })
    }

    /// The configuration directory, without trailing slashes.
    pub fn base(&self) -> String {
        self.loader.borrow().base().to_owned()
    }

    /// Everything that was passed over while reading so far.
    pub fn warnings(&self) -> Vec<Warning> {
        self.loader.borrow().warnings.clone()
    }

    /// Computes the command stream, equal to what `fail2ban-client -d` prints.
    pub fn stream(&self, options: &StreamOptions) -> Result<Stream, Error> {
        let mut loader = self.loader.borrow_mut();
        let mut stream = stream(
            &mut loader,
            self.main.as_deref(),
            &self.jails.config,
            options,
        )?;
        stream.warnings.extend(loader.warnings.iter().cloned());
        Ok(stream)
    }
}

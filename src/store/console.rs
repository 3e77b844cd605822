//! What whoever sits at the machine does to logins, each told by the audit: the same through a server that has the database open, and through
//! a command that has.

use super::audit::Doer;
use super::error::Error;
use super::open::Store;
use super::users::{OWNER_ID, User};
use crate::domain::actor::OWNER;
use crate::domain::audit::{Entry, What};

impl Store {
    /// Gives the owner another password, by its hash in PHC form: the owner's sessions end, and all locks on logins are lifted.
    pub fn set_owner_password(&mut self, hash: &str, now: i64) -> Result<(), Error> {
        let change = |store: &mut Store| {
            store.change_password(OWNER_ID, hash, None)?;
            store.unlock_logins()?;
            Ok(true)
        };
        self.noted(&Entry::new(What::PasswordChanged, OWNER), &Doer::console(), now, change).map(drop)
    }

    /// Has a user log in by the password alone. False: the user did before.
    pub fn reset_second_factor(&mut self, user: &User, now: i64) -> Result<bool, Error> {
        let remove = |store: &mut Store| store.remove_second_factor(user.id);
        self.noted(&Entry::new(What::TotpDisabled, &user.name), &Doer::console(), now, remove)
    }

    /// Lifts every lock on logins.
    pub fn unlock(&mut self, now: i64) -> Result<(), Error> {
        let unlock = |store: &mut Store| store.unlock_logins().map(|()| true);
        self.noted(&Entry::new(What::Unlock, ""), &Doer::console(), now, unlock).map(drop)
    }
}

//! The tables `second_factors` and `recovery_codes`: what a user's login asks for beside the password. A secret is stored encrypted, a
//! recovery code as its hash.

use rusqlite::{OptionalExtension, params};

use super::error::Error;
use super::open::{Store, TokenHash};

/// What an authenticator has of a user's.
#[derive(Debug)]
pub struct SecondFactor {
    /// What both know.
    pub secret: Vec<u8>,
    /// Logins ask for it. Else it was enrolled, and no code has shown that an authenticator has it.
    pub is_confirmed: bool,
}

impl Store {
    /// Whether logins of this user ask for a second factor.
    pub fn has_second_factor(&self, user: i64) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM second_factors WHERE user = ?1 AND confirmed_at IS NOT NULL";
        Ok(self.connection.prepare_cached(sql)?.exists([user])?)
    }

    /// A user's, whether it is confirmed or not.
    pub fn second_factor(&self, user: i64) -> Result<Option<SecondFactor>, Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT secret, confirmed_at IS NOT NULL FROM second_factors WHERE user = ?1")?;
        let found: Option<(Vec<u8>, bool)> =
            statement.query_row([user], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((sealed, is_confirmed)) = found else { return Ok(None) };
        Ok(Some(SecondFactor { secret: self.unseal(&whose(user), &sealed)?, is_confirmed }))
    }

    /// Enrols one that is not confirmed yet, in place of another such. False: there is one that is.
    pub fn enrol_second_factor(&mut self, user: i64, secret: Vec<u8>) -> Result<bool, Error> {
        let sealed = self.seal(&whose(user), secret)?;
        let sql = "INSERT INTO second_factors (user, secret, confirmed_at, last_step) VALUES (?1, ?2, NULL, 0)
                   ON CONFLICT (user) DO UPDATE SET secret = excluded.secret WHERE confirmed_at IS NULL";
        Ok(self.connection.execute(sql, params![user, sealed])? > 0)
    }

    /// A code of this step has shown that an authenticator has it: logins ask for it from now on, or for one of these. False: nothing waits
    /// to be confirmed.
    pub fn confirm_second_factor(
        &mut self,
        user: i64,
        step: i64,
        recovery: &[TokenHash],
        now: i64,
    ) -> Result<bool, Error> {
        let transaction = self.connection.savepoint()?;
        let sql =
            "UPDATE second_factors SET confirmed_at = ?2, last_step = ?3 WHERE user = ?1 AND confirmed_at IS NULL";
        let is_confirmed = transaction.execute(sql, params![user, now, step])? > 0;
        if is_confirmed {
            replace_recovery_codes(&transaction, user, recovery)?;
        }
        transaction.commit()?;
        Ok(is_confirmed)
    }

    /// Uses a step up. False: it, or a later one, was used already.
    pub fn use_step(&mut self, user: i64, step: i64) -> Result<bool, Error> {
        let sql = "UPDATE second_factors SET last_step = ?2 WHERE user = ?1 AND last_step < ?2";
        Ok(self.connection.execute(sql, params![user, step])? > 0)
    }

    /// Uses a recovery code up. False: there is none such.
    pub fn use_recovery_code(&mut self, user: i64, code: &TokenHash) -> Result<bool, Error> {
        let sql = "DELETE FROM recovery_codes WHERE user = ?1 AND code_hash = ?2";
        Ok(self.connection.execute(sql, params![user, code])? > 0)
    }

    /// How many recovery codes are left.
    pub fn recovery_codes_left(&self, user: i64) -> Result<i64, Error> {
        let mut statement = self.connection.prepare_cached("SELECT count(*) FROM recovery_codes WHERE user = ?1")?;
        Ok(statement.query_row([user], |row| row.get(0))?)
    }

    /// Has these in place of what recovery codes there were.
    pub fn set_recovery_codes(&mut self, user: i64, codes: &[TokenHash]) -> Result<(), Error> {
        let transaction = self.connection.savepoint()?;
        replace_recovery_codes(&transaction, user, codes)?;
        transaction.commit()?;
        Ok(())
    }

    /// Logins of this user ask for the password alone from now on. False: they did before.
    pub fn remove_second_factor(&mut self, user: i64) -> Result<bool, Error> {
        let transaction = self.connection.savepoint()?;
        replace_recovery_codes(&transaction, user, &[])?;
        let is_removed = transaction.execute("DELETE FROM second_factors WHERE user = ?1", [user])? > 0;
        transaction.commit()?;
        Ok(is_removed)
    }
}

/// What a secret is sealed as: in another user's row it does not open.
fn whose(user: i64) -> String {
    format!("second factor of user {user}")
}

fn replace_recovery_codes(transaction: &rusqlite::Connection, user: i64, codes: &[TokenHash]) -> Result<(), Error> {
    transaction.execute("DELETE FROM recovery_codes WHERE user = ?1", [user])?;
    let mut statement = transaction.prepare_cached("INSERT INTO recovery_codes (user, code_hash) VALUES (?1, ?2)")?;
    for code in codes {
        statement.execute(params![user, code])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::store::open::tests::with_owner;
    use crate::store::users::OWNER_ID;

    #[test]
    fn a_second_factor_is_asked_for_once_it_is_confirmed_and_each_step_counts_once() {
        let (_directory, mut store) = with_owner();
        let me = OWNER_ID;
        assert!(!store.confirm_second_factor(me, 5, &[], 100).unwrap(), "nothing waits");
        assert!(store.enrol_second_factor(me, b"first".to_vec()).unwrap());
        assert!(store.enrol_second_factor(me, b"second".to_vec()).unwrap());
        assert!(!store.has_second_factor(me).unwrap());
        assert_eq!(store.second_factor(me).unwrap().unwrap().secret, b"second");
        assert!(store.confirm_second_factor(me, 5, &[[1; 32], [2; 32]], 100).unwrap());
        assert!(store.has_second_factor(me).unwrap() && !store.enrol_second_factor(me, b"third".to_vec()).unwrap());
        assert!(!store.confirm_second_factor(me, 9, &[[3; 32]], 100).unwrap(), "it is confirmed already");
        assert!(!store.use_step(me, 5).unwrap(), "the one that confirmed it");
        assert!(store.use_step(me, 6).unwrap() && !store.use_step(me, 6).unwrap() && !store.use_step(me, 5).unwrap());
        assert!(store.use_recovery_code(me, &[1; 32]).unwrap() && !store.use_recovery_code(me, &[1; 32]).unwrap());
        assert_eq!(store.recovery_codes_left(me).unwrap(), 1);
        store.set_recovery_codes(me, &[[4; 32]]).unwrap();
        assert!(!store.use_recovery_code(me, &[2; 32]).unwrap());
        assert!(store.remove_second_factor(me).unwrap() && !store.remove_second_factor(me).unwrap());
        assert!(!store.has_second_factor(me).unwrap() && store.recovery_codes_left(me).unwrap() == 0);
    }

    #[test]
    fn a_second_factor_goes_with_its_user() {
        let (_directory, mut store) = with_owner();
        store.add_user("eve", crate::domain::permission::Role::Admin, "x", 1).unwrap();
        let eve = store.user("eve").unwrap().unwrap().user.id;
        store.enrol_second_factor(eve, b"hers".to_vec()).unwrap();
        store.confirm_second_factor(eve, 5, &[[1; 32]], 100).unwrap();
        store.remove_user(eve).unwrap();
        assert!(store.second_factor(eve).unwrap().is_none() && store.recovery_codes_left(eve).unwrap() == 0);
    }
}

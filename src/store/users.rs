//! The table `users`: who may log in, and as what.

use rusqlite::{OptionalExtension, Row, params};

use super::error::Error;
use super::open::Store;
use crate::domain::actor::OWNER;
use crate::domain::permission::Role;

/// The owner's number: whoever did the setup.
pub const OWNER_ID: i64 = 1;
/// How many there may be, the owner among them.
pub const MOST_USERS: i64 = 25;

/// Who somebody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its row.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
}

/// What is stored of a user.
#[derive(Clone, Debug)]
pub struct UserRow {
    /// Who it is.
    pub user: User,
    /// The hash of its password, in PHC form.
    pub password_hash: String,
    /// Unix seconds; `None` where a version made it that did not note it.
    pub created_at: Option<i64>,
}

impl User {
    /// The owner, whom setup makes.
    pub fn owner() -> User {
        User { id: OWNER_ID, name: OWNER.to_owned(), role: Role::Admin }
    }

    /// From three columns of a row, from this one on. What a later version wrote as a role is the least of ours.
    pub(super) fn read(row: &Row<'_>, at: usize) -> rusqlite::Result<User> {
        let role: String = row.get(at + 2)?;
        Ok(User { id: row.get(at)?, name: row.get(at + 1)?, role: Role::of(&role).unwrap_or(Role::Viewer) })
    }
}

const COLUMNS: &str = "id, name, role, password_hash, created_at";

fn read(row: &Row<'_>) -> rusqlite::Result<UserRow> {
    Ok(UserRow { user: User::read(row, 0)?, password_hash: row.get(3)?, created_at: row.get(4)? })
}

impl Store {
    /// All of them, the owner first.
    pub fn users(&self) -> Result<Vec<UserRow>, Error> {
        let mut statement = self.connection.prepare_cached(&format!("SELECT {COLUMNS} FROM users ORDER BY id"))?;
        Ok(statement.query_map([], read)?.collect::<Result<_, _>>()?)
    }

    /// Whether there is anybody but the owner.
    pub fn has_several_users(&self) -> Result<bool, Error> {
        Ok(self.connection.prepare_cached("SELECT 1 FROM users LIMIT 1 OFFSET 1")?.exists([])?)
    }

    /// The one of this name.
    pub fn user(&self, name: &str) -> Result<Option<UserRow>, Error> {
        let mut statement = self.connection.prepare_cached(&format!("SELECT {COLUMNS} FROM users WHERE name = ?1"))?;
        Ok(statement.query_row([name], read).optional()?)
    }

    /// Adds one. False: there is one of this name.
    pub fn add_user(&mut self, name: &str, role: Role, password_hash: &str, now: i64) -> Result<bool, Error> {
        let sql = "INSERT INTO users (name, role, password_hash, created_at) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT (name) DO NOTHING";
        Ok(self.connection.execute(sql, params![name, role.as_str(), password_hash, now])? > 0)
    }

    /// Gives a user another role. What its tokens may do follows.
    pub fn set_role(&mut self, id: i64, role: Role) -> Result<(), Error> {
        self.connection.execute("UPDATE users SET role = ?2 WHERE id = ?1", params![id, role.as_str()])?;
        Ok(())
    }

    /// Removes one, with its sessions and tokens.
    pub fn remove_user(&mut self, id: i64) -> Result<(), Error> {
        self.connection.execute("DELETE FROM users WHERE id = ?1", [id])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::NewToken;
    use crate::store::open::tests::temporary;

    #[test]
    fn a_user_goes_with_its_sessions_and_tokens() {
        let (_directory, mut store) = temporary();
        assert!(store.complete_setup("x", &[]).unwrap());
        assert!(!store.has_several_users().unwrap());
        assert!(store.add_user("eve", Role::Operator, "y", 100).unwrap());
        assert!(store.has_several_users().unwrap());
        assert!(!store.add_user("eve", Role::Viewer, "z", 100).unwrap());
        let eve = store.user("eve").unwrap().unwrap();
        assert_eq!((eve.user.role, eve.password_hash.as_str()), (Role::Operator, "y"));
        store.add_session(&[1; 32], eve.user.id, "a", 100, 200).unwrap();
        store.add_session(&[2; 32], OWNER_ID, "a", 100, 200).unwrap();
        store.add_token(eve.user.id, &NewToken::default(), &[3; 32], "bui_1", 100).unwrap();
        store.set_role(eve.user.id, Role::Viewer).unwrap();
        assert_eq!(store.session(&[1; 32], 150).unwrap().unwrap().user.role, Role::Viewer);
        assert_eq!(store.token_by_hash(&[3; 32]).unwrap().unwrap().user.role, Role::Viewer);
        store.remove_user(eve.user.id).unwrap();
        assert!(store.session(&[1; 32], 150).unwrap().is_none() && store.token_by_hash(&[3; 32]).unwrap().is_none());
        assert!(store.session(&[2; 32], 150).unwrap().is_some());
        assert_eq!(store.users().unwrap().len(), 1);
    }
}

//! The table `tokens`: the keys of programs. A key is never stored, only its SHA-256.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::error::Error;
use super::open::{Store, TokenHash};
use super::users::User;
use crate::domain::address::IpOrNet;
use crate::domain::permission::Scope;

/// How many tokens of one user there may be.
pub const MOST_TOKENS: i64 = 25;

/// What a token is to be allowed.
#[derive(Clone, Debug, Default)]
pub struct NewToken {
    /// Its name, one of its kind among its maker's.
    pub name: String,
    /// What it may do, where its maker may.
    pub scopes: Vec<Scope>,
    /// The jails it is for; empty for all.
    pub jails: Vec<String>,
    /// Where it may be used; empty for everywhere.
    pub allowed_ips: Vec<IpOrNet>,
    /// Unix seconds; `None` for never.
    pub expires_at: Option<i64>,
}

/// What is stored of a token.
#[derive(Clone, Debug)]
pub struct Token {
    /// Its row.
    pub id: i64,
    /// Known by this.
    pub hash: TokenHash,
    /// Who made it: it can do no more than its maker can now.
    pub user: User,
    /// What it is allowed.
    pub may: NewToken,
    /// The beginning of its text.
    pub prefix: String,
    /// Unix seconds.
    pub created_at: i64,
    /// When it got its present text, where that is not the first; Unix seconds.
    pub rotated_at: Option<i64>,
    /// When it was last used, in Unix seconds, as far as that is stored.
    pub used_at: Option<i64>,
    /// And from where.
    pub used_from: Option<String>,
}

const SELECT: &str =
    "SELECT tokens.id, token_hash, users.id, users.name, users.role, tokens.name, prefix, scopes, jails,
    allowed_ips, tokens.created_at, rotated_at, expires_at, used_at, used_from
    FROM tokens JOIN users ON users.id = tokens.user";

fn read(row: &Row<'_>) -> rusqlite::Result<Token> {
    let (scopes, jails, allowed): (String, String, String) = (row.get(7)?, row.get(8)?, row.get(9)?);
    let may = NewToken {
        name: row.get(5)?,
        scopes: scopes.split(' ').filter_map(Scope::of).collect(),
        jails: list(&jails)?,
        allowed_ips: list(&allowed)?.iter().map(|text| text.parse()).collect::<Result<_, _>>().map_err(unreadable)?,
        expires_at: row.get(12)?,
    };
    Ok(Token {
        id: row.get(0)?,
        hash: row.get(1)?,
        user: User::read(row, 2)?,
        may,
        prefix: row.get(6)?,
        created_at: row.get(10)?,
        rotated_at: row.get(11)?,
        used_at: row.get(13)?,
        used_from: row.get(14)?,
    })
}

/// A list that cannot be read is no empty one, which would allow everything.
fn list(text: &str) -> rusqlite::Result<Vec<String>> {
    serde_json::from_str(text).map_err(unreadable)
}

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

/// Scopes, jails and addresses as they are stored.
fn columns(may: &NewToken) -> (String, String, String) {
    let scopes: Vec<&str> = may.scopes.iter().map(|scope| scope.as_str()).collect();
    let addresses: Vec<String> = may.allowed_ips.iter().map(ToString::to_string).collect();
    let json = |list: &[String]| serde_json::Value::from(list).to_string();
    (scopes.join(" "), json(&may.jails), json(&addresses))
}

impl Store {
    /// All of them, oldest first.
    pub fn tokens(&self) -> Result<Vec<Token>, Error> {
        let mut statement = self.connection.prepare_cached(&format!("{SELECT} ORDER BY tokens.id"))?;
        Ok(statement.query_map([], read)?.collect::<Result<_, _>>()?)
    }

    /// The one of this number.
    pub fn token(&self, id: i64) -> Result<Option<Token>, Error> {
        let mut statement = self.connection.prepare_cached(&format!("{SELECT} WHERE tokens.id = ?1"))?;
        Ok(statement.query_row([id], read).optional()?)
    }

    /// The one of this text, whether or not it has ended.
    pub fn token_by_hash(&self, hash: &TokenHash) -> Result<Option<Token>, Error> {
        let mut statement = self.connection.prepare_cached(&format!("{SELECT} WHERE token_hash = ?1"))?;
        Ok(statement.query_row([hash], read).optional()?)
    }

    /// Adds one and gives its number; `None`: its maker has one of this name.
    pub fn add_token(
        &mut self,
        user: i64,
        may: &NewToken,
        hash: &TokenHash,
        prefix: &str,
        now: i64,
    ) -> Result<Option<i64>, Error> {
        let (scopes, jails, allowed) = columns(may);
        let added = self.connection.execute(
            "INSERT INTO tokens (token_hash, user, name, prefix, scopes, jails, allowed_ips, created_at, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (user, name) DO NOTHING",
            params![hash, user, may.name, prefix, scopes, jails, allowed, now, may.expires_at],
        )?;
        Ok((added > 0).then(|| self.connection.last_insert_rowid()))
    }

    /// Changes what one is allowed. False: its maker has another one of this name.
    pub fn change_token(&mut self, id: i64, may: &NewToken) -> Result<bool, Error> {
        let (scopes, jails, allowed) = columns(may);
        let changed = self.connection.execute(
            "UPDATE OR IGNORE tokens SET name = ?2, scopes = ?3, jails = ?4, allowed_ips = ?5, expires_at = ?6 WHERE id = ?1",
            params![id, may.name, scopes, jails, allowed, may.expires_at],
        )?;
        Ok(changed > 0)
    }

    /// Gives one another text: the former is nobody's from then on.
    pub fn rotate_token(&mut self, id: i64, hash: &TokenHash, prefix: &str, now: i64) -> Result<(), Error> {
        let sql = "UPDATE tokens SET token_hash = ?2, prefix = ?3, rotated_at = ?4 WHERE id = ?1";
        self.connection.execute(sql, params![id, hash, prefix, now])?;
        Ok(())
    }

    /// Removes one.
    pub fn remove_token(&mut self, id: i64) -> Result<(), Error> {
        self.connection.execute("DELETE FROM tokens WHERE id = ?1", [id])?;
        Ok(())
    }
}

/// Writes when and from where a token was last used. The transaction is somebody else's.
pub(super) fn note_use(connection: &Connection, id: i64, at: i64, from: &str) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("UPDATE tokens SET used_at = ?2, used_from = ?3 WHERE id = ?1")?;
    statement.execute(params![id, at, from]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::open::tests::temporary;
    use crate::store::users::OWNER_ID;

    #[test]
    fn a_token_comes_back_as_it_was_stored_and_dies_when_it_is_rotated() {
        let (_directory, mut store) = temporary();
        store.complete_setup("x", &[]).unwrap();
        let may = NewToken {
            name: "widget".into(),
            scopes: vec![Scope::Read, Scope::Bans],
            jails: vec!["my jail".into()],
            allowed_ips: vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::1".parse().unwrap()],
            expires_at: Some(500),
        };
        let id = store.add_token(OWNER_ID, &may, &[1; 32], "bui_12", 100).unwrap().unwrap();
        assert_eq!(store.add_token(OWNER_ID, &may, &[2; 32], "bui_34", 100).unwrap(), None);
        let found = store.token_by_hash(&[1; 32]).unwrap().unwrap();
        assert_eq!(format!("{:?}", found.may), format!("{may:?}"));
        assert_eq!((found.id, found.user.id, found.prefix.as_str(), found.rotated_at), (id, OWNER_ID, "bui_12", None));
        store.rotate_token(id, &[3; 32], "bui_56", 200).unwrap();
        assert!(store.token_by_hash(&[1; 32]).unwrap().is_none());
        assert_eq!(store.token_by_hash(&[3; 32]).unwrap().unwrap().rotated_at, Some(200));
        store.remove_token(id).unwrap();
        assert!(store.tokens().unwrap().is_empty());
    }

    #[test]
    fn a_list_of_addresses_that_cannot_be_read_does_not_let_everybody_in() {
        let (_directory, mut store) = temporary();
        store.complete_setup("x", &[]).unwrap();
        store.add_token(OWNER_ID, &NewToken::default(), &[1; 32], "bui_12", 100).unwrap();
        store.connection.execute("UPDATE tokens SET allowed_ips = '[\"10.0'", []).unwrap();
        assert!(store.token_by_hash(&[1; 32]).is_err());
    }
}

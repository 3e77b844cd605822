-- One password becomes the owner's, and every session the owner's session.
ALTER TABLE sessions RENAME TO former_sessions;
DROP INDEX sessions_by_expiry;
-- Who may log in. The one with the number 1 is the owner, whom setup makes.
CREATE TABLE users (
    id            INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice
    name          TEXT NOT NULL UNIQUE,
    role          TEXT NOT NULL,                     -- viewer, operator, admin
    password_hash TEXT NOT NULL,                     -- Argon2id, in PHC form
    created_at    INTEGER                            -- NULL = by a version that did not note it
) STRICT;

-- A session is known by the SHA-256 of its token only: whoever reads this file cannot log in with it.
CREATE TABLE sessions (
    token_hash BLOB PRIMARY KEY,
    user       INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    client     TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER NOT NULL -- at the latest ten minutes ago when it says so
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- Keys of programs, each known by the SHA-256 of its text only. It goes with whoever made it.
CREATE TABLE tokens (
    id          INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice
    token_hash  BLOB NOT NULL UNIQUE,
    user        INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    prefix      TEXT NOT NULL, -- the beginning of its text, to be told from others by
    scopes      TEXT NOT NULL, -- with blanks between them
    jails       TEXT NOT NULL, -- as a JSON array; empty for all
    allowed_ips TEXT NOT NULL, -- as a JSON array; empty for all
    created_at  INTEGER NOT NULL,
    rotated_at  INTEGER,
    expires_at  INTEGER,       -- NULL = never
    used_at     INTEGER,       -- as in sessions
    used_from   TEXT,
    UNIQUE (user, name)
) STRICT;

INSERT INTO users (id, name, role, password_hash, created_at)
    SELECT 1, 'admin', 'admin', value, NULL FROM settings WHERE key = 'password_hash';
DELETE FROM settings WHERE key = 'password_hash';
INSERT INTO sessions (token_hash, user, client, created_at, expires_at, used_at)
    SELECT token_hash, 1, client, created_at, expires_at, created_at FROM former_sessions WHERE EXISTS (SELECT 1 FROM users);
DROP TABLE former_sessions;

-- The schema of version 1, from which a test brings a database here.

-- What setup stored, and settings changed through the API.
CREATE TABLE settings (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- A session is known by the SHA-256 of its token only: whoever reads this file cannot log in with it.
CREATE TABLE sessions (
    token_hash BLOB PRIMARY KEY,
    client     TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- Failed logins of each client (an IPv4 address or an IPv6 /64), so that a restart forgives nothing.
CREATE TABLE login_failures (
    client        TEXT PRIMARY KEY,
    failures      INTEGER NOT NULL, -- in the window, then in a row since the block began
    window_start  INTEGER NOT NULL,
    blocked_until INTEGER NOT NULL, -- 0 = not blocked
    blocks        INTEGER NOT NULL  -- blocks in a row: the wait grows with it
) STRICT, WITHOUT ROWID;

-- Counts of what must stay limited across a restart: bans and imports, per client and window.
CREATE TABLE counters (
    kind         TEXT NOT NULL,
    client       TEXT NOT NULL,
    window_start INTEGER NOT NULL,
    count        INTEGER NOT NULL,
    PRIMARY KEY (kind, client)
) STRICT, WITHOUT ROWID;

-- The last idle state set through this API for a jail: the daemon cannot be asked for it.
CREATE TABLE jail_idle (
    jail TEXT PRIMARY KEY,
    idle INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Values of a jail that were set at run time and are not in the files yet: a JSON object.
CREATE TABLE jail_pending (
    jail    TEXT PRIMARY KEY,
    changes TEXT NOT NULL
) STRICT, WITHOUT ROWID;


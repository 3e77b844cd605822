-- What a new database gets. An old one is brought here by the migrations in src/store/open.rs; a test compares both.
-- Times are Unix seconds. Every table is STRICT.

-- What setup stored, and settings changed through the API.
CREATE TABLE settings (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

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

-- Our copy of every ban, kept longer than fail2ban's. `country` is the two letters as a number (D*256+E), 0 while unknown.
CREATE TABLE archive_jails (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    bans INTEGER NOT NULL DEFAULT 0 -- rows in archive
) STRICT;
-- The jail of imported lists has the number 0, so that queries and an index can name it.
INSERT INTO archive_jails (id, name, bans) VALUES (0, 'blocklist-import', 0);
CREATE TABLE archive (
    id        INTEGER PRIMARY KEY,
    banned_at INTEGER NOT NULL,
    jail      INTEGER NOT NULL REFERENCES archive_jails (id),
    ip        TEXT NOT NULL,
    country   INTEGER NOT NULL,
    ban_time  REAL,             -- seconds, -1 = for ever, NULL = unknown
    count     INTEGER NOT NULL, -- which ban of the address it was
    failures  INTEGER NOT NULL,
    matches   TEXT              -- log lines, one a line; NULL = none
) STRICT;
-- Finds a ban seen before, the bans of an address, and addresses by their beginning.
CREATE UNIQUE INDEX archive_by_ip ON archive (ip, banned_at, jail);
CREATE INDEX archive_by_time ON archive (banned_at);
CREATE INDEX archive_by_jail ON archive (jail, banned_at);
-- Those whose country is to be found.
CREATE INDEX archive_unknown ON archive (banned_at, id, country) WHERE country = 0;
-- The machine's own bans by time: few beside those of imported lists.
CREATE INDEX archive_own_by_time ON archive (banned_at, id, jail) WHERE jail <> 0;

-- How many rows of archive lie in each stretch of `span` seconds (an hour, six hours, a day, a week from Monday), so that
-- charts add up a few numbers. Short spans are kept only as long as a chart shows them. Each count is eight bytes, big-endian:
-- its lower 40 bits the number of rows, its upper 24 the number of the jail, or of the country doubled, plus one for imported lists.
CREATE TABLE archive_counts (
    span      INTEGER NOT NULL,
    start     INTEGER NOT NULL,
    jails     BLOB NOT NULL,
    countries BLOB NOT NULL,
    PRIMARY KEY (span, start)
) STRICT;

-- Blocklists: where they come from, and what is known of the last import of each.
CREATE TABLE blocklist_sources (
    id            INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice: files are named after it
    name          TEXT NOT NULL,
    url           TEXT NOT NULL,
    enabled       INTEGER NOT NULL,
    unban_removed INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    etag          TEXT,             -- of the content that `fingerprint` stands for
    last_modified TEXT,
    fingerprint   TEXT,             -- SHA-256 of the addresses; NULL = import it whole
    bans_until    INTEGER NOT NULL, -- when the first of its bans ends
    failures      INTEGER NOT NULL, -- in a row that may pass by themselves
    not_before    INTEGER NOT NULL  -- a schedule does not ask the server again before this
) STRICT;

-- The imports of the last 1 000 runs, a row for each source.
CREATE TABLE blocklist_log (
    id         INTEGER PRIMARY KEY,
    run        INTEGER NOT NULL,
    source_id  INTEGER,
    source_url TEXT NOT NULL,
    at         INTEGER NOT NULL,
    imported   INTEGER NOT NULL,
    skipped    INTEGER NOT NULL,
    error      TEXT
) STRICT;
CREATE INDEX blocklist_log_by_run ON blocklist_log (run);

-- What else is told of an import: the reasons of what was passed over, what the lines are, a note.
CREATE TABLE blocklist_log_details (
    log_id  INTEGER PRIMARY KEY, -- a row of blocklist_log
    details TEXT NOT NULL        -- JSON
) STRICT;

-- What a server outside said of addresses that no local file knows. `country` as in archive.
CREATE TABLE places (
    ip         TEXT PRIMARY KEY,
    country    INTEGER NOT NULL,
    asn        TEXT,
    org        TEXT,
    learned_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX places_by_age ON places (learned_at);

-- Devices that have logged in, known by the SHA-256 of a cookie's value: each has a budget of failed logins of its own.
CREATE TABLE devices (
    device_hash BLOB PRIMARY KEY,
    last_login  INTEGER NOT NULL,
    logins      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The last changes of configuration files that were applied: who, when, and the files before and after, so that one can be taken back.
CREATE TABLE changes (
    id         INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice
    at         INTEGER NOT NULL,
    actor_kind TEXT NOT NULL, -- user, token, system, console
    actor      TEXT NOT NULL, -- its name; empty where it has none
    bytes      INTEGER NOT NULL, -- of `files`
    files      TEXT NOT NULL, -- JSON: folder, name, before, after of each
    effect     TEXT NOT NULL  -- JSON: what was loaded, and what did not go as it should
) STRICT;

-- The configuration files as they were last seen: what somebody has changed by hand since is told from them.
CREATE TABLE seen_files (
    path TEXT PRIMARY KEY, -- below the configuration directory
    hash BLOB NOT NULL, -- the first 16 bytes of the SHA-256 of the text
    text TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Bans that were made here: what fail2ban does not know of them. A row goes with its ban.
CREATE TABLE own_bans (
    jail       TEXT NOT NULL,
    ip         TEXT NOT NULL,
    at         INTEGER NOT NULL,
    until      INTEGER,       -- 9223372036854775807 = never; NULL = as long as the bans of the jail last
    note       TEXT NOT NULL, -- empty where nobody said why
    actor_kind TEXT NOT NULL, -- user, token, system, console
    actor      TEXT NOT NULL, -- its name; empty where it has none
    PRIMARY KEY (jail, ip)
) STRICT, WITHOUT ROWID;

-- What is never banned. A row that is going stays until the jails have forgotten it.
CREATE TABLE never_ban (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    entry      TEXT NOT NULL,    -- an address, a network or the name of a host
    jails      TEXT NOT NULL,    -- as a JSON array; empty for all
    note       TEXT NOT NULL,    -- empty where nobody said why
    until      INTEGER,          -- NULL = never
    at         INTEGER NOT NULL,
    actor_kind TEXT NOT NULL,    -- user, token, system, console
    actor      TEXT NOT NULL,    -- its name; empty where it has none
    state      INTEGER NOT NULL  -- 0 = in force, 1 = new, 2 = going
) STRICT;

-- What is known of a ban of the archive besides what fail2ban's database says: who made it here and why, and when fail2ban's log tells of it.
CREATE TABLE archive_seen (
    id         INTEGER PRIMARY KEY, -- a row of archive
    is_stored  INTEGER NOT NULL,    -- 1 = it has been read in fail2ban's database
    logged_at  INTEGER,             -- when the log tells of it, in milliseconds; NULL = it was not read there
    is_made    INTEGER NOT NULL,    -- 0 = a ban of ours whose command may not have been run yet
    note       TEXT,                -- these three are NULL where it was not made here
    actor_kind TEXT,
    actor      TEXT,
    again_from INTEGER,             -- it was made again in this time: what was banned then is this ban
    again_to   INTEGER
) STRICT;
-- Bans that were made again are few, and looked for with each that comes.
CREATE INDEX archive_again ON archive_seen (again_to) WHERE again_to IS NOT NULL;

-- What was lifted here, and by whom. NULL = in every jail; = everything.
CREATE TABLE archive_lifts (
    id         INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice
    at         INTEGER NOT NULL,
    jail       TEXT,
    ip         TEXT,
    note       TEXT NOT NULL, -- empty where nobody said why
    actor_kind TEXT NOT NULL, -- user, token, system, console
    actor      TEXT NOT NULL  -- its name; empty where it has none
) STRICT;
CREATE INDEX archive_lifts_by_ip ON archive_lifts (ip, at);

-- Where the content of a source came from last, behind all redirects.
CREATE TABLE blocklist_fetched (
    source_id   INTEGER PRIMARY KEY, -- a row of blocklist_sources
    fetched_url TEXT NOT NULL,
    addresses   TEXT NOT NULL,       -- of its host, with blanks between them
    at          INTEGER NOT NULL
) STRICT;

-- Whom something is told. Secrets are in it, for they have to be sent; the file is readable by its owner only.
CREATE TABLE notification_channels (
    id       INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice
    settings TEXT NOT NULL -- JSON
) STRICT;

-- What is to be told, and what was. Of one channel and event there is one message that nobody has tried to send yet: what happens
-- meanwhile is counted in it.
CREATE TABLE notifications (
    id           INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice
    channel      INTEGER NOT NULL, -- a row of notification_channels, which may be gone
    channel_name TEXT NOT NULL,
    event        TEXT NOT NULL,
    message      TEXT NOT NULL, -- JSON
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL, -- when it was last added to, tried, or done with
    state        INTEGER NOT NULL, -- 0 = waits, 1 = sent, 2 = given up
    attempts     INTEGER NOT NULL,
    due          INTEGER NOT NULL, -- when it is tried next
    failure      TEXT -- why the last attempt failed; JSON
) STRICT;
CREATE INDEX notifications_waiting ON notifications (channel, event) WHERE state = 0;

-- The second factor of a user's logins.
CREATE TABLE second_factors (
    user         INTEGER PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    secret       BLOB NOT NULL,    -- encrypted, with the key of a file beside this one
    confirmed_at INTEGER,          -- NULL = enrolled, and not asked for yet
    last_step    INTEGER NOT NULL  -- no code of this step or an earlier one is taken again
) STRICT;

-- What stands in for it, each once. Known by its SHA-256 only.
CREATE TABLE recovery_codes (
    user      INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    code_hash BLOB NOT NULL,
    PRIMARY KEY (user, code_hash)
) STRICT, WITHOUT ROWID;

-- What people and programs have done. The entry of a write is in the transaction of the write.
CREATE TABLE audit (
    id         INTEGER PRIMARY KEY, -- never given twice: the newest is never the one that goes
    at         INTEGER NOT NULL,
    event      TEXT NOT NULL,
    actor_kind TEXT NOT NULL,       -- user, token, system, console
    actor      TEXT NOT NULL,       -- its name; empty where it has none
    client     TEXT NOT NULL,       -- empty where it came over no network
    target     TEXT NOT NULL,       -- empty where there is none
    detail     TEXT NOT NULL,
    changes    TEXT NOT NULL,       -- JSON; empty for none
    refusals   INTEGER NOT NULL     -- how many were summed up in it; 0 = it is none
) STRICT;
-- Everything that a list is narrowed by, in its order, so that counting and turning pages read nothing else.
CREATE INDEX audit_narrow ON audit (id, at, event, actor_kind, actor, client);
CREATE INDEX audit_refusals ON audit (id) WHERE refusals > 0;

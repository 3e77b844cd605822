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

-- The configuration files as they were last seen: what somebody has changed by hand since is told from them.
CREATE TABLE seen_files (
    path TEXT PRIMARY KEY, -- below the configuration directory
    hash BLOB NOT NULL, -- the first 16 bytes of the SHA-256 of the text
    text TEXT NOT NULL
) STRICT, WITHOUT ROWID;

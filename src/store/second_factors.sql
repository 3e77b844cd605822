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

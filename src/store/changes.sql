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

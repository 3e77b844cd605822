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

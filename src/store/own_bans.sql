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

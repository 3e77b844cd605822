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

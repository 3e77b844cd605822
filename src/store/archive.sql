-- Our copy of every ban, kept longer than fail2ban's. `country` is the two letters as a number (D*256+E), 0 while unknown.
CREATE TABLE archive_jails (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    bans INTEGER NOT NULL DEFAULT 0 -- rows in archive
) STRICT;
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
CREATE INDEX archive_by_time ON archive (banned_at, jail);
CREATE INDEX archive_by_jail ON archive (jail, banned_at);
CREATE INDEX archive_by_country ON archive (country, banned_at);

-- How many rows of archive lie in each stretch of `span` seconds (an hour, six hours, a day, a week from Monday), so that
-- charts add up a few numbers. Short spans are kept only as long as a chart shows them.
CREATE TABLE archive_by_jail_counts (
    span  INTEGER NOT NULL,
    start INTEGER NOT NULL,
    jail  INTEGER NOT NULL REFERENCES archive_jails (id),
    count INTEGER NOT NULL,
    PRIMARY KEY (span, start, jail)
) STRICT, WITHOUT ROWID;
CREATE TABLE archive_by_country_counts (
    span      INTEGER NOT NULL,
    start     INTEGER NOT NULL,
    country   INTEGER NOT NULL,
    blocklist INTEGER NOT NULL, -- 1 = from an imported list
    count     INTEGER NOT NULL,
    PRIMARY KEY (span, start, country, blocklist)
) STRICT, WITHOUT ROWID;

-- The jail of imported lists has the number 0, so that queries and an index can name it.
UPDATE archive_jails SET name = 'archive_counts.sql' WHERE name = 'blocklist-import';
INSERT INTO archive_jails (id, name, bans)
    VALUES (0, 'blocklist-import', coalesce((SELECT bans FROM archive_jails WHERE name = 'archive_counts.sql'), 0));
UPDATE archive SET jail = 0 WHERE jail = (SELECT id FROM archive_jails WHERE name = 'archive_counts.sql');
UPDATE archive_by_jail_counts SET jail = 0 WHERE jail = (SELECT id FROM archive_jails WHERE name = 'archive_counts.sql');
DELETE FROM archive_jails WHERE name = 'archive_counts.sql';
DROP INDEX archive_by_time;
CREATE INDEX archive_by_time ON archive (banned_at);
-- Those whose country is to be found. An index of all by country would cost each ban a page to write.
DROP INDEX archive_by_country;
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
INSERT INTO archive_counts (span, start, jails, countries)
    SELECT span, start, unhex(group_concat(printf('%016X', jail << 40 | count), '')),
        (SELECT unhex(group_concat(printf('%016X', (country << 1 | blocklist) << 40 | count), '')) FROM archive_by_country_counts AS other
         WHERE other.span = archive_by_jail_counts.span AND other.start = archive_by_jail_counts.start AND count > 0)
    FROM archive_by_jail_counts WHERE count > 0 GROUP BY span, start;
DROP TABLE archive_by_jail_counts;
DROP TABLE archive_by_country_counts;

-- What a server outside said of addresses that no local file knows. `country` as in archive.
CREATE TABLE places (
    ip         TEXT PRIMARY KEY,
    country    INTEGER NOT NULL,
    asn        TEXT,
    org        TEXT,
    learned_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX places_by_age ON places (learned_at);

-- Where the content of a source came from last, behind all redirects.
CREATE TABLE blocklist_fetched (
    source_id   INTEGER PRIMARY KEY, -- a row of blocklist_sources
    fetched_url TEXT NOT NULL,
    addresses   TEXT NOT NULL,       -- of its host, with blanks between them
    at          INTEGER NOT NULL
) STRICT;

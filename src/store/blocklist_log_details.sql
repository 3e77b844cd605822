-- What else is told of an import: the reasons of what was passed over, what the lines are, a note.
CREATE TABLE blocklist_log_details (
    log_id  INTEGER PRIMARY KEY, -- a row of blocklist_log
    details TEXT NOT NULL        -- JSON
) STRICT;

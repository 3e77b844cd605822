-- Whom something is told. Secrets are in it, for they have to be sent; the file is readable by its owner only.
CREATE TABLE notification_channels (
    id       INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice
    settings TEXT NOT NULL -- JSON
) STRICT;

-- What is to be told, and what was. Of one channel and event there is one message that nobody has tried to send yet: what happens
-- meanwhile is counted in it.
CREATE TABLE notifications (
    id           INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice
    channel      INTEGER NOT NULL, -- a row of notification_channels, which may be gone
    channel_name TEXT NOT NULL,
    event        TEXT NOT NULL,
    message      TEXT NOT NULL, -- JSON
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL, -- when it was last added to, tried, or done with
    state        INTEGER NOT NULL, -- 0 = waits, 1 = sent, 2 = given up
    attempts     INTEGER NOT NULL,
    due          INTEGER NOT NULL, -- when it is tried next
    failure      TEXT -- why the last attempt failed; JSON
) STRICT;
CREATE INDEX notifications_waiting ON notifications (channel, event) WHERE state = 0;

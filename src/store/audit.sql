-- What people and programs have done. The entry of a write is in the transaction of the write.
CREATE TABLE audit (
    id         INTEGER PRIMARY KEY, -- never given twice: the newest is never the one that goes
    at         INTEGER NOT NULL,
    event      TEXT NOT NULL,
    actor_kind TEXT NOT NULL,       -- user, token, system, console
    actor      TEXT NOT NULL,       -- its name; empty where it has none
    client     TEXT NOT NULL,       -- empty where it came over no network
    target     TEXT NOT NULL,       -- empty where there is none
    detail     TEXT NOT NULL,
    changes    TEXT NOT NULL,       -- JSON; empty for none
    refusals   INTEGER NOT NULL     -- how many were summed up in it; 0 = it is none
) STRICT;
-- Everything that a list is narrowed by, in its order, so that counting and turning pages read nothing else.
CREATE INDEX audit_narrow ON audit (id, at, event, actor_kind, actor, client);
CREATE INDEX audit_refusals ON audit (id) WHERE refusals > 0;

-- Devices that have logged in, known by the SHA-256 of a cookie's value: each has a budget of failed logins of its own.
CREATE TABLE devices (
    device_hash BLOB PRIMARY KEY,
    last_login  INTEGER NOT NULL,
    logins      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

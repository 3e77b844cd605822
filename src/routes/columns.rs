//! The columns of lists as CSV, in their order. Which route has which is in the table.

/// What is banned now.
pub(super) const BAN: &[&str] = &[
    "ip",
    "jail",
    "banned_at",
    "expires_at",
    "ban_count",
    "country",
    "origin",
    "note",
    "actor.kind",
    "actor.name",
    "own_end",
];
/// What was told.
pub(super) const NOTIFICATION: &[&str] =
    &["id", "at", "channel", "event", "title", "text", "count", "state", "attempts", "failure.kind", "failure.detail"];
/// Who is failing.
pub(super) const FAILING: &[&str] =
    &["ip", "jail", "failures", "of", "left", "user", "users", "first_at", "last_at", "forgotten_at", "country"];
/// The history.
pub(super) const PAST_BAN: &[&str] = &[
    "ip",
    "jail",
    "banned_at",
    "ban_time",
    "ban_count",
    "failures",
    "country_code",
    "country_name",
    "asn",
    "org",
    "origin",
    "matches",
];
/// Who came back.
pub(super) const REPEATER: &[&str] = &[
    "name",
    "bans",
    "addresses",
    "first_ban_at",
    "last_ban_at",
    "jails",
    "country_code",
    "country_name",
    "asn",
    "org",
];
/// Changes of files.
pub(super) const CHANGE: &[&str] =
    &["id", "at", "actor.kind", "actor.name", "by_hand", "jails", "paths", "undoes", "undone_by"];
/// What people and programs have done.
pub(super) const EVENT: &[&str] =
    &["id", "at", "event_type", "actor.kind", "actor.name", "client", "target", "detail", "changes", "count"];
/// Who is never banned.
pub(super) const NEVER_BAN: &[&str] = &[
    "id",
    "entry",
    "kind",
    "jails",
    "note",
    "until",
    "created_at",
    "actor.kind",
    "actor.name",
    "addresses",
    "in_force",
    "source.file",
    "source.line",
];
/// The log of imports.
pub(super) const IMPORT: &[&str] =
    &["id", "source_id", "source_url", "timestamp", "ips_imported", "ips_skipped", "errors", "note"];

//! The codes of errors, each with the statuses it goes with. Nothing here knows when they are used.

use std::fmt;

use serde::{Serialize, Serializer};

macro_rules! codes {
    ($($name:ident = $text:literal, $statuses:expr;)*) => {
        /// What went wrong, for programs. A code never changes its meaning; `openapi.json` describes each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the text beside each says what it is")]
        pub enum Code {
            $($name,)*
        }

        impl Code {
            /// All of them.
            #[cfg(test)]
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// As it stands in an answer.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Code::$name => $text,)*
                }
            }

            /// The statuses it goes with; the first is the usual one.
            pub fn statuses(self) -> &'static [u16] {
                match self {
                    $(Code::$name => &$statuses,)*
                }
            }
        }
    };
}

codes! {
    InvalidInput = "invalid_input", [400, 408, 417, 422, 431];
    ConfigValidationFailed = "config_validation_failed", [422, 400];
    InvalidName = "invalid_name", [400];
    AuthenticationRequired = "authentication_required", [401];
    MfaRequired = "mfa_required", [401];
    InvalidToken = "invalid_token", [401];
    InsufficientRole = "insufficient_role", [403];
    InsufficientScope = "insufficient_scope", [403];
    SessionRequired = "session_required", [403];
    ReauthenticationRequired = "reauthentication_required", [403];
    IpNotAllowed = "ip_not_allowed", [403];
    CsrfHeaderRequired = "csrf_header_required", [403];
    ReadOnly = "read_only", [403];
    ActionEditDisabled = "action_edit_disabled", [403];
    SetupLocalOnly = "setup_local_only", [403];
    LimitReached = "limit_reached", [403];
    NotFound = "not_found", [404];
    JailNotFound = "jail_not_found", [404];
    FilterNotFound = "filter_not_found", [404];
    ActionNotFound = "action_not_found", [404];
    ConfigFileNotFound = "config_file_not_found", [404];
    ChangeNotFound = "change_not_found", [404];
    NeverBanNotFound = "never_ban_not_found", [404];
    ChannelNotFound = "channel_not_found", [404];
    FindingNotFound = "finding_not_found", [404];
    BlocklistSourceNotFound = "blocklist_source_not_found", [404];
    JobNotFound = "job_not_found", [404];
    SessionNotFound = "session_not_found", [404];
    UserNotFound = "user_not_found", [404];
    TokenNotFound = "token_not_found", [404];
    MethodNotAllowed = "method_not_allowed", [405];
    Conflict = "conflict", [409];
    TotpAlreadyEnabled = "totp_already_enabled", [409];
    TotpNotEnabled = "totp_not_enabled", [409];
    LastAdmin = "last_admin", [409];
    SetupAlreadyComplete = "setup_already_complete", [409];
    Fail2banCommandFailed = "fail2ban_command_failed", [409];
    ApplyInProgress = "apply_in_progress", [409];
    WouldLoseJails = "would_lose_jails", [409];
    ImportRunning = "import_running", [409];
    PayloadTooLarge = "payload_too_large", [413];
    UnknownHost = "unknown_host", [421];
    RateLimitExceeded = "rate_limit_exceeded", [429];
    InternalError = "internal_error", [500];
    ConfigNotInstalled = "config_not_installed", [500];
    ConfigNotPermitted = "config_not_permitted", [500];
    ConfigDiskFull = "config_disk_full", [500];
    ConfigNotAFile = "config_not_a_file", [500, 400];
    ConfigUnusable = "config_unusable", [500];
    Fail2banUnreachable = "fail2ban_unreachable", [502];
    Fail2banDatabaseUnreadable = "fail2ban_database_unreadable", [502];
    UpstreamUnreachable = "upstream_unreachable", [502];
    SetupRequired = "setup_required", [503];
    Busy = "busy", [503];
    Fail2banNotBack = "fail2ban_not_back", [503];
    StorageUnavailable = "storage_unavailable", [503];
}

impl Code {
    /// The status it usually goes with.
    pub fn status(self) -> u16 {
        self.statuses().first().copied().unwrap_or(500)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openapi_json_lists_exactly_these_with_their_statuses() {
        let document: serde_json::Value = serde_json::from_str(include_str!("../../openapi.json")).unwrap();
        let schema = &document["components"]["schemas"]["ErrorCode"];
        let listed: Vec<&str> = schema["enum"].as_array().unwrap().iter().map(|code| code.as_str().unwrap()).collect();
        let own: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(listed, own);
        let described = schema["description"].as_str().unwrap();
        for code in Code::ALL {
            let mut statuses: Vec<u16> = code.statuses().to_vec();
            statuses.sort_unstable();
            let statuses: Vec<String> = statuses.iter().map(u16::to_string).collect();
            let wanted = format!("- `{code}` ({}): ", statuses.join(", "));
            assert!(described.contains(&wanted), "the description of ErrorCode has no line {wanted}");
        }
        assert_eq!(described.matches("\n- `").count(), Code::ALL.len());
    }
}

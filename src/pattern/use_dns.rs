//! The setting `usedns`.

/// How the daemon treats host names (`usedns`). Names are never resolved here; the setting changes what `<HOST>` matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UseDns {
    /// Resolve.
    Yes,
    /// Resolve and warn; the daemon's default.
    #[default]
    Warn,
    /// `<HOST>` matches addresses only.
    No,
    /// Take what was matched as it is.
    Raw,
}

impl UseDns {
    /// Reads a setting; like the daemon, takes an unknown one as `no`.
    pub fn of(setting: &str) -> UseDns {
        match setting.to_lowercase().as_str() {
            "yes" | "true" => UseDns::Yes,
            "warn" => UseDns::Warn,
            "raw" => UseDns::Raw,
            _ => UseDns::No,
        }
    }
}

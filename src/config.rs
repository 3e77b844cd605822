//! One struct with every setting: defaults < configuration file < environment < arguments, checked once, at start.
//! What setup stores in the database ranks below the file and is joined in later (`Stored` in `store/settings.rs`).

mod layers;
mod values;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::domain::address::IpOrNet;
use crate::domain::history::Keeping;
use crate::firewall::{Reach, Way};
use crate::server::listen::Address;

pub use self::values::parse_timezone;
use self::values::{
    boolean, list, number, parse_base_path, parse_blocklist_mode, parse_frame_ancestors, parse_listen, parse_origin,
    parse_web, path,
};

/// Every setting of the program.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: Vec<Address>,
    /// Our own database.
    pub database: PathBuf,
    /// fail2ban's socket, where it was given.
    pub fail2ban_socket: Option<PathBuf>,
    /// fail2ban's configuration directory.
    pub fail2ban_config: PathBuf,
    /// fail2ban's database, where it was given; else the daemon is asked.
    pub fail2ban_database: Option<PathBuf>,
    /// A MMDB file, where it was given.
    pub geoip_database: Option<PathBuf>,
    /// An IANA time zone, where it was given.
    pub timezone: Option<String>,
    /// Proxies that are believed when they say who the client is.
    pub trusted_proxies: Vec<IpOrNet>,
    /// Names in a Host header that are us, in lower case.
    pub allowed_hosts: Vec<String>,
    /// Directories that log files may lie in.
    pub allowed_log_dirs: Vec<PathBuf>,
    /// What comes before `/api`, without a final slash; empty for none.
    pub base_path: String,
    /// Whether the page is served beside the API.
    pub ui: bool,
    /// Whose pages may show ours inside: the words of `frame-ancestors` in the page's policy.
    pub frame_ancestors: String,
    /// How much is logged.
    pub log_level: log::LevelFilter,
    /// How long a session lasts, in minutes, where it was given.
    pub session_minutes: Option<u32>,
    /// Whether the session cookie is for HTTPS only: `None` decides by what a trusted proxy says.
    pub cookie_secure: Option<bool>,
    /// Origins that pages of other hosts may call from.
    pub cors_origins: Vec<String>,
    /// How to start fail2ban, as a command line, where it was given.
    pub start_command: Option<String>,
    /// Requests a minute of a client without a session; 0 = no limit.
    pub rate_anonymous: u32,
    /// Requests a minute of a session; 0 = no limit.
    pub rate_session: u32,
    /// Bans and unbans a minute of a client; 0 = no limit.
    pub rate_ban: u32,
    /// Configuration changes a minute of a client; 0 = no limit.
    pub rate_config: u32,
    /// Blocklist imports an hour; 0 = no limit.
    pub rate_import: u32,
    /// Every write but login and logout is refused.
    pub read_only: bool,
    /// Whether commands that fail2ban runs as root may be edited.
    pub allow_action_edit: bool,
    /// Whether lists may be fetched from addresses that are not public.
    pub allow_private_fetch: bool,
    /// How bans are kept.
    pub archive: Keeping,
    /// Where `bangui geo update` fetches its file.
    pub geoip_update_url: String,
    /// The server outside that is asked where addresses are, if any is.
    pub geoip_online: Option<String>,
    /// Days after which a country database is fetched again; 0 = never by itself.
    pub geoip_update_days: u32,
    /// How long imported addresses are banned, in seconds.
    pub blocklist_ban_seconds: u32,
    /// How imported addresses are dropped by a set of our own; `None` has fail2ban ban them.
    pub blocklist_way: Option<Way>,
    /// Which packets are held against that set.
    pub blocklist_reach: Reach,
    /// The file of the authorities that are trusted instead of those that are built in, where it was given.
    pub blocklist_ca_file: Option<PathBuf>,
    /// From where metrics are read without a session.
    pub metrics_networks: Vec<IpOrNet>,
    /// The hour of the day at which the digest is told.
    pub digest_hour: u32,
    /// The variables of the settings that were given at the start.
    pub given: BTreeSet<&'static str>,
}

/// One setting: its names, and how its text becomes a value.
pub struct Setting {
    /// The option, where it has one.
    pub option: Option<&'static str>,
    /// The environment variable. In lower case and without its prefix it is the key in the file.
    pub variable: &'static str,
    /// The placeholder of the value in the help.
    pub value: &'static str,
    /// One line of help.
    pub help: &'static str,
    set: fn(&mut Config, &str) -> Result<(), String>,
}

const PREFIX: &str = "BANGUI_";

impl Setting {
    /// The key in a configuration file.
    pub fn key(&self) -> String {
        key_of(self.variable)
    }

    /// Takes a value that was given at the start.
    fn give(&self, config: &mut Config, text: &str) -> Result<(), String> {
        config.given.insert(self.variable);
        (self.set)(config, text)
    }
}

/// The key in a configuration file of a setting with this environment variable.
pub fn key_of(variable: &str) -> String {
    variable[PREFIX.len()..].to_ascii_lowercase()
}

/// Sets what the environment variable would set; says what is wrong with the text.
pub fn set(config: &mut Config, variable: &str, text: &str) -> Result<(), String> {
    let setting = SETTINGS.iter().find(|setting| setting.variable == variable);
    setting.map_or(Ok(()), |setting| (setting.set)(config, text))
}

/// A setting without an option.
const fn unlisted(
    variable: &'static str,
    value: &'static str,
    help: &'static str,
    set: fn(&mut Config, &str) -> Result<(), String>,
) -> Setting {
    Setting { option: None, variable, value, help, set }
}

/// Every setting there is.
pub const SETTINGS: &[Setting] = &[
    Setting {
        option: Some("listen"),
        variable: "BANGUI_LISTEN",
        value: "ADDRESS",
        help: "address:port or unix:PATH, several by comma (127.0.0.1:8000)",
        set: |config, text| list(text, parse_listen).map(|found| config.listen = found),
    },
    Setting {
        option: Some("database"),
        variable: "BANGUI_DATABASE_PATH",
        value: "FILE",
        help: "our database (/var/lib/bangui/bangui.db for root, else $XDG_DATA_HOME/bangui/bangui.db)",
        set: |config, text| path(text).map(|found| config.database = found),
    },
    Setting {
        option: Some("fail2ban-socket"),
        variable: "BANGUI_FAIL2BAN_SOCKET",
        value: "FILE",
        help: "fail2ban's socket (/var/run/fail2ban/fail2ban.sock)",
        set: |config, text| path(text).map(|found| config.fail2ban_socket = Some(found)),
    },
    Setting {
        option: Some("fail2ban-config"),
        variable: "BANGUI_FAIL2BAN_CONFIG_DIR",
        value: "DIR",
        help: "fail2ban's configuration directory (/etc/fail2ban)",
        set: |config, text| path(text).map(|found| config.fail2ban_config = found),
    },
    Setting {
        option: Some("fail2ban-database"),
        variable: "BANGUI_FAIL2BAN_DATABASE_PATH",
        value: "FILE",
        help: "fail2ban's database (asked of the daemon)",
        set: |config, text| path(text).map(|found| config.fail2ban_database = Some(found)),
    },
    Setting {
        option: Some("geoip-database"),
        variable: "BANGUI_GEOIP_DB_PATH",
        value: "FILE",
        help: "a country, city or ASN database in MMDB form (looked for in the usual places)",
        set: |config, text| path(text).map(|found| config.geoip_database = Some(found)),
    },
    Setting {
        option: Some("timezone"),
        variable: "BANGUI_TIMEZONE",
        value: "ZONE",
        help: "IANA time zone of schedules (UTC)",
        set: |config, text| parse_timezone(text).map(|found| config.timezone = Some(found)),
    },
    Setting {
        option: Some("trusted-proxies"),
        variable: "BANGUI_TRUSTED_PROXIES",
        value: "NETS",
        help: "addresses or networks of proxies whose X-Forwarded-* headers are believed (none)",
        set: |config, text| list(text, str::parse::<IpOrNet>).map(|found| config.trusted_proxies = found),
    },
    Setting {
        option: Some("allowed-hosts"),
        variable: "BANGUI_ALLOWED_HOSTS",
        value: "NAMES",
        help: "host names this machine answers to, beside addresses, localhost and its own name (none)",
        set: |config, text| {
            list(text, |name| Ok::<_, String>(name.to_ascii_lowercase())).map(|found| config.allowed_hosts = found)
        },
    },
    Setting {
        option: Some("allowed-log-dirs"),
        variable: "BANGUI_ALLOWED_LOG_DIRS",
        value: "DIRS",
        help: "directories that log files may lie in (/var/log,/config/log)",
        set: |config, text| list(text, path).map(|found| config.allowed_log_dirs = found),
    },
    Setting {
        option: Some("base-path"),
        variable: "BANGUI_BASE_PATH",
        value: "PATH",
        help: "what a proxy leaves before /api, such as /bangui (none)",
        set: |config, text| parse_base_path(text).map(|found| config.base_path = found),
    },
    Setting {
        option: Some("log-level"),
        variable: "BANGUI_LOG_LEVEL",
        value: "LEVEL",
        help: "off, error, warn or info (info); debug and trace say no more than info",
        set: |config, text| {
            let level = text.parse().map_err(|_| "expected off, error, warn, info, debug or trace".to_owned())?;
            config.log_level = level;
            Ok(())
        },
    },
    unlisted(
        "BANGUI_SESSION_DURATION_MINUTES",
        "MINUTES",
        "how long a session lasts, 1 to 525600 (480)",
        |config, text| number(text, 1, 525_600).map(|found| config.session_minutes = Some(found)),
    ),
    Setting {
        option: None,
        variable: "BANGUI_SESSION_COOKIE_SECURE",
        value: "WHEN",
        help: "auto, 1 or 0: whether the cookie is for HTTPS only (auto: when a trusted proxy says so)",
        set: |config, text| {
            config.cookie_secure = if text == "auto" { None } else { Some(boolean(text)?) };
            Ok(())
        },
    },
    unlisted(
        "BANGUI_CORS_ALLOWED_ORIGINS",
        "ORIGINS",
        "origins whose pages may call this API, such as https://panel.example (none)",
        |config, text| list(text, parse_origin).map(|found| config.cors_origins = found),
    ),
    unlisted("BANGUI_UI", "0|1", "0 serves the API alone, without the page (1)", |config, text| {
        boolean(text).map(|found| config.ui = found)
    }),
    unlisted(
        "BANGUI_FRAME_ANCESTORS",
        "ORIGINS",
        "origins whose pages may show this one inside, or self (none)",
        |config, text| parse_frame_ancestors(text).map(|found| config.frame_ancestors = found),
    ),
    Setting {
        option: None,
        variable: "BANGUI_FAIL2BAN_START_COMMAND",
        value: "COMMAND",
        help: "how a restart starts fail2ban (the service manager, else fail2ban-client start)",
        set: |config, text| {
            config.start_command = Some(text.to_owned());
            Ok(())
        },
    },
    unlisted(
        "BANGUI_RATE_LIMIT_ANONYMOUS",
        "COUNT",
        "requests a minute of a client without a session, 0 = no limit (200)",
        |config, text| number(text, 0, u32::MAX).map(|found| config.rate_anonymous = found),
    ),
    unlisted(
        "BANGUI_RATE_LIMIT_SESSION",
        "COUNT",
        "requests a minute of a session, 0 = no limit (1200)",
        |config, text| number(text, 0, u32::MAX).map(|found| config.rate_session = found),
    ),
    unlisted(
        "BANGUI_RATE_LIMIT_BAN",
        "COUNT",
        "bans and unbans a minute of a client, 0 = no limit (120)",
        |config, text| number(text, 0, u32::MAX).map(|found| config.rate_ban = found),
    ),
    unlisted(
        "BANGUI_RATE_LIMIT_CONFIG",
        "COUNT",
        "configuration changes a minute of a client, 0 = no limit (60)",
        |config, text| number(text, 0, u32::MAX).map(|found| config.rate_config = found),
    ),
    unlisted("BANGUI_RATE_LIMIT_IMPORT", "COUNT", "blocklist imports an hour, 0 = no limit (6)", |config, text| {
        number(text, 0, u32::MAX).map(|found| config.rate_import = found)
    }),
    unlisted("BANGUI_READ_ONLY", "0|1", "1 refuses every write but login and logout (0)", |config, text| {
        boolean(text).map(|found| config.read_only = found)
    }),
    unlisted(
        "BANGUI_ALLOW_ACTION_EDIT",
        "0|1",
        "0 refuses changes of commands that fail2ban runs as root (1)",
        |config, text| boolean(text).map(|found| config.allow_action_edit = found),
    ),
    unlisted(
        "BANGUI_ALLOW_PRIVATE_FETCH",
        "0|1",
        "1 lets blocklists come from addresses that are not public, on any port (0)",
        |config, text| boolean(text).map(|found| config.allow_private_fetch = found),
    ),
    unlisted(
        "BANGUI_ARCHIVE_SECONDS",
        "SECONDS",
        "how often fail2ban's database is looked into for bans to keep (60)",
        |config, text| number(text, 1, 86_400).map(|found| config.archive.seconds = found),
    ),
    unlisted("BANGUI_ARCHIVE_DAYS", "DAYS", "how long bans are kept; 0 is for ever (365)", |config, text| {
        number(text, 0, 36_500).map(|found| config.archive.days = found)
    }),
    unlisted("BANGUI_ARCHIVE_ROWS", "NUMBER", "how many bans are kept; 0 is any number (0)", |config, text| {
        number(text, 0, u32::MAX).map(|found| config.archive.rows = found)
    }),
    unlisted(
        "BANGUI_ARCHIVE_MIB",
        "MIB",
        "size of our database from which the oldest bans go; 0 is any (0)",
        |config, text| number(text, 0, 1 << 20).map(|found| config.archive.mib = found),
    ),
    unlisted(
        "BANGUI_METRICS_NETWORKS",
        "NETWORKS",
        "from where metrics are read without a session, by comma; 0.0.0.0/0 and ::/0 is anywhere (none)",
        |config, text| list(text, str::parse::<IpOrNet>).map(|found| config.metrics_networks = found),
    ),
    unlisted("BANGUI_DIGEST_HOUR", "HOUR", "when the digest is told, in the time zone; 0 to 23 (7)", |config, text| {
        number(text, 0, 23).map(|found| config.digest_hour = found)
    }),
    unlisted("BANGUI_GEOIP_UPDATE_URL", "URL", "where bangui geo update fetches its file", |config, text| {
        parse_web(text).map(|found| config.geoip_update_url = found)
    }),
    unlisted(
        "BANGUI_GEOIP_UPDATE_DAYS",
        "DAYS",
        "the server fetches that file again after so many days; 0 is never (0)",
        |config, text| number(text, 0, 365).map(|found| config.geoip_update_days = found),
    ),
    unlisted(
        "BANGUI_GEOIP_ONLINE",
        "0|1|URL",
        "1 asks ip-api.com, or a URL that speaks like it, where banned addresses are that no file knows (0)",
        |config, text| {
            config.geoip_online = match text {
                "1" => Some(IP_API_URL.to_owned()),
                "0" => None,
                url => Some(parse_web(url).map_err(|problem| format!("0 or 1, or {problem}"))?),
            };
            Ok(())
        },
    ),
    unlisted(
        "BANGUI_BLOCKLIST_BAN_SECONDS",
        "SECONDS",
        "how long imported addresses are banned, 600 to 31536000 (86400)",
        |config, text| number(text, 600, 31_536_000).map(|found| config.blocklist_ban_seconds = found),
    ),
    unlisted(
        "BANGUI_BLOCKLIST_MODE",
        "MODE",
        "fail2ban bans imported addresses; nft or ipset drop them by a set of our own (fail2ban)",
        |config, text| parse_blocklist_mode(text).map(|found| config.blocklist_way = found),
    ),
    unlisted(
        "BANGUI_BLOCKLIST_FORWARD",
        "0|1",
        "1 has nft or ipset drop forwarded packets as well, to a router's network or to containers (0)",
        |config, text| {
            boolean(text).map(|found| config.blocklist_reach = if found { Reach::Forwarded } else { Reach::Here })
        },
    ),
    unlisted(
        "BANGUI_BLOCKLIST_CA_FILE",
        "FILE",
        "authorities that are trusted for lists over https, in PEM form, instead of those built in",
        |config, text| path(text).map(|found| config.blocklist_ca_file = Some(found)),
    ),
];

/// A country database anybody may use, made of the registries' own records (PDDL), 8 MB.
pub const DEFAULT_GEOIP_URL: &str =
    "https://cdn.jsdelivr.net/npm/@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb";

/// Where ip-api.com answers. There is no HTTPS without an account.
const IP_API_URL: &str = "http://ip-api.com/batch";

/// fail2ban's own default.
pub const DEFAULT_FAIL2BAN_SOCKET: &str = "/var/run/fail2ban/fail2ban.sock";
/// How long a session lasts when nobody says, in minutes: a working day.
pub const DEFAULT_SESSION_MINUTES: u32 = 480;

impl Config {
    /// The defaults, for root or for anyone else. `home` and `data_home` are the values of HOME and XDG_DATA_HOME.
    pub fn defaults(is_root: bool, home: Option<&str>, data_home: Option<&str>) -> Self {
        let database = if is_root {
            PathBuf::from("/var/lib/bangui/bangui.db")
        } else {
            data_home
                .filter(|text| text.starts_with('/'))
                .map(PathBuf::from)
                .unwrap_or_else(|| Path::new(home.unwrap_or("/tmp")).join(".local/share"))
                .join("bangui/bangui.db")
        };
        Self {
            listen: vec![Address::Tcp(SocketAddr::from(([127, 0, 0, 1], 8000)))],
            database,
            fail2ban_socket: None,
            fail2ban_config: "/etc/fail2ban".into(),
            fail2ban_database: None,
            geoip_database: None,
            timezone: None,
            trusted_proxies: Vec::new(),
            allowed_hosts: Vec::new(),
            allowed_log_dirs: vec!["/var/log".into(), "/config/log".into()],
            base_path: String::new(),
            ui: true,
            frame_ancestors: "'none'".into(),
            log_level: log::LevelFilter::Info,
            session_minutes: None,
            cookie_secure: None,
            cors_origins: Vec::new(),
            start_command: None,
            rate_anonymous: 200,
            rate_session: 1200,
            rate_ban: 120,
            rate_config: 60,
            rate_import: 6,
            read_only: false,
            allow_action_edit: true,
            allow_private_fetch: false,
            archive: Keeping::default(),
            geoip_update_url: DEFAULT_GEOIP_URL.to_owned(),
            geoip_online: None,
            geoip_update_days: 0,
            blocklist_ban_seconds: 86_400,
            blocklist_way: None,
            blocklist_reach: Reach::Here,
            blocklist_ca_file: None,
            metrics_networks: Vec::new(),
            digest_hour: 7,
            given: BTreeSet::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn load(file: &str, environment: &[(&str, &str)], options: &[(&str, &str)]) -> Result<Config, String> {
        let own = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
        };
        let mut config = Config::defaults(true, None, None);
        config.apply_file(file)?;
        Config::load(config, None, &own(environment).into_iter().collect(), &own(options))
    }

    #[test]
    fn later_layers_win() {
        let file = "# comment\nlisten = 127.0.0.1:1\nlog_level=debug\ndatabase_path = \"/a b\"\n";
        let config = load(file, &[("BANGUI_LISTEN", "127.0.0.1:2")], &[("listen", "127.0.0.1:3")]).unwrap();
        assert_eq!(config.listen, [Address::Tcp("127.0.0.1:3".parse().unwrap())]);
        assert_eq!(config.log_level, log::LevelFilter::Debug);
        assert_eq!(config.database, Path::new("/a b"));
        let config = load(file, &[("BANGUI_LISTEN", "127.0.0.1:2"), ("BANGUI_LOG_LEVEL", "")], &[]).unwrap();
        assert_eq!(config.listen, [Address::Tcp("127.0.0.1:2".parse().unwrap())]);
        assert_eq!(config.log_level, log::LevelFilter::Debug);
    }

    #[test]
    fn several_addresses_of_every_kind() {
        let config = load("", &[], &[("listen", "[::1]:80,unix:/run/x"), ("listen", "10.0.0.1")]).unwrap();
        assert_eq!(config.listen.len(), 3);
        assert_eq!(config.listen[1], Address::Unix("/run/x".into()));
    }

    #[test]
    fn wrong_values_say_which_and_what_was_expected() {
        for (name, value) in [
            ("listen", "example.org:80"),
            ("log-level", "loud"),
            ("timezone", "Mars/Olympus"),
            ("base-path", "//evil"),
            ("base-path", "bangui"),
            ("trusted-proxies", "10.0.0.0/33"),
            ("nonsense", "1"),
        ] {
            let problem = load("", &[], &[(name, value)]).unwrap_err();
            assert!(problem.contains(name) && !problem.contains('\n'), "{problem}");
        }
        assert!(load("colour = red", &[], &[]).is_err());
        assert!(load("just words", &[], &[]).is_err());
        assert!(load("", &[("BANGUI_RATE_LIMIT_BAN", "-1")], &[]).is_err());
        assert!(load("", &[("BANGUI_BLOCKLIST_MODE", "pf")], &[]).unwrap_err().contains("ipset"));
    }

    #[test]
    fn names_are_unique_and_follow_one_pattern() {
        for (index, setting) in SETTINGS.iter().enumerate() {
            assert!(setting.variable.starts_with(PREFIX));
            assert!(SETTINGS[index + 1..].iter().all(|other| other.variable != setting.variable));
            assert!(
                setting.option.is_none() || SETTINGS[index + 1..].iter().all(|other| other.option != setting.option)
            );
        }
    }

    #[test]
    fn the_database_of_a_user_lies_in_their_home() {
        assert_eq!(Config::defaults(false, Some("/h"), None).database, Path::new("/h/.local/share/bangui/bangui.db"));
        assert_eq!(Config::defaults(false, Some("/h"), Some("/d")).database, Path::new("/d/bangui/bangui.db"));
        assert!(Config::defaults(false, Some("/h"), Some("rel")).database.starts_with("/h"));
    }
}

//! What handlers share: the state of the program, the request as they see it, its input, errors, limits.

pub mod banned;
pub mod bans_look;
pub mod changeable;
pub mod code;
pub mod csv;
pub mod daemon;
pub mod dry_run;
pub mod end_pauses;
pub mod error;
pub mod guard;
pub mod gzip;
pub mod imports;
pub mod input;
pub mod jail_fields;
pub mod keep_ends;
pub mod limits;
pub mod listed;
pub mod long_jobs;
pub mod metrics;
pub mod never_ban;
pub mod own_bans;
pub mod paths;
pub mod pauses;
pub mod remembered;
pub mod request;
pub mod request_ids;
pub mod revision;
pub mod seen;
pub mod session;
pub mod span;
pub mod state;
pub(crate) mod wording;

pub use self::error::ApiError;
pub use self::request::{Admitted, Handler, Request};
pub use self::state::{Ctx, Finish, Job, Outcome, Step, Steps, Then};

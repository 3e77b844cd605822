//! `bangui geo update`: fetches a country database. The server takes it within a minute.

use super::invocation::{Failure, Invocation};
use crate::domain::time::rfc3339;
use crate::jobs::geo_update::UpdateGeo;

/// `geo update` is all there is of `geo`.
pub fn run(invocation: &Invocation) -> Result<(), Failure> {
    if invocation.arguments != ["update"] {
        return Err(Failure::usage("expected: bangui geo update"));
    }
    let update = UpdateGeo::new(&invocation.config()?);
    let file = update.fetch().map_err(Failure::failed)?;
    println!("{}: {}, built {}", update.target.display(), file.kind(), rfc3339(file.built_at()));
    Ok(())
}

//! Asking a server outside where addresses are, and noting what it says.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::app::{ApiError, Ctx};
use crate::domain::json;
use crate::jobs::Task;
use crate::jobs::places::{AskPlaces, Told};

/// The task that asks the server of the settings, where they name one.
pub fn ask_task(ctx: &Ctx, addresses: Vec<String>) -> Option<Task> {
    let url = ctx.config.geoip_online.clone()?;
    Some(Task::AskPlaces(AskPlaces { url, allow_private: ctx.config.allow_private_fetch, addresses }))
}

/// Notes what the server said, or that it did not answer properly: then the addresses wait again.
pub fn note_told(ctx: &mut Ctx, addresses: &[String], told: Value) -> Result<(), ApiError> {
    let told: Told = json::from_tree(told).map_err(ApiError::internal)?;
    let now = Instant::now();
    match &told.trouble {
        Some(trouble) if ctx.asking.failed(now) => log::warn!("asking where addresses are: {trouble}"),
        Some(_) => {}
        None => ctx.asking.answered(Duration::from_secs(told.rest), now),
    }
    if told.places.is_empty() {
        addresses.iter().for_each(|ip| ctx.asking.want(ip, now));
    }
    for (ip, place) in addresses.iter().zip(told.places) {
        ctx.has_places |= place.is_some();
        ctx.asking.note(ip, place, now);
    }
    Ok(())
}

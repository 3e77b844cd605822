//! Sends a message by whatever way its channel has.

use std::net::IpAddr;

use super::delivery::Delivery;
use super::failure::Failure;
use super::{email, webhook};
use crate::domain::notification::Target;

/// Sends it. `own` are this machine's addresses.
pub fn send(delivery: &Delivery, own: Vec<IpAddr>) -> Result<(), Failure> {
    match &delivery.channel.target {
        Target::Webhook(hook) => webhook::send(delivery, hook, own),
        Target::Email(mail) => email::send(delivery, mail, &own),
    }
}

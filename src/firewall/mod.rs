//! The kernel's packet filter: one set of addresses of our own, dropped where they knock at this machine and, where it is wanted, at those it
//! forwards to, by way of `nft` or of `ipset` and `iptables`. A set is filled aside and put in its place in one step, so that it is never empty in between and a failure leaves the old one.
//!
//! Rules of others are neither read nor touched. It runs programs and waits for them: it is meant for a child process of ours. What belongs
//! into the set, and that two do not change it at once, is the caller's business.

mod ipset;
mod nft;
mod reach;
mod tool;

use serde::{Deserialize, Serialize};

use crate::domain::address::IpOrNet;

pub use reach::Reach;
pub use tool::{FirewallError, Timed};

/// How packets are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// By a table of nftables.
    Nft,
    /// By two sets of ipset and one rule of iptables and ip6tables each.
    Ipset,
}

impl Way {
    /// Makes exactly these what is dropped. They come sorted, so that a network stands before what lies in it.
    pub fn replace(self, reach: Reach, entries: &mut dyn Iterator<Item = Timed>) -> Result<(), FirewallError> {
        match self {
            Way::Nft => nft::replace(reach, entries),
            Way::Ipset => ipset::replace(reach, entries),
        }
    }

    /// Drops one address no longer. That it was not dropped is no error.
    pub fn lift(self, address: &IpOrNet) -> Result<(), FirewallError> {
        match self {
            Way::Nft => nft::lift(address),
            Way::Ipset => ipset::lift(address),
        }
    }

    /// Whether the set is there and packets are held against it: others may have emptied the packet filter.
    pub fn is_in_force(self, reach: Reach) -> Result<bool, FirewallError> {
        match self {
            Way::Nft => nft::is_in_force(reach),
            Way::Ipset => ipset::is_in_force(reach),
        }
    }

    /// Takes away everything that was made here.
    pub fn remove(self) -> Result<(), FirewallError> {
        match self {
            Way::Nft => nft::remove(),
            Way::Ipset => ipset::remove(),
        }
    }

    /// The longest time an entry may be given, in seconds.
    pub fn longest(self) -> u32 {
        match self {
            Way::Nft => u32::MAX,
            // The kernel counts milliseconds in 32 bits.
            Way::Ipset => 2_147_483,
        }
    }
}

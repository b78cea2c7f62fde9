//! How much may stand on all proxies together. All of it is kept, and told in one answer.
//!
//! What may stand on one proxy is bounded where it is put there.

use std::collections::BTreeMap;

use super::error::ProxyError;
use super::fault::FaultPlan;
use super::slot::Slot;

/// Toxics: four for each of as many proxies as there may be.
const MOST_TOXICS: usize = 16 * 1024;
/// Faults of the native API, those of rule sets too.
const MOST_FAULTS: usize = 16 * 1024;
/// Bytes of the texts of these, for one alone may be as long as a body.
const MOST_TEXT: usize = 32 * 1024 * 1024;

/// Whether so many toxics may be on this proxy, beside those of all others.
pub(super) fn toxics(slots: &BTreeMap<String, Slot>, proxy: &str, count: usize) -> Result<(), ProxyError> {
    let others = slots.iter().filter(|(name, _)| name.as_str() != proxy);
    let others: usize = others.map(|(_, slot)| slot.toxics.len()).sum();
    // A proxy without any is never one too many.
    if count > 0 && others + count > MOST_TOXICS {
        return Err(ProxyError::TooMany { what: "toxics on all proxies", most: MOST_TOXICS });
    }
    Ok(())
}

/// Whether these may be all faults of all proxies.
pub(super) fn faults<'a>(all: impl Iterator<Item = &'a FaultPlan>) -> Result<(), ProxyError> {
    let (count, bytes) = all.fold((0, 0), |(count, bytes), plan| (count + 1, bytes + plan.weight));
    if count > MOST_FAULTS {
        return Err(ProxyError::TooMany { what: "faults on all proxies", most: MOST_FAULTS });
    }
    if bytes > MOST_TEXT {
        return Err(ProxyError::TooMuchText { bytes, most: MOST_TEXT });
    }
    Ok(())
}

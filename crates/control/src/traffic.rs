//! What has passed through the proxies, as counters that never go back: a proxy that was stopped keeps its share.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use murphy_proxy::{MeterSnapshot, ProxyHandle};

/// Under what a proxy's traffic is counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Labels {
    /// The proxy's name.
    pub proxy: String,
    /// The address on which it listens.
    pub listener: String,
    /// The address to which it connects.
    pub upstream: String,
}

/// The counters of all proxies, running or not.
#[derive(Default)]
pub struct Ledger {
    accounts: Mutex<Accounts>,
}

#[derive(Default)]
struct Accounts {
    next: u64,
    live: BTreeMap<u64, (Labels, ProxyHandle)>,
    past: BTreeMap<Labels, MeterSnapshot>,
}

/// Label sets of stopped proxies that are kept; a daemon that makes proxies on ever new ports must not grow for ever.
const KEPT: usize = 1000;

fn sum(total: &mut MeterSnapshot, more: MeterSnapshot) {
    total.accepted += more.accepted;
    total.open += more.open;
    total.dial_failed += more.dial_failed;
    total.accept_failed += more.accept_failed;
    total.to_upstream += more.to_upstream;
    total.to_client += more.to_client;
    total.from_client += more.from_client;
    total.from_upstream += more.from_upstream;
}

impl Ledger {
    fn accounts(&self) -> MutexGuard<'_, Accounts> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A proxy begins to count. The answer names its account.
    pub(crate) fn open(&self, labels: Labels, handle: ProxyHandle) -> u64 {
        let mut accounts = self.accounts();
        let number = accounts.next;
        accounts.next += 1;
        accounts.live.insert(number, (labels, handle));
        number
    }

    /// A proxy has ended with all its connections.
    pub(crate) fn close(&self, account: u64) {
        let mut accounts = self.accounts();
        let Some((labels, handle)) = accounts.live.remove(&account) else { return };
        if accounts.past.len() < KEPT || accounts.past.contains_key(&labels) {
            sum(accounts.past.entry(labels).or_default(), handle.meter());
        }
    }

    /// All counters at this moment.
    pub fn read(&self) -> BTreeMap<Labels, MeterSnapshot> {
        let accounts = self.accounts();
        let mut all = accounts.past.clone();
        for (labels, handle) in accounts.live.values() {
            sum(all.entry(labels.clone()).or_default(), handle.meter());
        }
        all
    }
}

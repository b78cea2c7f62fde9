//! The hands on all proxies of one edge: an edge that sits in on a service has one in the network of each replica, and
//! more come as replicas are replaced. A fault of the edge stands on all of them, also on those that come later.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use murphy_core::{ConnId, FaultId, Tally};

use crate::armed::Armed;
use crate::handle::ProxyHandle;
use crate::meter::MeterSnapshot;
use crate::roster::Connection;

/// A connection among all of an edge, in the order of a list: the place of its proxy, then its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EdgeConn {
    /// The place of its proxy, from 0.
    pub proxy: usize,
    /// Its number there, from 1.
    pub conn: ConnId,
}

impl EdgeConn {
    /// What stands before all of them.
    pub const START: EdgeConn = EdgeConn { proxy: 0, conn: ConnId(0) };
}

/// All proxies of one edge. Clones share them.
#[derive(Clone, Default)]
pub struct EdgeHands {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    /// Also those of callers that are gone: what they counted still counts.
    proxies: Vec<ProxyHandle>,
    armed: BTreeMap<FaultId, Armed>,
}

impl EdgeHands {
    /// Of an edge with one proxy.
    pub fn of(proxy: ProxyHandle) -> EdgeHands {
        let hands = EdgeHands::default();
        hands.add(proxy);
        hands
    }

    /// One proxy more; all faults that stand on the edge are put on it.
    pub fn add(&self, proxy: ProxyHandle) {
        let mut inner = self.lock();
        inner.armed.values().cloned().for_each(|armed| proxy.arm(armed));
        inner.proxies.push(proxy);
    }

    /// Puts a fault on the edge.
    pub fn arm(&self, armed: Armed) {
        let mut inner = self.lock();
        inner.proxies.iter().for_each(|proxy| proxy.arm(armed.clone()));
        inner.armed.insert(armed.id.clone(), armed);
    }

    /// Takes a fault off the edge, and says what it did on all of it; `None` if it did not stand there.
    pub fn lift(&self, fault: &FaultId) -> Option<Tally> {
        let mut inner = self.lock();
        inner.armed.remove(fault)?;
        Some(sum(inner.proxies.iter().filter_map(|proxy| proxy.lift(fault))))
    }

    /// What a fault has done so far on all of the edge; `None` if it does not stand there.
    pub fn tally(&self, fault: &FaultId) -> Option<Tally> {
        let inner = self.lock();
        inner.armed.get(fault)?;
        Some(sum(inner.proxies.iter().filter_map(|proxy| proxy.tally(fault))))
    }

    /// The open connections behind `after`, those of each proxy oldest first, at most `most`.
    pub fn connections(&self, after: EdgeConn, most: usize) -> Vec<(EdgeConn, Connection)> {
        // Read without the lock: a long list must not keep a fault waiting.
        let proxies = self.lock().proxies.clone();
        let mut list = Vec::new();
        for (proxy, handle) in proxies.iter().enumerate().skip(after.proxy) {
            let behind = if proxy == after.proxy { after.conn } else { EdgeConn::START.conn };
            let read = handle.connections(behind, most.saturating_sub(list.len()));
            list.extend(read.into_iter().map(|open| (EdgeConn { proxy, conn: open.conn }, open)));
        }
        list
    }

    /// What has passed so far through all of the edge.
    pub fn meter(&self) -> MeterSnapshot {
        self.lock().proxies.iter().map(ProxyHandle::meter).fold(MeterSnapshot::default(), MeterSnapshot::and)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sum(tallies: impl Iterator<Item = Tally>) -> Tally {
    tallies.fold(Tally::default(), |all, one| Tally {
        connections: all.connections + one.connections,
        hits: all.hits + one.hits,
        bytes: all.bytes + one.bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decision, EdgeEffect, EdgeTls, Limits, Proxy, ProxyConfig, Stage};
    use murphy_core::{Chance, Directions, EdgeName, Protocol, Recorder, Seed, Span};
    use tokio::net::TcpStream;
    use tokio::task::JoinSet;

    async fn proxy() -> Proxy {
        let config = ProxyConfig {
            name: EdgeName::new("edge").unwrap(),
            protocol: Protocol::Tcp,
            listen: "127.0.0.1:0".to_owned(),
            upstream: "127.0.0.1:9".to_owned(),
            tls: EdgeTls::default(),
            seed: Seed(1),
            recorder: Recorder::disabled(),
            limits: Limits::default(),
        };
        Proxy::bind(config).await.unwrap()
    }

    #[tokio::test]
    async fn a_proxy_that_comes_later_gets_the_faults_that_stand_and_no_others() {
        let (first, second, third) = (proxy().await, proxy().await, proxy().await);
        let id = FaultId::new("refuse-1").unwrap();
        let hands = EdgeHands::of(first.handle());
        let (effect, directions) = (EdgeEffect::Refuse, Directions::Both);
        hands.arm(Armed { id: id.clone(), effect, directions, chance: Chance::ALWAYS });
        hands.add(second.handle());
        assert_eq!(first.handle().tally(&id), Some(Tally::default()));
        assert_eq!(second.handle().tally(&id), Some(Tally::default()));
        assert_eq!((hands.tally(&id), hands.meter()), (Some(Tally::default()), MeterSnapshot::default()));
        assert_eq!((hands.lift(&id), hands.lift(&id)), (Some(Tally::default()), None));
        hands.add(third.handle());
        for proxy in [first, second, third] {
            assert_eq!(proxy.handle().tally(&id), None);
        }
    }

    #[tokio::test]
    async fn the_connections_of_all_proxies_are_one_list_that_is_read_in_parts() {
        let hands = EdgeHands::default();
        let (mut serving, mut callers) = (JoinSet::new(), Vec::new());
        let id = FaultId::new("slow-open-1").unwrap();
        // Nobody is dialled.
        let effect = EdgeEffect::open_late(Span::from_secs(600));
        hands.arm(Armed { id: id.clone(), effect, directions: Directions::Both, chance: Chance::ALWAYS });
        for count in [3, 0, 2] {
            let proxy = proxy().await;
            let address = proxy.local_addr();
            hands.add(proxy.handle());
            serving.spawn(proxy.serve(std::future::pending()));
            for _ in 0..count {
                callers.push(TcpStream::connect(address).await.unwrap());
            }
        }
        let all = loop {
            let all = hands.connections(EdgeConn::START, 100);
            if all.len() == callers.len() {
                break all;
            }
            tokio::task::yield_now().await;
        };
        let places: Vec<(usize, u64)> = all.iter().map(|(at, _)| (at.proxy, at.conn.0)).collect();
        assert_eq!(places, [(0, 1), (0, 2), (0, 3), (2, 1), (2, 2)]);
        for (_, open) in &all {
            assert_eq!(
                (open.stage, open.decisions.as_slice()),
                (Stage::Opening, &[(id.clone(), Decision::Acts)][..])
            );
        }
        let (mut read, mut after) = (Vec::new(), EdgeConn::START);
        loop {
            let part = hands.connections(after, 2);
            assert!(part.len() <= 2, "{part:?}");
            let Some((last, _)) = part.last() else { break };
            after = *last;
            read.extend(part.iter().map(|(at, _)| (at.proxy, at.conn.0)));
        }
        assert_eq!(read, places);
    }
}

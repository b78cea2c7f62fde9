//! The careful shop: each dependency behind a guard of its own, and an answer for the loss of each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tokio_util::task::TaskTracker;

use super::{Errand, Order, calls, cart, errand, ordered};
use crate::args::{ShopArgs, ShopDependency};
use crate::breaker::BreakerState;
use crate::guard::{Guard, NoAnswer};
use crate::jitter::Jitter;
use crate::link::{Answer, Call, Link, LinkError};
use crate::log::Log;
use crate::reply::{Reply, json_reply, raw_reply, stale, stand_in, unavailable};
use crate::server::{Handler, Task};
use crate::shed::Shedder;
use crate::stale::LastGood;

/// The default timeout of a call.
const TIMEOUT: Duration = Duration::from_millis(250);

/// A cache that takes longer than this is slower than what it stands for.
const CACHE_TIMEOUT: Duration = Duration::from_millis(100);

/// Items whose last good answer is kept.
const ITEMS_KEPT: usize = 10_000;

/// The careful shop.
#[derive(Debug)]
pub(crate) struct CarefulShop {
    catalogue: Guarded,
    payments: Guarded,
    cache: Arc<Guarded>,
    items: LastGood<Bytes>,
    shedder: Shedder,
    hard: Vec<ShopDependency>,
    fresh_for: Duration,
    /// Makes idempotency keys that no other process makes.
    key_root: u64,
    orders: AtomicU64,
    /// Writes to the cache, for which no user waits.
    writes: TaskTracker,
}

/// A dependency and the care around calls to it.
#[derive(Debug)]
struct Guarded {
    link: Link,
    guard: Guard,
}

impl Guarded {
    async fn call(&self, call: &Call) -> Result<Answer, NoAnswer<LinkError>> {
        self.guard.call(|| self.attempt(call)).await
    }

    /// What was asked for must be what it says it is: a body that broke on the way is no answer, and must not be kept.
    async fn attempt(&self, call: &Call) -> Result<Answer, LinkError> {
        let answer = self.link.call(call.clone()).await?;
        if call.method != Method::PUT {
            answer.json()?;
        }
        Ok(answer)
    }
}

impl CarefulShop {
    /// Makes no call yet: a shop whose dependencies are down still starts.
    pub fn new(args: &ShopArgs, log: &Log) -> CarefulShop {
        let limits = args.care.guard(TIMEOUT);
        let mut cache_limits = limits;
        cache_limits.timeout = limits.timeout.min(CACHE_TIMEOUT);
        // What the cache lacks is asked of the catalogue: a second attempt would only take time from that.
        cache_limits.retry.attempts = std::num::NonZeroU32::MIN;
        let guarded = |name, address: &crate::Address, limits| Guarded {
            link: Link::new(address.clone()),
            guard: Guard::new(name, limits, Jitter::new(args.care.seed), log.clone()),
        };
        CarefulShop {
            catalogue: guarded("catalogue", &args.catalogue, limits),
            payments: guarded("payments", &args.payments, limits),
            cache: Arc::new(guarded("cache", &args.cache, cache_limits)),
            items: LastGood::new(ITEMS_KEPT, args.care.stale_for),
            shedder: Shedder::new(args.care.max_in_flight),
            hard: args.hard.clone(),
            fresh_for: args.fresh_for,
            key_root: Jitter::new(args.care.seed).root(),
            orders: AtomicU64::new(0),
            writes: TaskTracker::new(),
        }
    }

    async fn item(&self, id: &str) -> Reply {
        if let Ok(hit) = self.cache.call(&calls::cached(id)).await
            && hit.status == StatusCode::OK
        {
            self.items.remember(id, hit.body.clone());
            return raw_reply(StatusCode::OK, hit.body);
        }
        match self.catalogue.call(&calls::item(id)).await {
            Ok(answer) if answer.status == StatusCode::OK => {
                self.items.remember(id, answer.body.clone());
                let (cache, write) =
                    (Arc::clone(&self.cache), calls::cache(id, answer.body.clone(), self.fresh_for));
                // A failure here is counted by the guard, and costs the next reader a miss.
                let writing: Task = Box::pin(async move { drop(cache.call(&write).await) });
                self.writes.spawn(writing);
                raw_reply(StatusCode::OK, answer.body)
            }
            Ok(answer) => raw_reply(answer.status, answer.body),
            Err(_) => match self.items.recall(id) {
                Some(kept) => stale(raw_reply(StatusCode::OK, kept.value), kept.age),
                None => stand_in(json_reply(StatusCode::OK, &unknown_item(id))),
            },
        }
    }

    async fn cart(&self, id: &str) -> Reply {
        let reply = |item: &Value| json_reply(StatusCode::OK, &cart(id, item));
        match self.catalogue.call(&calls::item(id)).await {
            Ok(answer) if answer.status == StatusCode::OK => {
                self.items.remember(id, answer.body.clone());
                reply(&parsed(&answer.body))
            }
            Ok(answer) => raw_reply(answer.status, answer.body),
            Err(_) => match self.items.recall(id) {
                Some(kept) => stale(reply(&parsed(&kept.value)), kept.age),
                None => stand_in(reply(&unknown_item(id))),
            },
        }
    }

    /// There is no stand-in for money: an order that cannot be charged is refused at once, and honestly. The same key
    /// goes with every attempt, so that a second attempt cannot charge twice.
    async fn order(&self, order: &Order) -> Reply {
        let number = self.orders.fetch_add(1, Ordering::Relaxed);
        let own_key = || HeaderValue::try_from(format!("order-{:016x}-{number}", self.key_root)).ok();
        let key = order.key.clone().or_else(own_key);
        match self.payments.call(&calls::charge(order, number, key)).await {
            Ok(answer) => match ordered(order, &answer) {
                Ok((status, body)) => json_reply(status, &body),
                Err(error) => unavailable(&format!("payments: {error}"), Duration::from_secs(1)),
            },
            Err(none) => unavailable(&format!("payments: {none}"), none.retry_in()),
        }
    }

    /// Ready, unless a dependency that the shop cannot do without is given up.
    fn ready(&self) -> Reply {
        let state = |dependency: ShopDependency| match dependency {
            ShopDependency::Catalogue => self.catalogue.guard.breaker(),
            ShopDependency::Payments => self.payments.guard.breaker(),
            ShopDependency::Cache => self.cache.guard.breaker(),
        };
        let ready = self.hard.iter().all(|hard| state(*hard) == BreakerState::Closed);
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let word = |dependency| match state(dependency) {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "half-open",
        };
        json_reply(
            status,
            &json!({
                "ready": ready,
                "breakers": {
                    "catalogue": word(ShopDependency::Catalogue),
                    "payments": word(ShopDependency::Payments),
                    "cache": word(ShopDependency::Cache),
                },
            }),
        )
    }
}

/// An item as the catalogue wrote it; null if that was no JSON.
fn parsed(item: &Bytes) -> Value {
    serde_json::from_slice(item).unwrap_or_default()
}

/// The stand-in for an item that was never read.
fn unknown_item(id: &str) -> Value {
    json!({ "id": id, "name": "details follow", "price_cents": null, "version": 0 })
}

impl Handler for CarefulShop {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let errand = errand(request).await;
        // Health is never shed: a loaded shop is alive, and a probe that is turned away would have it restarted.
        match errand {
            Errand::Live => return json_reply(StatusCode::OK, &json!({ "alive": true })),
            Errand::Ready => return self.ready(),
            _ => {}
        }
        let _in_flight = match self.shedder.admit() {
            Ok(in_flight) => in_flight,
            Err(overloaded) => return overloaded.reply(),
        };
        match errand {
            Errand::Item(id) => self.item(&id).await,
            Errand::Cart(id) => self.cart(&id).await,
            Errand::Order(order) => self.order(&order).await,
            Errand::Nothing(reply) => reply,
            Errand::Live | Errand::Ready => json_reply(StatusCode::OK, &Value::Null),
        }
    }

    async fn finish(&self) {
        self.writes.close();
        self.writes.wait().await;
    }
}

//! The careless shop: the same behaviour, written as if nothing ever failed. All dependencies share one small pool, a call
//! waits without end, a failed one is repeated at once, orders carry no idempotency key, even `/live`
//! asks everybody, and the work goes on for users who have left (see [`Detached`](crate::detached::Detached)).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use serde_json::json;
use tokio::sync::Semaphore;

use super::{Errand, Order, calls, cart, errand, ordered};
use crate::args::ShopArgs;
use crate::link::{Answer, Call, Link, LinkError};
use crate::reply::{Reply, json_reply, problem, raw_reply};
use crate::server::Handler;

/// Attempts for one call, without a wait between them.
const ATTEMPTS: u32 = 5;

/// The careless shop.
#[derive(Debug)]
pub(crate) struct CarelessShop {
    catalogue: Link,
    payments: Link,
    cache: Link,
    /// One pool for all dependencies: when one hangs, its calls hold every place, and the others' callers wait.
    pool: Semaphore,
    fresh_for: Duration,
    orders: AtomicU64,
}

impl CarelessShop {
    /// Makes no call yet.
    pub fn new(args: &ShopArgs) -> CarelessShop {
        CarelessShop {
            catalogue: Link::new(args.catalogue.clone()),
            payments: Link::new(args.payments.clone()),
            cache: Link::new(args.cache.clone()),
            pool: Semaphore::new(args.care.pool),
            fresh_for: args.fresh_for,
            orders: AtomicU64::new(0),
        }
    }

    async fn call(&self, link: &Link, call: Call) -> Result<Answer, LinkError> {
        // The pool is never closed, so this is always a place, sooner or later.
        let _place = self.pool.acquire().await;
        let mut made = 0;
        loop {
            made += 1;
            match link.call(call.clone()).await {
                Err(_) if made < ATTEMPTS => {}
                result => return result,
            }
        }
    }

    async fn item(&self, id: &str) -> Result<Reply, LinkError> {
        let hit = self.call(&self.cache, calls::cached(id)).await?;
        if hit.status == StatusCode::OK {
            return Ok(raw_reply(StatusCode::OK, hit.body));
        }
        let answer = self.call(&self.catalogue, calls::item(id)).await?;
        if answer.status == StatusCode::OK {
            self.call(&self.cache, calls::cache(id, answer.body.clone(), self.fresh_for)).await?;
        }
        Ok(raw_reply(answer.status, answer.body))
    }

    async fn cart(&self, id: &str) -> Result<Reply, LinkError> {
        let answer = self.call(&self.catalogue, calls::item(id)).await?;
        Ok(json_reply(StatusCode::OK, &cart(id, &answer.json()?)))
    }

    async fn order(&self, order: &Order) -> Result<Reply, LinkError> {
        let number = self.orders.fetch_add(1, Ordering::Relaxed);
        let answer = self.call(&self.payments, calls::charge(order, number, None)).await?;
        let (status, body) = ordered(order, &answer)?;
        Ok(json_reply(status, &body))
    }

    async fn health(&self) -> Result<Reply, LinkError> {
        for link in [&self.catalogue, &self.payments, &self.cache] {
            self.call(link, Call::get("/live".to_owned())).await?;
        }
        Ok(json_reply(StatusCode::OK, &json!({ "alive": true })))
    }
}

impl Handler for CarelessShop {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let answered = match errand(request).await {
            Errand::Item(id) => self.item(&id).await,
            Errand::Cart(id) => self.cart(&id).await,
            Errand::Order(order) => self.order(&order).await,
            Errand::Live | Errand::Ready => self.health().await,
            Errand::Nothing(reply) => Ok(reply),
        };
        answered.unwrap_or_else(|error| problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()))
    }
}

//! The careful cart: Redis behind a guard, the last good cart when it fails, and reconnecting that backs off: while the
//! breaker is open nothing is dialled, and then one connection tries first.

use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use redis::{Client, RedisError};
use serde_json::json;

use super::redis_pool::RedisPool;
use super::{Errand, Lines, body, errand, read, write};
use crate::args::CartArgs;
use crate::breaker::BreakerState;
use crate::guard::{Guard, NoAnswer};
use crate::jitter::Jitter;
use crate::log::Log;
use crate::reply::{Reply, json_reply, stale, stand_in, unavailable};
use crate::server::Handler;
use crate::shed::Shedder;
use crate::stale::LastGood;

/// The default timeout of a command. A local Redis answers in well under a millisecond.
const TIMEOUT: Duration = Duration::from_millis(200);

/// Carts whose last good state is kept.
const CARTS_KEPT: usize = 10_000;

/// The careful cart service.
#[derive(Debug)]
pub(crate) struct CarefulCart {
    redis: RedisPool,
    guard: Guard,
    carts: LastGood<Lines>,
    shedder: Shedder,
}

impl CarefulCart {
    /// Makes no connection yet: the service starts, and serves, while Redis is down.
    pub fn new(args: &CartArgs, client: Client, log: &Log) -> CarefulCart {
        let limits = args.care.guard(TIMEOUT);
        CarefulCart {
            redis: RedisPool::new(client, Some(limits.timeout)),
            guard: Guard::new("redis", limits, Jitter::new(args.care.seed), log.clone()),
            carts: LastGood::new(CARTS_KEPT, args.care.stale_for),
            shedder: Shedder::new(args.care.max_in_flight),
        }
    }

    async fn query<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, NoAnswer<RedisError>> {
        self.guard
            .call(|| async {
                let result = self.redis.query(command).await;
                if let Err(error) = &result
                    && (error.is_connection_dropped() || error.is_io_error())
                    && !error.is_timeout()
                {
                    self.redis.discard_idle();
                }
                result
            })
            .await
    }

    async fn show(&self, cart: &str) -> Reply {
        match self.query::<Lines>(&read(cart)).await {
            Ok(lines) => {
                let reply = json_reply(StatusCode::OK, &body(cart, &lines));
                self.carts.remember(cart, lines);
                reply
            }
            Err(_) => match self.carts.recall(cart) {
                Some(kept) => stale(json_reply(StatusCode::OK, &body(cart, &kept.value)), kept.age),
                None => stand_in(json_reply(StatusCode::OK, &body(cart, &Lines::new()))),
            },
        }
    }

    /// There is no stand-in for a write: what cannot be kept is refused, and honestly.
    async fn add(&self, cart: &str, sku: &str, quantity: u64) -> Reply {
        match self.query::<i64>(&write(cart, sku, quantity)).await {
            Ok(_) => {
                json_reply(StatusCode::CREATED, &json!({ "cart": cart, "sku": sku, "quantity": quantity }))
            }
            Err(none) => unavailable(&format!("redis: {none}"), none.retry_in()),
        }
    }

    /// Always ready: carts can be shown without Redis.
    fn ready(&self) -> Reply {
        let redis = match self.guard.breaker() {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "half-open",
        };
        json_reply(StatusCode::OK, &json!({ "ready": true, "breakers": { "redis": redis } }))
    }
}

impl Handler for CarefulCart {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let errand = errand(request).await;
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
            Errand::Show(cart) => self.show(&cart).await,
            Errand::Add { cart, sku, quantity } => self.add(&cart, &sku, quantity).await,
            Errand::Nothing(reply) => reply,
            Errand::Live | Errand::Ready => self.ready(),
        }
    }
}

//! The careless cart: the same behaviour, written as if Redis never failed. The library's own timeouts are switched off, a
//! small pool makes everybody wait behind who waits, every error is the user's, and
//! the work goes on for users who have left (see [`Detached`](crate::detached::Detached)).

use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use redis::{Client, Cmd, FromRedisValue, RedisResult};
use serde_json::json;
use tokio::sync::Semaphore;

use super::redis_pool::RedisPool;
use super::{Errand, Lines, body, errand, read, write};
use crate::args::CartArgs;
use crate::reply::{Reply, json_reply, problem};
use crate::server::Handler;

/// The careless cart service.
#[derive(Debug)]
pub(crate) struct CarelessCart {
    redis: RedisPool,
    pool: Semaphore,
}

impl CarelessCart {
    /// Connects first: without Redis this service does not start.
    pub async fn connect(args: &CartArgs, client: Client) -> RedisResult<CarelessCart> {
        let redis = RedisPool::new(client, None);
        redis.connect_first().await?;
        Ok(CarelessCart { redis, pool: Semaphore::new(args.care.pool) })
    }

    async fn query<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        // The pool is never closed, so this is always a place, sooner or later.
        let _place = self.pool.acquire().await;
        self.redis.query(command).await
    }

    async fn carry_out(&self, errand: Errand) -> RedisResult<Reply> {
        match errand {
            Errand::Show(cart) => {
                let lines: Lines = self.query(&read(&cart)).await?;
                Ok(json_reply(StatusCode::OK, &body(&cart, &lines)))
            }
            Errand::Add { cart, sku, quantity } => {
                let _: i64 = self.query(&write(&cart, &sku, quantity)).await?;
                let added = json!({ "cart": cart, "sku": sku, "quantity": quantity });
                Ok(json_reply(StatusCode::CREATED, &added))
            }
            // Careless indeed: a Redis that hangs has this service restarted, wherever liveness is acted on.
            Errand::Live | Errand::Ready => {
                let pong: String = self.query(&redis::cmd("PING")).await?;
                Ok(json_reply(StatusCode::OK, &json!({ "redis": pong })))
            }
            Errand::Nothing(reply) => Ok(reply),
        }
    }
}

impl Handler for CarelessCart {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let answered = self.carry_out(errand(request).await).await;
        answered
            .unwrap_or_else(|error| problem(StatusCode::INTERNAL_SERVER_ERROR, &format!("redis: {error}")))
    }
}

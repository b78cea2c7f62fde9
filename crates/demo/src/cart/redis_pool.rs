//! A pool of connections to Redis. Each is used for one command at a time: a reply that comes too late can then never be
//! taken for the reply to another command, and giving a command up closes its connection, so that Redis sees it too.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, FromRedisValue,
    IntoConnectionInfo as _, RedisConnectionInfo, RedisResult,
};

use crate::Address;

/// Connections that are kept while nobody uses them.
const IDLE_KEPT: usize = 16;

/// The client for an address.
pub(crate) fn client(address: &Address) -> RedisResult<Client> {
    let (host, port) = address.host_and_port();
    let info: ConnectionInfo = ConnectionAddr::Tcp(host.to_owned(), port).into_connection_info()?;
    // Commands are small, and each waits for its answer: Nagle's algorithm would hold them back. The library's name is not
    // sent: that is one more round trip for each new connection.
    let info = info
        .set_tcp_settings(TcpSettings::default().set_nodelay(true))
        .set_redis_settings(RedisConnectionInfo::default().set_skip_set_lib_name());
    Client::open(info)
}

/// A pool without a limit of its own; who uses it limits.
#[derive(Debug)]
pub(crate) struct RedisPool {
    client: Client,
    /// The library's limit for connecting and for each reply. Its own defaults are 1 s and 500 ms; `None` is no limit.
    limit: Option<Duration>,
    idle: Mutex<Vec<Idle>>,
}

struct Idle(MultiplexedConnection);

impl std::fmt::Debug for Idle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Idle")
    }
}

impl RedisPool {
    /// Makes no connection yet.
    pub fn new(client: Client, limit: Option<Duration>) -> RedisPool {
        RedisPool { client, limit, idle: Mutex::new(Vec::new()) }
    }

    /// Sends one command and reads its reply. When it fails, or when this future is dropped, its connection is closed.
    pub async fn query<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        let mut connection = match self.take() {
            Some(idle) => idle,
            None => self.connect().await?,
        };
        match command.query_async(&mut connection).await {
            Ok(value) => {
                let mut idle = self.lock();
                if idle.len() < IDLE_KEPT {
                    idle.push(Idle(connection));
                }
                Ok(value)
            }
            Err(error) => Err(error),
        }
    }

    /// Closes all idle connections: after one has broken, the others of its age are most likely broken too.
    pub fn discard_idle(&self) {
        self.lock().clear();
    }

    /// Connects once, to see whether that works.
    pub async fn connect_first(&self) -> RedisResult<()> {
        let connection = self.connect().await?;
        self.lock().push(Idle(connection));
        Ok(())
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(self.limit).set_response_timeout(self.limit);
        self.client.get_multiplexed_async_connection_with_config(&config).await
    }

    fn take(&self) -> Option<MultiplexedConnection> {
        self.lock().pop().map(|idle| idle.0)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Runs one service in the foreground.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::args::{Build, CartArgs, ShopArgs};
use crate::cache::Cache;
use crate::cart::{CarefulCart, CarelessCart, client};
use crate::catalogue::Catalogue;
use crate::detached::Detached;
use crate::log::Log;
use crate::payments::Payments;
use crate::server::serve;
use crate::shop::{CarefulShop, CarelessShop};
use crate::{Args, DemoError, Service};

/// A service that has its address and does not serve yet. Callers may connect already: they wait.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    service: Service,
    log: Log,
}

/// Runs the service until `shutdown` is ready. Requests in flight then have half a second to end.
///
/// # Errors
/// When the service cannot listen; when the careless cart finds no Redis.
pub async fn run(args: Args, shutdown: impl Future<Output = ()> + Send) -> Result<(), DemoError> {
    Bound::bind(args).await?.serve(shutdown).await
}

impl Bound {
    /// Takes the address of the service; port 0 takes any that is free.
    ///
    /// # Errors
    /// When the address is taken, or is not this machine's.
    pub async fn bind(args: Args) -> Result<Bound, DemoError> {
        let (listen, log) = match &args.service {
            Service::Catalogue(args) => (&args.listen, Log::new("catalogue", args.common.log)),
            Service::Payments(args) => (&args.listen, Log::new("payments", args.common.log)),
            Service::Cache(args) => (&args.listen, Log::new("cache", args.common.log)),
            Service::Shop(args) => (&args.listen, Log::new("shop", args.common.log)),
            Service::Cart(args) => (&args.listen, Log::new("cart", args.common.log)),
        };
        let listener = TcpListener::bind(listen.as_str()).await.map_err(|source| DemoError::Bind {
            service: log.service(),
            listen: listen.clone(),
            source,
        })?;
        Ok(Bound { listener, service: args.service, log })
    }

    /// The address, with the port that was taken.
    ///
    /// # Errors
    /// The system's, if it does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown` is ready, and returns when all connections are closed.
    ///
    /// # Errors
    /// When the careless cart finds no Redis.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), DemoError> {
        let Bound { listener, service, log } = self;
        match &service {
            Service::Catalogue(_) => serve(listener, Catalogue::new(), log, shutdown).await,
            Service::Payments(_) => serve(listener, Payments::default(), log, shutdown).await,
            Service::Cache(args) => serve(listener, Cache::new(args.ttl), log, shutdown).await,
            Service::Shop(args) => shop(listener, args, log, shutdown).await,
            Service::Cart(args) => cart(listener, args, log, shutdown).await?,
        }
        Ok(())
    }
}

async fn shop(listener: TcpListener, args: &ShopArgs, log: Log, shutdown: impl Future<Output = ()> + Send) {
    match args.build.build() {
        Build::Careful => serve(listener, CarefulShop::new(args, &log), log, shutdown).await,
        Build::Careless => serve(listener, Detached::new(CarelessShop::new(args)), log, shutdown).await,
    }
}

async fn cart(
    listener: TcpListener,
    args: &CartArgs,
    log: Log,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), DemoError> {
    let no_redis = |source| DemoError::Redis { redis: args.redis.clone(), source };
    let client = client(&args.redis).map_err(no_redis)?;
    match args.build.build() {
        Build::Careful => serve(listener, CarefulCart::new(args, client, &log), log, shutdown).await,
        Build::Careless => {
            let cart = CarelessCart::connect(args, client).await.map_err(no_redis)?;
            serve(listener, Detached::new(cart), log, shutdown).await;
        }
    }
    Ok(())
}

//! The command line of the services: `murphy demo-service NAME …`. Says what can be set, and its defaults; what a setting
//! does is in the module that takes it.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::breaker::BreakerLimits;
use crate::flags::{duration, places};
use crate::guard::GuardLimits;
use crate::retry::RetryLimits;
use crate::{Address, LogLevel};

/// One service of the demo shop, in the foreground.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Which service.
    #[command(subcommand)]
    pub service: Service,
}

/// The services.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Service {
    /// What the shop sells: GET /items/{id}
    Catalogue(CatalogueArgs),
    /// Charges, once for each idempotency key: POST /charge, GET /ledger
    Payments(PaymentsArgs),
    /// A small cache over HTTP: GET and PUT /k/{key}
    Cache(CacheArgs),
    /// The front: GET /items/{id} and /cart/{id}, POST /orders, GET /live and /ready
    Shop(Box<ShopArgs>),
    /// Shopping carts in a real Redis: GET /cart/{id}, POST /cart/{id}/items, GET /live and /ready
    Cart(Box<CartArgs>),
}

/// What every service has.
#[derive(Debug, Clone, clap::Args)]
pub struct Common {
    /// What to write on standard output, one JSON object a line
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = LogLevel::Requests)]
    pub log: LogLevel,
}

/// The catalogue's flags.
#[derive(Debug, Clone, clap::Args)]
pub struct CatalogueArgs {
    /// Address to listen on
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7001")]
    pub listen: Address,
    /// What every service has.
    #[command(flatten)]
    pub common: Common,
}

/// The payments service's flags.
#[derive(Debug, Clone, clap::Args)]
pub struct PaymentsArgs {
    /// Address to listen on
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7002")]
    pub listen: Address,
    /// What every service has.
    #[command(flatten)]
    pub common: Common,
}

/// The cache's flags.
#[derive(Debug, Clone, clap::Args)]
pub struct CacheArgs {
    /// Address to listen on
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7003")]
    pub listen: Address,
    /// How long a value lives that is put without a max-age
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "60s")]
    pub ttl: Duration,
    /// What every service has.
    #[command(flatten)]
    pub common: Common,
}

/// The shop's flags.
#[derive(Debug, Clone, clap::Args)]
pub struct ShopArgs {
    /// Address to listen on
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7000")]
    pub listen: Address,
    /// Address of the catalogue
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7001")]
    pub catalogue: Address,
    /// Address of the payments service
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7002")]
    pub payments: Address,
    /// Address of the cache
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7003")]
    pub cache: Address,
    /// How long an item may be served from the cache
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "2s")]
    pub fresh_for: Duration,
    /// Careful or careless.
    #[command(flatten)]
    pub build: BuildFlags,
    /// How careful.
    #[command(flatten)]
    pub care: CareFlags,
    /// A dependency that the shop cannot do without: while its breaker is not closed, /ready answers 503. May be given
    /// again. By default there is none, because the shop has an answer for the loss of each
    #[arg(long, value_name = "NAME", value_enum, conflicts_with = "careless")]
    pub hard: Vec<ShopDependency>,
    /// What every service has.
    #[command(flatten)]
    pub common: Common,
}

/// What the shop depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ShopDependency {
    /// The catalogue.
    Catalogue,
    /// The payments service.
    Payments,
    /// The cache.
    Cache,
}

/// The cart service's flags.
#[derive(Debug, Clone, clap::Args)]
pub struct CartArgs {
    /// Address to listen on
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7004")]
    pub listen: Address,
    /// Address of Redis
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:6379")]
    pub redis: Address,
    /// Careful or careless.
    #[command(flatten)]
    pub build: BuildFlags,
    /// How careful.
    #[command(flatten)]
    pub care: CareFlags,
    /// What every service has.
    #[command(flatten)]
    pub common: Common,
}

/// Which of two builds of the same behaviour.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
pub struct BuildFlags {
    /// With timeouts, bounded retries, breakers, bulkheads, fallbacks and load shedding
    #[arg(long)]
    careful: bool,
    /// Without any: no timeout, one small pool for all, immediate retries, errors passed on as 500
    #[arg(long)]
    careless: bool,
}

/// The two builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    Careful,
    Careless,
}

impl BuildFlags {
    /// Which build. The command line has made sure that exactly one was asked for.
    pub(crate) fn build(&self) -> Build {
        if self.careful { Build::Careful } else { Build::Careless }
    }
}

/// How careful a careful build is, and how small the pool of a careless one.
#[derive(Debug, Clone, clap::Args)]
pub struct CareFlags {
    /// Careful: the longest that one call to a dependency may take [default: 250ms; for the cart 200ms; for the cache of
    /// the shop never more than 100ms]
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with = "careless")]
    pub timeout: Option<Duration>,
    /// Careful: attempts for one call, the first included
    #[arg(long, value_name = "N", default_value = "2", conflicts_with = "careless")]
    pub attempts: NonZeroU32,
    /// Careful: wait before the second attempt, give or take half of it; doubled for each further one
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "25ms", conflicts_with = "careless")]
    pub back_off: Duration,
    /// Careful: failures in a row that open a breaker
    #[arg(long, value_name = "N", default_value = "5", conflicts_with = "careless")]
    pub breaker_failures: NonZeroU32,
    /// Careful: how long a breaker stays open before one call may try
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "2s", conflicts_with = "careless")]
    pub breaker_open: Duration,
    /// Careful: calls to one dependency at once
    #[arg(long, value_name = "N", value_parser = places, default_value = "32", conflicts_with = "careless")]
    pub parallel: usize,
    /// Careful: requests in flight above which users are turned away with 503 and Retry-After
    #[arg(long, value_name = "N", value_parser = places, default_value = "256", conflicts_with = "careless")]
    pub max_in_flight: usize,
    /// Careful: the oldest answer that is served in place of a fresh one
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10m", conflicts_with = "careless")]
    pub stale_for: Duration,
    /// Careful: seed of the jitter; without it, each process has its own
    #[arg(long, value_name = "N", conflicts_with = "careless")]
    pub seed: Option<u64>,
    /// Careless: connections that all dependencies share; who finds none free waits, without end
    #[arg(long, value_name = "N", value_parser = places, default_value = "10", conflicts_with = "careful")]
    pub pool: usize,
}

impl CareFlags {
    /// The limits of a guard. `timeout` is the service's own default.
    pub(crate) fn guard(&self, timeout: Duration) -> GuardLimits {
        GuardLimits {
            timeout: self.timeout.unwrap_or(timeout),
            retry: RetryLimits {
                attempts: self.attempts,
                first_wait: self.back_off,
                longest_wait: self.back_off.saturating_mul(16),
            },
            breaker: BreakerLimits { failures: self.breaker_failures, open_for: self.breaker_open },
            parallel: self.parallel,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn read(line: &str) -> Result<Service, String> {
        let words = std::iter::once("demo-service").chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.args.service).map_err(|e| e.to_string())
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let Ok(Service::Shop(shop)) = read("shop --careful") else { panic!("no shop") };
        let limits = shop.care.guard(Duration::from_millis(250));
        assert_eq!(limits.timeout, Duration::from_millis(250));
        assert_eq!(limits.retry.attempts.get(), 2);
        assert_eq!(limits.breaker.failures.get(), 5);
        assert_eq!(limits.breaker.open_for, Duration::from_secs(2));
        assert_eq!(shop.build.build(), Build::Careful);
    }

    #[test]
    fn a_build_must_be_chosen_and_only_one() {
        assert!(read("shop").unwrap_err().contains("--careful"));
        assert!(read("cart --careful --careless").unwrap_err().contains("cannot be used with"));
        assert!(read("cart --careless").is_ok(), "defaults of the other build are no conflict");
    }

    #[test]
    fn care_cannot_be_asked_of_the_careless() {
        assert!(read("shop --careless --timeout 1s").unwrap_err().contains("cannot be used with"));
        assert!(read("shop --careful --pool 3").unwrap_err().contains("cannot be used with"));
        assert!(read("shop --careful --parallel 0").unwrap_err().contains("at least 1"));
        assert!(read("shop --careful --timeout 250").unwrap_err().contains("250ms?"));
    }
}

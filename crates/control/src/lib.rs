//! The daemon: proxies that are made, broken and mended through an HTTP API while they carry traffic.
//!
//! Every answer comes within a bounded time. Nothing here waits for a connection, a dependency or a dead peer with a
//! lock held, and no request can end the daemon.

mod answers;
mod bodies;
mod callers;
mod client;
mod clients;
mod containers;
mod events;
mod history;
mod json;
mod listen;
mod metrics;
mod native;
mod proxies;
mod server;
mod taken;
mod toxiproxy;
mod traffic;

pub use callers::CallsDoc;
pub use client::{Client, ClientError, Heard, Listening, ProxyView, ToxicOrder, ToxicSettings, ToxicView};
pub use containers::{Base, ContainerFaultDoc, NewContainerFault, NotTakenBack, StandsDoc};
pub use events::{EventBody, Events, LiftedBy, Notice, TallyDoc, TooManyListeners};
pub use history::{DeedDoc, DoneOn, HistoryDoc, ProxySeen, StoodDoc};
pub use metrics::{MetricsChoice, Served};
pub use native::{
    ConnectionDoc, DecisionDoc, FaultDoc, FaultOrder, Guard, MOST_CONNECTIONS, NewFault, NewProxy, OPENAPI,
    ProxyDoc, ProxyPatch, StageDoc, Token, ToxicDoc, TrafficDoc, openapi,
};
pub use proxies::{
    FaultPlan, LeaseHold, LeaseState, LiveConnection, Owner, Placed, Proxies, ProxyChange, ProxyError,
    ProxySpec, RulePlan, Source, StandingFault,
};
pub use server::{ServeError, Server, ServerConfig};
pub use toxiproxy::{Api, Attributes, Compat, Nonsense, Refusal, Stream, Toxic, ToxicType, read_config};
pub use traffic::{Labels, Ledger};

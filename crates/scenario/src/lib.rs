//! The scenario language: YAML text → a document → a checked [`Plan`], with errors that point at what is wrong.
//!
//! Nothing here opens a socket or starts a process. Bad input is answered with diagnostics, never with a panic.

mod address;
mod caller;
mod captured;
mod container_state;
mod deserialize;
mod diagnostic;
mod document;
mod expect_document;
mod experiment;
mod fault_document;
mod include;
mod load;
mod matrix;
mod merge;
mod names;
mod node;
mod plan;
mod plan_text;
mod problem;
mod profile;
mod question_document;
mod rate_ramp_document;
mod readable;
mod schema;
mod secret;
mod sentence;
mod settings;
mod single;
mod source_map;
mod sql;
mod status;
mod stretch;
mod suggest;
mod syntax;
mod table;
mod trigger_document;
mod url;
mod variables;
mod yaml;

pub use address::{Address, AddressError};
pub use caller::{Caller, CallerError, OpenConnections};
pub use container_state::{ContainerState, Health};
pub use diagnostic::{Also, Colour, Diagnostic, Diagnostics, Severity};
pub use fault_document::NetworkDoc;
pub use load::{Loaded, load, load_all, load_all_text, load_text};
pub use plan::{
    AbortRule, AbortWhen, Arrivals, Capture, CaptureFrom, ContainerQuestion, Counted, EdgePlan, FaultStep,
    FaultTarget, Given, HeaderTest, HttpRequest, LedgerPlan, LoadPlan, Login, Plan, ProbePlan, ProbeState,
    ProcessSelector, Question, Ramp, RampStage, Route, ServicePlan, Sight, StackKeep, StackPlan, Trigger,
    command_text,
};
pub use plan_text::plan_text;
pub use profile::{Profile, ProfileError};
pub use schema::{SCHEMA, schema};
pub use secret::is_telling;
pub use settings::{Environment, Settings};
pub use single::Single;
pub use source_map::Location;
pub use status::{StatusError, StatusSet};
pub use stretch::{Stretch, StretchError};

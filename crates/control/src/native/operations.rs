//! What an operation of the native API is made of, and which one a request means. Knows methods, paths and the names of
//! bodies; carries nothing out.

mod table;

pub use self::table::OPERATIONS;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    OpenApi,
    Version,
    ListProxies,
    CreateProxy,
    ShowProxy,
    ChangeProxy,
    DeleteProxy,
    ListFaults,
    AddFault,
    ShowFault,
    PutFault,
    LiftFault,
    ListConnections,
    ShowRules,
    PutRules,
    LiftRules,
    ListLeases,
    ShowLease,
    PutLease,
    EndLease,
    HoldLease,
    ListContainerFaults,
    AddContainerFault,
    ShowContainerFault,
    LiftContainerFault,
    History,
    Events,
}

/// A body that is taken or answered, by its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    OpenApi,
    Version,
    NewProxy,
    ProxyPatch,
    Proxy,
    Proxies,
    NewFault,
    FaultOrder,
    Fault,
    Faults,
    Connections,
    RuleSetOrder,
    RuleSet,
    LeaseOrder,
    Lease,
    Leases,
    NewContainerFault,
    ContainerFault,
    ContainerFaults,
    History,
    Problem,
}

/// What is answered.
#[derive(Clone, Copy)]
pub enum Content {
    /// Nothing.
    Empty,
    /// JSON of this type.
    Json(Body),
    /// A stream of server-sent events.
    Stream,
}

/// One operation.
#[derive(Clone, Copy)]
pub struct Operation {
    /// What it does.
    pub act: Act,
    /// In upper case.
    pub method: &'static str,
    /// With `{names}` for parts that vary.
    pub path: &'static str,
    /// Its name in the document.
    pub id: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// The body that it takes.
    pub body: Option<Body>,
    /// Its statuses when all went well.
    pub statuses: &'static [u16],
    /// What it answers then.
    pub content: Content,
    /// Its statuses when something did not, beside those that every operation has.
    pub refusals: &'static [u16],
}

/// Statuses that every operation has: no token, not allowed, no room for a large answer.
pub const COMMON_REFUSALS: &[u16] = &[401, 403, 503];

/// The operation of a method and a path, with the parts that vary, or what the path has instead.
pub enum Matched {
    /// An operation.
    Found(&'static Operation, Vec<String>),
    /// Another method would do.
    WrongMethod(String),
    /// Nothing.
    Unknown,
}

/// Finds the operation. Segments are decoded already.
pub fn find(method: &str, segments: &[String]) -> Matched {
    let mut others = Vec::new();
    for operation in OPERATIONS {
        let template: Vec<&str> = operation.path.split('/').skip(1).collect();
        let fits = template.len() == segments.len()
            && template.iter().zip(segments).all(|(wanted, got)| {
                if wanted.starts_with('{') { !got.is_empty() } else { *wanted == got.as_str() }
            });
        if !fits {
            continue;
        }
        if operation.method == method {
            let varying = template.iter().zip(segments).filter(|(wanted, _)| wanted.starts_with('{'));
            return Matched::Found(operation, varying.map(|(_, got)| got.clone()).collect());
        }
        others.push(operation.method);
    }
    if others.is_empty() { Matched::Unknown } else { Matched::WrongMethod(others.join(", ")) }
}

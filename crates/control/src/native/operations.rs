//! Every operation of the native API: method, path, what it takes and what it answers.

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

/// A body may be too long, of another type, not JSON, or not meant.
const BODY: &[u16] = &[400, 404, 409, 413, 415, 422];
const LOOK: &[u16] = &[400, 404];

/// All of them.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        act: Act::OpenApi,
        method: "GET",
        path: "/v1/openapi.json",
        id: "openApi",
        about: "This document.",
        body: None,
        statuses: &[200],
        content: Content::Json(Body::OpenApi),
        refusals: &[],
    },
    Operation {
        act: Act::Version,
        method: "GET",
        path: "/v1/version",
        id: "version",
        about: "The versions of Murphy and of the Toxiproxy API beside this one.",
        body: None,
        statuses: &[200],
        content: Content::Json(Body::Version),
        refusals: &[],
    },
    Operation {
        act: Act::ListProxies,
        method: "GET",
        path: "/v1/proxies",
        id: "listProxies",
        about: "All proxies, by name.",
        body: None,
        statuses: &[200],
        content: Content::Json(Body::Proxies),
        refusals: &[],
    },
    Operation {
        act: Act::CreateProxy,
        method: "POST",
        path: "/v1/proxies",
        id: "createProxy",
        about: "Makes a proxy and starts it.",
        body: Some(Body::NewProxy),
        statuses: &[201],
        content: Content::Json(Body::Proxy),
        refusals: BODY,
    },
    Operation {
        act: Act::ShowProxy,
        method: "GET",
        path: "/v1/proxies/{proxy}",
        id: "showProxy",
        about: "One proxy.",
        body: None,
        statuses: &[200],
        content: Content::Json(Body::Proxy),
        refusals: LOOK,
    },
    Operation {
        act: Act::ChangeProxy,
        method: "PATCH",
        path: "/v1/proxies/{proxy}",
        id: "changeProxy",
        about: "Changes a proxy, enables it or disables it.",
        body: Some(Body::ProxyPatch),
        statuses: &[200],
        content: Content::Json(Body::Proxy),
        refusals: BODY,
    },
    Operation {
        act: Act::DeleteProxy,
        method: "DELETE",
        path: "/v1/proxies/{proxy}",
        id: "deleteProxy",
        about: "Takes a proxy away; its connections end, and its port is free at once.",
        body: None,
        statuses: &[204],
        content: Content::Empty,
        refusals: LOOK,
    },
    Operation {
        act: Act::ListFaults,
        method: "GET",
        path: "/v1/proxies/{proxy}/faults",
        id: "listFaults",
        about: "The faults of a proxy, in the order in which bytes pass them.",
        body: None,
        statuses: &[200],
        content: Content::Json(Body::Faults),
        refusals: LOOK,
    },
    Operation {
        act: Act::AddFault,
        method: "POST",
        path: "/v1/proxies/{proxy}/faults",
        id: "addFault",
        about: "Puts a fault on a proxy, for open connections too.",
        body: Some(Body::NewFault),
        statuses: &[201],
        content: Content::Json(Body::Fault),
        refusals: BODY,
    },
    Operation {
        act: Act::ShowFault,
        method: "GET",
        path: "/v1/proxies/{proxy}/faults/{fault}",
        id: "showFault",
        about: "One fault, with what it has done.",
        body: None,
        statuses: &[200],
        content: Content::Json(Body::Fault),
        refusals: LOOK,
    },
    Operation {
        act: Act::PutFault,
        method: "PUT",
        path: "/v1/proxies/{proxy}/faults/{fault}",
        id: "putFault",
        about: "Puts a fault on a proxy, or edits the one with this name: its count and its draws stay.",
        body: Some(Body::FaultOrder),
        statuses: &[200, 201],
        content: Content::Json(Body::Fault),
        refusals: BODY,
    },
    Operation {
        act: Act::LiftFault,
        method: "DELETE",
        path: "/v1/proxies/{proxy}/faults/{fault}",
        id: "liftFault",
        about: "Takes a fault off a proxy; bytes that only it held back leave at once, in order.",
        body: None,
        statuses: &[204],
        content: Content::Empty,
        refusals: LOOK,
    },
    Operation {
        act: Act::ListConnections,
        method: "GET",
        path: "/v1/proxies/{proxy}/connections",
        id: "listConnections",
        about: "Open connections, oldest first, at most 1000, with what each fault decided of each; `?after=` goes on behind a number.",
        body: None,
        statuses: &[200],
        content: Content::Json(Body::Connections),
        refusals: LOOK,
    },
    Operation {
        act: Act::ShowRules,
        method: "GET",
        path: "/v1/rules/{set}",
        id: "showRules",
        about: "The rules of a set.",
        body: None,
        statuses: &[200],
        content: Content::Json(Body::RuleSet),
        refusals: LOOK,
    },
    Operation {
        act: Act::PutRules,
        method: "PUT",
        path: "/v1/rules/{set}",
        id: "putRules",
        about: "Makes a set of rules what is given, all at once or, if one cannot be, not at all.",
        body: Some(Body::RuleSetOrder),
        statuses: &[200],
        content: Content::Json(Body::RuleSet),
        refusals: BODY,
    },
    Operation {
        act: Act::LiftRules,
        method: "DELETE",
        path: "/v1/rules/{set}",
        id: "liftRules",
        about: "Takes a set of rules off.",
        body: None,
        statuses: &[204],
        content: Content::Empty,
        refusals: LOOK,
    },
    Operation {
        act: Act::ListLeases,
        method: "GET",
        path: "/v1/leases",
        id: "listLeases",
        about: "All leases.",
        body: None,
        statuses: &[200],
        content: Content::Json(Body::Leases),
        refusals: &[],
    },
    Operation {
        act: Act::ShowLease,
        method: "GET",
        path: "/v1/leases/{lease}",
        id: "showLease",
        about: "One lease.",
        body: None,
        statuses: &[200],
        content: Content::Json(Body::Lease),
        refusals: LOOK,
    },
    Operation {
        act: Act::PutLease,
        method: "PUT",
        path: "/v1/leases/{lease}",
        id: "putLease",
        about: "Makes a lease, or renews it. Faults that name it end with it.",
        body: Some(Body::LeaseOrder),
        statuses: &[200],
        content: Content::Json(Body::Lease),
        refusals: BODY,
    },
    Operation {
        act: Act::EndLease,
        method: "DELETE",
        path: "/v1/leases/{lease}",
        id: "endLease",
        about: "Ends a lease and its faults.",
        body: None,
        statuses: &[204],
        content: Content::Empty,
        refusals: LOOK,
    },
    Operation {
        act: Act::HoldLease,
        method: "GET",
        path: "/v1/leases/{lease}/hold",
        id: "holdLease",
        about: "Holds a lease as long as this connection is open: it does not run out, and ends with the connection.",
        body: None,
        statuses: &[200],
        content: Content::Stream,
        refusals: &[400, 404, 409],
    },
    Operation {
        act: Act::ListContainerFaults,
        method: "GET",
        path: "/v1/containers/faults",
        id: "listContainerFaults",
        about: "The faults on containers and their networks, by name; `murphy serve --containers` only.",
        body: None,
        statuses: &[200],
        content: Content::Json(Body::ContainerFaults),
        refusals: &[],
    },
    Operation {
        act: Act::AddContainerFault,
        method: "POST",
        path: "/v1/containers/faults",
        id: "addContainerFault",
        about: "Acts on containers or on the network between them, in the words of a scenario; taken back after its time. Answers when the first round is in the world.",
        body: Some(Body::NewContainerFault),
        statuses: &[200, 201],
        content: Content::Json(Body::ContainerFault),
        refusals: &[400, 409, 413, 415, 422, 503],
    },
    Operation {
        act: Act::ShowContainerFault,
        method: "GET",
        path: "/v1/containers/faults/{fault}",
        id: "showContainerFault",
        about: "One of them, with what happened.",
        body: None,
        statuses: &[200],
        content: Content::Json(Body::ContainerFault),
        refusals: LOOK,
    },
    Operation {
        act: Act::LiftContainerFault,
        method: "DELETE",
        path: "/v1/containers/faults/{fault}",
        id: "liftContainerFault",
        about: "Takes one of them back at once; it is as before when this is answered.",
        body: None,
        statuses: &[204],
        content: Content::Empty,
        refusals: &[400, 404, 409, 500],
    },
    Operation {
        act: Act::History,
        method: "GET",
        path: "/v1/history",
        id: "history",
        about: "What was done to proxies and containers through all APIs, with its times; of what is over, the newest 2048.",
        body: None,
        statuses: &[200],
        content: Content::Json(Body::History),
        refusals: &[],
    },
    Operation {
        act: Act::Events,
        method: "GET",
        path: "/v1/events",
        id: "events",
        about: "What happens from now on, as server-sent events; `traffic` events are those of the journal.",
        body: None,
        statuses: &[200],
        content: Content::Stream,
        refusals: &[429],
    },
];

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

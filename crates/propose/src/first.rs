//! A first scenario that runs as it is: a service and its dependency that are part of Murphy, with remarks that teach.

/// The text of it. It needs nothing but Murphy itself.
pub fn first() -> &'static str {
    include_str!("first.yaml")
}

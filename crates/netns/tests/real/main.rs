//! Tests in real network namespaces, which they make and remove. They need root; without it each says that it is
//! skipped, and fails where `CI=true` promises that all are run.

mod bench;
mod capability;
mod intercept;
mod killed;
mod lease;
mod packets;
mod resolve;
mod shape;

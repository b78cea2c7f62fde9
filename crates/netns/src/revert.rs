//! Takes back what was done in a namespace, from any process, from its plain-data record.
//!
//! Carrying one out twice is harmless, and a namespace that is gone is a success: all that was in it went with it.

use std::fs::File;
use std::thread;

use murphy_core::{NamespaceIdentity, Undo};
use tokio::sync::oneshot;

use crate::inside::enter_thread;
use crate::{NetnsError, lease, namespace, shape};

/// What taking back came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reverted {
    /// It is as it was before.
    Done,
    /// The namespace does not exist any more.
    NamespaceGone,
}

/// Why something was not taken back.
#[derive(Debug, thiserror::Error)]
pub enum RevertError {
    /// The undo is for another part of Murphy.
    #[error("`{0}` is not done in a network namespace")]
    NotOurs(Box<Undo>),
    /// It failed.
    #[error("cannot {undo}: {source}")]
    Failed {
        /// What was to be taken back.
        undo: Box<Undo>,
        /// Why not.
        source: NetnsError,
    },
}

/// Takes back a [`Undo::DropTable`] or [`Undo::RemoveQdisc`].
pub async fn revert(undo: &Undo) -> Result<Reverted, RevertError> {
    let failed = |source| RevertError::Failed { undo: Box::new(undo.clone()), source };
    match undo {
        Undo::DropTable { namespace, family, table } => {
            let (family, table) = (family.to_string(), table.clone());
            inside(*namespace, move || lease::delete_table(&family, &table)).await.map_err(failed)
        }
        Undo::RemoveQdisc { namespace, interface, handle } => {
            let (interface, handle) = (interface.clone(), *handle);
            inside(*namespace, move || shape::remove(&interface, handle).map(drop)).await.map_err(failed)
        }
        _ => Err(RevertError::NotOurs(Box::new(undo.clone()))),
    }
}

/// Runs a piece of work on a thread of its own that enters the namespace. Not by [`Netns`](crate::Netns): that refuses
/// the namespace of Murphy, and an undo may be carried out from wherever a user has started it.
async fn inside(
    namespace: NamespaceIdentity,
    work: impl FnOnce() -> Result<(), NetnsError> + Send + 'static,
) -> Result<Reverted, NetnsError> {
    let gone = || NetnsError::WorkerGone { process: namespace.process };
    let (reply, answer) = oneshot::channel();
    let enter = move || -> Result<Reverted, NetnsError> {
        let Some(file): Option<File> = namespace::find(namespace)? else {
            return Ok(Reverted::NamespaceGone);
        };
        enter_thread(&file).map_err(|error| NetnsError::io("enter the network namespace", error))?;
        drop(file);
        work().map(|()| Reverted::Done)
    };
    thread::Builder::new()
        .name("netns-undo".to_owned())
        // A caller that was cancelled does not wait any more.
        .spawn(move || drop(reply.send(enter())))
        .map_err(|error| NetnsError::io("start a thread", error))?;
    answer.await.map_err(|_| gone())?
}

#[cfg(test)]
mod tests {
    use murphy_core::{ProcessIdentity, TableFamily};

    use super::*;

    #[tokio::test]
    async fn a_namespace_that_is_gone_is_a_success() {
        let namespace = NamespaceIdentity { inode: 1, process: ProcessIdentity { pid: i32::MAX, born: 1 } };
        let table = Undo::DropTable { namespace, family: TableFamily::Inet, table: "murphy_x_1".to_owned() };
        assert_eq!(revert(&table).await.unwrap(), Reverted::NamespaceGone);
        let qdisc = Undo::RemoveQdisc { namespace, interface: "eth0".to_owned(), handle: 0x1000 };
        assert_eq!(revert(&qdisc).await.unwrap(), Reverted::NamespaceGone);
    }

    #[tokio::test]
    async fn an_undo_of_another_part_is_refused() {
        let undo =
            Undo::Continue { process: ProcessIdentity { pid: i32::MAX, born: 1 }, name: "x".to_owned() };
        assert!(matches!(revert(&undo).await, Err(RevertError::NotOurs(_))));
    }
}

//! The addresses of the far side of a stretch of network, asked of the far side's own interfaces: the name service of the
//! near side may know them by other names, or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use murphy_netns::Netns;

use crate::callers::Found;
use crate::edge::SitError;

/// Networks that have been entered to look at their addresses; entered once and kept while somebody lives there.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    entered: BTreeMap<u64, Netns>,
}

impl Peers {
    /// All addresses of all of these, as they are now.
    pub(crate) async fn addresses(&mut self, found: &[Found]) -> Result<BTreeSet<IpAddr>, SitError> {
        self.entered.retain(|inode, _| found.iter().any(|one| one.namespace.inode == *inode));
        let mut addresses = BTreeSet::new();
        for one in found {
            let said = |source| SitError::Netns { caller: one.name.clone(), source };
            let netns = match self.entered.get(&one.namespace.inode) {
                Some(netns) => netns.clone(),
                None => {
                    let netns = Netns::enter(one.namespace.process).await.map_err(said)?;
                    self.entered.insert(one.namespace.inode, netns.clone());
                    netns
                }
            };
            addresses.extend(netns.addresses().await.map_err(said)?);
        }
        Ok(addresses)
    }
}

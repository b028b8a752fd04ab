//! SQL put back from a backup at once: before anybody has looked at the ledger again.
//!
//! Owns what an orderly stop still has to tell Redis.
#![cfg(feature = "postgres")]

use std::sync::Arc;

use sessiond::domain::MovableClock;

use crate::support::node::Node;
use crate::support::requests::Requests;
use crate::support::server::{Backend, Stores};

#[tokio::test]
async fn a_node_that_stops_in_order_tells_redis_of_its_last_revocation() {
    let stores = Stores::new(Backend::Production);
    let mut node = Node::start(&stores.settings(), &Arc::<MovableClock>::default()).await;
    let owner = node.anonymous().sign_up().await;
    let victim = owner.sign_in_again().await;
    assert!(victim.is_signed_in().await);
    // Whatever came before is known: only what comes now is not.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    stores.database.back_up("backup");
    owner.delete(&format!("/sessions/{}", victim.session_id)).await.assert_status(204);
    node.stop().await;
    stores.database.put_back("backup");
    let started = Node::try_start(&stores.settings(), &Arc::<MovableClock>::default()).await;
    let refusal = started.map(|_| ()).expect_err("it must not start over an older copy");
    assert!(refusal.contains("sessiond ledger restored"), "{refusal}");
}

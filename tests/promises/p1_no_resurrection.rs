//! P1: once a revocation has been answered 2xx, no request that starts afterwards is authenticated by that session.
#![cfg(feature = "postgres")]

use std::time::Duration;

use crate::promises::origin::{Origin, People, for_both_origins};
use crate::support::client::SignedIn;
use crate::support::database::Database;
use crate::support::process::Process;
use crate::support::redis::{Persistence, PrivateRedis};
use crate::support::requests::Requests;
use crate::support::server::Stores;
use crate::support::wait::until;

/// Two nodes, a session that was ended on one of them, and what Redis held before.
struct Ended {
    stores: Stores,
    a: Process,
    b: Process,
    people: People,
    owner: SignedIn,
    victim: SignedIn,
    before: Vec<u8>,
}

impl Ended {
    async fn new(origin: Origin, persistence: Persistence) -> Self {
        let stores = Stores::of(Database::postgres(), Some(PrivateRedis::with(persistence, &[])));
        let (a, b) = (Process::start(&stores.settings()), Process::start(&stores.settings()));
        let people = People::of(origin, &stores.settings(), &a.url());
        let owner = people.somebody(&a.url()).await;
        let victim = people.again(&owner, &a.url()).await;
        for node in [&a, &b] {
            assert!(victim.copy_at(&node.url()).is_signed_in().await);
        }
        let before = stores.redis().snapshot();
        owner.end_session(&victim.session_id).await.assert_status(204);
        Self { stores, a, b, people, owner, victim, before }
    }

    async fn assert_dead(&self, after: &str) {
        for node in [&self.a, &self.b] {
            assert!(!self.victim.copy_at(&node.url()).is_signed_in().await, "{after}: it came back");
            assert!(self.owner.copy_at(&node.url()).is_signed_in().await, "{after}: somebody else was signed out");
        }
    }
}

for_both_origins! {
    async fn through_a_redis_that_was_killed(origin: Origin) {
        for persistence in [Persistence::Rdb, Persistence::Aof] {
            let it = Ended::new(origin, persistence).await;
            it.stores.redis().kill();
            it.stores.redis().restart();
            it.assert_dead("SIGKILL").await;
        }
    }

    async fn through_a_redis_restored_from_before_the_revocation(origin: Origin) {
        let it = Ended::new(origin, Persistence::Rdb).await;
        it.stores.redis().restart_from(&it.before);
        it.assert_dead("an old RDB").await;
    }

    async fn through_flushall_and_eviction(origin: Origin) {
        let it = Ended::new(origin, Persistence::None).await;
        for key in it.stores.redis().keys("*") {
            let _gone: i64 = it.stores.redis().cli(&["DEL", &key]);
        }
        it.assert_dead("eviction").await;
        let _ok: String = it.stores.redis().cli(&["FLUSHALL"]);
        it.assert_dead("FLUSHALL").await;
    }

    async fn through_nodes_that_were_killed(origin: Origin) {
        let mut it = Ended::new(origin, Persistence::None).await;
        it.a.kill();
        it.b.kill();
        it.a.restart();
        it.b.restart();
        it.assert_dead("SIGKILL of the nodes").await;
    }

    /// Redis is gone while the session is ended: the answer says that it is not confirmed, and once it is, it stays so.
    async fn through_a_redis_that_was_away_when_it_ended(origin: Origin) {
        let it = Ended::new(origin, Persistence::Rdb).await;
        let late = it.people.again(&it.owner, &it.a.url()).await;
        assert!(late.copy_at(&it.b.url()).is_signed_in().await);
        let before = it.stores.redis().snapshot();
        it.stores.redis().kill();
        it.owner.end_session(&late.session_id).await.assert_problem(503, "unconfirmed");
        it.stores.redis().restart_from(&before);
        until("the revocation is confirmed", Duration::from_secs(15), || async {
            it.owner.end_session(&late.session_id).await.status == 204
        })
        .await;
        for node in [&it.a, &it.b] {
            assert_eq!(late.copy_at(&node.url()).get("/auth/forward").await.status, 401);
        }
        until("nothing is left to confirm", Duration::from_secs(10), || async {
            it.stores.database.count("pending_invalidations", "1 = 1") == 0
        })
        .await;
    }
}

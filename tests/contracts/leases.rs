//! Leases: a record is only ever put over the nonce of the fill that read the ledger.

use sessiond::live::{Doubt, Taken};

use crate::contracts::world::{IP, MINUTE, World, hash, key, on_each_topology};

on_each_topology! {
    async fn a_put_is_refused_after_a_delete(world: World) {
        let hash = hash();
        let lease = world.lease(&hash).await;
        world.live.delete(&[hash]).await.unwrap();
        assert!(!world.live.put(lease, &world.session(), world.now()).await.unwrap());
        assert_eq!(world.text(&hash), None);
    }

    async fn a_put_is_refused_after_an_eviction_and_a_second_taker(world: World) {
        let hash = hash();
        let first = world.lease(&hash).await;
        world.remove(&hash);
        let second = world.lease(&hash).await;
        assert!(!world.live.put(first, &world.session(), world.now()).await.unwrap());
        assert!(world.text(&hash).unwrap().starts_with("lease "), "the second lease stands");
        assert!(world.live.put(second, &world.session(), world.now()).await.unwrap());
    }

    async fn a_put_is_refused_over_anything_but_its_own_nonce(world: World) {
        for stands in ["", "x", "lease AAAAAAAAAAAAAAAAAAAAAA"] {
            let hash = hash();
            let lease = world.lease(&hash).await;
            world.plant(&hash, stands);
            assert!(!world.live.put(lease, &world.session(), world.now()).await.unwrap());
            assert_eq!(world.text(&hash).as_deref(), Some(stands));
        }
        let hash = hash();
        let lease = world.lease(&hash).await;
        world.remove(&hash);
        world.at(&hash).cli::<()>(&["HSET", &key(&hash), "a", "b"]);
        assert!(!world.live.put(lease, &world.session(), world.now()).await.unwrap());
        assert_eq!(world.at(&hash).cli::<String>(&["TYPE", &key(&hash)]), "hash");
    }

    async fn a_lease_is_taken_over_nothing_a_foreign_stamp_and_an_expired_record(world: World) {
        let nothing = hash();
        world.fill(&nothing, &world.session()).await;

        let (expired, _) = world.on_record().await;
        world.clock.advance(30 * MINUTE);
        world.fill(&expired, &world.session()).await;
        world.record(&expired).await;

        let (foreign, _) = world.on_record().await;
        world.fence.retire_all();
        world.fill(&foreign, &world.session()).await;
        world.record(&foreign).await;
    }

    async fn a_lease_is_not_taken_over_another_ones(world: World) {
        let hash = hash();
        let at_first = world.doubt(&hash).await;
        let lease = world.lease_over(&hash, &at_first).await;
        assert!(matches!(world.take(&hash, &at_first).await, Taken::Busy), "who saw nothing");
        let in_between = world.doubt(&hash).await;
        assert!(matches!(world.take(&hash, &in_between).await, Taken::Busy), "who saw the lease");
        assert!(world.live.put(lease, &world.session(), world.now()).await.unwrap());
        let Taken::Record(_) = world.take(&hash, &in_between).await else { panic!("by now there is a record") };
        world.remove(&hash);
        let Taken::Lease(_) = world.take(&hash, &in_between).await else { panic!("by now there is nothing") };
    }

    async fn a_lease_is_not_taken_over_a_live_record(world: World) {
        let hash = hash();
        let doubt = world.doubt(&hash).await;
        let put = world.session();
        world.fill(&hash, &put).await;
        let text = world.text(&hash);
        let Taken::Record(seen) = world.take(&hash, &doubt).await else { panic!("the record that stands there") };
        assert_eq!(seen.record.session, put.session);
        assert_eq!(world.text(&hash), text);
        assert!(world.live.touch(&seen, world.now(), IP, world.now()).await.unwrap(), "it can be touched");
    }

    async fn a_lease_is_not_taken_over_what_has_changed_since(world: World) {
        let hash = hash();
        world.plant(&hash, "one");
        let doubt = world.doubt(&hash).await;
        world.plant(&hash, "another");
        assert!(matches!(world.take(&hash, &doubt).await, Taken::Busy));
        world.remove(&hash);
        assert!(matches!(world.take(&hash, &doubt).await, Taken::Busy));
        assert!(matches!(world.take(&hash, &Doubt::default()).await, Taken::Lease(_)));
    }

    async fn of_many_fills_at_once_one_stores(world: World) {
        let other = world.live.for_worker();
        let hash = hash();
        let fills = (0..64).map(|number| {
            let live = if number % 2 == 0 { &world.live } else { &other };
            let record = world.session();
            let world = &world;
            async move {
                let doubt = world.doubt(&hash).await;
                tokio::task::yield_now().await;
                let nonce = sessiond::domain::Nonce::generate(&sessiond::domain::SystemRandom);
                match live.take(&hash, nonce, &doubt).await.unwrap() {
                    Taken::Lease(lease) => live.put(lease, &record, world.now()).await.unwrap(),
                    _ => false,
                }
            }
        });
        let stored = futures_util::future::join_all(fills).await;
        assert_eq!(stored.iter().filter(|stored| **stored).count(), 1);
        world.record(&hash).await;
    }

    async fn a_lease_ends_by_itself(world: World) {
        let hash = hash();
        let lease = world.lease(&hash).await;
        let left = world.time_to_live(&hash);
        assert!((4_000..=5_000).contains(&left), "{left} ms");
        world.at(&hash).cli::<()>(&["PEXPIRE", &key(&hash), "1"]);
        crate::contracts::world::pause(10).await;
        assert!(!world.live.put(lease, &world.session(), world.now()).await.unwrap());
    }
}

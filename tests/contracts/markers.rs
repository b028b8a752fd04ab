//! Markers: how far a ledger was seen to come is noted from what was read, or not at all.

use sessiond::domain::{HistoryPosition, Lineage, SystemRandom};
use sessiond::live::Marker;

use crate::contracts::world::{World, on_each_topology};

fn name() -> Lineage {
    Lineage::generate(&SystemRandom)
}

fn at(lineage: Lineage, height: i64) -> HistoryPosition {
    HistoryPosition { lineage, height, ancestors: vec![name()] }
}

on_each_topology! {
    async fn a_marker_is_read_as_it_was_noted(world: World) {
        let (ledger, other) = (name(), name());
        let nothing = world.live.marker(&ledger).await.unwrap();
        assert_eq!(nothing, Marker::default());
        let position = at(name(), 7);
        assert!(world.live.note_position(&ledger, &nothing, &position).await.unwrap());
        assert_eq!(world.live.marker(&ledger).await.unwrap().position, Some(position));
        assert_eq!(world.live.marker(&other).await.unwrap().position, None, "each ledger has its own");
    }

    async fn a_marker_never_goes_back(world: World) {
        let (ledger, lineage) = (name(), name());
        let slow = world.live.marker(&ledger).await.unwrap();
        assert!(world.live.note_position(&ledger, &slow, &at(lineage, 8)).await.unwrap());
        assert!(!world.live.note_position(&ledger, &slow, &at(lineage, 7)).await.unwrap(), "noted from what stands no more");
        let seen = world.live.marker(&ledger).await.unwrap();
        assert_eq!(seen.position.as_ref().map(|position| position.height), Some(8));
        let declared = at(name(), 0);
        assert!(world.live.note_position(&ledger, &seen, &declared).await.unwrap());
        assert!(!world.live.note_position(&ledger, &seen, &at(lineage, 9)).await.unwrap());
        assert_eq!(world.live.marker(&ledger).await.unwrap().position, Some(declared));
    }

    async fn a_marker_outlives_every_session(world: World) {
        let ledger = name();
        let nothing = world.live.marker(&ledger).await.unwrap();
        world.live.note_position(&ledger, &nothing, &at(name(), 1)).await.unwrap();
        let key = format!("ledger:{ledger}");
        let left: i64 = world.redis.of(&key).cli(&["TTL", &key]);
        assert!(left > 400 * 24 * 60 * 60, "{left} s");
    }
}

//! Counters of attempts: one caller for each number, and nothing that stays for ever.

use std::time::Duration;

use futures_util::future::join_all;
use sessiond::domain::{BucketId, ThrottleKey, Timestamp};

use crate::contracts::world::{World, on_each_topology};

const MINUTE: Duration = Duration::from_secs(60);

fn bucket(name: &str) -> BucketId {
    ThrottleKey::derive(&[7; 64]).account(name)
}

fn ttl(world: &World, bucket: &BucketId) -> i64 {
    use base64::Engine as _;
    let name = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bucket.as_bytes());
    let key = format!("attempts:{name}");
    world.redis.of(&key).cli(&["PTTL", &key])
}

on_each_topology! {
    async fn a_number_is_claimed_by_one_caller(world: World) {
        let (bucket, now) = (bucket("ana"), world.now());
        for number in 1..=20 {
            let claims = (0..16).map(|_| world.live.claim(&bucket, number, now, MINUTE));
            let won = join_all(claims).await.into_iter().filter(|claim| *claim.as_ref().expect("an answer")).count();
            assert_eq!(won, 1, "number {number}");
            let attempts = world.live.attempts(&bucket).await.unwrap();
            assert_eq!((attempts.count, attempts.last), (number, Some(now)));
        }
        let left = ttl(&world, &bucket);
        assert!(left > 0 && left <= 60_000, "{left}");
    }

    async fn what_is_given_back_was_not_counted_and_what_is_cleared_never_was(world: World) {
        let (bucket, earlier, now) = (bucket("ana"), Timestamp::from_ms(5), world.now());
        for number in 1..=5 {
            assert!(world.live.claim(&bucket, number, earlier, MINUTE).await.unwrap());
        }
        assert!(world.live.claim(&bucket, 6, now, MINUTE).await.unwrap());
        world.live.give_back(&bucket, 6).await.unwrap();
        let attempts = world.live.attempts(&bucket).await.unwrap();
        assert_eq!((attempts.count, attempts.last), (5, Some(earlier)), "as if it had not been");
        // Of several under way at once, those that were not given back stay counted.
        world.live.give_back(&bucket, 5).await.unwrap();
        world.live.give_back(&bucket, 4).await.unwrap();
        assert_eq!(world.live.attempts(&bucket).await.unwrap().count, 3);
        world.live.clear(&bucket).await.unwrap();
        assert_eq!(world.live.attempts(&bucket).await.unwrap().count, 0);
        assert_eq!(ttl(&world, &bucket), -2, "nothing is left of it");
    }

    async fn a_plain_count_goes_up_and_down_and_ends(world: World) {
        let bucket = bucket("192.0.2.7");
        assert_eq!(world.live.count(&bucket, 1, MINUTE).await.unwrap(), 1);
        assert_eq!(world.live.count(&bucket, 1, MINUTE).await.unwrap(), 2);
        assert_eq!(world.live.count(&bucket, -1, MINUTE).await.unwrap(), 1);
        let left = ttl(&world, &bucket);
        assert!(left > 0 && left <= 60_000, "{left}");
    }
}

//! What a server says is believed where it refuses.

use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisFuture, Value};

use super::super::RedisCounters;
use crate::limit::{Caller, Limit, Limits, Quota, Standings, Verdict};
use crate::policy::ClientAddress;
use crate::{KeyDigest, KeyRecord, Principal, Tenant, Timestamp};

/// A server that gives everybody this answer.
#[derive(Clone)]
struct Parrot(&'static [i64]);

impl ConnectionLike for Parrot {
    fn req_packed_command<'a>(&'a mut self, _: &'a Cmd) -> RedisFuture<'a, Value> {
        let answer = self.0.iter().map(|number| Value::Int(*number)).collect();
        Box::pin(async move { Ok(Value::Array(answer)) })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        _: &'a Pipeline,
        _: usize,
        _: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn get_db(&self) -> i64 {
        0
    }
}

async fn asked(answer: &'static [i64]) -> Verdict {
    let redis = RedisCounters::over(Parrot(answer)).unwrap().start();
    let limit = Limit::per_key(Quota::per_hour(10).unwrap()).shared(redis.exact());
    let limits = Limits::new([limit]).unwrap();
    let record = KeyRecord::new("k", KeyDigest::of("k"), Tenant::new("acme"));
    let caller = Principal::of_key(record.into());
    let (head, ()) = http::Request::new(()).into_parts();
    let nowhere = ClientAddress::peer_from(|_| None);
    let head = (&head).into();
    let caller = Caller::new(&caller, &head, &nowhere);
    let asked = limits.count(&caller, Timestamp::EPOCH, &mut Standings::default());
    asked.unwrap().err().unwrap().await.verdict.unwrap()
}

#[tokio::test]
async fn a_server_that_refuses_is_believed_though_its_counts_have_room() {
    const NOW: i64 = 1_700_006_400_000_000;
    assert!(matches!(asked(&[1, NOW, NOW, 1, 0]).await, Verdict::Admitted));
    assert!(matches!(asked(&[0, NOW, NOW, 10, 0]).await, Verdict::After(_)));
    assert!(matches!(asked(&[0, NOW, NOW, 0, 0]).await, Verdict::After(_)));
}

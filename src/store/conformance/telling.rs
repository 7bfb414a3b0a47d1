//! Clauses of [`KeyAdmin::events`].

use super::sample::{NOW, acme, event, must};
use crate::store::{Action, AuditEvent, Commit, KeyAdmin};
use crate::{TenantId, Timestamp};

async fn tell(store: &impl KeyAdmin, events: &[AuditEvent]) {
    must(store.commit(Commit::new(Vec::new(), events.to_vec())).await);
}

/// What is told last comes first, whatever its time says; within a commit the last one too. All that
/// an event says comes back.
pub async fn events_come_back_newest_first(store: impl KeyAdmin) {
    let mut told = [Action::Issued, Action::Updated, Action::Revoked].map(|a| event(a, "k1"));
    told[1].at = Timestamp::EPOCH;
    told[1].actor = "Ämne; DROP TABLE events".into();
    told[2].at = Timestamp::MAX;
    tell(&store, &told[..1]).await;
    tell(&store, &told[1..]).await;
    told.reverse();
    assert_eq!(must(store.events(&acme(), 0, 9).await), told);
}

/// A page is `limit` events after the first `offset`.
pub async fn events_are_paged(store: impl KeyAdmin) {
    let told: Vec<_> = (0..5).map(|n| event(Action::Updated, &n.to_string())).collect();
    tell(&store, &told).await;
    let newest_first: Vec<_> = told.into_iter().rev().collect();
    for (offset, limit) in [(0, 2), (2, 2), (4, 2), (5, 2), (0, 0), (1, usize::MAX)] {
        let expected: Vec<_> = newest_first.iter().skip(offset).take(limit).cloned().collect();
        assert_eq!(must(store.events(&acme(), offset, limit).await), expected, "{offset} {limit}");
    }
    assert!(must(store.events(&acme(), usize::MAX, usize::MAX).await).is_empty());
}

/// A tenant's events are its own.
pub async fn a_tenant_sees_only_its_own_events(store: impl KeyAdmin) {
    let other = TenantId::from("other");
    let others = AuditEvent::new(NOW, "bob", Action::Issued, other.clone(), None);
    tell(&store, &[event(Action::Issued, "k1"), others.clone()]).await;
    assert_eq!(must(store.events(&acme(), 0, 9).await), [event(Action::Issued, "k1")]);
    assert_eq!(must(store.events(&other, 0, 9).await), [others]);
    assert!(must(store.events(&TenantId::from("nobody"), 0, 9).await).is_empty());
}

/// An event without a key comes back without one.
pub async fn a_change_of_a_tenant_names_no_key(store: impl KeyAdmin) {
    let told = AuditEvent::new(NOW, "", Action::TenantChanged, acme(), None);
    tell(&store, std::slice::from_ref(&told)).await;
    assert_eq!(must(store.events(&acme(), 0, 9).await), [told]);
}

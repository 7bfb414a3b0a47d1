//! One revocation after the other, under load.

use super::watch::{Crowd, Felt};
use super::{HEARD, Trial};

impl Trial {
    pub(super) async fn while_heard(&mut self, revocations: usize) {
        let crowd = Crowd::gather(&self.fleet, &self.good);
        let worst = self.one_by_one("feed heard", revocations, &crowd).await;
        let tally = crowd.disperse().await;
        let promised = format!("feed heard, {revocations} revocations felt everywhere");
        self.report.within(&promised, HEARD, worst.refused);
        self.failed += tally.away;
        self.tallies.push(("feed heard", tally));
    }

    /// Revokes so many keys, each when the one before was refused everywhere.
    pub(super) async fn one_by_one(&mut self, name: &str, count: usize, crowd: &Crowd) -> Felt {
        let mut felt = Vec::new();
        for (n, key) in self.fleet.keys(count).into_iter().enumerate() {
            self.failed += self.fleet.warm(std::slice::from_ref(&key)).await;
            if let Some(revoked) = self.fleet.revoke(n, &key).await {
                felt.push(revoked.felt(Felt::AT_ONCE).await);
            }
            crowd.revoked(key);
        }
        self.failed += (count - felt.len()) as u64;
        self.times.add(name, &felt)
    }
}

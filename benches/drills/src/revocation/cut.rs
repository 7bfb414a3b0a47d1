//! Feeds that are cut, in both ways in which networks fail, while the database is there.

use std::time::Duration;

use support::Network;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::fleet::Key;
use super::watch::{Crowd, Felt};
use super::{ALWAYS, HEARD, RECOVERED, Trial};

/// How the network fails, and for how long. A short silence ends before anybody has noticed it: what was
/// held back comes late.
const CUTS: [(&str, Network, Duration); 5] = [
    ("feed silent for 8 s", Network::Silent, Duration::from_secs(8)),
    ("feed silent for 3 s", Network::Silent, Duration::from_secs(3)),
    ("feed reset for 8 s", Network::Reset, Duration::from_secs(8)),
    ("feed silent for 8 s", Network::Silent, Duration::from_secs(8)),
    ("feed reset for 3 s", Network::Reset, Duration::from_secs(3)),
];
/// Revoked during one cut, at even distances.
const DURING: usize = 60;
/// Revoked when it is over.
const AFTER: usize = 20;
pub(super) const KEYS: usize = CUTS.len() * (DURING + AFTER);

/// What was seen in all cuts.
#[derive(Default)]
struct Seen {
    felt: Felt,
    felt_after: Felt,
    recovery: Duration,
    gauges_unset: u64,
    from_memory: u64,
}

impl Trial {
    pub(super) async fn while_cut(&mut self) {
        let crowd = Crowd::gather(&self.fleet, &self.good);
        let mut seen = Seen::default();
        for (name, network, length) in CUTS {
            self.cut(name, network, length, &crowd, &mut seen).await;
            let after = self.one_by_one("  and heard again", AFTER, &crowd).await;
            seen.felt_after = seen.felt_after.and(after);
        }
        let tally = crowd.disperse().await;
        self.report.within("feed cut, a revoked key let in", ALWAYS, seen.felt.let_in);
        self.report.never("cuts that a node's gauge did not show", seen.gauges_unset);
        self.report.never("answers from memory in silence", seen.from_memory);
        self.report.within("feed heard again", RECOVERED, seen.recovery);
        self.report.within("and revocations felt everywhere", HEARD, seen.felt_after.refused);
        self.failed += tally.away;
        self.tallies.push(("feed cut", tally));
    }

    async fn cut(
        &mut self,
        name: &str,
        network: Network,
        length: Duration,
        crowd: &Crowd,
        seen: &mut Seen,
    ) {
        let keys = self.fleet.keys(DURING);
        self.failed += self.fleet.warm(&keys).await;
        let end = Instant::now() + length;
        self.fleet.proxy.set(network);
        let feeling = self.revoke_during(&keys, length.min(ALWAYS)).await;
        if length > ALWAYS {
            let noticed = self.fleet.is_silent(Duration::from_secs(1)).await;
            seen.gauges_unset += u64::from(noticed.is_none());
            seen.from_memory += self.answers_from_memory().await;
        }
        sleep_until(end).await;
        self.fleet.proxy.set(Network::Whole);
        let heard = self.fleet.is_heard(2 * RECOVERED).await;
        seen.recovery = seen.recovery.max(heard.unwrap_or(Duration::MAX));
        let felt = feeling.join_all().await;
        seen.felt = seen.felt.and(self.times.add(name, &felt));
        keys.into_iter().for_each(|key| crowd.revoked(key));
    }

    /// Revokes the keys at even distances, and waits for none to be felt.
    async fn revoke_during(&mut self, keys: &[Key], time: Duration) -> JoinSet<Felt> {
        let mut feeling = JoinSet::new();
        let start = Instant::now();
        for (n, key) in keys.iter().enumerate() {
            sleep_until(start + time.mul_f64(n as f64 / keys.len() as f64)).await;
            match self.fleet.revoke(n, key).await {
                Some(revoked) => drop(feeling.spawn(revoked.felt(Felt::NOW_AND_THEN))),
                None => self.failed += 1,
            }
        }
        feeling
    }

    /// Answers from memory while the nodes are busy and their feeds are silent. A node that was not
    /// asked would show nothing, and counts as one.
    async fn answers_from_memory(&self) -> u64 {
        let before = self.fleet.standings().await;
        sleep(Duration::from_millis(300)).await;
        let after = self.fleet.standings().await;
        let nodes = before.iter().zip(&after).map(|(before, after)| {
            let was_idle = after.read_throughs == before.read_throughs;
            after.hits - before.hits + u64::from(was_idle)
        });
        nodes.sum()
    }
}

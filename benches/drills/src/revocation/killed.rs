//! A database that is killed without warning and started again, while nodes that live on revoke keys.

use std::time::Duration;

use keygate::KeyStatus;
use keygate::store::KeyAdmin;
use tokio::task::{JoinSet, block_in_place};
use tokio::time::{Instant, sleep};

use super::fleet::{Answer, Fleet, Key};
use super::watch::{Crowd, Felt};
use super::{ALWAYS, RECOVERED, Trial};

const KILLS: usize = 4;
/// Revoked one after the other around one kill.
const AROUND: usize = 60;
pub(super) const KEYS: usize = KILLS * AROUND;

/// What was seen in all kills.
#[derive(Default)]
struct Seen {
    felt: Felt,
    recovery: Duration,
    without_database: u64,
    lost: u64,
    contradictions: u64,
    in_doubt: usize,
}

/// What became of keys that were revoked while the database went away.
#[derive(Default)]
struct Revoked {
    feeling: JoinSet<Felt>,
    acknowledged: Vec<Key>,
    in_doubt: Vec<Key>,
}

impl Trial {
    pub(super) async fn while_killed(&mut self) {
        let crowd = Crowd::gather(&self.fleet, &self.good);
        let mut seen = Seen::default();
        for kill in 0..KILLS {
            self.kill(kill, &crowd, &mut seen).await;
        }
        let tally = crowd.disperse().await;
        self.report.within("database killed, a revoked key let in", ALWAYS, seen.felt.let_in);
        self.report.never("keys let in without a database", seen.without_database);
        self.report.never("acknowledged revocations lost", seen.lost);
        let in_doubt = format!("nodes that contradict it, {} answers lost", seen.in_doubt);
        self.report.never(&in_doubt, seen.contradictions);
        self.report.within("all served again, no node restarted", RECOVERED, seen.recovery);
        self.tallies.push(("database killed", tally));
    }

    async fn kill(&mut self, kill: usize, crowd: &Crowd, seen: &mut Seen) {
        let keys = self.fleet.keys(AROUND);
        self.failed += self.fleet.warm(&keys).await;
        // Each time at another moment of what a node does.
        let kill_after = Duration::from_millis(23 * (kill as u64 + 1));
        let revoked = self.revoke_around(keys, kill_after).await;
        sleep(ALWAYS).await;
        seen.without_database += let_in(&self.fleet, &self.good[..20]).await;
        block_in_place(|| self.fleet.postgres.resume());
        let back = self.fleet.serves(&self.good[0], 2 * RECOVERED).await;
        seen.recovery = seen.recovery.max(back.unwrap_or(Duration::MAX));
        let felt = revoked.feeling.join_all().await;
        seen.felt = seen.felt.and(self.times.add("database killed", &felt));
        for key in &revoked.acknowledged {
            seen.lost += u64::from(!is_revoked(&self.fleet, key).await);
            crowd.revoked(key.clone());
        }
        seen.in_doubt += revoked.in_doubt.len();
        seen.contradictions += contradictions(&self.fleet, &revoked.in_doubt).await;
    }

    /// Revokes keys until the database does not answer, which is killed on the way.
    async fn revoke_around(&mut self, keys: Vec<Key>, kill_after: Duration) -> Revoked {
        let mut revoked = Revoked::default();
        let mut kill = Some(Instant::now() + kill_after);
        for (n, key) in keys.into_iter().enumerate() {
            let node = self.fleet.nodes[n % self.fleet.nodes.len()].clone();
            let asked = tokio::spawn({
                let key = key.clone();
                async move { node.revoke(&key).await }
            });
            if kill.take_if(|at| *at <= Instant::now()).is_some() {
                block_in_place(|| self.fleet.postgres.kill());
            }
            match asked.await.expect("it asks and ends") {
                Some(acknowledged) => {
                    let revocation = self.fleet.revocation(&key, acknowledged);
                    revoked.feeling.spawn(revocation.felt(Felt::NOW_AND_THEN));
                    revoked.acknowledged.push(key);
                }
                None => revoked.in_doubt.push(key),
            }
        }
        // All were revoked before it was time.
        if kill.is_some() {
            block_in_place(|| self.fleet.postgres.kill());
        }
        revoked
    }
}

/// Answers that let somebody in.
async fn let_in(fleet: &Fleet, keys: &[Key]) -> u64 {
    let mut count = 0;
    for key in keys {
        for node in &fleet.nodes {
            count += u64::from(node.ask(key).await == Answer::LetIn);
        }
    }
    count
}

async fn is_revoked(fleet: &Fleet, key: &Key) -> bool {
    let found = fleet.database.get(&"acme".into(), &key.id.as_str().into()).await;
    let found = found.expect("the database is there").expect("nobody removes keys");
    found.status() == KeyStatus::Revoked
}

/// Nodes that say of a key what the database does not.
async fn contradictions(fleet: &Fleet, keys: &[Key]) -> u64 {
    let mut count = 0;
    for key in keys {
        let expected = match is_revoked(fleet, key).await {
            true => Answer::Refused,
            false => Answer::LetIn,
        };
        for node in &fleet.nodes {
            count += u64::from(node.ask(key).await != expected);
        }
    }
    count
}

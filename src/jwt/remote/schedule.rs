//! When to fetch, and until when keys may be used: numbers only, time is an argument.

use std::time::Duration;

/// The first pause after a failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The times that were configured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// Keys are fetched no more often than this, and no less often than that.
    pub(super) shortest: Duration,
    pub(super) longest: Duration,
    pub(super) timeout: Duration,
    pub(super) cooldown: Duration,
    pub(super) outage: Duration,
}

/// Points in time are those of a clock that never goes back.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    /// When the question was put whose answer the keys are.
    pub(super) born: Option<Duration>,
    /// The keys may be used before this.
    pub(super) until: Duration,
    /// When the next fetch should begin.
    pub(super) due: Duration,
    /// From when on an unknown `kid` may begin a fetch.
    warm: Duration,
    /// Failures since the last success.
    failures: u32,
}

/// What a token without a key at hand may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    Fetch,
    /// Nothing new is to be had: the keys that are known are all.
    Believe,
    /// The provider is away, and is asked again after this time.
    Wait(Duration),
}

impl Schedule {
    /// A fetch begins. While the provider is known to be away, whoever does not take part need not
    /// wait for it.
    pub(super) fn begin(&mut self, now: Duration, times: &Times) {
        if self.failures > 0 {
            self.tolerate(now.saturating_add(times.timeout), times);
        }
    }

    /// The provider has answered a question of `born`; `luck` in 0..=1 spreads what many do.
    pub(super) fn succeed(
        &mut self,
        born: Duration,
        lifetime: Option<Duration>,
        times: &Times,
        luck: f64,
    ) {
        let lifetime = lifetime.unwrap_or(times.longest).clamp(times.shortest, times.longest);
        self.born = Some(born);
        self.failures = 0;
        self.due = born.saturating_add(lifetime.mul_f64(1.0 - luck / 10.0));
        self.until = born.saturating_add(lifetime).saturating_add(times.timeout);
    }

    /// There was no answer. Keys that are known stay in use until the next has failed too, but not
    /// for longer than an outage may last.
    pub(super) fn fail(&mut self, now: Duration, times: &Times, luck: f64) {
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.failures.min(10));
        let pause = doubled.min(LONGEST_PAUSE).mul_f64(1.0 - luck / 2.0);
        self.failures = self.failures.saturating_add(1);
        self.due = now.saturating_add(pause);
        self.tolerate(self.due.saturating_add(times.timeout), times);
    }

    /// The keys are to be used no more.
    pub(super) fn withdraw(&mut self) {
        self.born = None;
        self.until = Duration::ZERO;
    }

    fn tolerate(&mut self, until: Duration, times: &Times) {
        if let Some(born) = self.born {
            self.until = self.until.max(until.min(born.saturating_add(times.outage)));
        }
    }

    /// What a token may do whose key is not at hand. Where it may fetch, no other may for as long as
    /// the cooldown says, whatever comes of it.
    pub(super) fn ask(&mut self, now: Duration, times: &Times) -> Leave {
        let paused = if self.is_failing() { self.due } else { Duration::ZERO };
        let next = self.warm.max(paused);
        if now >= next {
            self.warm = now.saturating_add(times.cooldown);
            return Leave::Fetch;
        }
        match self.is_failing() || now >= self.until {
            true => Leave::Wait(next - now),
            false => Leave::Believe,
        }
    }

    pub(super) fn is_failing(&self) -> bool {
        self.failures > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Times = Times {
        shortest: secs(60),
        longest: secs(600),
        timeout: secs(10),
        cooldown: secs(10),
        outage: secs(4 * 3600),
    };

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn fetched(at: u64, lifetime: Option<u64>) -> Schedule {
        let mut schedule = Schedule::default();
        schedule.succeed(secs(at), lifetime.map(secs), &TIMES, 0.0);
        schedule
    }

    #[test]
    fn keys_are_used_for_an_interval_and_a_timeout_without_an_answer() {
        let schedule = fetched(100, None);
        assert_eq!((schedule.due, schedule.until), (secs(700), secs(710)));
    }

    #[test]
    fn a_lifetime_is_kept_between_the_intervals() {
        for (lifetime, due) in [(0, 60), (59, 60), (300, 300), (601, 600), (u64::MAX, 600)] {
            assert_eq!(fetched(0, Some(lifetime)).due, secs(due));
        }
    }

    #[test]
    fn luck_spreads_what_many_do_and_never_delays_it() {
        let mut schedule = Schedule::default();
        schedule.succeed(secs(0), None, &TIMES, 1.0);
        assert_eq!((schedule.due, schedule.until), (secs(540), secs(610)));
        schedule.fail(secs(540), &TIMES, 1.0);
        assert_eq!(schedule.due, Duration::from_millis(540_500));
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        let mut schedule = Schedule::default();
        for pause in [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60, 60, 60] {
            schedule.fail(secs(1000), &TIMES, 0.0);
            assert_eq!(schedule.due, secs(1000 + pause));
        }
    }

    #[test]
    fn an_outage_is_bridged_from_attempt_to_attempt_and_no_longer_than_stated() {
        let mut schedule = fetched(0, None);
        let mut now = schedule.due;
        while now < secs(4 * 3600) {
            schedule.begin(now, &TIMES);
            assert!(now < schedule.until, "{now:?}");
            now += TIMES.timeout;
            schedule.fail(now, &TIMES, 0.0);
            assert!(schedule.until <= secs(4 * 3600));
            now = schedule.due;
        }
        assert_eq!(schedule.until, secs(4 * 3600));
    }

    /// Nobody asked for a while; then one does, and finds out. The others know what they knew.
    #[test]
    fn who_takes_no_part_in_an_attempt_need_not_wait_for_it_in_an_outage() {
        let mut schedule = fetched(0, None);
        schedule.fail(secs(605), &TIMES, 0.0);
        assert!(schedule.until < secs(700));
        schedule.begin(secs(700), &TIMES);
        assert_eq!(schedule.until, secs(710));
    }

    /// Nobody has found the provider away: then the keys may have been withdrawn.
    #[test]
    fn without_a_failure_nothing_is_bridged() {
        let mut schedule = fetched(0, None);
        schedule.begin(secs(609), &TIMES);
        assert_eq!(schedule.until, secs(610));
    }

    #[test]
    fn a_failure_shortens_nothing() {
        let mut schedule = fetched(0, None);
        schedule.fail(secs(5), &TIMES, 0.0);
        assert_eq!((schedule.due, schedule.until), (secs(6), secs(610)));
    }

    #[test]
    fn withdrawn_keys_do_not_come_back_by_a_failure() {
        let mut schedule = fetched(0, None);
        schedule.withdraw();
        schedule.fail(secs(5), &TIMES, 0.0);
        schedule.begin(secs(6), &TIMES);
        assert_eq!(schedule.until, Duration::ZERO);
    }

    #[test]
    fn an_unknown_kid_may_fetch_once_in_a_cooldown_whatever_happens_meanwhile() {
        let mut schedule = fetched(0, None);
        assert_eq!(schedule.ask(secs(1), &TIMES), Leave::Fetch);
        schedule.succeed(secs(1), None, &TIMES, 0.0);
        for now in 1..11 {
            assert_eq!(schedule.ask(secs(now), &TIMES), Leave::Believe);
        }
        assert_eq!(schedule.ask(secs(11), &TIMES), Leave::Fetch);
    }

    #[test]
    fn without_keys_too_requests_fetch_once_in_a_cooldown() {
        let mut schedule = Schedule::default();
        assert_eq!(schedule.ask(secs(0), &TIMES), Leave::Fetch);
        schedule.fail(secs(0), &TIMES, 0.0);
        for now in 0..10 {
            assert_eq!(schedule.ask(secs(now), &TIMES), Leave::Wait(secs(10 - now)));
        }
        assert_eq!(schedule.ask(secs(10), &TIMES), Leave::Fetch);
    }

    #[test]
    fn a_provider_that_is_away_is_not_asked_by_requests_before_its_pause_is_over() {
        let mut schedule = fetched(0, None);
        (0..10).for_each(|_| schedule.fail(secs(50), &TIMES, 0.0));
        assert_eq!(schedule.ask(secs(50), &TIMES), Leave::Wait(secs(60)));
        assert_eq!(schedule.ask(secs(110), &TIMES), Leave::Fetch);
    }

    #[test]
    fn no_time_overflows() {
        let mut schedule = fetched(u64::MAX, Some(u64::MAX));
        schedule.begin(Duration::MAX, &TIMES);
        schedule.fail(Duration::MAX, &TIMES, 0.0);
        assert_eq!(schedule.ask(Duration::MAX, &TIMES), Leave::Fetch);
    }
}

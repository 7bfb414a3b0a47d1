//! What a node may count by itself of one count: pure arithmetic, told the time.
//!
//! A *leased* slice was taken from the count before it is spent, so that all nodes together never
//! spend more than the limit. It belongs to a window of the server's and ends with that, by a time
//! that runs from before it was asked for: whatever the node's clock says, it is over when the
//! server's window is.
//!
//! *Ahead* a node spends first and tells then, at most a batch before it has to wait for the answer.
//!
//! How large slices are decides how often the server is asked: see the [module](super).
//!
//! Times are nanoseconds of the node's exact monotonic clock.

use super::pace::Pace;
use crate::Timestamp;
use crate::limit::algorithm::{Answer, Decision};

const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLI;
/// How far what two clocks call now may be apart when they were compared a moment ago.
const APART: u64 = MILLI;
/// By one part in so many they go apart: the most by which a clock is ever made faster or slower.
const DRIFT: u64 = 2_000;
/// After so long without use nothing is remembered of a count that has nothing,
const FORGOTTEN: u64 = 60 * SECOND;
/// and after this of one whose window is over: until then it tells what to expect of the next.
const LEFT: u64 = 5 * SECOND;
/// The smallest slice is this part of the limit: four nodes that each hold one when the rest is used
/// up leave a hundredth unused.
const LEAST: u64 = 400;
/// A slice is three quarters of what the node expects to spend in the rest of the window, less what
/// chance may take off that.
const EXPECTED: (u64, u64) = (3, 4);
/// It need not be more than what lasts for this part of the window, nor than so many requests, for
/// which a round trip is little: what a node has is lost if it is killed.
const LASTS: u64 = 24;
const PLENTY: u64 = 256;
/// The next one is asked for when this part of it is left.
const LOW: u64 = 8;
/// A node is idle when so many requests were expected and none has come.
const MISSED: u64 = 5;
/// What is given back then is found again by who has asked in vain: after this part of the window, or
/// so long, and each time twice as long,
const FOUND: (u64, u64) = (8, 30 * SECOND);
/// or after so many refusals.
const REFUSALS: u32 = 1_000;

/// How a node counts by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Terms {
    /// It spends what it was lent.
    Leased { limit: u64, window: u64 },
    /// It spends up to `batch` before it has told.
    Ahead { limit: u64, window: u64, batch: u64 },
}

impl Terms {
    fn limit(self) -> u64 {
        match self {
            Self::Leased { limit, .. } | Self::Ahead { limit, .. } => limit,
        }
    }

    fn window(self) -> u64 {
        match self {
            Self::Leased { window, .. } | Self::Ahead { window, .. } => window,
        }
    }

    fn least(self) -> u64 {
        (self.limit() / LEAST).max(1)
    }

    /// After how long without use a slice is given back at the earliest, and what was spent is told.
    pub(super) fn patience(self) -> u64 {
        (self.window() / LASTS).clamp(100 * MILLI, 5 * SECOND)
    }

    /// How long others may take to find what was given back, at first.
    fn pause(self) -> u64 {
        let (part, most) = FOUND;
        (self.window() / part).min(most).max(self.patience())
    }
}

/// What can be said of a cost without asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// It may be taken; `true` if it is time to ask, without waiting for the answer.
    Fits(bool),
    /// It is refused for so long.
    Refused(Answer),
    /// Only the server can tell: ask for a slice, or tell what was spent.
    Ask,
    /// It is too much for what a node may decide: the server is to decide this one.
    Alone,
}

/// What is sent to the server for one count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) spent: u64,
    pub(super) back: u64,
    /// The window that `back` belongs to.
    pub(super) of: u64,
    pub(super) need: u64,
    pub(super) want: u64,
    pub(super) least: u64,
}

/// What the server says of one count, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) number: u64,
    pub(super) left: u64,
    pub(super) used: u64,
    pub(super) lent: u64,
}

/// The server's window as last heard of.
#[derive(Clone, Copy, Debug)]
struct Window {
    number: u64,
    /// Until then it surely lasts.
    ends: u64,
    /// From then on it is surely over.
    over: u64,
    /// What was left of the count, besides what the node itself has.
    room: u64,
    heard: u64,
}

/// A node's part of one count.
#[derive(Debug, Default)]
pub(super) struct Slice {
    window: Option<Window>,
    /// Lent and not spent.
    units: u64,
    /// Spent and not known to be told.
    spent: u64,
    /// Given back of what was spent ahead in this window, and not told.
    back: u64,
    /// How large the last slice was.
    size: u64,
    pace: Pace,
    /// The least that a client was told to be left in this window.
    shown: u64,
    /// How often the server had nothing left in this window, and how many were refused since.
    in_vain: u32,
    refused: u32,
    /// When something was last lent or taken; while there is nothing, when somebody last asked.
    used: u64,
}

impl Slice {
    /// What can be said of `cost` now. Takes nothing.
    pub(super) fn look(&mut self, terms: Terms, now: u64, cost: u64) -> Look {
        if cost > terms.limit() {
            return self.refuse(now, 0, Answer::Never);
        }
        match terms {
            Terms::Leased { .. } => self.look_leased(terms, now, cost),
            Terms::Ahead { batch, .. } => self.look_ahead(terms, batch, now, cost),
        }
    }

    fn look_leased(&mut self, terms: Terms, now: u64, cost: u64) -> Look {
        let Some(window) = self.window.filter(|window| now < window.ends) else { return Look::Ask };
        if cost <= self.units {
            let is_low = self.units - cost < self.size / LOW;
            return Look::Fits(is_low && window.room > 0 && self.size > terms.least());
        }
        if cost <= self.units.saturating_add(window.room) || self.is_due(terms, window, now) {
            return Look::Ask;
        }
        self.refuse(now, cost, Answer::After(window.over.saturating_sub(now)))
    }

    fn look_ahead(&mut self, terms: Terms, batch: u64, now: u64, cost: u64) -> Look {
        self.roll(terms, now);
        let is_fresh = |window: &Window| now.saturating_sub(window.heard) <= FORGOTTEN;
        let Some(window) = self.window.filter(is_fresh) else { return Look::Ask };
        if cost > batch {
            return Look::Alone;
        }
        let untold = self.spent.saturating_sub(self.back);
        if self.spent + cost > window.room.saturating_add(self.back) {
            if self.is_due(terms, window, now) {
                return Look::Ask;
            }
            let wait = window.over.saturating_sub(now);
            return self.refuse(now, cost, Answer::After(wait));
        }
        if untold + cost > batch {
            return Look::Ask;
        }
        let is_old = now.saturating_sub(window.heard) >= terms.patience().min(SECOND);
        Look::Fits(untold + cost >= batch.div_ceil(2) || is_old)
    }

    fn refuse(&mut self, now: u64, cost: u64, answer: Answer) -> Look {
        // Without a window there is nothing to say of where the caller stands.
        if self.window.is_none_or(|window| now >= window.over.max(window.ends)) {
            return if answer == Answer::Never { Look::Alone } else { Look::Ask };
        }
        self.refused = self.refused.saturating_add(1);
        self.pace.count(cost);
        if self.units == 0 && self.spent == 0 {
            self.used = now;
        }
        Look::Refused(answer)
    }

    /// True when others may have given back what they had since the server was asked in vain.
    fn is_due(&self, terms: Terms, window: Window, now: u64) -> bool {
        let age = now.saturating_sub(window.heard);
        let doubled = 1_u64.checked_shl(self.in_vain.saturating_sub(1)).unwrap_or(u64::MAX);
        let is_found = age >= terms.pause().saturating_mul(doubled);
        is_found || self.refused >= REFUSALS && age >= terms.patience()
    }

    /// Moves into the window that has surely begun. Nobody is known to have spent anything in it.
    fn roll(&mut self, terms: Terms, now: u64) {
        let Some(mut window) = self.window else { return };
        if now >= window.over && now.saturating_sub(window.heard) <= FORGOTTEN {
            let passed = (now - window.over) / terms.window() + 1;
            window.number += passed;
            window.over += passed * terms.window();
            window.ends += passed * terms.window();
            window.room = terms.limit();
            self.window = Some(window);
            self.shown = terms.limit();
            self.back = 0;
        }
    }

    /// Takes what [fits](Look::Fits).
    pub(super) fn take(&mut self, terms: Terms, now: u64, cost: u64) {
        match terms {
            Terms::Leased { .. } => self.units = self.units.saturating_sub(cost),
            Terms::Ahead { .. } => self.spent = self.spent.saturating_add(cost),
        }
        self.pace.count(cost);
        self.used = now;
    }

    /// Gives back what was taken of the window `number`, for a request that another limit refused.
    pub(super) fn restore(&mut self, terms: Terms, number: u64, cost: u64) {
        if self.number() != Some(number) {
            return;
        }
        match terms {
            Terms::Leased { .. } => self.units = self.units.saturating_add(cost),
            Terms::Ahead { .. } => self.back = self.back.saturating_add(cost),
        }
    }

    /// Gives back what was reserved of the window `number` and not spent.
    pub(super) fn refund(&mut self, terms: Terms, number: u64, rest: u64) {
        if self.number() == Some(number) {
            self.restore(terms, number, rest);
            self.pace.forget(rest);
            self.shown = self.shown.saturating_add(rest).min(terms.limit());
        }
    }

    /// Takes as much of `cost` as is here, and tells what the server has to take.
    pub(super) fn take_up_to(&mut self, terms: Terms, now: u64, cost: u64) -> u64 {
        match terms {
            Terms::Leased { .. } => {
                let is_good = self.window.is_some_and(|window| now < window.ends);
                let fits = if is_good { cost.min(self.units) } else { 0 };
                self.take(terms, now, fits);
                cost - fits
            }
            Terms::Ahead { .. } => {
                self.roll(terms, now);
                let room = self.window.map_or(cost, |window| self.room(window));
                self.take(terms, now, cost.min(room));
                0
            }
        }
    }

    /// What is left, as far as is known to who spends ahead.
    fn room(&self, window: Window) -> u64 {
        window.room.saturating_add(self.back).saturating_sub(self.spent)
    }

    /// The server's window that the slice belongs to.
    pub(super) fn number(&self) -> Option<u64> {
        self.window.map(|window| window.number)
    }

    /// Where the caller stands, and when the window ends by the server's clock.
    pub(super) fn standing(&mut self, terms: Terms, now: u64) -> Option<(Decision, Timestamp)> {
        let window = self.window?;
        let left = match terms {
            Terms::Leased { .. } => self.units.saturating_add(window.room),
            Terms::Ahead { .. } => self.room(window),
        };
        self.shown = self.shown.min(left);
        let end = window.number.saturating_add(1).saturating_mul(terms.window());
        let reset = window.over.saturating_sub(now);
        let decision = Decision { answer: Answer::Admitted, remaining: self.shown, reset };
        Some((decision, Timestamp::from_nanos(end)))
    }

    /// The least that was told to be left, if the server's window is still `number`.
    pub(super) fn show(&mut self, number: u64, remaining: u64) -> u64 {
        if self.number() != Some(number) {
            return remaining;
        }
        self.shown = self.shown.min(remaining);
        self.shown
    }

    /// What to ask the server when costs of `need` wait.
    pub(super) fn question(&mut self, terms: Terms, now: u64, need: u64) -> Question {
        let units = self.window.filter(|window| now < window.ends).map_or(0, |_| self.units);
        match terms {
            Terms::Leased { .. } => Question {
                need: need.saturating_sub(units).min(terms.limit()),
                want: self.want(terms, now, units),
                least: terms.least(),
                ..Question::default()
            },
            Terms::Ahead { .. } => {
                let both = self.spent.min(self.back);
                self.spent -= both;
                // What is given back is told once: an answer that is lost may have been counted.
                let back = std::mem::take(&mut self.back) - both;
                let of = self.number().unwrap_or_default();
                Question { spent: self.spent, back, of, ..Question::default() }
            }
        }
    }

    /// How large the next slice is to be, beside the `units` that are left of the last one.
    fn want(&self, terms: Terms, now: u64, units: u64) -> u64 {
        let window = terms.window();
        let left = self.window.map_or(0, |window| window.ends.saturating_sub(now));
        let left = if left == 0 { window } else { left.min(window) };
        let pace = self.pace.per_window(window, now);
        let (part, whole) = EXPECTED;
        let expected = u128::from(pace) * u128::from(left * part) / u128::from(window * whole);
        let expected = u64::try_from(expected).unwrap_or(u64::MAX);
        let likely = expected.saturating_sub(expected.isqrt());
        let enough = likely.min((pace / LASTS).max(PLENTY));
        enough.saturating_sub(units).clamp(terms.least(), terms.limit())
    }

    /// Takes in the answer to a question that was asked at `asked` and answered at `now`.
    pub(super) fn learn(
        &mut self,
        terms: Terms,
        question: Question,
        reply: Reply,
        asked: u64,
        now: u64,
    ) {
        self.spent = self.spent.saturating_sub(question.spent);
        // It was on its way while the node moved into the next window.
        if matches!(terms, Terms::Ahead { .. }) && self.number() > Some(reply.number) {
            return;
        }
        let left = reply.left.saturating_mul(1_000);
        if self.number() != Some(reply.number) {
            (self.units, self.back, self.in_vain) = (0, 0, 0);
            self.shown = terms.limit();
        }
        self.window = Some(Window {
            number: reply.number,
            ends: asked.saturating_add(left).saturating_sub(left / DRIFT + APART),
            over: now.saturating_add(left).saturating_add(APART),
            room: terms.limit().saturating_sub(reply.used),
            heard: now,
        });
        self.units = self.units.saturating_add(reply.lent);
        let is_in_vain = reply.lent == 0 && reply.used >= terms.limit();
        self.in_vain = if is_in_vain { self.in_vain.saturating_add(1) } else { 0 };
        self.refused = 0;
        if reply.lent > 0 {
            self.pace.mark(terms.window(), now);
            (self.size, self.used) = (reply.lent, now);
        }
    }

    /// What to tell the server about a count that nobody has used for a while: the slice goes back,
    /// and is not spent from now on.
    pub(super) fn settle(&mut self, terms: Terms, now: u64) -> Option<Question> {
        let idle = now.saturating_sub(self.used);
        (idle >= self.idles(terms, now)).then(|| self.give_back(terms, now)).flatten()
    }

    /// After how long without use it is idle. A slow node is not idle between two requests, and may
    /// keep the smallest slice for longer: so much of the limit may go unused.
    fn idles(&self, terms: Terms, now: u64) -> u64 {
        let (part, most) = FOUND;
        let longest = terms.window() / part;
        if matches!(terms, Terms::Ahead { .. }) || self.units == 0 {
            return terms.patience();
        }
        if self.units <= terms.limit() / LEAST {
            return longest.max(terms.patience());
        }
        let pace = self.pace.per_window(terms.window(), now).max(1);
        let missed = terms.window().saturating_mul(MISSED) / pace;
        missed.min(longest).min(most).max(terms.patience())
    }

    /// The same at once.
    pub(super) fn give_back(&mut self, terms: Terms, now: u64) -> Option<Question> {
        let window = self.window?;
        let question = match terms {
            Terms::Leased { .. } if now < window.ends => {
                let back = std::mem::take(&mut self.units);
                Question { back, of: window.number, ..Question::default() }
            }
            Terms::Leased { .. } => Question::default(),
            Terms::Ahead { .. } => self.question(terms, now, 0),
        };
        (question.back + question.spent > 0).then_some(question)
    }

    /// True when forgetting it costs no more than asking again: it has nothing of a window that may
    /// still last and is no more in use, or nothing at all and was not used for long.
    pub(super) fn is_over(&self, now: u64) -> bool {
        let idle = now.saturating_sub(self.used);
        let is_past = self.window.is_none_or(|window| now >= window.over) && idle >= LEFT;
        self.spent == 0 && (is_past || self.units == 0 && idle >= FORGOTTEN)
    }
}

//! What a node may count by itself of one count: pure arithmetic, told the time.
//!
//! A *leased* slice was taken from the count before it is spent, so that all nodes together never
//! spend more than the limit. It belongs to a window of the server's and ends with that, by a time
//! that runs from before it was asked for: whatever the node's clock says, it is over when the
//! server's window is.
//!
//! *Ahead* a node spends first and tells then, at most a batch before it has to wait for the answer.
//!
//! Times are nanoseconds of the node's monotonic clock, which may lag by 10 ms.

use crate::Timestamp;
use crate::limit::algorithm::{Answer, Decision};

const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLI;
/// How far the monotonic clock may lag, and a little more.
const LAG: u64 = 15 * MILLI;
/// Beyond this time a node's clock may have drifted from the server's by more than [`LAG`].
const DRIFT: u64 = 60 * SECOND;
/// The smallest slice is this part of the limit: four nodes that each hold one when the rest is used
/// up leave a hundredth unused.
const LEAST: u64 = 400;
/// A slice is to last for this part of the window.
const LASTS: u64 = 24;
/// Whoever is used up asks again after so many refusals, and this part of the window, or so long,
const REFUSALS: u32 = 200;
const RETRIED: (u64, u64) = (16, 5 * SECOND);
/// or after this in any case: others may have given back what they had.
const ASKED: (u64, u64) = (8, 30 * SECOND);

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

    /// After how long without use a slice is given back, and what was spent is told.
    pub(super) fn patience(self) -> u64 {
        (self.window() / LASTS).clamp(100 * MILLI, 5 * SECOND)
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
    /// How large the next slice is to be, how large the last one was, since when it is there, and
    /// what was taken since.
    want: u64,
    size: u64,
    since: u64,
    taken: u64,
    /// The least that a client was told to be left in this window.
    shown: u64,
    refused: u32,
    used: u64,
}

impl Slice {
    /// What can be said of `cost` now. Takes nothing.
    pub(super) fn look(&mut self, terms: Terms, now: u64, cost: u64) -> Look {
        if cost > terms.limit() {
            return self.refuse(terms, now, Answer::Never);
        }
        match terms {
            Terms::Leased { window, .. } => self.look_leased(terms, window, now, cost),
            Terms::Ahead { batch, .. } => self.look_ahead(terms, batch, now, cost),
        }
    }

    fn look_leased(&mut self, terms: Terms, length: u64, now: u64, cost: u64) -> Look {
        let Some(window) = self.window.filter(|window| now < window.ends) else { return Look::Ask };
        if cost <= self.units {
            let is_low = self.units - cost < self.want.min(self.size) / 4;
            return Look::Fits(is_low && window.room > 0 && self.want > terms.least());
        }
        if cost <= self.units.saturating_add(window.room) || self.is_due(window, length, now) {
            return Look::Ask;
        }
        self.refuse(terms, now, Answer::After(window.over.saturating_sub(now)))
    }

    fn look_ahead(&mut self, terms: Terms, batch: u64, now: u64, cost: u64) -> Look {
        self.roll(terms, now);
        let Some(window) = self.window else { return Look::Ask };
        if cost > batch {
            return Look::Alone;
        }
        let untold = self.spent.saturating_sub(self.back);
        if self.spent + cost > window.room.saturating_add(self.back) {
            if self.is_due(window, terms.window(), now) {
                return Look::Ask;
            }
            return self.refuse(terms, now, Answer::After(window.over.saturating_sub(now)));
        }
        if untold + cost > batch {
            return Look::Ask;
        }
        let is_old = now.saturating_sub(window.heard) >= terms.patience().min(SECOND);
        Look::Fits(untold + cost >= batch.div_ceil(2) || is_old)
    }

    fn refuse(&mut self, terms: Terms, now: u64, answer: Answer) -> Look {
        // Without a window there is nothing to say of where the caller stands.
        if self.window.is_none_or(|window| now >= window.over.max(window.ends)) {
            return if answer == Answer::Never { Look::Alone } else { Look::Ask };
        }
        debug_assert!(terms.limit() > 0);
        self.refused = self.refused.saturating_add(1);
        Look::Refused(answer)
    }

    fn is_due(&self, window: Window, length: u64, now: u64) -> bool {
        let age = now.saturating_sub(window.heard);
        let is_old = |(part, most): (u64, u64)| age >= (length / part).min(most);
        is_old(ASKED) || self.refused >= REFUSALS && is_old(RETRIED)
    }

    /// Moves into the window that has surely begun. Nobody is known to have spent anything in it.
    fn roll(&mut self, terms: Terms, now: u64) {
        let Some(mut window) = self.window else { return };
        if now.saturating_sub(window.heard) > DRIFT {
            self.window = None;
            return;
        }
        if now >= window.over {
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
        self.taken = self.taken.saturating_add(cost);
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
            self.taken = self.taken.saturating_sub(rest);
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
                want: self.want.max(terms.least()),
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
            (self.units, self.back) = (0, 0);
            self.shown = terms.limit();
        }
        self.window = Some(Window {
            number: reply.number,
            ends: asked.saturating_add(left).saturating_sub(LAG),
            over: now.saturating_add(left).saturating_add(LAG),
            room: terms.limit().saturating_sub(reply.used),
            heard: now,
        });
        self.units = self.units.saturating_add(reply.lent);
        self.refused = 0;
        if reply.lent > 0 {
            self.adapt(terms, now);
            self.size = reply.lent;
        }
    }

    /// The next slice is to last for its part of the window at the rate of the last one; it is not
    /// more than twice, nor less than half as large as meant before.
    fn adapt(&mut self, terms: Terms, now: u64) {
        let meant = u128::from(self.taken) * u128::from(terms.window() / LASTS);
        let passed = u128::from(now.saturating_sub(self.since).max(1));
        let meant = u64::try_from(meant / passed).unwrap_or(u64::MAX);
        let before = self.want.max(terms.least());
        self.want = meant.clamp(before / 2, before.saturating_mul(2));
        self.want = self.want.clamp(terms.least(), terms.limit());
        (self.since, self.taken, self.used) = (now, 0, now);
    }

    /// What to tell the server about a count that nobody has used for a while: the slice goes back,
    /// and is not spent from now on.
    pub(super) fn settle(&mut self, terms: Terms, now: u64) -> Option<Question> {
        if now.saturating_sub(self.used) < terms.patience() {
            return None;
        }
        self.give_back(terms, now)
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
    /// still last, or nothing at all and was not used for long.
    pub(super) fn is_over(&self, now: u64) -> bool {
        let is_idle = self.units == 0 && now.saturating_sub(self.used) >= DRIFT;
        self.spent == 0 && (is_idle || self.window.is_none_or(|window| now >= window.over))
    }
}

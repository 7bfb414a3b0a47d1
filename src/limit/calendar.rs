//! Calendar months of UTC, as the proleptic Gregorian calendar counts them.
//!
//! Years begin in March here, so that the day that comes and goes is the last one of a year (Howard
//! Hinnant, "chrono-Compatible Low-Level Date Algorithms").

use super::algorithm::Window;

const DAY: u64 = 86_400 * 1_000_000_000;
/// From the first of March of the year 0 to the Unix epoch.
const DAYS_BEFORE_EPOCH: u64 = 719_468;
const DAYS_OF_400_YEARS: u64 = 146_097;

/// The month that holds `at`, in nanoseconds since the Unix epoch.
#[cold]
pub(super) fn month(at: u64) -> Window {
    let (day, length) = day_of_month(at / DAY);
    let elapsed = day * DAY + at % DAY;
    Window { elapsed, left: length * DAY - elapsed }
}

/// Which day of its month a day is, from 0 on, and how many the month has.
fn day_of_month(days_since_epoch: u64) -> (u64, u64) {
    let day = (days_since_epoch + DAYS_BEFORE_EPOCH) % DAYS_OF_400_YEARS;
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - days_before(year);
    let month = (5 * day_of_year + 2) / 153;
    let days_of_year = days_before(year + 1) - days_before(year);
    let end = if month == 11 { days_of_year } else { first_day(month + 1) };
    (day_of_year - first_day(month), end - first_day(month))
}

/// The days of that many years, the last of 400 with its leap day.
fn days_before(years: u64) -> u64 {
    365 * years + years / 4 - years / 100 + years / 400
}

/// The first day of a month, in a year that begins with the March that is 0.
fn first_day(month: u64) -> u64 {
    (153 * month + 2) / 5
}

//! Time conditions over three numbers of the context: the instant, the time of the day in GMT, the day of the week.
//!
//! Cedar neither divides nor takes remainders, so the ends of a day become instants here; a time of day it shifts into
//! the offset of the value by itself. Its `datetime` knows milliseconds only and is not used.

use doorward::model::catalogue::Operator;
use jiff::civil::Time;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use super::Inexpressible;

const DAY: i64 = 86_400 * 1_000_000_000;

/// What Cedar is told of an instant.
pub(crate) struct Told {
    /// Nanoseconds since the epoch.
    pub(crate) instant: i64,
    /// Nanoseconds since midnight in GMT.
    pub(crate) time_of_day: i64,
    /// In GMT, in English.
    pub(crate) week_day: String,
}

/// What Cedar is told of the time of a question.
pub(crate) fn told(at: Timestamp) -> Result<Told, Inexpressible> {
    let local = Offset::UTC.to_datetime(at);
    let time_of_day = local.time().duration_since(Time::midnight());
    Ok(Told { instant: long(at)?, time_of_day: nanoseconds(time_of_day)?, week_day: local.strftime("%A").to_string() })
}

/// `global:date`: both ends exclusive (R18).
pub(crate) fn date(operator: Operator, text: &str) -> Result<String, Inexpressible> {
    let (day, zone) = text.split_at("2026-03-02".len());
    let start = instant(&format!("{day}T00:00:00{zone}"))?;
    let end = start.checked_add(DAY).ok_or(Inexpressible::Instant)?;
    Ok(match operator {
        Operator::Less => format!("context.instant < {start}"),
        Operator::Greater => format!("context.instant >= {end}"),
        _ => format!("({start} <= context.instant && context.instant < {end})"),
    })
}

/// `global:date-time`.
pub(crate) fn date_time(operator: Operator, text: &str) -> Result<String, Inexpressible> {
    Ok(format!("context.instant {operator} {}", instant(text)?))
}

/// `global:time-of-day`: local clock times in the offset of the value (R18).
pub(crate) fn time_of_day(operator: Operator, text: &str) -> Result<String, Inexpressible> {
    let zone = text.find(['Z', '+', '-']).expect("a zone");
    let (clock, zone) = text.split_at(zone);
    let clock: Time = clock.parse().expect("a time");
    let clock = nanoseconds(clock.duration_since(Time::midnight()))?;
    let east = -instant(&format!("1970-01-01T00:00:00{zone}"))?;
    let shifted = format!("context.timeOfDay + ({east})");
    let (before, behind) = (format!("{shifted} < 0"), format!("{shifted} >= {DAY}"));
    let wrapped = format!("if {before} then {shifted} + {DAY} else if {behind} then {shifted} - {DAY} else {shifted}");
    Ok(format!("({wrapped}) {operator} {clock}"))
}

fn instant(text: &str) -> Result<i64, Inexpressible> {
    text.parse().map_err(|_| Inexpressible::Instant).and_then(long)
}

fn long(at: Timestamp) -> Result<i64, Inexpressible> {
    i64::try_from(at.as_nanosecond()).map_err(|_| Inexpressible::Instant)
}

fn nanoseconds(duration: SignedDuration) -> Result<i64, Inexpressible> {
    i64::try_from(duration.as_nanos()).map_err(|_| Inexpressible::Instant)
}

//! Time conditions by a calendar: the moment is shown in the offset of the value, then compared (rules R18).

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::Offset;

/// A value without its zone, and the zone.
fn split(text: &str) -> Option<(&str, Offset)> {
    if let Some(local) = text.strip_suffix('Z') {
        return Some((local, Offset::UTC));
    }
    let (local, zone) = text.split_at_checked(text.len().checked_sub(6)?)?;
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let seconds = hours.parse::<i32>().ok()? * 3_600 + minutes.parse::<i32>().ok()? * 60;
    Some((local, Offset::from_seconds(sign * seconds).ok()?))
}

/// The local day, and the day of a value of `global:date`.
pub(super) fn dates(at: Timestamp, value: &str) -> Option<(Date, Date)> {
    let (local, offset) = split(value)?;
    Some((offset.to_datetime(at).date(), local.parse().ok()?))
}

/// The local date and time, and that of a value of `global:date-time`.
pub(super) fn date_times(at: Timestamp, value: &str) -> Option<(DateTime, DateTime)> {
    let (local, offset) = split(value)?;
    Some((offset.to_datetime(at), local.parse().ok()?))
}

/// The local clock time, and that of a value of `global:time-of-day`.
pub(super) fn clock_times(at: Timestamp, value: &str) -> Option<(Time, Time)> {
    let (local, offset) = split(value)?;
    let whole = if local.len() == 5 { format!("{local}:00") } else { local.to_owned() };
    Some((offset.to_datetime(at).time(), whole.parse().ok()?))
}

/// The English name of the day in GMT.
pub(super) fn week_day(at: Timestamp) -> &'static str {
    match Offset::UTC.to_datetime(at).date().weekday() {
        Weekday::Monday => "Monday",
        Weekday::Tuesday => "Tuesday",
        Weekday::Wednesday => "Wednesday",
        Weekday::Thursday => "Thursday",
        Weekday::Friday => "Friday",
        Weekday::Saturday => "Saturday",
        Weekday::Sunday => "Sunday",
    }
}

/// The instants at which what a value of a time condition says can change, on the days around it.
pub(super) fn edges(value: &str) -> Vec<Timestamp> {
    let day = Date::constant(2026, 3, 2);
    let found = || {
        let (local, offset) = split(value)?;
        let whole = if local.len() == 5 { format!("{local}:00") } else { local.to_owned() };
        let local = match (local.parse::<DateTime>(), local.parse::<Date>(), whole.parse::<Time>()) {
            (_, Ok(date), _) if local.len() == 10 => vec![date.to_datetime(Time::midnight()), end_of(date)?],
            (Ok(at), _, _) if local.len() > 10 => vec![at],
            (_, _, Ok(time)) => vec![day.to_datetime(time)],
            _ => return None,
        };
        local.into_iter().map(|local| offset.to_timestamp(local).ok()).collect::<Option<Vec<_>>>()
    };
    found().unwrap_or_default()
}

fn end_of(date: Date) -> Option<DateTime> {
    date.tomorrow().ok().map(|next| next.to_datetime(Time::midnight()))
}

//! Dates, times and week-days as values spell them (rules R19), and the times of requests (RFC 3339).

use crate::model::moment::{DAY, Moment, Offset, SECOND};

/// The days of the week in English, Monday first.
pub const WEEK_DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
/// The greatest offset of a value, in hours.
const VALUE_OFFSET_HOURS: i32 = 14;
/// The greatest offset of a request time, in hours.
const REQUEST_OFFSET_HOURS: i32 = 23;
/// Digits of a fraction of a second that are kept; no clock tells those behind them.
const FRACTION_DIGITS: usize = 9;

/// A day in a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    /// The number of the day, 0 being 1970-01-01.
    pub day: i64,
    /// The zone.
    pub offset: Offset,
}

/// A time of the day in a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeOfDay {
    /// Nanoseconds since midnight.
    pub nanoseconds: i64,
    /// The zone.
    pub offset: Offset,
}

/// A text that spells no date, time or week-day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLiteral {
    /// Not the digits and signs of a date.
    #[error("the date must be written `YYYY-MM-DD`")]
    DateShape,
    /// Nothing that separates date and time.
    #[error("`T` must stand between date and time")]
    Separator,
    /// Not the digits and signs of a time with seconds.
    #[error("the time must be written `HH:MM:SS`")]
    TimeShape,
    /// Not the digits and signs of a time.
    #[error("the time must be written `HH:MM` or `HH:MM:SS`")]
    ClockShape,
    /// No zone.
    #[error("the zone is missing: `Z` or an offset such as `+01:00` must follow")]
    NoZone,
    /// A zone of another form.
    #[error("the zone must be `Z` or an offset such as `+01:00`")]
    ZoneShape,
    /// `z`.
    #[error("the zone must be an upper-case `Z`")]
    LowerCaseZone,
    /// An offset past the greatest.
    #[error("the offset must be within ±{0}:59, its minutes below 60")]
    ZoneRange(i32),
    /// Year 0000.
    #[error("there is no year 0000")]
    YearZero,
    /// A month or a day that the calendar does not have.
    #[error("there is no such day")]
    NoSuchDay,
    /// An hour past 23.
    #[error("the hour must be 00 to 23")]
    Hour,
    /// A minute past 59.
    #[error("the minute must be 00 to 59")]
    Minute,
    /// A second past 59.
    #[error("the second must be 00 to 59")]
    Second,
    /// No digit behind the point, or too many.
    #[error("a fraction of a second must have digits")]
    Fraction,
    /// Not a day of the week.
    #[error("must be one of `Monday`, `Tuesday`, `Wednesday`, `Thursday`, `Friday`, `Saturday` and `Sunday`")]
    WeekDay,
}

type Result<T> = std::result::Result<T, InvalidLiteral>;

/// How strictly letters and offsets are taken.
#[derive(Clone, Copy)]
struct Strictness {
    lower_case: bool,
    offset_hours: i32,
}

const VALUE: Strictness = Strictness { lower_case: false, offset_hours: VALUE_OFFSET_HOURS };
const REQUEST: Strictness = Strictness { lower_case: true, offset_hours: REQUEST_OFFSET_HOURS };

/// Reads `YYYY-MM-DD` and a zone.
///
/// # Errors
/// [`InvalidLiteral`]
pub fn date(text: &str) -> Result<Date> {
    let mut rest = text;
    let day = take_day(&mut rest)?;
    Ok(Date { day, offset: zone(rest, VALUE)? })
}

/// Reads `YYYY-MM-DDTHH:MM:SS[.fraction]` and a zone.
///
/// # Errors
/// [`InvalidLiteral`]
pub fn date_time(text: &str) -> Result<Moment> {
    instant(text, VALUE)
}

/// Reads `HH:MM[:SS]` and a zone.
///
/// # Errors
/// [`InvalidLiteral`]
pub fn time_of_day(text: &str) -> Result<TimeOfDay> {
    let mut rest = text;
    let minutes = take_minutes(&mut rest, InvalidLiteral::ClockShape)?;
    let seconds = if take(&mut rest, ':') { take_second(&mut rest, InvalidLiteral::ClockShape)? } else { 0 };
    let offset = zone(rest, VALUE)?;
    Ok(TimeOfDay { nanoseconds: i64::from(minutes * 60 + seconds) * SECOND as i64, offset })
}

/// Reads the English name of a day; Monday is 0.
///
/// # Errors
/// [`InvalidLiteral::WeekDay`]
pub fn week_day(text: &str) -> Result<u8> {
    let day = WEEK_DAYS.iter().position(|&day| day == text).ok_or(InvalidLiteral::WeekDay)?;
    Ok(day as u8)
}

/// Reads the time of a request as RFC 3339 spells it: `t` and `z` are taken too, and offsets up to ±23:59.
///
/// # Errors
/// [`InvalidLiteral`]
pub fn request_time(text: &str) -> Result<Moment> {
    instant(text, REQUEST)
}

fn instant(text: &str, strictness: Strictness) -> Result<Moment> {
    let mut rest = text;
    let day = take_day(&mut rest)?;
    if !(take(&mut rest, 'T') || strictness.lower_case && take(&mut rest, 't')) {
        return Err(InvalidLiteral::Separator);
    }
    let minutes = take_minutes(&mut rest, InvalidLiteral::TimeShape)?;
    expect(&mut rest, ':', InvalidLiteral::TimeShape)?;
    let seconds = take_second(&mut rest, InvalidLiteral::TimeShape)?;
    let fraction = if take(&mut rest, '.') { take_fraction(&mut rest)? } else { 0 };
    let offset = zone(rest, strictness)?;
    let seconds = i128::from(minutes * 60 + seconds) - i128::from(offset.seconds());
    Ok(Moment::from_nanoseconds(i128::from(day) * DAY + seconds * SECOND + i128::from(fraction)))
}

/// Takes `YYYY-MM-DD` and gives the number of the day.
fn take_day(rest: &mut &str) -> Result<i64> {
    let shape = InvalidLiteral::DateShape;
    let year = take_number(rest, 4).ok_or(shape)?;
    expect(rest, '-', shape)?;
    let month = take_number(rest, 2).ok_or(shape)?;
    expect(rest, '-', shape)?;
    let day = take_number(rest, 2).ok_or(shape)?;
    if year == 0 {
        return Err(InvalidLiteral::YearZero);
    }
    day_number(year, month, day).ok_or(InvalidLiteral::NoSuchDay)
}

fn day_number(year: u32, month: u32, day: u32) -> Option<i64> {
    let (year, month, day) = (i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    let date = jiff::civil::Date::new(year, month, day).ok()?;
    let epoch = jiff::civil::Date::new(1970, 1, 1).ok()?;
    Some(date.duration_since(epoch).as_secs().div_euclid(86_400))
}

/// Takes `HH:MM` and gives the minutes since midnight.
fn take_minutes(rest: &mut &str, shape: InvalidLiteral) -> Result<u32> {
    let hour = take_number(rest, 2).ok_or(shape)?;
    expect(rest, ':', shape)?;
    let minute = take_number(rest, 2).ok_or(shape)?;
    if hour > 23 {
        return Err(InvalidLiteral::Hour);
    }
    below_60(minute, InvalidLiteral::Minute).map(|minute| hour * 60 + minute)
}

fn take_second(rest: &mut &str, shape: InvalidLiteral) -> Result<u32> {
    below_60(take_number(rest, 2).ok_or(shape)?, InvalidLiteral::Second)
}

fn below_60(number: u32, error: InvalidLiteral) -> Result<u32> {
    if number < 60 { Ok(number) } else { Err(error) }
}

/// Takes the digits behind the point and gives nanoseconds.
fn take_fraction(rest: &mut &str) -> Result<u32> {
    let count = rest.bytes().take_while(u8::is_ascii_digit).count();
    let kept = count.min(FRACTION_DIGITS);
    let number = take_number(rest, kept).ok_or(InvalidLiteral::Fraction)?;
    *rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let missing = u32::try_from(FRACTION_DIGITS - kept).unwrap_or_default();
    Ok(number * 10_u32.pow(missing))
}

/// Reads a zone, which must be all that is left.
fn zone(text: &str, strictness: Strictness) -> Result<Offset> {
    match text {
        "" => return Err(InvalidLiteral::NoZone),
        "Z" => return Ok(Offset::UTC),
        "z" if strictness.lower_case => return Ok(Offset::UTC),
        "z" => return Err(InvalidLiteral::LowerCaseZone),
        _ => {}
    }
    let (mut rest, sign) = match (text.strip_prefix('+'), text.strip_prefix('-')) {
        (Some(rest), _) => (rest, 1),
        (None, Some(rest)) => (rest, -1),
        (None, None) => return Err(InvalidLiteral::ZoneShape),
    };
    let (hours, minutes) = take_offset(&mut rest).filter(|_| rest.is_empty()).ok_or(InvalidLiteral::ZoneShape)?;
    if hours > strictness.offset_hours || minutes > 59 {
        return Err(InvalidLiteral::ZoneRange(strictness.offset_hours));
    }
    Ok(Offset::from_seconds(sign * (hours * 3_600 + minutes * 60)))
}

fn take_offset(rest: &mut &str) -> Option<(i32, i32)> {
    let hours = take_number(rest, 2)?;
    let colon = take(rest, ':');
    let minutes = take_number(rest, 2).filter(|_| colon)?;
    Some((i32::try_from(hours).ok()?, i32::try_from(minutes).ok()?))
}

/// Takes exactly this many ASCII digits, at least one and at most nine.
fn take_number(rest: &mut &str, digits: usize) -> Option<u32> {
    let (number, behind) = rest.split_at_checked(digits)?;
    if !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    *rest = behind;
    number.parse().ok()
}

fn take(rest: &mut &str, c: char) -> bool {
    let behind = rest.strip_prefix(c);
    *rest = behind.unwrap_or(rest);
    behind.is_some()
}

fn expect(rest: &mut &str, c: char, error: InvalidLiteral) -> Result<()> {
    if take(rest, c) { Ok(()) } else { Err(error) }
}

#[cfg(test)]
mod tests;

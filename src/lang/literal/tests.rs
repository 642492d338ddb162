//! Every spelling of rules R19, possible and impossible.

use super::InvalidLiteral as No;
use super::*;

const HOUR: i64 = 3_600_000_000_000;

#[test]
fn r19_dates() {
    let rows: [(&str, Result<(i64, i32)>); 38] = [
        ("1970-01-01Z", Ok((0, 0))),
        ("1969-12-31Z", Ok((-1, 0))),
        ("2022-05-03+01:00", Ok((19_115, 3_600))),
        ("2022-05-03-00:00", Ok((19_115, 0))),
        ("2022-05-03+14:59", Ok((19_115, 53_940))),
        ("2022-05-03-14:59", Ok((19_115, -53_940))),
        ("2024-02-29Z", Ok((19_782, 0))),
        ("0001-01-01Z", Ok((-719_162, 0))),
        ("9999-12-31Z", Ok((2_932_896, 0))),
        ("2023-02-29Z", Err(No::NoSuchDay)),
        ("1900-02-29Z", Err(No::NoSuchDay)),
        ("2022-00-01Z", Err(No::NoSuchDay)),
        ("2022-13-01Z", Err(No::NoSuchDay)),
        ("2022-04-31Z", Err(No::NoSuchDay)),
        ("2022-01-00Z", Err(No::NoSuchDay)),
        ("0000-01-01Z", Err(No::YearZero)),
        ("2022-05-03", Err(No::NoZone)),
        ("2022-05-03z", Err(No::LowerCaseZone)),
        ("2022-05-03+0100", Err(No::ZoneShape)),
        ("2022-05-03+01", Err(No::ZoneShape)),
        ("2022-05-03+1:00", Err(No::ZoneShape)),
        ("2022-05-03+01:00Z", Err(No::ZoneShape)),
        ("2022-05-03+01:00:00", Err(No::ZoneShape)),
        ("2022-05-03 Z", Err(No::ZoneShape)),
        ("2022-05-03ZZ", Err(No::ZoneShape)),
        ("2022-05-03−01:00", Err(No::ZoneShape)),
        ("2022-05-03+15:00", Err(No::ZoneRange(14))),
        ("2022-05-03+01:60", Err(No::ZoneRange(14))),
        ("2022-05-03T00:00:00Z", Err(No::ZoneShape)),
        ("22-05-03Z", Err(No::DateShape)),
        ("2022-5-3Z", Err(No::DateShape)),
        ("2022/05/03Z", Err(No::DateShape)),
        ("20220503Z", Err(No::DateShape)),
        ("+2022-05-03Z", Err(No::DateShape)),
        ("-2022-05-03Z", Err(No::DateShape)),
        (" 2022-05-03Z", Err(No::DateShape)),
        ("2022-05-0٣Z", Err(No::DateShape)),
        ("", Err(No::DateShape)),
    ];
    for (text, expected) in rows {
        assert_eq!(date(text).map(|date| (date.day, date.offset.seconds())), expected, "{text}");
    }
}

#[test]
fn r19_date_times() {
    let second = |seconds: i128| Ok(seconds * SECOND);
    let rows: [(&str, Result<i128>); 28] = [
        ("1970-01-01T00:00:00Z", second(0)),
        ("1970-01-01T00:00:01Z", second(1)),
        ("2022-05-03T05:00:00+01:00", second(1_651_550_400)),
        ("2022-05-03T05:00:00-01:30", second(1_651_559_400)),
        ("1970-01-01T00:00:00.5Z", Ok(500_000_000)),
        ("1970-01-01T00:00:00.000000001Z", Ok(1)),
        ("1969-12-31T23:59:59.999999999Z", Ok(-1)),
        ("9999-12-31T23:59:59-14:59", second(253_402_354_739)),
        ("1970-01-01T00:00:00.Z", Err(No::Fraction)),
        ("1970-01-01T00:00:00.0000000019Z", Ok(1)),
        ("1970-01-01T00:00:00.12345678901234567890+01:00", Ok(123_456_789 - 3_600 * SECOND)),
        ("1970-01-01T00:00:00,5Z", Err(No::ZoneShape)),
        ("1970-01-01T24:00:00Z", Err(No::Hour)),
        ("1970-01-01T00:60:00Z", Err(No::Minute)),
        ("1970-01-01T23:59:60Z", Err(No::Second)),
        ("1970-01-01T00:00Z", Err(No::TimeShape)),
        ("1970-01-01T0:00:00Z", Err(No::TimeShape)),
        ("1970-01-01T00:00:0Z", Err(No::TimeShape)),
        ("1970-01-01Z", Err(No::Separator)),
        ("1970-01-01t00:00:00Z", Err(No::Separator)),
        ("1970-01-01 00:00:00Z", Err(No::Separator)),
        ("1970-01-01T00:00:00z", Err(No::LowerCaseZone)),
        ("1970-01-01T00:00:00", Err(No::NoZone)),
        ("1970-01-01T00:00:00+0100", Err(No::ZoneShape)),
        ("1970-01-01T00:00:00+15:00", Err(No::ZoneRange(14))),
        ("1970-02-30T00:00:00Z", Err(No::NoSuchDay)),
        ("0000-01-01T00:00:00Z", Err(No::YearZero)),
        ("00:00:00Z", Err(No::DateShape)),
    ];
    for (text, expected) in rows {
        assert_eq!(date_time(text).map(Moment::nanoseconds), expected, "{text}");
    }
}

#[test]
fn r19_times_of_day() {
    let rows: [(&str, Result<(i64, i32)>); 18] = [
        ("00:00Z", Ok((0, 0))),
        ("09:00+01:00", Ok((9 * HOUR, 3_600))),
        ("17:30:15-14:59", Ok((17 * HOUR + 1_815_000_000_000, -53_940))),
        ("23:59:59Z", Ok((24 * HOUR - 1_000_000_000, 0))),
        ("24:00Z", Err(No::Hour)),
        ("24:00:00Z", Err(No::Hour)),
        ("09:60Z", Err(No::Minute)),
        ("09:00:60Z", Err(No::Second)),
        ("09:00:00.5Z", Err(No::ZoneShape)),
        ("9:00Z", Err(No::ClockShape)),
        ("09:0Z", Err(No::ClockShape)),
        ("0900Z", Err(No::ClockShape)),
        ("09:00:Z", Err(No::ClockShape)),
        ("09:00", Err(No::NoZone)),
        ("09:00z", Err(No::LowerCaseZone)),
        ("09:00 CET", Err(No::ZoneShape)),
        ("09:00+0100", Err(No::ZoneShape)),
        ("09:00+15:00", Err(No::ZoneRange(14))),
    ];
    for (text, expected) in rows {
        assert_eq!(time_of_day(text).map(|time| (time.nanoseconds, time.offset.seconds())), expected, "{text}");
    }
}

#[test]
fn week_days_are_english_and_exact() {
    for (number, name) in WEEK_DAYS.iter().enumerate() {
        assert_eq!(week_day(name), Ok(number as u8), "{name}");
    }
    for text in ["monday", "MONDAY", "Mon", "Montag", " Monday", "Monday ", ""] {
        assert_eq!(week_day(text), Err(No::WeekDay), "{text}");
    }
}

#[test]
fn request_times_follow_rfc_3339() {
    let rows: [(&str, Result<i128>); 12] = [
        ("1970-01-01T00:00:00Z", Ok(0)),
        ("1970-01-01t00:00:00z", Ok(0)),
        ("1970-01-01T00:00:00+23:59", Ok(-86_340 * SECOND)),
        ("1970-01-01T00:00:00.25-23:59", Ok(86_340 * SECOND + 250_000_000)),
        ("1970-01-01T00:00:00+24:00", Err(No::ZoneRange(23))),
        ("1970-01-01T00:00:60Z", Err(No::Second)),
        ("1970-01-01T24:00:00Z", Err(No::Hour)),
        ("0000-01-01T00:00:00Z", Err(No::YearZero)),
        ("1970-01-01T00:00:00", Err(No::NoZone)),
        ("1970-01-01 00:00:00Z", Err(No::Separator)),
        ("1970-01-01T00:00:00.1234567890Z", Ok(123_456_789)),
        ("1970-02-29T00:00:00Z", Err(No::NoSuchDay)),
    ];
    for (text, expected) in rows {
        assert_eq!(request_time(text).map(Moment::nanoseconds), expected, "{text}");
    }
}

#[test]
fn a_message_says_what_was_wrong() {
    assert_eq!(
        date("2022-05-03+15:00").unwrap_err().to_string(),
        "the offset must be within ±14:59, its minutes below 60"
    );
    assert_eq!(date("2022-05-03z").unwrap_err().to_string(), "the zone must be an upper-case `Z`");
}

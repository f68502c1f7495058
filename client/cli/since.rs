//! Turns the text of `--since` into a point in time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use humantime::{parse_duration, parse_rfc3339_weak};

/// Characters of `2026-01-31`, and of `2026-01-31T12:00:00`.
const DATE_LENGTH: usize = 10;
const SECOND_LENGTH: usize = 19;
/// Characters of an offset from UTC such as `+02:00`.
const OFFSET_LENGTH: usize = 6;

/// Reads a day, a time or a span of time back from now, in nanoseconds since 1970.
pub(super) fn since(text: &str) -> Result<i64, String> {
    since_at(text, SystemTime::now())
}

fn since_at(text: &str, now: SystemTime) -> Result<i64, String> {
    let text = text.trim();
    let now = unix_nanos(now);
    let since = match parse_duration(text) {
        Ok(span) => now.map(|now| now - nanos(span)),
        Err(_) => time(text),
    };
    let since = since.and_then(|since| i64::try_from(since).ok()).ok_or_else(|| {
        "write a day such as 2026-01-31, a time such as 2026-01-31T12:00:00Z, or a span back from now such as 2d".to_owned()
    })?;
    if now.is_some_and(|now| now < i128::from(since)) {
        return Err("it lies in the future: no file would be loaded".to_owned());
    }
    Ok(since)
}

/// A day, which means its first instant in UTC, or a time of RFC 3339.
fn time(text: &str) -> Option<i128> {
    if !text.is_ascii() {
        return None;
    }
    let text = text.to_ascii_uppercase();
    if text.len() == DATE_LENGTH {
        return utc(&format!("{text}T00:00:00Z"));
    }
    let offset_at = text.len().checked_sub(OFFSET_LENGTH).filter(|at| *at >= SECOND_LENGTH);
    match offset_at.map(|at| text.split_at(at)) {
        Some((local, offset)) if offset.starts_with(['+', '-']) && !local.ends_with('Z') => {
            Some(utc(local)? - nanos_of_offset(offset)?)
        }
        _ => utc(&text),
    }
}

/// What `+02:00` is ahead of UTC.
fn nanos_of_offset(offset: &str) -> Option<i128> {
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let number = |text: &str, most: u64| {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse::<u64>().ok().filter(|number| *number <= most);
        number.filter(|_| is_number)
    };
    let seconds = number(hours, 23)? * 3600 + number(minutes, 59)? * 60;
    let ahead = nanos(Duration::from_secs(seconds));
    Some(if offset.starts_with('-') { -ahead } else { ahead })
}

fn utc(text: &str) -> Option<i128> {
    unix_nanos(parse_rfc3339_weak(text).ok()?)
}

fn unix_nanos(time: SystemTime) -> Option<i128> {
    time.duration_since(UNIX_EPOCH).ok().map(nanos)
}

/// A span of time has fewer than 2^95 nanoseconds.
fn nanos(span: Duration) -> i128 {
    i128::try_from(span.as_nanos()).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_NANOS: i64 = 86_400_000_000_000;
    /// 2026-01-31T00:00:00Z, by days since 1970.
    const LAST_OF_JANUARY: i64 = 20_484 * DAY_NANOS;

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_hours(20_500 * 24)
    }

    fn parse(text: &str) -> Result<i64, String> {
        since_at(text, now())
    }

    #[test]
    fn a_day_means_its_first_instant() {
        assert_eq!(parse("2026-01-31"), Ok(LAST_OF_JANUARY));
        assert_eq!(parse(" 1970-01-01 "), Ok(0));
    }

    #[test]
    fn a_time_is_read_wherever_its_clock_stands() {
        let noon = Ok(LAST_OF_JANUARY + DAY_NANOS / 2);
        for text in [
            "2026-01-31T12:00:00Z",
            "2026-01-31t12:00:00z",
            "2026-01-31 12:00:00",
            "2026-01-31T12:00:00+00:00",
            "2026-01-31T14:00:00+02:00",
            "2026-01-31T06:30:00-05:30",
            "2026-02-01T00:00:00.000+12:00",
        ] {
            assert_eq!(parse(text), noon, "{text}");
        }
        assert_eq!(parse("2026-01-31T00:00:00.000000007Z"), Ok(LAST_OF_JANUARY + 7));
    }

    #[test]
    fn a_span_goes_back_from_now() {
        assert_eq!(parse("2d"), Ok(20_498 * DAY_NANOS));
        assert_eq!(parse("1h 30m"), Ok(20_500 * DAY_NANOS - DAY_NANOS / 16));
        assert_eq!(parse("0s"), Ok(20_500 * DAY_NANOS));
    }

    #[test]
    fn what_is_no_time_is_refused_with_examples() {
        for text in [
            "",
            "yesterday",
            "7",
            "2026-13-01",
            "2026-02-30",
            "31.01.2026",
            "2026-01-31T12:00",
            "2026-01-31T25:00:00Z",
            "2026-01-31T12:00:00+2:00",
            "2026-01-31T12:00:00+24:00",
            "2026-01-31T12:00:00+-1:00",
            "2026-01-31T12:00:00Z+02:00",
            "2026-01-31T12:00:00.5x",
            "2026-01-31T12:00:00Europe",
            "1969-12-31",
            "ä026-01-3",
        ] {
            let error = parse(text).expect_err("no time");
            assert!(error.contains("2026-01-31T12:00:00Z") && error.contains("2d"), "{text}");
        }
    }

    #[test]
    fn a_time_in_the_future_is_refused() {
        assert!(parse("2026-02-16").is_ok(), "it is now");
        for text in ["2026-02-17", "2026-02-16T00:00:01Z", "9999-12-31"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}

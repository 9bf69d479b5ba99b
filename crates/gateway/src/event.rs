//! What an event looks like: one line of JSON, written straight into the page.

use std::net::SocketAddr;

use crate::limits::{ATTRIBUTES_MAX, FOREIGN_TEXT_BYTES_MAX};

/// Appends a JSON string.
pub(crate) fn write_text(body: &mut Vec<u8>, text: &str) {
    body.push(b'"');
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let escaped: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..=0x1f | 0x7f => b"",
            _ => continue,
        };
        body.extend_from_slice(&bytes[plain..at]);
        plain = at + 1;
        if escaped.is_empty() {
            body.extend_from_slice(b"\\u00");
            body.extend_from_slice(&hex_byte(byte));
        } else {
            body.extend_from_slice(escaped);
        }
    }
    body.extend_from_slice(&bytes[plain..]);
    body.push(b'"');
}

/// Appends a whole number.
pub(crate) fn write_number(body: &mut Vec<u8>, number: impl itoa::Integer) {
    body.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a JSON string made of foreign bytes: cut, and made UTF-8 where it is not.
pub(crate) fn write_foreign(body: &mut Vec<u8>, bytes: &[u8]) {
    write_text(body, &foreign(bytes));
}

/// Foreign bytes as text, at most [`FOREIGN_TEXT_BYTES_MAX`] bytes of them.
pub(crate) fn foreign(bytes: &[u8]) -> String {
    let mut end = bytes.len().min(FOREIGN_TEXT_BYTES_MAX);
    // Not through a character: the bytes after the first of a character begin with 10.
    while end < bytes.len() && end > FOREIGN_TEXT_BYTES_MAX - 4 && bytes[end] & 0b1100_0000 == 0b1000_0000 {
        end -= 1;
    }
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Appends a socket address as a JSON string.
pub(crate) fn write_address(body: &mut Vec<u8>, address: SocketAddr) {
    use std::io::Write as _;
    // Writing into a Vec cannot fail.
    let _ = write!(body, "\"{address}\"");
}

/// A moment as RFC 3339 has it, in UTC and with milliseconds.
#[derive(Clone, Copy)]
pub(crate) struct Stamp {
    unix_ms: u64,
    text: [u8; 24],
}

impl Stamp {
    pub(crate) fn of(unix_ms: u64) -> Self {
        let (days, in_day) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
        let (year, month, day) = civil(days);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        digits(&mut text[0..4], year);
        digits(&mut text[5..7], month);
        digits(&mut text[8..10], day);
        digits(&mut text[11..13], in_day / 3_600_000);
        digits(&mut text[14..16], in_day / 60_000 % 60);
        digits(&mut text[17..19], in_day / 1_000 % 60);
        digits(&mut text[20..23], in_day % 1_000);
        Self { unix_ms, text }
    }

    /// Moves on; costs nothing within the same millisecond.
    pub(crate) fn advance(&mut self, unix_ms: u64) {
        if unix_ms != self.unix_ms {
            *self = Self::of(unix_ms);
        }
    }

    pub(crate) fn text(&self) -> &[u8; 24] {
        &self.text
    }
}

/// The Gregorian date of a day since 1970-01-01: eras of 400 years that begin in March, so that the odd day is the last.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

fn digits(text: &mut [u8], mut number: u64) {
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// A byte as two hexadecimal digits.
pub(crate) fn hex_byte(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

/// What a device said of itself beside what Register asks for.
pub(crate) fn write_attributes(body: &mut Vec<u8>, others: &[(String, String)]) {
    body.push(b'{');
    // The last of equal names counts, as it would for any reader of JSON; the rest is left out.
    let last = |number: usize, name: &String| !others[number + 1..].iter().any(|(other, _)| other == name);
    let kept = others.iter().enumerate().filter(|(number, (name, _))| last(*number, name)).take(ATTRIBUTES_MAX);
    for (written, (_, (name, value))) in kept.enumerate() {
        if written > 0 {
            body.push(b',');
        }
        write_text(body, name);
        body.push(b':');
        write_text(body, value);
    }
    body.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(text: &str) -> String {
        let mut body = Vec::new();
        write_text(&mut body, text);
        String::from_utf8_lossy(&body).into_owned()
    }

    #[test]
    fn a_foreign_text_cannot_break_the_line() {
        assert_eq!(text_of("a\"b\\c\nd\u{1}e"), r#""a\"b\\c\nd\u0001e""#);
        assert_eq!(text_of("Sjøbrønn 7"), "\"Sjøbrønn 7\"");
    }

    #[test]
    fn a_foreign_text_is_cut_between_two_characters() {
        let long = "ø".repeat(100);

        assert_eq!(foreign(long.as_bytes()), "ø".repeat(64));
        assert_eq!(
            foreign(&long.as_bytes()[1..]).len(),
            3 + 126,
            "a broken first byte becomes a replacement character"
        );
        assert_eq!(foreign(&[b'a', 0xff]), "a\u{fffd}");
    }

    #[test]
    fn moments_read_as_dates() {
        for (unix_ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_764_000_000_123, "2025-11-24T16:00:00.123Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(std::str::from_utf8(Stamp::of(unix_ms).text()), Ok(text));
        }
    }
}

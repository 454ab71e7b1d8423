//! What the text of a cell looks like.

/// Words for a truth value.
const TRUTH_VALUES: [(&str, bool); 4] = [
    ("true", true),
    ("false", false),
    ("yes", true),
    ("no", false),
];

/// The truth value that a word stands for, in any case: true, false, yes or no.
pub(super) fn truth_value(text: &str) -> Option<bool> {
    let named = TRUTH_VALUES
        .iter()
        .find(|(word, _)| text.eq_ignore_ascii_case(word));
    named.map(|&(_, value)| value)
}

/// Whether a text stands for a truth value.
pub(super) fn is_boolean(text: &str) -> bool {
    truth_value(text).is_some()
}

/// The usual words for a missing value, in any case.
const MISSING: [&str; 5] = ["NA", "N/A", "nan", "null", "?"];

/// Whether a cell holds nothing, or a usual word for a missing value.
pub(super) fn is_usually_missing(cell: &str) -> bool {
    // None of the words is longer: most cells need no comparison.
    cell.len() <= 4
        && (cell.is_empty() || MISSING.iter().any(|word| cell.eq_ignore_ascii_case(word)))
}

/// Whether a text is digits, perhaps with a sign.
pub(super) fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    is_digits(digits)
}

/// Whether a whole number is written in a way that its value does not keep: with leading zeros, or with more digits
/// than f64 holds.
pub(super) fn is_code(text: &str) -> bool {
    const EXACT_DIGITS: usize = 15;
    is_whole(text) && (text.len() > EXACT_DIGITS || (text.len() > 1 && text.starts_with('0')))
}

/// Whether a text looks like a date or a time of day, as 2020-01-31, 31.1.2020, 1/31/20 10:15 PM, 2020-01, 10:15 and
/// 31 Jan 2020.
pub(super) fn is_date(text: &str) -> bool {
    const MAX_LENGTH: usize = 40;
    if text.len() > MAX_LENGTH {
        return false;
    }
    let (mut dates, mut months, mut numbers) = (0, 0, 0);
    let parts = text.split([' ', 'T', ',']).filter(|part| !part.is_empty());
    for part in parts {
        match part {
            part if is_day(part) || is_clock(part) => dates += 1,
            part if is_month(part) => months += 1,
            part if part.len() <= 4 && is_digits(part) => numbers += 1,
            "AM" | "PM" | "am" | "pm" if dates > 0 => {}
            _ => return false,
        }
    }
    (dates > 0 && months == 0 && numbers == 0) || (dates == 0 && months == 1 && numbers > 0)
}

/// The number of digits in each group between separators; nothing if a group is not all digits.
fn group_lengths(part: &str, separator: char) -> Vec<usize> {
    let groups = part.split(separator);
    let lengths = groups.map(|group| is_digits(group).then_some(group.len()));
    lengths.collect::<Option<_>>().unwrap_or_default()
}

/// Year, month and day in any usual order, or year and month.
fn is_day(part: &str) -> bool {
    ['-', '/', '.'].into_iter().any(|separator| {
        match (separator, &group_lengths(part, separator)[..]) {
            (_, [4, 1 | 2, 1 | 2] | [1 | 2, 1 | 2, 4]) => true,
            ('-' | '/', [1 | 2, 1 | 2, 2]) => true,
            ('-', [4, 2]) => part.starts_with(['1', '2']),
            _ => false,
        }
    })
}

/// Hours and minutes, perhaps with seconds, their fraction and a time zone.
fn is_clock(part: &str) -> bool {
    let clock = part.split(['.', '+', 'Z']).next().unwrap_or(part);
    matches!(group_lengths(clock, ':')[..], [1 | 2, 2] | [1 | 2, 2, 2])
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_month(part: &str) -> bool {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let part = part.trim_end_matches('.').to_ascii_lowercase();
    part.len() >= 3 && MONTHS.iter().any(|month| month.starts_with(&part))
}

/// Whether a text that is no number looks like one with a sign or separators: 45%, $1,200, 1 000 and −1 with the minus
/// of typesetting.
pub(super) fn is_almost_number(text: &str) -> bool {
    let is_sign = |c: char| {
        matches!(
            c,
            '%' | '$' | '€' | '£' | '¥' | ' ' | ',' | '_' | '\'' | '\u{a0}' | '\u{2212}'
        )
    };
    let plain = text.replace(is_sign, "");
    let starts = plain.trim_start_matches(['-', '+', '<', '>', '=', '~']);
    plain.len() < text.len() && starts.parse::<f64>().is_ok_and(f64::is_finite)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_whole_numbers_whose_value_loses_something() {
        for code in ["007", "00", "01234", "1234567890123456"] {
            assert!(is_code(code), "{code}");
        }
        for number in ["0", "7", "70", "0.5", "-7", "123456789012345", "1e3", ""] {
            assert!(!is_code(number), "{number}");
        }
    }

    #[test]
    fn dates_and_times() {
        for date in [
            "2020-01-31",
            "2020-01",
            "31.1.2020",
            "1/31/20",
            "2020-01-31T10:15:00Z",
            "2020-01-31 10:15:00.123+02:00",
            "10:15",
            "31 Jan 2020",
            "Jan. 31, 2020",
            "1/31/2020 1:05 PM",
        ] {
            assert!(is_date(date), "{date}");
        }
        for word in [
            "",
            "2020",
            "1.5",
            "may",
            "a-b",
            "10-20-30-40",
            "3:",
            "v1.2.3",
            "18-25",
            "1/2",
            "555-1234",
            "123-45-6789",
            "192.168.0.1",
            "low",
            "1-",
        ] {
            assert!(!is_date(word), "{word}");
        }
    }

    #[test]
    fn numbers_with_signs() {
        for text in ["45%", "$1,200", "1 000", "1_000", "-5 %", "\u{2212}0.5"] {
            assert!(is_almost_number(text), "{text}");
        }
        for text in ["", "%", "a%", "12", "T-5", "1-2"] {
            assert!(!is_almost_number(text), "{text}");
        }
    }
}

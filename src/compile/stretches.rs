//! A pattern against a text, both known: what `MATCH` means where nothing is left to be computed.

/// Whether the whole of `value` fits: the first stretch at its start, the last at its end, the others in between in order,
/// with anything between two of them. One stretch is an equality test, and no stretch fits nothing.
pub fn fits<'a>(mut stretches: impl DoubleEndedIterator<Item = &'a str>, value: &str) -> bool {
    let Some(first) = stretches.next() else { return false };
    let Some(last) = stretches.next_back() else { return first == value };
    let between = value.strip_prefix(first).and_then(|rest| rest.strip_suffix(last));
    // Taking each stretch where it first occurs leaves the most for those behind it.
    let left = between.and_then(|between| stretches.try_fold(between, past));
    left.is_some()
}

/// What follows the first occurrence of `stretch`.
fn past<'v>(text: &'v str, stretch: &str) -> Option<&'v str> {
    text.split_once(stretch).map(|(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_text_fits_by_its_start_its_end_and_what_is_in_order_between() {
        let rows: [(&[&str], &[&str], &[&str]); 10] = [
            (&[], &[], &["", "a"]),
            (&[""], &[""], &["a"]),
            (&["a"], &["a"], &["", "aa", "A"]),
            (&["", ""], &["", "a", "*"], &[]),
            (&["a", ""], &["a", "ab"], &["", "ba"]),
            (&["", "a"], &["a", "ba"], &["", "ab"]),
            // Start and end may not share a character.
            (&["ab", "ba"], &["abba", "ab-ba"], &["aba", "ab", "ba"]),
            (&["a", "b", "c"], &["abc", "a-b-c", "abbc"], &["ac", "acb", "cba"]),
            (&["", "b", "b", ""], &["bb", "abcbd"], &["b", ""]),
            (&["", "", "ä", ""], &["ä", "xäy"], &["a", ""]),
        ];
        for (stretches, fit, unfit) in rows {
            for value in fit {
                assert!(fits(stretches.iter().copied(), value), "{stretches:?} {value:?}");
            }
            for value in unfit {
                assert!(!fits(stretches.iter().copied(), value), "{stretches:?} {value:?}");
            }
        }
    }
}

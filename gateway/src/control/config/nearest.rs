//! The known word nearest to a mistyped one.

/// The candidate that differs least from `given`, if it differs little enough to be meant.
///
/// Distance is optimal string alignment: insertions, deletions, replacements and swaps of
/// neighbours. At most a third of the word may differ.
pub(super) fn nearest<'a>(
    given: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // Nobody mistypes more than this; it bounds the work on a hostile file.
    const LONGEST: usize = 64;
    let given: Vec<char> = given.to_lowercase().chars().take(LONGEST + 1).collect();
    if given.is_empty() || given.len() > LONGEST {
        return None;
    }
    let allowed = (given.len() / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(given.len()) <= allowed)
        .map(|candidate| {
            (
                distance(
                    &given,
                    &candidate.to_lowercase().chars().collect::<Vec<_>>(),
                ),
                candidate,
            )
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn distance(a: &[char], b: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let replaced = last[j] + usize::from(a[i] != b[j]);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_mistakes_find_their_word_and_large_ones_do_not() {
        let words = ["certificate", "key", "keyring", "client_auth", "client_ca"];
        assert_eq!(nearest("certifcate", words), Some("certificate"));
        assert_eq!(nearest("kye", words), Some("key"));
        assert_eq!(nearest("Client_CA", words), Some("client_ca"));
        assert_eq!(nearest("colour", words), None);
        assert_eq!(nearest("", words), None);
        assert_eq!(nearest(&"k".repeat(100_000), words), None);
    }
}

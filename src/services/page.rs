//! Pages of a list: in the order of ids, each page beginning after the last id of the one before.

use std::fmt::Display;
use std::ops::Bound;
use std::str::FromStr;

use imbl::OrdMap;
use prost::Message;
use sha2::{Digest, Sha256};
use tonic::Status;

use super::status::invalid_argument;

const DEFAULT_SIZE: i32 = 100;
const MOST: i32 = 1_000;
/// A page ends once it holds this many bytes: a client takes 4 MiB by default.
pub(in crate::services) const PAGE_BYTES: usize = 1024 * 1024;
const FOREIGN: &str = "belongs to another list; pass it back unchanged, with the same other fields";

/// What a page is to hold.
pub(in crate::services) struct Page {
    size: usize,
    after: Option<String>,
    digest: String,
}

// === impl Page ===

impl Page {
    /// Reads the size and the token of a request. `question` is whatever else the request says: a token of another
    /// question is refused.
    pub(in crate::services) fn read(size: i32, token: &str, question: &[impl AsRef<[u8]>]) -> Result<Self, Status> {
        let mut wrong = Vec::new();
        if !(0..=MOST).contains(&size) {
            wrong.push(("page_size", format!("{size} is not between 0 and {MOST}")));
        }
        let digest = digest(question);
        let after = token.split_once('.').filter(|(found, after)| *found == digest && !after.is_empty());
        if !token.is_empty() && after.is_none() {
            wrong.push(("page_token", FOREIGN.to_owned()));
        }
        if !wrong.is_empty() {
            return Err(refused(wrong));
        }
        let size = usize::try_from(if size == 0 { DEFAULT_SIZE } else { size }).unwrap_or_default();
        Ok(Self { size, after: after.map(|(_, after)| after.to_owned()), digest })
    }

    /// The most that the page may hold.
    pub(in crate::services) const fn size(&self) -> usize {
        self.size
    }

    /// The last of the page before.
    pub(in crate::services) fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }

    /// The last of the page before, as the key it is.
    pub(in crate::services) fn after_key<K: FromStr>(&self) -> Result<Option<K>, Status> {
        let key = self.after().map(str::parse).transpose();
        key.map_err(|_| refused(vec![("page_token", FOREIGN.to_owned())]))
    }

    /// The token of the page behind `last`.
    pub(in crate::services) fn token(&self, last: impl Display) -> String {
        format!("{}.{last}", self.digest)
    }

    /// The page out of `map`, of what `keep` keeps, and the token of the next one.
    pub(in crate::services) fn of<K, V, R>(
        &self,
        map: &OrdMap<K, V>,
        keep: impl Fn(&V) -> bool,
        form: impl Fn(&V) -> R,
    ) -> Result<(Vec<R>, String), Status>
    where
        K: Ord + Clone + FromStr + Display,
        V: Clone,
        R: Message,
    {
        let items = |start: Bound<K>| map.range((start, Bound::Unbounded)).map(|(key, item)| (key.clone(), item));
        self.among(items, |item| keep(item), |item| form(item))
    }

    /// The page out of what `items` has from a key on, of what `keep` keeps, and the token of the next one.
    pub(in crate::services) fn among<K, V, R, I>(
        &self,
        items: impl FnOnce(Bound<K>) -> I,
        keep: impl Fn(&V) -> bool,
        form: impl Fn(&V) -> R,
    ) -> Result<(Vec<R>, String), Status>
    where
        K: FromStr + Display,
        R: Message,
        I: Iterator<Item = (K, V)>,
    {
        let start = self.after_key::<K>()?.map_or(Bound::Unbounded, Bound::Excluded);
        let mut items = items(start).filter(|(_, item)| keep(item)).peekable();
        let mut page = Vec::new();
        let mut last = None;
        let mut bytes = 0;
        while page.len() < self.size
            && bytes < PAGE_BYTES
            && let Some((key, item)) = items.next()
        {
            let message = form(&item);
            bytes += message.encoded_len();
            page.push(message);
            last = Some(key);
        }
        let next = last.filter(|_| items.peek().is_some()).map(|last| self.token(last));
        Ok((page, next.unwrap_or_default()))
    }
}

fn refused(wrong: Vec<(&str, String)>) -> Status {
    let listed: Vec<_> = wrong.iter().map(|(field, problem)| format!("`{field}` {problem}")).collect();
    invalid_argument(listed.join("; "), wrong.into_iter().map(|(field, problem)| (field.to_owned(), problem)))
}

fn digest(question: &[impl AsRef<[u8]>]) -> String {
    let mut hash = Sha256::new();
    for part in question {
        hash.update(part);
        hash.update([0]);
    }
    let digest: [u8; 32] = hash.finalize().into();
    let head = digest.iter().take(8).fold(0_u64, |head, byte| (head << 8) | u64::from(*byte));
    format!("{head:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(ids: &[u32]) -> OrdMap<u32, u32> {
        ids.iter().map(|id| (*id, *id)).collect()
    }

    fn walk(ids: &[u32], size: i32, keep: impl Fn(&u32) -> bool) -> Vec<Vec<u32>> {
        let mut pages = Vec::new();
        let mut token = String::new();
        loop {
            let page = Page::read(size, &token, &["list"]).unwrap();
            let (items, next) = page.of(&map(ids), &keep, |item| *item).unwrap();
            pages.push(items);
            if next.is_empty() {
                return pages;
            }
            token = next;
        }
    }

    #[test]
    fn pages_hold_every_item_once() {
        assert_eq!(walk(&[1, 2, 3], 2, |_| true), [vec![1, 2], vec![3]]);
        assert_eq!(walk(&[1, 2], 2, |_| true), [vec![1, 2]]);
        assert_eq!(walk(&[], 2, |_| true), [Vec::<u32>::new()]);
        assert_eq!(walk(&[1, 2, 3, 4, 5], 2, |id| id % 2 == 1), [vec![1, 3], vec![5]]);
    }

    #[test]
    fn a_token_of_another_list_and_a_size_past_the_limit_are_refused() {
        let token = Page::read(1, "", &["a"]).unwrap().of(&map(&[1, 2]), |_| true, |_| ()).unwrap().1;
        assert!(Page::read(1, &token, &["a"]).is_ok());
        for (size, token, question) in [(1, token.as_str(), "b"), (1, "nonsense", "a"), (-1, "", "a"), (1_001, "", "a")]
        {
            assert!(Page::read(size, token, &[question]).is_err(), "{size} {token} {question}");
        }
        assert!(Page::read(1_000, "", &["a"]).is_ok());
        // The right list, but a key that none of its items could have.
        let (head, _) = token.split_once('.').unwrap();
        let tampered = Page::read(1, &format!("{head}.x"), &["a"]).unwrap();
        assert!(tampered.of(&map(&[1]), |_| true, |_| ()).is_err());
    }

    #[test]
    fn a_page_ends_where_it_would_grow_too_large_to_be_taken() {
        let page = Page::read(1_000, "", &["list"]).unwrap();
        let large = |_: &u32| "x".repeat(PAGE_BYTES / 2);
        let (items, next) = page.of(&map(&[1, 2, 3, 4]), |_| true, large).unwrap();
        assert_eq!((items.len(), next.is_empty()), (2, false));
    }
}

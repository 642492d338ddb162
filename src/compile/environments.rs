//! The environments of an account, each with a number.

use crate::model::id::EnvironmentId;

/// Environments by id. There are seldom more than a few.
#[derive(Debug, Clone, Default)]
pub struct Environments {
    /// Sorted.
    by_id: Vec<(EnvironmentId, u32)>,
    /// None is given twice.
    next: u32,
}

/// So many are compared one by one faster than they are bisected: most ids differ in their length.
const HANDFUL: usize = 8;

// === impl Environments ===

impl Environments {
    /// The number of an environment.
    #[must_use]
    #[inline]
    pub fn number(&self, id: &str) -> Option<u32> {
        let found = match self.by_id.len() {
            0..=HANDFUL => self.by_id.iter().find(|(known, _)| known.as_str() == id),
            _ => self.place(id).ok().and_then(|place| self.by_id.get(place)),
        };
        found.map(|(_, number)| *number)
    }

    /// Every environment, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&EnvironmentId, u32)> {
        self.by_id.iter().map(|(id, number)| (id, *number))
    }

    /// Gives a number to an environment that has none.
    pub fn insert(&mut self, id: &EnvironmentId) {
        if let Err(place) = self.place(id.as_str()) {
            self.by_id.insert(place, (id.clone(), self.next));
            self.next += 1;
        }
    }

    /// Takes an environment away, and says whether it was there.
    pub fn remove(&mut self, id: &EnvironmentId) -> bool {
        let place = self.place(id.as_str());
        place.is_ok_and(|place| {
            self.by_id.remove(place);
            true
        })
    }

    fn place(&self, id: &str) -> Result<usize, usize> {
        self.by_id.binary_search_by(|(known, _)| known.as_str().cmp(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Few and many are found alike, and a number is never given again.
    #[test]
    fn environments_keep_their_numbers() {
        let mut environments = Environments::default();
        let id = |number: u32| format!("env-{number}").parse::<EnvironmentId>().unwrap();
        for number in 0..20 {
            environments.insert(&id(number));
            environments.insert(&id(number));
            assert!((0..=number).all(|known| environments.number(id(known).as_str()) == Some(known)));
            assert_eq!(environments.number("env-none"), None);
        }
        assert!(environments.remove(&id(3)));
        assert!(!environments.remove(&id(3)));
        environments.insert(&id(3));
        assert_eq!(environments.number("env-3"), Some(20));
        assert_eq!(environments.iter().count(), 20);
    }
}

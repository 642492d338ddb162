//! Who does a build. This room owns no thread: whoever has some lends them.

use std::num::NonZero;
use std::sync::{Mutex, PoisonError};

/// Lends threads to a piece of work.
pub trait Workers: Sync {
    /// Into how many parts it is worth to cut work.
    fn count(&self) -> NonZero<usize>;

    /// Calls `job` with each number below `parts`, in any order and on any thread, and returns when all calls have. A panic of
    /// one is a panic of this.
    fn each(&self, parts: usize, job: &(dyn Fn(usize) + Sync));
}

/// The thread that asks, and no other.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

/// Parts for each worker: a worker whose parts are light takes more of them.
const PARTS: usize = 4;

// === impl Alone ===

impl Workers for Alone {
    fn count(&self) -> NonZero<usize> {
        NonZero::<usize>::MIN
    }

    fn each(&self, parts: usize, job: &(dyn Fn(usize) + Sync)) {
        (0..parts).for_each(job);
    }
}

/// What `make` makes of neighbouring parts of `all`, in their order. A part has so many elements at least: threads are not
/// asked for less.
pub(super) fn by_parts<'a, T: Sync, R: Send>(
    workers: &dyn Workers,
    all: &'a [T],
    least: usize,
    make: impl Fn(&'a [T]) -> R + Sync,
) -> Vec<R> {
    let count = workers.count().get();
    let wanted = if count == 1 { 1 } else { count * PARTS };
    let size = all.len().div_ceil(wanted).max(least).max(1);
    if all.len() <= size {
        return vec![make(all)];
    }
    let parts: Vec<(&'a [T], Mutex<Option<R>>)> = all.chunks(size).map(|part| (part, Mutex::new(None))).collect();
    workers.each(parts.len(), &|number| {
        if let Some((part, place)) = parts.get(number) {
            let done = make(part);
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
        }
    });
    let taken = |(part, place): (&'a [T], Mutex<Option<R>>)| {
        let done = place.into_inner().unwrap_or_else(PoisonError::into_inner);
        // A part that nobody has done is done here: half of a program is none.
        done.unwrap_or_else(|| make(part))
    };
    parts.into_iter().map(taken).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Does every other part, the last one first.
    struct Lazy;

    impl Workers for Lazy {
        fn count(&self) -> NonZero<usize> {
            NonZero::new(3).unwrap()
        }

        fn each(&self, parts: usize, job: &(dyn Fn(usize) + Sync)) {
            (0..parts).rev().step_by(2).for_each(job);
        }
    }

    #[test]
    fn parts_come_in_order_whoever_makes_them_and_none_is_missing() {
        let all: Vec<u32> = (0..1_000).collect();
        for workers in [&Alone as &dyn Workers, &Lazy] {
            for least in [0, 1, 7, 90, 2_000] {
                let parts = by_parts(workers, &all, least, <[u32]>::to_vec);
                assert_eq!(parts.concat(), all);
                assert!(parts.len() == 1 || parts.iter().rev().skip(1).all(|part| part.len() >= least));
            }
            assert_eq!(by_parts(workers, &[0; 0], 1, <[u32]>::len), [0]);
        }
        assert_eq!(by_parts(&Lazy, &all, 1, <[u32]>::len).len(), 12);
    }
}

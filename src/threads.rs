//! Threads for a build, lent to the rooms that own none.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Builder};

use crate::compile::workers::Workers;

/// Threads that live as long as a piece of work.
#[derive(Debug, Clone, Copy)]
pub struct Threads {
    count: NonZero<usize>,
}

/// No more of them: behind that a build waits for memory, and requests are served meanwhile.
const MOST: usize = 8;

// === impl Threads ===

impl Default for Threads {
    /// As many as the machine does at once. It is asked once: it reads files to find out, and most builds are of one change.
    fn default() -> Self {
        static AT_ONCE: LazyLock<usize> = LazyLock::new(|| thread::available_parallelism().map_or(1, NonZero::get));
        Self::of(*AT_ONCE)
    }
}

impl Threads {
    /// So many, the one that asks among them; at least that one.
    #[must_use]
    pub fn of(count: usize) -> Self {
        let count = NonZero::new(count.min(MOST)).unwrap_or(NonZero::<usize>::MIN);
        Self { count }
    }
}

impl Workers for Threads {
    fn count(&self) -> NonZero<usize> {
        self.count
    }

    fn each(&self, parts: usize, job: &(dyn Fn(usize) + Sync)) {
        let next = AtomicUsize::new(0);
        let work = || {
            let numbers = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
            numbers.take_while(|number| *number < parts).for_each(job);
        };
        thread::scope(|scope| {
            let others = 1..self.count.get().min(parts);
            // Where there is no thread to be had, the others do its parts.
            let spawn = |_| Builder::new().name("build".to_owned()).spawn_scoped(scope, work).ok();
            let others: Vec<_> = others.filter_map(spawn).collect();
            work();
            for other in others {
                // What is wrong is told as if this thread had met it.
                other.join().unwrap_or_else(|panic| resume_unwind(panic));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn each_part_is_done_once() {
        for (count, parts) in [(0, 5), (1, 5), (3, 0), (3, 1), (3, 100), (100, 1_000)] {
            let done = Mutex::new(Vec::new());
            Threads::of(count).each(parts, &|number| done.lock().unwrap().push(number));
            let mut done = done.into_inner().unwrap();
            done.sort_unstable();
            assert!(done.into_iter().eq(0..parts));
        }
        assert!((1..=MOST).contains(&Threads::default().count().get()));
    }

    #[test]
    fn a_panic_of_any_part_is_a_panic_of_the_whole() {
        for bad in 0..12 {
            let job = |number| assert!(number != bad, "part {number}");
            let panic = catch_unwind(|| Threads::of(3).each(12, &job)).unwrap_err();
            assert_eq!(panic.downcast_ref::<String>(), Some(&format!("part {bad}")));
        }
    }
}

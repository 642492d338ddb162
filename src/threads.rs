//! Threads for a build, lent to the rooms that own none.

use std::collections::VecDeque;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread::{self, Builder, Scope, ScopedJoinHandle};

use crate::compile::workers::Workers;

/// Threads that live as long as a piece of work.
#[derive(Debug, Clone, Copy)]
pub struct Threads {
    count: NonZero<usize>,
}

/// No more of them: behind that a build waits for memory, and requests are served meanwhile.
const MOST: usize = 8;
/// Items for each thread that wait to be made or to be handed on: enough for as long as a thread may have to wait for a core.
const AHEAD: usize = 32;
/// Bytes of all items under way, about: one item more than fits may be. Large items are none of the usual ones.
const AHEAD_BYTES: usize = 64 * 1024 * 1024;

/// An item, and where what is made of it goes.
type Job<T, M> = (T, SyncSender<M>);

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

    /// Makes something of each item, a few at once, and hands it on in the order of the items. This thread asks for the
    /// next item, with how many bytes it has, and hands on; the others make. There are never many items or bytes under way. After an error nothing more is handed on. A panic of `make` is a panic of this.
    ///
    /// # Errors
    /// The first one that `next` or `hand_on` gives.
    pub fn in_order<T: Send, M: Send, E>(
        self,
        mut next: impl FnMut() -> Result<Option<(T, usize)>, E>,
        make: impl Fn(T) -> M + Sync,
        mut hand_on: impl FnMut(M) -> Result<(), E>,
    ) -> Result<(), E> {
        let (jobs, waiting) = mpsc::channel();
        let waiting = Mutex::new(waiting);
        let work = || make_each(&waiting, &make);
        thread::scope(|scope| {
            let others = if self.count.get() == 1 { Vec::new() } else { spawn(scope, self.count.get(), &work) };
            if others.is_empty() {
                return std::iter::from_fn(|| next().transpose()).try_for_each(|item| hand_on(make(item?.0)));
            }
            let done = feed(jobs, others.len() * AHEAD, &mut next, &mut hand_on);
            join(others);
            done
        })
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
            let others = spawn(scope, self.count.get().min(parts).saturating_sub(1), &work);
            work();
            join(others);
        });
    }
}

/// As many threads as there are to be had, up to `count`: the others do the work of those that are missing.
fn spawn<'scope>(
    scope: &'scope Scope<'scope, '_>,
    count: usize,
    work: &'scope (impl Fn() + Sync),
) -> Vec<ScopedJoinHandle<'scope, ()>> {
    (0..count).filter_map(|_| Builder::new().name("build".to_owned()).spawn_scoped(scope, work).ok()).collect()
}

fn join(others: Vec<ScopedJoinHandle<'_, ()>>) {
    for other in others {
        // What is wrong is told as if this thread had met it.
        other.join().unwrap_or_else(|panic| resume_unwind(panic));
    }
}

/// Makes what is waiting, until nothing comes any more.
fn make_each<T, M>(waiting: &Mutex<Receiver<Job<T, M>>>, make: &impl Fn(T) -> M) {
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).recv().ok();
    while let Some((item, done)) = next() {
        // Nobody waits for it after an error.
        let _ = done.send(make(item));
    }
}

/// Keeps `ahead` items under way, and hands on what becomes of them.
fn feed<T, M, E>(
    jobs: Sender<Job<T, M>>,
    ahead: usize,
    next: &mut impl FnMut() -> Result<Option<(T, usize)>, E>,
    hand_on: &mut impl FnMut(M) -> Result<(), E>,
) -> Result<(), E> {
    let (mut under_way, mut bytes) = (VecDeque::new(), 0);
    let mut jobs = Some(jobs);
    loop {
        while let Some(open) = jobs.as_ref().filter(|_| under_way.len() < ahead && bytes < AHEAD_BYTES) {
            let Some((item, size)) = next()? else {
                jobs = None;
                break;
            };
            let (done, made) = mpsc::sync_channel(1);
            under_way.push_back((size, made));
            bytes += size;
            // Where nobody takes it, nothing comes back either.
            let _ = open.send((item, done));
        }
        // What does not come back has panicked, which the one that joins the thread tells.
        let Some((size, made)) = under_way.pop_front() else { return Ok(()) };
        let Ok(made) = made.recv() else { return Ok(()) };
        hand_on(made)?;
        bytes -= size;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
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
    fn what_is_made_at_once_is_handed_on_in_order() {
        for (count, items) in [(1, 0), (1, 7), (2, 0), (2, 1), (3, 1_000), (100, 50)] {
            let mut left = 0..items;
            let mut handed_on = Vec::new();
            let next = || Ok::<_, ()>(left.next().map(|item| (item, 1)));
            Threads::of(count)
                .in_order(
                    next,
                    |item| item * 2,
                    |made| {
                        handed_on.push(made);
                        Ok(())
                    },
                )
                .unwrap();
            assert_eq!(handed_on, (0..items).map(|item| item * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn after_an_error_nothing_is_handed_on() {
        for count in [1, 4] {
            let mut left = 0..100;
            let mut calls = Vec::new();
            let refuse = |made| {
                calls.push(made);
                if made == 40 { Err("refused") } else { Ok(()) }
            };
            assert_eq!(
                Threads::of(count).in_order(|| Ok(left.next().map(|item| (item, 1))), |item| item, refuse),
                Err("refused")
            );
            assert!(calls.into_iter().eq(0..=40));

            let mut left = (0..40).map(Ok).chain([Err("unreadable")]).chain((41..100).map(Ok));
            let mut calls = Vec::new();
            let keep = |made| {
                calls.push(made);
                Ok(())
            };
            let next = || left.next().transpose().map(|item| item.map(|item| (item, 1)));
            let done = Threads::of(count).in_order(next, |item| item, keep);
            assert_eq!(done, Err("unreadable"));
            assert!(calls.len() <= 40 && calls.iter().copied().eq(0..calls.len()));
        }
    }

    #[test]
    fn few_large_items_are_under_way() {
        let (taken, mut most, mut handed_on) = (Cell::new(0), 0, 0);
        let next = || {
            taken.set(taken.get() + 1);
            Ok::<_, ()>((taken.get() <= 100).then_some(((), AHEAD_BYTES / 2)))
        };
        let keep = |()| {
            most = most.max(taken.get() - handed_on);
            handed_on += 1;
            Ok(())
        };
        Threads::of(4).in_order(next, |()| (), keep).unwrap();
        assert_eq!((handed_on, most), (100, 2));
    }

    #[test]
    fn a_panic_of_who_makes_is_a_panic_of_the_whole() {
        for count in [1, 3] {
            let mut left = 0..100;
            let make = |item| assert!(item != 40, "item {item}");
            let in_order =
                || Threads::of(count).in_order(|| Ok::<_, ()>(left.next().map(|item| (item, 1))), make, |()| Ok(()));
            let panic = catch_unwind(std::panic::AssertUnwindSafe(in_order)).unwrap_err();
            assert_eq!(panic.downcast_ref::<String>().map(String::as_str), Some("item 40"));
        }
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

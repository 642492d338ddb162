//! That everybody is woken, and that others have their turn in between.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time;

use super::*;

/// What a watcher is woken for.
const NEWS: u64 = 2_000;

/// Runs the waking of `slices` on this runtime, where nobody calls.
fn spawn_wake(slices: &Arc<Slices>, head: &watch::Sender<u64>) -> task::JoinHandle<()> {
    spawn_wake_behind(&RightOfWay::default(), slices, head)
}

/// The same behind calls.
fn spawn_wake_behind(way: &RightOfWay, slices: &Arc<Slices>, head: &watch::Sender<u64>) -> task::JoinHandle<()> {
    let (way, slices, head) = (way.clone(), Arc::clone(slices), head.subscribe());
    tokio::spawn(async move { slices.wake(head, &way).await })
}

/// Lets every task come to where it waits.
async fn settle() {
    for _ in 0..100 {
        task::yield_now().await;
    }
}

#[test]
fn a_few_watchers_are_one_slice_and_places_are_given_again() {
    let slices = Slices::new(3 * SLICE);
    let counts = || slices.all().map(watch::Sender::receiver_count).collect::<Vec<_>>();
    let mut joined: Vec<_> = (0..SLICE + 2).map(|_| slices.join()).collect();
    assert_eq!(counts(), [SLICE, 2, 0]);
    joined.truncate(SLICE - 1);
    joined.extend([slices.join(), slices.join()]);
    assert_eq!(counts(), [SLICE, 1, 0]);
    joined.extend((0..2 * SLICE).map(|_| slices.join()));
    assert_eq!(counts().iter().sum::<usize>(), 3 * SLICE + 1, "whoever comes past the last place has one, too");
}

#[tokio::test]
async fn whoever_is_woken_amid_the_watchers_has_its_turn_after_a_slice_and_not_after_all() {
    let watchers = 40 * SLICE;
    let (slices, head) = (Arc::new(Slices::new(watchers)), watch::Sender::new(0));
    let (told, answer) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let mut tasks = JoinSet::new();
    for _ in 0..watchers {
        let (mut woken, told, answer) = (slices.join(), Arc::clone(&told), Arc::clone(&answer));
        tasks.spawn(async move {
            woken.changed().await.unwrap();
            told.fetch_add(1, Ordering::Relaxed);
            // Somebody else's answer is ready, while the watchers are being woken.
            answer.notify_one();
        });
    }
    let writer = {
        let (told, answer) = (Arc::clone(&told), Arc::clone(&answer));
        tokio::spawn(async move {
            answer.notified().await;
            told.load(Ordering::Relaxed)
        })
    };
    let waking = spawn_wake(&slices, &head);
    settle().await;
    assert_eq!(told.load(Ordering::Relaxed), 0, "nobody is woken before the head moves");
    head.send_replace(1);
    let before = writer.await.unwrap();
    assert!((1..=SLICE).contains(&before), "{before} of {watchers} watchers came first");
    tasks.join_all().await;
    assert_eq!(told.load(Ordering::Relaxed), watchers, "and all are told");
    waking.abort();
}

#[tokio::test]
async fn a_head_that_moves_meanwhile_is_told_on_round_and_to_everybody() {
    let (slices, head) = (Arc::new(Slices::new(3 * SLICE)), Arc::new(watch::Sender::new(0)));
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for slice in 0..3 {
        for _ in 0..SLICE {
            let (mut woken, head, order) = (slices.join(), Arc::clone(&head), Arc::clone(&order));
            tasks.spawn(async move {
                while woken.changed().await.is_ok() {
                    // Once, by whoever is first in the second slice.
                    head.send_if_modified(|head| slice == 1 && std::mem::replace(head, 2) == 1);
                    let mut order = order.lock().unwrap();
                    if order.last() != Some(&slice) {
                        order.push(slice);
                    }
                }
            });
        }
    }
    let waking = spawn_wake(&slices, &head);
    settle().await;
    head.send_replace(1);
    settle().await;
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 0, 1]);
    waking.abort();
}

/// When watchers, of which there are so many, are told of a commit whose call takes so long: the first and the last of them.
async fn told_behind_a_call(watchers: usize, call: Duration) -> [Duration; 2] {
    let (slices, head) = (Arc::new(Slices::new(2 * watchers)), watch::Sender::new(0));
    let way = RightOfWay::default();
    let waking = spawn_wake_behind(&way, &slices, &head);
    let mut tasks = JoinSet::new();
    for _ in 0..watchers {
        let mut woken = slices.join();
        tasks.spawn(async move {
            woken.changed().await.unwrap();
            time::Instant::now()
        });
    }
    settle().await;
    let (begun, passage) = (time::Instant::now(), way.take());
    head.send_replace(1);
    time::sleep(call).await;
    drop(passage);
    let told: Vec<_> = tasks.join_all().await.into_iter().map(|told| told - begun).collect();
    waking.abort();
    [told.iter().min(), told.iter().max()].map(|it| *it.unwrap())
}

#[tokio::test(start_paused = true)]
async fn many_watchers_are_told_after_the_call_is_answered_but_not_later_than_patience_allows_and_few_at_once() {
    let ms = Duration::from_millis;
    assert_eq!(told_behind_a_call(SLICE, ms(3)).await, [ms(0); 2]);
    assert_eq!(told_behind_a_call(SLICE + 1, ms(3)).await, [ms(4); 2]);
    assert_eq!(told_behind_a_call(10 * SLICE, ms(3)).await, [ms(4); 2]);
    assert_eq!(told_behind_a_call(10 * SLICE, ms(1_000)).await, [PATIENCE; 2]);
}

/// Follows `newest` as a watcher follows the window, until the last of the news.
async fn follow(mut woken: watch::Receiver<()>, newest: Arc<AtomicU64>) {
    loop {
        woken.borrow_and_update();
        if newest.load(Ordering::SeqCst) == NEWS {
            return;
        }
        woken.changed().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_misses_the_last_news_whoever_comes_and_goes() {
    let (slices, head) = (Arc::new(Slices::new(20 * SLICE)), watch::Sender::new(0));
    let (newest, waking) = (Arc::new(AtomicU64::new(0)), spawn_wake(&slices, &head));
    let mut tasks = JoinSet::new();
    for news in 1..=NEWS {
        tasks.spawn(follow(slices.join(), Arc::clone(&newest)));
        if news % 3 == 0 {
            let leaving = tokio::spawn(follow(slices.join(), Arc::clone(&newest)));
            task::yield_now().await;
            leaving.abort();
        }
        newest.store(news, Ordering::SeqCst);
        head.send_replace(news);
        if news % 7 == 0 {
            task::yield_now().await;
        }
    }
    let all = tokio::time::timeout(Duration::from_secs(30), tasks.join_all()).await;
    assert!(all.is_ok(), "a watcher waits for news that are there");
    waking.abort();
}

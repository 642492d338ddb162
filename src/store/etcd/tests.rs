//! What only several replicas can do, and what a replica leaves when it is cut off in the middle.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::super::api::{Cause, Retention};
use super::super::tests::etcd::Prefix;
use super::super::tests::support::etcd::{Cluster, Options};
use super::super::tests::{
    Place as _, account, account_id, at, commit, contents, environment, furnished, mutation, owned, puts, request,
};
use super::batch::lists;
use super::replica::Met;
use super::write::Pending;
use super::*;
use crate::model::credential::CredentialRole;
use crate::model::identity::Group;
use crate::model::mutation::Edit;
use crate::model::object::{Object, ObjectKey};

mod emptied;
mod overtaken;
mod silent;

/// Longer than anything here takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn open(place: &Prefix) -> EtcdStore {
    place.open_replica()
}

/// Waits until a replica has published a revision.
fn reaches(store: &dyn Store, revision: Revision) {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let mut head = store.watch();
    let reached = runtime.block_on(async { tokio::time::timeout(PATIENCE, head.wait_for(|it| *it >= revision)).await });
    reached.unwrap_or_else(|_| panic!("{} and not {revision}", store.state().revision)).unwrap();
    assert!(store.state().revision >= revision);
}

/// The error below the one of the store.
fn named(error: &StoreError) -> &EtcdError {
    let (StoreError::Remote { source, .. } | StoreError::FateUnknown { source, .. }) = error else {
        panic!("not of etcd: {error:?}")
    };
    let source: &Cause = source;
    source.downcast_ref().unwrap()
}

fn many(count: usize, name: &str) -> Vec<Edit> {
    puts((0..count).map(|number| environment(1, &format!("many{number}"), name)))
}

/// Whoever commits knows that this was the newest, without asking again.
#[test]
fn a_replica_is_as_young_as_its_last_commit() {
    let Some(place) = Prefix::new() else { return };
    let store = open(&place);
    commit(&store, puts([account(1, "A")])).unwrap();
    for number in 0..10 {
        let begun = Instant::now();
        store.commit(mutation(store.state().revision, many(1, &format!("name {number}")))).unwrap();
        let staleness = store.staleness();
        assert!(staleness <= begun.elapsed(), "{staleness:?} after {number}");
    }
}

/// A commit of `edits` at the head of a replica, planned and not written.
fn planned(store: &EtcdStore, edits: Vec<Edit>) -> (Stand, Step) {
    let stand = store.replica.stand();
    let step = plan(&stand.state, &mutation(stand.state.revision, edits)).unwrap().unwrap();
    (stand, step)
}

fn draft(step: &Step) -> Draft<'_> {
    Draft { commit: Uuid::new_v4(), entry: &step.entry, audit: &step.audit, answered: None }
}

#[test]
fn replicas_that_write_at_once_have_one_order() {
    const COMMITS: u8 = 40;
    let Some(place) = Prefix::new() else { return };
    drop(furnished(&place));
    let stores = [Arc::new(open(&place)), Arc::new(open(&place))];
    let write = |(index, store): (usize, &Arc<EtcdStore>)| {
        let (store, first) = (Arc::clone(store), 10 + u8::try_from(index).unwrap() * COMMITS);
        thread::spawn(move || (first..first + COMMITS).map(|number| insist(&*store, number)).collect::<Vec<_>>())
    };
    let writers: Vec<_> = stores.iter().enumerate().map(write).collect();
    let mut acknowledged: Vec<_> = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
    acknowledged.sort_unstable();
    let revisions: Vec<u64> = acknowledged.iter().map(|(revision, _)| revision.get()).collect();
    assert!(revisions.iter().copied().eq(2..2 + u64::from(COMMITS) * 2), "{revisions:?}");

    let head = Revision::new(1 + u64::from(COMMITS) * 2);
    let logs = stores.each_ref().map(|store| {
        reaches(&**store, head);
        store.changes_after(Revision::ZERO, usize::MAX).unwrap()
    });
    assert_eq!(logs[0], logs[1]);
    let states = stores.each_ref().map(|store| contents(&store.state()));
    assert_eq!(states[0], states[1]);
    let third = open(&place);
    assert_eq!(contents(&third.state()), states[0]);
    assert_eq!(third.changes_after(Revision::ZERO, usize::MAX).unwrap(), logs[0], "from etcd, not from memory");
    for (revision, number) in acknowledged {
        let made = owned(1, 1, number, number);
        assert_eq!(logs[0][usize::try_from(revision.get()).unwrap() - 1].subject, made.key());
        assert_eq!(third.state().record(&made.key()).unwrap().value, made);
    }
}

/// Commits user `number` until nobody was faster, and sees it at once.
fn insist(store: &dyn Store, number: u8) -> (Revision, u8) {
    loop {
        let made = owned(1, 1, number, number);
        match commit(store, puts([made.clone()])) {
            Err(StoreError::Conflict { head }) => assert!(head <= store.state().revision),
            other => {
                let revision = other.unwrap().revision;
                assert!(store.state().revision >= revision && store.state().record(&made.key()).is_some());
                return (revision, number);
            }
        }
    }
}

#[test]
fn a_large_commit_is_whole_to_every_other_replica() {
    const MANY: usize = 5_000;
    let Some(place) = Prefix::new() else { return };
    let writer = furnished(&place);
    let ended = Arc::new(AtomicBool::new(false));
    let follower = Arc::new(open(&place));
    let polls = {
        let (follower, ended) = (Arc::clone(&follower), Arc::clone(&ended));
        thread::spawn(move || {
            let mut last = Revision::ZERO;
            while !ended.load(Ordering::SeqCst) {
                let state = follower.state();
                assert!(state.revision >= last);
                last = state.revision;
                whole(&state, MANY);
            }
        })
    };
    let opens = {
        let (config, ended) = (place.config.clone(), Arc::clone(&ended));
        thread::spawn(move || {
            while !ended.load(Ordering::SeqCst) {
                whole(&EtcdStore::open(&config).unwrap().state(), MANY);
            }
        })
    };
    for form in 1..4 {
        commit(&*writer, many(MANY, &format!("n{form}"))).unwrap();
        commit(&*writer, vec![Edit::Put(account(2, &format!("n{form}")))]).unwrap();
    }
    reaches(&*follower, writer.state().revision);
    ended.store(true, Ordering::SeqCst);
    polls.join().unwrap();
    opens.join().unwrap();
    assert_eq!(contents(&follower.state()), contents(&writer.state()));
    assert_eq!(contents(&place.open().state()), contents(&writer.state()));
}

/// Of the many environments all are there, in one form, or none.
fn whole(state: &State, many: usize) {
    let environments = &state.account(account_id(1)).unwrap().environments;
    let mut forms: Vec<_> = environments.values().filter(|it| it.value.id.as_str().starts_with("many")).collect();
    assert!(forms.is_empty() || forms.len() == many, "{} of {many}", forms.len());
    forms.dedup_by_key(|it| (it.revision, it.value.name.clone()));
    assert!(forms.len() <= 1, "{} forms at {}", forms.len(), state.revision);
}

#[test]
fn what_a_writer_left_unwritten_is_seen_whole_and_written_by_the_next() {
    let Some(place) = Prefix::new() else { return };
    drop(furnished(&place));
    for cut in [0, 1, 2, 3] {
        let store = open(&place);
        // Each object twice, and an account that goes and comes back.
        let mut edits = many(250, "passing");
        edits.extend([Edit::Delete(ObjectKey::Account(account_id(2))), Edit::Put(account(2, &format!("back{cut}")))]);
        edits.extend(many(250, &format!("n{cut}")));
        let (stand, step) = planned(&store, edits);
        let fate = store.wait(store.replica.write(&draft(&step), stand.head_mod)).unwrap();
        assert!(matches!(fate, Fate::Done { pending: true, .. }), "{fate:?}");
        let lists = lists(&*step.entry.changes).unwrap();
        assert!(lists.len() > 4);
        leave_after(&store, step.revision(), lists.into_iter().take(cut).collect());
        drop(store);

        let expected = contents(&step.state);
        let second = open(&place);
        assert_eq!(contents(&second.state()), expected, "after {cut} lists");
        commit(&second, puts([account(3, &format!("n{cut}"))])).unwrap();
        let live = contents(&second.state());
        drop(second);
        assert_eq!(contents(&open(&place).state()), live, "after {cut} lists, and a commit");
    }
}

/// Writes lists of a pending commit, and no more.
fn leave_after(store: &EtcdStore, revision: Revision, lists: Vec<Vec<batch::Write>>) {
    let read = store.wait(async { Ok(store.replica.client.range(get(store.replica.keys.pending())).await.unwrap()) });
    let mut written = read.unwrap().kvs[0].mod_revision;
    for (number, list) in lists.into_iter().enumerate() {
        let done = Pending { revision, done: number + 1 };
        written = store.wait(store.replica.settle_list(written, &done, list, false)).unwrap().unwrap();
    }
}

#[test]
fn a_commit_that_is_sent_twice_is_made_once() {
    let Some(place) = Prefix::new() else { return };
    drop(furnished(&place));
    let store = open(&place);
    let (stand, step) = planned(&store, puts([account(3, "three")]));
    let sent = draft(&step);
    let write = |draft: &Draft<'_>| store.wait(store.replica.write(draft, stand.head_mod)).unwrap();
    let first = write(&sent);
    assert_eq!(write(&sent), first, "as if the first answer had been lost");
    assert_eq!(write(&draft(&step)), Fate::Beaten(Some(Revision::new(2))), "the same by somebody else");
    reaches(&store, Revision::new(2));
    assert_eq!(store.changes_after(Revision::ZERO, 10).unwrap().len(), 2);
}

#[test]
fn a_stale_replica_conflicts_and_is_then_at_the_head() {
    let Some(place) = Prefix::new() else { return };
    drop(furnished(&place));
    let (store, other) = (open(&place), open(&place));
    let (stand, step) = planned(&store, puts([account(3, "three")]));
    commit(&other, puts([account(4, "four")])).unwrap();
    let fate = store.wait(store.replica.write(&draft(&step), stand.head_mod)).unwrap();
    assert_eq!(fate, Fate::Beaten(Some(Revision::new(2))));
    assert_eq!(store.state().revision, Revision::new(2), "it was told what beat it");
    let made = mutation(Revision::new(1), puts([account(1, "one")]));
    for edits in [puts([account(3, "three")]), Vec::new(), made.edits] {
        // Whatever it has heard of by now: the head is at 2.
        let refused = store.commit(mutation(Revision::new(1), edits));
        assert!(matches!(refused, Err(StoreError::Conflict { head }) if head == Revision::new(2)), "{refused:?}");
    }
    assert_eq!(contents(&store.state()), contents(&other.state()));
}

#[test]
fn a_request_is_answered_by_every_replica() {
    let Some(place) = Prefix::new() else { return };
    drop(furnished(&place));
    let stores = [open(&place), open(&place)];
    let made = || Mutation { request: Some(request("r", 1)), ..mutation(Revision::new(1), puts([account(3, "x")])) };
    let first = stores[0].commit(made()).unwrap();
    for store in &stores {
        let replayed = store.replay(&request("r", 1)).unwrap().unwrap();
        assert_eq!((replayed.revision, replayed.effect), (first.revision, CommitEffect::Replayed));
        assert!(store.state().revision >= first.revision, "an answer is not ahead of the state");
        assert_eq!(store.commit(made()).unwrap().effect, CommitEffect::Replayed);
        let refused = store.replay(&request("r", 2));
        assert!(matches!(refused, Err(StoreError::RequestIdReused { .. })), "{refused:?}");
    }
}

#[test]
fn compaction_takes_the_parts_of_commits_that_were_beaten_too() {
    let Some(place) = Prefix::new() else { return };
    drop(furnished(&place));
    let (store, other) = (open(&place), open(&place));
    // Large enough for parts, which stay when the commit is beaten after they were written.
    let (stand, step) = planned(&store, many(2_000, "beaten"));
    let beaten = draft(&step);
    let log = document::Written::of(beaten.commit, at(0), beaten.entry).unwrap();
    assert!(!log.parts.is_empty());
    assert!(store.wait(store.replica.write_parts(&beaten, layout::Series::Log, &log, stand.head_mod)).unwrap());
    commit(&other, many(2_000, "first")).unwrap();
    assert_eq!(store.wait(store.replica.write(&beaten, stand.head_mod)).unwrap(), Fate::Beaten(None));
    reaches(&store, Revision::new(2));

    let forever = Duration::from_secs(1_000_000_000);
    store.compact(&Retention { commits: 0, requests: forever, audit: Duration::ZERO }, at(1_000)).unwrap();
    let keys = place.member.ctl(&["get", "--prefix", "--keys-only", &place.config.prefix]);
    let parts: Vec<_> = keys.lines().filter(|key| key.contains("parts")).collect();
    assert_eq!(parts, Vec::<&str>::new());
    assert_eq!(contents(&open(&place).state()), contents(&other.state()));
    let refused = store.changes_after(Revision::new(1), 1);
    assert!(matches!(refused, Err(StoreError::Compacted { .. })), "{refused:?}");
}

#[test]
fn a_replica_that_is_behind_the_start_of_the_log_reads_everything_anew() {
    let Some(place) = Prefix::new() else { return };
    drop(furnished(&place));
    let (behind, other) = (open(&place), open(&place));
    let before = behind.replica.stand();
    for number in 3..9 {
        commit(&other, puts([account(number, "n")])).unwrap();
    }
    let retention = Retention { commits: 2, requests: PATIENCE, audit: PATIENCE };
    other.compact(&retention, at(0)).unwrap();
    // As one that was cut off for a while: it stands where it stood, and knows nothing of what came since.
    let cut_off = Replica::new(
        Client::new(&place.config).unwrap(),
        Keys::new(&place.config.prefix),
        String::new(),
        other.replica.identity,
    );
    cut_off.replace(before, 0).unwrap();
    assert_eq!(cut_off.revision(), Revision::new(1));
    behind.wait(cut_off.catch_up()).unwrap();
    assert_eq!(contents(&cut_off.state()), contents(&other.state()));
}

fn credential(number: u8) -> CredentialRecord {
    CredentialRecord {
        public_id: format!("c{number}"),
        role: CredentialRole::Root,
        secret_sha256: [number; 32],
        created: at(0),
    }
}

#[test]
fn several_that_find_nothing_make_one_store() {
    let Some(place) = Prefix::new() else { return };
    let start = |_| {
        let config = place.config.clone();
        thread::spawn(move || EtcdStore::open(&config).unwrap())
    };
    let starting: Vec<_> = (0..4).map(start).collect();
    let stores: Vec<_> = starting.into_iter().map(|it| Arc::new(it.join().unwrap())).collect();
    assert!(stores.iter().all(|store| store.id() == stores[0].id()));

    let first = |(number, store): (usize, &Arc<EtcdStore>)| {
        let (store, made) = (Arc::clone(store), [credential(u8::try_from(number).unwrap())]);
        thread::spawn(move || (store.first_credentials(&made).unwrap(), made))
    };
    let making: Vec<_> = stores.iter().enumerate().map(first).collect();
    let made: Vec<_> = making.into_iter().map(|it| it.join().unwrap()).collect();
    let kept: Vec<_> = made.iter().filter(|(kept, _)| *kept).collect();
    assert_eq!(kept.len(), 1);
    assert!(stores.iter().all(|store| store.credentials().unwrap() == kept[0].1));
    // As if the answer had been lost.
    let winner = stores[0].first_credentials(&kept[0].1).unwrap();
    assert!(winner);
}

#[test]
fn keys_of_something_else_are_refused_and_left_alone() {
    let Some(place) = Prefix::new() else { return };
    let key = |name: &str| format!("{}{name}", place.config.prefix);
    let refused = || EtcdStore::open(&place.config).unwrap_err();
    place.member.ctl(&["put", &key("theirs"), "1"]);
    let problem = refused();
    assert!(matches!(problem, StoreError::Foreign { .. }), "{problem:?}");
    place.member.ctl(&["put", &key("meta"), "broken"]);
    let problem = refused();
    assert!(matches!(&problem, StoreError::Damaged { row, .. } if row == "meta"), "{problem:?}");
    let later = format!("\u{1}{{\"format\":\"2\",\"store\":\"{}\"}}", Uuid::new_v4());
    place.member.ctl(&["put", &key("meta"), &later]);
    let problem = refused();
    assert!(matches!(&problem, StoreError::Format { found, .. } if found == "2"), "{problem:?}");
    assert_eq!(
        place.member.ctl(&["get", "--prefix", "--keys-only", &place.config.prefix]).split_whitespace().count(),
        2
    );
}

#[test]
fn an_object_that_cannot_be_read_is_named() {
    let Some(place) = Prefix::new() else { return };
    drop(furnished(&place));
    let row = super::super::format::row(&account(1, "one").key());
    place.member.ctl(&["put", &format!("{}objects/{row}", place.config.prefix), "broken"]);
    let problem = EtcdStore::open(&place.config).unwrap_err();
    assert!(matches!(&problem, StoreError::Damaged { row: found, .. } if found.contains(&row)), "{problem:?}");
}

#[test]
fn an_object_that_etcd_cannot_hold_is_refused_before_anything_is_written() {
    let Some(place) = Prefix::new() else { return };
    let store = furnished(&place);
    let Object::Group(account, group) = owned(2, 1, 9, 9) else { panic!("a group") };
    let large = |bytes: usize| Object::Group(account, Group { description: "x".repeat(bytes), ..group.clone() });
    let refused = commit(&*store, puts([large(1_250_000)]));
    assert!(matches!(refused, Err(StoreError::Unencodable { .. })), "{refused:?}");
    commit(&*store, puts([large(1_200_000)])).unwrap();
    assert_eq!(contents(&place.open().state()), contents(&store.state()));
}

#[test]
fn a_replica_goes_on_over_restarts_and_compactions_of_etcd() {
    let Some(mut cluster) = Cluster::start(Options::SINGLE) else { return };
    let config = EtcdConfig::new(cluster.endpoints(), "/d");
    let (writer, follower) = (EtcdStore::open(&config).unwrap(), EtcdStore::open(&config).unwrap());
    commit(&writer, puts([account(1, "n")])).unwrap();
    reaches(&follower, Revision::new(1));
    for round in 0..3 {
        cluster.kill(0);
        let refused = EtcdStore::open(&EtcdConfig { patience: Duration::ZERO, ..config.clone() }).unwrap_err();
        assert!(matches!(named(&refused), EtcdError::Unreachable { .. }), "{refused:?}");
        assert_eq!(follower.state().revision, writer.state().revision, "the last state is served on");
        cluster.revive(0);
        for number in 0..5 {
            commit(&writer, puts([account(1, &format!("{round}.{number}"))])).unwrap();
        }
        let status: serde_json::Value = serde_json::from_str(&cluster.ctl(&["get", "x", "--write-out=json"])).unwrap();
        cluster.ctl(&["compact", &status["header"]["revision"].to_string()]);
        reaches(&follower, writer.state().revision);
        assert_eq!(contents(&follower.state()), contents(&writer.state()));
    }
    assert_eq!(follower.changes_after(Revision::ZERO, 100).unwrap().len(), 16);
}

#[test]
fn a_full_etcd_is_named_and_goes_on_when_there_is_space() {
    let Some(cluster) = Cluster::start(Options { quota: Some(16 * 1024 * 1024), ..Options::SINGLE }) else { return };
    let store = EtcdStore::open(&EtcdConfig::new(cluster.endpoints(), "/d")).unwrap();
    commit(&store, puts([account(1, "n")])).unwrap();
    let mut refused = None;
    for form in 0..100 {
        // Each in the place of the one before: what fills etcd is its history.
        if let Err(problem) = commit(&store, many(2_000, &format!("n{form}"))) {
            refused = Some(problem);
            break;
        }
    }
    let refused = refused.expect("a quota that is reached");
    assert!(matches!(named(&refused), EtcdError::NoSpace), "{refused:?}");
    let before = contents(&store.state());
    let again = commit(&store, puts([account(2, "n")])).unwrap_err();
    assert!(matches!(named(&again), EtcdError::NoSpace), "{again:?}");
    assert_eq!(contents(&store.state()), before);

    let status: serde_json::Value = serde_json::from_str(&cluster.ctl(&["get", "x", "--write-out=json"])).unwrap();
    cluster.ctl(&["compact", "--physical", &status["header"]["revision"].to_string()]);
    cluster.ctl(&["defrag"]);
    cluster.ctl(&["alarm", "disarm"]);
    commit(&store, puts([account(2, "n")])).unwrap();
    let forever = Duration::from_secs(1_000_000_000);
    store.compact(&Retention { commits: 1, requests: forever, audit: forever }, at(0)).unwrap();
    assert_eq!(
        contents(&EtcdStore::open(&EtcdConfig::new(cluster.endpoints(), "/d")).unwrap().state()),
        contents(&store.state())
    );
}

//! What a reader can do to a backup, and what becomes of a store that cannot be told.

use std::time::Duration;

use tokio_stream::StreamExt as _;

use super::chunks::CHUNK;
use super::*;
use crate::model::id::{AccountId, PolicyId};
use crate::model::level::Level;
use crate::model::object::{Object, Record};
use crate::model::policy::Policy;
use crate::model::revision::{Revision, StoreId};
use crate::store::dump::{Head, Row, Sink};

/// Bytes of a row, about.
const ROW: usize = 50_000;
const PATIENT: BackupLimits = BackupLimits { stall: Duration::from_mins(1), total: Duration::from_mins(1) };

/// How a store ends that was told.
type End = fn() -> Result<(), DumpError>;

/// A store with so many rows, after which comes `end`.
struct Source {
    rows: usize,
    end: End,
    /// How many rows it has told.
    told: watch::Sender<usize>,
}

impl Dump for Source {
    fn dump(&self, sink: &mut dyn Sink) -> Result<(), DumpError> {
        let revision = Revision::new(7);
        let head = Head { store: StoreId::random(), revision, log_start: revision, audit_start: revision };
        sink.head(&head)?;
        for _ in 0..self.rows {
            sink.row(row())?;
            self.told.send_modify(|told| *told += 1);
        }
        (self.end)()
    }
}

fn row() -> Row {
    let policy = Policy {
        id: PolicyId::from_bytes([1; 16]),
        level: Level::Account,
        name: "p".parse().unwrap(),
        description: String::new(),
        tags: Vec::new(),
        statements: "x".repeat(ROW),
    };
    let value = Object::Policy(AccountId::from_bytes([1; 16]), policy);
    Row::Object(Record {
        value,
        revision: Revision::new(1),
        created: jiff::Timestamp::UNIX_EPOCH,
        updated: jiff::Timestamp::UNIX_EPOCH,
    })
}

/// A service over a store with so many rows.
fn service(rows: usize, end: End, limits: BackupLimits) -> (BackupService, Arc<Source>) {
    let told = Arc::new(Source { rows, end, told: watch::Sender::new(0) });
    (BackupService::new(Arc::clone(&told) as _, Metrics::default(), limits), told)
}

type Answers = <BackupService as StoreService>::BackupStream;

async fn begin(service: &BackupService) -> Result<Answers, Status> {
    let mut request = Request::new(pb::BackupRequest {});
    request.extensions_mut().insert(Actor::credential("test"));
    service.backup(request).await.map(Response::into_inner)
}

/// Reads to the end: the chunks, and the status.
async fn read(mut answers: Answers) -> (Vec<Vec<u8>>, Code, String) {
    let mut chunks = Vec::new();
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(answer) => chunks.push(answer.chunk),
            Err(status) => {
                assert!(answers.next().await.is_none(), "nothing comes after {status:?}");
                return (chunks, status.code(), status.message().to_owned());
            }
        }
    }
    (chunks, Code::Ok, String::new())
}

/// Waits until no backup is under way.
async fn over(service: &BackupService) {
    let waited = tokio::time::timeout(PATIENT.total, service.places.acquire()).await;
    drop(waited.expect("the backup ends").unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_comes_in_bounded_chunks() {
    for rows in [0, 1, 30] {
        let (service, told) = service(rows, || Ok(()), PATIENT);
        let (chunks, code, _) = read(begin(&service).await.unwrap()).await;
        assert_eq!((code, *told.told.borrow()), (Code::Ok, rows));
        let lengths: Vec<_> = chunks.iter().map(Vec::len).collect();
        let (last, full) = lengths.split_last().unwrap();
        assert!(full.iter().all(|length| *length == CHUNK) && (1..=CHUNK).contains(last), "{lengths:?}");
        let bytes = chunks.concat();
        assert!(bytes.starts_with(b"doorward-backup\n") && bytes.len() > rows * ROW);
        over(&service).await;
        let page = service.metrics.open_metrics();
        assert!(page.contains("doorward_admin_calls_total{method=\"Backup\",code=\"OK\"} 1"), "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_takes_nothing_is_waited_for_and_then_left() {
    let stall = Duration::from_millis(200);
    for (limits, expected) in [
        (BackupLimits { stall, ..PATIENT }, "the reader of the backup took nothing for 0.2 seconds"),
        (BackupLimits { total: stall, ..PATIENT }, "the reader did not take the whole backup within 0.2 seconds"),
    ] {
        let (service, told) = service(1_000, || Ok(()), limits);
        let begun = Instant::now();
        let answers = begin(&service).await.unwrap();
        over(&service).await;
        assert!(begun.elapsed() >= stall);
        // Whatever the store holds: a chunk that waits, one that is to follow, and the row that does not fit.
        assert!(*told.told.borrow() * ROW <= 2 * CHUNK + ROW, "{}", *told.told.borrow());
        // It learns of that when it reads on, and never takes it for the end.
        let (chunks, code, message) = read(answers).await;
        assert_eq!((chunks.len(), code, message.as_str()), (1, Code::DeadlineExceeded, expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_backup_is_under_way_and_a_reader_that_goes_makes_room() {
    let (service, told) = service(1_000, || Ok(()), PATIENT);
    let mut answers = begin(&service).await.unwrap();
    answers.next().await.unwrap().unwrap();
    let refused = begin(&service).await.err().unwrap();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("another backup is under way"), "{refused:?}");
    drop(answers);
    over(&service).await;
    assert!(*told.told.borrow() < 1_000, "it is not told to the end for nobody");
    drop(begin(&service).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_process_is_the_end_of_a_backup() {
    let (service, _) = service(1_000, || Ok(()), PATIENT);
    let answers = begin(&service).await.unwrap();
    service.end();
    over(&service).await;
    for answers in [answers, begin(&service).await.unwrap()] {
        let (chunks, code, message) = read(answers).await;
        assert!(chunks.len() <= 1 && code == Code::Unavailable, "{code:?}");
        assert!(message.starts_with("the control plane ends"), "{message}");
    }
}

/// Driver texts go to the log, not to the wire; what the reader can do about it is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_told_ends_the_stream_with_the_reason() {
    let cases: [(End, Code, &str); 6] = [
        (
            || {
                let (row, source) = ("object `a`".to_owned(), "driver text".into());
                Err(StoreError::Damaged { place: "/secret/place".to_owned(), row, source }.into())
            },
            Code::DataLoss,
            "the store is damaged at object `a`",
        ),
        (
            || {
                let (row, problem) = ("table `log`".to_owned(), "rows are missing".to_owned());
                Err(DumpError::Damaged { place: "/secret/place".to_owned(), row, problem })
            },
            Code::DataLoss,
            "the store is damaged at table `log`",
        ),
        (
            || Err(StoreError::Failed { place: "/secret/place".to_owned(), source: "driver text".into() }.into()),
            Code::Unavailable,
            "cannot be read at the moment",
        ),
        (|| Err(DumpError::Compacted { place: "/secret/place".to_owned() }), Code::Aborted, "etcd compacted"),
        (|| Err(DumpError::Loading { place: "/secret/place".to_owned() }), Code::FailedPrecondition, "is being loaded"),
        (|| panic!("driver text"), Code::Internal, "failed inside Doorward"),
    ];
    for (end, expected, told) in cases {
        let (service, _) = service(30, end, PATIENT);
        let (chunks, code, message) = read(begin(&service).await.unwrap()).await;
        assert!(!chunks.is_empty(), "it came in the middle");
        assert!(code == expected && message.contains(told), "{code:?}: {message}");
        assert!(!message.contains("driver text") && !message.contains("/secret"), "{message}");
        over(&service).await;
    }
}

#[tokio::test]
async fn nobody_without_a_credential_begins_one() {
    let (service, _) = service(1, || Ok(()), PATIENT);
    let refused = service.backup(Request::new(pb::BackupRequest {})).await.err().unwrap();
    assert_eq!(refused.code(), Code::Unauthenticated);
}

//! What sidecars report, and whether a revision is everywhere (sentences 7 and 8).

use std::time::Duration;

use doorward::model::revision::StoreId;
use doorward::proto::doorward as pb;
use doorward::proto::doorward::sidecar_service_client::SidecarServiceClient;
use doorward::proto::doorward::watch_service_client::WatchServiceClient;
use tonic::{Code, Status};

use crate::control_plane::{InProcess, bearer, fields};
use crate::watcher::{Watcher, token};
use crate::{scope, two_accounts};

fn named(instance: &str) -> pb::WatchRequest {
    pb::WatchRequest { instance: instance.to_owned(), client: format!("of {instance}"), ..scope(&[(1, &[])]) }
}

async fn report(server: &InProcess, report: pb::ReportAppliedRequest) -> Result<(), Status> {
    let caller = server.caller_with(&[&bearer(&server.watch)]);
    WatchServiceClient::new(caller).report_applied(report).await.map(|_| ())
}

fn applied(instance: &str, token: &str) -> pb::ReportAppliedRequest {
    let (instance, applied) = (instance.to_owned(), token.to_owned());
    pb::ReportAppliedRequest { instance, applied, ..pb::ReportAppliedRequest::default() }
}

async fn await_applied(server: &InProcess, token: &str, seconds: i64) -> Result<pb::AwaitAppliedResponse, Status> {
    let timeout = Some(prost_types::Duration { seconds, nanos: 0 });
    let request = pb::AwaitAppliedRequest { revision_token: token.to_owned(), timeout };
    SidecarServiceClient::new(server.caller()).await_applied(request).await.map(tonic::Response::into_inner)
}

async fn sidecars(server: &InProcess) -> Vec<pb::Sidecar> {
    let request = pb::ListSidecarsRequest::default();
    let mut client = SidecarServiceClient::new(server.caller());
    client.list_sidecars(request).await.unwrap().into_inner().sidecars
}

#[tokio::test]
async fn a_revision_is_everywhere_once_each_sidecar_has_reported_it() {
    let server = two_accounts();
    let head = token(&server, server.revision());
    let alone = await_applied(&server, &head, 0).await.unwrap();
    assert_eq!((alone.everywhere, alone.sidecars), (true, 0));
    // One that does not report is nobody's business.
    let _silent = Watcher::open(&server).await;
    let _one = Watcher::open_with(&server, named("one")).await;
    let _two = Watcher::open_with(&server, named("two")).await;
    report(&server, applied("one", &head)).await.unwrap();
    report(&server, applied("two", &token(&server, 1))).await.unwrap();
    let behind = await_applied(&server, &head, 0).await.unwrap();
    let names: Vec<_> = behind.behind.iter().map(|it| it.instance.as_str()).collect();
    assert_eq!((behind.everywhere, behind.sidecars, names), (false, 2, vec!["two"]));
    let (waited, told) = tokio::join!(await_applied(&server, &head, 9), report(&server, applied("two", &head)));
    told.unwrap();
    assert!(waited.unwrap().everywhere);
    // A revision of another store says nothing of this one.
    report(&server, applied("two", &format!("{}.99", StoreId::random()))).await.unwrap();
    assert!(!await_applied(&server, &head, 0).await.unwrap().everywhere);
}

#[tokio::test]
async fn a_sidecar_that_goes_without_a_word_counts_until_it_was_away_for_long() {
    let server = two_accounts();
    let head = token(&server, server.revision());
    let mut one = Watcher::open_with(&server, named("one")).await;
    one.reset().await;
    drop(one);
    while sidecars(&server).await[0].connected {
        tokio::task::yield_now().await;
    }
    assert!(!await_applied(&server, &head, 0).await.unwrap().everywhere);
    server.clock.pass(Duration::from_secs(599));
    assert_eq!(sidecars(&server).await.len(), 1);
    server.clock.pass(Duration::from_secs(1));
    assert_eq!(await_applied(&server, &head, 0).await.unwrap().sidecars, 0);
    // One that says it goes is not waited for.
    let two = Watcher::open_with(&server, named("two")).await;
    let leaving = pb::ReportAppliedRequest { leaving: true, ..applied("two", "") };
    report(&server, leaving).await.unwrap();
    assert_eq!(sidecars(&server).await.len(), 1);
    drop(two);
    while !sidecars(&server).await.is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_sidecar_is_listed_with_what_it_said() {
    let server = two_accounts();
    let _one = Watcher::open_with(&server, named("one")).await;
    let _two = Watcher::open_with(&server, named("two")).await;
    let rejected = Some(pb::RejectedUpdate { revision: 7, reason: "it does not compile".to_owned() });
    let head = token(&server, server.revision());
    report(&server, pb::ReportAppliedRequest { rejected: rejected.clone(), ..applied("two", &head) }).await.unwrap();
    let listed = sidecars(&server).await;
    let told: Vec<_> =
        listed.iter().map(|it| (it.instance.as_str(), it.client.as_str(), it.connected, it.applied.as_str())).collect();
    assert_eq!(told, [("one", "of one", true, ""), ("two", "of two", true, head.as_str())]);
    assert_eq!((&listed[0].rejected, &listed[1].rejected), (&None, &rejected));
    assert_eq!(listed[0].accounts, named("one").accounts);
    let mut client = SidecarServiceClient::new(server.caller());
    let page = async |client: &mut SidecarServiceClient<_>, page_token: String| {
        let request = pb::ListSidecarsRequest { page_size: 1, page_token };
        client.list_sidecars(request).await.unwrap().into_inner()
    };
    let first = page(&mut client, String::new()).await;
    let second = page(&mut client, first.next_page_token).await;
    assert_eq!([&first.sidecars[0], &second.sidecars[0]].map(|it| it.instance.as_str()), ["one", "two"]);
    assert_eq!(second.next_page_token, "");
}

#[tokio::test]
async fn a_report_or_a_wait_that_cannot_be_is_refused() {
    let server = two_accounts();
    let _one = Watcher::open_with(&server, named("one")).await;
    let head = token(&server, server.revision());
    let refused = async |it: pb::ReportAppliedRequest| {
        report(&server, it).await.map_err(|status| (status.code(), fields(&status)))
    };
    let invalid = |field: &str| Err((Code::InvalidArgument, vec![field.to_owned()]));
    assert_eq!(refused(applied("", &head)).await, invalid("instance"));
    assert_eq!(refused(applied("one", "x")).await, invalid("applied"));
    let long = Some(pb::RejectedUpdate { revision: 1, reason: "x".repeat(1_025) });
    let long = pb::ReportAppliedRequest { rejected: long, ..applied("one", &head) };
    assert_eq!(refused(long).await, invalid("rejected.reason"));
    assert_eq!(refused(applied("other", &head)).await, Err((Code::NotFound, Vec::new())));
    let waited = async |token: &str, seconds| {
        await_applied(&server, token, seconds).await.map_err(|status| fields(&status)).err()
    };
    let field = |name: &str| Some(vec![name.to_owned()]);
    assert_eq!(waited(&head, 10).await, field("timeout"));
    assert_eq!(waited(&head, -1).await, field("timeout"));
    assert_eq!(waited("x", 0).await, field("revision_token"));
    assert_eq!(waited(&format!("{}.1", StoreId::random()), 0).await, field("revision_token"));
    // Who may only watch is not told of the others.
    let mut watching = SidecarServiceClient::new(server.caller_with(&[&bearer(&server.watch)]));
    let listed = watching.list_sidecars(pb::ListSidecarsRequest::default()).await;
    assert_eq!(listed.unwrap_err().code(), Code::PermissionDenied);
}

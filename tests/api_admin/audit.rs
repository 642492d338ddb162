//! What is told of changes.

use doorward::proto::doorward as pb;
use doorward::proto::doorward::audit_service_client::AuditServiceClient;
use tonic::{Code, Status};

use crate::control_plane::{bearer, fields};
use crate::nouns::{Accounts, Groups, How, Noun, PLAIN, Policies, Users, World};
use crate::{create, delete, update};

/// A page of events.
async fn list(world: &World, after: u64, size: i32, token: &str) -> Result<pb::ListAuditEventsResponse, Status> {
    let request = pb::ListAuditEventsRequest { after_revision: after, page_size: size, page_token: token.to_owned() };
    let answer = AuditServiceClient::new(world.caller()).list_audit_events(request).await;
    answer.map(tonic::Response::into_inner)
}

/// The newest event.
async fn newest(world: &World) -> pb::AuditEvent {
    let listed = list(world, world.server.revision() - 1, 0, "").await.unwrap();
    assert_eq!((listed.events.len(), listed.next_page_token.as_str()), (1, ""));
    listed.events.into_iter().next().unwrap()
}

fn user_of(object: Option<&pb::Object>) -> Option<pb::User> {
    match object?.object.as_ref()? {
        pb::object::Object::User(user) => Some(user.clone()),
        _ => None,
    }
}

#[tokio::test]
async fn a_change_is_told_with_who_when_before_and_after() {
    let world = World::new().await;
    let how = How { request_id: "mine".to_owned(), ..How::default() };
    let created = create::<Users>(&world, Users::sample(&world, 1), &how).await.unwrap();
    let event = newest(&world).await;
    assert_eq!(format!("{}.{}", world.server.store.id(), event.revision), created.revision_token);
    assert_eq!(event.actor, format!("credential:{}", world.server.root.public_id()));
    assert_eq!((event.request_id.as_str(), event.omitted, event.changes.len()), ("mine", 0, 1));
    let now = world.server.clock.now();
    assert_eq!(event.time.map(|time| (time.seconds, time.nanos)), Some((now.as_second(), now.subsec_nanosecond())));
    assert_eq!(user_of(event.changes[0].before.as_ref()), None);
    assert_eq!(user_of(event.changes[0].after.as_ref()), Some(created.form.clone()));

    let changed = Users::changed(&world, created.form.clone());
    let updated = update::<Users>(&world, &created.form, changed, PLAIN).await.unwrap();
    let event = newest(&world).await;
    assert_eq!(event.request_id, "");
    assert_eq!(user_of(event.changes[0].before.as_ref()), Some(created.form));
    assert_eq!(user_of(event.changes[0].after.as_ref()), Some(updated.form.clone()));

    delete::<Users>(&world, &updated.form, PLAIN).await.unwrap();
    let event = newest(&world).await;
    assert_eq!(user_of(event.changes[0].before.as_ref()), Some(updated.form));
    assert_eq!(event.changes[0].after, None);
}

#[tokio::test]
async fn a_refused_or_repeated_change_is_not_told() {
    let world = World::new().await;
    let how = How { request_id: "once".to_owned(), ..How::default() };
    create::<Groups>(&world, Groups::sample(&world, 1), &how).await.unwrap();
    let before = list(&world, 0, 1_000, "").await.unwrap();
    create::<Groups>(&world, Groups::sample(&world, 1), &how).await.unwrap();
    create::<Groups>(&world, Groups::sample(&world, 1), PLAIN).await.unwrap_err();
    assert_eq!(list(&world, 0, 1_000, "").await.unwrap(), before);
}

#[tokio::test]
async fn a_deleted_account_is_told_with_a_count_of_what_went_with_it() {
    let world = World::new().await;
    let account = Accounts::get(world.caller(), "", &world.account).await.unwrap().form;
    let owned = world.server.contents().1.len() - 2;
    let force = How { force: true, ..How::default() };
    delete::<Accounts>(&world, &account, &force).await.unwrap();
    let event = newest(&world).await;
    assert_eq!((event.changes.len(), event.omitted), (1, owned as u64));
    let before = event.changes[0].before.clone().unwrap();
    assert_eq!(before.object, Some(pb::object::Object::AccountObject(account)));
}

#[tokio::test]
async fn the_audit_comes_in_pages_that_hold_every_event_once() {
    let world = World::new().await;
    for number in 0..30 {
        world.make::<Groups>(Groups::sample(&world, number)).await;
    }
    let all = list(&world, 0, 1_000, "").await.unwrap().events;
    assert!(all.iter().map(|event| event.revision).eq(1..=world.server.revision()));
    for (after, size) in [(0, 1), (0, 7), (3, 20), (3, 1_000)] {
        let (mut found, mut token) = (Vec::new(), String::new());
        loop {
            let page = list(&world, after, size, &token).await.unwrap();
            assert!(page.events.len() <= usize::try_from(size).unwrap());
            found.extend(page.events);
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert!(found.iter().eq(all.iter().filter(|event| event.revision > after)), "{after} {size}");
    }
    assert_eq!(list(&world, world.server.revision(), 0, "").await.unwrap().events, []);
    assert_eq!(list(&world, u64::MAX, 0, "").await.unwrap().events, []);
}

#[tokio::test]
async fn a_page_that_would_grow_too_large_ends_earlier() {
    let world = World::new().await;
    let statement = format!("ALLOW settings:schemas:read WHERE settings:schemaId = \"{}\";\n", "x".repeat(1_000));
    let mut policy = world
        .make::<Policies>(pb::Policy {
            name: "Large".to_owned(),
            statements: statement.repeat(60),
            ..Default::default()
        })
        .await;
    for number in 0..20 {
        let next = pb::Policy { description: number.to_string(), ..policy.clone() };
        policy = update::<Policies>(&world, &policy, next, PLAIN).await.unwrap().form;
    }
    let page = list(&world, 0, 1_000, "").await.unwrap();
    assert!(prost::Message::encoded_len(&page) < 2 * 1024 * 1024);
    assert!(!page.next_page_token.is_empty());
}

#[tokio::test]
async fn a_wrong_page_or_credential_is_refused() {
    let world = World::new().await;
    let first = list(&world, 0, 1, "").await.unwrap();
    for (after, size, token, field) in [
        (0, -1, "", "page_size"),
        (0, 1_001, "", "page_size"),
        (1, 1, first.next_page_token.as_str(), "page_token"),
        (0, 1, "nonsense", "page_token"),
    ] {
        let status = list(&world, after, size, token).await.unwrap_err();
        assert_eq!((status.code(), fields(&status)), (Code::InvalidArgument, vec![field.to_owned()]), "{status:?}");
    }
    let watch = bearer(&world.server.watch);
    let stranger = world.server.caller_with(&[watch.as_str()]);
    let refused = AuditServiceClient::new(stranger).list_audit_events(pb::ListAuditEventsRequest::default()).await;
    assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
}

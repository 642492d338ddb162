//! Who may call, and what may come in.

use doorward::identity::credential::{Credential, RANDOM_BYTES};
use doorward::proto::doorward as pb;
use doorward::proto::doorward::store_service_client::StoreServiceClient;
use tonic::{Code, Status};

use crate::control_plane::{Caller, MESSAGE_BYTES, bearer};
use crate::nouns::{
    Accounts, Bindings, Boundaries, Environments, Groups, Noun, PLAIN, Policies, ServiceUsers, TEMPLATE, Users, World,
};
use crate::refused;

/// One call of each service.
async fn knock(world: &World, caller: &Caller) -> Vec<Status> {
    let (account, id, key) = (&world.account, crate::NOBODY, crate::NOTHING);
    let group = Groups::sample(world, 1);
    let refusals = [
        Accounts::list(caller.clone(), account, 1, "").await.err(),
        Environments::get(caller.clone(), account, "prod").await.err(),
        Users::delete(caller.clone(), account, id, PLAIN).await.err(),
        ServiceUsers::list(caller.clone(), account, 1, "").await.err(),
        Groups::create(caller.clone(), account, group, PLAIN).await.err(),
        Policies::list(caller.clone(), account, 1, "").await.err(),
        Boundaries::get(caller.clone(), account, id).await.err(),
        Bindings::get(caller.clone(), account, key).await.err(),
        StoreServiceClient::new(caller.clone()).backup(pb::BackupRequest {}).await.err(),
    ];
    refusals.into_iter().map(|status| status.expect("a refusal")).collect()
}

#[tokio::test]
async fn every_service_asks_for_the_root_credential() {
    let world = World::new().await;
    let server = &world.server;
    let (root, watch) = (bearer(&server.root), bearer(&server.watch));
    let secret = server.root.reveal();
    let stranger = Credential::from_random(&[9; RANDOM_BYTES]);
    let mistyped = root.replace('E', "F");
    // The public id of one credential with the secret of another: its checksum cannot be right.
    let mixed = format!("Bearer dwa01.{}.{}", server.root.public_id(), secret.rsplit('.').next().unwrap());
    let mixed = mixed.replace(server.root.public_id(), server.other_root.public_id());
    let cut = root.strip_suffix(|_: char| true).unwrap();
    let cases: [(&str, &[&str], Code); 12] = [
        ("no header", &[], Code::Unauthenticated),
        ("two headers", &[&root, &root], Code::Unauthenticated),
        ("two schemes", &[&root, "Basic eA=="], Code::Unauthenticated),
        ("an empty header", &[""], Code::Unauthenticated),
        ("no scheme", &[&secret], Code::Unauthenticated),
        ("another scheme", &[&format!("Basic {secret}")], Code::Unauthenticated),
        ("nothing behind the scheme", &["Bearer "], Code::Unauthenticated),
        ("a cut credential", &[cut], Code::Unauthenticated),
        ("a mistyped credential", &[&mistyped], Code::Unauthenticated),
        ("a mixed credential", &[&mixed], Code::Unauthenticated),
        ("a credential of another store", &[&bearer(&stranger)], Code::Unauthenticated),
        ("the watch credential", &[&watch], Code::PermissionDenied),
    ];
    let before = server.contents();
    for (case, headers, code) in cases {
        for status in knock(&world, &server.caller_with(headers)).await {
            assert_eq!(status.code(), code, "{case}: {status:?}");
            let told = format!("{status:?} {status}");
            for credential in [&server.root, &server.other_root, &server.watch, &stranger] {
                let secret = credential.reveal();
                let secret = secret.rsplit('.').next().unwrap();
                assert!(!told.contains(secret), "{case}: {told}");
            }
        }
    }
    assert_eq!(server.contents(), before);
}

#[tokio::test]
async fn the_scheme_is_read_in_any_case() {
    let world = World::new().await;
    for scheme in ["bearer", "BEARER"] {
        let header = format!("{scheme} {}", world.server.root.reveal());
        let caller = world.server.caller_with(&[&header]);
        Accounts::get(caller, "", &world.account).await.unwrap();
    }
}

#[tokio::test]
async fn a_message_past_the_limit_is_refused_and_one_below_it_is_read() {
    let world = World::new().await;
    let policy = |bytes: usize| pb::Policy {
        name: "Large".to_owned(),
        statements: format!("{TEMPLATE}//{}", "x".repeat(bytes)),
        ..pb::Policy::default()
    };
    let send = async |bytes| Policies::create(world.caller(), &world.account, policy(bytes), PLAIN).await;
    let large = refused(&world, Code::OutOfRange, send(5 * 1024 * 1024)).await;
    assert!(large.message().contains(&MESSAGE_BYTES.to_string()), "the limit is named: {large}");
    // Below the limit of messages the limit of the text is told, by its field.
    let long = refused(&world, Code::InvalidArgument, send(3 * 1024 * 1024)).await;
    assert_eq!(crate::fields(&long), ["policy.statements"]);
}

//! `doorward.v1.DecisionAdminService`: questions that show what is granted to others.

use std::collections::BTreeMap;

use doorward::model::mutation::Edit;
use doorward::model::object::Object;
use doorward::proto::doorward as pb;
use doorward::proto::doorward::decision_admin_service_client::DecisionAdminServiceClient;
use doorward::proto::doorward::effective_permissions_request::Entity;
use doorward::proto::doorward::user_service_client::UserServiceClient;
use tonic::{Code, Response, Status};

use crate::control_plane::{Caller, InProcess, bearer, fields};
use crate::{ACCOUNT, ADA, CREW, SCHEMA, STATE, attributes, state};

/// A control plane that holds the state.
fn plane() -> InProcess {
    let server = InProcess::start();
    let records: Vec<_> = state(STATE).records().map(|record| record.value).collect();
    server.commit(records.into_iter().filter(|object| !matches!(object, Object::Global(_))).map(Edit::Put));
    server
}

async fn explain(caller: Caller, request: pb::ExplainRequest) -> Result<pb::ExplainResponse, Status> {
    DecisionAdminServiceClient::new(caller).explain(request).await.map(Response::into_inner)
}

async fn who_can(caller: Caller, request: pb::WhoCanRequest) -> Result<pb::WhoCanResponse, Status> {
    DecisionAdminServiceClient::new(caller).who_can(request).await.map(Response::into_inner)
}

async fn effective(
    caller: Caller,
    request: pb::EffectivePermissionsRequest,
) -> Result<pb::EffectivePermissionsResponse, Status> {
    DecisionAdminServiceClient::new(caller).effective_permissions(request).await.map(Response::into_inner)
}

fn explaining(permission: &str) -> pb::ExplainRequest {
    pb::ExplainRequest {
        account: ACCOUNT.to_owned(),
        user: ADA.to_owned(),
        environment: "prod".to_owned(),
        permission: permission.to_owned(),
        ..pb::ExplainRequest::default()
    }
}

fn asking(permission: &str) -> pb::WhoCanRequest {
    pb::WhoCanRequest {
        account: ACCOUNT.to_owned(),
        environment: "prod".to_owned(),
        permission: permission.to_owned(),
        ..pb::WhoCanRequest::default()
    }
}

fn listing(entity: Entity) -> pb::EffectivePermissionsRequest {
    pb::EffectivePermissionsRequest {
        account: ACCOUNT.to_owned(),
        entity: Some(entity),
        environment: "prod".to_owned(),
        ..pb::EffectivePermissionsRequest::default()
    }
}

fn ada() -> Entity {
    Entity::User(ADA.to_owned())
}

#[tokio::test]
async fn each_call_needs_the_root_credential() {
    let server = plane();
    let watch = bearer(&server.watch);
    for (headers, code) in [(vec![], Code::Unauthenticated), (vec![watch.as_str()], Code::PermissionDenied)] {
        let caller = || server.caller_with(&headers);
        let refusals = [
            explain(caller(), explaining("settings:schemas:read")).await.err(),
            who_can(caller(), asking("settings:schemas:read")).await.err(),
            effective(caller(), listing(ada())).await.err(),
        ];
        for status in refusals {
            assert_eq!(status.unwrap().code(), code);
        }
    }
}

#[tokio::test]
async fn an_explanation_tells_every_statement() {
    let server = plane();
    let asked =
        pb::ExplainRequest { attributes: attributes(SCHEMA, &["vault:x"]), ..explaining("settings:objects:write") };
    let answer = explain(server.caller(), asked).await.unwrap();
    assert_eq!(answer.decision(), pb::Decision::Deny);
    assert_eq!(answer.reason.as_ref().unwrap().code(), pb::ReasonCode::DenyStatement);
    assert_eq!((answer.revision, answer.truncated), (server.revision(), false));
    let told: Vec<_> =
        answer.statements.iter().map(|it| (it.effect(), it.statement, it.truth(), it.standing())).collect();
    let expected = [
        (pb::StatementEffect::Deny, 2, pb::Truth::True, pb::Standing::Decided),
        (pb::StatementEffect::Allow, 3, pb::Truth::True, pb::Standing::Overruled),
    ];
    assert_eq!(told, expected);
    let condition = pb::Condition {
        name: SCHEMA.to_owned(),
        operator: "startsWith".to_owned(),
        values: vec!["vault:".to_owned()],
        any_match: false,
        retired: false,
    };
    let explained = pb::ExplainedCondition {
        alternatives: vec![condition],
        said: pb::Said::Values.into(),
        values: vec!["vault:x".to_owned()],
        values_left_out: 0,
        truth: pb::Truth::True.into(),
    };
    assert_eq!(answer.statements[0].conditions, [explained]);
    let binding = answer.statements[0].binding.clone().unwrap();
    assert_eq!((binding.group_id.as_str(), binding.level.as_str()), (CREW, "account"));

    let open = explain(server.caller(), explaining("settings:objects:write")).await.unwrap();
    let first = &open.statements[0];
    assert_eq!((first.truth(), first.standing()), (pb::Truth::Unknown, pb::Standing::Decided));
    assert_eq!(first.conditions[0].said(), pb::Said::Nothing);

    let elsewhere = explain(server.caller(), explaining("automation:rules:read")).await.unwrap();
    assert_eq!(elsewhere.statements[0].standing(), pb::Standing::Elsewhere);
    assert_eq!(elsewhere.reason.unwrap().code(), pb::ReasonCode::NoMatch);

    let role = explain(server.caller(), explaining("environment:roles:viewer")).await.unwrap();
    let role = &role.statements[0];
    assert_eq!(
        (role.permission.as_str(), role.standing()),
        ("environment:roles:manage-settings", pb::Standing::Unsettled)
    );
}

#[tokio::test]
async fn an_explanation_is_for_the_time_that_was_asked() {
    let server = plane();
    let ask = async |seconds: Option<i64>| {
        let time = seconds.map(|seconds| prost_types::Timestamp { seconds, nanos: 0 });
        explain(server.caller(), pb::ExplainRequest { time, ..explaining("automation:calendars:read") }).await
    };
    assert_eq!(ask(None).await.unwrap().decision(), pb::Decision::Allow);
    let at_midnight = ask(Some(0)).await.unwrap();
    assert_eq!(at_midnight.decision(), pb::Decision::Deny);
    let conditions = &at_midnight.statements[0].conditions;
    assert_eq!(conditions[0].values, ["1970-01-01T00:00:00Z"]);
    assert_eq!((conditions[0].truth(), conditions[1].truth()), (pb::Truth::False, pb::Truth::True));
    let refused = ask(Some(i64::MAX)).await.unwrap_err();
    assert_eq!((refused.code(), fields(&refused)), (Code::InvalidArgument, vec!["time".to_owned()]));
}

#[tokio::test]
async fn what_a_request_said_is_repeated_in_part() {
    let server = plane();
    let many: Vec<String> = (0..25).map(|number| format!("{number}{}", "é".repeat(200))).collect();
    let attributes = BTreeMap::from([(SCHEMA.to_owned(), pb::AttributeValues { values: many })]);
    let answer = explain(server.caller(), pb::ExplainRequest { attributes, ..explaining("settings:objects:read") });
    let condition = &answer.await.unwrap().statements[0].conditions[0];
    assert_eq!((condition.values.len(), condition.values_left_out), (20, 5));
    assert!(condition.values.iter().all(|value| value.len() <= 256 + '…'.len_utf8() && value.ends_with('…')));
}

#[tokio::test]
async fn users_who_can_come_page_by_page() {
    let server = plane();
    let ask = async |request| who_can(server.caller(), request).await.unwrap();
    let emails = |answer: &pb::WhoCanResponse| answer.users.iter().map(|it| it.email.clone()).collect::<Vec<_>>();
    let crew = [ADA, "cleo@example.com", "robot@example.com"];
    let all = ask(asking("settings:schemas:read")).await;
    assert_eq!((emails(&all), all.next_page_token.as_str()), (crew.map(str::to_owned).to_vec(), ""));
    assert!(all.users.iter().all(|it| it.granted == "true" && it.reason.is_some()));
    let first = ask(pb::WhoCanRequest { page_size: 2, ..asking("settings:schemas:read") }).await;
    assert_eq!(emails(&first), crew[..2]);
    let page_token = first.next_page_token.clone();
    let second = ask(pb::WhoCanRequest { page_size: 2, page_token, ..asking("settings:schemas:read") }).await;
    assert_eq!(
        (emails(&second), second.next_page_token.as_str()),
        (crew[2..].iter().map(ToString::to_string).collect(), "")
    );

    assert!(ask(asking("settings:objects:read")).await.users.is_empty());
    let open = ask(pb::WhoCanRequest { include_conditional: true, ..asking("settings:objects:read") }).await;
    assert!(open.users.len() == 3 && open.users.iter().all(|it| it.granted == "condition" && it.reason.is_none()));
    let told = pb::WhoCanRequest { attributes: attributes(SCHEMA, &["a"]), ..asking("settings:objects:read") };
    assert_eq!(emails(&ask(told).await), crew);
}

#[tokio::test]
async fn a_question_about_users_looks_at_so_many_of_them() {
    let server = plane();
    let added = (0..10_001_u32).map(|number| {
        let email = format!("extra{number}@example.com").parse().unwrap();
        let mut bytes = [0xF0; 16];
        bytes[12..].copy_from_slice(&number.to_be_bytes());
        let id = doorward::model::id::UserId::from_bytes(bytes);
        let (kind, state) = (doorward::model::identity::UserKind::Local, doorward::model::identity::UserState::Active);
        let groups = doorward::model::identity::GroupIds::default();
        let user = doorward::model::identity::User { id, email, name: None, kind, state, groups };
        Edit::Put(Object::User(ACCOUNT.parse().unwrap(), user))
    });
    server.commit(added);
    let page = async |page_token| {
        let request = pb::WhoCanRequest { page_token, ..asking("settings:schemas:read") };
        who_can(server.caller(), request).await.unwrap()
    };
    let first = page(String::new()).await;
    assert_eq!((first.users.len(), first.next_page_token.is_empty()), (3, false));
    let second = page(first.next_page_token).await;
    assert_eq!((second.users.len(), second.next_page_token.as_str()), (0, ""));
}

#[tokio::test]
async fn a_listing_of_effects_says_where_they_come_from() {
    let server = plane();
    let answer = effective(server.caller(), listing(ada())).await.unwrap();
    let names: Vec<_> = answer.permissions.iter().map(|it| it.permission.as_str()).collect();
    let expected = [
        "automation:calendars:read",
        "environment:roles:manage-settings",
        "environment:roles:viewer",
        "settings:objects:read",
        "settings:objects:write",
        "settings:schemas:read",
        "storage:logs:read",
    ];
    assert_eq!(names, expected);
    let find = |name: &str| answer.permissions.iter().find(|it| it.permission == name).unwrap();
    let write = &find("settings:objects:write").effects;
    let effects: Vec<_> = write.iter().map(|it| (it.effect(), it.conditions.len(), it.sources[0].statement)).collect();
    assert_eq!(effects, [(pb::StatementEffect::Deny, 1, 2), (pb::StatementEffect::Allow, 0, 3)]);
    let source = &write[0].sources[0];
    assert_eq!(source.policy.as_ref().unwrap().name, "Crew policy");
    assert_eq!(source.binding.as_ref().unwrap().group_id, CREW);
    let viewer = &find("environment:roles:viewer").effects[0];
    assert_eq!(viewer.implied_by, "environment:roles:manage-settings");
    let logs = &find("storage:logs:read").effects[0].conditions[0];
    assert_eq!((logs.operator.as_str(), logs.values.as_slice()), ("MATCH", &["a${literal:*}-*".to_owned()][..]));

    let group = Entity::GroupId(CREW.to_owned());
    assert_eq!(effective(server.caller(), listing(group)).await.unwrap().permissions, answer.permissions);
    let dan = Entity::User("dan@example.com".to_owned());
    assert!(effective(server.caller(), listing(dan)).await.unwrap().permissions.is_empty());
    // A listing is no decision: the state of a user plays no part.
    let ben = Entity::User("ben@example.com".to_owned());
    assert_eq!(effective(server.caller(), listing(ben)).await.unwrap().permissions, answer.permissions);
    let test = pb::EffectivePermissionsRequest { environment: "test".to_owned(), ..listing(ada()) };
    let test = pb::EffectivePermissionsRequest { services: vec!["automation".to_owned()], ..test };
    let there = effective(server.caller(), test).await.unwrap();
    assert_eq!(
        there.permissions.iter().map(|it| it.permission.as_str()).collect::<Vec<_>>(),
        ["automation:calendars:read", "automation:rules:read",]
    );
    let mut paged = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = pb::EffectivePermissionsRequest { page_size: 3, page_token, ..listing(ada()) };
        let page = effective(server.caller(), request).await.unwrap();
        paged.extend(page.permissions);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(paged, answer.permissions);
}

#[tokio::test]
async fn a_question_that_cannot_be_used_names_its_field() {
    let server = plane();
    let text = str::to_owned;
    let other = || text("9c0e1d0a-5d0f-4a57-9d5c-0d5f1f6f3a99");
    let base = || explaining("settings:schemas:read");
    let rows = [
        (pb::ExplainRequest { account: String::new(), ..base() }, "account"),
        (pb::ExplainRequest { account: other(), ..base() }, "account"),
        (pb::ExplainRequest { user: String::new(), ..base() }, "user"),
        (pb::ExplainRequest { environment: text("nowhere"), ..base() }, "environment"),
        (pb::ExplainRequest { level: text("account"), ..base() }, "level"),
        (explaining("no:such:permission"), "permission"),
        (pb::ExplainRequest { attributes: attributes("global:date", &["x"]), ..base() }, "attributes.global:date"),
    ];
    for (request, field) in rows {
        let status = explain(server.caller(), request).await.unwrap_err();
        assert_eq!((status.code(), fields(&status)), (Code::InvalidArgument, vec![field.to_owned()]));
    }
    let base = || asking("settings:schemas:read");
    let rows = [
        (pb::WhoCanRequest { account: text("x"), ..base() }, "account"),
        (pb::WhoCanRequest { account: other(), ..base() }, "account"),
        (pb::WhoCanRequest { environment: text("nowhere"), ..base() }, "environment"),
        (asking("no:such:permission"), "permission"),
        (asking(""), "permission"),
        (pb::WhoCanRequest { page_size: 1_001, ..base() }, "page_size"),
        (pb::WhoCanRequest { page_token: text("0.0"), ..base() }, "page_token"),
    ];
    for (request, field) in rows {
        let status = who_can(server.caller(), request).await.unwrap_err();
        assert_eq!((status.code(), fields(&status)), (Code::InvalidArgument, vec![field.to_owned()]));
    }
    let base = || listing(ada());
    let rows = [
        (pb::EffectivePermissionsRequest { account: other(), ..base() }, "account"),
        (pb::EffectivePermissionsRequest { entity: None, ..base() }, "user"),
        (listing(Entity::User(text("nobody"))), "user"),
        (listing(Entity::GroupId(text("x"))), "group_id"),
        (listing(Entity::GroupId(other())), "group_id"),
        (pb::EffectivePermissionsRequest { environment: String::new(), ..base() }, "environment"),
        (pb::EffectivePermissionsRequest { environment: text("nowhere"), ..base() }, "environment"),
        (pb::EffectivePermissionsRequest { services: vec![text("a"); 101], ..base() }, "services"),
        (pb::EffectivePermissionsRequest { page_size: -1, ..base() }, "page_size"),
    ];
    for (request, field) in rows {
        let status = effective(server.caller(), request).await.unwrap_err();
        assert_eq!((status.code(), fields(&status)), (Code::InvalidArgument, vec![field.to_owned()]));
    }
}

#[tokio::test]
async fn an_unknown_user_is_a_denial_that_tells_nothing_else() {
    let server = plane();
    let request = pb::ExplainRequest { user: "nobody@example.com".to_owned(), ..explaining("settings:schemas:read") };
    let answer = explain(server.caller(), request).await.unwrap();
    assert_eq!((answer.decision(), answer.statements.len()), (pb::Decision::Deny, 0));
    assert_eq!(answer.reason.unwrap().code(), pb::ReasonCode::UnknownSubject);
}

#[tokio::test]
async fn a_write_is_visible_to_the_next_question() {
    let server = plane();
    let caller = server.caller();
    let users = async || who_can(caller.clone(), asking("settings:schemas:read")).await.unwrap();
    let before = users().await;
    let user =
        pb::User { email: "eve@example.com".to_owned(), group_ids: vec![CREW.to_owned()], ..pb::User::default() };
    let request = pb::CreateUserRequest { account: ACCOUNT.to_owned(), user: Some(user), request_id: String::new() };
    UserServiceClient::new(caller.clone()).create_user(request).await.unwrap();
    let after = users().await;
    assert_eq!((after.users.len(), after.revision), (before.users.len() + 1, before.revision + 1));
}

//! Boundaries: their texts, and what a change of one does to the bindings that name it.

use doorward::proto::doorward as pb;
use doorward::proto::doorward::account_service_client::AccountServiceClient;
use doorward::proto::doorward::binding_service_client::BindingServiceClient;
use tonic::Code;

use crate::control_plane::{fields, violations};
use crate::nouns::{Bindings, Boundaries, How, Noun, PLAIN, Policies, World};
use crate::{create, delete, get, refused, update};

const HOST: &str = r#"storage:host.name = "h";"#;
const MONDAY: &str = r#"global:week-day = "Monday";"#;
const UNTIL: &str = r#"global:date < "${bindParam:until}";"#;
/// Bytes of the longest text.
const QUERY_BYTES: usize = 16 * 1024;

fn named(name: &str, query: &str) -> pb::Boundary {
    pb::Boundary { name: name.to_owned(), query: query.to_owned(), ..pb::Boundary::default() }
}

fn with(boundary: &pb::Boundary, query: &str) -> pb::Boundary {
    pb::Boundary { query: query.to_owned(), ..boundary.clone() }
}

/// A binding within one boundary.
fn within(world: &World, boundary: &pb::Boundary, parameters: &[(&str, &str)]) -> pb::Binding {
    let parameters = [("team", "a")].iter().chain(parameters);
    pb::Binding {
        boundary_ids: vec![boundary.id.clone()],
        parameters: parameters.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        ..Bindings::sample(world, 1)
    }
}

/// The statements of a binding as they count.
async fn statements(world: &World, binding: &pb::Binding) -> Vec<String> {
    let request = pb::PreviewBindingRequest { account: world.account.clone(), binding: Some(binding.clone()) };
    let preview = BindingServiceClient::new(world.caller()).preview_binding(request).await.unwrap().into_inner();
    preview.statements.into_iter().map(|statement| statement.text).collect()
}

/// A new text for a boundary is refused, each problem with its code and a word of it.
async fn check_change(world: &World, boundary: &pb::Boundary, query: &str, expected: &[(&str, &str)]) {
    let changed = update::<Boundaries>(world, boundary, with(boundary, query), PLAIN);
    let found = violations(&refused(world, Code::InvalidArgument, changed).await);
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for ((field, problem), (code, word)) in found.iter().zip(expected) {
        assert_eq!(field, "boundary.query", "{problem}");
        assert!(problem.starts_with(&format!("{code}: ")) && problem.contains(word), "{code} {word}: {problem}");
    }
}

#[tokio::test]
async fn a_text_is_kept_byte_for_byte_up_to_its_limit() {
    let world = World::new().await;
    let line = "\t global:week-day IN (\"Monday\" ,\"Friday\")\r\n// ü 🚢\n";
    let text = |bytes: usize| format!("{line}//{}", "x".repeat(bytes - line.len() - 2));
    for (name, query) in [("short", line.to_owned()), ("longest", text(QUERY_BYTES))] {
        let made = create::<Boundaries>(&world, named(name, &query), PLAIN).await.unwrap();
        assert_eq!((&made.form.query, made.warnings), (&query, Vec::new()));
        assert_eq!(get::<Boundaries>(&world, &made.form).await.unwrap().form.query, query);
    }
    let long = create::<Boundaries>(&world, named("long", &text(QUERY_BYTES + 1)), PLAIN);
    let found = violations(&refused(&world, Code::InvalidArgument, long).await);
    let told =
        |(field, problem): &(String, String)| field == "boundary.query" && problem.starts_with("text_too_long: ");
    assert!(matches!(&found[..], [one] if told(one)), "{found:?}");
}

#[tokio::test]
async fn each_error_of_a_text_is_reported_with_line_and_column() {
    let world = World::new().await;
    let query = "storage:host.name = \"h\";\n  a:b = \"x\";\nglobal:week-day startsWith \"Monday\";\n";
    let made = create::<Boundaries>(&world, named("wrong", query), PLAIN);
    let found = violations(&refused(&world, Code::InvalidArgument, made).await);
    assert!(found.iter().all(|(field, _)| field == "boundary.query"), "{found:?}");
    let told: Vec<_> = found.iter().map(|(_, problem)| problem.as_str()).collect();
    for (problem, beginning) in
        told.iter().zip(["unknown_condition: line 2, column 3: ", "operator_not_supported: line 3, column 17: "])
    {
        assert!(problem.starts_with(beginning), "{beginning} in {told:?}");
    }
    assert_eq!(told.len(), 2, "{told:?}");
    let nameless = create::<Boundaries>(&world, named("", ""), PLAIN);
    let both = fields(&refused(&world, Code::InvalidArgument, nameless).await);
    assert_eq!(both, ["boundary.name", "boundary.query"], "together");
}

#[tokio::test]
async fn what_is_accepted_with_a_warning_is_told() {
    let world = World::new().await;
    let range = "global:date > \"2026-01-01Z\";\n  global:date < \"2026-02-01Z\";";
    let made = create::<Boundaries>(&world, named("range", range), PLAIN).await.unwrap();
    let told = |one: &String| one.starts_with("`query`: line 2, column 3: ") && one.ends_with("[boundary_range_split]");
    assert!(matches!(&made.warnings[..], [one] if told(one)), "{:?}", made.warnings);
    let renamed = pb::Boundary { name: "anew".to_owned(), ..made.form.clone() };
    assert_eq!(update::<Boundaries>(&world, &made.form, renamed, PLAIN).await.unwrap().warnings, made.warnings);
}

#[tokio::test]
async fn a_change_of_a_bound_boundary_acts_at_once_and_tells_what_it_leaves_open() {
    let world = World::new().await;
    let boundary = world.make::<Boundaries>(named("days", MONDAY)).await;
    let binding = world.make::<Bindings>(within(&world, &boundary, &[])).await;
    let statement = |more: &str| format!("ALLOW storage:buckets:read WHERE storage:bucket-name MATCH (\"a_x\"){more};");
    assert_eq!(statements(&world, &binding).await, [statement(r#" AND global:week-day = "Monday""#)]);

    let friday = with(&boundary, &MONDAY.replace("Monday", "Friday"));
    let changed = update::<Boundaries>(&world, &boundary, friday, PLAIN).await.unwrap();
    assert_eq!(changed.warnings, [""; 0]);
    assert_eq!(statements(&world, &binding).await, [statement(r#" AND global:week-day = "Friday""#)]);
    assert_eq!(get::<Bindings>(&world, &binding).await.unwrap().form, binding, "the binding itself is as it was");

    let open = update::<Boundaries>(&world, &boundary, with(&boundary, HOST), PLAIN).await.unwrap();
    let told = |one: &String| one.contains("`days`") && one.ends_with("[boundary_leaves_unrestricted]");
    assert!(matches!(&open.warnings[..], [one] if told(one)), "{:?}", open.warnings);
    assert_eq!(statements(&world, &binding).await, [statement("")]);
}

#[tokio::test]
async fn a_change_that_does_not_suit_a_binding_is_refused() {
    let world = World::new().await;
    let boundary = world.make::<Boundaries>(named("until", UNTIL)).await;
    let free = update::<Boundaries>(&world, &boundary, with(&boundary, MONDAY), PLAIN).await;
    free.expect("a boundary that no binding names has any parameters");
    update::<Boundaries>(&world, &boundary, with(&boundary, UNTIL), PLAIN).await.unwrap();
    let binding = world.make::<Bindings>(within(&world, &boundary, &[("until", "2026-05-03Z")])).await;

    check_change(&world, &boundary, MONDAY, &[("parameters_changed", "`until`")]).await;
    check_change(&world, &boundary, &UNTIL.replace("until", "end"), &[("parameters_changed", "`end`")]).await;
    let time_of_day = UNTIL.replace("global:date", "global:time-of-day");
    check_change(&world, &boundary, &time_of_day, &[("binding_invalid", &binding.key)]).await;
    check_change(&world, &boundary, "", &[("empty_boundary", "")]).await;
    let later = update::<Boundaries>(&world, &boundary, with(&boundary, &UNTIL.replace('<', ">")), PLAIN).await;
    assert_eq!(later.unwrap().warnings, [""; 0], "what suits is taken");
}

#[tokio::test]
async fn a_change_that_makes_a_binding_too_large_is_refused() {
    let world = World::new().await;
    let statements = "ALLOW storage:logs:read;".repeat(100);
    let policy = pb::Policy { name: "Large".to_owned(), statements, ..pb::Policy::default() };
    let policy = world.make::<Policies>(policy).await;
    // Lines of one name are joined by OR, each pick being a statement: 4 × 3 × 3 of each of the policy's.
    let names = ["storage:host.name", "storage:log.source", "storage:k8s.cluster.name"];
    let lines: Vec<_> = (0..10).map(|n| format!("{} = \"{n}\";\n", names[n % 3])).collect();
    let wide = lines.concat();
    let mut boundary_ids = Vec::new();
    for name in ["one", "two"] {
        boundary_ids.push(world.make::<Boundaries>(named(name, &wide)).await.id);
    }
    let narrow = world.make::<Boundaries>(named("narrow", HOST)).await;
    boundary_ids.push(narrow.id.clone());
    let binding = pb::Binding { policy_id: policy.id, boundary_ids, ..Bindings::sample(&world, 1) };
    let binding = world.make::<Bindings>(binding).await;
    // 100 × (36 + 36 + 1) is below 10,000, 100 × 3 × 36 is not.
    check_change(&world, &narrow, &wide, &[("expansion_too_large", &binding.key)]).await;
}

#[tokio::test]
async fn a_boundary_in_use_stays_until_no_binding_names_it() {
    let world = World::new().await;
    let boundary = world.make::<Boundaries>(named("days", MONDAY)).await;
    let binding = world.make::<Bindings>(within(&world, &boundary, &[])).await;
    for how in [PLAIN, &How { expected_revision: boundary.metadata.as_ref().unwrap().revision, ..How::default() }] {
        let status = refused(&world, Code::FailedPrecondition, delete::<Boundaries>(&world, &boundary, how)).await;
        assert!(status.message().contains(&boundary.id) && status.message().contains("1 bindings"), "{status:?}");
    }
    delete::<Bindings>(&world, &binding, PLAIN).await.unwrap();
    delete::<Boundaries>(&world, &boundary, PLAIN).await.unwrap();
    refused(&world, Code::NotFound, get::<Boundaries>(&world, &boundary)).await;
}

#[tokio::test]
async fn the_boundary_of_one_account_is_none_of_another() {
    let world = World::new().await;
    let other = world.server.account("Other").await;
    let boundary = world.make::<Boundaries>(named("days", MONDAY)).await;
    Boundaries::create(world.caller(), &other, named("days", MONDAY), PLAIN)
        .await
        .expect("a name is unique in its account only");
    let foreign = Boundaries::list(world.caller(), &other, 0, "").await.unwrap().0;
    assert!(foreign.iter().all(|it| it.id != boundary.id) && foreign.len() == 1, "{foreign:?}");
    let bound = Bindings::create(
        world.caller(),
        &world.account,
        pb::Binding { boundary_ids: vec![foreign[0].id.clone()], ..Bindings::sample(&world, 1) },
        PLAIN,
    );
    let refused = refused(&world, Code::InvalidArgument, bound).await;
    assert_eq!(fields(&refused), ["binding.boundary_ids[0]"], "another account's boundary is none");
}

#[tokio::test]
async fn who_makes_an_account_strict_or_loose_is_told_what_that_does() {
    let world = World::new().await;
    // No condition of it is known to `storage:buckets:read`.
    let host = world.make::<Boundaries>(named("host", HOST)).await;
    create::<Bindings>(&world, within(&world, &host, &[]), PLAIN).await.unwrap();
    let change = async |strict_boundaries: bool| {
        let account =
            pb::Account { id: world.account.clone(), name: "Harbour".to_owned(), strict_boundaries, metadata: None };
        let request = pb::UpdateAccountRequest { account: Some(account), ..pb::UpdateAccountRequest::default() };
        AccountServiceClient::new(world.caller()).update_account(request).await.unwrap().into_inner().warnings
    };
    for (strict, code) in [(true, "[boundary_copy_dropped]"), (false, "[boundary_leaves_unrestricted]")] {
        let warnings = change(strict).await;
        assert!(matches!(&warnings[..], [one] if one.contains("`host`") && one.ends_with(code)), "{warnings:?}");
        assert_eq!(change(strict).await, Vec::<String>::new(), "nothing is otherwise than before");
    }
}

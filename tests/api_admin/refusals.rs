//! Fields that cannot be as they were given: each is named as the message spells it, and nothing is changed.

use doorward::proto::doorward as pb;
use tonic::Code;

use crate::control_plane::{fields, violations};
use crate::nouns::{
    Accounts, Bindings, Boundaries, Environments, Groups, Noun, PLAIN, Policies, ServiceUsers, TEMPLATE, Users, World,
};
use crate::{NOBODY, create, refused, update};

/// A resource with one thing wrong is refused with these fields, when it is made and, where `old` is given, replaced.
async fn check<N: Noun>(world: &World, form: N::Form, expected: &[&str]) {
    let made = create::<N>(world, form.clone(), PLAIN);
    assert_eq!(fields(&refused(world, Code::InvalidArgument, made).await), expected, "{form:?}");
}

/// The same of an update of `old`.
async fn check_update<N: Noun>(world: &World, old: &N::Form, form: N::Form, expected: &[&str]) {
    let updated = update::<N>(world, old, form.clone(), PLAIN);
    assert_eq!(fields(&refused(world, Code::InvalidArgument, updated).await), expected, "{form:?}");
}

/// Each text of a resource in turn is given `bad`.
async fn check_texts<N: Noun>(world: &World, bad: &str, texts: &Texts<N::Form>) {
    for (field, set) in texts {
        let mut form = N::sample(world, 1);
        set(&mut form, bad);
        let made = create::<N>(world, form, PLAIN);
        // A text of the language may be wrong in more than one place.
        let mut found = fields(&refused(world, Code::InvalidArgument, made).await);
        found.dedup();
        assert_eq!(found, [*field]);
    }
}

type Texts<F> = [(&'static str, fn(&mut F, &str))];

const ACCOUNT_TEXTS: &Texts<pb::Account> = &[
    ("account.id", |it, text| text.clone_into(&mut it.id)),
    ("account.name", |it, text| text.clone_into(&mut it.name)),
];
const ENVIRONMENT_TEXTS: &Texts<pb::Environment> = &[
    ("environment.id", |it, text| text.clone_into(&mut it.id)),
    ("environment.name", |it, text| text.clone_into(&mut it.name)),
];
const USER_TEXTS: &Texts<pb::User> = &[
    ("user.id", |it, text| text.clone_into(&mut it.id)),
    ("user.email", |it, text| text.clone_into(&mut it.email)),
    ("user.name", |it, text| text.clone_into(&mut it.name)),
    ("user.group_ids[1]", |it, text| it.group_ids.push(text.to_owned())),
];
const SERVICE_USER_TEXTS: &Texts<pb::ServiceUser> = &[
    ("service_user.id", |it, text| text.clone_into(&mut it.id)),
    ("service_user.email", |it, text| text.clone_into(&mut it.email)),
    ("service_user.name", |it, text| text.clone_into(&mut it.name)),
    ("service_user.description", |it, text| text.clone_into(&mut it.description)),
    ("service_user.group_ids[1]", |it, text| it.group_ids.push(text.to_owned())),
];
const GROUP_TEXTS: &Texts<pb::Group> = &[
    ("group.id", |it, text| text.clone_into(&mut it.id)),
    ("group.name", |it, text| text.clone_into(&mut it.name)),
    ("group.description", |it, text| text.clone_into(&mut it.description)),
    ("group.federated_attribute_values[2]", |it, text| it.federated_attribute_values.push(text.to_owned())),
];
const POLICY_TEXTS: &Texts<pb::Policy> = &[
    ("policy.id", |it, text| text.clone_into(&mut it.id)),
    ("policy.environment", |it, text| text.clone_into(&mut it.environment)),
    ("policy.name", |it, text| text.clone_into(&mut it.name)),
    ("policy.description", |it, text| text.clone_into(&mut it.description)),
    ("policy.tags[2]", |it, text| it.tags.push(text.to_owned())),
    ("policy.statements", |it, text| text.clone_into(&mut it.statements)),
];
const BOUNDARY_TEXTS: &Texts<pb::Boundary> = &[
    ("boundary.id", |it, text| text.clone_into(&mut it.id)),
    ("boundary.name", |it, text| text.clone_into(&mut it.name)),
    ("boundary.query", |it, text| text.clone_into(&mut it.query)),
];
const BINDING_TEXTS: &Texts<pb::Binding> = &[
    ("binding.policy_id", |it, text| text.clone_into(&mut it.policy_id)),
    ("binding.group_id", |it, text| text.clone_into(&mut it.group_id)),
    ("binding.environment", |it, text| text.clone_into(&mut it.environment)),
    ("binding.boundary_ids[0]", |it, text| it.boundary_ids.push(text.to_owned())),
];

#[tokio::test]
async fn a_nul_byte_is_refused_in_every_id_and_name() {
    let world = World::new().await;
    let nul = "a\0b";
    check_texts::<Accounts>(&world, nul, ACCOUNT_TEXTS).await;
    check_texts::<Environments>(&world, nul, ENVIRONMENT_TEXTS).await;
    check_texts::<Users>(&world, nul, USER_TEXTS).await;
    check_texts::<ServiceUsers>(&world, nul, SERVICE_USER_TEXTS).await;
    check_texts::<Groups>(&world, nul, GROUP_TEXTS).await;
    check_texts::<Policies>(&world, nul, POLICY_TEXTS).await;
    check_texts::<Boundaries>(&world, nul, BOUNDARY_TEXTS).await;
    check_texts::<Bindings>(&world, nul, BINDING_TEXTS).await;
}

/// Each field of a request that is no resource is given `nul`; `expected` names those of a read, the first may be empty.
async fn check_request<N: Noun>(world: &World, nul: &str, expected: [&str; 2]) {
    let [account, id] = expected;
    let got = N::get(world.caller(), nul, nul);
    let wanted: Vec<_> = [account, id].into_iter().filter(|field| !field.is_empty()).collect();
    assert_eq!(fields(&refused(world, Code::InvalidArgument, got).await), wanted);
    let gone = N::delete(world.caller(), nul, nul, PLAIN);
    assert_eq!(fields(&refused(world, Code::InvalidArgument, gone).await), wanted);
    if !account.is_empty() {
        let listed = N::list(world.caller(), nul, 1, "");
        assert_eq!(fields(&refused(world, Code::InvalidArgument, listed).await), ["account"]);
        let made = N::create(world.caller(), nul, N::sample(world, 1), PLAIN);
        assert_eq!(fields(&refused(world, Code::InvalidArgument, made).await), ["account"]);
    }
}

#[tokio::test]
async fn a_nul_byte_is_refused_in_every_field_of_a_request() {
    let world = World::new().await;
    let nul = "a\0b";
    check_request::<Accounts>(&world, nul, ["", "id"]).await;
    check_request::<Environments>(&world, nul, ["account", "id"]).await;
    check_request::<Users>(&world, nul, ["account", "id"]).await;
    check_request::<ServiceUsers>(&world, nul, ["account", "id"]).await;
    check_request::<Groups>(&world, nul, ["account", "id"]).await;
    check_request::<Policies>(&world, nul, ["account", "id"]).await;
    check_request::<Boundaries>(&world, nul, ["account", "id"]).await;
    check_request::<Bindings>(&world, nul, ["account", "key"]).await;
}

/// At the limit a text is kept, one past it it is refused.
async fn check_limit<N: Noun>(world: &World, field: &str, limit: usize, set: fn(&mut N::Form, String)) {
    let mut form = N::sample(world, 1);
    set(&mut form, "ü".repeat(limit + 1));
    check::<N>(world, form, &[field]).await;
    let mut form = N::sample(world, 1);
    set(&mut form, "ü".repeat(limit));
    let made = world.make::<N>(form).await;
    crate::delete::<N>(world, &made, PLAIN).await.unwrap();
}

#[tokio::test]
async fn texts_at_their_limit_are_kept_and_one_past_it_refused() {
    let world = World::new().await;
    // Names and descriptions count characters, of which each is two bytes here.
    check_limit::<Accounts>(&world, "account.name", 255, |it, text| it.name = text).await;
    check_limit::<Environments>(&world, "environment.name", 255, |it, text| it.name = text).await;
    check_limit::<Users>(&world, "user.name", 255, |it, text| it.name = text).await;
    check_limit::<Users>(&world, "user.email", 160, |it, text| it.email = text).await;
    check_limit::<ServiceUsers>(&world, "service_user.name", 255, |it, text| it.name = text).await;
    check_limit::<ServiceUsers>(&world, "service_user.description", 1_024, |it, text| it.description = text).await;
    check_limit::<Groups>(&world, "group.name", 255, |it, text| it.name = text).await;
    check_limit::<Groups>(&world, "group.description", 1_024, |it, text| it.description = text).await;
    check_limit::<Policies>(&world, "policy.name", 255, |it, text| it.name = text).await;
    check_limit::<Policies>(&world, "policy.description", 1_024, |it, text| it.description = text).await;
    check_limit::<Boundaries>(&world, "boundary.name", 255, |it, text| it.name = text).await;
    // A parameter's value counts bytes.
    let set = |it: &mut pb::Binding, text| it.parameters = [("team".to_owned(), text)].into();
    check_limit::<Bindings>(&world, "binding.parameters.team", 512, set).await;
    let set = |it: &mut pb::Binding, text| it.labels = [("x".to_owned(), text)].into();
    check_limit::<Bindings>(&world, "binding.labels.x", 512, set).await;
}

#[tokio::test]
async fn ids_have_one_spelling() {
    let world = World::new().await;
    for id in
        ["7F1C2C1E-3A52-4B7C-9A51-0D2F6F3B8E44", "7f1c2c1e3a524b7c9a510d2f6f3b8e44", &NOBODY.replace("4b7c", "1b7c")]
    {
        check::<Users>(&world, pb::User { id: id.to_owned(), ..Users::sample(&world, 1) }, &["user.id"]).await;
    }
    for id in ["Prod", "a_b", "a.b", &"x".repeat(65)] {
        let environment = pb::Environment { id: id.to_owned(), ..Environments::sample(&world, 1) };
        check::<Environments>(&world, environment, &["environment.id"]).await;
    }
    let longest = pb::Environment { id: "x".repeat(64), ..Environments::sample(&world, 1) };
    world.make::<Environments>(longest).await;
}

#[tokio::test]
async fn several_wrong_fields_are_reported_together() {
    let world = World::new().await;
    let ids = pb::Binding {
        policy_id: "x".to_owned(),
        group_id: String::new(),
        environment: "Prod".to_owned(),
        ..pb::Binding::default()
    };
    check::<Bindings>(&world, ids, &["binding.policy_id", "binding.group_id", "binding.environment"]).await;
    let dangling = pb::Binding {
        policy_id: NOBODY.to_owned(),
        group_id: NOBODY.to_owned(),
        environment: "nowhere".to_owned(),
        ..pb::Binding::default()
    };
    check::<Bindings>(&world, dangling, &["binding.group_id", "binding.environment", "binding.policy_id"]).await;
    let user = pb::User {
        id: "x".to_owned(),
        state: 99,
        origin: 99,
        group_ids: vec![world.group.clone(), "x".to_owned(), "y".to_owned()],
        ..Users::sample(&world, 1)
    };
    let expected = ["user.id", "user.state", "user.origin", "user.group_ids[1]", "user.group_ids[2]"];
    check::<Users>(&world, user, &expected).await;
    let user = pb::User {
        email: String::new(),
        name: "a\0b".to_owned(),
        group_ids: vec![world.group.clone(), NOBODY.to_owned()],
        ..Users::sample(&world, 1)
    };
    check::<Users>(&world, user, &["user.email", "user.name", "user.group_ids[1]"]).await;
    let group = pb::Group {
        name: String::new(),
        description: "\0".to_owned(),
        federated_attribute_values: vec![String::new()],
        ..Groups::sample(&world, 1)
    };
    let expected = ["group.name", "group.description", "group.federated_attribute_values[0]"];
    check::<Groups>(&world, group, &expected).await;
    check::<Groups>(&world, pb::Group { owner: 99, ..Groups::sample(&world, 1) }, &["group.owner"]).await;
}

#[tokio::test]
async fn each_error_of_a_policy_is_reported_with_line_and_column() {
    let world = World::new().await;
    let statements = "ALLOW settings:schemas:reed;\nALLOW settings:schemas:read WHERE a:b = \"x\";\n  GRANT x;\n";
    let policy = pb::Policy { statements: statements.to_owned(), ..Policies::sample(&world, 1) };
    let made = create::<Policies>(&world, policy, PLAIN);
    let found = violations(&refused(&world, Code::InvalidArgument, made).await);
    let places: Vec<_> = found.iter().map(|(field, text)| (field.as_str(), text.contains("line "))).collect();
    assert_eq!(places, [("policy.statements", true); 3], "{found:?}");
    for (place, code) in [
        ("line 1, column 7:", "unknown_permission"),
        ("line 2, column 35:", "unknown_condition"),
        ("line 3, column 3:", "expected_effect"),
    ] {
        assert!(found.iter().any(|(_, text)| text.contains(place) && text.contains(code)), "{place} in {found:?}");
    }
}

#[tokio::test]
async fn what_is_accepted_with_a_warning_is_told() {
    let world = World::new().await;
    let policy = pb::Policy {
        statements: r#"DENY settings:objects:read WHERE settings:schemaId != "a";"#.to_owned(),
        ..Policies::sample(&world, 1)
    };
    let made = create::<Policies>(&world, policy.clone(), PLAIN).await.unwrap();
    let told = |one: &String| one.contains("line 1, column") && one.ends_with(" [deny_negative_absent]");
    assert!(matches!(&made.warnings[..], [one] if told(one)), "{:?}", made.warnings);
    let again = pb::Policy { description: String::new(), ..made.form.clone() };
    assert_eq!(update::<Policies>(&world, &made.form, again, PLAIN).await.unwrap().warnings, made.warnings);

    let mut binding = Bindings::sample(&world, 1);
    binding.parameters = [("team".to_owned(), "a*".to_owned()), ("surplus".to_owned(), "kept".to_owned())].into();
    let made = create::<Bindings>(&world, binding.clone(), PLAIN).await.unwrap();
    assert_eq!(made.form.parameters, binding.parameters);
    assert_eq!(made.warnings.len(), 2, "{:?}", made.warnings);
    assert!(made.warnings[0].contains("`surplus`") && made.warnings[1].contains("`team`"), "{:?}", made.warnings);
    binding.labels = [("another".to_owned(), "binding".to_owned())].into();
    let updated = update::<Bindings>(&world, &made.form, binding, PLAIN).await.unwrap();
    assert_eq!(updated.warnings, made.warnings);
}

#[tokio::test]
async fn what_cannot_change_is_refused() {
    let world = World::new().await;
    let user = world.make::<Users>(Users::sample(&world, 1)).await;
    let other = pb::User { email: "other@example.com".to_owned(), ..user.clone() };
    check_update::<Users>(&world, &user, other, &["user.email"]).await;
    let left_out = pb::User { email: String::new(), name: "Ben".to_owned(), ..user.clone() };
    let updated = update::<Users>(&world, &user, left_out, PLAIN).await.unwrap().form;
    assert_eq!(updated.email, user.email, "an e-mail that is left out stays");
    let robot = world.make::<ServiceUsers>(ServiceUsers::sample(&world, 1)).await;
    let other = pb::ServiceUser { email: "other@example.com".to_owned(), ..robot.clone() };
    check_update::<ServiceUsers>(&world, &robot, other, &["service_user.email"]).await;
    let policy = world.make::<Policies>(Policies::sample(&world, 1)).await;
    for environment in ["", "nowhere"] {
        let moved = pb::Policy { environment: environment.to_owned(), level: String::new(), ..policy.clone() };
        check_update::<Policies>(&world, &policy, moved, &["policy.environment"]).await;
    }
}

#[tokio::test]
async fn a_binding_that_does_not_fit_its_policy_is_refused_by_its_fields() {
    let world = World::new().await;
    let missing = pb::Binding { parameters: [].into(), ..Bindings::sample(&world, 1) };
    check::<Bindings>(&world, missing, &["binding.parameters.team"]).await;
    let local = world.make::<Policies>(Policies::sample(&world, 1)).await;
    // A policy of an environment counts there and nowhere else: what is wrong is where the binding is.
    let elsewhere = pb::Binding {
        policy_id: local.id.clone(),
        environment: String::new(),
        parameters: [].into(),
        ..Bindings::sample(&world, 1)
    };
    check::<Bindings>(&world, elsewhere.clone(), &["binding.environment"]).await;
    let there = world.make::<Bindings>(pb::Binding { environment: "prod".to_owned(), ..elsewhere.clone() }).await;
    check_update::<Bindings>(&world, &there, elsewhere, &["binding.environment"]).await;
}

#[tokio::test]
async fn trap_13_the_parameters_of_a_bound_policy_stay() {
    let world = World::new().await;
    world.make::<Bindings>(Bindings::sample(&world, 1)).await;
    let template = Policies::get(world.caller(), &world.account, &world.policy).await.unwrap().form;
    let renamed = pb::Policy { statements: TEMPLATE.replace("team", "crew"), ..template.clone() };
    check_update::<Policies>(&world, &template, renamed, &["policy.statements"]).await;
}

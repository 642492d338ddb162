//! The sentences of rules §8 about the state file. A refusal is told as its paths and codes, in the order of the file.

use super::node::{Format, Value, parse};
use super::{Loaded, load};
use crate::model::defaults::Defaults;
use crate::model::identity::{GroupOwner, UserState};
use crate::model::level::Level;
use crate::model::mutation::Edit;
use crate::model::object::Object;
use crate::model::policy::Policy;
use crate::model::state::AccountState;

const ID: &str = "7f1c2c1e-3a52-4b7c-9a51-0d2f6f3b8e44";
const OTHER_ID: &str = "8f1c2c1e-3a52-4b7c-9a51-0d2f6f3b8e44";

/// The file of rules §8, but for the boundary on its binding.
const EXAMPLE: &str = r#"
account: {id: 1c0e1d0a-5d0f-4a57-9d5c-0d5f1f6f3a11, name: Example, strictBoundaries: false}
environments:
  - {id: abc12345, name: Production}
groups:                                   # a comment
  - {name: Operators, description: "", owner: LOCAL}
users:
  - {email: ada@example.com, name: Ada, state: active, groups: [Operators]}
serviceUsers:
  - {name: deployer, email: deployer@service.example, groups: [Operators]}
policies:
  - {name: Settings reader, level: account, description: "", tags: [], statements: 'ALLOW settings:objects:read WHERE settings:schemaId = "${bindParam:schema}";'}
  - {name: Local one, level: environment, environment: abc12345, statements: "ALLOW settings:schemas:read;"}
boundaries:
  - {name: Only Mondays, query: 'global:week-day = "Monday";'}
bindings:
  - {policy: Settings reader, group: Operators, level: environment, environment: abc12345, parameters: {schema: "builtin:x"}, metadata: {}}
catalogue:
  - {permission: shop:orders:read, conditions: [{name: shop:region, operators: ["=", IN], anyMatch: false}]}
"#;

const READ: &str = "statements: 'ALLOW settings:objects:read;'";

fn load_yaml(text: &str) -> Result<Loaded, Vec<super::FileProblem>> {
    load(text, Format::of("state.yaml", text), jiff::Timestamp::UNIX_EPOCH)
}

/// Sections after an account.
fn file(sections: &str) -> String {
    format!("account: {{name: Example}}\n{sections}\n")
}

#[track_caller]
fn loaded(text: &str) -> Loaded {
    load_yaml(text).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn owned(loaded: &Loaded) -> &AccountState {
    loaded.state.account(loaded.account).unwrap()
}

/// The whole file, and what is wrong with it.
#[track_caller]
fn check_whole(text: &str, expected: &[&str]) {
    let problems = load_yaml(text).err().unwrap_or_default();
    let told: Vec<_> = problems.iter().map(|it| format!("{} {}", it.path, it.code)).collect();
    assert_eq!(told, expected, "{problems:#?}");
}

#[track_caller]
fn check(sections: &str, expected: &[&str]) {
    check_whole(&file(sections), expected);
}

#[test]
fn the_example_of_the_rules_is_accepted() {
    let loaded = loaded(EXAMPLE);
    let owned = owned(&loaded);
    assert_eq!(loaded.account.to_string(), "1c0e1d0a-5d0f-4a57-9d5c-0d5f1f6f3a11");
    assert_eq!((owned.environments.len(), owned.groups.len(), owned.users.len()), (1, 2, 2));
    assert_eq!(
        (owned.policies.len(), owned.boundaries.len(), owned.bindings.len(), owned.catalogue.len()),
        (2, 1, 1, 1)
    );
    assert_eq!(loaded.state.revision.get(), 1);
    assert_eq!(loaded.edits.len(), 11);
    assert!(matches!(loaded.edits.first(), Some(Edit::Put(Object::Account(_)))));
}

#[test]
fn json_says_the_same_as_yaml() {
    let json = r#"{"account": {"name": "Example"}, "groups": [{"name": "Operators"}], "users": [{"email": "a", "groups": ["Operators"]}]}"#;
    let yaml = "account: {name: Example}\ngroups: [{name: Operators}]\nusers: [{email: a, groups: [Operators]}]\n";
    assert_eq!(loaded(json).edits, loaded(yaml).edits);
}

#[test]
fn the_same_file_gives_the_same_ids() {
    let text = file("groups: [{name: A}]\nusers: [{email: a}]\nserviceUsers: [{name: a}]");
    assert_eq!(loaded(&text).edits, loaded(&text).edits);
    let other = loaded(&text.replace("Example", "Another"));
    assert_ne!(other.account, loaded(&text).account);
    let id = |loaded: &Loaded| *owned(loaded).group_by_name("A").map(|group| &group.value.id).unwrap();
    assert_ne!(id(&other), id(&loaded(&text)));
    assert_eq!(id(&other).to_string().as_bytes()[14], b'4');
}

#[test]
fn an_id_is_kept_when_given_and_must_be_a_uuid_v4() {
    let loaded = loaded(&file(&format!("groups: [{{id: {ID}, name: A}}]")));
    assert_eq!(owned(&loaded).group_by_name("A").unwrap().value.id.to_string(), ID);
    check("groups: [{id: 7f1c2c1e-3a52-1b7c-9a51-0d2f6f3b8e44, name: A}]", &["groups[0].id invalid"]);
    check("groups: [{id: '', name: A}]", &["groups[0].id invalid"]);
}

#[test]
fn an_environment_needs_its_id() {
    check("environments: [{name: Production}]", &["environments[0].id required"]);
    check("environments: [{id: Prod}]", &["environments[0].id invalid"]);
    check("environments: [{id: a}, {id: a}]", &["environments[1] already_exists"]);
    assert_eq!(owned(&loaded(&file("environments: [{id: a}]"))).environments.len(), 1);
}

#[test]
fn unknown_keys_are_refused_and_the_known_ones_named() {
    check("colour: red", &["colour unknown_key"]);
    check("groups: [{name: A, Name: B}]", &["groups[0].Name unknown_key"]);
    check(
        "catalogue: [{permission: a:b:c, conditions: [{name: a:b, operators: ['='], any: true}]}]",
        &["catalogue[0].conditions[0].any unknown_key"],
    );
    let problems = load_yaml(&file("environments: [{id: a, url: x}]")).unwrap_err();
    assert_eq!(problems[0].message, "is no key of this; the keys are `id`, `name`");
}

#[test]
fn duplicate_keys_are_refused() {
    check("groups: [{name: A, name: B}]", &["groups[0].name duplicate_key"]);
    check_whole("account: {name: A}\naccount: {name: B}\n", &["account duplicate_key"]);
    check_whole(r#"{"account": {"name": "A", "name": "B"}}"#, &["account.name duplicate_key"]);
}

#[test]
fn types_are_checked() {
    check("groups: {name: A}", &["groups wrong_type"]);
    check("groups: [A]", &["groups[0] wrong_type"]);
    check("groups: [{name: 5}]", &["groups[0].name wrong_type"]);
    check("users: [{email: a, groups: [[A]]}]", &["users[0].groups[0] wrong_type"]);
    check_whole("account: {name: A, strictBoundaries: 'no'}", &["account.strictBoundaries wrong_type"]);
    check_whole("[]", &[" wrong_type"]);
    check_whole("", &[" empty"]);
}

#[test]
fn missing_keys_are_empty_but_for_level_statements_and_query() {
    check("policies: [{name: P}]", &["policies[0].level required", "policies[0].statements required"]);
    check("boundaries: [{name: B}]", &["boundaries[0].query required"]);
    check(
        "bindings: [{}]",
        &["bindings[0].policy required", "bindings[0].group required", "bindings[0].level required"],
    );
    check("groups: [{}]", &["groups[0].name empty"]);
    // An account without a name goes by its id.
    check_whole("groups: []", &[]);
    let text = file("users: [{email: a}]");
    let loaded = loaded(&text);
    assert_eq!(owned(&loaded).user_by_email("a").unwrap().state(), UserState::Active);
}

#[test]
fn all_errors_of_a_file_come_at_once_with_path_and_place() {
    let text = "account: {name: Example}\ngroups:\n  - {name: A, owner: NOBODY}\n  - {name: B, colour: red}\npolicies:\n  - name: P\n    level: account\n    statements: |\n      ALLOW no:such:permission;\n      ALLOW no:other:permission;\n";
    let problems = load_yaml(text).unwrap_err();
    let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 4, "{told:#?}");
    assert!(told[0].starts_with("3:22: `groups[0].owner`: must be one of "), "{}", told[0]);
    assert!(told[1].starts_with("4:15: `groups[1].colour`: "), "{}", told[1]);
    assert!(told[2].starts_with("9:7: `policies[0].statements`: line 1, column 7: "), "{}", told[2]);
    assert!(told[3].contains("line 2, column 7: "), "{}", told[3]);
}

#[test]
fn all_users_exists_without_being_listed() {
    let policies = format!("policies: [{{name: P, level: account, {READ}}}]");
    let text = file(&format!("{policies}\nbindings: [{{policy: P, group: ALL_USERS, level: account}}]"));
    assert_eq!(owned(&loaded(&text)).bindings.len(), 1);
}

#[test]
fn all_users_listed_gives_its_id_and_name_and_once_at_most() {
    let listed = loaded(&file(&format!(
        "groups: [{{id: {ID}, name: Everybody, owner: ALL_USERS}}, {{name: ALL_USERS, owner: LOCAL}}]"
    )));
    let everybody = owned(&listed).all_users().unwrap();
    assert_eq!((everybody.value.id.to_string().as_str(), everybody.value.name.as_str()), (ID, "Everybody"));
    assert_eq!(owned(&listed).group_by_name("ALL_USERS").unwrap().value.owner, GroupOwner::Local);
    let short = loaded(&file(&format!("groups: [{{id: {ID}, name: ALL_USERS}}]")));
    assert_eq!(owned(&short).all_users().unwrap().value.id.to_string(), ID);
    check("groups: [{name: A, owner: ALL_USERS}, {name: B, owner: ALL_USERS}]", &["groups[1] all_users"]);
}

#[test]
fn nobody_names_all_users() {
    check("users: [{email: a, groups: [ALL_USERS]}]", &["users[0].groups[0] all_users"]);
}

#[test]
fn names_are_unique() {
    check("groups: [{name: A}, {name: A}]", &["groups[1] already_exists"]);
    check(
        "boundaries: [{name: A, query: 'global:week-day = \"Monday\";'}, {name: A, query: 'global:week-day = \"Friday\";'}]",
        &["boundaries[1] already_exists"],
    );
    check("users: [{email: a}]\nserviceUsers: [{name: s, email: a}]", &["serviceUsers[0] already_exists"]);
    let policy = |level: &str| format!("{{name: P, {level}, {READ}}}");
    let both = format!("policies: [{}, {}]", policy("level: account"), policy("level: account"));
    check(&both, &["policies[1] already_exists"]);
    let apart = format!(
        "environments: [{{id: a}}]\npolicies: [{}, {}]",
        policy("level: account"),
        policy("level: environment, environment: a"),
    );
    assert_eq!(owned(&loaded(&file(&apart))).policies.len(), 2);
}

#[test]
fn environment_stands_beside_level_environment_and_nowhere_else() {
    let policy = |level: &str| format!("environments: [{{id: a}}]\npolicies: [{{name: P, {level}, {READ}}}]");
    check(&policy("level: environment"), &["policies[0].environment required"]);
    check(&policy("level: account, environment: a"), &["policies[0].environment not_allowed"]);
    check(&policy("level: environment, environment: b"), &["policies[0].environment not_found"]);
    check(&policy("level: cluster"), &["policies[0].level invalid"]);
    check(&policy("level: global"), &["policies[0] read_only"]);
}

fn bound(binding: &str) -> String {
    format!(
        "environments: [{{id: a}}, {{id: b}}]\ngroups: [{{id: {ID}, name: G}}]\npolicies:\n  - {{name: P, level: account, {READ}}}\n  - {{name: L, level: environment, environment: a, {READ}}}\n  - {{name: T, level: account, statements: 'ALLOW settings:objects:read WHERE settings:schemaId = \"${{bindParam:x}}\";'}}\nbindings:\n{binding}"
    )
}

#[test]
fn a_dangling_reference_is_an_error() {
    check(&bound("  - {policy: Q, group: G, level: account}"), &["bindings[0].policy not_found"]);
    check(&bound("  - {policy: P, group: H, level: account}"), &["bindings[0].group not_found"]);
    check(
        &bound("  - {policy: P, group: G, level: environment, environment: c}"),
        &["bindings[0].environment not_found"],
    );
    check(
        &bound("  - {policy: P, group: G, level: account, boundaries: [B]}"),
        &["bindings[0].boundaries[0] not_found"],
    );
    check("users: [{email: a, groups: [X]}]", &["users[0].groups[0] not_found"]);
}

#[test]
fn a_missing_parameter_is_an_error() {
    check(&bound("  - {policy: T, group: G, level: account}"), &["bindings[0].parameters.x parameter_missing"]);
}

#[test]
fn an_exact_duplicate_is_an_error() {
    let one = "  - {policy: P, group: G, level: account}\n";
    check(&bound(&format!("{one}{one}")), &["bindings[1] already_exists"]);
    let by_id = format!("{one}  - {{policy: P, group: {ID}, level: account}}\n");
    check(&bound(&by_id), &["bindings[1] already_exists"]);
}

#[test]
fn an_environment_policy_bound_elsewhere_is_an_error() {
    check(
        &bound("  - {policy: L, group: G, level: environment, environment: b}"),
        &["bindings[0].level level_not_allowed"],
    );
    check(&bound("  - {policy: L, group: G, level: account}"), &["bindings[0].level level_not_allowed"]);
}

#[test]
fn a_text_that_does_not_validate_is_an_error() {
    check(
        "policies: [{name: P, level: account, statements: 'ALLOW no:such:permission;'}]",
        &["policies[0].statements unknown_permission"],
    );
    check("boundaries: [{name: B, query: 'no:such = \"x\";'}]", &["boundaries[0].query unknown_condition"]);
}

#[test]
fn a_binding_has_boundaries_and_their_parameters() {
    let boundary = "boundaries: [{name: B, query: 'global:date < \"${bindParam:until}\";'}]\n";
    let text = bound("  - {policy: P, group: G, level: account, boundaries: [B]}\n") + boundary;
    check(&text, &["bindings[0].parameters.until parameter_missing"]);
    let with = |value: &str| {
        bound(&format!(
            "  - {{policy: P, group: G, level: account, boundaries: [B], parameters: {{until: {value}}}}}\n"
        )) + boundary
    };
    check(&with("soon"), &["bindings[0].parameters parameter_invalid"]);
    let loaded = loaded(&file(&with("2026-05-03Z")));
    assert_eq!(owned(&loaded).bindings.values().next().unwrap().value.boundaries.len(), 1);
}

#[test]
fn a_binding_that_expands_to_too_much_is_an_error() {
    let names = ["storage:host.name", "storage:log.source", "storage:k8s.cluster.name"];
    let lines: Vec<_> = (0..10).map(|n| format!("{} = \"{n}\";", names[n % 3])).collect();
    let lines = lines.concat();
    let boundaries: Vec<_> = (0..20).map(|n| format!("  - {{name: b{n}, query: '{lines}'}}\n")).collect();
    let bound_to: Vec<_> = (0..20).map(|n| format!("b{n}")).collect();
    let text = |count: usize| {
        let statements = "ALLOW storage:logs:read;".repeat(count);
        format!(
            "groups: [{{name: G}}]\npolicies:\n  - {{name: P, level: account, statements: '{statements}'}}\nboundaries:\n{}bindings:\n  - {{policy: P, group: G, level: account, boundaries: [{}]}}\n",
            boundaries.concat(),
            bound_to.join(", ")
        )
    };
    check(&text(14), &["bindings[0].boundaries expansion_too_large"]);
    loaded(&file(&text(13)));
}

#[test]
fn a_policy_name_is_looked_up_at_the_level_of_the_binding_then_above() {
    let text = file(&format!(
        "environments: [{{id: a}}]\ngroups: [{{name: G}}]\npolicies:\n  - {{id: {ID}, name: P, level: account, {READ}}}\n  - {{id: {OTHER_ID}, name: P, level: environment, environment: a, {READ}}}\nbindings:\n  - {{policy: P, group: G, level: account}}\n  - {{policy: P, group: G, level: environment, environment: a}}\n"
    ));
    let loaded = loaded(&text);
    let bound = |level: &str| {
        let mut bindings = owned(&loaded).bindings.values();
        bindings.find(|binding| binding.value.level.name() == level).unwrap().value.policy.to_string()
    };
    assert_eq!((bound("account").as_str(), bound("environment").as_str()), (ID, OTHER_ID));
}

/// The policy of the only binding.
fn bound_policy(loaded: &Loaded) -> &Policy {
    let policy = owned(loaded).bindings.values().next().unwrap().value.policy;
    &loaded.state.policy(owned(loaded), policy).unwrap().value
}

#[test]
fn a_default_policy_is_found_by_name_and_by_id_after_the_account_s_own() {
    let default = &Defaults::shipped().policies[0];
    let binding =
        |policy: &str| format!("groups: [{{name: G}}]\nbindings: [{{policy: {policy}, group: G, level: account}}]");
    for reference in [default.name.to_string(), default.id.to_string()] {
        let loaded = loaded(&file(&binding(&reference)));
        assert_eq!(bound_policy(&loaded), default, "{reference}");
    }
    let own =
        format!("policies: [{{name: {}, level: account, {READ}}}]\n{}", default.name, binding(default.name.as_str()));
    assert_eq!(bound_policy(&loaded(&file(&own))).level, Level::Account);
    check("policies: [{name: Mine, level: global, statements: 'ALLOW hub:catalog:read;'}]", &["policies[0] read_only"]);
}

#[test]
fn a_file_has_exactly_the_groups_it_lists() {
    let loaded = loaded(&file("groups: [{name: G}]"));
    let names: Vec<_> = owned(&loaded).groups.values().map(|group| group.value.name.to_string()).collect();
    assert_eq!(names.iter().map(String::as_str).collect::<std::collections::BTreeSet<_>>(), ["ALL_USERS", "G"].into());
    assert!(owned(&loaded).bindings.is_empty());
}

#[test]
fn a_name_that_two_nouns_bear_asks_for_the_id() {
    let text = format!("groups: [{{id: {ID}, name: A}}, {{name: {ID}}}]\nusers: [{{email: a, groups: [{ID}]}}]");
    check(&text, &["users[0].groups[0] ambiguous"]);
}

#[test]
fn a_reference_to_an_object_that_was_refused_is_not_told_again() {
    check("groups: [{name: A, owner: X}]\nusers: [{email: a, groups: [A]}]", &["groups[0].owner invalid"]);
    check(
        "environments: [{id: X}]\npolicies: [{name: P, level: environment, environment: X, statements: ''}]",
        &["environments[0].id invalid", "policies[0].environment invalid", "policies[0].statements empty_policy"],
    );
}

#[test]
fn a_service_user_without_e_mail_gets_one() {
    let loaded = loaded(&file(&format!("serviceUsers: [{{id: {ID}, name: s}}]")));
    let user = owned(&loaded).users.values().next().unwrap().value.clone();
    assert_eq!((user.email.to_string(), user.is_service()), (format!("{ID}@service.doorward.internal"), true));
    check("serviceUsers: [{groups: []}]", &["serviceUsers[0].name required"]);
}

#[test]
fn states_and_owners_are_of_a_fixed_list() {
    check("users: [{email: a, state: ACTIVE}]", &["users[0].state invalid"]);
    check("groups: [{name: A, owner: local}]", &["groups[0].owner invalid"]);
    let loaded = loaded(&file("groups: [{name: A, owner: SCIM}]\nusers: [{email: a, state: pending}]"));
    assert_eq!(owned(&loaded).group_by_name("A").unwrap().value.owner, GroupOwner::Scim);
}

#[test]
fn what_makes_yaml_surprising_is_refused() {
    check("groups: &a [{name: A}]", &[" anchor"]);
    check("groups: [&a {name: A}, *a]", &[" anchor", " alias"]);
    check("groups: [{name: !!str 5}]", &[" tag"]);
    check("groups: []\n---\ngroups: []", &[" several_documents"]);
    check("? [a]\n: b", &[" syntax"]);
    check("groups: [", &[" syntax"]);
    check_whole("{\"account\": }", &[" syntax"]);
}

#[test]
fn plain_scalars_are_typed_by_the_core_schema() {
    let kind = |text: &str| match parse(text, Format::Yaml).unwrap().value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::Text(_) => "text",
        _ => "other",
    };
    for (text, expected) in [
        ("~", "null"),
        ("null", "null"),
        ("nUll", "text"),
        ("true", "bool"),
        ("FALSE", "bool"),
        ("yes", "text"),
        ("no", "text"),
        ("12", "number"),
        ("-1.5e3", "number"),
        ("0x1F", "number"),
        ("0o17", "number"),
        ("0o8", "text"),
        (".5", "number"),
        ("5.", "number"),
        (".", "text"),
        ("1e", "text"),
        (".inf", "number"),
        ("-.INF", "number"),
        (".nan", "number"),
        ("1_000", "text"),
        ("2026-01-01", "text"),
        ("'12'", "text"),
        ("\"\"", "text"),
        ("1:30", "text"),
    ] {
        assert_eq!(kind(text), expected, "{text}");
    }
}

#[test]
fn nesting_at_the_limit_and_one_past_it() {
    for (depth, refused) in [(64, false), (65, true)] {
        let text = "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(parse(&text, Format::Yaml).is_err(), refused, "YAML {depth}");
        assert_eq!(parse(&text, Format::Json).is_err(), refused, "JSON {depth}");
    }
    assert!(parse(&"[".repeat(100_000), Format::Yaml).is_err());
    assert!(parse(&"[".repeat(100_000), Format::Json).is_err());
}

#[test]
fn the_format_follows_the_name_or_the_first_character() {
    assert_eq!(Format::of("s.json", "account: x"), Format::Json);
    assert_eq!(Format::of("s.yaml", " \n{\"account\": 1}"), Format::Json);
    assert_eq!(Format::of("s.yaml", "account: x"), Format::Yaml);
    assert!(parse("\u{feff}a: b", Format::Yaml).is_ok());
}

#[test]
fn values_keep_every_byte() {
    let text = file(
        "groups: [{name: G}]\npolicies:\n  - name: P\n    level: account\n    statements: |\n      // Grün\n      ALLOW settings:objects:read;\n",
    );
    let loaded = loaded(&text);
    let policy = owned(&loaded).policies.values().next().unwrap().value.clone();
    assert_eq!(policy.statements, "// Grün\nALLOW settings:objects:read;\n");
}

#[test]
fn warnings_say_where() {
    let loaded = loaded(&file(&bound("  - {policy: P, group: G, level: account, parameters: {y: z}}")));
    let told = "`bindings[0]`: parameter `y` is used neither by the policy nor by a boundary [surplus_parameter]";
    assert_eq!(loaded.warnings, [told]);
}

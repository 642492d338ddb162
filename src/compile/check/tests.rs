//! Texts against the default catalogue.

use super::*;
use crate::lang::diag::LineIndex;
use crate::model::catalogue::ValueKind;

/// Parse and validation errors at once.
mod round;

const LOGS: &str = "storage:logs:read";
const GROUP: &str = "7f1c2c1e-3a52-4b7c-9a51-0d2f6f3b8e44";

/// The findings of a text as `code@line:column`, with blanks between.
fn listed(text: &str, diagnostics: &[Diagnostic]) -> String {
    let index = LineIndex::new(text);
    let found = diagnostics.iter().map(|diagnostic| {
        let at = index.position(diagnostic.span.start);
        format!("{}@{}:{}", diagnostic.code, at.line, at.column)
    });
    found.collect::<Vec<_>>().join(" ")
}

fn check_policy(rows: &[(&str, &str)]) {
    for (text, expected) in rows {
        assert_eq!(listed(text, &policy(text, Catalogue::shipped()).diagnostics), *expected, "{text}");
    }
}

fn check_boundary(rows: &[(&str, &str)]) {
    for (text, expected) in rows {
        assert_eq!(listed(text, &boundary(text, Catalogue::shipped()).diagnostics), *expected, "{text}");
    }
}

/// Conditions on `storage:logs:read`; codes only.
fn check_conditions(rows: &[(&str, &str)]) {
    for (condition, expected) in rows {
        let text = format!("ALLOW {LOGS} WHERE {condition};");
        let found = policy(&text, Catalogue::shipped()).diagnostics;
        assert_eq!(found.iter().map(|found| found.code).collect::<Vec<_>>().join(" "), *expected, "{text}");
    }
}

fn only(text: &str) -> Diagnostic {
    let mut found = policy(text, Catalogue::shipped()).diagnostics;
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn permissions_are_known() {
    check_policy(&[
        ("ALLOW storage:logs:read, settings:objects:read;", ""),
        ("ALLOW storage:logs:reed, nope:x:y, storage:logs:read;", "unknown_permission@1:7 unknown_permission@1:26"),
        ("ALLOW storage:logs:Read;", "unknown_permission@1:7"),
    ]);
}

#[test]
fn an_unknown_permission_is_told_with_its_neighbours() {
    let rows = [
        ("storage:log:read", "unknown permission `storage:log:read`", "`storage:logs:read`"),
        ("storage:logs:READ", "unknown permission `storage:logs:READ`", "`storage:logs:read`"),
        ("sotrage:logs:read", "there is no service `sotrage`", "`storage:logs:read`"),
        ("grail:logs:read", "there is no service `grail`", "`storage:logs:read`"),
        ("email:letters:write", "unknown permission `email:letters:write`", "The permissions of `email` are"),
    ];
    for (name, message, help) in rows {
        let found = only(&format!("ALLOW {name};"));
        assert!(found.message.contains(message), "{found:?}");
        assert!(found.help.as_deref().is_some_and(|text| text.contains(help)), "{found:?}");
    }
    assert_eq!(only("ALLOW a:b:c;").help, None);
}

#[test]
fn an_unknown_permission_says_nothing_about_conditions() {
    check_policy(&[
        ("ALLOW a:b:c WHERE x:y = 'a' AND x:z IN ('b');", "unknown_permission@1:7"),
        ("ALLOW a:b:c, storage:logs:read WHERE storage:host.name = 'a';", "unknown_permission@1:7"),
        ("ALLOW a:*:c, storage:logs:read WHERE storage:host.name = 'a';", "wildcard_permission@1:7"),
    ]);
}

#[test]
fn r29_the_additions_are_known_and_the_refused_names_are_not() {
    let known = [
        "platform-management:effective-permissions:resolve",
        "platform-management:environments:read",
        "iam:users:read",
        "iam:groups:read",
        "platform-token:tokens:manage",
        "extensions:discovery.pmi:read",
        "app-engine:edge-connects:connect",
        "environment-api:api-tokens:write",
        "environment-api:entities:read",
        "environment-api:entities:write",
        "environment-api:metrics:read",
        "environment-api:security-problems:read",
        "environment-api:slo:read",
    ];
    for name in known {
        check_policy(&[(&format!("ALLOW {name};"), "")]);
    }
    let refused = [
        "environment:roles:admin",
        "storage:spans:write",
        "document:documents:create",
        "storage:bizevents:write",
        "storage:buckets:write",
        "settings:objects:delete",
    ];
    for name in refused {
        check_policy(&[(&format!("ALLOW {name};"), "unknown_permission@1:7")]);
    }
}

#[test]
fn a_condition_fits_every_permission_or_the_split_is_proposed() {
    let text = "ALLOW storage:logs:read, storage:buckets:read, storage:spans:read WHERE storage:host.name = 'a';";
    let found = only(text);
    assert_eq!(found.code, "condition_not_supported");
    assert_eq!(found.message, "`storage:buckets:read` takes no condition `storage:host.name`");
    let help =
        "Split the statement: `storage:logs:read`, `storage:spans:read` with it, `storage:buckets:read` without.";
    assert_eq!(found.help.as_deref(), Some(help));
    let none = only("ALLOW storage:logs:read, storage:spans:read WHERE storage:hots.name = 'a';");
    assert_eq!(none.code, "unknown_condition");
    assert_eq!(none.help.as_deref(), Some("Did you mean `storage:host.name`?"));
    assert!(only("ALLOW storage:logs:read WHERE x:y = 'a';").help.unwrap().contains("`storage:host.name`"));
    assert_eq!(only("ALLOW iam:users:read WHERE x:y = 'a';").help.unwrap(), "It takes the global conditions only.");
    // Any condition is known to the permissions that take it, not to all.
    check_conditions(&[
        ("settings:schemaId = 'a'", "unknown_condition"),
        // Nothing more is said about a condition that does not fit.
        ("storage:query-consumption > 'x'", "unknown_condition"),
        ("storage:Host.name = 'a'", "unknown_condition"),
    ]);
}

#[test]
fn an_operator_fits_the_pair() {
    check_policy(&[
        ("ALLOW storage:logs:read WHERE storage:host.name MATCH ('a');", ""),
        ("ALLOW storage:entities:read WHERE storage:dt.security_context MATCH ('a');", "operator_not_supported@1:63"),
        ("ALLOW settings:schemas:read WHERE settings:schemaId MATCH ('x*');", "operator_not_supported@1:53"),
        ("ALLOW storage:logs:read WHERE storage:host.name > 'a';", "operator_not_supported@1:49"),
    ]);
    let found = only("ALLOW storage:entities:read, storage:logs:read WHERE storage:dt.security_context MATCH ('a');");
    assert_eq!(found.message, "`storage:entities:read` takes no `MATCH` on `storage:dt.security_context`");
    assert_eq!(found.help.as_deref(), Some("`storage:entities:read` takes `=`, `IN`, `startsWith`."));
}

#[test]
fn global_conditions_fit_every_permission() {
    check_conditions(&[
        ("global:date = '2022-05-03Z' AND global:date > '2022-05-03+01:00'", ""),
        ("global:week-day NOT IN ('Monday')", "operator_not_supported"),
        ("global:week-day != 'Monday' AND global:environmentId = 'abc12345'", ""),
        ("global:time-of-day = '09:00Z'", "operator_not_supported"),
        ("global:client-ip = '1.2.3.4'", "unknown_global_condition"),
        ("global:userId = 'a'", "unknown_global_condition"),
    ]);
    assert!(only("ALLOW storage:logs:read WHERE global:x = 'a';").help.unwrap().contains("`global:week-day`"));
}

#[test]
fn r19_values_are_spelled_as_their_condition_asks() {
    check_conditions(&[
        ("global:date > '2022-02-30Z'", "invalid_date"),
        ("global:date > '2022-05-03'", "invalid_date"),
        ("global:date-time < '2022-05-03T05:00:00Z' AND global:date-time > '2022-05-03 05:00Z'", "invalid_date_time"),
        ("global:time-of-day > '09:00Z' AND global:time-of-day < '24:00Z'", "invalid_time_of_day"),
        ("global:week-day IN ('Monday', 'tuesday', 'Mittwoch')", "invalid_week_day invalid_week_day"),
        ("global:date > '${bindParam:day}Z'", ""),
    ]);
    let found = only("ALLOW storage:logs:read WHERE global:date > '2022-05-03z';");
    assert_eq!(found.message, "`2022-05-03z` is no date: the zone must be an upper-case `Z`");
}

#[test]
fn r8_enumerations_are_closed() {
    let rows = [
        ("storage:buckets:read", "storage:query-consumption", ["INCLUDED", "ON_DEMAND"]),
        ("automation:workflows:write", "automation:workflow-type", ["SIMPLE", "STANDARD"]),
        ("iam:effective-permissions:read", "iam-param:entity-type", ["group", "user"]),
    ];
    for (permission, condition, values) in rows {
        let text = |value: &str| format!("ALLOW {permission} WHERE {condition} = '{value}';");
        for value in values {
            check_policy(&[(&text(value), "")]);
            assert_eq!(only(&text(&swap_case(value))).code, "invalid_enumeration_value");
        }
        assert_eq!(only(&text("")).code, "invalid_enumeration_value");
        check_policy(&[(&text("${bindParam:x}"), "")]);
        assert_eq!(only(&text("${global:userId}")).code, "global_in_typed_value");
    }
}

fn swap_case(text: &str) -> String {
    let upper = text.to_ascii_uppercase();
    if upper == text { text.to_ascii_lowercase() } else { upper }
}

#[test]
fn r20_global_placeholders_stand_where_they_can_fit() {
    check_conditions(&[
        ("storage:host.name IN ('${global:userGroup}', 'a', '${global:userId}')", ""),
        ("storage:host.name MATCH ('${global:userGroup}')", ""),
        ("storage:bucket-name NOT IN ('${global:userGroup}')", ""),
        ("storage:host.name = '${global:userGroup}'", "user_group_placement"),
        ("storage:host.name startsWith '${global:userGroup}'", "user_group_placement"),
        ("storage:host.name IN ('x${global:userGroup}')", "user_group_placement"),
        ("storage:host.name IN ('${global:userGroup}${bindParam:p}')", "user_group_placement"),
        ("storage:host.name = 'a-${global:userId}-${bindParam:p}' AND storage:host.name = '${global:levelId}'", ""),
        ("global:date > '${global:userId}'", "global_in_typed_value"),
        ("global:date-time > '${bindParam:x}${global:levelId}'", "global_in_typed_value"),
        ("global:time-of-day > '${global:levelId}'", "global_in_typed_value"),
        ("global:week-day IN ('${global:userGroup}', 'Monday')", "global_in_typed_value"),
        ("global:environmentId = '${global:levelId}'", ""),
    ]);
    check_boundary(&[("storage:host.name = '${global:userGroup}'", "user_group_placement@1:21")]);
}

#[test]
fn r10_a_boundary_names_what_some_permission_takes() {
    check_boundary(&[
        ("storage:host.name = 'a'; settings:schemaId startsWith 'b'", ""),
        ("storage:hots.name = 'a'\nx:y = 'b'", "unknown_condition@1:1 unknown_condition@2:1"),
        // Some permission takes `MATCH` on it, though not every one.
        ("storage:dt.security_context MATCH ('a')", ""),
        ("storage:dt.security_context != 'a'", "operator_not_supported@1:29"),
        ("global:week-day = 'Mo'; global:date != '2022-05-03Z'", "invalid_week_day@1:19 operator_not_supported@1:37"),
        ("global:x = 'a'", "unknown_global_condition@1:1"),
        ("storage:query-consumption = 'x'", "invalid_enumeration_value@1:29"),
    ]);
    let found = boundary("storage:hots.name = 'a'", Catalogue::shipped()).diagnostics;
    assert_eq!(found[0].help.as_deref(), Some("Did you mean `storage:host.name`?"));
}

#[test]
fn r7_a_negative_operator_in_a_deny_is_warned_about() {
    let rows = [
        ("DENY storage:buckets:read WHERE storage:bucket-name != 'a';", "deny_negative_absent@1:33"),
        ("DENY storage:buckets:read WHERE storage:bucket-name NOT IN ('a');", "deny_negative_absent@1:33"),
        ("DENY storage:buckets:read WHERE storage:bucket-name NOT startsWith 'a';", "deny_negative_absent@1:33"),
        ("ALLOW storage:buckets:read WHERE storage:bucket-name != 'a';", ""),
        ("DENY storage:buckets:read WHERE storage:bucket-name = 'a';", ""),
        ("DENY storage:buckets:read WHERE global:week-day != 'Monday';", ""),
    ];
    check_policy(&rows);
    assert!(rows.iter().all(|(text, _)| policy(text, Catalogue::shipped()).is_ok()));
}

#[test]
fn r15_a_group_that_is_no_id_is_warned_about() {
    let upper = GROUP.to_uppercase();
    check_conditions(&[
        (&format!("global:userGroup = '{GROUP}'"), ""),
        (&format!("global:userGroup IN ('{GROUP}', 'Admins', '{upper}')"), "user_group_not_uuid user_group_not_uuid"),
        ("global:userGroup = '${bindParam:group}'", ""),
        ("global:userGroup IN ('${global:userGroup}')", ""),
        ("storage:host.name = 'Admins'", ""),
    ]);
    check_boundary(&[("global:userGroup = 'Admins'", "user_group_not_uuid@1:20")]);
    assert!(boundary("global:userGroup = 'Admins'", Catalogue::shipped()).is_ok());
}

#[test]
fn r27_parse_and_validation_errors_come_by_place() {
    check_policy(&[(
        "ALLOW a:b:c WHERE x:y == 'a';\nALLOW storage:logs:read WHERE x:y = 'a' AND x:z == 'b' AND global:date = 'c';",
        "unknown_permission@1:7 double_equal@1:23 unknown_condition@2:31 unknown_condition@2:45 double_equal@2:49 \
         invalid_date@2:74",
    )]);
    assert!(!policy("ALLOW a:b:c;", Catalogue::shipped()).is_ok());
    assert!(!policy("ALLOW storage:logs:read;;", Catalogue::shipped()).is_ok());
}

#[test]
fn r22_a_parameter_is_left_to_the_binding_and_checked_there() {
    check_conditions(&[
        ("global:date > '${bindParam:x}' AND global:date-time > '2022-05-03T${bindParam:x}'", ""),
        ("global:time-of-day > '${bindParam:x}Z' AND global:week-day IN ('${bindParam:x}', 'Mon')", "invalid_week_day"),
    ]);
    assert_eq!(value_problem(ValueKind::Text, "anything"), None);
    assert_eq!(value_problem(ValueKind::Enumeration(&["a", "b"]), "a"), None);
    let problem = value_problem(ValueKind::Enumeration(&["a", "b"]), "c");
    assert_eq!(problem.as_deref(), Some("`c` is not one of `a`, `b`"));
    assert!(value_problem(ValueKind::WeekDay, "Sunday").is_none() && value_problem(ValueKind::WeekDay, "").is_some());
}

#[test]
fn many_unknown_names_do_not_take_long() {
    let text = vec![format!("ALLOW {}", vec!["storage:lags:raed"; 35].join(",")); 100].join(";");
    let started = std::time::Instant::now();
    let found = policy(&text, Catalogue::shipped()).diagnostics;
    assert_eq!(found.len(), crate::model::limits::DIAGNOSTICS + 1);
    assert!(found[0].help.is_some() && found[900].help.is_none());
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

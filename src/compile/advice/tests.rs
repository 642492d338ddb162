//! Warnings of small policies: their codes, and where they stand.

use super::*;
use crate::compile::check;
use crate::lang::diag::LineIndex;

/// The findings as `code@line:column`; texts without errors only.
fn told(text: &str, diagnostics: &[Diagnostic]) -> String {
    let lines = LineIndex::new(text);
    let told = diagnostics.iter().map(|found| {
        assert!(!found.is_error(), "{text}: {found:?}");
        let at = lines.position(found.span.start);
        format!("{}@{}:{}", found.code, at.line, at.column)
    });
    told.collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn check(rows: &[(&str, &str)]) {
    for (text, expected) in rows {
        assert_eq!(told(text, &check::policy(text, Catalogue::shipped()).diagnostics), *expected, "{text}");
    }
}

/// Whether these conditions of an ALLOW of `storage:buckets:read` are told to contradict.
#[track_caller]
fn check_conditions(permission: &str, rows: &[(&str, bool)]) {
    for (conditions, contradict) in rows {
        for text in
            [format!("ALLOW {permission} WHERE {conditions};"), format!("DENY {permission} WHERE {conditions};")]
        {
            let found = check::policy(&text, Catalogue::shipped()).diagnostics;
            let found: Vec<_> = found.iter().map(|it| it.code).filter(|code| *code != "deny_negative_absent").collect();
            let of_computed = !conditions.contains("storage:");
            let expected = *contradict && (of_computed || text.starts_with("ALLOW"));
            assert_eq!(found, if expected { vec!["contradicting_conditions"] } else { vec![] }, "{text}");
        }
    }
}

#[test]
fn a_policy_that_says_everything_once_is_clean() {
    check(&[
        ("ALLOW storage:logs:read, storage:entities:read; DENY storage:logs:read WHERE storage:host.name = 'a';", ""),
        (
            "ALLOW storage:logs:read WHERE storage:host.name = 'a'; ALLOW storage:logs:read WHERE storage:host.name = 'b';",
            "",
        ),
        ("DENY storage:logs:read; ALLOW storage:entities:read;", ""),
        ("DENY storage:logs:read; DENY storage:logs:read WHERE storage:host.name = 'a';", ""),
    ]);
}

#[test]
fn a_deny_that_makes_an_allow_dead() {
    check(&[
        ("ALLOW storage:logs:read; DENY storage:logs:read;", "unreachable_statement@1:7"),
        ("DENY storage:logs:read;\nALLOW iam:users:read, storage:logs:read;", "allow_always_denied@2:23"),
        (
            "DENY storage:logs:read; DENY iam:users:read; ALLOW iam:users:read, storage:logs:read;",
            "unreachable_statement@1:52 unreachable_statement@1:68",
        ),
        (
            "ALLOW storage:logs:read WHERE storage:host.name = 'a' AND storage:log.source = 'b';
             DENY storage:logs:read WHERE storage:log.source IN ('b');",
            "unreachable_statement@1:7",
        ),
        (
            "ALLOW storage:logs:read WHERE storage:host.name = 'a';
             DENY storage:logs:read WHERE storage:host.name = 'a' AND storage:log.source = 'b';",
            "",
        ),
        ("ALLOW storage:logs:read; DENY storage:logs:read WHERE global:week-day = 'Monday';", ""),
    ]);
}

#[test]
fn duplicates_are_found_in_any_order_of_conditions_and_values() {
    check(&[
        ("ALLOW storage:logs:read;\nALLOW storage:logs:read;", "duplicate_statement@2:7"),
        ("DENY iam:users:read;\nDENY storage:logs:read, iam:users:read;", "duplicate_statement@2:25"),
        (
            "ALLOW storage:logs:read WHERE storage:host.name IN ('a', 'b') AND storage:log.source = 'c';
ALLOW storage:logs:read WHERE storage:log.source = \"c\" AND storage:host.name IN ('b', 'a');",
            "duplicate_statement@2:7",
        ),
        ("ALLOW storage:logs:read, storage:logs:read;", ""),
        (
            "ALLOW storage:logs:read WHERE storage:host.name = 'a'; DENY iam:users:read WHERE global:week-day = 'Monday';",
            "",
        ),
    ]);
}

#[test]
fn conditions_beside_an_unconditional_allow_are_pointless() {
    check(&[
        (
            "ALLOW storage:logs:read WHERE storage:host.name = 'a';\nALLOW storage:logs:read;",
            "pointless_conditions@1:7",
        ),
        (
            "ALLOW iam:users:read;\nALLOW storage:logs:read, iam:users:read WHERE global:week-day = 'Monday';",
            "pointless_conditions@2:26",
        ),
        ("DENY storage:logs:read WHERE storage:host.name = 'a'; ALLOW storage:logs:read;", ""),
    ]);
}

#[test]
fn texts_that_one_value_cannot_satisfy() {
    check_conditions(
        "storage:buckets:read",
        &[
            ("storage:bucket-name = 'a' AND storage:bucket-name = 'b'", true),
            ("storage:bucket-name = 'a' AND storage:bucket-name != 'a'", true),
            ("storage:bucket-name = 'a' AND storage:bucket-name != 'b'", false),
            ("storage:bucket-name IN ('a', 'b') AND storage:bucket-name IN ('c')", true),
            ("storage:bucket-name IN ('a', 'b') AND storage:bucket-name IN ('b', 'c')", false),
            (
                "storage:bucket-name IN ('a', 'b') AND storage:bucket-name NOT IN ('a') AND storage:bucket-name != 'b'",
                true,
            ),
            ("storage:bucket-name = 'ab' AND storage:bucket-name startsWith 'b'", true),
            ("storage:bucket-name = 'ab' AND storage:bucket-name startsWith 'a'", false),
            ("storage:bucket-name = 'ab' AND storage:bucket-name NOT startsWith 'a'", true),
            ("storage:bucket-name startsWith 'ab' AND storage:bucket-name startsWith 'ac'", true),
            ("storage:bucket-name startsWith 'ab' AND storage:bucket-name startsWith 'a'", false),
            ("storage:bucket-name startsWith 'ab' AND storage:bucket-name NOT startsWith 'a'", true),
            ("storage:bucket-name startsWith 'a' AND storage:bucket-name NOT startsWith 'ab'", false),
            ("storage:bucket-name != 'a' AND storage:bucket-name NOT startsWith ''", true),
            ("storage:bucket-name != 'a' AND storage:bucket-name != 'b'", false),
            ("storage:bucket-name = 'a' AND storage:table-name = 'b'", false),
        ],
    );
}

#[test]
fn patterns_contradict_only_where_one_value_must_fit() {
    check_conditions(
        "storage:buckets:read",
        &[
            ("storage:bucket-name MATCH ('a') AND storage:bucket-name MATCH ('b')", false),
            ("storage:bucket-name MATCH ('a') AND storage:bucket-name = 'b'", true),
            ("storage:bucket-name MATCH ('a*') AND storage:bucket-name = 'b'", true),
            ("storage:bucket-name MATCH ('a*', '*') AND storage:bucket-name = 'b'", false),
            ("storage:bucket-name MATCH ('*b*c*') AND storage:bucket-name = 'abacd'", false),
            ("storage:bucket-name MATCH ('*c*b*') AND storage:bucket-name = 'abacd'", true),
            ("storage:bucket-name MATCH ('ab*b') AND storage:bucket-name = 'ab'", true),
            ("storage:bucket-name MATCH ('ab*') AND storage:bucket-name startsWith 'ac'", true),
            ("storage:bucket-name MATCH ('ab*') AND storage:bucket-name startsWith 'abc'", false),
            ("storage:bucket-name MATCH ('ab*') AND storage:bucket-name NOT startsWith 'a'", true),
            ("storage:bucket-name MATCH ('*') AND storage:bucket-name NOT startsWith 'a'", false),
        ],
    );
}

#[test]
fn values_with_placeholders_are_known_by_their_spelling() {
    check_conditions(
        "storage:buckets:read",
        &[
            ("storage:bucket-name = '${bindParam:a}' AND storage:bucket-name != '${bindParam:a}'", true),
            ("storage:bucket-name = '${bindParam:a}' AND storage:bucket-name != '${bindParam:b}'", false),
            ("storage:bucket-name = '${bindParam:a}' AND storage:bucket-name = 'x'", false),
            ("storage:bucket-name = 'x' AND storage:bucket-name = '${bindParam:a}'", false),
            ("storage:bucket-name = 'x' AND storage:bucket-name startsWith '${bindParam:a}'", false),
            ("storage:bucket-name = 'x' AND storage:bucket-name MATCH ('${bindParam:a}*')", false),
            ("storage:bucket-name = 'x' AND storage:bucket-name IN ('${global:userGroup}')", false),
            ("global:time-of-day > '${bindParam:a}' AND global:time-of-day < '09:00Z'", false),
        ],
    );
}

/// Rules R6: one value may satisfy one condition and another the other.
#[test]
fn r6_several_values_satisfy_several_equalities_where_any_may_fit() {
    check_conditions(
        "storage:entities:read",
        &[
            ("storage:dt.security_context = 'a' AND storage:dt.security_context = 'b'", false),
            ("storage:dt.security_context startsWith 'a' AND storage:dt.security_context startsWith 'b'", false),
            ("storage:entity.type = 'a' AND storage:entity.type = 'b'", true),
        ],
    );
    let both = "ALLOW storage:logs:read, storage:entities:read
 WHERE storage:dt.security_context = 'a' AND storage:dt.security_context = 'b';";
    check(&[(both, "contradicting_conditions@2:46")]);
    let found = check::policy(both, Catalogue::shipped()).diagnostics;
    assert!(found[0].message.ends_with("for `storage:logs:read`"), "{}", found[0].message);
}

#[test]
fn times_that_leave_nothing() {
    check_conditions(
        "iam:users:read",
        &[
            ("global:week-day = 'Monday' AND global:week-day = 'Tuesday'", true),
            ("global:week-day = 'Monday' AND global:week-day != 'Monday'", true),
            ("global:week-day IN ('Monday', 'Sunday') AND global:week-day != 'Monday'", false),
            ("global:time-of-day > '17:00Z' AND global:time-of-day < '09:00Z'", true),
            ("global:time-of-day > '09:00Z' AND global:time-of-day < '17:00Z'", false),
            ("global:time-of-day > '09:00Z' AND global:time-of-day < '09:00Z'", true),
            ("global:time-of-day > '17:00Z' AND global:time-of-day < '09:00-10:00'", false),
            ("global:time-of-day < '00:00Z'", true),
            ("global:time-of-day > '23:59:59Z'", false),
            ("global:date > '2026-05-03Z' AND global:date < '2026-05-04Z'", true),
            ("global:date > '2026-05-03Z' AND global:date < '2026-05-05Z'", false),
            ("global:date > '2026-05-03Z' AND global:date < '2026-05-04-05:00'", false),
            ("global:date = '2026-05-03Z' AND global:date = '2026-05-04Z'", true),
            ("global:date = '2026-05-03Z' AND global:date = '2026-05-04+01:00'", false),
            ("global:date = '2026-05-03Z' AND global:date-time > '2026-05-04T00:00:00Z'", true),
            ("global:date = '2026-05-03Z' AND global:date-time > '2026-05-03T23:59:59Z'", false),
            ("global:date-time > '2026-05-03T12:00:00Z' AND global:date-time < '2026-05-03T12:00:00+01:00'", true),
            ("global:environmentId = 'a' AND global:environmentId = 'b'", true),
            ("global:environmentId = 'a' AND global:environmentId = '${global:levelId}'", false),
            (
                "global:userGroup = '7f1c2c1e-3a52-4b7c-9a51-0d2f6f3b8e44' AND global:userGroup = '7f1c2c1e-3a52-4b7c-9a51-0d2f6f3b8e45'",
                false,
            ),
        ],
    );
}

#[test]
fn nothing_else_is_told_of_a_statement_that_cannot_be_reached() {
    check(&[(
        "ALLOW storage:logs:read; ALLOW storage:logs:read WHERE storage:host.name = 'a' AND storage:host.name = 'b';",
        "contradicting_conditions@1:84",
    )]);
}

#[test]
fn a_text_with_errors_gets_no_advice() {
    let text = "ALLOW storage:logs:read; ALLOW storage:logs:read; ALLOW a:b:c;";
    let found = check::policy(text, Catalogue::shipped()).diagnostics;
    assert_eq!(found.iter().map(|it| it.code).collect::<Vec<_>>(), ["unknown_permission"]);
}

#[test]
fn lines_of_a_boundary_make_no_range() {
    for (text, expected) in [
        ("global:time-of-day > '09:00Z';\nglobal:time-of-day < '17:00Z';", "boundary_range_split@2:1"),
        ("global:date > '2026-05-03Z';\nglobal:date < '2026-06-03+01:00';", "boundary_range_split@2:1"),
        ("global:time-of-day > '${bindParam:a}';\nglobal:time-of-day < '09:00Z';", "boundary_range_split@2:1"),
        ("global:time-of-day > '09:00Z';\nglobal:time-of-day > '17:00Z';", "boundary_range_split@2:1"),
        // No value is past both, so it may well be the OR that it is; that a name is repeated is told all the same.
        ("global:time-of-day > '17:00Z';\nglobal:time-of-day < '09:00Z';", "boundary_range_split@2:1"),
        ("global:time-of-day > '09:00Z';\nglobal:date < '2026-05-03Z';", ""),
        ("global:date = '2026-05-03Z';\nglobal:date > '2026-05-05Z';", ""),
    ] {
        assert_eq!(told(text, &check::boundary(text, Catalogue::shipped()).diagnostics), expected, "{text}");
    }
}

/// The largest texts are looked at in a time that does not grow with the square of their size.
#[test]
fn large_policies_are_looked_at_all_the_same() {
    let names: Vec<_> = Catalogue::shipped().permissions().take(25).map(ToString::to_string).collect();
    let statement = |n: usize| format!("ALLOW {} WHERE global:date > '{:04}-01-01Z';", names.join(","), n + 1);
    let text: String = (0..80).map(statement).collect();
    assert_eq!(told(&text, &check::policy(&text, Catalogue::shipped()).diagnostics), "");
    let values = |from: usize| (from..from + 450).map(|n| format!("'{n:04}'")).collect::<Vec<_>>().join(",");
    let lists: Vec<_> = (0..15).map(|n| format!("storage:bucket-name IN ('9999',{})", values(n * 500))).collect();
    let text = format!("ALLOW storage:buckets:read WHERE {};", lists.join(" AND "));
    assert_eq!(told(&text, &check::policy(&text, Catalogue::shipped()).diagnostics), "");
}

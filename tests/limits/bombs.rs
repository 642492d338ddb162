//! Inputs that are nothing but large or deep: each ends, with a bounded number of errors, whatever it would take to read it.

use std::collections::BTreeMap;

use doorward::compile::check;
use doorward::lang::diag::Diagnostic;
use doorward::model::catalogue::Catalogue;
use doorward::model::limits;
use doorward::model::revision::StoreId;
use doorward::snapshot::build::Snapshot;
use doorward::statefile::{self, node::Format};
use serde_json::{Value, json};

use crate::drivers::Told;
use crate::reference::{Question, engine};
use crate::{ask, load, loaded, question, times};

/// Texts that open something and never close it, or never begin.
const PIECES: [&str; 12] =
    ["(", "((", "\"", "'", "AND ", "and(", "WHERE ", "\"(", "${", "//", "storage:logs:read,", "storage:host.name = "];
/// What may stand before them.
const STARTS: [&str; 4] = [
    "",
    "ALLOW storage:logs:read WHERE ",
    "ALLOW storage:logs:read WHERE storage:host.name IN ",
    "ALLOW storage:logs:read WHERE storage:host.name = \"h\" AND ",
];

/// Errors there are, and not more than may be told of one text.
#[track_caller]
fn check_bounded(text: &str, diagnostics: &[Diagnostic]) {
    let start: String = text.chars().take(60).collect();
    assert!(diagnostics.iter().any(Diagnostic::is_error), "{start}");
    assert!(diagnostics.len() <= limits::DIAGNOSTICS + 1, "{start}: {}", diagnostics.len());
}

#[test]
fn a_text_of_one_thing_again_and_again_is_refused() {
    for start in STARTS {
        for piece in PIECES {
            let fill = |bytes: usize| format!("{start}{}", piece.repeat((bytes - start.len()) / piece.len()));
            let policy = fill(limits::POLICY_TEXT_BYTES);
            check_bounded(&policy, &check::policy(&policy, Catalogue::shipped()).diagnostics);
            let boundary = fill(limits::BOUNDARY_TEXT_BYTES);
            check_bounded(&boundary, &check::boundary(&boundary, Catalogue::shipped()).diagnostics);
        }
    }
}

#[test]
fn parentheses_that_are_closed_again_are_no_better() {
    let deep = |around: &str| format!("{}{around}{}", "(".repeat(30_000), ")".repeat(30_000));
    for text in [
        deep("ALLOW storage:logs:read;"),
        format!("ALLOW storage:logs:read WHERE {};", deep(r#"storage:host.name = "h""#)),
        format!("ALLOW storage:logs:read WHERE storage:host.name IN {};", deep(r#""h""#)),
        format!("ALLOW storage:logs:read WHERE storage:host.name = {};", deep(r#""h""#)),
    ] {
        check_bounded(&text, &check::policy(&text, Catalogue::shipped()).diagnostics);
    }
}

#[test]
fn a_state_file_with_such_a_text_is_refused_by_its_path() {
    for piece in PIECES {
        let statements = piece.repeat(limits::POLICY_TEXT_BYTES / piece.len());
        let problems = load(json!({"policies": [{"name": "P", "level": "account", "statements": statements}]}));
        let problems = problems.unwrap_err();
        assert!(problems.len() <= limits::DIAGNOSTICS + 1, "{piece}: {}", problems.len());
        assert!(
            problems.iter().all(|problem| problem.starts_with("policies[0].statements ")),
            "{piece}: {}",
            problems[0]
        );
    }
}

/// Mappings, in each of the ways to write them; lists are in the state file's own tests.
#[test]
fn the_nesting_of_a_state_file_at_its_limit_and_one_past_it() {
    let braces = |depth: usize| "{\"a\":".repeat(depth - 1) + "{}" + &"}".repeat(depth - 1);
    let flow = |depth: usize| "{a: ".repeat(depth - 1) + "{}" + &"}".repeat(depth - 1);
    let lines = |depth: usize| (0..depth).map(|n| " ".repeat(n) + "a:").collect::<Vec<_>>().join("\n");
    let dashes = |depth: usize| "- ".repeat(depth) + "x";
    let rows: [(_, _, &dyn Fn(usize) -> String); 4] = [
        ("JSON", Format::Json, &braces),
        ("flow", Format::Yaml, &flow),
        ("lines", Format::Yaml, &lines),
        ("dashes", Format::Yaml, &dashes),
    ];
    for (name, format, make) in rows {
        assert!(statefile::node::parse(&make(64), format).is_ok(), "{name}");
        for depth in [65, 1_000] {
            let problems = statefile::node::parse(&make(depth), format).unwrap_err();
            let told: Vec<_> = problems.iter().map(|it| (it.code, it.message.contains("64"))).collect();
            assert_eq!(told, [("limit_exceeded", true)], "{name} {depth}: {problems:?}");
        }
    }
}

/// Patterns that nearly fit in many ways: between their stars is what the value consists of, and in `end`, with a number in
/// place of `N`, what it has not.
fn matching(stretch: &str, end: &str) -> Value {
    let pattern = |n: usize| format!("\"{}*{}\"", times(30, stretch, "*"), end.replace('N', &format!("{n:03}")));
    let patterns = (0..limits::LIST_VALUES).map(pattern).collect::<Vec<_>>().join(",");
    let statements = format!("ALLOW storage:logs:read WHERE storage:host.name MATCH ({patterns});");
    json!({
        "policies": [{"name": "P", "level": "account", "statements": statements}],
        "bindings": [{"policy": "P", "group": "G", "level": "account"}],
    })
}

/// The end of a pattern, at the end of the value, inside of it, and beside a part that is known only at evaluation.
const ENDS: [&str; 3] = ["N", "N*", "${global:userId}N*"];

/// Each star is settled where it first can be, so that the work is the size of the value for each pattern and not a power of it.
#[test]
fn many_patterns_of_many_stars_are_settled() {
    for (stretch, unit) in [("a", "a"), ("aa", "a"), ("ab", "ab"), ("", "a")] {
        for end in ENDS {
            let state = loaded(matching(stretch, end));
            let id = state.state.account(state.account).unwrap().users.keys().next().unwrap().to_string();
            for (number, decision) in [("", "DENY"), ("500", "DENY"), ("499", "ALLOW")] {
                let tail = end.trim_end_matches('*').replace("${global:userId}", &id).replace('N', number);
                let value = unit.repeat((limits::ATTRIBUTE_VALUE_BYTES - tail.len()) / unit.len()) + &tail;
                let told = ask(&state, "storage:logs:read", &[("storage:host.name", &value)]);
                assert_eq!(told.decision.as_deref(), Some(decision), "{stretch}*{end}: …{number}");
            }
        }
    }
}

/// Fifty of them: more would be as many times the work, and this is a build without optimisation.
#[test]
fn many_patterns_against_many_values_are_settled() {
    for end in ENDS {
        let state = loaded(matching("a", end));
        let snapshot = Snapshot::build(StoreId::random(), &state.state, None).unwrap();
        let values = vec!["a".repeat(limits::ATTRIBUTE_VALUE_BYTES); 50];
        let attributes = BTreeMap::from([("storage:host.name".to_owned(), values)]);
        let asked = Question { attributes, ..question("storage:logs:read", &[]) };
        let told = Told::from(engine::ask(&snapshot, state.account, &asked));
        assert_eq!((told.decision.as_deref(), told.code.as_deref()), (Some("DENY"), Some("no_match")), "{end}");
    }
}

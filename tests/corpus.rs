//! The corpus of texts found in public: what must be accepted, what must be refused, and what was left to us.
//!
//! The texts stay where they are; only their ids stand here.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says why it was skipped, and fails by panicking"
)]

#[path = "corpus/effective.rs"]
mod effective;
mod reference;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use doorward::compile::check;
use doorward::lang::ast::{BoundaryAst, Condition};
use doorward::lang::diag::Diagnostic;
use doorward::model::catalogue::{Catalogue, Operator};
use serde_json::Value;

/// What is answered on the rows whose evidence is missing: id, accepted, codes in order.
const UNKNOWN: [(&str, bool, &str); 42] = [
    ("dt-77cd0c1217", false, "unknown_permission"),
    ("dt-893b750628", false, "condition_not_supported"),
    ("dt-4aeda2dd22", false, "missing_semicolon"),
    ("dt-008893e28d", false, "unknown_permission"),
    ("dt-05a717afb3", false, "unknown_permission"),
    ("dt-5d3cc1c6fe", false, "unknown_permission"),
    ("dt-24cf3c6a05", false, "unknown_condition unknown_condition"),
    ("dt-06cb101e4e", false, "unknown_condition"),
    ("dt-6764139f02", false, "empty_policy"),
    ("dt-1fa0261001", false, "unknown_condition"),
    ("dt-3aa49dbb2c", false, "condition_not_supported"),
    ("dt-1f2bf887b7", false, "unknown_permission"),
    ("dt-7c5a57367b", false, "unknown_condition"),
    ("dt-4a099be6a8", true, ""),
    ("dt-66e2e637eb", false, "unknown_permission unknown_permission"),
    ("dt-2959a786f4", false, "missing_semicolon"),
    ("dt-9b4f86bdd3", false, "value_in_parentheses"),
    ("dt-3be7f98a8f", false, "operator_not_supported"),
    ("dt-6dee641833", false, "missing_semicolon missing_semicolon"),
    ("dt-3720822936", false, "missing_semicolon missing_semicolon"),
    ("dt-80d8d6e68c", false, "unknown_condition"),
    ("dt-7fbcd8ef9e", false, "missing_semicolon"),
    ("dt-9a1ec02de9", false, "unknown_condition unquoted_value unknown_condition unquoted_value"),
    (
        "dt-2e62529bb6",
        false,
        "unknown_condition unknown_condition unknown_condition unknown_condition unknown_permission unknown_permission",
    ),
    ("dt-51272b33fd", false, "quote_in_value"),
    ("dt-18180fd57d", false, "unknown_condition unknown_condition"),
    (
        "dt-8a56ccd823",
        false,
        "unknown_condition unknown_condition unknown_condition unknown_condition unknown_condition unknown_condition",
    ),
    ("dt-a61cda12fb", false, "unknown_permission"),
    ("dt-1d62f3c146", false, "unknown_permission"),
    (
        "dt-6ed4aec107",
        false,
        "unknown_placeholder unknown_placeholder unknown_placeholder unknown_placeholder unknown_placeholder unknown_placeholder",
    ),
    ("dt-8146dc5bd3", false, "unknown_placeholder"),
    ("dt-9c9553c106", false, "unknown_placeholder"),
    ("dt-b1e5ade938", false, "operator_not_supported"),
    ("dt-6410e12de3", false, "operator_not_supported"),
    ("dt-1592ac8030", true, ""),
    ("dt-2892acddde", false, "operator_not_supported"),
    ("dt-0861af2219", false, "unknown_condition"),
    ("dt-2fcf16ebe9", false, "operator_not_supported"),
    ("dt-9cffebf3e1", false, "unknown_condition"),
    ("dt-687ce1e061", false, "unknown_condition"),
    ("dt-2054de6115", false, "unknown_condition"),
    ("dt-160ef2e499", false, "operator_not_supported"),
];

/// The texts, or `None` where the corpus is not at hand.
fn rows() -> Option<Vec<Value>> {
    rows_of("policies.jsonl")
}

/// The rows of a file of the corpus, or `None` where it is not at hand.
fn rows_of(name: &str) -> Option<Vec<Value>> {
    let directory = std::env::var_os("DOORWARD_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"), PathBuf::from);
    let file = directory.join(name);
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) => {
            let reason = format!("`{}` cannot be read: {error}", file.display());
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{reason}");
            println!("skipped: {reason}");
            return None;
        }
    };
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn field<'r>(row: &'r Value, name: &str) -> &'r str {
    row[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {row}"))
}

fn diagnostics(row: &Value) -> Vec<Diagnostic> {
    let text = field(row, "text");
    match field(row, "as") {
        "policy" => check::policy(text, Catalogue::shipped()).diagnostics,
        "boundary" => check::boundary(text, Catalogue::shipped()).diagnostics,
        other => panic!("no kind of text: {other}"),
    }
}

fn codes(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|diagnostic| diagnostic.code).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_row_is_answered_as_expected() {
    let Some(rows) = rows() else { return };
    let mut wrong = Vec::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &rows {
        let diagnostics = diagnostics(row);
        let ok = !diagnostics.iter().any(Diagnostic::is_error);
        let expected = field(row, "expected");
        *counts.entry(expected).or_default() += 1;
        if (expected == "accept" && !ok) || (expected == "reject" && ok) {
            wrong.push(format!("{} {expected}: {}", field(row, "id"), codes(&diagnostics)));
        }
    }
    println!("{counts:?}");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(counts["accept"] > 0 && counts["reject"] > 0 && counts["unknown"] > 0, "{counts:?}");
}

/// The program answers the whole corpus, a line for a line, and each refusal points into its text.
#[test]
fn lint_answers_each_row_and_points_into_its_text() {
    let Some(rows) = rows() else { return };
    let answers = lint(&rows);
    assert_eq!(answers.len(), rows.len());
    for (row, answer) in rows.iter().zip(&answers) {
        assert_eq!(answer["id"], row["id"]);
        let ok = answer["ok"] == true;
        match field(row, "expected") {
            "accept" => assert!(ok, "{answer}"),
            "reject" => assert!(!ok, "{answer}"),
            _ => {}
        }
        let errors = answer["diagnostics"].as_array().unwrap().iter().filter(|it| it["severity"] == "error");
        let errors: Vec<_> = errors.collect();
        assert_eq!(errors.is_empty(), ok, "{answer}");
        let lines: Vec<_> = field(row, "text").split('\n').collect();
        for error in errors {
            let place = |name: &str| usize::try_from(error[name].as_u64().unwrap()).unwrap();
            let line = lines.get(place("line").wrapping_sub(1)).unwrap_or_else(|| panic!("no such line: {error}"));
            // One past the last character is where something is missing.
            assert!((1..=line.chars().count() + 1).contains(&place("column")), "{error}");
        }
    }
}

fn lint(rows: &[Value]) -> Vec<Value> {
    let mut program = Command::new(env!("CARGO_BIN_EXE_doorward"))
        .args(["lint", "--jsonl"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = program.stdin.take().unwrap();
    let lines = rows.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()).unwrap());
    let output = program.wait_with_output().unwrap();
    writer.join().unwrap();
    assert_eq!(output.status.code(), Some(1), "some rows are refused");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_rows_without_evidence_are_answered_as_recorded() {
    let Some(rows) = rows() else { return };
    let answered = rows.iter().filter(|row| field(row, "expected") == "unknown").map(|row| {
        let diagnostics = diagnostics(row);
        let ok = !diagnostics.iter().any(Diagnostic::is_error);
        (field(row, "id").to_owned(), (ok, codes(&diagnostics)))
    });
    let answered: BTreeMap<_, _> = answered.collect();
    let recorded = UNKNOWN.iter().map(|&(id, ok, codes)| (id.to_owned(), (ok, codes.to_owned())));
    assert_eq!(answered, recorded.collect::<BTreeMap<_, _>>());
}

#[test]
fn the_oracle_reads_the_same_conditions() {
    let Some(rows) = rows() else { return };
    let with_oracle: Vec<_> = rows.iter().filter(|row| row["oracle"].is_array()).collect();
    assert!(!with_oracle.is_empty());
    for row in with_oracle {
        let BoundaryAst { conditions } = check::boundary(field(row, "text"), Catalogue::shipped()).ast;
        let ours: Vec<_> = conditions.iter().map(|condition| as_oracle(&condition.node)).collect();
        assert_eq!(Value::from(ours), row["oracle"], "{}", field(row, "id"));
    }
}

/// A condition as the vendor's interface prints it.
fn as_oracle(condition: &Condition) -> Value {
    let operator = match condition.operator.node {
        Operator::Equal => "EQ",
        other => panic!("no operator code is known for `{other}`"),
    };
    let values: Vec<_> = condition.values.iter().map(|value| inside_quotes(&value.node.to_string())).collect();
    serde_json::json!({"name": condition.attribute.node.as_str(), "operator": operator, "values": values})
}

fn inside_quotes(printed: &str) -> String {
    printed.trim_matches('"').to_owned()
}

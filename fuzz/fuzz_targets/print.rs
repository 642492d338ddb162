//! What parses means the same after it is printed, whatever its values hold.

#![no_main]

use doorward::lang::ast::{BoundaryAst, Condition, Piece, PolicyAst, Value};
use doorward::lang::span::{Span, Spanned};
use doorward::lang::{parse_boundary, parse_policy};
use doorward::model::catalogue::Operator;
use doorward::model::limits;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let policy = parse_policy(text);
    if policy.diagnostics.is_empty() {
        policy_reads_back(&policy.ast);
    }
    let boundary = parse_boundary(text);
    if boundary.diagnostics.is_empty() {
        boundary_reads_back(&boundary.ast);
    }
    if can_be_a_value(text) {
        boundary_reads_back(&holding(text));
    }
});

fn policy_reads_back(tree: &PolicyAst) {
    let printed = tree.to_string();
    // Printing may need more room (`'"'` becomes `"\""`), and then the limit speaks.
    if printed.len() <= limits::POLICY_TEXT_BYTES {
        let again = parse_policy(&printed);
        assert!(again.diagnostics.is_empty(), "`{printed}`: {:?}", again.diagnostics);
        assert_eq!(again.ast, *tree, "`{printed}`");
        assert_eq!(again.ast.to_string(), printed);
    }
}

fn boundary_reads_back(tree: &BoundaryAst) {
    let printed = tree.to_string();
    if printed.len() <= limits::BOUNDARY_TEXT_BYTES {
        let again = parse_boundary(&printed);
        assert!(again.diagnostics.is_empty(), "`{printed}`: {:?}", again.diagnostics);
        assert_eq!(again.ast, *tree, "`{printed}`");
        assert_eq!(again.ast.to_string(), printed);
    }
}

/// Whether the language has a way to write `text` as a value.
fn can_be_a_value(text: &str) -> bool {
    let characters = text.chars().all(|c| c == '\t' || !c.is_control());
    characters && !text.contains("${") && text.len() <= limits::VALUE_BYTES
}

/// A boundary with `text` as a value, and as an element beside a placeholder.
fn holding(text: &str) -> BoundaryAst {
    let piece = (!text.is_empty()).then(|| Piece::Text(text.to_owned()));
    let parameter = Piece::BindParam("p".parse().expect("the name of a parameter"));
    let alone = Value { pieces: piece.iter().cloned().collect() };
    let beside = Value { pieces: piece.iter().cloned().chain([parameter]).chain(piece.clone()).collect() };
    // The text stands there twice.
    let list = if 2 * text.len() <= limits::VALUE_BYTES { vec![alone.clone(), beside] } else { vec![alone.clone()] };
    BoundaryAst { conditions: vec![condition(Operator::Equal, vec![alone]), condition(Operator::Match, list)] }
}

fn condition(operator: Operator, values: Vec<Value>) -> Spanned<Condition> {
    let attribute = at("storage:bucket-name".parse().expect("the name of a condition"));
    at(Condition { attribute, operator: at(operator), values: values.into_iter().map(at).collect() })
}

fn at<T>(node: T) -> Spanned<T> {
    Spanned::new(node, Span::default())
}

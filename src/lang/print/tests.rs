//! What is printed reads back as what it was.

use proptest::prelude::*;
use proptest::strategy::Union;

use crate::lang::ast::*;
use crate::lang::span::{Span, Spanned};
use crate::lang::{parse_boundary, parse_policy};
use crate::model::catalogue::Operator;
use crate::model::policy::Effect;

fn at<T>(node: T) -> Spanned<T> {
    Spanned::new(node, Span::default())
}

fn name(parts: usize) -> impl Strategy<Value = String> {
    proptest::collection::vec("[A-Za-z0-9][A-Za-z0-9._-]{0,6}", parts).prop_map(|parts| parts.join(":"))
}

fn text_piece() -> impl Strategy<Value = Piece> {
    let character = prop_oneof![
        any::<char>().prop_filter("no control character", |c| !c.is_control()),
        prop::sample::select(vec!['\t', '"', '\'', '\\', '$', '{', '}', '/', ';', ',', '\u{a0}', '\u{feff}']),
    ];
    let text = proptest::collection::vec(character, 1..8).prop_map(|characters| characters.into_iter().collect());
    text.prop_filter("`${` cannot be written", |text: &String| !text.contains("${")).prop_map(Piece::Text)
}

fn placeholder() -> impl Strategy<Value = Piece> {
    prop_oneof![
        "[A-Za-z0-9][A-Za-z0-9_-]{0,6}".prop_map(|name| Piece::BindParam(name.parse().unwrap())),
        prop::sample::select(GlobalAttribute::ALL.to_vec()).prop_map(Piece::Global),
    ]
}

fn value() -> impl Strategy<Value = Spanned<Value>> {
    let pieces = proptest::collection::vec(prop_oneof![text_piece(), placeholder()], 0..4);
    pieces.prop_map(|mut pieces| {
        // Two texts side by side are one text.
        pieces.dedup_by(|b, a| matches!((a, b), (Piece::Text(_), Piece::Text(_))));
        at(Value { pieces })
    })
}

fn condition() -> impl Strategy<Value = Spanned<Condition>> {
    let right = Operator::ALL.map(|operator| {
        let count = if operator.takes_list() { 1..4 } else { 1..2 };
        (Just(operator), proptest::collection::vec(value(), count)).boxed()
    });
    (name(2), Union::new(right)).prop_map(|(name, (operator, values))| {
        at(Condition { attribute: at(name.parse().unwrap()), operator: at(operator), values })
    })
}

fn statement() -> impl Strategy<Value = Spanned<Statement>> {
    let effect = prop::sample::select(vec![Effect::Allow, Effect::Deny]);
    let permissions = proptest::collection::vec(name(3).prop_map(|name| at(name.parse().unwrap())), 1..4);
    (effect, permissions, proptest::collection::vec(condition(), 0..4))
        .prop_map(|(effect, permissions, conditions)| at(Statement { effect, permissions, conditions }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_printed_policy_reads_back(statements in proptest::collection::vec(statement(), 1..5)) {
        let ast = PolicyAst { statements };
        let parsed = parse_policy(&ast.to_string());
        prop_assert_eq!(parsed.diagnostics, vec![]);
        prop_assert_eq!(parsed.ast, ast);
    }

    #[test]
    fn a_printed_boundary_reads_back(conditions in proptest::collection::vec(condition(), 1..=10)) {
        let ast = BoundaryAst { conditions };
        let parsed = parse_boundary(&ast.to_string());
        prop_assert_eq!(parsed.diagnostics, vec![]);
        prop_assert_eq!(parsed.ast, ast);
    }

    /// No text makes the parser stop, and every diagnostic points into its text.
    #[test]
    fn any_text_is_answered(words in proptest::collection::vec(prop::sample::select(SNIPPETS.to_vec()), 0..40)) {
        let text = words.concat();
        for diagnostics in [parse_policy(&text).diagnostics, parse_boundary(&text).diagnostics] {
            for diagnostic in diagnostics {
                prop_assert!(text.get(diagnostic.span.start..diagnostic.span.end).is_some(), "{diagnostic:?}");
                prop_assert!(diagnostic.help.is_some(), "{diagnostic:?}");
            }
        }
    }

    /// A diagnostic comes where the text is not that of the tree: a clean text prints to the same tree.
    #[test]
    fn a_clean_text_keeps_its_meaning(words in proptest::collection::vec(prop::sample::select(SNIPPETS.to_vec()), 0..12)) {
        let text = words.concat();
        let parsed = parse_policy(&text);
        if parsed.diagnostics.is_empty() {
            prop_assert_eq!(parse_policy(&parsed.ast.to_string()).ast, parsed.ast);
        }
    }
}

/// The pieces that texts are made of, good and bad.
const SNIPPETS: [&str; 56] = [
    "ALLOW ",
    "DENY ",
    " WHERE ",
    " AND ",
    " OR ",
    " NOT ",
    " IN ",
    " startsWith ",
    " MATCH ",
    " null ",
    "a:b:c",
    "x:y",
    "a",
    ":",
    "*",
    ",",
    ";",
    "(",
    ")",
    "\"v\"",
    "'v'",
    "\"",
    "'",
    "\\",
    "\n",
    "\r\n",
    " ",
    "\t",
    "//",
    "/*",
    "*/",
    "#",
    "--",
    "`",
    "=",
    "!=",
    "<",
    ">",
    "==",
    "&&",
    "||",
    "${",
    "}",
    "${bindParam:p}",
    "\"${global:userId}\"",
    "“",
    "”",
    "‘",
    "\u{feff}",
    "\u{a0}",
    "\u{c}",
    "\u{0}",
    "é",
    "…",
    "contains",
    "true",
];

fn check(text: &str, printed: &str) {
    assert_eq!(parse_policy(text).ast.to_string(), printed, "{text}");
}

#[test]
fn the_printed_form_is_the_canonical_one() {
    check(
        "allow a:b:c ,d:e:f where x:y='q\"\\'' and x:z not startswith 'p'",
        r#"ALLOW a:b:c, d:e:f WHERE x:y = "q\"'" AND x:z NOT startsWith "p";"#,
    );
    check("DENY a:b:c WHERE null; Allow d:e:f // x", "DENY a:b:c;\nALLOW d:e:f;");
    check("ALLOW a:b:c WHERE x:y in('a',\"b\\\\\")", r#"ALLOW a:b:c WHERE x:y IN ("a", "b\\");"#);
    let boundary = parse_boundary("x:y match('*')\nx:z='${bindParam:p}-${global:userId}'").ast;
    assert_eq!(boundary.to_string(), "x:y MATCH (\"*\");\nx:z = \"${bindParam:p}-${global:userId}\";");
}

//! Positions, order and what people see.

use super::*;

#[test]
fn r27_lines_and_columns_count_from_one_in_characters() {
    let text = "äö x\nsecond\r\n\n";
    let rows = [(0, (1, 1)), (4, (1, 3)), (6, (1, 5)), (7, (2, 1)), (14, (2, 8)), (15, (3, 1)), (16, (4, 1))];
    let index = LineIndex::new(text);
    for (offset, (line, column)) in rows {
        assert_eq!(index.position(offset), Position { line, column }, "offset {offset}");
    }
    assert_eq!((index.line(1), index.line(2), index.line(4), index.line(9)), ("äö x", "second", "", ""));
    assert_eq!(LineIndex::new("").position(0), Position { line: 1, column: 1 });
}

#[test]
fn diagnostics_are_sorted_and_cut_with_the_number_left_out() {
    let found = |at: usize| Diagnostic::warning("w", Span::new(at, at), "w");
    let mut many: Vec<_> = (0..limits::DIAGNOSTICS).rev().map(found).collect();
    assert_eq!(in_order(many.clone()).len(), limits::DIAGNOSTICS);
    many.extend([Diagnostic::error("e", Span::new(9_999, 9_999), "e"), found(9_999)]);
    let cut = in_order(many);
    assert_eq!(cut.len(), limits::DIAGNOSTICS + 1);
    assert!(cut.is_sorted_by_key(|diagnostic| diagnostic.span.start));
    let last = &cut[limits::DIAGNOSTICS];
    assert_eq!((last.code, last.severity), ("too_many_errors", Severity::Error));
    assert_eq!(last.message, "2 more findings are not listed");
}

#[test]
fn an_excerpt_is_cut_and_cannot_move_the_cursor() {
    assert_eq!(excerpt("a\u{1b}[2J\nb\u{202e}"), "`a\u{fffd}[2J b\u{fffd}`");
    assert_eq!(excerpt(&"x".repeat(60)), format!("`{}`", "x".repeat(60)));
    assert_eq!(excerpt(&"x".repeat(61)), format!("`{}…`", "x".repeat(60)));
}

fn check_render(text: &str, span: Span, expected: &str) {
    let diagnostic = Diagnostic::error("code", span, "message").with_help("Do so.");
    assert_eq!(render("name", text, &[diagnostic]), expected, "{text}");
}

#[test]
fn a_finding_is_shown_under_its_line() {
    let expected = "error[code]: message\n --> name:2:3\n2 | ä\tbc\n  |   ^^\nhelp: Do so.\n\n";
    check_render("one\nä\tbc\n", Span::new(7, 9), &expected.replace('\t', " "));
    let to_line_end = "error[code]: message\n --> name:1:2\n1 | abc\n  |  ^^\nhelp: Do so.\n\n";
    check_render("abc\ndef", Span::new(1, 6), to_line_end);
    let at_end = "error[code]: message\n --> name:1:2\n1 | a\n  |  ^\nhelp: Do so.\n\n";
    check_render("a", Span::new(1, 1), at_end);
}

#[test]
fn a_long_line_is_cut_to_a_window() {
    let text = format!("{}X{}", "a".repeat(500), "b".repeat(500));
    let shown = format!("…{}X{}…", "a".repeat(40), "b".repeat(59));
    let carets = format!("{}{}", " ".repeat(41), "^");
    let expected = format!("error[code]: message\n --> name:1:501\n1 | {shown}\n  | {carets}\nhelp: Do so.\n\n");
    check_render(&text, Span::new(500, 501), &expected);
    let wide = render("name", &text, &[Diagnostic::error("code", Span::new(500, 1_001), "m")]);
    assert!(wide.lines().all(|line| line.chars().count() < 110), "{wide}");
}

#[test]
fn the_gutter_is_as_wide_as_the_line_number() {
    let text = format!("{}x", "\n".repeat(9));
    let shown = render("n", &text, &[Diagnostic::warning("c", Span::new(9, 10), "m")]);
    assert_eq!(shown, "warning[c]: m\n  --> n:10:1\n10 | x\n   | ^\n\n");
}

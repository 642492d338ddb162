//! Lexemes: white space, comments, quotes, escapes, placeholders (rules R21, R24, R25). Read through the parser, so
//! that a row also shows that nothing is said twice.

use crate::lang::ast::{GlobalAttribute, Piece};
use crate::lang::diag::LineIndex;
use crate::lang::parse_policy;
use crate::model::limits;

/// The findings of a text as `code@line:column`, with blanks between.
fn found(text: &str) -> String {
    let index = LineIndex::new(text);
    let found = parse_policy(text).diagnostics.into_iter().map(|diagnostic| {
        let at = index.position(diagnostic.span.start);
        format!("{}@{}:{}", diagnostic.code, at.line, at.column)
    });
    found.collect::<Vec<_>>().join(" ")
}

fn check(rows: &[(&str, &str)]) {
    for (text, expected) in rows {
        assert_eq!(found(text), *expected, "{text:?}");
    }
}

/// The pieces of the one value of a text that is good.
fn pieces(quoted: &str) -> Vec<Piece> {
    let text = format!("ALLOW a:b:c WHERE x:y = {quoted};");
    assert_eq!(found(&text), "", "{text}");
    let parsed = parse_policy(&text);
    parsed.ast.statements[0].node.conditions[0].node.values[0].node.pieces.clone()
}

fn text(text: &str) -> Piece {
    Piece::Text(text.to_owned())
}

#[test]
fn r24_white_space_is_blank_tab_cr_and_lf() {
    check(&[
        (" \t\r\nALLOW\ta:b:c\r\n,\nd:e:f ;\r", ""),
        ("\u{feff}ALLOW a:b:c;", "byte_order_mark@1:1"),
        ("ALLOW\u{a0}a:b:c;", "no_break_space@1:6"),
        ("ALLOW\u{202f}a:b:c;", "no_break_space@1:6"),
        ("ALLOW\u{c}a:b:c;", "form_feed@1:6"),
        ("ALLOW\u{3000}\u{3000}a:b:c;", "unexpected_white_space@1:6"),
        ("ALLOW\u{2028}a:b:c;", "unexpected_white_space@1:6"),
        ("ALLOW \u{b}a:b:c;", "unexpected_white_space@1:7"),
        ("\u{200b}ALLOW a:b:c;", "unexpected_white_space@1:1"),
        ("ALLOW a:b\u{200b}:c;", "non_ascii_name@1:7"),
        ("ALLOW a:é:c;", "non_ascii_name@1:7"),
        ("ÄLLOW a:b:c;", "non_ascii_name@1:1"),
        ("ALLOW a:b:c\u{0};", "unexpected_character@1:12"),
        ("ALLOW a:b:c … ;", "unexpected_character@1:13"),
        ("ALLOW a:b:c @;", "unexpected_character@1:13"),
        ("ALLOW a:b:c /;", "unexpected_character@1:13"),
        ("ALLOW a:b:c [{x}] ];", "unexpected_character@1:13 unexpected_character@1:19"),
    ]);
}

#[test]
fn r24_a_strange_character_is_named() {
    let rows = [
        ("\u{feff}", "U+FEFF (byte order mark)"),
        ("\u{a0}", "U+00A0 (no-break space)"),
        ("\u{c}", "U+000C (form feed)"),
        ("\u{200b}", "U+200B (zero width space)"),
        ("\u{2003}", "U+2003"),
        ("…", "U+2026 (ellipsis)"),
        ("→", "U+2192 `→`"),
        ("\u{0}", "U+0000 (null)"),
    ];
    for (character, name) in rows {
        let message = &parse_policy(&format!("{character} ALLOW a:b:c")).diagnostics[0].message;
        assert!(message.contains(name), "{message}");
    }
}

#[test]
fn r24_a_comment_ends_at_lf() {
    check(&[
        ("// ALLOW x\nALLOW a:b:c; // \"' ALLOW", ""),
        ("ALLOW a:b:c, // é “\n d:e:f;", ""),
        ("// ALLOW\rALLOW a:b:c;", "empty_policy@1:22"),
        ("ALLOW a:b:c WHERE x:y = \"https://z\";", ""),
        ("# note “x\"\nALLOW a:b:c;", "hash_comment@1:1"),
        ("ALLOW a:b:c; -- note\nALLOW d:e:f", "dash_comment@1:14"),
        ("/* note\n ; */ ALLOW a:b:c;", "block_comment@1:1"),
        ("ALLOW a:b:c; /* note", "block_comment@1:14"),
    ]);
}

#[test]
fn r25_a_backslash_escapes_quotes_and_itself() {
    assert_eq!(pieces(r#""a\"b\'c\\d""#), [text(r#"a"b'c\d"#)]);
    assert_eq!(pieces(r#"'a"b\'c'"#), [text(r#"a"b'c"#)]);
    assert_eq!(pieces("\"a\tb//c\""), [text("a\tb//c")]);
    assert_eq!(pieces("''"), []);
    check(&[
        (r#"ALLOW a:b:c WHERE x:y = "a\nb\d";"#, "bad_escape@1:27 bad_escape@1:30"),
        ("ALLOW a:b:c WHERE x:y = \"a\\\u{1}\";", "bad_escape@1:27 control_character@1:28"),
    ]);
}

#[test]
fn r25_a_string_holds_no_control_character() {
    check(&[
        ("ALLOW a:b:c WHERE x:y = \"a\u{1}b\";", "control_character@1:27"),
        ("ALLOW a:b:c WHERE x:y = \"a\u{85}b\";", "control_character@1:27"),
        ("ALLOW a:b:c WHERE x:y = \"a\rb\";", "control_character@1:27"),
        ("ALLOW a:b:c WHERE x:y = \"a\nb\";", "line_break_in_string@1:27"),
        ("ALLOW a:b:c WHERE x:y = \"a\r\nb\" AND x:z == \"\";", "line_break_in_string@1:28 double_equal@2:12"),
    ]);
}

#[test]
fn a_string_without_an_end_ends_before_its_line_does() {
    check(&[
        ("ALLOW a:b:c WHERE x:y = \"a;\nALLOW d:e:f WHERE x:y = \"b\";", "unterminated_string@1:25"),
        ("ALLOW a:b:c WHERE x:y IN (\"a\", \"b);\nALLOW d:e:f;", "unterminated_string@1:32"),
        ("ALLOW a:b:c WHERE x:y = \"${bindParam:p", "unterminated_string@1:25"),
        ("ALLOW a:b:c WHERE x:y = 'a\\q", "unterminated_string@1:25"),
        ("ALLOW a:b:c WHERE x:y = \"", "unterminated_string@1:25"),
        ("ALLOW a:b:c WHERE x:y = \"a”;", "typographic_quotes@1:25"),
    ]);
}

#[test]
fn typographic_quotes_and_back_ticks_are_named() {
    check(&[
        ("ALLOW a:b:c WHERE x:y = “a”;", "typographic_quotes@1:25"),
        ("ALLOW a:b:c WHERE x:y IN (‘a’, „b“);", "typographic_quotes@1:27 typographic_quotes@1:32"),
        ("ALLOW a:b:c WHERE x:y = “don’t\";", "typographic_quotes@1:25"),
        ("ALLOW a:b:c WHERE x:y = “a;\nALLOW d:e:f;", "typographic_quotes@1:25"),
        ("“ALLOW a:b:c;”", "typographic_quotes@1:1"),
        ("ALLOW a:b:c WHERE x:y = `a`;", "back_tick@1:25"),
        ("ALLOW `a:b:c`;", "back_tick@1:7"),
        ("ALLOW a:b:c WHERE x:y = `\"a\";", "back_tick@1:25"),
        ("```\nALLOW a:b:c;\n```", "back_tick@1:1 back_tick@3:1"),
    ]);
}

#[test]
fn r21_a_placeholder_is_known_or_refused() {
    let parameter = || Piece::BindParam("p-1_x".parse().unwrap());
    assert_eq!(pieces("\"a${bindParam:p-1_x}b\""), [text("a"), parameter(), text("b")]);
    assert_eq!(pieces("\"$${bindParam:p-1_x}$\""), [text("$"), parameter(), text("$")]);
    let globals = pieces("\"${global:userId}${global:userGroup}${global:levelId}\"");
    assert_eq!(globals, GlobalAttribute::ALL.map(Piece::Global));
    assert_eq!(pieces("\"$ {x} $\""), [text("$ {x} $")]);
    let condition = |value: &str| format!("ALLOW a:b:c WHERE x:y = \"{value}\";");
    let rows = [
        ("${each.key}", "unknown_placeholder@1:26"),
        ("${lower(a)}-${b}", "unknown_placeholder@1:26 unknown_placeholder@1:38"),
        ("${global:userID}", "unknown_placeholder@1:26"),
        ("${bindparam:p}", "unknown_placeholder@1:26"),
        ("${}", "unknown_placeholder@1:26"),
        ("${bindParam:}", "bad_placeholder_name@1:26"),
        ("${bindParam:-p}", "bad_placeholder_name@1:26"),
        ("${bindParam:a.b}", "bad_placeholder_name@1:26"),
        ("${bindParam: p}", "bad_placeholder_name@1:26"),
        ("${bindParam:é}", "bad_placeholder_name@1:26"),
        ("${bindParam:p", "unterminated_placeholder@1:26"),
        ("${bindParam:p\\\"}", "unterminated_placeholder@1:26"),
    ];
    for (value, expected) in rows {
        assert_eq!(found(&condition(value)), expected, "{value}");
    }
    let help = parse_policy(&condition("${x}")).diagnostics[0].help.clone().unwrap();
    assert!(GlobalAttribute::ALL.iter().all(|attribute| help.contains(attribute.name())), "{help}");
    check(&[
        ("ALLOW a:b:c WHERE x:y = ${bindParam:p};", "unquoted_placeholder@1:25"),
        ("ALLOW a:b:c WHERE x:y IN (${A}, ${B});", "unquoted_placeholder@1:27 unquoted_placeholder@1:33"),
    ]);
}

#[test]
fn limit_of_a_placeholder_name() {
    let text = |bytes: usize| format!("ALLOW a:b:c WHERE x:y = \"${{bindParam:{}}}\";", "p".repeat(bytes));
    assert_eq!(found(&text(limits::PARAMETER_NAME_BYTES)), "");
    assert_eq!(found(&text(limits::PARAMETER_NAME_BYTES + 1)), "placeholder_name_too_long@1:26");
}

#[test]
fn limit_of_a_value_counts_bytes_after_unescaping_without_placeholders() {
    let text = |inside: String| format!("ALLOW a:b:c WHERE x:y = \"{inside}${{bindParam:p}}\";");
    let limit = limits::VALUE_BYTES;
    assert_eq!(found(&text("\\\\".repeat(limit))), "");
    assert_eq!(found(&text("\\\\".repeat(limit + 1))), "value_too_long@1:25");
    assert_eq!(found(&text("é".repeat(limit / 2))), "");
    assert_eq!(found(&text("é".repeat(limit / 2 + 1))), "value_too_long@1:25");
}

#[test]
fn no_text_takes_long() {
    let pieces = [
        "\"",
        "'a\n\\'\n",
        "${",
        "\"${",
        "${}",
        "`",
        "“",
        "“”",
        "\r",
        "\"\r",
        "/*",
        "#\n",
        "(",
        "\"\\\"\n",
        "NOT ",
        "a:b:c,",
        ";ALLOW ",
        "a:b ",
        "ALLOW a:b:c WHERE a:b = “x”;",
        "é",
        "\"\"",
        ", ",
        "OR ",
        "AND ",
        "\u{200b}",
    ];
    let started = std::time::Instant::now();
    for piece in pieces {
        for start in ["", "\"", "ALLOW a:b:c WHERE x:y IN ("] {
            let text = format!("{start}{}", piece.repeat(limits::POLICY_TEXT_BYTES / piece.len() - 10));
            assert!(parse_policy(&text).diagnostics.len() <= limits::DIAGNOSTICS + 1);
        }
    }
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

//! Any text: the parser ends, and every finding points into the text and can be shown.

#![no_main]

use doorward::lang::diag::{Diagnostic, render};
use doorward::lang::{parse_boundary, parse_policy};
use doorward::model::limits;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    pointed(text, &parse_policy(text).diagnostics);
    pointed(text, &parse_boundary(text).diagnostics);
});

fn pointed(text: &str, diagnostics: &[Diagnostic]) {
    assert!(diagnostics.len() <= limits::DIAGNOSTICS + 1, "{} findings", diagnostics.len());
    assert!(diagnostics.is_sorted_by_key(|found| found.span.start), "{diagnostics:?}");
    for found in diagnostics {
        assert!(text.get(found.span.start..found.span.end).is_some(), "{found:?}");
    }
    let shown = render("text", text, diagnostics);
    assert_eq!(shown.is_empty(), diagnostics.is_empty());
}

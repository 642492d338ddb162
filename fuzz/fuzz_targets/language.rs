//! Any text: the parser ends, and what it accepts means the same after it is printed.

#![no_main]

use doorward::lang::{parse_boundary, parse_policy};
use doorward::model::limits;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    policy(text);
    boundary(text);
});

fn policy(text: &str) {
    let parsed = parse_policy(text);
    if !parsed.diagnostics.is_empty() {
        return;
    }
    let printed = parsed.ast.to_string();
    // Printing may need more room (`'"'` becomes `"\""`), and then the limit speaks.
    if printed.len() <= limits::POLICY_TEXT_BYTES {
        let again = parse_policy(&printed);
        assert!(again.diagnostics.is_empty(), "`{printed}`: {:?}", again.diagnostics);
        assert_eq!(again.ast, parsed.ast, "`{printed}`");
        assert_eq!(again.ast.to_string(), printed);
    }
}

fn boundary(text: &str) {
    let parsed = parse_boundary(text);
    if !parsed.diagnostics.is_empty() {
        return;
    }
    let printed = parsed.ast.to_string();
    if printed.len() <= limits::BOUNDARY_TEXT_BYTES {
        let again = parse_boundary(&printed);
        assert!(again.diagnostics.is_empty(), "`{printed}`: {:?}", again.diagnostics);
        assert_eq!(again.ast, parsed.ast, "`{printed}`");
        assert_eq!(again.ast.to_string(), printed);
    }
}

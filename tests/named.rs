//! Every decision rule, every rule and every trap has a test that bears its name: a vector file, or a test function.
//!
//! The vectors are in `tests/vectors`; a function begins with `d13_`, `r24_` or `trap_12_`, wherever it stands.

#![expect(clippy::expect_used, reason = "a source that cannot be read fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Those that are about what is not there yet, and what that is. Whoever builds it takes its line away.
const LATER: [(&str, &str); 4] =
    [("d8", "tokens"), ("trap_16", "tokens"), ("trap_17", "sign-in by SAML"), ("trap_18", "sign-in by SAML")];

/// D1 to D14, R1 to R30 and the traps of reference ch. 16.
fn rules() -> impl Iterator<Item = String> {
    let numbered = |prefix: &'static str, last: u8| (1..=last).map(move |number| format!("{prefix}{number}"));
    numbered("d", 14).chain(numbered("r", 30)).chain(numbered("trap_", 21))
}

/// The names of the vector files, and of the functions of every source.
fn names() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names = BTreeSet::new();
    for folder in ["src", "tests"] {
        collect(&root.join(folder), &mut names);
    }
    names
}

fn collect(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.extension().and_then(|extension| extension.to_str()) {
            _ if path.is_dir() => collect(&path, names),
            Some("toml") => names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned())),
            Some("rs") => names.extend(functions(&fs::read_to_string(&path).expect("a source"))),
            _ => {}
        }
    }
}

/// The functions that a text defines.
fn functions(text: &str) -> impl Iterator<Item = String> {
    let lines = text.lines().map(str::trim_start);
    let names = lines.filter_map(|line| line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn ")));
    names.map(|rest| rest.chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect())
}

#[test]
fn every_rule_and_every_trap_has_a_test_of_its_name() {
    let names = names();
    let missing = |rule: &String| !names.iter().any(|name| name.starts_with(&format!("{rule}_")));
    let missing: Vec<_> = rules().filter(missing).collect();
    assert_eq!(missing, LATER.map(|(rule, _)| rule));
}

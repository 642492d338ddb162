//! The direction of the floors (ARCHITECTURE.md) holds: who may import whom, and what the pure ones may not name.

#![expect(clippy::unwrap_used, reason = "a source that cannot be read fails the test")]

use std::fs;
use std::path::{Path, PathBuf};

use crate::source::{Named, Scanned, scan};

#[path = "support/source.rs"]
#[expect(unreachable_pub, reason = "a module of its own, for one binary")]
mod source;

/// The most lines of code (neither blank nor comment) that a file may have.
const LONGEST: usize = 800;

/// What each room of `src` may import. What is missing here may not exist.
const ROOMS: &str = "
    model:
    lang:      model
    compile:   model lang
    eval:      model lang compile
    snapshot:  model lang compile eval
    workload:  model compile
    identity:  model lang compile eval snapshot
    edge:      model lang compile eval snapshot identity

    store:     model durable threads
    iam:       model lang compile store
    statefile: model lang compile store iam
    protocol:  model lang compile store iam statefile

    clock:     model
    durable:
    threads:   compile
    signature: model
    telemetry: model snapshot
    config:    model edge store telemetry
    proto:     model

    services:  model lang compile eval snapshot identity edge store iam statefile protocol clock signature telemetry proto
    sync:      model lang compile eval snapshot identity edge store iam statefile protocol clock durable threads signature telemetry proto
    server:    model lang compile eval snapshot identity edge store iam statefile protocol clock durable signature telemetry config proto services sync
    cli:       model lang compile eval snapshot workload identity edge store iam statefile protocol clock telemetry config services sync proto server
    main:      cli
    lib:
";

/// Rooms that know no wire, no clock, no thread and no file: they are linked into other bodies too.
const PURE: [&str; 7] = ["model", "lang", "compile", "eval", "snapshot", "workload", "identity"];

/// Files of other rooms that are as pure.
const PURE_FILES: [&str; 3] = ["edge/envoy.rs", "edge/path.rs", "edge/route.rs"];

/// What a pure file may not name.
const IMPURE: [&[&str]; 11] = [
    &["tokio"],
    &["tonic"],
    &["prost"],
    &["prost_types"],
    &["std", "fs"],
    &["std", "net"],
    &["std", "thread"],
    &["std", "time", "SystemTime"],
    &["std", "time", "Instant"],
    &["std", "time", "UNIX_EPOCH"],
    &["crate", "proto"],
];

/// Ways to read the clock by a type of another crate: the last two segments of a path.
const CLOCKS: [[&str; 2]; 2] = [["Timestamp", "now"], ["Zoned", "now"]];

#[test]
fn the_sources_keep_the_direction() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = sources(&root);
    assert!(files.iter().any(|file| file == "lib.rs"), "no sources below `{}`", root.display());
    let complaints: Vec<String> =
        files.iter().flat_map(|file| check(file, &fs::read_to_string(root.join(file)).unwrap())).collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// What is wrong with a file: `file`, from `src` on, with this text.
fn check(file: &str, text: &str) -> Vec<String> {
    let module = module(file);
    let room = room(file);
    let scanned = scan(&module, text);
    let Some(allowed) = allowed(room) else { return vec![format!("{file}: `{room}` is not in the table of rooms")] };
    let mut complaints = Vec::new();
    for path in &scanned.paths {
        complaints.extend(imports(room, &allowed, path).map(|problem| at(file, path, &problem)));
        if PURE.contains(&room) || PURE_FILES.contains(&file) {
            complaints.extend(impure(path).map(|problem| at(file, path, &problem)));
        }
    }
    complaints.extend(undeclared(file, &scanned));
    if scanned.code_lines > LONGEST {
        complaints.push(format!("{file}: {} lines of code, at most {LONGEST}", scanned.code_lines));
    }
    complaints
}

fn at(file: &str, path: &Named, problem: &str) -> String {
    format!("{file}:{}: `{}`: {problem}", path.line, path.segments.join("::"))
}

/// Whether a path leads into a room that is not below this one. The binary knows the library by its name.
fn imports(room: &str, allowed: &[&str], path: &Named) -> Option<String> {
    let [first, target, ..] = path.segments.as_slice() else { return None };
    if first != "crate" && !(room == "main" && first == "doorward") {
        return None;
    }
    let target = target.as_str();
    (target != room && !allowed.contains(&target)).then(|| format!("`{room}` may not import `{target}`"))
}

fn impure(path: &Named) -> Option<String> {
    let segments: Vec<&str> = path.segments.iter().map(String::as_str).collect();
    if CLOCKS.iter().any(|clock| segments.ends_with(clock)) {
        return Some("a pure floor is told the time".to_owned());
    }
    let whole = segments.as_slice();
    let whole = whole.strip_suffix(&["*"]).or_else(|| whole.strip_suffix(&["self"])).unwrap_or(whole);
    let forbidden = IMPURE.iter().find(|name| {
        let inside = whole.starts_with(name) && (path.imported || segments.len() > 1);
        // `use std::time;` would hide `time::Instant` from the line above.
        let around = path.imported && name.starts_with(whole);
        inside || around
    })?;
    Some(format!("a pure floor may not name `{}`", forbidden.join("::")))
}

/// The modules that `lib.rs` declares: an inline one has no file that would show it.
fn undeclared(file: &str, scanned: &Scanned) -> Vec<String> {
    if file != "lib.rs" {
        return Vec::new();
    }
    let unknown = scanned.modules.iter().filter(|name| allowed(name).is_none());
    unknown.map(|name| format!("{file}: `{name}` is not in the table of rooms")).collect()
}

fn allowed(room: &str) -> Option<Vec<&'static str>> {
    let line = ROOMS.lines().filter_map(|line| line.trim().split_once(':')).find(|(name, _)| *name == room)?;
    Some(line.1.split_whitespace().collect())
}

/// `model/id.rs` is in the room `model`, and so is `model.rs`.
fn room(file: &str) -> &str {
    let first = file.split('/').next().unwrap_or(file);
    first.strip_suffix(".rs").unwrap_or(first)
}

/// `model/id.rs` is `crate::model::id`; `lib.rs` and `main.rs` are the root.
fn module(file: &str) -> Vec<String> {
    match file {
        "lib.rs" | "main.rs" => Vec::new(),
        _ => file.trim_end_matches(".rs").split('/').map(str::to_owned).collect(),
    }
}

/// Every source below `root`, from there on, without those that hold tests only.
fn sources(root: &Path) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder)).unwrap().map(Result::unwrap) {
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path.to_str().unwrap().to_owned());
            }
        }
    }
    files.retain(|file| !file.ends_with("/tests.rs") && !file.contains("/tests/"));
    files.sort();
    files
}

// === the checker itself ===

/// Complaints about made-up sources, each as `line: path`.
#[track_caller]
fn complains(file: &str, text: &str, expected: &[&str]) {
    let found = check(file, text);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        let start = format!("{file}:{expected}");
        assert!(found.starts_with(&start), "`{found}` does not start with `{start}`");
    }
}

#[test]
fn an_import_from_above_is_seen_however_it_is_written() {
    complains(
        "model/id.rs",
        "use crate::lang::ast::Tree;",
        &["1: `crate::lang::ast::Tree`: `model` may not import `lang`"],
    );
    complains("model/id.rs", "use super::super::lang::Tree;", &["1: `crate::lang::Tree`"]);
    complains("model.rs", "pub use super::lang as other;", &["1: `crate::lang`"]);
    complains(
        "model.rs",
        "use crate::{lang::{self, Tree as T}, model::id, eval};",
        &["1: `crate::lang::self`", "1: `crate::lang::Tree`", "1: `crate::eval`"],
    );
    complains("model.rs", "use {\n crate::lang,\n std::fmt };", &["2: `crate::lang`"]);
    complains("model.rs", "fn f() -> crate::eval::Outcome { ::std::mem::take(x) }", &["1: `crate::eval::Outcome`"]);
    complains(
        "model.rs",
        "fn f() { <crate::eval::A as B>::c(); $crate::lang::d!() }",
        &["1: `crate::eval::A`", "1: `crate::lang::d`"],
    );
    complains(
        "model.rs",
        "mod inner { mod deep { use super::super::super::lang::A; use super::super::super::super::x; } }",
        &["1: `crate::lang::A`", "1: `crate::x`"],
    );
    complains(
        "model.rs",
        "impl<'a> X<'a> { const C: char = '\"'; fn f(b: u8) { b == b'\\''; crate::lang::g('\\u{7b}') } }",
        &["1: `crate::lang::g`"],
    );
    complains("services/watch.rs", "use crate::sync::Stream;", &["1: `crate::sync::Stream`"]);
    complains("sync/apply.rs", "use crate::services::Watch;", &["1: `crate::services::Watch`"]);
    complains("store/api.rs", "use crate::compile::Program;", &["1: `crate::compile::Program`"]);
    complains("telemetry.rs", "use crate::proto::doorward;", &["1: `crate::proto::doorward`"]);
    complains("main.rs", "use doorward::server;\nfn main() { doorward::cli::run() }", &["1: `doorward::server`"]);
}

#[test]
fn what_may_be_imported_is_left_alone() {
    complains(
        "lang/parser.rs",
        "use crate::model::id; use super::ast; use self::x; use super::super::model::text;",
        &[],
    );
    complains("lang/parser.rs", "mod inner { use super::super::ast; }", &[]);
    complains("iam/policies.rs", "use crate::{compile, lang, store::Store};", &[]);
    complains("main.rs", "fn main() { doorward::cli::run() }", &[]);
}

#[test]
fn comments_strings_and_tests_are_no_imports() {
    complains("model.rs", "//! [`crate::eval`]\n/* use crate::eval; /* nested */ use crate::lang; */", &[]);
    complains("model.rs", "const A: &str = \"use crate::eval; \\\" crate::lang::x\";", &[]);
    complains(
        "model.rs",
        "const A: &str = r#\"crate::eval::x \" crate::lang::y\"#; const B: &[u8] = br\"crate::eval::x\";",
        &[],
    );
    complains(
        "model.rs",
        "#[cfg(test)]\nmod tests { use crate::eval; mod a { fn f() {} } }\nuse crate::lang::A;",
        &["3: `crate::lang::A`"],
    );
    complains(
        "model.rs",
        "#[cfg(test)]\nuse crate::{eval, lang};\n#[cfg(test)] mod tests;\nuse crate::edge::A;",
        &["4: `crate::edge::A`"],
    );
    complains("model.rs", "fn r#type() { let r#use = 1; crate::lang::x() }", &["1: `crate::lang::x`"]);
}

#[test]
fn a_pure_floor_names_no_effects() {
    complains("eval/engine.rs", "async fn f() { tokio::spawn(x) }", &["1: `tokio::spawn`"]);
    complains(
        "eval/engine.rs",
        "use prost::Message as _;\nuse tonic::{Status};",
        &["1: `prost::Message`", "2: `tonic::Status`"],
    );
    complains(
        "eval/engine.rs",
        "use std::{fmt, fs::File, time::{Duration, Instant}};",
        &["1: `std::fs::File`", "1: `std::time::Instant`"],
    );
    complains(
        "eval/engine.rs",
        "use std::time;\nuse std::time::{self, Duration};\nuse std::*;",
        &["1: `std::time`", "2: `std::time::self`", "3: `std::*`"],
    );
    complains("eval/engine.rs", "let a = ::std::time::SystemTime::now();", &["1: `std::time::SystemTime::now`"]);
    complains("eval/engine.rs", "let a = Timestamp::now();", &["1: `Timestamp::now`"]);
    complains("edge/path.rs", "use std::net::IpAddr;", &["1: `std::net::IpAddr`"]);
    complains("edge/ext_authz.rs", "use std::net::IpAddr;", &[]);
    complains("store/log.rs", "use std::fs::File; use tokio::sync::watch;", &[]);
    complains("eval/engine.rs", "use std::time::Duration; use core::net::IpAddr; use std::fmt;", &[]);
}

#[test]
fn a_room_that_nobody_planned_is_refused() {
    complains("helpers/text.rs", "", &[" `helpers` is not in the table"]);
    complains(
        "lib.rs",
        "pub mod model;\npub mod helpers { fn f() {} }\n#[cfg(test)] mod tests {}",
        &[" `helpers` is not in the table"],
    );
}

#[test]
fn a_file_that_is_too_long_is_refused() {
    let comments = "// no code\n\n".repeat(LONGEST);
    let code = "fn f() {}\n".repeat(LONGEST);
    complains("model.rs", &format!("{comments}{code}"), &[]);
    complains("model.rs", &format!("{comments}{code}const A: &str = \"\n\";"), &[" 802 lines of code, at most 800"]);
}

//! Every limit of rules §7 and of reference ch. 15 row 24, at its edge and one past it, with the error that names it; and
//! texts that are nothing but large or deep.
//!
//! Here each limit is met as a user meets it: in a state file, through an administrative call, or in a request through every
//! way to ask. The same numbers are tested close to the code that keeps them:
//!
//! * the language: `lang/parser/tests.rs` (`limit_of_…`), `lang/lexer/tests.rs` (values, placeholders, `no_text_takes_long`);
//! * bindings: `iam/tests/bindings.rs`, `iam/tests/boundaries.rs` (every way to make one too large), `compile/bind/tests.rs`
//!   (filled-in values), `compile/expand/tests.rs` (what is too large is counted and not built);
//! * requests: `tests/api_check/native.rs` (names and lengths, with the status), `cli/eval/tests.rs` (lines of `eval`);
//! * nesting of a state file: `statefile/tests.rs`; sizes of files and messages: `cli/lint/tests.rs`,
//!   `tests/api_admin/entrance.rs`; names and descriptions: `tests/api_admin/refusals.rs`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: what goes wrong here fails the test, with its reason"
)]

#[path = "limits/bindings.rs"]
mod bindings;
#[path = "limits/bombs.rs"]
mod bombs;
#[path = "limits/calls.rs"]
mod calls;
#[path = "support/control_plane.rs"]
mod control_plane;
mod drivers;
#[path = "limits/expansion.rs"]
mod expansion;
#[path = "limits/groups.rs"]
mod groups;
#[path = "support/nouns.rs"]
mod nouns;
mod reference;
#[path = "limits/requests.rs"]
mod requests;
#[path = "limits/texts.rs"]
mod texts;

use doorward::model::revision::StoreId;
use doorward::snapshot::build::Snapshot;
use doorward::statefile::node::Format;
use doorward::statefile::{self, Loaded};
use serde_json::{Value, json};

use crate::drivers::Told;
use crate::reference::{Question, engine};

/// The user of every state here.
const ADA: &str = "ada@example.com";

/// A state file of Ada in the group `G`, with these sections beside. It is JSON, so that a text needs no care.
fn state_file(sections: Value) -> String {
    let mut file = json!({
        "account": {"name": "Example"},
        "environments": [{"id": "prod"}],
        "groups": [{"name": "G"}],
        "users": [{"email": ADA, "groups": ["G"]}],
    });
    let Value::Object(sections) = sections else { panic!("sections by their names") };
    file.as_object_mut().expect("an object").extend(sections);
    file.to_string()
}

fn load(sections: Value) -> Result<Loaded, Vec<String>> {
    let problems = |problems: Vec<statefile::FileProblem>| {
        problems.into_iter().map(|it| format!("{} {}: {}", it.path, it.code, it.message)).collect()
    };
    statefile::load(&state_file(sections), Format::Json, jiff::Timestamp::UNIX_EPOCH).map_err(problems)
}

#[track_caller]
fn loaded(sections: Value) -> Loaded {
    load(sections).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// The file is refused for this one thing, told as `path code`, and the message names the limit.
#[track_caller]
fn check_refused(sections: Value, expected: &str, limit: usize) {
    let problems = load(sections).err().unwrap_or_default();
    let [problem] = problems.as_slice() else { panic!("not `{expected}` alone: {problems:#?}") };
    let (found, message) = problem.split_once(": ").expect("a message");
    assert_eq!(found, expected, "{problem}");
    assert!(message.contains(&limit.to_string()), "does not name {limit}: {problem}");
}

/// At the limit the file is taken, one past it refused for this one thing.
#[track_caller]
fn check_edge(limit: usize, expected: &str, make: impl Fn(usize) -> Value) {
    loaded(make(limit));
    check_refused(make(limit + 1), expected, limit);
}

/// What Ada is told in production.
fn ask(loaded: &Loaded, permission: &str, attributes: &[(&str, &str)]) -> Told {
    let snapshot = Snapshot::build(StoreId::random(), &loaded.state, None).expect("a snapshot");
    engine::ask(&snapshot, loaded.account, &question(permission, attributes)).into()
}

fn question(permission: &str, attributes: &[(&str, &str)]) -> Question {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), vec![(*value).to_owned()]);
    Question {
        user: ADA.to_owned(),
        environment: "prod".to_owned(),
        permission: permission.to_owned(),
        attributes: attributes.iter().map(owned).collect(),
        time: "2026-03-02T12:00:00Z".to_owned(),
        ..Question::default()
    }
}

fn times(count: usize, part: &str, separator: &str) -> String {
    vec![part; count].join(separator)
}

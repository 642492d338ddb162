//! What is generated can be used.

use std::path::PathBuf;

use clap::Parser;

use super::{GenerateArgs, run};
use crate::cli::eval::{self, EvalArgs};
use crate::workload::{Request, Workload};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: GenerateArgs,
}

fn args(options: &[&str]) -> Result<GenerateArgs, clap::Error> {
    Line::try_parse_from(["generate"].iter().chain(options)).map(|line| line.args)
}

fn generate(options: &[&str]) -> Vec<u8> {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    assert_eq!(run(&args(options).unwrap(), &mut out, &mut err), 0, "{}", String::from_utf8_lossy(&err));
    out
}

/// The generated files, and what `eval` answers to them.
fn answers(options: &[&str]) -> (tempfile::TempDir, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let (state, requests) = (folder.path().join("state.json"), folder.path().join("requests.jsonl"));
    let files = ["--output", state.to_str().unwrap(), "--requests-to", requests.to_str().unwrap()];
    assert!(generate(&[options, &files].concat()).is_empty());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let now = || jiff::Timestamp::UNIX_EPOCH;
    let code = eval::run(&EvalArgs { state, requests }, &now, &mut std::io::empty(), &mut out, &mut err);
    assert_eq!((code, String::from_utf8(err).unwrap().as_str()), (0, ""));
    (folder, String::from_utf8(out).unwrap().lines().map(ToOwned::to_owned).collect())
}

#[test]
fn eval_loads_the_file_and_allows_about_seven_in_ten_requests() {
    let (_folder, answers) = answers(&["--requests", "2000"]);
    let allowed = answers.iter().filter(|line| line.contains("\"decision\":\"ALLOW\"")).count();
    assert_eq!(answers.len(), 2_000);
    assert!((1_340..=1_480).contains(&allowed), "{allowed} of 2000");
}

/// References by name lead where those by id lead: the file says what the state of the library says.
#[test]
fn the_file_is_the_state_of_the_workload() {
    use crate::model::moment::Moment;
    use crate::model::revision::StoreId;
    use crate::snapshot::build::Snapshot;

    let options = ["--policies", "40", "--groups", "20", "--users", "60", "--seed", "9", "--requests", "500"];
    let (_folder, answers) = answers(&options);
    let workload =
        Workload::new(args(&["--policies", "40", "--groups", "20", "--users", "60"]).unwrap().dimensions(), 9);
    let snapshot = Snapshot::build(StoreId::random(), &workload.state().unwrap(), None).unwrap();
    let decision = |request: &Request| {
        let supplied = request.supplied();
        let request = request.check(&supplied, Moment::from_nanoseconds(0)).unwrap();
        snapshot.decide(workload.account(), &request).unwrap().decision().name()
    };
    let expected = workload.requests(9).take(500);
    for (answer, request) in answers.iter().zip(expected) {
        assert!(answer.contains(&format!("\"decision\":\"{}\"", decision(&request))), "{request:?}: {answer}");
    }
}

#[test]
fn the_same_options_give_the_same_bytes() {
    let options = ["--size", "s", "--users", "50"];
    assert_eq!(generate(&options), generate(&options));
    assert_ne!(generate(&options), generate(&["--size", "s", "--users", "50", "--seed", "2"]));
    let text = String::from_utf8(generate(&options)).unwrap();
    assert_eq!(text.matches('@').count(), 50);
}

#[test]
fn what_cannot_be_generated_is_refused() {
    assert!(args(&["--policies", "0"]).is_err());
    assert!(args(&["--size", "XXL"]).is_err());
    assert!(args(&["--requests", "5"]).is_err());
    let unwritable = GenerateArgs { output: Some(PathBuf::from("/nowhere/state.json")), ..args(&[]).unwrap() };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    assert_eq!(run(&unwritable, &mut out, &mut err), 2);
    assert!(String::from_utf8(err).unwrap().starts_with("error: /nowhere/state.json: "));
}

//! The contract of `lint` (rules §8).

use super::*;

const GOOD: &str = "ALLOW storage:logs:read;";
const BAD: &str = "ALLOW storage:logs:reed;";
const WARNED: &str = "DENY storage:buckets:read WHERE storage:bucket-name != 'a';";

#[derive(clap::Parser)]
struct Command {
    #[command(flatten)]
    args: LintArgs,
}

/// Runs `lint` with these flags and this input; the exit code, standard output, standard error.
fn lint(flags: &[&str], input: &[u8]) -> (u8, String, String) {
    let command = <Command as clap::Parser>::parse_from(std::iter::once(&"lint").chain(flags));
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = run(&command.args, &mut &*input, &mut out, &mut err);
    (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

fn check_exit(rows: &[(&[&str], &str, u8)]) {
    for (flags, input, code) in rows {
        assert_eq!(lint(flags, input.as_bytes()).0, *code, "{flags:?} {input}");
    }
}

#[test]
fn exit_codes() {
    check_exit(&[
        (&[], GOOD, 0),
        (&["-"], GOOD, 0),
        (&[], BAD, 1),
        (&[], "", 1),
        (&[], WARNED, 0),
        (&["--deny-warnings"], WARNED, 1),
        (&["--deny-warnings"], GOOD, 0),
        (&["--as", "boundary"], "storage:host.name = 'a'", 0),
        (&["--as", "boundary"], GOOD, 1),
        (&["--as", "policy"], GOOD, 0),
        (&["/nonexistent/policy"], GOOD, 2),
        (&["-", "/nonexistent/policy"], BAD, 2),
    ]);
    let (code, out, err) = lint(&[], b"ALLOW \xff");
    assert_eq!((code, out.as_str()), (2, "0 texts checked: 0 errors, 0 warnings\n"));
    assert!(err.contains("not UTF-8"), "{err}");
    assert!(<Command as clap::Parser>::try_parse_from(["lint", "--as", "role"]).is_err());
}

#[test]
fn findings_are_rendered_with_a_summary() {
    let (code, out, err) = lint(&[], BAD.as_bytes());
    assert_eq!((code, err.as_str()), (1, ""));
    let expected = "error[unknown_permission]: unknown permission `storage:logs:reed`\n --> <stdin>:1:7\n\
                    1 | ALLOW storage:logs:reed;\n  |       ^^^^^^^^^^^^^^^^^\n\
                    help: Did you mean `storage:logs:read`?\n\n1 text checked: 1 error, 0 warnings\n";
    assert_eq!(out, expected);
}

#[test]
fn files_are_read_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let paths = [("good", GOOD), ("bad", BAD)].map(|(name, text)| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    });
    let (code, out, _) = lint(&[&paths[0], &paths[1], "/nonexistent"], b"");
    assert_eq!(code, 2);
    assert!(out.contains(&format!("--> {}:1:7", paths[1])), "{out}");
    assert!(out.ends_with("2 texts checked: 1 error, 0 warnings\n"), "{out}");
}

#[test]
fn a_file_past_the_size_limit_is_unusable() {
    let fits = vec![b' '; INPUT_BYTES as usize];
    assert_eq!(lint(&[], &fits).0, 1);
    let (code, _, err) = lint(&[], &[fits, vec![b' ']].concat());
    assert_eq!(code, 2);
    assert!(err.contains("more than 4194304 bytes"), "{err}");
}

/// Answers to lines of input, as JSON.
fn answers(flags: &[&str], input: &[u8]) -> (u8, Vec<serde_json::Value>) {
    let flags = [&["--jsonl"], flags].concat();
    let (code, out, err) = lint(&flags, input);
    assert_eq!(err, "");
    (code, out.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[test]
fn jsonl_answers_each_line_in_order() {
    let input = format!(
        "{{\"id\":\"one\",\"as\":\"policy\",\"text\":\"{GOOD}\",\"source\":[1],\"expected\":\"accept\"}}\n\
         {{\"id\":2,\"text\":\"\\n{BAD}\"}}\n{{\"as\":\"boundary\",\"text\":\"storage:host.name = 'ä' x:y = 'a'\"}}\n\
         {{\"id\":\"w\",\"as\":null,\"text\":\"{WARNED}\"}}"
    );
    let (code, found) = answers(&[], input.as_bytes());
    assert_eq!((code, found.len()), (1, 4));
    assert_eq!(found[0], serde_json::json!({"id": "one", "ok": true, "diagnostics": []}));
    let expected = serde_json::json!({"id": 2, "ok": false, "diagnostics": [{
        "severity": "error", "code": "unknown_permission", "message": "unknown permission `storage:logs:reed`",
        "line": 2, "column": 7, "help": "Did you mean `storage:logs:read`?"}]});
    assert_eq!(found[1], expected);
    assert_eq!(found[2]["id"], serde_json::Value::Null);
    assert_eq!(found[2]["diagnostics"][0]["column"], 25);
    assert_eq!((&found[3]["ok"], &found[3]["diagnostics"][0]["severity"]), (&true.into(), &"warning".into()));
}

#[test]
fn jsonl_takes_the_kind_of_a_line_from_the_flag() {
    let input = br#"{"id":1,"text":"storage:host.name = 'a'"}"#;
    assert_eq!((answers(&[], input).0, answers(&["--as", "boundary"], input).0), (1, 0));
}

#[test]
fn jsonl_answers_bad_lines_too() {
    let long = format!("{{\"id\":1,\"text\":\"{}\"}}", "a".repeat(INPUT_BYTES as usize));
    let rows: [&[u8]; 7] = [
        b"nonsense",
        b"[]",
        b"{\"id\":\"x\"}",
        b"{\"id\":\"x\",\"text\":1}",
        b"{\"id\":\"x\",\"as\":\"role\",\"text\":\"a\"}",
        b"{\"id\":\"x\",\"text\":\"\xff\"}",
        long.as_bytes(),
    ];
    let good = format!("{{\"id\":\"g\",\"text\":\"{GOOD}\"}}\n");
    for row in rows {
        let input = [good.as_bytes(), row, b"\n", good.as_bytes()].concat();
        let (code, found) = answers(&[], &input);
        let shown = String::from_utf8_lossy(row.get(..40).unwrap_or(row)).into_owned();
        assert_eq!((code, found.len()), (1, 3), "{shown}");
        let ok: Vec<_> = found.iter().map(|answer| answer["ok"] == true).collect();
        assert_eq!(ok, [true, false, true], "{shown}");
        let finding = &found[1]["diagnostics"][0];
        assert_eq!((&finding["code"], &finding["line"]), (&"bad_line".into(), &2.into()), "{shown}");
    }
    assert_eq!(answers(&[], b"{\"id\":\"x\",\"text\":1}").1[0]["id"], "x");
    assert_eq!(answers(&[], b""), (0, vec![]));
}

#[test]
fn jsonl_skips_blank_lines() {
    let good = format!("{{\"id\":\"g\",\"text\":\"{GOOD}\"}}\n");
    let (code, found) = answers(&[], format!("\n{good}  \r\n{good}\n").as_bytes());
    assert_eq!((code, found.len()), (0, 2));
}

/// A reader and writer that fail.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("broken"))
    }
}

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::other("broken"))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_input_or_output_that_fails_is_unusable() {
    for jsonl in [true, false] {
        let args = LintArgs { kind: TextKind::Policy, jsonl, deny_warnings: false, files: Vec::new() };
        let input = b"{\"text\":\"\"}";
        assert_eq!(run(&args, &mut Broken, &mut Vec::new(), &mut Vec::new()), 2);
        assert_eq!(run(&args, &mut &input[..], &mut Broken, &mut Broken), 2);
    }
}

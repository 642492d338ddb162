//! A case as a vector file, so that what was found by chance stays found.

use std::fmt::Write as _;

use doorward::model::id::AccountId;
use doorward::model::state::State;

use super::question::{Answer, Question};
use super::statefile::state_file;

/// A vector file with one case: `answer` to `question` in the `account` of `accepted`, once `forgotten` is lost.
pub fn vector(
    accepted: &State,
    account: AccountId,
    forgotten: &[String],
    question: &Question,
    answer: &Answer,
) -> String {
    let mut text = "rule = \"a case that the differential test found\"\n".to_owned();
    if !forgotten.is_empty() {
        let lost: Vec<_> = forgotten.iter().map(|lost| quoted(lost)).collect();
        let _ = writeln!(text, "forget = [{}]", lost.join(", "));
    }
    let _ = writeln!(text, "state = {}\n\n[[case]]", multi_line(&state_file(accepted, account)));
    let Question { user, environment, level, permission, attributes, absent, time } = question;
    let parts = [("user", user), ("environment", environment), ("level", level), ("permission", permission)];
    let _ = writeln!(text, "name = \"found\"");
    for (key, value) in parts.into_iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(text, "{key} = {}", quoted(value));
    }
    if !attributes.is_empty() {
        let pairs = attributes.iter().map(|(name, values)| format!("{} = {}", quoted(name), list(values)));
        let _ = writeln!(text, "attributes = {{ {} }}", pairs.collect::<Vec<_>>().join(", "));
    }
    if !absent.is_empty() {
        let _ = writeln!(text, "absent = {}", list(absent));
    }
    let _ = writeln!(text, "time = {}\nexpect = {{ {} }}", quoted(time), expectation(answer));
    text
}

fn expectation(answer: &Answer) -> String {
    let decided = match answer {
        Answer::Refused(refused) => {
            return format!("error = {}, field = {}", quoted(&refused.code), quoted(&refused.field));
        }
        Answer::Decided(decided) => decided,
    };
    let mut text = format!("decision = \"{}\", code = \"{}\"", decided.decision.name(), decided.code.name());
    if let Some(named) = &decided.named {
        let level = named.environment.as_ref().map_or("account", |id| id.as_str());
        let _ = write!(text, ", policy = {}, statement = {}", quoted(&named.policy_name), named.statement);
        let _ = write!(text, ", group = {}, level = {}", quoted(&named.group_name), quoted(level));
        if let Some((_, name)) = &named.boundary {
            let _ = write!(text, ", boundary = {}", quoted(name));
        }
    }
    text
}

/// As a literal string over several lines; as a basic one where the text has what would end it.
fn multi_line(text: &str) -> String {
    if text.contains("'''") { quoted(text) } else { format!("'''\n{text}'''") }
}

/// JSON's strings are TOML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn list(values: &[String]) -> String {
    format!("[{}]", values.iter().map(|value| quoted(value)).collect::<Vec<_>>().join(", "))
}

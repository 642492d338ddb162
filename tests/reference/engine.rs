//! The engine, asked the same questions in the same words.

use doorward::eval::Outcome;
use doorward::lang::literal::request_time;
use doorward::model::attribute::{Attributes, Values};
use doorward::model::decision::{CheckRequest, RequestParts};
use doorward::model::id::AccountId;
use doorward::model::moment::Moment;
use doorward::snapshot::build::Snapshot;

use super::question::{Answer, Decided, Named, Question, Refused};

/// What the engine answers.
///
/// # Panics
/// Where the time of the question is none.
pub fn ask(snapshot: &Snapshot, account: AccountId, question: &Question) -> Answer {
    ask_until(snapshot, account, question).0
}

/// What the engine answers, and until when that may be kept (D12).
///
/// # Panics
/// Where the time of the question is none.
pub fn ask_until(snapshot: &Snapshot, account: AccountId, question: &Question) -> (Answer, Option<Moment>) {
    let refused = |code: &str, field: &str| (Answer::Refused(Refused::new(code, field)), None);
    let supplied = question.attributes.iter().map(|(name, values)| (name.as_str(), Values::Many(values)));
    let attributes = Attributes::new(supplied, question.absent.iter().map(String::as_str));
    let Question { user, environment, level, permission, time, .. } = question;
    let parts = RequestParts { user, environment, level, permission };
    let at = request_time(time).expect("a time");
    let request = match attributes.and_then(|attributes| CheckRequest::new(parts, attributes, at)) {
        Ok(request) => request,
        Err(invalid) => return refused("bad_request", &invalid.field),
    };
    match snapshot.decide(account, &request) {
        Ok(outcome) => (Answer::Decided(decided(&outcome)), outcome.valid_until()),
        Err(unanswerable) => refused(unanswerable.code(), unanswerable.field()),
    }
}

/// The one place that knows the shape of an outcome.
fn decided(outcome: &Outcome<'_>) -> Decided {
    let reason = outcome.reason();
    let named = reason.statement.map(|it| Named {
        policy: it.policy().id,
        policy_name: it.policy().name.to_string(),
        policy_level: it.policy().level.clone(),
        statement: it.statement(),
        group: it.group_id(),
        group_name: it.group_name().to_string(),
        environment: it.environment().cloned(),
        boundary: it.boundary().map(|boundary| (boundary.id, boundary.name.to_string())),
    });
    Decided { decision: outcome.decision(), code: reason.code, named }
}

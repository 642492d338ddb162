//! The engine, asked the same questions in the same words.

use doorward::eval::resolve::Resolution;
use doorward::eval::{Outcome, Prepared};
use doorward::lang::literal::request_time;
use doorward::model::attribute::{Supplied, Values};
use doorward::model::decision::{CheckRequest, RequestParts};
use doorward::model::id::AccountId;
use doorward::model::moment::Moment;
use doorward::snapshot::build::Snapshot;

use super::question::{Answer, Decided, Named, Question, Refused, Resolved};

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
    let answered = asked(question, |request| match snapshot.decide(account, request) {
        Ok(outcome) => {
            let told = (Answer::Decided(decided(&outcome)), outcome.valid_until());
            assert_eq!(prepared(snapshot, account, request), told, "names that were found before: {question:?}");
            Ok(told)
        }
        Err(unanswerable) => Err(Refused::new(unanswerable.code(), unanswerable.field())),
    });
    answered.unwrap_or_else(|refused| (Answer::Refused(refused), None))
}

/// What the engine answers where the names of a request were found before.
fn prepared(snapshot: &Snapshot, account: AccountId, request: &CheckRequest<'_>) -> (Answer, Option<Moment>) {
    let program = snapshot.account(account).expect("the account");
    let outcome = Prepared::new(program, request).expect("the names exist").decide();
    (Answer::Decided(decided(&outcome)), outcome.valid_until())
}

/// What the engine resolves.
///
/// # Panics
/// Where the time of the question is none, or there is no such account.
pub fn resolve(snapshot: &Snapshot, account: AccountId, question: &Question) -> Result<Resolved, Refused> {
    let program = snapshot.account(account).expect("the account");
    asked(question, |request| match doorward::eval::resolve(program, request) {
        Ok(resolved) => Ok(match resolved.resolution {
            Resolution::Granted(_) => Resolved::Allow,
            Resolution::Conditional => Resolved::Conditional,
            Resolution::Denied(_) => Resolved::Deny,
        }),
        Err(unanswerable) => Err(Refused::new(unanswerable.code(), unanswerable.field())),
    })
}

/// Asks a question in the engine's words.
fn asked<T>(question: &Question, ask: impl FnOnce(&CheckRequest<'_>) -> Result<T, Refused>) -> Result<T, Refused> {
    let supplied = question.attributes.iter().map(|(name, values)| (name.as_str(), Values::Many(values)));
    let supplied = Supplied::new(supplied, question.absent.iter().map(String::as_str));
    let Question { user, environment, level, permission, time, .. } = question;
    let parts = RequestParts { user, environment, level, permission };
    let at = request_time(time).expect("a time");
    let request = match supplied.attributes().and_then(|attributes| CheckRequest::new(parts, attributes, at)) {
        Ok(request) => request,
        Err(invalid) => return Err(Refused::new("bad_request", invalid.field)),
    };
    ask(&request)
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

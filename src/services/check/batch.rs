//! `BatchCheck`: many questions, one snapshot, one instant.

use tonic::Request;

use super::{CheckService, log, log_stale, stale_reason, to_reason, to_request, to_supplied, to_timestamp};
use crate::eval::{Outcome, Permit};
use crate::model::attribute::InvalidRequest;
use crate::model::limits;
use crate::model::moment::Moment;
use crate::proto::doorward as pb;
use crate::services::check::{answer_error, bounded};
use crate::services::decision_point::Undecided;
use crate::services::freshness::Standing;
use crate::services::freshness::demand::{AT_LEAST_REVISION, MAX_AGE};
use crate::snapshot::handle::Published;
use crate::telemetry::metrics::Api;

// === impl CheckService ===

impl CheckService {
    pub(super) async fn batch(
        &self,
        request: &Request<pb::BatchCheckRequest>,
    ) -> Result<pb::BatchCheckResponse, Undecided> {
        let message = request.get_ref();
        let (at_least, max_age) = (&message.at_least_revision, message.max_age);
        let published = self.point.snapshot(request.metadata(), at_least, max_age).await?;
        let standing = self.point.freshness.standing(&published)?;
        let last = last_decision(message.semantic)?;
        bounded("items", message.items.len(), limits::BATCH_ITEMS)?;
        let at = self.point.clock.moment();
        let mut answers = Vec::with_capacity(message.items.len());
        for item in &message.items {
            let answer = self.batch_answer(&published, standing, item, at);
            let decision = answer.decision();
            answers.push(answer);
            if last == Some(decision) {
                break;
            }
        }
        let (revision, revision_token, age) = self.stamp(&published);
        Ok(pb::BatchCheckResponse { answers, revision, revision_token, age })
    }

    fn batch_answer(
        &self,
        published: &Published,
        standing: Standing,
        item: &pb::CheckRequest,
        at: Moment,
    ) -> pb::BatchCheckAnswer {
        let observer = self.point.metrics.check(Api::Batch);
        match self.batch_decision(published, standing, item, at) {
            Ok(answer) => {
                observer.outcome(if answer.decision() == pb::Decision::Allow { "allow" } else { "deny" });
                answer
            }
            Err(problem) => {
                observer.outcome("error");
                denied(pb::BatchCheckAnswer { error: Some(answer_error(&problem)), ..Default::default() })
            }
        }
    }

    fn batch_decision(
        &self,
        published: &Published,
        standing: Standing,
        item: &pb::CheckRequest,
        at: Moment,
    ) -> Result<pb::BatchCheckAnswer, Undecided> {
        demands_nothing(item)?;
        let supplied = to_supplied(&item.attributes, &item.absent);
        let request = to_request(item, &supplied, at)?;
        if standing == Standing::DenyOnly {
            let decision_id = self.point.decision_id();
            log_stale(&decision_id, &request);
            let reason = Some(stale_reason());
            return Ok(denied(pb::BatchCheckAnswer { reason, decision_id, ..Default::default() }));
        }
        let outcome = self.point.decide(published, &item.account, &request)?;
        let decision_id = self.point.decision_id();
        log(&decision_id, &request, &outcome);
        let answer = decided(&outcome, decision_id);
        Ok(match outcome.permit() {
            Some(permit) => allowed(answer, permit),
            None => denied(answer),
        })
    }
}

fn decided(outcome: &Outcome<'_>, decision_id: String) -> pb::BatchCheckAnswer {
    pb::BatchCheckAnswer {
        decision: pb::Decision::Unspecified.into(),
        reason: Some(to_reason(&outcome.reason())),
        decision_id,
        valid_until: outcome.valid_until().map(to_timestamp),
        error: None,
    }
}

/// The only place where an allowing answer of a batch is made, and it takes the proof (D13).
fn allowed(answer: pb::BatchCheckAnswer, _: Permit) -> pb::BatchCheckAnswer {
    pb::BatchCheckAnswer { decision: pb::Decision::Allow.into(), ..answer }
}

fn denied(answer: pb::BatchCheckAnswer) -> pb::BatchCheckAnswer {
    pb::BatchCheckAnswer { decision: pb::Decision::Deny.into(), ..answer }
}

/// A batch is answered from one snapshot, so what is demanded of it stands on the batch.
fn demands_nothing(item: &pb::CheckRequest) -> Result<(), InvalidRequest> {
    let problem = "cannot be demanded by one item; say it beside the items, for all of them";
    match (item.at_least_revision.is_empty(), item.max_age) {
        (true, None) => Ok(()),
        (false, _) => Err(InvalidRequest::new(AT_LEAST_REVISION, problem)),
        (true, Some(_)) => Err(InvalidRequest::new(MAX_AGE, problem)),
    }
}

/// The decision after which a batch stops.
fn last_decision(semantic: i32) -> Result<Option<pb::Decision>, InvalidRequest> {
    match pb::BatchSemantic::try_from(semantic) {
        Ok(pb::BatchSemantic::Unspecified | pb::BatchSemantic::ExecuteAll) => Ok(None),
        Ok(pb::BatchSemantic::DenyOnFirstDeny) => Ok(Some(pb::Decision::Deny)),
        Ok(pb::BatchSemantic::PermitOnFirstPermit) => Ok(Some(pb::Decision::Allow)),
        Err(_) => Err(InvalidRequest::new("semantic", format!("{semantic} is none of the semantics"))),
    }
}

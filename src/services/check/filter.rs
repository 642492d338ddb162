//! `Filter`: what is left of a decision, as a message.

use tonic::{Request, Status};

use super::{CheckService, to_code, to_supplied, to_timestamp};
use crate::eval;
use crate::eval::filter::{FilterRejected, Filtered};
use crate::eval::residual::{Leaf, Operand, Residual, Several};
use crate::model::attribute::Supplied;
use crate::model::decision::{CheckRequest, RequestParts};
use crate::proto::doorward as pb;
use crate::services::decision_point::Undecided;
use crate::services::status::undecided;
use crate::snapshot::handle::Published;

// === impl CheckService ===

impl CheckService {
    pub(super) async fn filtered(&self, request: &Request<pb::FilterRequest>) -> Result<pb::FilterResponse, Status> {
        let refused = |problem: Undecided| undecided(&problem);
        let message = request.get_ref();
        let (at_least, max_age) = (&message.at_least_revision, message.max_age);
        let published = self.point.usable_snapshot(request.metadata(), at_least, max_age).await.map_err(refused)?;
        let program = self.point.program(&published, &message.account).map_err(refused)?;
        let supplied = to_supplied(&message.attributes, &message.absent);
        let request = self.filter_request(message, &supplied).map_err(refused)?;
        match eval::filter(program, &request) {
            Ok(filtered) => Ok(self.filter_response(&published, &filtered)),
            Err(FilterRejected::Unanswerable(problem)) => Err(refused(problem.into())),
            Err(too_large @ FilterRejected::TooLarge) => Err(Status::resource_exhausted(too_large.to_string())),
        }
    }

    fn filter_request<'m>(
        &self,
        message: &'m pb::FilterRequest,
        supplied: &'m Supplied<'_>,
    ) -> Result<CheckRequest<'m>, Undecided> {
        let pb::FilterRequest { user, environment, level, permission, .. } = message;
        let parts = RequestParts { user, environment, level, permission };
        Ok(CheckRequest::new(parts, supplied.attributes()?, self.point.clock.moment())?)
    }

    fn filter_response(&self, published: &Published, filtered: &Filtered) -> pb::FilterResponse {
        let (revision, revision_token, age) = self.stamp(published);
        pb::FilterResponse {
            residual: Some(to_residual(&filtered.residual)),
            refused: filtered.refused.map_or(pb::ReasonCode::Unspecified, to_code).into(),
            revision,
            revision_token,
            age,
            valid_until: filtered.valid_until.map(to_timestamp),
        }
    }
}

/// The tree as a message. It is as deep as a statement is: a handful.
fn to_residual(residual: &Residual) -> pb::Residual {
    use pb::residual::Kind;
    let list = |nodes: &[Residual]| pb::ResidualList { residuals: nodes.iter().map(to_residual).collect() };
    let kind = match residual {
        Residual::Always => Kind::Constant(true),
        Residual::Never => Kind::Constant(false),
        Residual::Test(leaf) => Kind::Test(to_test(leaf)),
        Residual::All(nodes) => Kind::All(list(nodes)),
        Residual::Any(nodes) => Kind::Any(list(nodes)),
        Residual::Not(node) => Kind::Not(Box::new(to_residual(node))),
    };
    pb::Residual { kind: Some(kind) }
}

fn to_test(leaf: &Leaf) -> pb::ResidualTest {
    let several = match leaf.several {
        Several::AnyValue => pb::SeveralValues::AnyValue,
        Several::Fails => pb::SeveralValues::Fails,
        Several::Holds => pb::SeveralValues::Holds,
    };
    let pattern = |stretches: &Vec<String>| pb::MatchPattern { stretches: stretches.clone() };
    let (values, patterns) = match &leaf.operand {
        Operand::Texts(texts) => (texts.clone(), Vec::new()),
        Operand::Patterns(patterns) => (Vec::new(), patterns.iter().map(pattern).collect()),
    };
    pb::ResidualTest {
        name: leaf.name.to_string(),
        operator: leaf.operator.token().to_owned(),
        values,
        patterns,
        several: several.into(),
    }
}

//! `Resolve`: three-valued answers for a list of permissions.

use tonic::Request;

use super::{CheckService, answer_error, bounded, to_reason, to_supplied, to_timestamp};
use crate::compile::account::AccountProgram;
use crate::eval;
use crate::eval::resolve::Resolution;
use crate::model::decision::{CheckRequest, RequestParts};
use crate::model::limits;
use crate::model::moment::Moment;
use crate::proto::doorward as pb;
use crate::services::decision_point::Undecided;

// === impl CheckService ===

impl CheckService {
    pub(super) async fn resolved(
        &self,
        request: &Request<pb::ResolveRequest>,
    ) -> Result<pb::ResolveResponse, Undecided> {
        let message = request.get_ref();
        let (at_least, max_age) = (&message.at_least_revision, message.max_age);
        let published = self.point.usable_snapshot(request.metadata(), at_least, max_age).await?;
        bounded("permissions", message.permissions.len(), limits::BATCH_ITEMS)?;
        let program = self.point.program(&published, &message.account)?;
        let at = self.point.clock.moment();
        let mut permissions = Vec::with_capacity(message.permissions.len());
        for query in &message.permissions {
            match answer(program, message, query, at) {
                Ok(resolved) => permissions.push(resolved),
                Err(problem) if is_of_query(&problem) => permissions.push(failed(query, &problem)),
                Err(problem) => return Err(problem),
            }
        }
        let (revision, revision_token, age) = self.stamp(&published);
        Ok(pb::ResolveResponse { permissions, revision, revision_token, age })
    }
}

fn answer(
    program: &AccountProgram,
    message: &pb::ResolveRequest,
    query: &pb::PermissionQuery,
    at: Moment,
) -> Result<pb::ResolvedPermission, Undecided> {
    let pb::ResolveRequest { user, environment, level, .. } = message;
    let parts = RequestParts { user, environment, level, permission: &query.permission };
    let supplied = to_supplied(&query.attributes, &query.absent);
    let request = CheckRequest::new(parts, supplied.attributes()?, at)?;
    let resolved = eval::resolve(program, &request)?;
    let valid_until = resolved.valid_until.map(to_timestamp);
    Ok(pb::ResolvedPermission { valid_until, ..resolved_permission(&query.permission, &resolved.resolution) })
}

/// Whether only this permission is wrong, and not what all of them share.
fn is_of_query(problem: &Undecided) -> bool {
    let field = problem.field().unwrap_or_default();
    let first = field.split('.').next().unwrap_or_default();
    matches!(first, "permission" | "attributes" | "absent")
}

fn failed(query: &pb::PermissionQuery, problem: &Undecided) -> pb::ResolvedPermission {
    pb::ResolvedPermission {
        permission: query.permission.clone(),
        granted: "false".to_owned(),
        error: Some(answer_error(problem)),
        ..pb::ResolvedPermission::default()
    }
}

/// A permission and what it comes to.
pub(super) fn resolved_permission(permission: &str, resolution: &Resolution<'_>) -> pb::ResolvedPermission {
    pb::ResolvedPermission {
        permission: permission.to_owned(),
        granted: resolution.name().to_owned(),
        reason: resolution.reason().map(|reason| to_reason(&reason)),
        valid_until: None,
        error: None,
    }
}

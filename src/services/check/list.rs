//! `ListPermissions`: pages of what a user may do.

use prost::Message;
use tonic::{Request, Status};

use super::resolve::resolved_permission;
use super::{CheckService, to_code, to_supplied, to_timestamp};
use crate::eval;
use crate::eval::list::Selection;
use crate::model::attribute::InvalidRequest;
use crate::model::decision::{CheckRequest, RequestParts};
use crate::model::limits;
use crate::proto::doorward as pb;
use crate::services::decision_point::Undecided;
use crate::services::page::Page;
use crate::services::status::undecided;
use crate::snapshot::handle::Published;

// === impl CheckService ===

impl CheckService {
    pub(super) async fn listed(
        &self,
        request: Request<pb::ListPermissionsRequest>,
    ) -> Result<pb::ListPermissionsResponse, Status> {
        let (metadata, _, mut message) = request.into_parts();
        // Each page may demand another freshness: it is no part of the question that its token is for.
        let (at_least, max_age) = (std::mem::take(&mut message.at_least_revision), message.max_age.take());
        let token = std::mem::take(&mut message.page_token);
        let size = std::mem::take(&mut message.page_size);
        let page = Page::read(size, &token, &["permissions".as_bytes(), &message.encode_to_vec()])?;
        let published = self.point.usable_snapshot(&metadata, &at_least, max_age).await;
        let answer = published.and_then(|published| self.list_page(&published, &message, &page));
        answer.map_err(|problem| undecided(&problem))
    }

    fn list_page(
        &self,
        published: &Published,
        message: &pb::ListPermissionsRequest,
        page: &Page,
    ) -> Result<pb::ListPermissionsResponse, Undecided> {
        let program = self.point.program(published, &message.account)?;
        let pb::ListPermissionsRequest { user, environment, level, attributes, absent, services, prefix, .. } = message;
        let parts = RequestParts { user, environment, level, permission: "" };
        let supplied = to_supplied(attributes, absent);
        let request = CheckRequest::of_subject(parts, supplied.attributes()?, self.point.clock.moment())?;
        let services = to_services(services)?;
        let selection = Selection { services, prefix, after: page.after().unwrap_or_default(), size: page.size() };
        let listing = eval::list_permissions(program, &request, &selection)?;
        let last = listing.permissions.last().filter(|_| listing.more);
        let (revision, revision_token, age) = self.stamp(published);
        Ok(pb::ListPermissionsResponse {
            next_page_token: last.map(|it| page.token(it.permission)).unwrap_or_default(),
            permissions: listing
                .permissions
                .iter()
                .map(|it| resolved_permission(it.permission.as_str(), &it.resolution))
                .collect(),
            refused: listing.refused.map_or(pb::ReasonCode::Unspecified, to_code).into(),
            revision,
            revision_token,
            age,
            valid_until: listing.valid_until.map(to_timestamp),
        })
    }
}

/// The services a listing is limited to.
pub(in crate::services) fn to_services(services: &[String]) -> Result<Vec<&str>, InvalidRequest> {
    if services.len() > limits::LISTED_SERVICES {
        let problem = format!("holds {} services, the limit is {}", services.len(), limits::LISTED_SERVICES);
        return Err(InvalidRequest::new("services", problem));
    }
    Ok(services.iter().map(String::as_str).collect())
}

//! `doorward.v1.AuditService`.

use prost::Message as _;
use tonic::{Request, Response, Status};

use super::page::{PAGE_BYTES, Page};
use super::rejection::store_error;
use super::{Admin, Call};
use crate::model::audit::{AuditEvent, AuditedChange};
use crate::model::revision::Revision;
use crate::proto::doorward as pb;
use crate::proto::doorward::audit_service_server::AuditService;
use crate::proto::object::{from_record, from_timestamp};

/// Events that are read from the store together.
const BATCH: usize = 20;

#[tonic::async_trait]
impl AuditService for Admin {
    async fn list_audit_events(
        &self,
        request: Request<pb::ListAuditEventsRequest>,
    ) -> Result<Response<pb::ListAuditEventsResponse>, Status> {
        self.call("ListAuditEvents", request, |call, message| {
            let pb::ListAuditEventsRequest { after_revision, page_size, page_token } = message;
            let page = Page::read(page_size, &page_token, &["audit", &after_revision.to_string()])?;
            let after = page.after_key::<u64>()?.unwrap_or(after_revision);
            let (_, revision_token) = call.read();
            let (events, next_page_token) = call.audited(&page, Revision::new(after))?;
            Ok(pb::ListAuditEventsResponse { events, next_page_token, revision_token })
        })
        .await
    }
}

impl Call {
    /// The events of a page after `after`, and the token of the next page.
    fn audited(&self, page: &Page, after: Revision) -> Result<(Vec<pb::AuditEvent>, String), Status> {
        let (mut told, mut bytes, mut last) = (Vec::new(), 0, after);
        loop {
            let batch = self.iam.store().audit_after(last, BATCH).map_err(|problem| store_error(&problem))?;
            if batch.is_empty() {
                return Ok((told, String::new()));
            }
            for event in batch {
                if told.len() >= page.size() || bytes >= PAGE_BYTES {
                    return Ok((told, page.token(last)));
                }
                last = event.revision;
                let event = form(event);
                bytes += event.encoded_len();
                told.push(event);
            }
        }
    }
}

/// The event as a message that a client can take.
fn form(event: AuditEvent) -> pb::AuditEvent {
    let AuditEvent { revision, at, actor, request, changes, mut omitted } = event;
    let (mut told, mut bytes) = (Vec::new(), 0);
    for change in &changes {
        let change = form_change(change);
        bytes += change.encoded_len();
        if told.is_empty() || bytes <= PAGE_BYTES {
            told.push(change);
        } else {
            omitted += 1;
        }
    }
    let request = request.unwrap_or_default();
    // The store knows a request id behind the name of who used it.
    let own = request.strip_prefix(actor.as_str()).and_then(|rest| rest.strip_prefix('/'));
    pb::AuditEvent {
        revision: revision.get(),
        time: Some(from_timestamp(at)),
        actor: actor.as_str().to_owned(),
        request_id: own.map_or(request.clone(), ToOwned::to_owned),
        changes: told,
        omitted,
    }
}

fn form_change(change: &AuditedChange) -> pb::AuditedChange {
    let object = |record: &Option<_>| record.as_ref().map(from_record);
    pb::AuditedChange { before: object(&change.before), after: object(&change.after) }
}

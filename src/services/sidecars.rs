//! `doorward.v1.SidecarService`: which sidecars there are, and how far they are.

use std::time::Duration;

use tonic::{Request, Response, Status};

use super::page::Page;
use super::status::invalid_argument;
use super::watch::Sidecars;
use crate::model::revision::RevisionToken;
use crate::proto::doorward as pb;
use crate::proto::doorward::sidecar_service_server::SidecarService;

/// The longest wait: below the time that any call has.
const LONGEST: Duration = Duration::from_secs(9);

/// Answers from what the watch feed knows.
#[derive(Debug, Clone)]
pub struct SidecarRegistry {
    sidecars: Sidecars,
}

// === impl SidecarRegistry ===

impl SidecarRegistry {
    /// The service over these sidecars.
    #[must_use]
    pub const fn new(sidecars: Sidecars) -> Self {
        Self { sidecars }
    }

    fn token(&self, text: &str) -> Result<RevisionToken, Status> {
        let wrong = |problem: &str| {
            let field = ("revision_token".to_owned(), problem.to_owned());
            invalid_argument(format!("`revision_token` {problem}"), [field])
        };
        let token: RevisionToken = text.parse().map_err(|problem| wrong(&format!("{problem}")))?;
        if token.store == self.sidecars.store() {
            return Ok(token);
        }
        Err(wrong("is of another store; its revisions cannot be compared with those of this one"))
    }
}

/// How long to wait; nothing is no wait.
fn limit(timeout: Option<prost_types::Duration>) -> Result<Duration, Status> {
    let limit = timeout.map_or(Ok(Duration::ZERO), Duration::try_from).ok().filter(|limit| *limit <= LONGEST);
    limit.ok_or_else(|| {
        let problem = format!("must be between 0 and {} seconds; ask again to wait longer", LONGEST.as_secs());
        invalid_argument(format!("`timeout` {problem}"), [("timeout".to_owned(), problem)])
    })
}

#[tonic::async_trait]
impl SidecarService for SidecarRegistry {
    async fn await_applied(
        &self,
        request: Request<pb::AwaitAppliedRequest>,
    ) -> Result<Response<pb::AwaitAppliedResponse>, Status> {
        let pb::AwaitAppliedRequest { revision_token, timeout } = request.into_inner();
        let (token, limit) = (self.token(&revision_token)?, limit(timeout)?);
        Ok(Response::new(self.sidecars.await_applied(token, limit).await))
    }

    async fn list_sidecars(
        &self,
        request: Request<pb::ListSidecarsRequest>,
    ) -> Result<Response<pb::ListSidecarsResponse>, Status> {
        let pb::ListSidecarsRequest { page_size, page_token } = request.into_inner();
        let page = Page::read(page_size, &page_token, &["sidecars"])?;
        let after = page.after().map(str::to_owned);
        let mut rest = self.sidecars.list();
        rest.retain(|sidecar| after.as_ref().is_none_or(|after| sidecar.instance > *after));
        let more = rest.len() > page.size();
        rest.truncate(page.size());
        let last = rest.last().filter(|_| more).map(|last| page.token(&last.instance));
        Ok(Response::new(pb::ListSidecarsResponse { sidecars: rest, next_page_token: last.unwrap_or_default() }))
    }
}

//! Who may use the administrative listener: the holders of its two static credentials.

use std::sync::Arc;

use tonic::metadata::MetadataMap;
use tonic::service::Interceptor;
use tonic::{Request, Status};

use crate::identity::credential::Credential;
use crate::model::credential::{CredentialRecord, CredentialRole};
use crate::model::mutation::Actor;
use crate::telemetry::metrics::Metrics;

/// Lets a call pass whose credential has one of the roles, and says who calls.
#[derive(Debug, Clone)]
pub struct Authenticator {
    records: Arc<[CredentialRecord]>,
    roles: &'static [CredentialRole],
    metrics: Metrics,
}

// === impl Authenticator ===

impl Authenticator {
    /// Lets the root credential pass.
    #[must_use]
    pub const fn root(records: Arc<[CredentialRecord]>, metrics: Metrics) -> Self {
        Self { records, roles: &[CredentialRole::Root], metrics }
    }

    /// Lets both credentials pass.
    #[must_use]
    pub const fn watch(records: Arc<[CredentialRecord]>, metrics: Metrics) -> Self {
        Self { records, roles: &[CredentialRole::Root, CredentialRole::Watch], metrics }
    }

    fn actor(&self, metadata: &MetadataMap) -> Result<Actor, Status> {
        let credential = bearer(metadata)?;
        // The same answer for an unknown id and a wrong secret.
        let record =
            credential.find(&self.records).ok_or_else(|| Status::unauthenticated("the credential is not known"))?;
        if self.roles.contains(&record.role) {
            return Ok(Actor::credential(&record.public_id));
        }
        Err(Status::permission_denied("this credential can only watch; administrative calls need the root credential"))
    }
}

impl Interceptor for Authenticator {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let actor = self.actor(request.metadata()).inspect_err(|status| {
            self.metrics.admin_refused();
            // The status says nothing of what was sent, so neither does the log.
            tracing::warn!(code = ?status.code(), reason = status.message(), "administrative call refused");
        })?;
        request.extensions_mut().insert(actor);
        Ok(request)
    }
}

fn bearer(metadata: &MetadataMap) -> Result<Credential, Status> {
    let mut values = metadata.get_all("authorization").iter();
    let missing = || Status::unauthenticated("the call needs `authorization: Bearer <credential>`");
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(missing());
    };
    let text = value.to_str().map_err(|_| missing())?;
    let (scheme, token) = text.split_once(' ').ok_or_else(missing)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(missing());
    }
    Credential::parse(token.trim()).map_err(|problem| Status::unauthenticated(format!("the credential {problem}")))
}

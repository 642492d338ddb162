//! `doorward.v1.BoundaryService`.

use tonic::{Request, Response, Status};

use super::fields::{Fields, expected, read_key};
use super::page::Page;
use super::{Admin, Carried};
use crate::iam::boundary::{self, BoundaryFields};
use crate::model::id::BoundaryId;
use crate::model::object::{Object, Record};
use crate::model::policy::Boundary;
use crate::proto::doorward as pb;
use crate::proto::doorward::boundary_service_server::BoundaryService;
use crate::proto::object::{self, metadata};

const NOUN: &str = "boundary";

#[tonic::async_trait]
impl BoundaryService for Admin {
    async fn create_boundary(
        &self,
        request: Request<pb::CreateBoundaryRequest>,
    ) -> Result<Response<pb::CreateBoundaryResponse>, Status> {
        self.call("CreateBoundary", request, |call, message| {
            let pb::CreateBoundaryRequest { account, boundary, request_id } = message;
            let mut fields = Fields::default();
            let account = fields.read("account", &account);
            let pb::Boundary { id, name, query, metadata: _ } = fields.required(NOUN, boundary)?;
            let id = fields.read_or("boundary.id", &id, BoundaryId::random);
            let (account, id) = fields.all(account.zip(id))?;
            let wanted = BoundaryFields { name, query };
            let plan = |state: &_| boundary::create(state, account, id, wanted.clone());
            let carried = call.execute(NOUN, &request_id, plan)?;
            Ok(pb::CreateBoundaryResponse {
                boundary: Some(carried.boundary()?),
                warnings: carried.done.warnings.clone(),
                revision_token: carried.revision_token,
            })
        })
        .await
    }

    async fn get_boundary(
        &self,
        request: Request<pb::GetBoundaryRequest>,
    ) -> Result<Response<pb::GetBoundaryResponse>, Status> {
        self.call("GetBoundary", request, |call, message| {
            let pb::GetBoundaryRequest { account, id } = message;
            let (boundary, revision_token) = call.find(NOUN, &account, ("id", &id), |owned, id: &BoundaryId| {
                owned.boundaries.get(id).map(|it| form(it))
            })?;
            Ok(pb::GetBoundaryResponse { boundary: Some(boundary), revision_token })
        })
        .await
    }

    async fn list_boundaries(
        &self,
        request: Request<pb::ListBoundariesRequest>,
    ) -> Result<Response<pb::ListBoundariesResponse>, Status> {
        self.call("ListBoundaries", request, |call, message| {
            let pb::ListBoundariesRequest { account, page_size, page_token } = message;
            let page = Page::read(page_size, &page_token, &["boundaries", &account])?;
            let mut fields = Fields::default();
            let account = fields.read("account", &account);
            let (listed, revision_token) =
                call.list(fields.all(account)?, |owned| page.of(&owned.boundaries, |_| true, |it| form(it)))?;
            let (boundaries, next_page_token) = listed;
            Ok(pb::ListBoundariesResponse { boundaries, next_page_token, revision_token })
        })
        .await
    }

    async fn update_boundary(
        &self,
        request: Request<pb::UpdateBoundaryRequest>,
    ) -> Result<Response<pb::UpdateBoundaryResponse>, Status> {
        self.call("UpdateBoundary", request, |call, message| {
            let pb::UpdateBoundaryRequest { account, boundary, request_id, expected_revision } = message;
            let mut fields = Fields::default();
            let account = fields.read("account", &account);
            let pb::Boundary { id, name, query, metadata: _ } = fields.required(NOUN, boundary)?;
            let id = fields.read("boundary.id", &id);
            let (account, id) = fields.all(account.zip(id))?;
            let wanted = BoundaryFields { name, query };
            let expected = expected(expected_revision);
            let plan = |state: &_| boundary::update(state, account, id, expected, wanted.clone());
            let carried = call.execute(NOUN, &request_id, plan)?;
            Ok(pb::UpdateBoundaryResponse {
                boundary: Some(carried.boundary()?),
                warnings: carried.done.warnings.clone(),
                revision_token: carried.revision_token,
            })
        })
        .await
    }

    async fn delete_boundary(
        &self,
        request: Request<pb::DeleteBoundaryRequest>,
    ) -> Result<Response<pb::DeleteBoundaryResponse>, Status> {
        self.call("DeleteBoundary", request, |call, message| {
            let pb::DeleteBoundaryRequest { account, id, request_id, expected_revision } = message;
            let (account, id) = read_key(&account, ("id", &id))?;
            let plan = |state: &_| boundary::delete(state, account, id, expected(expected_revision));
            let carried = call.execute(NOUN, &request_id, plan)?;
            Ok(pb::DeleteBoundaryResponse { revision_token: carried.revision_token })
        })
        .await
    }
}

impl Carried {
    fn boundary(&self) -> Result<pb::Boundary, Status> {
        self.record(|record| match &record.value {
            Object::Boundary(_, it) => Some(object::boundary(it, Some(metadata(record)))),
            _ => None,
        })
    }
}

fn form(record: &Record<Boundary>) -> pb::Boundary {
    object::boundary(&record.value, Some(metadata(record)))
}

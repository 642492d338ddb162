//! Wire to model and back: the gRPC services, each a thin skin.

pub mod admin;
pub mod authenticate;
pub mod backup;
pub mod check;
pub mod decision_point;
pub mod explanation;
pub mod ext_authz;
pub mod freshness;
mod page;
pub mod right_of_way;
pub mod sidecars;
pub mod status;
pub mod watch;

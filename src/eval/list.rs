//! The permissions of a subject: what it may do, or might with more said, in the order of their names.

use rustc_hash::FxHashSet;

use super::condition::Facts;
use super::question::{find_environment, find_subject};
use super::resolve::{Resolution, settle};
use crate::compile::account::AccountProgram;
use crate::compile::group::GroupProgram;
use crate::model::catalogue::{PermissionName, PermissionNumber};
use crate::model::decision::{CheckRequest, ReasonCode, Unanswerable};
use crate::model::moment::Moment;

/// Which permissions are listed, from where on, and how many.
#[derive(Debug, Clone, Default)]
pub struct Selection<'a> {
    /// The first parts of the permissions; empty for all.
    pub services: Vec<&'a str>,
    /// What a permission begins with.
    pub prefix: &'a str,
    /// Only names behind this one.
    pub after: &'a str,
    /// The most.
    pub size: usize,
}

/// A page of permissions.
#[derive(Debug)]
pub struct Listing<'p> {
    /// Granted or Conditional, sorted by name.
    pub permissions: Vec<Listed<'p>>,
    /// Whether more follow the last one.
    pub more: bool,
    /// Why there is none: the step that refuses the subject (rules R13).
    pub refused: Option<ReasonCode>,
    /// The first instant at which a time condition that was used is another (D12).
    pub valid_until: Option<Moment>,
}

/// A permission and what it comes to.
#[derive(Debug, Clone, Copy)]
pub struct Listed<'p> {
    /// The permission.
    pub permission: &'p PermissionName,
    /// Granted or Conditional.
    pub resolution: Resolution<'p>,
}

/// The permissions that are granted to the subject of `request`, or might be; its `permission` is not looked at.
///
/// # Errors
/// [`Unanswerable`] with the name that does not exist or is borne twice.
pub fn list_permissions<'p>(
    program: &'p AccountProgram,
    request: &CheckRequest<'_>,
    selection: &Selection<'_>,
) -> Result<Listing<'p>, Unanswerable> {
    let subject = find_subject(program, request.subject)?;
    let environment = find_environment(program, request.target)?;
    let mut listing = Listing { permissions: Vec::new(), more: false, refused: None, valid_until: None };
    let subject = match subject {
        Ok(subject) => subject,
        Err(step) => return Ok(Listing { refused: Some(step), ..listing }),
    };
    let facts = Facts::new(request, subject, program);
    for (permission, number) in selection.of(program, program.groups_of(&subject)) {
        let resolution = settle(program, number, environment, &facts);
        match resolution {
            Resolution::Denied(_) => {}
            _ if listing.permissions.len() == selection.size => {
                listing.more = true;
                break;
            }
            resolution => listing.permissions.push(Listed { permission, resolution }),
        }
    }
    listing.valid_until = facts.edge();
    Ok(listing)
}

// === impl Selection ===

impl Selection<'_> {
    fn takes(&self, permission: &str) -> bool {
        let service = permission.split(':').next().unwrap_or_default();
        permission > self.after
            && permission.starts_with(self.prefix)
            && (self.services.is_empty() || self.services.contains(&service))
    }

    /// The selected permissions that some statement bound to `groups` is about, viewer wherever another role is; by name.
    pub(super) fn of<'p>(
        &self,
        program: &'p AccountProgram,
        groups: impl Iterator<Item = &'p GroupProgram>,
    ) -> impl Iterator<Item = (&'p PermissionName, PermissionNumber)> {
        let mut concerned: FxHashSet<PermissionNumber> = groups.flat_map(GroupProgram::permissions).copied().collect();
        if program.roles.others.iter().any(|role| concerned.contains(role)) {
            concerned.extend(program.roles.viewer);
        }
        let named = program.catalogue.numbered();
        named.filter(move |(name, number)| concerned.contains(number) && self.takes(name.as_str()))
    }
}

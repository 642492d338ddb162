//! What somebody may have meant by a name that is not in the catalogue.

use crate::model::catalogue::{Catalogue, GlobalCondition, PermissionName};

/// The most names that one sentence proposes.
const PROPOSALS: usize = 3;
/// Unknown permissions of one text whose neighbours are looked up, and unknown conditions as well: the search is the
/// dearest part of validation.
const LOOKED_UP: usize = 50;

/// A sentence on a permission that is unknown, the `nth` of its text.
pub(super) fn for_permission(catalogue: &Catalogue, name: &str, nth: usize) -> Option<String> {
    if nth > LOOKED_UP {
        return None;
    }
    let near = nearest(name, catalogue.permissions().map(PermissionName::as_str));
    if !near.is_empty() {
        return Some(did_you_mean(&near));
    }
    let (service, action) = name.split_once(':')?;
    let elsewhere = catalogue.permissions().map(PermissionName::as_str);
    let elsewhere: Vec<_> = elsewhere.filter(|other| ends_with_action(other, action)).take(PROPOSALS).collect();
    if !elsewhere.is_empty() {
        return Some(did_you_mean(&elsewhere));
    }
    let all: Vec<_> = service_permissions(catalogue, service).map(PermissionName::as_str).collect();
    let (shown, rest) = all.split_at_checked(PROPOSALS * 2).unwrap_or((&all, &[]));
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    (!all.is_empty()).then(|| format!("The permissions of `{service}` are {}{more}.", ticked(shown)))
}

fn ends_with_action(permission: &str, action: &str) -> bool {
    permission.split_once(':').is_some_and(|(_, other)| other == action)
}

/// The permissions of a service.
pub(super) fn service_permissions<'c>(
    catalogue: &'c Catalogue,
    service: &'c str,
) -> impl Iterator<Item = &'c PermissionName> {
    catalogue.permissions().filter(move |permission| permission.as_str().split(':').next() == Some(service))
}

/// A sentence on a condition that none of `permissions` takes, the `nth` of its text; of a boundary where there are
/// none.
pub(super) fn for_condition(
    catalogue: &Catalogue,
    name: &str,
    permissions: &[&PermissionName],
    nth: usize,
) -> Option<String> {
    if nth > LOOKED_UP {
        return None;
    }
    let asked: Vec<&str> = match permissions {
        [] => catalogue.permissions().map(PermissionName::as_str).collect(),
        some => some.iter().map(|permission| permission.as_str()).collect(),
    };
    let mut conditions: Vec<_> = asked
        .iter()
        .flat_map(|permission| catalogue.conditions_of(permission))
        .map(|spec| spec.name.as_str())
        .collect();
    conditions.sort_unstable();
    conditions.dedup();
    let near = nearest(name, conditions.iter().copied().chain(GlobalCondition::ALL.map(GlobalCondition::name)));
    match (near.is_empty(), permissions.is_empty(), conditions.is_empty()) {
        (false, ..) => Some(did_you_mean(&near)),
        (_, true, _) => None,
        (_, _, true) => Some("It takes the global conditions only.".to_owned()),
        _ => Some(format!("The conditions there are {}, and the global ones.", ticked(&conditions))),
    }
}

fn did_you_mean(names: &[&str]) -> String {
    format!("Did you mean {}?", ticked(names))
}

fn ticked(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The names close to `name`, the closest first.
fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    let most = (name.len() / 6).clamp(1, 3);
    let close = names.filter(|other| other.len().abs_diff(name.len()) <= most);
    let mut close: Vec<_> = close.map(|other| (distance(name, other), other)).filter(|(d, _)| *d <= most).collect();
    close.sort_unstable();
    close.into_iter().take(PROPOSALS).map(|(_, other)| other).collect()
}

/// Insertions, deletions and replacements of bytes between two names; case does not count.
fn distance(a: &str, b: &str) -> usize {
    let b = b.as_bytes();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (index, left) in a.bytes().enumerate() {
        let mut diagonal = index;
        let mut previous = index + 1;
        for (cell, right) in row.iter_mut().skip(1).zip(b) {
            let replaced = diagonal + usize::from(!left.eq_ignore_ascii_case(right));
            diagonal = *cell;
            previous = replaced.min(diagonal + 1).min(previous + 1);
            *cell = previous;
        }
    }
    row.last().copied().unwrap_or_default()
}

//! Rejections of `iam` as gRPC statuses, with the fields of the message they are about.

use tonic::Status;

use crate::iam::Rejection;
use crate::iam::service::{Done, IamError};
use crate::services::status::invalid_argument;
use crate::store::api::StoreError;

/// The status of a refused or failed change. Driver texts go to the log, not to the wire.
pub(super) fn iam_error(noun: &'static str, problem: IamError) -> Status {
    match problem {
        IamError::Rejected(rejection) => rejected(noun, &rejection),
        IamError::Contended => Status::aborted(problem.to_string()),
        IamError::Store(problem) => store_error(&problem),
    }
}

/// The status of a refusal.
pub(super) fn rejected(noun: &'static str, rejection: &Rejection) -> Status {
    let message = format!("{}: {rejection}", rejection.code());
    match rejection {
        Rejection::Invalid(violations) => {
            let fields: Vec<_> = violations
                .iter()
                .map(|it| (message_field(noun, &it.field), format!("{}: {}", it.code, it.problem)))
                .collect();
            let listed: Vec<_> = fields.iter().map(|(field, problem)| format!("`{field}`: {problem}")).collect();
            invalid_argument(listed.join("; "), fields)
        }
        Rejection::NotFound { .. } => Status::not_found(message),
        Rejection::AlreadyExists { .. } => Status::already_exists(message),
        Rejection::InUse { .. } | Rejection::ReadOnly { .. } => Status::failed_precondition(message),
        Rejection::Full { .. } => Status::resource_exhausted(message),
        Rejection::Mismatch { .. } => Status::aborted(message),
    }
}

/// The status of a store that failed, but for a request id: that one is the caller's.
pub(super) fn store_error(problem: &StoreError) -> Status {
    if let StoreError::RequestIdReused { .. } = problem {
        let text = "was used for another request before; use a new id for a new request";
        return invalid_argument(format!("`request_id` {text}"), [("request_id".to_owned(), text.to_owned())]);
    }
    tracing::error!(error = problem as &dyn std::error::Error, "the store failed");
    match problem {
        StoreError::FateUnknown { .. } => Status::unavailable(
            "the store failed while writing; the change may have been made, repeat it with its request id",
        ),
        _ => Status::unavailable("the store cannot be used at the moment; nothing was changed"),
    }
}

/// A repeated create whose resource is gone by now, or of another noun.
pub(super) fn missing_record(done: &Done) -> Status {
    let at = done.token.revision;
    Status::aborted(format!("the request was carried out at revision {at}; {} has been deleted since", done.subject))
}

/// The field of the message for a field as the state file spells it.
fn message_field(noun: &str, field: &str) -> String {
    let (name, rest) =
        field.find(['.', '[']).map_or((field, ""), |at| field.split_at_checked(at).unwrap_or((field, "")));
    let name = match (noun, name) {
        ("user" | "service_user", "groups") => "group_ids".to_owned(),
        ("binding", "policy") => "policy_id".to_owned(),
        ("binding", "group") => "group_id".to_owned(),
        ("binding", "boundaries") => "boundary_ids".to_owned(),
        ("binding", "metadata") => "labels".to_owned(),
        // A message says the level by its environment.
        ("binding", "level") => "environment".to_owned(),
        (_, camel) => snake_case(camel),
    };
    format!("{noun}.{name}{rest}")
}

fn snake_case(camel: &str) -> String {
    let mut snake = String::with_capacity(camel.len() + 4);
    for c in camel.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::message_field;

    #[test]
    fn fields_are_named_as_the_message_spells_them() {
        for (noun, field, expected) in [
            ("user", "groups[2]", "user.group_ids[2]"),
            ("binding", "parameters.schema", "binding.parameters.schema"),
            ("binding", "metadata.x", "binding.labels.x"),
            ("group", "federatedAttributeValues[0]", "group.federated_attribute_values[0]"),
            ("policy", "statements", "policy.statements"),
            ("boundary", "query", "boundary.query"),
        ] {
            assert_eq!(message_field(noun, field), expected);
        }
    }
}

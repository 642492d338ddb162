//! The one place that knows which gRPC code an error is. Driver texts never reach the wire.

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use super::decision_point::Undecided;

/// Bytes of the details of a status. They travel in the trailers, with the message and in base 64, and clients take 8 KiB
/// of those by default: an error that is too long would arrive as a broken stream.
const DETAIL_BYTES: usize = 3_072;
/// Bytes of the message of a status.
const MESSAGE_BYTES: usize = 640;

/// A bad request with the fields that are wrong, as many of them as a client is sure to get.
#[must_use]
pub fn invalid_argument(message: impl AsRef<str>, fields: impl IntoIterator<Item = (String, String)>) -> Status {
    let mut bytes = 0;
    let mut violations = Vec::new();
    let mut left_out = 0;
    for (field, problem) in fields {
        bytes += field.len() + problem.len() + 8;
        if bytes <= DETAIL_BYTES || violations.is_empty() {
            violations.push(FieldViolation::new(cut(&field, MESSAGE_BYTES), cut(&problem, DETAIL_BYTES / 2)));
        } else {
            left_out += 1;
        }
    }
    if left_out > 0 {
        violations.push(FieldViolation::new("", format!("{left_out} more are wrong; mend these first")));
    }
    let message = cut(message.as_ref(), MESSAGE_BYTES);
    Status::with_error_details(Code::InvalidArgument, message, ErrorDetails::with_bad_request(violations))
}

/// The text, or its head where it is longer than `limit` bytes.
fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = (0..=limit).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// The status of a request that got no decision.
#[must_use]
pub fn undecided(problem: &Undecided) -> Status {
    match problem {
        Undecided::NotReady(_) => Status::unavailable(problem.to_string()),
        Undecided::NotFresh(_) | Undecided::Stale(_) => Status::unavailable(format!("{}: {problem}", problem.code())),
        Undecided::TooManyWaiting(_) => Status::resource_exhausted(format!("{}: {problem}", problem.code())),
        Undecided::Invalid(_) | Undecided::Unanswerable(_) => {
            let field = problem.field().unwrap_or_default().to_owned();
            invalid_argument(format!("{}: {problem}", problem.code()), [(field, problem.to_string())])
        }
    }
}

/// How metrics name a code.
#[must_use]
pub const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::Aborted => "ABORTED",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Unavailable => "UNAVAILABLE",
        Code::Unauthenticated => "UNAUTHENTICATED",
        Code::Cancelled => "CANCELLED",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::DataLoss => "DATA_LOSS",
        _ => "OTHER",
    }
}

//! What etcd says when it does not do something, by name.

use std::path::PathBuf;

use tonic::{Code, Status};

/// Why etcd did not do what it was asked, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum EtcdError {
    /// No member can be connected to.
    #[error("`{endpoint}` cannot be reached; check that the member runs, the address, and the certificates")]
    Unreachable {
        /// The member that was tried last.
        endpoint: String,
        /// Why.
        source: tonic::transport::Error,
    },
    /// The connection broke in the middle of a call.
    #[error("the connection to `{endpoint}` was lost in the middle of a call: {message}")]
    Lost {
        /// The member.
        endpoint: String,
        /// What was seen of it.
        message: String,
    },
    /// No answer came in time.
    #[error("`{endpoint}` did not answer in time; check its load, its disk and the network")]
    Deadline {
        /// The member.
        endpoint: String,
    },
    /// The member knows no leader.
    #[error("the cluster has no leader; it elects one within seconds if most of its members run and reach each other")]
    NoLeader,
    /// The members that are needed for a decision did not agree in time.
    #[error("most of the members did not agree in time ({0}); check that most of them run and reach each other")]
    NoQuorum(String),
    /// The member has too much to do.
    #[error("the member has too many requests under way")]
    Busy,
    /// The space that etcd allows itself is used up.
    #[error(
        "etcd has used the space of its quota, and takes no write; compact etcd's history, defragment, and disarm the \
         alarm NOSPACE, or raise --quota-backend-bytes"
    )]
    NoSpace,
    /// What was asked for is no longer in etcd's history.
    #[error("the revision of etcd that was asked for has been compacted")]
    Compacted,
    /// The user may not touch these keys.
    #[error("the user of etcd may not do this; grant it readwrite on the whole prefix")]
    PermissionDenied,
    /// Name or password is wrong.
    #[error("etcd refuses the user or the password; check `username` and `password_file`")]
    AuthFailed,
    /// etcd has users and was told none.
    #[error("etcd asks for a user; set `username` and `password_file`")]
    UserNeeded,
    /// The token has ended, or the member does not know it.
    #[error("the token has ended")]
    TokenEnded,
    /// A request is larger than the member takes.
    #[error("etcd refuses a request as too large ({0}); it needs the usual limits: 1.5 MiB and 128 operations")]
    TooLarge(String),
    /// The members do not hold the same.
    #[error("etcd says that its data is damaged: {0}")]
    Corrupt(String),
    /// Anything else.
    #[error("etcd refuses with {code:?}: {message}")]
    Refused {
        /// The code.
        code: Code,
        /// Its words.
        message: String,
    },
    /// An answer that cannot be one of etcd.
    #[error("`{0}` did not answer as etcd does")]
    Foreign(&'static str),
    /// A file of the configuration.
    #[error("`{path}` cannot be read; check that it is there, its owner and its mode")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// An address or a certificate.
    #[error("`{what}` cannot be used")]
    Setting {
        /// The address, or which certificate.
        what: String,
        /// Why.
        source: tonic::transport::Error,
    },
    /// No threads or sockets for the client.
    #[error("the operating system does not let the client of etcd start")]
    System(#[source] std::io::Error),
}

/// What words of etcd mean; it is given the whole of them.
type Meaning = fn(&str) -> EtcdError;

/// Words of etcd, and what they mean. The first line that fits counts.
const WORDS: [(&str, Meaning); 14] = [
    ("database space exceeded", |_| EtcdError::NoSpace),
    ("has been compacted", |_| EtcdError::Compacted),
    ("no leader", |_| EtcdError::NoLeader),
    ("request timed out", |words| EtcdError::NoQuorum(words.to_owned())),
    ("leader changed", |words| EtcdError::NoQuorum(words.to_owned())),
    ("too many requests", |_| EtcdError::Busy),
    ("permission denied", |_| EtcdError::PermissionDenied),
    ("invalid user ID or password", |_| EtcdError::AuthFailed),
    ("user name is empty", |_| EtcdError::UserNeeded),
    ("invalid auth token", |_| EtcdError::TokenEnded),
    ("revision of auth store is old", |_| EtcdError::TokenEnded),
    ("request is too large", |words| EtcdError::TooLarge(words.to_owned())),
    ("too many operations", |words| EtcdError::TooLarge(words.to_owned())),
    ("message larger than max", |words| EtcdError::TooLarge(words.to_owned())),
];

// === impl EtcdError ===

impl EtcdError {
    /// What the answer of the member at `endpoint` means. etcd's codes are too coarse; its words are fixed.
    pub(super) fn of(status: &Status, endpoint: &str) -> Self {
        let words = status.message();
        if let Some((_, meaning)) = WORDS.iter().find(|(fixed, _)| words.contains(fixed)) {
            return meaning(words);
        }
        match status.code() {
            Code::DeadlineExceeded => Self::Deadline { endpoint: endpoint.to_owned() },
            // Of a member that stops, and of the transport below.
            Code::Unavailable | Code::Cancelled | Code::Unknown | Code::Internal => {
                Self::Lost { endpoint: endpoint.to_owned(), message: words.to_owned() }
            }
            Code::DataLoss => Self::Corrupt(words.to_owned()),
            code => Self::Refused { code, message: words.to_owned() },
        }
    }

    /// Whether `cause` is that etcd has forgotten what was to be read.
    pub(super) fn is_compacted(cause: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
        matches!(cause.downcast_ref(), Some(Self::Compacted))
    }

    /// Whether another member, or the same one a moment later, may answer otherwise.
    pub(super) const fn is_passing(&self) -> bool {
        let of_the_member = matches!(self, Self::Unreachable { .. } | Self::Lost { .. } | Self::Deadline { .. });
        of_the_member || matches!(self, Self::NoLeader | Self::NoQuorum(_) | Self::Busy | Self::TokenEnded)
    }

    /// Whether what was asked may have been done, or may yet be.
    pub(super) const fn may_be_done(&self) -> bool {
        let unanswered = matches!(self, Self::Lost { .. } | Self::Deadline { .. } | Self::NoQuorum(_));
        // A member whose space ran out while it was on its way does it, and answers so.
        unanswered
            || matches!(self, Self::NoSpace)
            || matches!(self, Self::Corrupt(_) | Self::Refused { .. } | Self::Foreign(_))
    }

    /// Whether the member is to be left for another one.
    pub(super) const fn leaves(&self) -> bool {
        self.is_passing() && !matches!(self, Self::TokenEnded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_etcd_are_named() {
        let check = |code, words: &str, named: &str, passing: bool, may_be_done: bool| {
            let error = EtcdError::of(&Status::new(code, words), "http://m");
            assert!(format!("{error:?}").starts_with(named), "{words}: {error:?}");
            assert_eq!((error.is_passing(), error.may_be_done()), (passing, may_be_done), "{words}");
        };
        check(Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded", "NoSpace", false, true);
        check(Code::OutOfRange, "etcdserver: mvcc: required revision has been compacted", "Compacted", false, false);
        check(Code::Unavailable, "etcdserver: no leader", "NoLeader", true, false);
        check(
            Code::Unavailable,
            "etcdserver: request timed out, possibly due to previous leader failure",
            "NoQuorum",
            true,
            true,
        );
        check(Code::Unavailable, "etcdserver: leader changed", "NoQuorum", true, true);
        check(Code::ResourceExhausted, "etcdserver: too many requests", "Busy", true, false);
        check(Code::PermissionDenied, "etcdserver: permission denied", "PermissionDenied", false, false);
        check(
            Code::InvalidArgument,
            "etcdserver: authentication failed, invalid user ID or password",
            "AuthFailed",
            false,
            false,
        );
        check(Code::InvalidArgument, "etcdserver: user name is empty", "UserNeeded", false, false);
        check(Code::Unauthenticated, "etcdserver: invalid auth token", "TokenEnded", true, false);
        check(Code::InvalidArgument, "etcdserver: request is too large", "TooLarge", false, false);
        check(Code::Unavailable, "etcdserver: server stopped", "Lost", true, true);
        check(Code::Unknown, "transport error", "Lost", true, true);
        check(Code::DataLoss, "etcdserver: corrupt cluster", "Corrupt", false, true);
        check(Code::InvalidArgument, "etcdserver: key is not provided", "Refused", false, true);
    }
}

//! What the engine runs: conditions with their parameters filled in, and the index of one account.
//!
//! Immutable once built, shared by every request of a snapshot.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::lang::ast::ParameterName;
use crate::model::binding::BindingKey;
use crate::model::catalogue::{Catalogue, PermissionName};
use crate::model::id::{AccountId, EnvironmentId, GroupId, PolicyId, UserId};
use crate::model::identity::UserState;
use crate::model::moment::{Moment, Offset};
use crate::model::policy::{Effect, Policy};
use crate::model::state::Shared;
use crate::model::text::Name;

/// A policy with one set of parameters.
#[derive(Debug, PartialEq, Eq)]
pub struct PolicyProgram {
    /// Its statements, each split by how its permissions take the conditions; in order.
    pub clauses: Box<[Clause]>,
}

/// A statement, or the part of one whose permissions take every condition in the same way.
#[derive(Debug, PartialEq, Eq)]
pub struct Clause {
    /// The number of the statement in its policy, from 0.
    pub statement: u16,
    /// ALLOW or DENY.
    pub effect: Effect,
    /// The permissions; those that the catalogue no longer knows are left out (rules R30).
    pub permissions: Box<[PermissionName]>,
    /// Joined by AND.
    pub conditions: Box<[Condition]>,
}

/// One condition, ready to be tested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// An attribute of the request.
    Attribute {
        /// Its name.
        name: Box<str>,
        /// R6: any of several values may fit.
        any_match: bool,
        /// What must hold.
        test: TextTest,
    },
    /// `global:environmentId`.
    Environment(TextTest),
    /// `global:userGroup`: any of the subject's groups may fit (reference ch. 15 row 18).
    UserGroup(TextTest),
    /// `global:date`, in the offset of the value (rules R18).
    Date(Ordering, i64, Offset),
    /// `global:date-time`.
    DateTime(Ordering, Moment),
    /// `global:time-of-day`, nanoseconds since local midnight.
    TimeOfDay(Ordering, i64, Offset),
    /// `global:week-day`: the days that fit, bit 0 being Monday.
    WeekDay(u8),
    /// A condition the catalogue no longer knows for this permission: never settled, so it never allows and a DENY denies.
    Retired,
}

/// The comparison of an ordered value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordering {
    /// `<`
    Before,
    /// `>`
    After,
    /// `=`
    Same,
}

/// A test of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextTest {
    /// An operator that R3 keeps from attributes with several values.
    Scalar {
        /// Whether the operator is the negation.
        negated: bool,
        /// The positive test.
        test: ScalarTest,
    },
    /// `MATCH`: any value, any pattern.
    Match {
        /// The patterns.
        patterns: Box<[Pattern]>,
        /// `${global:userGroup}` stands among them.
        user_groups: bool,
    },
}

/// The positive form of a scalar operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScalarTest {
    /// `=`
    Equals(Text),
    /// `startsWith`
    StartsWith(Text),
    /// `IN`
    OneOf {
        /// The values known at build, sorted.
        literals: Box<[Box<str>]>,
        /// The values known at evaluation.
        templates: Box<[Text]>,
        /// `${global:userGroup}` stands among them.
        user_groups: bool,
    },
}

/// A text to compare with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    /// Known at build.
    Literal(Box<str>),
    /// With parts known at evaluation.
    Template(Box<[Part]>),
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Known at build.
    Literal(Box<str>),
    /// `${global:userId}`
    UserId,
    /// `${global:levelId}`
    LevelId,
}

/// The stretches of a pattern between its wildcards; one stretch is an equality test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// At least one.
    pub stretches: Box<[Text]>,
}

/// Everything a decision in one account needs.
#[derive(Debug)]
pub struct AccountProgram {
    /// The account.
    pub id: AccountId,
    /// The permissions and conditions of this account.
    pub catalogue: Arc<Catalogue>,
    /// Numbers of the environments.
    pub environments: FxHashMap<EnvironmentId, u32>,
    /// Numbers of the permissions that can be asked for.
    pub permissions: FxHashMap<PermissionName, u32>,
    /// Every user and service user.
    pub subjects: Vec<Subject>,
    /// Subjects by id.
    pub subjects_by_id: FxHashMap<UserId, u32>,
    /// Subjects by e-mail, and service users by name.
    pub subjects_by_name: FxHashMap<Box<str>, Named>,
    /// Every group.
    pub groups: Vec<GroupInfo>,
    /// Every policy that is bound, in the order reasons are ranked by: name, level, id.
    pub policies: Vec<BoundPolicy>,
    /// Every binding, in the order reasons are ranked by: level, group name, content.
    pub bindings: Vec<BindingInfo>,
    /// What a group's bindings say about a permission.
    pub candidates: FxHashMap<(u32, u32), Box<[Candidate]>>,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// One subject.
    One(u32),
    /// Several: the id has to be given (rules §8).
    Several,
}

/// A user or service user.
#[derive(Debug, PartialEq, Eq)]
pub struct Subject {
    /// Identity.
    pub id: UserId,
    /// Only an active one may do anything.
    pub state: UserState,
    /// Numbers of its groups, `ALL_USERS` among them.
    pub groups: Box<[u32]>,
}

/// A group as answers name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupInfo {
    /// Identity.
    pub id: GroupId,
    /// Name.
    pub name: Name,
}

/// Values of the parameters that a policy asks for, in its order.
pub type ParameterValues = Box<[Box<str>]>;

/// A policy with the programs of its bindings.
#[derive(Debug)]
pub struct BoundPolicy {
    /// The policy as it was compiled; the same record is not compiled again.
    pub source: Shared<Policy>,
    /// The parameters it asks for, in the order of the values below.
    pub parameters: Vec<ParameterName>,
    /// Numbers of statements that the catalogue no longer knows in full.
    pub retired: Vec<u16>,
    /// One program for each set of values that its parameters have.
    pub programs: Vec<(ParameterValues, Arc<PolicyProgram>)>,
}

/// A binding as answers name it.
#[derive(Debug, PartialEq, Eq)]
pub struct BindingInfo {
    /// Identity.
    pub key: BindingKey,
    /// Number of the group.
    pub group: u32,
    /// Number of the environment; `None` at account level.
    pub environment: Option<u32>,
    /// The environment's id, for answers.
    pub environment_id: Option<EnvironmentId>,
}

/// One clause that may decide about a permission for a group.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Where it stands in the ranking of reasons; lower is named first.
    pub rank: Rank,
    /// The program of the policy with the binding's parameters.
    pub program: Arc<PolicyProgram>,
    /// The clause of the program.
    pub clause: u32,
}

/// The order in which deciding statements are named (rules §8): policy name, statement; then policy, binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// Number of the policy's name: policies of different levels may bear one name.
    pub name: u32,
    /// Number of the statement in the policy.
    pub statement: u16,
    /// Number of the policy, by name, level, id.
    pub policy: u32,
    /// Number of the binding.
    pub binding: u32,
}

// === impl AccountProgram ===

impl AccountProgram {
    /// Bound statements with a permission or condition that the catalogue does not know (rules R30): they grant nothing.
    pub fn retired(&self) -> impl Iterator<Item = (PolicyId, u16)> + '_ {
        let statements = |policy: &'_ BoundPolicy| policy.retired.clone().into_iter();
        self.policies.iter().flat_map(move |policy| statements(policy).map(|number| (policy.source.value.id, number)))
    }
}

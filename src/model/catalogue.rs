//! The permission catalogue: which permissions exist, which conditions fit each, with which operators.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use hashbrown::HashTable;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::limits;
use super::text::{hash_of, is_same};

/// The default catalogue as it ships (rules R29, R6): names, conditions and operators only.
const DEFAULT_CATALOGUE: &str = include_str!("../../data/catalogue.json");

/// A comparison of the language (reference ch. 1.3). There are no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Operator {
    /// `=`
    #[serde(rename = "=")]
    Equal,
    /// `!=`
    #[serde(rename = "!=")]
    NotEqual,
    /// `<`, on global time conditions only
    #[serde(rename = "<")]
    Less,
    /// `>`, on global time conditions only
    #[serde(rename = ">")]
    Greater,
    /// `IN`
    #[serde(rename = "IN")]
    In,
    /// `NOT IN`
    #[serde(rename = "NOT IN")]
    NotIn,
    /// `startsWith`
    #[serde(rename = "startsWith")]
    StartsWith,
    /// `NOT startsWith`
    #[serde(rename = "NOT startsWith")]
    NotStartsWith,
    /// `MATCH`
    #[serde(rename = "MATCH")]
    Match,
}

/// Operators as a set, printed in the order of [`Operator::ALL`].
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Operator>", into = "Vec<Operator>")]
pub struct OperatorSet(u16);

/// `service:resource:action`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PermissionName(Arc<str>);

/// `service:attribute`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConditionName(Arc<str>);

/// A text that is no name of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be {0} names joined by `:`, each a letter or digit, then letters, digits, `-`, `_` or `.`, {limit} bytes in all", limit = limits::CATALOGUE_NAME_BYTES)]
pub struct InvalidCatalogueName(usize);

/// How one permission takes one condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConditionSpec {
    /// The condition.
    pub name: ConditionName,
    /// The operators this permission takes for it (reference ch. 16, trap 6).
    pub operators: OperatorSet,
    /// R6: with several values, any one of them may satisfy `=`, `IN` and `startsWith`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub any_match: bool,
}

/// One permission with its conditions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogueEntry {
    /// The permission.
    pub permission: PermissionName,
    /// Its conditions; no two of one name.
    pub conditions: Vec<ConditionSpec>,
}

/// Why an addition to the catalogue was refused (rules R28).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueRejected {
    /// It would change a condition that is there.
    #[error("`{permission}` takes `{condition}` with {there} already; an addition cannot change it")]
    Conflict {
        /// The permission.
        permission: PermissionName,
        /// The condition that differs.
        condition: ConditionName,
        /// What is there.
        there: String,
    },
    /// A role permission.
    #[error("`{0}` belongs to `environment:roles:`, which is not open to additions")]
    RolePermission(PermissionName),
    /// A global condition.
    #[error("`{0}` is a global condition; those fit every permission already")]
    GlobalCondition(ConditionName),
    /// `<` or `>`.
    #[error("`{0}` may not use `<` or `>`; only global time conditions are ordered")]
    OrderedOperator(ConditionName),
    /// No operator at all.
    #[error("`{0}` names no operator")]
    NoOperator(ConditionName),
    /// More conditions than the limit.
    #[error("`{0}` would have more than {limit} conditions", limit = limits::CATALOGUE_CONDITIONS)]
    TooManyConditions(PermissionName),
}

/// What the values of a condition may look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// Any text.
    Text,
    /// `YYYY-MM-DD` and a zone.
    Date,
    /// `YYYY-MM-DDTHH:MM:SS` and a zone.
    DateTime,
    /// `HH:MM[:SS]` and a zone.
    TimeOfDay,
    /// `Monday` to `Sunday`.
    WeekDay,
    /// One of a fixed list (rules R8).
    Enumeration(&'static [&'static str]),
}

/// A condition that fits every permission (reference ch. 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GlobalCondition {
    /// `global:date`
    Date,
    /// `global:date-time`
    DateTime,
    /// `global:time-of-day`
    TimeOfDay,
    /// `global:week-day`
    WeekDay,
    /// `global:environmentId`
    EnvironmentId,
    /// `global:userGroup`
    UserGroup,
}

/// The number of a permission in one catalogue. An addition gets the next one and changes no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PermissionNumber(u32);

/// A catalogue ready to be asked, immutable in use.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    /// For answers in order.
    sorted: BTreeMap<PermissionName, PermissionNumber>,
    /// For look-ups on the way of a request.
    numbers: HashTable<PermissionNumber>,
    /// By number.
    names: Vec<PermissionName>,
    /// By number.
    entries: Vec<BTreeMap<ConditionName, ConditionSpec>>,
    /// Each condition that some permission takes, with the operators that any of them takes.
    conditions: FxHashMap<ConditionName, OperatorSet>,
}

/// The first part of every name that is computed, never told (rules R4).
pub const GLOBAL_PREFIX: &str = "global:";
/// The first parts of the role permissions.
pub const ROLE_PREFIX: &str = "environment:roles:";

// === impl Operator ===

impl Operator {
    /// Every operator, in the order messages list them.
    pub const ALL: [Self; 9] = [
        Self::Equal,
        Self::NotEqual,
        Self::Less,
        Self::Greater,
        Self::In,
        Self::NotIn,
        Self::StartsWith,
        Self::NotStartsWith,
        Self::Match,
    ];

    /// The spelling of the language.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::Greater => ">",
            Self::In => "IN",
            Self::NotIn => "NOT IN",
            Self::StartsWith => "startsWith",
            Self::NotStartsWith => "NOT startsWith",
            Self::Match => "MATCH",
        }
    }

    /// The operator a file spells this way, exactly.
    #[must_use]
    pub fn from_token(token: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operator| operator.token() == token)
    }

    /// Whether the right side is a parenthesised list.
    #[must_use]
    pub const fn takes_list(self) -> bool {
        matches!(self, Self::In | Self::NotIn | Self::Match)
    }

    /// Whether it holds where a plain comparison does not.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        matches!(self, Self::NotEqual | Self::NotIn | Self::NotStartsWith)
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.token())
    }
}

// === impl OperatorSet ===

impl OperatorSet {
    /// Whether `operator` is in the set.
    #[must_use]
    pub fn contains(self, operator: Operator) -> bool {
        self.0 & (1 << operator as u16) != 0
    }

    /// Both sets.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether nothing is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The operators in the order of [`Operator::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Operator> {
        Operator::ALL.into_iter().filter(move |&operator| self.contains(operator))
    }
}

impl FromIterator<Operator> for OperatorSet {
    fn from_iter<I: IntoIterator<Item = Operator>>(operators: I) -> Self {
        Self(operators.into_iter().fold(0, |set, operator| set | (1 << operator as u16)))
    }
}

impl From<Vec<Operator>> for OperatorSet {
    fn from(operators: Vec<Operator>) -> Self {
        operators.into_iter().collect()
    }
}

impl From<OperatorSet> for Vec<Operator> {
    fn from(set: OperatorSet) -> Self {
        set.iter().collect()
    }
}

impl fmt::Display for OperatorSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, operator) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}`{operator}`")?;
        }
        Ok(())
    }
}

impl fmt::Debug for OperatorSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

// === impl PermissionName, ConditionName ===

/// Whether `text` is `parts` names joined by `:` (reference ch. 1.9, `name`).
fn has_parts(text: &str, parts: usize) -> bool {
    // One pass: a name begins after each colon, with a letter or digit.
    let (mut found, mut begins) = (1, true);
    for byte in text.bytes() {
        match byte {
            b':' if !begins => (found, begins) = (found + 1, true),
            b'-' | b'_' | b'.' if !begins => {}
            _ if byte.is_ascii_alphanumeric() => begins = false,
            _ => return false,
        }
    }
    found == parts && !begins && text.len() <= limits::CATALOGUE_NAME_BYTES
}

macro_rules! catalogue_name {
    ($name:ident, $parts:literal) => {
        impl $name {
            /// The name as it is written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidCatalogueName;
            fn from_str(text: &str) -> Result<Self, InvalidCatalogueName> {
                if has_parts(text, $parts) { Ok(Self(text.into())) } else { Err(InvalidCatalogueName($parts)) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidCatalogueName;
            fn try_from(text: String) -> Result<Self, InvalidCatalogueName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

catalogue_name!(PermissionName, 3);
catalogue_name!(ConditionName, 2);

// === impl ValueKind ===

impl ValueKind {
    /// The kind of value the condition `name` takes, whatever the permission.
    #[must_use]
    pub fn of(name: &str) -> Self {
        match name {
            "global:date" => Self::Date,
            "global:date-time" => Self::DateTime,
            "global:time-of-day" => Self::TimeOfDay,
            "global:week-day" => Self::WeekDay,
            "storage:query-consumption" => Self::Enumeration(&["INCLUDED", "ON_DEMAND"]),
            "automation:workflow-type" => Self::Enumeration(&["SIMPLE", "STANDARD"]),
            "iam-param:entity-type" => Self::Enumeration(&["group", "user"]),
            _ => Self::Text,
        }
    }
}

// === impl GlobalCondition ===

impl GlobalCondition {
    /// Every global condition.
    pub const ALL: [Self; 6] =
        [Self::Date, Self::DateTime, Self::TimeOfDay, Self::WeekDay, Self::EnvironmentId, Self::UserGroup];

    /// The name a text uses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Date => "global:date",
            Self::DateTime => "global:date-time",
            Self::TimeOfDay => "global:time-of-day",
            Self::WeekDay => "global:week-day",
            Self::EnvironmentId => "global:environmentId",
            Self::UserGroup => "global:userGroup",
        }
    }

    /// The global condition of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let is_global = name.starts_with(GLOBAL_PREFIX);
        Self::ALL.into_iter().filter(|_| is_global).find(|condition| condition.name() == name)
    }

    /// The operators it takes (reference ch. 2.1; ch. 15 row 18 for the groups).
    #[must_use]
    pub fn operators(self) -> OperatorSet {
        let operators: &[Operator] = match self {
            Self::Date => &[Operator::Less, Operator::Greater, Operator::Equal],
            Self::DateTime | Self::TimeOfDay => &[Operator::Less, Operator::Greater],
            Self::WeekDay => &[Operator::Equal, Operator::NotEqual, Operator::In],
            Self::EnvironmentId => &[Operator::Equal],
            Self::UserGroup => &[Operator::Equal, Operator::In],
        };
        operators.iter().copied().collect()
    }
}

// === impl PermissionNumber ===

impl PermissionNumber {
    /// The place in a list that has one element for each permission.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

// === impl Catalogue ===

impl PartialEq for Catalogue {
    fn eq(&self, other: &Self) -> bool {
        // The other parts follow from these.
        (&self.names, &self.entries) == (&other.names, &other.entries)
    }
}

impl Eq for Catalogue {}

impl Catalogue {
    /// The entries of the default catalogue, as they ship.
    ///
    /// # Panics
    /// Never in a released build: the data file is part of the binary and a test reads it.
    #[must_use]
    pub fn default_entries() -> &'static [CatalogueEntry] {
        #[derive(Deserialize)]
        struct Shipped {
            permissions: Vec<CatalogueEntry>,
        }
        static ENTRIES: LazyLock<Vec<CatalogueEntry>> = LazyLock::new(|| {
            #[expect(
                clippy::expect_used,
                reason = "the text is compiled in; `the_default_catalogue_is_readable` reads it"
            )]
            let shipped: Shipped = serde_json::from_str(DEFAULT_CATALOGUE).expect("the shipped catalogue is valid");
            shipped.permissions
        });
        &ENTRIES
    }

    /// The default catalogue.
    #[must_use]
    pub fn shipped() -> &'static Self {
        static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::from_entries(Catalogue::default_entries()));
        &CATALOGUE
    }

    /// A catalogue of these entries; a later entry of a permission adds to an earlier one.
    #[must_use]
    pub fn from_entries<'a>(entries: impl IntoIterator<Item = &'a CatalogueEntry>) -> Self {
        let mut catalogue = Self::default();
        for entry in entries {
            catalogue.insert(entry);
        }
        catalogue
    }

    /// Whether the permission exists.
    #[must_use]
    pub fn knows(&self, permission: &str) -> bool {
        self.number(permission).is_some()
    }

    /// The number of a permission.
    #[must_use]
    #[inline]
    pub fn number(&self, permission: &str) -> Option<PermissionNumber> {
        let is = |number: &PermissionNumber| {
            let name = self.names.get(number.index());
            name.is_some_and(|name| is_same(name.as_str().as_bytes(), permission.as_bytes()))
        };
        self.numbers.find(hash_of(permission), is).copied()
    }

    /// The name of a permission, to be shared.
    #[must_use]
    pub fn permission_name(&self, permission: &str) -> Option<&PermissionName> {
        self.names.get(self.number(permission)?.index())
    }

    /// The name of a condition that some permission takes, to be shared.
    #[must_use]
    pub fn condition_name(&self, condition: &str) -> Option<&ConditionName> {
        self.conditions.get_key_value(condition).map(|(name, _)| name)
    }

    /// Every permission, sorted.
    pub fn permissions(&self) -> impl Iterator<Item = &PermissionName> {
        self.sorted.keys()
    }

    /// Every permission with its number, sorted by name.
    pub fn numbered(&self) -> impl Iterator<Item = (&PermissionName, PermissionNumber)> {
        self.sorted.iter().map(|(name, number)| (name, *number))
    }

    /// How `permission` takes `condition`; `None` where it does not. Global conditions are not asked here.
    #[must_use]
    pub fn condition(&self, permission: &str, condition: &str) -> Option<&ConditionSpec> {
        self.entry(permission)?.get(condition)
    }

    /// How the permission of this number takes `condition`.
    #[must_use]
    pub fn condition_of(&self, permission: PermissionNumber, condition: &str) -> Option<&ConditionSpec> {
        self.entries.get(permission.index())?.get(condition)
    }

    /// The conditions of `permission`, sorted.
    pub fn conditions_of(&self, permission: &str) -> impl Iterator<Item = &ConditionSpec> {
        self.entry(permission).into_iter().flat_map(BTreeMap::values)
    }

    fn entry(&self, permission: &str) -> Option<&BTreeMap<ConditionName, ConditionSpec>> {
        self.entries.get(self.number(permission)?.index())
    }

    /// The operators that some permission takes for `condition`; empty where no permission knows it.
    #[must_use]
    pub fn operators_anywhere(&self, condition: &str) -> OperatorSet {
        match GlobalCondition::from_name(condition) {
            Some(global) => global.operators(),
            None => self.conditions.get(condition).copied().unwrap_or_default(),
        }
    }

    /// Whether some permission knows `condition`.
    #[must_use]
    pub fn knows_condition(&self, condition: &str) -> bool {
        GlobalCondition::from_name(condition).is_some() || self.conditions.contains_key(condition)
    }

    /// Adds an entry after checking it against rules R28.
    ///
    /// # Errors
    /// [`CatalogueRejected`]; the catalogue is then as it was.
    pub fn extend(&mut self, addition: &CatalogueEntry) -> Result<(), CatalogueRejected> {
        self.check_addition(addition)?;
        self.insert(addition);
        Ok(())
    }

    fn check_addition(&self, addition: &CatalogueEntry) -> Result<(), CatalogueRejected> {
        let CatalogueEntry { permission, conditions } = addition;
        if permission.as_str().starts_with(ROLE_PREFIX) {
            return Err(CatalogueRejected::RolePermission(permission.clone()));
        }
        let there = self.entry(permission.as_str());
        for (index, spec) in conditions.iter().enumerate() {
            check_added_condition(spec)?;
            let earlier = conditions.iter().take(index).find(|other| other.name == spec.name);
            if let Some(known) = there.and_then(|known| known.get(&spec.name)).or(earlier)
                && known != spec
            {
                return Err(CatalogueRejected::Conflict {
                    permission: permission.clone(),
                    condition: spec.name.clone(),
                    there: describe(known),
                });
            }
        }
        let fresh = conditions.iter().filter(|spec| there.is_none_or(|known| !known.contains_key(&spec.name))).count();
        if there.map_or(0, BTreeMap::len) + fresh > limits::CATALOGUE_CONDITIONS {
            return Err(CatalogueRejected::TooManyConditions(permission.clone()));
        }
        Ok(())
    }

    fn insert(&mut self, entry: &CatalogueEntry) {
        let next = PermissionNumber(self.entries.len() as u32);
        let number = self.number(entry.permission.as_str()).unwrap_or(next);
        if number == next {
            let names = &self.names;
            let hash = |number: &PermissionNumber| names.get(number.index()).map_or(0, |name| hash_of(name.as_str()));
            self.numbers.insert_unique(hash_of(entry.permission.as_str()), number, hash);
            self.names.push(entry.permission.clone());
            self.sorted.insert(entry.permission.clone(), number);
            self.entries.push(BTreeMap::new());
        }
        let Some(conditions) = self.entries.get_mut(number.index()) else { return };
        for spec in &entry.conditions {
            conditions.entry(spec.name.clone()).or_insert_with(|| spec.clone());
            let anywhere = self.conditions.entry(spec.name.clone()).or_default();
            *anywhere = anywhere.union(spec.operators);
        }
    }
}

fn check_added_condition(spec: &ConditionSpec) -> Result<(), CatalogueRejected> {
    if spec.name.as_str().starts_with(GLOBAL_PREFIX) {
        return Err(CatalogueRejected::GlobalCondition(spec.name.clone()));
    }
    if spec.operators.contains(Operator::Less) || spec.operators.contains(Operator::Greater) {
        return Err(CatalogueRejected::OrderedOperator(spec.name.clone()));
    }
    if spec.operators.is_empty() {
        return Err(CatalogueRejected::NoOperator(spec.name.clone()));
    }
    Ok(())
}

fn describe(spec: &ConditionSpec) -> String {
    format!("{}{}", spec.operators, if spec.any_match { " and any-match" } else { "" })
}

//! What the account adds to the catalogue, and the words of its texts.

use std::fmt;
use std::str::FromStr;

use super::Random;
use crate::model::catalogue::{CatalogueEntry, ConditionSpec, Operator, OperatorSet};
use crate::model::policy::Effect;

/// Permissions that are added: 5 actions of each resource.
pub const PERMISSIONS: usize = RESOURCES * ACTIONS.len();
/// Resources: 10 of each of 40 services.
pub(super) const RESOURCES: usize = SERVICES * SERVICE_RESOURCES;

const SERVICES: usize = 40;
const SERVICE_RESOURCES: usize = 10;
const ACTIONS: [&str; 5] = ["read", "write", "list", "delete", "share"];

/// The environments of the account.
pub(super) const ENVIRONMENTS: [&str; 4] = ["production", "staging", "testing", "sandbox"];

/// What a service's own conditions are called behind its name, with the operators that they take.
const OWN: [(&str, &[Operator]); 3] = [("key", &TEXT), ("region", &EQUAL), ("owner", &PREFIX)];
/// Conditions that every permission takes: what boundaries are about.
const SHARED: [(&str, &[Operator]); 2] = [("shared:zone", &EQUAL), ("shared:tenant", &TEXT)];

const EQUAL: [Operator; 4] = [Operator::Equal, Operator::NotEqual, Operator::In, Operator::NotIn];
const PREFIX: [Operator; 5] =
    [Operator::Equal, Operator::In, Operator::StartsWith, Operator::NotStartsWith, Operator::Match];
const TEXT: [Operator; 7] = [
    Operator::Equal,
    Operator::NotEqual,
    Operator::In,
    Operator::NotIn,
    Operator::StartsWith,
    Operator::NotStartsWith,
    Operator::Match,
];

/// First parts of values.
const STEMS: [&str; 4] = ["red", "blue", "green", "gold"];
/// Second parts of values.
const NUMBERS: usize = 25;

/// A permission, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Permission(usize);

/// `attribute OPERATOR value`.
#[derive(Debug, Clone)]
pub(super) struct Test {
    pub(super) name: String,
    operator: Operator,
    values: Vec<String>,
}

// === impl Permission ===

impl Permission {
    pub(super) fn any(random: &mut Random) -> Self {
        Self(random.below(PERMISSIONS))
    }

    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..PERMISSIONS).map(Self)
    }

    /// Permissions of this resource.
    pub(super) fn of_resource(resource: usize, random: &mut Random, count: usize) -> Vec<Self> {
        let actions = random.distinct(count, ACTIONS.len());
        actions.into_iter().map(|action| Self(resource * ACTIONS.len() + action)).collect()
    }

    const fn service(self) -> usize {
        self.0 / (SERVICE_RESOURCES * ACTIONS.len())
    }

    /// Names of the conditions that it takes.
    pub(super) fn conditions(self) -> impl Iterator<Item = String> {
        let own = OWN.iter().map(move |(name, _)| own_name(self.service(), name));
        own.chain(SHARED.iter().map(|(name, _)| (*name).to_owned()))
    }

    /// What the account adds to the catalogue.
    pub(super) fn entry(self) -> CatalogueEntry {
        let operators = OWN.iter().chain(&SHARED).map(|(_, operators)| operators.iter().copied().collect());
        let conditions = self.conditions().zip(operators).map(spec).collect();
        CatalogueEntry { permission: parsed(&self.to_string()), conditions }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let resource = self.0 / ACTIONS.len() % SERVICE_RESOURCES;
        let action = ACTIONS.get(self.0 % ACTIONS.len()).copied().unwrap_or_default();
        write!(f, "service{:02}:resource{resource}:{action}", self.service())
    }
}

fn own_name(service: usize, name: &str) -> String {
    format!("service{service:02}:{name}")
}

fn spec((name, operators): (String, OperatorSet)) -> ConditionSpec {
    ConditionSpec { name: parsed(&name), operators, any_match: false }
}

// === impl Test ===

impl Test {
    /// Conditions of the permission's own service, no two of one name. In a DENY none is negative: it would not hold where the
    /// attribute is absent, of which the author is warned.
    pub(super) fn own(random: &mut Random, effect: Effect, permission: Permission, count: usize) -> Vec<Self> {
        let picked = random.distinct(count, OWN.len());
        let specs: Vec<_> = picked.into_iter().filter_map(|number| OWN.get(number)).collect();
        let test = |(name, operators): &(&str, &[Operator])| {
            let usable = operators.iter().copied().filter(|it| effect == Effect::Allow || !it.is_negative());
            Self::new(random, own_name(permission.service(), name), &usable.collect::<Vec<_>>())
        };
        specs.into_iter().map(test).collect()
    }

    /// A condition that every permission takes.
    pub(super) fn shared(random: &mut Random) -> Self {
        let (name, operators) = random.pick(&SHARED).copied().unwrap_or_default();
        Self::new(random, name.to_owned(), operators)
    }

    fn new(random: &mut Random, name: String, operators: &[Operator]) -> Self {
        let operator = random.pick(operators).copied().unwrap_or(Operator::Equal);
        let count = if operator.takes_list() { 1 + random.below(4) } else { 1 };
        let values = (0..count).map(|_| written(random, operator)).collect();
        Self { name, operator, values }
    }

    /// A value that it accepts.
    pub(super) fn fitting(&self, random: &mut Random) -> String {
        let listed = random.pick(&self.values).map_or("", String::as_str);
        match self.operator {
            Operator::NotEqual | Operator::NotIn | Operator::NotStartsWith => "grey-0".to_owned(),
            Operator::StartsWith => format!("{listed}0"),
            Operator::Match => listed.replace('*', "0"),
            Operator::Equal | Operator::In | Operator::Less | Operator::Greater => listed.to_owned(),
        }
    }
}

/// A value as a text has it: whole, the beginning of one, or a pattern.
fn written(random: &mut Random, operator: Operator) -> String {
    match operator {
        Operator::StartsWith | Operator::NotStartsWith => format!("{}-", random.word(&STEMS)),
        Operator::Match if random.percent(50) => format!("{}-*", random.word(&STEMS)),
        Operator::Match => format!("*-{}", random.below(NUMBERS)),
        _ => value(random),
    }
}

/// A value as a request has it.
pub(super) fn value(random: &mut Random) -> String {
    format!("{}-{}", random.word(&STEMS), random.below(NUMBERS))
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = self.values.iter().map(|value| format!("\"{value}\"")).collect::<Vec<_>>().join(", ");
        let Self { name, operator, .. } = self;
        if operator.takes_list() {
            write!(f, "{name} {operator} ({quoted})")
        } else {
            write!(f, "{name} {operator} {quoted}")
        }
    }
}

/// A name of the model from a text that is made here.
#[expect(clippy::expect_used, reason = "texts are made of fixed words and of numbers; the tests make one of each")]
pub(super) fn parsed<T: FromStr<Err: fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a generated name is within the limits")
}

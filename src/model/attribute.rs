//! The attributes of a request: what the caller knows, what it knows to be absent, and the rest.

use smallvec::SmallVec;

use super::catalogue::GLOBAL_PREFIX;
use super::limits;
use super::text::refuse_control;

/// What a request says about one name (rules R2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known<'a> {
    /// One or more values.
    Values(Values<'a>),
    /// The caller knows that there is none: every operator is FALSE.
    Absent,
    /// The caller did not say: UNKNOWN.
    NotSupplied,
}

/// One value or several, borrowed from the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values<'a> {
    /// One value.
    One(&'a str),
    /// Any number of values; empty means absent.
    Many(&'a [String]),
}

/// The attributes of one request, within the limits and without contradiction.
#[derive(Debug, Clone, Default)]
pub struct Attributes<'a> {
    /// No name twice; sorted by name where there are more than [`INLINE`], which also need memory of their own.
    supplied: SmallVec<[(&'a str, Values<'a>); INLINE]>,
    /// Sorted.
    absent: SmallVec<[&'a str; INLINE_ABSENT]>,
}

/// Attributes that a request can have without an allocation.
const INLINE: usize = 8;
/// Absent names that a request can tell without an allocation.
const INLINE_ABSENT: usize = 4;

/// The attributes of a request, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct View<'v> {
    supplied: &'v [(&'v str, Values<'v>)],
    absent: &'v [&'v str],
}

/// A part of a request that cannot be used. It names the field, never a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {problem}")]
pub struct InvalidRequest {
    /// The field as the caller spelled it: `permission`, `attributes.<name>`, `absent.<name>`, …
    pub field: String,
    /// What is wrong with it, as the rest of a sentence that begins with the field.
    pub problem: String,
}

// === impl Values ===

impl<'a> Values<'a> {
    /// How many values, counted, not deduplicated (rules R3).
    #[must_use]
    pub const fn len(self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(values) => values.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The values in the order given.
    pub fn iter(self) -> impl Iterator<Item = &'a str> {
        let (one, many) = match self {
            Self::One(value) => (Some(value), [].as_slice()),
            Self::Many(values) => (None, values),
        };
        one.into_iter().chain(many.iter().map(String::as_str))
    }
}

// === impl Attributes ===

impl<'a> Attributes<'a> {
    /// Checks and orders what a request supplied.
    ///
    /// # Errors
    /// [`InvalidRequest`] for a name told twice or both ways (R2), a `global:` name (R4), or a limit (rules §7).
    pub fn new(
        supplied: impl IntoIterator<Item = (&'a str, Values<'a>)>,
        absent: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, InvalidRequest> {
        let mut supplied: SmallVec<[_; INLINE]> = supplied.into_iter().collect();
        if supplied.len() > limits::REQUEST_ATTRIBUTES {
            let problem = format!("holds {} names, the limit is {}", supplied.len(), limits::REQUEST_ATTRIBUTES);
            return Err(InvalidRequest::new("attributes", problem));
        }
        let mut absent: SmallVec<[_; INLINE_ABSENT]> = absent.into_iter().collect();
        if absent.len() > limits::REQUEST_ABSENT {
            let problem = format!("holds {} names, the limit is {}", absent.len(), limits::REQUEST_ABSENT);
            return Err(InvalidRequest::new("absent", problem));
        }
        for &(name, values) in &supplied {
            check_name("attributes", name)?;
            check_values(name, values)?;
        }
        for name in &absent {
            check_name("absent", name)?;
        }
        if supplied.len() > INLINE {
            supplied.sort_unstable_by_key(|&(name, _)| name);
        }
        if absent.len() > 1 {
            absent.sort_unstable();
        }
        if let Some(name) = twice(&supplied) {
            return Err(InvalidRequest::new(format!("attributes.{name}"), "is given twice"));
        }
        if let Some((name, _)) =
            supplied.iter().find(|(name, _)| !absent.is_empty() && absent.binary_search(name).is_ok())
        {
            return Err(InvalidRequest::new(
                format!("absent.{name}"),
                "is among the attributes too; it cannot be both",
            ));
        }
        Ok(Self { supplied, absent })
    }

    /// The same, borrowed.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View { supplied: &self.supplied, absent: &self.absent }
    }

    /// What the request says about `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Known<'_> {
        self.view().get(name)
    }
}

// === impl View ===

impl<'v> View<'v> {
    /// What the request says about `name`.
    #[must_use]
    pub fn get(self, name: &str) -> Known<'v> {
        // A handful is compared faster than it is bisected: most names differ in their length.
        let supplied = match self.supplied.len() {
            0..=INLINE => self.supplied.iter().find(|(known, _)| *known == name),
            _ => {
                self.supplied.binary_search_by(|&(known, _)| known.cmp(name)).ok().and_then(|at| self.supplied.get(at))
            }
        };
        match supplied {
            Some((_, values)) if !values.is_empty() => Known::Values(*values),
            Some(_) => Known::Absent,
            None if self.absent.binary_search(&name).is_ok() => Known::Absent,
            None => Known::NotSupplied,
        }
    }
}

/// A name that comes twice. A handful is compared each with each, more are sorted.
fn twice<'a>(supplied: &[(&'a str, Values<'a>)]) -> Option<&'a str> {
    if supplied.len() > INLINE {
        let mut pairs = supplied.iter().zip(supplied.iter().skip(1));
        return pairs.find(|((first, _), (second, _))| first == second).map(|((name, _), _)| *name);
    }
    let mut earlier =
        supplied.iter().enumerate().filter_map(|(count, (name, _))| Some((supplied.get(..count)?, *name)));
    earlier.find(|(earlier, name)| earlier.iter().any(|(other, _)| other == name)).map(|(_, name)| name)
}

fn check_name(field: &str, name: &str) -> Result<(), InvalidRequest> {
    if name.is_empty() {
        return Err(InvalidRequest::new(field, "holds an empty name"));
    }
    if name.len() > limits::ATTRIBUTE_NAME_BYTES {
        let problem = format!("holds a name of {} bytes, the limit is {}", name.len(), limits::ATTRIBUTE_NAME_BYTES);
        return Err(InvalidRequest::new(field, problem));
    }
    if let Err(found) = refuse_control(name) {
        return Err(InvalidRequest::new(field, format!("holds a name that cannot be one: it {found}")));
    }
    if name.starts_with(GLOBAL_PREFIX) {
        let problem = "is computed by Doorward and cannot be told in a request";
        return Err(InvalidRequest::new(format!("{field}.{name}"), problem));
    }
    Ok(())
}

fn check_values(name: &str, values: Values<'_>) -> Result<(), InvalidRequest> {
    if values.len() > limits::ATTRIBUTE_VALUES {
        let problem = format!("holds {} values, the limit is {}", values.len(), limits::ATTRIBUTE_VALUES);
        return Err(InvalidRequest::new(format!("attributes.{name}"), problem));
    }
    if let Some(long) = values.iter().find(|value| value.len() > limits::ATTRIBUTE_VALUE_BYTES) {
        let problem = format!("holds a value of {} bytes, the limit is {}", long.len(), limits::ATTRIBUTE_VALUE_BYTES);
        return Err(InvalidRequest::new(format!("attributes.{name}"), problem));
    }
    Ok(())
}

// === impl InvalidRequest ===

impl InvalidRequest {
    /// A refusal of `field`, for `problem`.
    #[must_use]
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

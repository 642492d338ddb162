//! The attributes of a request: what the caller knows, what it knows to be absent, and the rest.

use smallvec::SmallVec;

use super::catalogue::GLOBAL_PREFIX;
use super::limits;

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

/// The attributes of one request, within the limits and without contradiction; they stay where the caller has them.
#[derive(Debug, Clone, Default)]
pub struct Attributes<'a> {
    /// No name twice; sorted by name where there are more than [`HANDFUL`].
    supplied: List<'a, (&'a str, Values<'a>)>,
    /// Sorted.
    absent: List<'a, &'a str>,
}

/// Where names lie: with the caller, or here where they had to be put in order. (A `Cow` would bind a request to one lifetime.)
#[derive(Debug, Clone)]
enum List<'a, T> {
    Lent(&'a [T]),
    Sorted(Box<[T]>),
}

/// What a caller supplies, gathered from where it has it: on the stack where it is no more than usual.
///
/// It is apart from [`Attributes`] because those are passed on from hand to hand, and this is too large to be moved each time.
#[derive(Debug, Clone, Default)]
pub struct Supplied<'a> {
    values: SmallVec<[(&'a str, Values<'a>); HANDFUL]>,
    absent: SmallVec<[&'a str; HANDFUL / 2]>,
}

/// So many names are compared one by one faster than in any other way: most names differ in their length.
const HANDFUL: usize = 8;

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

// === impl Supplied ===

impl<'a> Supplied<'a> {
    /// Names with their values, and names that the caller knows to be absent.
    #[inline]
    pub fn new(
        values: impl IntoIterator<Item = (&'a str, Values<'a>)>,
        absent: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        Self { values: values.into_iter().collect(), absent: absent.into_iter().collect() }
    }

    /// As [`Attributes::new`].
    ///
    /// # Errors
    /// As [`Attributes::new`].
    #[inline]
    pub fn attributes(&self) -> Result<Attributes<'_>, InvalidRequest> {
        Attributes::new(&self.values, &self.absent)
    }
}

// === impl Attributes ===

impl<'a> Attributes<'a> {
    /// Checks what a request supplied, and orders it where that is needed and not done.
    ///
    /// # Errors
    /// [`InvalidRequest`] for a name told twice or both ways (R2), a `global:` name (R4), or a limit (rules §7).
    #[inline]
    pub fn new(supplied: &'a [(&'a str, Values<'a>)], absent: &'a [&'a str]) -> Result<Self, InvalidRequest> {
        if supplied.len() <= HANDFUL && absent.is_empty() && is_usual(supplied) {
            return Ok(Self { supplied: List::Lent(supplied), absent: List::Lent(absent) });
        }
        Self::checked(supplied, absent)
    }

    /// Every check, one after the other, to say what is wrong where something is.
    #[cold]
    fn checked(supplied: &'a [(&'a str, Values<'a>)], absent: &'a [&'a str]) -> Result<Self, InvalidRequest> {
        check_count("attributes", supplied.len(), limits::REQUEST_ATTRIBUTES)?;
        check_count("absent", absent.len(), limits::REQUEST_ABSENT)?;
        for &(name, values) in supplied {
            check_name("attributes", name)?;
            check_values(name, values)?;
        }
        for name in absent {
            check_name("absent", name)?;
        }
        let (ordered, none) = (List::sorted(supplied, |(name, _)| name), List::sorted(absent, |name| name));
        let (supplied, absent) = (ordered.as_slice(), none.as_slice());
        let mut pairs = supplied.iter().zip(supplied.iter().skip(1));
        if let Some(((name, _), _)) = pairs.find(|((first, _), (second, _))| first == second) {
            return Err(InvalidRequest::new(format!("attributes.{name}"), "is given twice"));
        }
        let both = supplied.iter().find(|(name, _)| absent.binary_search(name).is_ok());
        if let Some((name, _)) = both {
            let problem = "is among the attributes too; it cannot be both";
            return Err(InvalidRequest::new(format!("absent.{name}"), problem));
        }
        Ok(Self { supplied: ordered, absent: none })
    }

    /// What the request says about `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Known<'a> {
        let all = self.supplied.as_slice();
        let supplied = match all.len() {
            0..=HANDFUL => all.iter().find(|(known, _)| *known == name),
            _ => all.binary_search_by(|(known, _)| (*known).cmp(name)).ok().and_then(|at| all.get(at)),
        };
        match supplied {
            Some((_, values)) if !values.is_empty() => Known::Values(*values),
            Some(_) => Known::Absent,
            None if self.absent.as_slice().binary_search(&name).is_ok() => Known::Absent,
            None => Known::NotSupplied,
        }
    }
}

// === impl List ===

impl<'a, T: Copy> List<'a, T> {
    /// These in the order of their names: as they are, where they are in it.
    fn sorted(list: &'a [T], name: impl Fn(&T) -> &str) -> Self {
        if list.is_sorted_by(|a, b| name(a) <= name(b)) {
            return Self::Lent(list);
        }
        let mut list: Box<[T]> = list.into();
        list.sort_unstable_by(|a, b| name(a).cmp(name(b)));
        Self::Sorted(list)
    }

    #[inline]
    fn as_slice(&self) -> &[T] {
        match self {
            Self::Lent(list) => list,
            Self::Sorted(list) => list,
        }
    }
}

impl<T> Default for List<'_, T> {
    fn default() -> Self {
        Self::Lent(&[])
    }
}

/// Whether nothing is wrong with a handful of attributes, as in most requests.
#[inline]
fn is_usual(supplied: &[(&str, Values<'_>)]) -> bool {
    let (mut marks, mut alike, mut wrong) = (0, false, false);
    for (name, values) in supplied {
        wrong |= !(1..=limits::ATTRIBUTE_NAME_BYTES).contains(&name.len()) | name.starts_with(GLOBAL_PREFIX);
        wrong |= !is_usual_value(*values);
        let mark = mark_of(name);
        alike |= marks & mark != 0;
        marks |= mark;
    }
    let twice = alike && any_twice(supplied);
    !wrong && !twice
}

/// One bit; names that have different ones are different.
#[inline]
fn mark_of(name: &str) -> u64 {
    // An odd number whose bits are spread: the upper bits of a product depend on all of the other factor.
    const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
    let tail = match name.as_bytes().last_chunk::<8>() {
        Some(last) => u64::from_le_bytes(*last),
        None => name.bytes().fold(0, |number, byte| number << 8 | u64::from(byte)),
    };
    1 << (tail.wrapping_mul(SPREAD) >> 58)
}

#[inline]
fn is_usual_value(values: Values<'_>) -> bool {
    match values {
        Values::One(value) => value.len() <= limits::ATTRIBUTE_VALUE_BYTES,
        Values::Many(values) => {
            values.len() <= limits::ATTRIBUTE_VALUES
                && values.iter().all(|value| value.len() <= limits::ATTRIBUTE_VALUE_BYTES)
        }
    }
}

/// Whether a name of a handful comes twice: each is compared with each.
#[cold]
fn any_twice(names: &[(&str, Values<'_>)]) -> bool {
    (1..names.len()).any(|count| {
        let (earlier, later) = names.split_at(count);
        let last = earlier.last().map(|(name, _)| name);
        later.iter().any(|(name, _)| Some(name) == last)
    })
}

fn check_count(field: &str, count: usize, limit: usize) -> Result<(), InvalidRequest> {
    if count > limit {
        return Err(InvalidRequest::new(field, format!("holds {count} names, the limit is {limit}")));
    }
    Ok(())
}

fn check_name(field: &str, name: &str) -> Result<(), InvalidRequest> {
    if name.is_empty() {
        return Err(InvalidRequest::new(field, "holds an empty name"));
    }
    if name.len() > limits::ATTRIBUTE_NAME_BYTES {
        let problem = format!("holds a name of {} bytes, the limit is {}", name.len(), limits::ATTRIBUTE_NAME_BYTES);
        return Err(InvalidRequest::new(field, problem));
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

//! What a request through Envoy asks: the per-route strings of its configuration (rules §8), and who asks (design §7).

use crate::model::attribute::{InvalidRequest, Supplied, Values};
use crate::model::decision::{CheckRequest, RequestParts};
use crate::model::moment::Moment;

/// The per-route strings, read. Keys that are none of ours are not looked at: an attribute that does not arrive under its
/// name is UNKNOWN, and UNKNOWN never allows.
#[derive(Debug, Default)]
pub struct Extensions<'a> {
    parts: RequestParts<'a>,
    subject: Option<&'a str>,
    singles: Vec<(&'a str, &'a str)>,
    lists: Vec<(&'a str, Vec<String>)>,
    absent: Vec<&'a str>,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim<'a> {
    /// The first source that is present names this subject.
    Subject(&'a str),
    /// The first source that is present cannot be used: never another one instead.
    Unusable(UnusableClaim),
    /// No source is present.
    Nobody,
}

/// Why a source that is present names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnusableClaim {
    /// A token: none can be verified yet.
    Token,
    /// The header is there more than once.
    HeaderRepeated,
    /// The source is there, but empty.
    Empty,
}

/// A place where a request through Envoy can name its subject (design §7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectSource {
    /// A bearer or API token. None can be verified yet, so one that is present is refused.
    Bearer,
    /// `subject` among the per-route strings of Envoy's configuration.
    ContextExtensions,
    /// The configured header.
    Header,
}

// === impl Extensions ===

impl<'a> Extensions<'a> {
    /// Reads the strings.
    ///
    /// # Errors
    /// [`InvalidRequest`] for a list that is no JSON array of strings, or an empty absent name.
    pub fn read(entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, InvalidRequest> {
        let mut read = Self::default();
        for (key, value) in entries {
            match key {
                "permission" => read.parts.permission = value,
                "environment" => read.parts.environment = value,
                "level" => read.parts.level = value,
                "subject" => read.subject = Some(value),
                "absent" => read.absent = absent_names(value)?,
                _ => read.attribute(key, value)?,
            }
        }
        Ok(read)
    }

    fn attribute(&mut self, key: &'a str, value: &'a str) -> Result<(), InvalidRequest> {
        if let Some(name) = key.strip_prefix("attr.") {
            // One value, taken whole: a comma is part of it (rules §8).
            self.singles.push((name, value));
        } else if let Some(name) = key.strip_prefix("attrs.") {
            let values = serde_json::from_str(value);
            let problem = "must be a JSON array of strings, such as [\"a\",\"b\"]";
            self.lists.push((name, values.map_err(|_| InvalidRequest::new(key, problem))?));
        }
        Ok(())
    }

    /// The subject that the configuration of the route names.
    #[must_use]
    pub const fn subject(&self) -> Option<&'a str> {
        self.subject
    }

    /// What the route says of attributes.
    #[must_use]
    pub fn supplied(&self) -> Supplied<'_> {
        let singles = self.singles.iter().map(|(name, value)| (*name, Values::One(value)));
        let lists = self.lists.iter().map(|(name, values)| (*name, Values::Many(values)));
        Supplied::new(singles.chain(lists), self.absent.iter().copied())
    }

    /// The question, asked for `subject` at `at` with what [`Self::supplied`] gave.
    ///
    /// # Errors
    /// [`InvalidRequest`] as [`CheckRequest::new`] and [`Supplied::attributes`] say.
    pub fn request<'r>(
        &'r self,
        supplied: &'r Supplied<'_>,
        subject: &'r str,
        at: Moment,
    ) -> Result<CheckRequest<'r>, InvalidRequest> {
        CheckRequest::new(RequestParts { user: subject, ..self.parts }, supplied.attributes()?, at)
    }
}

fn absent_names(list: &str) -> Result<Vec<&str>, InvalidRequest> {
    if list.trim().is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<_> = list.split(',').map(str::trim).collect();
    if names.iter().any(|name| name.is_empty()) {
        return Err(InvalidRequest::new("absent", "holds an empty name; write names with one comma between them"));
    }
    Ok(names)
}

// === impl SubjectSource ===

impl SubjectSource {
    /// Every source with its name.
    pub const NAMES: [(&'static str, Self); 3] =
        [("bearer", Self::Bearer), ("context_extensions", Self::ContextExtensions), ("header", Self::Header)];
}

// === impl Claim ===

impl<'a> Claim<'a> {
    /// The claim of a source that holds these values.
    pub fn of_values(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut values = values.into_iter();
        match (values.next(), values.next()) {
            (None, _) => Self::Nobody,
            (Some(_), Some(_)) => Self::Unusable(UnusableClaim::HeaderRepeated),
            (Some(""), None) => Self::Unusable(UnusableClaim::Empty),
            (Some(subject), None) => Self::Subject(subject),
        }
    }

    /// The claim of `Authorization` headers: a bearer or API token is a credential that cannot be verified yet.
    pub fn of_authorization(values: impl IntoIterator<Item = &'a str>) -> Self {
        let is_token = |value: &str| {
            let scheme = value.trim_start().split([' ', '\t']).next().unwrap_or_default();
            scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("api-token")
        };
        if values.into_iter().any(is_token) { Self::Unusable(UnusableClaim::Token) } else { Self::Nobody }
    }
}

impl UnusableClaim {
    /// A name for logs and metadata.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Token => "token_not_supported",
            Self::HeaderRepeated => "subject_repeated",
            Self::Empty => "subject_empty",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::attribute::Known;

    const AT: Moment = Moment::from_nanoseconds(0);

    fn field(entries: &[(&str, &str)]) -> String {
        match Extensions::read(entries.iter().copied()) {
            Err(invalid) => invalid.field,
            Ok(read) => {
                read.request(&read.supplied(), "ada", AT).err().map(|invalid| invalid.field).unwrap_or_default()
            }
        }
    }

    #[test]
    fn the_keys_of_the_contract_are_read() {
        let entries = [
            ("permission", "a:b:c"),
            ("environment", "abc"),
            ("attr.x:one", "a,b"),
            ("attrs.x:many", r#"["a","b"]"#),
            ("absent", "x:none, x:nil"),
            ("region", "not ours"),
        ];
        let read = Extensions::read(entries).unwrap();
        let supplied = read.supplied();
        let request = read.request(&supplied, "ada", AT).unwrap();
        let values = |name| match request.attributes.get(name) {
            Known::Values(values) => values.iter().collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(values("x:one"), ["a,b"], "one value is taken whole");
        assert_eq!(values("x:many"), ["a", "b"]);
        assert_eq!(request.attributes.get("x:nil"), Known::Absent);
        assert_eq!(request.attributes.get("region"), Known::NotSupplied);
    }

    #[test]
    fn what_cannot_be_used_names_its_field() {
        let base = [("permission", "a:b:c"), ("environment", "abc")];
        let with = |key, value| field(&[base[0], base[1], (key, value)]);
        assert_eq!(with("attrs.x:y", "a,b"), "attrs.x:y");
        assert_eq!(with("attrs.x:y", r#"["a",1]"#), "attrs.x:y");
        assert_eq!(with("absent", "a,,b"), "absent");
        assert_eq!(with("level", "account"), "level");
        assert_eq!(with("attr.global:date", "x"), "attributes.global:date");
        assert_eq!(field(&[base[0]]), "environment");
        assert_eq!(field(&[base[1]]), "permission");
        let both = [base[0], base[1], ("attr.x:y", "a"), ("attrs.x:y", "[]")];
        assert_eq!(field(&both), "attributes.x:y");
    }

    #[test]
    fn a_source_that_is_present_decides() {
        assert_eq!(Claim::of_values([]), Claim::Nobody);
        assert_eq!(Claim::of_values(["ada"]), Claim::Subject("ada"));
        assert_eq!(Claim::of_values(["ada", "ada"]), Claim::Unusable(UnusableClaim::HeaderRepeated));
        assert_eq!(Claim::of_values([""]), Claim::Unusable(UnusableClaim::Empty));
        for token in ["Bearer x", "bearer", "BEARER\tx", " Api-Token y"] {
            assert_eq!(Claim::of_authorization([token]), Claim::Unusable(UnusableClaim::Token), "{token}");
        }
        assert_eq!(Claim::of_authorization(["Basic eA=="]), Claim::Nobody);
    }
}

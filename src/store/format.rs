//! How a record becomes bytes and an object key becomes the key of a row.
//!
//! A value is one byte with the version of its form, then JSON: it says what it is, and a tool can show it. A row key
//! is a text in whose order an account comes before what it owns, so that a store is read in the order in which it can
//! be applied, and that everything of one account is one range.

use std::ops::Range;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::id::AccountId;
use crate::model::object::ObjectKey;

/// The version of the form that [`encode`] writes, and the only one that [`decode`] reads.
pub const VALUE_VERSION: u8 = 1;

/// Bytes that are no value, or a value that has no bytes.
#[derive(Debug, thiserror::Error)]
pub enum InvalidValue {
    /// There are no bytes at all.
    #[error("the value is empty")]
    Empty,
    /// Another version of the form.
    #[error("the value has version {0}, this version of Doorward reads {VALUE_VERSION}")]
    Version(u8),
    /// The JSON does not fit.
    #[error("the value does not have the form of its version")]
    Form(#[from] serde_json::Error),
}

/// The bytes of `value`.
///
/// # Errors
/// [`InvalidValue::Form`] for a value that JSON cannot hold.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, InvalidValue> {
    let mut bytes = vec![VALUE_VERSION];
    serde_json::to_writer(&mut bytes, value)?;
    Ok(bytes)
}

/// The value of `bytes`.
///
/// # Errors
/// [`InvalidValue`] for another version or other contents.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, InvalidValue> {
    match bytes.split_first() {
        None => Err(InvalidValue::Empty),
        Some((&VALUE_VERSION, json)) => Ok(serde_json::from_slice(json)?),
        Some((&other, _)) => Err(InvalidValue::Version(other)),
    }
}

/// The row of an object.
// INVARIANT: no id holds a `/`, so that no two objects share a row and no row lies in the range of another account.
#[must_use]
pub fn row(key: &ObjectKey) -> String {
    match key.account() {
        None => "0".to_owned(),
        Some(account) => format!("1/{account}/{}/{}", place(key), key.id()),
    }
}

/// The rows of an account and of everything it owns.
#[must_use]
pub fn rows_of(account: AccountId) -> Range<String> {
    // `0` follows `/`.
    format!("1/{account}/")..format!("1/{account}0")
}

/// The place of a noun among those of its account: the account itself comes first.
const fn place(key: &ObjectKey) -> u8 {
    match key {
        ObjectKey::Global | ObjectKey::Account(_) => 0,
        ObjectKey::Environment(..) => 1,
        ObjectKey::CatalogueEntry(..) => 2,
        ObjectKey::Group(..) => 3,
        ObjectKey::User(..) => 4,
        ObjectKey::Policy(..) => 5,
        ObjectKey::Boundary(..) => 6,
        ObjectKey::Binding(..) => 7,
    }
}

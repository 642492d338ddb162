//! Whether the rows of a store fit together: what each says alone, and what they say of each other.

mod references;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::model::audit::AuditEvent;
use crate::model::id::AccountId;
use crate::model::mutation::RequestIdentity;
use crate::model::object::{Change, Object, ObjectKey, Record};
use crate::model::revision::Revision;
use crate::model::state::State;

use super::api::LogEntry;
use super::dump::{AnsweredRequest, DumpError, Head, Row, Sink};
use super::format::{InvalidValue, encode};

/// How many rows of each kind there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Objects.
    pub objects: u64,
    /// Commits of the log.
    pub commits: u64,
    /// Events of the audit.
    pub events: u64,
    /// Request ids.
    pub requests: u64,
    /// Credentials.
    pub credentials: u64,
}

/// What was found right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// What the rows belong to.
    pub head: Head,
    /// How many there are.
    pub counts: Counts,
    /// References from object to object; each of them resolves.
    pub references: u64,
}

/// Takes rows and says whether they fit together. It holds the state, but neither the log nor the audit.
#[derive(Debug)]
pub struct Verifier {
    place: String,
    head: Option<Head>,
    state: State,
    counts: Counts,
    /// The newest commit of the log that was read.
    log: Revision,
    /// The newest event of the audit that was read.
    audit: Revision,
    /// What the log leaves of each object that it names.
    left: HashMap<ObjectKey, Option<Revision>>,
    /// The accounts that the log deletes: nothing of theirs is older.
    deleted: HashMap<AccountId, Revision>,
    /// What the audit must say of each commit of the log.
    commits: HashMap<Revision, u64>,
    requests: HashMap<Revision, RequestIdentity>,
}

/// Why a row does not fit.
struct Fault {
    row: String,
    problem: String,
}

// === impl Counts ===

impl Counts {
    /// Counts one more row.
    pub(super) const fn add(&mut self, row: &Row) {
        let count = match row {
            Row::Object(_) => &mut self.objects,
            Row::Commit(_) => &mut self.commits,
            Row::Event(_) => &mut self.events,
            Row::Request(..) => &mut self.requests,
            Row::Credential(_) => &mut self.credentials,
        };
        *count += 1;
    }
}

// === impl Fault ===

impl Fault {
    fn new(row: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self { row: row.to_string(), problem: problem.to_string() }
    }
}

// === impl Verifier ===

impl Verifier {
    /// Looks at the rows of `place`.
    #[must_use]
    pub fn new(place: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            head: None,
            state: State::default(),
            counts: Counts::default(),
            log: Revision::ZERO,
            audit: Revision::ZERO,
            left: HashMap::new(),
            deleted: HashMap::new(),
            commits: HashMap::new(),
            requests: HashMap::new(),
        }
    }

    /// What all rows together say.
    ///
    /// # Errors
    /// [`DumpError::Damaged`] with the first row that does not fit.
    pub fn finish(self) -> Result<Verified, DumpError> {
        let place = self.place.clone();
        self.check_whole().map_err(|Fault { row, problem }| DumpError::Damaged { place, row, problem })
    }

    fn check_whole(self) -> Result<Verified, Fault> {
        let head = self.head.ok_or_else(|| Fault::new("its beginning", "there is nothing"))?;
        for (name, last) in [("the log", self.log), ("the audit", self.audit)] {
            if last != head.revision {
                let problem = format!("it ends at revision {last}, the head is {}", head.revision);
                return Err(Fault::new(format!("the end of {name}"), problem));
            }
        }
        self.check_state(&head)?;
        let references = references::check(&self.state)?;
        Ok(Verified { head, counts: self.counts, references })
    }

    /// The objects are what the log leaves: those it names, as it left them, and no other is newer than its start.
    fn check_state(&self, head: &Head) -> Result<(), Fault> {
        let mut found = 0_usize;
        for record in self.state.records() {
            let (key, revision) = (record.value.key(), record.revision);
            let left = self.left.get(&key).copied();
            found += usize::from(matches!(left, Some(Some(_))));
            let expected = if revision > head.log_start { Some(Some(revision)) } else { None };
            let outlived =
                key.account().and_then(|account| self.deleted.get(&account)).is_some_and(|at| revision < *at);
            if left != expected || revision > head.revision || outlived {
                let of_log =
                    left.flatten().map_or("which does not have it".to_owned(), |at| format!("which ends at {at}"));
                return Err(Fault::new(&key, format!("it is of revision {revision}, unlike in the log, {of_log}")));
            }
        }
        let expected = self.left.values().filter(|left| left.is_some()).count();
        if found == expected {
            return Ok(());
        }
        Err(Fault::new("the objects", format!("the log leaves {expected} objects, {found} of them are there")))
    }

    fn object(&mut self, record: Record<Object>) -> Result<(), Fault> {
        let key = record.value.key();
        if self.state.record(&key).is_some() {
            return Err(Fault::new(key, "it is there twice"));
        }
        let applied = self.state.apply(Revision::ZERO, [&Change::Put(record)]);
        applied.map_err(|problem| Fault::new(key, problem))
    }

    fn commit(&mut self, entry: &LogEntry) -> Result<(), Fault> {
        let name = || format!("revision {} of the log", entry.revision);
        if self.log.next() != Some(entry.revision) {
            return Err(Fault::new(name(), format!("it follows revision {}", self.log)));
        }
        self.log = entry.revision;
        for change in entry.changes.iter() {
            if let Change::Put(record) = change
                && record.revision != entry.revision
            {
                return Err(Fault::new(name(), format!("it holds a change of revision {}", record.revision)));
            }
            self.leave(entry.revision, change);
        }
        self.check_last(entry).map_err(|key| Fault::new(key, format!("it is not what {} made it", name())))?;
        let told = entry.changes.iter().take(crate::model::limits::AUDITED_CHANGES).map(|change| match change {
            Change::Put(record) => (change.key(), Some(record)),
            Change::Delete(key) => (key.clone(), None),
        });
        let request = entry.request.as_ref().map(|request| request.id.as_str());
        let print = print((entry.at, &entry.actor, request, told.collect::<Vec<_>>()));
        self.commits.insert(entry.revision, print.map_err(|problem| Fault::new(name(), problem))?);
        if let Some(request) = &entry.request {
            self.requests.insert(entry.revision, request.clone());
        }
        Ok(())
    }

    fn leave(&mut self, at: Revision, change: &Change) {
        match change {
            Change::Put(record) => {
                self.left.insert(record.value.key(), Some(record.revision));
            }
            Change::Delete(key) => {
                if let ObjectKey::Account(account) = key {
                    self.left.retain(|key, _| key.account() != Some(*account));
                    self.deleted.insert(*account, at);
                }
                // What the log did not make, it may still have taken away.
                self.left.insert(key.clone(), None);
            }
        }
    }

    /// What an entry puts last is what the object still is, if it is still of that revision.
    fn check_last(&self, entry: &LogEntry) -> Result<(), ObjectKey> {
        let mut seen = HashSet::new();
        for change in entry.changes.iter().rev() {
            let key = change.key();
            let Change::Put(record) = change else {
                seen.insert(key);
                continue;
            };
            let kept = self.state.record(&key).filter(|kept| kept.revision == record.revision);
            if seen.insert(key.clone()) && kept.is_some_and(|kept| kept != *record) {
                return Err(key);
            }
        }
        Ok(())
    }

    fn event(&mut self, event: &AuditEvent) -> Result<(), Fault> {
        let name = || format!("revision {} of the audit", event.revision);
        if self.audit.next() != Some(event.revision) {
            return Err(Fault::new(name(), format!("it follows revision {}", self.audit)));
        }
        self.audit = event.revision;
        let told = event.changes.iter().map(|change| (change.key.clone(), change.after.as_ref()));
        let print = print((event.at, &event.actor, event.request.as_deref(), told.collect::<Vec<_>>()));
        let print = print.map_err(|problem| Fault::new(name(), problem))?;
        match self.commits.get(&event.revision) {
            Some(expected) if *expected != print => Err(Fault::new(name(), "the log tells the commit otherwise")),
            _ => Ok(()),
        }
    }

    fn request(&mut self, id: &str, answer: &AnsweredRequest) -> Result<(), Fault> {
        let name = || format!("request `{id}`");
        let head = self.head.map_or(Revision::ZERO, |head| head.revision);
        if answer.revision > head {
            return Err(Fault::new(name(), format!("it is of revision {}, the head is {head}", answer.revision)));
        }
        match self.requests.get(&answer.revision) {
            Some(logged) if logged.id == id && logged.digest != answer.digest => {
                Err(Fault::new(name(), "the log has it with another digest"))
            }
            _ => Ok(()),
        }
    }

    fn take(&mut self, row: Row) -> Result<(), Fault> {
        self.counts.add(&row);
        match row {
            Row::Object(record) => self.object(record),
            Row::Commit(entry) => self.commit(&entry),
            Row::Event(event) => self.event(&event),
            Row::Request(id, answer) => self.request(&id, &answer),
            Row::Credential(_) => Ok(()),
        }
    }
}

impl Sink for Verifier {
    fn head(&mut self, head: &Head) -> Result<(), DumpError> {
        (self.log, self.audit, self.head) = (head.log_start, head.audit_start, Some(*head));
        Ok(())
    }

    fn row(&mut self, row: Row) -> Result<(), DumpError> {
        let taken = self.take(row);
        taken.map_err(|Fault { row, problem }| DumpError::Damaged { place: self.place.clone(), row, problem })
    }
}

/// Something short that differs where the values do.
fn print<T: serde::Serialize>(value: T) -> Result<u64, InvalidValue> {
    let mut hasher = DefaultHasher::new();
    encode(&value)?.hash(&mut hasher);
    Ok(hasher.finish())
}

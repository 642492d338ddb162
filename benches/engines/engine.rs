//! What is asked of an engine, and the lanes that ask it.
//!
//! A lane decides a range of requests in one of these forms:
//!
//! - *names*: from a request of strings (user, permission, environment, a list of attributes with their values) to the
//!   decision, all of it measured;
//! - *prepared*: the request has been put into the engine's own terms before;
//! - *ids*: of Doorward, the names have been found before as well;
//! - *worst*: names, by the user whose groups have the most bindings.

use std::cell::Cell;
use std::fmt;
use std::hint::black_box;
use std::ops::Range;

use doorward::workload::Request;

use super::cedar::Arrangement;
use super::world::{Told, World};

/// An engine with the policies of an account.
pub(crate) trait Engine {
    /// A request in the engine's own terms.
    type Prepared<'e>
    where
        Self: 'e;

    /// Puts a request into the engine's own terms.
    fn prepare<'e>(&'e self, request: &'e Told<'_>) -> Self::Prepared<'e>;

    /// Whether it is allowed.
    fn decide<'e>(&'e self, prepared: &Self::Prepared<'e>) -> bool;
}

/// The engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Doorward,
    Floor,
    /// In one of its arrangements.
    Cedar(Arrangement),
    Regorus,
}

/// What a lane begins from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    Names,
    Prepared,
    Ids,
    Worst,
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) kind: Kind,
    pub(crate) form: Form,
}

/// One engine deciding requests of one form.
pub(crate) struct Lane<'a> {
    pub(crate) row: Row,
    /// How many requests there are.
    pub(crate) requests: usize,
    decide: Box<dyn Fn(Range<usize>) -> usize + 'a>,
    next: Cell<usize>,
}

/// The lanes of an engine, over as many requests.
pub(crate) fn lanes<'a, E: Engine>(kind: Kind, engine: &'a E, world: &'a World, requests: usize) -> Vec<Lane<'a>> {
    // They stay to the end of the process: what is prepared borrows from them.
    let told = |requests: &'a [Request]| -> &'a [Told<'a>] { Vec::leak(requests.iter().map(Told::new).collect()) };
    let (any, by_worst) = (told(world.first_requests(requests)), told(&world.worst));
    let prepared: Vec<_> = any.iter().map(|request| engine.prepare(request)).collect();
    let names = move |range: Range<usize>| decide_names(engine, &any[range]);
    let worst = move |range: Range<usize>| decide_names(engine, &by_worst[range]);
    let prepared = move |range: Range<usize>| decide_prepared(engine, &prepared[range]);
    let row = |form| Row { kind, form };
    let mut lanes = vec![
        Lane::new(row(Form::Names), any.len(), names),
        Lane::new(row(Form::Prepared), any.len(), prepared),
        Lane::new(row(Form::Worst), by_worst.len(), worst),
    ];
    let forms = kind.forms();
    lanes.retain(|lane| forms.contains(&lane.row.form));
    lanes
}

#[inline(never)]
fn decide_names<'e, E: Engine>(engine: &'e E, requests: &'e [Told<'_>]) -> usize {
    requests.iter().filter(|request| engine.decide(&engine.prepare(black_box(request)))).count()
}

#[inline(never)]
fn decide_prepared<'e, E: Engine>(engine: &'e E, prepared: &[E::Prepared<'e>]) -> usize {
    prepared.iter().filter(|prepared| engine.decide(black_box(prepared))).count()
}

// === impl Kind ===

impl Kind {
    pub(crate) const ALL: [Self; 6] = [
        Self::Doorward,
        Self::Floor,
        Self::Cedar(Arrangement::Linked),
        Self::Cedar(Arrangement::Chosen),
        Self::Cedar(Arrangement::ChosenByEnvironment),
        Self::Regorus,
    ];

    /// The name in options and tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Doorward => "doorward",
            Self::Floor => "floor",
            Self::Cedar(Arrangement::Linked) => "cedar-linked",
            Self::Cedar(Arrangement::Chosen) => "cedar-chosen",
            Self::Cedar(Arrangement::ChosenByEnvironment) => "cedar-by-environment",
            Self::Regorus => "regorus",
        }
    }
}

impl Kind {
    /// What its lanes begin from.
    pub(crate) fn forms(self) -> Vec<Form> {
        let has = |form: &Form| match form {
            Form::Names | Form::Prepared => true,
            Form::Ids => self == Self::Doorward,
            Form::Worst => matches!(self, Self::Doorward | Self::Floor),
        };
        Form::ALL.into_iter().filter(has).collect()
    }
}

// === impl Form ===

impl Form {
    pub(crate) const ALL: [Self; 4] = [Self::Names, Self::Prepared, Self::Ids, Self::Worst];

    /// The name between processes.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Names => "names",
            Self::Prepared => "prepared",
            Self::Ids => "ids",
            Self::Worst => "worst",
        }
    }
}

// === impl Row ===

impl Row {
    const fn form(self) -> &'static str {
        match (self.form, self.kind) {
            (Form::Names, Kind::Doorward) => "names, with reasons",
            (Form::Names, Kind::Floor) => "names",
            (Form::Names, _) => "request made from names",
            (Form::Prepared, Kind::Floor) | (Form::Ids, _) => "ids",
            (Form::Prepared, _) => "request made before",
            (Form::Worst, _) => "names, worst subject",
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}: {}", self.kind.name(), self.form()))
    }
}

// === impl Lane ===

impl<'a> Lane<'a> {
    pub(crate) fn new(row: Row, requests: usize, decide: impl Fn(Range<usize>) -> usize + 'a) -> Self {
        Self { row, requests, decide: Box::new(decide), next: Cell::new(0) }
    }

    /// Decides all of the requests; returns how many are allowed.
    pub(crate) fn decide_all(&self) -> usize {
        (self.decide)(0..self.requests)
    }

    /// Decides as many of the requests, those that come next; returns how many were decided.
    pub(crate) fn decide_next(&self, count: usize) -> usize {
        let begin = if self.next.get() + count > self.requests { 0 } else { self.next.get() };
        let end = self.requests.min(begin + count);
        self.next.set(end);
        black_box((self.decide)(begin..end));
        end - begin
    }
}

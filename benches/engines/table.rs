//! The figures as text, side by side.

use std::fmt::Write as _;

use doorward::workload::Size;

use super::Figures;
use super::cedar::Arrangement;
use super::changes::Latencies;
use super::decisions::{Cost, cost};
use super::engine::{Kind, Row};
use super::marks::Mark;
use super::memory::{Heap, Held};

/// Columns before the figures.
const NAME: usize = 46;
/// Columns of a figure.
const FIGURE: usize = 12;

/// A part of a table: its title, and where its figures are.
type Part<T> = (&'static str, fn(T) -> Option<f64>);

/// Everything that was measured.
pub(crate) fn tables(figures: &Figures, sizes: &[Size], marks: &[Mark]) -> String {
    [decision_table(figures, sizes), memory_table(figures, sizes), change_table(figures, sizes), mark_list(marks)]
        .concat()
}

fn decision_table(figures: &Figures, sizes: &[Size]) -> String {
    if figures.costs.is_empty() {
        return String::new();
    }
    let mut text = String::new();
    let parts: [Part<Cost>; 3] = [
        ("instructions a decision, mean", |it| it.instructions),
        ("nanoseconds a decision, median of passes", |it| Some(it.nanoseconds)),
        ("allocations a decision, mean", |it| Some(it.allocations)),
    ];
    for (title, figure) in parts {
        head(&mut text, title, sizes);
        for row in rows(figures, sizes) {
            let figures = sizes.iter().map(|size| cost(&figures.costs, row.kind, row.form, *size).and_then(figure));
            line(&mut text, &row.to_string(), figures);
        }
    }
    if sizes.contains(&Size::Xl) {
        text.push_str("\nCedar and regorus are not measured at XL.");
    }
    text.push_str("\nCedar's policy sets are those that the requests reach.\n");
    text
}

/// Rows of which there is a figure.
fn rows(figures: &Figures, sizes: &[Size]) -> Vec<Row> {
    let all = Kind::ALL.into_iter().flat_map(|kind| kind.forms().into_iter().map(move |form| Row { kind, form }));
    let measured = |row: &Row| sizes.iter().any(|size| figures.costs.contains_key(&(*row, *size)));
    all.filter(measured).collect()
}

fn memory_table(figures: &Figures, sizes: &[Size]) -> String {
    if figures.heaps.is_empty() {
        return String::new();
    }
    let mut text = String::new();
    let parts: [Part<Heap>; 3] = [
        ("live bytes a policy", |it| Some(it.policy)),
        ("live bytes a user", |it| Some(it.user)),
        ("live bytes with one of everything", |it| Some(it.base)),
    ];
    for (title, figure) in parts {
        head(&mut text, title, sizes);
        for held in Held::ALL {
            line(
                &mut text,
                held.name(),
                sizes.iter().map(|size| figures.heaps.get(&(held, *size)).copied().and_then(figure)),
            );
        }
    }
    text.push_str("\nA snapshot shares its records with the state, where they are counted.\n");
    if let Some(resident) = figures.resident {
        let (after, peak) = (resident.after / 1e6, resident.peak / 1e6);
        let _ = writeln!(
            text,
            "A process at XL: {after:.0} MB resident after the build and 10,000 decisions, {peak:.0} MB at its peak."
        );
    }
    text
}

fn change_table(figures: &Figures, sizes: &[Size]) -> String {
    if figures.latencies.is_empty() {
        return String::new();
    }
    let mut text = String::new();
    head(&mut text, "builds and changes", sizes);
    let of = |figure: fn(&Latencies) -> f64| {
        sizes.iter().map(move |size| figures.latencies.get(size).map(figure)).collect::<Vec<_>>()
    };
    for (name, figures) in [
        ("build from stored texts, ms", of(|it| it.build)),
        ("the same by one thread, ms", of(|it| it.alone)),
        ("one policy changed, p50 µs", of(|it| it.policy.p50)),
        ("one policy changed, p99 µs", of(|it| it.policy.far)),
        ("one user changed, p50 µs", of(|it| it.user.p50)),
        ("one user changed, p99 µs", of(|it| it.user.far)),
        ("decision while nothing changes, p50 ns", of(|it| it.quiet.p50)),
        ("decision while nothing changes, p99.9 ns", of(|it| it.quiet.far)),
        ("decision during changes, p50 ns", of(|it| it.busy.p50)),
        ("decision during changes, p99.9 ns", of(|it| it.busy.far)),
    ] {
        line(&mut text, name, figures.into_iter());
    }
    text
}

fn mark_list(marks: &[Mark]) -> String {
    let mut text = String::from("\nmarks\n");
    for Mark { text: mark, reached, measured } in marks {
        let reached = match reached {
            Some(true) => "reached",
            Some(false) => "NOT REACHED",
            None => "not measured",
        };
        let _ = writeln!(text, "  {reached:<12}  {mark}: {measured}");
    }
    text
}

fn head(text: &mut String, title: &str, sizes: &[Size]) {
    let _ = write!(text, "\n{title:<NAME$}");
    for size in sizes {
        let _ = write!(text, "{:>FIGURE$}", size.name());
    }
    text.push('\n');
}

fn line(text: &mut String, name: &str, figures: impl Iterator<Item = Option<f64>>) {
    let _ = write!(text, "  {name:<width$}", width = NAME - 2);
    for figure in figures {
        let _ = write!(text, "{:>FIGURE$}", figure.map_or("n/a".to_owned(), number));
    }
    text.push('\n');
}

/// A number with as many digits as are worth reading.
pub(crate) fn number(figure: f64) -> String {
    match figure.abs() {
        0.0 => "0".to_owned(),
        it if it < 10.0 => format!("{figure:.2}"),
        it if it < 100.0 => format!("{figure:.1}"),
        _ => grouped(figure.round() as i64),
    }
}

fn grouped(number: i64) -> String {
    let digits = number.abs().to_string();
    let mut text = String::from(if number < 0 { "-" } else { "" });
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

// === impl Held ===

impl Held {
    const ALL: [Self; 7] = [
        Self::Snapshot,
        Self::State,
        Self::Floor,
        Self::Cedar(Arrangement::Linked),
        Self::Cedar(Arrangement::Chosen),
        Self::Cedar(Arrangement::ChosenByEnvironment),
        Self::Regorus,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Snapshot => "doorward: snapshot",
            Self::State => "doorward: state beside it",
            Self::Floor => "floor",
            Self::Cedar(Arrangement::Linked) => "cedar-linked: all policy sets",
            Self::Cedar(Arrangement::Chosen) => "cedar-chosen: all policy sets",
            Self::Cedar(Arrangement::ChosenByEnvironment) => "cedar-by-environment: all policy sets",
            Self::Regorus => "regorus",
        }
    }
}

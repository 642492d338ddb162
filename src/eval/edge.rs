//! When the truth of a time condition changes next (D12): until then a decision that used it stays what it is.

use crate::compile::program::{Condition, Ordering};
use crate::model::moment::{Moment, Offset};

/// The first instant after `at` at which the condition is not what it is at `at`, and [`Moment::LATEST_TOLD`] where that is
/// later: an answer that has to be asked for again too early is right, and one that nobody can read is not. `None` where
/// there is no such instant, and for conditions that are not about time.
pub(super) fn next_edge(condition: &Condition, at: Moment) -> Option<Moment> {
    next_change(condition, at).map(|edge| edge.min(Moment::LATEST_TOLD))
}

fn next_change(condition: &Condition, at: Moment) -> Option<Moment> {
    match condition {
        Condition::Date(order, day, offset) => {
            let start = Moment::start_of_day(*day, *offset);
            let end = Moment::start_of_day(*day + 1, *offset);
            first_after(at, of_order(*order, start, end))
        }
        Condition::DateTime(order, moment) => first_after(at, of_order(*order, **moment, moment.next())),
        Condition::TimeOfDay(order, time, offset) => {
            let midnight = Moment::start_of_day(at.day(*offset), *offset);
            let tomorrow = Moment::start_of_day(at.day(*offset) + 1, *offset);
            let [before, after] = of_order(*order, midnight.after(*time), midnight.after(*time).next());
            first_after(at, [before, after, Some(tomorrow)])
        }
        Condition::WeekDay(days) => week_day(*days, at),
        Condition::Attribute { .. }
        | Condition::Environment(_)
        | Condition::UserGroup(_)
        | Condition::Retired
        | Condition::AnyOf(_) => None,
    }
}

/// Where `<`, `>` or `=` change, for something that is the bound from `start` up to `end`.
const fn of_order(order: Ordering, start: Moment, end: Moment) -> [Option<Moment>; 2] {
    match order {
        Ordering::Before => [Some(start), None],
        Ordering::After => [None, Some(end)],
        Ordering::Same => [Some(start), Some(end)],
    }
}

fn first_after<const N: usize>(at: Moment, edges: [Option<Moment>; N]) -> Option<Moment> {
    edges.into_iter().flatten().filter(|edge| *edge > at).min()
}

fn week_day(days: u8, at: Moment) -> Option<Moment> {
    let fits = |ahead: u8| days & (1 << ((at.week_day() + ahead) % 7)) != 0;
    let ahead = (1..7).find(|ahead| fits(*ahead) != fits(0))?;
    Some(Moment::start_of_day(at.day(Offset::UTC) + i64::from(ahead), Offset::UTC))
}

//! What holds for every state and every request.

use std::collections::{BTreeMap, BTreeSet};

use doorward::compile::group::GroupProgram;
use doorward::eval::effective::Entity;
use doorward::eval::explain::Standing;
use doorward::eval::list::Selection;
use doorward::eval::residual::Residual;
use doorward::eval::resolve::Resolution;
use doorward::eval::who_can::Wanted;
use doorward::eval::{Truth, effective, evaluate, explain, filter, list_permissions, resolve, who_can};
use doorward::lang::parse_policy;
use doorward::model::catalogue::PermissionName;
use doorward::model::decision::{CheckRequest, Decision, ReasonCode};
use doorward::model::moment::{Moment, SECOND};
use doorward::model::policy::Effect;
use proptest::prelude::*;

use crate::world::{ATTRIBUTES, Ask, PERMISSIONS, USERS, VIEWER, World, ask, object, supplied, world};

fn decide(world: &World, ask: &Ask) -> Decision {
    evaluate(world.program(), &ask.request(&ask.supplied())).unwrap().decision()
}

fn resolved<'w>(world: &'w World, ask: &Ask) -> Resolution<'w> {
    resolve(world.program(), &ask.request(&ask.supplied())).unwrap().resolution
}

/// No constant inside, no list of one, none in a list of its kind, nothing twice.
fn is_simple(node: &Residual) -> bool {
    let list = |nodes: &[Residual], same: fn(&Residual) -> bool| {
        let sorted = nodes.is_sorted_by(|a, b| a < b);
        nodes.len() > 1 && sorted && nodes.iter().all(|node| !same(node) && is_inner(node))
    };
    match node {
        Residual::Always | Residual::Never | Residual::Test(_) => true,
        Residual::All(nodes) => list(nodes, |node| matches!(node, Residual::All(_))),
        Residual::Any(nodes) => list(nodes, |node| matches!(node, Residual::Any(_))),
        Residual::Not(node) => is_inner(node) && !matches!(node.as_ref(), Residual::Not(_)),
    }
}

fn is_inner(node: &Residual) -> bool {
    !matches!(node, Residual::Always | Residual::Never) && is_simple(node)
}

fn tested<'n>(node: &'n Residual, names: &mut Vec<&'n str>) {
    match node {
        Residual::Always | Residual::Never => {}
        Residual::Test(leaf) => names.push(leaf.name.as_str()),
        Residual::All(nodes) | Residual::Any(nodes) => nodes.iter().for_each(|node| tested(node, names)),
        Residual::Not(node) => tested(node, names),
    }
}

/// The object without what the request says, and with only some of the rest where `hidden` hides it.
fn rest(object: &BTreeMap<String, Vec<String>>, ask: &Ask, hidden: u8) -> BTreeMap<String, Vec<String>> {
    let told = |(place, name): (usize, &&str)| hidden & (1 << place) == 0 && !ask.attributes.contains_key(*name);
    let names = ATTRIBUTES.iter().enumerate().filter(|(place, name)| told((*place, name)));
    names.map(|(_, name)| ((*name).to_owned(), object.get(*name).cloned().unwrap_or_default())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Filtering objects by the residual is checking each of them.
    #[test]
    fn an_object_passes_the_filter_where_a_check_allows(
        world in world(), ask in ask(), objects in prop::collection::vec(object(), 8), hidden in 0..16_u8,
    ) {
        let filtered = filter(world.program(), &ask.request(&ask.supplied())).unwrap();
        prop_assert!(is_simple(&filtered.residual), "{:?}", filtered.residual);
        let mut names = Vec::new();
        tested(&filtered.residual, &mut names);
        prop_assert!(names.iter().all(|name| !ask.attributes.contains_key(*name)), "{:?}", filtered.residual);
        for object in &objects {
            // Every second object does not tell everything.
            for hidden in [0, hidden] {
                let rest = rest(object, &ask, hidden);
                let allowed = decide(&world, &ask.with(&rest)) == Decision::Allow;
                let passes = filtered.residual.matches(&supplied(&rest).attributes().unwrap());
                prop_assert_eq!(passes, allowed, "{:?}\n{:?}", rest, &filtered.residual);
            }
        }
    }

    /// A settled answer stays whatever else is said, and Granted is what a check allows.
    #[test]
    fn a_settled_answer_stays(world in world(), ask in ask(), objects in prop::collection::vec(object(), 8)) {
        let resolution = resolved(&world, &ask);
        let allowed = decide(&world, &ask) == Decision::Allow;
        prop_assert_eq!(matches!(resolution, Resolution::Granted(_)), allowed);
        for object in &objects {
            let more = ask.with(&rest(object, &ask, 0));
            let later = decide(&world, &more) == Decision::Allow;
            match resolution {
                Resolution::Granted(_) => prop_assert!(later, "{:?}", more),
                Resolution::Denied(_) => prop_assert!(!later, "{:?}", more),
                Resolution::Conditional => {}
            }
        }
    }

    /// Until `valid_until` a reading says the same (D12).
    #[test]
    fn a_reading_holds_until_it_says(
        world in world(), ask in ask(), hours in 0..200_i128, last: bool, size in 1..6_usize,
    ) {
        let supplied = ask.supplied();
        let now = ask.request(&supplied);
        let resolution = resolve(world.program(), &now).unwrap();
        let filtered = filter(world.program(), &now).unwrap();
        let wanted = Wanted { conditional: true, size: 9 };
        let selection = Selection { size, ..Selection::default() };
        let users = |request: &CheckRequest<'_>| {
            let all = world.snapshot.users_after(world.account, None);
            let able = who_can(world.program(), request, all, wanted).unwrap();
            (able.users.iter().map(|it| (it.subject.id(), it.resolution.name())).collect::<Vec<_>>(), able.valid_until)
        };
        let able = users(&now);
        let listed = |request: &CheckRequest<'_>| {
            let listing = list_permissions(world.program(), request, &selection).unwrap();
            let names = listing.permissions.iter().map(|it| (it.permission.to_string(), it.resolution.name()));
            ((names.collect::<Vec<_>>(), listing.more), listing.valid_until)
        };
        let listing = listed(&now);
        let later = |until: Option<Moment>| {
            let wished = now.at.nanoseconds() + hours * 3_600 * SECOND;
            let most = until.map_or(wished, |until| until.nanoseconds() - 1);
            let at = if last { most } else { wished.min(most) };
            CheckRequest { at: Moment::from_nanoseconds(at), ..now.clone() }
        };
        let again = resolve(world.program(), &later(resolution.valid_until)).unwrap();
        prop_assert_eq!(again.resolution.name(), resolution.resolution.name());
        prop_assert_eq!(filter(world.program(), &later(filtered.valid_until)).unwrap().residual, filtered.residual);
        prop_assert_eq!(users(&later(able.1)).0, able.0);
        prop_assert_eq!(listed(&later(listing.1)).0, listing.0);
    }

    #[test]
    fn a_listing_names_what_resolve_does_not_deny(world in world(), ask in ask(), size in 1..3_usize) {
        let mut listed = Vec::new();
        let mut after = String::new();
        loop {
            let selection = Selection { after: &after, size, ..Selection::default() };
            let listing = list_permissions(world.program(), &ask.request(&ask.supplied()), &selection).unwrap();
            prop_assert!(listing.permissions.len() <= size);
            listed.extend(listing.permissions.iter().map(|it| (it.permission.to_string(), it.resolution.name())));
            if !listing.more {
                break;
            }
            after = listed.last().unwrap().0.clone();
        }
        let mut expected: Vec<_> = PERMISSIONS
            .iter()
            .map(|permission| ((*permission).to_owned(), resolved(&world, &ask.of(&ask.user, permission)).name()))
            .filter(|(_, name)| *name != "false")
            .collect();
        expected.sort();
        prop_assert_eq!(listed, expected);
    }

    #[test]
    fn the_users_who_can_are_those_whom_a_check_allows(world in world(), ask in ask(), conditional: bool, size in 1..4_usize) {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let users = world.snapshot.users_after(world.account, after);
            let able = who_can(world.program(), &ask.request(&ask.supplied()), users, Wanted { conditional, size }).unwrap();
            found.extend(able.users.iter().map(|it| (it.subject.email().to_owned(), it.resolution.name())));
            after = able.next;
            if after.is_none() {
                break;
            }
        }
        let mut expected: Vec<_> = USERS
            .iter()
            .map(|user| ((*user).to_owned(), resolved(&world, &ask.of(user, &ask.permission)).name()))
            .filter(|(_, name)| *name == "true" || conditional && *name == "condition")
            .collect();
        expected.sort();
        found.sort();
        prop_assert_eq!(found, expected);
    }

    /// An explanation adds up to the decision it is given with.
    #[test]
    fn an_explanation_adds_up(world in world(), ask in ask()) {
        let supplied = ask.supplied();
        let request = ask.request(&supplied);
        let explained = explain(world.program(), &request).unwrap();
        let outcome = evaluate(world.program(), &request).unwrap();
        let told = explained.outcome.reason();
        prop_assert_eq!(told.code, outcome.reason().code);
        prop_assert_eq!(explained.outcome.valid_until(), outcome.valid_until());
        let decided: Vec<_> = explained.statements.iter().filter(|it| it.standing == Standing::Decided).collect();
        prop_assert_eq!(decided.len(), usize::from(outcome.reason().statement.is_some()));
        if let (Some(decided), Some(statement)) = (decided.first(), outcome.reason().statement) {
            prop_assert!(decided.source.is_same(&statement));
        }
        let own = || explained.statements.iter().filter(|it| it.permission.as_str() == ask.permission);
        let here = |it: &&_| standing(it) != Standing::Elsewhere;
        let denies = own().filter(here).any(|it| it.source.effect() == Effect::Deny && it.truth != Truth::False);
        let allows = own().filter(here).any(|it| it.source.effect() == Effect::Allow && it.truth == Truth::True);
        let active = !matches!(told.code, ReasonCode::InactiveSubject | ReasonCode::UnknownSubject);
        let allowed = outcome.decision() == Decision::Allow;
        if ask.permission != VIEWER {
            prop_assert_eq!(allowed, active && allows && !denies);
        }
        for it in &explained.statements {
            let elsewhere = it.source.environment().is_some_and(|id| id.as_str() != ask.environment);
            prop_assert_eq!(it.standing == Standing::Elsewhere, elsewhere);
            prop_assert!(!(allowed && it.standing == Standing::Unsettled && denies));
            let held = it.conditions.iter().map(|condition| condition.truth);
            let all = held.fold(Truth::True, |all, truth| match (all, truth) {
                (Truth::False, _) | (_, Truth::False) => Truth::False,
                (Truth::Unknown, _) | (_, Truth::Unknown) => Truth::Unknown,
                (Truth::True, Truth::True) => Truth::True,
            });
            prop_assert_eq!(it.truth, all);
        }
    }

    /// Every statement about the permission that is bound to a group of the user is told: with what came of it, or as one of
    /// which boundaries left nothing.
    #[test]
    fn an_explanation_leaves_no_statement_out(world in world(), ask in ask()) {
        let program = world.program();
        let explained = explain(program, &ask.request(&ask.supplied())).unwrap();
        let own = |it: &&PermissionName| it.as_str() == ask.permission;
        let told = explained.statements.iter().filter(|it| own(&it.permission));
        let told: BTreeSet<_> = told.map(|it| (it.source.binding(), it.source.statement())).collect();
        let removed = explained.removed.iter().filter(|it| own(&it.permission));
        let removed: BTreeSet<_> = removed.map(|it| (it.binding(), it.statement)).collect();
        prop_assert!(told.is_disjoint(&removed));
        let groups = explained.subject.iter().flat_map(|subject| program.groups_of(subject));
        let mut all = BTreeSet::new();
        for binding in groups.flat_map(GroupProgram::bindings) {
            for (number, statement) in (0..).zip(parse_policy(&binding.policy.value.statements).ast.statements) {
                if statement.node.permissions.iter().any(|it| own(&&it.node)) {
                    all.insert((binding.key, number));
                }
            }
        }
        prop_assert_eq!(told.union(&removed).copied().collect::<BTreeSet<_>>(), all);
    }

    /// The listing holds every statement that an explanation has at this level, and no other.
    #[test]
    fn a_listing_of_effects_holds_what_is_bound(world in world(), ask in ask()) {
        let supplied = ask.supplied();
        let request = ask.request(&supplied);
        let explained = explain(world.program(), &request).unwrap();
        let selection = Selection { size: 100, ..Selection::default() };
        let page = effective(world.program(), Entity::User(&ask.user), request.target, &selection).unwrap();
        let listed = page.permissions.iter().find(|it| it.permission.as_str() == ask.permission);
        let effects: &[_] = listed.map_or(&[], |it| &it.effects);
        let sources: Vec<_> = effects.iter().flat_map(|it| it.sources.iter().map(move |source| (it, source))).collect();
        for it in explained.statements.iter().filter(|it| it.standing != Standing::Elsewhere) {
            let own = it.permission.as_str() == ask.permission;
            let found = sources.iter().any(|(effect, source)| {
                source.is_same(&it.source) && effect.implied_by.is_none() == own && effect.effect == it.source.effect()
            });
            prop_assert_eq!(found, own || it.source.effect() == Effect::Allow, "{:?}", it);
        }
        let active = evaluate(world.program(), &request).unwrap().reason().code != ReasonCode::InactiveSubject;
        for (_, source) in sources {
            prop_assert!(!active || explained.statements.iter().any(|it| it.source.is_same(source)));
        }
    }
}

fn standing(it: &doorward::eval::explain::ExplainedStatement<'_>) -> Standing {
    it.standing
}

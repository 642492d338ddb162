use std::collections::BTreeMap;

use super::*;
use crate::model::revision::Revision;

fn user(id: u128, email: &str, name: Option<&str>, groups: &[u8]) -> User {
    let kind = match id % 3 {
        0 => UserKind::Local,
        1 => UserKind::Federated,
        _ => UserKind::Service { description: "läuft".repeat((id % 4) as usize) },
    };
    let (id, name) = (UserId::from_bytes(id.to_be_bytes()), name.map(|name| name.parse().unwrap()));
    let (email, groups) =
        (email.parse().unwrap(), groups.iter().map(|group| GroupId::from_bytes([*group; 16])).collect());
    User { id, email, name, kind, state: UserState::Pending, groups }
}

fn record(value: User, revision: u64) -> Record<User> {
    let at = |seconds| jiff::Timestamp::new(seconds, 5).unwrap();
    Record { created: at(1), updated: at(revision.cast_signed()), revision: Revision::new(revision), value }
}

fn put(users: &mut Users, record: &Record<User>) {
    let old = users.row(record.value.id).and_then(|row| row.name());
    assert_eq!(users.put(record, &record.value), old);
}

/// Numbers that look random, the same in every run.
fn numbers() -> impl Iterator<Item = u128> {
    std::iter::successors(Some(1_u128), |n| Some(n.wrapping_mul(0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645) + 1))
}

fn check(users: &Users, expected: &BTreeMap<UserId, Record<User>>) {
    assert_eq!(users.len(), expected.len());
    assert!(users.rows().map(|row| row.record()).eq(expected.values().cloned()));
    for (id, record) in expected {
        assert_eq!(users.get(id).as_deref(), Some(record));
        assert_eq!(users.by_email(record.value.email.as_str()).map(|row| row.id()), Some(*id));
    }
    let middle = expected.keys().nth(expected.len() / 2).copied();
    for start in middle.into_iter().flat_map(|id| [Bound::Included(id), Bound::Excluded(id)]) {
        let rows = users.rows_from(start).map(|row| row.id());
        assert!(rows.eq(expected.range((start, Bound::Unbounded)).map(|(id, _)| *id)));
    }
}

#[test]
fn what_is_put_is_read_back_while_it_grows_changes_and_shrinks() {
    let (mut users, mut expected) = (Users::default(), BTreeMap::new());
    for (n, id) in (0_u64..).zip(numbers().take(500)) {
        let groups = [n as u8 % 9, n as u8 % 7, n as u8 % 5];
        let name = (n % 2 == 0).then_some("Ädä");
        let record = record(user(id, &format!("u{n}@x"), name, &groups[..n as usize % 4]), n);
        put(&mut users, &record);
        expected.insert(record.value.id, record);
    }
    check(&users, &expected);
    let ids: Vec<_> = expected.keys().copied().collect();
    for (n, id) in (0_u64..).zip(ids.iter().step_by(2)) {
        let record = record(User { id: *id, ..user(1, &format!("other{n}@x"), None, &[200, 1]) }, 1_000 + n);
        put(&mut users, &record);
        expected.insert(*id, record);
    }
    check(&users, &expected);
    for (n, id) in ids.iter().rev().enumerate() {
        users.remove(*id);
        assert!(!users.contains_key(id) && users.remove(*id).is_none());
        expected.remove(id);
        if n % 50 == 0 {
            check(&users, &expected);
        }
    }
    check(&users, &expected);
    assert!(users.is_empty() && users.emails.is_empty());
    assert_eq!(users.by_email("u1@x").map(|row| row.id()), None);
}

#[test]
fn a_clone_stays_as_it_was_and_what_differs_is_told() {
    let all: Vec<_> = numbers().take(200).map(|id| record(user(id, &format!("{id}@x"), None, &[1, 2]), 1)).collect();
    let before: Users = all.iter().cloned().collect();
    let mut after = before.clone();
    let moved =
        record(User { groups: [GroupId::from_bytes([77; 16])].into_iter().collect(), ..all[3].value.clone() }, 2);
    let come = record(user(7, "new@x", None, &[]), 2);
    put(&mut after, &moved);
    put(&mut after, &come);
    put(&mut after, &all[5]);
    after.remove(all[9].value.id);
    let told: BTreeMap<_, _> = after
        .changes_since(&before)
        .map(|change| {
            let (old, new) = (change.old.map(|row| row.record()), change.new.map(|row| row.record()));
            (old.as_ref().or(new.as_ref()).unwrap().value.id, (old, new))
        })
        .collect();
    let expected = BTreeMap::from([
        (all[3].value.id, (Some(all[3].clone()), Some(moved))),
        (come.value.id, (None, Some(come))),
        (all[9].value.id, (Some(all[9].clone()), None)),
    ]);
    assert_eq!(told, expected);
    assert_eq!(after.changes_since(&after.clone()).count(), 0);
    check(&before, &all.iter().map(|it| (it.value.id, it.clone())).collect());
}

#[test]
fn numbers_of_two_tables_are_not_mixed_up() {
    let one: Users =
        [record(user(1, "a@x", None, &[1]), 1), record(user(2, "b@x", None, &[2]), 1)].into_iter().collect();
    let other: Users =
        [record(user(2, "b@x", None, &[2]), 1), record(user(1, "a@x", None, &[1]), 1)].into_iter().collect();
    assert_ne!(one.table.ids, other.table.ids);
    assert_eq!(other.changes_since(&one).count(), 0);
    let third: Users =
        [record(user(2, "b@x", None, &[1]), 1), record(user(1, "a@x", None, &[2]), 1)].into_iter().collect();
    assert_eq!(third.changes_since(&one).count(), 2);
}

#[test]
fn leaves_are_full_of_users_that_came_in_order() {
    let users: Users = (0..1_000_u128).map(|n| record(user(n << 64, &format!("{n}@x"), None, &[]), 1)).collect();
    assert_eq!(users.leaves.len(), 1_000_usize.div_ceil(LEAF_USERS));
}

#[test]
fn two_users_of_one_e_mail_are_both_found() {
    let (first, second) = (record(user(1, "a@x", None, &[]), 1), record(user(2, "a@x", None, &[]), 1));
    let mut users: Users = [first.clone(), second.clone()].into_iter().collect();
    assert_eq!(users.emails.len(), 2);
    users.remove(first.value.id);
    assert_eq!(users.by_email("a@x").map(|row| row.id()), Some(second.value.id));
    users.remove(second.value.id);
    assert!(users.by_email("a@x").is_none() && users.emails.is_empty());
}

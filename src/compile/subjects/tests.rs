use super::*;
use crate::compile::workers::Alone;
use crate::model::identity::{User, UserKind};
use crate::model::object::Record;
use crate::model::revision::Revision;
use crate::model::state::Users;

fn user(seed: u32, email: &str, service_name: Option<&str>, groups: &[u32]) -> User {
    let mut bytes = [7; 16];
    bytes[..4].copy_from_slice(&seed.wrapping_mul(0x9E37_79B9).to_be_bytes());
    bytes[12..].copy_from_slice(&seed.to_be_bytes());
    let groups = groups.iter().map(|number| group(*number)).collect();
    let kind = match service_name {
        Some(_) => UserKind::Service { description: String::new() },
        None => UserKind::Local,
    };
    let name = service_name.map(|name| name.parse().unwrap());
    User { id: UserId::from_bytes(bytes), email: email.parse().unwrap(), name, kind, state: UserState::Active, groups }
}

fn group(number: u32) -> GroupId {
    let mut bytes = [1; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    GroupId::from_bytes(bytes)
}

fn numbers() -> GroupNumbers {
    (0..50).map(|number| (group(number), number)).collect()
}

fn email(seed: u32) -> String {
    format!("user{seed}@example.com")
}

/// Every user of `users` is found by id and e-mail, with its groups; nobody else is there.
fn check(subjects: &Subjects, users: &[User]) {
    assert_eq!(subjects.len(), users.len());
    assert_eq!(subjects.iter().count(), users.len());
    for user in users {
        let by_email = subjects.find(user.email.as_str());
        let Found::One(subject) = by_email else { panic!("{:?}: {by_email:?}", user.email) };
        let mut groups: Vec<_> = user.groups.iter().map(|id| numbers()[id]).collect();
        groups.sort_unstable();
        assert_eq!(
            (subject.id(), subject.email(), subject.groups()),
            (user.id, user.email.as_str(), groups.as_slice())
        );
        assert_eq!(subjects.find(&user.id.to_string()), by_email);
    }
}

fn stored(users: &[User]) -> Users {
    let at = jiff::Timestamp::UNIX_EPOCH;
    let record = |value: &User| Record { created: at, updated: at, revision: Revision::new(1), value: value.clone() };
    users.iter().map(record).collect()
}

fn subjects_of(users: &Users) -> Result<Subjects, NoGroup> {
    change(&Subjects::default(), &Users::default(), users)
}

fn change(subjects: &Subjects, before: &Users, after: &Users) -> Result<Subjects, NoGroup> {
    let changes: Vec<_> = after.changes_since(before).collect();
    subjects.change(&changes, after, &numbers(), &Alone)
}

#[test]
fn every_user_is_found_after_growing_changing_and_shrinking() {
    let mut users: Vec<User> = (0..2_000).map(|n| user(n, &email(n), None, &[n % 50, (n / 50) % 50])).collect();
    let mut before = stored(&users);
    let mut subjects = subjects_of(&before).unwrap();
    check(&subjects, &users);
    for first in (0_u32..300).step_by(10) {
        for (n, known) in (first..first + 10).zip(&mut users[first as usize..]) {
            *known = User { id: known.id, ..user(n, &email(n + 10_000), None, &[n % 7]) };
        }
        let after = stored(&users);
        subjects = change(&subjects, &before, &after).unwrap();
        before = after;
    }
    check(&subjects, &users);
    while users.len() > 5 {
        let gone: Vec<_> = users.split_off(users.len() - (users.len() / 3).max(1));
        let after = stored(&users);
        subjects = change(&subjects, &before, &after).unwrap();
        before = after;
        check(&subjects, &users);
        assert_eq!(subjects.find(gone[0].email.as_str()), Found::Nobody);
        assert_eq!(subjects.find(&gone[0].id.to_string()), Found::Nobody);
    }
}

#[test]
fn subjects_made_at_once_are_those_that_came_one_by_one() {
    let users: Vec<User> = (0..600).map(|n| user(n, &email(n), Some(&format!("s{}", n % 7)), &[n % 50])).collect();
    let all = stored(&users);
    let subjects = Subjects::of(&all, &numbers(), &Alone).unwrap();
    check(&subjects, &users);
    assert_eq!(subjects.find("s3"), Found::Several);
    assert_eq!(subjects.by_name.len(), 7);
}

#[test]
fn a_name_that_two_bear_asks_for_the_id() {
    let users = [
        user(1, "a@x", Some("deployer"), &[]),
        user(2, "b@x", Some("deployer"), &[]),
        user(3, "c@x", Some("a@x"), &[]),
        user(4, "d@x", Some("d@x"), &[]),
        user(5, "e@x", Some("runner"), &[]),
    ];
    let before = stored(&users);
    let subjects = subjects_of(&before).unwrap();
    assert_eq!(subjects.find("deployer"), Found::Several);
    assert_eq!(subjects.find("a@x"), Found::Several);
    assert!(matches!(subjects.find("d@x"), Found::One(it) if it.id() == users[3].id));
    assert!(matches!(subjects.find("runner"), Found::One(it) if it.id() == users[4].id));
    let subjects = change(&subjects, &before, &stored(&users[1..])).unwrap();
    assert!(matches!(subjects.find("deployer"), Found::One(it) if it.id() == users[1].id));
    assert!(matches!(subjects.find("a@x"), Found::One(it) if it.id() == users[2].id));
}

#[test]
fn a_user_of_an_unknown_group_is_refused() {
    let users = [user(1, "a@x", None, &[3, 99])];
    let refused = subjects_of(&stored(&users)).unwrap_err();
    assert_eq!(refused, NoGroup { user: users[0].id, group: group(99) });
}

/// Nobody writes such a state; should one come all the same, an id stands for the user of that id and for nobody else.
#[test]
fn two_of_one_e_mail_are_told_apart_by_their_ids() {
    let users: Vec<User> = (0..3).map(|seed| user(seed, "same@x", None, &[seed])).collect();
    let subjects = Subjects::of(&stored(&users), &numbers(), &Alone).unwrap();
    for user in &users {
        let Found::One(subject) = subjects.find(&user.id.to_string()) else { panic!("{:?}", user.id) };
        assert_eq!((subject.id(), subject.groups().len()), (user.id, 1));
        assert_eq!(subjects.by_id(user.id).map(|subject| subject.id()), Some(user.id));
    }
}

/// More users in one shard than a slot can tell are still found.
#[test]
fn a_shard_of_more_users_than_slots_can_tell_finds_them_all() {
    let users: Vec<User> = (0..66_000).map(|seed| user(seed, &format!("u{seed}@x"), None, &[])).collect();
    let stored = stored(&users);
    let mut edits = shard::Edits::default();
    edits.come.extend(stored.rows().map(|row| (short_hash_of(row.email()), row)));
    let mut made = None;
    edits
        .by_shard(0, |_, edits| {
            made = Some(Shard::changed(None, edits, &numbers())?);
            Ok(())
        })
        .unwrap();
    let made = made.unwrap();
    for user in users.iter().step_by(9_999).chain(users.last()) {
        let email = user.email.as_str();
        assert_eq!(made.by_email(short_hash_of(email), email).map(|it| it.id()), Some(user.id));
    }
    assert!(made.by_email(0, "nobody@x").is_none());
}

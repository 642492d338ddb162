//! Questions near what the texts of a state mention, so that both answers are common.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::super::question::Question;
use super::words::{ENVIRONMENTS, PERMISSIONS, TEXTS};
use super::{Choices, World};

/// A question about `world`.
pub fn question(choices: &mut Choices<'_>, world: &World) -> Question {
    let (environment, level) = target(choices);
    let mut question = Question {
        user: user(choices, world),
        environment: environment.to_owned(),
        level: level.to_owned(),
        permission: permission(choices, world),
        attributes: BTreeMap::new(),
        absent: Vec::new(),
        time: time(choices, world).to_string(),
    };
    let silence = choices.chance(30);
    for name in world.mentioned.values.keys().filter(|name| !name.starts_with("global:")) {
        if silence && choices.chance(70) {
            continue;
        }
        attribute(choices, world, name, &mut question);
    }
    oddity(choices, &mut question);
    question
}

/// Mostly the first user, who is always active.
fn user(choices: &mut Choices<'_>, world: &World) -> String {
    match choices.below(32) {
        0..=19 => world.users[0].clone(),
        20..=30 => choices.pick(&world.users).clone(),
        _ => "nobody@example.com".to_owned(),
    }
}

fn target(choices: &mut Choices<'_>) -> (&'static str, &'static str) {
    match choices.below(64) {
        0..=37 => (ENVIRONMENTS[0], ""),
        38..=50 => (ENVIRONMENTS[1], ""),
        51..=61 => ("", "account"),
        62 => ("nowhere", ""),
        _ => *choices.pick(&[("", ""), ("prod", "account"), ("", "environment")]),
    }
}

fn permission(choices: &mut Choices<'_>, world: &World) -> String {
    match choices.below(64) {
        0..=57 => choices.pick(&world.mentioned.permissions).clone(),
        58..=60 => choices.word(&PERMISSIONS).to_owned(),
        61 | 62 => "environment:roles:viewer".to_owned(),
        _ => "no:such:permission".to_owned(),
    }
}

fn attribute(choices: &mut Choices<'_>, world: &World, name: &str, question: &mut Question) {
    let values = match choices.below(16) {
        0 => return,
        1..=11 => vec![value(choices, world, name)],
        12 | 13 => (0..2 + choices.below(2)).map(|_| value(choices, world, name)).collect(),
        14 => Vec::new(),
        _ => {
            question.absent.push(name.to_owned());
            return;
        }
    };
    question.attributes.insert(name.to_owned(), values);
}

fn value(choices: &mut Choices<'_>, world: &World, name: &str) -> String {
    let known = &world.mentioned.values[name];
    let value = choices.pick(known).clone();
    match choices.below(8) {
        // What a wildcard or a parameter may stand for.
        6 => value.replace('*', choices.word(&TEXTS)),
        7 => format!("{value}{}", choices.word(&TEXTS)),
        _ => value,
    }
}

/// At, just before or just after an edge of a time condition; noon of a Monday where there is none.
fn time(choices: &mut Choices<'_>, world: &World) -> Timestamp {
    let edges: Vec<_> = world.mentioned.edges.iter().collect();
    let noon = Timestamp::from_second(1_772_452_800).expect("noon of 2026-03-02");
    let edge = if choices.chance(70) { edges.get(choices.below(edges.len())).copied() } else { None };
    let (nanosecond, hour) = (SignedDuration::from_nanos(1), SignedDuration::from_hours(1));
    let day = SignedDuration::from_hours(24);
    let steps = [SignedDuration::ZERO, -nanosecond, nanosecond, -hour, hour, -day, day];
    edge.copied().unwrap_or(noon).saturating_add(*choices.pick(&steps)).expect("a duration")
}

/// At times something that the permission does not know, or that makes the request a bad one.
fn oddity(choices: &mut Choices<'_>, question: &mut Question) {
    match choices.below(256) {
        1..=4 => {
            question.attributes.insert("x:unheard-of".to_owned(), vec!["a".to_owned()]);
        }
        5 => {
            question.attributes.insert("global:week-day".to_owned(), vec!["Monday".to_owned()]);
        }
        6 => question.absent.push("global:date".to_owned()),
        7 => question.absent.extend(question.attributes.keys().next().cloned()),
        8 => question.user.clear(),
        9 => question.permission.clear(),
        _ => {}
    }
}

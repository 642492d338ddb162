//! Texts of policies and boundaries, directed by what the catalogue takes.

use doorward::model::catalogue::{Catalogue, GlobalCondition, Operator, ValueKind};

use super::super::time::edges;
use super::words::{
    CLOCK_TIMES, CONDITIONS, DATE_PARAMETER, DATES, PATTERNS, PERMISSIONS, SECONDS, TEXT_PARAMETERS, TEXTS,
    WEEK_DAY_PARAMETER, WEEK_DAYS, ZONES,
};
use super::{Choices, Mentioned};

/// Writes texts that are valid in one account.
pub(super) struct Author<'a> {
    pub(super) catalogue: &'a Catalogue,
    /// Ids that values can be: of groups, users and levels.
    pub(super) ids: &'a [String],
    /// The groups' ids among them.
    pub(super) groups: &'a [String],
    pub(super) mentioned: &'a mut Mentioned,
}

// === impl Author ===

impl Author<'_> {
    /// A policy of one to four statements.
    pub(super) fn policy(&mut self, choices: &mut Choices<'_>) -> String {
        let count = 1 + choices.below(4);
        (0..count).map(|_| self.statement(choices)).collect::<Vec<_>>().join("\n")
    }

    fn statement(&mut self, choices: &mut Choices<'_>) -> String {
        let effect = if choices.chance(20) { "DENY" } else { "ALLOW" };
        let permissions = Self::permissions(choices);
        let count = [0, 0, 1, 1, 1, 1, 2, 3][choices.below(8)];
        let conditions: Vec<_> = (0..count).map(|_| self.condition(choices, &permissions)).collect();
        let tail = match (conditions.as_slice(), choices.chance(10)) {
            ([], true) => " WHERE null".to_owned(),
            ([], false) => String::new(),
            (conditions, _) => format!(" WHERE {}", conditions.join(" AND ")),
        };
        format!("{effect} {}{tail};", permissions.join(", "))
    }

    /// One to three neighbours, one of them twice at times.
    fn permissions(choices: &mut Choices<'_>) -> Vec<&'static str> {
        let (first, count) = (choices.below(PERMISSIONS.len()), [1, 1, 2, 3][choices.below(4)]);
        let mut permissions: Vec<_> = PERMISSIONS.iter().copied().cycle().skip(first).take(count).collect();
        if choices.chance(5) {
            permissions.push(permissions[0]);
        }
        permissions
    }

    /// A condition that every one of the permissions takes; a global one where they share none.
    fn condition(&mut self, choices: &mut Choices<'_>, permissions: &[&str]) -> String {
        let takes = |name: &str, operator: Operator| {
            let spec = |permission: &&str| self.catalogue.condition(permission, name);
            permissions.iter().all(|it| spec(it).is_some_and(|spec| spec.operators.contains(operator)))
        };
        let usable: Vec<(&str, Vec<Operator>)> = CONDITIONS
            .iter()
            .map(|name| (*name, Operator::ALL.into_iter().filter(|it| takes(name, *it)).collect::<Vec<_>>()))
            .filter(|(_, operators)| !operators.is_empty())
            .collect();
        if usable.is_empty() || choices.chance(18) {
            return self.global_condition(choices);
        }
        let (name, operators) = choices.pick(&usable);
        let operator = *choices.pick(operators);
        self.written(choices, name, operator)
    }

    fn global_condition(&mut self, choices: &mut Choices<'_>) -> String {
        let global = *choices.pick(&GlobalCondition::ALL);
        let operators: Vec<_> = global.operators().iter().collect();
        let operator = *choices.pick(&operators);
        self.written(choices, global.name(), operator)
    }

    /// A boundary of one to four conditions, each with an operator that some permission takes: names repeat, and do not fit.
    pub(super) fn boundary(&mut self, choices: &mut Choices<'_>) -> String {
        let count = 1 + choices.below(4);
        let names: Vec<&str> =
            CONDITIONS.iter().copied().filter(|name| !self.catalogue.operators_anywhere(name).is_empty()).collect();
        let mut lines: Vec<String> = Vec::new();
        let mut last = "";
        for _ in 0..count {
            if choices.chance(20) {
                lines.push(self.global_condition(choices));
                continue;
            }
            let name = if last.is_empty() || !choices.chance(35) { choices.word(&names) } else { last };
            last = name;
            let operators: Vec<_> = self.catalogue.operators_anywhere(name).iter().collect();
            let operator = *choices.pick(&operators);
            lines.push(self.written(choices, name, operator));
        }
        lines.join(if choices.chance(20) { "\n" } else { ";\n" }) + ";"
    }

    fn written(&mut self, choices: &mut Choices<'_>, name: &str, operator: Operator) -> String {
        let count = if operator.takes_list() { 1 + choices.below(3) } else { 1 };
        let values: Vec<_> = (0..count).map(|_| self.value(choices, name, operator)).collect();
        if operator.takes_list() {
            return format!("{name} {operator} ({})", values.join(", "));
        }
        format!("{name} {operator} {}", values.join(""))
    }

    /// One value with its quotes.
    fn value(&mut self, choices: &mut Choices<'_>, name: &str, operator: Operator) -> String {
        let text = match ValueKind::of(name) {
            ValueKind::Date => self.time(choices, Self::date),
            ValueKind::DateTime => {
                self.time(choices, |choices| format!("{}T{}", Self::date(choices), choices.word(&SECONDS)))
            }
            ValueKind::TimeOfDay => self.time(choices, |choices| choices.word(&CLOCK_TIMES).to_owned()),
            ValueKind::WeekDay if choices.chance(10) => format!("${{bindParam:{WEEK_DAY_PARAMETER}}}"),
            ValueKind::WeekDay => choices.word(&WEEK_DAYS).to_owned(),
            ValueKind::Enumeration(values) => self.mention(name, choices.word(values)),
            ValueKind::Text => return self.text(choices, name, operator),
        };
        format!("\"{text}\"")
    }

    fn date(choices: &mut Choices<'_>) -> String {
        if choices.chance(10) { format!("${{bindParam:{DATE_PARAMETER}}}") } else { choices.word(&DATES).to_owned() }
    }

    fn time(&mut self, choices: &mut Choices<'_>, local: fn(&mut Choices<'_>) -> String) -> String {
        let text = format!("{}{}", local(choices), choices.word(&ZONES));
        let plain = text.replace(&format!("${{bindParam:{DATE_PARAMETER}}}"), DATES[0]);
        self.mentioned.edges.extend(edges(&plain));
        text
    }

    /// Notes that a request can hold `value` on `name`.
    fn mention(&mut self, name: &str, value: &str) -> String {
        let values = self.mentioned.values.entry(name.to_owned()).or_default();
        if !values.iter().any(|known| known == value) {
            values.push(value.to_owned());
        }
        value.to_owned()
    }

    fn text(&mut self, choices: &mut Choices<'_>, name: &str, operator: Operator) -> String {
        if name == GlobalCondition::UserGroup.name() {
            let group = format!("\"{}\"", choices.pick(self.groups));
            return if choices.chance(10) { "\"Alpha\"".to_owned() } else { group };
        }
        if name == GlobalCondition::EnvironmentId.name() {
            return choices.word(&["\"prod\"", "\"dev\"", "\"${global:levelId}\""]).to_owned();
        }
        if operator.takes_list() && choices.chance(12) {
            self.mentioned.values.entry(name.to_owned()).or_default().extend(self.groups.iter().cloned());
            return "\"${global:userGroup}\"".to_owned();
        }
        let words: &[&str] = if operator == Operator::Match { &PATTERNS } else { &TEXTS };
        // The first few come more often, so that statements are about the same values.
        let literal = |choices: &mut Choices<'_>| {
            let any = choices.chance(40);
            choices.word(if any { words } else { &words[..2] })
        };
        let first = literal(choices);
        let mut text = escaped(first);
        if choices.chance(20) {
            let global = choices.word(&["userId", "levelId"]);
            text = format!("{text}${{global:{global}}}");
            let ids: Vec<_> = self.ids.iter().map(|id| format!("{first}{id}")).collect();
            self.mentioned.values.entry(name.to_owned()).or_default().extend(ids);
        }
        if choices.chance(20) {
            text = format!("{text}${{bindParam:{}}}{}", choices.word(&TEXT_PARAMETERS), escaped(literal(choices)));
        }
        self.mention(name, first);
        format!("\"{text}\"")
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

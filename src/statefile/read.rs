//! From the tree to the sections of the file: keys and their types, nothing of their meaning.

use std::collections::BTreeMap;

use super::FileProblem;
use super::node::{Node, Value};

/// The whole file.
pub(super) struct Document<'n> {
    pub(super) account: Entry<'n, AccountDoc>,
    pub(super) environments: Vec<Entry<'n, EnvironmentDoc>>,
    pub(super) groups: Vec<Entry<'n, GroupDoc>>,
    pub(super) users: Vec<Entry<'n, UserDoc>>,
    pub(super) service_users: Vec<Entry<'n, UserDoc>>,
    pub(super) policies: Vec<Entry<'n, PolicyDoc>>,
    pub(super) boundaries: Vec<Entry<'n, BoundaryDoc>>,
    pub(super) bindings: Vec<Entry<'n, BindingDoc>>,
    pub(super) catalogue: Vec<Entry<'n, PermissionDoc>>,
}

/// One object of a section.
pub(super) struct Entry<'n, T> {
    /// `groups[1]`
    pub(super) path: String,
    /// `None` for an account that is not there.
    pub(super) node: Option<&'n Node>,
    /// Its keys.
    pub(super) doc: T,
    /// Fields whose problem has been told: what follows from it is not told again.
    pub(super) told: Vec<String>,
}

#[derive(Default)]
pub(super) struct AccountDoc {
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) strict_boundaries: bool,
}

pub(super) struct EnvironmentDoc {
    pub(super) id: String,
    pub(super) name: String,
}

pub(super) struct GroupDoc {
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) owner: String,
    pub(super) federated_attribute_values: Vec<String>,
}

pub(super) struct UserDoc {
    pub(super) id: Option<String>,
    pub(super) email: String,
    pub(super) name: String,
    /// Users only.
    pub(super) kind: String,
    /// Service users only.
    pub(super) description: String,
    pub(super) state: String,
    pub(super) groups: Vec<String>,
}

pub(super) struct PolicyDoc {
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) level: LevelDoc,
    pub(super) description: String,
    pub(super) tags: Vec<String>,
    pub(super) statements: String,
}

pub(super) struct BoundaryDoc {
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) query: String,
}

pub(super) struct BindingDoc {
    pub(super) policy: String,
    pub(super) group: String,
    pub(super) level: LevelDoc,
    pub(super) parameters: BTreeMap<String, String>,
    pub(super) boundaries: Vec<String>,
    pub(super) metadata: BTreeMap<String, String>,
}

pub(super) struct LevelDoc {
    pub(super) level: String,
    pub(super) environment: Option<String>,
}

pub(super) struct PermissionDoc {
    pub(super) permission: String,
    pub(super) conditions: Vec<ConditionDoc>,
}

pub(super) struct ConditionDoc {
    pub(super) name: String,
    pub(super) operators: Vec<String>,
    pub(super) any_match: bool,
}

const ROOT: &[&str] =
    &["account", "environments", "groups", "users", "serviceUsers", "policies", "boundaries", "bindings", "catalogue"];
const ACCOUNT: &[&str] = &["id", "name", "strictBoundaries"];
const ENVIRONMENT: &[&str] = &["id", "name"];
const GROUP: &[&str] = &["id", "name", "description", "owner", "federatedAttributeValues"];
const USER: &[&str] = &["id", "email", "name", "kind", "state", "groups"];
const SERVICE_USER: &[&str] = &["id", "name", "email", "description", "state", "groups"];
const POLICY: &[&str] = &["id", "name", "level", "environment", "description", "tags", "statements"];
const BOUNDARY: &[&str] = &["id", "name", "query"];
const BINDING: &[&str] = &["policy", "group", "level", "environment", "parameters", "boundaries", "metadata"];
const PERMISSION: &[&str] = &["permission", "conditions"];
const CONDITION: &[&str] = &["name", "operators", "anyMatch"];

/// The sections of a file; `None` where it is no map.
pub(super) fn document<'n>(node: &'n Node, problems: &mut Vec<FileProblem>) -> Option<Document<'n>> {
    let mut root = Fields::of(node, String::new(), ROOT);
    let is_map = matches!(node.value, Value::Map(_));
    let document = Document {
        account: root.account(),
        environments: root.section("environments", ENVIRONMENT, environment),
        groups: root.section("groups", GROUP, group),
        users: root.section("users", USER, user),
        service_users: root.section("serviceUsers", SERVICE_USER, user),
        policies: root.section("policies", POLICY, policy),
        boundaries: root.section("boundaries", BOUNDARY, boundary),
        bindings: root.section("bindings", BINDING, binding),
        catalogue: root.section("catalogue", PERMISSION, permission),
    };
    problems.append(&mut root.problems);
    is_map.then_some(document)
}

fn environment(fields: &mut Fields<'_>) -> EnvironmentDoc {
    EnvironmentDoc { id: fields.required("id"), name: fields.text("name") }
}

fn group(fields: &mut Fields<'_>) -> GroupDoc {
    GroupDoc {
        id: fields.optional("id"),
        name: fields.text("name"),
        description: fields.text("description"),
        owner: fields.text("owner"),
        federated_attribute_values: fields.texts("federatedAttributeValues"),
    }
}

/// A user or a service user: the keys that the other has are not there.
fn user(fields: &mut Fields<'_>) -> UserDoc {
    UserDoc {
        id: fields.optional("id"),
        email: fields.text("email"),
        name: fields.text("name"),
        kind: fields.text("kind"),
        description: fields.text("description"),
        state: fields.text("state"),
        groups: fields.texts("groups"),
    }
}

fn policy(fields: &mut Fields<'_>) -> PolicyDoc {
    PolicyDoc {
        id: fields.optional("id"),
        name: fields.text("name"),
        level: level(fields),
        description: fields.text("description"),
        tags: fields.texts("tags"),
        statements: fields.required("statements"),
    }
}

fn boundary(fields: &mut Fields<'_>) -> BoundaryDoc {
    BoundaryDoc { id: fields.optional("id"), name: fields.text("name"), query: fields.required("query") }
}

fn binding(fields: &mut Fields<'_>) -> BindingDoc {
    BindingDoc {
        policy: fields.required("policy"),
        group: fields.required("group"),
        level: level(fields),
        parameters: fields.text_map("parameters"),
        boundaries: fields.texts("boundaries"),
        metadata: fields.text_map("metadata"),
    }
}

fn level(fields: &mut Fields<'_>) -> LevelDoc {
    LevelDoc { level: fields.required("level"), environment: fields.optional("environment") }
}

fn permission(fields: &mut Fields<'_>) -> PermissionDoc {
    let permission = fields.required("permission");
    let mut conditions = Vec::new();
    for (path, node) in fields.list("conditions") {
        let mut inner = Fields::of(node, join(&fields.path, &path), CONDITION);
        conditions.push(ConditionDoc {
            name: inner.required("name"),
            operators: inner.texts("operators"),
            any_match: inner.boolean("anyMatch"),
        });
        fields.told.extend(inner.told.iter().map(|told| join(&path, told)));
        fields.problems.append(&mut inner.problems);
    }
    PermissionDoc { permission, conditions }
}

/// A map of the file with what was wrong in it so far.
struct Fields<'n> {
    path: String,
    node: &'n Node,
    entries: BTreeMap<&'n str, &'n Node>,
    told: Vec<String>,
    problems: Vec<FileProblem>,
}

// === impl Fields ===

impl<'n> Fields<'n> {
    fn of(node: &'n Node, path: String, known: &[&str]) -> Self {
        let mut fields = Self { path, node, entries: BTreeMap::new(), told: Vec::new(), problems: Vec::new() };
        match &node.value {
            Value::Map(_) => fields.entries = fields.map_entries("", node),
            Value::Null if fields.path.is_empty() => {
                fields.tell("", "empty", "is empty; it must be a map with `account`");
            }
            other => fields.tell("", "wrong_type", &format!("must be a map, is {}", other.kind())),
        }
        fields.refuse_unknown(known);
        fields
    }

    /// Nothing follows from an unknown key, so that it is not among what was told.
    fn refuse_unknown(&mut self, known: &[&str]) {
        let unknown: Vec<_> = self.entries.keys().filter(|key| !known.contains(key)).copied().collect();
        let listed = known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
        for key in unknown {
            let (path, position) = (join(&self.path, key), self.node.position_of_key(key));
            let message = format!("is no key of this; the keys are {listed}");
            self.problems.push(FileProblem { path, position, code: "unknown_key", message });
        }
    }

    /// The entries of a map; of a key that stands twice the first is taken, and the second told.
    fn map_entries(&mut self, field: &str, node: &'n Node) -> BTreeMap<&'n str, &'n Node> {
        let Value::Map(map) = &node.value else { return BTreeMap::new() };
        let mut entries = BTreeMap::new();
        for (key, value) in map {
            if entries.contains_key(key.text.as_str()) {
                let path = join(&self.path, &join(field, &key.text));
                let message = "stands twice in this map".to_owned();
                self.problems.push(FileProblem { path, position: key.position, code: "duplicate_key", message });
            } else {
                entries.insert(key.text.as_str(), value);
            }
        }
        entries
    }

    fn tell(&mut self, field: &str, code: &'static str, message: &str) {
        let position = self.node.position_of(field);
        let path = join(&self.path, field);
        self.problems.push(FileProblem { path, position, code, message: message.to_owned() });
        self.told.push(field.to_owned());
    }

    fn wrong_type(&mut self, field: &str, wanted: &str, found: &Value) {
        let hint = match (wanted, found) {
            ("a text", Value::Bool(_) | Value::Number(_)) => "; put it in quotes",
            _ => "",
        };
        self.tell(field, "wrong_type", &format!("must be {wanted}, is {}{hint}", found.kind()));
    }

    /// The value of a key; one without a value is missing.
    fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries.get(key).copied().filter(|node| node.value != Value::Null)
    }

    fn optional(&mut self, key: &str) -> Option<String> {
        let node = self.get(key)?;
        self.as_text(key, node)
    }

    fn text(&mut self, key: &str) -> String {
        self.optional(key).unwrap_or_default()
    }

    fn required(&mut self, key: &str) -> String {
        if self.get(key).is_none() && matches!(self.node.value, Value::Map(_)) {
            self.tell(key, "required", "is missing");
        }
        self.text(key)
    }

    fn as_text(&mut self, field: &str, node: &Node) -> Option<String> {
        match &node.value {
            Value::Text(text) => Some(text.clone()),
            other => {
                self.wrong_type(field, "a text", other);
                None
            }
        }
    }

    fn boolean(&mut self, key: &str) -> bool {
        match self.get(key).map(|node| &node.value) {
            None => false,
            Some(Value::Bool(value)) => *value,
            Some(other) => {
                self.wrong_type(key, "`true` or `false`", other);
                false
            }
        }
    }

    /// The items of a list with their paths within this map.
    fn list(&mut self, key: &str) -> Vec<(String, &'n Node)> {
        let Some(node) = self.get(key) else { return Vec::new() };
        let Value::List(nodes) = &node.value else {
            self.wrong_type(key, "a list", &node.value);
            return Vec::new();
        };
        nodes.iter().enumerate().map(|(index, node)| (format!("{key}[{index}]"), node)).collect()
    }

    fn texts(&mut self, key: &str) -> Vec<String> {
        let items = self.list(key);
        items.into_iter().map(|(field, node)| self.as_text(&field, node).unwrap_or_default()).collect()
    }

    fn text_map(&mut self, key: &str) -> BTreeMap<String, String> {
        let Some(node) = self.get(key) else { return BTreeMap::new() };
        if !matches!(node.value, Value::Map(_)) {
            self.wrong_type(key, "a map of texts", &node.value);
        }
        let mut texts = BTreeMap::new();
        for (name, node) in self.map_entries(key, node) {
            let text = self.as_text(&join(key, name), node).unwrap_or_default();
            texts.insert(name.to_owned(), text);
        }
        texts
    }

    fn account(&mut self) -> Entry<'n, AccountDoc> {
        let path = "account".to_owned();
        let Some(node) = self.get("account") else {
            return Entry { path, node: None, doc: AccountDoc::default(), told: Vec::new() };
        };
        self.entry(path, node, ACCOUNT, |fields| AccountDoc {
            id: fields.optional("id"),
            name: fields.text("name"),
            strict_boundaries: fields.boolean("strictBoundaries"),
        })
    }

    fn section<T>(&mut self, key: &str, known: &[&str], read: fn(&mut Fields<'n>) -> T) -> Vec<Entry<'n, T>> {
        let items = self.list(key);
        items.into_iter().map(|(path, node)| self.entry(path, node, known, read)).collect()
    }

    fn entry<T>(
        &mut self,
        path: String,
        node: &'n Node,
        known: &[&str],
        read: impl FnOnce(&mut Fields<'n>) -> T,
    ) -> Entry<'n, T> {
        let mut fields = Fields::of(node, path, known);
        let doc = read(&mut fields);
        self.problems.append(&mut fields.problems);
        Entry { path: fields.path, node: Some(node), doc, told: fields.told }
    }
}

pub(super) fn join(path: &str, field: &str) -> String {
    match (path, field) {
        ("", field) => field.to_owned(),
        (path, "") => path.to_owned(),
        (path, field) if field.starts_with('[') => format!("{path}{field}"),
        (path, field) => format!("{path}.{field}"),
    }
}

// === impl Entry ===

impl<T> Entry<'_, T> {
    /// A problem of one field.
    pub(super) fn problem(&self, field: &str, code: &'static str, message: String) -> FileProblem {
        let position = self.node.and_then(|node| node.position_of(field));
        FileProblem { path: join(&self.path, field), position, code, message }
    }
}

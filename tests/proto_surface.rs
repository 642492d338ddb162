//! The wire as a list: every message, field, enum value and method with its number and type.
//!
//! `proto/surface.txt` is the reviewed list. A change of the protos shows up as a change of that file, so that nobody
//! renumbers or retypes a field without seeing it. With `UPDATE_SURFACE=1` the test writes the list instead.

#![expect(clippy::unwrap_used, reason = "a test ends where its descriptors cannot be read")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use doorward::proto::DESCRIPTORS;
use prost_reflect::{Cardinality, DescriptorPool, FieldDescriptor, MessageDescriptor, MethodDescriptor};

const PACKAGES: [&str; 2] = ["doorward.v1", "envoy.service.auth.v3"];

#[test]
fn the_wire_is_the_reviewed_list() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/surface.txt");
    let now = surface();
    if std::env::var_os("UPDATE_SURFACE").is_some() {
        fs::write(&path, now.join("\n") + "\n").unwrap();
    }
    let reviewed = fs::read_to_string(&path).unwrap();
    let reviewed: BTreeSet<_> = reviewed.lines().collect();
    let now: BTreeSet<_> = now.iter().map(String::as_str).collect();
    let gone: Vec<_> = reviewed.difference(&now).collect();
    let new: Vec<_> = now.difference(&reviewed).collect();
    assert!(gone.is_empty(), "gone from the wire, which breaks clients: {gone:#?}");
    assert!(new.is_empty(), "not reviewed yet; run with UPDATE_SURFACE=1 and read the change: {new:#?}");
}

/// Envoy's own numbers (reference ch. 6.1): what Doorward writes from them must not drift.
#[test]
fn envoys_fields_have_envoys_numbers() {
    let surface = surface();
    for line in [
        "envoy.service.auth.v3.CheckRequest.attributes = 1 envoy.service.auth.v3.AttributeContext",
        "envoy.service.auth.v3.AttributeContext.request = 4 envoy.service.auth.v3.AttributeContext.Request",
        "envoy.service.auth.v3.AttributeContext.context_extensions = 10 map<string, string>",
        "envoy.service.auth.v3.AttributeContext.HttpRequest.headers = 3 map<string, string>",
        "envoy.service.auth.v3.AttributeContext.HttpRequest.header_map = 13 envoy.service.auth.v3.HeaderMap",
        "envoy.service.auth.v3.CheckResponse.status = 1 envoy.service.auth.v3.Status",
        "envoy.service.auth.v3.CheckResponse.denied_response = 2 envoy.service.auth.v3.DeniedHttpResponse",
        "envoy.service.auth.v3.CheckResponse.ok_response = 3 envoy.service.auth.v3.OkHttpResponse",
        "envoy.service.auth.v3.CheckResponse.error_response = 5 envoy.service.auth.v3.DeniedHttpResponse",
        "envoy.service.auth.v3.CheckResponse.dynamic_metadata = 4 google.protobuf.Struct",
        "envoy.service.auth.v3.OkHttpResponse.headers = 2 repeated envoy.service.auth.v3.HeaderValueOption",
        "envoy.service.auth.v3.OkHttpResponse.headers_to_remove = 5 repeated string",
        "envoy.service.auth.v3.HeaderValueOption.append_action = 3 envoy.service.auth.v3.HeaderValueOption.HeaderAppendAction",
    ] {
        assert!(surface.iter().any(|found| found == line), "`{line}` is not on the wire");
    }
}

/// A client that may not be answered from before its write passes the token of the write on.
#[test]
fn every_answer_to_a_mutation_has_a_revision_token() {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    let mutation = |name: &str| ["Create", "Update", "Delete"].iter().any(|verb| name.starts_with(verb));
    let mutations: Vec<_> = methods.filter(|method| mutation(method.name())).collect();
    assert!(mutations.len() >= 24, "eight nouns have three each");
    let without = mutations.iter().filter(|method| method.output().get_field_by_name("revision_token").is_none());
    let without: Vec<_> = without.map(MethodDescriptor::full_name).collect();
    assert!(without.is_empty(), "{without:?}");
}

/// One line a field, enum value or method, sorted.
fn surface() -> Vec<String> {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let ours = |package: &str| PACKAGES.contains(&package);
    let mut lines = Vec::new();
    for message in pool.all_messages().filter(|message| ours(message.package_name()) && !message.is_map_entry()) {
        lines.extend(message.fields().map(|field| field_line(&message, &field)));
    }
    for list in pool.all_enums().filter(|list| ours(list.package_name())) {
        lines.extend(list.values().map(|value| format!("{} = {}", value.full_name(), value.number())));
    }
    for service in pool.services().filter(|service| ours(service.package_name())) {
        lines.extend(service.methods().map(|method| {
            let stream = if method.is_server_streaming() { "stream " } else { "" };
            format!("{}({}) {stream}{}", method.full_name(), method.input().full_name(), method.output().full_name())
        }));
    }
    lines.sort();
    lines
}

fn field_line(message: &MessageDescriptor, field: &FieldDescriptor) -> String {
    let kind = kind(field);
    let repeated = if field.cardinality() == Cardinality::Repeated && !field.is_map() { "repeated " } else { "" };
    format!("{}.{} = {} {repeated}{kind}", message.full_name(), field.name(), field.number())
}

fn kind(field: &FieldDescriptor) -> String {
    use prost_reflect::Kind;
    match field.kind() {
        Kind::Message(entry) if entry.is_map_entry() => {
            let of = |name| kind(&entry.get_field_by_name(name).unwrap());
            format!("map<{}, {}>", of("key"), of("value"))
        }
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(list) => list.full_name().to_owned(),
        scalar => format!("{scalar:?}"),
    }
}

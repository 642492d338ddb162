//! Groups hold users and nothing else, so that no cycle can be written: there is no word for a group inside a group.

use std::process::Command;

use doorward::proto::DESCRIPTORS;
use doorward::proto::doorward as pb;
use doorward::proto::doorward::user_service_client::UserServiceClient;
use prost_reflect::DescriptorPool;
use serde_json::json;
use tonic::Code;

use crate::load;
use crate::nouns::{Groups, Noun, World};

/// Words in which somebody might try it.
const WORDS: [&str; 6] = ["groups", "members", "parent", "parents", "children", "groupIds"];

#[test]
fn a_state_file_has_no_word_for_a_group_inside_a_group() {
    for word in WORDS {
        let problems = load(json!({"groups": [{"name": "G", word: ["H"]}, {"name": "H", word: ["G"]}]})).unwrap_err();
        let expected = [format!("groups[0].{word} unknown_key: "), format!("groups[1].{word} unknown_key: ")];
        assert_eq!(problems.len(), 2, "{problems:?}");
        for (problem, expected) in problems.iter().zip(&expected) {
            assert!(problem.starts_with(expected), "{problem} is not {expected}");
        }
    }
}

#[test]
fn the_message_of_a_group_has_no_field_for_a_group() {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let group = pool.get_message_by_name("doorward.v1.Group").unwrap();
    let names: Vec<_> = group.fields().map(|field| field.name().to_owned()).collect();
    assert_eq!(names, ["id", "name", "description", "owner", "federated_attribute_values", "metadata"]);
}

#[test]
fn an_administrative_call_that_names_a_group_inside_a_group_is_refused_by_its_field() {
    for method in ["CreateGroup", "UpdateGroup"] {
        for word in WORDS {
            let request = json!({"account": "a", "group": {"name": "G", word: ["H"]}}).to_string();
            let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
            command.args(["admin", "--token-file", "/dev/null", &format!("GroupService/{method}"), &request]);
            let ran = command.output().unwrap();
            let told = String::from_utf8(ran.stderr).unwrap();
            assert_eq!(ran.status.code(), Some(2), "{told}");
            assert!(told.contains(&format!("'{word}'")) || told.contains(&format!("`{word}`")), "{word}: {told}");
        }
    }
}

/// What puts somebody into a group is asked of a user, and a group is none.
#[tokio::test]
async fn a_group_is_no_user_that_could_join_a_group() {
    let world = World::new().await;
    let other = world.make::<Groups>(Groups::sample(&world, 1)).await;
    let user = pb::User {
        id: other.id.clone(),
        name: "G".to_owned(),
        group_ids: vec![world.group.clone()],
        ..pb::User::default()
    };
    let request =
        pb::UpdateUserRequest { account: world.account.clone(), user: Some(user), ..pb::UpdateUserRequest::default() };
    let before = world.server.contents();
    let status = UserServiceClient::new(world.caller()).update_user(request).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status:?}");
    assert_eq!(world.server.contents(), before);
}

//! How fresh an answer says it is, with several control planes and with one that is cut off.

use std::time::Duration;

use doorward::proto::doorward as pb;
use tonic::Code;

use crate::set_policy;
use crate::support::etcd::{Cluster, Options};
use crate::support::installation::{Home, question};
use crate::support::rpc::{Rpc, until};

const SECONDS: i64 = 2;

fn no_older_than(seconds: i64) -> pb::CheckRequest {
    pb::CheckRequest { max_age: Some(prost_types::Duration { seconds, nanos: 0 }), ..question() }
}

/// The new enemy: what was written at one control plane is asked for at a sidecar of the other one.
#[test]
fn a_check_with_the_token_of_a_write_is_never_answered_from_before_it_wherever_it_was_written() {
    let Some(cluster) = Cluster::start(Options::SINGLE) else { return };
    let homes = [Home::new(&cluster), Home::new(&cluster)];
    let planes = homes.each_ref().map(Home::control_plane);
    let addresses = planes.each_ref().map(|plane| plane.listener("admin"));
    // One of them made the credentials of both.
    let token = |name| homes.iter().find_map(|home| home.token(name)).unwrap();
    let admins = addresses.map(|address| Rpc::to(address).with_token(&token("root.token")));
    let sidecars = [0, 1].map(|it| homes[it].sidecar("sidecar", &[addresses[it]], &token("watch.token")));
    for round in 0..40 {
        let (writer, statements, expected) = match round % 4 {
            0 => (0, "DENY settings:schemas:read;", pb::Decision::Deny),
            1 => (0, "ALLOW settings:schemas:read;", pb::Decision::Allow),
            2 => (1, "DENY settings:schemas:read;", pb::Decision::Deny),
            _ => (1, "ALLOW settings:schemas:read;", pb::Decision::Allow),
        };
        let written = set_policy(&admins[writer], statements);
        let asked = pb::CheckRequest { at_least_revision: written, ..question() };
        let other = &sidecars[1 - writer];
        let transcript = || format!("{}\n{}", planes[1 - writer].transcript(), other.process.transcript());
        // It waits for a second, and then says that it has not come so far.
        let answer = until("the write", transcript, || match other.check.check(&asked) {
            Ok(answer) => Some(answer),
            Err(status) if status.code() == Code::Unavailable => None,
            Err(status) => panic!("{status:?}"),
        });
        assert_eq!(answer.decision(), expected, "round {round}");
    }
}

/// A control plane without its etcd does not know whether what it has is the newest: neither do those who begin with it.
#[test]
fn a_sidecar_of_a_control_plane_that_is_cut_off_knows_how_old_its_state_is_from_the_first_answer() {
    let Some(mut cluster) = Cluster::start(Options::SINGLE) else { return };
    let home = Home::new(&cluster);
    let plane = home.control_plane();
    let planes = [plane.listener("admin")];
    let watch = home.token("watch.token").unwrap();
    let first = home.sidecar("first", &planes, &watch);
    until("an answer", || first.process.transcript(), || first.check.check(&no_older_than(SECONDS)).ok());
    cluster.kill(0);
    let is_refused = || first.check.check(&no_older_than(SECONDS)).err();
    let refused = until("its age", || first.process.transcript(), is_refused);
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");

    let late = home.sidecar("late", &planes, &watch);
    let any = || late.check.check(&no_older_than(86_400)).ok();
    let answer = until("an answer of some age", || late.process.transcript(), any);
    let age = Duration::try_from(answer.age.unwrap()).unwrap();
    assert!(age > Duration::from_secs(SECONDS.unsigned_abs()), "{age:?}");
    let demanded = late.check.check(&no_older_than(SECONDS)).map(|answer| answer.age);
    assert_eq!(demanded.map_err(|status| status.code()), Err(Code::Unavailable));
}

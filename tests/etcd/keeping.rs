//! `doorward store` about a store in etcd: read while it is served, and made anew by either engine.

use doorward::store::etcd::{EtcdConfig, EtcdStore};

use crate::set_policy;
use crate::support::etcd::{Cluster, Options};
use crate::support::installation::Home;
use crate::support::process::{Doorward, PATIENCE};
use crate::support::rpc::Rpc;

/// Runs `doorward store` with these arguments, in which `@` is the folder and `#` the cluster; it must end with `code`.
fn store(home: &Home, cluster: &Cluster, arguments: &str, code: i32) -> String {
    let endpoints = format!("--etcd-endpoints {}", cluster.endpoints().join(","));
    let arguments = arguments.replace('#', &endpoints).replace('@', &format!("{}/", home.path("").display()));
    let output = Doorward::run(std::iter::once("store").chain(arguments.split_whitespace()));
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert_eq!(output.status.code(), Some(code), "{arguments}: {text}");
    text
}

/// The counts that a command tells, without the line that names the store.
fn counts(told: &str) -> Vec<&str> {
    told.lines().skip(1).filter(|line| line.starts_with(' ')).collect()
}

#[test]
fn a_store_that_is_served_is_backed_up_and_made_again_by_either_engine() {
    let Some(cluster) = Cluster::start(Options::SINGLE) else { return };
    let home = Home::new(&cluster);
    let plane = home.control_plane();
    let admin = Rpc::to(plane.listener("admin")).with_token(&home.token("root.token").unwrap());
    set_policy(&admin, "DENY settings:schemas:read;");

    let verified = store(&home, &cluster, "verify #", 0);
    assert!(verified.contains("at revision 2") && verified.contains("2 credentials"), "{verified}");
    let backed_up = store(&home, &cluster, "backup # @b.dwb", 0);
    assert_eq!(counts(&backed_up), counts(&verified));
    let refused = store(&home, &cluster, "backup # @b.dwb", 2);
    assert!(refused.contains("--overwrite"), "{refused}");
    set_policy(&admin, "ALLOW settings:schemas:read;");

    for (made, again) in
        [("--directory @made", "--directory @once-more"), ("# --etcd-prefix /made/", "# --etcd-prefix /again/")]
    {
        store(&home, &cluster, &format!("restore @b.dwb {made}"), 0);
        let refused = store(&home, &cluster, &format!("restore @b.dwb {made}"), 2);
        assert!(refused.contains("is not empty"), "{refused}");
        assert_eq!(counts(&store(&home, &cluster, &format!("verify {made}"), 0)), counts(&verified));
        let name = format!("@{}.dwb", again.len());
        store(&home, &cluster, &format!("backup {made} {name}"), 0);
        store(&home, &cluster, &format!("restore {name} {again}"), 0);
        assert_eq!(counts(&store(&home, &cluster, &format!("verify {again}"), 0)), counts(&verified));
    }
    // The one that is served has gone on.
    assert!(store(&home, &cluster, "verify #", 0).contains("at revision 3"));
}

#[test]
fn a_store_in_etcd_is_loaded_in_bounded_commits_and_not_served_before_the_end() {
    let Some(cluster) = Cluster::start(Options::SINGLE) else { return };
    let home = Home::new(&cluster);
    for nothing in ["verify #", "backup # @b.dwb"] {
        let refused = store(&home, &cluster, nothing, 2);
        assert!(refused.contains("is no store of Doorward"), "{refused}");
        assert_eq!(cluster.ctl(&["get", "--prefix", "--keys-only", ""]).trim(), "");
    }
    let loaded = store(&home, &cluster, "load # --generate S --seed 7", 0);
    assert!(loaded.contains("objects, loaded in"), "{loaded}");
    assert!(store(&home, &cluster, "verify #", 0).contains("0 commits in the log"));
    assert!(store(&home, &cluster, "load # --generate S", 2).contains("is not empty"));
    assert!(store(&home, &cluster, "load # @state.yaml --etcd-prefix /other/", 0).contains("at revision 1"));
    let other = EtcdConfig::new(cluster.endpoints(), "/damaged/");
    drop(EtcdStore::open(&other).unwrap());
    cluster.ctl(&["put", "/damaged/credentials/c", "broken"]);
    assert!(store(&home, &cluster, "load # --generate S --etcd-prefix /damaged/", 1).contains("is damaged"));
    home.control_plane().listener("admin");

    cluster.ctl(&["put", "/doorward/loading", ""]);
    assert!(store(&home, &cluster, "load # --generate S", 2).contains("did not end"));
    assert!(store(&home, &cluster, "backup # @b.dwb", 2).contains("did not end"));
    let mut plane = home.control_plane();
    assert!(!plane.wait_exit(PATIENCE).success());
    assert!(plane.transcript().contains("/doorward/` holds the part of a load"), "{}", plane.transcript());
}

#[test]
fn a_control_plane_over_etcd_sends_the_backup_of_its_store() {
    let Some(cluster) = Cluster::start(Options::SINGLE) else { return };
    let home = Home::new(&cluster);
    let plane = home.control_plane();
    let address = plane.listener("admin");
    let served = format!("backup --address {address} --token-file @credentials/root.token");
    set_policy(&Rpc::to(address).with_token(&home.token("root.token").unwrap()), "DENY settings:schemas:read;");

    let sent = store(&home, &cluster, &format!("{served} @sent.dwb"), 0);
    assert_eq!(counts(&sent), counts(&store(&home, &cluster, "backup # @read.dwb", 0)));
    let bytes = |name: &str| std::fs::read(home.path(name)).unwrap();
    assert!(bytes("sent.dwb") == bytes("read.dwb"));
    store(&home, &cluster, "restore @sent.dwb --directory @made", 0);
    assert_eq!(counts(&store(&home, &cluster, "verify --directory @made", 0)), counts(&sent));
    let refused = store(&home, &cluster, &format!("{served} # @no.dwb"), 2);
    assert!(refused.contains("name one store"), "{refused}");

    // Of a store that is damaged nothing is made, whoever finds it.
    cluster.ctl(&["del", "/doorward/audit/00000000000000000002"]);
    let refused = store(&home, &cluster, &format!("{served} @no.dwb"), 1);
    assert!(refused.contains(&format!("`{address}` is damaged at the end of the audit")), "{refused}");
    cluster.ctl(&["put", "/doorward/credentials/c", "broken"]);
    let refused = store(&home, &cluster, &format!("{served} @no.dwb"), 1);
    assert!(refused.contains("the store is damaged at credential `c`"), "{refused}");
    assert!(!home.path("no.dwb").exists());
}

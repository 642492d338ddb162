//! `doorward serve --example`: an account to look at, and commands to paste.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context;
use tempfile::TempDir;

use crate::server::Addresses;
use crate::server::bootstrap::{CREDENTIALS, ROOT_FILE};

/// The account.
const STATE: &str = include_str!("../../data/example.yaml");
/// The Envoy configuration that users copy.
const ENVOY: &str = include_str!("../../deploy/envoy/tcp.yaml");
/// The header that names the subject in the Envoy configuration.
pub const SUBJECT_HEADER: &str = "x-doorward-subject";
const ACCOUNT: &str = "5f0c6d0e-8a1b-4c3d-9e2f-7a6b5c4d3e2f";
/// What the route of the Envoy configuration asks about, and what the example has instead: Chloe may read it, Ben may not.
const ROUTE: [(&str, &str); 2] = [
    ("environment: abc12345", "environment: staging"),
    ("attr.settings:schemaId: builtin:alerting", "attr.settings:schemaId: shop:checkout"),
];

/// A directory with everything the example needs; it goes when this does.
#[derive(Debug)]
pub(super) struct Example {
    directory: TempDir,
}

// === impl Example ===

impl Example {
    /// Makes the directory.
    pub(super) fn create() -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("doorward-example-").tempdir();
        let directory = directory.context("no temporary directory can be made")?;
        let example = Self { directory };
        std::fs::write(example.state(), STATE).context("the example's state file cannot be written")?;
        Ok(example)
    }

    /// The state file.
    pub(super) fn state(&self) -> PathBuf {
        self.directory.path().join("example.yaml")
    }

    /// The store's directory.
    pub(super) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Prints where everything is and what to try.
    pub(super) fn introduce(&self, addresses: &Addresses) {
        let envoy = self.write_envoy(addresses);
        // Standard output may be closed; the server goes on.
        let _ = writeln!(std::io::stdout(), "{}", self.text(addresses, envoy.as_deref()));
    }

    /// The Envoy configuration with the address of this process, and with a route about something that the example has.
    fn write_envoy(&self, addresses: &Addresses) -> Option<String> {
        let path = self.directory.path().join("envoy.yaml");
        let address = addresses.check?;
        let shipped = "address: 127.0.0.1, port_value: 7070";
        // Quoted: an address of IPv6 is no plain text in YAML.
        let ours = format!("address: \"{}\", port_value: {}", address.ip(), address.port());
        let text = ENVOY.replace(shipped, &ours);
        let text = ROUTE.iter().fold(text, |text, (shipped, ours)| text.replace(shipped, ours));
        std::fs::write(&path, text).ok().map(|()| path.display().to_string())
    }

    fn text(&self, addresses: &Addresses, envoy: Option<&str>) -> String {
        let shown = |address: Option<std::net::SocketAddr>| address.map_or("off".to_owned(), |a| a.to_string());
        let (check, admin) = (shown(addresses.check), shown(addresses.admin));
        let token = self.data().join(CREDENTIALS).join(ROOT_FILE);
        let token = token.display();
        let program = std::env::current_exe().map_or("doorward".to_owned(), |path| path.display().to_string());
        let mut text = format!(
            "
Doorward serves the example account: 2 environments, 11 groups, 8 policies.

  check    {check}   admin    {admin}   metrics  {}
  the account as a file: {}

Try, in another terminal:

1. May Chloe change the checkout's settings in staging?
   {program} check --address {check} --user chloe@example.com --environment staging \\
     --permission settings:objects:write --attribute settings:schemaId=shop:checkout

   grpcurl -plaintext -d '{{\"user\":\"chloe@example.com\",\"environment\":\"staging\",\"permission\":\"settings:objects:write\",
     \"attributes\":{{\"settings:schemaId\":{{\"values\":[\"shop:checkout\"]}}}}}}' \\
     {check} doorward.v1.AuthorizationService/Check

2. Which policies are there?
   {program} admin --address {admin} --token-file {token} \\
     PolicyService/ListPolicies '{{\"account\":\"{ACCOUNT}\"}}'

   grpcurl -plaintext -H \"authorization: Bearer $(cat {token})\" -d '{{\"account\":\"{ACCOUNT}\"}}' \\
     {admin} doorward.v1.PolicyService/ListPolicies
",
            shown(addresses.metrics),
            self.state().display(),
        );
        if let Some(envoy) = envoy {
            // Writing into a string cannot fail.
            let _ = write!(
                text,
                "
3. Put a real Envoy in front of a service on port 8080:
   envoy -c {envoy}

   Chloe reads the checkout's settings in staging (200 from the service), Ben does not (403 from Envoy):
   curl -i -H '{SUBJECT_HEADER}: chloe@example.com' http://127.0.0.1:10000/settings/1
   curl -i -H '{SUBJECT_HEADER}: ben@example.com' http://127.0.0.1:10000/settings/1
"
            );
        }
        text
    }
}

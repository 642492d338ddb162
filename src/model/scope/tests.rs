//! What is in a scope and what is not.

use super::*;

fn place(account: Option<u8>, environment: &str) -> Place {
    let environment = (!environment.is_empty()).then(|| environment.parse().unwrap());
    Place { account: account.map(|number| AccountId::from_bytes([number; 16])), environment }
}

fn check(scope: &Scope, account: Option<u8>, environment: &str, held: bool) {
    assert_eq!(scope.holds(&place(account, environment)), held, "{account:?} {environment:?} in {scope:?}");
}

#[test]
fn a_scope_holds_its_accounts_and_what_their_environments_share() {
    let prod = BTreeSet::from(["prod".parse().unwrap()]);
    let accounts = [(1, Environments::All), (2, Environments::Only(prod)), (3, Environments::Only(BTreeSet::new()))];
    let accounts = accounts.into_iter().map(|(number, it)| (AccountId::from_bytes([number; 16]), it)).collect();
    let scope = Scope::of(accounts);
    check(&scope, None, "", true);
    for (account, shared, prod, dev) in
        [(1, true, true, true), (2, true, true, false), (3, true, false, false), (4, false, false, false)]
    {
        check(&scope, Some(account), "", shared);
        check(&scope, Some(account), "prod", prod);
        check(&scope, Some(account), "dev", dev);
        check(&Scope::everything(), Some(account), "dev", true);
    }
}

#[test]
fn an_empty_scope_holds_the_global_level_alone() {
    let scope = Scope::of(BTreeMap::new());
    check(&scope, None, "", true);
    check(&scope, Some(1), "", false);
    assert!(!scope.is_everything());
}

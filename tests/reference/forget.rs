//! Catalogues that lose something after a state was accepted (rules R30).

use doorward::model::account::Global;
use doorward::model::catalogue::{CatalogueEntry, Operator, OperatorSet};
use doorward::model::id::AccountId;
use doorward::model::object::{Change, Object, ObjectKey};
use doorward::model::state::State;

/// The state after its catalogue, additions of `account` included, has lost what each of `lost` names: a permission; a
/// permission and a condition, with a blank between; or those and an operator. `*` stands for every permission.
///
/// # Panics
/// Where the state has no global level or no such account.
pub fn forget(state: &State, account: AccountId, lost: &[String]) -> State {
    if lost.is_empty() {
        return state.clone();
    }
    let record = state.global.as_deref().expect("a global level").clone();
    let mut changes = vec![Change::Put(record.map(|global| Object::Global(without(global, lost))))];
    for (permission, record) in &state.account(account).expect("the account").catalogue {
        changes.push(match reduced(&record.value, lost) {
            Some(entry) => Change::Put(record.as_ref().clone().map(|_| Object::CatalogueEntry(account, entry))),
            None => Change::Delete(ObjectKey::CatalogueEntry(account, permission.clone())),
        });
    }
    let mut after = state.clone();
    let revision = state.revision.next().expect("a next revision");
    after.apply(revision, &changes).expect("the changes fit");
    after
}

fn without(mut global: Global, lost: &[String]) -> Global {
    global.catalogue = global.catalogue.iter().filter_map(|entry| reduced(entry, lost)).collect();
    global
}

/// What is left of an entry; `None` where its permission is lost.
fn reduced(entry: &CatalogueEntry, lost: &[String]) -> Option<CatalogueEntry> {
    let mut entry = entry.clone();
    for lost in lost {
        let mut words = lost.splitn(3, ' ');
        let permission = words.next().unwrap_or_default();
        if permission != "*" && permission != entry.permission.as_str() {
            continue;
        }
        let condition = words.next()?;
        match words.next().map(|token| Operator::from_token(token).expect("an operator")) {
            None => entry.conditions.retain(|spec| spec.name.as_str() != condition),
            Some(lost) => {
                for spec in entry.conditions.iter_mut().filter(|spec| spec.name.as_str() == condition) {
                    spec.operators =
                        spec.operators.iter().filter(|operator| *operator != lost).collect::<OperatorSet>();
                }
            }
        }
    }
    Some(entry)
}

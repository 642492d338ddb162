//! The mark of a load: whoever set it loads, and nobody else does or is served.

use std::sync::atomic::Ordering;

use uuid::Uuid;

use super::super::api::StoreError;
use super::replica::Replica;
use super::wire::pb::{Compare, TxnRequest};
use super::wire::{absent, delete, get, put, read, unchanged};

impl Replica {
    /// Sets the mark; `false` where there is one, or where the head is no longer the published one.
    pub(super) async fn begin_load(&self) -> Result<bool, StoreError> {
        let (key, name) = (self.keys.loading(), Uuid::new_v4());
        let at_head = unchanged(self.keys.head(), self.stand().head_mod);
        let request = TxnRequest {
            // By the head a try that arrives late finds that the load was done without it.
            compare: vec![self.same_store(), absent(key.clone()), at_head],
            success: vec![put(key.clone(), name.as_bytes().to_vec())],
            failure: [get(key), get(self.keys.meta())].map(read).into(),
        };
        let answer = self.client.txn(request).await.map_err(|failed| self.unwritten(failed))?;
        let mut mark = answer.revision();
        if !answer.succeeded {
            let [found, meta] = answer.reads().ok_or_else(|| self.foreign("Txn"))?;
            self.check_identity(&meta)?;
            // The try before this one may have been it, though its answer was lost.
            match found.kvs.first() {
                Some(kv) if kv.value == name.as_bytes().as_slice() => mark = kv.mod_revision,
                _ => return Ok(false),
            }
        }
        self.mark.store(mark, Ordering::SeqCst);
        Ok(true)
    }

    /// Takes away the mark that this process set; `false` where it set none, or there is another one.
    pub(super) async fn end_load(&self) -> Result<bool, StoreError> {
        let Some(is_marked) = self.marked() else { return Ok(false) };
        let key = self.keys.loading();
        let request = TxnRequest {
            compare: vec![self.same_store(), is_marked],
            success: vec![delete(key.clone())],
            failure: [get(key), get(self.keys.meta())].map(read).into(),
        };
        let answer = self.client.txn(request).await.map_err(|failed| self.unwritten(failed))?;
        if !answer.succeeded {
            let [found, meta] = answer.reads().ok_or_else(|| self.foreign("Txn"))?;
            self.check_identity(&meta)?;
            // A second try finds the mark gone where the first one was it.
            if !found.kvs.is_empty() {
                return Ok(false);
            }
        }
        self.mark.store(0, Ordering::SeqCst);
        Ok(true)
    }

    /// While this process loads, the condition that its mark is there.
    pub(super) fn marked(&self) -> Option<Compare> {
        let mark = self.mark.load(Ordering::SeqCst);
        (mark != 0).then(|| unchanged(self.keys.loading(), mark))
    }
}

#[cfg(test)]
mod tests;

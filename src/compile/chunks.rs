//! A list of shared elements that can be copied with one element changed, at the cost of one chunk.

use std::sync::Arc;

/// Elements of a chunk: one change copies a list of chunks and one chunk.
const CHUNK: usize = 128;

/// A list of shared elements. A clone shares every chunk.
#[derive(Debug)]
pub struct Chunks<T> {
    chunks: Vec<Arc<Vec<Arc<T>>>>,
    len: usize,
}

// === impl Chunks ===

impl<T> Clone for Chunks<T> {
    fn clone(&self) -> Self {
        Self { chunks: self.chunks.clone(), len: self.len }
    }
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }
}

impl<T> Chunks<T> {
    /// How many elements there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The element at `index`.
    #[must_use]
    #[inline]
    pub fn get(&self, index: usize) -> Option<&Arc<T>> {
        self.chunks.get(index / CHUNK)?.get(index % CHUNK)
    }

    /// Every element in order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// Puts an element at the end.
    pub fn push(&mut self, element: Arc<T>) {
        if self.len.is_multiple_of(CHUNK) {
            self.chunks.push(Arc::new(Vec::with_capacity(CHUNK.min(self.len.max(1)))));
        }
        if let Some(last) = self.chunks.last_mut() {
            Arc::make_mut(last).push(element);
            self.len += 1;
        }
    }

    /// Replaces the element at `index`; where there is none, nothing happens.
    pub fn set(&mut self, index: usize, element: Arc<T>) {
        let chunk = self.chunks.get_mut(index / CHUNK).map(Arc::make_mut);
        if let Some(place) = chunk.and_then(|chunk| chunk.get_mut(index % CHUNK)) {
            *place = element;
        }
    }
}

impl<T: Clone + Default> Chunks<T> {
    /// The element at `index`, to be changed; elements up to it are made where they are missing, so that there is one.
    pub fn entry(&mut self, index: usize) -> Option<&mut T> {
        while self.len <= index {
            self.push(Arc::default());
        }
        let chunk = self.chunks.get_mut(index / CHUNK).map(Arc::make_mut);
        chunk.and_then(|chunk| chunk.get_mut(index % CHUNK)).map(Arc::make_mut)
    }
}

impl<T> FromIterator<Arc<T>> for Chunks<T> {
    fn from_iter<I: IntoIterator<Item = Arc<T>>>(elements: I) -> Self {
        let mut chunks = Self::default();
        elements.into_iter().for_each(|element| chunks.push(element));
        chunks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_change_leaves_the_copy_as_it_was_and_shares_the_other_chunks() {
        let before: Chunks<usize> = (0..1_000).map(Arc::new).collect();
        let mut after = before.clone();
        after.set(500, Arc::new(7));
        after.set(2_000, Arc::new(7));
        after.push(Arc::new(1_000));
        assert_eq!(before.get(500).map(|it| **it), Some(500));
        assert_eq!(after.get(500).map(|it| **it), Some(7));
        assert_eq!((before.len(), after.len()), (1_000, 1_001));
        assert_eq!(after.get(1_000).map(|it| **it), Some(1_000));
        assert!(after.get(1_001).is_none());
        let shared = before.chunks.iter().zip(&after.chunks).filter(|(a, b)| Arc::ptr_eq(a, b)).count();
        assert_eq!(shared, before.chunks.len() - 2);
        assert_eq!(before.iter().count(), 1_000);
    }
}

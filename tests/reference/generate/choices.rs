//! The stream of choices.

/// Choices made by bytes; 0 once there are none.
#[derive(Debug, Clone)]
pub struct Choices<'b> {
    bytes: std::slice::Iter<'b, u8>,
}

// === impl Choices ===

impl<'b> Choices<'b> {
    /// Choices made by these bytes.
    pub fn new(bytes: &'b [u8]) -> Self {
        Self { bytes: bytes.iter() }
    }

    /// Whether no byte is left: from here on every choice is the simplest.
    pub fn is_empty(&self) -> bool {
        self.bytes.len() == 0
    }

    fn byte(&mut self) -> u8 {
        self.bytes.next().copied().unwrap_or_default()
    }

    /// A number below `end`, which is 256 at most; 0 where there is no such number.
    pub fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end.max(1)
    }

    /// True in about `percent` of a hundred; false for 0.
    pub fn chance(&mut self, percent: usize) -> bool {
        usize::from(self.byte()) * 100 >= 256 * (100 - percent)
    }

    /// One of these.
    ///
    /// # Panics
    /// Where there is none.
    pub fn pick<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.below(of.len())]
    }

    /// One of these words.
    ///
    /// # Panics
    /// Where there is none.
    pub fn word<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.below(of.len())]
    }

    /// Each of these or not, at most `most`, in their order.
    pub fn some_of<'t, T>(&mut self, of: &'t [T], percent: usize, most: usize) -> Vec<&'t T> {
        of.iter().filter(|_| self.chance(percent)).take(most).collect()
    }
}

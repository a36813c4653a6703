//! Lists whose length depends on a caller's arrays: running out of memory is an error. `Vec` and
//! `collect` end the process instead, so they are for lists whose length the code bounds.

use crate::error::{Error, Result};

/// An empty list with room for `count` items.
///
/// # Errors
/// If memory runs out.
pub fn room<T>(count: usize) -> Result<Vec<T>> {
    let mut list = Vec::new();
    reserve(&mut list, count)?;
    Ok(list)
}

/// `count` items that equal `item`.
///
/// # Errors
/// If memory runs out.
pub fn filled<T: Clone>(item: T, count: usize) -> Result<Vec<T>> {
    let mut list = room(count)?;
    list.resize(count, item);
    Ok(list)
}

/// One more item at the end.
///
/// # Errors
/// If memory runs out.
pub fn push<T>(list: &mut Vec<T>, item: T) -> Result<()> {
    if list.len() == list.capacity() {
        reserve(list, 1)?;
    }
    list.push(item);
    Ok(())
}

/// Room for `count` items more.
fn reserve<T>(list: &mut Vec<T>, count: usize) -> Result<()> {
    let all = list.len().saturating_add(count).saturating_mul(size_of::<T>());
    list.try_reserve(count).map_err(|_| Error::Memory(all))
}

/// Iterators that fill lists.
pub trait Listed: Iterator + Sized {
    /// All items.
    ///
    /// # Errors
    /// If memory runs out.
    fn listed(self) -> Result<Vec<Self::Item>> {
        let mut list = Vec::new();
        self.append(&mut list)?;
        Ok(list)
    }

    /// All items, at the end of a list.
    ///
    /// # Errors
    /// If memory runs out.
    fn append(self, list: &mut Vec<Self::Item>) -> Result<()> {
        reserve(list, self.size_hint().0)?;
        self.into_iter().try_for_each(|item| push(list, item))
    }

    /// All items, unless there is an error among them.
    ///
    /// # Errors
    /// The first of them, or if memory runs out.
    fn listed_or<T>(mut self) -> Result<Vec<T>>
    where
        Self: Iterator<Item = Result<T>>,
    {
        let mut list = room(self.size_hint().0)?;
        self.try_for_each(|item| push(&mut list, item?))?;
        Ok(list)
    }
}

impl<I: Iterator> Listed for I {}

/// Where share number `n` begins if `all` is cut into `count` even shares; nothing overflows.
///
/// ```
/// assert_eq!([0, 1, 2, 3].map(|n| ferrnn::machine::lists::share(10, n, 3)), [0, 3, 6, 10]);
/// assert_eq!(ferrnn::machine::lists::share(usize::MAX, 2, 2), usize::MAX);
/// ```
#[must_use]
pub fn share(all: usize, n: usize, count: usize) -> usize {
    match all.checked_mul(n) {
        Some(product) => product / count,
        None => (all as u128 * n as u128 / count as u128) as usize,
    }
}

//! Strided views of the caller's arrays.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::machine::lists::{self, Listed};

/// Number of elements of `shape`, if they can be addressed.
fn elements(shape: [usize; 3]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |product, &n| product.checked_mul(n))
}

/// Where the caller's array lies, and how: equal for the same array and, while both exist, for no
/// other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArrayId {
    at: usize,
    shape: [usize; 3],
    strides: [isize; 2],
}

/// An array `[batch, time, features]` to read: any stride of batch and time, features contiguous.
#[derive(Clone, Copy, Debug)]
pub struct View<'a, T> {
    at: *const T,
    shape: [usize; 3],
    strides: [isize; 2],
    array: PhantomData<&'a [T]>,
}

// SAFETY: a view only reads elements that are borrowed for its lifetime.
unsafe impl<T: Sync> Send for View<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for View<'_, T> {}

impl<'a, T> View<'a, T> {
    /// A C-contiguous array.
    ///
    /// # Errors
    /// If `array` does not have the elements of `shape`.
    pub fn contiguous(array: &'a [T], shape: [usize; 3]) -> Result<Self> {
        if elements(shape) != Some(array.len()) {
            return Err(Error::shape("array", shape, [array.len()]));
        }
        let strides = [(shape[1] * shape[2]).cast_signed(), shape[2].cast_signed()];
        Ok(Self { at: array.as_ptr(), shape, strides, array: PhantomData })
    }

    /// A strided array; strides count elements.
    ///
    /// # Safety
    /// For the lifetime `'a`, every element that `shape` and `strides` reach from `at` is valid to
    /// read, aligned, and written by nobody.
    pub unsafe fn from_raw(at: *const T, shape: [usize; 3], strides: [isize; 2]) -> Self {
        Self { at, shape, strides, array: PhantomData }
    }

    /// Batch, time and features.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Where the elements are.
    #[must_use]
    pub fn id(&self) -> ArrayId {
        ArrayId { at: self.at.addr(), shape: self.shape, strides: self.strides }
    }

    /// All steps of one row, where they lie one after the other.
    ///
    /// # Panics
    /// If the row is outside the view.
    #[must_use]
    pub fn whole_row(&self, row: usize) -> Option<&'a [T]> {
        assert!(row < self.shape[0], "outside the view");
        let [_, time, features] = self.shape;
        if time > 1 && self.strides[1] != features.cast_signed() {
            return None;
        }
        let offset = row.cast_signed() * self.strides[0];
        // SAFETY: the row is inside the shape, for which the constructor's caller vouched, and so are
        // its steps, between which there is nothing else.
        Some(unsafe { std::slice::from_raw_parts(self.at.offset(offset), time * features) })
    }

    /// The features of one row at one step.
    ///
    /// # Panics
    /// If the row or the step is outside the view.
    #[must_use]
    pub fn row(&self, row: usize, step: usize) -> &'a [T] {
        assert!(row < self.shape[0] && step < self.shape[1], "outside the view");
        let offset = row.cast_signed() * self.strides[0] + step.cast_signed() * self.strides[1];
        // SAFETY: both indices are inside the shape, for which the constructor's caller vouched.
        unsafe { std::slice::from_raw_parts(self.at.offset(offset), self.shape[2]) }
    }
}

/// An array `[batch, time, features]` to write: any stride of batch and time, features contiguous.
#[derive(Debug)]
pub struct ViewMut<'a, T> {
    at: *mut T,
    shape: [usize; 3],
    strides: [isize; 2],
    /// Which rows of the array the view's rows are, from `first` on; the first ones if there is none.
    order: Option<Arc<Vec<u32>>>,
    first: usize,
    array: PhantomData<&'a mut [T]>,
}

// SAFETY: a view has its elements to itself, see `split` and `split_features`.
unsafe impl<T: Send> Send for ViewMut<'_, T> {}

impl<'a, T> ViewMut<'a, T> {
    /// A C-contiguous array.
    ///
    /// # Errors
    /// If `array` does not have the elements of `shape`.
    pub fn contiguous(array: &'a mut [T], shape: [usize; 3]) -> Result<Self> {
        if elements(shape) != Some(array.len()) {
            return Err(Error::shape("array", shape, [array.len()]));
        }
        let strides = [(shape[1] * shape[2]).cast_signed(), shape[2].cast_signed()];
        let at = array.as_mut_ptr();
        Ok(Self { at, shape, strides, order: None, first: 0, array: PhantomData })
    }

    /// Batch, time and features.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The same array with its rows in another order: row `n` is what row `order[n]` was.
    ///
    /// # Errors
    /// If memory runs out.
    ///
    /// # Panics
    /// If `order` is not a permutation of the rows, or the view's rows are in another order already.
    pub fn ordered(self, order: &Arc<Vec<u32>>) -> Result<Self> {
        assert!(self.order.is_none() && order.len() == self.shape[0], "an order of other rows");
        let mut seen = lists::filled(false, order.len())?;
        for &row in order.iter() {
            assert!(!std::mem::replace(&mut seen[row as usize], true), "a row twice");
        }
        Ok(Self { order: Some(order.clone()), ..self })
    }

    /// The features of one row at one step.
    ///
    /// # Panics
    /// If the row or the step is outside the view.
    #[must_use]
    #[inline]
    pub fn row(&mut self, row: usize, step: usize) -> &mut [T] {
        assert!(row < self.shape[0] && step < self.shape[1], "outside the view");
        let row = match &self.order {
            Some(order) => order[self.first + row] as usize,
            None => row,
        };
        let offset = row.cast_signed() * self.strides[0] + step.cast_signed() * self.strides[1];
        // SAFETY: both indices are inside the shape, whose elements this view has to itself.
        unsafe { std::slice::from_raw_parts_mut(self.at.offset(offset), self.shape[2]) }
    }

    /// One view for each range of rows, for different threads.
    ///
    /// # Errors
    /// If memory runs out.
    ///
    /// # Panics
    /// Unless the ranges follow each other and lie inside the batch.
    pub fn split(self, rows: impl Iterator<Item = Range<usize>>) -> Result<Vec<Self>> {
        let mut end = 0;
        let part = |range: Range<usize>| {
            assert!(end <= range.start && range.start <= range.end, "ranges overlap");
            assert!(range.end <= self.shape[0], "outside the view");
            end = range.end;
            let shape = [range.len(), self.shape[1], self.shape[2]];
            let order = self.order.clone();
            let (at, first) = match order {
                Some(_) => (self.at, self.first + range.start),
                None => (self.at.wrapping_offset(range.start.cast_signed() * self.strides[0]), 0),
            };
            Self { at, shape, strides: self.strides, order, first, array: PhantomData }
        };
        rows.map(part).listed()
    }

    /// One view for each range of features, for different threads.
    ///
    /// # Errors
    /// If memory runs out.
    ///
    /// # Panics
    /// Unless the ranges follow each other and lie inside the features.
    pub fn split_features(self, features: impl Iterator<Item = Range<usize>>) -> Result<Vec<Self>> {
        let mut end = 0;
        let part = |range: Range<usize>| {
            assert!(end <= range.start && range.start <= range.end, "ranges overlap");
            assert!(range.end <= self.shape[2], "outside the view");
            end = range.end;
            let shape = [self.shape[0], self.shape[1], range.len()];
            let at = self.at.wrapping_add(range.start);
            let (order, first) = (self.order.clone(), self.first);
            Self { at, shape, strides: self.strides, order, first, array: PhantomData }
        };
        features.map(part).listed()
    }
}

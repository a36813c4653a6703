//! What a program consists of: registers, operands in them, and instructions.

use super::elementwise::Op;
use super::reduce::Join;
use crate::machine::simd::MAX_LANES;

/// What a register has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// One row, the same for all rows and steps: weights and what depends on nothing else.
    Static,
    /// A row for each step and row of the batch.
    Series,
    /// As `Series`, and the rows after the last step: a state before each step.
    State,
    /// A row for each of the rows that are computed together; lost with the next step.
    Local,
}

/// A register: rows of `width` elements.
#[derive(Clone, Copy, Debug)]
pub struct Register {
    /// How many rows it has.
    pub home: Home,
    /// Elements of a row.
    pub width: usize,
}

impl Register {
    /// Elements from a row to the next.
    #[must_use]
    pub fn stride(self) -> usize {
        self.width.next_multiple_of(MAX_LANES)
    }
}

/// Some elements of a register's rows: from `offset` on, along three axes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Operand {
    /// The register's number.
    pub register: usize,
    /// Where the first element is in a row.
    pub offset: usize,
    /// Elements between neighbours of each axis; zero where one stands for all. The last is at most 1.
    pub strides: [usize; 3],
}

/// An instruction of a program.
#[derive(Clone, Copy, Debug)]
pub enum Instruction {
    /// `dest = op(sources)`, element by element, or added to it.
    Map {
        /// The operation; it takes as many of the sources as it needs.
        op: Op,
        /// Whether it is added to what is there.
        accumulate: bool,
        /// The lengths of the three axes.
        counts: [usize; 3],
        /// Where the results go.
        dest: Operand,
        /// What it takes.
        sources: [Operand; 3],
    },
    /// `dest[outer][inner] = join of source[outer][..][inner]`, or added to it.
    Reduce {
        /// How elements are joined.
        join: Join,
        /// Whether the result is added to what is there.
        accumulate: bool,
        /// The outer axis, the one that is joined, the inner axis.
        counts: [usize; 3],
        /// Where the results go; its second stride has no meaning.
        dest: Operand,
        /// What is joined.
        source: Operand,
    },
    /// `dest [rows, columns] = left [rows, depth] · matrix [depth, columns]` in each row.
    Product {
        /// A whole register.
        dest: usize,
        /// A register and where its matrix begins.
        left: (usize, usize),
        /// Rows, depth and columns.
        shape: [usize; 3],
        /// A static register `[depth, columns]`, or transposed if so.
        matrix: (usize, bool),
        /// Whether the product is added to what is there.
        accumulate: bool,
    },
    /// `dest [depth, columns] += left^T [depth, rows] · right [rows, columns]`, over all steps and rows.
    Outer {
        /// A static register.
        dest: usize,
        /// A register and where its matrix begins.
        left: (usize, usize),
        /// A whole register.
        right: usize,
        /// Rows, depth and columns.
        shape: [usize; 3],
    },
    /// `dest += source`, summed over the rows that the section has at once.
    SumRows {
        /// A static register.
        dest: usize,
        /// A whole register.
        source: usize,
    },
}

impl Instruction {
    /// The register that it writes.
    #[must_use]
    pub fn dest(&self) -> usize {
        match *self {
            Self::Map { dest, .. } | Self::Reduce { dest, .. } => dest.register,
            Self::Product { dest, .. } | Self::Outer { dest, .. } | Self::SumRows { dest, .. } => {
                dest
            }
        }
    }
}

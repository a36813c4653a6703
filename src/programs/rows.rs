//! What instructions read, and what they make of it.

use super::elementwise::{Map, Op, Source};
use super::instruction::{Home, Instruction, Operand};
use super::product::multiply;
use super::program::Program;
use super::reduce::Reduce;
use crate::kernels::pack::Packed;
use crate::machine::memory::Buffer;
use crate::machine::simd::Element;

/// What is the same for all rows and steps.
pub(super) struct Fixed<T: Element> {
    /// The static registers; the others have no elements here.
    pub(super) registers: Vec<Buffer<T>>,
    /// Packed, those that were wanted since the weights were taken.
    pub(super) matrices: Vec<Option<Packed<T>>>,
}

/// Some rows of the registers.
pub(super) struct Rows<'a, T: Element> {
    pub(super) program: &'a Program,
    pub(super) fixed: &'a Fixed<T>,
    /// The registers that are not static.
    pub(super) own: &'a [Buffer<T>],
    /// The first, and how many there are.
    pub(super) first: usize,
    pub(super) count: usize,
}

impl<T: Element> Rows<'_, T> {
    /// A register, and where the rows begin in it, and the elements between two of them.
    fn place(&self, register: usize) -> (&[T], usize, usize) {
        let (base, stride) = self.program.place(register, self.first);
        let buffers = match self.program.registers[register].home {
            Home::Static => &self.fixed.registers[..],
            _ => self.own,
        };
        (&buffers[register], base, stride)
    }

    /// A register from the rows on.
    pub(super) fn from(&self, register: usize) -> &[T] {
        let (data, base, _) = self.place(register);
        &data[base..]
    }

    /// Writes what an instruction makes of the rows; sums over rows are none of these.
    pub(super) fn compute(&self, instruction: &Instruction, out: &mut [T], scratch: &mut [T]) {
        let (level, rows) = (self.program.level, self.count);
        match *instruction {
            Instruction::Map { op, accumulate, counts, dest, ref sources } => {
                let map = self.map(counts, out, &dest, sources, op.arity());
                T::dispatch(level, Map { op, accumulate, ..map });
            }
            Instruction::Reduce { join, accumulate, counts, dest, source } => {
                let (data, base, stride) = self.place(source.register);
                let (to, to_stride) = self.program.place(dest.register, self.first);
                let reduce = Reduce {
                    join,
                    accumulate,
                    rows,
                    outer: counts[0],
                    length: counts[1],
                    inner: counts[2],
                    out: &mut out[to + dest.offset..],
                    strides: [to_stride, dest.strides[0]],
                    data: &data[base + source.offset..],
                    of_data: [stride, source.strides[0], source.strides[1]],
                };
                T::dispatch(level, reduce);
            }
            Instruction::Product { dest, left, shape, matrix, accumulate } => {
                let (data, base, stride) = self.place(left.0);
                let (to, to_stride) = self.program.place(dest, self.first);
                let number = self.program.matrix(matrix.0, matrix.1);
                let Some(packed) = number.and_then(|n| self.fixed.matrices[n].as_ref()) else {
                    return; // packed before any section that has products
                };
                let left = (&data[base + left.1..], stride);
                let out = (&mut out[to..], to_stride);
                multiply(level, left, packed, shape, rows, out, scratch, accumulate);
            }
            Instruction::Outer { .. } | Instruction::SumRows { .. } => {}
        }
    }

    /// A map's loop: rows that lie side by side count as one, also where one element stands for
    /// all.
    fn map<'a>(
        &'a self,
        counts: [usize; 3],
        out: &'a mut [T],
        dest: &Operand,
        operands: &[Operand; 3],
        arity: usize,
    ) -> Map<'a, T> {
        let (to, stride) = self.program.place(dest.register, self.first);
        let width = self.program.registers[dest.register].width;
        let mut flat = counts == [1, 1, width] && stride > 0;
        let nothing = Source { data: &[][..], strides: [0; 3], repeated: true };
        let mut sources = [nothing; 3];
        for (to, operand) in sources.iter_mut().zip(&operands[..arity]) {
            let (data, base, own) = self.place(operand.register);
            let [first, second, last] = operand.strides;
            flat &= if own == 0 { last == 0 || width == 1 } else { last == 1 || width == 1 };
            flat &= own == 0 || own == stride;
            let repeated = last == 0 || counts[2] == 1;
            let data = &data[base + operand.offset..];
            *to = Source { data, strides: [own, first, second], repeated };
        }
        let (mut rows, mut inner) = (self.count, counts[2]);
        if flat {
            (rows, inner) = (1, rows * stride);
            for source in &mut sources {
                source.repeated = source.strides[0] == 0;
            }
        }
        let out = &mut out[to + dest.offset..];
        let strides = [stride, dest.strides[0], dest.strides[1]];
        let counts = [rows, counts[0], counts[1]];
        Map { op: Op::Copy, accumulate: false, counts, inner, out, strides, sources }
    }
}

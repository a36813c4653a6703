//! One call's registers, and what instructions do to them.

use super::elementwise::{Map, Source};
use super::instruction::{Home, Instruction, Operand};
use super::product::{Outer, multiply, outer};
use super::program::{Program, Section};
use super::reduce::{Join, Reduce};
use crate::error::{Error, Result};
use crate::kernels::pack::Packed;
use crate::machine::lists::Listed;
use crate::machine::memory::Buffer;
use crate::machine::simd::{Element, MAX_LANES};

/// Rows that are computed together, at most: what they need stays in the second-level cache.
const GROUP: usize = 32;

/// The memory of a program for a batch and a number of steps, between forward and backward.
pub struct Run<T: Element> {
    pub(super) batch: usize,
    pub(super) time: usize,
    /// Rows of a group.
    pub(super) group: usize,
    pub(super) registers: Vec<Buffer<T>>,
    /// Packed, those that were wanted since the weights were taken.
    matrices: Vec<Option<Packed<T>>>,
    scratch: Buffer<T>,
    /// Whether it has weights, and what depends on them alone.
    pub(super) has_weights: bool,
}

impl<T: Element> Run<T> {
    /// Memory for the registers of a program.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn new(program: &Program, batch: usize, time: usize) -> Result<Self> {
        let registers = program.registers.iter().map(|_| Buffer::default()).listed()?;
        let matrices = program.matrices.iter().map(|_| None).listed()?;
        let wide = program.matrices.iter().map(|(_, shape, _)| shape[1]).max().unwrap_or(0);
        let highest = program.sections.iter().flatten().map(|instruction| match instruction {
            Instruction::Product { shape, .. } => shape[0],
            _ => 0,
        });
        let highest = highest.max().unwrap_or(0);
        let scratch = wide.next_multiple_of(MAX_LANES).checked_mul(highest);
        let scratch = Buffer::unfilled(scratch.ok_or(Error::Memory(usize::MAX))?)?;
        let mut made =
            Self { batch: 0, time: 0, group: 0, registers, matrices, scratch, has_weights: false };
        made.make_room(program, batch, time)?;
        Ok(made)
    }

    /// Makes room for another batch or number of steps; weights stay. An error leaves it unusable.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn make_room(&mut self, program: &Program, batch: usize, time: usize) -> Result<()> {
        let groups = batch.div_ceil(GROUP).max(1);
        let group = batch.div_ceil(groups);
        let rows = batch.checked_mul(time).and_then(|rows| rows.checked_add(batch));
        let rows = rows.ok_or(Error::Memory(usize::MAX))?;
        for (register, buffer) in program.registers.iter().zip(&mut self.registers) {
            let count = match register.home {
                Home::Static => 1,
                Home::Series => rows - batch,
                Home::State => rows,
                Home::Local => group,
            };
            let size = count.checked_mul(register.stride());
            let size = size.and_then(|size| size.checked_add(MAX_LANES));
            let size = size.ok_or(Error::Memory(usize::MAX))?;
            if buffer.len() < size {
                *buffer = Buffer::default(); // so that its memory serves the new one
                // What pads ragged rows takes part in operations of whole vectors.
                let ragged = register.width != register.stride();
                *buffer = if ragged { Buffer::zeroed(size) } else { Buffer::unfilled(size) }?;
            }
        }
        (self.batch, self.time, self.group) = (batch, time, group);
        Ok(())
    }

    /// Takes weights and constants, and computes what depends on them alone.
    ///
    /// # Errors
    /// If a shape does not fit, or if memory runs out.
    pub fn take(&mut self, program: &Program, weights: &[&[T]]) -> Result<()> {
        let registers = &program.ends().weights;
        if weights.len() != registers.len() {
            let expected = format!("{} arrays", registers.len());
            return Err(Error::value("weights", expected, weights.len()));
        }
        for (weight, &register) in weights.iter().zip(registers) {
            if weight.len() != program.width_of(register) {
                let expected = [program.width_of(register)];
                return Err(Error::shape("weights", expected, [weight.len()]));
            }
        }
        self.has_weights = false;
        self.matrices.fill_with(|| None);
        for (weight, &register) in weights.iter().zip(registers) {
            self.registers[register][..weight.len()].copy_from_slice(weight);
        }
        self.execute(program, Section::Static, 0, 1)?;
        self.pack(program, false)?;
        self.has_weights = true;
        Ok(())
    }

    /// Packs the matrices of products, transposed or not, that are not packed yet.
    pub(super) fn pack(&mut self, program: &Program, transposed: bool) -> Result<()> {
        for (n, &(register, [depth, columns], is_transposed)) in program.matrices.iter().enumerate()
        {
            if is_transposed != transposed || self.matrices[n].is_some() {
                continue;
            }
            let data = &self.registers[register];
            let packed = if transposed {
                let given = |k: usize, _| &data[k * depth..][..depth];
                Packed::from_rows(program.level, columns, 1, depth, given)?.transposed(depth)?
            } else {
                let given = |k: usize, _| &data[k * columns..][..columns];
                Packed::from_rows(program.level, depth, 1, columns, given)?
            };
            self.matrices[n] = Some(packed);
        }
        Ok(())
    }

    /// Runs a section for some rows of all steps' (of the batch's at each step, step after step).
    pub(super) fn execute(
        &mut self,
        program: &Program,
        section: Section,
        first: usize,
        rows: usize,
    ) -> Result<()> {
        for instruction in &program.sections[section as usize] {
            let dest = instruction.dest();
            let mut out = std::mem::take(&mut self.registers[dest]);
            let done = self.instruction(program, instruction, &mut out, first, rows);
            self.registers[dest] = out;
            done?;
        }
        Ok(())
    }

    /// Where some rows of a register begin, and the elements between two of them.
    pub(super) fn place(program: &Program, register: usize, first: usize) -> (usize, usize) {
        let register = program.registers[register];
        match register.home {
            Home::Static => (0, 0),
            Home::Series | Home::State => (first * register.stride(), register.stride()),
            Home::Local => (0, register.stride()),
        }
    }

    fn instruction(
        &mut self,
        program: &Program,
        instruction: &Instruction,
        out: &mut [T],
        first: usize,
        rows: usize,
    ) -> Result<()> {
        let place = |register| Self::place(program, register, first);
        match *instruction {
            Instruction::Map { op, accumulate, counts, dest, ref sources } => {
                let map = self.map(program, (counts, first, rows), out, &dest, sources, op.arity());
                T::dispatch(program.level, Map { op, accumulate, ..map });
            }
            Instruction::Reduce { join, accumulate, counts, dest, source } => {
                let (base, stride) = place(source.register);
                let (to, to_stride) = place(dest.register);
                let reduce = Reduce {
                    join,
                    accumulate,
                    rows,
                    outer: counts[0],
                    length: counts[1],
                    inner: counts[2],
                    out: &mut out[to + dest.offset..],
                    strides: [to_stride, dest.strides[0]],
                    data: &self.registers[source.register][base + source.offset..],
                    of_data: [stride, source.strides[0], source.strides[1]],
                };
                T::dispatch(program.level, reduce);
            }
            Instruction::Product { dest, left, shape, matrix, accumulate } => {
                let (base, stride) = place(left.0);
                let (to, to_stride) = place(dest);
                let number = program.matrix(matrix.0, matrix.1);
                let Some(packed) = number.and_then(|n| self.matrices[n].as_ref()) else {
                    return Ok(()); // packed before any section that has products
                };
                let left = (&self.registers[left.0][base + left.1..], stride);
                let out = (&mut out[to..], to_stride);
                let scratch = &mut self.scratch[..];
                multiply(program.level, left, packed, shape, rows, out, scratch, accumulate);
            }
            Instruction::Outer { left, right, shape, .. } => {
                let strides =
                    (program.registers[left.0].stride(), program.registers[right].stride());
                let product = Outer {
                    left: &self.registers[left.0][left.1..],
                    right: &self.registers[right],
                    strides,
                    shape,
                    rows,
                };
                outer(program.level, &product, out)?;
            }
            Instruction::SumRows { source, .. } => {
                let register = program.registers[source];
                let (base, _) = place(source);
                let reduce = Reduce {
                    join: Join::Sum,
                    accumulate: true,
                    rows: 1,
                    outer: 1,
                    length: rows,
                    inner: register.width,
                    out,
                    strides: [0, 0],
                    data: &self.registers[source][base..],
                    // Rows of one element each are still a stride apart.
                    of_data: [0, 0, register.stride()],
                };
                T::dispatch(program.level, reduce);
            }
        }
        Ok(())
    }

    /// A map's loop: rows that lie side by side count as one, also where one element stands for
    /// all.
    fn map<'a>(
        &'a self,
        program: &Program,
        (counts, first, rows): ([usize; 3], usize, usize),
        out: &'a mut [T],
        dest: &Operand,
        operands: &[Operand; 3],
        arity: usize,
    ) -> Map<'a, T> {
        let (to, stride) = Self::place(program, dest.register, first);
        let width = program.registers[dest.register].width;
        let operand = |n: usize| if n < arity { operands[n] } else { operands[0] };
        let place = |of: Operand| Self::place(program, of.register, first);
        let beside = |of: Operand| place(of).1 == stride && (of.strides[2] == 1 || width == 1);
        let single = |of: Operand| place(of).1 == 0 && (of.strides[2] == 0 || width == 1);
        let flat = counts == [1, 1, width]
            && stride > 0
            && (0..arity).all(|n| beside(operand(n)) || single(operand(n)));
        let source = |n: usize| {
            let operand = operand(n);
            let (base, stride) = place(operand);
            let repeated = operand.strides[2] == 0 || counts[2] == 1;
            Source {
                data: &self.registers[operand.register][base + operand.offset..],
                strides: [stride, operand.strides[0], operand.strides[1]],
                repeated: if flat { single(operand) } else { repeated },
            }
        };
        let sources = [source(0), source(1), source(2)];
        let (rows, inner) = if flat { (1, rows * stride) } else { (rows, counts[2]) };
        let op = super::elementwise::Op::Copy;
        let out = &mut out[to + dest.offset..];
        let strides = [stride, dest.strides[0], dest.strides[1]];
        let counts = [rows, counts[0], counts[1]];
        Map { op, accumulate: false, counts, inner, out, strides, sources }
    }
}

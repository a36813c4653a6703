//! Some rows of a batch with registers of their own, which one thread takes through the steps.

use std::ops::Range;

use super::elementwise::{Map, Op, Source};
use super::instruction::{Home, Instruction};
use super::problem::Problem;
use super::program::{Program, Section};
use super::rows::{Fixed, Rows};
use crate::error::{Error, Result};
use crate::machine::lists::{Listed, share};
use crate::machine::memory::Buffer;
use crate::machine::simd::{Element, MAX_LANES};
use crate::machine::threads::Stop;

/// Rows that are computed together, at most: what they need stays in the second-level cache.
const GROUP: usize = 32;
/// Blocks that a batch has, at most. Steps back sum some gradients row by row, over the steps; the rows
/// of a block are added in order, and then the blocks. Parts consist of whole blocks.
const BLOCKS: usize = 64;

/// The number of blocks of so many rows.
pub(super) fn blocks_of(batch: usize) -> usize {
    batch.clamp(1, BLOCKS)
}

/// Neighbouring rows of the batch. What a row computes depends on no other row, so that results are
/// the same wherever the batch is cut.
pub(super) struct Part<T: Element> {
    /// Its first row of the batch.
    pub(super) first: usize,
    /// How many rows it has.
    pub(super) rows: usize,
    /// Rows of a group.
    pub(super) group: usize,
    /// Those with rows of steps or of a group. A static one, to which steps back add sums over rows,
    /// has a sum for each row of a group here.
    pub(super) registers: Vec<Buffer<T>>,
    scratch: Buffer<T>,
    /// Rows of the batch.
    batch: usize,
    blocks: Range<usize>,
    /// For each of the program's summed registers a row for each block.
    sums: Vec<Buffer<T>>,
}

/// What a part reads.
pub(super) struct Call<'a, 'p, T: Element> {
    pub(super) program: &'a Program,
    pub(super) fixed: &'a Fixed<T>,
    pub(super) problem: &'a Problem<'p, T>,
    pub(super) time: usize,
    pub(super) stop: &'a Stop<'a>,
    /// The member of the team that takes a part.
    pub(super) worker: usize,
}

impl<T: Element> Part<T> {
    pub(super) fn new(program: &Program) -> Result<Self> {
        let registers = program.registers.iter().map(|_| Buffer::default()).listed()?;
        let scratch = Buffer::unfilled(program.scratch)?;
        let sums = program.summed.iter().map(|_| Buffer::default()).listed()?;
        let (first, rows, group, batch, blocks) = (0, 0, 0, 0, 0..0);
        Ok(Self { first, rows, group, registers, scratch, batch, blocks, sums })
    }

    /// Makes room for some blocks of the batch and their steps.
    pub(super) fn make_room(
        &mut self,
        program: &Program,
        (batch, blocks): (usize, Range<usize>),
        time: usize,
    ) -> Result<()> {
        let at = |block| share(batch, block, blocks_of(batch));
        let (first, rows) = (at(blocks.start), at(blocks.end) - at(blocks.start));
        let group = rows.div_ceil(rows.div_ceil(GROUP).max(1));
        let all = rows.checked_mul(time).and_then(|all| all.checked_add(rows));
        let all = all.ok_or(Error::Memory(usize::MAX))?;
        for (number, register) in program.registers.iter().enumerate() {
            let count = match register.home {
                Home::Static if program.summed.contains(&number) => group,
                Home::Static => continue,
                Home::Series => all - rows,
                Home::State => all,
                Home::Local => group,
            };
            // What pads ragged rows takes part in operations of whole vectors.
            let ragged = register.width != register.stride();
            room(&mut self.registers[number], count, register.stride(), ragged)?;
        }
        for (sums, &register) in self.sums.iter_mut().zip(&program.summed) {
            room(sums, blocks.len(), program.registers[register].stride(), false)?;
        }
        (self.first, self.rows, self.group) = (first, rows, group);
        (self.batch, self.blocks) = (batch, blocks);
        Ok(())
    }

    /// Runs a section for a group's rows, the first of which is number `first` of all steps' rows.
    pub(super) fn execute(
        &mut self,
        call: &Call<'_, '_, T>,
        section: Section,
        first: usize,
        rows: usize,
    ) {
        let Call { program, fixed, .. } = *call;
        for instruction in &program.sections[section as usize] {
            let dest = instruction.dest();
            let mut out = std::mem::take(&mut self.registers[dest]);
            let given = Rows { program, fixed, own: &self.registers, first, count: rows };
            match *instruction {
                Instruction::SumRows { source, .. } => {
                    let inner = rows * program.registers[source].stride();
                    add(program, &mut out, given.from(source), inner);
                }
                _ => given.compute(instruction, &mut out, &mut self.scratch),
            }
            self.registers[dest] = out;
        }
    }

    /// Zero in the sums of blocks.
    pub(super) fn clear_sums(&mut self) {
        for sums in &mut self.sums {
            sums.fill(T::ZERO);
        }
    }

    /// Zero in the sums of a group's rows.
    pub(super) fn clear_rows(&mut self, program: &Program) {
        for &register in &program.summed {
            self.registers[register].fill(T::ZERO);
        }
    }

    /// Adds the sums of a group's rows to those of their blocks.
    pub(super) fn add_rows(&mut self, program: &Program, (first, rows): (usize, usize)) {
        for (sums, &register) in self.sums.iter_mut().zip(&program.summed) {
            let stride = program.registers[register].stride();
            let mut block = self.blocks.start;
            for row in 0..rows {
                let end = |block| share(self.batch, block + 1, blocks_of(self.batch));
                while end(block) <= self.first + first + row {
                    block += 1;
                }
                let to = &mut sums[(block - self.blocks.start) * stride..];
                add(program, to, &self.registers[register][row * stride..], stride);
            }
        }
    }

    /// Adds the sums of the blocks of the program's summed register number `n`, one after the other.
    pub(super) fn add_blocks(&self, program: &Program, n: usize, to: &mut [T]) {
        let stride = program.registers[program.summed[n]].stride();
        for block in 0..self.blocks.len() {
            add(program, to, &self.sums[n][block * stride..], stride);
        }
    }
}

/// Makes a register hold `count` rows, `stride` elements apart, and a vector beyond them.
pub(super) fn room<T: Element>(
    buffer: &mut Buffer<T>,
    count: usize,
    stride: usize,
    zeroed: bool,
) -> Result<()> {
    let size = count.checked_mul(stride).and_then(|size| size.checked_add(MAX_LANES));
    let size = size.ok_or(Error::Memory(usize::MAX))?;
    if buffer.len() < size {
        *buffer = Buffer::default(); // so that its memory serves the new one
        *buffer = if zeroed { Buffer::zeroed(size) } else { Buffer::unfilled(size) }?;
    }
    Ok(())
}

/// Adds `inner` elements, whole vectors.
fn add<T: Element>(program: &Program, out: &mut [T], data: &[T], inner: usize) {
    let source = Source { data, strides: [0; 3], repeated: false };
    let (op, counts, strides, sources) = (Op::Copy, [1; 3], [0; 3], [source; 3]);
    T::dispatch(program.level, Map { op, accumulate: true, counts, inner, out, strides, sources });
}

//! Sums over all rows and steps: gradients of weights.
//!
//! Each element is one chain of sums: step after step, and row after row of the batch at each, whatever
//! parts it is cut into. So threads share the elements, not the rows.

use std::ops::Range;

use super::instruction::Instruction;
use super::part::Part;
use super::program::{Program, Section};
use super::run::Run;
use crate::error::{Error, Result};
use crate::kernels::long_product::{LongProduct, Staging, Stretch};
use crate::machine::lists::{self, Listed, share};
use crate::machine::memory::Buffer;
use crate::machine::simd::{Element, Kernel, Simd};
use crate::machine::threads::{Stop, Team};

/// Rows that are staged together.
const CHUNK: usize = 96;
/// Blocks of columns that the product takes at once, and panels that are worth staging the right side
/// for once more.
const BLOCKS: usize = 4;
const PANELS: usize = 2;

/// `left^T · right` over the rows of all steps, each of which is `count` rows, and the sum of the right
/// side's rows.
#[derive(Clone, Copy)]
struct Sum {
    /// A register, and where its matrix begins; without one there is the sum alone.
    left: Option<(usize, usize)>,
    right: usize,
    /// Rows of a row, depth and columns.
    shape: [usize; 3],
    /// The static registers to which the product and the sum are added.
    dests: [Option<usize>; 2],
}

/// Some rows and columns of a sum.
struct Piece {
    sum: Sum,
    panels: Range<usize>,
    blocks: Range<usize>,
}

/// A piece, its sums `[block][panel][row of the tile][LANES]`, and whether they are there.
type Job<T> = (Piece, Buffer<T>, Result<()>);

impl<T: Element> Run<T> {
    /// Adds what steps back have summed row by row, and takes the section of sums.
    pub(super) fn sum(
        &mut self,
        program: &Program,
        team: &mut Team,
        stop: &Stop<'_>,
    ) -> Result<()> {
        for (n, &register) in program.summed.iter().enumerate() {
            for part in &self.parts {
                part.add_blocks(program, n, &mut self.fixed.registers[register]);
            }
        }
        let (lanes, tile) = (program.level.lanes::<T>(), program.level.rows::<T>());
        let pieces = pieces(program, team.size(), (lanes, tile))?.into_iter();
        let mut jobs = pieces.map(|piece| (piece, Buffer::default(), Ok(()))).listed()?;
        let all = All { program, parts: &self.parts, batch: self.batch, time: self.time };
        team.for_each(&mut jobs, |worker, (piece, sums, done): &mut Job<T>| {
            *done = all.sum(piece, sums, (worker, stop));
        });
        for (piece, sums, done) in jobs {
            done?;
            self.add(&piece, &sums, (lanes, tile));
        }
        Ok(())
    }

    /// Adds a piece to where its sum goes.
    fn add(&mut self, piece: &Piece, sums: &[T], (lanes, tile): (usize, usize)) {
        let [_, depth, columns] = piece.sum.shape;
        let first = piece.panels.start * tile;
        let rows = piece.panels.len() * tile;
        for (block, sums) in piece.blocks.clone().zip(sums.chunks_exact(rows * lanes)) {
            // Rows below that of the sums are padding.
            for (row, sums) in (first..=depth).zip(sums.chunks_exact(lanes)) {
                let last = row == depth;
                let Some(dest) = piece.sum.dests[usize::from(last)] else { continue };
                let from = if last { 0 } else { row * columns };
                let to = &mut self.fixed.registers[dest][from..][block * lanes..columns];
                for (to, &from) in to.iter_mut().zip(sums) {
                    *to = *to + from;
                }
            }
        }
    }
}

/// The sums of a program.
fn sums(program: &Program) -> Result<Vec<Sum>> {
    let section = &program.sections[Section::Sums as usize];
    let mut sums = Vec::new();
    for instruction in section {
        if let Instruction::Outer { dest, left, right, shape } = *instruction {
            let sum = Sum { left: Some(left), right, shape, dests: [Some(dest), None] };
            lists::push(&mut sums, sum)?;
        }
    }
    for instruction in section {
        let Instruction::SumRows { dest, source } = *instruction else { continue };
        // The product has the sum of its right side besides.
        let has_it = |sum: &&mut Sum| (sum.right, sum.shape[0], sum.dests[1]) == (source, 1, None);
        if let Some(sum) = sums.iter_mut().find(has_it) {
            sum.dests[1] = Some(dest);
            continue;
        }
        let shape = [1, 0, program.width_of(source)];
        lists::push(
            &mut sums,
            Sum { left: None, right: source, shape, dests: [None, Some(dest)] },
        )?;
    }
    Ok(sums)
}

/// The sums, cut for some threads along their columns or rows, the first pieces of all at the beginning.
fn pieces(program: &Program, threads: usize, (lanes, tile): (usize, usize)) -> Result<Vec<Piece>> {
    let sums = sums(program)?;
    let mut pieces = Vec::new();
    for n in 0..threads {
        for &sum in &sums {
            let [_, depth, columns] = sum.shape;
            let (blocks, panels) = (columns.div_ceil(lanes), (depth + 1).div_ceil(tile));
            let cuts =
                [blocks.div_ceil(BLOCKS), panels / PANELS].map(|most| most.clamp(1, threads));
            let along_columns = cuts[0] >= cuts[1];
            let count = cuts[usize::from(!along_columns)];
            if n >= count {
                continue;
            }
            let cut = |all: usize, unit: usize| {
                let at = |n| (share(all.div_ceil(unit), n, count) * unit).min(all);
                at(n)..at(n + 1)
            };
            let (panels, blocks) = if along_columns {
                (0..panels, cut(blocks, BLOCKS))
            } else {
                (cut(panels, 1), 0..blocks)
            };
            lists::push(&mut pieces, Piece { sum, panels, blocks })?;
        }
    }
    Ok(pieces)
}

/// The rows of all steps, in the order in which they are summed.
struct All<'a, T: Element> {
    program: &'a Program,
    parts: &'a [Part<T>],
    batch: usize,
    time: usize,
}

impl<T: Element> All<'_, T> {
    /// A row of a register from an element on: number `n` of all steps' rows.
    #[inline(always)]
    fn row(&self, (register, offset): (usize, usize), n: usize) -> &[T] {
        let stride = self.program.registers[register].stride();
        if let [part] = self.parts {
            return &part.registers[register][n * stride + offset..];
        }
        let (step, row) = (n / self.batch, n % self.batch);
        // The parts are in the order of their rows, and few.
        let part = self.parts.iter().rfind(|part| part.first <= row).unwrap_or(&self.parts[0]);
        let at = step * part.rows + row - part.first;
        &part.registers[register][at * stride + offset..]
    }

    /// Writes the sums of a piece.
    fn sum(
        &self,
        piece: &Piece,
        sums: &mut Buffer<T>,
        (worker, stop): (usize, &Stop<'_>),
    ) -> Result<()> {
        let level = self.program.level;
        let (lanes, tile) = (level.lanes::<T>(), level.rows::<T>());
        let (blocks, panels) = (piece.blocks.len(), piece.panels.len());
        let size = |a: usize, b: usize| a.checked_mul(b).ok_or(Error::Memory(usize::MAX));
        *sums = Buffer::zeroed(size(blocks * lanes, panels * tile)?)?;
        let mut left = Buffer::unfilled(size(panels * tile, CHUNK)?)?;
        let mut right = Buffer::unfilled(size(blocks * lanes, CHUNK)?)?;
        let rows = self.batch * self.time * piece.sum.shape[0];
        for first in (0..rows).step_by(CHUNK) {
            stop.poll(worker)?;
            let length = CHUNK.min(rows - first);
            match tile {
                3 => self.stage::<3>(piece, first, length, &mut left),
                6 => self.stage::<6>(piece, first, length, &mut left),
                rows => unreachable!("a tile of {rows} rows"),
            }
            T::dispatch(level, Strips { all: self, piece, first, length, right: &mut right });
            let slots = &right[..blocks * length * lanes];
            T::dispatch(
                level,
                LongProduct {
                    left: &left[..panels * length * tile],
                    depth: length,
                    right: &[Stretch { slots, rows: length, first: 0, length }],
                    width: 1,
                    slots: (0, 1),
                    blocks: 0..blocks,
                    sums,
                },
            );
        }
        Ok(())
    }

    /// Stages some rows of the left side.
    fn stage<const MR: usize>(&self, piece: &Piece, first: usize, length: usize, left: &mut [T]) {
        let [count, depth, _] = piece.sum.shape;
        let mut staging = Staging::<T, MR>::new(left, length, piece.panels.clone());
        let (mut next, end) = (first, first + length);
        while next < end {
            let (row, part) = (next / count, next % count);
            let together = (count - part).min(end - next);
            let from = match piece.sum.left {
                Some((register, offset)) => self.row((register, offset + part * depth), row),
                None => &[],
            };
            staging.add((together, depth), |n| &from[n * depth..]);
            next += together;
        }
    }
}

/// Writes some rows of the right side block by block, `[block][row][LANES]`.
struct Strips<'a, T: Element> {
    all: &'a All<'a, T>,
    piece: &'a Piece,
    first: usize,
    length: usize,
    right: &'a mut [T],
}

impl<T: Element> Kernel<T> for Strips<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) {
        let Piece { sum: Sum { right, shape, .. }, blocks, .. } = self.piece;
        let [count, _, columns] = *shape;
        for k in 0..self.length {
            let (row, part) = ((self.first + k) / count, (self.first + k) % count);
            let offset = part * columns + blocks.start * S::LANES;
            let from = self.all.row((*right, offset), row);
            for block in 0..blocks.len() {
                let to = &mut self.right[(block * self.length + k) * S::LANES..];
                s.store(s.load(&from[block * S::LANES..]), to);
            }
        }
    }
}

//! The memory of a program for one batch, between forward and backward.

use super::instruction::Home;
use super::part::{Part, blocks_of, room};
use super::problem::Views;
use super::program::{Program, Section};
use super::rows::{Fixed, Rows};
use crate::error::{Error, Result};
use crate::kernels::pack::Packed;
use crate::machine::lists::{self, Listed, share};
use crate::machine::memory::{Buffer, ViewMut};
use crate::machine::simd::Element;
use crate::machine::threads::Team;

/// The registers, cut into parts of the batch for threads. No result depends on where it is cut.
pub struct Run<T: Element> {
    pub(super) batch: usize,
    pub(super) time: usize,
    pub(super) fixed: Fixed<T>,
    pub(super) parts: Vec<Part<T>>,
    /// Whether it has weights, and what depends on them alone.
    pub(super) has_weights: bool,
}

impl<T: Element> Run<T> {
    /// Memory for the registers of a program, with as many parts as threads are to take it.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn new(program: &Program, batch: usize, time: usize, parts: usize) -> Result<Self> {
        let mut registers = program.registers.iter().map(|_| Buffer::default()).listed()?;
        for (register, buffer) in program.registers.iter().zip(&mut registers) {
            if register.home == Home::Static {
                room(buffer, 1, register.stride(), register.width != register.stride())?;
            }
        }
        let matrices = program.matrices.iter().map(|_| None).listed()?;
        let fixed = Fixed { registers, matrices };
        let mut made = Self { batch: 0, time: 0, fixed, parts: Vec::new(), has_weights: false };
        made.make_room(program, batch, time, parts)?;
        Ok(made)
    }

    /// Makes room for another batch, number of steps or of parts; weights stay. An error leaves it
    /// unusable.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn make_room(
        &mut self,
        program: &Program,
        batch: usize,
        time: usize,
        parts: usize,
    ) -> Result<()> {
        let blocks = blocks_of(batch);
        let parts = parts.clamp(1, blocks);
        self.parts.truncate(parts);
        while self.parts.len() < parts {
            lists::push(&mut self.parts, Part::new(program)?)?;
        }
        for (n, part) in self.parts.iter_mut().enumerate() {
            let of_part = share(blocks, n, parts)..share(blocks, n + 1, parts);
            part.make_room(program, (batch, of_part), time)?;
        }
        (self.batch, self.time) = (batch, time);
        Ok(())
    }

    /// How many threads can share its work.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.parts.len()
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
        self.fixed.matrices.fill_with(|| None);
        for (weight, &register) in weights.iter().zip(registers) {
            self.fixed.registers[register][..weight.len()].copy_from_slice(weight);
        }
        self.execute(program, Section::Static);
        self.pack(program, false)?;
        self.has_weights = true;
        Ok(())
    }

    /// Packs the matrices of products, transposed or not, that are not packed yet.
    pub(super) fn pack(&mut self, program: &Program, transposed: bool) -> Result<()> {
        for (n, &(register, [depth, columns], is_transposed)) in program.matrices.iter().enumerate()
        {
            if is_transposed != transposed || self.fixed.matrices[n].is_some() {
                continue;
            }
            let data = &self.fixed.registers[register];
            let packed = if transposed {
                let given = |k: usize, _| &data[k * depth..][..depth];
                Packed::from_rows(program.level, columns, 1, depth, given)?.transposed(depth)?
            } else {
                let given = |k: usize, _| &data[k * columns..][..columns];
                Packed::from_rows(program.level, depth, 1, columns, given)?
            };
            self.fixed.matrices[n] = Some(packed);
        }
        Ok(())
    }

    /// Runs a section of static registers alone.
    pub(super) fn execute(&mut self, program: &Program, section: Section) {
        for instruction in &program.sections[section as usize] {
            let dest = instruction.dest();
            let mut out = std::mem::take(&mut self.fixed.registers[dest]);
            let given = Rows { program, fixed: &self.fixed, own: &[], first: 0, count: 1 };
            given.compute(instruction, &mut out, &mut []);
            self.fixed.registers[dest] = out;
        }
    }

    /// Calls `work` for each part with its rows of some arrays, on the team's threads.
    pub(super) fn each_part<'a>(
        &mut self,
        arrays: &mut dyn Iterator<Item = Option<ViewMut<'a, T>>>,
        team: &mut Team,
        work: &Work<'_, 'a, T>,
    ) -> Result<()> {
        let Self { fixed, parts, .. } = self;
        let mut jobs = parts.iter_mut().map(|part| (part, Vec::new(), Ok(()))).listed()?;
        for array in arrays {
            let Some(array) = array else {
                for (_, own, _) in &mut jobs {
                    lists::push(own, None)?;
                }
                continue;
            };
            let ranges = jobs.iter().map(|(part, ..)| part.first..part.first + part.rows);
            let cut = array.split(ranges)?;
            for ((_, own, _), rows) in jobs.iter_mut().zip(cut) {
                lists::push(own, Some(rows))?;
            }
        }
        team.for_each(&mut jobs, |worker, (part, own, done)| {
            *done = work(fixed, part, own, worker);
        });
        jobs.into_iter().try_for_each(|(.., done)| done)
    }
}

/// What is done with a part and its rows of arrays by a member of a team.
pub(super) type Work<'w, 'a, T> =
    dyn Fn(&Fixed<T>, &mut Part<T>, &mut Views<'a, T>, usize) -> Result<()> + Sync + 'w;

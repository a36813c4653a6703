//! A program: instructions by section, and where a call's arrays go. Checked once.

use super::elementwise::Op;
use super::instruction::{Home, Instruction, Operand, Register};
use crate::error::{Error, Result};
use crate::machine::lists;
use crate::machine::simd::{Level, MAX_LANES};

/// The most elements of a register's row.
const MAX_WIDTH: usize = 1 << 26;

/// The parts of a program, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Once, what depends on weights alone.
    Static,
    /// Before the first step, what depends on weights and on states that no step changes.
    Begin,
    /// Step by step.
    Step,
    /// Step by step, from the last to the first.
    StepBack,
    /// Sums over all steps and rows.
    Sums,
    /// Once, gradients with respect to what depends on weights alone.
    StaticBack,
}

/// The number of sections.
pub const SECTIONS: usize = 6;

const STATIC: usize = Section::Static as usize;
const BEGIN: usize = Section::Begin as usize;
const STEP: usize = Section::Step as usize;
const STEP_BACK: usize = Section::StepBack as usize;
const SUMS: usize = Section::Sums as usize;
const STATIC_BACK: usize = Section::StaticBack as usize;

/// A state: its register before a step, what the step makes of it, and their gradients.
#[derive(Clone, Copy, Debug)]
pub struct State {
    /// Before the step.
    pub before: usize,
    /// After it: a whole register.
    pub after: usize,
    /// The gradient with respect to `after`, where a program has a backward pass.
    pub d_after: Option<usize>,
    /// The gradient with respect to `before`, None where it is zero.
    pub d_before: Option<usize>,
}

/// The registers in which a call's arrays begin and end.
#[derive(Clone, Debug, Default)]
pub struct Ends {
    /// One step's inputs.
    pub inputs: Vec<usize>,
    /// Weights and constants.
    pub weights: Vec<usize>,
    /// The states.
    pub states: Vec<State>,
    /// The output.
    pub output: usize,
    /// The state whose initial value the output has before the first real step, if any.
    pub output_state: Option<usize>,
    /// The gradient with respect to the output, where there is a backward pass.
    pub d_output: Option<usize>,
    /// The gradient with respect to each of the inputs, None where it is zero.
    pub d_inputs: Vec<Option<usize>>,
    /// The gradient with respect to each of the weights, None where it is not wanted or zero.
    pub d_weights: Vec<Option<usize>>,
}

/// A checked program: no instruction reaches beyond its registers, or writes what it reads.
pub struct Program {
    pub(super) level: Level,
    pub(super) registers: Vec<Register>,
    pub(super) sections: [Vec<Instruction>; SECTIONS],
    pub(super) ends: Ends,
    /// The matrices of products: register, depth and columns of the product, whether transposed.
    pub(super) matrices: Vec<(usize, [usize; 2], bool)>,
    /// The registers to which steps back add sums over rows.
    pub(super) summed: Vec<usize>,
    /// Elements that a product of a row needs besides its registers, at most.
    pub(super) scratch: usize,
    /// Multiply-adds of a row and step, forward and back, and what takes as long.
    pub(super) work: usize,
}

impl Program {
    /// Checks a program.
    ///
    /// # Errors
    /// If an instruction or an end names a register that does not exist or does not fit.
    pub fn new(
        level: Option<Level>,
        registers: Vec<Register>,
        sections: [Vec<Instruction>; SECTIONS],
        ends: Ends,
    ) -> Result<Self> {
        let level = level.map_or_else(Level::current, Ok)?;
        let (matrices, summed) = (Vec::new(), Vec::new());
        let (scratch, work) = (0, 0);
        let mut made = Self { level, registers, sections, ends, matrices, summed, scratch, work };
        for register in &made.registers {
            if register.width == 0 || register.width > MAX_WIDTH {
                let expected = format!("widths from 1 to {MAX_WIDTH}");
                return Err(Error::value("registers", expected, register.width));
            }
        }
        for number in 0..SECTIONS {
            for n in 0..made.sections[number].len() {
                let instruction = made.sections[number][n];
                made.check(number, &instruction).map_err(|()| {
                    let expected =
                        "instructions on existing registers of matching homes and widths";
                    Error::value("sections", expected, instruction)
                })?;
                made.note(number, &instruction)?;
            }
        }
        made.check_ends()?;
        Ok(made)
    }

    /// Notes what calls need to know of an instruction.
    fn note(&mut self, section: usize, instruction: &Instruction) -> Result<()> {
        if (STEP..=SUMS).contains(&section) {
            self.work = self.work.saturating_add(instruction.work());
        }
        match *instruction {
            Instruction::SumRows { dest, .. }
                if section == STEP_BACK && !self.summed.contains(&dest) =>
            {
                lists::push(&mut self.summed, dest)
            }
            Instruction::Product { matrix: (register, transposed), shape, .. } => {
                let [rows, depth, columns] = shape;
                let padded = columns.next_multiple_of(MAX_LANES).checked_mul(rows);
                self.scratch = self.scratch.max(padded.ok_or(Error::Memory(usize::MAX))?);
                if self.matrix(register, transposed).is_none() {
                    lists::push(&mut self.matrices, (register, [depth, columns], transposed))?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The number of a product's matrix.
    pub(super) fn matrix(&self, register: usize, transposed: bool) -> Option<usize> {
        let wanted = (register, transposed);
        self.matrices.iter().position(|&(register, _, transposed)| (register, transposed) == wanted)
    }

    fn home(&self, register: usize) -> Option<Home> {
        self.registers.get(register).map(|register| register.home)
    }

    fn width(&self, register: usize) -> usize {
        self.registers.get(register).map_or(0, |register| register.width)
    }

    /// Whether a section may write a register.
    fn writes(section: usize, home: Home) -> bool {
        match section {
            STATIC | SUMS | STATIC_BACK => home == Home::Static,
            BEGIN => home == Home::Local,
            _ => matches!(home, Home::Series | Home::Local),
        }
    }

    /// Whether a section may read a register.
    fn reads(section: usize, home: Home) -> bool {
        match section {
            STATIC | STATIC_BACK => home == Home::Static,
            BEGIN => home != Home::Series,
            SUMS => matches!(home, Home::Series | Home::State),
            _ => true,
        }
    }

    /// Whether an operand of those counts lies in its register.
    fn fits(&self, operand: &Operand, counts: [usize; 3]) -> bool {
        let mut last = Some(operand.offset);
        for (count, stride) in counts.into_iter().zip(operand.strides) {
            let span = count.checked_sub(1).and_then(|steps| steps.checked_mul(stride));
            last = last.and_then(|last| last.checked_add(span?));
        }
        last.is_some_and(|last| last < self.width(operand.register))
    }

    /// Whether `[rows, columns]` at an offset lies in a register.
    fn holds(&self, (register, offset): (usize, usize), rows: usize, columns: usize) -> bool {
        let end = rows.checked_mul(columns).and_then(|size| size.checked_add(offset));
        end.is_some_and(|end| end <= self.width(register))
    }

    /// Fails, without saying why, if an instruction does not fit its section and registers.
    fn check(&self, section: usize, instruction: &Instruction) -> std::result::Result<(), ()> {
        let read = |register| self.home(register).is_some_and(|home| Self::reads(section, home));
        let write = |register| self.home(register).is_some_and(|home| Self::writes(section, home));
        let good = match instruction {
            Instruction::Map { op, counts, dest, sources, .. } => {
                let sources = &sources[..op.arity()];
                section != SUMS
                    && write(dest.register)
                    && dest.strides[2] == 1
                    && self.fits(dest, *counts)
                    && sources.iter().all(|source| {
                        read(source.register)
                            && source.register != dest.register
                            && source.strides[2] <= 1
                            && self.fits(source, *counts)
                    })
            }
            Instruction::Reduce { counts, dest, source, .. } => {
                let [outer, length, inner] = *counts;
                section != SUMS
                    && write(dest.register)
                    && read(source.register)
                    && dest.register != source.register
                    && (dest.strides[2], source.strides[2]) == (1, 1)
                    && length > 0
                    && self.fits(dest, [outer, 1, inner])
                    && self.fits(source, *counts)
            }
            Instruction::Product { dest, left, shape, matrix, .. } => {
                let [rows, depth, columns] = *shape;
                let wanted = if matrix.1 { [columns, depth] } else { [depth, columns] };
                (BEGIN..SUMS).contains(&section)
                    && write(*dest)
                    && read(left.0)
                    && self.home(left.0) != Some(Home::Static)
                    && *dest != left.0
                    && rows > 0
                    && self.home(matrix.0) == Some(Home::Static)
                    && wanted[0].checked_mul(wanted[1]) == Some(self.width(matrix.0))
                    && self.matrices_agree(matrix, [depth, columns])
                    && rows.checked_mul(columns) == Some(self.width(*dest))
                    && self.holds(*left, rows, depth)
            }
            Instruction::Outer { dest, left, right, shape } => {
                let [rows, depth, columns] = *shape;
                section == SUMS
                    && write(*dest)
                    && read(left.0)
                    && read(*right)
                    && rows > 0
                    && depth.checked_mul(columns) == Some(self.width(*dest))
                    && rows.checked_mul(columns) == Some(self.width(*right))
                    && self.holds(*left, rows, depth)
            }
            Instruction::SumRows { dest, source } => {
                (STEP_BACK..=SUMS).contains(&section)
                    && self.home(*dest) == Some(Home::Static)
                    && read(*source)
                    && self.home(*source) != Some(Home::Static)
                    && self.width(*dest) == self.width(*source)
            }
        };
        if good { Ok(()) } else { Err(()) }
    }

    /// Whether a matrix has the shape that another product gives it.
    fn matrices_agree(&self, &(register, transposed): &(usize, bool), shape: [usize; 2]) -> bool {
        let known = self.matrix(register, transposed);
        known.is_none_or(|number| self.matrices[number].1 == shape)
    }

    fn check_ends(&self) -> Result<()> {
        let ends = &self.ends;
        let per_row = |register: usize| self.home(register).is_some_and(|h| h != Home::Static);
        let series = |register: usize| self.home(register) == Some(Home::Series);
        let fixed = |register: usize| self.home(register) == Some(Home::Static);
        let local = |register: usize| self.home(register) == Some(Home::Local);
        let same = |a: usize, b: usize| self.width(a) == self.width(b);
        let way_back = ends.d_output.is_some();
        let states = ends.states.iter().all(|state| {
            matches!(self.home(state.before), Some(Home::State | Home::Local))
                && (!way_back || self.home(state.before) == Some(Home::State))
                && per_row(state.after)
                && same(state.before, state.after)
                && ends.states.iter().all(|other| other.before != state.after)
                && state.d_after.is_some() == way_back
                && state.d_after.is_none_or(|d| local(d) && same(d, state.after))
                && state.d_before.is_none_or(|d| {
                    let seeds = ends.states.iter().all(|other| other.d_after != Some(d));
                    per_row(d) && same(d, state.before) && seeds
                })
        });
        let fits = |(d, of): (&Option<usize>, &usize), home: &dyn Fn(usize) -> bool| {
            d.is_none_or(|d| home(d) && same(d, *of))
        };
        let lists =
            [(ends.d_inputs.len(), ends.inputs.len()), (ends.d_weights.len(), ends.weights.len())];
        let good = [
            ("inputs", ends.inputs.iter().all(|&register| series(register))),
            ("weights", ends.weights.iter().all(|&register| fixed(register))),
            ("states", states),
            ("output", per_row(ends.output)),
            (
                "output_state",
                ends.output_state.is_none_or(|n| {
                    ends.states.get(n).is_some_and(|state| same(state.before, ends.output))
                }),
            ),
            ("d_output", ends.d_output.is_none_or(|d| local(d) && same(d, ends.output))),
            ("d_inputs", lists[0].0 == lists[0].1 || !way_back && lists[0].0 == 0),
            ("d_inputs", ends.d_inputs.iter().zip(&ends.inputs).all(|pair| fits(pair, &series))),
            ("d_weights", lists[1].0 == lists[1].1 || !way_back && lists[1].0 == 0),
            ("d_weights", ends.d_weights.iter().zip(&ends.weights).all(|pair| fits(pair, &fixed))),
        ];
        for (argument, good) in good {
            if !good {
                let expected = "registers with matching homes and widths";
                return Err(Error::kind(argument, expected, "others"));
            }
        }
        Ok(())
    }

    /// Whether no step changes a state, and its register has a row for all steps.
    pub(super) fn stays(&self, state: &State) -> bool {
        let is_copy = |instruction: &Instruction| {
            matches!(instruction, Instruction::Map { op: Op::Copy, counts, dest, sources, .. }
                if (dest.register, sources[0].register) == (state.after, state.before)
                    && *counts == [1, 1, self.width(state.before)])
        };
        self.home(state.before) == Some(Home::Local) && self.sections[BEGIN].iter().any(is_copy)
    }

    /// Where some rows of a register begin, and the elements between two of them.
    pub(super) fn place(&self, register: usize, first: usize) -> (usize, usize) {
        let register = self.registers[register];
        match register.home {
            Home::Static => (0, 0),
            Home::Series | Home::State => (first * register.stride(), register.stride()),
            Home::Local => (0, register.stride()),
        }
    }

    /// Whether it has a backward pass.
    #[must_use]
    pub fn goes_back(&self) -> bool {
        self.ends.d_output.is_some()
    }

    /// Elements of one step's input, weight, state or output in each row.
    #[must_use]
    pub fn width_of(&self, register: usize) -> usize {
        self.width(register)
    }

    /// Where the arrays of a call go.
    #[must_use]
    pub fn ends(&self) -> &Ends {
        &self.ends
    }
}

//! How the layers of a graph are linked, and which buffers and masks that takes.

use std::ops::Range;

use super::node::{Masks, Node};
use crate::error::{Error, Result};
use crate::layers::sequence::Engine;
use crate::machine::lists;

/// A layer in its place. Values are numbered: the inputs of the graph come first, then what the first
/// layer gives, what it gives besides, and so on.
pub struct Linked<T: Engine> {
    /// The layer.
    pub node: Box<dyn Node<T>>,
    /// The values that it takes; their numbers are below those of its own.
    pub from: Vec<usize>,
    /// Whether it needs gradients: training changes it, or a layer that it takes values from.
    pub passes: bool,
    /// The last layer before it whose weights it has, if they are not its own.
    pub shares: Option<usize>,
}

/// Which values a graph begins and ends with.
pub struct Ends {
    /// How many values are inputs.
    pub inputs: usize,
    /// The values that are outputs, each made by a layer.
    pub outputs: Vec<usize>,
}

impl Ends {
    /// One input, and one output.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn single(output: usize) -> Result<Self> {
        Ok(Self { inputs: 1, outputs: lists::filled(output, 1)? })
    }
}

/// Where weights are, layer by layer.
pub(super) struct Weighted {
    /// Where each layer's begin among all.
    pub(super) firsts: Vec<usize>,
    /// Where each layer's gradients begin. Those of layers with the weights of others come after all else.
    pub(super) gradients: Vec<usize>,
    /// How many there are.
    pub(super) count: usize,
}

impl Weighted {
    /// Of these layers.
    ///
    /// # Errors
    /// If a layer has weights that no layer before it has, or if memory runs out.
    pub(super) fn new<T: Engine>(layers: &[Linked<T>]) -> Result<Self> {
        let own = layers.iter().filter(|layer| layer.shares.is_none());
        let count = own.map(|layer| layer.node.sizes().len()).sum();
        let (mut firsts, mut gradients) = (lists::room(layers.len())?, lists::room(layers.len())?);
        let (mut next, mut beyond) = (0, count);
        for (at, layer) in layers.iter().enumerate() {
            let sizes = layer.node.sizes();
            let Some(other) = layer.shares else {
                lists::push(&mut firsts, next)?;
                lists::push(&mut gradients, next)?;
                next += sizes.len();
                continue;
            };
            if other >= at || layers[other].node.sizes() != sizes {
                let expected = "the number of an earlier layer with weights of the same sizes";
                return Err(Error::value("shares", expected, other));
            }
            let first = firsts[other];
            lists::push(&mut firsts, first)?;
            lists::push(&mut gradients, beyond)?;
            beyond += sizes.len();
        }
        Ok(Self { firsts, gradients, count })
    }
}

/// The values that each layer makes.
pub(super) fn made<T: Engine>(layers: &[Linked<T>], inputs: usize) -> Result<Vec<Range<usize>>> {
    let (mut made, mut first) = (lists::room(layers.len())?, inputs);
    for layer in layers {
        let next = first + 1 + layer.node.besides();
        lists::push(&mut made, first..next)?;
        first = next;
    }
    Ok(made)
}

/// Refuses layers whose gradients would be meaningless.
pub(super) fn check<T: Engine>(
    layers: &[Linked<T>],
    made: &[Range<usize>],
    ends: &Ends,
) -> Result<()> {
    for (layer, made) in layers.iter().zip(made) {
        if layer.from.is_empty() || layer.from.iter().any(|&value| value >= made.start) {
            let expected = format!("at least one value, all with numbers below {}", made.start);
            return Err(Error::value("parts", expected, &layer.from));
        }
    }
    let known = ends.inputs..made.last().map_or(ends.inputs, |last| last.end);
    let twice = |at: usize| ends.outputs[..at].contains(&ends.outputs[at]);
    let wrong = (0..ends.outputs.len()).any(|at| !known.contains(&ends.outputs[at]) || twice(at));
    if wrong || ends.outputs.is_empty() || ends.inputs == 0 {
        let expected =
            format!("at least one input, and outputs that are distinct values of {known:?}");
        return Err(Error::value("outputs", expected, &ends.outputs));
    }
    for (at, layer) in layers.iter().enumerate() {
        let reads = |reader: &&Linked<T>| reader.from.iter().any(|value| made[at].contains(value));
        let mut readers = layers.iter().filter(reads).peekable();
        let ends = ends.outputs.iter().any(|output| made[at].contains(output));
        let unread = readers.peek().is_none() && !ends;
        if unread || (layer.passes && !readers.all(|reader| reader.passes)) {
            let expected = "layers whose outputs are read, by layers that all pass gradients on";
            return Err(Error::kind("parts", expected, format!("layer number {at}")));
        }
    }
    Ok(())
}

/// For each value the number of a buffer for its gradient, if that is wanted, and how many there
/// are. A buffer is free again when the layer that gave the value has taken the gradient.
pub(super) fn places<T: Engine>(
    layers: &[Linked<T>],
    made: &[Range<usize>],
    ends: &Ends,
) -> Result<(Vec<Option<usize>>, usize)> {
    let count = made.last().map_or(ends.inputs, |last| last.end);
    let mut places = lists::filled(None, count)?;
    let mut free: Vec<bool> = Vec::new();
    let mut taken = |place: &mut Option<usize>, freed: Option<usize>| -> Result<()> {
        if let Some(freed) = freed {
            free[freed] = true;
            return Ok(());
        }
        if place.is_none() {
            let found = free.iter().position(|&free| free).unwrap_or(free.len());
            if found == free.len() {
                lists::push(&mut free, false)?;
            }
            free[found] = false;
            *place = Some(found);
        }
        Ok(())
    };
    for &output in &ends.outputs {
        taken(&mut places[output], None)?;
    }
    let mut wanted = lists::filled(false, count)?;
    for (layer, made) in layers.iter().zip(made) {
        wanted[made.clone()].fill(layer.passes);
    }
    for (layer, made) in layers.iter().zip(made).rev() {
        if layer.passes {
            // A value that nobody reads has a gradient of zeros.
            for value in made.clone() {
                taken(&mut places[value], None)?;
            }
            for &value in &layer.from {
                if wanted[value] {
                    taken(&mut places[value], None)?;
                }
            }
        }
        for value in made.clone() {
            if let Some(own) = places[value] {
                taken(&mut None, Some(own))?;
            }
        }
    }
    Ok((places, free.len()))
}

/// For each value the number of the mask that it comes with, and how many masks there are.
pub(super) fn masked<T: Engine>(
    layers: &[Linked<T>],
    made: &[Range<usize>],
    inputs: usize,
) -> Result<(Vec<Option<usize>>, usize)> {
    let total = made.last().map_or(inputs, |last| last.end);
    let (mut masked, mut count) = (lists::filled(None, total)?, 0);
    for (layer, made) in layers.iter().zip(made) {
        let first = masked[layer.from[0]];
        let mut given = layer.from.iter().map(|&value| masked[value]);
        masked[made.start] = match layer.node.masks() {
            Masks::Stay => first,
            Masks::Meet { .. } if given.clone().all(|mask| mask == first) => first,
            Masks::Meet { all: true } if given.any(|mask| mask.is_none()) => None,
            Masks::End => None,
            Masks::Begin | Masks::Meet { .. } => {
                count += 1;
                Some(count - 1)
            }
        };
    }
    Ok((masked, count))
}

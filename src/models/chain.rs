//! Layers one after the other, and the memory between them.

use std::ops::Range;

use super::node::{Draws, Masks, Node, Passed, Passing, Shape};
use crate::error::{Error, Result};
use crate::layers::sequence::Engine;
use crate::machine::lists::{self, Listed};
use crate::machine::memory::Buffer;
use crate::machine::threads::Ask;

/// Layers one after the other. Memory is taken for the largest batch so far, and kept.
pub struct Chain<T: Engine> {
    nodes: Vec<Box<dyn Node<T>>>,
    /// Where each node's weights begin among all.
    firsts: Vec<usize>,
    /// The first node that training changes: none before it goes backward.
    lowest: usize,
    /// Of the inputs, then of each node's outputs; of the batch at hand.
    shapes: Vec<Shape>,
    values: Vec<Buffer<T>>,
    /// The gradients by the values above and below a node, in turns.
    slopes: [Buffer<T>; 2],
    gradients: Vec<Buffer<T>>,
    /// Which steps count, and the values it comes with; a chain has one mask at most.
    mask: Vec<bool>,
    masked: Range<usize>,
}

impl<T: Engine> Chain<T> {
    /// A chain of `nodes`, of which training changes none before the one numbered `lowest`.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn new(nodes: Vec<Box<dyn Node<T>>>, lowest: usize) -> Result<Self> {
        let (mut firsts, mut count) = (lists::room(nodes.len())?, 0);
        for node in &nodes {
            lists::push(&mut firsts, count)?;
            count += node.sizes().len();
        }
        let sizes = nodes.iter().flat_map(|node| node.sizes());
        let gradients = sizes.map(|&size| Buffer::zeroed(size)).listed_or()?;
        let values = (0..=nodes.len()).map(|_| Buffer::default()).listed()?;
        let masked = masked(&nodes)?;
        let (shapes, mask, slopes) = (Vec::new(), Vec::new(), Default::default());
        Ok(Self { nodes, firsts, lowest, shapes, values, slopes, gradients, mask, masked })
    }

    /// The number of elements of each weight, layer by layer.
    pub fn sizes(&self) -> impl Iterator<Item = usize> {
        self.nodes.iter().flat_map(|node| node.sizes()).copied()
    }

    /// Makes room for a batch of inputs; [`Chain::inputs`] are to be written then.
    ///
    /// # Errors
    /// If a layer does not take such inputs, or if memory runs out.
    pub fn prepare(&mut self, inputs: Shape) -> Result<()> {
        if self.shapes.first() == Some(&inputs) {
            return Ok(());
        }
        let mut shapes = lists::room(self.values.len())?;
        lists::push(&mut shapes, inputs)?;
        let mut last = inputs;
        for node in &self.nodes {
            last = node.shape(last)?;
            lists::push(&mut shapes, last)?;
        }
        let mut most = 0;
        for (value, shape) in self.values.iter_mut().zip(&shapes) {
            let wanted = shape.elements()?;
            most = most.max(wanted);
            if value.len() < wanted {
                *value = Buffer::unfilled(wanted)?;
            }
        }
        for slopes in &mut self.slopes {
            if slopes.len() < most {
                *slopes = Buffer::unfilled(most)?;
            }
        }
        self.shapes = shapes;
        Ok(())
    }

    /// Of the batch at hand.
    fn shape_of(&self, value: usize) -> Result<Shape> {
        let given = self.shapes.get(value).copied();
        given.ok_or_else(|| Error::value("inputs", "a batch to be prepared", "none"))
    }

    fn elements_of(&self, value: usize) -> Result<usize> {
        self.shape_of(value)?.elements()
    }

    /// The batch's inputs, to be written.
    ///
    /// # Errors
    /// If no batch was prepared.
    pub fn inputs(&mut self) -> Result<&mut [T]> {
        let elements = self.elements_of(0)?;
        Ok(&mut self.values[0][..elements])
    }

    /// The shape of the outputs.
    ///
    /// # Errors
    /// If no batch was prepared.
    pub fn output_shape(&self) -> Result<Shape> {
        self.shape_of(self.nodes.len())
    }

    /// The outputs of the last forward pass, and the gradient by them, to be written.
    ///
    /// # Errors
    /// If no batch was prepared.
    pub fn outputs(&mut self) -> Result<(&[T], &mut [T])> {
        let last = self.nodes.len();
        let elements = self.elements_of(last)?;
        Ok((&self.values[last][..elements], &mut self.slopes[last % 2][..elements]))
    }

    /// Room for a batch's targets, the outputs of the last forward pass, and the gradient by them, to
    /// be written.
    ///
    /// # Errors
    /// If no batch was prepared.
    pub fn judged(&mut self) -> Result<(&mut [T], &[T], &mut [T])> {
        let last = self.nodes.len();
        let elements = self.elements_of(last)?;
        let [even, odd] = &mut self.slopes;
        // The other slopes are free until backward writes them.
        let (targets, slopes) = if last.is_multiple_of(2) { (odd, even) } else { (even, odd) };
        let outputs = &self.values[last][..elements];
        Ok((&mut targets[..elements], outputs, &mut slopes[..elements]))
    }

    /// Refuses weights of other sizes.
    ///
    /// # Errors
    /// If they are of others.
    pub fn check(&self, weights: &[&mut [T]]) -> Result<()> {
        let count = self.gradients.len();
        if weights.len() != count {
            return Err(Error::value("weights", format!("{count} arrays"), weights.len()));
        }
        match self.sizes().zip(weights).find(|(size, weight)| *size != weight.len()) {
            Some((size, weight)) => Err(Error::shape("weights", [size], [weight.len()])),
            None => Ok(()),
        }
    }

    /// Takes the weights as they are now, those of all layers one after the other.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn pack(&mut self, weights: &[&mut [T]]) -> Result<()> {
        for (node, &first) in self.nodes.iter_mut().zip(&self.firsts) {
            let count = node.sizes().len();
            node.pack(&weights[first..][..count])?;
        }
        Ok(())
    }

    /// Computes the outputs; with `keep`, holds what backward wants. `training` says how layers are.
    ///
    /// # Errors
    /// If memory runs out, or if `stop` said so.
    pub fn forward(
        &mut self,
        weights: &[&mut [T]],
        (keep, training): (bool, bool),
        draws: &mut Draws,
        stop: Ask<'_>,
    ) -> Result<()> {
        for at in 0..self.nodes.len() {
            let (shape, from) = (self.shape_of(at)?, self.elements_of(at)?);
            let to = self.elements_of(at + 1)?;
            let (below, above) = self.values.split_at_mut(at + 1);
            let inputs = &below[at][..from];
            let node = &mut self.nodes[at];
            if self.masked.start == at + 1 && !self.masked.is_empty() {
                let made = self.shapes[at + 1];
                if self.mask.len() != made.rows * made.time {
                    self.mask = lists::filled(false, made.rows * made.time)?;
                }
                node.make_mask(shape, inputs, &mut self.mask);
            }
            let weights = &weights[self.firsts[at]..][..node.sizes().len()];
            let mask = self.masked.contains(&at).then_some(&self.mask[..]);
            let keep = keep && at >= self.lowest;
            let passing = Passing { shape, inputs, weights, mask, keep, training };
            node.forward(&passing, &mut above[0][..to], draws, stop)?;
        }
        Ok(())
    }

    /// Computes the gradients by the weights from the slopes of [`Chain::outputs`].
    ///
    /// # Errors
    /// If memory runs out, or if `stop` said so.
    pub fn backward(&mut self, stop: Ask<'_>) -> Result<()> {
        for at in (self.lowest..self.nodes.len()).rev() {
            let shape = self.shape_of(at)?;
            let (from, to) = (shape.elements()?, self.elements_of(at + 1)?);
            let [even, odd] = &mut self.slopes;
            let (d_inputs, d_outputs) =
                if at.is_multiple_of(2) { (even, odd) } else { (odd, even) };
            let passed = Passed {
                shape,
                inputs: &self.values[at][..from],
                outputs: &self.values[at + 1][..to],
                mask: self.masked.contains(&at).then_some(&self.mask[..]),
                d_outputs: &d_outputs[..to],
                d_inputs: (at > self.lowest).then_some(&mut d_inputs[..from]),
            };
            let count = self.nodes[at].sizes().len();
            let gradients = &mut self.gradients[self.firsts[at]..][..count];
            self.nodes[at].backward(passed, gradients, stop)?;
        }
        Ok(())
    }

    /// Adds gradients by weights, by the weight's number, to those of the layers.
    ///
    /// # Errors
    /// If there is no such weight, or it has another size.
    pub fn add_to_gradients(&mut self, added: &[(usize, &[T])]) -> Result<()> {
        for &(at, more) in added {
            let count = self.gradients.len();
            let Some(gradient) =
                self.gradients.get_mut(at).filter(|gradient| gradient.len() == more.len())
            else {
                let expected = format!("gradients of the size of one of {count} weights");
                return Err(Error::value("added", expected, (at, more.len())));
            };
            for (sum, &more) in gradient.iter_mut().zip(more) {
                *sum = more + *sum;
            }
        }
        Ok(())
    }

    /// The gradients by the weights, those of all layers one after the other.
    pub fn gradients(&mut self) -> &mut [Buffer<T>] {
        &mut self.gradients
    }
}

/// The values that have a mask.
fn masked<T: Engine>(nodes: &[Box<dyn Node<T>>]) -> Result<Range<usize>> {
    let place = |kind: Masks, nodes: &[Box<dyn Node<T>>]| {
        nodes.iter().position(|node| node.masks() == kind)
    };
    let Some(first) = place(Masks::Begin, nodes) else { return Ok(0..0) };
    let rest = &nodes[first + 1..];
    if place(Masks::Begin, rest).is_some() {
        return Err(Error::value("parts", "one layer at most that makes a mask", "several"));
    }
    let last = place(Masks::End, rest).map_or(nodes.len(), |at| first + 1 + at);
    Ok(first + 1..last + 1)
}

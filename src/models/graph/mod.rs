//! Layers, each of which takes the values of earlier ones, and the memory between them.

mod backward;

use std::ops::Range;

use super::columns::add;
use super::links::{Ends, Linked, Weighted, check, made, masked, places};
use super::node::{Draws, Masks, Passing, Shape};
use crate::error::{Error, Result};
use crate::layers::sequence::Engine;
use crate::machine::lists::{self, Listed};
use crate::machine::memory::Buffer;
use crate::machine::simd::Element;
use crate::machine::threads::Ask;

/// Layers in an order in which they can be computed. Memory is taken for the largest batch so far, and
/// kept.
pub struct Graph<T: Engine> {
    layers: Vec<Linked<T>>,
    ends: Ends,
    /// The values that each layer makes.
    made: Vec<Range<usize>>,
    weighted: Weighted,
    /// The shape of each value of the current batch.
    shapes: Vec<Shape>,
    values: Vec<Buffer<T>>,
    /// The gradients with respect to values: a buffer serves several, one after the other.
    slopes: Vec<Buffer<T>>,
    /// For each value which of them is its own, if it has one.
    places: Vec<Option<usize>>,
    /// The targets of one output after the other.
    targets: Buffer<T>,
    /// What is added to a gradient that another layer wrote before.
    spares: Vec<Buffer<T>>,
    gradients: Vec<Buffer<T>>,
    /// For each value which mask it comes with, if there is one: the steps that count.
    masked: Vec<Option<usize>>,
    masks: Vec<Vec<bool>>,
}

/// The number of elements of each weight: of the layers with weights of their own or, if `shared`,
/// of those with the weights of others.
fn sizes<T: Engine>(layers: &[Linked<T>], shared: bool) -> impl Iterator<Item = usize> {
    let own = layers.iter().filter(move |layer| layer.shares.is_some() == shared);
    own.flat_map(|layer| layer.node.sizes()).copied()
}

fn buffers<T: Element>(count: usize) -> Result<Vec<Buffer<T>>> {
    (0..count).map(|_| Buffer::default()).listed()
}

impl<T: Engine> Graph<T> {
    /// A graph of these layers.
    ///
    /// # Errors
    /// If a layer takes a value that does not exist yet, or if memory runs out.
    pub fn new(layers: Vec<Linked<T>>, ends: Ends) -> Result<Self> {
        let made = made(&layers, ends.inputs)?;
        check(&layers, &made, &ends)?;
        let weighted = Weighted::new(&layers)?;
        let sizes = [false, true].map(|shared| sizes(&layers, shared));
        let sizes = sizes.into_iter().flatten();
        let gradients = sizes.map(|size| Buffer::zeroed(size)).listed_or()?;
        let (places, count) = places(&layers, &made, &ends)?;
        let most = layers.iter().map(|layer| layer.from.len()).max().unwrap_or(0);
        let (masked, masks) = masked(&layers, &made, ends.inputs)?;
        Ok(Self {
            values: buffers(places.len())?,
            slopes: buffers(count)?,
            spares: buffers(most)?,
            masks: (0..masks).map(|_| Vec::new()).listed()?,
            shapes: Vec::new(),
            targets: Buffer::default(),
            layers,
            ends,
            made,
            weighted,
            places,
            gradients,
            masked,
        })
    }

    /// The number of elements of each weight, layer by layer.
    pub fn sizes(&self) -> impl Iterator<Item = usize> {
        sizes(&self.layers, false)
    }

    /// Tells all layers that a call begins, see `Node::begin`.
    pub fn begin(&mut self) {
        for layer in &mut self.layers {
            layer.node.begin();
        }
    }

    /// Makes room for a batch of inputs; [`Graph::inputs`] are to be written then.
    ///
    /// # Errors
    /// If a layer does not take such inputs, or if memory runs out.
    pub fn prepare(&mut self, inputs: &[Shape]) -> Result<()> {
        if self.shapes.get(..self.ends.inputs) == Some(inputs) {
            return Ok(());
        }
        if inputs.len() != self.ends.inputs {
            let expected = format!("{} arrays", self.ends.inputs);
            return Err(Error::value("inputs", expected, inputs.len()));
        }
        let mut shapes = lists::room(self.values.len())?;
        for &shape in inputs {
            lists::push(&mut shapes, shape)?;
        }
        for Linked { node, from, .. } in &self.layers {
            let given = from.iter().map(|&from| shapes[from]).listed()?;
            let made = match given[..] {
                [given] => node.shape(given)?,
                _ => node.joined(&given)?,
            };
            lists::push(&mut shapes, made)?;
            for number in 0..node.besides() {
                lists::push(&mut shapes, node.shape_besides(number, &given)?)?;
            }
        }
        for (value, shape) in self.values.iter_mut().zip(&shapes) {
            let wanted = shape.elements()?;
            if value.len() < wanted {
                *value = Buffer::unfilled(wanted)?;
            }
        }
        self.shapes = shapes;
        Ok(())
    }

    /// Makes room for the gradients with respect to values.
    fn prepare_slopes(&mut self) -> Result<()> {
        for at in 0..self.values.len() {
            let wanted = self.elements_of(at)?;
            if let Some(place) = self.places[at].filter(|&place| self.slopes[place].len() < wanted)
            {
                self.slopes[place] = Buffer::unfilled(wanted)?;
            }
        }
        Ok(())
    }

    /// The shape of a value in the current batch.
    fn shape_of(&self, value: usize) -> Result<Shape> {
        let given = self.shapes.get(value).copied();
        given.ok_or_else(|| Error::kind("inputs", "a prepared batch", "none"))
    }

    fn elements_of(&self, value: usize) -> Result<usize> {
        self.shape_of(value)?.elements()
    }

    /// How many inputs there are, and how many outputs.
    #[must_use]
    pub fn ends(&self) -> (usize, usize) {
        (self.ends.inputs, self.ends.outputs.len())
    }

    /// The value that is an output.
    fn end(&self, number: usize) -> Result<usize> {
        let count = self.ends.outputs.len();
        let found = self.ends.outputs.get(number).copied();
        found.ok_or_else(|| Error::value("outputs", format!("a number below {count}"), number))
    }

    /// An input of the batch, to be written.
    ///
    /// # Errors
    /// If no batch was prepared.
    pub fn inputs(&mut self, number: usize) -> Result<&mut [T]> {
        let elements = self.elements_of(number)?;
        Ok(&mut self.values[number][..elements])
    }

    /// The shape of an output.
    ///
    /// # Errors
    /// If no batch was prepared, or there is no such output.
    pub fn output_shape(&self, number: usize) -> Result<Shape> {
        self.shape_of(self.end(number)?)
    }

    /// An output of the last forward pass.
    ///
    /// # Errors
    /// If no batch was prepared, or there is no such output.
    pub fn outputs(&self, number: usize) -> Result<&[T]> {
        let value = self.end(number)?;
        Ok(&self.values[value][..self.elements_of(value)?])
    }

    /// The steps of an output that count, `[rows, time]`, if it comes with a mask.
    ///
    /// # Errors
    /// If there is no such output.
    pub fn output_mask(&self, number: usize) -> Result<Option<&[bool]>> {
        Ok(self.masked[self.end(number)?].map(|mask| &self.masks[mask][..]))
    }

    /// Room for a batch's targets, `targets` of each sample, an output of the last forward pass,
    /// and the gradient with respect to it, to be written. The targets are those of one output at a
    /// time.
    ///
    /// # Errors
    /// If no batch was prepared, or there is no such output.
    pub fn judged(&mut self, number: usize, targets: usize) -> Result<(&mut [T], &[T], &mut [T])> {
        self.prepare_slopes()?;
        let value = self.end(number)?;
        let (shape, elements) = (self.shape_of(value)?, self.elements_of(value)?);
        let wanted = shape.rows.checked_mul(targets).ok_or(Error::Memory(usize::MAX))?;
        if self.targets.len() < wanted {
            self.targets = Buffer::unfilled(wanted)?;
        }
        let Some(place) = self.places[value] else {
            unreachable!("outputs have one, see `places`")
        };
        let outputs = &self.values[value][..elements];
        Ok((&mut self.targets[..wanted], outputs, &mut self.slopes[place][..elements]))
    }

    /// Refuses weights of other sizes than the layers'.
    ///
    /// # Errors
    /// If there are any.
    pub fn check(&self, weights: &[&mut [T]]) -> Result<()> {
        let count = self.weighted.count;
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
        for (layer, &first) in self.layers.iter_mut().zip(&self.weighted.firsts) {
            let count = layer.node.sizes().len();
            layer.node.pack(&weights[first..][..count])?;
        }
        Ok(())
    }

    /// Computes the outputs; with `keep`, holds what backward needs. `training` says whether layers
    /// behave as in training.
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
        for at in 0..self.layers.len() {
            let first = self.made[at].start;
            let to = self.elements_of(first)?;
            let (below, above) = self.values.split_at_mut(first);
            let Linked { node, from, passes, .. } = &mut self.layers[at];
            let (shape, inputs) = given(&self.shapes, below, from[0])?;
            let own = self.masked[first].filter(|own| self.masked[from[0]] != Some(*own));
            let masks = node.masks();
            if let (Masks::Begin | Masks::Meet { .. }, Some(own)) = (masks, own) {
                let made = self.shapes[first];
                let mut mask = std::mem::take(&mut self.masks[own]);
                if mask.len() != made.rows * made.time {
                    mask = lists::filled(false, made.rows * made.time)?;
                }
                let given = from.iter().map(|&value| self.masked[value]);
                match masks {
                    Masks::Begin => node.make_mask(shape, inputs, &mut mask),
                    _ => meet(given.map(|mask| mask.map(|mask| &self.masks[mask][..])), &mut mask),
                }
                self.masks[own] = mask;
            }
            let more = others(&self.shapes, below, from)?;
            let mask = |&value: &usize| self.masked[value].map(|mask| &self.masks[mask][..]);
            let masks = from[1..].iter().map(mask).listed()?;
            let passing = Passing {
                shape,
                inputs,
                more: &more,
                weights: &weights[self.weighted.firsts[at]..][..node.sizes().len()],
                mask: mask(&from[0]),
                masks: &masks,
                keep: keep && *passes,
                training,
            };
            node.forward(&passing, &mut above[0][..to], draws, stop)?;
            for number in 0..node.besides() {
                let elements = self.shapes[first + 1 + number].elements()?;
                node.give(number, &mut above[1 + number][..elements])?;
            }
        }
        Ok(())
    }

    /// Adds gradients with respect to weights, by the weight's number, to those of the layers.
    ///
    /// # Errors
    /// If there is no such weight, or it has another size.
    pub fn add_to_gradients(&mut self, added: &[(usize, &[T])]) -> Result<()> {
        for &(at, more) in added {
            let count = self.weighted.count;
            let Some(gradient) =
                self.gradients().get_mut(at).filter(|gradient| gradient.len() == more.len())
            else {
                let expected = format!("gradients of {count} weights, each of its weight's size");
                let received = format!("one of {} elements for weight number {at}", more.len());
                return Err(Error::kind("added", expected, received));
            };
            add(gradient, more);
        }
        Ok(())
    }

    /// The gradients with respect to the weights, those of all layers one after the other.
    pub fn gradients(&mut self) -> &mut [Buffer<T>] {
        &mut self.gradients[..self.weighted.count]
    }

    /// Moves the weights that follow a batch and not a gradient: the end of a step.
    pub fn follow(&mut self, weights: &mut [&mut [T]]) {
        for (layer, &first) in self.layers.iter_mut().zip(&self.weighted.firsts) {
            let count = layer.node.sizes().len();
            layer.node.follow(&mut weights[first..][..count]);
        }
    }
}

/// Writes which steps count in at least one value; all do in a value without a mask.
fn meet<'a>(masks: impl Iterator<Item = Option<&'a [bool]>>, met: &mut [bool]) {
    met.fill(false);
    for mask in masks {
        match mask {
            None => met.fill(true),
            Some(mask) => met.iter_mut().zip(mask).for_each(|(met, &counts)| *met |= counts),
        }
    }
}

/// A value, and its shape.
fn given<'a, T: Element>(
    shapes: &[Shape],
    values: &'a [Buffer<T>],
    at: usize,
) -> Result<(Shape, &'a [T])> {
    let shape = shapes[at];
    Ok((shape, &values[at][..shape.elements()?]))
}

/// The values that a layer takes besides the first.
fn others<'a, T: Element>(
    shapes: &[Shape],
    values: &'a [Buffer<T>],
    from: &[usize],
) -> Result<Vec<(Shape, &'a [T])>> {
    let mut found = lists::room(from.len() - 1)?;
    for &value in &from[1..] {
        lists::push(&mut found, given(shapes, values, value)?)?;
    }
    Ok(found)
}

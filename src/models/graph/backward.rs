//! The backward pass through a graph.

use super::{Graph, given, others};
use crate::error::Result;
use crate::layers::sequence::Engine;
use crate::machine::lists::{self, Listed};
use crate::machine::memory::Buffer;
use crate::machine::simd::Element;
use crate::machine::threads::Ask;
use crate::models::columns::add;
use crate::models::links::Linked;
use crate::models::node::{Passed, sized};

impl<T: Engine> Graph<T> {
    /// Computes the gradients with respect to the weights from those with respect to the outputs,
    /// see [`Graph::judged`].
    ///
    /// # Errors
    /// If memory runs out, or if `stop` said so.
    pub fn backward(&mut self, stop: Ask<'_>) -> Result<()> {
        self.prepare_slopes()?;
        let mut written = lists::filled(false, self.values.len())?;
        for &output in &self.ends.outputs {
            written[output] = true;
        }
        for at in (0..self.layers.len()).rev() {
            if !self.layers[at].passes {
                continue;
            }
            let made = self.made[at].clone();
            for value in made.clone() {
                let elements = self.elements_of(value)?;
                let Some(place) = self.places[value] else { continue };
                let slopes = &mut self.slopes[place][..elements];
                if !written[value] {
                    slopes.fill(T::ZERO); // nobody has read it
                }
                if value > made.start {
                    self.layers[at].node.take(value - made.start - 1, slopes)?;
                }
            }
            let Some(own) = self.places[made.start] else { continue };
            let to = self.elements_of(made.start)?;
            // Taken out, so that the others can be written.
            let d_outputs = std::mem::take(&mut self.slopes[own]);
            let done = self.layer_backward(at, &d_outputs[..to], &mut written, stop);
            self.slopes[own] = d_outputs;
            done?;
        }
        self.sum_shared();
        Ok(())
    }

    /// Sums the gradients with respect to weights that several layers have, from the last layer on.
    fn sum_shared(&mut self) {
        for (at, layer) in self.layers.iter().enumerate().rev() {
            let Some(before) = layer.shares.filter(|_| layer.passes) else { continue };
            let (sums, own) = self.gradients.split_at_mut(self.weighted.gradients[at]);
            let sums = sums[self.weighted.gradients[before]..].iter_mut();
            for (sums, own) in sums.zip(own).take(layer.node.sizes().len()) {
                add(sums, own);
            }
        }
    }

    /// Takes the gradient back through one layer.
    fn layer_backward(
        &mut self,
        at: usize,
        d_outputs: &[T],
        written: &mut [bool],
        stop: Ask<'_>,
    ) -> Result<()> {
        let Linked { node, from, .. } = &mut self.layers[at];
        let (shape, inputs) = given(&self.shapes, &self.values, from[0])?;
        let more = others(&self.shapes, &self.values, from)?;
        let mut targets = lists::room(from.len())?;
        for (number, &value) in from.iter().enumerate() {
            let place = self.places[value];
            let buffer = Buffer::default();
            let mut target = Target { buffer, place, added: written[value], wanted: 0 };
            if let Some(place) = target.place {
                target.wanted = self.shapes[value].elements()?;
                target.buffer = if target.added {
                    sized(&mut self.spares[number], target.wanted)?;
                    std::mem::take(&mut self.spares[number])
                } else {
                    std::mem::take(&mut self.slopes[place])
                };
                written[value] = true;
            }
            lists::push(&mut targets, target)?;
        }
        let mut slopes = targets.iter_mut().map(Target::slopes).listed()?;
        let [d_inputs, d_more @ ..] = &mut slopes[..] else {
            unreachable!("one value at least, see `new`")
        };
        let passed = Passed {
            shape,
            inputs,
            more: &more,
            outputs: &self.values[self.made[at].start][..d_outputs.len()],
            mask: self.masked[from[0]].map(|mask| &self.masks[mask][..]),
            d_outputs,
            d_inputs: d_inputs.take(),
            d_more,
        };
        let count = node.sizes().len();
        let gradients = &mut self.gradients[self.weighted.gradients[at]..][..count];
        let done = node.backward(passed, gradients, stop);
        for (target, spare) in targets.into_iter().zip(&mut self.spares) {
            let Some(place) = target.place else { continue };
            if !target.added {
                self.slopes[place] = target.buffer;
                continue;
            }
            let sums = &mut self.slopes[place][..target.wanted];
            add(sums, &target.buffer[..target.wanted]);
            *spare = target.buffer;
        }
        done
    }
}

/// Where the gradient with respect to a value goes while a layer writes it.
struct Target<T: Element> {
    /// Taken out of its place for that time.
    buffer: Buffer<T>,
    /// None if nobody needs it.
    place: Option<usize>,
    /// Whether it is added to what another layer wrote.
    added: bool,
    wanted: usize,
}

impl<T: Element> Target<T> {
    fn slopes(&mut self) -> Option<&mut [T]> {
        self.place.map(|_| &mut self.buffer[..self.wanted])
    }
}

//! How the layers of a graph hang together, and which buffers and masks that takes.

use super::node::{Masks, Node};
use crate::error::{Error, Result};
use crate::layers::sequence::Engine;
use crate::machine::lists;

/// A layer in its place. Values are numbered: the inputs of the graph are 0, what the first layer gives
/// is 1, and so on.
pub struct Linked<T: Engine> {
    /// The layer.
    pub node: Box<dyn Node<T>>,
    /// The values that it takes, each before its own.
    pub from: Vec<usize>,
    /// Whether gradients come to it: training changes it, or one that it takes from.
    pub passes: bool,
}

/// Refuses layers whose gradients would be of no meaning.
pub(super) fn check<T: Engine>(layers: &[Linked<T>]) -> Result<()> {
    for (at, layer) in layers.iter().enumerate() {
        if layer.from.is_empty() || layer.from.iter().any(|&value| value > at) {
            let expected = format!("numbers of values from 0 to {at}");
            return Err(Error::value("parts", expected, &layer.from));
        }
    }
    for (at, layer) in layers.iter().enumerate() {
        let mut readers = layers.iter().filter(|reader| reader.from.contains(&(at + 1))).peekable();
        let unread = readers.peek().is_none() && at + 1 < layers.len();
        if unread || (layer.passes && !readers.all(|reader| reader.passes)) {
            let expected = "layers whose outputs are read, by layers that pass gradients on";
            return Err(Error::value("parts", expected, at));
        }
    }
    Ok(())
}

/// For each value the number of a buffer for the gradient by it, if it is wanted, and how many there are.
/// A buffer is free again when the layer that gave the value has taken the gradient.
pub(super) fn places<T: Engine>(layers: &[Linked<T>]) -> Result<(Vec<Option<usize>>, usize)> {
    let mut places = lists::filled(None, layers.len() + 1)?;
    let mut free: Vec<bool> = Vec::new();
    places[layers.len()] = Some(0);
    lists::push(&mut free, false)?;
    for (at, layer) in layers.iter().enumerate().rev() {
        for &value in &layer.from {
            let wanted = value.checked_sub(1).is_some_and(|maker| layers[maker].passes);
            if !layer.passes || !wanted || places[value].is_some() {
                continue;
            }
            let place = free.iter().position(|&free| free).unwrap_or(free.len());
            if place == free.len() {
                lists::push(&mut free, false)?;
            }
            free[place] = false;
            places[value] = Some(place);
        }
        if let Some(own) = places[at + 1] {
            free[own] = true;
        }
    }
    Ok((places, free.len()))
}

/// For each value the number of the mask that it comes with, and how many masks there are.
pub(super) fn masked<T: Engine>(layers: &[Linked<T>]) -> Result<(Vec<Option<usize>>, usize)> {
    let (mut masked, mut count) = (lists::filled(None, layers.len() + 1)?, 0);
    for (at, layer) in layers.iter().enumerate() {
        masked[at + 1] = match layer.node.masks() {
            Masks::Stay => masked[layer.from[0]],
            Masks::End => None,
            Masks::Begin => {
                count += 1;
                Some(count - 1)
            }
        };
    }
    Ok((masked, count))
}

//! The parts of a slice, each on its own thread.

use super::exchange::{Exchange, Turn};
use super::team::Team;
use crate::error::{Error, Result};
use crate::machine::simd::Element;

/// Calls `work` for each part with its turn, at the same time. `work` returns the step it reached,
/// the same for all, and a turn; the caller goes on from both.
///
/// # Errors
/// The first that a part gave; one that was interrupted by another's failure says less than that.
pub(crate) fn together<T: Element, P: Send>(
    team: &mut Team,
    parts: &mut [P],
    exchange: &mut Exchange<T>,
    work: impl Fn(usize, &mut P, &mut Turn<'_, T>) -> Result<usize> + Sync,
) -> Result<(usize, usize)> {
    let turns = exchange.team().into_iter();
    let mut members: Vec<_> =
        // Bounded: a part for each thread at most.
        parts.iter_mut().zip(turns).map(|(part, turn)| (part, Some(turn), Ok((0, 0)))).collect();
    team.together(&mut members, |worker, (part, turn, result)| {
        // Dropped with an error, the turn tells the others.
        let Some(mut turn) = turn.take() else { return };
        *result = work(worker, part, &mut turn).map(|step| (step, turn.number()));
        if result.is_ok() {
            turn.leave();
        }
    });
    let mut reached = (0, 0);
    let mut interrupted = false;
    for (.., result) in members {
        match result {
            Ok(at) => reached = at,
            Err(Error::Interrupted) => interrupted = true,
            Err(other) => return Err(other),
        }
    }
    if interrupted { Err(Error::Interrupted) } else { Ok(reached) }
}

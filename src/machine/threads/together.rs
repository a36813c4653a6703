//! The parts of a slice on their way, each on its own thread.

use super::exchange::{Exchange, Turn};
use super::team::Team;
use crate::error::{Error, Result};
use crate::machine::simd::Element;

/// Calls `work` for each run with its turn, at the same time. It gives the step it came to, the same
/// for all; then the caller goes on from there, and from the turn that is given beside it.
///
/// # Errors
/// The first that a run gave; one that was interrupted by another's failure tells less than that.
pub(crate) fn together<T: Element, R: Send>(
    team: &mut Team,
    runs: &mut [R],
    exchange: &mut Exchange<T>,
    work: impl Fn(usize, &mut R, &mut Turn<'_, T>) -> Result<usize> + Sync,
) -> Result<(usize, usize)> {
    let turns = exchange.team().into_iter();
    let mut members: Vec<_> =
        // Bounded: a run for each thread at most.
        runs.iter_mut().zip(turns).map(|(run, turn)| (run, Some(turn), Ok((0, 0)))).collect();
    team.together(&mut members, |worker, (run, turn, result)| {
        // Dropped with an error, the turn tells the others.
        let Some(mut turn) = turn.take() else { return };
        *result = work(worker, run, &mut turn).map(|step| (step, turn.number()));
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

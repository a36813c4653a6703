//! The pool, and requests to stop.

use std::panic::catch_unwind;
use std::thread;
use std::time::Duration;

use ferrnn::error::Error;
use ferrnn::machine::threads::{Source, Stop, count, for_each, set_count, source};

#[test]
fn every_state_is_visited_once() {
    for threads in [1, 2, 3, 8] {
        let mut states: Vec<usize> = vec![0; 100];
        for_each(threads, &mut states, |_, state| *state += 1);
        assert!(states.iter().all(|&visits| visits == 1));
    }
}

#[test]
fn several_callers_at_once_all_finish() {
    let (rounds, most) = if cfg!(miri) { (3, 10) } else { (200, 1000) };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..rounds {
                    let mut states = vec![0_u64; 7];
                    for_each(3, &mut states, |_, state| *state = (0..most).sum());
                    assert!(states.iter().all(|&sum| sum == most * (most - 1) / 2));
                }
            });
        }
    });
}

#[test]
fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
    for _ in 0..3 {
        let panicked = catch_unwind(|| {
            for_each(3, &mut [0; 9], |_, _| panic!("as the test wants"));
        });
        assert!(panicked.is_err());
    }
    let mut states = [0; 9];
    for_each(3, &mut states, |_, state| *state = 1);
    assert_eq!(states, [1; 9]);
}

#[test]
fn a_call_can_be_stopped() {
    let stop = Stop::new(&|| true);
    thread::sleep(Duration::from_millis(30));
    assert_eq!(stop.poll(1), Ok(()));
    assert_eq!(stop.poll(0), Err(Error::Interrupted));
    assert_eq!(stop.poll(1), Err(Error::Interrupted));
}

#[test]
fn the_source_of_the_number_is_known() {
    assert_ne!(source(), Source::Set);
    set_count(3);
    assert_eq!((source(), count()), (Source::Set, Ok(3)));
}

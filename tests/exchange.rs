//! Rows that the members of a team write by columns and read whole.

use std::panic::catch_unwind;
use std::thread;
use std::time::{Duration, Instant};

use ferrnn::error::Error;
use ferrnn::machine::threads::{Exchange, Geometry, Team, Turn};

const GEOMETRY: Geometry = Geometry { rows: 3, slots: 2, width: 8, stride: 24 };

/// A team of `size` threads: while another test has the workers, there is none.
fn team(size: usize) -> Team {
    let begun = Instant::now();
    loop {
        let team = Team::gather(size);
        if team.size() == size {
            return team;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "no team of {size} in a minute");
        drop(team);
        thread::yield_now();
    }
}

/// Writes to a part's units of the open plane the mean of the other plane, and where they are.
fn step(turn: &mut Turn<'_, f64>, part: usize) {
    let read = turn.number() % 2;
    let (planes, mut columns) = turn.open(part);
    let mean = planes.plane(read).iter().sum::<f64>() / 72.0;
    let first = columns.units().start;
    for row in 0..3 {
        for (slot, values) in columns.slots(row, first).enumerate() {
            for (n, value) in values.iter_mut().enumerate() {
                *value = mean + (row * 16 + slot * 8 + first + n) as f64;
            }
        }
    }
}

/// Planes with the units cut into `parts`, the first filled with ones.
fn exchange(parts: usize) -> Exchange<f64> {
    let parts = (0..parts).map(|n| n * 8 / parts..(n + 1) * 8 / parts).collect();
    let mut exchange = Exchange::new(GEOMETRY, &[1, 0], parts).unwrap();
    exchange.plane_mut(0).fill(1.0);
    exchange
}

/// The last plane after some turns of one thread that has all parts.
fn by_one(parts: usize, turns: usize) -> Vec<f64> {
    let mut exchange = exchange(parts);
    let mut turn = exchange.alone(0);
    for _ in 0..turns {
        (0..parts).for_each(|part| step(&mut turn, part));
        assert_eq!(turn.pass(), Ok(false));
    }
    drop(turn);
    exchange.plane_mut(turns % 2).to_vec()
}

/// The last plane after some turns of a team with a part for each member.
fn by_team(members: usize, turns: usize) -> Vec<f64> {
    let mut exchange = exchange(members);
    let mut states: Vec<_> = exchange.team().into_iter().map(Some).collect();
    team(members).together(&mut states, |member, turn| {
        let mut turn = turn.take().unwrap();
        for _ in 0..turns {
            step(&mut turn, member);
            turn.pass().unwrap();
        }
        turn.leave();
    });
    drop(states);
    exchange.plane_mut(turns % 2).to_vec()
}

#[test]
fn members_read_what_all_have_written() {
    for turns in [1, 49, 50] {
        let alone = by_one(1, turns);
        assert!(alone.iter().any(|&value| value > 1.0));
        for members in [2, 3] {
            assert_eq!(by_one(members, turns), alone, "{members} parts, {turns} turns");
            assert_eq!(by_team(members, turns), alone, "{members} members, {turns} turns");
        }
    }
}

#[test]
fn a_member_that_gives_up_frees_the_others() {
    let mut exchange = Exchange::<f32>::new(GEOMETRY, &[1, 0], vec![0..4, 4..8]).unwrap();
    let mut states: Vec<_> =
        exchange.team().into_iter().map(|turn| (Some(turn), Ok(true))).collect();
    team(2).together(&mut states, |member, (turn, result)| {
        let mut turn = turn.take().unwrap();
        if member == 0 {
            *result = turn.pass().and_then(|_| turn.pass());
        } else {
            turn.pass().unwrap();
        }
    });
    assert_eq!(states[0].1, Err(Error::Interrupted));
}

#[test]
fn misuse_panics_instead_of_sharing() {
    let new = |parts| Exchange::<f32>::new(GEOMETRY, &[1, 0], parts);
    assert!(catch_unwind(|| new(vec![0..5, 4..8])).is_err(), "parts that overlap");
    assert!(catch_unwind(|| new(vec![0..4, 4..9])).is_err(), "units beyond the planes");
    let mut exchange = new(vec![0..4, 4..8]).unwrap();
    let mut turns = exchange.team();
    let mut first = turns.remove(0);
    let other = catch_unwind(std::panic::AssertUnwindSafe(|| {
        first.open(1);
    }));
    assert!(other.is_err(), "another member's part");
    let open = catch_unwind(std::panic::AssertUnwindSafe(|| first.planes().plane(1).len()));
    assert!(open.is_err(), "the plane that is written");
    let unit = catch_unwind(std::panic::AssertUnwindSafe(|| {
        first.open(0).1.from(0, 5);
    }));
    assert!(unit.is_err(), "another part's unit");
    first.leave();
    turns.remove(0).leave();
}

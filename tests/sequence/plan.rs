//! The partition of a problem.

use ferrnn::layers::sequence::plan::{Windows, chunk_steps, groups, parts, slices};

#[test]
fn slices_share_the_batch_evenly() {
    assert_eq!(slices(0, 2, 3), 0);
    assert_eq!(slices(1, 2, 3), 1);
    assert_eq!(slices(2, 2, 3), 1);
    assert_eq!(slices(8, 2, 3), 2);
    assert_eq!(slices(33, 1, 3), 2);
    assert_eq!(slices(33, 2, 6), 2);
    assert_eq!(slices(65, 2, 3), 4);
    assert_eq!(slices(100, 3, 6), 6);
}

#[test]
fn few_rows_are_cut_by_units_if_a_step_is_worth_a_meeting() {
    assert_eq!(parts(0, 2, 1_000_000, 8, 4), 1);
    assert_eq!(parts(1, 1, 1_000_000, 8, 4), 1);
    assert_eq!(parts(1, 2, 4 * 128 * 128, 8, 4), 2);
    assert_eq!(parts(1, 2, 4 * 32 * 32, 2, 4), 1);
    assert_eq!(parts(7, 2, 4 * 128 * 128, 8, 4), 2);
    assert_eq!(parts(8, 2, 4 * 128 * 128, 8, 4), 1);
    assert_eq!(parts(8, 2, 4 * 512 * 512, 32, 12), 2);
    assert_eq!(parts(24, 2, 4 * 512 * 512, 32, 12), 1);
    assert_eq!(parts(1, 64, 4 * 1024 * 1024, 3, 4), 3);
}

#[test]
fn groups_are_of_a_slice_each_unless_their_sums_would_be_large() {
    assert_eq!(groups(0, 1000), 1);
    assert_eq!(groups(32, 1000), 1);
    assert_eq!(groups(33, 1000), 2);
    assert_eq!(groups(64, 4 * 17 * 35), 2);
    assert_eq!(groups(4096, 1000), 8);
    assert_eq!(groups(4096, 4 * 128 * 193), 2);
    assert_eq!(groups(4096, 4 * 512 * 641), 1);
    assert_eq!(groups(100, 0), 1);
}

#[test]
fn chunks_are_odd_and_fit_the_time() {
    assert_eq!(chunk_steps(16, 100), 13);
    assert_eq!(chunk_steps(1, 100), 100);
    assert_eq!(chunk_steps(1, 1000), 193);
    assert_eq!(chunk_steps(400, 100), 1);
    assert_eq!(chunk_steps(5, 0), 1);
}

#[test]
fn every_row_is_multiplied_once() {
    for (size, count) in [(8, 1), (8, 8), (8, 15), (8, 16), (8, 45), (6, 45), (16, 100), (24, 100)]
    {
        let windows = Windows::of(size);
        for left in 0..=count {
            let mut times = vec![0; count];
            let [first, last] = windows.at_once(count);
            // Beside its first step a window begins the next one, which is complete after its last.
            let begun = |row: usize| (row / size + 1) * size;
            let steps = (0..left).filter(|row| row % size == size - 1);
            let beside = steps.map(|row| begun(row)..begun(row) + size);
            let beside = beside.filter(|rows| rows.end <= count);
            let ranges = [first, last].into_iter().chain(beside);
            let missing = if left < count { windows.missing(count, left) } else { 0..0 };
            for row in ranges.chain([missing]).flatten() {
                times[row] += 1;
            }
            let all = times.iter().all(|&n| n == 1);
            assert!(all, "{count} rows by {size}, left before row {left}: {times:?}");
        }
    }
}

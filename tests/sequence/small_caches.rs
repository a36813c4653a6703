//! What differs where the caches cannot hold the weights changes no bit: tiles prefetch what comes
//! next, and one row's inputs are multiplied ahead in taller windows.

use std::env;
use std::process::Command;

use crate::common::{Arrays, run, shared, slopes, some_rows, take};
use ferrnn::machine::caches::{Sizes, assume};

/// Weights of a few dozen units are already too large.
const SIZES: Sizes = Sizes { l1: 8 << 10, l2: 32 << 10, l3: 1 << 20 };

/// Marks the process that runs this test alone: a process determines its caches once.
const ALONE: &str = "FERRNN_TEST_SMALL_CACHES";

/// This program once more, under the emulator that cargo uses.
fn this_program() -> Command {
    let program = env::current_exe().unwrap();
    let mut runners = env::vars()
        .filter(|(name, _)| name.starts_with("CARGO_TARGET_") && name.ends_with("_RUNNER"));
    let Some((_, runner)) = runners.next() else { return Command::new(program) };
    let mut words = runner.split_whitespace();
    let mut command = Command::new(words.next().expect("a runner has a name"));
    command.args(words).arg(program);
    command
}

#[test]
fn rows_in_a_batch_equal_themselves_alone() {
    if env::var_os(ALONE).is_none() {
        let name = "small_caches::rows_in_a_batch_equal_themselves_alone";
        let ended = this_program().args(["--exact", name]).env(ALONE, "1").output().unwrap();
        let said = String::from_utf8_lossy(&ended.stdout);
        assert!(ended.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    assert_eq!(assume(SIZES), SIZES, "another test has asked before");
    // Several windows of one row's steps and a rest; tiles of several sizes, more than a panel has
    // columns, and several blocks of units.
    for case in shared([[2, 77, 34, 132], [29, 77, 40, 70]]) {
        let batch = case.batch;
        let arrays = Arrays::random(&case, 8).cast::<f32>();
        let (whole, _) = run(&case, &arrays, false);
        let whole_slopes = slopes(&case, &arrays);
        for row in [0, batch - 1] {
            let (one, some) = some_rows(&case, &arrays, &[row]);
            let (alone, _) = run(&one, &some, false);
            assert!(alone.outputs == take(&whole.outputs, batch, &[row]), "{case:?}");
            assert!(slopes(&one, &some)[0] == take(&whole_slopes[0], batch, &[row]), "{case:?}");
        }
    }
}

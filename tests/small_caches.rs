//! What is done otherwise where the caches cannot keep the weights changes no bit: tiles ask for what
//! comes next, and one row's inputs are multiplied ahead in taller windows.

mod common;

use common::{Arrays, cases, run, slopes, some_rows, take};
use ferrnn::machine::caches::{Sizes, assume};

/// Weights of a few dozen units are already too large.
const SIZES: Sizes = Sizes { l1: 8 << 10, l2: 32 << 10, l3: 1 << 20 };

#[test]
fn rows_in_a_batch_equal_themselves_alone() {
    assert_eq!(assume(SIZES), SIZES, "another test has asked before");
    // Several windows of one row's steps and a rest; tiles of several sizes, more than a panel has
    // columns, and several blocks of units.
    for (batch, features, units) in [(2, 34, 132), (29, 40, 70)] {
        for case in cases([batch, 77, features, units]) {
            let arrays = Arrays::random(&case, 8).cast::<f32>();
            let (whole, _) = run(&case, &arrays, false);
            let whole_slopes = slopes(&case, &arrays);
            for row in [0, batch - 1] {
                let (one, some) = some_rows(&case, &arrays, &[row]);
                let (alone, _) = run(&one, &some, false);
                assert!(alone.outputs == take(&whole.outputs, batch, &[row]), "{case:?}");
                assert!(
                    slopes(&one, &some)[0] == take(&whole_slopes[0], batch, &[row]),
                    "{case:?}"
                );
            }
        }
    }
}

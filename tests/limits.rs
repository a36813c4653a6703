//! The machine's limits, as measured.

use ferrnn::machine::limits::{multiply_adds, read};
use ferrnn::machine::simd::Level;

#[test]
#[cfg_attr(miri, ignore = "takes long")]
fn every_level_computes_and_reads() {
    for level in Level::all() {
        let [single, double] = [multiply_adds::<f32>(level), multiply_adds::<f64>(level)];
        assert!(single > 1e7 && double > 1e7, "{level:?}: {single:e} {double:e}");
        assert!(read(level, 16 << 10, 2).unwrap() > 1e7);
    }
}

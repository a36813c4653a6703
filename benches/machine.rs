//! What this machine can do on one core, for each instruction set: multiply-adds per second, and
//! bytes per second read from each level of cache. Other benches' figures are shares of these.

use ferrnn::machine::caches::{Sizes, sizes};
use ferrnn::machine::limits::{multiply_adds, read};
use ferrnn::machine::simd::Level;

fn main() {
    let Sizes { l1, l2, l3 } = sizes();
    println!("caches of {} KiB, {} KiB, {} KiB", l1 >> 10, l2 >> 10, l3 >> 10);
    println!("one core; GFLOP/s count a multiply-add as two");
    for level in Level::all() {
        let single = 2e-9 * multiply_adds::<f32>(level);
        let double = 2e-9 * multiply_adds::<f64>(level);
        print!("{:9} f32 {single:6.1}  f64 {double:6.1} GFLOP/s; reads", level.name());
        for bytes in [l1 / 2, l2 / 2, l3 / 4, (4 * l3).min(256 << 20)] {
            let speed = 1e-9 * read(level, bytes, 1).expect("memory");
            print!("  {} KiB {speed:.0} GB/s", bytes >> 10);
        }
        println!();
    }
}

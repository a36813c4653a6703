//! Sizes of caches, as a system describes them.

use std::fs;

use ferrnn::machine::caches::{Sizes, assume, described, sizes};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// The sizes read from a folder with one `index` folder for each `[level, type, size]`.
fn told(name: &str, caches: &[[&str; 3]]) -> Option<Sizes> {
    let folder = std::env::temp_dir().join(format!("ferrnn-{name}-{}", std::process::id()));
    for (index, texts) in caches.iter().enumerate() {
        let cache = folder.join(format!("index{index}"));
        fs::create_dir_all(&cache).unwrap();
        for (file, text) in ["level", "type", "size"].iter().zip(texts) {
            fs::write(cache.join(file), format!("{text}\n")).unwrap();
        }
    }
    let sizes = described(&folder);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    sizes
}

#[test]
#[cfg_attr(miri, ignore = "reads files")]
fn caches_of_data_count_and_those_of_instructions_do_not() {
    let caches = [
        ["1", "Data", "48K"],
        ["1", "Instruction", "64K"],
        ["2", "Unified", "2M"],
        ["3", "Unified", "36864K"],
    ];
    assert_eq!(told("all", &caches), Some(Sizes { l1: 48 * KIB, l2: 2 * MIB, l3: 36 * MIB }));
}

#[test]
#[cfg_attr(miri, ignore = "reads files")]
fn a_missing_level_counts_as_the_one_before() {
    let caches = [["2", "Unified", "4M"], ["1", "Data", "131072"]];
    assert_eq!(told("two", &caches), Some(Sizes { l1: 128 * KIB, l2: 4 * MIB, l3: 4 * MIB }));
    let caches = [["1", "Data", "0K"], ["3", "Unified", "1G"]];
    let l1 = 32 * KIB;
    assert_eq!(told("third", &caches), Some(Sizes { l1, l2: l1, l3: 1024 * MIB }));
}

#[test]
#[cfg_attr(miri, ignore = "reads files")]
fn nonsense_is_passed_over() {
    let caches = [
        ["1", "Data", "much"],
        ["1", "Data", "K"],
        ["2", "Unified", "99999999999999999999"],
        ["4", "Unified", "1G"],
        ["0", "Data", "1K"],
        ["zero", "Data", "1K"],
        ["1", "Data", ""],
    ];
    assert_eq!(told("nonsense", &caches), None);
    assert_eq!(told("none", &[]), None);
}

#[test]
#[cfg_attr(miri, ignore = "reads files")]
fn this_machine_has_caches() {
    let Sizes { l1, l2, l3 } = sizes();
    assert!(l1 >= 4 * KIB && l2 >= l1 && l3 >= l2, "{l1} {l2} {l3}");
    assert_eq!(sizes(), Sizes { l1, l2, l3 });
}

#[test]
#[cfg_attr(miri, ignore = "reads files")]
fn what_has_been_told_stays() {
    let before = sizes();
    assert_eq!(assume(Sizes { l1: 1, l2: 2, l3: 3 }), before);
    assert_eq!(sizes(), before);
}

//! The sizes of this machine's data caches, read once. By hand, since the crates for it only read
//! `cpuid`, which on virtual machines and on Arm says less than the system does.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

/// Bytes of the caches that one core sees. The third level, and on some machines the second, is
/// shared with other cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// The first-level data cache.
    pub l1: usize,
    /// The second level.
    pub l2: usize,
    /// The third level; the second's size on a machine without one.
    pub l3: usize,
}

static SIZES: OnceLock<Sizes> = OnceLock::new();

/// What a small machine has: assumed where the system does not say.
const ASSUMED: Sizes = Sizes { l1: 32 << 10, l2: 512 << 10, l3: 4 << 20 };

/// The caches of this machine: as Linux describes those of the first CPU, elsewhere 32 KiB, 512 KiB
/// and 4 MiB. A level that is not described counts as being as large as the one before it.
#[must_use]
pub fn sizes() -> Sizes {
    *SIZES.get_or_init(|| {
        described(Path::new("/sys/devices/system/cpu/cpu0/cache")).unwrap_or(ASSUMED)
    })
}

/// Uses `sizes` as this machine's, unless the sizes were read before; returns those in use. With it
/// a measurement plans the same work everywhere.
pub fn assume(sizes: Sizes) -> Sizes {
    *SIZES.get_or_init(|| sizes)
}

/// What the files `index*/level`, `type` and `size` of `folder` say, as Linux writes them; none if
/// they say nothing.
#[must_use]
pub fn described(folder: &Path) -> Option<Sizes> {
    let mut levels = [0; 3];
    for entry in fs::read_dir(folder).ok()?.filter_map(Result::ok) {
        let read = |name| fs::read_to_string(entry.path().join(name)).ok();
        let (Some(level), Some(kind), Some(size)) = (read("level"), read("type"), read("size"))
        else {
            continue;
        };
        if kind.trim() == "Instruction" {
            continue;
        }
        let level = level.trim().parse().ok().and_then(|level: usize| level.checked_sub(1));
        if let Some(slot) = level.and_then(|level| levels.get_mut(level)) {
            *slot = bytes(size.trim()).unwrap_or(0).max(*slot);
        }
    }
    let [l1, l2, l3] = levels;
    if l1.max(l2).max(l3) == 0 {
        return None;
    }
    let l1 = if l1 > 0 { l1 } else { ASSUMED.l1 };
    let l2 = if l2 > 0 { l2 } else { l1 };
    Some(Sizes { l1, l2, l3: if l3 > 0 { l3 } else { l2 } })
}

/// `32K`, `1M` or `4096` as bytes.
fn bytes(text: &str) -> Option<usize> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'K' => (&text[..text.len() - 1], 1 << 10),
        b'M' => (&text[..text.len() - 1], 1 << 20),
        b'G' => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    digits.parse::<usize>().ok()?.checked_mul(unit)
}

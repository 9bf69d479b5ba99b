//! How long operations took: counts in buckets that are 1.6 % wide, so that a million of them take no memory.

use std::time::Duration;

/// Buckets per doubling.
const STEPS: u64 = 64;
/// From a nanosecond to 9 minutes.
const BUCKETS: usize = 64 * 34;

/// Counted times.
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    longest: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0, longest: Duration::ZERO }
    }
}

impl Histogram {
    pub(crate) fn add(&mut self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket(nanoseconds).min(BUCKETS - 1)] += 1;
        self.count += 1;
        self.longest = self.longest.max(took);
    }

    /// The time within which this share of all was done, in microseconds; 0 when there was none.
    pub(crate) fn within_us(&self, share: f64) -> f64 {
        let wanted = (self.count as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return (highest(index) as f64 / 1_000.0).min(self.longest_us());
            }
        }
        0.0
    }

    pub(crate) fn longest_us(&self) -> f64 {
        self.longest.as_secs_f64() * 1_000_000.0
    }
}

/// Linear below [`STEPS`], then as many steps in each doubling.
fn bucket(nanoseconds: u64) -> usize {
    if nanoseconds < STEPS {
        return nanoseconds as usize;
    }
    let doublings = u64::from(nanoseconds.ilog2() - STEPS.ilog2());
    ((doublings + 1) * STEPS + (nanoseconds >> doublings) - STEPS) as usize
}

/// The largest value that falls into a bucket.
fn highest(index: usize) -> u64 {
    let (octave, step) = (index as u64 / STEPS, index as u64 % STEPS);
    match octave.checked_sub(1) {
        None => step,
        Some(doublings) => ((STEPS + step + 1) << doublings) - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_falls_into_the_bucket_that_ends_just_above_it() {
        for nanoseconds in (0..70_u64).chain([127, 128, 129, 1_000_000, 2_345_678_901, 1 << 38]) {
            let index = bucket(nanoseconds);
            assert!(nanoseconds <= highest(index), "{nanoseconds}");
            assert!(index == 0 || nanoseconds > highest(index - 1), "{nanoseconds}");
            assert!(highest(index) as f64 <= (nanoseconds as f64 * (1.0 + 1.0 / 64.0)).max(nanoseconds as f64 + 1.0));
        }
    }

    #[test]
    fn percentiles_are_those_of_the_values() {
        let mut histogram = Histogram::default();
        for milliseconds in 1..=1_000 {
            histogram.add(Duration::from_millis(milliseconds));
        }

        for (share, milliseconds) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1_000.0)] {
            let found = histogram.within_us(share) / 1_000.0;
            assert!((found / milliseconds - 1.0).abs() < 0.02, "{share}: {found} ms");
        }
        assert_eq!(Histogram::default().within_us(0.99), 0.0);
    }
}

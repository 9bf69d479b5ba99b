//! What came of an order, as one line of JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::latency::Histogram;

/// What came of an order.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Answered as they should be.
    pub operations: u64,
    /// Not answered, or answered with something else, by kind.
    pub errors: BTreeMap<String, u64>,
    /// Messages and flights that were sent again.
    pub repetitions: u64,
    /// Answers that belong to no operation that runs: copies, and those that came after we had given up.
    pub strays: u64,
    /// Datagrams that the kernel did not take from us.
    pub unsent: u64,
    /// From the first operation to the last answer.
    pub duration_s: f64,
    /// From the moment an operation was due to its answer.
    pub latency_us: Latency,
}

/// Microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Latency {
    /// Half were faster.
    pub p50: f64,
    /// Nine of ten.
    pub p90: f64,
    /// All but one of a hundred.
    pub p99: f64,
    /// All but one of a thousand.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

/// A report that is being made.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) operations: u64,
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) repetitions: u64,
    pub(crate) strays: u64,
    pub(crate) unsent: u64,
    pub(crate) latency: Histogram,
}

impl Tally {
    pub(crate) fn error(&mut self, kind: &str) {
        *self.errors.entry(kind.to_owned()).or_default() += 1;
    }

    pub(crate) fn report(self, duration: Duration) -> Report {
        let latency = &self.latency;
        Report {
            latency_us: Latency {
                p50: latency.within_us(0.5),
                p90: latency.within_us(0.9),
                p99: latency.within_us(0.99),
                p999: latency.within_us(0.999),
                max: latency.longest_us(),
            },
            operations: self.operations,
            errors: self.errors,
            repetitions: self.repetitions,
            strays: self.strays,
            unsent: self.unsent,
            duration_s: duration.as_secs_f64(),
        }
    }
}

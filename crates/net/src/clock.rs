//! The two clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use gateway::Now;

/// Both clocks, read at the same moment.
pub(crate) fn now() -> Now {
    // A machine that believes in a year before 1970 tells events of 1970.
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { monotonic: Instant::now(), unix_ms: unix.as_millis() as u64 }
}

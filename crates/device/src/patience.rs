//! How long to wait before the server is tried again.

use std::time::Duration;

use crate::client::Device;
use crate::server_object;

/// Back-off after a failure: doubles from the first to the last of these. The last is the longest that a farm should wait
/// after its server came back.
pub(crate) const BACK_OFF_FIRST: Duration = Duration::from_secs(1);
pub(crate) const BACK_OFF_LAST: Duration = Duration::from_secs(60);

const DAY: Duration = Duration::from_secs(86_400);

impl Device {
    /// How long to wait before the next attempt, which is counted; None: there is none.
    pub(crate) fn back_off(&mut self) -> Option<Duration> {
        // A quarter of spread, from the seed, so that a farm does not come back in one instant.
        let spread =
            (self.config.seed.wrapping_mul(u64::from(self.failures) + 1) >> 40) as f64 / f64::from(1_u32 << 24);
        let pause = self.pause();
        self.failures = self.failures.saturating_add(1);
        pause.map(|pause| pause.mul_f64(1.0 + 0.25 * spread))
    }

    /// The same before it is spread. The Server object says it, where it says anything (Core 1.1 §E.2, resources 17 to 20).
    fn pause(&self) -> Option<Duration> {
        let said = |resource| self.tree.of_server(resource);
        let (count, timer) = (said(server_object::RETRY_COUNT), said(server_object::RETRY_TIMER));
        let (delay, sequences) = (said(server_object::SEQUENCE_DELAY), said(server_object::SEQUENCE_COUNT));
        if count.or(timer).or(delay).or(sequences).is_none() {
            return Some(BACK_OFF_FIRST.saturating_mul(1 << self.failures.min(16)).min(BACK_OFF_LAST));
        }
        let count = count.unwrap_or(5).max(1);
        let attempt = self.failures % count + 1;
        if attempt < count {
            let timer = Duration::from_secs(timer.unwrap_or(60).into());
            return Some(timer.saturating_mul(1 << (attempt - 1).min(16)).clamp(BACK_OFF_FIRST, DAY));
        }
        let is_over = self.failures / count + 1 >= sequences.unwrap_or(1);
        let delay_s = delay.filter(|delay_s| *delay_s != u32::MAX && !is_over)?;
        Some(Duration::from_secs(delay_s.into()).max(BACK_OFF_FIRST))
    }
}

//! Devices that were heard without an event: told together, now and then.

use crate::devices::DeviceIndex;
use crate::gateway::{Gateway, device_event_at};
use crate::timers::Now;

impl Gateway {
    /// An uplink of which no event told: an `awake` event will, with all that come until then.
    pub(crate) fn note_awake(&mut self, now: Now, index: DeviceIndex) {
        let Some(device) = self.directory.get_mut(index) else { return };
        if device.registration.is_some() && !std::mem::replace(&mut device.is_awake_due, true) {
            self.awake.push_back((now.monotonic + self.options.awake_every, index));
        }
    }

    pub(crate) fn tell_awake(&mut self, now: Now) {
        while let Some(&(when, index)) = self.awake.front() {
            if when > now.monotonic {
                return;
            }
            self.awake.pop_front();
            let Some(device) = self.directory.get_mut(index) else { continue };
            let is_due = std::mem::replace(&mut device.is_awake_due, false);
            let Some(registration) = device.registration.as_ref().filter(|_| is_due) else { continue };
            let mut event = device_event_at(&mut self.pages, now, device.heard_unix_ms, device, "awake");
            event.text("registration", &registration.id.text());
            match registration.expires_unix_s() {
                Some(expires_at) => event.number("expires_at", expires_at),
                None => event.fragment("\"expires_at\":null"),
            }
            event.finish();
        }
    }
}

//! Devices that came by themselves and wait for a person: they may shake hands and say where they are, and no more.

use coap::Code;

use crate::devices::DeviceIndex;
use crate::gateway::Gateway;
use crate::registrations::Claim;
use crate::reply::{Reply, Response};
use crate::timers::Now;

pub(crate) const NOT_APPROVED: &str = "nobody has approved this device yet";

impl Gateway {
    /// Whether nobody has approved the device yet.
    pub(crate) fn is_waiting(&self, index: DeviceIndex) -> bool {
        self.directory.get(index).is_some_and(|device| device.is_waiting)
    }

    /// Whoever is to approve the device wants to know where it says it is. It comes again, as clients do.
    pub(crate) fn refuse_waiting(&mut self, now: Now, index: DeviceIndex, claim: Option<&Claim>) -> Reply {
        if let Some(mut event) =
            self.refused_event(now, index, "register", Code::FORBIDDEN, "not_approved", NOT_APPROVED)
        {
            if let Some(claim) = claim {
                event.value("claim", |body| claim.write(body));
            }
            event.finish();
        }
        Reply::Now(Response { diagnostic: Some(NOT_APPROVED.into()), ..Code::FORBIDDEN.into() })
    }
}

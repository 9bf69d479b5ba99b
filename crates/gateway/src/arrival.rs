//! Devices that came by themselves. One that waits for a person may shake hands and say where it is, and no more. One that
//! open enrolment took in is a stranger until somebody makes a device of its name.

use coap::Code;

use crate::devices::DeviceIndex;
use crate::gateway::{Gateway, device_event};
use crate::registering::write_registration;
use crate::registrations::Claim;
use crate::reply::{Reply, Response};
use crate::timers::Now;

pub(crate) const NOT_APPROVED: &str = "nobody has approved this device yet";

impl Gateway {
    /// Whether nobody has approved the device yet.
    pub(crate) fn is_waiting(&self, index: DeviceIndex) -> bool {
        self.directory.get(index).is_some_and(|device| device.is_waiting)
    }

    /// A stranger has got a name: whoever follows the log learns under that name that it is registered.
    pub(crate) fn introduce(&mut self, now: Now, index: DeviceIndex) {
        let Some(device) = self.directory.get(index) else { return };
        let (Some(registration), Some(peer)) = (&device.registration, device.peer.and_then(|key| self.peers.get(key)))
        else {
            return;
        };
        let mut event = device_event(&mut self.pages, now, device, "registered");
        write_registration(&mut event, registration, peer.is_secure(), peer.address);
        event.boolean("replaced", false);
        event.fragment("\"attributes\":{},\"session\":null");
        event.finish();
        self.want_checkpoint(now, index);
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

//! How a device comes to a new proof of who it is: it asks its server for a certificate (EST, RFC 9148), in the session that
//! it has, and changes over to it. What to ask for and what to keep is its owner's business.

use std::time::Instant;

use coap::{Code, Request};

use crate::client::{Device, Phase, Ticket};
use crate::command::Credential;
use crate::event::Event;

impl Device {
    /// Asks the server something in its owner's words; `Done` follows with what was answered, its body whole.
    pub fn request(&mut self, now: Instant, number: u64, request: Request) {
        if self.is_registered() && self.kept.is_none() {
            self.ask(now, request, Ticket::Request(number));
        } else {
            self.events.push_back(Event::failed(number, "not registered"));
        }
    }

    /// Proves itself with this from now on: `Done` follows, and then a handshake and a registration. The session from
    /// before ends.
    pub fn change_credential(&mut self, now: Instant, number: u64, credential: Credential) {
        if self.bootstrap.is_some() {
            let why = "a bootstrap server says what it proves itself with";
            return self.events.push_back(Event::failed(number, why));
        }
        self.config.credential = Some(credential);
        // It was given for what the device proved itself with before: going on from it would prove that once more.
        self.resumption = None;
        self.close_session();
        self.drop_session("it changes over to another credential");
        self.events.push_back(Event::done(number, Code::CHANGED));
        if !matches!(self.phase, Phase::Off) {
            self.failures = 0;
            self.connect(now);
        }
    }
}

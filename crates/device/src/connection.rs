//! A device over a connection instead of datagrams (RFC 8323): it says when it wants one, and what comes over it goes in.

use std::time::{Duration, Instant};

use coap::{Ending, Message, Transmission};

use crate::client::Device;
use crate::transport::{Transport, milliseconds};

/// The longest that a server may keep a device away (RFC 8323 §5.5): one message must not silence it for months.
const HOLD_OFF_MAX: Duration = Duration::from_secs(3_600);

impl Device {
    /// Keeps what the next session can go on from: what the server just gave, or what it gave before.
    pub(crate) fn keep_ticket(&mut self, now: Instant) {
        let given = self.transport.as_ref().and_then(|transport| transport.ticket(milliseconds(self.origin, now)));
        self.resumption = given.or(self.resumption.take());
    }

    /// The time of day, in Unix seconds. Without a clock no certificate is valid.
    pub(crate) fn unix_s(&self, now: Instant) -> i64 {
        self.wall.map_or(0.0, |(at, unix_s)| unix_s + now.saturating_duration_since(at).as_secs_f64()) as i64
    }

    /// The connection it wants, by a number: make it, [`Device::handle_connected`] when it stands. Another number is
    /// another connection; none, or another, means that the one before is to be closed when everything has left.
    pub fn poll_connection(&self) -> Option<u64> {
        self.connection
    }

    /// The connection that it wants was made.
    pub fn handle_connected(&mut self, now: Instant) {
        // Whatever was said to the one before and did not leave.
        self.transmits.clear();
        let (mut out, now_ms) = (Vec::new(), milliseconds(self.origin, now));
        match Transport::connected(now, now_ms, self.config.credential.as_ref(), self.session_seed(), &mut out) {
            Ok(transport) => {
                self.transport = Some(transport);
                self.transmits.extend(out);
            }
            Err(why) => self.handle_closed(now, &why),
        }
    }

    /// Takes bytes from the server that came over its connection.
    pub fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
        let is_asleep = self.is_asleep(now);
        let (now_ms, unix_s) = (milliseconds(self.origin, now), self.unix_s(now));
        let Some(Transport::Connected(line)) = &mut self.transport else { return };
        let mut out = Vec::new();
        let over = line.push(now, now_ms, unix_s, bytes, &mut out);
        self.transmits.extend(Some(out).filter(|out| !out.is_empty()));
        self.take_messages(now, is_asleep);
        if let Some(why) = over {
            self.handle_closed(now, &why);
        }
    }

    fn take_messages(&mut self, now: Instant, is_asleep: bool) {
        let mut frame = Vec::new();
        while let Some(Transport::Connected(line)) = &mut self.transport {
            let (was_open, mut out) = (line.is_open(), Vec::new());
            let next = line.next_message(&mut frame, &mut out);
            let (is_open, capacity) = (line.is_open(), line.capacity());
            self.transmits.extend(Some(out).filter(|out| !out.is_empty()));
            if is_open && !was_open {
                self.requests.set_transmission(Transmission { capacity: Some(capacity), ..Transmission::default() });
                self.take_up(now);
            }
            match (next, Message::parse_frame(&frame)) {
                (Ok(true), Ok(message)) if !is_asleep => self.handle_message(now, &message),
                (Ok(true), _) => {}
                (Ok(false), _) => return,
                (Err(ending), _) => {
                    if let Ending::Released { hold_off_s } = ending {
                        self.hold_off_until = now + Duration::from_secs(u64::from(hold_off_s)).min(HOLD_OFF_MAX);
                    }
                    return self.handle_closed(now, &ending.to_string());
                }
            }
        }
    }

    /// The connection is gone, or could not be made.
    pub fn handle_closed(&mut self, now: Instant, why: &str) {
        if self.connection.is_some() {
            self.lose_connection(now, why);
        }
    }
}

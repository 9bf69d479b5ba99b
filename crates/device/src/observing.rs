//! Observations: how they begin, when their notifications leave, and what becomes of what could not be told.
//!
//! OMA LwM2M Core 1.1 §6.4, over RFC 7641.

use std::time::{Duration, Instant};

use coap::{Code, Delivery, Kind, Message, MessageBuilder, Token, blockwise, content_format};
use lwm2m::{Attributes, Path, Record, codec};

use crate::client::Device;
use crate::event::Event;
use crate::relation::{Beginning, RELATIONS_MAX, Relation, combined};
use crate::server_object;

/// Every so many notifications one is confirmable, so that a server that is gone is noticed (RFC 7641 §4.5).
const CONFIRM_EVERY: u32 = 16;

impl Device {
    /// RFC 7641 §4.1: with no room for another observer the request is answered as if it were a read.
    pub(crate) fn begin_relation(
        &mut self,
        now: Instant,
        message: &Message<'_>,
        paths: Vec<Path>,
        is_composite: bool,
        format: u16,
        records: Vec<Record>,
    ) -> Result<Option<u32>, Code> {
        // Core 1.2 §6.4.1: the request may carry attributes for this observation alone.
        let mut own = Attributes::default();
        own.apply(&message.queries().collect::<Vec<_>>()).map_err(|error| error.code())?;
        // RFC 7641 §4.4: the numbers of one token go on where they were when it is registered again.
        let before = self.relations.iter_mut().find(|relation| relation.token == message.token && !relation.is_ended());
        let number = before.map_or(u32::from(message.id), |relation| relation.sequence.next_value());
        let earlier = self.relations.iter().position(|relation| relation.is_ended() && relation.paths == paths);
        let earlier = earlier.map(|index| self.relations.swap_remove(index));
        let is_other = |relation: &Relation| relation.token != message.token && relation.paths != paths;
        self.relations.retain(|relation| relation.is_ended() || is_other(relation));
        if self.relations.len() >= RELATIONS_MAX {
            return Ok(None);
        }
        let beginning = Beginning { token: message.token, paths, is_composite, format, own };
        let mut relation = Relation::new(beginning, number, records, now);
        if let Some(earlier) = earlier {
            relation.inherit(earlier);
        }
        let number = relation.sequence.next_value();
        self.relations.push(relation);
        Ok(Some(number))
    }

    /// The attributes in force at each path of an observation, and those that it keeps time by.
    fn attributes_in_force(&self, relation: &Relation) -> (Vec<Attributes>, Attributes) {
        let members: Vec<Attributes> =
            relation.paths.iter().map(|path| relation.own.or(&self.attributes_of(path))).collect();
        let all = combined(&members);
        (members, all)
    }

    /// How many values of an observation are kept while they cannot be told. Only SenML can say when they were true.
    fn keep(&self, relation: &Relation, attributes: &Attributes) -> usize {
        let is_timed = matches!(relation.format, content_format::SENML_CBOR | content_format::SENML_JSON);
        // Core 1.1 §E.2: storing is on where the Server object says nothing.
        let is_storing = self.tree.of_server(server_object::NOTIFICATION_STORING) != Some(0);
        if is_timed && is_storing && self.wall.is_some() { attributes.hqmax.unwrap_or_default() as usize } else { 0 }
    }

    /// When an observation has to be looked at next.
    pub(crate) fn observations_due(&self) -> Option<Instant> {
        let due = |relation: &Relation| {
            let (_, all) = self.attributes_in_force(relation);
            [relation.due(&all), self.wanted_due(relation, &all)].into_iter().flatten().min()
        };
        self.relations.iter().filter_map(due).min()
    }

    /// When the owner is asked for fresh values. Core 1.1 §5.1.2, `epmax`: a value that nobody looks at by himself is
    /// looked at this often.
    fn wanted_due(&self, relation: &Relation, attributes: &Attributes) -> Option<Instant> {
        let epmax = attributes.epmax.filter(|epmax| *epmax > 0)?;
        let is_measured = self.guards.iter().any(|guard| guard.operations.read && relation.concerns(&guard.path));
        is_measured.then(|| relation.wanted_at + Duration::from_secs(u64::from(epmax)))
    }

    /// Sends the notifications that are due.
    pub(crate) fn notify(&mut self, now: Instant) {
        let mut ended = Vec::new();
        for index in 0..self.relations.len() {
            let (members, all) = self.attributes_in_force(&self.relations[index]);
            if self.wanted_due(&self.relations[index], &all).is_some_and(|due| due <= now) {
                self.relations[index].wanted_at = now;
                let wanted = self.relations[index].paths.iter().map(|path| Event::Wanted { path: *path });
                self.events.extend(wanted);
            }
            if self.relations[index].due(&all).is_none_or(|due| due > now) {
                continue;
            }
            if let Err(code) = self.notify_one(now, index, &members, &all) {
                ended.push((index, code));
            }
        }
        for (index, code) in ended.into_iter().rev() {
            self.end_relation(now, index, code);
        }
    }

    fn notify_one(&mut self, now: Instant, index: usize, members: &[Attributes], all: &Attributes) -> Result<(), Code> {
        let keep = self.keep(&self.relations[index], all);
        let relation = &mut self.relations[index];
        let records = match relation.paths.as_slice() {
            [path] if !relation.is_composite => self.tree.read(path, &self.definitions)?,
            paths => self.tree.read_composite(paths, &self.definitions),
        };
        let is_worth_it = relation.evaluate(now, &records, members, all);
        if keep == 0 {
            relation.forget_history();
        }
        let unix_s = self.wall.map(|(at, unix_s)| unix_s + now.saturating_duration_since(at).as_secs_f64());
        // What has to be acknowledged waits, too, while so much is on its way that no more can be.
        let is_held_up = relation.is_unacknowledged() || self.responses.is_full();
        if relation.is_ended() || (keep > 0 && is_held_up) {
            if let (true, Some(unix_s)) = (is_worth_it, unix_s) {
                relation.store(records, now, unix_s, keep);
            }
            return Ok(());
        }
        let carried = match unix_s {
            Some(unix_s) if keep > 0 && (is_worth_it || relation.has_history_to_tell()) => {
                relation.take_history(is_worth_it.then_some((records.as_slice(), unix_s)))
            }
            _ if is_worth_it => records.clone(),
            _ => return Ok(()),
        };
        let base = if relation.is_composite { Path::ROOT } else { relation.paths[0] };
        let format = relation.format;
        let payload = codec::encode(format, &base, &carried, &self.definitions).map_err(|_| Code::NOT_ACCEPTABLE)?;
        let is_confirmable = all.con.unwrap_or(self.tree.of_server(server_object::NOTIFICATION_MODE) == Some(1));
        self.send_notification(now, index, records, &payload, is_confirmable || keep > 0);
        Ok(())
    }

    fn send_notification(
        &mut self,
        now: Instant,
        index: usize,
        records: Vec<Record>,
        payload: &[u8],
        is_confirmable: bool,
    ) {
        let capacity = self.capacity();
        let Some(relation) = self.relations.get_mut(index) else { return };
        let (number, token, format) = (relation.sequence.next_value(), relation.token, relation.format);
        let wanted = is_confirmable || number.is_multiple_of(CONFIRM_EVERY) || relation.must_be_confirmed(now);
        // RFC 8323 §7.2: a connection confirms by itself.
        let confirm = wanted && capacity.is_none() && !self.responses.is_full();
        let id = self.requests.next_id();
        relation.note_sent(records, id, now, confirm);
        if capacity.is_some() {
            relation.note_acknowledged();
        }
        let datagram = |kind| {
            let mut builder =
                MessageBuilder::new(kind, Code::CONTENT, id, token).observe(number).content_format(format);
            if let Some(cut) = blockwise::serve_over(capacity, payload.len() as u64, None) {
                if let Some(block) = cut.block {
                    builder = builder.block2(block).etag(blockwise::etag(payload).to_vec());
                }
                builder = builder.payload(&payload[cut.range.start as usize..cut.range.end as usize]);
            }
            builder.to_bytes()
        };
        // RFC 7641 §4.5.2: while a confirmable one is on its way, a newer one waits to take its place.
        let confirmable = datagram(Kind::Confirmable);
        if self.responses.replace(&token, &confirmable) {
            return relation.note_waiting();
        }
        let mut out: Vec<Vec<u8>> = Vec::new();
        if confirm {
            let transmission = *self.requests.transmission();
            let _ = self.responses.push(now, &transmission, confirmable, token, &mut out);
        } else {
            out.push(datagram(Kind::NonConfirmable));
        }
        self.transmit(now, out);
    }

    /// What became of a confirmable notification.
    pub(crate) fn handle_delivery(&mut self, now: Instant, token: Token, delivery: Delivery) {
        let Some(index) = self.relations.iter().position(|relation| relation.token == token && !relation.is_ended())
        else {
            return;
        };
        let (_, all) = self.attributes_in_force(&self.relations[index]);
        let keep = self.keep(&self.relations[index], &all);
        match delivery {
            Delivery::Acknowledged => self.relations[index].note_acknowledged(),
            // Core 1.2 §7.3: an observation that keeps values outlives a server that cannot be reached. Whether it is one
            // is asked at once.
            Delivery::TimedOut if keep > 0 => {
                self.relations[index].note_timed_out(keep);
                self.update(now, None);
            }
            // RFC 7641 §3.6: a server that rejects a notification, or never acknowledges it, is no observer any more.
            Delivery::Reset | Delivery::TimedOut => {
                self.relations.remove(index);
            }
        }
    }

    /// The registration is over, and so are its observations; those that keep values go on doing so.
    pub(crate) fn end_relations(&mut self) {
        for index in (0..self.relations.len()).rev() {
            let (_, all) = self.attributes_in_force(&self.relations[index]);
            match self.keep(&self.relations[index], &all) {
                0 => {
                    self.relations.remove(index);
                }
                keep => self.relations[index].end(keep),
            }
        }
    }

    /// RFC 7641 §4.2: what can be observed no longer is said so with an error code, and that is the last of it.
    pub(crate) fn end_relation(&mut self, now: Instant, index: usize, code: Code) {
        let relation = self.relations.remove(index);
        if relation.is_ended() {
            return;
        }
        self.responses.cancel(&relation.token);
        let message = MessageBuilder::new(Kind::NonConfirmable, code, self.requests.next_id(), relation.token);
        self.transmit(now, vec![message.to_bytes()]);
    }
}

//! Observations: derived from what we want of a device, begun anew after each Register, matched by their token.

use std::sync::Arc;

use coap::Code;
use coap::exchange::{Answered, Begun};
use coap::message::{Kind, Message, Token};
use coap::observe::Order;
use lwm2m::{Attributes, Path, PathError};

use crate::command::DeviceEntry;
use crate::conclusions::unix_s;
use crate::devices::{DeviceIndex, Profile};
use crate::dialog::{Errand, Task};
use crate::error::EntryError;
use crate::gateway::{Gateway, device_event};
use crate::limits::{OBSERVATIONS_PER_DEVICE_MAX, RESTS_PER_DEVICE_MAX};
use crate::peers::PeerKey;
use crate::registrations::Objects;
use crate::timers::Now;
use crate::uplink::HeldAnswer;

/// A path whose instance may be `*`: every one that the device registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// With instance 0 in place of the `*`.
    path: Path,
    has_any_instance: bool,
}

impl Pattern {
    pub(crate) fn parse(text: &str) -> Result<Self, PathError> {
        // The parts of `/3303/*/5700` are "", "3303", "*" and "5700".
        let has_any_instance = text.split('/').nth(2) == Some("*");
        let path = if has_any_instance { Path::parse(&text.replacen('*', "0", 1)) } else { Path::parse(text) };
        Ok(Self { path: path?, has_any_instance })
    }

    /// The paths it means on a device with these objects.
    pub(crate) fn expand(&self, objects: &Objects) -> Vec<Path> {
        if !self.has_any_instance {
            return Some(self.path).filter(|path| objects.covers(path)).into_iter().collect();
        }
        let registered = objects.list.iter().map(|(path, _)| *path);
        let instances = registered.filter(|path| path.depth() == 2 && path.object == self.path.object);
        instances.map(|path| Path { instance: path.instance, ..self.path }).collect()
    }
}

/// What to observe, and when the device should report.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Intent {
    pattern: Pattern,
    /// As in `pmin=10&pmax=60`; empty for none.
    attributes: Arc<str>,
}

impl Intent {
    pub(crate) fn parse(path: &str, attributes: &str) -> Result<Self, EntryError> {
        let pattern = Pattern::parse(path).map_err(|error| EntryError::Path { path: path.to_owned(), error })?;
        let queries: Vec<&[u8]> = queries_of(attributes).map(str::as_bytes).collect();
        Attributes::default().apply(&queries).map_err(|error| {
            let attributes = attributes.to_owned();
            EntryError::Attributes { attributes, error }
        })?;
        Ok(Self { pattern, attributes: attributes.into() })
    }

    /// All that an entry wants observed.
    pub(crate) fn parse_all(entry: &DeviceEntry) -> Result<Vec<Self>, EntryError> {
        entry.observe.iter().map(|(path, attributes)| Self::parse(path, attributes)).collect()
    }
}

fn queries_of(attributes: &str) -> impl Iterator<Item = &str> {
    attributes.split('&').filter(|query| !query.is_empty())
}

fn name_of(query: &str) -> &str {
    query.split_once('=').map_or(query, |(name, _)| name)
}

impl Profile {
    /// The paths to observe on a device with these objects, each once, with its attributes.
    fn wanted(&self, objects: &Objects) -> Vec<(Path, Arc<str>)> {
        let mut wanted: Vec<(Path, Arc<str>)> = Vec::new();
        for intent in &self.intents {
            for path in intent.pattern.expand(objects) {
                if wanted.len() < OBSERVATIONS_PER_DEVICE_MAX && !wanted.iter().any(|(other, _)| *other == path) {
                    wanted.push((path, Arc::clone(&intent.attributes)));
                }
            }
        }
        wanted
    }
}

/// One observation that a device holds for us.
pub(crate) struct Observation {
    pub(crate) path: Path,
    token: Token,
    order: Order,
    /// Those that the device accepted.
    attributes: Arc<str>,
    /// The caller began it; it ends with the registration.
    is_asked: bool,
}

impl Observation {
    pub(crate) fn token(&self) -> Token {
        self.token
    }
}

/// An observation that is to begin.
pub(crate) struct Wish {
    pub(crate) path: Path,
    attributes: Arc<str>,
    /// Attributes that are still to be written, and those to be taken back.
    pub(crate) queries: Vec<String>,
    /// The device accepted the attributes.
    pub(crate) has_set: bool,
}

impl Wish {
    fn new(path: Path, attributes: Arc<str>, before: &str) -> Self {
        let mut queries: Vec<String> = queries_of(&attributes).map(str::to_owned).collect();
        // OMA LwM2M Core 1.1 §6.3.4: a name without a value takes the attribute back.
        let gone = queries_of(before)
            .map(name_of)
            .filter(|name| !queries_of(&attributes).any(|query| name_of(query) == *name));
        queries.extend(gone.map(str::to_owned).collect::<Vec<_>>());
        Self { path, attributes, queries, has_set: false }
    }
}

/// What an observation begins with.
pub(crate) struct Terms {
    path: Path,
    /// None: as they are.
    attributes: Option<Arc<str>>,
    is_asked: bool,
}

impl Terms {
    pub(crate) fn asked(path: Path) -> Self {
        Self { path, attributes: None, is_asked: true }
    }

    pub(crate) fn wished(wish: &Wish) -> Self {
        let attributes = if wish.has_set { Arc::clone(&wish.attributes) } else { "".into() };
        Self { path: wish.path, attributes: Some(attributes), is_asked: false }
    }
}

/// A notification whose first block is here.
pub(crate) struct Rest {
    pub(crate) path: Path,
    pub(crate) begun: Begun,
    /// Its acknowledgement.
    held: HeldAnswer,
}

impl Gateway {
    /// Brings what a device observes for us to what we want: after each Register, and when either changed.
    pub(crate) fn reconcile(&mut self, _now: Now, index: DeviceIndex) {
        let Some(device) = self.directory.get(index) else { return };
        let Some(registration) = device.registration.as_ref().filter(|registration| registration.is_told) else {
            return;
        };
        let wanted = device.profile.wanted(&registration.objects);
        if wanted.is_empty() && device.dialog.is_none() {
            return;
        }
        let Some(dialog) = self.dialog(index) else { return };
        dialog.errands.retain(|task| !matches!(task.errand, Errand::Observe(_) | Errand::Cancel(_)));
        for observation in &dialog.observations {
            if !observation.is_asked && !wanted.iter().any(|(path, _)| *path == observation.path) {
                dialog.errands.push_back(Errand::Cancel(observation.path).into());
            }
        }
        for (path, attributes) in wanted {
            let is_on_its_way = matches!(
                dialog.under_way().map(|task| &task.errand),
                Some(Errand::Observe(wish)) if wish.path == path && wish.attributes == attributes
            );
            let known = dialog.observations.iter_mut().find(|observation| observation.path == path);
            let before = known.map_or_else(String::new, |observation| {
                observation.is_asked = false;
                observation.attributes.to_string()
            });
            let is_known = dialog.observations.iter().any(|observation| observation.path == path);
            if is_on_its_way || (is_known && before == *attributes) {
                continue;
            }
            dialog.errands.push_back(Errand::Observe(Wish::new(path, attributes, &before)).into());
        }
    }

    /// Cancels what we stopped wanting while it began.
    pub(crate) fn drop_unwanted(&mut self, index: DeviceIndex, path: &Path) {
        let Some(device) = self.directory.get_mut(index) else { return };
        let Some(registration) = &device.registration else { return };
        let is_wanted = device.profile.wanted(&registration.objects).iter().any(|(wanted, _)| wanted == path);
        if let Some(dialog) = device.dialog.as_mut().filter(|_| !is_wanted) {
            dialog.errands.push_back(Errand::Cancel(*path).into());
        }
    }

    /// The device accepted an observation, or answered it as if it were a read.
    pub(crate) fn begin_observation(&mut self, now: Now, index: DeviceIndex, terms: &Terms, answered: &Answered) {
        let Some(dialog) = self.dialog(index) else { return };
        let at = dialog.observations.iter().position(|observation| observation.path == terms.path);
        let has_room = at.is_some() || dialog.observations.len() < OBSERVATIONS_PER_DEVICE_MAX;
        // RFC 7641 §4.1: a device that will not notify answers without the option. One that would, but is one too many
        // for us, is told with a reset when it notifies.
        let sequence = answered.observe.filter(|_| has_room);
        let former = at.map(|at| dialog.observations.swap_remove(at));
        let Some(sequence) = sequence else {
            self.note_observation(now, index, &terms.path, "refused", Some(answered.code), "");
            self.note_values(now, index, "read", &terms.path, answered.content_format, &answered.payload);
            return;
        };
        let mut order = Order::new();
        order.accept(now.monotonic, sequence);
        let kept = former.as_ref().map_or_else(|| "".into(), |former| Arc::clone(&former.attributes));
        let observation = Observation {
            path: terms.path,
            token: answered.token,
            order,
            attributes: terms.attributes.clone().unwrap_or(kept),
            is_asked: terms.is_asked && former.is_none_or(|former| former.is_asked),
        };
        let attributes = Arc::clone(&observation.attributes);
        dialog.observations.push(observation);
        self.note_observation(now, index, &terms.path, "established", Some(answered.code), &attributes);
        self.note_values(now, index, "notify", &terms.path, answered.content_format, &answered.payload);
    }

    /// We ended an observation.
    pub(crate) fn end_observation(&mut self, now: Now, index: DeviceIndex, path: &Path, code: Code) {
        self.forget_observation(index, path);
        self.note_observation(now, index, path, "cancelled", Some(code), "");
    }

    /// The device did not want to be observed.
    pub(crate) fn end_refused(&mut self, now: Now, index: DeviceIndex, path: &Path, code: Code) {
        self.forget_observation(index, path);
        self.note_observation(now, index, path, "refused", Some(code), "");
    }

    /// The device ended an observation, or does not answer.
    pub(crate) fn lose_observation(&mut self, now: Now, index: DeviceIndex, path: &Path, code: Option<Code>) {
        self.forget_observation(index, path);
        self.note_observation(now, index, path, "lost", code, "");
    }

    pub(crate) fn forget_observation(&mut self, index: DeviceIndex, path: &Path) {
        if let Some(dialog) = self.directory.get_mut(index).and_then(|device| device.dialog.as_mut()) {
            dialog.observations.retain(|observation| observation.path != *path);
        }
    }

    /// A Register ends what was observed before. What we want begins anew; what the caller asked for does not.
    pub(crate) fn lose_observations(&mut self, now: Now, index: DeviceIndex) {
        let Some(dialog) = self.directory.get_mut(index).and_then(|device| device.dialog.as_mut()) else { return };
        for observation in std::mem::take(&mut dialog.observations) {
            if observation.is_asked {
                self.note_observation(now, index, &observation.path, "lost", None, "");
            }
        }
    }

    /// A notification; false if it is of no observation of ours.
    pub(crate) fn take_notification(
        &mut self,
        now: Now,
        index: DeviceIndex,
        key: PeerKey,
        message: &Message<'_>,
    ) -> bool {
        let Some(device) = self.directory.get_mut(index) else { return false };
        let partition = device.partition;
        let Some(dialog) = device.dialog.as_mut() else { return false };
        // RFC 7641 §3.2: by endpoint and token. The endpoint is the device: over DTLS its credential, so that an
        // observation survives a new session.
        let mut observations = dialog.observations.iter_mut();
        let Some(observation) = observations.find(|observation| observation.token == message.token) else {
            return false;
        };
        if self.pages.is_full() {
            // Not acknowledged: a confirmable one comes again.
            self.stats.busy += 1;
            return true;
        }
        let path = observation.path;
        let held = HeldAnswer::notification(key, message);
        let sequence = message.observe().filter(|_| message.code.is_success());
        if sequence.is_some_and(|sequence| !observation.order.accept(now.monotonic, sequence)) {
            self.stats.notify_late += 1;
            self.acknowledge_notification(now, &held, true);
            return true;
        }
        self.stats.notify += 1;
        if let Some(begun) = Begun::of(message).filter(|_| sequence.is_some()) {
            self.await_rest(now, index, Rest { path, begun, held });
            return true;
        }
        let has_values = message.code.is_success()
            && self.note_values(now, index, "notify", &path, message.content_format(), message.payload);
        if sequence.is_none() {
            // RFC 7641 §3.2 and §4.2: an error, or an answer without the option, is the last one.
            self.lose_observation(now, index, &path, Some(message.code));
        }
        if has_values || sequence.is_none() {
            self.hold_notification(now, partition, held);
        } else {
            self.acknowledge_notification(now, &held, true);
        }
        true
    }

    /// Acknowledges a notification when its event is in the log.
    fn hold_notification(&mut self, now: Now, partition: u32, held: HeldAnswer) {
        if held.is_confirmable {
            self.hold(now, partition, held);
        }
    }

    /// The rest of a notification is to be fetched before it is acknowledged.
    fn await_rest(&mut self, now: Now, index: DeviceIndex, rest: Rest) {
        let held = rest.held;
        let Some(dialog) = self.dialog(index) else { return };
        // RFC 7641 §3.5: a newer notification makes an older one's blocks worthless.
        let is_outdated = |task: &Task| matches!(&task.errand, Errand::Rest(older) if older.path == rest.path);
        dialog.errands.retain(|task| !is_outdated(task));
        let waiting = dialog.errands.iter().filter(|task| matches!(task.errand, Errand::Rest(_))).count();
        if waiting >= RESTS_PER_DEVICE_MAX {
            self.lose_rest(now, &rest);
            return;
        }
        dialog.errands.push_front(Errand::Rest(Box::new(rest)).into());
        if held.is_confirmable
            && let Some(peer) = self.peers.get_mut(held.peer)
        {
            peer.answers.pending(now.monotonic, held.id, held.token);
        }
    }

    /// A notification is whole now.
    pub(crate) fn conclude_rest(&mut self, now: Now, index: DeviceIndex, rest: Rest, answered: &Answered) {
        let Some(partition) = self.directory.get(index).map(|device| device.partition) else { return };
        if self.note_values(now, index, "notify", &rest.path, answered.content_format, &answered.payload) {
            self.hold_notification(now, partition, rest.held);
        } else {
            self.acknowledge_notification(now, &rest.held, true);
        }
    }

    /// A notification that never became whole: not acknowledged, so that a confirmable one comes again.
    pub(crate) fn lose_rest(&mut self, now: Now, rest: &Rest) {
        self.stats.notify_broken += 1;
        self.want_again(now, &rest.held);
    }

    /// Takes a copy of a notification as if it were the first: the one we had could not be kept.
    pub(crate) fn want_again(&mut self, now: Now, held: &HeldAnswer) {
        let Some(peer) = self.peers.get_mut(held.peer) else { return };
        if held.is_confirmable {
            // An empty answer stands for none: see `is_copy`.
            peer.answers.answered(now.monotonic, held.id, held.token, &[]);
        }
        let device = peer.device.and_then(|index| self.directory.get_mut(index));
        let Some(dialog) = device.and_then(|device| device.dialog.as_mut()) else { return };
        let mut observations = dialog.observations.iter_mut();
        if let Some(observation) = observations.find(|observation| observation.token == held.token) {
            observation.order = Order::new();
        }
    }

    /// Tells the values of a payload, or that it could not be read; false if there was nothing to tell.
    fn note_values(
        &mut self,
        now: Now,
        index: DeviceIndex,
        via: &str,
        path: &Path,
        format: Option<u16>,
        payload: &[u8],
    ) -> bool {
        let Some(device) = self.directory.get(index) else { return false };
        let format = format.unwrap_or(coap::content_format::TEXT_PLAIN);
        let definitions = device.definitions(&self.definitions);
        let mut event = device_event(&mut self.pages, now, device, "readings");
        event.text("via", via);
        if via == "notify" {
            event.text("path", &path.to_string());
        }
        let body = event.body();
        body.extend_from_slice(b",\"readings\":[");
        match lwm2m::codec::readings_json(format, path, payload, unix_s(now), definitions, body) {
            Ok(0) => false,
            Ok(_) => {
                event.body().push(b']');
                event.finish();
                true
            }
            Err(error) => {
                drop(event);
                self.note_refused(now, index, via, error.code(), "payload_invalid", &error.to_string());
                true
            }
        }
    }
}

impl HeldAnswer {
    /// The acknowledgement of a notification, if it wants one.
    fn notification(peer: PeerKey, message: &Message<'_>) -> Self {
        Self {
            peer,
            id: message.id,
            token: message.token,
            is_confirmable: message.kind == Kind::Confirmable,
            is_acknowledged: false,
            code: Code::EMPTY,
            location: None,
            block1: None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on should stop
    use super::*;

    fn path(text: &str) -> Path {
        Path::parse(text).unwrap()
    }

    fn objects(paths: &[&str]) -> Objects {
        Objects::of_paths(paths.iter().map(|text| (path(text), None)).collect(), lwm2m::Definitions::embedded())
    }

    fn expanded(pattern: &str, registered: &[&str]) -> Vec<String> {
        let paths = Pattern::parse(pattern).unwrap().expand(&objects(registered));
        paths.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_asterisk_means_every_registered_instance() {
        let registered = ["/1/0", "/3/0", "/3303/0", "/3303/7", "/3304"];

        assert_eq!(expanded("/3303/*/5700", &registered), ["/3303/0/5700", "/3303/7/5700"]);
        assert_eq!(expanded("/3303/*", &registered), ["/3303/0", "/3303/7"]);
        assert!(expanded("/3304/*/5700", &registered).is_empty(), "an object without instances has none to observe");
    }

    #[test]
    fn a_plain_path_counts_only_if_it_is_registered() {
        let registered = ["/3/0", "/3304"];

        assert_eq!(expanded("/3/0/9", &registered), ["/3/0/9"]);
        assert_eq!(expanded("/3304/2/5700", &registered), ["/3304/2/5700"]);
        assert!(expanded("/3303/0/5700", &registered).is_empty());
    }

    #[test]
    fn an_asterisk_stands_for_an_instance_and_nothing_else() {
        for wrong in ["/*", "/*/0/1", "/*/*/1", "/3303/0/*", "/3303/*/*", "/3303/**", "3303/*"] {
            assert!(Pattern::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn attributes_that_make_no_sense_are_refused() {
        assert!(Intent::parse("/3303/*/5700", "pmin=10&pmax=60").is_ok());
        for wrong in ["pmin=much", "often=1", "gt=1&lt=2"] {
            assert!(matches!(Intent::parse("/3303/*/5700", wrong), Err(EntryError::Attributes { .. })), "{wrong}");
        }
    }

    #[test]
    fn attributes_that_are_not_wanted_any_more_are_taken_back() {
        let wish = Wish::new(path("/3303/0/5700"), "pmax=60&st=1".into(), "pmin=5&pmax=30");

        assert_eq!(wish.queries, ["pmax=60", "st=1", "pmin"]);
    }
}

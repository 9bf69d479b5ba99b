//! Observations: derived from what we want of a device, begun anew after each Register, matched by their token.

use std::sync::Arc;

use coap::Code;
use coap::exchange::{Answered, Begun};
use coap::message::{Kind, Message, Token};
use coap::observe::Order;
use lwm2m::{Attributes, Links, Path, Version};

use crate::composite::lacks;
use crate::conclusions::unix_s;
use crate::content::records_of;
use crate::devices::DeviceIndex;
use crate::dialog::{Errand, Task};
use crate::formats::Refused;
use crate::gateway::{Gateway, device_event};
use crate::intent::{Goal, Target, Wish, name_of, queries_of};
use crate::limits::{OBSERVATIONS_PER_DEVICE_MAX, RESTS_PER_DEVICE_MAX};
use crate::peers::PeerKey;
use crate::reply::HeldAnswer;
use crate::timers::Now;

/// One observation that a device holds for us.
pub(crate) struct Observation {
    pub(crate) target: Target,
    pub(crate) token: Token,
    pub(crate) order: Order,
    /// Those that the device accepted.
    pub(crate) attributes: Arc<str>,
    /// The caller began it; it ends with the registration.
    pub(crate) is_asked: bool,
    /// Its attributes travelled with the request, and Discover does not show them.
    pub(crate) in_request: bool,
}

impl Observation {
    pub(crate) fn token(&self) -> Token {
        self.token
    }
}

/// What an observation begins with.
pub(crate) struct Terms {
    target: Target,
    /// None: as they are.
    attributes: Option<Arc<str>>,
    is_asked: bool,
    /// Its attributes travelled with the request.
    in_request: bool,
}

impl Terms {
    pub(crate) fn asked(target: Target) -> Self {
        Self { target, attributes: None, is_asked: true, in_request: false }
    }

    pub(crate) fn wished(wish: &Wish) -> Self {
        let attributes = if wish.has_set { Arc::clone(&wish.attributes) } else { "".into() };
        Self {
            target: wish.target.clone(),
            attributes: Some(attributes),
            is_asked: false,
            in_request: !wish.queries.is_empty(),
        }
    }
}

/// A notification whose first block is here.
pub(crate) struct Rest {
    pub(crate) target: Target,
    pub(crate) begun: Begun,
    /// Its acknowledgement.
    held: HeldAnswer,
}

impl Gateway {
    /// Brings what a device observes for us to what we want: after each Register, and when either changed.
    pub(crate) fn reconcile(&mut self, _now: Now, index: DeviceIndex) {
        let Some((goals, version)) = self.goals(index) else { return };
        if goals.is_empty() && self.directory.get(index).is_none_or(|device| device.dialog.is_none()) {
            return;
        }
        let Some(dialog) = self.dialog(index) else { return };
        dialog.errands.retain(|task| !matches!(task.errand, Errand::Observe(_) | Errand::Cancel(_)));
        for observation in &dialog.observations {
            if !observation.is_asked && !goals.iter().any(|(target, _)| *target == observation.target) {
                dialog.errands.push_back(Errand::Cancel(observation.target.clone()).into());
            }
        }
        for goal in goals {
            let is_refused = dialog.goals_refused.contains(&goal);
            let (target, attributes) = goal;
            let is_on_its_way = matches!(
                dialog.under_way().map(|task| &task.errand),
                Some(Errand::Observe(wish)) if wish.target == target && wish.attributes == attributes
            );
            let known = dialog.observations.iter_mut().find(|observation| observation.target == target);
            let is_as_wanted = known.is_some_and(|observation| {
                observation.is_asked = false;
                observation.attributes == attributes
            });
            if is_on_its_way || is_as_wanted || is_refused {
                continue;
            }
            let wish = if travels_with_request(version, &target, &attributes) {
                Wish::in_request(target, attributes)
            } else {
                let observations = &dialog.observations;
                Wish::new(target, attributes, |path| attributes_at(observations, path))
            };
            dialog.errands.push_back(Errand::Observe(wish).into());
        }
    }

    /// What to observe on a device that is registered, and the version it speaks.
    fn goals(&self, index: DeviceIndex) -> Option<(Vec<Goal>, Version)> {
        let device = self.directory.get(index)?;
        let registration = device.registration.as_ref().filter(|registration| registration.is_told)?;
        let has_composite = device.composite_format(lacks::OBSERVE | lacks::THIS_GROUP, Refused::default()).is_some();
        let goals = device.profile.goals(registration.version, &registration.objects, has_composite);
        Some((goals, registration.version))
    }

    /// Cancels what we stopped wanting while it began.
    pub(crate) fn drop_unwanted(&mut self, index: DeviceIndex, target: &Target) {
        let Some((goals, _)) = self.goals(index) else { return };
        let is_wanted = goals.iter().any(|(wanted, _)| match target {
            // A path of a group that went one by one is wanted, too.
            Target::Single(path) => wanted.paths().contains(path),
            Target::Composite(_) => wanted == target,
        });
        if let Some(dialog) = self.dialog(index).filter(|_| !is_wanted) {
            dialog.errands.push_back(Errand::Cancel(target.clone()).into());
        }
    }

    /// The device does not want what we want, or not with these attributes: asking again would be answered alike.
    pub(crate) fn note_goal_refused(&mut self, index: DeviceIndex, wish: &Wish) {
        let Some(dialog) = self.dialog(index) else { return };
        dialog.goals_refused.retain(|(target, _)| *target != wish.target);
        if dialog.goals_refused.len() < OBSERVATIONS_PER_DEVICE_MAX {
            dialog.goals_refused.push((wish.target.clone(), Arc::clone(&wish.attributes)));
        }
    }

    /// What it refused it may want now.
    pub(crate) fn forget_goals_refused(&mut self, index: DeviceIndex) {
        if let Some(dialog) = self.directory.get_mut(index).and_then(|device| device.dialog.as_mut()) {
            dialog.goals_refused.clear();
        }
    }

    /// The device accepted an observation, or answered it as if it were a read.
    pub(crate) fn begin_observation(&mut self, now: Now, index: DeviceIndex, terms: &Terms, answered: &Answered) {
        let Some(dialog) = self.dialog(index) else { return };
        let at = dialog.observations.iter().position(|observation| observation.target == terms.target);
        let has_room = at.is_some() || dialog.observations.len() < OBSERVATIONS_PER_DEVICE_MAX;
        // RFC 7641 §4.1: a device that will not notify answers without the option. One that would, but is one too many
        // for us, is told with a reset when it notifies.
        let sequence = answered.observe.filter(|_| has_room);
        let former = at.map(|at| dialog.observations.swap_remove(at));
        let Some(sequence) = sequence else {
            self.note_observation(now, index, &terms.target, "refused", Some(answered.code), "");
            self.note_values(now, index, "read", &terms.target, answered.content_format, &answered.payload);
            return;
        };
        let mut order = Order::new();
        order.accept(now.monotonic, sequence);
        let kept = former.as_ref().map_or_else(|| "".into(), |former| Arc::clone(&former.attributes));
        let observation = Observation {
            target: terms.target.clone(),
            token: answered.token,
            order,
            attributes: terms.attributes.clone().unwrap_or(kept),
            is_asked: terms.is_asked && former.as_ref().is_none_or(|former| former.is_asked),
            in_request: terms.in_request
                || (terms.attributes.is_none() && former.is_some_and(|former| former.in_request)),
        };
        let attributes = Arc::clone(&observation.attributes);
        dialog.observations.push(observation);
        // A path that it has not, or does not show, is left out without a word.
        let (reported, left_out) = self.shared_out(now, index, &terms.target, answered);
        self.note_observation(now, index, &reported, "established", Some(answered.code), &attributes);
        for path in left_out {
            self.note_observation(now, index, &Target::Single(path), "refused", Some(answered.code), "");
        }
        self.note_values(now, index, "notify", &terms.target, answered.content_format, &answered.payload);
    }

    /// What a device reports of several paths, by its first answer, and what it does not.
    fn shared_out(&self, now: Now, index: DeviceIndex, target: &Target, answered: &Answered) -> (Target, Vec<Path>) {
        let records = records_of(&Path::ROOT, answered, unix_s(now), self.definitions_of(index));
        match (target, records) {
            (Target::Composite(paths), Ok(records)) => {
                let is_there = |path: &Path| records.iter().any(|record| path.contains(&record.path));
                let (there, left_out): (Vec<Path>, Vec<Path>) = paths.iter().partition(|path| is_there(path));
                (Target::composite(&there), left_out)
            }
            _ => (target.clone(), Vec::new()),
        }
    }

    /// Tells where the attributes that a device says it has are not those that we set (OMA LwM2M Core 1.1 §6.3.2).
    pub(crate) fn note_drift(&mut self, now: Now, index: DeviceIndex, links: &Links) {
        let Some(dialog) = self.directory.get(index).and_then(|device| device.dialog.as_ref()) else { return };
        let mut drifted = Vec::new();
        let is_ours = |observation: &&Observation| !observation.is_asked && !observation.in_request;
        for observation in dialog.observations.iter().filter(is_ours) {
            let mut ours = Attributes::default();
            let queries: Vec<&[u8]> = queries_of(&observation.attributes).map(str::as_bytes).collect();
            if ours.apply(&queries).is_err() {
                continue;
            }
            for link in links.objects.iter().filter(|link| observation.target.paths().contains(&link.path)) {
                let there = Attributes::of_link(&link.attributes);
                if there.as_ref() != Ok(&ours) {
                    let there = there.map(|there| there.to_queries().join("&")).unwrap_or_default();
                    drifted.push((link.path, there));
                }
            }
        }
        for (path, attributes) in drifted {
            self.note_observation(now, index, &Target::Single(path), "drifted", None, &attributes);
        }
    }

    /// We ended an observation.
    pub(crate) fn end_observation(&mut self, now: Now, index: DeviceIndex, target: &Target, code: Code) {
        self.forget_observation(index, target);
        self.note_observation(now, index, target, "cancelled", Some(code), "");
    }

    /// The device did not want to be observed.
    pub(crate) fn end_refused(&mut self, now: Now, index: DeviceIndex, target: &Target, code: Code) {
        self.forget_observation(index, target);
        self.note_observation(now, index, target, "refused", Some(code), "");
    }

    /// The device ended an observation, or does not answer.
    pub(crate) fn lose_observation(&mut self, now: Now, index: DeviceIndex, target: &Target, code: Option<Code>) {
        self.forget_observation(index, target);
        self.note_observation(now, index, target, "lost", code, "");
    }

    pub(crate) fn forget_observation(&mut self, index: DeviceIndex, target: &Target) {
        if let Some(dialog) = self.directory.get_mut(index).and_then(|device| device.dialog.as_mut()) {
            dialog.observations.retain(|observation| observation.target != *target);
        }
    }

    /// A Register ends what was observed before. What we want begins anew; what the caller asked for does not.
    pub(crate) fn lose_observations(&mut self, now: Now, index: DeviceIndex) {
        let Some(dialog) = self.directory.get_mut(index).and_then(|device| device.dialog.as_mut()) else { return };
        dialog.goals_refused.clear();
        for observation in std::mem::take(&mut dialog.observations) {
            if observation.is_asked {
                self.note_observation(now, index, &observation.target, "lost", None, "");
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
            // Not acknowledged: a confirmable one comes again. Over a connection nothing does, but what is observed anew
            // over the next one.
            self.stats.busy += 1;
            if message.kind == Kind::Reliable {
                self.let_go(now, key);
            }
            return true;
        }
        let target = observation.target.clone();
        if message.response_rejection().is_some() {
            // RFC 7252 §5.4.1: rejected, and the reset ends the observation.
            self.lose_observation(now, index, &target, None);
            return false;
        }
        let held = HeldAnswer::notification(key, message);
        let sequence = message.observe().filter(|_| message.code.is_success());
        // RFC 8323 §7.1: over a connection they come in order, and their numbers mean nothing.
        let is_ordered = message.kind == Kind::Reliable;
        if !is_ordered && sequence.is_some_and(|sequence| !observation.order.accept(now.monotonic, sequence)) {
            self.stats.notify_late += 1;
            self.acknowledge_notification(now, &held, true);
            return true;
        }
        self.stats.notify += 1;
        if let Some(begun) = Begun::of(message).filter(|_| sequence.is_some()) {
            self.await_rest(now, index, Rest { target, begun, held });
            return true;
        }
        let has_values = message.code.is_success()
            && self.note_values(now, index, "notify", &target, message.content_format(), message.payload);
        if sequence.is_none() {
            // RFC 7641 §3.2 and §4.2: an error, or an answer without the option, is the last one.
            self.lose_observation(now, index, &target, Some(message.code));
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
        let is_outdated = |task: &Task| matches!(&task.errand, Errand::Rest(older) if older.target == rest.target);
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
        if self.note_values(now, index, "notify", &rest.target, answered.content_format, &answered.payload) {
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
        target: &Target,
        format: Option<u16>,
        payload: &[u8],
    ) -> bool {
        let Some(device) = self.directory.get(index) else { return false };
        let format = format.unwrap_or(coap::content_format::TEXT_PLAIN);
        let definitions = device.definitions(&self.definitions);
        let mut event = device_event(&mut self.pages, now, device, "readings");
        event.text("via", via);
        if via == "notify" {
            match target {
                Target::Single(path) => event.text("path", &path.to_string()),
                Target::Composite(paths) => event.value("paths", |body| write_paths(body, paths)),
            }
        }
        let body = event.body();
        body.extend_from_slice(b",\"readings\":[");
        match lwm2m::codec::readings_json(format, &target.base(), payload, unix_s(now), definitions, body) {
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

/// The attributes that we set at a path, so far as we know.
fn attributes_at(observations: &[Observation], path: &Path) -> Option<Arc<str>> {
    let mut there = observations.iter().filter(|observation| !observation.in_request);
    let found = there.find(|observation| observation.target.paths().contains(path))?;
    Some(Arc::clone(&found.attributes))
}

/// Whether the attributes go with the request to observe (OMA LwM2M Core 1.2 §6.4.1): a message less for every path.
/// Conditions on single values mean nothing for several paths at once.
fn travels_with_request(version: Version, target: &Target, attributes: &str) -> bool {
    let is_for_all = |query: &str| matches!(name_of(query), "pmin" | "pmax" | "epmin" | "epmax" | "con");
    version >= Version::V1_2
        && !attributes.is_empty()
        && (!target.is_composite() || queries_of(attributes).all(is_for_all))
}

fn write_paths(body: &mut Vec<u8>, paths: &[Path]) {
    for (number, path) in paths.iter().enumerate() {
        body.extend_from_slice(if number == 0 { b"[\"" } else { b",\"" });
        path.write(body);
        body.push(b'"');
    }
    body.push(b']');
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

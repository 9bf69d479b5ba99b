//! We speak first: what waits for a device, and the one exchange that is under way with it.

use std::collections::VecDeque;
use std::sync::Arc;

use coap::exchange::{Handled, Request as CoapRequest};
use coap::message::Token;
use coap::{Message, Transmission, observe};
use lwm2m::Path;

use crate::command::{Answer, Operation, Outcome, Request};
use crate::composite::paths_of;
use crate::devices::{Device, DeviceIndex};
use crate::dialog::{Asked, Dialog, Errand, Task, UnderWay};
use crate::formats::{Choose, Content, Refused, choose};
use crate::gateway::Gateway;
use crate::intent::Target;
use crate::limits::{OBSERVATIONS_PER_DEVICE_MAX, SENDINGS_MAX, WAITING_MAX, WAITING_PER_DEVICE_MAX};
use crate::observations::Observation;
use crate::operation::Manner;
use crate::peers::{Peer, PeerKey};
use crate::registrations::is_awake;
use crate::sessions::post;
use crate::timers::{Now, Timer};

impl Gateway {
    /// Asks a device something. [`Gateway::poll_answer`] tells what becomes of it: [`Outcome::Sent`] once when it leaves
    /// for the first time, then one final outcome. One whose id is known already is the same one, and asked once.
    pub fn submit(&mut self, now: Now, request: Request) {
        if self.asked.contains_key(&request.id) {
            return;
        }
        self.stats.requests += 1;
        if let Err(answer) = self.take_in(now, request) {
            self.answers.push_back(answer);
        }
    }

    fn take_in(&mut self, now: Now, request: Request) -> Result<(), Answer> {
        let id = request.id;
        self.check_interface(now, &request)?;
        let Some(index) = self.directory.by_id(&request.device) else {
            return Err(Answer::of(id, Outcome::Unregistered));
        };
        let Some(device) = self.directory.get(index) else { return Err(Answer::of(id, Outcome::Unregistered)) };
        if device.registration.is_none() && !request.wait_for_wake {
            return Err(Answer::of(id, Outcome::Unregistered));
        }
        // What makes no sense is refused now and not when the device wakes up.
        let paths = self.check(device, &request).map_err(|detail| Answer::refused(id, detail))?;
        let waiting = device.dialog.as_ref().map_or(0, |dialog| dialog.waiting.len());
        if waiting >= WAITING_PER_DEVICE_MAX || self.asked.len() >= WAITING_MAX {
            return Err(Answer::of(id, Outcome::TooMany));
        }
        let asked = Asked::new(now.monotonic, request, paths);
        let Some(dialog) = self.dialog(index) else { return Err(Answer::of(id, Outcome::Unregistered)) };
        dialog.waiting.push_back(Errand::Asked(asked).into());
        self.asked.insert(id, index);
        self.pump(now, index);
        Ok(())
    }

    /// The paths of a composite, if the request makes sense for this device.
    fn check(&self, device: &Device, request: &Request) -> Result<Box<[Path]>, String> {
        let paths = paths_of(request.operation, request.body.as_ref())?;
        let definitions = device.definitions(&self.definitions);
        let mut manner = Manner::for_any(definitions);
        if let Some(registration) = &device.registration {
            manner.version = registration.version;
            if request.operation == Operation::WriteAttributes && !registration.objects.covers(&request.path) {
                return Err(format!("{}: the device did not register it", request.path));
            }
        }
        if request.operation.needs() == 0 {
            let content = Content::of(request.operation, &request.path, request.body.as_ref(), definitions);
            manner.format = self.format_for(device, choose, content, Refused::default());
        }
        manner.plan(request.operation, &request.path, request.body.as_ref())?;
        Ok(paths)
    }

    /// Takes a request back that still waits, or the rest of a push. Any other that left goes on to its end: it cannot be
    /// called back.
    pub fn cancel(&mut self, now: Now, id: u64) {
        let Some(&index) = self.asked.get(&id) else { return };
        let Some(dialog) = self.directory.get_mut(index).and_then(|device| device.dialog.as_mut()) else { return };
        // A push has many messages still to come: those need not.
        let is_pushed =
            |task: &Task| matches!(&task.errand, Errand::Asked(asked) if asked.id == id && asked.push().is_some());
        let is_under_way = dialog.under_way().is_some_and(is_pushed);
        for asked in dialog.take_waiting(|asked| asked.id == id) {
            self.tell(asked.given_up(Outcome::Cancelled));
        }
        if is_under_way {
            self.break_off(index);
        }
        self.pump(now, index);
    }

    /// Tells the end of a request.
    pub(crate) fn tell(&mut self, answer: Answer) {
        self.asked.remove(&answer.id);
        self.answers.push_back(answer);
    }

    /// Tells the end of a request to all who asked it.
    pub(crate) fn tell_all(&mut self, asked: &Asked, answer: Answer) {
        for companion in &asked.companions {
            self.tell(Answer { id: companion.id, ..answer.clone() });
        }
        self.tell(answer);
    }

    /// The dialog with a device, begun now if there was none.
    pub(crate) fn dialog(&mut self, index: DeviceIndex) -> Option<&mut Dialog> {
        let device = self.directory.get_mut(index)?;
        let (profile, random) = (&device.profile, &mut self.random);
        let begin = || Box::new(Dialog::new(profile.transmission(), random.next_u64()));
        Some(device.dialog.get_or_insert_with(begin))
    }

    /// Other transmission parameters, from the next message on.
    pub(crate) fn sync_transmission(&mut self, index: DeviceIndex) {
        let Some(device) = self.directory.get_mut(index) else { return };
        let transmission = device.profile.transmission();
        if let Some(dialog) = &mut device.dialog {
            dialog.requests.set_transmission(transmission);
        }
    }

    /// The content format to speak with a device: the best that it has not refused.
    pub(crate) fn format_for(&self, device: &Device, choose: Choose, content: Content, refused: Refused) -> u16 {
        let (version, understood) = match &device.registration {
            Some(registration) => (registration.version, registration.objects.content_formats.as_slice()),
            None => (lwm2m::Version::V1_1, [].as_slice()),
        };
        choose(version, understood, content, device.formats_refused.and(refused))
            .or_else(|| choose(version, understood, content, refused))
            .unwrap_or(coap::content_format::TEXT_PLAIN)
    }

    /// Does what can be done now: takes answers, sends what waits if the device listens, gives up what is too late.
    pub(crate) fn pump(&mut self, now: Now, index: DeviceIndex) {
        if self.directory.get(index).is_none_or(|device| device.dialog.is_none()) {
            return;
        }
        self.settle(now, index);
        self.follow(now, index);
        self.expire(now, index);
        while self.start_next(now, index) {
            self.settle(now, index);
        }
        self.turn_away(now, index);
        self.schedule(index);
    }

    /// The downlink timer of a device fired.
    pub(crate) fn handle_downlink(&mut self, now: Now, index: DeviceIndex) {
        let Some(device) = self.directory.get_mut(index) else { return };
        device.downlink = None;
        self.turn_requests(now, index);
        self.pump(now, index);
    }

    /// Lets the exchange with a device do what is due; true if something left for the first time.
    fn turn_requests(&mut self, now: Now, index: DeviceIndex) -> bool {
        let Self { directory, peers, outbox, datagrams, .. } = self;
        let Some(dialog) = directory.get_mut(index).and_then(|device| device.dialog.as_mut()) else { return false };
        let Some(peer) = dialog.under_way.as_ref().map(|under_way| under_way.peer) else { return false };
        let mut send = |datagram: &[u8]| post(peers, outbox, datagrams, peer, datagram);
        dialog.requests.handle_timeout(now.monotonic, &mut send);
        dialog.requests.poll_sent().is_some()
    }

    /// Takes an answer to what we asked; false if it is none.
    pub(crate) fn take_answer(&mut self, now: Now, index: DeviceIndex, key: PeerKey, message: &Message<'_>) -> bool {
        let Self { directory, peers, outbox, datagrams, .. } = self;
        let Some(dialog) = directory.get_mut(index).and_then(|device| device.dialog.as_mut()) else { return false };
        // RFC 7252 §5.3.2 and §9.1.2: an answer comes from where the request went, in the same session.
        if dialog.under_way.as_ref().is_some_and(|under_way| under_way.peer != key) {
            return false;
        }
        let mut send = |datagram: &[u8]| post(peers, outbox, datagrams, key, datagram);
        let is_ours = dialog.requests.handle(now.monotonic, message, &mut send) == Handled::Consumed;
        if is_ours && let Some(bytes) = dialog.requests.uploaded() {
            self.carry_on(now, index, bytes);
        }
        is_ours
    }

    /// A push goes on: the device has so much of it. One that is wanted no more ends here.
    fn carry_on(&mut self, now: Now, index: DeviceIndex, bytes: u64) {
        let Some(dialog) = self.directory.get_mut(index).and_then(|device| device.dialog.as_mut()) else { return };
        let Some(under_way) = dialog.under_way.as_mut() else { return };
        if bytes > under_way.task.carried {
            // This was an answer: it does not count as one of the sendings in vain.
            under_way.task.sendings = 1;
        }
        under_way.task.carried = bytes;
        let Errand::Asked(asked) = &under_way.task.errand else { return };
        let Some(path) = asked.push().map(|push| push.path.to_owned()) else { return };
        if self.source(index, &path, bytes).is_some() {
            return self.note_carried(now, index, &path, bytes, false);
        }
        self.break_off(index);
    }

    fn break_off(&mut self, index: DeviceIndex) {
        let task = self.directory.get_mut(index).and_then(|device| device.dialog.as_mut()?.abandon());
        if let Some(Task { errand: Errand::Asked(asked), .. }) = task {
            self.tell(Answer::of(asked.id, Outcome::Cancelled));
        }
    }

    /// Takes what became of the exchange.
    fn settle(&mut self, now: Now, index: DeviceIndex) {
        while let Some(dialog) = self.directory.get_mut(index).and_then(|device| device.dialog.as_mut())
            && let Some(((), outcome)) = dialog.requests.poll_outcome()
            && let Some(under_way) = dialog.under_way.take()
        {
            self.conclude(now, index, under_way, outcome);
        }
    }

    /// A device that speaks from elsewhere now will not answer what went to its former place.
    fn follow(&mut self, now: Now, index: DeviceIndex) {
        let Some(device) = self.directory.get(index) else { return };
        let under_way = device.dialog.as_ref().and_then(|dialog| dialog.under_way.as_ref());
        // While it is nowhere the exchange may still end well: an address in the clear can come back.
        if under_way.is_some_and(|under_way| device.peer.is_some_and(|peer| peer != under_way.peer)) {
            self.interrupt(now, index);
        }
    }

    /// Ends the exchange without an answer: to be sent again where that does no harm.
    pub(crate) fn interrupt(&mut self, now: Now, index: DeviceIndex) {
        let dialog = self.directory.get_mut(index).and_then(|device| device.dialog.as_mut());
        if let Some(task) = dialog.and_then(|dialog| dialog.abandon())
            && let Some(task) = self.try_again(index, task)
        {
            self.give_up(now, index, task);
        }
    }

    /// Puts a task back to be sent once more; returns it if that must not be.
    pub(crate) fn try_again(&mut self, index: DeviceIndex, task: Task) -> Option<Task> {
        let dialog = self.directory.get_mut(index).and_then(|device| device.dialog.as_mut());
        match dialog {
            Some(dialog) if task.is_repeatable() && task.sendings < SENDINGS_MAX => {
                self.stats.requests_repeated += 1;
                dialog.put_back(task);
                None
            }
            _ => Some(task),
        }
    }

    /// A queue-mode device that did not even acknowledge is asleep already: its request waits for the next uplink.
    pub(crate) fn try_when_awake(&mut self, index: DeviceIndex, task: Task) -> Option<Task> {
        let sleeps = self.put_to_sleep(index);
        let may_wait = match &task.errand {
            Errand::Asked(asked) => sleeps && asked.waits_for_wake,
            _ => true,
        };
        if may_wait { self.try_again(index, task) } else { Some(task) }
    }

    /// A device in queue mode sleeps already; false if it is none.
    pub(crate) fn put_to_sleep(&mut self, index: DeviceIndex) -> bool {
        let Some(device) = self.directory.get_mut(index) else { return false };
        let sleeps = device.registration.as_ref().is_some_and(|registration| registration.queue_mode);
        if sleeps {
            device.awake_until = None;
        }
        sleeps
    }

    /// Sends the next thing; false if there is nothing to send, or nobody listening.
    fn start_next(&mut self, now: Now, index: DeviceIndex) -> bool {
        let Some(device) = self.directory.get_mut(index) else { return false };
        if !is_awake(now.monotonic, device) {
            return false;
        }
        let (Some(peer), Some(dialog)) = (device.peer, device.dialog.as_mut()) else { return false };
        if dialog.under_way.is_some() {
            return false;
        }
        let Some(task) = dialog.next() else { return false };
        self.start(now, index, peer, task);
        true
    }

    fn start(&mut self, now: Now, index: DeviceIndex, peer: PeerKey, mut task: Task) {
        let planned = self.split_known(index, &mut task).and_then(|()| self.plan(index, &task));
        let (format, request) = match planned {
            Ok(planned) => planned,
            Err(detail) => return self.refuse_task(now, index, task, detail),
        };
        let capacity = self.peers.get(peer).and_then(Peer::capacity);
        let Some(device) = self.directory.get_mut(index) else { return };
        let transmission = Transmission { capacity, ..device.profile.transmission() };
        let Some(dialog) = device.dialog.as_mut() else { return };
        dialog.requests.set_transmission(transmission);
        if dialog.requests.push(now.monotonic, request, ()).is_err() {
            // Cannot be: there is never more than one. Then it is as if it had been sent in vain.
            return self.give_up(now, index, task);
        }
        task.sendings += 1;
        dialog.under_way = Some(UnderWay { task, peer, format, began_at: now.monotonic });
        if self.turn_requests(now, index) {
            self.tell_sent(index);
        }
    }

    fn tell_sent(&mut self, index: DeviceIndex) {
        let dialog = self.directory.get_mut(index).and_then(|device| device.dialog.as_mut());
        if let Some(UnderWay { task: Task { errand: Errand::Asked(asked), .. }, .. }) =
            dialog.and_then(|dialog| dialog.under_way.as_mut())
        {
            let (is_sent, id) = (&mut asked.is_sent, asked.id);
            let companions = asked.companions.iter_mut().map(|companion| (&mut companion.is_sent, companion.id));
            for (is_sent, id) in std::iter::once((is_sent, id)).chain(companions) {
                if !std::mem::replace(is_sent, true) {
                    self.answers.push_back(Answer::of(id, Outcome::Sent));
                }
            }
        }
    }

    /// A task as a request of CoAP, in the best format for this device.
    fn plan(&mut self, index: DeviceIndex, task: &Task) -> Result<(u16, CoapRequest), String> {
        let device = self.directory.get(index).ok_or("no such device")?;
        let definitions = device.definitions(&self.definitions);
        let format = match task.composite() {
            Some(operation) => device.composite_format(operation.needs(), task.formats_refused),
            None => None,
        };
        let format = format
            .unwrap_or_else(|| self.format_for(device, task.choose(), task.content(definitions), task.formats_refused));
        let (version, root) = match &device.registration {
            Some(registration) => (registration.version, registration.objects.root.as_str()),
            None => (lwm2m::Version::V1_1, ""),
        };
        let manner = Manner { version, root, format, definitions };
        let observations = device.dialog.as_ref().map_or([].as_slice(), |dialog| dialog.observations.as_slice());
        let request = match &task.errand {
            Errand::Asked(asked) => {
                let request = match &task.parts {
                    Some(parts) => parts.plan(&manner, asked.operation)?,
                    None => manner.plan(asked.operation, &asked.path, asked.body.as_deref())?,
                };
                let source = match asked.push().filter(|_| asked.operation == Operation::Write) {
                    Some(push) => {
                        let from = push.from.max(task.carried);
                        Some(self.source(index, push.path, from).ok_or("there is no such file for this device")?)
                    }
                    None => None,
                };
                let target = match task.parts.as_ref().and_then(|parts| parts.path()) {
                    Some(path) => Target::Single(path),
                    None => asked.target(),
                };
                CoapRequest { token: token_for(observations, &request, &target)?, source, ..request }
            }
            Errand::Read(path) => manner.read(path),
            Errand::Observe(wish) => match wish.writes.first() {
                Some((path, queries)) => manner.write_attributes(path, queries.clone()),
                None => {
                    let request = manner.observe(&wish.target, observe::REGISTER)?;
                    let token = token_for(observations, &request, &wish.target)?;
                    CoapRequest { token, queries: wish.queries.clone(), ..request }
                }
            },
            Errand::Cancel(target) => {
                let request = manner.observe(target, observe::CANCEL)?;
                CoapRequest { token: token_for(observations, &request, target)?, ..request }
            }
            Errand::Rest(rest) => {
                let request = CoapRequest { observe: None, ..manner.observe(&rest.target, observe::REGISTER)? };
                let accept = rest.begun.head.content_format.or(request.accept);
                CoapRequest { accept, begun: Some(rest.begun.clone()), ..request }
            }
        };
        Ok((request.content_format.or(request.accept).unwrap_or(format), request))
    }

    /// Gives up what is not worth sending any more.
    fn expire(&mut self, now: Now, index: DeviceIndex) {
        let Some(dialog) = self.directory.get_mut(index).and_then(|device| device.dialog.as_mut()) else { return };
        if dialog.waiting().any(|asked| asked.has_expired(now.monotonic)) {
            for asked in dialog.take_waiting(|asked| asked.has_expired(now.monotonic)) {
                self.tell(asked.given_up(Outcome::Expired));
            }
        }
    }

    /// What was not to wait for a device that sleeps or is gone does not.
    fn turn_away(&mut self, now: Now, index: DeviceIndex) {
        let Some(device) = self.directory.get_mut(index) else { return };
        // One whose 2.01 is on its way listens in a moment.
        let is_coming = device.registration.as_ref().is_some_and(|registration| !registration.is_told);
        if is_coming || is_awake(now.monotonic, device) {
            return;
        }
        let outcome = if device.registration.is_some() { Outcome::TimedOut } else { Outcome::Unregistered };
        let Some(dialog) = device.dialog.as_mut() else { return };
        if dialog.waiting().any(|asked| !asked.waits_for_wake) {
            for asked in dialog.take_waiting(|asked| !asked.waits_for_wake) {
                self.tell(asked.given_up(outcome));
            }
        }
    }

    fn schedule(&mut self, index: DeviceIndex) {
        let Some(device) = self.directory.get_mut(index) else { return };
        match device.dialog.as_ref().and_then(|dialog| dialog.poll_timeout()) {
            Some(when) => self.timers.set(&mut device.downlink, Timer::Downlink(index), when),
            None => self.timers.clear(&mut device.downlink, Timer::Downlink(index)),
        }
    }

    /// A device has its 2.01: what follows from its registration may begin.
    pub(crate) fn begin_dialog(&mut self, now: Now, index: DeviceIndex) {
        let Some(device) = self.directory.get_mut(index) else { return };
        let profile = Arc::clone(&device.profile);
        let Some(registration) = device.registration.as_mut() else { return };
        registration.is_told = true;
        let objects = Arc::clone(&registration.objects);
        let paths: Vec<Path> = profile.reads.iter().flat_map(|pattern| pattern.expand(&objects)).collect();
        if !paths.is_empty()
            && let Some(dialog) = self.dialog(index)
        {
            dialog.errands.extend(paths.into_iter().map(|path| Task::from(Errand::Read(path))));
        }
        self.reconcile(now, index);
        self.pump(now, index);
    }

    /// A device registers anew: nothing of our own holds any more. What the caller asked still does.
    pub(crate) fn restart_dialog(&mut self, now: Now, index: DeviceIndex) {
        self.end_errands(index);
        self.follow(now, index);
        self.lose_observations(now, index);
    }

    /// A registration ended: what waits stays with the device.
    pub(crate) fn forget_dialog(&mut self, now: Now, index: DeviceIndex) {
        self.end_errands(index);
        self.interrupt(now, index);
        if let Some(dialog) = self.directory.get_mut(index).and_then(|device| device.dialog.as_mut()) {
            dialog.observations = Vec::new();
        }
        self.pump(now, index);
        if let Some(device) = self.directory.get_mut(index)
            && device.dialog.as_ref().is_some_and(|dialog| dialog.waiting.is_empty())
        {
            device.dialog = None;
        }
    }

    /// Forgets our own errands, the one under way included.
    fn end_errands(&mut self, index: DeviceIndex) {
        let Some(dialog) = self.directory.get_mut(index).and_then(|device| device.dialog.as_mut()) else { return };
        dialog.errands = VecDeque::new();
        if dialog.under_way().is_some_and(|task| !matches!(task.errand, Errand::Asked(_))) {
            dialog.abandon();
        }
    }

    /// A device is forgotten.
    pub(crate) fn end_dialog(&mut self, _now: Now, index: DeviceIndex) {
        let Some(mut dialog) = self.directory.get_mut(index).and_then(|device| device.dialog.take()) else { return };
        let under_way = dialog.abandon();
        for task in under_way.into_iter().chain(dialog.waiting) {
            if let Errand::Asked(asked) = task.errand {
                self.tell_all(&asked, Answer::of(asked.id, Outcome::Unregistered));
            }
        }
    }
}

/// The token of a request that is about an observation. RFC 7641 §3.3.1: the same token renews one, another would begin a
/// second one.
fn token_for(
    observations: &[Observation],
    request: &CoapRequest,
    target: &Target,
) -> Result<Option<Token>, &'static str> {
    let known = observations.iter().find(|observation| observation.target == *target).map(Observation::token);
    match (request.observe, known) {
        (Some(observe::CANCEL), None) => Err("this path is not observed"),
        (Some(observe::REGISTER), None) if observations.len() >= OBSERVATIONS_PER_DEVICE_MAX => {
            Err("too many observations")
        }
        (Some(_), token) => Ok(token),
        (None, _) => Ok(None),
    }
}

//! We speak first: what waits for a device, and the one exchange that is under way with it.

use std::collections::VecDeque;
use std::sync::Arc;

use coap::exchange::{Handled, Request as CoapRequest};
use coap::{Message, observe};
use lwm2m::Path;

use crate::command::{Answer, Operation, Outcome, Request};
use crate::devices::{Device, DeviceIndex};
use crate::dialog::{Asked, Dialog, Errand, Task, UnderWay};
use crate::formats::{Content, Refused, choose};
use crate::gateway::Gateway;
use crate::limits::{OBSERVATIONS_PER_DEVICE_MAX, SENDINGS_MAX, WAITING_MAX, WAITING_PER_DEVICE_MAX};
use crate::observations::Observation;
use crate::operation::Manner;
use crate::peers::PeerKey;
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
        let Some(index) = self.directory.by_id(&request.device) else {
            return Err(Answer::of(id, Outcome::Unregistered));
        };
        let Some(device) = self.directory.get(index) else { return Err(Answer::of(id, Outcome::Unregistered)) };
        if device.registration.is_none() && !request.wait_for_wake {
            return Err(Answer::of(id, Outcome::Unregistered));
        }
        // What makes no sense is refused now and not when the device wakes up.
        let definitions = device.definitions(&self.definitions);
        let content = Content::of(request.operation, &request.path, request.body.as_ref(), definitions);
        let format = self.format_for(device, content, Refused::default());
        let manner = Manner { root: "", format, definitions };
        manner
            .plan(request.operation, &request.path, request.body.as_ref())
            .map_err(|detail| Answer::refused(id, detail))?;
        let waiting = device.dialog.as_ref().map_or(0, |dialog| dialog.waiting.len());
        if waiting >= WAITING_PER_DEVICE_MAX || self.asked.len() >= WAITING_MAX {
            return Err(Answer::of(id, Outcome::TooMany));
        }
        let asked = Asked::new(now.monotonic, request);
        let Some(dialog) = self.dialog(index) else { return Err(Answer::of(id, Outcome::Unregistered)) };
        dialog.waiting.push_back(Errand::Asked(asked).into());
        self.asked.insert(id, index);
        self.pump(now, index);
        Ok(())
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
    pub(crate) fn format_for(&self, device: &Device, content: Content, refused: Refused) -> u16 {
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
    fn interrupt(&mut self, now: Now, index: DeviceIndex) {
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
        let Some(device) = self.directory.get_mut(index) else { return Some(task) };
        let sleeps = device.registration.as_ref().is_some_and(|registration| registration.queue_mode);
        let may_wait = match &task.errand {
            Errand::Asked(asked) => sleeps && asked.waits_for_wake,
            _ => true,
        };
        if sleeps {
            device.awake_until = None;
        }
        if may_wait { self.try_again(index, task) } else { Some(task) }
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
        let planned = self.plan(index, &task);
        let (format, request) = match planned {
            Ok(planned) => planned,
            Err(detail) => return self.refuse_task(now, index, &task, detail),
        };
        let Some(dialog) = self.directory.get_mut(index).and_then(|device| device.dialog.as_mut()) else { return };
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
            && !std::mem::replace(&mut asked.is_sent, true)
        {
            self.answers.push_back(Answer::of(asked.id, Outcome::Sent));
        }
    }

    /// A task as a request of CoAP, in the best format for this device.
    fn plan(&mut self, index: DeviceIndex, task: &Task) -> Result<(u16, CoapRequest), String> {
        let device = self.directory.get(index).ok_or("no such device")?;
        let definitions = device.definitions(&self.definitions);
        let format = self.format_for(device, task.content(definitions), task.formats_refused);
        let root = device.registration.as_ref().map_or("", |registration| registration.objects.root.as_str());
        let manner = Manner { root, format, definitions };
        let observations = device.dialog.as_ref().map_or([].as_slice(), |dialog| dialog.observations.as_slice());
        let count = observations.len();
        let known =
            |path: &Path| observations.iter().find(|observation| observation.path == *path).map(Observation::token);
        let request = match &task.errand {
            Errand::Asked(asked) => {
                let request = manner.plan(asked.operation, &asked.path, asked.body.as_deref())?;
                let token = match asked.operation {
                    // RFC 7641 §3.3.1: the same token renews an observation, another would begin a second one.
                    Operation::Observe => match known(&asked.path) {
                        None if count >= OBSERVATIONS_PER_DEVICE_MAX => return Err("too many observations".to_owned()),
                        token => token,
                    },
                    Operation::CancelObservation => Some(known(&asked.path).ok_or("this path is not observed")?),
                    _ => None,
                };
                let source = match asked.push().filter(|_| asked.operation == Operation::Write) {
                    Some(push) => {
                        let from = push.from.max(task.carried);
                        Some(self.source(index, push.path, from).ok_or("there is no such file for this device")?)
                    }
                    None => None,
                };
                CoapRequest { token, source, ..request }
            }
            Errand::Read(path) => manner.read(path),
            Errand::Observe(wish) if !wish.queries.is_empty() => {
                manner.write_attributes(&wish.path, wish.queries.clone())
            }
            Errand::Observe(wish) => {
                let token = known(&wish.path);
                CoapRequest { observe: Some(observe::REGISTER), token, ..manner.read(&wish.path) }
            }
            Errand::Cancel(path) => {
                let token = Some(known(path).ok_or("this path is not observed")?);
                CoapRequest { observe: Some(observe::CANCEL), token, ..manner.read(path) }
            }
            Errand::Rest(rest) => {
                let request = manner.read(&rest.path);
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
                self.tell(Answer::of(asked.id, Outcome::Unregistered));
            }
        }
    }
}

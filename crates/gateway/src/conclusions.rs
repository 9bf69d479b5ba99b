//! What an answer of a device means, for the caller and for our own errands.

use std::time::{Duration, Instant};

use coap::Code;
use coap::exchange::{Answered, Outcome as Fate};
use lwm2m::{Definitions, Links, Record};

use crate::command::{Answer, Operation, Outcome};
use crate::content::{Understood, records_of, understand, write_record};
use crate::devices::DeviceIndex;
use crate::dialog::{Asked, Errand, Task, UnderWay};
use crate::event::foreign;
use crate::formats::choose;
use crate::gateway::{Gateway, device_event};
use crate::intent::{Target, Wish};
use crate::observations::Terms;
use crate::timers::Now;

impl Gateway {
    /// An exchange is over.
    pub(crate) fn conclude(&mut self, now: Now, index: DeviceIndex, under_way: UnderWay, fate: Fate) {
        let UnderWay { mut task, format, began_at, .. } = under_way;
        match fate {
            Fate::Answered(answered) if is_format_refused(&answered) && self.has_other_format(index, &task, format) => {
                task.formats_refused = task.formats_refused.with(format);
                // This was an answer: it does not count as one of the sendings in vain.
                task.sendings = 0;
                if let Some(dialog) = self.dialog(index) {
                    dialog.put_back(task);
                }
            }
            Fate::Answered(answered) => {
                if answered.code.is_success()
                    && let Some(device) = self.directory.get_mut(index)
                {
                    // Only now is it known that the format was what the device did not like.
                    device.formats_refused = device.formats_refused.and(task.formats_refused);
                }
                let trip = now.monotonic.saturating_duration_since(began_at);
                if let Some(task) = self.split_refused(index, task, &answered) {
                    self.conclude_answer(now, index, task, &answered, trip);
                }
            }
            Fate::TimedOut { acknowledged } => {
                self.stats.requests_timed_out += 1;
                let was_heard = acknowledged || self.was_listening(index, began_at);
                let Some(task) = self.split_unanswered(index, task, was_heard) else {
                    if !acknowledged {
                        self.put_to_sleep(index);
                    }
                    return;
                };
                let rest = if acknowledged { Some(task) } else { self.try_when_awake(index, task) };
                if let Some(task) = rest {
                    self.give_up(now, index, task);
                }
            }
            Fate::Reset => {
                // RFC 7252 §4.2: a device that cannot make sense of a message may reset it.
                if let Some(task) = self.split_unanswered(index, task, true) {
                    self.refuse_task(now, index, task, "the device reset the request".to_owned());
                }
            }
            Fate::UnknownOption { number } => {
                let detail = format!("the answer has critical option {number}, which is unknown");
                self.refuse_task(now, index, task, detail);
            }
            Fate::BodyTooLarge { bytes_max } => {
                self.refuse_task(now, index, task, format!("the answer has more than {bytes_max} bytes"));
            }
            _ => self.refuse_task(now, index, task, "the blocks of the answer do not fit together".to_owned()),
        }
    }

    fn conclude_answer(&mut self, now: Now, index: DeviceIndex, task: Task, answered: &Answered, trip: Duration) {
        if task.parts.is_some() {
            return self.conclude_part(now, index, task, answered);
        }
        match task.errand {
            Errand::Asked(asked) => {
                let answer = self.answer_asked(now, index, &asked, answered);
                self.tell_all(&asked, Answer { trip: Some(trip), ..answer });
                if self.options.is_bootstrap_server {
                    self.note_step(now, index, &asked, answered);
                }
            }
            errand => self.conclude_errand(now, index, errand, answered),
        }
    }

    /// Whether a device surely listened when an exchange began: one that never sleeps, or that had just spoken.
    fn was_listening(&self, index: DeviceIndex, began_at: Instant) -> bool {
        let Some(device) = self.directory.get(index) else { return false };
        let sleeps = device.registration.as_ref().is_none_or(|registration| registration.queue_mode);
        let heard_at = device.awake_until.and_then(|until| until.checked_sub(device.profile.awake_window));
        !sleeps || heard_at.is_some_and(|heard_at| heard_at + device.profile.ack_timeout >= began_at)
    }

    fn has_other_format(&self, index: DeviceIndex, task: &Task, format: u16) -> bool {
        let Some(device) = self.directory.get(index) else { return false };
        let Some(registration) = device.registration.as_ref() else { return false };
        let refused = task.formats_refused.with(format);
        if let Some(operation) = task.composite() {
            return device.composite_format(operation.needs(), refused).is_some();
        }
        let has_format = match &task.errand {
            // A file goes as the bytes it is.
            Errand::Asked(asked) => {
                asked.push().is_none()
                    && !matches!(
                        asked.operation,
                        Operation::Execute
                            | Operation::Delete
                            | Operation::Discover
                            | Operation::WriteAttributes
                            | Operation::BootstrapDelete
                            | Operation::BootstrapFinish
                    )
            }
            Errand::Observe(wish) => wish.writes.is_empty(),
            Errand::Read(_) => true,
            Errand::Cancel(_) | Errand::Rest(_) => false,
        };
        // What was refused already comes again where nothing else can say it: a Create that leaves the id to the device.
        if !has_format || task.formats_refused.contains(format) {
            return false;
        }
        let content = task.content(device.definitions(&self.definitions));
        choose(registration.version, &registration.objects.content_formats, content, refused).is_some()
    }

    /// What the values of a device mean.
    pub(crate) fn definitions_of(&self, index: DeviceIndex) -> &Definitions {
        self.directory.get(index).map_or(&self.definitions, |device| device.definitions(&self.definitions))
    }

    /// What a device's answer is to the caller.
    fn answer_asked(&mut self, now: Now, index: DeviceIndex, asked: &Asked, answered: &Answered) -> Answer {
        let answer = Answer { code: Some(answered.code), ..Answer::of(asked.id, Outcome::Answered) };
        if !answered.code.is_success() {
            if let Operation::Observe | Operation::ObserveComposite = asked.operation {
                self.note_observation(now, index, &asked.target(), "refused", Some(answered.code), "");
            }
            let detail = Some(foreign(&answered.payload)).filter(|detail| !detail.is_empty());
            return Answer { outcome: Outcome::Refused, detail, ..answer };
        }
        match asked.operation {
            Operation::Observe | Operation::ObserveComposite => {
                self.begin_observation(now, index, &Terms::asked(asked.target()), answered);
            }
            Operation::CancelObservation | Operation::CancelObservationComposite => {
                self.end_observation(now, index, &asked.target(), answered.code);
            }
            Operation::Discover => {
                if let Ok(links) = Links::parse(&answered.payload) {
                    self.note_drift(now, index, &links);
                }
            }
            _ => {}
        }
        if let Some(push) = asked.push()
            && let Some(source) = self.source(index, push.path, 0)
        {
            self.note_carried(now, index, push.path, source.bytes, true);
        }
        let registration = self.directory.get(index).and_then(|device| device.registration.as_ref());
        let root = registration.map_or("", |registration| registration.objects.root.as_str());
        let definitions = self.definitions_of(index);
        let understood: Result<Understood, String> = match asked.operation {
            Operation::ReadComposite | Operation::ObserveComposite => {
                self.understand_composite(now, index, asked, answered)
            }
            operation => understand(operation, &asked.named_path(), root, answered, unix_s(now), definitions),
        };
        match understood {
            Ok(understood) => {
                // What answers an observation was told when the observation began.
                if let Operation::Read | Operation::ReadComposite = asked.operation {
                    self.note_records(now, index, &understood.readings);
                }
                Answer { body: understood.body, ..answer }
            }
            Err(detail) => Answer { outcome: Outcome::Refused, detail: Some(detail), ..answer },
        }
    }

    fn conclude_errand(&mut self, now: Now, index: DeviceIndex, errand: Errand, answered: &Answered) {
        match errand {
            Errand::Read(path) if answered.code.is_success() => {
                let records = records_of(&path, answered, unix_s(now), self.definitions_of(index));
                match records {
                    Ok(records) => self.note_records(now, index, &records),
                    Err(detail) => {
                        self.note_refused(now, index, "read", Code::BAD_REQUEST, "payload_invalid", &detail);
                    }
                }
            }
            Errand::Observe(wish) => self.conclude_wish(now, index, wish, answered),
            // Whatever it says: the device has heard that nobody listens any more.
            Errand::Cancel(target) => self.end_observation(now, index, &target, answered.code),
            Errand::Rest(rest) if answered.code.is_success() => self.conclude_rest(now, index, *rest, answered),
            Errand::Rest(rest) => self.lose_rest(now, &rest),
            // A path that the device does not have, or does not show: there is nothing to learn from it.
            Errand::Read(_) | Errand::Asked(_) => {}
        }
    }

    fn conclude_wish(&mut self, now: Now, index: DeviceIndex, mut wish: Wish, answered: &Answered) {
        if !wish.writes.is_empty() {
            // Values without the attributes we wanted are better than none: it is observed in any case.
            wish.writes.remove(0);
            wish.has_set &= answered.code.is_success();
        } else if answered.code.is_success() {
            if let Some(device) = self.directory.get_mut(index) {
                device.note_lacking(wish.proof);
            }
            if !wish.has_set || answered.observe.is_none() {
                self.note_goal_refused(index, &wish);
            }
            self.begin_observation(now, index, &Terms::wished(&wish), answered);
            return self.drop_unwanted(index, &wish.target);
        } else if !wish.queries.is_empty() && matches!(answered.code, Code::BAD_REQUEST | Code::BAD_OPTION) {
            // It calls itself 1.2 and does not take attributes here: they are written as for 1.1.
            wish = Wish::new(wish.target, wish.attributes, |_| None);
        } else {
            // RFC 7252 §5.9: with 4.xx the device has decided, with 5.xx it could not.
            if answered.code.class() == 4 {
                self.note_goal_refused(index, &wish);
            }
            return self.end_refused(now, index, &wish.target, answered.code);
        }
        if let Some(dialog) = self.dialog(index) {
            dialog.put_back(Errand::Observe(wish).into());
        }
    }

    /// A task that can come to nothing: we have no answer, and none will come.
    pub(crate) fn give_up(&mut self, now: Now, index: DeviceIndex, mut task: Task) {
        if let Some(parts) = task.parts.take() {
            return self.give_up_parts(now, index, task, parts);
        }
        match task.errand {
            Errand::Asked(asked) => {
                if let Some(push) = asked.push() {
                    // Whoever goes on with it later must know exactly where.
                    self.note_carried(now, index, push.path, task.carried.max(push.from), true);
                }
                self.tell_all(&asked, Answer::of(asked.id, Outcome::TimedOut));
            }
            Errand::Observe(wish) => self.lose_observation(now, index, &wish.target, None),
            Errand::Cancel(target) => self.forget_observation(index, &target),
            Errand::Rest(rest) => self.lose_rest(now, &rest),
            Errand::Read(_) => {}
        }
    }

    /// A task that made no sense, to us or to the device.
    pub(crate) fn refuse_task(&mut self, now: Now, index: DeviceIndex, mut task: Task, detail: String) {
        if let Some(parts) = task.parts.take() {
            return self.refuse_part(now, index, task, parts, &detail);
        }
        match &task.errand {
            Errand::Asked(asked) => self.tell_all(asked, Answer::refused(asked.id, detail)),
            Errand::Observe(wish) => {
                self.forget_observation(index, &wish.target);
                self.note_observation(now, index, &wish.target, "refused", None, "");
            }
            Errand::Cancel(target) => self.forget_observation(index, target),
            Errand::Rest(rest) => self.lose_rest(now, rest),
            Errand::Read(_) => {}
        }
    }

    /// Tells the values that a read brought.
    pub(crate) fn note_records(&mut self, now: Now, index: DeviceIndex, records: &[Record]) {
        let Some(device) = self.directory.get(index).filter(|_| !records.is_empty()) else { return };
        let mut event = device_event(&mut self.pages, now, device, "readings");
        event.text("via", "read");
        event.value("readings", |body| {
            for (number, record) in records.iter().enumerate() {
                body.push(if number == 0 { b'[' } else { b',' });
                write_record(body, record, false);
            }
            body.push(b']');
        });
        event.finish();
    }

    /// Tells how it stands with an observation, path by path.
    pub(crate) fn note_observation(
        &mut self,
        now: Now,
        index: DeviceIndex,
        target: &Target,
        state: &str,
        code: Option<Code>,
        attributes: &str,
    ) {
        let Some(device) = self.directory.get(index) else { return };
        for path in target.paths() {
            let mut event = device_event(&mut self.pages, now, device, "observation");
            event.text("path", &path.to_string());
            event.text("state", state);
            if let Some(code) = code {
                event.text("code", &code.to_string());
            }
            if !attributes.is_empty() {
                event.text("attributes", attributes);
            }
            event.finish();
        }
        self.want_checkpoint(now, index);
    }
}

/// RFC 7252 §5.9.2.7 and §5.9.2.11: the device cannot write, or cannot read, the content format.
fn is_format_refused(answered: &Answered) -> bool {
    matches!(answered.code, Code::NOT_ACCEPTABLE | Code::UNSUPPORTED_CONTENT_FORMAT)
}

pub(crate) fn unix_s(now: Now) -> f64 {
    now.unix_ms as f64 / 1_000.0
}

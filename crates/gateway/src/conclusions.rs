//! What an answer of a device means, for the caller and for our own errands.

use coap::Code;
use coap::exchange::{Answered, Outcome as Fate};
use lwm2m::{Definitions, Path, Record};

use crate::command::{Answer, Operation, Outcome};
use crate::devices::DeviceIndex;
use crate::dialog::{Asked, Errand, Task, UnderWay};
use crate::event::foreign;
use crate::formats::choose;
use crate::gateway::{Gateway, device_event};
use crate::observations::{Terms, Wish};
use crate::operation::{records_of, understand, write_record};
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
                match task.errand {
                    Errand::Asked(asked) => {
                        let answer = self.answer_asked(now, index, &asked, &answered);
                        self.tell(Answer { trip: Some(trip), ..answer });
                    }
                    errand => self.conclude_errand(now, index, errand, &answered),
                }
            }
            Fate::TimedOut { acknowledged } => {
                self.stats.requests_timed_out += 1;
                let rest = if acknowledged { Some(task) } else { self.try_when_awake(index, task) };
                if let Some(task) = rest {
                    self.give_up(now, index, task);
                }
            }
            Fate::Reset => self.refuse_task(now, index, &task, "the device reset the request".to_owned()),
            Fate::BodyTooLarge { bytes_max } => {
                self.refuse_task(now, index, &task, format!("the answer has more than {bytes_max} bytes"));
            }
            _ => self.refuse_task(now, index, &task, "the blocks of the answer do not fit together".to_owned()),
        }
    }

    fn has_other_format(&self, index: DeviceIndex, task: &Task, format: u16) -> bool {
        let Some(device) = self.directory.get(index) else { return false };
        let Some(registration) = device.registration.as_ref() else { return false };
        let has_format = match &task.errand {
            // A file goes as the bytes it is.
            Errand::Asked(asked) => {
                asked.push().is_none()
                    && !matches!(
                        asked.operation,
                        Operation::Execute | Operation::Delete | Operation::Discover | Operation::WriteAttributes
                    )
            }
            Errand::Observe(wish) => wish.queries.is_empty(),
            Errand::Read(_) => true,
            Errand::Cancel(_) | Errand::Rest(_) => false,
        };
        // What was refused already comes again where nothing else can say it: a Create that leaves the id to the device.
        if !has_format || task.formats_refused.contains(format) {
            return false;
        }
        let refused = task.formats_refused.with(format);
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
            if asked.operation == Operation::Observe {
                self.note_observation(now, index, &asked.path, "refused", Some(answered.code), "");
            }
            let detail = Some(foreign(&answered.payload)).filter(|detail| !detail.is_empty());
            return Answer { outcome: Outcome::Refused, detail, ..answer };
        }
        match asked.operation {
            Operation::Observe => self.begin_observation(now, index, &Terms::asked(asked.path), answered),
            Operation::CancelObservation => self.end_observation(now, index, &asked.path, answered.code),
            _ => {}
        }
        if let Some(push) = asked.push()
            && let Some(source) = self.source(index, push.path, 0)
        {
            self.note_carried(now, index, push.path, source.bytes, true);
        }
        let understood = understand(asked.operation, &asked.path, answered, unix_s(now), self.definitions_of(index));
        match understood {
            Ok(understood) => {
                // What answers an observation was told when the observation began.
                if asked.operation == Operation::Read {
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
            Errand::Cancel(path) => self.end_observation(now, index, &path, answered.code),
            Errand::Rest(rest) if answered.code.is_success() => self.conclude_rest(now, index, *rest, answered),
            Errand::Rest(rest) => self.lose_rest(now, &rest),
            // A path that the device does not have, or does not show: there is nothing to learn from it.
            Errand::Read(_) | Errand::Asked(_) => {}
        }
    }

    fn conclude_wish(&mut self, now: Now, index: DeviceIndex, mut wish: Wish, answered: &Answered) {
        if !wish.queries.is_empty() {
            // Values without the attributes we wanted are better than none: it is observed in any case.
            wish.queries = Vec::new();
            wish.has_set = answered.code.is_success();
            if let Some(dialog) = self.dialog(index) {
                dialog.put_back(Errand::Observe(wish).into());
            }
        } else if answered.code.is_success() {
            self.begin_observation(now, index, &Terms::wished(&wish), answered);
            self.drop_unwanted(index, &wish.path);
        } else {
            self.end_refused(now, index, &wish.path, answered.code);
        }
    }

    /// A task that can come to nothing: we have no answer, and none will come.
    pub(crate) fn give_up(&mut self, now: Now, index: DeviceIndex, task: Task) {
        match task.errand {
            Errand::Asked(asked) => {
                if let Some(push) = asked.push() {
                    // Whoever goes on with it later must know exactly where.
                    self.note_carried(now, index, push.path, task.carried.max(push.from), true);
                }
                self.tell(Answer::of(asked.id, Outcome::TimedOut));
            }
            Errand::Observe(wish) => self.lose_observation(now, index, &wish.path, None),
            Errand::Cancel(path) => self.forget_observation(index, &path),
            Errand::Rest(rest) => self.lose_rest(now, &rest),
            Errand::Read(_) => {}
        }
    }

    /// A task that made no sense, to us or to the device.
    pub(crate) fn refuse_task(&mut self, now: Now, index: DeviceIndex, task: &Task, detail: String) {
        match &task.errand {
            Errand::Asked(asked) => self.tell(Answer::refused(asked.id, detail)),
            Errand::Observe(wish) => {
                self.forget_observation(index, &wish.path);
                self.note_observation(now, index, &wish.path, "refused", None, "");
            }
            Errand::Cancel(path) => self.forget_observation(index, path),
            Errand::Rest(rest) => self.lose_rest(now, rest),
            Errand::Read(_) => {}
        }
    }

    /// Tells the values that a read brought.
    fn note_records(&mut self, now: Now, index: DeviceIndex, records: &[Record]) {
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

    /// Tells how it stands with an observation.
    pub(crate) fn note_observation(
        &mut self,
        now: Now,
        index: DeviceIndex,
        path: &Path,
        state: &str,
        code: Option<Code>,
        attributes: &str,
    ) {
        let Some(device) = self.directory.get(index) else { return };
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
}

/// RFC 7252 §5.9.2.7 and §5.9.2.11: the device cannot write, or cannot read, the content format.
fn is_format_refused(answered: &Answered) -> bool {
    matches!(answered.code, Code::NOT_ACCEPTABLE | Code::UNSUPPORTED_CONTENT_FORMAT)
}

pub(crate) fn unix_s(now: Now) -> f64 {
    now.unix_ms as f64 / 1_000.0
}

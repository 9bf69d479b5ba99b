//! Several paths in one request (OMA LwM2M Core 1.1 §6.3.8, §6.3.9, §6.4.4), and one after another with a device that
//! does not know that. Such devices refuse FETCH and iPATCH (RFC 8132), or never answer them.

use std::sync::Arc;

use coap::exchange::{Answered, Request as CoapRequest};
use coap::{Code, observe};
use lwm2m::{Path, Record, Version};
use serde_json::Value as Json;

use crate::command::Operation;
use crate::conclusions::unix_s;
use crate::content::{Understood, content_json, records_of, write_failures};
use crate::devices::{Device, DeviceIndex};
use crate::dialog::{Asked, Errand, Task};
use crate::formats::{Choose, Content, Refused, choose, choose_timed};
use crate::gateway::Gateway;
use crate::intent::Target;
use crate::limits::COMPOSITE_PATHS_MAX;
use crate::operation::{Manner, typed};
use crate::parts::{Parts, passed_over};
use crate::registrations::Objects;
use crate::timers::Now;

/// What a device does not know: one bit each.
pub(crate) mod lacks {
    /// FETCH.
    pub(crate) const READ: u8 = 1;
    /// iPATCH.
    pub(crate) const WRITE: u8 = 2;
    /// FETCH with Observe.
    pub(crate) const OBSERVE: u8 = 4;
    /// It observes several paths, but not those that we want.
    pub(crate) const THIS_GROUP: u8 = 8;
}

/// What a device turned out not to know, and what it had registered then.
pub(crate) struct Lacking {
    version: Version,
    objects: Arc<Objects>,
    bits: u8,
}

impl Device {
    pub(crate) fn lacking(&self) -> u8 {
        self.lacking.as_ref().map_or(0, |lacking| lacking.bits)
    }

    /// It registered: with another version or other objects its software may be another, too.
    pub(crate) fn forget_lacking(&mut self) {
        let Some(registration) = &self.registration else { return };
        let known = self.lacking.take();
        self.lacking =
            known.filter(|lacking| lacking.version == registration.version && lacking.objects == registration.objects);
    }

    /// Remembers what it does not know.
    pub(crate) fn note_lacking(&mut self, bits: u8) {
        let before = self.lacking();
        let Some(registration) = self.registration.as_ref().filter(|_| bits & !before != 0) else { return };
        let (version, objects) = (registration.version, Arc::clone(&registration.objects));
        self.lacking = Some(Box::new(Lacking { version, objects, bits: before | bits }));
    }

    /// Wants something else of it: what it said to the former group means nothing for the new one.
    pub(crate) fn forget_group(&mut self) {
        if let Some(lacking) = &mut self.lacking {
            lacking.bits &= !lacks::THIS_GROUP;
        }
    }

    /// The content format for several paths at once, unless it lacks one of these, or is of 1.0.
    pub(crate) fn composite_format(&self, needed: u8, formats_refused: Refused) -> Option<u16> {
        let registration = self.registration.as_ref().filter(|_| self.lacking() & needed == 0)?;
        let (version, understood) = (registration.version, &registration.objects.content_formats);
        let choose = if needed & lacks::OBSERVE == 0 { choose } else { choose_timed };
        composite_format(choose, version, understood, self.formats_refused.and(formats_refused))
            .or_else(|| composite_format(choose, version, understood, formats_refused))
    }
}

fn composite_format(choose: Choose, version: Version, understood: &[u16], mut refused: Refused) -> Option<u16> {
    // OMA LwM2M Core 1.0 has no composite operations.
    if version == Version::V1_0 {
        return None;
    }
    loop {
        let format = choose(version, understood, Content::Tree, refused)?;
        if lwm2m::codec::encode_paths(format, &[]).is_ok() {
            return Some(format);
        }
        refused = refused.with(format);
    }
}

impl Operation {
    /// Which bit of [`lacks`] a composite needs; 0 for all others.
    pub(crate) const fn needs(self) -> u8 {
        match self {
            Self::ReadComposite => lacks::READ,
            Self::WriteComposite => lacks::WRITE,
            Self::ObserveComposite | Self::CancelObservationComposite => lacks::OBSERVE,
            _ => 0,
        }
    }
}

/// The paths of a composite: `{"paths":["/3/0/9"]}`, or those of `{"values":{"/3/0/15":"Oslo"}}`.
pub(crate) fn paths_of(operation: Operation, body: Option<&Json>) -> Result<Box<[Path]>, String> {
    if operation.needs() == 0 {
        return Ok(Box::default());
    }
    let is_write = operation == Operation::WriteComposite;
    let texts: Vec<&str> = if is_write {
        let values = body.and_then(|body| body.get("values")).and_then(Json::as_object);
        values.ok_or("\"values\" is needed")?.keys().map(String::as_str).collect()
    } else {
        let paths = body.and_then(|body| body.get("paths")).and_then(Json::as_array).ok_or("\"paths\" is needed")?;
        paths.iter().map(|path| path.as_str().ok_or("a path is a text")).collect::<Result<_, _>>()?
    };
    if texts.is_empty() || texts.len() > COMPOSITE_PATHS_MAX {
        return Err(format!("{} paths: 1 to {COMPOSITE_PATHS_MAX} go in one request", texts.len()));
    }
    let mut paths: Vec<Path> = Vec::with_capacity(texts.len());
    for text in texts {
        let path = Path::parse(text).map_err(|error| format!("{text:.40}: {error}"))?;
        if path.is_root() || (is_write && path.resource.is_none()) {
            return Err(format!("{path}: not a path to {}", if is_write { "write" } else { "read" }));
        }
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    Ok(paths.into())
}

impl Manner<'_> {
    /// A composite as one request.
    pub(crate) fn composite(&self, operation: Operation, body: Option<&Json>) -> Result<CoapRequest, String> {
        let paths = paths_of(operation, body)?;
        match operation {
            Operation::WriteComposite => {
                let records = self.values(body)?;
                let request = CoapRequest::new(Code::IPATCH, self.root_path());
                self.with_records(request, self.format, &Path::ROOT, &records)
            }
            Operation::ObserveComposite => self.fetch(Target::composite(&paths).paths(), Some(observe::REGISTER)),
            Operation::CancelObservationComposite => {
                self.fetch(Target::composite(&paths).paths(), Some(observe::CANCEL))
            }
            _ => self.fetch(&paths, None),
        }
    }

    /// `FETCH` of several paths.
    pub(crate) fn fetch(&self, paths: &[Path], observe: Option<u32>) -> Result<CoapRequest, String> {
        let payload = lwm2m::codec::encode_paths(self.format, paths).map_err(|error| error.to_string())?;
        let format = Some(self.format);
        let request = CoapRequest::new(Code::FETCH, self.root_path());
        Ok(CoapRequest { payload, content_format: format, accept: format, observe, ..request })
    }

    fn root_path(&self) -> &str {
        if self.root.is_empty() { "/" } else { self.root }
    }

    /// What a Write-Composite writes.
    pub(crate) fn values(&self, body: Option<&Json>) -> Result<Vec<Record>, String> {
        let values =
            body.and_then(|body| body.get("values")).and_then(Json::as_object).ok_or("\"values\" is needed")?;
        let mut records = Vec::new();
        for (text, value) in values {
            let path = Path::parse(text).map_err(|error| format!("{text:.40}: {error}"))?;
            match value.as_object() {
                Some(instances) if typed(value).is_none() => records.extend(self.children(&path, instances, 3)?),
                _ => records.push(Record::new(path, self.value(&path, value)?)),
            }
        }
        Ok(records)
    }
}

/// Whether an answer to a composite says that the device does not know it; `None`: it may be, or be about the paths.
/// `is_writable`: by their definitions all of them can be written.
fn is_unknown(operation: Operation, answered: &Answered, is_writable: bool) -> Option<bool> {
    match answered.code {
        // Core 1.1 §6.3.9: so says a device, too, that knows it and whose resource may not be written. One that does not
        // know the method has no words about it.
        Code::METHOD_NOT_ALLOWED if operation == Operation::WriteComposite => {
            Some(is_writable && answered.payload.is_empty())
        }
        Code::METHOD_NOT_ALLOWED | Code::NOT_IMPLEMENTED | Code::UNSUPPORTED_CONTENT_FORMAT | Code::NOT_ACCEPTABLE => {
            Some(true)
        }
        // RFC 8132 §3: changes are all made or none. What may have been refused for what it says must not be made in part.
        Code::NOT_FOUND | Code::BAD_REQUEST | Code::BAD_OPTION if operation != Operation::WriteComposite => None,
        _ => Some(false),
    }
}

impl Task {
    /// The composite operation that it sends as one request, if it does.
    pub(crate) fn composite(&self) -> Option<Operation> {
        match &self.errand {
            Errand::Asked(asked) if asked.operation.needs() != 0 && self.parts.is_none() => Some(asked.operation),
            Errand::Observe(wish) if wish.target.is_composite() && wish.writes.is_empty() => {
                Some(Operation::ObserveComposite)
            }
            Errand::Cancel(target) if target.is_composite() => Some(Operation::CancelObservationComposite),
            Errand::Rest(rest) if rest.target.is_composite() => Some(Operation::ReadComposite),
            _ => None,
        }
    }

    /// The same, if single operations can stand for it. What is observed together ends together.
    fn divisible(&self) -> Option<Operation> {
        let is_one = matches!(self.errand, Errand::Asked(_) | Errand::Observe(_));
        self.composite().filter(|operation| is_one && *operation != Operation::CancelObservationComposite)
    }
}

impl Gateway {
    /// Makes single operations of what the device is known not to do at once. `Err`: the request makes no sense.
    pub(crate) fn split_known(&mut self, index: DeviceIndex, task: &mut Task) -> Result<(), String> {
        let (Some(operation), Some(device)) = (task.composite(), self.directory.get(index)) else { return Ok(()) };
        let Errand::Asked(asked) = &task.errand else { return Ok(()) };
        let is_observed = operation != Operation::CancelObservationComposite
            || device.dialog.as_ref().is_some_and(|dialog| dialog.observes(&Target::composite(&asked.paths)));
        if is_observed && device.composite_format(operation.needs(), task.formats_refused).is_some() {
            return Ok(());
        }
        let manner = Manner::for_any(self.definitions_of(index));
        task.parts = Some(Box::new(Parts::new(&manner, asked, 0)?));
        self.stats.composites_divided += 1;
        Ok(())
    }

    /// An answer to a composite that may mean that the device does not know it: goes on with single operations then,
    /// and remembers it. Returns the task if the answer is one.
    pub(crate) fn split_refused(&mut self, index: DeviceIndex, task: Task, answered: &Answered) -> Option<Task> {
        let Some(operation) = task.divisible() else { return Some(task) };
        let is_begun = operation != Operation::ObserveComposite || answered.observe.is_some();
        if answered.code.is_success() && is_begun {
            return Some(task);
        }
        // RFC 7641 §4.1: one that does not observe several paths answers as if they were only to be read.
        let definitions = self.definitions_of(index);
        let can_be_written = |path: &Path| {
            path.resource.and_then(|id| definitions.resource(path.object, id)).is_some_and(|it| it.operations.write)
        };
        let is_writable = matches!(&task.errand, Errand::Asked(asked) if asked.paths.iter().all(can_be_written));
        let is_unknown =
            if answered.code.is_success() { Some(true) } else { is_unknown(operation, answered, is_writable) };
        let needs = operation.needs();
        match (is_unknown, &task.errand) {
            (Some(true), _) => {
                if let Some(device) = self.directory.get_mut(index) {
                    device.note_lacking(needs);
                }
                self.split(index, task, 0)
            }
            (None, Errand::Asked(_)) => self.split(index, task, needs),
            // Nobody asked for this very group: it is as good to observe its paths one by one.
            (_, Errand::Observe(_)) => {
                if let Some(device) = self.directory.get_mut(index) {
                    device.note_lacking(lacks::THIS_GROUP);
                }
                self.split(index, task, 0)
            }
            _ => Some(task),
        }
    }

    /// Nobody answered a composite. Returns the task if it is none.
    pub(crate) fn split_unanswered(&mut self, index: DeviceIndex, task: Task, was_heard: bool) -> Option<Task> {
        let Some(operation) = task.divisible() else { return Some(task) };
        // One that does not answer FETCH does not answer it with Observe either.
        let silent =
            operation.needs() | if operation.needs() == lacks::WRITE { 0 } else { lacks::READ | lacks::OBSERVE };
        // One that had fallen asleep when it was asked: its silence proves nothing.
        self.split(index, task, if was_heard { silent } else { 0 })
    }

    /// Goes on with single operations. Returns the task if it is none of several paths.
    fn split(&mut self, index: DeviceIndex, task: Task, proof: u8) -> Option<Task> {
        self.stats.composites_divided += 1;
        match task.errand {
            Errand::Asked(asked) => {
                let Ok(parts) = Parts::new(&Manner::for_any(self.definitions_of(index)), &asked, proof) else {
                    return Some(Task { errand: Errand::Asked(asked), ..task });
                };
                let task = Task { parts: Some(Box::new(parts)), ..Task::from(Errand::Asked(asked)) };
                self.dialog(index)?.put_back(task);
                None
            }
            Errand::Observe(wish) => {
                let dialog = self.dialog(index)?;
                let singles: Vec<Task> = wish.split(proof).map(|wish| Errand::Observe(wish).into()).collect();
                for single in singles.into_iter().rev() {
                    dialog.errands.push_front(single);
                }
                None
            }
            errand => Some(Task { errand, ..task }),
        }
    }

    /// What a composite answer says to whoever asked.
    pub(crate) fn understand_composite(
        &self,
        now: Now,
        index: DeviceIndex,
        asked: &Asked,
        answered: &Answered,
    ) -> Result<Understood, String> {
        let records = records_of(&Path::ROOT, answered, unix_s(now), self.definitions_of(index))?;
        let mut body = content_json(&records);
        write_failures(&mut body, &passed_over(&asked.paths, &records));
        Ok(Understood { body: Some(body), readings: records })
    }
}

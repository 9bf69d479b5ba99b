//! A composite as single operations, one after another, for a device that does not know composites: partial results, and
//! which path failed with which code.

use std::collections::VecDeque;

use coap::exchange::{Answered, Request as CoapRequest};
use coap::{Code, observe};
use lwm2m::{Definitions, Path, Record};

use crate::command::{Answer, Operation, Outcome};
use crate::conclusions::unix_s;
use crate::content::{content_json, records_of, write_failures};
use crate::devices::DeviceIndex;
use crate::dialog::{Asked, Errand, Task};
use crate::event::foreign;
use crate::formats::Content;
use crate::gateway::Gateway;
use crate::intent::Target;
use crate::observations::Terms;
use crate::operation::Manner;
use crate::timers::Now;

/// A composite that goes on as single operations: what is done of it, and what is still to do.
pub(crate) struct Parts {
    todo: VecDeque<Part>,
    records: Vec<Record>,
    done: Vec<Path>,
    failed: Vec<Failure>,
    /// Nobody answered the last one.
    is_silent: bool,
    /// What an answer proves that the device does not know.
    proof: u8,
}

/// One path to read, or values to write within one object instance.
struct Part {
    path: Path,
    values: Vec<Record>,
}

impl Part {
    fn paths(&self) -> Vec<Path> {
        if self.values.is_empty() { vec![self.path] } else { self.values.iter().map(|record| record.path).collect() }
    }
}

impl Part {
    fn content(&self, definitions: &Definitions) -> Content {
        match self.values.as_slice() {
            [] => Content::at(&self.path, definitions),
            [only] if only.path.depth() == 3 => Content::at(&only.path, definitions),
            _ => Content::Tree,
        }
    }
}

/// A path that could not be served.
pub(crate) struct Failure {
    pub(crate) path: Path,
    /// The device's; none where it did not say.
    pub(crate) code: Option<Code>,
    pub(crate) detail: String,
}

impl Parts {
    pub(crate) fn new(manner: &Manner<'_>, asked: &Asked, proof: u8) -> Result<Self, String> {
        let mut todo: VecDeque<Part> = VecDeque::new();
        if asked.operation == Operation::WriteComposite {
            for record in manner.values(asked.body.as_deref())? {
                let instance = Path { resource: None, resource_instance: None, ..record.path };
                match todo.iter_mut().find(|part| part.path == instance) {
                    Some(part) => part.values.push(record),
                    None => todo.push_back(Part { path: instance, values: vec![record] }),
                }
            }
        } else {
            todo.extend(asked.paths.iter().map(|path| Part { path: *path, values: Vec::new() }));
        }
        Ok(Self { todo, records: Vec::new(), done: Vec::new(), failed: Vec::new(), is_silent: false, proof })
    }

    /// The request for what comes next.
    pub(crate) fn plan(&self, manner: &Manner<'_>, operation: Operation) -> Result<CoapRequest, String> {
        manner.part(operation, self.todo.front().ok_or("nothing is left of it")?)
    }

    /// What the request for it has to carry, or asks for.
    pub(crate) fn content(&self, definitions: &Definitions) -> Content {
        match self.todo.front() {
            Some(part) => part.content(definitions),
            None => Content::Tree,
        }
    }

    /// The path that comes next.
    pub(crate) fn path(&self) -> Option<Path> {
        self.todo.front().map(|part| part.path)
    }

    fn fail(&mut self, code: Option<Code>, detail: &str) {
        let Some(part) = self.todo.pop_front() else { return };
        self.failed.extend(part.paths().into_iter().map(|path| Failure { path, code, detail: detail.to_owned() }));
    }

    fn succeed(&mut self, records: Vec<Record>) {
        let Some(part) = self.todo.pop_front() else { return };
        self.done.extend(part.paths());
        self.records.extend(records);
    }

    /// Ends it early: the rest fails for this reason.
    fn end(&mut self, detail: &str) {
        while !self.todo.is_empty() {
            self.fail(None, detail);
        }
    }

    /// What became of it all.
    fn answer(&self, asked: &Asked) -> Answer {
        let mut body = content_json(&self.records);
        write_failures(&mut body, &self.failed);
        let code = match asked.operation {
            Operation::WriteComposite => Code::CHANGED,
            _ => Code::CONTENT,
        };
        let Some(first) = self.failed.first() else {
            let body = Some(body).filter(|_| code == Code::CONTENT);
            return Answer { code: Some(code), body, ..Answer::of(asked.id, Outcome::Answered) };
        };
        let has_some = !self.done.is_empty();
        if has_some && asked.operation != Operation::WriteComposite {
            return Answer { code: Some(code), body: Some(body), ..Answer::of(asked.id, Outcome::Answered) };
        }
        let done: Vec<String> = self.done.iter().map(ToString::to_string).collect();
        let already = if has_some { format!("; written before that: {}", done.join(", ")) } else { String::new() };
        let detail = Some(format!("{}: {}{already}", first.path, first.reason()));
        let outcome = if self.is_silent { Outcome::TimedOut } else { Outcome::Refused };
        Answer { code: first.code, body: Some(body), detail, ..Answer::of(asked.id, outcome) }
    }
}

impl Failure {
    fn reason(&self) -> String {
        match self.code {
            Some(code) if self.detail.is_empty() => code.to_string(),
            Some(code) => format!("{code} {}", self.detail),
            None => self.detail.clone(),
        }
    }
}

/// Paths that a device passed over in a composite answer: it does not say why (OMA LwM2M Core 1.1 §6.3.8).
pub(crate) fn passed_over(paths: &[Path], records: &[Record]) -> Vec<Failure> {
    let is_missing = |path: &&Path| !records.iter().any(|record| path.contains(&record.path));
    let failure = |path: &Path| Failure { path: *path, code: None, detail: "the device left it out".to_owned() };
    paths.iter().filter(is_missing).map(failure).collect()
}

impl Manner<'_> {
    /// One of the single operations that stand for a composite.
    fn part(&self, operation: Operation, part: &Part) -> Result<CoapRequest, String> {
        match (operation, part.values.as_slice()) {
            // A resource may be replaced by itself; of anything else what is not named has to stay.
            (Operation::WriteComposite, [only]) if only.path.depth() == 3 => {
                self.with_records(self.request(Code::PUT, &only.path), self.format, &only.path, &part.values)
            }
            (Operation::WriteComposite, values) => {
                self.with_records(self.request(Code::POST, &part.path), self.format, &part.path, values)
            }
            (Operation::ObserveComposite, _) => {
                Ok(CoapRequest { observe: Some(observe::REGISTER), ..self.read(&part.path) })
            }
            (Operation::CancelObservationComposite, _) => {
                Ok(CoapRequest { observe: Some(observe::CANCEL), ..self.read(&part.path) })
            }
            _ => Ok(self.read(&part.path)),
        }
    }
}

impl Gateway {
    /// An answer to one of the single operations that stand for a composite.
    pub(crate) fn conclude_part(&mut self, now: Now, index: DeviceIndex, mut task: Task, answered: &Answered) {
        let Some(mut parts) = task.parts.take() else { return };
        let Errand::Asked(asked) = &task.errand else { return };
        let Some(path) = parts.path() else { return };
        if answered.code.is_success() {
            if let Some(device) = self.directory.get_mut(index) {
                device.note_lacking(std::mem::take(&mut parts.proof));
            }
            match self.take_part(now, index, asked.operation, path, answered) {
                Ok(records) => parts.succeed(records),
                Err(detail) => parts.fail(Some(answered.code), &detail),
            }
        } else {
            parts.fail(Some(answered.code), &foreign(&answered.payload));
            if asked.operation == Operation::WriteComposite {
                // As near as can be to all or nothing (RFC 8132 §3).
                parts.end("not written, because another was refused");
            }
        }
        self.go_on(now, index, task, parts);
    }

    /// What one of the single operations brought.
    fn take_part(
        &mut self,
        now: Now,
        index: DeviceIndex,
        operation: Operation,
        path: Path,
        answered: &Answered,
    ) -> Result<Vec<Record>, String> {
        let target = Target::Single(path);
        match operation {
            Operation::WriteComposite => return Ok(Vec::new()),
            Operation::CancelObservationComposite => {
                self.end_observation(now, index, &target, answered.code);
                return Ok(Vec::new());
            }
            Operation::ObserveComposite => self.begin_observation(now, index, &Terms::asked(target), answered),
            _ => {}
        }
        let records = records_of(&path, answered, unix_s(now), self.definitions_of(index))?;
        if operation == Operation::ReadComposite {
            self.note_records(now, index, &records);
        }
        Ok(records)
    }

    /// Nobody answered one of the single operations: the device is gone, and so is the rest.
    pub(crate) fn give_up_parts(&mut self, now: Now, index: DeviceIndex, task: Task, mut parts: Box<Parts>) {
        parts.is_silent = true;
        parts.end("the device did not answer");
        self.go_on(now, index, task, parts);
    }

    /// One of the single operations cannot be, to us or to the device.
    pub(crate) fn refuse_part(&mut self, now: Now, index: DeviceIndex, task: Task, mut parts: Box<Parts>, why: &str) {
        parts.fail(None, why);
        self.go_on(now, index, task, parts);
    }

    fn go_on(&mut self, now: Now, index: DeviceIndex, task: Task, mut parts: Box<Parts>) {
        let Errand::Asked(asked) = task.errand else { return };
        if asked.has_expired(now.monotonic) {
            parts.end("its time was over");
        }
        if !parts.todo.is_empty() {
            let task = Task { parts: Some(parts), ..Task::from(Errand::Asked(asked)) };
            if let Some(dialog) = self.dialog(index) {
                dialog.put_back(task);
            }
            return;
        }
        self.tell_all(&asked, parts.answer(&asked));
    }
}

//! What SenML means, whichever way it is written (RFC 8428 §4): base fields, relative times, one value per record.

use std::borrow::Cow;

use super::scalar::{Number, Scalar};
use crate::error::DecodeError;
use crate::path::Path;
use crate::registration::excerpt;

/// RFC 8428 §4.5.3: times below 2^28 s count from now, others from 1970.
pub(super) const TIME_ABSOLUTE_FROM_S: f64 = 268_435_456.0;

/// RFC 8428 §4.4: the version this code understands, and the one that is meant when none is given.
pub(super) const VERSION: i128 = 10;

/// One record as it was written.
#[derive(Default)]
pub(super) struct Fields<'a> {
    pub base_name: Option<Cow<'a, str>>,
    pub base_time: Option<f64>,
    pub base_value: Option<Number>,
    pub name: Option<Cow<'a, str>>,
    pub value: Option<Scalar<'a>>,
    pub time: Option<f64>,
}

/// A record with all base fields applied (RFC 8428 §4.6).
pub(super) struct Resolved<'a> {
    pub path: Path,
    pub value: Scalar<'a>,
    pub time: Option<f64>,
}

/// Carries the base fields from record to record.
pub(super) struct Resolver<'a> {
    now_unix_s: f64,
    base_name: Cow<'a, str>,
    base_time: Option<f64>,
    base_value: Option<Number>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(now_unix_s: f64) -> Self {
        Self { now_unix_s, base_name: Cow::Borrowed(""), base_time: None, base_value: None }
    }

    /// The meaning of a record; `None` if it only sets base fields.
    pub(super) fn resolve(&mut self, fields: Fields<'a>) -> Result<Option<Resolved<'a>>, DecodeError> {
        let is_named = fields.name.is_some();
        let (name, value, time) = self.take_bases(fields);
        let value = match (value, self.base_value) {
            (Some(Scalar::Number(number)), Some(base)) => Some(Scalar::Number(base.plus(number))),
            // RFC 8428 §4.5.4: where only one of base value and value is given, the other counts as zero.
            (None, Some(base)) if is_named => Some(Scalar::Number(base)),
            (value, _) => value,
        };
        let Some(value) = value else {
            return if is_named { Err(DecodeError::ValueMissing { path: self.path(&name)? }) } else { Ok(None) };
        };
        Ok(Some(Resolved { path: self.path(&name)?, value, time: self.time(time)? }))
    }

    /// The path of a record that asks instead of telling (OMA LwM2M Core 1.1 §6.3, composite reads).
    pub(super) fn resolve_path(&mut self, fields: Fields<'a>) -> Result<Option<Path>, DecodeError> {
        let is_named = fields.name.is_some();
        let (name, _, _) = self.take_bases(fields);
        match self.path(&name) {
            // `{"bn":"/3/0/"}` alone only prepares the records after it.
            Err(_) if !is_named => Ok(None),
            path => path.map(Some),
        }
    }

    fn take_bases(&mut self, fields: Fields<'a>) -> (Cow<'a, str>, Option<Scalar<'a>>, Option<f64>) {
        if let Some(name) = fields.base_name {
            self.base_name = name;
        }
        self.base_time = fields.base_time.or(self.base_time);
        self.base_value = fields.base_value.or(self.base_value);
        (fields.name.unwrap_or_default(), fields.value, fields.time)
    }

    /// Base name and name in one. A missing first slash is forgiven: seen in LwM2M 1.0 clients that moved to SenML.
    fn path(&self, name: &str) -> Result<Path, DecodeError> {
        let both = self.base_name.as_bytes().iter().chain(name.as_bytes());
        let parsed = match both.clone().next() {
            Some(b'/') | None => Path::parse_bytes(both),
            Some(_) => Path::parse_bytes(b"/".iter().chain(both)),
        };
        parsed.map_err(|_| DecodeError::NameInvalid { name: excerpt(&format!("{}{name}", self.base_name)) })
    }

    /// RFC 8428 §4.5.3.
    fn time(&self, time: Option<f64>) -> Result<Option<f64>, DecodeError> {
        if time.is_none() && self.base_time.is_none() {
            return Ok(None);
        }
        let mut at = self.base_time.unwrap_or(0.0) + time.unwrap_or(0.0);
        if at < TIME_ABSOLUTE_FROM_S {
            at += self.now_unix_s;
        }
        if at.is_finite() { Ok(Some(at)) } else { Err(DecodeError::TimeInvalid) }
    }
}

/// What the first record says for all that follow.
pub(super) struct Bases {
    /// Base name, with a slash at its end; empty for composites.
    pub name: Vec<u8>,
    /// How many ids of each path the base name stands for.
    depth: usize,
    /// The time of every record, if they agree.
    pub time: Option<f64>,
}

impl Bases {
    /// The bases for records below `base`: at most the instance, so that a name is never empty.
    pub(super) fn of(base: &Path, mut times: impl Iterator<Item = Option<f64>>) -> Self {
        let (mut name, mut depth) = (Vec::new(), 0);
        for id in base.ids().take(2) {
            name.push(b'/');
            name.extend_from_slice(itoa::Buffer::new().format(id).as_bytes());
            depth += 1;
        }
        if depth > 0 {
            name.push(b'/');
        }
        let time = times.next().flatten().filter(|first| times.all(|time| time == Some(*first)));
        Self { name, depth, time }
    }

    /// Appends what the base name leaves of a path.
    pub(super) fn write_name(&self, path: &Path, out: &mut Vec<u8>) {
        if self.depth == 0 {
            return path.write(out);
        }
        for (nth, id) in path.ids().skip(self.depth).enumerate() {
            if nth > 0 {
                out.push(b'/');
            }
            out.extend_from_slice(itoa::Buffer::new().format(id).as_bytes());
        }
    }
}

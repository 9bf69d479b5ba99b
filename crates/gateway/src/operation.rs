//! From a request as Python asks it to CoAP, and from the device's answer to JSON.

use coap::exchange::{Answered, Request as CoapRequest};
use coap::{Code, content_format, observe};
use lwm2m::{Definitions, Kind, Links, Path, Record, Value};
use serde_json::Value as Json;

use crate::command::Operation;
use crate::dialog::Push;
use crate::event::write_text;

/// Where and in which format to ask.
pub(crate) struct Manner<'a> {
    /// Before every path; empty almost always.
    pub(crate) root: &'a str,
    pub(crate) format: u16,
    pub(crate) definitions: &'a Definitions,
}

impl Manner<'_> {
    fn request(&self, code: Code, path: &Path) -> CoapRequest {
        CoapRequest::new(code, format!("{}{path}", self.root))
    }

    /// `GET` with what we would like to have.
    pub(crate) fn read(&self, path: &Path) -> CoapRequest {
        CoapRequest { accept: Some(self.format), ..self.request(Code::GET, path) }
    }

    /// Write-Attributes (OMA LwM2M Core 1.1 §6.3.4).
    pub(crate) fn write_attributes(&self, path: &Path, queries: Vec<String>) -> CoapRequest {
        CoapRequest { queries, ..self.request(Code::PUT, path) }
    }

    /// The request that does what was asked, or why it makes no sense.
    pub(crate) fn plan(&self, operation: Operation, path: &Path, body: Option<&Json>) -> Result<CoapRequest, String> {
        match operation {
            Operation::Read => Ok(self.read(path)),
            Operation::Write => self.write(Code::PUT, path, body),
            Operation::WritePartial => self.write(Code::POST, path, body),
            Operation::Execute => self.execute(path, body),
            Operation::Create => self.create(path, body),
            Operation::Delete => Ok(self.request(Code::DELETE, path)),
            Operation::Discover => {
                Ok(CoapRequest { accept: Some(content_format::LINK_FORMAT), ..self.request(Code::GET, path) })
            }
            Operation::WriteAttributes => Ok(self.write_attributes(path, attribute_queries(body)?)),
            Operation::Observe => Ok(CoapRequest { observe: Some(observe::REGISTER), ..self.read(path) }),
            Operation::CancelObservation => Ok(CoapRequest { observe: Some(observe::CANCEL), ..self.read(path) }),
        }
    }

    fn write(&self, code: Code, path: &Path, body: Option<&Json>) -> Result<CoapRequest, String> {
        if Push::of(body).is_some() {
            // Its bytes are added where the file is known (OMA LwM2M Core 1.1 §6.3.3: opaque as it is).
            if code != Code::PUT || self.definitions.kind(path) != Some(Kind::Opaque) {
                return Err("a file is the value of an opaque resource".to_owned());
            }
            let format = Some(content_format::OCTET_STREAM);
            return Ok(CoapRequest { content_format: format, ..self.request(code, path) });
        }
        let body = body.and_then(Json::as_object).ok_or("a body is needed")?;
        let records = if let Some(value) = body.get("value") {
            if path.resource.is_none() {
                return Err("\"value\" is for a resource".to_owned());
            }
            vec![Record::new(*path, self.value(path, value)?)]
        } else if let Some(values) = body.get("values").and_then(Json::as_object) {
            self.children(path, values, 3)?
        } else if let Some(resources) = body.get("resources").and_then(Json::as_object) {
            self.resources(path, resources)?
        } else {
            return Err("one of \"value\", \"values\", \"resources\" is needed".to_owned());
        };
        self.with_records(self.request(code, path), self.format, path, &records)
    }

    fn create(&self, path: &Path, body: Option<&Json>) -> Result<CoapRequest, String> {
        let body = body.and_then(Json::as_object).ok_or("a body is needed")?;
        let object = Path::of_object(path.object);
        let named = body.get("instance").filter(|instance| !instance.is_null());
        let named = match named {
            Some(instance) => Some(instance.as_u64().and_then(|id| u16::try_from(id).ok()).ok_or("instance: no id")?),
            None => path.instance,
        };
        let instance = object.child(named.unwrap_or(0)).ok_or("instance: no id")?;
        let resources = body.get("resources").and_then(Json::as_object).ok_or("\"resources\" is needed")?;
        let records = self.resources(&instance, resources)?;
        let request = self.request(Code::POST, &object);
        if named.is_some() {
            return self.with_records(request, self.format, &object, &records);
        }
        // The other formats name every value in full and cannot leave the id to the device; TLV can (Core 1.1 §6.3.6).
        let format = if self.format == content_format::TLV_OLD { self.format } else { content_format::TLV };
        self.with_records(request, format, &instance, &records)
    }

    fn with_records(
        &self,
        request: CoapRequest,
        format: u16,
        base: &Path,
        records: &[Record],
    ) -> Result<CoapRequest, String> {
        let payload =
            lwm2m::codec::encode(format, base, records, self.definitions).map_err(|error| error.to_string())?;
        Ok(CoapRequest { payload, content_format: Some(format), ..request })
    }

    fn resources(&self, instance: &Path, resources: &serde_json::Map<String, Json>) -> Result<Vec<Record>, String> {
        if instance.depth() != 2 {
            return Err("\"resources\" is for an object instance".to_owned());
        }
        let mut records = Vec::new();
        for (id, value) in resources {
            let resource = child(instance, id)?;
            match value.as_object() {
                Some(values) => records.extend(self.children(&resource, values, 3)?),
                None => records.push(Record::new(resource, self.value(&resource, value)?)),
            }
        }
        Ok(records)
    }

    fn children(
        &self,
        path: &Path,
        values: &serde_json::Map<String, Json>,
        depth: usize,
    ) -> Result<Vec<Record>, String> {
        if path.depth() != depth {
            return Err("\"values\" is for a resource".to_owned());
        }
        let record = |(id, value): (&String, &Json)| {
            let path = child(path, id)?;
            Ok(Record::new(path, self.value(&path, value)?))
        };
        values.iter().map(record).collect()
    }

    fn value(&self, path: &Path, json: &Json) -> Result<Value, String> {
        let kind = match (self.definitions.kind(path), json) {
            (Some(kind), _) => kind,
            (None, Json::String(_)) => Kind::String,
            (None, Json::Bool(_)) => Kind::Boolean,
            (None, Json::Number(number)) if number.is_f64() => Kind::Float,
            (None, Json::Number(_)) => Kind::Integer,
            (None, _) => return Err(format!("{path}: not a value")),
        };
        Value::from_json(json, kind).map_err(|error| format!("{path}: {error}"))
    }

    /// Arguments as in `0='x',1` (OMA LwM2M Core 1.1 §6.3.5).
    fn execute(&self, path: &Path, body: Option<&Json>) -> Result<CoapRequest, String> {
        let request = self.request(Code::POST, path);
        let Some(arguments) = body.and_then(|body| body.get("arguments")).and_then(Json::as_object) else {
            return Ok(request);
        };
        let mut payload = String::new();
        for (digit, value) in arguments {
            if digit.len() != 1 || !digit.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(format!("argument {digit}: not a digit from 0 to 9"));
            }
            if !payload.is_empty() {
                payload.push(',');
            }
            payload.push_str(digit);
            match value {
                Json::Null => {}
                Json::String(text) if !text.contains('\'') => payload.push_str(&format!("='{text}'")),
                Json::Number(number) => payload.push_str(&format!("='{number}'")),
                _ => return Err(format!("argument {digit}: not a text without quotes")),
            }
        }
        if payload.is_empty() {
            return Ok(request);
        }
        Ok(CoapRequest { payload: payload.into_bytes(), content_format: Some(content_format::TEXT_PLAIN), ..request })
    }
}

fn child(path: &Path, id: &str) -> Result<Path, String> {
    let number = id.parse::<u16>().ok().filter(|number| *number != lwm2m::path::ID_RESERVED);
    number.and_then(|number| path.child(number)).ok_or_else(|| format!("{id}: not an id"))
}

fn attribute_queries(body: Option<&Json>) -> Result<Vec<String>, String> {
    let body = body.and_then(Json::as_object).ok_or("a body is needed")?;
    let mut queries = Vec::new();
    for (name, value) in body {
        match value {
            // Core 1.1 §6.3.4: a name without a value takes the attribute back.
            Json::Null => queries.push(name.clone()),
            Json::Number(number) => queries.push(format!("{name}={number}")),
            Json::Bool(truth) => queries.push(format!("{name}={}", u8::from(*truth))),
            _ => return Err(format!("{name}: not a number")),
        }
    }
    let bytes: Vec<&[u8]> = queries.iter().map(String::as_bytes).collect();
    lwm2m::Attributes::default().apply(&bytes).map_err(|error| error.to_string())?;
    Ok(queries)
}

/// What a device answered, as JSON.
pub(crate) struct Understood {
    pub(crate) body: Option<Vec<u8>>,
    /// The values in it, for an event.
    pub(crate) readings: Vec<Record>,
}

/// Reads the answer to a request that went well.
pub(crate) fn understand(
    operation: Operation,
    path: &Path,
    answered: &Answered,
    now_s: f64,
    definitions: &Definitions,
) -> Result<Understood, String> {
    match operation {
        Operation::Read | Operation::Observe => {
            let records = records_of(path, answered, now_s, definitions)?;
            Ok(Understood { body: Some(content_json(&records)), readings: records })
        }
        Operation::Discover => {
            let links = Links::parse(&answered.payload).map_err(|error| error.to_string())?;
            Ok(Understood { body: Some(links_json(&links)), readings: Vec::new() })
        }
        Operation::Create => {
            let location: String = answered.location.iter().map(|segment| format!("/{segment}")).collect();
            let mut body = b"{\"path\":".to_vec();
            match Path::parse(&location) {
                Ok(created) if !created.is_root() => write_text(&mut body, &created.to_string()),
                _ => write_text(&mut body, &path.to_string()),
            }
            body.push(b'}');
            Ok(Understood { body: Some(body), readings: Vec::new() })
        }
        _ => Ok(Understood { body: None, readings: Vec::new() }),
    }
}

/// The values of an answer, each of its declared kind where that is possible.
pub(crate) fn records_of(
    path: &Path,
    answered: &Answered,
    now_s: f64,
    definitions: &Definitions,
) -> Result<Vec<Record>, String> {
    let format = answered.content_format.unwrap_or(content_format::TEXT_PLAIN);
    let mut records =
        lwm2m::codec::decode(format, path, &answered.payload, now_s, definitions).map_err(|error| error.to_string())?;
    for record in &mut records {
        // A value of another kind than declared is shown as it came.
        let _ = record.retype(definitions);
    }
    Ok(records)
}

fn content_json(records: &[Record]) -> Vec<u8> {
    let mut body = b"{\"content\":[".to_vec();
    for (number, record) in records.iter().enumerate() {
        if number > 0 {
            body.push(b',');
        }
        write_record(&mut body, record, true);
    }
    body.extend_from_slice(b"]}");
    body
}

/// Appends one value: `{"path":"/3/0/9","value":87,"type":"integer","time":...}`.
pub(crate) fn write_record(body: &mut Vec<u8>, record: &Record, has_type: bool) {
    body.extend_from_slice(b"{\"path\":\"");
    record.path.write(body);
    body.extend_from_slice(b"\",\"value\":");
    record.value.to_json(body);
    if has_type {
        body.extend_from_slice(b",\"type\":");
        write_text(body, record.value.kind().name());
    }
    if let Some(time) = record.time.filter(|time| time.is_finite()) {
        body.extend_from_slice(b",\"time\":");
        Value::Float(time).to_json(body);
    }
    body.push(b'}');
}

fn links_json(links: &Links) -> Vec<u8> {
    let mut body = b"{\"links\":[".to_vec();
    for (number, link) in links.objects.iter().enumerate() {
        body.extend_from_slice(if number > 0 { b",{\"path\":" } else { b"{\"path\":" });
        write_text(&mut body, &link.path.to_string());
        body.extend_from_slice(b",\"attributes\":{");
        let version = link.version.as_ref().map(|version| ("ver", Some(version)));
        let others = link.attributes.iter().map(|(name, value)| (name.as_str(), value.as_ref()));
        for (place, (name, value)) in version.into_iter().chain(others).enumerate() {
            if place > 0 {
                body.push(b',');
            }
            write_text(&mut body, name);
            body.push(b':');
            match value {
                Some(value) => write_text(&mut body, value),
                None => body.extend_from_slice(b"true"),
            }
        }
        body.extend_from_slice(b"}}");
    }
    body.extend_from_slice(b"]}");
    body
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on should stop
    use super::*;

    fn path(text: &str) -> Path {
        Path::parse(text).unwrap()
    }

    fn plan(format: u16, operation: Operation, at: &str, body: &str) -> Result<CoapRequest, String> {
        let manner = Manner { root: "", format, definitions: Definitions::embedded() };
        let body: Option<Json> = (!body.is_empty()).then(|| serde_json::from_str(body).unwrap());
        manner.plan(operation, &path(at), body.as_ref())
    }

    #[test]
    fn values_are_written_as_their_definition_says() {
        let tlv = plan(content_format::TLV, Operation::Write, "/3/0/15", r#"{"value":"Oslo"}"#).unwrap();
        let text = plan(content_format::TEXT_PLAIN, Operation::Write, "/1/0/1", r#"{"value":300}"#).unwrap();
        let opaque = plan(content_format::OCTET_STREAM, Operation::Write, "/5/0/0", r#"{"value":"AAEC"}"#).unwrap();

        // Type of the identifier: resource with value, length in the type itself (OMA LwM2M Core 1.1 §7.4.3).
        assert_eq!((tlv.code, tlv.payload.as_slice()), (Code::PUT, b"\xc4\x0fOslo".as_slice()));
        assert_eq!((text.payload.as_slice(), text.content_format), (b"300".as_slice(), Some(0)));
        assert_eq!((opaque.payload.as_slice(), opaque.content_format), ([0, 1, 2].as_slice(), Some(42)));
    }

    #[test]
    fn arguments_of_an_execute_are_quoted() {
        let request = plan(112, Operation::Execute, "/3/0/4", r#"{"arguments":{"0":"now","3":7,"5":null}}"#).unwrap();

        assert_eq!(request.payload, b"0='now',3='7',5");
        for wrong in [r#"{"arguments":{"10":"x"}}"#, r#"{"arguments":{"0":"it's"}}"#, r#"{"arguments":{"0":[1]}}"#] {
            assert!(plan(112, Operation::Execute, "/3/0/4", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_create_without_an_id_leaves_it_to_the_device() {
        let open = plan(112, Operation::Create, "/3303", r#"{"resources":{"5700":1.5}}"#).unwrap();
        let named = plan(112, Operation::Create, "/3303/7", r#"{"resources":{"5700":1.5}}"#).unwrap();

        assert_eq!((open.path.as_str(), open.content_format), ("/3303", Some(content_format::TLV)));
        assert_eq!((named.path.as_str(), named.content_format), ("/3303", Some(content_format::SENML_CBOR)));
        let written = lwm2m::codec::decode(112, &path("/3303"), &named.payload, 0.0, Definitions::embedded()).unwrap();
        assert_eq!(written[0].path, path("/3303/7/5700"));
    }

    #[test]
    fn attributes_become_queries_and_null_takes_one_back() {
        let request = plan(112, Operation::WriteAttributes, "/3/0/9", r#"{"pmin":5,"gt":2.5,"pmax":null}"#).unwrap();

        assert_eq!(request.queries, ["pmin=5", "gt=2.5", "pmax"]);
        assert!(plan(112, Operation::WriteAttributes, "/3/0/9", r#"{"often":1}"#).is_err());
    }

    #[test]
    fn a_body_that_makes_no_sense_is_refused() {
        for (operation, at, body) in [
            (Operation::Write, "/3/0/15", ""),
            (Operation::Write, "/3/0", r#"{"value":1}"#),
            (Operation::Write, "/3/0/15", r#"{"values":{"x":1}}"#),
            (Operation::Write, "/3/0/15", r#"{"resources":{"0":1}}"#),
            (Operation::Write, "/3/0/9", r#"{"value":"much"}"#),
            (Operation::Create, "/3303", r#"{"instance":70000,"resources":{"5700":1}}"#),
            (Operation::Create, "/3303", "{}"),
        ] {
            assert!(plan(112, operation, at, body).is_err(), "{operation:?} {at} {body}");
        }
    }

    #[test]
    fn an_alternate_root_stands_before_every_path() {
        let manner = Manner { root: "/lwm2m", format: 112, definitions: Definitions::embedded() };

        assert_eq!(manner.read(&path("/3/0/9")).path, "/lwm2m/3/0/9");
    }
}

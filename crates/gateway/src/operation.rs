//! From a request as Python asks it to CoAP.

use coap::exchange::Request as CoapRequest;
use coap::{Code, content_format, observe};
use lwm2m::{Definitions, Kind, Path, Record, Value, Version};
use serde_json::Value as Json;

use crate::command::Operation;
use crate::dialog::Push;
use crate::intent::{Target, misfit};

/// OMA LwM2M Core 1.2 §6.3.2: how far below a path Discover may look.
const DEPTH_MAX: u64 = 3;

/// Where and in which format to ask.
pub(crate) struct Manner<'a> {
    /// What the client speaks.
    pub(crate) version: Version,
    /// Before every path; empty almost always.
    pub(crate) root: &'a str,
    pub(crate) format: u16,
    pub(crate) definitions: &'a Definitions,
}

impl<'a> Manner<'a> {
    /// For what does not depend on the device: whether a request makes sense, and what it is about.
    pub(crate) fn for_any(definitions: &'a Definitions) -> Self {
        Self { version: Version::V1_2, root: "", format: content_format::SENML_CBOR, definitions }
    }
}

impl Manner<'_> {
    pub(crate) fn request(&self, code: Code, path: &Path) -> CoapRequest {
        CoapRequest::new(code, format!("{}{path}", self.root))
    }

    /// `GET` with what we would like to have.
    pub(crate) fn read(&self, path: &Path) -> CoapRequest {
        CoapRequest { accept: Some(self.format), ..self.request(Code::GET, path) }
    }

    /// Begins or ends an observation.
    pub(crate) fn observe(&self, target: &Target, value: u32) -> Result<CoapRequest, String> {
        match target {
            Target::Single(path) => Ok(CoapRequest { observe: Some(value), ..self.read(path) }),
            Target::Composite(paths) => self.fetch(paths, Some(value)),
        }
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
            Operation::Delete => self.delete(path),
            Operation::Discover => self.discover(path, body),
            Operation::WriteAttributes => Ok(self.write_attributes(path, attribute_queries(self.version, path, body)?)),
            Operation::Observe => Ok(CoapRequest { observe: Some(observe::REGISTER), ..self.read(path) }),
            Operation::CancelObservation => Ok(CoapRequest { observe: Some(observe::CANCEL), ..self.read(path) }),
            // Core 1.1 §6.1.7: the root, an object or an instance.
            Operation::BootstrapDelete if path.resource.is_some() => Err(format!("{path}: not an instance")),
            Operation::BootstrapDelete => Ok(self.request(Code::DELETE, path)),
            Operation::BootstrapFinish => Ok(CoapRequest::new(Code::POST, "/bs")),
            _ => self.composite(operation, body),
        }
    }

    fn delete(&self, path: &Path) -> Result<CoapRequest, String> {
        // OMA LwM2M Core 1.2 §6.3.7: an instance of a resource, too.
        match path.depth() {
            2 => Ok(self.request(Code::DELETE, path)),
            4 if self.version >= Version::V1_2 => Ok(self.request(Code::DELETE, path)),
            4 => Err("only a client of LwM2M 1.2 can delete an instance of a resource".to_owned()),
            _ => Err(format!("{path}: only instances can be deleted")),
        }
    }

    fn discover(&self, path: &Path, body: Option<&Json>) -> Result<CoapRequest, String> {
        let mut request = CoapRequest { accept: Some(content_format::LINK_FORMAT), ..self.request(Code::GET, path) };
        if let Some(depth) = body.and_then(|body| body.get("depth")).filter(|depth| !depth.is_null()) {
            let depth = depth.as_u64().filter(|depth| *depth <= DEPTH_MAX).ok_or("depth: not from 0 to 3")?;
            if self.version < Version::V1_2 {
                return Err("only a client of LwM2M 1.2 knows a depth".to_owned());
            }
            request.queries.push(format!("depth={depth}"));
        }
        Ok(request)
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

    pub(crate) fn with_records(
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
                Some(values) if typed(value).is_none() => records.extend(self.children(&resource, values, 3)?),
                _ => records.push(Record::new(resource, self.value(&resource, value)?)),
            }
        }
        Ok(records)
    }

    pub(crate) fn children(
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

    /// A value of the type that is declared; where none is, of the one that it looks like or is said to be:
    /// `{"opaque":"AAEC"}`.
    pub(crate) fn value(&self, path: &Path, json: &Json) -> Result<Value, String> {
        let (said, json) = typed(json).map_or((None, json), |(kind, value)| (Some(kind), value));
        let kind = match (self.definitions.kind(path), said, json) {
            (Some(declared), Some(said), _) if said != declared => {
                return Err(format!("{path}: not of type {}", declared.name()));
            }
            (Some(kind), ..) | (None, Some(kind), _) => kind,
            (None, None, Json::String(_)) => Kind::String,
            (None, None, Json::Bool(_)) => Kind::Boolean,
            (None, None, Json::Number(number)) if number.is_f64() => Kind::Float,
            (None, None, Json::Number(_)) => Kind::Integer,
            (None, None, _) => return Err(format!("{path}: not a value")),
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
                Json::String(text) if text.bytes().all(is_argument_byte) => payload.push_str(&format!("='{text}'")),
                Json::Number(number) => payload.push_str(&format!("='{number}'")),
                _ => return Err(format!("argument {digit}: not a text without spaces, quotes and backslashes")),
            }
        }
        if payload.is_empty() {
            return Ok(request);
        }
        Ok(CoapRequest { payload: payload.into_bytes(), content_format: Some(content_format::TEXT_PLAIN), ..request })
    }
}

/// CHAR of the arguments' grammar (OMA LwM2M Core 1.1 §6.3.5): what can be printed, but no space, quotes and backslash.
const fn is_argument_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\')
}

/// A value that comes with its type: `{"objlnk":"3303:0"}`.
pub(crate) fn typed(json: &Json) -> Option<(Kind, &Json)> {
    let mut members = json.as_object()?.iter();
    let (name, value) = members.next().filter(|_| members.len() == 0)?;
    Some((Kind::from_name(name)?, value))
}

fn child(path: &Path, id: &str) -> Result<Path, String> {
    let number = id.parse::<u16>().ok().filter(|number| *number != lwm2m::path::ID_RESERVED);
    number.and_then(|number| path.child(number)).ok_or_else(|| format!("{id}: not an id"))
}

fn attribute_queries(version: Version, path: &Path, body: Option<&Json>) -> Result<Vec<String>, String> {
    let body = body.and_then(Json::as_object).ok_or("a body is needed")?;
    let mut queries = Vec::new();
    for (name, value) in body {
        if let Some(why) = misfit(name, version, path) {
            return Err(format!("{path}: {name} {why}"));
        }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on should stop
    use super::*;

    fn path(text: &str) -> Path {
        Path::parse(text).unwrap()
    }

    fn plan(format: u16, operation: Operation, at: &str, body: &str) -> Result<CoapRequest, String> {
        let manner = Manner { version: Version::V1_2, root: "", format, definitions: Definitions::embedded() };
        let body: Option<Json> = (!body.is_empty()).then(|| serde_json::from_str(body).unwrap());
        manner.plan(operation, &path(at), body.as_ref())
    }

    #[test]
    fn values_are_written_as_their_definition_says() {
        let tlv = plan(content_format::TLV, Operation::Write, "/3/0/15", r#"{"value":"Oslo"}"#).unwrap();
        let text = plan(content_format::TEXT_PLAIN, Operation::Write, "/1/0/1", r#"{"value":300}"#).unwrap();
        let opaque = plan(content_format::OCTET_STREAM, Operation::Write, "/5/0/0", r#"{"value":"AAEC"}"#).unwrap();

        // Type of the identifier: resource with value, length in the type itself (OMA LwM2M Core 1.1.1 §7.4.4).
        assert_eq!((tlv.code, tlv.payload.as_slice()), (Code::PUT, b"\xc4\x0fOslo".as_slice()));
        assert_eq!((text.payload.as_slice(), text.content_format), (b"300".as_slice(), Some(0)));
        assert_eq!((opaque.payload.as_slice(), opaque.content_format), ([0, 1, 2].as_slice(), Some(42)));
    }

    #[test]
    fn arguments_of_an_execute_are_quoted() {
        let request = plan(112, Operation::Execute, "/3/0/4", r#"{"arguments":{"0":"now","3":7,"5":null}}"#).unwrap();

        assert_eq!(request.payload, b"0='now',3='7',5");
        for wrong in
            [r#"{"10":"x"}"#, r#"{"0":"it's"}"#, r#"{"0":[1]}"#, r#"{"0":"a b"}"#, r#"{"0":"a\\b"}"#, r#"{"0":"å"}"#]
        {
            let body = format!(r#"{{"arguments":{wrong}}}"#);
            assert!(plan(112, Operation::Execute, "/3/0/4", &body).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_nobody_declared_is_of_the_type_it_is_said_to_be() {
        let written = |body: &str| {
            let at = "/49000/0";
            let request = plan(content_format::SENML_JSON, Operation::WritePartial, at, body)?;
            Ok::<_, String>(String::from_utf8(request.payload).unwrap())
        };

        let body = r#"{"resources":{"1":{"opaque":"AAEC"},"2":{"objlnk":"3303:0"},"3":{"0":{"opaque":"_w=="}}}}"#;
        assert!(written(body).is_err(), "not Base64 as JSON has it here");
        let said = written(&body.replace('_', "/")).unwrap();
        for part in [r#""n":"1","vd":"AAEC""#, r#""n":"2","vlo":"3303:0""#, r#""n":"3/0","vd":"_w""#] {
            assert!(said.contains(part), "{said}");
        }
        let single = plan(content_format::SENML_JSON, Operation::Write, "/49000/0/1", r#"{"value":{"opaque":"AAEC"}}"#);
        assert!(String::from_utf8(single.unwrap().payload).unwrap().contains(r#""vd":"AAEC""#));
        for wrong in [r#"{"value":{"opaque":7}}"#, r#"{"value":{"bytes":"AAEC"}}"#, r#"{"value":{}}"#] {
            assert!(plan(content_format::SENML_JSON, Operation::Write, "/49000/0/1", wrong).is_err(), "{wrong}");
        }
        assert!(plan(110, Operation::Write, "/3/0/15", r#"{"value":{"string":"Oslo"}}"#).is_ok());
        assert!(plan(110, Operation::Write, "/3/0/15", r#"{"value":{"integer":1}}"#).is_err(), "it is declared");
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
    fn a_client_is_asked_only_for_what_its_version_knows() {
        let of_version = |version, operation, at: &str, body: &str| {
            let manner = Manner { version, ..Manner::for_any(Definitions::embedded()) };
            let body: Option<Json> = (!body.is_empty()).then(|| serde_json::from_str(body).unwrap());
            manner.plan(operation, &path(at), body.as_ref())
        };

        for (operation, at, body) in [
            (Operation::Delete, "/3/0/11/1", ""),
            (Operation::Discover, "/3", r#"{"depth":2}"#),
            (Operation::WriteAttributes, "/3/0/9", r#"{"con":true}"#),
        ] {
            assert!(of_version(Version::V1_1, operation, at, body).is_err(), "{operation:?}");
            assert!(of_version(Version::V1_2, operation, at, body).is_ok(), "{operation:?}");
        }
        let discover = of_version(Version::V1_2, Operation::Discover, "/3", r#"{"depth":2}"#).unwrap();
        assert_eq!(discover.queries, ["depth=2"]);
        assert!(of_version(Version::V1_2, Operation::Discover, "/3", r#"{"depth":4}"#).is_err());
        assert!(of_version(Version::V1_2, Operation::Delete, "/3/0/11", "").is_err());
        assert!(of_version(Version::V1_2, Operation::WriteAttributes, "/3/0", r#"{"gt":1}"#).is_err());
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
        let manner =
            Manner { version: Version::V1_1, root: "/lwm2m", format: 112, definitions: Definitions::embedded() };

        assert_eq!(manner.read(&path("/3/0/9")).path, "/lwm2m/3/0/9");
    }
}

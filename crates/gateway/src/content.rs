//! What a device answered, as JSON.

use coap::content_format;
use coap::exchange::Answered;
use lwm2m::{Definitions, Links, Path, Record, Value};

use crate::command::Operation;
use crate::event::write_text;
use crate::parts::Failure;

/// An answer that could be read.
pub(crate) struct Understood {
    pub(crate) body: Option<Vec<u8>>,
    /// The values in it, for an event.
    pub(crate) readings: Vec<Record>,
}

/// Reads the answer to a request that went well, of a client whose objects live below `root`.
pub(crate) fn understand(
    operation: Operation,
    path: &Path,
    root: &str,
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
            let root = if root.is_empty() { "/" } else { root };
            let links = Links::parse_below(root, &answered.payload).map_err(|error| error.to_string())?;
            Ok(Understood { body: Some(links_json(&links)), readings: Vec::new() })
        }
        Operation::Create => {
            let location: String = answered.location.iter().map(|segment| format!("/{segment}")).collect();
            let mut body = b"{\"path\":".to_vec();
            match Path::parse(location.strip_prefix(root).unwrap_or(&location)) {
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

pub(crate) fn content_json(records: &[Record]) -> Vec<u8> {
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

/// Adds the paths that could not be served to a body: `"failed":[{"path":"/3/0/99","code":"4.04","detail":""}]`.
pub(crate) fn write_failures(body: &mut Vec<u8>, failed: &[Failure]) {
    if failed.is_empty() || body.pop() != Some(b'}') {
        return;
    }
    for (number, failure) in failed.iter().enumerate() {
        body.extend_from_slice(if number == 0 { b",\"failed\":[{\"path\":\"" } else { b",{\"path\":\"" });
        failure.path.write(body);
        body.extend_from_slice(b"\",\"code\":");
        match failure.code {
            Some(code) => write_text(body, &code.to_string()),
            None => body.extend_from_slice(b"null"),
        }
        body.extend_from_slice(b",\"detail\":");
        write_text(body, &failure.detail);
        body.push(b'}');
    }
    body.extend_from_slice(b"]}");
}

/// Appends one value: `{"path":"/3/0/9","value":87,"type":"integer","time":...}`; without its type as a reading is told,
/// which has a `kind` where JSON does not tell it.
pub(crate) fn write_record(body: &mut Vec<u8>, record: &Record, has_type: bool) {
    body.extend_from_slice(b"{\"path\":\"");
    record.path.write(body);
    body.extend_from_slice(b"\",\"value\":");
    record.value.to_json(body);
    let kind = record.value.kind();
    if has_type || kind.is_lost_in_json() {
        body.extend_from_slice(if has_type { b",\"type\":" } else { b",\"kind\":" });
        write_text(body, kind.name());
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

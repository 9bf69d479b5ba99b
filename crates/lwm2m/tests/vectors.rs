//! Bytes from the specifications mean what they say, both ways. What the vectors are: `vectors/README.md`.

// A broken arrangement should stop the test where it broke, and say loudly where.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::LazyLock;

use coap::content_format::{CBOR, JSON, LWM2M_CBOR, OCTET_STREAM, SENML_CBOR, SENML_JSON, TEXT_PLAIN, TLV};
use lwm2m::codec::{decode, decode_paths, encode, encode_paths};
use lwm2m::link_format::LinkError;
use lwm2m::{
    Attributes, DecodeError, Definitions, Kind, Link, Links, Path, Record, RegisterParameters, UpdateParameters, Value,
    Version,
};
use serde::{Deserialize, de::DeserializeOwned};

/// The registry, and the objects that the specification makes up for its examples.
static DEFINITIONS: LazyLock<Definitions> = LazyLock::new(|| {
    let files = ["objects/registry.json", "vectors/lwm2m/definitions.json"].map(text_of);
    Definitions::from_json(&[&files[0], &files[1]]).unwrap()
});

/// Path, kind, value as JSON, and a time where there is one.
#[derive(Deserialize)]
struct Written(String, String, serde_json::Value, #[serde(default)] Option<f64>);

#[derive(Deserialize)]
struct Payload {
    name: String,
    base: String,
    #[serde(default)]
    bytes: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    now: f64,
    records: Vec<Written>,
    /// Our encoder writes these very bytes.
    canonical: bool,
}

fn payloads_mean_what_they_say(file: &str, format: u16) {
    for vector in read::<Payload>(file) {
        let name = format!("{file}: {}", vector.name);
        let base = Path::parse(&vector.base).unwrap();
        let payload = vector.text.map_or_else(|| unhex(&vector.bytes), String::into_bytes);
        let records: Vec<Record> = vector.records.iter().map(record).collect();

        let mut decoded = decode(format, &base, &payload, vector.now, &DEFINITIONS).expect(&name);
        decoded.iter_mut().for_each(|record| record.retype(&DEFINITIONS).expect(&name));
        assert_eq!(decoded.len(), records.len(), "{name}");
        for (decoded, record) in decoded.iter().zip(&records) {
            assert_eq!((decoded.path, &decoded.value), (record.path, &record.value), "{name}");
            let is_close = |(a, b): (f64, f64)| (a - b).abs() < 1e-6;
            assert!(decoded.time.zip(record.time).is_none_or(is_close), "{name}: {:?}", decoded.time);
            assert_eq!(decoded.time.is_some(), record.time.is_some(), "{name}");
        }
        if vector.canonical {
            let encoded = encode(format, &base, &records, &DEFINITIONS).expect(&name);
            assert_eq!(String::from_utf8_lossy(&encoded), String::from_utf8_lossy(&payload), "{name}");
            assert_eq!(encoded, payload, "{name}");
        }
    }
}

#[test]
fn tlv_means_what_it_says_both_ways() {
    payloads_mean_what_they_say("lwm2m/tlv.json", TLV);
}

#[test]
fn text_means_what_it_says_both_ways() {
    payloads_mean_what_they_say("lwm2m/text.json", TEXT_PLAIN);
}

#[test]
fn opaque_means_what_it_says_both_ways() {
    payloads_mean_what_they_say("lwm2m/opaque.json", OCTET_STREAM);
}

#[test]
fn cbor_means_what_it_says_both_ways() {
    payloads_mean_what_they_say("lwm2m/cbor.json", CBOR);
}

#[test]
fn lwm2m_cbor_means_what_it_says_both_ways() {
    payloads_mean_what_they_say("lwm2m/lwm2m_cbor.json", LWM2M_CBOR);
}

#[test]
fn the_json_of_1_0_means_what_it_says_both_ways() {
    payloads_mean_what_they_say("lwm2m/json.json", JSON);
}

#[test]
fn senml_json_means_what_it_says_both_ways() {
    payloads_mean_what_they_say("senml/json.json", SENML_JSON);
}

#[test]
fn senml_cbor_means_what_it_says_both_ways() {
    payloads_mean_what_they_say("senml/cbor.json", SENML_CBOR);
}

#[derive(Deserialize)]
struct Composite {
    name: String,
    text: String,
    bytes: String,
    paths: Vec<String>,
    canonical: bool,
}

#[test]
fn composite_requests_name_their_paths_both_ways() {
    for vector in read::<Composite>("senml/paths.json") {
        let paths: Vec<Path> = vector.paths.iter().map(|path| Path::parse(path).unwrap()).collect();
        for (format, payload) in [(SENML_JSON, vector.text.clone().into_bytes()), (SENML_CBOR, unhex(&vector.bytes))] {
            assert_eq!(decode_paths(format, &payload), Ok(paths.clone()), "{}", vector.name);
            if vector.canonical {
                assert_eq!(encode_paths(format, &paths), Ok(payload), "{}", vector.name);
            }
        }
    }
}

#[derive(Deserialize)]
struct Refusal {
    name: String,
    base: String,
    format: Option<u16>,
    bytes: Option<String>,
    text: Option<String>,
    error: String,
}

#[test]
fn payloads_that_cannot_be_meant_are_refused_for_the_right_reason() {
    for file in ["lwm2m/refusals.json", "senml/refusals.json"] {
        for vector in read::<Refusal>(file) {
            let senml = if vector.text.is_some() { SENML_JSON } else { SENML_CBOR };
            let payload = vector.text.map_or_else(|| unhex(&vector.bytes.unwrap()), String::into_bytes);
            let base = Path::parse(&vector.base).unwrap();

            let decoded = decode(vector.format.unwrap_or(senml), &base, &payload, 0.0, &DEFINITIONS);

            let error = decoded.expect_err(&vector.name);
            assert_eq!(word(&error), vector.error, "{}: {error}", vector.name);
        }
    }
}

/// What a set of queries leads to: the parameters as JSON, or the code of the refusal.
#[derive(Deserialize)]
struct Queries {
    name: String,
    #[serde(default)]
    version: Option<String>,
    queries: Vec<String>,
    accepted: Option<serde_json::Value>,
    refused: Option<String>,
}

#[test]
fn the_queries_of_a_register_are_understood_or_refused() {
    for vector in read::<Queries>("lwm2m/registrations.json") {
        let parsed = RegisterParameters::parse(&bytes_of(&vector.queries));

        let accepted = parsed.as_ref().ok().map(|parameters| {
            serde_json::json!({
                "endpoint": parameters.endpoint,
                "lifetime_s": parameters.lifetime_s,
                "version": parameters.version.to_string(),
                "binding": parameters.binding,
                "queue_mode": parameters.queue_mode,
                "sms": parameters.sms,
                "others": parameters.others,
            })
        });
        assert_eq!(accepted, vector.accepted, "{}: {parsed:?}", vector.name);
        assert_eq!(parsed.err().map(|error| error.code().to_string()), vector.refused, "{}", vector.name);
    }
}

#[test]
fn the_queries_of_an_update_are_understood_or_refused() {
    for vector in read::<Queries>("lwm2m/updates.json") {
        let version = match vector.version.as_deref() {
            Some("1.0") => Version::V1_0,
            Some("1.1") => Version::V1_1,
            Some("1.2") => Version::V1_2,
            other => panic!("{other:?}"),
        };
        let parsed = UpdateParameters::parse(&bytes_of(&vector.queries), version);

        let accepted = parsed.as_ref().ok().map(|parameters| {
            serde_json::json!({
                "lifetime_s": parameters.lifetime_s,
                "binding": parameters.binding,
                "queue_mode": parameters.queue_mode,
                "sms": parameters.sms,
                "others": parameters.others,
            })
        });
        assert_eq!(accepted, vector.accepted, "{}: {parsed:?}", vector.name);
        assert_eq!(parsed.err().map(|error| error.code().to_string()), vector.refused, "{}", vector.name);
    }
}

#[derive(Deserialize)]
struct Change {
    name: String,
    before: Vec<String>,
    queries: Vec<String>,
    after: Option<Vec<String>>,
    refused: Option<String>,
}

#[test]
fn attributes_are_set_taken_back_or_refused_as_a_whole() {
    for vector in read::<Change>("lwm2m/attributes.json") {
        let mut attributes = Attributes::default();
        attributes.apply(&bytes_of(&vector.before)).expect(&vector.name);

        let applied = attributes.apply(&bytes_of(&vector.queries));

        assert_eq!(applied.err().map(|error| error.code().to_string()), vector.refused, "{}", vector.name);
        assert_eq!(attributes.to_queries(), vector.after.unwrap_or(vector.before), "{}", vector.name);
        assert_eq!(Attributes::of_link(&attributes.to_link()), Ok(attributes), "{}", vector.name);
    }
}

type WrittenAttributes = Vec<(String, Option<String>)>;

#[derive(Deserialize)]
struct LinksVector {
    name: String,
    text: String,
    root: String,
    content_formats: Vec<u16>,
    root_attributes: WrittenAttributes,
    objects: Vec<(String, Option<String>, WrittenAttributes)>,
    canonical: bool,
}

#[test]
fn links_mean_what_they_say_both_ways() {
    for vector in read::<LinksVector>("link_format/links.json") {
        let objects = vector.objects.into_iter().map(|(path, version, attributes)| Link {
            version,
            attributes,
            ..Link::new(Path::parse(&path).unwrap())
        });
        let links = Links {
            root: vector.root,
            root_attributes: vector.root_attributes,
            content_formats: vector.content_formats,
            objects: objects.collect(),
        };

        assert_eq!(Links::parse(vector.text.as_bytes()).as_ref(), Ok(&links), "{}", vector.name);
        let mut written = Vec::new();
        links.write(&mut written);
        assert_eq!(Links::parse(&written), Ok(links), "{}", vector.name);
        if vector.canonical {
            assert_eq!(String::from_utf8(written).unwrap(), vector.text, "{}", vector.name);
        }
    }
}

#[derive(Deserialize)]
struct LinksRefusal {
    name: String,
    text: String,
    error: String,
    code: String,
}

#[test]
fn what_is_no_list_of_links_is_refused_for_the_right_reason() {
    for vector in read::<LinksRefusal>("link_format/refusals.json") {
        let error = Links::parse(vector.text.as_bytes()).expect_err(&vector.name);

        let word = match error {
            LinkError::Empty => "empty",
            LinkError::Malformed { .. } => "malformed",
            LinkError::TooMany { .. } => "too_many",
            LinkError::TooManyAttributes { .. } => "too_many_attributes",
            _ => "unnamed",
        };
        assert_eq!((word, error.code().to_string()), (vector.error.as_str(), vector.code), "{}", vector.name);
    }
    assert_eq!(Links::parse(b"</3/0>\xff"), Err(LinkError::NotUtf8));
}

fn record(written: &Written) -> Record {
    let Written(path, kind, value, time) = written;
    let kind = Kind::from_name(kind).unwrap();
    let value = Value::from_json(value, kind).unwrap();
    Record { path: Path::parse(path).unwrap(), value, time: *time }
}

fn word(error: &DecodeError) -> &'static str {
    match error {
        DecodeError::UnsupportedFormat { .. } => "unsupported_format",
        DecodeError::Truncated { .. } => "truncated",
        DecodeError::Trailing { .. } => "trailing",
        DecodeError::Malformed { .. } => "malformed",
        DecodeError::Json { .. } => "json",
        DecodeError::NameInvalid { .. } => "name_invalid",
        DecodeError::OutsideBase { .. } => "outside_base",
        DecodeError::WrongLevel { .. } => "wrong_level",
        DecodeError::InstanceMissing { .. } => "instance_missing",
        DecodeError::PathTwice { .. } => "path_twice",
        DecodeError::ValueMissing { .. } => "value_missing",
        DecodeError::ValueTwice { .. } => "value_twice",
        DecodeError::Value { .. } => "value",
        DecodeError::VersionUnknown => "version_unknown",
        DecodeError::FieldUnknown => "field_unknown",
        DecodeError::TimeInvalid => "time_invalid",
        _ => "unnamed",
    }
}

fn bytes_of(queries: &[String]) -> Vec<&[u8]> {
    queries.iter().map(String::as_bytes).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn read<T: DeserializeOwned>(file: &str) -> Vec<T> {
    let vectors: Vec<T> = serde_json::from_str(&text_of(&format!("vectors/{file}"))).expect(file);
    assert!(!vectors.is_empty(), "{file}");
    vectors
}

fn text_of(file: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    std::fs::read_to_string(path).expect(file)
}

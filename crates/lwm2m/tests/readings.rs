//! What readings tell of values that no definition knows: the kind that the payload told, where JSON alone does not.

#![allow(clippy::unwrap_used)]

use coap::content_format::{CBOR, JSON, LWM2M_CBOR, OCTET_STREAM, SENML_CBOR, SENML_JSON, TEXT_PLAIN, TLV};
use lwm2m::codec::{encode, readings_json};
use lwm2m::{Definitions, Path, Record, Value};

const NOW: f64 = 1_764_000_000.0;
const LINK: Value = Value::Link { object: 3303, instance: 0 };

fn resource(id: u16) -> Path {
    Path::of_resource(49_000, 0, id)
}

/// The readings of a payload that has these values of an object that nobody defined.
fn told(format: u16, base: &Path, values: &[(u16, Value)]) -> String {
    let records: Vec<Record> = values.iter().map(|(id, value)| Record::new(resource(*id), value.clone())).collect();
    let payload = encode(format, base, &records, Definitions::embedded()).unwrap();
    read(format, base, &payload)
}

fn read(format: u16, base: &Path, payload: &[u8]) -> String {
    let mut out = Vec::new();
    readings_json(format, base, payload, NOW, Definitions::embedded(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn everything() -> [(u16, Value); 6] {
    [
        (1, Value::Opaque(vec![0, 1, 2])),
        (2, LINK),
        (3, Value::Time(1_764_000_000)),
        (4, Value::String("calm".to_owned())),
        (5, Value::Float(2.5)),
        (6, Value::Boolean(true)),
    ]
}

#[test]
fn senml_tells_bytes_and_links_and_the_rest_as_json_does() {
    for format in [SENML_CBOR, SENML_JSON] {
        assert_eq!(
            told(format, &Path::ROOT, &everything()),
            concat!(
                r#"{"path":"/49000/0/1","value":"AAEC","kind":"opaque"},"#,
                r#"{"path":"/49000/0/2","value":"3303:0","kind":"objlnk"},"#,
                r#"{"path":"/49000/0/3","value":1764000000},"#,
                r#"{"path":"/49000/0/4","value":"calm"},"#,
                r#"{"path":"/49000/0/5","value":2.5},"#,
                r#"{"path":"/49000/0/6","value":true}"#,
            ),
            "{format}"
        );
    }
}

#[test]
fn the_kind_stands_before_the_time() {
    let json = br#"[{"bn":"/49000/0/","bt":1764000000.5,"n":"1","vd":"AAEC"},{"n":"2","vlo":"65535:65535"}]"#;

    assert_eq!(
        read(SENML_JSON, &Path::ROOT, json),
        concat!(
            r#"{"path":"/49000/0/1","value":"AAEC","kind":"opaque","time":1764000000.5},"#,
            r#"{"path":"/49000/0/2","value":"65535:65535","kind":"objlnk","time":1764000000.5}"#,
        )
    );
}

#[test]
fn cbor_tells_bytes_and_times_by_its_tag() {
    let values = everything();
    assert_eq!(
        told(LWM2M_CBOR, &Path::ROOT, &[values[0].clone(), values[2].clone(), values[4].clone()]),
        concat!(
            r#"{"path":"/49000/0/1","value":"AAEC","kind":"opaque"},"#,
            r#"{"path":"/49000/0/3","value":1764000000,"kind":"time"},"#,
            r#"{"path":"/49000/0/5","value":2.5}"#,
        )
    );
    let one = |value: &(u16, Value)| told(CBOR, &resource(value.0), std::slice::from_ref(value));
    assert_eq!(one(&values[0]), r#"{"path":"/49000/0/1","value":"AAEC","kind":"opaque"}"#);
    assert_eq!(one(&values[2]), r#"{"path":"/49000/0/3","value":1764000000,"kind":"time"}"#);
    // A time with a fraction is the number that it is.
    let halved = b"\xc1\xfb\x41\xda\x49\x20\x40\x20\x00\x00";
    assert_eq!(read(CBOR, &resource(3), halved), r#"{"path":"/49000/0/3","value":1764000000.5}"#);
}

#[test]
fn tlv_tells_no_types_so_what_nobody_declared_is_bytes() {
    assert_eq!(
        told(TLV, &Path::of_instance(49_000, 0), &[(2, LINK), (4, Value::String("calm".to_owned()))]),
        concat!(
            r#"{"path":"/49000/0/2","value":"DOcAAA==","kind":"opaque"},"#,
            r#"{"path":"/49000/0/4","value":"Y2FsbQ==","kind":"opaque"}"#,
        )
    );
}

#[test]
fn the_json_of_1_0_tells_links_and_has_bytes_as_text() {
    assert_eq!(
        told(JSON, &Path::of_instance(49_000, 0), &everything()[..2]),
        concat!(
            r#"{"path":"/49000/0/1","value":"AAEC"},"#,
            r#"{"path":"/49000/0/2","value":"3303:0","kind":"objlnk"}"#,
        )
    );
}

#[test]
fn a_body_of_bytes_is_bytes_and_a_body_of_text_is_text() {
    let bytes = everything()[0].clone();
    assert_eq!(
        told(OCTET_STREAM, &resource(1), std::slice::from_ref(&bytes)),
        r#"{"path":"/49000/0/1","value":"AAEC","kind":"opaque"}"#
    );
    assert_eq!(read(TEXT_PLAIN, &resource(1), b"AAEC"), r#"{"path":"/49000/0/1","value":"AAEC"}"#);
}

#[test]
fn what_a_definition_types_as_such_says_it_too() {
    // Current Time and Package: by their definitions, in a format that has no types.
    assert_eq!(
        read(TEXT_PLAIN, &Path::of_resource(3, 0, 13), b"1764000000"),
        r#"{"path":"/3/0/13","value":1764000000,"kind":"time"}"#
    );
    assert_eq!(
        read(TEXT_PLAIN, &Path::of_resource(5, 0, 0), b"AAEC"),
        r#"{"path":"/5/0/0","value":"AAEC","kind":"opaque"}"#
    );
}

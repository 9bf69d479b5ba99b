//! What is encoded decodes to the same, in every format and for every kind of value; no bytes make a decoder panic.

// A test that cannot go on should stop, and the timing below prints what it found.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::sync::LazyLock;

use coap::content_format::{
    CBOR, JSON, JSON_OLD, LWM2M_CBOR, OCTET_STREAM, OPAQUE_OLD, SENML_CBOR, SENML_JSON, TEXT_OLD, TEXT_PLAIN, TLV,
    TLV_OLD,
};
use lwm2m::codec::{decode, decode_paths, encode, encode_paths, readings_json};
use lwm2m::{Attributes, Definitions, Kind, Links, Path, Record, RegisterParameters, UpdateParameters, Value, Version};
use proptest::prelude::*;

const NOW: f64 = 1_764_000_000.25;
const FORMATS: [u16; 8] = [SENML_CBOR, SENML_JSON, LWM2M_CBOR, TLV, JSON, CBOR, TEXT_PLAIN, OCTET_STREAM];
const KINDS: [Kind; 9] = [
    Kind::String,
    Kind::Integer,
    Kind::Unsigned,
    Kind::Float,
    Kind::Boolean,
    Kind::Opaque,
    Kind::Time,
    Kind::Link,
    Kind::CoreLink,
];

/// An object in which resource n, n + 300 and so on are of kind n.
const OBJECT: u16 = 40_000;

static DEFINITIONS: LazyLock<Definitions> = LazyLock::new(|| {
    let resource = |id: usize, kind: Kind| {
        format!(r#"{{"id":{id},"name":"r{id}","operations":"RW","type":"{}","multiple":true}}"#, kind.name())
    };
    let resources: Vec<String> = (0..KINDS.len() * 2)
        .map(|n| resource(n % KINDS.len() + n / KINDS.len() * 300, KINDS[n % KINDS.len()]))
        .collect();
    let object = format!(
        r#"[{{"id":{OBJECT},"name":"all kinds","version":"1.0","multiple":true,"resources":[{}]}}]"#,
        resources.join(",")
    );
    Definitions::from_json(&[&object]).unwrap()
});

fn value_of(kind: Kind) -> BoxedStrategy<Value> {
    let numbers = prop_oneof![any::<f64>(), any::<f32>().prop_map(f64::from), (-1000..1000i32).prop_map(f64::from)];
    match kind {
        Kind::String => any::<String>().prop_map(Value::String).boxed(),
        Kind::Integer => prop_oneof![any::<i64>(), -300..300i64].prop_map(Value::Integer).boxed(),
        Kind::Unsigned => prop_oneof![any::<u64>(), 0..300u64].prop_map(Value::Unsigned).boxed(),
        Kind::Float => numbers.prop_filter("finite", |n| n.is_finite()).prop_map(Value::Float).boxed(),
        Kind::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        Kind::Opaque => prop::collection::vec(any::<u8>(), 0..300).prop_map(Value::Opaque).boxed(),
        Kind::Time => any::<i64>().prop_map(Value::Time).boxed(),
        Kind::Link => any::<(u16, u16)>().prop_map(|(object, instance)| Value::Link { object, instance }).boxed(),
        Kind::CoreLink => any::<String>().prop_map(Value::CoreLink).boxed(),
    }
}

fn record() -> impl Strategy<Value = Record> {
    let instance = prop_oneof![0..3u16, 0..65_535u16];
    (instance.clone(), 0..KINDS.len(), 0..2usize, prop::option::of(instance)).prop_flat_map(
        |(instance, kind, wide, resource_instance)| {
            let resource = (kind + wide * 300) as u16;
            let path = Path { resource_instance, ..Path::of_resource(OBJECT, instance, resource) };
            value_of(KINDS[kind]).prop_map(move |value| Record::new(path, value))
        },
    )
}

/// Records with different paths, in the order of their paths (TLV has no other).
fn records() -> impl Strategy<Value = Vec<Record>> {
    prop::collection::vec(record(), 0..12).prop_map(|mut records| {
        records.sort_by_key(|record| record.path);
        records.dedup_by_key(|record| record.path);
        records
    })
}

fn time() -> impl Strategy<Value = Option<f64>> {
    prop::option::of(prop_oneof![268_435_456.0..4e9f64, (268_435_456..2_000_000_000u32).prop_map(f64::from)])
}

/// Decodes and makes every value the declared kind, as a caller does.
fn decoded(format: u16, base: &Path, payload: &[u8]) -> Vec<Record> {
    let mut records = decode(format, base, payload, NOW, &DEFINITIONS).unwrap();
    records.iter_mut().for_each(|record| record.retype(&DEFINITIONS).unwrap());
    records
}

fn base() -> impl Strategy<Value = Path> {
    prop_oneof![
        Just(Path::ROOT),
        Just(Path::of_object(OBJECT)),
        Just(Path::of_object(3)),
        Just(Path::of_instance(OBJECT, 0)),
        (0..10u16).prop_map(|id| Path::of_resource(OBJECT, 0, id)),
        (0..10u16).prop_map(|id| Path::of_resource_instance(OBJECT, 0, id, 0)),
    ]
}

/// Whatever a payload is, both ways of reading it agree, and neither panics.
fn read_both_ways(format: u16, base: &Path, payload: &[u8]) -> Result<(), TestCaseError> {
    let records = decode(format, base, payload, NOW, &DEFINITIONS);
    let mut readings = Vec::new();
    let count = readings_json(format, base, payload, NOW, &DEFINITIONS, &mut readings);
    let _ = decode_paths(format, payload);
    match (records, count) {
        (Err(error), Err(other)) => prop_assert_eq!(error, other),
        (Ok(records), Ok(count)) => {
            prop_assert_eq!(records.len(), count as usize);
            let json: serde_json::Value = serde_json::from_slice(&[b"[", readings.as_slice(), b"]"].concat()).unwrap();
            for (record, reading) in records.iter().zip(json.as_array().unwrap()) {
                let mut value = Vec::new();
                record.value.to_json(&mut value);
                prop_assert_eq!(reading["path"].as_str().unwrap(), record.path.to_string());
                prop_assert_eq!(&reading["value"], &serde_json::from_slice::<serde_json::Value>(&value).unwrap());
                let kind = record.value.kind();
                prop_assert_eq!(
                    reading.get("kind").and_then(serde_json::Value::as_str),
                    kind.is_lost_in_json().then(|| kind.name())
                );
                prop_assert_eq!(reading.get("time").and_then(serde_json::Value::as_f64), record.time);
            }
        }
        (records, count) => prop_assert!(false, "{records:?} and {count:?}"),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn formats_with_times_carry_every_value_and_its_time(
        records in prop::collection::vec((record(), time()), 0..12),
        common in time(),
        is_common in any::<bool>(),
    ) {
        let records: Vec<Record> = records
            .into_iter()
            .map(|(record, time)| Record { time: if is_common { common } else { time }, ..record })
            .collect();
        for format in [SENML_CBOR, SENML_JSON, JSON] {
            for base in [Path::ROOT, Path::of_object(OBJECT)] {
                let payload = encode(format, &base, &records, &DEFINITIONS).unwrap();
                prop_assert_eq!(&decoded(format, &base, &payload), &records);
                read_both_ways(format, &base, &payload)?;
            }
        }
    }

    #[test]
    fn tlv_and_lwm2m_cbor_carry_every_value_at_every_level(records in records()) {
        let object = Path::of_object(OBJECT);
        for format in [TLV, LWM2M_CBOR] {
            let payload = encode(format, &object, &records, &DEFINITIONS).unwrap();
            prop_assert_eq!(&decoded(format, &object, &payload), &records);
            for record in &records {
                for base in [record.path.parent(), record.path] {
                    let below: Vec<Record> = records.iter().filter(|r| base.contains(&r.path)).cloned().collect();
                    let payload = encode(format, &base, &below, &DEFINITIONS).unwrap();
                    prop_assert_eq!(&decoded(format, &base, &payload), &below);
                    read_both_ways(format, &base, &payload)?;
                }
            }
        }
    }

    #[test]
    fn text_and_cbor_carry_any_single_value_and_opaque_carries_bytes(record in record()) {
        for format in [TEXT_PLAIN, CBOR] {
            let payload = encode(format, &record.path, std::slice::from_ref(&record), &DEFINITIONS).unwrap();
            prop_assert_eq!(decoded(format, &record.path, &payload), vec![record.clone()]);
        }
        let payload = encode(OCTET_STREAM, &record.path, std::slice::from_ref(&record), &DEFINITIONS);
        match &record.value {
            Value::Opaque(bytes) => prop_assert_eq!(bytes, &payload.unwrap()),
            _ => prop_assert!(payload.is_err()),
        }
    }

    #[test]
    fn the_old_numbers_mean_the_same_formats(record in record()) {
        let record = Record { path: Path::of_resource(OBJECT, 0, record.path.resource.unwrap()), ..record };
        for (old, registered) in [(TEXT_OLD, TEXT_PLAIN), (TLV_OLD, TLV), (JSON_OLD, JSON), (OPAQUE_OLD, OCTET_STREAM)] {
            let written = |format| encode(format, &record.path, std::slice::from_ref(&record), &DEFINITIONS);
            prop_assert_eq!(written(old), written(registered));
            if let Ok(payload) = written(old) {
                let read = |format| decode(format, &record.path, &payload, NOW, &DEFINITIONS);
                prop_assert_eq!(read(old), read(registered));
            }
        }
    }

    #[test]
    fn json_carries_every_value(record in record()) {
        let mut json = Vec::new();
        record.value.to_json(&mut json);
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        prop_assert_eq!(Value::from_json(&json, record.value.kind()).unwrap(), record.value);
    }

    #[test]
    fn composite_paths_read_back(records in records()) {
        let paths: Vec<Path> = records.iter().flat_map(|r| [r.path, r.path.parent(), Path::ROOT]).collect();
        for format in [SENML_CBOR, SENML_JSON] {
            prop_assert_eq!(&decode_paths(format, &encode_paths(format, &paths).unwrap()).unwrap(), &paths);
        }
        let mut named: Vec<Path> = paths.into_iter().filter(|path| !path.is_root()).collect();
        named.sort();
        named.dedup();
        prop_assert_eq!(decode_paths(LWM2M_CBOR, &encode_paths(LWM2M_CBOR, &named).unwrap()).unwrap(), named);
    }

    #[test]
    fn the_queries_of_a_registration_read_back(
        endpoint in prop::option::of("[^\\p{C}]{1,40}"),
        lifetime_s in any::<u32>(),
        version in prop::sample::select(vec![Version::V1_0, Version::V1_1, Version::V1_2]),
        binding in "U|UQ|S|SQ|US",
        queue_mode in any::<bool>(),
        sms in prop::option::of("[0-9]{1,15}"),
        others in prop::collection::vec(("x_[a-z]{0,10}", any::<String>()), 0..10),
    ) {
        let mut queries = vec![format!("lt={lifetime_s}"), format!("lwm2m={version}"), format!("b={binding}")];
        queries.extend(endpoint.as_ref().map(|name| format!("ep={name}")));
        queries.extend(sms.as_ref().map(|number| format!("sms={number}")));
        queries.extend(queue_mode.then(|| "Q".to_owned()));
        queries.extend(others.iter().map(|(name, value)| format!("{name}={value}")));
        let queries: Vec<&[u8]> = queries.iter().map(String::as_bytes).collect();

        let parsed = RegisterParameters::parse(&queries).unwrap();
        let queue_mode = queue_mode || binding.contains('Q');
        prop_assert_eq!(parsed, RegisterParameters { endpoint, lifetime_s, version, binding, queue_mode, sms, others });
    }

    #[test]
    fn attributes_read_back(
        whole in prop::collection::vec(prop::option::of(any::<u32>()), 5),
        bounds in prop::collection::vec(prop::option::of(-1e6..1e6f64), 3),
        truths in prop::collection::vec(prop::option::of(any::<bool>()), 2),
    ) {
        let attributes = Attributes {
            pmin: whole[0], pmax: whole[1], epmin: whole[2], epmax: whole[3], hqmax: whole[4],
            gt: bounds[0], lt: bounds[1], st: bounds[2].map(f64::abs), edge: truths[0], con: truths[1],
        };
        prop_assert_eq!(Attributes::of_link(&attributes.to_link()).unwrap(), attributes);
        let queries = attributes.to_queries();
        let mut applied = Attributes::default();
        let result = applied.apply(&queries.iter().map(String::as_bytes).collect::<Vec<_>>());
        prop_assert_eq!(applied, if result.is_ok() { attributes } else { Attributes::default() });
    }

    #[test]
    fn no_bytes_make_a_codec_panic(base in base(), payload in prop::collection::vec(any::<u8>(), 0..200)) {
        for format in FORMATS {
            read_both_ways(format, &base, &payload)?;
        }
    }

    #[test]
    fn no_damage_to_a_payload_makes_a_codec_panic(
        records in records(),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        for format in [SENML_CBOR, SENML_JSON, LWM2M_CBOR, TLV, JSON] {
            let base = Path::of_object(OBJECT);
            let mut payload = encode(format, &base, &records, &DEFINITIONS).unwrap();
            if payload.is_empty() {
                continue;
            }
            for (at, byte) in &hits {
                let at = at.index(payload.len());
                payload[at] = *byte;
            }
            read_both_ways(format, &base, &payload)?;
            payload.truncate(cut.index(payload.len()));
            read_both_ways(format, &base, &payload)?;
        }
    }

    #[test]
    fn json_of_any_shape_makes_no_codec_panic(payload in r#"\[(\{("(bn|n|bt|t|bv|v|vs|vb|vd|vlo|bver|x_|u)":("[/0-9a-z:=]{0,6}"|-?[0-9]{1,22}(\.[0-9]{1,3})?(e-?[0-9]{1,3})?|true|null|\[\]),?){0,4}\},?){0,4}\]"#) {
        read_both_ways(SENML_JSON, &Path::ROOT, payload.as_bytes())?;
    }

    #[test]
    fn json_of_1_0_of_any_shape_makes_no_codec_panic(payload in r#"\{(("(bn|bt|x)":("[/0-9]{0,6}"|-?[0-9]{1,20}|null)|"e":\[(\{("(n|t|v|sv|bv|ov|x)":("[/0-9:=]{0,6}"|-?[0-9]{1,22}(\.[0-9]{1,3})?(e-?[0-9]{1,3})?|true|null|\[\]),?){0,4}\},?){0,4}\]),?){0,3}\}"#) {
        for base in [Path::ROOT, Path::of_instance(3, 0)] {
            read_both_ways(JSON, &base, payload.as_bytes())?;
        }
    }

    #[test]
    fn cbor_of_any_shape_makes_no_codec_panic(
        payload in prop::collection::vec(
            prop::sample::select(vec![
                0x00, 0x03, 0x18, 0x19, 0x1b, 0x20, 0x3b, 0x40, 0x41, 0x5f, 0x61, 0x80, 0x81, 0x82, 0x9f, 0xa0, 0xa1,
                0xbf, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xd9, 0xf4, 0xf5, 0xf6, 0xf9, 0xfa, 0xfb, 0xff,
            ]),
            0..40,
        ),
        base in base(),
    ) {
        for format in [CBOR, LWM2M_CBOR, SENML_CBOR] {
            read_both_ways(format, &base, &payload)?;
        }
    }

    #[test]
    fn links_read_back_as_they_were_understood(
        text in r#"(</?(lwm2m|[0-9]{1,5}|%2[0-9]|/|x){0,5}>(; ?(ver|ct|rt|pmin|[a-z]{1,3})(=("(oma.lwm2m|[0-9. ]{0,4}|\\.)"|[0-9.]{0,4}))?){0,3}, ?){0,5}"#
    ) {
        if let Ok(links) = Links::parse(text.as_bytes()) {
            let mut written = Vec::new();
            links.write(&mut written);
            if !written.is_empty() {
                prop_assert_eq!(Links::parse(&written).unwrap(), links);
            }
        }
    }

    #[test]
    fn no_bytes_make_another_parser_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..60),
        text in "[/<>;=,\"\\\\0-9a-z%Qé ]{0,40}",
    ) {
        for payload in [bytes.as_slice(), text.as_bytes()] {
            let _ = Links::parse(payload);
            let _ = RegisterParameters::parse(&[payload, b"lwm2m=1.1"]);
            let _ = UpdateParameters::parse(&[payload], Version::V1_0);
            let _ = Attributes::default().apply(&[payload]);
        }
        let _ = Path::parse(&text);
    }
}

/// Run with `cargo test --release -p lwm2m --test roundtrip -- --ignored --nocapture`.
#[test]
#[ignore = "prints a timing, proves nothing"]
fn how_fast_readings_are() {
    let records = [(5700, 9.1), (5700, 8.4)].map(|(resource, value)| {
        let path = Path::of_resource(3303, 0, resource);
        Record { path, value: Value::Float(value), time: Some(1_764_000_000.5) }
    });
    for (name, format) in [("SenML CBOR", SENML_CBOR), ("SenML JSON", SENML_JSON)] {
        let payload = encode(format, &Path::ROOT, &records, Definitions::embedded()).unwrap();
        let mut out = Vec::with_capacity(1024);
        let rounds = 2_000_000u32;
        // The one clock of this crate: it measures the test, not the code's own time.
        #[allow(clippy::disallowed_methods)]
        let start = std::time::Instant::now();
        for _ in 0..rounds {
            out.clear();
            readings_json(format, &Path::ROOT, &payload, NOW, Definitions::embedded(), &mut out).unwrap();
        }
        let spent = start.elapsed();
        println!(
            "{name}: {} bytes, {:.0} ns, {:.2} M payloads/s: {}",
            payload.len(),
            spent.as_nanos() as f64 / f64::from(rounds),
            f64::from(rounds) / spent.as_secs_f64() / 1e6,
            String::from_utf8_lossy(&out)
        );
    }
}

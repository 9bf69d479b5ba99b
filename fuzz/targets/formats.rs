//! Every format: no bytes break its reader, and what was read and written again is read as the same.
#![no_main]

use coap::content_format::{CBOR, JSON, LWM2M_CBOR, OCTET_STREAM, SENML_CBOR, SENML_JSON, TEXT_PLAIN, TLV};
use libfuzzer_sys::fuzz_target;
use lwm2m::codec::{decode, decode_paths, encode, readings_json};
use lwm2m::{Definitions, Links, Path};

const FORMATS: [u16; 8] = [TEXT_PLAIN, OCTET_STREAM, CBOR, TLV, JSON, SENML_JSON, SENML_CBOR, LWM2M_CBOR];
const NOW_UNIX_S: f64 = 1_764_000_000.0;
/// Where a payload may be about: anything, an object, an instance, resources of several kinds.
const BASES: [&str; 6] = ["/", "/3", "/3/0", "/3/0/9", "/3/0/7", "/3303/0/5700"];

fuzz_target!(|story: (u8, u8, &[u8])| {
    let (format, base, payload) = story;
    let definitions = Definitions::embedded();
    let format = FORMATS[usize::from(format) % FORMATS.len()];
    let base = Path::parse(BASES[usize::from(base) % BASES.len()]).expect("a path");
    let _ = decode_paths(format, payload);
    let _ = Links::parse(payload);

    let mut json = b"[".to_vec();
    let told = readings_json(format, &base, payload, NOW_UNIX_S, definitions, &mut json);
    json.push(b']');
    let read = decode(format, &base, payload, NOW_UNIX_S, definitions);
    if let Ok(told) = told {
        let values: Vec<serde_json::Value> = serde_json::from_slice(&json).expect("JSON");
        assert_eq!(values.len(), told as usize);
    }
    let Ok(read) = read else { return };
    assert_eq!(told.ok(), u32::try_from(read.len()).ok());
    let Ok(written) = encode(format, &base, &read, definitions) else { return };
    let again = decode(format, &base, &written, NOW_UNIX_S, definitions).expect("what we wrote");
    assert_eq!(again.len(), read.len());
    let twice = encode(format, &base, &again, definitions).expect("what we read");
    assert_eq!(twice, written);
});

//! What a client says (OMA LwM2M Core 1.1 §6): the requests of an ordinary sensor of water.

use coap::content_format::{LINK_FORMAT, SENML_CBOR};
use coap::{Code, Encoder, Kind, Message, Token};

/// Objects of the sensor; `ct` asks for SenML CBOR, so that every server reads the same bytes.
const LINKS: &[u8] = b"</>;rt=\"oma.lwm2m\";ct=112,</1/0>,</3/0>,</3303/0>";
/// Longer than any run: nothing expires while we measure.
const LIFETIME: &str = "lt=86400";

pub(crate) fn register(out: &mut Vec<u8>, id: u16, token: Token, endpoint: &str) {
    Encoder::new(out, Kind::Confirmable, Code::POST, id, token)
        .path("/rd")
        .content_format(LINK_FORMAT)
        .query(&format!("ep={endpoint}"))
        .query(LIFETIME)
        .query("lwm2m=1.1")
        .query("b=U")
        .payload(LINKS);
}

pub(crate) fn update(out: &mut Vec<u8>, id: u16, token: Token, location: &[u8]) {
    Encoder::new(out, Kind::Confirmable, Code::POST, id, token)
        .path("/rd")
        .option(coap::option::URI_PATH, location)
        .finish();
}

pub(crate) fn deregister(out: &mut Vec<u8>, id: u16, token: Token, location: &[u8]) {
    Encoder::new(out, Kind::Confirmable, Code::DELETE, id, token)
        .path("/rd")
        .option(coap::option::URI_PATH, location)
        .finish();
}

/// Two values of one instance: what a sensor measured, and the lowest it ever did.
pub(crate) fn send(out: &mut Vec<u8>, id: u16, token: Token, value: f64) {
    let mut payload = Vec::with_capacity(64);
    // Two records: base name (-2), name (0), value (2); RFC 8428 §6.
    payload.extend_from_slice(b"\x82\xa3\x21\x68/3303/0/\x00\x645700\x02");
    double(&mut payload, value);
    payload.extend_from_slice(b"\xa2\x00\x645601\x02");
    double(&mut payload, 4.5);
    Encoder::new(out, Kind::Confirmable, Code::POST, id, token)
        .path("/dp")
        .content_format(SENML_CBOR)
        .payload(&payload);
}

pub(crate) fn notify(out: &mut Vec<u8>, id: u16, token: Token, order: u32, value: f64) {
    Encoder::new(out, Kind::Confirmable, Code::CONTENT, id, token)
        .observe(order)
        .content_format(SENML_CBOR)
        .payload(&one_value(b"/3303/0/5700", value));
}

/// The answer to a server that reads or observes: every resource has a number for it.
pub(crate) fn content(out: &mut Vec<u8>, request: &Message<'_>, order: Option<u32>) {
    let mut encoder = Encoder::answer(out, request, Code::CONTENT, request.id);
    if let Some(order) = order {
        encoder = encoder.observe(order);
    }
    let mut path = Vec::new();
    for segment in request.path() {
        path.push(b'/');
        path.extend_from_slice(segment);
    }
    encoder.content_format(SENML_CBOR).payload(&one_value(&path, 12.5));
}

fn one_value(path: &[u8], value: f64) -> Vec<u8> {
    let mut payload = Vec::with_capacity(40);
    // One record: name (0), value (2). No path of ours is longer than the 255 bytes of this header.
    payload.extend_from_slice(b"\x81\xa2\x00\x78");
    payload.push(path.len().min(255) as u8);
    payload.extend_from_slice(&path[..path.len().min(255)]);
    payload.push(0x02);
    double(&mut payload, value);
    payload
}

fn double(payload: &mut Vec<u8>, value: f64) {
    payload.push(0xfb);
    payload.extend_from_slice(&value.to_be_bytes());
}

/// A value between 4 and 20 that changes with every operation, in hundredths, as sensors round.
pub(crate) fn measured(number: u32) -> f64 {
    f64::from(400 + number.wrapping_mul(7919) % 1_600) / 100.0
}

//! Bytes from the specifications mean what they say, both ways. What the vectors are: `vectors/coap/README.md`.
// A test that cannot go on should say so loudly, and needs one true moment to start from.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods, missing_docs)]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use coap::{
    Block, Code, Kind, Message, MessageBuilder, MessageError, Outcome, Refusal, Request, Requests, Token, Transmission,
    UploadStep, Uploads, blockwise, observe,
    stream::{Decoder, StreamError, frame},
};
use serde::{Deserialize, de::DeserializeOwned};

#[derive(Deserialize)]
struct MessageVector {
    name: String,
    bytes: String,
    kind: String,
    code: String,
    id: u16,
    token: String,
    options: Vec<(u16, String)>,
    payload: String,
}

#[test]
fn every_message_parses_to_its_fields_and_encodes_to_its_bytes() {
    for vector in read::<MessageVector>("messages.json") {
        let name = &vector.name;
        let bytes = unhex(&vector.bytes);
        let message = Message::parse(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let options: Vec<_> = vector.options.iter().map(|(number, value)| (*number, unhex(value))).collect();

        assert_eq!(message.kind, kind(&vector.kind), "{name}");
        assert_eq!(message.code.to_string(), vector.code, "{name}");
        assert_eq!(message.id, vector.id, "{name}");
        assert_eq!(message.token.as_slice(), unhex(&vector.token), "{name}");
        assert_eq!(message.options().map(|(n, v)| (n, v.to_vec())).collect::<Vec<_>>(), options, "{name}");
        assert_eq!(message.payload, unhex(&vector.payload), "{name}");

        let token = Token::new(&unhex(&vector.token)).unwrap();
        let builder = MessageBuilder::new(kind(&vector.kind), code(&vector.code), vector.id, token);
        // The builder sorts: give the numbers backwards, and the options of one number in their order.
        let mut options = options;
        options.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        let builder = options.into_iter().fold(builder, |builder, (number, value)| builder.option(number, value));
        assert_eq!(builder.payload(unhex(&vector.payload)).to_bytes(), bytes, "{name}");
    }
}

#[derive(Deserialize)]
struct MalformedVector {
    name: String,
    bytes: String,
    error: String,
    rejection: Option<String>,
}

#[test]
fn every_malformed_datagram_is_told_and_rejected_as_it_should() {
    for vector in read::<MalformedVector>("malformed.json") {
        let bytes = unhex(&vector.bytes);
        let error = Message::parse(&bytes).expect_err(&vector.name);

        assert_eq!(word(error), vector.error, "{}: {error}", vector.name);
        let rejection = Message::rejection(&bytes).map(|reset| reset.to_vec());
        assert_eq!(rejection, vector.rejection.as_deref().map(unhex), "{}", vector.name);
    }
}

#[derive(Deserialize)]
struct FrameVector {
    name: String,
    bytes: String,
    code: String,
    token: String,
    options: Vec<(u16, String)>,
    payload: String,
}

#[test]
fn every_frame_is_cut_and_read_as_its_fields_and_encodes_to_its_bytes() {
    for vector in read::<FrameVector>("frames.json") {
        let name = &vector.name;
        let bytes = unhex(&vector.bytes);
        let mut decoder = Decoder::new(bytes.len());
        decoder.push(&bytes);
        let cut = decoder.next_frame().unwrap().unwrap_or_else(|| panic!("{name}: not whole")).to_vec();
        let message = Message::parse_frame(&cut).unwrap_or_else(|error| panic!("{name}: {error}"));
        let options: Vec<_> = vector.options.iter().map(|(number, value)| (*number, unhex(value))).collect();

        assert_eq!((cut.as_slice(), decoder.buffered()), (bytes.as_slice(), 0), "{name}");
        assert_eq!((message.kind, message.code), (Kind::Reliable, code(&vector.code)), "{name}");
        assert_eq!(message.token.as_slice(), unhex(&vector.token), "{name}");
        assert_eq!(message.options().map(|(n, v)| (n, v.to_vec())).collect::<Vec<_>>(), options, "{name}");
        assert_eq!(message.payload, unhex(&vector.payload), "{name}");

        let builder = MessageBuilder::new(Kind::Reliable, message.code, 7, message.token);
        let builder = options.into_iter().fold(builder, |builder, (number, value)| builder.option(number, value));
        let mut framed = Vec::new();
        frame(&builder.payload(unhex(&vector.payload)).to_bytes(), &mut framed);
        // RFC 8323 §3.4: an empty message may come; we have no use for one.
        assert_eq!(framed, if message.code.is_empty() { Vec::new() } else { bytes }, "{name}");
    }
}

#[derive(Deserialize)]
struct BrokenFrameVector {
    name: String,
    bytes: String,
    error: String,
}

#[test]
fn every_broken_frame_is_told() {
    for vector in read::<BrokenFrameVector>("broken_frames.json") {
        let mut decoder = Decoder::new(4_096);
        decoder.push(&unhex(&vector.bytes));
        let error = match decoder.next_frame() {
            Ok(Some(frame)) => StreamError::Malformed(Message::parse_frame(frame).expect_err(&vector.name)),
            Ok(None) => panic!("{}: waits for more", vector.name),
            Err(error) => error,
        };

        let told = match error {
            StreamError::Malformed(error) => word(error),
            StreamError::TooLong { .. } => "too_long",
            _ => "unnamed",
        };
        assert_eq!(told, vector.error, "{}", vector.name);
    }
}

#[derive(Deserialize)]
struct RefusalVector {
    name: String,
    bytes: String,
    known: Vec<u16>,
    refusal: Option<String>,
}

#[test]
fn requests_with_options_that_cannot_be_honoured_are_refused() {
    for vector in read::<RefusalVector>("refusals.json") {
        let bytes = unhex(&vector.bytes);
        let message = Message::parse(&bytes).unwrap();

        let refusal = message.refusal(&vector.known).map(|refusal| match refusal {
            Refusal::Answer(code) => code.to_string(),
            Refusal::Reject => "reject".to_owned(),
        });
        assert_eq!(refusal, vector.refusal, "{}", vector.name);
    }
}

#[derive(Deserialize)]
struct OrderVector {
    name: String,
    first: (u32, u64),
    second: (u32, u64),
    is_newer: bool,
}

#[test]
fn notifications_are_ordered_as_the_specification_says() {
    let start = Instant::now();
    let at = |(value, seconds)| (value, start + Duration::from_secs(seconds));
    for vector in read::<OrderVector>("observe_order.json") {
        assert_eq!(observe::is_newer(at(vector.first), at(vector.second)), vector.is_newer, "{}", vector.name);
    }
}

#[derive(Deserialize)]
struct Transfer {
    name: String,
    roles: Vec<String>,
    code: String,
    path: String,
    request_bytes: usize,
    answer_bytes: usize,
    server_szx: u8,
    client_szx: u8,
    messages: Vec<TransferMessage>,
}

#[derive(Deserialize)]
struct TransferMessage {
    from: String,
    code: String,
    block1: Option<(u32, bool, usize)>,
    block2: Option<(u32, bool, usize)>,
}

#[test]
fn our_client_makes_the_transfers_of_the_specification() {
    for transfer in read::<Transfer>("transfers.json").into_iter().filter(|t| t.roles.contains(&"client".into())) {
        let name = &transfer.name;
        let (body, answer) = (body(transfer.request_bytes), body(transfer.answer_bytes));
        let transmission = Transmission { szx: transfer.client_szx, ..Transmission::default() };
        let mut requests = Requests::new(transmission, 7);
        let (now, mut out) = (Instant::now(), Vec::new());
        let request = Request { payload: body.clone(), ..Request::new(code(&transfer.code), &transfer.path) };
        requests.push(now, request, ()).unwrap();
        requests.handle_timeout(now, &mut out);

        for pair in transfer.messages.chunks(2) {
            let datagram = out.pop().unwrap();
            let message = Message::parse(&datagram).unwrap();
            assert_eq!(message.block1(), block(pair[0].block1), "{name}");
            assert_eq!(message.block2(), block(pair[0].block2), "{name}");
            let uploaded = message.block1().map_or(&[][..], |block| part(&body, block));
            assert_eq!(message.payload, uploaded, "{name}");

            let reply = reply(&message, &pair[1], &answer);
            let _ = requests.handle(now, &Message::parse(&reply).unwrap(), &mut out);
        }
        assert!(out.is_empty(), "{name}: the client goes on");
        let Some(((), Outcome::Answered(answered))) = requests.poll_outcome() else { panic!("{name}") };
        assert_eq!(answered.payload, answer, "{name}");
        assert_eq!(answered.code.to_string(), transfer.messages[transfer.messages.len() - 1].code, "{name}");
    }
}

#[test]
fn our_server_answers_the_transfers_of_the_specification() {
    for transfer in read::<Transfer>("transfers.json").into_iter().filter(|t| t.roles.contains(&"server".into())) {
        let name = &transfer.name;
        let (body, answer) = (body(transfer.request_bytes), body(transfer.answer_bytes));
        let (now, mut uploads) = (Instant::now(), Uploads::new());

        for pair in transfer.messages.chunks(2) {
            let asked = request(&transfer, &pair[0], &body);
            let message = Message::parse(&asked).unwrap();
            match uploads.handle(now, &message, 1024) {
                UploadStep::Continue(echo) => {
                    assert_eq!((Code::CONTINUE, Some(echo)), (code(&pair[1].code), block(pair[1].block1)), "{name}");
                }
                UploadStep::Whole { body: whole, block: echo } => {
                    assert_eq!(echo, block(pair[1].block1), "{name}");
                    assert_eq!(*whole, *body, "{name}");
                    let cut = blockwise::serve(answer.len() as u64, message.block2(), transfer.server_szx).unwrap();
                    assert_eq!(cut.block, block(pair[1].block2), "{name}");
                }
                UploadStep::Refused { code, .. } => panic!("{name}: {code}"),
            }
        }
        assert!(uploads.is_idle(), "{name}");
    }
}

fn request(transfer: &Transfer, told: &TransferMessage, body: &[u8]) -> Vec<u8> {
    assert_eq!(told.from, "client");
    let mut builder = MessageBuilder::new(Kind::Confirmable, code(&told.code), 1234, Token::EMPTY).path(&transfer.path);
    if let Some(block) = block(told.block1) {
        builder = builder.block1(block).payload(part(body, block));
    }
    if let Some(block) = block(told.block2) {
        builder = builder.block2(block);
    }
    builder.to_bytes()
}

fn reply(request: &Message<'_>, told: &TransferMessage, answer: &[u8]) -> Vec<u8> {
    assert_eq!(told.from, "server");
    let mut builder = MessageBuilder::answer(request, code(&told.code), 0);
    if let Some(block) = block(told.block1) {
        builder = builder.block1(block);
    }
    if let Some(block) = block(told.block2) {
        builder = builder.block2(block).payload(part(answer, block));
    }
    builder.to_bytes()
}

fn body(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|index| (index % 251) as u8).collect()
}

fn part(body: &[u8], block: Block) -> &[u8] {
    let start = block.offset() as usize;
    &body[start..body.len().min(start + block.size())]
}

fn block(told: Option<(u32, bool, usize)>) -> Option<Block> {
    told.map(|(num, more, size)| Block { num, more, szx: (size.trailing_zeros() - 4) as u8 })
}

fn word(error: MessageError) -> &'static str {
    match error {
        MessageError::TooShort { .. } => "too_short",
        MessageError::UnknownVersion { .. } => "unknown_version",
        MessageError::TokenTooLong { .. } => "token_too_long",
        MessageError::Truncated => "truncated",
        MessageError::ReservedCode { .. } => "reserved_code",
        MessageError::CodeNotAllowed { .. } => "code_not_allowed",
        MessageError::EmptyMessageWithMore => "empty_message_with_more",
        MessageError::ReservedOptionHeader => "reserved_option_header",
        MessageError::OptionNumberTooLarge { .. } => "option_number_too_large",
        MessageError::EmptyPayload => "empty_payload",
        _ => "unnamed",
    }
}

fn kind(word: &str) -> Kind {
    match word {
        "confirmable" => Kind::Confirmable,
        "non_confirmable" => Kind::NonConfirmable,
        "acknowledgement" => Kind::Acknowledgement,
        "reset" => Kind::Reset,
        _ => panic!("{word}"),
    }
}

fn code(text: &str) -> Code {
    let (class, detail) = text.split_once('.').unwrap();
    Code::of(class.parse().unwrap(), detail.parse().unwrap())
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn read<T: DeserializeOwned>(file: &str) -> Vec<T> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/coap").join(file);
    let vectors: Vec<T> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(!vectors.is_empty(), "{file}");
    vectors
}

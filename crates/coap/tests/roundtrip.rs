//! Whatever can be said is understood as it was meant, and no bytes at all can do harm.
// A test that cannot go on should say so loudly, and needs one true moment to start from.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, missing_docs)]

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use coap::{
    Answers, Block, Code, Encoder, Handled, Kind, Message, MessageBuilder, Outcome, Request, Requests, Seen, Token,
    Transmission, UploadStep, Uploads, blockwise,
};
use proptest::{collection::vec, prelude::*, sample::select};

/// Kind and code that may go together, and are more than an empty message.
fn header() -> impl Strategy<Value = (Kind, Code)> {
    let request = (select(vec![Kind::Confirmable, Kind::NonConfirmable]), 1..32_u8);
    let response = (select(vec![Kind::Confirmable, Kind::NonConfirmable, Kind::Acknowledgement]), 64..192_u8);
    prop_oneof![request, response].prop_map(|(kind, code)| (kind, Code(code)))
}

fn options() -> impl Strategy<Value = Vec<(u16, Vec<u8>)>> {
    let number = prop_oneof![0..32_u16, 250..290_u16, any::<u16>()];
    let value = prop_oneof![vec(any::<u8>(), 0..16), vec(any::<u8>(), 250..300)];
    vec((number, value), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_encoded_decodes_to_the_same(
        (kind, code) in header(),
        id: u16,
        token in vec(any::<u8>(), 0..=8),
        options in options(),
        payload in vec(any::<u8>(), 0..64),
    ) {
        let token = Token::new(&token).unwrap();
        let builder = MessageBuilder::new(kind, code, id, token).payload(payload.as_slice());
        let builder = options.iter().fold(builder, |builder, (n, value)| builder.option(*n, value.as_slice()));
        let bytes = builder.to_bytes();
        let message = Message::parse(&bytes).unwrap();

        let mut sorted: Vec<_> = options.iter().map(|(n, value)| (*n, value.as_slice())).collect();
        sorted.sort_by_key(|(n, _)| *n);
        prop_assert_eq!((message.kind, message.code, message.id, message.token), (kind, code, id, token));
        prop_assert_eq!(message.options().collect::<Vec<_>>(), sorted);
        prop_assert_eq!(message.payload, payload.as_slice());

        // The encoder puts options that come late where they belong.
        let mut direct = Vec::new();
        let encoder = Encoder::new(&mut direct, kind, code, id, token);
        options.iter().fold(encoder, |encoder, (n, value)| encoder.option(*n, value)).payload(&payload);
        prop_assert_eq!(direct, bytes);
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in vec(any::<u8>(), 0..200)) {
        read_everything(&bytes);
    }

    #[test]
    fn no_bytes_behind_a_sound_header_make_the_parser_panic(
        first in 0x40..0x49_u8,
        code: u8,
        rest in vec(prop_oneof![any::<u8>(), select(vec![0xd0, 0xe0, 0x0d, 0x0e, 0xdd, 0xee, 0xff, 0xf0])], 0..64),
    ) {
        let mut bytes = vec![first, code, 0, 1];
        bytes.extend(rest);
        read_everything(&bytes);
    }

    #[test]
    fn one_flipped_byte_does_no_harm((at, value) in (0..40_usize, any::<u8>())) {
        let mut bytes = MessageBuilder::new(Kind::Confirmable, Code::POST, 1, Token::new(b"token").unwrap())
            .path("/rd").content_format(40).query("ep=oxy-0417").block1(Block { num: 0, more: false, szx: 6 })
            .payload(&b"</1/0>,</3/0>"[..]).to_bytes();
        let at = at % bytes.len();
        bytes[at] = value;
        read_everything(&bytes);
    }

    #[test]
    fn a_block_option_survives(num in 0..=blockwise::BLOCK_NUM_MAX, more: bool, szx in 0..=6_u8) {
        let block = Block { num, more, szx };
        prop_assert_eq!(Block::of_uint(block.to_uint()), Some(block));
    }

    #[test]
    fn a_body_served_in_blocks_of_any_size_is_the_same_body(
        body in vec(any::<u8>(), 0..5000), szx in 0..=6_u8, szx_max in 0..=6_u8,
    ) {
        let mut fetched = Vec::new();
        let mut asked = Some(Block { num: 0, more: false, szx });
        while let Some(block) = asked {
            let cut = blockwise::serve(body.len() as u64, Some(block), szx_max).unwrap();
            fetched.extend_from_slice(&body[cut.range.start as usize..cut.range.end as usize]);
            let served = cut.block.unwrap();
            asked = served.more.then(|| Block { num: served.num + 1, more: false, szx: served.szx });
        }
        prop_assert_eq!(fetched, body);
    }

    #[test]
    fn a_body_goes_up_and_its_answer_comes_down_over_any_network(
        body in vec(any::<u8>(), 0..4000),
        answer in vec(any::<u8>(), 0..4000),
        (ours, theirs) in (0..=6_u8, 0..=6_u8),
        fates in vec(0..4_u8, 1..40),
    ) {
        let transmission = Transmission { szx: ours, ..Transmission::default() };
        let mut requests = Requests::new(transmission, 3);
        let mut server = Server { body: body.clone(), answer: answer.clone(), szx: theirs, ..Server::default() };
        let mut now = Instant::now();
        requests.push(now, Request { payload: body, ..Request::new(Code::POST, "/x") }, ()).unwrap();

        // Fates: 0 the datagram is lost, 1 it comes twice, otherwise it arrives. At most three losses between two answers
        // that arrive: one less than a message is repeated.
        let (mut fates, losses) = (fates.into_iter().cycle(), Cell::new(0));
        let mut copies = || match fates.next() {
            Some(0) if losses.get() < 3 => { losses.set(losses.get() + 1); 0 }
            Some(1) => 2,
            _ => 1,
        };
        while !requests.is_empty() {
            let mut out = Vec::new();
            now = now.max(requests.poll_timeout().unwrap());
            requests.handle_timeout(now, &mut out);
            while let Some(datagram) = out.pop() {
                for _ in 0..copies() {
                    let reply = server.handle(now, &datagram);
                    for _ in 0..copies() {
                        if requests.handle(now, &Message::parse(&reply).unwrap(), &mut out) == Handled::Consumed {
                            losses.set(0);
                        }
                    }
                }
            }
        }
        let outcome = requests.poll_outcome();
        let Some(((), Outcome::Answered(answered))) = outcome else { panic!("{outcome:?}") };
        prop_assert_eq!(answered.code, Code::CHANGED);
        prop_assert_eq!(answered.payload, answer);
        prop_assert_eq!(server.runs, 1, "the request ran once");
    }
}

/// Runs a request once and serves its answer.
#[derive(Default)]
struct Server {
    answers: Answers,
    uploads: Uploads,
    body: Vec<u8>,
    answer: Vec<u8>,
    szx: u8,
    runs: u32,
}

impl Server {
    fn handle(&mut self, now: Instant, datagram: &[u8]) -> Vec<u8> {
        let message = Message::parse(datagram).unwrap();
        if let Seen::Answered(again) = self.answers.seen(now, message.id, message.token) {
            return again.to_vec();
        }
        let asked = message.block2();
        let is_later_block = asked.is_some_and(|block| block.num > 0);
        let builder = match self.uploads.handle(now, &message, 1 << 16) {
            UploadStep::Continue(block) => MessageBuilder::answer(&message, Code::CONTINUE, 0).block1(block),
            UploadStep::Refused { code, .. } => MessageBuilder::answer(&message, code, 0),
            UploadStep::Whole { body, block } => {
                if !is_later_block {
                    assert_eq!(*body, *self.body);
                    self.runs += 1;
                }
                let cut = blockwise::serve(self.answer.len() as u64, asked, self.szx).unwrap();
                let slice = &self.answer[cut.range.start as usize..cut.range.end as usize];
                let mut builder = MessageBuilder::answer(&message, Code::CHANGED, 0).payload(slice);
                if let Some(block) = block {
                    builder = builder.block1(block);
                }
                if let Some(block) = cut.block {
                    builder = builder.block2(block).etag(blockwise::etag(&self.answer).to_vec());
                }
                builder
            }
        };
        let bytes = builder.to_bytes();
        self.answers.answered(now, message.id, message.token, &bytes);
        bytes
    }
}

fn read_everything(bytes: &[u8]) {
    let _ = Message::rejection(bytes);
    let Ok(message) = Message::parse(bytes) else { return };
    let now = Instant::now();
    let lengths: usize = message.options().map(|(_, value)| value.len() + 1).sum();
    assert!(lengths + message.payload.len() <= bytes.len());
    let _ = (message.path().count(), message.queries().count(), message.location().count(), message.etag());
    let _ = (message.content_format(), message.accept(), message.observe(), message.max_age());
    let _ = (message.block1(), message.block2(), message.refusal(&[1, 3, 11, 15]));
    let _ = Uploads::new().handle(now, &message, 1 << 16);
    let mut requests = Requests::new(Transmission::default(), 1);
    let mut out: Vec<Vec<u8>> = Vec::new();
    requests.push(now, Request { token: Some(message.token), ..Request::default() }, ()).unwrap();
    requests.handle_timeout(now, &mut out);
    let _ = requests.handle(now, &message, &mut out);
    requests.handle_timeout(now + Duration::from_secs(100), &mut out);
}

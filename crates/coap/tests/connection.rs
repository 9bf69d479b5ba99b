//! Two sides of a connection, and one side with whatever bytes: framing, signalling, blocks (RFC 8323).
// A test that cannot go on should say so loudly, and needs one true moment to start from.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, missing_docs)]

use std::time::{Duration, Instant};

use coap::{
    Block, Capacity, Code, Connection, ConnectionOptions, Ending, Handled, Kind, Message, MessageBuilder, Outcome,
    Refusal, Request, Requests, Token, Transmission, UploadStep, Uploads,
    blockwise::{self, SZX_BERT},
    stream::{Decoder, StreamError, frame},
};
use proptest::{collection::vec, prelude::*};

const OPTIONS: ConnectionOptions = ConnectionOptions {
    message_bytes_max: 16 * 1024,
    csm_wait: Duration::from_secs(10),
    ping_after: Duration::from_secs(240),
    pong_wait: Duration::from_secs(30),
};

/// One side, what it says, and the moment that both sides count from.
struct Side {
    connection: Connection,
    out: Vec<u8>,
    begin: Instant,
}

impl Side {
    fn open() -> Self {
        let (mut out, begin) = (Vec::new(), Instant::now());
        let connection = Connection::open(begin, OPTIONS, &mut out);
        Self { connection, out, begin }
    }

    /// One whose peer has introduced itself.
    fn introduced() -> Self {
        let mut side = Self::open();
        assert_eq!(side.take(&signal(Code::CSM, &[], &[(2, &[0x40, 0x00]), (4, &[])])), Ok(Vec::new()));
        side.out.clear();
        side
    }

    /// Codes of the messages that came of these bytes.
    fn take(&mut self, bytes: &[u8]) -> Result<Vec<Code>, Ending> {
        let (mut codes, mut message) = (Vec::new(), Vec::new());
        self.connection.push(self.begin, bytes);
        while self.connection.next_message(&mut message, &mut self.out)? {
            codes.push(Message::parse_frame(&message).unwrap().code);
        }
        Ok(codes)
    }

    /// What it said since the last call.
    fn said(&mut self) -> Vec<(Code, Vec<u8>, Vec<u16>)> {
        frames(&std::mem::take(&mut self.out))
            .iter()
            .map(|bytes| {
                let message = Message::parse_frame(bytes).unwrap();
                let numbers = message.options().map(|(number, _)| number).collect();
                (message.code, message.token.as_slice().to_vec(), numbers)
            })
            .collect()
    }
}

fn frames(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut decoder = Decoder::new(usize::MAX);
    decoder.push(bytes);
    std::iter::from_fn(|| decoder.next_frame().unwrap().map(<[u8]>::to_vec)).collect()
}

fn signal(code: Code, token: &[u8], options: &[(u16, &[u8])]) -> Vec<u8> {
    let builder = MessageBuilder::new(Kind::Reliable, code, 0, Token::new(token).unwrap());
    let builder = options.iter().fold(builder, |builder, (number, value)| builder.option(*number, *value));
    framed(&builder)
}

fn framed(builder: &MessageBuilder<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame(&builder.to_bytes(), &mut bytes);
    bytes
}

fn get(token: &[u8]) -> Vec<u8> {
    signal(Code::GET, token, &[(11, b"x")])
}

#[test]
fn both_sides_introduce_themselves_and_know_what_the_other_takes() {
    let (mut here, mut there) = (Side::open(), Side::open());
    assert!(!here.connection.is_open());

    assert_eq!(here.take(&there.out), Ok(Vec::new()));
    assert_eq!(there.take(&here.out), Ok(Vec::new()));

    for side in [here, there] {
        assert_eq!(side.connection.capacity(), Capacity { message_bytes: 16 * 1024, has_blocks: true });
    }
}

#[test]
fn a_second_csm_changes_only_what_it_says() {
    let mut side = Side::introduced();

    assert_eq!(side.take(&signal(Code::CSM, &[], &[(2, &[0x10, 0x00])])), Ok(Vec::new()));

    assert_eq!(side.connection.capacity(), Capacity { message_bytes: 4_096, has_blocks: true });
}

#[test]
fn nothing_may_come_before_the_csm_but_an_empty_message() {
    for early in [get(b"1"), signal(Code::PING, b"1", &[]), signal(Code::RELEASE, &[], &[])] {
        let mut side = Side::open();
        side.out.clear();
        assert_eq!(side.take(&early), Err(Ending::CsmMissing));
        assert_eq!(side.said()[0].0, Code::ABORT);
    }
    assert_eq!(Side::open().take(&[0, 0]), Ok(Vec::new()));
}

#[test]
fn a_csm_that_does_not_come_is_waited_for_only_so_long() {
    let mut side = Side::open();
    let (until, mut out) = (side.connection.poll_timeout(), Vec::new());

    assert_eq!(until, side.begin + OPTIONS.csm_wait);
    assert_eq!(side.connection.handle_timeout(until - Duration::from_millis(1), &mut out), Ok(()));
    assert_eq!(side.connection.handle_timeout(until, &mut out), Err(Ending::CsmMissing));
}

#[test]
fn options_of_signals_are_passed_over_when_elective_and_end_the_connection_when_critical() {
    let mut side = Side::introduced();
    assert_eq!(side.take(&signal(Code::CSM, &[], &[(6, b"x")])), Ok(Vec::new()));
    assert_eq!(side.take(&signal(Code::PING, b"1", &[(8, b"x")])), Ok(Vec::new()));
    assert_eq!(side.said(), [(Code::PONG, b"1".to_vec(), Vec::new())]);

    assert_eq!(side.take(&signal(Code::CSM, &[], &[(3, b"x")])), Err(Ending::CsmInvalid { option: 3 }));
    let abort = frames(&side.out).remove(0);
    let abort = Message::parse_frame(&abort).unwrap();
    assert_eq!((abort.code, abort.uint(2), abort.payload), (Code::ABORT, Some(3), &b"option 3 of the CSM"[..]));

    let csm_of_five_bytes = signal(Code::CSM, &[], &[(2, &[0; 5])]);
    assert_eq!(Side::introduced().take(&csm_of_five_bytes), Err(Ending::CsmInvalid { option: 2 }));
    let ping = signal(Code::PING, b"1", &[(5, b"x")]);
    assert_eq!(Side::introduced().take(&ping), Err(Ending::SignalInvalid { option: 5 }));
}

#[test]
fn a_signal_that_nobody_has_invented_yet_does_no_harm() {
    let mut side = Side::introduced();

    assert_eq!(side.take(&[signal(Code::of(7, 9), b"1", &[]), get(b"2")].concat()), Ok(vec![Code::GET]));
}

#[test]
fn a_pong_with_custody_waits_for_what_was_asked_before() {
    let mut side = Side::introduced();
    assert_eq!(side.take(&signal(Code::PING, b"0", &[(2, &[])])), Ok(Vec::new()));
    assert_eq!(side.said(), [(Code::PONG, b"0".to_vec(), vec![2])]);

    side.connection.hold();
    side.connection.hold();
    assert_eq!(side.take(&signal(Code::PING, b"1", &[(2, &[])])), Ok(Vec::new()));
    assert_eq!(side.take(&signal(Code::PING, b"2", &[])), Ok(Vec::new()));
    assert_eq!(side.said(), [(Code::PONG, b"2".to_vec(), Vec::new())], "one that does not ask for it does not wait");
    side.connection.hold();

    assert_eq!(side.connection.answered(&mut side.out), Ok(()));
    assert_eq!(side.said(), []);
    assert_eq!(side.connection.answered(&mut side.out), Ok(()));
    assert_eq!(side.said(), [(Code::PONG, b"1".to_vec(), vec![2])], "the third came after the Ping");
}

#[test]
fn pings_that_wait_for_their_pong_are_few() {
    let mut side = Side::introduced();
    side.connection.hold();

    for _ in 0..100 {
        assert_eq!(side.take(&signal(Code::PING, b"1", &[(2, &[])])), Ok(Vec::new()));
    }

    let said = side.said();
    assert_eq!((said.len(), said[0].clone()), (96, (Code::PONG, b"1".to_vec(), Vec::new())));
}

#[test]
fn a_release_ends_the_connection_when_everything_is_answered_and_not_before() {
    assert_eq!(
        Side::introduced().take(&signal(Code::RELEASE, &[], &[(2, b"192.0.2.1")])),
        Err(Ending::Released { hold_off_s: 0 })
    );
    let hold_off = signal(Code::RELEASE, &[], &[(4, &[1, 0])]);
    assert_eq!(Side::introduced().take(&hold_off), Err(Ending::Released { hold_off_s: 256 }));

    let mut side = Side::introduced();
    side.connection.hold();
    let bytes = [get(b"1"), signal(Code::RELEASE, &[], &[]), get(b"2")].concat();
    assert_eq!(side.take(&bytes), Ok(vec![Code::GET]), "what comes after a Release is not heard");
    assert_eq!(side.take(&get(b"3")), Ok(Vec::new()));
    assert_eq!(side.connection.answered(&mut side.out), Err(Ending::Released { hold_off_s: 0 }));
}

#[test]
fn an_abort_ends_it_at_once_even_before_the_csm() {
    let abort = framed(&MessageBuilder::new(Kind::Reliable, Code::ABORT, 0, Token::EMPTY).payload(&b"no more"[..]));
    let ending = Ending::Aborted { diagnostic: "no more".to_owned() };

    assert_eq!(Side::open().take(&abort), Err(ending.clone()));
    assert_eq!(Side::introduced().take(&abort), Err(ending));
    let long = MessageBuilder::new(Kind::Reliable, Code::ABORT, 0, Token::EMPTY).payload(vec![b'a'; 9_000]);
    let Err(Ending::Aborted { diagnostic }) = Side::introduced().take(&framed(&long)) else { panic!("no abort") };
    assert_eq!(diagnostic.len(), 128);
}

#[test]
fn a_silent_peer_is_asked_and_given_up_when_it_does_not_answer() {
    let mut side = Side::introduced();
    let asked = side.connection.poll_timeout();
    assert_eq!(asked, side.begin + OPTIONS.ping_after);
    assert_eq!(side.connection.handle_timeout(asked, &mut side.out), Ok(()));
    assert_eq!(side.said()[0].0, Code::PING);

    // It answers: the wait begins anew.
    side.begin = asked;
    assert_eq!(side.take(&signal(Code::PONG, &[], &[])), Ok(Vec::new()));
    assert_eq!(side.connection.poll_timeout(), asked + OPTIONS.ping_after);

    // It does not.
    let again = side.connection.poll_timeout();
    assert_eq!(side.connection.handle_timeout(again, &mut side.out), Ok(()));
    let end = side.connection.poll_timeout();
    assert_eq!(end, again + OPTIONS.pong_wait);
    assert_eq!(side.connection.handle_timeout(end, &mut side.out), Err(Ending::Silent));
}

#[test]
fn what_is_longer_than_the_peer_takes_is_not_sent() {
    let mut side = Side::open();
    side.out.clear();
    let message = |bytes| MessageBuilder::new(Kind::Reliable, Code::CONTENT, 0, Token::EMPTY).payload(vec![1; bytes]);

    assert!(side.connection.send(&message(1_024).to_bytes(), &mut side.out));
    assert!(!side.connection.send(&message(1_152).to_bytes(), &mut side.out), "the base size holds until the CSM");
    assert_eq!(side.said().len(), 1);
}

#[test]
fn what_a_peer_takes_decides_how_large_our_blocks_are() {
    let of = |message_bytes, has_blocks| Capacity { message_bytes, has_blocks };
    for (capacity, piece, szx, block) in [
        (Capacity::default(), 1_024, 6, 1_024),
        (of(1_152, true), 1_024, 6, 1_024),
        (of(1_153, true), 1_025, SZX_BERT, 1_024),
        (of(16_384, true), 15_872, SZX_BERT, 15 * 1_024),
        (of(16_384, false), 15_872, 6, 1_024),
        (of(u32::MAX, true), 32_768, SZX_BERT, 32_768),
        (of(200, true), 72, 2, 64),
        (of(0, true), 16, 0, 16),
    ] {
        let szx_used = capacity.szx();
        let found = (capacity.piece_bytes(), szx_used, capacity.block_bytes(szx_used));
        assert_eq!(found, (piece, szx, block), "{capacity:?}");
    }
}

#[test]
fn a_request_over_a_connection_is_sent_once_and_answered_by_token_alone() {
    let transmission = Transmission { capacity: Some(Capacity::default()), ..Transmission::default() };
    let mut requests = Requests::new(transmission, 3);
    let (begin, mut out) = (Instant::now(), Vec::<Vec<u8>>::new());
    for number in 0..3 {
        requests.push(begin, Request::new(Code::GET, "/3/0"), number).unwrap();
    }

    requests.handle_timeout(begin, &mut out);
    assert_eq!(out.len(), 3, "NSTART does not count");
    requests.handle_timeout(begin + Duration::from_secs(92), &mut out);
    assert_eq!(out.len(), 3, "nothing is repeated");
    let token = Message::parse(&out[1]).unwrap().token;
    for _ in 0..2 {
        let answer = framed(&MessageBuilder::new(Kind::Reliable, Code::CONTENT, 0, token).payload(&b"x"[..]));
        let _ = requests.handle(begin, &Message::parse_frame(&answer).unwrap(), &mut out);
    }
    assert!(matches!(requests.poll_outcome(), Some((1, Outcome::Answered(_)))));
    assert_eq!(requests.poll_outcome(), None);

    requests.handle_timeout(begin + Duration::from_secs(93), &mut out);
    assert_eq!(requests.poll_outcome(), Some((0, Outcome::TimedOut { acknowledged: false })));
}

#[test]
fn notifications_that_follow_an_answer_under_its_token_are_left_to_the_caller() {
    let transmission = Transmission { capacity: Some(Capacity::default()), ..Transmission::default() };
    let mut requests = Requests::new(transmission, 3);
    let (now, mut out) = (Instant::now(), Vec::<Vec<u8>>::new());
    requests.push(now, Request { observe: Some(0), ..Request::new(Code::GET, "/3/0") }, ()).unwrap();
    requests.handle_timeout(now, &mut out);
    let token = Message::parse(&out[0]).unwrap().token;

    for expected in [Handled::Consumed, Handled::NotOurs, Handled::NotOurs] {
        let builder = MessageBuilder::new(Kind::Reliable, Code::CONTENT, 0, token).option(6, &[][..]);
        let notification = framed(&builder.payload(&b"x"[..]));
        let message = Message::parse_frame(&notification).unwrap();
        assert_eq!(message.observe(), Some(0), "an empty Observe is one");
        assert_eq!(requests.handle(now, &message, &mut out), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_split_of_a_stream_gives_the_same_messages(
        messages in vec((vec(any::<u8>(), 0..=8), vec(any::<u8>(), 0..700)), 1..8),
        cuts in vec(1..400_usize, 1..40),
    ) {
        let bytes: Vec<u8> = messages
            .iter()
            .flat_map(|(token, payload)| {
                let token = Token::new(token).unwrap();
                framed(&MessageBuilder::new(Kind::Reliable, Code::PUT, 0, token).path("/3/0/15").payload(payload.as_slice()))
            })
            .collect();
        let mut decoder = Decoder::new(1_000);
        let (mut found, mut rest, mut cuts) = (Vec::new(), bytes.as_slice(), cuts.into_iter().cycle());
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(cuts.next().unwrap().min(rest.len()));
            rest = later;
            decoder.push(piece);
            while let Some(frame) = decoder.next_frame().unwrap() {
                let message = Message::parse_frame(frame).unwrap();
                found.push((message.token.as_slice().to_vec(), message.payload.to_vec()));
            }
            prop_assert!(decoder.buffered() < 1_000);
        }
        prop_assert_eq!((found, decoder.buffered()), (messages, 0));
    }

    #[test]
    fn no_bytes_make_a_connection_panic_or_keep_more_than_one_message(
        has_csm: bool,
        pieces in vec(vec(prop_oneof![any::<u8>(), 0xe0..=0xe6_u8, Just(0), Just(0x0d), Just(0xd2), Just(0xf1)], 0..300), 1..8),
    ) {
        let mut side = if has_csm { Side::introduced() } else { Side::open() };
        for piece in pieces {
            if side.take(&piece).is_err() {
                break;
            }
            prop_assert!(side.connection.allocated() <= 2 * OPTIONS.message_bytes_max as usize + 512);
        }
        for bytes in frames(&side.out) {
            prop_assert!(Message::parse_frame(&bytes).unwrap().code.is_signal());
        }
    }

    #[test]
    fn a_body_goes_up_and_its_answer_comes_down_in_blocks_of_any_size(
        body in vec(any::<u8>(), 0..60_000),
        answer in vec(any::<u8>(), 0..60_000),
        ours in (100..20_000_u32, any::<bool>()),
        theirs in (100..20_000_u32, any::<bool>()),
    ) {
        let capacity = |(message_bytes, has_blocks)| Capacity { message_bytes, has_blocks };
        let (ours, theirs) = (capacity(ours), capacity(theirs));
        let transmission = Transmission { capacity: Some(theirs), ..Transmission::default() };
        let mut requests = Requests::new(transmission, 3);
        let (now, mut out) = (Instant::now(), Vec::<Vec<u8>>::new());
        let mut uploads = Uploads::new();
        requests.push(now, Request { payload: body.clone(), ..Request::new(Code::POST, "/x") }, ()).unwrap();
        requests.handle_timeout(now, &mut out);
        while !requests.is_empty() {
            let mut bytes = Vec::new();
            frame(&out.remove(0), &mut bytes);
            prop_assert!(bytes.len() <= theirs.message_bytes.max(160) as usize);
            let message = Message::parse_frame(&bytes).unwrap();
            prop_assert_eq!(message.refusal(&[11, 23, 27]), None);
            let reply = serve(&mut uploads, now, &message, &body, &answer, ours);
            prop_assert!(reply.len() <= ours.message_bytes.max(160) as usize);
            let _ = requests.handle(now, &Message::parse_frame(&reply).unwrap(), &mut out);
        }
        let outcome = requests.poll_outcome();
        let Some(((), Outcome::Answered(answered))) = outcome else { panic!("{outcome:?}") };
        prop_assert_eq!((answered.code, answered.payload), (Code::CHANGED, answer));
    }
}

fn serve(
    uploads: &mut Uploads,
    now: Instant,
    message: &Message<'_>,
    body: &[u8],
    answer: &[u8],
    capacity: Capacity,
) -> Vec<u8> {
    let whole = match uploads.handle(now, message, 1 << 16) {
        UploadStep::Continue(block) => {
            return framed(&MessageBuilder::answer(message, Code::CONTINUE, 0).block1(block));
        }
        UploadStep::Refused { code, .. } => return framed(&MessageBuilder::answer(message, code, 0)),
        UploadStep::Whole { body, block } => (body, block),
    };
    if message.block2().is_none_or(|block| block.num == 0) {
        assert_eq!(*whole.0, *body);
    }
    let cut = blockwise::serve_over(Some(capacity), answer.len() as u64, message.block2()).unwrap();
    let slice = &answer[cut.range.start as usize..cut.range.end as usize];
    let builder = MessageBuilder::answer(message, Code::CHANGED, 0).payload(slice);
    let builder = match whole.1 {
        Some(block) => builder.block1(block),
        None => builder,
    };
    framed(&match cut.block {
        Some(block) => builder.block2(block),
        None => builder,
    })
}

#[test]
fn the_size_that_is_reserved_in_a_datagram_means_several_blocks_over_a_connection() {
    let block1 = [0x40, 2, 0, 1, 0xd1, 14, 0x0f];
    assert_eq!(Message::parse(&block1).unwrap().refusal(&[27]), Some(Refusal::Answer(Code::BAD_REQUEST)));
    let over_a_connection = [0x30, 2, 0xd1, 14, 0x0f];
    let message = Message::parse_frame(&over_a_connection).unwrap();
    assert_eq!(message.refusal(&[27]), None);
    assert_eq!(message.block1(), Some(Block { num: 0, more: true, szx: SZX_BERT }));
    // RFC 8323 §6: a part with more to come is a multiple of 1024 bytes, and not nothing.
    let step = Uploads::new().handle(Instant::now(), &message, 1 << 16);
    assert_eq!(step, UploadStep::Refused { code: Code::BAD_REQUEST, block: None });
}

#[test]
fn an_announcement_beyond_our_bound_ends_the_connection() {
    let mut side = Side::introduced();

    let ending = side.take(&[0xf0, 0x00, 0x10, 0x00, 0x00, 0x45]);

    assert!(matches!(ending, Err(Ending::Unreadable(StreamError::TooLong { .. }))), "{ending:?}");
    assert_eq!(side.said()[0].0, Code::ABORT);
}

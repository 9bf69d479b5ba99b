//! Stories of bodies that do not fit a datagram (RFC 7959).
// A test that cannot go on should say so loudly, and needs one true moment to start from.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, missing_docs)]

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use coap::{
    Answered, Block, Code, Handled, Kind, Message, MessageBuilder, Outcome, Pieces, Request, Requests, Source, Token,
    Transmission, UploadStep, Uploads,
    blockwise::{UPLOAD_IDLE_MAX, serve},
    exchange::Begun,
    observe, option,
};

struct Asker {
    requests: Requests<()>,
    now: Instant,
    sent: Vec<Vec<u8>>,
}

impl Asker {
    fn new(request: Request) -> Self {
        Self::with(Transmission::default(), request)
    }

    fn with(transmission: Transmission, request: Request) -> Self {
        let (mut requests, now, mut sent) = (Requests::new(transmission, 11), Instant::now(), Vec::new());
        requests.push(now, request, ()).unwrap();
        requests.handle_timeout(now, &mut sent);
        Self { requests, now, sent }
    }

    fn sent(&mut self) -> Vec<u8> {
        assert_eq!(self.sent.len(), 1, "{:?}", self.sent);
        self.sent.pop().unwrap()
    }

    fn hear(&mut self, reply: MessageBuilder<'_>) -> Handled {
        let datagram = reply.to_bytes();
        self.requests.handle(self.now, &Message::parse(&datagram).unwrap(), &mut self.sent)
    }

    fn wait_for_repetition(&mut self) -> Vec<u8> {
        self.now = self.requests.poll_timeout().unwrap();
        self.requests.handle_timeout(self.now, &mut self.sent);
        self.sent()
    }

    fn outcome(&mut self) -> Outcome {
        assert!(self.sent.is_empty());
        let ((), outcome) = self.requests.poll_outcome().unwrap();
        assert!(self.requests.is_idle());
        outcome
    }

    fn answered(&mut self) -> Answered {
        match self.outcome() {
            Outcome::Answered(answered) => answered,
            other => panic!("{other:?}"),
        }
    }
}

fn body(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|index| (index % 251) as u8).collect()
}

fn block(num: u32, more: bool, szx: u8) -> Block {
    Block { num, more, szx }
}

fn upload(bytes: usize) -> Request {
    Request { payload: body(bytes), content_format: Some(42), ..Request::new(Code::PUT, "/5/0/0") }
}

fn to<'a>(request: &[u8], code: Code) -> MessageBuilder<'a> {
    MessageBuilder::answer(&Message::parse(request).unwrap(), code, 77)
}

fn block1(request: &[u8]) -> Block {
    Message::parse(request).unwrap().block1().unwrap()
}

fn block2(request: &[u8]) -> Block {
    Message::parse(request).unwrap().block2().unwrap()
}

/// One block of `whole` as the answer to a request.
fn serve_block<'a>(request: &[u8], whole: &'a [u8], szx: u8, etag: &'a [u8]) -> MessageBuilder<'a> {
    let asked = Message::parse(request).unwrap().block2();
    let cut = serve(whole.len() as u64, asked, szx).unwrap();
    to(request, Code::CONTENT)
        .block2(cut.block.unwrap())
        .etag(etag)
        .payload(&whole[cut.range.start as usize..cut.range.end as usize])
}

#[test]
fn an_upload_goes_block_by_block_each_with_its_own_id_and_token() {
    let mut asker = Asker::new(upload(2500));
    let mut uploads = Uploads::new();
    let mut tokens = Vec::new();
    for num in 0..2 {
        let datagram = asker.sent();
        let message = Message::parse(&datagram).unwrap();
        assert_eq!(message.block1(), Some(block(num, true, 6)));
        assert_eq!(message.uint(option::SIZE1), (num == 0).then_some(2500));
        assert_eq!(message.content_format(), Some(42));
        tokens.push((message.id, message.token));
        let UploadStep::Continue(echo) = uploads.handle(asker.now, &message, 4096) else { panic!() };
        let _ = asker.hear(to(&datagram, Code::CONTINUE).block1(echo));
    }
    let last = asker.sent();
    let message = Message::parse(&last).unwrap();
    let whole = UploadStep::Whole { body: Cow::Owned(body(2500)), block: Some(block(2, false, 6)) };
    assert_eq!(uploads.handle(asker.now, &message, 4096), whole);
    assert!(uploads.is_idle());
    tokens.push((message.id, message.token));
    tokens.dedup_by_key(|(_, token)| *token);
    assert_eq!(tokens.len(), 3);

    let _ = asker.hear(to(&last, Code::CHANGED).block1(block(2, false, 6)));
    assert_eq!(asker.answered().code, Code::CHANGED);
}

/// A file that counts what is read of it, and ends where it says.
struct Disk {
    read: AtomicU64,
    readable: usize,
}

impl Pieces for Disk {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> bool {
        let end = offset as usize + buffer.len();
        self.read.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        let is_there = end <= self.readable;
        if is_there {
            buffer.copy_from_slice(&body(end)[offset as usize..]);
        }
        is_there
    }
}

fn pushed(bytes: usize, from: u64) -> (Arc<Disk>, Request) {
    let disk = Arc::new(Disk { read: AtomicU64::new(0), readable: bytes });
    let source = Some(Source { pieces: Arc::<Disk>::clone(&disk), bytes: bytes as u64, from });
    (disk, Request { source, content_format: Some(42), ..Request::new(Code::PUT, "/5/0/0") })
}

/// Everything that an asker still says to a peer that takes it; the last code of the peer.
fn delivered(asker: &mut Asker, uploads: &mut Uploads) -> Vec<u8> {
    loop {
        let datagram = asker.sent();
        let message = Message::parse(&datagram).unwrap();
        match uploads.handle(asker.now, &message, 1 << 20) {
            UploadStep::Continue(echo) => {
                let _ = asker.hear(to(&datagram, Code::CONTINUE).block1(echo));
            }
            UploadStep::Refused { code, block } => {
                let _ = asker.hear(to(&datagram, code).block1(block.unwrap()));
            }
            UploadStep::Whole { body, block } => {
                let _ = asker.hear(to(&datagram, Code::CHANGED).block1(block.unwrap()));
                return body.into_owned();
            }
        }
    }
}

#[test]
fn a_body_that_is_read_piece_by_piece_arrives_whole_and_each_byte_is_read_once() {
    for bytes in [1, 1023, 1024, 1025, 100_000] {
        let (disk, request) = pushed(bytes, 0);
        let mut asker = Asker::new(request);

        let arrived = delivered(&mut asker, &mut Uploads::new());

        assert_eq!(arrived, body(bytes));
        assert_eq!(disk.read.load(Ordering::Relaxed), bytes as u64);
        assert_eq!(asker.answered().code, Code::CHANGED);
    }
}

#[test]
fn a_push_that_broke_off_goes_on_where_it_was() {
    let (_, request) = pushed(10_000, 0);
    let (mut asker, mut uploads) = (Asker::new(request), Uploads::new());
    for _ in 0..4 {
        let datagram = asker.sent();
        let UploadStep::Continue(echo) = uploads.handle(asker.now, &Message::parse(&datagram).unwrap(), 1 << 20) else {
            panic!()
        };
        let _ = asker.hear(to(&datagram, Code::CONTINUE).block1(echo));
    }
    assert_eq!(asker.requests.uploaded(), Some(4 * 1024));

    let (disk, request) = pushed(10_000, 4 * 1024);
    let mut asker = Asker::new(request);

    assert_eq!(delivered(&mut asker, &mut uploads), body(10_000));
    assert_eq!(disk.read.load(Ordering::Relaxed), 10_000 - 4 * 1024);
}

#[test]
fn a_peer_that_forgot_what_it_had_gets_all_of_it() {
    let (_, request) = pushed(10_000, 5_000);
    let mut asker = Asker::new(request);

    assert_eq!(block1(&asker.sent[0]), block(4, true, 6), "the block that 5,000 bytes end in");
    assert_eq!(delivered(&mut asker, &mut Uploads::new()), body(10_000));
}

#[test]
fn a_push_of_what_is_there_already_still_ends_with_its_last_block() {
    let (_, request) = pushed(2_048, 9_999_999);

    assert_eq!(block1(&Asker::new(request).sent()), block(1, false, 6));
}

#[test]
fn a_push_whose_bytes_cannot_be_read_is_broken_off() {
    let disk = Arc::new(Disk { read: AtomicU64::new(0), readable: 1_500 });
    let source = Some(Source { pieces: disk, bytes: 5_000, from: 0 });
    let mut asker = Asker::new(Request { source, ..Request::new(Code::PUT, "/5/0/0") });
    let first = asker.sent();

    let _ = asker.hear(to(&first, Code::CONTINUE).block1(block(0, true, 6)));

    assert!(matches!(asker.outcome(), Outcome::BrokenTransfer { .. }));
}

#[test]
fn a_lost_block_is_repeated_and_its_late_copies_change_nothing() {
    let mut asker = Asker::new(upload(3000));
    let first = asker.sent();
    assert_eq!(asker.wait_for_repetition(), first);
    let _ = asker.hear(to(&first, Code::CONTINUE).block1(block(0, true, 6)));
    let second = asker.sent();

    // The answer to the repetition: the same once more, now that the second block is on its way.
    assert_eq!(asker.hear(to(&first, Code::CONTINUE).block1(block(0, true, 6))), Handled::NotOurs);
    assert!(asker.sent.is_empty());
    let _ = asker.hear(to(&second, Code::CONTINUE).block1(block(1, true, 6)));
    let last = asker.sent();
    let _ = asker.hear(to(&last, Code::CHANGED).block1(block(2, false, 6)));
    assert_eq!(asker.answered().code, Code::CHANGED);
}

#[test]
fn a_peer_that_wants_smaller_blocks_gets_them_from_where_it_is() {
    let mut asker = Asker::new(upload(2000));
    let first = asker.sent();
    let _ = asker.hear(to(&first, Code::CONTINUE).block1(block(0, true, 5)));
    let second = asker.sent();
    assert_eq!(block1(&second), block(2, true, 5));
    assert_eq!(Message::parse(&second).unwrap().payload, &body(2000)[1024..1536]);
}

#[test]
fn too_large_with_a_smaller_size_means_start_over_in_that_size() {
    let mut asker = Asker::new(upload(1000));
    let whole = asker.sent();
    assert_eq!(Message::parse(&whole).unwrap().block1(), None);
    let _ = asker.hear(to(&whole, Code::REQUEST_ENTITY_TOO_LARGE).block1(block(0, false, 4)));
    let first = asker.sent();
    assert_eq!(block1(&first), block(0, true, 4));

    let _ = asker.hear(to(&first, Code::REQUEST_ENTITY_TOO_LARGE).block1(block(0, true, 2)));
    let first = asker.sent();
    assert_eq!(block1(&first), block(0, true, 2));

    // A third time would never end.
    let _ = asker.hear(to(&first, Code::REQUEST_ENTITY_TOO_LARGE).block1(block(0, true, 1)));
    assert_eq!(asker.answered().code, Code::REQUEST_ENTITY_TOO_LARGE);
}

#[test]
fn too_large_without_a_hint_is_the_answer() {
    let mut asker = Asker::new(upload(3000));
    let first = asker.sent();
    let _ = asker.hear(to(&first, Code::REQUEST_ENTITY_TOO_LARGE));
    assert_eq!(asker.answered().code, Code::REQUEST_ENTITY_TOO_LARGE);
}

#[test]
fn a_peer_that_rebooted_in_the_middle_gets_the_upload_from_the_start() {
    let mut asker = Asker::new(upload(3000));
    let first = asker.sent();
    let _ = asker.hear(to(&first, Code::CONTINUE).block1(block(0, true, 6)));
    let second = asker.sent();
    let _ = asker.hear(to(&second, Code::REQUEST_ENTITY_INCOMPLETE));
    let again = asker.sent();
    assert_eq!(block1(&again), block(0, true, 6));
}

#[test]
fn an_error_in_the_middle_of_an_upload_is_its_answer() {
    let mut asker = Asker::new(upload(3000));
    let first = asker.sent();
    let _ = asker.hear(to(&first, Code::UNAUTHORIZED).payload(&b"no"[..]));
    let answered = asker.answered();
    assert_eq!((answered.code, answered.payload), (Code::UNAUTHORIZED, b"no".to_vec()));
}

#[test]
fn a_download_is_put_together_over_a_network_that_loses_and_repeats() {
    let whole = body(2500);
    let mut asker = Asker::new(Request::new(Code::GET, "/3"));
    for _ in 0..3 {
        let lost = asker.sent();
        let request = asker.wait_for_repetition();
        assert_eq!(request, lost);
        let _ = asker.hear(serve_block(&request, &whole, 6, b"v1").content_format(112).uint(option::SIZE2, 2500));
        let _ = asker.hear(serve_block(&request, &whole, 6, b"v1"));
    }
    let answered = asker.answered();
    assert_eq!(answered.payload, whole);
    assert_eq!((answered.content_format, answered.size2), (Some(112), Some(2500)));
    assert_eq!(answered.etag.as_deref(), Some(&b"v1"[..]));
}

#[test]
fn blocks_that_come_as_separate_responses_are_each_acknowledged() {
    let whole = body(100);
    let mut asker = Asker::new(Request::new(Code::GET, "/3"));
    for (num, id) in [(0, 500), (1, 501)] {
        let request = asker.sent();
        let message = Message::parse(&request).unwrap();
        let _ = asker.hear(MessageBuilder::new(Kind::Acknowledgement, Code::EMPTY, message.id, Token::EMPTY));
        let range = num * 64..(num * 64 + 64).min(100);
        let response = MessageBuilder::new(Kind::Confirmable, Code::CONTENT, id, message.token)
            .block2(block(num as u32, num == 0, 2))
            .payload(&whole[range]);
        let _ = asker.hear(response.clone());
        assert_eq!(asker.sent.remove(0), Message::acknowledgement(id));
        let _ = asker.hear(response);
        assert_eq!(asker.sent.pop().unwrap(), Message::acknowledgement(id), "the copy");
    }
    assert_eq!(asker.answered().payload, whole);
}

#[test]
fn a_peer_that_answers_in_smaller_blocks_is_followed() {
    let whole = body(300);
    let mut asker = Asker::new(Request::new(Code::GET, "/3"));
    let request = asker.sent();
    assert_eq!(Message::parse(&request).unwrap().block2(), None);
    let _ = asker.hear(to(&request, Code::CONTENT).block2(block(0, true, 3)).payload(&whole[..128]));
    let request = asker.sent();
    assert_eq!(block2(&request), block(1, false, 3));
    // Smaller still, in the middle.
    let _ = asker.hear(to(&request, Code::CONTENT).block2(block(2, true, 2)).payload(&whole[128..192]));
    let request = asker.sent();
    assert_eq!(block2(&request), block(3, false, 2));
    let _ = asker.hear(to(&request, Code::CONTENT).block2(block(3, true, 2)).payload(&whole[192..256]));
    let request = asker.sent();
    let _ = asker.hear(to(&request, Code::CONTENT).block2(block(4, false, 2)).payload(&whole[256..]));
    assert_eq!(asker.answered().payload, whole);
}

#[test]
fn a_body_that_changes_under_the_download_is_fetched_again() {
    let (old, new) = (body(2000), vec![9; 1500]);
    let mut asker = Asker::new(Request::new(Code::GET, "/3"));
    let request = asker.sent();
    let _ = asker.hear(serve_block_first(&request, &old, b"v1"));
    let request = asker.sent();
    let _ = asker.hear(serve_block(&request, &new, 6, b"v2"));
    let request = asker.sent();
    assert_eq!(block2(&request), block(0, false, 6));
    let _ = asker.hear(serve_block(&request, &new, 6, b"v2"));
    let request = asker.sent();
    let _ = asker.hear(serve_block(&request, &new, 6, b"v2"));
    assert_eq!(asker.answered().payload, new);
}

fn serve_block_first<'a>(request: &[u8], whole: &'a [u8], etag: &'a [u8]) -> MessageBuilder<'a> {
    to(request, Code::CONTENT).block2(block(0, true, 6)).etag(etag).payload(&whole[..1024])
}

#[test]
fn a_deed_is_not_done_again_because_its_answer_changed() {
    let mut asker = Asker::new(Request::new(Code::POST, "/3"));
    let request = asker.sent();
    let _ = asker.hear(serve_block_first(&request, &body(2000), b"v1"));
    let request = asker.sent();
    let _ = asker.hear(serve_block(&request, &body(2000), 6, b"v2"));
    assert_eq!(asker.outcome(), Outcome::BrokenTransfer { bytes: 1024 });
}

#[test]
fn a_body_beyond_the_bound_is_not_collected() {
    let transmission = Transmission { body_bytes_max: 1500, ..Transmission::default() };
    let mut asker = Asker::with(transmission, Request::new(Code::GET, "/3"));
    let request = asker.sent();
    let _ = asker.hear(serve_block_first(&request, &body(2000), b"v1"));
    let request = asker.sent();
    let _ = asker.hear(serve_block(&request, &body(2000), 6, b"v1"));
    assert_eq!(asker.outcome(), Outcome::BodyTooLarge { bytes_max: 1500 });

    let mut asker = Asker::with(transmission, Request::new(Code::GET, "/3"));
    let request = asker.sent();
    let _ = asker.hear(serve_block_first(&request, &body(2000), b"v1").uint(option::SIZE2, 2000));
    assert_eq!(asker.outcome(), Outcome::BodyTooLarge { bytes_max: 1500 });
}

#[test]
fn blocks_that_make_no_sense_end_the_transfer() {
    for (num, more, bytes) in [(3, true, 1024), (0, true, 1000)] {
        let mut asker = Asker::new(Request::new(Code::GET, "/3"));
        let request = asker.sent();
        let _ = asker.hear(to(&request, Code::CONTENT).block2(block(num, more, 6)).payload(body(bytes)));
        assert_eq!(asker.outcome(), Outcome::BrokenTransfer { bytes: 0 });
    }
    let mut asker = Asker::new(Request::new(Code::GET, "/3"));
    let request = asker.sent();
    let reserved = to(&request, Code::CONTENT).uint(option::BLOCK2, 0b1111).payload(body(1024));
    let _ = asker.hear(reserved);
    assert_eq!(asker.outcome(), Outcome::BrokenTransfer { bytes: 0 }, "block size 7 is reserved");
}

#[test]
fn one_block_alone_is_handed_over_as_it_comes() {
    let whole = body(5000);
    let asked = block(3, false, 6);
    let mut asker = Asker::new(Request { block2: Some(asked), ..Request::new(Code::GET, "/fw/x") });
    let request = asker.sent();
    assert_eq!(block2(&request), asked);
    let _ = asker.hear(serve_block(&request, &whole, 6, b"v1").uint(option::SIZE2, 5000));
    let answered = asker.answered();
    assert_eq!((answered.block2, answered.size2), (Some(block(3, true, 6)), Some(5000)));
    assert_eq!(answered.payload, &whole[3072..4096]);
}

#[test]
fn the_question_of_a_fetch_goes_with_every_block_and_an_observation_with_the_first_alone() {
    let whole = body(1500);
    let observed = Some(observe::REGISTER);
    let fetch = Request { payload: b"paths".to_vec(), observe: observed, ..Request::new(Code::FETCH, "/") };
    let mut asker = Asker::new(fetch);
    let request = asker.sent();
    let first_token = Message::parse(&request).unwrap().token;
    let _ = asker.hear(serve_block_first(&request, &whole, b"v1").observe(3));
    let request = asker.sent();
    let message = Message::parse(&request).unwrap();
    assert_eq!((message.payload, message.observe()), (&b"paths"[..], None));
    assert_ne!(message.token, first_token);
    let _ = asker.hear(serve_block(&request, &whole, 6, b"v1"));
    let answered = asker.answered();
    assert_eq!((answered.token, answered.observe, answered.payload), (first_token, Some(3), whole));
}

#[test]
fn an_observation_outlives_a_body_that_changes_while_it_is_fetched() {
    let (old, new) = (body(1500), body(900));
    let mut asker = Asker::new(Request { observe: Some(observe::REGISTER), ..Request::new(Code::GET, "/3303") });
    let request = asker.sent();
    let first_token = Message::parse(&request).unwrap().token;
    let _ = asker.hear(serve_block_first(&request, &old, b"v1").observe(3));
    let request = asker.sent();
    let _ = asker.hear(to(&request, Code::CONTENT).etag(&b"v2"[..]).block2(block(0, false, 6)).payload(&new[..]));
    let request = asker.sent();
    let _ = asker.hear(to(&request, Code::CONTENT).etag(&b"v2"[..]).block2(block(0, false, 6)).payload(&new[..]));
    let answered = asker.answered();
    assert_eq!((answered.token, answered.observe, answered.payload), (first_token, Some(3), new));
}

#[test]
fn the_rest_of_a_long_notification_is_fetched() {
    let whole = body(1500);
    let token = Token::new(b"obs").unwrap();
    let notification = MessageBuilder::new(Kind::Confirmable, Code::CONTENT, 1, token)
        .observe(9)
        .etag(&b"v3"[..])
        .block2(block(0, true, 6))
        .payload(&whole[..1024])
        .to_bytes();
    let begun = Begun::of(&Message::parse(&notification).unwrap());
    assert!(begun.is_some());
    let mut asker = Asker::new(Request { begun, ..Request::new(Code::GET, "/3303") });
    let request = asker.sent();
    let message = Message::parse(&request).unwrap();
    assert_eq!((message.block2(), message.observe()), (Some(block(1, false, 6)), None));
    let _ = asker.hear(serve_block(&request, &whole, 6, b"v3"));
    let answered = asker.answered();
    assert_eq!((answered.token, answered.observe, answered.payload), (token, Some(9), whole));
}

/// What a peer uploads to us.
fn part(num: u32, more: bool, payload: &[u8]) -> Vec<u8> {
    let message = MessageBuilder::new(Kind::Confirmable, Code::POST, num as u16, Token::EMPTY);
    message.path("/rd").query("ep=a").block1(block(num, more, 0)).payload(payload).to_bytes()
}

fn take<'m>(uploads: &mut Uploads, now: Instant, datagram: &'m [u8]) -> UploadStep<'m> {
    uploads.handle(now, &Message::parse(datagram).unwrap(), 64)
}

fn refused(code: Code, block: Option<Block>) -> UploadStep<'static> {
    UploadStep::Refused { code, block }
}

#[test]
fn a_request_in_one_piece_passes_without_a_copy() {
    let mut uploads = Uploads::new();
    let datagram = MessageBuilder::new(Kind::Confirmable, Code::POST, 1, Token::EMPTY).payload(&b"x"[..]).to_bytes();
    let step = take(&mut uploads, Instant::now(), &datagram);
    assert_eq!(step, UploadStep::Whole { body: Cow::Borrowed(b"x"), block: None });
    let only = part(0, false, b"short");
    let step = take(&mut uploads, Instant::now(), &only);
    assert_eq!(step, UploadStep::Whole { body: Cow::Borrowed(b"short"), block: Some(block(0, false, 0)) });
    assert!(uploads.is_idle());
}

#[test]
fn a_missing_block_and_a_misshapen_block_are_refused() {
    let (mut uploads, now) = (Uploads::new(), Instant::now());
    let incomplete = |num| refused(Code::REQUEST_ENTITY_INCOMPLETE, Some(block(num, true, 0)));
    assert_eq!(take(&mut uploads, now, &part(1, true, &[0; 16])), incomplete(1));
    assert_eq!(take(&mut uploads, now, &part(0, true, &[0; 16])), UploadStep::Continue(block(0, true, 0)));
    assert_eq!(take(&mut uploads, now, &part(2, true, &[0; 16])), incomplete(2));
    assert_eq!(take(&mut uploads, now, &part(1, true, &[0; 15])), refused(Code::BAD_REQUEST, None));
    assert_eq!(take(&mut uploads, now, &part(1, true, &[0; 16])), UploadStep::Continue(block(1, true, 0)));
}

#[test]
fn a_block_that_comes_again_under_another_id_is_counted_once() {
    let (mut uploads, now) = (Uploads::new(), Instant::now());
    for num in [0, 0, 1, 1] {
        let datagram = part(num, true, &[num as u8; 16]);
        let step = take(&mut uploads, now, &datagram);
        assert_eq!(step, UploadStep::Continue(block(num, true, 0)));
    }
    let last = part(2, false, b"end");
    let UploadStep::Whole { body, .. } = take(&mut uploads, now, &last) else { panic!() };
    assert_eq!(*body, [[0; 16].as_slice(), &[1; 16], b"end"].concat());
}

#[test]
fn an_upload_beyond_the_bound_is_refused_as_soon_as_it_is_known() {
    let (mut uploads, now) = (Uploads::new(), Instant::now());
    for num in 0..4 {
        let datagram = part(num, true, &[0; 16]);
        let step = take(&mut uploads, now, &datagram);
        assert_eq!(step, UploadStep::Continue(block(num, true, 0)));
    }
    let too_large = refused(Code::REQUEST_ENTITY_TOO_LARGE, None);
    assert_eq!(take(&mut uploads, now, &part(4, false, b"x")), too_large);
    assert!(uploads.is_idle());

    let announced = MessageBuilder::new(Kind::Confirmable, Code::POST, 1, Token::EMPTY)
        .block1(block(0, true, 0))
        .uint(option::SIZE1, 65)
        .payload(&[0; 16][..])
        .to_bytes();
    assert_eq!(take(&mut uploads, now, &announced), too_large);
    assert!(uploads.is_idle());
}

#[test]
fn a_slow_upload_lives_from_block_to_block_and_dies_of_silence() {
    let (mut uploads, mut now) = (Uploads::new(), Instant::now());
    for num in 0..3 {
        let _ = take(&mut uploads, now, &part(num, true, &[0; 16]));
        assert_eq!(uploads.poll_timeout(), Some(now + UPLOAD_IDLE_MAX));
        now += UPLOAD_IDLE_MAX - Duration::from_secs(1);
    }
    uploads.handle_timeout(now);
    assert!(!uploads.is_idle());
    uploads.handle_timeout(now + Duration::from_secs(1));
    assert!(uploads.is_idle());
}

#[test]
fn a_third_upload_of_one_peer_replaces_the_one_that_was_quiet_longest() {
    let (mut uploads, now) = (Uploads::new(), Instant::now());
    let part_of = |path: &'static str, num| {
        let message = MessageBuilder::new(Kind::Confirmable, Code::POST, 1, Token::EMPTY).path(path);
        message.block1(block(num, true, 0)).payload(&[0; 16][..]).to_bytes()
    };
    for (path, second) in [("/a", 0), ("/b", 1), ("/c", 2)] {
        let _ = take(&mut uploads, now + Duration::from_secs(second), &part_of(path, 0));
    }
    let now = now + Duration::from_secs(3);
    let incomplete = refused(Code::REQUEST_ENTITY_INCOMPLETE, Some(block(1, true, 0)));
    assert_eq!(take(&mut uploads, now, &part_of("/a", 1)), incomplete);
    for path in ["/b", "/c"] {
        assert_eq!(take(&mut uploads, now, &part_of(path, 1)), UploadStep::Continue(block(1, true, 0)));
    }
}

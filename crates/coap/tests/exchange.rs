//! Stories of two peers and a network that loses, repeats and reorders (RFC 7252 §4, §5).
// A test that cannot go on should say so loudly, and needs one true moment to start from.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, missing_docs)]

use std::time::{Duration, Instant};

use coap::{
    Answered, Code, Delivery, Handled, Kind, Message, MessageBuilder, Outcome, QueueFull, Request, Requests, Responses,
    Token, Transmission,
    exchange::{REQUESTS_OPEN_MAX, REQUESTS_QUEUED_MAX, RESPONSES_MAX},
    observe,
};

/// Our side: a machine, its clock, and what it sent.
struct Asker {
    requests: Requests<u32>,
    now: Instant,
    sent: Vec<Vec<u8>>,
}

impl Asker {
    fn new() -> Self {
        Self::with(Transmission::default())
    }

    fn with(transmission: Transmission) -> Self {
        Self { requests: Requests::new(transmission, 42), now: Instant::now(), sent: Vec::new() }
    }

    fn ask(&mut self, request: Request, ticket: u32) {
        self.requests.push(self.now, request, ticket).unwrap();
        self.requests.handle_timeout(self.now, &mut self.sent);
    }

    fn get(&mut self, path: &str, ticket: u32) {
        self.ask(Request::new(Code::GET, path), ticket);
    }

    /// The only datagram sent since the last look.
    fn sent(&mut self) -> Vec<u8> {
        assert_eq!(self.sent.len(), 1, "{:02x?}", self.sent);
        self.sent.pop().unwrap()
    }

    fn sent_nothing(&mut self) {
        assert!(self.sent.is_empty(), "{:02x?}", self.sent);
    }

    fn hear(&mut self, datagram: &[u8]) -> Handled {
        self.requests.handle(self.now, &Message::parse(datagram).unwrap(), &mut self.sent)
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(deadline) = self.requests.poll_timeout().filter(|deadline| *deadline <= until) {
            self.now = self.now.max(deadline);
            self.requests.handle_timeout(self.now, &mut self.sent);
        }
        self.now = until;
    }

    fn answered(&mut self, ticket: u32) -> Answered {
        match self.requests.poll_outcome() {
            Some((told, Outcome::Answered(answered))) if told == ticket => answered,
            other => panic!("{other:?}"),
        }
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn piggybacked(request: &[u8], payload: &[u8]) -> Vec<u8> {
    let request = Message::parse(request).unwrap();
    MessageBuilder::answer(&request, Code::CONTENT, 0).payload(payload).to_bytes()
}

fn empty_ack(request: &[u8]) -> [u8; 4] {
    Message::acknowledgement(Message::parse(request).unwrap().id)
}

fn separate(kind: Kind, id: u16, request: &[u8], payload: &[u8]) -> Vec<u8> {
    let token = Message::parse(request).unwrap().token;
    MessageBuilder::new(kind, Code::CONTENT, id, token).payload(payload).to_bytes()
}

#[test]
fn a_request_and_its_answer_leave_nothing_behind() {
    let mut asker = Asker::new();
    asker.get("/3/0/9", 1);
    let request = asker.sent();
    assert_eq!(asker.requests.poll_sent(), Some(&1));
    assert_eq!(asker.requests.poll_sent(), None);

    assert_eq!(asker.hear(&piggybacked(&request, b"87")), Handled::Consumed);

    assert_eq!(asker.answered(1).payload, b"87");
    assert!(asker.requests.is_idle());
    assert_eq!(asker.requests.poll_timeout(), None);
    assert_eq!(asker.hear(&piggybacked(&request, b"87")), Handled::NotOurs, "the same acknowledgement again");
}

#[test]
fn a_lost_request_is_repeated_word_for_word_until_it_is_answered() {
    let mut asker = Asker::new();
    asker.get("/3/0", 1);
    let request = asker.sent();

    asker.wait(seconds(3));
    assert_eq!(asker.sent(), request);
    asker.wait(seconds(6));
    assert_eq!(asker.sent(), request);

    let _ = asker.hear(&piggybacked(&request, b"here"));
    assert_eq!(asker.answered(1).payload, b"here");
}

#[test]
fn a_peer_that_is_gone_is_asked_five_times_within_93_seconds() {
    let mut asker = Asker::new();
    asker.get("/3/0", 1);
    let began = asker.now;

    asker.wait(seconds(61));
    assert_eq!(asker.requests.poll_outcome(), None);
    while let Some(deadline) = asker.requests.poll_timeout() {
        asker.wait(deadline.saturating_duration_since(asker.now));
    }

    assert_eq!(asker.sent.len(), 5);
    assert!((seconds(62)..=seconds(93)).contains(&(asker.now - began)));
    assert_eq!(asker.requests.poll_outcome(), Some((1, Outcome::TimedOut { acknowledged: false })));
    assert!(asker.requests.is_idle());
}

#[test]
fn the_waits_double_and_peers_do_not_wait_in_step() {
    let mut first_waits = Vec::new();
    for seed in 0..8 {
        let (mut requests, began) = (Requests::new(Transmission::default(), seed), Instant::now());
        let mut sent: Vec<Vec<u8>> = Vec::new();
        requests.push(began, Request::new(Code::GET, "/"), ()).unwrap();
        requests.handle_timeout(began, &mut sent);
        let first = requests.poll_timeout().unwrap();
        requests.handle_timeout(first, &mut sent);
        let second = requests.poll_timeout().unwrap();
        assert_eq!(second - first, 2 * (first - began));
        first_waits.push(first - began);
    }
    first_waits.sort();
    first_waits.dedup();
    assert_eq!(first_waits.len(), 8);
}

#[test]
fn a_lost_acknowledgement_costs_a_repetition_and_no_second_outcome() {
    let mut asker = Asker::new();
    asker.get("/3/0", 1);
    let request = asker.sent();
    asker.wait(seconds(3));
    assert_eq!(asker.sent(), request);

    let _ = asker.hear(&piggybacked(&request, b"answer to the first"));
    let _ = asker.hear(&piggybacked(&request, b"answer to the first"));

    assert_eq!(asker.answered(1).payload, b"answer to the first");
    assert_eq!(asker.requests.poll_outcome(), None);
}

#[test]
fn a_separate_response_is_waited_for_quietly_and_acknowledged() {
    let mut asker = Asker::new();
    asker.get("/5/0", 1);
    let request = asker.sent();

    let _ = asker.hear(&empty_ack(&request));
    asker.wait(seconds(60));
    asker.sent_nothing();
    assert_eq!(asker.hear(&separate(Kind::Confirmable, 900, &request, b"slow")), Handled::Consumed);

    assert_eq!(asker.sent(), Message::acknowledgement(900));
    assert_eq!(asker.answered(1).payload, b"slow");
}

#[test]
fn a_copy_of_a_separate_response_is_acknowledged_again_even_long_after() {
    let mut asker = Asker::new();
    asker.get("/5/0", 1);
    let request = asker.sent();
    let _ = asker.hear(&empty_ack(&request));
    let response = separate(Kind::Confirmable, 900, &request, b"slow");
    let _ = asker.hear(&response);
    asker.sent();
    asker.answered(1);
    assert!(asker.requests.is_idle());

    asker.wait(seconds(40));
    assert_eq!(asker.hear(&response), Handled::Consumed);

    assert_eq!(asker.sent(), Message::acknowledgement(900));
    assert_eq!(asker.requests.poll_outcome(), None);
}

#[test]
fn a_separate_response_may_overtake_the_acknowledgement() {
    let mut asker = Asker::new();
    asker.get("/5/0", 1);
    let request = asker.sent();

    let _ = asker.hear(&separate(Kind::Confirmable, 900, &request, b"quick"));
    assert_eq!(asker.sent(), Message::acknowledgement(900));
    assert_eq!(asker.answered(1).payload, b"quick");

    assert_eq!(asker.hear(&empty_ack(&request)), Handled::NotOurs);
    asker.wait(seconds(100));
    asker.sent_nothing();
}

#[test]
fn an_answer_that_rides_on_a_second_acknowledgement_counts_too() {
    let mut asker = Asker::new();
    asker.get("/5/0", 1);
    let request = asker.sent();
    let _ = asker.hear(&empty_ack(&request));
    let _ = asker.hear(&piggybacked(&request, b"after all"));
    assert_eq!(asker.answered(1).payload, b"after all");
}

#[test]
fn an_acknowledged_request_without_response_times_out_and_says_so() {
    let mut asker = Asker::new();
    asker.get("/5/0", 1);
    let request = asker.sent();
    let _ = asker.hear(&empty_ack(&request));
    let _ = asker.hear(&empty_ack(&request));

    asker.wait(seconds(92));
    assert_eq!(asker.requests.poll_outcome(), None);
    asker.wait(seconds(1));
    assert_eq!(asker.requests.poll_outcome(), Some((1, Outcome::TimedOut { acknowledged: true })));
}

#[test]
fn a_reset_ends_the_request() {
    let mut asker = Asker::new();
    asker.get("/3/0", 1);
    let request = asker.sent();
    let id = Message::parse(&request).unwrap().id;
    assert_eq!(asker.hear(&Message::reset(id.wrapping_add(1))), Handled::NotOurs);
    assert_eq!(asker.hear(&Message::reset(id)), Handled::Consumed);
    assert_eq!(asker.requests.poll_outcome(), Some((1, Outcome::Reset)));
}

#[test]
fn an_answer_with_a_foreign_token_is_not_believed() {
    let mut asker = Asker::new();
    asker.get("/3/0", 1);
    let request = asker.sent();
    let id = Message::parse(&request).unwrap().id;
    let forged = MessageBuilder::new(Kind::Acknowledgement, Code::CONTENT, id, Token::new(b"?").unwrap()).to_bytes();

    let _ = asker.hear(&forged);
    assert_eq!(asker.requests.poll_outcome(), None);
    asker.wait(seconds(3));
    assert_eq!(asker.sent(), request);
}

#[test]
fn an_answer_with_a_critical_option_that_nobody_knows_is_rejected() {
    let odd = |message: MessageBuilder<'_>| message.option(65_001, &b"!"[..]).payload(&b"87"[..]).to_bytes();
    let mut asker = Asker::new();

    asker.get("/3/0/9", 1);
    let request = asker.sent();
    let _ = asker.hear(&odd(MessageBuilder::answer(&Message::parse(&request).unwrap(), Code::CONTENT, 0)));
    asker.sent_nothing();
    assert_eq!(asker.requests.poll_outcome(), Some((1, Outcome::UnknownOption { number: 65_001 })));

    for kind in [Kind::Confirmable, Kind::NonConfirmable] {
        asker.get("/3/0/9", 2);
        let request = asker.sent();
        let token = Message::parse(&request).unwrap().token;
        let _ = asker.hear(&odd(MessageBuilder::new(kind, Code::CONTENT, 700, token)));
        assert_eq!(asker.sent(), Message::reset(700));
        assert_eq!(asker.requests.poll_outcome(), Some((2, Outcome::UnknownOption { number: 65_001 })));
    }
}

#[test]
fn one_request_at_a_time_goes_out_and_the_next_follows_at_once() {
    let mut asker = Asker::new();
    asker.get("/3/0", 1);
    asker.get("/4/0", 2);
    let first = asker.sent();
    assert_eq!(asker.requests.len(), 2);

    let _ = asker.hear(&piggybacked(&first, b"3"));
    let second = asker.sent();
    assert_ne!(first, second);
    let _ = asker.hear(&piggybacked(&second, b"4"));

    assert_eq!((asker.answered(1).payload, asker.answered(2).payload), (b"3".to_vec(), b"4".to_vec()));
}

#[test]
fn a_slow_answer_does_not_hold_up_the_queue() {
    let mut asker = Asker::new();
    asker.ask(Request { payload: b"[]".to_vec(), ..Request::new(Code::FETCH, "/") }, 1);
    asker.get("/3/0", 2);
    let fetch = asker.sent();
    let _ = asker.hear(&empty_ack(&fetch));

    let read = asker.sent();
    let _ = asker.hear(&piggybacked(&read, b"3"));
    assert_eq!(asker.answered(2).payload, b"3");

    let _ = asker.hear(&separate(Kind::NonConfirmable, 5, &fetch, b"at last"));
    asker.sent_nothing();
    assert_eq!(asker.answered(1).payload, b"at last");
}

#[test]
fn a_peer_that_acknowledges_all_and_answers_nothing_collects_no_more_than_so_many() {
    let mut asker = Asker::new();
    for ticket in 0..REQUESTS_OPEN_MAX as u32 + 3 {
        asker.get("/3/0", ticket);
    }
    for _ in 0..REQUESTS_OPEN_MAX {
        let request = asker.sent();
        let _ = asker.hear(&empty_ack(&request));
    }
    asker.sent_nothing();

    asker.wait(seconds(93));
    let timed_out = std::iter::from_fn(|| asker.requests.poll_outcome()).count();
    assert_eq!(timed_out, REQUESTS_OPEN_MAX);
    assert!(!asker.sent.is_empty(), "the rest had their turn");
}

#[test]
fn the_queue_has_an_end() {
    let mut asker = Asker::new();
    asker.get("/3/0", 0);
    for ticket in 0..REQUESTS_QUEUED_MAX as u32 {
        asker.requests.push(asker.now, Request::default(), ticket).unwrap();
    }
    let full = asker.requests.push(asker.now, Request::default(), 99);
    assert_eq!(full, Err(QueueFull { waiting: REQUESTS_QUEUED_MAX }));
}

#[test]
fn a_request_that_is_not_confirmable_is_sent_once_and_the_next_no_sooner_than_the_probing_rate_allows() {
    let mut asker = Asker::new();
    asker.ask(Request { confirmable: false, ..Request::new(Code::GET, "/3/0") }, 1);
    let request = asker.sent();
    asker.get("/4/0", 2);
    asker.sent_nothing();

    asker.wait(seconds(request.len() as u64 - 1));
    asker.sent_nothing();
    asker.wait(seconds(1));
    let next = asker.sent();
    let _ = asker.hear(&piggybacked(&next, b"4"));
    assert_eq!(asker.answered(2).payload, b"4");
    let _ = asker.hear(&separate(Kind::NonConfirmable, 5, &request, b"late but fine"));
    assert_eq!(asker.answered(1).payload, b"late but fine");
}

#[test]
fn a_request_may_be_called_off_before_and_after_it_was_sent() {
    let mut asker = Asker::new();
    asker.get("/3/0", 1);
    asker.get("/4/0", 2);
    asker.get("/5/0", 3);
    let first = asker.sent();

    assert!(asker.requests.cancel(&2));
    assert!(asker.requests.cancel(&1));
    assert!(!asker.requests.cancel(&1));
    asker.wait(seconds(0));
    let third = asker.sent();
    assert_eq!(asker.hear(&piggybacked(&first, b"3")), Handled::NotOurs);
    let _ = asker.hear(&piggybacked(&third, b"5"));

    assert_eq!(asker.answered(3).payload, b"5");
    assert!(asker.requests.is_idle());
}

#[test]
fn what_was_not_through_when_the_session_ended_is_named() {
    let mut asker = Asker::new();
    asker.get("/3/0", 1);
    asker.get("/4/0", 2);
    asker.get("/5/0", 3);
    let first = asker.sent();
    let _ = asker.hear(&piggybacked(&first, b"3"));

    assert_eq!(asker.requests.abandon(), [2, 3]);
    assert_eq!(asker.answered(1).payload, b"3");
    assert!(asker.requests.is_idle());
}

#[test]
fn an_observation_is_told_by_its_token_and_its_notifications_are_left_to_the_caller() {
    let mut asker = Asker::new();
    asker.ask(Request { observe: Some(observe::REGISTER), ..Request::new(Code::GET, "/3303/0/5700") }, 1);
    let request = asker.sent();
    let token = Message::parse(&request).unwrap().token;
    assert_eq!(Message::parse(&request).unwrap().observe(), Some(0));

    let message = Message::parse(&request).unwrap();
    let _ = asker.hear(&MessageBuilder::answer(&message, Code::CONTENT, 0).observe(7).payload(&b"9.1"[..]).to_bytes());
    let answered = asker.answered(1);
    assert_eq!((answered.observe, answered.token), (Some(7), token));

    let notify = |order| MessageBuilder::new(Kind::NonConfirmable, Code::CONTENT, 50, token).observe(order).to_bytes();
    assert_eq!(asker.hear(&notify(8)), Handled::NotOurs);

    // Ending it uses the same token; a notification that is under way still is no answer to that.
    let cancel =
        Request { observe: Some(observe::CANCEL), token: Some(token), ..Request::new(Code::GET, "/3303/0/5700") };
    asker.ask(cancel, 2);
    let cancel = asker.sent();
    assert_eq!(Message::parse(&cancel).unwrap().token, token);
    assert_eq!(asker.hear(&notify(9)), Handled::NotOurs);
    let _ = asker.hear(&piggybacked(&cancel, b"9.2"));
    assert_eq!(asker.answered(2).observe, None);
}

#[test]
fn requests_of_the_peer_are_not_ours_even_if_ids_and_tokens_collide() {
    let mut asker = Asker::new();
    asker.get("/3/0", 1);
    let request = asker.sent();
    assert_eq!(asker.hear(&request), Handled::NotOurs);
    assert_eq!(asker.hear(&Message::ping(Message::parse(&request).unwrap().id)), Handled::NotOurs);
}

#[test]
fn a_patient_peer_of_a_slow_radio_is_repeated_to_later() {
    let mut asker = Asker::with(Transmission { ack_timeout: seconds(10), ..Transmission::default() });
    asker.get("/3/0", 1);
    asker.sent();
    asker.wait(Duration::from_millis(9_999));
    asker.sent_nothing();
    asker.wait(seconds(6));
    asker.sent();
}

#[test]
fn a_peer_that_is_heard_gets_what_it_did_not_acknowledge_once_more() {
    let mut asker = Asker::new();
    asker.get("/3/0", 1);
    let request = asker.sent();
    let began = asker.now;

    asker.wait(Duration::from_millis(1_999));
    asker.requests.remind(asker.now, &mut asker.sent);
    asker.sent_nothing();
    asker.wait(seconds(1));
    assert_eq!(asker.sent(), request, "it is repeated");
    asker.requests.remind(asker.now, &mut asker.sent);
    assert_eq!(asker.sent(), request, "it listens now, and not when the next repetition is due");
    for _ in 0..10 {
        asker.requests.remind(asker.now, &mut asker.sent);
    }
    assert_eq!(asker.sent.len(), 3, "however often it speaks");
    while let Some(deadline) = asker.requests.poll_timeout() {
        asker.wait(deadline.saturating_duration_since(asker.now));
    }

    assert!((seconds(62)..=seconds(93)).contains(&(asker.now - began)), "it is given up when it would have been");
    assert_eq!(asker.requests.poll_outcome(), Some((1, Outcome::TimedOut { acknowledged: false })));
    asker.requests.remind(asker.now, &mut asker.sent);
    assert_eq!(asker.sent.len(), 3 + 3);
}

#[test]
fn what_was_acknowledged_is_not_sent_again_to_a_peer_that_is_heard() {
    let mut asker = Asker::new();
    asker.get("/3/0", 1);
    let request = asker.sent();
    let _ = asker.hear(&empty_ack(&request));

    asker.wait(seconds(30));
    asker.requests.remind(asker.now, &mut asker.sent);

    asker.sent_nothing();
}

#[test]
fn ids_and_tokens_are_not_repeated_and_differ_between_peers() {
    let mut one: Requests<()> = Requests::new(Transmission::default(), 1);
    let mut other: Requests<()> = Requests::new(Transmission::default(), 2);
    let tokens: std::collections::HashSet<_> = (0..10_000).map(|_| one.next_token()).collect();
    assert_eq!(tokens.len(), 10_000);
    let ids: std::collections::HashSet<_> = (0..=u16::MAX).map(|_| one.next_id()).collect();
    assert_eq!(ids.len(), 1 << 16);
    assert!(!tokens.contains(&other.next_token()));
}

#[test]
fn our_confirmable_response_is_repeated_until_acknowledged() {
    let (mut responses, now) = (Responses::new(), Instant::now());
    let transmission = Transmission::default();
    let mut sent: Vec<Vec<u8>> = Vec::new();
    let response = |id| MessageBuilder::new(Kind::Confirmable, Code::CHANGED, id, Token::EMPTY).to_bytes();

    responses.push(now, &transmission, response(1), "lost", &mut sent).unwrap();
    responses.push(now, &transmission, response(2), "arrived", &mut sent).unwrap();
    responses.push(now, &transmission, response(3), "unwanted", &mut sent).unwrap();
    assert_eq!(sent.len(), 3);
    assert_eq!(responses.handle(&Message::parse(&Message::acknowledgement(2)).unwrap()), Handled::Consumed);
    assert_eq!(responses.handle(&Message::parse(&Message::reset(3)).unwrap()), Handled::Consumed);
    assert_eq!(responses.handle(&Message::parse(&Message::reset(4)).unwrap()), Handled::NotOurs);
    while let Some(deadline) = responses.poll_timeout() {
        responses.handle_timeout(deadline, &mut sent);
    }

    assert_eq!(sent.len(), 7, "the lost one four times more");
    let mut fates: Vec<_> = std::iter::from_fn(|| responses.poll_outcome()).collect();
    fates.sort_by_key(|(ticket, _)| *ticket);
    let expected = [("arrived", Delivery::Acknowledged), ("lost", Delivery::TimedOut), ("unwanted", Delivery::Reset)];
    assert_eq!(fates, expected);
    assert!(responses.is_idle());
}

#[test]
fn confirmable_responses_have_a_bound_and_a_newer_notification_replaces_an_older() {
    let (mut responses, now) = (Responses::new(), Instant::now());
    let (transmission, mut sent) = (Transmission::default(), Vec::<Vec<u8>>::new());
    let response = |id| MessageBuilder::new(Kind::Confirmable, Code::CONTENT, id, Token::EMPTY).to_bytes();
    for id in 0..RESPONSES_MAX as u16 {
        responses.push(now, &transmission, response(id), id, &mut sent).unwrap();
    }
    assert!(responses.push(now, &transmission, response(99), 99, &mut sent).is_err());
    assert!(responses.cancel(&3));
    assert!(responses.push(now, &transmission, response(99), 99, &mut sent).is_ok());
}

#[test]
fn a_newer_notification_goes_out_in_place_of_a_repetition_and_keeps_its_count() {
    let (mut responses, mut sent) = (Responses::new(), Vec::<Vec<u8>>::new());
    let notification = |id| MessageBuilder::new(Kind::Confirmable, Code::CONTENT, id, Token::EMPTY).to_bytes();
    assert!(!responses.replace(&"observer", &notification(1)));
    responses.push(Instant::now(), &Transmission::default(), notification(1), "observer", &mut sent).unwrap();

    assert!(responses.replace(&"observer", &notification(2)) && responses.replace(&"observer", &notification(3)));
    while let Some(deadline) = responses.poll_timeout() {
        responses.handle_timeout(deadline, &mut sent);
    }

    assert_eq!(sent, [1, 3, 3, 3, 3].map(notification));
    assert_eq!(responses.poll_outcome(), Some(("observer", Delivery::TimedOut)));
}

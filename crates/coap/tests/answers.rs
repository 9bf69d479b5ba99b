//! What is remembered of answers, beside a model that keeps them in the plainest way.
// A test that cannot go on should say so loudly, and needs one true moment to start from.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

use std::time::{Duration, Instant};

use coap::Token;
use coap::exchange::{ANSWER_BYTES_MAX, ANSWERS_BYTES_MAX, ANSWERS_MAX, Answers, EXCHANGE_LIFETIME, Seen};
use proptest::{collection::vec, option, prelude::*, sample::select};

/// What a header takes beside its answer.
const HEADER_BYTES: usize = 10;

/// Requests with when they came and what they were answered, oldest first.
#[derive(Default)]
struct Model(Vec<(u16, Instant, Option<Vec<u8>>)>);

impl Model {
    fn forget_expired(&mut self, now: Instant) {
        self.0.retain(|(_, at, _)| now < *at + EXCHANGE_LIFETIME);
    }

    fn put(&mut self, id: u16, now: Instant, answer: Option<Vec<u8>>) {
        let bytes = |answer: &Option<Vec<u8>>| HEADER_BYTES + answer.as_ref().map_or(0, Vec::len);
        self.0.push((id, now, answer));
        while self.0.len() > ANSWERS_MAX
            || self.0.iter().map(|(_, _, answer)| bytes(answer)).sum::<usize>() > ANSWERS_BYTES_MAX
        {
            self.0.remove(0);
        }
    }
}

fn token(id: u16) -> Token {
    Token::new(&id.to_be_bytes()).unwrap()
}

#[derive(Debug, Clone)]
enum Act {
    Pending(u16),
    Answered(u16, usize),
    Passes(Duration),
}

fn act() -> impl Strategy<Value = Act> {
    // Few ids, so that they come again; lengths that are usual, and those at which a bound is near.
    let length = prop_oneof![0_usize..60, select(vec![1_270, ANSWER_BYTES_MAX, ANSWER_BYTES_MAX + 1])];
    prop_oneof![
        (0_u16..24).prop_map(Act::Pending),
        (0_u16..24, length).prop_map(|(id, length)| Act::Answered(id, length)),
        option::of(0_u64..250).prop_map(|s| Act::Passes(s.map_or(Duration::from_millis(1), Duration::from_secs))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_remembers_what_the_model_remembers(acts in vec(act(), 0..120)) {
        let (mut answers, mut model, mut now) = (Answers::new(), Model::default(), Instant::now());
        for (number, act) in acts.into_iter().enumerate() {
            match act {
                Act::Passes(time) => now += time,
                Act::Pending(id) => {
                    answers.pending(now, id, token(id));
                    model.forget_expired(now);
                    if !model.0.iter().any(|(known, ..)| *known == id) {
                        model.put(id, now, None);
                    }
                }
                Act::Answered(id, length) => {
                    let answer = vec![number as u8; length];
                    answers.answered(now, id, token(id), &answer);
                    model.forget_expired(now);
                    model.0.retain(|(known, ..)| *known != id);
                    if length <= ANSWER_BYTES_MAX {
                        model.put(id, now, Some(answer));
                    }
                }
            }
            model.forget_expired(now);
            for id in 0..24 {
                let expected = match model.0.iter().find(|(known, ..)| *known == id) {
                    None => Seen::New,
                    Some((_, _, None)) => Seen::Pending,
                    Some((_, _, Some(answer))) => Seen::Answered(answer),
                };
                prop_assert_eq!(answers.seen(now, id, token(id)), expected);
            }
            prop_assert_eq!(answers.is_idle(), model.0.is_empty());
        }
    }
}

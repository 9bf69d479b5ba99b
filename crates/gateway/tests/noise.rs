//! Whatever comes over a connection: nothing breaks, nothing grows.
#![allow(clippy::unwrap_used)]

mod world;

use coap::stream::Decoder;
use coap::{Code, Kind, Message, MessageBuilder, Token};
use proptest::{collection::vec, prelude::*, sample::select};
use world::*;

/// A message that makes sense more or less.
fn message_of_any_kind() -> impl Strategy<Value = Vec<u8>> {
    let code = select(vec![0, 1, 2, 3, 4, 5, 0x41, 0x44, 0x45, 0x5f, 0x84, 0xa3, 0xe1, 0xe2, 0xe3, 0xe4, 0xe9]);
    let path = select(vec!["/rd", "/dp", "/rd/0123456789abcdef", "/fw/model", "/x", ""]);
    let option = (select(vec![2, 4, 6, 9, 12, 15, 17, 23, 27, 60, 2048]), vec(any::<u8>(), 0..5));
    let payload = prop_oneof![vec(any::<u8>(), 0..40), Just(b"</1/0>,</3/0>".to_vec()), Just(vec![0; 2_048])];
    (code, path, vec(any::<u8>(), 0..=8), vec(option, 0..3), payload).prop_map(
        |(code, path, token, options, payload)| {
            let message = MessageBuilder::new(Kind::Reliable, Code(code), 0, Token::new(&token).unwrap()).path(path);
            let message = options.into_iter().fold(message, |message, (number, value)| message.option(number, value));
            framed(&[message.query("ep=urn:dev:1").query("lwm2m=1.1").payload(payload)])
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_messages_and_no_bytes_break_a_connection_of_a_device(
        pieces in vec(prop_oneof![4 => message_of_any_kind(), 1 => vec(any::<u8>(), 0..60)], 1..30),
    ) {
        let mut world = World::new(options());
        world.put(&entry(1));
        world.put(&secure_entry(2));
        let number = world.connect(address(9)).unwrap();
        world.write(number, &framed(&[signal(Code::CSM, None), register(1, "urn:dev:1")]));
        world.submit(request(1, gateway::Operation::Read, "/3/0/9"));
        for piece in pieces {
            world.write(number, &piece);
        }

        // Whatever was said to it can be read, and ends with the reason if it is over.
        let mut decoder = Decoder::new(usize::MAX);
        decoder.push(&world.streams.remove(&number).unwrap());
        let mut last = Code::EMPTY;
        while let Some(frame) = decoder.next_frame().unwrap() {
            last = Message::parse_frame(frame).unwrap().code;
        }
        prop_assert_eq!(decoder.buffered(), 0);
        prop_assert!(last != Code::ABORT || world.ended.contains(&number));
        // A buffer that grows doubles, and keeps a little when it is emptied.
        prop_assert!(world.stat("connections_bytes") <= 2 * u64::from(gateway::limits::MESSAGE_BYTES_MAX) + 512);
        world.close(number);
        prop_assert_eq!((world.stat("connections"), world.stat("connections_bytes")), (0, 0));
        prop_assert!(world.stat("registrations") <= 1);
    }
}

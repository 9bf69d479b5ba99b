//! Nothing a server sends makes a device panic, spin, or hold memory without end.

// A broken arrangement should stop the test where it broke.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod world;

use coap::{Block, Code, Kind, MessageBuilder, Token, content_format::*, option};
use proptest::{collection::vec, prelude::*, sample::select};
use world::{World, config, seconds, secure};

const PATHS: [&str; 12] =
    ["/", "/0", "/1/0/1", "/1/0/8", "/3", "/3/0", "/3/0/9", "/3/0/11/0", "/3303", "/3303/0/5700", "/5/0/0", "/x"];

/// A request as a server of bad manners would make it.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let method = select(vec![Code::GET, Code::POST, Code::PUT, Code::DELETE, Code::FETCH, Code::IPATCH, Code::CONTENT]);
    let format = prop::option::of(select(vec![TEXT_PLAIN, LINK_FORMAT, OCTET_STREAM, SENML_JSON, SENML_CBOR, TLV, 7]));
    let query = select(vec![
        "pmin=1", "pmax=2", "pmax=0", "gt=1e300", "lt=-1", "st=0", "con=1", "hqmax=3", "epmin=2", "edge=1", "depth=2",
        "pmin", "bogus=1",
    ]);
    let block = (0..3_u32, any::<bool>(), 0..=6_u8).prop_map(|(num, more, szx)| Block { num, more, szx });
    let payload = prop_oneof![
        vec(any::<u8>(), 0..40),
        select(vec![
            &b"1"[..],
            b"0='x'",
            b"[]",
            b"[{\"n\":\"/3/0/9\"},{\"n\":\"/3303\"}]",
            b"[{\"n\":\"/3303/2/5700\",\"v\":1}]",
            b"\xc1\x09\x01"
        ])
        .prop_map(<[u8]>::to_vec),
    ];
    (
        (any::<bool>(), method, any::<u16>(), 0..4_u8),
        (select(PATHS.to_vec()), vec(query, 0..3), format.clone(), format),
        (prop::option::of(0..3_u32), prop::option::of(block.clone()), prop::option::of(block), payload),
    )
        .prop_map(
            |((confirmable, code, id, token), (path, queries, content, accept), (observe, one, two, payload))| {
                let kind = if confirmable { Kind::Confirmable } else { Kind::NonConfirmable };
                let mut message = MessageBuilder::new(kind, code, id, Token::new(&[token]).unwrap()).path(path);
                message = queries.into_iter().fold(message, MessageBuilder::query);
                for (number, value) in [(option::CONTENT_FORMAT, content), (option::ACCEPT, accept)] {
                    message = value.into_iter().fold(message, |message, value| message.uint(number, u32::from(value)));
                }
                message = observe.into_iter().fold(message, MessageBuilder::observe);
                message = one.into_iter().fold(message, MessageBuilder::block1);
                two.into_iter().fold(message, MessageBuilder::block2).payload(payload).to_bytes()
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_requests_break_a_device(requests in vec((request(), 0..20_u64), 1..40)) {
        let mut world = World::registered(config());
        world.device.set_wall_clock(world.now, 1.7e9);
        let operations = device::Operations { read: true, write: true, execute: true };
        world.device.guard(device::Guard { path: world::path("/3303"), operations });
        for (request, pause_s) in requests {
            world.server.say(&request);
            world.advance(seconds(pause_s));
            prop_assert!(world.server.heard.len() < 10_000);
        }
        world.advance(seconds(400));
        prop_assert!(world.device.is_registered());
    }

    #[test]
    fn no_bytes_break_a_device(datagrams in vec(prop_oneof![vec(any::<u8>(), 0..60), request()], 1..20), hit: u64) {
        for config in [config(), secure()] {
            let mut world = World::new(config);
            world.device.power_on(world.now);
            for (nth, datagram) in datagrams.iter().enumerate() {
                let mut datagram = datagram.clone();
                let at = hit as usize % datagram.len().max(1);
                if let Some(byte) = datagram.get_mut(at) {
                    *byte ^= (hit >> 8) as u8;
                }
                world.device.handle_datagram(world.now, &datagram);
                if nth % 3 == 0 {
                    world.step();
                }
            }
            world.advance(seconds(400));
        }
    }
}

//! Sessions after their handshake: addresses, copies, noise, goodbyes and what they weigh.

// A broken arrangement should stop the test where it broke.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod world;

use dtls::{
    CLIENT_CID_BYTES_MAX, Client, ClientOptions, ConnectionId, Hello, ServerOptions, SessionError, SetupError, Suite,
};
use proptest::prelude::*;
use world::{CID, Fate, HOME, IDENTITY, KEY, OneKey, World, all_options, key};

#[test]
fn records_with_a_connection_id_lead_to_their_session() {
    for options in all_options() {
        let mut world = World::established(&options);

        let up = world.device.say(b"reading");
        let down = world.gateway().say(b"request");

        assert_eq!(ConnectionId::of_record(&up), options.cid.is_some().then_some(CID));
        let own_cid = options.cid.unwrap_or_default();
        assert_eq!(down[0], if own_cid.is_empty() { 23 } else { 25 });
        assert!(own_cid.is_empty() || down[11..].starts_with(&own_cid));
        world.assert_talks();
    }
}

#[test]
fn a_device_may_want_a_connection_id_of_any_length_in_what_it_gets() {
    for length in 0..=CLIENT_CID_BYTES_MAX {
        let options = ClientOptions { cid: Some(vec![7; length]), ..ClientOptions::default() };
        let certified = World::with_certificates("device", &["anchor"], &options, &ServerOptions::default());
        for mut world in [World::new(&options), certified] {
            world.run(&mut |_| Fate::Deliver);
            world.assert_talks();

            let (up, down) = (world.device.say(b"reading"), world.gateway().say(b"request"));
            // RFC 9146 §4: the plain content type where the id is empty, for there would be nothing to carry.
            let (plain, with_id) = (23, 25);
            assert_eq!((up[0], down[0]), (with_id, if length == 0 { plain } else { with_id }), "{length}");
            assert_eq!(ConnectionId::of_record(&up), Some(CID));
            let (id, behind) = down[11..].split_at(length);
            assert_eq!(id, vec![7; length]);
            // Behind it stands the length of what is left.
            assert_eq!(usize::from(u16::from_be_bytes([behind[0], behind[1]])), behind.len() - 2);
            // From another address, and whether the session holds its buffers or has given them back.
            assert!(world.gateway().session.is_parked());
            let newest = world.gateway().session.newest();
            world.deliver_to_gateway(b"192.0.2.99:1024", &up);
            assert!(world.gateway().session.newest() > newest);
            assert_eq!(world.gateway().heard.last().map(Vec::as_slice), Some(&b"reading"[..]));
        }
    }
    let too_long = ClientOptions { cid: Some(vec![7; CLIENT_CID_BYTES_MAX + 1]), ..ClientOptions::default() };
    assert_eq!(Client::new(IDENTITY, &key(KEY), &too_long).err(), Some(SetupError::Option { name: "cid" }));
}

#[test]
fn a_connection_id_that_is_longer_than_we_keep_is_refused_and_none_that_is_cut() {
    let options = ClientOptions { cid: Some(vec![7; 2]), ..ClientOptions::default() };
    for (length, is_taken) in [(CLIENT_CID_BYTES_MAX, true), (CLIENT_CID_BYTES_MAX + 1, false), (200, false)] {
        let mut world = World::new(&options);
        world.run(&mut |number| if number < 2 { Fate::Deliver } else { Fate::Lose });
        let (_, hello) = world.seen[2].clone();

        world.deliver_to_gateway(HOME, &with_connection_id(&hello, length));

        assert_eq!(world.gateway().failed.is_none(), is_taken, "{length}: {:?}", world.gateway().failed);
        let answer = world.seen.last().map(|(_, datagram)| datagram[0]);
        assert_eq!(answer, Some(if is_taken { 22 } else { 21 }));
    }
}

/// A ClientHello that wants an id of so many bytes instead of two.
fn with_connection_id(hello: &[u8], length: usize) -> Vec<u8> {
    // connection_id(54) of three bytes: a length and two.
    let at = hello.windows(7).position(|window| window == [0, 54, 0, 3, 2, 7, 7]).expect("the extension");
    let mut longer = hello[..at + 2].to_vec();
    longer.extend_from_slice(&(length as u16 + 1).to_be_bytes());
    longer.push(length as u8);
    longer.extend(std::iter::repeat_n(7, length));
    longer.extend_from_slice(&hello[at + 7..]);
    let grown = length - 2;
    let session_id = usize::from(hello[13 + 12 + 34]);
    let cookie_at = 13 + 12 + 35 + session_id;
    let suites_at = cookie_at + 1 + usize::from(hello[cookie_at]);
    let suites = usize::from(u16::from_be_bytes([hello[suites_at], hello[suites_at + 1]]));
    let extensions_at = suites_at + 2 + suites + 2;
    // The lengths of the record, of the message, of its fragment, and of all extensions: the low two bytes of each.
    for lengths_at in [11, 13 + 2, 13 + 10, extensions_at] {
        let before = u16::from_be_bytes([longer[lengths_at], longer[lengths_at + 1]]);
        longer[lengths_at..lengths_at + 2].copy_from_slice(&(before + grown as u16).to_be_bytes());
    }
    longer
}

#[test]
fn ccm_8_with_a_connection_id_costs_38_bytes_a_record() {
    let mut world = World::established(&ClientOptions::default());
    // Header 13, connection id 8, nonce 8, content type 1, tag 8; no padding.
    assert_eq!(world.device.say(b"reading").len(), 7 + 38);
}

#[test]
fn only_a_record_newer_than_all_others_tells_of_a_new_address() {
    let mut world = World::established(&ClientOptions::default());
    let [first, second, third] = [b"1", b"2", b"3"].map(|data| world.device.say(data));
    let mut newest = world.gateway().session.newest();
    let mut grew = |world: &mut World, datagram: &[u8]| {
        world.deliver_to_gateway(b"192.0.2.99:1024", datagram);
        std::mem::replace(&mut newest, world.gateway().session.newest()) < newest
    };

    let outcomes = [
        grew(&mut world, &second),
        // A copy of an old record from a new address, sent by somebody who listened.
        grew(&mut world, &second),
        // An old record that was late: its data counts, its address does not.
        grew(&mut world, &first),
        // A newer number on a record that does not decrypt.
        grew(&mut world, &{
            let mut forged = third.clone();
            forged[10] += 1;
            forged
        }),
        grew(&mut world, &third),
    ];

    assert_eq!(outcomes, [true, false, false, false, true]);
    assert_eq!(world.gateway().heard, [b"2", b"1", b"3"]);
}

#[test]
fn a_copy_of_a_record_is_heard_once() {
    for options in all_options() {
        let mut world = World::established(&options);
        let datagrams: Vec<Vec<u8>> = (0..100_u8).map(|number| world.device.say(&[number])).collect();
        for datagram in datagrams.iter().chain(&datagrams) {
            world.deliver_to_gateway(HOME, datagram);
        }
        assert_eq!(world.gateway().heard.len(), 100);
        world.assert_talks();
    }
}

#[test]
fn several_records_in_one_datagram_are_all_heard() {
    let mut world = World::established(&ClientOptions::default());
    let [first, mut bad, second] = [b"1", b"x", b"2"].map(|data| world.device.say(data));
    bad[25] ^= 1;

    let datagram = [&first[..], &bad, &second, &[0xFF; 7]].concat();
    world.deliver_to_gateway(HOME, &datagram);

    assert_eq!(world.gateway().heard, [b"1", b"2"]);
    world.assert_talks();
}

#[test]
fn data_that_overtakes_the_last_flight_is_lost_without_harm() {
    for options in all_options() {
        let mut world = World::new(&options);
        for step in 0..5 {
            let (device_speaks, datagram) = world.seen[step].clone();
            if device_speaks { world.deliver_to_gateway(HOME, &datagram) } else { world.deliver_to_device(&datagram) }
        }
        let (_, last_flight) = world.seen[5].clone();
        let early = world.gateway().say(b"early");

        world.deliver_to_device(&early);
        world.deliver_to_device(&last_flight);

        assert_eq!(world.failures(), []);
        world.assert_talks();
    }
}

#[test]
fn a_session_parks_itself_and_goes_on() {
    for options in all_options() {
        let mut world = World::established(&options);
        assert!(!world.gateway().session.is_parked(), "its last flight may be asked for again");

        world.assert_talks();

        assert!(world.gateway().session.is_parked() && world.device.session.is_parked());
        for _ in 0..3 {
            world.assert_talks();
        }
    }
}

#[test]
fn a_parked_session_ignores_the_end_of_its_own_handshake() {
    let mut world = World::established(&ClientOptions::default());
    world.assert_talks();
    for (device_speaks, datagram) in world.seen.clone() {
        if device_speaks {
            world.gateway().take(1_000_000, &datagram, &mut OneKey);
        } else {
            world.deliver_to_device(&datagram);
        }
    }
    world.assert_talks();
}

#[test]
fn two_parked_sessions_of_one_thread_do_not_mix() {
    let (mut one, mut other) = (
        World::established(&ClientOptions { suites: vec![Suite::PskAes128Ccm8], ..ClientOptions::default() }),
        World::established(&ClientOptions { suites: vec![Suite::PskAes128GcmSha256], ..ClientOptions::default() }),
    );
    for _ in 0..3 {
        one.assert_talks();
        other.assert_talks();
    }
    // One session is used while another hands over its data.
    let (up, heard_by_other) = (one.device.say(b"reading"), other.device.say(b"other reading"));
    let mut heard = Vec::new();
    let mut out = Vec::new();
    let answer = one.gateway().session.handle_datagram(
        1_000_000,
        &up,
        &mut OneKey,
        &mut |data| {
            heard.push(data.to_vec());
            other.deliver_to_gateway(HOME, &heard_by_other);
        },
        &mut out,
    );
    assert!(answer.is_ok());
    assert_eq!(heard, [b"reading"]);
    assert_eq!(other.gateway().heard.last().map(Vec::as_slice), Some(&b"other reading"[..]));
    one.assert_talks();
    other.assert_talks();
}

#[test]
fn a_session_may_move_to_another_thread() {
    let mut world = World::established(&ClientOptions::default());
    world.assert_talks();
    let mut world = std::thread::spawn(move || {
        world.assert_talks();
        world
    })
    .join()
    .unwrap();
    world.assert_talks();
}

#[test]
fn a_spoofed_hello_leaves_a_living_session_alone() {
    let mut world = World::established(&ClientOptions::default());
    let (_, own_hello) = world.seen[2].clone();
    let (_, strangers_hello) = World::new(&ClientOptions::default()).seen[0].clone();
    let mut out = Vec::new();

    assert_eq!(world.server.handle_hello(1_000_000, HOME, &strangers_hello, &mut out), Hello::SendCookie);
    assert!(!world.gateway().session.began_with(&strangers_hello));
    // Who recorded the hello of the session can send it again; it is known for what it is.
    assert_eq!(world.server.handle_hello(1_000_000, HOME, &own_hello, &mut out), Hello::Verified);
    assert!(world.gateway().session.began_with(&own_hello));
    for hello in [&strangers_hello, &own_hello] {
        let answer = world.gateway().take(1_000_000, hello, &mut OneKey);
        assert!(answer.is_empty());
    }

    world.assert_talks();
}

#[test]
fn a_device_that_restarts_gets_a_new_session_behind_a_new_cookie() {
    let mut world = World::established(&ClientOptions::default());
    world.assert_talks();
    let mut restarted = World::new(&ClientOptions::default());
    let (_, hello) = restarted.seen[0].clone();

    world.deliver_to_gateway(HOME, &hello);
    world.assert_talks();
    let (_, cookie) = world.seen.iter().rev().find(|(device_speaks, _)| !device_speaks).unwrap().clone();
    restarted.deliver_to_device(&cookie);
    let (_, hello) = restarted.seen.last().unwrap().clone();

    assert_eq!(world.server.handle_hello(world.now_ms, HOME, &hello, &mut Vec::new()), Hello::Verified);
    assert!(!world.gateway().session.began_with(&hello));
    world.assert_talks();
}

#[test]
fn a_goodbye_ends_both_ends() {
    let mut world = World::established(&ClientOptions::default());
    world.assert_talks();
    let mut out = Vec::new();

    world.device.session.close(&mut out);
    world.deliver_to_gateway(HOME, &out[0]);

    assert!(world.gateway().closed);
    for end in [&mut world.device, world.gateway.as_mut().unwrap()] {
        assert!(!end.session.is_established());
        assert_eq!(end.session.poll_timeout(), None);
        assert_eq!(end.session.send(b"data", &mut Vec::new()), Err(SessionError::Over));
    }
}

#[test]
fn a_session_that_is_not_established_says_so_and_lives_on() {
    let mut world = World::new(&ClientOptions::default());
    let refused = world.device.session.send(b"data", &mut Vec::new());
    assert_eq!(refused, Err(SessionError::NotEstablished));
    assert!(refused.is_err_and(|error| error.is_harmless()));
    world.run(&mut |_| Fate::Deliver);
    world.assert_talks();
}

#[test]
fn plaintext_that_fits_into_no_datagram_is_refused_with_its_bound() {
    for options in all_options() {
        let mut world = World::established(&options);
        for _parked in [false, true] {
            let session = &mut world.gateway().session;
            let bytes_max = session.plaintext_bytes_max();
            assert!((1_024..1_280).contains(&bytes_max), "{bytes_max}");
            let mut out = Vec::new();
            let refused = session.send(&vec![1; bytes_max + 1], &mut out);
            assert_eq!(refused, Err(SessionError::PlaintextTooLong { bytes_max }));
            session.send(&vec![1; bytes_max], &mut out).unwrap();
            assert!(out[0].len() <= 1_280);
            world.assert_talks();
        }
    }
}

#[test]
fn every_changed_or_cut_datagram_leaves_an_established_session_alone() {
    for options in all_options() {
        let mut world = World::established(&options);
        let (up, down) = (world.device.say(b"reading"), world.gateway().say(b"request"));
        world.seen.extend([(true, up), (false, down)]);
        for parked in [false, true] {
            for (device_speaks, datagram) in world.seen.clone() {
                for noise in mutations(&datagram) {
                    if device_speaks {
                        world.gateway().take(1_000_000, &noise, &mut OneKey);
                    } else {
                        world.deliver_to_device(&noise);
                    }
                    assert_eq!(world.failures(), [], "parked: {parked}, {noise:?}");
                }
            }
            assert!(world.gateway().heard.is_empty(), "nothing of it was true");
            world.assert_talks();
            world.gateway().heard.clear();
        }
    }
}

/// The datagram cut at every byte, and with every bit flipped.
fn mutations(datagram: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let cut = (0..datagram.len()).map(|length| datagram[..length].to_vec());
    let flipped = (0..datagram.len() * 8).map(|bit| {
        let mut flipped = datagram.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    });
    cut.chain(flipped)
}

/// A datagram out of records that look right at least at first sight.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let record = (
        prop_oneof![Just(20), Just(21), Just(22), Just(23), Just(25), any::<u8>()],
        prop_oneof![Just([254, 253]), Just([254, 255]), any::<[u8; 2]>()],
        prop_oneof![Just([0, 0]), Just([0, 1]), Just([0, 2]), any::<[u8; 2]>()],
        prop_oneof![Just([0; 6]), any::<[u8; 6]>()],
        any::<bool>(),
        prop_oneof![
            4 => prop::collection::vec(any::<u8>(), 0..60),
            1 => prop::collection::vec(any::<u8>(), 4_000..5_000),
        ],
    )
        .prop_map(|(content_type, version, epoch, sequence, with_cid, content)| {
            let mut record = vec![content_type];
            record.extend_from_slice(&[version, epoch].concat());
            record.extend_from_slice(&sequence);
            record.extend_from_slice(if with_cid { &CID.0 } else { &[] });
            record.extend_from_slice(&(content.len() as u16).to_be_bytes());
            record.extend_from_slice(&content);
            record
        });
    let datagram = (prop::collection::vec(record, 1..4), prop::collection::vec(any::<u8>(), 0..14))
        .prop_map(|(records, rest)| [records.concat(), rest].concat());
    prop_oneof![datagram, prop::collection::vec(any::<u8>(), 0..200)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn noise_never_ends_an_established_session(
        datagrams in prop::collection::vec(noise(), 1..10),
        talk in any::<bool>(),
    ) {
        let mut world = World::established(&ClientOptions::default());
        if talk {
            world.assert_talks();
        }
        for datagram in &datagrams {
            world.gateway().take(1_000_000, datagram, &mut OneKey);
            world.deliver_to_device(datagram);
            prop_assert_eq!(world.failures(), []);
        }
        world.assert_talks();
    }

    #[test]
    fn noise_at_any_moment_of_a_handshake_panics_nobody(
        moment in 0_usize..6,
        datagrams in prop::collection::vec(noise(), 1..6),
        flipped in any::<prop::sample::Index>(),
    ) {
        let mut world = World::new(&ClientOptions::default());
        let mut script = datagrams.into_iter();
        for step in 0..6 {
            let Some((device_speaks, datagram)) = world.seen.get(step).cloned() else { break };
            let mut unwanted: Vec<Vec<u8>> = if step == moment { script.by_ref().collect() } else { Vec::new() };
            if step == moment {
                let bit = flipped.index(datagram.len() * 8);
                unwanted.push(mutations(&datagram).nth(datagram.len() + bit).unwrap());
            }
            for datagram in unwanted.into_iter().chain([datagram]) {
                if device_speaks {
                    world.deliver_to_gateway(HOME, &datagram);
                } else {
                    world.deliver_to_device(&datagram);
                }
            }
        }
        world.run(&mut |_| Fate::Deliver);
        if world.is_established() {
            world.assert_talks();
        }
    }
}

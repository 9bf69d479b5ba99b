//! What a peer can make us hold before its handshake is complete. Alone in its process, so that nothing else is counted.

// A broken arrangement should stop the test where it broke.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod world;

use dtls::{ClientOptions, Session};
use proptest::prelude::*;
use world::{Dice, Fate, HOME, OneKey, World};

const SESSIONS: usize = 1_000;

/// Both record buffers (4 KiB each, with their headers), 8 KiB of handshake messages that wait for their missing parts
/// (`MBEDTLS_SSL_DTLS_MAX_BUFFERING`), the handshake itself, and what the allocator adds.
const SESSION_KIB_MAX: usize = 32;

#[test]
fn a_half_made_session_holds_no_more_than_its_bound_whatever_is_thrown_at_it() {
    let mut world = World::new(&ClientOptions::default());
    world.run(&mut |number| if number < 2 { Fate::Deliver } else { Fate::Lose });
    let (_, hello) = world.seen[2].clone();
    // One first, so that buffers and tables are there.
    let _warm = flooded(&world, &hello, 1);
    let before = resident_kib();

    let sessions: Vec<Session> = (0..SESSIONS).map(|seed| flooded(&world, &hello, seed as u64 + 1)).collect();

    let grown = resident_kib() - before;
    println!("{SESSIONS} half-made sessions: {grown} KiB");
    assert!(grown > SESSIONS, "memory can be measured here");
    assert!(grown < SESSIONS * SESSION_KIB_MAX, "{grown} KiB");
    assert!(sessions.iter().all(|session| !session.is_established()));
}

/// A session that was sent its hello, and then a few hundred pieces of messages that never become whole.
fn flooded(world: &World, hello: &[u8], seed: u64) -> Session {
    let mut session = world.server.accept(world.now_ms, world::CID.0).unwrap();
    let (mut dice, mut out) = (Dice(seed), Vec::new());
    session.handle_datagram(world.now_ms, hello, &mut OneKey, &mut |_| {}, &mut out).unwrap();
    for number in 1..300_u32 {
        let piece = 1_000 + dice.below(2_000) as u32;
        // A message that claims to be anything up to 16 MB, out of turn.
        let length = piece + (1 << dice.below(24)) as u32;
        let mut message = vec![16];
        message.extend_from_slice(&length.to_be_bytes()[1..]);
        message.extend_from_slice(&(1 + dice.below(8) as u16).to_be_bytes());
        message.extend_from_slice(&(dice.below(u64::from(length - piece) + 1) as u32).to_be_bytes()[1..]);
        message.extend_from_slice(&piece.to_be_bytes()[1..]);
        message.resize(message.len() + piece as usize, number as u8);
        let mut record = vec![22, 254, 253, 0, 0, 0, 0];
        record.extend_from_slice(&(100 + number).to_be_bytes());
        record.extend_from_slice(&(message.len() as u16).to_be_bytes());
        record.extend_from_slice(&message);
        out.clear();
        if session.handle_datagram(world.now_ms, &record, &mut OneKey, &mut |_| {}, &mut out).is_err() {
            break;
        }
        assert!(out.len() < 10, "nor is anything sent for it");
    }
    session
}

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).expect("in KiB")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_are_worth_a_cookie_unless_they_are_a_hello(
        bytes in prop::collection::vec(any::<u8>(), 0..120),
        cut in any::<prop::sample::Index>(),
        hit in any::<(prop::sample::Index, u8)>(),
    ) {
        let world = World::new(&ClientOptions::default());
        let mut answer = Vec::new();
        let _ = world.server.handle_hello(0, HOME, &bytes, &mut answer);
        prop_assert!(answer.is_empty() || dtls::is_client_hello(&bytes));
        let mut hello = world.seen[0].1.clone();
        let at = hit.0.index(hello.len());
        hello[at] = hit.1;
        hello.truncate(cut.index(hello.len() + 1));
        let _ = world.server.handle_hello(0, HOME, &hello, &mut answer);
        prop_assert!(answer.len() <= hello.len(), "a spoofed hello must not be worth more than it costs");
    }
}

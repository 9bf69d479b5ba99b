//! What ten thousand silent devices weigh. Alone in its process, so that nothing else is counted.

// It prints a figure for a person to read: allocators and machines differ too much to assert on it. And a broken
// arrangement should stop the test where it broke.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod world;

use dtls::{ClientOptions, Session};
use world::{HOME, World};

const DEVICES: usize = 10_000;

#[test]
fn ten_thousand_idle_sessions_are_all_parked() {
    // One first, so that buffers and tables are there.
    let _warm = idle_session();
    let before = resident_kib();

    let sessions: Vec<Session> = (0..DEVICES).map(|_| idle_session()).collect();

    let grown = resident_kib().saturating_sub(before);
    println!("{DEVICES} idle sessions: {grown} KiB, {:.2} KiB each", grown as f64 / DEVICES as f64);
    assert!(sessions.iter().all(Session::is_parked));
}

fn idle_session() -> Session {
    let mut world = World::established(&ClientOptions::default());
    let up = world.device.say(b"reading");
    world.deliver_to_gateway(HOME, &up);
    world.gateway.take().unwrap().session
}

/// 0 where there is no /proc.
fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

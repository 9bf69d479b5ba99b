//! What TLS costs a server beside DTLS: handshakes and records a second, and the memory of an idle connection.
//!
//! Both ends run in this thread, and only the server's calls are counted. Linux only: it asks the system for the processor
//! time of the thread.
//!
//! ```text
//! cargo run --release -p dtls --example tls
//! ```

// An example has the world that the crate must not have. A broken arrangement should stop it where it broke.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "../tests/world/mod.rs"]
mod world;

use std::time::Duration;

use dtls::{
    Client, ClientOptions, ServerOptions, Suite, Tls, TlsClient, TlsClientOptions, TlsServer, TlsServerOptions,
    TlsVersion, Trust,
};
use world::{HOME, IDENTITY, KEY, OneKeyAndTrust, World, anchors, certificate, key, year};

const HANDSHAKES: u32 = 300;
const RECORDS: u32 = 20_000;
/// So many at a time, so that asking for the time costs nothing.
const BATCH: u32 = 200;
const IDLE: usize = 2_000;
const READING: [u8; 64] = [7; 64];

fn main() {
    // Each in a process of its own: what one gave back would be where the next grows into.
    if let Some(case) = std::env::args().nth(1) {
        return report(case.parse().unwrap());
    }
    println!("what                                           handshakes/s  records in and out/s          idle");
    for case in 0..CASES {
        let own = std::env::current_exe().unwrap();
        assert!(std::process::Command::new(own).arg(case.to_string()).status().unwrap().success());
    }
}

/// DTLS, TLS 1.2, TLS 1.3 with and without a key exchange; then the first three with certificates.
const CASES: usize = 7;

fn report(case: usize) {
    match case {
        0 => report_dtls(false),
        1 => report_tls(TlsVersion::Tls12, Suite::PskAes128GcmSha256, false, true),
        2 => report_tls(TlsVersion::Tls13, Suite::Aes128GcmSha256, false, true),
        3 => report_tls(TlsVersion::Tls13, Suite::Aes128GcmSha256, false, false),
        4 => report_dtls(true),
        5 => report_tls(TlsVersion::Tls12, Suite::EcdheEcdsaAes128GcmSha256, true, true),
        _ => report_tls(TlsVersion::Tls13, Suite::Aes128GcmSha256, true, true),
    }
}

fn print(what: &str, shake: Duration, records: Duration, grown_kib: usize) {
    let per_second = |count: u32, time: Duration| f64::from(count) / time.as_secs_f64();
    let (shakes, records) = (per_second(HANDSHAKES, shake), per_second(RECORDS, records));
    println!("{what:<46} {shakes:>12.0} {records:>21.0} {:>9.2} KiB", grown_kib as f64 / IDLE as f64);
}

fn report_tls(version: TlsVersion, suite: Suite, has_certificate: bool, has_exchange: bool) {
    let options = TlsClientOptions {
        versions: (version, version),
        has_exchange,
        suites: vec![suite],
        ..TlsClientOptions::default()
    };
    let client = match has_certificate {
        true => TlsClient::with_certificate(&certificate("device"), Some("lwm2m.example"), &options).unwrap(),
        false => TlsClient::new(IDENTITY, &key(KEY), &options).unwrap(),
    };
    let mut server = TlsServer::new(&TlsServerOptions::default()).unwrap();
    server.set_certificate(Some(&certificate("server"))).unwrap();

    let mut shake = Duration::ZERO;
    for _ in 0..HANDSHAKES {
        shake += connect(&client, &server).2;
    }
    let (mut device, mut gateway, _) = connect(&client, &server);
    let mut records = Duration::ZERO;
    for _ in 0..RECORDS / BATCH {
        let (mut up, mut down) = (Vec::new(), Vec::new());
        let ups: Vec<Vec<u8>> = std::iter::repeat_with(|| {
            let mut up = Vec::new();
            device.send(&READING, &mut up).unwrap();
            up
        })
        .take(BATCH as usize)
        .collect();
        let begun = processor_time();
        for up in ups {
            gateway.handle_bytes(0, &up, &mut dtls::NoKeys, &mut |_| {}, &mut down).unwrap();
            gateway.send(&READING, &mut down).unwrap();
        }
        records += processor_time() - begun;
        device.handle_bytes(0, &down, &mut dtls::NoKeys, &mut |_| {}, &mut up).unwrap();
    }
    let before = resident_kib();
    let idle: Vec<Tls> = (0..IDLE).map(|_| connect(&client, &server).1).collect();
    let grown = resident_kib() - before;
    drop(idle);
    let how = match (version, has_certificate, has_exchange) {
        (TlsVersion::Tls12, ..) => "",
        (_, true, _) => ", certificates",
        (_, false, true) => ", psk_dhe_ke",
        (_, false, false) => ", psk_ke",
    };
    print(&format!("{version:?} {}{how}", suite.name()), shake, records, grown);
}

/// A connection, and how long the server took for it.
fn connect(client: &TlsClient, server: &TlsServer) -> (Tls, Tls, Duration) {
    let (trusted, trusted_by_device) = (anchors(&["anchor"]), anchors(&["anchor of servers"]));
    let mut keys = OneKeyAndTrust { key: KEY, trust: Trust { anchors: &trusted, unix_s: year(2031) } };
    let mut trust = Trust { anchors: &trusted_by_device, unix_s: year(2031) };
    let (mut up, mut took) = (Vec::new(), Duration::ZERO);
    let mut device = client.connect(0, &mut up).unwrap();
    let begun = processor_time();
    let mut gateway = server.accept(0).unwrap();
    took += processor_time() - begun;
    while !up.is_empty() {
        let mut down = Vec::new();
        let begun = processor_time();
        gateway.handle_bytes(0, &up, &mut keys, &mut |_| {}, &mut down).unwrap();
        took += processor_time() - begun;
        up.clear();
        device.handle_bytes(0, &down, &mut trust, &mut |_| {}, &mut up).unwrap();
    }
    assert!(device.is_established() && gateway.is_established());
    (device, gateway, took)
}

fn report_dtls(has_certificate: bool) {
    let suite = if has_certificate { Suite::EcdheEcdsaAes128GcmSha256 } else { Suite::PskAes128GcmSha256 };
    let options = ClientOptions { suites: vec![suite], ..ClientOptions::default() };
    let world = || match has_certificate {
        true => World::with_certificates("device", &["anchor"], &options, &ServerOptions::default()),
        false => World::of(
            &Client::new(IDENTITY, &key(KEY), &options).unwrap(),
            dtls::Server::new(&ServerOptions::default()).unwrap(),
            dtls::TrustAnchors::new(),
        ),
    };
    let mut shake = Duration::ZERO;
    for _ in 0..HANDSHAKES {
        shake += shake_dtls(&mut world());
    }
    let mut one = world();
    shake_dtls(&mut one);
    let mut records = Duration::ZERO;
    for _ in 0..RECORDS / BATCH {
        let ups: Vec<Vec<u8>> = std::iter::repeat_with(|| one.device.say(&READING)).take(BATCH as usize).collect();
        let (session, mut down) = (&mut one.gateway.as_mut().unwrap().session, Vec::new());
        let begun = processor_time();
        for up in ups {
            session.handle_datagram(0, &up, &mut dtls::NoKeys, &mut |_| {}, &mut down).unwrap();
            session.send(&READING, &mut down).unwrap();
        }
        records += processor_time() - begun;
    }
    let before = resident_kib();
    let idle: Vec<dtls::Session> = (0..IDLE)
        .map(|_| {
            let mut world = world();
            shake_dtls(&mut world);
            let up = world.device.say(&READING);
            world.deliver_to_gateway(HOME, &up);
            world.gateway.take().unwrap().session
        })
        .collect();
    let grown = resident_kib() - before;
    drop(idle);
    print(&format!("Dtls12 {}", suite.name()), shake, records, grown);
}

fn shake_dtls(world: &mut World) -> Duration {
    let mut took = Duration::ZERO;
    while let Some(datagram) = world.toward_gateway.pop_front() {
        let begun = processor_time();
        world.deliver_to_gateway(HOME, &datagram);
        took += processor_time() - begun;
        while world.toward_gateway.is_empty()
            && let Some(datagram) = world.toward_device.pop_front()
        {
            world.deliver_to_device(&datagram);
        }
    }
    assert!(world.is_established());
    took
}

/// 0 where there is no /proc.
fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// What this thread has used so far.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells");
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
}

//! Whatever is sent while a device connects, by key or by certificate: it comes in once the stranger is silent.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use shoal_fuzz::{Step, play, registrations, with_certificate, with_key};

/// A handshake that was spoiled is given up, and the device begins again: twice MAX_TRANSMIT_WAIT and a minute.
const PATIENCE: Duration = Duration::from_secs(250);

fuzz_target!(|story: (bool, u8, Vec<Step>)| {
    let (has_key, lost, steps) = story;
    let mut world = if has_key { with_key() } else { with_certificate() };
    // So many of our datagrams arrive at first.
    world.downlinks_max = usize::from(lost % 8);
    world.power_on(0);

    play(&mut world, steps);

    world.downlinks_max = usize::MAX;
    world.run(PATIENCE);
    assert!(world.hosts[0].device.is_registered(), "{:?}", world.hosts[0].events);
    assert_eq!(registrations(&world).len(), 1);
    assert!(world.stat("half_open") <= 8, "a stranger's handshakes end by themselves");
});

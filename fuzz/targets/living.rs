//! Nothing that a stranger sends ends, moves or speaks for a session that is established.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use shoal_fuzz::{Step, play, registrations, with_key};

fuzz_target!(|steps: Vec<Step>| {
    let mut world = with_key();
    world.power_on(0);
    world.run(Duration::from_secs(1));
    assert!(world.hosts[0].device.is_registered());
    let registered = registrations(&world);

    play(&mut world, steps);

    world.run(Duration::from_secs(1));
    world.update(0);
    world.run(Duration::from_secs(10));
    assert!(world.hosts[0].device.is_registered());
    assert_eq!(registrations(&world), registered);
    assert_eq!((world.stat("handshakes"), world.stat("sessions")), (1, 1), "no session but its own");
});

//! Whatever comes over connections, in pieces of any size: nothing breaks, nothing grows, nobody else is cut off.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shoal_fuzz::world::{World, address, entry, options, tcp_config};

fuzz_target!(|pieces: Vec<(bool, Vec<u8>)>| {
    let mut world = World::with_registered(options(), &entry(1), tcp_config(1));
    let before = world.stat("connections_bytes");
    let numbers = [world.connect(address(101)).expect("room"), world.connect(address(102)).expect("room")];

    for (is_second, piece) in pieces.into_iter().take(32) {
        world.write(numbers[usize::from(is_second)], &piece);
    }

    assert!(world.stat("connections_bytes") - before <= 2 * u64::from(gateway::limits::MESSAGE_BYTES_MAX));
    for number in numbers {
        world.close(number);
    }
    assert_eq!((world.stat("connections"), world.stat("connections_bytes")), (1, before));
    assert!(world.hosts[0].device.is_registered());
});

//! Files that a device fetches block by block.

// A broken arrangement should stop the test where it broke.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod world;

use coap::Code;
use device::{Begun, Event};
use world::{World, config, seconds};

const URI: &str = "coap://127.0.0.1:5683/fw/image";

fn image(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at % 251) as u8).collect()
}

fn with_file(bytes: usize) -> World {
    let mut world = World::registered(config());
    world.server.file = image(bytes);
    world
}

/// Blocks that were asked for, by number.
fn asked(world: &World) -> Vec<u32> {
    world.server.requests(Code::GET, "/fw/image").iter().map(|get| get.block2.unwrap().num).collect()
}

#[test]
fn a_file_comes_whole_with_its_progress() {
    let mut world = with_file(5_000);

    world.device.fetch(world.now, 7, URI, None);
    world.settle();

    assert_eq!(world.done(7), Some((Some(Code::CONTENT), String::new(), image(5_000))));
    let progress: Vec<_> = world
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Progress { number: 7, bytes, size } => Some((*bytes, *size)),
            _ => None,
        })
        .collect();
    assert_eq!(progress, [1_024, 2_048, 3_072, 4_096].map(|bytes| (bytes, Some(5_000))));
    assert_eq!(asked(&world), [0, 1, 2, 3, 4]);
}

#[test]
fn a_file_of_any_length_comes_whole_in_blocks_of_any_size() {
    for szx in 0..=6 {
        for bytes in [0, 1, 15, 16, 17, 1_023, 1_024, 1_025, 2_048] {
            let mut world = with_file(bytes);
            world.server.szx_max = szx;

            world.device.fetch(world.now, 7, URI, None);
            world.settle();

            assert_eq!(world.done(7).unwrap().2, image(bytes), "{bytes} bytes in blocks of {}", 16 << szx);
        }
    }
}

#[test]
fn a_download_goes_on_after_a_loss_where_it_was() {
    let mut world = with_file(20_000);
    world.device.fetch(world.now, 7, URI, None);

    // Every repetition of one block is lost, and the device asks for that block once more.
    (world.lose_up, world.lose_down) = (0, 5);
    world.advance(seconds(200));

    assert_eq!(world.done(7).unwrap().2, image(20_000));
    let blocks = asked(&world);
    assert_eq!(blocks.iter().filter(|num| **num > 0).count(), 19, "nothing but the lost block comes twice");
}

#[test]
fn a_download_outlives_its_session() {
    let mut world = with_file(20_000);
    world.device.fetch(world.now, 7, URI, None);
    world.settle_until_block(3);
    world.is_cut = true;

    // Long enough for an Update to fail, and with it the registration.
    world.device.update(world.now, None);
    world.advance(seconds(150));
    assert!(!world.device.is_registered());
    world.is_cut = false;
    world.advance(seconds(70));

    assert_eq!(world.done(7).unwrap().2, image(20_000));
    assert_eq!(world.server.requests(Code::POST, "/rd").len(), 1, "there was another registration");
    let blocks = asked(&world);
    assert!(blocks.iter().filter(|num| **num == 0).count() == 1, "it did not start over: {blocks:?}");
}

#[test]
fn a_download_that_is_ordered_before_the_registration_waits_for_it() {
    let mut world = World::new(config());
    world.server.file = image(3_000);
    world.device.fetch(world.now, 1, URI, None);
    world.settle();
    assert_eq!(world.done(1), Some((None, "switched off".into(), Vec::new())));

    world.server.to_register = None;
    world.device.power_on(world.now);
    world.device.fetch(world.now, 2, URI, None);
    world.advance(seconds(100));
    assert_eq!(world.done(2), None);
    world.server.to_register = Some(Code::CREATED);
    world.advance(seconds(100));

    assert_eq!(world.done(2).unwrap().2, image(3_000));
}

#[test]
fn power_that_is_lost_ends_a_download() {
    let mut world = with_file(20_000);
    world.device.fetch(world.now, 7, URI, None);
    world.settle_until_block(3);

    world.device.lose_power();
    world.settle();

    let (code, detail, begun) = world.done(7).unwrap();
    assert_eq!((code, detail.as_str()), (None, "power lost"));
    assert_eq!(begun, image(20_000)[..begun.len()], "what came until then is its owner's");
    world.device.power_on(world.now);
    world.device.fetch(world.now, 8, URI, None);
    world.settle();
    assert!(world.done(8).is_none() || world.done(8).unwrap().2 == image(20_000), "another one may begin");
    world.advance(seconds(1));
    assert_eq!(world.done(8).unwrap().2, image(20_000));
}

#[test]
fn a_download_that_a_reboot_broke_off_is_taken_up_where_it_was() {
    let mut world = with_file(20_000);
    world.device.fetch(world.now, 7, URI, None);
    world.settle_until_block(10);
    world.device.lose_power();
    world.settle();
    let begun = world.events.iter().find_map(|event| match event {
        Event::Done { number: 7, data, etag, .. } => Some(Begun { data: data.clone(), etag: etag.clone() }),
        _ => None,
    });

    world.device.power_on(world.now);
    world.advance(seconds(1));
    world.device.fetch(world.now, 8, URI, begun);
    world.settle();

    assert_eq!(world.done(8).unwrap().2, image(20_000));
    let blocks = asked(&world);
    assert_eq!(blocks.iter().filter(|num| **num < 10).count(), 10, "what was there is not asked for again: {blocks:?}");
}

#[test]
fn a_file_that_changes_on_the_way_is_not_mixed() {
    let mut world = with_file(20_000);
    world.device.fetch(world.now, 7, URI, None);
    world.settle_until_block(3);

    world.server.etag = 2;
    world.settle();

    let (code, detail, _) = world.done(7).unwrap();
    assert_eq!((code, detail.as_str()), (None, "the file changed while it was fetched"));
}

#[test]
fn a_server_that_is_silent_for_good_ends_the_download_in_the_end() {
    let mut world = with_file(20_000);
    world.device.fetch(world.now, 7, URI, None);
    world.settle_until_block(3);
    world.is_cut = true;

    world.advance(seconds(1_000));

    // The registration could not be renewed either; the download waits for the next one.
    assert_eq!((world.done(7), world.device.is_registered()), (None, false));
    world.device.lose_power();
    world.settle();
    assert!(world.done(7).is_some());
}

#[test]
fn what_is_not_there_is_told_with_its_code() {
    let mut world = with_file(10);

    world.device.fetch(world.now, 1, "coap://127.0.0.1:5683/fw/other", None);
    world.settle();
    world.device.fetch(world.now, 2, "http://127.0.0.1/fw", None);
    world.settle();

    assert_eq!(world.done(1).unwrap().0, Some(Code::NOT_FOUND));
    assert_eq!(world.done(2).unwrap().0, None);
}

#[test]
fn one_download_at_a_time() {
    let mut world = with_file(20_000);
    world.device.fetch(world.now, 7, URI, None);
    world.device.fetch(world.now, 8, URI, None);
    world.settle();

    assert_eq!(world.done(8), Some((None, "another download goes on".into(), Vec::new())));
    assert_eq!(world.done(7).unwrap().2, image(20_000));
}

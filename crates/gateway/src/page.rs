//! Pages: the events of one partition that go to the log together, and the answers that wait for it.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::event::{Stamp, write_address, write_foreign, write_number, write_text};
use crate::limits::{
    ACKNOWLEDGE_AFTER, CROWD_EVENTS, CROWD_LINGERS, PAGE_BYTES_MAX, PAGE_BYTES_RESERVED_MAX, PAGE_EVENTS_MAX,
};
use crate::reply::HeldAnswer;
use crate::timers::Now;

/// Events of one partition, one line of JSON each.
#[derive(Debug)]
pub struct Page {
    /// The page's number: what [`crate::Gateway::handle_committed`] wants to hear.
    pub number: u64,
    /// Which partition all its events belong to.
    pub partition: u32,
    /// The lines.
    pub body: Vec<u8>,
    /// Where each line ends, its newline included.
    pub ends: Vec<u32>,
    /// Whom each line is about, one after another: the device, or what is known of a stranger.
    pub keys: String,
    /// Where each of them ends.
    pub key_ends: Vec<u32>,
}

impl Page {
    /// Every event: whom it is about, and its line with the newline.
    pub fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let (mut line_start, mut key_start) = (0, 0);
        self.ends.iter().zip(&self.key_ends).map(move |(&end, &key_end)| {
            let line = &self.body[line_start..end as usize];
            let key = &self.keys[key_start..key_end as usize];
            (line_start, key_start) = (end as usize, key_end as usize);
            (key, line)
        })
    }
}

/// How pages are made.
#[derive(Debug, Clone)]
pub(crate) struct PageOptions {
    pub(crate) boot: String,
    pub(crate) shard: u8,
    pub(crate) partitions: u32,
    pub(crate) linger: Duration,
    pub(crate) uncommitted_bytes_max: usize,
}

/// The open page of every partition, and those that are on their way to the log.
///
/// All open pages leave together, when the oldest has lingered long enough: what is committed together costs one commit.
pub(crate) struct Pages {
    options: PageOptions,
    prefix: String,
    number_next: u64,
    open: Vec<Option<OpenPage>>,
    /// Since when they gather, and how many events there had been by then; nothing while no page is open.
    gathering: Option<(Instant, u64)>,
    sealed: VecDeque<Page>,
    unanswered: BTreeMap<u64, Unanswered>,
    /// Pages whose confirmable requests want an empty acknowledgement, and when.
    slow: VecDeque<(Instant, u64)>,
    uncommitted_bytes: usize,
    stamp: Stamp,
    events: u64,
    /// Room for the next page, as much as the last one took: of its lines and of its keys in bytes, and of its events.
    reserve: (usize, usize, usize),
}

struct OpenPage {
    page: Page,
    held: Vec<HeldAnswer>,
}

struct Unanswered {
    bytes: usize,
    held: Vec<HeldAnswer>,
}

impl Pages {
    pub(crate) fn new(options: PageOptions) -> Self {
        let partitions = options.partitions.max(1);
        Self {
            prefix: format!("{{\"id\":\"{}-{}-", options.boot, options.shard),
            options,
            number_next: 1,
            open: (0..partitions).map(|_| None).collect(),
            gathering: None,
            sealed: VecDeque::new(),
            unanswered: BTreeMap::new(),
            slow: VecDeque::new(),
            uncommitted_bytes: 0,
            stamp: Stamp::of(0),
            events: 0,
            reserve: (0, 0, 0),
        }
    }

    pub(crate) fn partitions(&self) -> u32 {
        self.open.len() as u32
    }

    /// The partition of a key: FNV-1a, 64 bits, the same in every process that ever writes this log.
    pub(crate) fn partition_of(&self, key: &str) -> u32 {
        let hash = key
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        (hash % self.open.len() as u64) as u32
    }

    /// Whether the log is so far behind that nothing more may be taken in.
    pub(crate) fn is_full(&self) -> bool {
        self.uncommitted_bytes > self.options.uncommitted_bytes_max
    }

    pub(crate) fn uncommitted_bytes(&self) -> usize {
        self.uncommitted_bytes
    }

    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// Begins an event that happened now.
    pub(crate) fn begin(&mut self, now: Now, partition: u32, key: &str, kind: &str) -> EventWriter<'_> {
        self.begin_at(now, now.unix_ms, partition, key, kind)
    }

    /// Begins an event that happened at `unix_ms`.
    pub(crate) fn begin_at(
        &mut self,
        now: Now,
        unix_ms: u64,
        partition: u32,
        key: &str,
        kind: &str,
    ) -> EventWriter<'_> {
        self.make_room(partition);
        self.stamp.advance(unix_ms);
        self.gathering.get_or_insert((now.monotonic, self.events));
        let slot = &mut self.open[partition as usize];
        let open = slot.get_or_insert_with(|| {
            let number = self.number_next;
            self.number_next += 1;
            let (body_bytes, key_bytes, events) = self.reserve;
            let page = Page {
                number,
                partition,
                body: Vec::with_capacity(body_bytes),
                ends: Vec::with_capacity(events),
                keys: String::with_capacity(key_bytes),
                key_ends: Vec::with_capacity(events),
            };
            OpenPage { page, held: Vec::with_capacity(events) }
        });
        let start = open.page.body.len();
        // Copied, not shared: a count that two threads change for every event costs more than a dozen bytes.
        open.page.keys.push_str(key);
        let body = &mut open.page.body;
        body.extend_from_slice(self.prefix.as_bytes());
        write_number(body, open.page.number);
        body.push(b'-');
        write_number(body, open.page.ends.len());
        body.extend_from_slice(b"\",\"type\":\"");
        body.extend_from_slice(kind.as_bytes());
        body.extend_from_slice(b"\",\"time\":\"");
        body.extend_from_slice(self.stamp.text());
        body.push(b'"');
        EventWriter { open, start, uncommitted_bytes: &mut self.uncommitted_bytes, events: &mut self.events }
    }

    /// Seals the partition's page when it is full, so that the next event finds room.
    fn make_room(&mut self, partition: u32) {
        let Some(Some(open)) = self.open.get(partition as usize) else { return };
        let is_full = open.page.ends.len() >= PAGE_EVENTS_MAX || open.page.body.len() >= PAGE_BYTES_MAX;
        if is_full {
            self.seal(partition);
        }
    }

    /// Keeps an answer until the page with its event is in the log.
    pub(crate) fn hold(&mut self, partition: u32, answer: HeldAnswer) {
        if let Some(Some(open)) = self.open.get_mut(partition as usize) {
            open.held.push(answer);
        }
    }

    fn seal(&mut self, partition: u32) {
        let Some(open) = self.open.get_mut(partition as usize).and_then(Option::take) else { return };
        if open.page.ends.is_empty() {
            return;
        }
        let number = open.page.number;
        self.reserve = (open.page.body.len().min(PAGE_BYTES_RESERVED_MAX), open.page.keys.len(), open.page.ends.len());
        if let Some((since, _)) = self.gathering.filter(|_| !open.held.is_empty()) {
            self.slow.push_back((since + ACKNOWLEDGE_AFTER, number));
        }
        self.unanswered.insert(number, Unanswered { bytes: open.page.body.len(), held: open.held });
        self.sealed.push_back(open.page);
    }

    /// Seals every page, if the oldest is old enough.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.due().is_some_and(|due| due <= now) {
            self.seal_all();
        }
    }

    /// When the open pages leave. Where many events come, a commit of more of them costs no more, and each waits for others
    /// anyway: they gather longer.
    fn due(&self) -> Option<Instant> {
        let (since, events) = self.gathering?;
        let is_crowd = self.events - events >= CROWD_EVENTS;
        Some(since + self.options.linger * if is_crowd { CROWD_LINGERS } else { 1 })
    }

    /// Seals everything, whatever its age.
    pub(crate) fn seal_all(&mut self) {
        for partition in 0..self.partitions() {
            self.seal(partition);
        }
        self.gathering = None;
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let acknowledge = self.slow.front().map(|(when, _)| *when);
        [self.due(), acknowledge].into_iter().flatten().min()
    }

    pub(crate) fn poll_page(&mut self) -> Option<Page> {
        self.sealed.pop_front()
    }

    /// The answers that waited for this page.
    pub(crate) fn release(&mut self, number: u64) -> Vec<HeldAnswer> {
        let Some(unanswered) = self.unanswered.remove(&number) else { return Vec::new() };
        self.uncommitted_bytes = self.uncommitted_bytes.saturating_sub(unanswered.bytes);
        while let Some((_, number)) = self.slow.front() {
            if self.unanswered.contains_key(number) {
                break;
            }
            self.slow.pop_front();
        }
        unanswered.held
    }

    /// The answers of the next page that has waited too long for its commit, once.
    pub(crate) fn slow(&mut self, now: Instant) -> Option<&mut Vec<HeldAnswer>> {
        loop {
            let &(when, number) = self.slow.front()?;
            if when > now {
                return None;
            }
            self.slow.pop_front();
            if self.unanswered.contains_key(&number) {
                return self.unanswered.get_mut(&number).map(|unanswered| &mut unanswered.held);
            }
        }
    }
}

/// One event being written. Dropped without [`EventWriter::finish`] it leaves no trace.
pub(crate) struct EventWriter<'a> {
    open: &'a mut OpenPage,
    start: usize,
    uncommitted_bytes: &'a mut usize,
    events: &'a mut u64,
}

impl EventWriter<'_> {
    /// The page's own bytes, for what writes itself.
    pub(crate) fn body(&mut self) -> &mut Vec<u8> {
        &mut self.open.page.body
    }

    fn name(&mut self, name: &str) -> &mut Vec<u8> {
        let body = &mut self.open.page.body;
        body.extend_from_slice(b",\"");
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(b"\":");
        body
    }

    /// Fields that are JSON already, with the commas between them.
    pub(crate) fn fragment(&mut self, fragment: &str) {
        if !fragment.is_empty() {
            self.open.page.body.push(b',');
            self.open.page.body.extend_from_slice(fragment.as_bytes());
        }
    }

    pub(crate) fn text(&mut self, name: &str, text: &str) {
        write_text(self.name(name), text);
    }

    pub(crate) fn foreign(&mut self, name: &str, bytes: &[u8]) {
        write_foreign(self.name(name), bytes);
    }

    pub(crate) fn number(&mut self, name: &str, number: impl itoa::Integer) {
        write_number(self.name(name), number);
    }

    pub(crate) fn boolean(&mut self, name: &str, is_so: bool) {
        self.name(name).extend_from_slice(if is_so { b"true" } else { b"false" });
    }

    pub(crate) fn address(&mut self, address: SocketAddr) {
        write_address(self.name("address"), address);
    }

    /// A field whose value `write` appends.
    pub(crate) fn value(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        write(self.name(name));
    }

    /// Ends the line.
    pub(crate) fn finish(mut self) {
        let body = &mut self.open.page.body;
        body.extend_from_slice(b"}\n");
        *self.uncommitted_bytes += body.len() - self.start;
        *self.events += 1;
        let end = body.len() as u32;
        self.start = body.len();
        self.open.page.ends.push(end);
        self.open.page.key_ends.push(self.open.page.keys.len() as u32);
    }
}

impl Drop for EventWriter<'_> {
    fn drop(&mut self) {
        let page = &mut self.open.page;
        page.body.truncate(self.start);
        page.keys.truncate(page.key_ends.last().map_or(0, |end| *end as usize));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::disallowed_methods)] // one true moment to count from
    use super::*;

    fn pages(partitions: u32) -> (Pages, Now) {
        let linger = Duration::from_millis(2);
        let boot = "00c0ffee".to_owned();
        let options = PageOptions { boot, shard: 3, partitions, linger, uncommitted_bytes_max: 1_000 };
        (Pages::new(options), Now { monotonic: Instant::now(), unix_ms: 1_764_000_000_123 })
    }

    fn write(pages: &mut Pages, now: Now, partition: u32) {
        pages.begin(now, partition, "d1", "awake").finish();
    }

    #[test]
    fn a_line_begins_with_who_wrote_it_what_it_is_and_when() {
        let (mut pages, now) = pages(1);
        write(&mut pages, now, 0);
        write(&mut pages, now, 0);
        pages.seal_all();

        let page = pages.poll_page().unwrap();

        let line = r#"{"id":"00c0ffee-3-1-0","type":"awake","time":"2025-11-24T16:00:00.123Z"}"#;
        let body = String::from_utf8(page.body).unwrap();
        assert_eq!(body.lines().next(), Some(line));
        assert_eq!(body.lines().nth(1), Some(line.replace("-1-0", "-1-1").as_str()));
        assert_eq!((page.ends.len(), page.ends[1] as usize, page.keys.as_str()), (2, body.len(), "d1d1"));
    }

    #[test]
    fn a_page_leaves_when_it_is_old_enough() {
        let (mut pages, now) = pages(2);
        write(&mut pages, now, 1);
        let due = pages.poll_timeout().unwrap();
        assert_eq!(due, now.monotonic + Duration::from_millis(2));

        pages.handle_timeout(due - Duration::from_micros(1));
        assert!(pages.poll_page().is_none());
        pages.handle_timeout(due);

        assert_eq!(pages.poll_page().unwrap().partition, 1);
        assert_eq!(pages.poll_timeout(), None);
    }

    #[test]
    fn what_is_open_leaves_together() {
        let (mut pages, now) = pages(3);
        write(&mut pages, now, 1);
        let due = pages.poll_timeout().unwrap();
        write(&mut pages, Now { monotonic: due - Duration::from_micros(1), ..now }, 2);

        pages.handle_timeout(due);

        assert_eq!([pages.poll_page().unwrap().partition, pages.poll_page().unwrap().partition], [1, 2]);
        assert_eq!((pages.poll_page().is_none(), pages.poll_timeout()), (true, None));
    }

    #[test]
    fn where_many_events_come_they_gather_longer() {
        let (mut pages, now) = pages(2);
        let linger = Duration::from_millis(2);
        for number in 1..CROWD_EVENTS {
            write(&mut pages, now, (number % 2) as u32);
        }
        assert_eq!(pages.poll_timeout(), Some(now.monotonic + linger));

        write(&mut pages, now, 0);
        assert_eq!(pages.poll_timeout(), Some(now.monotonic + linger * CROWD_LINGERS));
        pages.handle_timeout(now.monotonic + linger * CROWD_LINGERS);
        write(&mut pages, now, 0);

        assert_eq!(pages.poll_timeout(), Some(now.monotonic + linger), "the next ones are counted anew");
    }

    #[test]
    fn a_full_page_leaves_at_once_and_the_next_goes_on() {
        let (mut pages, now) = pages(1);
        for _ in 0..=PAGE_EVENTS_MAX {
            write(&mut pages, now, 0);
        }

        let full = pages.poll_page().unwrap();
        pages.seal_all();

        assert_eq!((full.ends.len(), pages.poll_page().unwrap().ends.len()), (PAGE_EVENTS_MAX, 1));
    }

    #[test]
    fn an_event_that_is_given_up_leaves_no_trace() {
        let (mut pages, now) = pages(1);
        write(&mut pages, now, 0);
        let bytes = pages.uncommitted_bytes();

        let mut event = pages.begin(now, 0, "d1", "readings");
        event.text("via", "send");
        drop(event);
        pages.seal_all();

        assert_eq!((pages.uncommitted_bytes(), pages.events()), (bytes, 1));
        let page = pages.poll_page().unwrap();
        assert_eq!((page.body.len(), page.lines().map(|(key, _)| key).collect::<Vec<_>>()), (bytes, vec!["d1"]));
    }

    #[test]
    fn what_is_not_in_the_log_counts_until_it_is() {
        let (mut pages, now) = pages(1);
        while !pages.is_full() {
            write(&mut pages, now, 0);
        }
        pages.seal_all();
        let page = pages.poll_page().unwrap();

        pages.release(page.number);

        assert_eq!((pages.uncommitted_bytes(), pages.is_full()), (0, false));
    }

    #[test]
    fn the_partition_of_a_device_is_the_same_in_every_process() {
        let (pages, _) = pages(1_000_003);

        // FNV-1a of "foobar", from the tables of its authors: 0x85944171f73967e8.
        assert_eq!(u64::from(pages.partition_of("foobar")), 0x8594_4171_f739_67e8 % 1_000_003);
    }
}

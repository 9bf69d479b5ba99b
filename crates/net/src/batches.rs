//! Between the shard and its owner: pages and answers gather until the owner takes them, all at once, as one batch.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gateway::{Answer, CheckpointBatch, Page};

use crate::lock;

/// Everything that waited: what becomes durable together.
#[derive(Debug)]
pub struct Batch {
    /// Its number, from 1: what [`crate::Server::committed`] wants to hear.
    pub seq: u64,
    /// Events, page by page; those of one partition in their order.
    pub pages: Vec<Page>,
    /// What became of requests.
    pub answers: Vec<Answer>,
    /// What is to be kept for the next start: durable on its own, see [`crate::Server::checkpointed`].
    pub checkpoints: Option<CheckpointBatch>,
}

/// What waits for the owner, and what the owner has and did not finish.
#[derive(Default)]
pub(crate) struct Batches {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    pages: VecDeque<Page>,
    answers: Vec<Answer>,
    /// One at a time: the next follows when the owner has finished it.
    checkpoints: Option<CheckpointBatch>,
    seq: u64,
    /// Batches that were taken and neither committed nor refused, with the numbers of their pages.
    taken: VecDeque<(u64, Vec<u64>)>,
    /// Nothing more will come.
    is_sealed: bool,
}

impl Batches {
    /// Adds what the shard has; both are left empty.
    pub(crate) fn put(&self, pages: &mut Vec<Page>, answers: &mut Vec<Answer>, checkpoints: Option<CheckpointBatch>) {
        if pages.is_empty() && answers.is_empty() && checkpoints.is_none() {
            return;
        }
        let mut state = lock(&self.state);
        state.pages.extend(pages.drain(..));
        state.answers.append(answers);
        state.checkpoints = checkpoints.or(state.checkpoints.take());
        drop(state);
        self.arrived.notify_one();
    }

    /// Nothing more will come: nobody needs to wait for it.
    pub(crate) fn seal(&self) {
        lock(&self.state).is_sealed = true;
        self.arrived.notify_all();
    }

    /// All that waits, with about `events_max` events at most (pages are not cut); waits up to `timeout` for something.
    pub(crate) fn next(&self, events_max: usize, timeout: Duration) -> Option<Batch> {
        let until = Instant::now() + timeout;
        let mut state = lock(&self.state);
        while state.pages.is_empty() && state.answers.is_empty() && state.checkpoints.is_none() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || state.is_sealed {
                return None;
            }
            state = self.arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let mut events = 0;
        let mut pages = Vec::new();
        while let Some(page) = state.pages.front() {
            events += page.ends.len();
            if events > events_max && !pages.is_empty() {
                break;
            }
            pages.extend(state.pages.pop_front());
        }
        state.seq += 1;
        let seq = state.seq;
        if !pages.is_empty() {
            state.taken.push_back((seq, pages.iter().map(|page| page.number).collect()));
        }
        let (answers, checkpoints) = (std::mem::take(&mut state.answers), state.checkpoints.take());
        Some(Batch { seq, pages, answers, checkpoints })
    }

    /// The pages of every batch up to `seq` that is not finished; they are finished now.
    pub(crate) fn finish_up_to(&self, seq: u64) -> Vec<u64> {
        let mut state = lock(&self.state);
        let count = state.taken.partition_point(|(taken, _)| *taken <= seq);
        state.taken.drain(..count).flat_map(|(_, pages)| pages).collect()
    }

    /// The pages of the batch `seq`, if it is not finished; it is finished now.
    pub(crate) fn finish(&self, seq: u64) -> Vec<u64> {
        let mut state = lock(&self.state);
        let at = state.taken.binary_search_by_key(&seq, |(taken, _)| *taken);
        at.ok().and_then(|at| state.taken.remove(at)).map(|(_, pages)| pages).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(number: u64, events: u32) -> Page {
        let body = b"{}\n".repeat(events as usize);
        let ends = (1..=events).map(|line| line * 3).collect();
        let key_ends = (1..=events).map(|key| key * 6).collect();
        Page { number, partition: 0, body, ends, keys: "device".repeat(events as usize), key_ends }
    }

    fn numbers(batch: Option<Batch>) -> Vec<u64> {
        batch.map(|batch| batch.pages.iter().map(|page| page.number).collect()).unwrap_or_default()
    }

    #[test]
    fn what_waits_together_is_taken_together() {
        let batches = Batches::default();
        batches.put(&mut vec![page(1, 1)], &mut Vec::new(), None);
        batches.put(&mut vec![page(2, 1)], &mut Vec::new(), None);

        assert_eq!(numbers(batches.next(100, Duration::ZERO)), [1, 2]);
        assert!(batches.next(100, Duration::ZERO).is_none());
    }

    #[test]
    fn a_batch_has_no_more_events_than_asked_for_but_at_least_a_page() {
        let batches = Batches::default();
        batches.put(&mut vec![page(1, 5), page(2, 2), page(3, 2)], &mut Vec::new(), None);

        assert_eq!(numbers(batches.next(4, Duration::ZERO)), [1]);
        assert_eq!(numbers(batches.next(4, Duration::ZERO)), [2, 3]);
    }

    #[test]
    fn committing_finishes_every_batch_before_and_refusing_only_its_own() {
        let batches = Batches::default();
        for number in 1..=4 {
            batches.put(&mut vec![page(number, 1)], &mut Vec::new(), None);
            batches.next(100, Duration::ZERO);
        }

        assert_eq!(batches.finish(3), [3]);
        assert_eq!(batches.finish_up_to(3), [1, 2]);
        assert_eq!(batches.finish_up_to(3), [0; 0]);
        assert_eq!(batches.finish(4), [4]);
    }

    #[test]
    fn nobody_waits_for_what_will_not_come() {
        let batches = Batches::default();
        batches.put(&mut vec![page(1, 1)], &mut Vec::new(), None);
        batches.seal();

        assert_eq!(numbers(batches.next(100, Duration::MAX / 4)), [1]);
        assert!(batches.next(100, Duration::from_secs(3_600)).is_none());
    }
}

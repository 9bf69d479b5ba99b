//! What devices ask that somebody has to decide who is not in here: it waits until the owner looks.

use std::sync::Mutex;

use gateway::EnrolmentRequest;
use gateway::limits::ENROLMENTS_MAX;

use crate::lock;

/// Questions about enrolment; the gateway bounds how many there are.
#[derive(Default)]
pub(crate) struct Questions {
    waiting: Mutex<Vec<EnrolmentRequest>>,
}

impl Questions {
    /// Adds what the shard has.
    pub(crate) fn put(&self, questions: impl Iterator<Item = EnrolmentRequest>) {
        let mut questions = questions.peekable();
        // Nearly always there are none, and nobody needs to be kept waiting for that.
        if questions.peek().is_some() {
            let mut waiting = lock(&self.waiting);
            waiting.extend(questions);
            // An owner that does not look: those who asked last give up.
            waiting.truncate(ENROLMENTS_MAX);
        }
    }

    /// All that waits.
    pub(crate) fn take(&self) -> Vec<EnrolmentRequest> {
        std::mem::take(&mut *lock(&self.waiting))
    }
}

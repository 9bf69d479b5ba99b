//! Observations that servers hold on this device, and when each of them is due.
//!
//! RFC 7641 carries them; OMA LwM2M Core 1.1 §5.1.2 and §6.4 say when to notify: not before `pmin` after the last one,
//! at the latest `pmax` after it, and in between only for a change that `gt`, `lt` and `st` let through.

use std::time::{Duration, Instant};

use coap::{Sequence, Token};
use lwm2m::{Attributes, Path, Record, Value};

/// Observations one server may hold; the largest profile we know has 12.
pub const RELATIONS_MAX: usize = 64;

/// RFC 7641 §4.5: at least this often a notification must be confirmable, so that observers that are gone are noticed.
const CONFIRM_WITHIN: Duration = Duration::from_secs(24 * 60 * 60);

/// One observation.
#[derive(Debug)]
pub struct Relation {
    /// The token of the request that began it; every notification carries it.
    pub token: Token,
    /// What is observed.
    pub path: Path,
    /// The content format that was asked for.
    pub format: u16,
    /// The numbers of its notifications.
    pub sequence: Sequence,
    /// The message id of its last notification; a reset of that id ends it.
    pub notification_id: Option<u16>,
    sent: Vec<Record>,
    sent_at: Instant,
    /// When the observer was last heard to be there, or was asked.
    confirmed_at: Instant,
    is_changed: bool,
    /// The last notification waits for the fate of a confirmable one before it.
    is_waiting: bool,
}

impl Relation {
    /// An observation whose first notification, the answer to the request, carried `sent`.
    pub fn new(token: Token, path: Path, format: u16, first_number: u32, sent: Vec<Record>, now: Instant) -> Self {
        let sequence = Sequence::starting_at(first_number);
        Self {
            token,
            path,
            format,
            sequence,
            notification_id: None,
            sent,
            sent_at: now,
            confirmed_at: now,
            is_changed: false,
            is_waiting: false,
        }
    }

    /// A value at or beneath the path changed; `current` is what a Read would now answer.
    pub fn note_change(&mut self, current: &[Record], attributes: &Attributes) {
        self.is_changed = passes(&self.sent, current, attributes);
    }

    /// When the next notification is due; None: not before something changes.
    pub fn due(&self, attributes: &Attributes) -> Option<Instant> {
        let earliest = self.sent_at + seconds(attributes.pmin.unwrap_or_default());
        // Core 1.1 §5.1.2: a pmax below pmin is ignored.
        let latest = attributes
            .pmax
            .filter(|&pmax| pmax > 0 && pmax >= attributes.pmin.unwrap_or_default())
            .map(|pmax| self.sent_at + seconds(pmax));
        if self.is_changed { Some(earliest) } else { latest }
    }

    /// Whether a notification that leaves now has to be confirmable.
    pub fn must_be_confirmed(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.confirmed_at) >= CONFIRM_WITHIN
    }

    /// The last notification takes the place of one that is still repeated.
    pub fn note_waiting(&mut self) {
        self.is_waiting = true;
    }

    /// The observer acknowledged a notification. If a newer one waited to take its place, that never left.
    pub fn note_acknowledged(&mut self) {
        if std::mem::take(&mut self.is_waiting) {
            self.sent.clear();
            self.is_changed = true;
        }
    }

    /// A notification left with these records.
    pub fn note_sent(&mut self, records: Vec<Record>, id: u16, now: Instant, is_confirmable: bool) {
        self.sent = records;
        self.notification_id = Some(id);
        self.sent_at = now;
        if is_confirmable {
            self.confirmed_at = now;
        }
        self.is_changed = false;
    }
}

/// Whether the way from what was sent to what is now is worth a notification.
fn passes(sent: &[Record], current: &[Record], attributes: &Attributes) -> bool {
    let filters = attributes.gt.is_some() || attributes.lt.is_some() || attributes.st.is_some();
    if let ([before], [after], true) = (sent, current, filters)
        && let (Some(before), Some(after)) = (number(&before.value), number(&after.value))
    {
        let crossed = |bound: Option<f64>| bound.is_some_and(|bound| (before > bound) != (after > bound));
        let stepped = attributes.st.is_some_and(|step| (after - before).abs() >= step);
        return crossed(attributes.gt) || crossed(attributes.lt) || stepped;
    }
    let differs = |(before, after): (&Record, &Record)| before.path != after.path || before.value != after.value;
    sent.len() != current.len() || sent.iter().zip(current).any(differs)
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Unsigned(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(u64::from(count))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a test begins at some instant")]
    use super::*;

    fn reading(value: f64) -> Vec<Record> {
        vec![Record::new(Path::of_resource(3303, 0, 5700), Value::Float(value))]
    }

    fn relation(now: Instant) -> Relation {
        Relation::new(Token::EMPTY, Path::of_resource(3303, 0, 5700), 112, 1, reading(9.0), now)
    }

    #[test]
    fn nothing_is_due_while_nothing_changes() {
        let now = Instant::now();

        assert_eq!(relation(now).due(&Attributes::default()), None);
    }

    #[test]
    fn a_change_is_due_at_once_or_after_pmin() {
        let now = Instant::now();
        let slow = Attributes { pmin: Some(10), ..Attributes::default() };
        let mut relation = relation(now);

        relation.note_change(&reading(9.5), &slow);

        assert_eq!(relation.due(&Attributes::default()), Some(now));
        assert_eq!(relation.due(&slow), Some(now + Duration::from_secs(10)));
    }

    #[test]
    fn pmax_is_due_without_a_change_unless_it_contradicts_pmin() {
        let now = Instant::now();
        let minute = Attributes { pmax: Some(60), ..Attributes::default() };
        let contradiction = Attributes { pmin: Some(90), ..minute };

        assert_eq!(relation(now).due(&minute), Some(now + Duration::from_secs(60)));
        assert_eq!(relation(now).due(&contradiction), None);
    }

    #[test]
    fn bounds_and_steps_let_through_only_what_crosses_them() {
        let now = Instant::now();
        let filters = Attributes { gt: Some(10.0), lt: Some(5.0), st: Some(3.0), ..Attributes::default() };
        let mut relation = relation(now);

        relation.note_change(&reading(9.9), &filters);
        assert_eq!(relation.due(&filters), None);

        relation.note_change(&reading(10.1), &filters);
        assert_eq!(relation.due(&filters), Some(now));

        relation.note_sent(reading(10.1), 1, now, false);
        relation.note_change(&reading(7.1), &filters);
        assert_eq!(relation.due(&filters), Some(now), "back below the bound is a crossing, and a step of three");
    }

    #[test]
    fn once_a_day_the_observer_is_asked_whether_it_is_there() {
        let now = Instant::now();
        let mut relation = relation(now);

        relation.note_sent(reading(9.1), 1, now + CONFIRM_WITHIN / 2, false);
        assert!(!relation.must_be_confirmed(now + CONFIRM_WITHIN / 2));
        assert!(relation.must_be_confirmed(now + CONFIRM_WITHIN));

        relation.note_sent(reading(9.2), 1, now + CONFIRM_WITHIN, true);
        assert!(!relation.must_be_confirmed(now + CONFIRM_WITHIN * 3 / 2));
    }

    #[test]
    fn a_change_that_goes_back_before_pmin_is_no_change() {
        let now = Instant::now();
        let mut relation = relation(now);

        relation.note_change(&reading(9.5), &Attributes::default());
        relation.note_change(&reading(9.0), &Attributes::default());

        assert_eq!(relation.due(&Attributes::default()), None);
    }
}

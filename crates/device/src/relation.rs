//! Observations that servers hold on this device, and when each of them is due.
//!
//! RFC 7641 carries them; OMA LwM2M Core 1.1 §5.1.2 and §6.4, and Core 1.2 §7.3, say when to notify: not before `pmin`
//! after the last one, at the latest `pmax` after it, and in between only for a change that `gt`, `lt`, `st` and `edge`
//! let through, looked at no more often than every `epmin`. With `hqmax` what cannot be told is kept with its time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use coap::{Sequence, Token};
use lwm2m::{Attributes, Path, Record, Value};

/// Observations one server may hold; the largest profile we know has 12.
pub const RELATIONS_MAX: usize = 64;

/// Paths of one composite observation: a page of values that still fits a few datagrams.
pub const PATHS_MAX: usize = 64;

/// Most values kept of one observation, whatever `hqmax` says: an hour of one a minute, twice over.
const HISTORY_MAX: usize = 128;

/// The same in values, for observations of whole objects: what one notification of a few blocks carries.
const HISTORY_RECORDS_MAX: usize = 1_024;

/// RFC 7641 §4.5: at least this often a notification must be confirmable, so that observers that are gone are noticed.
const CONFIRM_WITHIN: Duration = Duration::from_secs(24 * 60 * 60);

/// One observation.
#[derive(Debug)]
pub struct Relation {
    /// The token of the request that began it; every notification carries it.
    pub token: Token,
    /// What is observed: one path, or those of an Observe-Composite.
    pub paths: Vec<Path>,
    /// It began with a FETCH: best effort, and paths that are not there do not end it.
    pub is_composite: bool,
    /// The content format that was asked for.
    pub format: u16,
    /// What the request itself said (Core 1.2); it goes before what is written to the paths.
    pub own: Attributes,
    /// The numbers of its notifications.
    pub sequence: Sequence,
    /// The message id of its last notification; a reset of that id ends it.
    pub notification_id: Option<u16>,
    sent: Vec<Record>,
    sent_at: Instant,
    evaluated_at: Instant,
    /// When the owner was last asked for fresh values.
    pub wanted_at: Instant,
    /// When the observer was last heard to be there, or was asked.
    confirmed_at: Instant,
    /// Something at or beneath the paths changed since it was last looked at.
    is_touched: bool,
    /// The last notification waits for the fate of a confirmable one before it.
    is_waiting: bool,
    /// Values that could not be told yet, oldest first.
    history: VecDeque<Vec<Record>>,
    /// Values that are on their way and not acknowledged, of an observation that keeps them.
    on_their_way: VecDeque<Vec<Record>>,
    /// Registrations since its own ended; it only keeps values until the server observes the same again.
    ended: Option<u8>,
}

/// How an observation begins.
pub struct Beginning {
    /// The token of its request.
    pub token: Token,
    /// What is observed.
    pub paths: Vec<Path>,
    /// Whether it began with a FETCH.
    pub is_composite: bool,
    /// The content format of its notifications.
    pub format: u16,
    /// The attributes in its request.
    pub own: Attributes,
}

impl Relation {
    /// An observation whose first notification, the answer to the request, carried `sent`.
    pub fn new(beginning: Beginning, first_number: u32, sent: Vec<Record>, now: Instant) -> Self {
        let Beginning { token, paths, is_composite, format, own } = beginning;
        Self {
            token,
            paths,
            is_composite,
            format,
            own,
            sequence: Sequence::starting_at(first_number),
            notification_id: None,
            sent,
            sent_at: now,
            evaluated_at: now,
            wanted_at: now,
            confirmed_at: now,
            is_touched: false,
            is_waiting: false,
            history: VecDeque::new(),
            on_their_way: VecDeque::new(),
            ended: None,
        }
    }

    /// Whether a path is among what is observed, or above or beneath it.
    pub fn concerns(&self, path: &Path) -> bool {
        self.paths.iter().any(|observed| observed.contains(path) || path.contains(observed))
    }

    /// A value at or beneath the paths may have changed.
    pub fn note_change(&mut self) {
        self.is_touched = true;
    }

    /// When it has to be looked at next; None: not before something changes.
    pub fn due(&self, attributes: &Attributes) -> Option<Instant> {
        if self.has_history_to_tell() {
            return Some(self.sent_at);
        }
        let looked = self.evaluated_at + seconds(attributes.epmin.unwrap_or_default());
        let earliest = (self.sent_at + seconds(attributes.pmin.unwrap_or_default())).max(looked);
        let touched = self.is_touched.then_some(earliest);
        touched.into_iter().chain(self.latest(attributes)).min()
    }

    /// When it notifies even without a change. Core 1.1 §5.1.2: a pmax below pmin is ignored.
    fn latest(&self, attributes: &Attributes) -> Option<Instant> {
        let pmax = attributes.pmax.filter(|&pmax| pmax > 0 && pmax >= attributes.pmin.unwrap_or_default());
        pmax.map(|pmax| self.sent_at + seconds(pmax))
    }

    /// Looks at what a Read would now answer, with the attributes in force at each path: is it worth a notification?
    pub fn evaluate(&mut self, now: Instant, current: &[Record], members: &[Attributes], all: &Attributes) -> bool {
        let is_touched = std::mem::take(&mut self.is_touched);
        if is_touched {
            self.evaluated_at = now;
        }
        let beneath = |records: &[Record], path: &Path| -> Vec<Record> {
            records.iter().filter(|record| path.contains(&record.path)).cloned().collect()
        };
        let mut changes = self
            .paths
            .iter()
            .zip(members)
            .map(|(path, attributes)| passes(&beneath(&self.sent, path), &beneath(current, path), attributes));
        let is_worth_it = is_touched && changes.any(|is_change| is_change);
        if members.iter().any(|attributes| attributes.edge.is_some()) {
            self.note_levels(current);
        }
        is_worth_it || self.latest(all).is_some_and(|latest| latest <= now)
    }

    /// An edge begins at the level that was seen last, not at the one that was told last.
    fn note_levels(&mut self, current: &[Record]) {
        for record in self.sent.iter_mut().filter(|record| matches!(record.value, Value::Boolean(_))) {
            if let Some(now) = current.iter().find(|now| now.path == record.path) {
                record.value = now.value.clone();
            }
        }
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
        self.on_their_way.clear();
        if std::mem::take(&mut self.is_waiting) {
            self.sent.clear();
            self.is_touched = true;
        }
    }

    /// The observer did not acknowledge a notification: what it carried is kept, at most `keep` of it.
    pub fn note_timed_out(&mut self, keep: usize) {
        while let Some(entry) = self.on_their_way.pop_back() {
            self.history.push_front(entry);
        }
        self.shorten(keep);
    }

    /// A notification left with these records.
    pub fn note_sent(&mut self, records: Vec<Record>, id: u16, now: Instant, is_confirmable: bool) {
        self.note_told(records, now);
        self.notification_id = Some(id);
        if is_confirmable {
            self.confirmed_at = now;
        }
    }

    fn note_told(&mut self, records: Vec<Record>, now: Instant) {
        self.sent = records;
        self.sent_at = now;
    }

    /// Keeps these values, at most `keep` of them, as they were at a time in Unix seconds (Core 1.2 §7.3, `hqmax`).
    pub fn store(&mut self, records: Vec<Record>, now: Instant, unix_s: f64, keep: usize) {
        self.history.push_back(stamped(&records, unix_s));
        self.shorten(keep);
        self.note_told(records, now);
    }

    fn shorten(&mut self, keep: usize) {
        let keep = keep.min(HISTORY_MAX);
        self.history.drain(..self.history.len().saturating_sub(keep));
        while self.history.len() > 1 && self.history.iter().map(Vec::len).sum::<usize>() > HISTORY_RECORDS_MAX {
            self.history.pop_front();
        }
    }

    /// Nothing is kept any more: the server took `hqmax` back, or wants nothing stored.
    pub fn forget_history(&mut self) {
        self.history.clear();
    }

    /// Whether values wait that can be told now.
    pub fn has_history_to_tell(&self) -> bool {
        !self.history.is_empty() && self.on_their_way.is_empty() && self.ended.is_none()
    }

    /// Whether values are on their way that are kept until they are acknowledged.
    pub fn is_unacknowledged(&self) -> bool {
        !self.on_their_way.is_empty()
    }

    /// What the next notification carries beside the `newest` values: all that was kept, which is now on its way.
    pub fn take_history(&mut self, newest: Option<(&[Record], f64)>) -> Vec<Record> {
        let newest = newest.map(|(records, unix_s)| stamped(records, unix_s));
        self.on_their_way = std::mem::take(&mut self.history);
        self.on_their_way.extend(newest);
        self.on_their_way.iter().flatten().cloned().collect()
    }

    /// Its registration is over: it notifies nobody any more and only keeps values.
    pub fn end(&mut self, keep: usize) {
        self.note_timed_out(keep);
        self.is_waiting = false;
        self.ended.get_or_insert(0);
    }

    /// Whether its registration is over.
    pub fn is_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// There is a new registration. False when the server did not observe this again in the one before.
    pub fn note_registered(&mut self) -> bool {
        let Some(registrations) = &mut self.ended else { return true };
        *registrations += 1;
        *registrations < 2
    }

    /// Goes on with what an observation of an earlier registration kept.
    pub fn inherit(&mut self, earlier: Self) {
        self.history = earlier.history;
    }
}

/// The attributes of all paths in one, with which a composite observation keeps time: no path is told more often than its
/// `pmin` wants, and each at least as often as its `pmax` does.
pub fn combined(members: &[Attributes]) -> Attributes {
    let of = |field: fn(&Attributes) -> Option<u32>| members.iter().filter_map(field);
    let is_any = |field: fn(&Attributes) -> Option<bool>| members.iter().filter_map(field).reduce(|a, b| a || b);
    Attributes {
        pmin: of(|one| one.pmin).max(),
        pmax: of(|one| one.pmax).filter(|pmax| *pmax > 0).min(),
        epmin: of(|one| one.epmin).max(),
        epmax: of(|one| one.epmax).min(),
        con: is_any(|one| one.con),
        hqmax: of(|one| one.hqmax).max(),
        ..Attributes::default()
    }
}

/// Whether the way from what was sent to what is now is worth a notification.
fn passes(sent: &[Record], current: &[Record], attributes: &Attributes) -> bool {
    let differs = |(before, after): (&Record, &Record)| before.path != after.path;
    if sent.len() != current.len() || sent.iter().zip(current).any(differs) {
        return true;
    }
    sent.iter().zip(current).any(|(before, after)| passes_value(&before.value, &after.value, attributes))
}

fn passes_value(before: &Value, after: &Value, attributes: &Attributes) -> bool {
    if before == after {
        return false;
    }
    if let (Value::Boolean(_), Value::Boolean(after), Some(edge)) = (before, after, attributes.edge) {
        return *after == edge;
    }
    let has_filter = attributes.gt.is_some() || attributes.lt.is_some() || attributes.st.is_some();
    if let (Some(before), Some(after), true) = (number(before), number(after), has_filter) {
        let crossed = |bound: Option<f64>| bound.is_some_and(|bound| (before > bound) != (after > bound));
        let stepped = attributes.st.is_some_and(|step| (after - before).abs() >= step);
        return crossed(attributes.gt) || crossed(attributes.lt) || stepped;
    }
    true
}

fn stamped(records: &[Record], unix_s: f64) -> Vec<Record> {
    records.iter().map(|record| Record { time: Some(unix_s), ..record.clone() }).collect()
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

    const PATH: Path = Path::of_resource(3303, 0, 5700);

    fn reading(value: f64) -> Vec<Record> {
        vec![Record::new(PATH, Value::Float(value))]
    }

    fn relation(now: Instant) -> Relation {
        let own = Attributes::default();
        let beginning = Beginning { token: Token::EMPTY, paths: vec![PATH], is_composite: false, format: 112, own };
        Relation::new(beginning, 1, reading(9.0), now)
    }

    /// Whether a change to this value is worth a notification.
    fn tells(relation: &mut Relation, now: Instant, value: f64, attributes: &Attributes) -> bool {
        relation.note_change();
        relation.evaluate(now, &reading(value), &[*attributes], attributes)
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

        relation.note_change();

        assert_eq!(relation.due(&Attributes::default()), Some(now));
        assert_eq!(relation.due(&slow), Some(now + Duration::from_secs(10)));
    }

    #[test]
    fn it_is_looked_at_no_more_often_than_epmin() {
        let now = Instant::now();
        let lazy = Attributes { epmin: Some(30), gt: Some(100.0), ..Attributes::default() };
        let mut relation = relation(now);
        let later = now + Duration::from_secs(40);

        assert!(!tells(&mut relation, later, 50.0, &lazy), "looked at, and not worth a word");
        relation.note_change();

        assert_eq!(relation.due(&lazy), Some(later + Duration::from_secs(30)));
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

        assert!(!tells(&mut relation, now, 9.9, &filters));
        assert!(tells(&mut relation, now, 10.1, &filters));

        relation.note_sent(reading(10.1), 1, now, false);
        assert!(tells(&mut relation, now, 7.1, &filters), "back below the bound is a crossing, and a step of three");
    }

    #[test]
    fn an_edge_lets_through_one_way_only() {
        let (off, on) = (Value::Boolean(false), Value::Boolean(true));
        let rising = Attributes { edge: Some(true), ..Attributes::default() };
        let falling = Attributes { edge: Some(false), ..Attributes::default() };

        assert!(passes_value(&off, &on, &rising) && !passes_value(&on, &off, &rising));
        assert!(passes_value(&on, &off, &falling) && !passes_value(&off, &on, &falling));
        assert!(passes_value(&on, &off, &Attributes::default()));
    }

    #[test]
    fn what_could_not_be_told_is_kept_the_newest_first_of_all() {
        let now = Instant::now();
        let mut relation = relation(now);
        for (at, value) in [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)] {
            relation.store(reading(value), now, at, 2);
        }

        let told = relation.take_history(Some((&reading(4.0), 4.0)));
        relation.note_timed_out(3);
        let again = relation.take_history(None);

        let times = |records: &[Record]| records.iter().filter_map(|record| record.time).collect::<Vec<_>>();
        assert_eq!(times(&told), [2.0, 3.0, 4.0]);
        assert_eq!(times(&again), [2.0, 3.0, 4.0], "nobody acknowledged them");
        relation.note_acknowledged();
        assert!(relation.take_history(None).is_empty());
    }

    #[test]
    fn what_is_kept_is_bounded_whatever_a_server_asks_for() {
        let now = Instant::now();
        let (mut small, mut large) = (relation(now), relation(now));
        let many: Vec<Record> =
            (0..400).map(|id| Record::new(Path::of_resource(3303, id, 5700), Value::Float(1.0))).collect();
        for at in 0..1_000 {
            small.store(reading(1.0), now, f64::from(at), usize::MAX);
            large.store(many.clone(), now, f64::from(at), usize::MAX);
        }

        assert_eq!(small.take_history(None).len(), HISTORY_MAX);
        assert_eq!(large.take_history(None).len(), 800);
    }

    #[test]
    fn several_paths_keep_the_time_of_the_most_patient_and_of_the_least() {
        let slow = Attributes { pmin: Some(10), pmax: Some(600), ..Attributes::default() };
        let quick = Attributes { pmin: Some(1), pmax: Some(60), con: Some(true), ..Attributes::default() };

        let both = combined(&[slow, quick]);

        assert_eq!((both.pmin, both.pmax, both.con), (Some(10), Some(60), Some(true)));
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
    fn a_change_that_goes_back_before_it_is_looked_at_is_no_change() {
        let now = Instant::now();
        let mut relation = relation(now);

        relation.note_change();

        assert!(!tells(&mut relation, now, 9.0, &Attributes::default()));
    }
}

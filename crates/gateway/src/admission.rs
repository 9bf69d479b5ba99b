//! Who may begin a handshake now, when thousands want to: so many that whoever is in already is served as before.
//!
//! A hello over a limit is dropped, not refused: its sender repeats it, later each time (RFC 6347 §4.2.4.1), and a refusal
//! would make some devices give up for good. Only hellos that brought our cookie get here, so an address is true. Over a
//! connection nobody repeats anything: there a hello waits for its turn (`openings.rs`), and pays from the same account.
//!
//! The share of a shard is for when others want the rest. A hello behind which nothing waits delays nobody by more than its
//! own work, so only the bounds of its network and of half-open handshakes hold for it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ahash::RandomState;

use crate::limits::{
    HALF_OPEN_MAX, HALF_OPEN_PER_NETWORK_MAX, HANDSHAKES_BURST, HANDSHAKES_PER_NETWORK_BURST, HANDSHAKES_SHARE,
    HANDSHAKES_SHARE_OF_NETWORK, NETWORKS_MAX, OPENINGS_BURST,
};
use crate::peers::network;

/// Why a hello has to come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// The shard's share of work for handshakes is used up.
    Shard,
    /// That of the network the hello came from is.
    Network,
    /// Too many handshakes are under way.
    HalfOpen,
    /// Too many of that network are.
    HalfOpenOfNetwork,
}

/// What handshakes may cost: the moment when all that was taken on will be paid for.
#[derive(Debug, Clone, Copy)]
struct Account {
    paid_at: Instant,
}

impl Account {
    fn has_credit(self, now: Instant, burst: Duration) -> bool {
        self.paid_at <= now + burst
    }

    fn charge(&mut self, now: Instant, cost: Duration) {
        self.paid_at = self.paid_at.max(now) + cost;
    }

    fn give_back(&mut self, cost: Duration) {
        self.paid_at = self.paid_at.checked_sub(cost).unwrap_or(self.paid_at);
    }
}

struct Network {
    account: Account,
    half_open: usize,
}

/// The handshakes of a shard.
pub(crate) struct Admission {
    account: Account,
    networks: HashMap<IpAddr, Network, RandomState>,
    /// From which network the peer in a place shakes hands.
    half_open: HashMap<u32, IpAddr, RandomState>,
}

impl Admission {
    pub(crate) fn new(now: Instant, hasher: RandomState) -> Self {
        Self {
            account: Account { paid_at: now },
            networks: HashMap::with_hasher(hasher.clone()),
            half_open: HashMap::with_hasher(hasher),
        }
    }

    /// Lets a handshake that will take `cost` of processor time begin, or says what it waits for. `more_waits` behind it
    /// in the kernel, or nothing does.
    pub(crate) fn admit(&mut self, now: Instant, from: IpAddr, cost: Duration, more_waits: bool) -> Result<(), Wait> {
        if self.half_open.len() >= HALF_OPEN_MAX {
            return Err(Wait::HalfOpen);
        }
        let of_network = self.networks.get(&network(from)).map_or(0, |network| network.half_open);
        if of_network >= HALF_OPEN_PER_NETWORK_MAX {
            return Err(Wait::HalfOpenOfNetwork);
        }
        self.pay(now, from, cost, HANDSHAKES_BURST, more_waits)
    }

    /// The same over a connection: whether there is room for it was known when it was made.
    pub(crate) fn admit_connected(&mut self, now: Instant, from: IpAddr, cost: Duration) -> Result<(), Wait> {
        self.pay(now, from, cost, HANDSHAKES_BURST + OPENINGS_BURST, true)
    }

    fn pay(
        &mut self,
        now: Instant,
        from: IpAddr,
        cost: Duration,
        burst: Duration,
        more_waits: bool,
    ) -> Result<(), Wait> {
        let has_credit = self.account.has_credit(now, burst);
        if !has_credit && more_waits {
            return Err(Wait::Shard);
        }
        let address = network(from);
        if self.networks.len() >= NETWORKS_MAX && !self.networks.contains_key(&address) {
            self.networks.retain(|_, network| network.half_open > 0 || network.account.paid_at > now);
            if self.networks.len() >= NETWORKS_MAX {
                return Err(Wait::Network);
            }
        }
        let fresh = Network { account: Account { paid_at: now }, half_open: 0 };
        let network = self.networks.entry(address).or_insert(fresh);
        if !network.account.has_credit(now, HANDSHAKES_PER_NETWORK_BURST) {
            return Err(Wait::Network);
        }
        network.account.charge(now, cost * HANDSHAKES_SHARE_OF_NETWORK);
        // What was free because nobody waited is no debt of those who come when somebody does.
        if has_credit {
            self.account.charge(now, cost * HANDSHAKES_SHARE);
        }
        Ok(())
    }

    /// An admitted handshake turned out to be cheaper by so much.
    pub(crate) fn give_back(&mut self, from: IpAddr, cost: Duration) {
        self.account.give_back(cost * HANDSHAKES_SHARE);
        if let Some(network) = self.networks.get_mut(&network(from)) {
            network.account.give_back(cost * HANDSHAKES_SHARE_OF_NETWORK);
        }
    }

    /// The peer in this place shakes hands from now on.
    pub(crate) fn begin(&mut self, place: u32, from: IpAddr) {
        let address = network(from);
        if let Some(network) = self.networks.get_mut(&address) {
            network.half_open += 1;
            self.half_open.insert(place, address);
        }
    }

    /// It does so no longer, if it did: it is through, or gone.
    pub(crate) fn end(&mut self, place: u32) {
        if let Some(network) = self.half_open.remove(&place).and_then(|address| self.networks.get_mut(&address)) {
            network.half_open -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)] // one true moment to count from
    use super::*;
    use crate::limits::{HANDSHAKE_COST_CERTIFICATE, HANDSHAKE_COST_PSK};

    fn admission() -> (Admission, Instant) {
        let now = Instant::now();
        (Admission::new(now, RandomState::with_seeds(1, 2, 3, 4)), now)
    }

    fn address(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    /// How many of endless hellos are let in within a time, each from the next of so many networks, and soon through.
    fn let_in(admission: &mut Admission, start: Instant, time: Duration, networks: u32, cost: Duration) -> u32 {
        let (mut count, mut at) = (0, start);
        while at < start + time {
            for number in 0..networks {
                if admission.admit(at, address(number), cost, true).is_ok() {
                    count += 1;
                }
            }
            at += Duration::from_micros(500);
        }
        count
    }

    #[test]
    fn half_of_the_processor_goes_to_handshakes_and_no_more_in_one_go_than_the_burst() {
        for cost in [HANDSHAKE_COST_PSK, HANDSHAKE_COST_CERTIFICATE] {
            let (mut admission, now) = admission();
            let at_once = let_in(&mut admission, now, Duration::from_nanos(1), 3_000, cost);
            let later = let_in(&mut admission, now + Duration::from_secs(1), Duration::from_secs(1), 100, cost);

            let work = |count| cost * count;
            assert!(work(at_once) <= HANDSHAKES_BURST / HANDSHAKES_SHARE + cost, "{at_once} at once");
            let share = (work(later) - HANDSHAKES_BURST / HANDSHAKES_SHARE).as_secs_f64();
            assert!((0.49..0.51).contains(&share), "{share} of a second, {later} handshakes");
        }
    }

    #[test]
    fn behind_whom_nobody_waits_gets_all_the_time_there_is_and_owes_nothing() {
        let (mut admission, now) = admission();
        let alone: Vec<_> =
            (0..3_000).map(|number| admission.admit(now, address(number), HANDSHAKE_COST_PSK, false)).collect();
        assert!(alone.iter().all(Result::is_ok));
        assert_eq!(admission.admit(now, address(3_000), HANDSHAKE_COST_PSK, true), Err(Wait::Shard));

        let later = now + HANDSHAKES_BURST;
        let at_once = let_in(&mut admission, later, Duration::from_nanos(1), 3_000, HANDSHAKE_COST_PSK);
        assert_eq!(HANDSHAKE_COST_PSK * at_once, HANDSHAKES_BURST / HANDSHAKES_SHARE);
    }

    #[test]
    fn one_network_gets_no_more_than_its_share_though_nobody_waits() {
        let (mut admission, now) = admission();
        let wait = (0..9_000).find_map(|_| admission.admit(now, address(1), HANDSHAKE_COST_PSK, false).err());
        assert_eq!(wait, Some(Wait::Network));
    }

    #[test]
    fn one_network_cannot_take_the_place_of_the_others() {
        let (mut admission, now) = admission();
        let (mut of_one, mut of_others) = (0_u32, 0_u32);
        for step in 0..10_000_u32 {
            let at = now + Duration::from_millis(1) * step;
            for _ in 0..20 {
                of_one += u32::from(admission.admit(at, address(1), HANDSHAKE_COST_CERTIFICATE, true).is_ok());
            }
            let other = admission.admit(at, address(1_000 + step), HANDSHAKE_COST_CERTIFICATE, true).is_ok();
            // The first second it lives on what it had saved.
            of_others += u32::from(other && step >= 1_000);
        }

        assert_eq!(of_others, 9_000, "a thousand others a second do not notice");
        let share = (HANDSHAKE_COST_CERTIFICATE * of_one).as_secs_f64() / 10.0;
        assert!((0.10..0.15).contains(&share), "{share}");
    }

    #[test]
    fn those_who_wait_at_connections_get_half_when_datagrams_want_everything() {
        let (mut admission, now) = admission();
        let (mut in_datagrams, mut waiting) = (0_u32, 0_u32);
        for step in 0..20_000_u32 {
            let at = now + Duration::from_micros(100) * step;
            while admission.admit(at, address(2 * step + in_datagrams), HANDSHAKE_COST_PSK, true).is_ok() {
                in_datagrams += 1;
            }
            if step % 100 == 0 {
                while admission.admit_connected(at, address(1_000_000 + waiting), HANDSHAKE_COST_PSK).is_ok() {
                    waiting += 1;
                }
            }
        }

        let share = f64::from(waiting) / f64::from(waiting + in_datagrams);
        // The burst at the beginning went to whoever came first.
        assert!((0.42..0.52).contains(&share), "{share}");
        let of_processor = (HANDSHAKE_COST_PSK * (waiting + in_datagrams)).as_secs_f64() / 2.0;
        assert!((0.49..0.54).contains(&of_processor), "both together {of_processor}");
    }

    #[test]
    fn half_open_handshakes_are_bounded_in_all_and_for_each_network() {
        let (mut admission, mut now) = admission();
        let mut open = |admission: &mut Admission, place: usize, from: u32| {
            now += Duration::from_millis(5);
            let admitted = admission.admit(now, address(from), HANDSHAKE_COST_PSK, true);
            if admitted.is_ok() {
                admission.begin(place as u32, address(from));
            }
            admitted
        };
        for place in 0..HALF_OPEN_PER_NETWORK_MAX {
            assert_eq!(open(&mut admission, place, 1), Ok(()));
        }
        assert_eq!(open(&mut admission, 9_999, 1), Err(Wait::HalfOpenOfNetwork));
        for place in HALF_OPEN_PER_NETWORK_MAX..HALF_OPEN_MAX {
            assert_eq!(open(&mut admission, place, 1_000 + place as u32), Ok(()));
        }
        assert_eq!(open(&mut admission, 9_999, 2), Err(Wait::HalfOpen));

        admission.end(0);
        admission.end(0);
        assert_eq!(open(&mut admission, 0, 1), Ok(()), "one is through");
        assert_eq!(open(&mut admission, 9_999, 2), Err(Wait::HalfOpen), "and only one");
    }

    #[test]
    fn what_is_remembered_of_networks_is_bounded() {
        let (mut admission, now) = admission();
        for number in 0..3 * NETWORKS_MAX as u32 {
            let at = now + Duration::from_millis(1) * number;
            assert_eq!(admission.admit(at, address(number), HANDSHAKE_COST_PSK, true), Ok(()));
            assert!(admission.networks.len() <= NETWORKS_MAX);
        }
    }

    #[test]
    fn a_handshake_that_goes_on_from_a_session_costs_no_more_than_one_with_a_key() {
        let (mut admission, now) = admission();
        let mut count = 0;
        while admission.admit(now, address(count), HANDSHAKE_COST_CERTIFICATE, true).is_ok() {
            admission.give_back(address(count), HANDSHAKE_COST_CERTIFICATE - HANDSHAKE_COST_PSK);
            count += 1;
        }
        let mut other = Admission::new(now, RandomState::with_seeds(1, 2, 3, 4));
        assert_eq!(count, let_in(&mut other, now, Duration::from_nanos(1), 3_000, HANDSHAKE_COST_PSK));
    }

    #[test]
    fn sixty_four_bits_of_an_address_are_one_network() {
        let (mut admission, now) = admission();
        let address = |host: u128| IpAddr::from((0x2001_0db8_u128 << 96 | host).to_be_bytes());
        let count =
            (0..3_000).filter(|host| admission.admit(now, address(*host), HANDSHAKE_COST_PSK, true).is_ok()).count();

        assert!(count > 0);
        assert_eq!(admission.networks.len(), 1);
    }
}

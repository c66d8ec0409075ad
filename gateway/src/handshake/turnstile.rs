//! How many handshakes a worker goes on with between two turns of its ring.
//!
//! A step of a handshake takes as long as relaying some ten messages. Were all that wait taken up at once,
//! established connections would wait for the whole crowd: so few go on before everything else that is
//! ready has been served. Tenants take turns, and who comes to a tenant whose line is full is turned away
//! at once, before any cryptography.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::{Notify, oneshot};

use crate::limits::HANDSHAKES_WAITING;
use crate::metrics::Counters;

/// Where the handshakes of one worker wait.
pub struct Turnstile {
    lines: RefCell<Lines>,
    used: Notify,
    counters: Arc<Counters>,
}

/// The tenant's line is full.
#[derive(Debug, PartialEq, Eq)]
pub struct Crowded;

impl Turnstile {
    /// Lets `per_turn` of them go on between two turns, and counts those that wait for another one.
    pub fn new(per_turn: usize, counters: Arc<Counters>) -> Turnstile {
        Turnstile {
            lines: RefCell::new(Lines::new(per_turn)),
            used: Notify::new(),
            counters,
        }
    }

    /// From now on lets `per_turn` of them go on between two turns.
    pub fn let_through(&self, per_turn: usize) {
        self.lines.borrow_mut().per_turn = per_turn;
    }

    /// Waits until a new handshake of `tenant` may begin.
    ///
    /// # Errors
    /// [`Crowded`]
    pub async fn begin(&self, tenant: &Rc<str>) -> Result<(), Crowded> {
        let place = self.lines.borrow_mut().begin(tenant)?;
        self.wait(place).await;
        Ok(())
    }

    /// Waits until a handshake that has begun may go on. It goes before those that have not.
    pub async fn go_on(&self, tenant: &Rc<str>) {
        let place = self.lines.borrow_mut().go_on(tenant);
        self.wait(place).await;
    }

    async fn wait(&self, place: Place) {
        self.used.notify_one();
        if let Place::InLine(called) = place {
            self.counters.handshake_waits();
            // It is dropped only with the worker.
            let _ = called.await;
        }
    }

    /// Lets those that wait go on, for as long as the worker lives.
    pub async fn tend(&self) {
        loop {
            self.used.notified().await;
            loop {
                sealgate_uring::turn().await;
                if self.lines.borrow_mut().turn() == 0 {
                    break;
                }
            }
        }
    }
}

/// A line for each tenant.
struct Lines {
    /// May go on in a turn.
    per_turn: usize,
    /// Went on since the last turn.
    passed: usize,
    by_tenant: HashMap<Rc<str>, VecDeque<oneshot::Sender<()>>>,
    /// The tenants of whom somebody waits; the first is next.
    order: VecDeque<Rc<str>>,
}

/// What one is given on arrival.
#[derive(Debug)]
enum Place {
    /// Nobody waits, and this turn has room.
    Free,
    /// Until this is called.
    InLine(oneshot::Receiver<()>),
}

impl Lines {
    fn new(per_turn: usize) -> Lines {
        Lines {
            per_turn,
            passed: 0,
            by_tenant: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    fn begin(&mut self, tenant: &Rc<str>) -> Result<Place, Crowded> {
        let waiting = self.by_tenant.get(tenant).map_or(0, VecDeque::len);
        match waiting < HANDSHAKES_WAITING {
            true => Ok(self.join(tenant, VecDeque::push_back)),
            false => Err(Crowded),
        }
    }

    fn go_on(&mut self, tenant: &Rc<str>) -> Place {
        self.join(tenant, VecDeque::push_front)
    }

    fn join(
        &mut self,
        tenant: &Rc<str>,
        push: impl FnOnce(&mut VecDeque<oneshot::Sender<()>>, oneshot::Sender<()>),
    ) -> Place {
        if self.order.is_empty() && self.passed < self.per_turn {
            self.passed += 1;
            return Place::Free;
        }
        let (call, called) = oneshot::channel();
        let line = self.by_tenant.entry(Rc::clone(tenant)).or_insert_with(|| {
            self.order.push_back(Rc::clone(tenant));
            VecDeque::new()
        });
        push(line, call);
        Place::InLine(called)
    }

    /// The ring has turned: calls the next ones, and gives how many.
    fn turn(&mut self) -> usize {
        self.passed = 0;
        while self.passed < self.per_turn
            && let Some(tenant) = self.order.pop_front()
        {
            let Some(line) = self.by_tenant.get_mut(&tenant) else {
                continue;
            };
            // Who has given up meanwhile costs nobody a place.
            let called = line.pop_front().is_some_and(|call| call.send(()).is_ok());
            self.passed += usize::from(called);
            if line.is_empty() {
                self.by_tenant.remove(&tenant);
            } else {
                self.order.push_back(tenant);
            }
        }
        self.passed
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use sealgate_uring::{run, spawn};

    use super::*;

    const PER_TURN: usize = 2;

    fn tenants() -> (Rc<str>, Rc<str>) {
        ("loud".into(), "quiet".into())
    }

    fn receiver(place: Place) -> oneshot::Receiver<()> {
        match place {
            Place::InLine(called) => called,
            Place::Free => panic!("there was room"),
        }
    }

    #[test]
    fn a_turn_has_so_much_room_and_the_rest_waits_in_order() {
        let (loud, _) = tenants();
        let mut lines = Lines::new(PER_TURN);
        for _ in 0..PER_TURN {
            assert!(matches!(lines.begin(&loud).unwrap(), Place::Free));
        }
        let mut waiting: Vec<_> = (0..PER_TURN * 2)
            .map(|_| receiver(lines.begin(&loud).unwrap()))
            .collect();
        assert_eq!(lines.turn(), PER_TURN);
        for (place, called) in waiting.iter_mut().enumerate() {
            assert_eq!(called.try_recv().is_ok(), place < PER_TURN);
        }
        assert_eq!(lines.turn(), PER_TURN);
        assert_eq!(lines.turn(), 0);
        assert!(lines.by_tenant.is_empty());
        assert!(matches!(lines.begin(&loud).unwrap(), Place::Free));
    }

    #[test]
    fn another_number_holds_from_the_next_turn_on() {
        let (loud, _) = tenants();
        let turnstile = Turnstile::new(PER_TURN, Arc::default());
        let mut lines = turnstile.lines.borrow_mut();
        let crowd: Vec<_> = (0..100).map(|_| lines.begin(&loud).unwrap()).collect();
        assert_eq!(lines.turn(), PER_TURN);
        drop(lines);
        turnstile.let_through(50);
        assert_eq!(turnstile.lines.borrow_mut().turn(), 50);
        drop(crowd);
    }

    #[test]
    fn a_tenant_of_whom_one_waits_is_served_next_to_one_of_whom_hundreds_do() {
        let (loud, quiet) = tenants();
        let mut lines = Lines::new(PER_TURN);
        let crowd: Vec<_> = (0..500).map(|_| lines.begin(&loud).unwrap()).collect();
        let mut one = receiver(lines.begin(&quiet).unwrap());
        let turns = 2_usize.div_ceil(PER_TURN);
        for _ in 0..turns {
            lines.turn();
        }
        one.try_recv().expect("called among the first");
        drop(crowd);
    }

    #[test]
    fn a_full_line_turns_away_its_own_tenant_only_and_nobody_who_has_begun() {
        let (loud, quiet) = tenants();
        let mut lines = Lines::new(PER_TURN);
        let crowd: Vec<_> = (0..PER_TURN + HANDSHAKES_WAITING)
            .map(|_| lines.begin(&loud).unwrap())
            .collect();
        assert_eq!(lines.begin(&loud).unwrap_err(), Crowded);
        lines.begin(&quiet).expect("another tenant");
        let mut begun = receiver(lines.go_on(&loud));
        lines.turn();
        begun.try_recv().expect("goes before those that wait");
        drop(crowd);
    }

    #[test]
    fn who_has_given_up_takes_nobodys_place() {
        let (loud, _) = tenants();
        let mut lines = Lines::new(PER_TURN);
        let mut crowd: Vec<_> = (0..PER_TURN * 3)
            .map(|_| lines.begin(&loud).unwrap())
            .collect();
        let last: Vec<_> = crowd.split_off(PER_TURN * 2);
        drop(crowd);
        assert_eq!(lines.turn(), PER_TURN);
        assert!(
            last.into_iter()
                .all(|place| receiver(place).try_recv().is_ok())
        );
    }

    #[test]
    fn others_are_served_between_so_many_handshakes() {
        let (loud, _) = tenants();
        let most_between = run(async move {
            let turnstile = Rc::new(Turnstile::new(PER_TURN, Arc::default()));
            let tended = Rc::clone(&turnstile);
            spawn(async move { tended.tend().await });
            let since = Rc::new(Cell::new(0));
            let crowd: Vec<_> = (0..100)
                .map(|_| {
                    let (turnstile, since, loud) =
                        (Rc::clone(&turnstile), Rc::clone(&since), Rc::clone(&loud));
                    spawn(async move {
                        turnstile.begin(&loud).await.unwrap();
                        since.set(since.get() + 1);
                    })
                })
                .collect();
            let mut most_between = 0;
            while crowd.iter().any(|task| !task.is_finished()) {
                tokio::task::yield_now().await;
                most_between = most_between.max(since.replace(0));
            }
            most_between
        })
        .unwrap();
        assert!(
            (1..=PER_TURN * 2).contains(&most_between),
            "{most_between} handshakes went on at once"
        );
    }
}

//! Where free connections wait for their next operation: in turn, so that all are used alike.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
};

use tokio::sync::Notify;

use crate::schedule::Arrival;

/// The seats of one worker's connections.
#[derive(Debug)]
pub struct Seats {
    seats: Vec<Seat>,
    idle: RefCell<VecDeque<usize>>,
    /// Operations that were handed to connections that have not woken yet.
    handed: Cell<usize>,
}

#[derive(Debug, Default)]
struct Seat {
    handed: Cell<Option<Arrival>>,
    woken: Notify,
}

impl Seats {
    /// Seats for `connections` connections.
    pub fn new(connections: usize) -> Self {
        Self {
            seats: (0..connections).map(|_| Seat::default()).collect(),
            // Never longer than there are seats.
            idle: RefCell::new(VecDeque::with_capacity(connections)),
            handed: Cell::new(0),
        }
    }

    /// Whether a connection waits.
    pub fn any_idle(&self) -> bool {
        !self.idle.borrow().is_empty()
    }

    /// Whether an operation is on its way to a connection.
    pub fn any_handed(&self) -> bool {
        self.handed.get() > 0
    }

    /// Waits on `seat` for an operation; none when nothing more comes.
    pub async fn wait(&self, seat: usize) -> Option<Arrival> {
        self.idle.borrow_mut().push_back(seat);
        self.seats[seat].woken.notified().await;
        let arrival = self.seats[seat].handed.take();
        if arrival.is_some() {
            self.handed.set(self.handed.get().saturating_sub(1));
        }
        arrival
    }

    /// Hands an operation to the connection that waits longest. There has to be one.
    pub fn hand(&self, arrival: Arrival) {
        if let Some(first) = self.idle.borrow_mut().pop_front() {
            self.seats[first].handed.set(Some(arrival));
            self.handed.set(self.handed.get() + 1);
            self.seats[first].woken.notify_one();
        }
    }

    /// Wakes all that wait, with nothing.
    pub fn wake_all(&self) {
        for seat in self.idle.borrow_mut().drain(..) {
            self.seats[seat].woken.notify_one();
        }
    }
}

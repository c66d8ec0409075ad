//! Several loads behind one another on connections that stand: how a worker ends one and begins
//! the next.
//!
//! ```text
//! Order::Start -> load -> settled -> rest, Finished -> Order::Again -> load -> ... -> orders closed
//! ```
//!
//! Between two loads nothing is under way, so no operation of one is counted in another.

use std::{
    cell::Cell,
    io,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::sync::{Notify, watch};

use super::{Load, Loads, Message, Order, Worker, pace_until_stopped, slot::Slot};
use crate::{measure::recorder::Moments, schedule::Loop};

/// Operations sent this long behind the last planned start, or later, were not sent in time.
const GRACE: Duration = Duration::from_millis(100);

/// The moments that the recorder has to know of a load.
pub fn moments(load: &Load) -> Moments {
    Moments {
        measured_from: load.extent.warmup,
        in_time_until: load.planned_until().map(|until| until + GRACE),
    }
}

/// Where a worker is in its loads.
#[derive(Debug, Default)]
pub struct Round {
    /// Which load, from 0.
    load: Cell<u32>,
    /// Whether no other load follows.
    last: Cell<bool>,
    /// Operations that slots have taken and that have not ended.
    under_way: Cell<usize>,
    /// Slots that have not left.
    slots: Cell<usize>,
    /// Something of the above became less, or the backlog was given up.
    less: Notify,
    /// Another load has begun, or none will.
    begun: Notify,
}

impl Round {
    /// The first load on so many slots.
    pub fn of(slots: usize) -> Self {
        Self {
            slots: Cell::new(slots),
            ..Self::default()
        }
    }

    /// A slot takes an operation.
    pub fn take(&self, of_slot: &Cell<usize>) {
        of_slot.set(of_slot.get() + 1);
        self.under_way.set(self.under_way.get() + 1);
    }

    /// An operation of a slot ends.
    pub fn end(&self, of_slot: &Cell<usize>) {
        of_slot.set(of_slot.get().saturating_sub(1));
        self.under_way.set(self.under_way.get().saturating_sub(1));
        if self.under_way.get() == 0 {
            self.changed();
        }
    }

    /// A slot leaves with operations that will never end.
    pub fn leave(&self, unended: usize) {
        self.under_way
            .set(self.under_way.get().saturating_sub(unended));
        self.slots.set(self.slots.get().saturating_sub(1));
        self.changed();
    }

    /// What the end of a load depends on has changed.
    pub fn changed(&self) {
        self.less.notify_one();
    }
}

/// Says that a slot has left when its task ends, by a panic too.
#[derive(Debug)]
pub struct Leaves {
    slot: Rc<Slot>,
    whole: Cell<bool>,
}

impl Leaves {
    /// For the task of `slot`.
    pub fn new(slot: &Rc<Slot>) -> Self {
        Self {
            slot: Rc::clone(slot),
            whole: Cell::new(false),
        }
    }

    /// The task came to its end.
    pub fn whole(&self) {
        self.whole.set(true);
    }
}

impl Drop for Leaves {
    fn drop(&mut self) {
        // What the slot counted before a panic still holds.
        if !self.whole.get()
            && let Ok(mut recorder) = self.slot.worker.recorder.try_borrow_mut()
        {
            recorder.connections().died += 1;
        }
        self.slot.leave();
    }
}

/// Begins and ends loads as the run orders, until it orders no more.
pub async fn obey(worker: &Rc<Worker>) {
    let mut orders = worker.orders.clone();
    let mut next = 0;
    loop {
        let order = orders.wait_for(|order| match order {
            Order::Start(_) => next == 0,
            Order::Again(again) => again.number == next,
            // It came so soon behind the order to begin that it took its place.
            Order::Stop { load, .. } => *load == next,
            Order::Prepare => false,
        });
        let Ok(order) = order.await.map(|order| order.clone()) else {
            break;
        };
        next += 1;
        let looped = worker.looped(&order);
        match order {
            Order::Again(again) => worker.begin(again.number, again.at, &again.load),
            Order::Stop { .. } => {
                worker.rest();
                continue;
            }
            Order::Start(_) | Order::Prepare => {}
        }
        let mut stop = worker.orders.clone();
        let ended = match looped {
            Loop::Open => pace_until_stopped(worker, &mut stop).await,
            Loop::Closed => worker.settled_or_stopped(&mut stop).await,
        };
        if let Err(error) = ended {
            let _ = worker.messages.send(Message::NoTimer(error));
            break;
        }
        if matches!(*stop.borrow(), Order::Stop { .. }) {
            worker.dispatch.borrow_mut().stop();
            worker.wake_idle();
        }
        worker.settled().await;
        worker.rest();
    }
    worker.round.last.set(true);
    worker.round.begun.notify_waiters();
}

impl Worker {
    /// Waits, for a slot that has nothing to do, for another load; false when none comes.
    pub async fn again(&self) -> bool {
        if self.plan.loads == Loads::One {
            return false;
        }
        let load = self.round.load.get();
        loop {
            let begun = self.round.begun.notified();
            if self.round.load.get() != load {
                return true;
            }
            if self.round.last.get() {
                return false;
            }
            begun.await;
        }
    }

    fn begin(&self, number: u32, at: Instant, load: &Load) {
        let share = self.plan.share(self.index);
        self.clock.start(at);
        self.over.set(None);
        let source = self.plan.source(load, share);
        self.dispatch.borrow_mut().restart(source);
        self.recorder.borrow_mut().restart(moments(load));
        self.round.load.set(number);
        self.round.begun.notify_waiters();
    }

    /// What kind of loop an order begins.
    fn looped(&self, order: &Order) -> Loop {
        let open = match order {
            Order::Again(again) => again.load.open.is_some(),
            Order::Start(_) | Order::Stop { .. } | Order::Prepare => self.plan.open.is_some(),
        };
        if open { Loop::Open } else { Loop::Closed }
    }

    /// Waits, in a closed loop, until all of it has ended or the run orders its end.
    async fn settled_or_stopped(&self, stop: &mut watch::Receiver<Order>) -> io::Result<()> {
        // Dropping the wait loses nothing: it holds no operation of the ring.
        tokio::select! {
            () = self.settled() => {}
            _ = stop.wait_for(|order| matches!(order, Order::Stop { .. })) => {}
        }
        Ok(())
    }

    /// Waits until every operation of the load has ended, or nobody is left to do any.
    async fn settled(&self) {
        let settled = || {
            let idle = self.round.under_way.get() == 0 && !self.seats.any_handed();
            self.round.slots.get() == 0 || idle && self.dispatch.borrow().is_over()
        };
        while !settled() {
            self.round.less.notified().await;
        }
    }

    /// Hands over what was counted of the load.
    fn rest(&self) {
        self.over.set(None);
        let recorder = &mut self.recorder.borrow_mut();
        self.dispatch.borrow_mut().abandon(recorder);
        recorder.rest();
        let _ = self.messages.send(Message::Finished);
    }
}

//! The connections of one worker that stand. Each has one small task, which waits for the target to
//! say something, and an entry of a few words; no buffer, no slot.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use sealgate_stream::{Now, ReadHalf, WriteHalf};
use sealgate_uring::{Socket, spawn};
use tokio::sync::{Notify, Semaphore};

use super::stage::Stage;
use crate::{
    operation::{
        failure::{Cause, Failure, Phase},
        handshake::Close,
    },
    worker::{Worker, dial::Connection},
};

/// Connections that read at one time, each into a buffer. All may have something to read at once, when
/// the target ends.
const TURNS: usize = 32;

/// The connections of one worker, by the order in which they were opened.
pub struct Held {
    stage: Arc<Stage>,
    close: Close,
    /// How long the target may take to end what we have ended.
    timeout: Duration,
    connections: RefCell<Connections>,
    /// One has ended.
    ended: Notify,
    /// To take a buffer and read.
    turns: Semaphore,
}

#[derive(Default)]
struct Connections {
    next: u64,
    standing: BTreeMap<u64, Standing>,
    /// Closed by us, and the target's own end awaited. The oldest are closed first, so they are in
    /// the order of their deadlines too.
    closing: BTreeMap<u64, Closing>,
}

struct Standing {
    write: WriteHalf,
    since: Duration,
}

struct Closing {
    socket: Socket,
    until: Instant,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").finish_non_exhaustive()
    }
}

impl Held {
    /// None yet.
    pub fn new(stage: Arc<Stage>, close: Close, timeout: Duration) -> Self {
        Self {
            stage,
            close,
            timeout,
            connections: RefCell::default(),
            ended: Notify::new(),
            turns: Semaphore::new(TURNS),
        }
    }

    /// Keeps a connection until it is closed or dropped.
    pub fn keep(&self, worker: &Rc<Worker>, connection: Connection) {
        let since = connection.established;
        let (read, write) = connection.stream.split();
        let number = {
            let connections = &mut self.connections.borrow_mut();
            let number = connections.next;
            connections.next += 1;
            connections
                .standing
                .insert(number, Standing { write, since });
            number
        };
        self.stage.count(|tally| tally.held += 1);
        spawn(watch(Rc::clone(worker), number, read));
    }

    /// Closes the connection that stands longest, if any does.
    pub fn close_oldest(&self, worker: &Rc<Worker>) {
        if let Some(write) = self.take_oldest() {
            let worker = Rc::clone(worker);
            spawn(async move {
                if let Some(held) = &worker.held {
                    held.end(write).await;
                }
            });
        }
    }

    /// Closes all, one after the other.
    pub async fn close_all(&self, worker: &Worker) {
        while let Some(write) = self.take_oldest() {
            self.end(write).await;
            worker.moved.set(true);
        }
    }

    fn take_oldest(&self) -> Option<WriteHalf> {
        let connections = &mut self.connections.borrow_mut();
        let (number, Standing { write, .. }) = connections.standing.pop_first()?;
        let closing = Closing {
            socket: write.socket().clone(),
            until: Instant::now() + self.timeout,
        };
        connections.closing.insert(number, closing);
        Some(write)
    }

    async fn end(&self, mut write: WriteHalf) {
        match self.close {
            Close::Rst => write.socket().reset(),
            // A target that is gone needs no goodbye: its end is what the task sees.
            Close::Notify => drop(write.finish().await),
        }
    }

    /// Resets what the target has not ended in time.
    pub fn expire(&self, now: Instant) {
        let connections = self.connections.borrow();
        let late = connections
            .closing
            .values()
            .take_while(|closing| closing.until <= now);
        late.for_each(|closing| closing.socket.reset());
    }

    /// Closes what stands, and waits until all have ended.
    pub async fn finish(&self, worker: &Worker) {
        self.close_all(worker).await;
        while !self.connections.borrow().closing.is_empty() {
            self.ended.notified().await;
        }
        self.stage.leave();
    }

    /// A connection has ended, by us or by the target.
    fn ended(&self, worker: &Worker, number: u64, cause: Cause) {
        let dropped = {
            let connections = &mut self.connections.borrow_mut();
            connections.closing.remove(&number);
            connections.standing.remove(&number)
        };
        if let Some(Standing { since, .. }) = &dropped {
            let now = worker.clock.now();
            let recorder = &mut worker.recorder.borrow_mut();
            recorder.note_failure(&Failure::new(Phase::Hold, cause), now);
            let connections = recorder.connections();
            connections.dropped += 1;
            connections
                .held_before_drop
                .record(now.saturating_sub(*since));
        }
        self.stage.count(|tally| {
            tally.held -= 1;
            match dropped {
                Some(_) => tally.dropped += 1,
                None => tally.closed += 1,
            }
        });
        self.ended.notify_one();
    }
}

/// Takes what the target says to an idle connection, such as tickets, until it ends.
async fn watch(worker: Rc<Worker>, number: u64, mut read: ReadHalf) {
    let Some(turns) = worker.held.as_ref().map(|held| &held.turns) else {
        return;
    };
    let cause = loop {
        // In a box, which is gone while it waits: the task of an idle connection stays small.
        let now = Box::pin(async {
            let _turn = turns.acquire().await;
            read.read_now().await
        });
        match now.await {
            Ok(Now::Bytes(_)) => {}
            Ok(Now::End) => break Cause::Dropped,
            Err(error) => break Cause::Read(error),
            Ok(Now::Nothing) => {
                if let Err(error) = read.readable().await {
                    break Cause::Io(error);
                }
            }
        }
    };
    if let Some(held) = &worker.held {
        held.ended(&worker, number, cause);
    }
}

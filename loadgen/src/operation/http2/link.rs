//! One connection's place: the connection that takes requests now, and what its lanes have to know
//! of it. Connections that were replaced answer what they took, and end.

use std::{
    cell::{Cell, RefCell},
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use h2::client::{self, SendRequest};
use hyper_util::rt::TokioIo;
use sealgate_stream::{AbortHandle, HyperIo};
use sealgate_uring::{Socket, deadline, spawn};
use tokio::{
    sync::{Notify, OnceCell},
    task::JoinHandle,
};

use super::{Settings, fault};
use crate::{
    measure::interval::count,
    operation::{
        failure::{Cause, Failure, Phase},
        reuse::Reuse,
    },
    schedule::random::Random,
    target::key_update::Meter,
    worker::{Worker, dial, slot::Slot},
};

/// What a stream may receive ahead of us. Its reader takes everything at once, so this bounds
/// memory and not speed: it is more than a fast network has in flight.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;

/// The same for all streams of a connection.
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// The longest head of an answer, as for HTTP/1.1.
const MAX_HEAD_BYTES: u32 = 64 * 1024;

/// How long our goodbye may take when the run is over.
const CLOSING: Duration = Duration::from_secs(1);

type Connection = client::Connection<TokioIo<HyperIo>, Bytes>;
type Dialed = Result<Rc<Live>, Rc<Failure>>;

/// A connection that stands.
pub struct Live {
    requests: SendRequest<Bytes>,
    /// Requests that it may still take.
    left: Cell<u64>,
    /// Whether it has answered one.
    pub used: Cell<bool>,
    /// What counts its operations and KeyUpdates; none where no keys are renewed.
    pub meter: Option<Rc<Meter>>,
    moved: AbortHandle,
    socket: Socket,
    given_up: Cell<bool>,
    /// Whether its GOAWAY was counted.
    noted: Cell<bool>,
    driver: RefCell<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live")
            .field("left", &self.left.get())
            .finish_non_exhaustive()
    }
}

impl Live {
    /// A handle to ask on. The connection ends when the last one, and this value, are gone.
    pub fn requests(&self) -> SendRequest<Bytes> {
        self.requests.clone()
    }

    /// Bytes that came so far, of whatever stream.
    pub fn received_bytes(&self) -> u64 {
        self.moved.received_bytes()
    }

    /// Resets the connection: nothing moves on it.
    pub fn give_up(&self) {
        self.given_up.set(true);
        self.socket.reset();
    }

    /// Whether we reset it.
    pub fn is_given_up(&self) -> bool {
        self.given_up.get()
    }

    /// Counts what the target said with an error code.
    pub fn note(&self, worker: &Worker, cause: &Cause) {
        let mut recorder = worker.recorder.borrow_mut();
        let http = &mut recorder.connections().http;
        match cause {
            Cause::StreamReset(code) => count(&mut http.resets, &fault::name(*code), 1),
            // Every stream hears of it, and it is one.
            Cause::GoAway(code) if !self.noted.replace(true) => {
                count(&mut http.go_aways, &fault::name(*code), 1);
            }
            _ => {}
        }
    }
}

/// The connections of one place, one after the other.
#[derive(Debug)]
pub struct Link {
    place: RefCell<Rc<OnceCell<Dialed>>>,
    reuse: Reuse,
    random: RefCell<Random>,
    /// How many connections there were: the number of the present one.
    serial: Cell<u64>,
    /// Which connection allowed how many streams last.
    allowed: Cell<(u64, usize)>,
    /// Lanes that may ask: as many as the target allows streams.
    lanes: Cell<usize>,
    over: Cell<bool>,
    /// One of the above is another.
    changed: Notify,
    /// Lanes that have not left.
    present: Cell<usize>,
}

impl Link {
    /// The place of connection `index` of the run.
    pub fn new(settings: &Settings, index: usize) -> Self {
        Self {
            place: RefCell::default(),
            // As for HTTP/1.1: streams above those of the arrivals and of the sizes.
            random: RefCell::new(Random::new(settings.template.seed, u64::MAX - index as u64)),
            reuse: settings.template.reuse,
            serial: Cell::new(0),
            allowed: Cell::new((0, 0)),
            // Until the target has said what it allows, one asks, and connects.
            lanes: Cell::new(1),
            over: Cell::new(false),
            changed: Notify::new(),
            present: Cell::new(settings.streams),
        }
    }

    /// Waits until this lane may ask; false when the run is over.
    pub async fn may_ask(&self, lane: usize) -> bool {
        loop {
            let changed = self.changed.notified();
            if self.over.get() {
                return false;
            }
            if lane < self.lanes.get() {
                return true;
            }
            changed.await;
        }
    }

    /// Connects before the run starts; gives up after some attempts, which are noted.
    pub async fn establish(self: &Rc<Self>, slot: &Slot) {
        slot.establish_by(async || self.stand(slot).await.1).await;
    }

    /// The connection for one more request; connects where there is none. Lanes that come meanwhile
    /// wait for the same connection, and share its failure.
    ///
    /// # Errors
    ///
    /// When connecting, the handshake, or the exchange of settings fails.
    pub async fn live(self: &Rc<Self>, slot: &Slot) -> Dialed {
        loop {
            let (place, dialed) = self.stand(slot).await;
            let live = dialed?;
            let left = live.left.get();
            if left <= 1 {
                self.vacate(&place);
            }
            if left > 0 {
                live.left.set(left - 1);
                return Ok(live);
            }
        }
    }

    async fn stand(self: &Rc<Self>, slot: &Slot) -> (Rc<OnceCell<Dialed>>, Dialed) {
        let place = Rc::clone(&self.place.borrow());
        let dialed = place.get_or_init(|| self.connect(slot)).await.clone();
        if dialed.is_err() {
            self.vacate(&place);
        }
        (place, dialed)
    }

    /// Sends no more requests on `live`.
    pub fn retire(&self, live: &Rc<Live>) {
        let place = Rc::clone(&self.place.borrow());
        if let Some(Ok(current)) = place.get()
            && Rc::ptr_eq(current, live)
        {
            self.vacate(&place);
        }
    }

    fn vacate(&self, place: &Rc<OnceCell<Dialed>>) {
        let mut current = self.place.borrow_mut();
        if Rc::ptr_eq(&current, place) {
            *current = Rc::default();
        }
    }

    /// A lane leaves, since the run is over. Lanes that wait see it and follow; the last one ends
    /// the connection.
    pub async fn leave(&self) {
        self.over.set(true);
        self.changed.notify_waiters();
        self.present.set(self.present.get().saturating_sub(1));
        if self.present.get() == 0 {
            self.close().await;
        }
    }

    /// Ends the connection as a client does that has no more requests: GOAWAY, `close_notify`.
    pub async fn close(&self) {
        let place = self.place.take();
        let Some(Ok(live)) = place.get() else {
            return;
        };
        let driver = live.driver.take();
        let socket = live.socket.clone();
        // The last handle to ask with: without one, the connection ends itself.
        drop(place);
        if let Some(driver) = driver {
            // A target that takes no goodbye is left without one.
            let _ = deadline(CLOSING, driver, || socket.reset()).await;
        }
    }

    async fn connect(self: &Rc<Self>, slot: &Slot) -> Dialed {
        let config = slot.full_config();
        let dialed = slot.dial_then(config, async |connection| {
            self.shake_hands(slot, connection).await
        });
        let dialed = dialed.await;
        // From now on each stream is watched over for itself.
        slot.disarm();
        dialed.map(Rc::new).map_err(Rc::new)
    }

    async fn shake_hands(
        self: &Rc<Self>,
        slot: &Slot,
        connection: dial::Connection,
    ) -> Result<Live, Failure> {
        assert_h2(&connection)?;
        slot.note(&connection);
        let (socket, meter) = (connection.socket.clone(), connection.meter.clone());
        let io = connection.stream.into_hyper();
        let moved = io.abort_handle();
        let failed = |error| slot.blame(Phase::Handshake, fault::cause(error));
        let (requests, mut connection) = builder()
            .handshake(TokioIo::new(io))
            .await
            .map_err(failed)?;
        let stands = settled(&mut connection).await.map_err(failed)?;
        if !stands {
            return Err(slot.blame(Phase::Handshake, Cause::Closed));
        }
        slot.note_http("2");
        self.serial.set(self.serial.get() + 1);
        let link = Rc::clone(self);
        let driver = drive(connection, link, Rc::clone(&slot.worker), self.serial.get());
        Ok(Live {
            requests,
            left: Cell::new(self.reuse.draw(&mut self.random.borrow_mut())),
            used: Cell::new(false),
            meter,
            moved,
            socket,
            given_up: Cell::new(false),
            noted: Cell::new(false),
            driver: RefCell::new(Some(spawn(driver))),
        })
    }

    /// Takes note of how many streams connection `serial` allows.
    fn allow(&self, worker: &Worker, serial: u64, streams: usize) {
        // An old connection may still say something, and the new one has said its own.
        if serial != self.serial.get()
            || self.allowed.replace((serial, streams)) == (serial, streams)
        {
            return;
        }
        if streams < worker.plan.streams() {
            let mut recorder = worker.recorder.borrow_mut();
            recorder.connections().http.allow_streams(streams as u64);
        }
        // With none allowed, one lane asks all the same, and says so by its timeouts.
        self.lanes.set(streams.max(1));
        self.changed.notify_waiters();
    }
}

fn builder() -> client::Builder {
    let mut builder = client::Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(MAX_HEAD_BYTES)
        // None until the target has said how many it allows, else some would be refused.
        .initial_max_send_streams(0);
    builder
}

/// Without TLS, or ALPN, nobody has agreed to anything: prior knowledge (RFC 9113 §3.3).
fn assert_h2(connection: &dial::Connection) -> Result<(), Failure> {
    let Some(facts) = connection.stream.facts() else {
        return Ok(());
    };
    match facts.alpn.as_deref() {
        Some(b"h2") => Ok(()),
        chosen => {
            let chosen = chosen.map(|name| String::from_utf8_lossy(name).into_owned());
            let cause = Cause::WrongProtocol { chosen };
            Err(Failure::new(Phase::Handshake, cause))
        }
    }
}

/// Drives the connection until the target's SETTINGS allow a stream; false when it ended instead.
async fn settled(connection: &mut Connection) -> Result<bool, h2::Error> {
    poll_fn(|context| match Pin::new(&mut *connection).poll(context) {
        Poll::Ready(ended) => Poll::Ready(ended.map(|()| false)),
        Poll::Pending if connection.max_concurrent_send_streams() > 0 => Poll::Ready(Ok(true)),
        Poll::Pending => Poll::Pending,
    })
    .await
}

/// Drives the connection to its end. How it ended is told to each of its streams.
async fn drive(mut connection: Connection, link: Rc<Link>, worker: Rc<Worker>, serial: u64) {
    poll_fn(|context| {
        worker.moved.set(true);
        let polled = Pin::new(&mut connection).poll(context);
        let streams = connection.max_concurrent_send_streams();
        link.allow(&worker, serial, streams);
        polled.map(|_| ())
    })
    .await;
}

//! The agent: takes work from one coordinator at a time, and refuses all who cannot show a
//! certificate of its authorities. What the work is, it leaves to its caller.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{Arc, mpsc as blocking},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc},
    task::{JoinSet, spawn_blocking},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    CONNECT_LIMIT, LETTING_GO, QUEUE,
    identity::subject,
    link::{Link, LinkError},
    protocol::{FromAgent, Job, Reading, Refusal, ToAgent, Version},
};
use crate::{host, measure::interval::Interval, report::agents::Said, run::Stopper, signals};

/// Connections at once, of those that are refused too.
const CONNECTIONS: usize = 16;

/// The coordinator's side of an agent's link.
type ToCoordinator = Link<FromAgent, ToAgent>;

/// What the thread that works tells.
pub enum Event {
    /// It can be stopped from here on.
    Stoppable(Stopper),
    /// Its connections stand, on so many threads.
    Ready(u64),
    /// What a worker counted in one interval.
    Interval(u64, Box<Interval>),
    /// It is done.
    Done(Box<Said>),
    /// It cannot go on.
    Failed(String),
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Event")
    }
}

/// What the thread that works holds.
#[derive(Debug)]
pub struct Line {
    events: mpsc::Sender<Event>,
    start: blocking::Receiver<Instant>,
}

impl Line {
    /// Tells the coordinator. One that is gone has stopped the work, or is about to.
    pub fn tell(&self, event: Event) {
        let _ = self.events.blocking_send(event);
    }

    /// Waits for the moment at which to begin; none when it never comes.
    pub fn start(&self) -> Option<Instant> {
        self.start.recv().ok()
    }
}

/// Does a job; the last event is `Done` or `Failed`.
pub type Work = fn(Job, &Line);

/// Serves coordinators on `listener` until somebody ends the program.
///
/// # Errors
///
/// When the system refuses what that takes.
pub async fn serve(listener: TcpListener, acceptor: TlsAcceptor, work: Work) -> io::Result<()> {
    let ended = Arc::new(Notify::new());
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let agent = Agent {
        acceptor,
        work,
        idle: Arc::new(Semaphore::new(1)),
        epoch: Instant::now(),
    };
    let mut coordinators = JoinSet::new();
    loop {
        // Whatever ran last has taken the signals for itself.
        let end = Arc::clone(&ended);
        signals::watch(move || end.notify_one())?;
        tokio::select! {
            () = ended.notified() => break,
            Some(_) = coordinators.join_next() => {}
            accepted = accept(&listener, &places) => {
                let Ok((stream, peer, place)) = accepted else { continue };
                let agent = agent.clone();
                coordinators.spawn(async move {
                    agent.meet(stream, peer).await;
                    drop(place);
                });
            }
        }
    }
    // A load that is under way was told to end as well, and its report is waited for.
    while coordinators.join_next().await.is_some() {}
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await;
    let place = place.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, place))
}

#[derive(Clone)]
struct Agent {
    acceptor: TlsAcceptor,
    work: Work,
    /// Taken by whoever it works for.
    idle: Arc<Semaphore>,
    /// What its steady clock counts from.
    epoch: Instant,
}

impl Agent {
    /// Everything with one that has connected.
    async fn meet(&self, stream: TcpStream, peer: SocketAddr) {
        let _ = stream.set_nodelay(true);
        let accepted = timeout(CONNECT_LIMIT, self.shake_hands(stream)).await;
        let stream = match accepted {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return note(&format!("refused {peer}: {error}")),
            Err(_) => return note(&format!("refused {peer}: it did not finish the handshake")),
        };
        let certificates = stream.get_ref().1.peer_certificates();
        let name = certificates.and_then(|chain| chain.first()).map(subject);
        let who = format!("{peer} ({})", name.unwrap_or_default());
        match self.serve(Link::over(stream), &who).await {
            Ok(()) => {}
            Err(error) => note(&format!("lost {who}: {error}")),
        }
    }

    /// Whoever is refused is told why: the alert is not lost to a reset.
    async fn shake_hands(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let (error, mut stream) = match self.acceptor.accept(stream).into_fallible().await {
            Ok(stream) => return Ok(stream),
            Err(refused) => refused,
        };
        // Whether it listens is its own matter.
        let _ = stream.shutdown().await;
        let mut rest = [0; 1024];
        while let Ok(1..) = stream.read(&mut rest).await {}
        Err(error)
    }

    async fn serve(&self, mut link: ToCoordinator, who: &str) -> Result<(), LinkError> {
        let hello = timeout(CONNECT_LIMIT, link.hear()).await;
        let hello = hello.map_err(|_| LinkError::Silent)??.message;
        let refusal = match hello {
            ToAgent::Hello(version) if version == Version::own() => Refusal::Busy,
            ToAgent::Hello(version) => Refusal::Version {
                agent: Version::own().to_string(),
                coordinator: version.to_string(),
            },
            _ => return Ok(()),
        };
        let idle = match refusal {
            Refusal::Busy => self.idle_soon().await,
            Refusal::Version { .. } => None,
        };
        let Some(idle) = idle else {
            note(&format!("refused {who}: {refusal}"));
            link.say(FromAgent::Refused(refusal)).await?;
            link.finish().await;
            return Ok(());
        };
        let hello = FromAgent::Hello(Version::own(), host::describe());
        link.say(hello).await?;
        if let ToAgent::Job(job) = link.hear().await?.message {
            note(&format!("works for {who}"));
            self.work_for(link, job).await?;
            note(&format!("has done its work for {who}"));
        }
        drop(idle);
        Ok(())
    }

    /// Leave to work, if there is any soon: a coordinator that has one load behind another may come
    /// back before it is noticed that it has gone.
    async fn idle_soon(&self) -> Option<OwnedSemaphorePermit> {
        let idle = Arc::clone(&self.idle).acquire_owned();
        timeout(LETTING_GO, idle).await.ok()?.ok()
    }

    async fn work_for(&self, mut link: ToCoordinator, job: Job) -> Result<(), LinkError> {
        let (events, mut told) = mpsc::channel(QUEUE);
        let (start, awaited) = blocking::channel();
        let work = self.work;
        let line = Line {
            events,
            start: awaited,
        };
        let working = spawn_blocking(move || work(job, &line));
        let mut stopper = None;
        let ended = self
            .carry_on(&mut link, &mut told, (&mut stopper, start))
            .await;
        if ended.is_err()
            && let Some(stopper) = &stopper
        {
            stopper.stop();
        }
        // What is still told makes room for the next word, until the thread has ended.
        while let Some(event) = told.recv().await {
            if let (Event::Stoppable(late), Err(_)) = (event, &ended) {
                late.stop();
            }
        }
        // It panicked, which was printed, or it has ended.
        let _ = working.await;
        if ended.is_ok() {
            link.finish().await;
        }
        ended
    }

    /// Between the coordinator and the thread that works, until that is done.
    async fn carry_on(
        &self,
        link: &mut ToCoordinator,
        told: &mut mpsc::Receiver<Event>,
        (stopper, start): (&mut Option<Stopper>, blocking::Sender<Instant>),
    ) -> Result<(), LinkError> {
        let mut start = Some(start);
        loop {
            let heard = tokio::select! {
                heard = link.hear() => heard?.message,
                event = told.recv() => {
                    match event {
                        Some(Event::Stoppable(given)) => *stopper = Some(given),
                        Some(event) => {
                            let (word, last) = word(event);
                            link.say(word).await?;
                            if last {
                                return Ok(());
                            }
                        }
                        None => {
                            let died = "the work ended without a word, see its standard error";
                            return link.say(FromAgent::Failed(died.to_owned())).await;
                        }
                    }
                    continue;
                }
            };
            match heard {
                ToAgent::Clock => link.say(FromAgent::Clock(self.reading())).await?,
                ToAgent::Start(at) => {
                    if let Some(start) = start.take() {
                        // A thread that has ended says so.
                        let _ = start.send(self.epoch + at);
                    }
                }
                ToAgent::Stop => {
                    // Without a start there is nothing to wait for either.
                    start = None;
                    if let Some(stopper) = &*stopper {
                        stopper.stop();
                    }
                }
                ToAgent::Hello(_) | ToAgent::Job(_) | ToAgent::Beat => {}
            }
        }
    }

    fn reading(&self) -> Reading {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Reading {
            steady: self.epoch.elapsed(),
            of_day: since.unwrap_or_default(),
        }
    }
}

/// An event as the coordinator is told it, and whether it is the last one.
fn word(event: Event) -> (FromAgent, bool) {
    match event {
        Event::Ready(threads) => (FromAgent::Ready(threads), false),
        Event::Interval(worker, interval) => (FromAgent::Interval(worker, interval), false),
        Event::Done(said) => (FromAgent::Done(said), true),
        Event::Failed(why) => (FromAgent::Failed(why), true),
        Event::Stoppable(_) => (FromAgent::Beat, false),
    }
}

/// Tells the operator of this machine.
pub fn note(text: &str) {
    use io::Write;
    // A closed pipe leaves nobody to tell.
    let _ = writeln!(io::stderr(), "agent: {text}");
}

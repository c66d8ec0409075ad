//! The coordinator: has agents begin at one moment, adds up what they tell, and ends them together.

use std::{
    cell::RefCell,
    fmt,
    future::Future,
    sync::Arc,
    time::{Duration, Instant as Steady, SystemTime, UNIX_EPOCH},
};

use futures_util::future::{join_all, try_join_all};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{Instant, sleep_until, timeout},
};
use tokio_rustls::TlsConnector;

use super::{
    Absent, AgentsError, CONNECT_LIMIT, LEAD, MAX_AGENTS,
    clock::{Known, ROUNDS, Round},
    link::Link,
    protocol::{FromAgent, Job, ToAgent, Version},
    tally::Tally,
};
use crate::{
    report::{
        agents::{Said, Told},
        model::Host,
    },
    schedule::Machine,
};

/// Where agents are, as they were named.
#[derive(Debug, Clone)]
pub struct Place {
    name: String,
    host: String,
    port: u16,
}

/// The agents that a flag names.
///
/// # Errors
///
/// When a name is none, there are two alike, or too many.
pub fn places(names: &[String]) -> Result<Vec<Place>, AgentsError> {
    if names.len() > MAX_AGENTS {
        return Err(AgentsError::Many(names.len()));
    }
    for (n, name) in names.iter().enumerate() {
        if names[..n].contains(name) {
            return Err(AgentsError::Twice(name.clone()));
        }
    }
    names.iter().map(|name| place(name)).collect()
}

fn place(name: &str) -> Result<Place, AgentsError> {
    let wrong = || AgentsError::Name(name.to_owned());
    let (host, port) = name.rsplit_once(':').ok_or_else(wrong)?;
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let host = bare.unwrap_or(host).to_owned();
    ServerName::try_from(host.as_str()).map_err(|_| wrong())?;
    Ok(Place {
        name: name.to_owned(),
        host,
        port: port.parse().map_err(|_| wrong())?,
    })
}

/// An agent that has connected to the target and waits for the start.
pub struct Member {
    name: String,
    host: Host,
    link: Link<ToAgent, FromAgent>,
    clock: Known,
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("name", &self.name).finish()
    }
}

/// What agents are to do, and under which conditions.
#[derive(Debug)]
pub struct Wanted {
    /// The job.
    pub job: Job,
    /// Threads of each.
    pub threads: usize,
    /// How precisely a clock has to be known.
    pub skew: Duration,
}

/// Has all agents connect to the target and wait.
///
/// # Errors
///
/// When one of them cannot; the others are let go.
pub async fn assemble(
    places: &[Place],
    tls: Arc<ClientConfig>,
    wanted: &Wanted,
) -> Result<Crew, AgentsError> {
    let greeted = places.iter().map(|place| {
        let tls = Arc::clone(&tls);
        named(&place.name, greet(place, tls))
    });
    // All of them first: work is given out when there is nobody missing.
    let greeted = try_join_all(greeted).await?;
    let of = places.len() as u64;
    let ready = greeted.into_iter().enumerate().map(|(index, greeted)| {
        let index = index as u64;
        let job = wanted.job.share(Machine { index, of });
        let place = &places[index as usize];
        named(&place.name, prepare(greeted, job, wanted.threads))
    });
    let ready = try_join_all(ready).await?;
    // Last, since clocks drift while connections are made.
    let epoch = Steady::now();
    let members = ready
        .into_iter()
        .zip(places)
        .map(|((mut link, host), place)| {
            named(&place.name, async move {
                let clock = read_clock(&mut link, epoch, wanted.skew).await?;
                Ok(Member {
                    name: place.name.clone(),
                    host,
                    link,
                    clock,
                })
            })
        });
    let members = try_join_all(members).await?;
    Ok(Crew { members, epoch })
}

/// Agents that wait for the start.
#[derive(Debug)]
pub struct Crew {
    members: Vec<Member>,
    /// What our steady clock counts from.
    epoch: Steady,
}

/// Why agents are told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// They are not.
    No,
    /// One of them was lost.
    Lost,
    /// Somebody ended the run.
    Interrupted,
}

impl Crew {
    /// Agrees on a moment with all of them, and gives it.
    ///
    /// # Errors
    ///
    /// When one of them is gone.
    pub async fn start(&self) -> Result<Steady, AgentsError> {
        let at = self.epoch.elapsed() + LEAD;
        for member in &self.members {
            let start = ToAgent::Start(member.clock.moment(at));
            let said = member.link.say(start).await;
            said.map_err(|error| member.lost_before(error.into()))?;
        }
        Ok(self.epoch + at)
    }

    /// Adds up what they tell until all have ended. One that is lost ends the others; each has
    /// `give_up` to end once it is told to.
    pub async fn follow(
        self,
        tally: &RefCell<Tally<'_, '_>>,
        stop: &watch::Sender<Stop>,
        give_up: Duration,
    ) -> Vec<Told> {
        let members = self.members.into_iter().enumerate();
        let followed = members.map(|(index, mut member)| async move {
            let end = member.follow(index, tally, stop.subscribe(), give_up).await;
            if end.is_err() {
                stop.send_if_modified(|now| match *now {
                    Stop::No => {
                        *now = Stop::Lost;
                        true
                    }
                    Stop::Lost | Stop::Interrupted => false,
                });
            }
            (member, end)
        });
        let ended = join_all(followed).await.into_iter().enumerate();
        ended
            .map(|(index, (member, end))| Told {
                name: member.name,
                host: member.host,
                clock: member.clock.to_model(),
                counted: tally.borrow().of(index).clone(),
                end: end.map_err(|why| format!("it was lost: {why}")),
            })
            .collect()
    }
}

impl Member {
    fn lost_before(&self, why: Absent) -> AgentsError {
        AgentsError::Agent {
            name: self.name.clone(),
            why,
        }
    }

    async fn follow(
        &mut self,
        index: usize,
        tally: &RefCell<Tally<'_, '_>>,
        mut stop: watch::Receiver<Stop>,
        give_up: Duration,
    ) -> Result<Box<Said>, Absent> {
        let mut deadline = None;
        loop {
            let heard = tokio::select! {
                heard = self.link.hear() => heard?.message,
                _ = stop.wait_for(|stop| *stop != Stop::No), if deadline.is_none() => {
                    self.link.say(ToAgent::Stop).await?;
                    deadline = Some(Instant::now() + give_up);
                    continue;
                }
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    return Err(Absent::Endless(give_up));
                }
            };
            match heard {
                FromAgent::Interval(worker, interval) => {
                    tally.borrow_mut().add(index, worker, &interval)?;
                }
                FromAgent::Done(said) if said.interrupted => return Err(Absent::Interrupted),
                FromAgent::Done(said) => {
                    tally.borrow().check(&said)?;
                    return Ok(said);
                }
                FromAgent::Failed(why) => return Err(Absent::Failed(why)),
                FromAgent::Clock(_) | FromAgent::Beat => {}
                FromAgent::Hello(..) | FromAgent::Refused(_) | FromAgent::Ready(_) => {
                    return Err(Absent::Unexpected);
                }
            }
        }
    }
}

/// A link with an agent that is alike, and its machine.
type Greeted = (Link<ToAgent, FromAgent>, Host);

/// Says of which agent an error is.
async fn named<T>(
    name: &str,
    does: impl Future<Output = Result<T, Absent>>,
) -> Result<T, AgentsError> {
    does.await.map_err(|why| AgentsError::Agent {
        name: name.to_owned(),
        why,
    })
}

async fn greet(place: &Place, tls: Arc<ClientConfig>) -> Result<Greeted, Absent> {
    let connected = timeout(CONNECT_LIMIT, connect(place, tls)).await;
    let mut link = connected.map_err(|_| Absent::Slow)??;
    link.say(ToAgent::Hello(Version::own())).await?;
    let heard = link.hear().await.map_err(Absent::before_hello)?;
    match heard.message {
        FromAgent::Hello(version, host) if version == Version::own() => Ok((link, host)),
        FromAgent::Hello(version, _) => Err(Absent::Version {
            theirs: version.to_string(),
        }),
        FromAgent::Refused(refusal) => Err(Absent::Refused(refusal)),
        _ => Err(Absent::Unexpected),
    }
}

async fn connect(
    place: &Place,
    tls: Arc<ClientConfig>,
) -> Result<Link<ToAgent, FromAgent>, Absent> {
    let stream = TcpStream::connect((place.host.as_str(), place.port));
    let stream = stream.await.map_err(Absent::Unreachable)?;
    // A clock is read over it.
    stream.set_nodelay(true).map_err(Absent::Unreachable)?;
    // It was one when the flag was read.
    let name = ServerName::try_from(place.host.clone()).map_err(|_| Absent::Unexpected)?;
    let stream = TlsConnector::from(tls).connect(name, stream).await;
    Ok(Link::over(stream.map_err(Absent::Handshake)?))
}

async fn prepare((mut link, host): Greeted, job: Job, threads: usize) -> Result<Greeted, Absent> {
    link.say(ToAgent::Job(job)).await?;
    match link.hear().await?.message {
        FromAgent::Ready(ready) if ready == threads as u64 => Ok((link, host)),
        FromAgent::Failed(why) => Err(Absent::Failed(why)),
        _ => Err(Absent::Unexpected),
    }
}

async fn read_clock(
    link: &mut Link<ToAgent, FromAgent>,
    epoch: Steady,
    skew: Duration,
) -> Result<Known, Absent> {
    let first = round(link, epoch).await?;
    let mut others = Vec::with_capacity(ROUNDS as usize);
    for _ in 1..ROUNDS {
        others.push(round(link, epoch).await?);
    }
    Ok(Known::new(first, &others, skew)?)
}

async fn round(link: &mut Link<ToAgent, FromAgent>, epoch: Steady) -> Result<Round, Absent> {
    let asked = epoch.elapsed();
    link.say(ToAgent::Clock).await?;
    let heard = link.hear().await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    // The answer came before it was looked at.
    let since = heard.at.elapsed();
    match heard.message {
        FromAgent::Clock(reading) => Ok(Round {
            asked,
            answered: heard.at.into_std().saturating_duration_since(epoch),
            reading,
            of_day: now.unwrap_or_default().saturating_sub(since),
        }),
        FromAgent::Failed(why) => Err(Absent::Failed(why)),
        _ => Err(Absent::Unexpected),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_named_by_host_and_port() {
        let names = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            places(&names)
        };
        let all = names(&["load1.example:7500", "[::1]:1", "10.0.0.1:65535"]).unwrap();
        let hosts: Vec<_> = all.iter().map(|place| place.host.as_str()).collect();
        assert_eq!(hosts, ["load1.example", "::1", "10.0.0.1"]);
        for bad in ["load1", "load1:", "load1:65536", ":7500", "a b:1"] {
            let error = names(&[bad]).unwrap_err().to_string();
            assert!(error.contains("write HOST:PORT"), "{bad}: {error}");
        }
        let twice = names(&["a:1", "b:1", "a:1"]).unwrap_err().to_string();
        assert!(twice.contains("a:1 is named twice"), "{twice}");
        let many: Vec<_> = (0..=MAX_AGENTS).map(|n| format!("a:{n}")).collect();
        let error = places(&many).unwrap_err();
        assert!(matches!(error, AgentsError::Many(65)), "{error}");
    }
}

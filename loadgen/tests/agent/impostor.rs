//! An agent of the test, which says what it likes over a real control connection.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use loadgen::agents::{
    identity::Identity,
    link::Link,
    protocol::{FromAgent, Reading, ToAgent, Version},
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::Certificates;

/// Runs it to its end.
pub fn block_on<T>(does: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(does)
}

/// An agent of the test, which does this with the one coordinator that comes; gives its address.
pub fn impostor<D, F>(certificates: &Certificates, does: D) -> (String, thread::JoinHandle<()>)
where
    D: FnOnce(Link<FromAgent, ToAgent>) -> F + Send + 'static,
    F: Future<Output = ()>,
{
    let path = |name: &str| certificates.path(name);
    let [cert, key, ca] = ["agent.pem", "agent.key", "ca.pem"].map(path);
    let identity = Identity {
        cert: Path::new(&cert),
        key: Path::new(&key),
        ca: Path::new(&ca),
    };
    let acceptor = TlsAcceptor::from(identity.agent().unwrap());
    let (tell, told) = std::sync::mpsc::channel();
    let impostor = thread::spawn(move || {
        block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap().to_string())
                .unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            does(Link::over(acceptor.accept(stream).await.unwrap())).await;
        });
    });
    (told.recv().unwrap(), impostor)
}

/// Takes part in a load up to its start, says these words, and goes on until the coordinator has
/// enough.
pub async fn tells(mut link: Link<FromAgent, ToAgent>, words: Vec<FromAgent>) {
    let epoch = Instant::now();
    let mut words = Some(words);
    while let Ok(heard) = link.hear().await {
        let answer = match heard.message {
            ToAgent::Hello(_) => FromAgent::Hello(Version::own(), loadgen::host::describe()),
            ToAgent::Job(_) => FromAgent::Ready(1),
            ToAgent::Clock => FromAgent::Clock(Reading {
                steady: epoch.elapsed(),
                of_day: Duration::ZERO,
            }),
            ToAgent::Start(_) => {
                for word in words.take().unwrap() {
                    link.say(word).await.unwrap();
                }
                continue;
            }
            ToAgent::Stop | ToAgent::Beat => continue,
        };
        if link.say(answer).await.is_err() {
            return;
        }
    }
}

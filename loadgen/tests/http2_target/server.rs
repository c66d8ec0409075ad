//! An HTTP/2 server of the `h2` crate, in the test's own process: what it counts is the truth.
//!
//! | path | answer |
//! |---|---|
//! | `/bytes/N` | N bytes of the pattern, with their digest |
//! | `/together/N` | 200, once N requests of its connection wait for it |
//! | `/reset/CODE` | every third is reset with CODE, behind its body |
//! | `/refuse-body/CODE` | reset with CODE before the body is read |
//! | anything else | POST: the request's body; PUT: 204; GET: 200 |

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
        mpsc,
    },
    thread,
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, server::SendResponse};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use loadgen::{
    operation::http1::check,
    origin::tls::{Alpn, Identity, server_config},
    pattern::Pattern,
};
use rustls::ServerConfig;
use sealgate_stream::Stream;
use sealgate_uring::{Listener, Pool, spawn};
use tokio::sync::Notify;

use crate::program::TlsFiles;

/// What a server allows its clients.
#[derive(Debug, Clone, Copy, Default)]
pub struct Conduct {
    /// SETTINGS_MAX_CONCURRENT_STREAMS.
    pub max_streams: Option<u32>,
    /// Requests on a connection, before GOAWAY.
    pub requests_per_connection: Option<u64>,
}

/// What a server counted.
#[derive(Debug, Default)]
pub struct Counters {
    pub connections: AtomicU64,
    pub requests: AtomicU64,
    pub body_bytes: AtomicU64,
    pub resets: AtomicU64,
    /// Most requests at once on one connection.
    pub most_at_once: AtomicU64,
    /// Requests by connection and URI.
    pub of_connections: Mutex<BTreeMap<u64, BTreeMap<String, u64>>>,
    /// Fields of the last request.
    pub last: Mutex<Vec<(String, String)>>,
}

/// A server that runs until the test's process ends.
pub struct Server {
    pub address: SocketAddr,
    pub counters: Arc<Counters>,
}

impl Server {
    pub fn plain(conduct: Conduct) -> Self {
        Self::start(None, conduct)
    }

    /// Over TLS, with these protocols for ALPN.
    pub fn tls(files: &TlsFiles, alpn: &[&[u8]], conduct: Conduct) -> Self {
        let (cert, key) = (files.path("server.pem"), files.path("server.key"));
        let identity = Identity {
            cert: Path::new(&cert),
            key: Path::new(&key),
            client_ca: None,
        };
        let mut config = ServerConfig::clone(&server_config(&identity, Alpn::None).unwrap());
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Self::start(Some(Arc::new(config)), conduct)
    }

    fn start(tls: Option<Arc<ServerConfig>>, conduct: Conduct) -> Self {
        let counters = Arc::new(Counters::default());
        let (ready, address) = mpsc::channel();
        let shared = Arc::clone(&counters);
        thread::spawn(move || {
            sealgate_uring::run(async move {
                let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), 64).unwrap();
                ready.send(listener.local_addr().unwrap()).unwrap();
                let pool = Pool::new(64);
                loop {
                    let (socket, _) = listener.accept().await.unwrap();
                    let (tls, pool) = (tls.clone(), pool.clone());
                    let counters = Arc::clone(&shared);
                    spawn(async move {
                        let stream = match tls {
                            None => Stream::plain(socket, pool),
                            Some(tls) => match Stream::accept_tls(socket, pool, tls).await {
                                Ok(stream) => stream,
                                Err(_) => return,
                            },
                        };
                        let connection = counters.connections.fetch_add(1, SeqCst);
                        serve(stream, conduct, connection, counters).await;
                    });
                }
            })
            .unwrap();
        });
        let address = address.recv().unwrap();
        Self { address, counters }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn tls_url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    pub fn requests(&self) -> u64 {
        self.counters.requests.load(SeqCst)
    }

    pub fn connections(&self) -> u64 {
        self.counters.connections.load(SeqCst)
    }
}

/// Requests of one connection.
#[derive(Default)]
struct Present {
    now: AtomicU64,
    together: AtomicU64,
    all: Notify,
}

async fn serve(stream: Stream, conduct: Conduct, connection_id: u64, counters: Arc<Counters>) {
    let mut builder = h2::server::Builder::new();
    if let Some(streams) = conduct.max_streams {
        builder.max_concurrent_streams(streams);
    }
    let io = TokioIo::new(stream.into_hyper());
    let Ok(mut connection) = builder.handshake::<_, Bytes>(io).await else {
        return;
    };
    let present = Rc::new(Present::default());
    let mut taken = 0;
    while let Some(Ok((request, respond))) = connection.accept().await {
        taken += 1;
        if conduct.requests_per_connection == Some(taken) {
            connection.graceful_shutdown();
        }
        let number = counters.requests.fetch_add(1, SeqCst);
        {
            let mut all = counters.of_connections.lock().unwrap();
            let uris = all.entry(connection_id).or_default();
            *uris.entry(request.uri().to_string()).or_default() += 1;
        }
        let (counters, present) = (Arc::clone(&counters), Rc::clone(&present));
        spawn(async move {
            let at_once = present.now.fetch_add(1, SeqCst) + 1;
            counters.most_at_once.fetch_max(at_once, SeqCst);
            // A client that gives a stream up says so itself.
            let _ = answer(number, request, respond, &counters, &present).await;
            present.now.fetch_sub(1, SeqCst);
        });
    }
}

async fn answer(
    number: u64,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    counters: &Counters,
    present: &Present,
) -> Result<(), h2::Error> {
    let (head, mut body) = request.into_parts();
    remember(&head, counters);
    let path = head.uri.path().to_owned();
    let argument = |prefix| {
        path.strip_prefix(prefix)
            .map(|n: &str| n.parse::<u64>().unwrap())
    };
    if let Some(code) = argument("/refuse-body/") {
        counters.resets.fetch_add(1, SeqCst);
        respond.send_reset(Reason::from(code as u32));
        return Ok(());
    }
    let mut sent = Vec::new();
    while let Some(bytes) = body.data().await {
        let bytes = bytes?;
        body.flow_control().release_capacity(bytes.len())?;
        counters.body_bytes.fetch_add(bytes.len() as u64, SeqCst);
        if head.method == Method::POST {
            sent.push(bytes);
        }
    }
    if let Some(code) = argument("/reset/")
        && number % 3 == 2
    {
        counters.resets.fetch_add(1, SeqCst);
        respond.send_reset(Reason::from(code as u32));
        return Ok(());
    }
    if let Some(n) = argument("/together/") {
        together(n, present).await;
    }
    let mut response = Response::new(());
    if head.method == Method::PUT {
        *response.status_mut() = StatusCode::NO_CONTENT;
    }
    if let Some(len) = argument("/bytes/") {
        let digest = check::content_digest(len).parse().unwrap();
        response.headers_mut().insert("content-digest", digest);
        let mut left = len;
        while left > 0 {
            let chunk = Pattern::new().chunk(left);
            left -= chunk.len() as u64;
            sent.push(Bytes::from_static(chunk));
        }
    }
    let stream = respond.send_response(response, sent.is_empty())?;
    send(stream, sent).await
}

/// Waits until `n` requests of the connection wait.
async fn together(n: u64, present: &Present) {
    let all = present.all.notified();
    if present.together.fetch_add(1, SeqCst) + 1 == n {
        present.together.store(0, SeqCst);
        present.all.notify_waiters();
    } else {
        all.await;
    }
}

async fn send(mut stream: SendStream<Bytes>, chunks: Vec<Bytes>) -> Result<(), h2::Error> {
    let mut left: usize = chunks.iter().map(Bytes::len).sum();
    for mut chunk in chunks {
        while !chunk.is_empty() {
            stream.reserve_capacity(chunk.len());
            while stream.capacity() == 0 {
                match std::future::poll_fn(|context| stream.poll_capacity(context)).await {
                    Some(room) => room?,
                    None => return Err(Reason::CANCEL.into()),
                };
            }
            let part = chunk.split_to(stream.capacity().min(chunk.len()));
            left -= part.len();
            stream.send_data(part, left == 0)?;
        }
    }
    Ok(())
}

fn remember(head: &hyper::http::request::Parts, counters: &Counters) {
    let text = |value: &hyper::header::HeaderValue| value.to_str().unwrap().to_owned();
    let fields = head.headers.iter();
    let fields = fields.map(|(name, value)| (name.as_str().to_owned(), text(value)));
    let mut all: Vec<_> = fields.collect();
    all.push((":uri".to_owned(), head.uri.to_string()));
    *counters.last.lock().unwrap() = all;
}

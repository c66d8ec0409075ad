//! HTTP/1.1 by hand, so that tests can say and see exactly what stands on the wire.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use super::tcp::Upstream;
use super::tls::End;
use super::watch::Watch;

/// Header fields in the order of the wire.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields(pub Vec<(String, String)>);

impl Fields {
    /// All values of a field, whatever the case of its name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let same = self
            .0
            .iter()
            .filter(|(found, _)| found.eq_ignore_ascii_case(name));
        same.map(|(_, value)| value.as_str()).collect()
    }

    /// The one value of a field.
    pub fn one(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(
            all.len() < 2,
            "{name} stands there {} times: {all:?}",
            all.len()
        );
        all.first().copied()
    }

    pub fn number(&self, name: &str) -> Option<u64> {
        self.one(name).map(|value| value.parse().unwrap())
    }
}

impl std::fmt::Debug for Fields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map()
            .entries(self.0.iter().map(|(name, value)| (name, value)))
            .finish()
    }
}

/// A message as it was received.
#[derive(Clone)]
pub struct Message {
    /// Request line or status line.
    pub first_line: String,
    pub fields: Fields,
    /// All bytes, head and body with its framing.
    pub raw: Vec<u8>,
    /// The body without its framing.
    pub body: Vec<u8>,
    /// `None`: it is complete.
    pub cut: Option<End>,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let start = &self.body[..self.body.len().min(300)];
        write!(
            f,
            "{:?} {:?} {} B body {:?} cut {:?}",
            self.first_line,
            self.fields,
            self.body.len(),
            String::from_utf8_lossy(start),
            self.cut
        )
    }
}

impl Message {
    pub fn method(&self) -> &str {
        self.first_line.split(' ').next().unwrap()
    }

    pub fn target(&self) -> &str {
        self.first_line.split(' ').nth(1).unwrap_or("")
    }

    pub fn status(&self) -> u16 {
        let status = self
            .first_line
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok());
        status.unwrap_or_else(|| panic!("no status in {self:?}"))
    }

    /// Asserts that it is complete.
    pub fn complete(self) -> Self {
        assert_eq!(self.cut, None, "cut short: {self:?}");
        self
    }

    /// Asserts that it is a complete error response of the gateway's own: status, stable type, request id,
    /// and not more.
    pub fn problem(self, status: u16) -> serde_json::Value {
        let message = self.complete();
        assert_eq!(message.status(), status, "{message:?}");
        assert_eq!(
            message.fields.one("content-type"),
            Some("application/problem+json"),
            "{message:?}"
        );
        let json: serde_json::Value = serde_json::from_slice(&message.body).unwrap();
        let kind = json["type"].as_str().unwrap_or_default();
        assert!(kind.starts_with("urn:sealgate:error:"), "{json}");
        assert_eq!(json["status"], status, "{json}");
        assert!(
            !json["request_id"].as_str().unwrap_or_default().is_empty(),
            "{json}"
        );
        let known = ["type", "title", "status", "request_id"];
        let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
        assert!(
            keys.iter().all(|key| known.contains(&key.as_str())),
            "it says more: {json}"
        );
        json
    }
}

/// Whose message is read; responses to some requests have no body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind<'a> {
    Request,
    /// The response to a request of this method.
    ResponseTo(&'a str),
}

/// Reads one message; `None` where the connection ended before its first byte.
///
/// It is strict where the gateway has to be unambiguous: CRLF only, one length, no folding.
pub fn read_message(stream: &mut impl BufRead, kind: Kind<'_>) -> io::Result<Option<Message>> {
    loop {
        let Some(message) = read_one(stream, kind)? else {
            return Ok(None);
        };
        // Interim responses precede the one that counts.
        let interim = kind != Kind::Request && message.first_line.starts_with("HTTP/1.1 1");
        if !interim || message.cut.is_some() {
            return Ok(Some(message));
        }
    }
}

fn read_one(stream: &mut impl BufRead, kind: Kind<'_>) -> io::Result<Option<Message>> {
    let mut message = Message {
        first_line: String::new(),
        fields: Fields::default(),
        raw: Vec::new(),
        body: Vec::new(),
        cut: None,
    };
    match stream.fill_buf() {
        Ok([]) => return Ok(None),
        Ok(_) => {}
        Err(error) => return Err(error),
    }
    if let Err(error) =
        read_head(stream, &mut message).and_then(|()| read_body(stream, &mut message, kind))
    {
        message.cut = Some(End::of(&error));
    }
    Ok(Some(message))
}

fn read_head(stream: &mut impl BufRead, message: &mut Message) -> io::Result<()> {
    message.first_line = line(stream, &mut message.raw)?;
    loop {
        let line = line(stream, &mut message.raw)?;
        if line.is_empty() {
            return Ok(());
        }
        assert!(!line.starts_with([' ', '\t']), "folded field: {line:?}");
        let (name, value) = line
            .split_once(':')
            .unwrap_or_else(|| panic!("no field: {line:?}"));
        assert!(
            !name.ends_with([' ', '\t']),
            "space before the colon: {line:?}"
        );
        message
            .fields
            .0
            .push((name.to_owned(), value.trim().to_owned()));
    }
}

fn read_body(stream: &mut impl BufRead, message: &mut Message, kind: Kind<'_>) -> io::Result<()> {
    let codings = message.fields.all("transfer-encoding");
    let lengths = message.fields.all("content-length");
    assert!(
        codings.len() + lengths.len() < 2,
        "ambiguous length: {message:?}"
    );
    let chunked = !codings.is_empty();
    if chunked {
        assert!(codings[0].eq_ignore_ascii_case("chunked"), "{message:?}");
    }
    let length = message.fields.number("content-length");
    match kind {
        Kind::ResponseTo("HEAD") => return Ok(()),
        Kind::ResponseTo(_) if [204, 304].contains(&message.status()) => return Ok(()),
        _ => {}
    }
    match (chunked, length, kind) {
        (true, _, _) => read_chunks(stream, message),
        (false, Some(length), _) => take(stream, message, length),
        (false, None, Kind::Request) => Ok(()),
        (false, None, Kind::ResponseTo(_)) => {
            let start = message.raw.len();
            let ended = stream.read_to_end(&mut message.raw);
            message.body.extend_from_slice(&message.raw[start..]);
            ended.map(drop)
        }
    }
}

fn take(stream: &mut impl BufRead, message: &mut Message, length: u64) -> io::Result<()> {
    let start = message.raw.len();
    let read = stream.take(length).read_to_end(&mut message.raw);
    message.body.extend_from_slice(&message.raw[start..]);
    if (message.raw.len() - start) as u64 == length {
        return Ok(());
    }
    read?;
    // FIN, or close_notify, inside a body of known length.
    Err(io::ErrorKind::UnexpectedEof.into())
}

fn read_chunks(stream: &mut impl BufRead, message: &mut Message) -> io::Result<()> {
    loop {
        let size = line(stream, &mut message.raw)?;
        let digits = size.split(';').next().unwrap();
        let size =
            u64::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("chunk size {digits:?}"));
        take(stream, message, size)?;
        if size == 0 {
            // Trailers, if any, then the empty line.
            while !line(stream, &mut message.raw)?.is_empty() {}
            return Ok(());
        }
        assert_eq!(
            line(stream, &mut message.raw)?,
            "",
            "a chunk without its end"
        );
    }
}

/// One line without its CRLF.
fn line(stream: &mut impl BufRead, raw: &mut Vec<u8>) -> io::Result<String> {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line)?;
    raw.extend_from_slice(&line);
    let text = line
        .strip_suffix(b"\n")
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    let text = text
        .strip_suffix(b"\r")
        .unwrap_or_else(|| panic!("bare LF after {text:?}"));
    Ok(String::from_utf8_lossy(text).into_owned())
}

/// A client's end of a connection that speaks HTTP.
pub struct Browser<S: Read + Write> {
    pub stream: BufReader<S>,
}

impl<S: Read + Write> Browser<S> {
    pub fn new(stream: S) -> Self {
        Self {
            stream: BufReader::new(stream),
        }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(bytes.as_ref()).unwrap();
        self.stream.get_mut().flush().unwrap();
    }

    /// Sends, where the other side may stop to listen in the middle.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref())?;
        self.stream.get_mut().flush()
    }

    /// The next response, which may be cut; of status 0 where a RST, which destroys what was not yet read, left nothing of it.
    pub fn response(&mut self, method: &str) -> Message {
        match read_message(&mut self.stream, Kind::ResponseTo(method)) {
            Ok(message) => message.expect("no response: closed"),
            Err(error) => Message {
                first_line: "HTTP/1.1 0".to_owned(),
                fields: Fields::default(),
                raw: Vec::new(),
                body: Vec::new(),
                cut: Some(End::of(&error)),
            },
        }
    }

    /// One request with these fields and body, and its response.
    pub fn request(&mut self, method: &str, target: &str, fields: &str, body: &[u8]) -> Message {
        let length = match body {
            [] if ["GET", "HEAD", "DELETE"].contains(&method) => String::new(),
            body => format!("Content-Length: {}\r\n", body.len()),
        };
        let mut bytes = format!("{method} {target} HTTP/1.1\r\n{fields}{length}\r\n").into_bytes();
        bytes.extend_from_slice(body);
        // A refusal may come before all of it has been read.
        let sent = self.try_send(bytes);
        let message = self.response(method);
        assert!(
            sent.is_ok() || message.status() >= 400 || message.cut.is_some(),
            "{sent:?} {message:?}"
        );
        message
    }

    /// How the connection ends, with the bytes that still come.
    pub fn end(&mut self) -> (Vec<u8>, End) {
        super::tls::read_to_end(&mut self.stream)
    }
}

/// An HTTP upstream that keeps what it saw.
pub struct HttpUpstream {
    upstream: Upstream,
    seen: Watch<Vec<Message>>,
    /// What no strict parser would have taken: each fails the test.
    violations: Watch<Vec<String>>,
}

impl HttpUpstream {
    /// `answer` gives the bytes of the response. With `Connection: close` in them the connection ends.
    pub fn start(answer: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start_with(move |request, socket| {
            let answer = answer(request);
            socket.write_all(&answer)?;
            match super::contains(&answer.to_ascii_lowercase(), b"connection: close") {
                true => Err(io::ErrorKind::ConnectionAborted.into()),
                false => Ok(()),
            }
        })
    }

    /// `answer` writes what it likes; after an error the connection is closed.
    pub fn start_with(
        answer: impl Fn(&Message, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let seen = Watch::new(Vec::new());
        let violations = Watch::new(Vec::new());
        let answer = Arc::new(answer);
        let upstream = Upstream::serve({
            let (seen, violations) = (seen.clone(), violations.clone());
            move |socket| {
                let mut stream = BufReader::new(socket);
                // An error: the peer reset between two requests.
                while let Ok(Some(request)) = watched(&mut stream, &violations) {
                    let cut = request.cut.is_some();
                    seen.change(|seen| seen.push(request.clone()));
                    if cut || answer(&request, stream.get_mut()).is_err() {
                        return;
                    }
                }
            }
        });
        Self {
            upstream,
            seen,
            violations,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.upstream.address
    }

    pub fn connections(&self) -> usize {
        self.upstream.connections()
    }

    /// All requests so far, the cut ones too.
    pub fn seen(&self) -> Vec<Message> {
        self.seen.read(Vec::clone)
    }

    /// Waits until a request is found.
    pub fn wait(&self, what: &str, found: impl Fn(&Message) -> bool) -> Message {
        self.seen.wait(what, |seen| {
            seen.iter().find(|request| found(request)).cloned()
        })
    }
}

impl Drop for HttpUpstream {
    fn drop(&mut self) {
        let violations = self.violations.read(Vec::clone);
        if !std::thread::panicking() {
            assert!(
                violations.is_empty(),
                "the upstream was sent: {violations:?}"
            );
        }
    }
}

/// Reads a request; what makes the strict parser panic is noted.
fn watched(
    stream: &mut BufReader<TcpStream>,
    violations: &Watch<Vec<String>>,
) -> io::Result<Option<Message>> {
    let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| read_request(stream)));
    read.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
        violations.change(|violations| violations.push(text));
        Ok(None)
    })
}

/// Reads a request and answers `Expect: 100-continue`.
fn read_request(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Message>> {
    let mut socket = stream.get_ref().try_clone()?;
    let mut message = Message {
        first_line: String::new(),
        fields: Fields::default(),
        raw: Vec::new(),
        body: Vec::new(),
        cut: None,
    };
    if stream.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let read = read_head(stream, &mut message).and_then(|()| {
        if message.fields.one("expect").is_some() {
            socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        read_body(stream, &mut message, Kind::Request)
    });
    message.cut = read.err().map(|error| End::of(&error));
    Ok(Some(message))
}

/// A response with a length.
pub fn response(status: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

//! HTTP/2 frame by frame, for what no server does on request.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

/// The client's connection preface (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// What a client may say, with the stream and the error code.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    Request(u32),
    Reset(u32, u32),
    GoAway(u32),
}

/// The server's end of a connection.
pub struct Frames(TcpStream);

impl Frames {
    /// Takes a client's preface and sends settings: pairs of identifier and value.
    pub fn accept(mut stream: TcpStream, settings: &[(u16, u32)]) -> Option<Self> {
        let mut preface = vec![0; PREFACE.len()];
        stream.read_exact(&mut preface).ok()?;
        assert_eq!(preface, PREFACE);
        let mut frames = Self(stream);
        let payload = settings.iter().flat_map(|(id, value)| {
            let (id, value) = (id.to_be_bytes(), value.to_be_bytes());
            id.into_iter().chain(value)
        });
        frames.send(SETTINGS, 0, 0, &payload.collect::<Vec<_>>());
        Some(frames)
    }

    /// The stream of the next request without a body; none when the client is gone.
    pub fn request(&mut self) -> Option<u32> {
        loop {
            if let Said::Request(stream) = self.next()? {
                return Some(stream);
            }
        }
    }

    /// What the client says next of requests and of the end; none when it is gone.
    pub fn next(&mut self) -> Option<Said> {
        loop {
            let (kind, flags, stream, payload) = self.receive()?;
            let code = || u32::from_be_bytes(*payload.last_chunk().unwrap());
            match kind {
                HEADERS => {
                    assert_ne!(flags & END_STREAM, 0, "it has no body");
                    return Some(Said::Request(stream));
                }
                RST_STREAM => return Some(Said::Reset(stream, code())),
                GOAWAY => return Some(Said::GoAway(code())),
                SETTINGS if flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[]),
                PING if flags & ACK == 0 => self.send(PING, ACK, 0, &payload),
                _ => {}
            }
        }
    }

    /// Waits until the client is gone, whatever it says before.
    pub fn until_gone(&mut self) {
        while self.receive().is_some() {}
    }

    /// Allows so many streams at once from now on.
    pub fn allow(&mut self, streams: u32) {
        let payload = [&3u16.to_be_bytes()[..], &streams.to_be_bytes()].concat();
        self.send(SETTINGS, 0, 0, &payload);
    }

    /// An answer of 200 without a body.
    pub fn ok(&mut self, stream: u32) {
        // `:status: 200` is entry 8 of HPACK's static table.
        self.send(HEADERS, END_HEADERS | END_STREAM, stream, &[0x88]);
    }

    /// The head of an answer, and a part of its body.
    pub fn begin(&mut self, stream: u32) {
        self.send(HEADERS, END_HEADERS, stream, &[0x88]);
        self.send(DATA, 0, stream, b"part");
    }

    pub fn reset(&mut self, stream: u32, code: u32) {
        self.send(RST_STREAM, 0, stream, &code.to_be_bytes());
    }

    pub fn go_away(&mut self, last: u32, code: u32) {
        let payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
        self.send(GOAWAY, 0, 0, &payload);
    }

    fn receive(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).ok()?;
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; len as usize];
        self.0.read_exact(&mut payload).ok()?;
        Some((head[3], head[4], stream, payload))
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![len[1], len[2], len[3], kind, flags];
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        // A client that is gone is seen when reading.
        let _ = self.0.write_all(&frame);
    }
}

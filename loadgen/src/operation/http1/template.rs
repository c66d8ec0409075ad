//! The request that is sent again and again, as bytes.

use std::{borrow::Cow, io::Write, sync::Arc};

use bytes::Bytes;

use super::{
    check::{self, BodyCheck, Check, Expected},
    first::FirstAnswers,
    objects::Objects,
    response::Asked,
};
use crate::{
    envelope::{holders::Holders, ready::Ready},
    operation::{reuse::Reuse, size::Size},
    pattern::Pattern,
    placeholder::{Filling, Text},
    schedule::{Arrival, random::Random},
};

/// Bodies up to this size leave in one piece with their head.
pub const SMALL_BODY: u64 = 16 * 1024;

/// A request to send again and again.
#[derive(Debug, Clone)]
pub struct Template {
    /// Method, target and fields, without those that depend on the body and without the empty line.
    head: Text,
    /// Method of the request.
    pub method: String,
    /// Its path and query.
    pub path: Text,
    /// Its fields, `Host` among them, without those that depend on the body.
    pub fields: Vec<(String, String)>,
    /// Sizes of the body; none when there is no body.
    pub size: Option<Size>,
    /// The objects that it touches; none when it is always the same.
    pub objects: Option<Objects>,
    /// What the answer has to be.
    pub check: Check,
    /// Statuses that count; empty for those below 400.
    pub statuses: Vec<u16>,
    /// Requests on one connection.
    pub reuse: Reuse,
    /// Sealed messages that are sent in turn; none where bodies are plain.
    pub ready: Option<Arc<Ready>>,
    /// What opens the answers; none where nothing is opened.
    pub keys: Option<Arc<Holders>>,
    /// Share of the new connections that send their first request as early data, in percent.
    pub early_data_percent: f64,
    /// Where chance comes from.
    pub seed: u64,
    /// What the first answers were, which the others are held to.
    first: Arc<FirstAnswers>,
    /// `Content-Digest` of a body whose size does not change.
    digest: Option<String>,
}

/// Bytes of bodies, and whose they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lens {
    /// Which tenant's.
    pub tenant: usize,
    /// Which of the messages that are ready; none where bodies are plain.
    pub ready: Option<usize>,
    /// Sent.
    pub sent: u64,
    /// To come back, where an answer is compared with what was sent.
    pub answered: u64,
}

impl Lens {
    /// Of a tenant, as many to send as to come back.
    pub fn same(tenant: usize, len: u64) -> Self {
        Self {
            tenant,
            ready: None,
            sent: len,
            answered: len,
        }
    }
}

/// What a template is made of.
#[derive(Debug, Clone)]
pub struct Parts<'a> {
    /// Method.
    pub method: &'a str,
    /// Path and query.
    pub path: &'a Text,
    /// Header fields, `Host` among them.
    pub fields: &'a [(String, String)],
    /// Sizes of the body; none when there is no body.
    pub size: Option<Size>,
    /// What the answer has to be.
    pub check: Check,
    /// Requests on one connection.
    pub reuse: Reuse,
    /// Where chance comes from.
    pub seed: u64,
}

impl Template {
    /// Builds the bytes. Method, path and fields have to be checked.
    pub fn new(parts: Parts<'_>) -> Self {
        let mut fields = " HTTP/1.1\r\n".to_owned();
        for (name, value) in parts.fields {
            fields.push_str(&format!("{name}: {value}\r\n"));
        }
        let head = Text::literal(&format!("{} ", parts.method))
            .followed_by(parts.path.clone())
            .followed_by(Text::of_tenant(&fields));
        let digest = match (parts.check, parts.size) {
            (Check::Hash, Some(Size::Fixed(len))) => Some(check::content_digest(len)),
            _ => None,
        };
        Self {
            head,
            method: parts.method.to_owned(),
            path: parts.path.clone(),
            fields: parts.fields.to_vec(),
            size: parts.size,
            objects: None,
            statuses: Vec::new(),
            check: parts.check,
            reuse: parts.reuse,
            early_data_percent: 0.0,
            ready: None,
            keys: None,
            seed: parts.seed,
            first: Arc::default(),
            digest,
        }
    }

    /// How the answer ends.
    pub fn asked(&self) -> Asked {
        match self.method.as_str() {
            "HEAD" => Asked::HeadOnly,
            _ => Asked::Whole,
        }
    }

    /// Whether sending it twice does what sending it once does (RFC 9110 §9.2.2).
    pub fn is_idempotent(&self) -> bool {
        let methods = ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"];
        methods.contains(&self.method.as_str())
    }

    /// The number of the object that the operation with this number on this worker touches.
    pub fn object(&self, worker: u64, number: u64) -> u64 {
        let objects = self.objects.as_ref();
        objects.map_or(0, |objects| objects.number(worker, number))
    }

    /// Bytes of the body that is sent, and of the one that has to come back where that is known.
    pub fn lens(&self, worker: u64, arrival: Arrival, object: u64) -> Lens {
        let tenant = arrival.tenant;
        if let Some(ready) = &self.ready {
            let message = ready.pick(tenant, arrival.number);
            return Lens {
                ready: Some(message),
                ..Lens::same(tenant, ready.bytes(message).len() as u64)
            };
        }
        let size = self.objects.as_ref();
        let size = size.and_then(|objects| objects.size(arrival.tenant, object));
        match (self.size, size) {
            (Some(_), Some(size)) => Lens::same(tenant, size),
            (None, Some(size)) => Lens {
                tenant,
                ready: None,
                sent: 0,
                answered: size,
            },
            (_, None) => Lens::same(tenant, self.body_len(worker, arrival.number)),
        }
    }

    /// What the answer to a request with these bodies has to be, beside the check.
    pub fn expected(&self, lens: Lens) -> Expected<'_> {
        Expected {
            len: lens.answered,
            statuses: &self.statuses,
            first: &self.first,
            tenant: lens.tenant,
        }
    }

    /// Bytes of the body of the operation with this number on this worker.
    pub fn body_len(&self, worker: u64, number: u64) -> u64 {
        match self.size {
            None => 0,
            Some(Size::Fixed(len)) => len,
            Some(size) => size.draw(&mut Random::new(self.seed, worker << 48 | number)),
        }
    }

    /// The message that is sent; none where bodies are plain.
    fn message(&self, lens: Lens) -> Option<(&Ready, usize)> {
        Some((self.ready.as_deref()?, lens.ready?))
    }

    /// The body from byte `at` on, as far as it lies in one piece.
    pub fn part(&self, lens: Lens, at: u64) -> &[u8] {
        match self.message(lens) {
            Some((ready, message)) => &ready.bytes(message)[at as usize..],
            None => Pattern::new().chunk(lens.sent - at),
        }
    }

    /// The same, to be handed on.
    pub fn shared_part(&self, lens: Lens, at: u64) -> Bytes {
        match self.message(lens) {
            Some((ready, message)) => ready.bytes(message).slice(at as usize..),
            None => Bytes::from_static(Pattern::new().chunk(lens.sent - at)),
        }
    }

    /// `Content-Digest` of the body; none when answers are not checked by digest.
    pub fn digest(&self, lens: Lens) -> Option<Cow<'_, str>> {
        if self.check != Check::Hash || self.size.is_none() {
            return None;
        }
        Some(match (self.message(lens), &self.digest) {
            (Some((ready, message)), _) => ready.digest(message).into(),
            (None, Some(digest)) => digest.into(),
            (None, None) => check::content_digest(lens.sent).into(),
        })
    }

    /// What the body of the answer to a request with these bodies has to be.
    pub fn body_check(&self, lens: Lens) -> BodyCheck {
        let keys = self.keys.as_ref();
        BodyCheck::new(self.check, keys.and_then(|keys| keys.of(lens.tenant)))
    }

    /// Puts the request into `out`, with its body if that is small. Allocates only to grow `out`.
    pub fn write(&self, filling: Filling<'_>, lens: Lens, out: &mut Vec<u8>) {
        out.clear();
        self.head.write(filling, out);
        if self.size.is_some() {
            let _ = write!(out, "Content-Length: {}\r\n", lens.sent);
        }
        if let Some(digest) = self.digest(lens) {
            let _ = write!(out, "Content-Digest: {digest}\r\n");
        }
        out.extend_from_slice(b"\r\n");
        if lens.sent <= SMALL_BODY {
            out.extend_from_slice(self.part(lens, 0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(size: Option<Size>, check: Check) -> Template {
        Template::new(Parts {
            method: "PUT",
            path: &Text::literal("/x?y"),
            fields: &[("Host".to_owned(), "a.example".to_owned())],
            size,
            check,
            reuse: Reuse::default(),
            seed: 1,
        })
    }

    #[test]
    fn the_bytes_are_those_of_a_request() {
        let mut out = Vec::new();
        template(None, Check::Hash).write(Filling::default(), Lens::same(0, 0), &mut out);
        assert_eq!(out, b"PUT /x?y HTTP/1.1\r\nHost: a.example\r\n\r\n");
        let three = Lens::same(0, 3);
        template(Some(Size::Fixed(3)), Check::Status).write(Filling::default(), three, &mut out);
        let body = Pattern::new().chunk(3);
        let head = b"PUT /x?y HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\n";
        assert_eq!(out, [&head[..], body].concat());
        template(Some(Size::Fixed(3)), Check::Hash).write(Filling::default(), three, &mut out);
        let text = String::from_utf8_lossy(&out);
        assert!(text.contains("\r\nContent-Digest: sha-256=:"), "{text}");
    }

    #[test]
    fn sizes_depend_on_seed_and_number_alone() {
        let drawn = template(Some(Size::Uniform(1, 1_000_000)), Check::Status);
        assert_eq!(drawn.body_len(0, 7), drawn.body_len(0, 7));
        assert_ne!(drawn.body_len(0, 7), drawn.body_len(0, 8));
        assert_ne!(drawn.body_len(0, 7), drawn.body_len(1, 7));
    }
}

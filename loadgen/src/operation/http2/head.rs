//! The request as HTTP/2 has it: pseudo-header fields, and none that speak of the connection.

use hyper::{
    HeaderMap, Request, Uri,
    header::{CONTENT_LENGTH, HeaderName, HeaderValue},
    http::uri::{Authority, Scheme},
};
use thiserror::Error;

use crate::operation::http1::template::Template;

/// Fields that HTTP/2 does not have, since they are about a connection (RFC 9113 §8.2.2).
const CONNECTION_FIELDS: [&str; 6] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// The digest of a body (RFC 9530).
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");

/// A request that HTTP/2 cannot carry. The operator's fault.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum HeadError {
    /// The field is about the connection.
    #[error("HTTP/2 has no {0} field (RFC 9113, 8.2.2): drop it, or use --http 1.1")]
    ConnectionField(String),
    /// The host is none.
    #[error("{0} is no host to ask for: write -H 'Host: name' or 'Host: name:port'")]
    Host(String),
    /// The request has no form in HTTP/2.
    #[error("{method} {path} cannot be asked for over HTTP/2: correct -X or the path")]
    Request {
        /// As it was written.
        method: String,
        /// As it was written.
        path: String,
    },
}

/// The request of `template`, without what depends on its body.
///
/// # Errors
///
/// When HTTP/2 cannot carry it.
pub fn request(template: &Template, scheme: Scheme) -> Result<Request<()>, HeadError> {
    let mut headers = HeaderMap::new();
    let mut authority = None;
    for (name, value) in &template.fields {
        let lower = name.to_ascii_lowercase();
        if CONNECTION_FIELDS.contains(&lower.as_str()) {
            return Err(HeadError::ConnectionField(name.clone()));
        }
        if lower == "host" {
            let parsed = value.parse::<Authority>();
            authority = Some(parsed.map_err(|_| HeadError::Host(value.clone()))?);
            continue;
        }
        // Checked when the flags were read.
        if let (Ok(name), Ok(value)) = (lower.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
            headers.append(name, value);
        }
    }
    let unfit = || HeadError::Request {
        method: template.method.clone(),
        path: template.path.clone(),
    };
    let uri = Uri::builder()
        .scheme(scheme)
        .path_and_query(&*template.path);
    let uri = match authority {
        Some(authority) => uri.authority(authority),
        None => uri,
    };
    let uri = uri.build().map_err(|_| unfit())?;
    let built = Request::builder()
        .method(&*template.method)
        .uri(uri)
        .body(());
    let mut request = built.map_err(|_| unfit())?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// The request with a body of `body_len` bytes.
pub fn with_body(request: &Request<()>, template: &Template, body_len: u64) -> Request<()> {
    let mut request = request.clone();
    if template.size.is_some() {
        request
            .headers_mut()
            .insert(CONTENT_LENGTH, body_len.into());
    }
    if let Some(digest) = template.digest(body_len)
        && let Ok(digest) = HeaderValue::from_str(&digest)
    {
        request.headers_mut().insert(CONTENT_DIGEST, digest);
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{
        http1::{check::Check, template::Parts},
        reuse::Reuse,
        size::Size,
    };

    fn template(fields: &[(&str, &str)]) -> Template {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let fields: Vec<_> = fields.iter().map(own).collect();
        Template::new(Parts {
            method: "PUT",
            path: &crate::placeholder::Text::literal("/x?y"),
            fields: &fields,
            size: Some(Size::Fixed(3)),
            check: Check::Hash,
            reuse: Reuse::default(),
            seed: 1,
        })
    }

    #[test]
    fn the_host_is_the_authority_and_no_field() {
        let template = template(&[("Host", "a.example:8443"), ("X-A", "b"), ("x-a", "c")]);
        let request = request(&template, Scheme::HTTPS).unwrap();
        assert_eq!(request.uri(), "https://a.example:8443/x?y");
        let fields: Vec<_> = request.headers().iter().collect();
        assert_eq!(fields.len(), 2);
        assert!(fields.iter().all(|(name, _)| *name == "x-a"));
        let sent = with_body(&request, &template, 3);
        assert_eq!(sent.headers()["content-length"], "3");
        assert_eq!(
            sent.headers()["content-digest"],
            *template.digest(3).unwrap()
        );
    }

    #[test]
    fn what_http2_does_not_have_is_refused_by_name() {
        let refused = |field| request(&template(&[field]), Scheme::HTTP).unwrap_err();
        let error = refused(("Connection", "close"));
        assert_eq!(error, HeadError::ConnectionField("Connection".to_owned()));
        assert!(error.to_string().contains("--http 1.1"), "{error}");
        let error = refused(("Host", "a b"));
        assert_eq!(error, HeadError::Host("a b".to_owned()));
    }
}

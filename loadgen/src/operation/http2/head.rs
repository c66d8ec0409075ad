//! The request as HTTP/2 has it: pseudo-header fields, and none that speak of the connection.

use hyper::{
    Request, Uri,
    header::{CONTENT_LENGTH, HeaderName, HeaderValue},
    http::uri::{Authority, Scheme},
};
use thiserror::Error;

use crate::{
    operation::http1::template::{Lens, Template},
    placeholder::{Filling, Text},
    tenants::Tenants,
};

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

/// The requests of a template, without what depends on their bodies.
#[derive(Debug, Clone)]
pub struct Heads {
    /// The request of the first tenant, or of all.
    first: Request<()>,
    /// What differs between tenants; none where nothing does.
    of_tenants: Option<OfTenants>,
}

/// Where a tenant's name is filled in.
#[derive(Debug, Clone)]
struct OfTenants {
    scheme: Scheme,
    authority: Option<Text>,
    path: Text,
    fields: Vec<(HeaderName, Text)>,
}

impl Heads {
    /// The requests of `template`.
    ///
    /// # Errors
    ///
    /// When HTTP/2 cannot carry them.
    pub fn new(
        template: &Template,
        scheme: Scheme,
        tenants: Option<&Tenants>,
    ) -> Result<Self, HeadError> {
        let mut texts = OfTenants {
            scheme,
            authority: None,
            path: template.path.clone(),
            fields: Vec::new(),
        };
        for (name, value) in &template.fields {
            let lower = name.to_ascii_lowercase();
            if CONNECTION_FIELDS.contains(&lower.as_str()) {
                return Err(HeadError::ConnectionField(name.clone()));
            }
            let value = Text::of_tenant(value);
            if lower == "host" {
                texts.authority = Some(value);
            } else if let Ok(name) = lower.parse::<HeaderName>() {
                // Checked when the flags were read.
                texts.fields.push((name, value));
            }
        }
        let first = texts.request(
            &template.method,
            Filling {
                tenants,
                ..Filling::default()
            },
        )?;
        let differ = tenants.is_some() && texts.name_tenant();
        Ok(Self {
            first,
            of_tenants: differ.then_some(texts),
        })
    }

    /// The request of a tenant with its body's fields.
    pub fn with_body(&self, template: &Template, of: Filling<'_>, lens: Lens) -> Request<()> {
        let mut request = match &self.of_tenants {
            None => self.first.clone(),
            Some(texts) => texts
                .request(&template.method, of)
                .expect("a tenant's name fits wherever the first one's did"),
        };
        if template.size.is_some() {
            request
                .headers_mut()
                .insert(CONTENT_LENGTH, lens.sent.into());
        }
        if let Some(digest) = template.digest(lens)
            && let Ok(digest) = HeaderValue::from_str(&digest)
        {
            request.headers_mut().insert(CONTENT_DIGEST, digest);
        }
        request
    }
}

impl OfTenants {
    fn name_tenant(&self) -> bool {
        let fields = self.fields.iter().map(|(_, text)| text);
        let mut all = fields.chain(&self.authority).chain([&self.path]);
        all.any(Text::names_tenant)
    }

    fn request(&self, method: &str, of: Filling<'_>) -> Result<Request<()>, HeadError> {
        let path = self.path.filled(of);
        let unfit = || HeadError::Request {
            method: method.to_owned(),
            path: path.clone(),
        };
        let uri = Uri::builder()
            .scheme(self.scheme.clone())
            .path_and_query(&*path);
        let uri = match &self.authority {
            Some(text) => {
                let host = text.filled(of);
                let parsed = host.parse::<Authority>();
                uri.authority(parsed.map_err(|_| HeadError::Host(host))?)
            }
            None => uri,
        };
        let uri = uri.build().map_err(|_| unfit())?;
        let built = Request::builder().method(method).uri(uri).body(());
        let mut request = built.map_err(|_| unfit())?;
        for (name, text) in &self.fields {
            // Checked when the flags were read.
            if let Ok(value) = text.filled(of).parse::<HeaderValue>() {
                request.headers_mut().append(name, value);
            }
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Files;
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
        let heads = Heads::new(&template, Scheme::HTTPS, None).unwrap();
        assert_eq!(heads.first.uri(), "https://a.example:8443/x?y");
        let fields: Vec<_> = heads.first.headers().iter().collect();
        assert_eq!(fields.len(), 2);
        assert!(fields.iter().all(|(name, _)| *name == "x-a"));
        let sent = heads.with_body(&template, Filling::default(), Lens::same(0, 3));
        assert_eq!(sent.headers()["content-length"], "3");
        assert_eq!(
            sent.headers()["content-digest"],
            *template.digest(Lens::same(0, 3)).unwrap()
        );
    }

    #[test]
    fn each_tenant_has_a_request_of_its_own() {
        let template = template(&[("Host", "{tenant}.example"), ("X-A", "{tenant} {n}")]);
        let tenants = Tenants::new(&"2".parse().unwrap(), "t{n}", &[], 1, &Files::Disk).unwrap();
        let heads = Heads::new(&template, Scheme::HTTPS, Some(&tenants)).unwrap();
        let filling = Filling {
            tenants: Some(&tenants),
            tenant: 1,
            object: 0,
        };
        let second = heads.with_body(&template, filling, Lens::same(1, 3));
        assert_eq!(second.uri(), "https://t2.example/x?y");
        assert_eq!(second.headers()["x-a"], "t2 {n}");
    }

    #[test]
    fn what_http2_does_not_have_is_refused_by_name() {
        let refused = |field| Heads::new(&template(&[field]), Scheme::HTTP, None).unwrap_err();
        let error = refused(("Connection", "close"));
        assert_eq!(error, HeadError::ConnectionField("Connection".to_owned()));
        assert!(error.to_string().contains("--http 1.1"), "{error}");
        let error = refused(("Host", "a b"));
        assert_eq!(error, HeadError::Host("a b".to_owned()));
    }
}

//! Bodies on their way from a service to a client, opened frame by frame.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use sealgate_envelope::{Header, Opener, ParsedHeader, Refusal, sizes};
use sealgate_keys::{Keyring, OpenBeginError};

use super::request_body::Progress;
use super::serve::Asked;
use crate::tenant::NoKeys;

/// An envelope being opened. Everything it gives has been verified; while the message may still
/// turn out to be cut short, the last byte that the announced length allows is held back.
pub(crate) struct OpenBody {
    sealed: Incoming,
    opener: Option<Opener>,
    /// Opened and not given yet.
    opened: Bytes,
    /// Plaintext bytes still to come, where the sealed length was announced.
    left: Option<u64>,
    progress: Rc<Progress>,
}

/// Why a body cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The service broke off.
    #[error("the service broke off: {0}")]
    Upstream(hyper::Error),
    /// It is no envelope, or a damaged one.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It is an envelope, but not of this tenant and path.
    #[error(transparent)]
    NotOurs(#[from] OpenBeginError),
    /// Its length is none that an envelope can have.
    #[error("no envelope with a header of {header_len} bytes is {sealed_len} bytes long")]
    Length {
        /// Length announced.
        sealed_len: u64,
        /// Length of the header that came.
        header_len: u64,
    },
    /// The message was whole but not as long as its sealed length said.
    #[error("the message's length is not the one announced")]
    NotAsAnnounced,
    /// There are no keys to open it with.
    #[error(transparent)]
    NoKeys(#[from] NoKeys),
    /// The path is too long for a context.
    #[error("the path does not fit an envelope's context")]
    PathTooLong,
}

impl OpenBody {
    /// Reads and verifies the header, and opens until there is plaintext to give: what is wrong
    /// from the start is found before the client is told of success.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was released.
    pub(crate) async fn begin(
        mut sealed: Incoming,
        asked: &Asked<'_>,
        sealed_len: Option<u64>,
    ) -> Result<OpenBody, OpenError> {
        let mut received = Vec::new();
        let (header, header_len) = loop {
            // `parse` refuses what is too long for a header before it is all here.
            match Header::parse(&received)? {
                ParsedHeader::Complete { header, len_bytes } => break (header, len_bytes),
                ParsedHeader::NeedMore { .. } => match next(&mut sealed).await? {
                    Some(bytes) => received.extend_from_slice(&bytes),
                    None => return Err(Refusal::header_cut_short(received.len()).into()),
                },
            }
        };
        let opener = opener(asked, &header).await?;
        let left = match sealed_len {
            None => None,
            Some(sealed_len) => {
                let header_len = header_len as u64;
                let opened = sizes::opened_len(sealed_len, header_len, header.frame_len_bytes());
                Some(opened.ok_or(OpenError::Length {
                    sealed_len,
                    header_len,
                })?)
            }
        };
        let mut body = OpenBody {
            sealed,
            opener: Some(opener),
            opened: Bytes::new(),
            left,
            progress: Rc::clone(&asked.record.progress),
        };
        body.take(&received[header_len..])?;
        while body.opened.is_empty() && body.opener.is_some() {
            match next(&mut body.sealed).await? {
                Some(bytes) => body.take(&bytes)?,
                None => body.finish()?,
            }
        }
        Ok(body)
    }

    /// Plaintext bytes still to come, where that is known.
    pub(crate) fn len(&self) -> Option<u64> {
        self.left
    }

    fn take(&mut self, sealed: &[u8]) -> Result<(), OpenError> {
        self.progress.busy.service_moved();
        let Some(opener) = &mut self.opener else {
            return Ok(());
        };
        let mut out = Vec::with_capacity(opener.output_len_most(sealed.len()));
        if !self.opened.is_empty() {
            out.extend_from_slice(&self.opened);
        }
        opener.write(sealed, &mut out)?;
        self.opened = Bytes::from(out);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), OpenError> {
        if let Some(opener) = self.opener.take() {
            opener.finish()?;
        }
        Ok(())
    }

    /// What may be given now: all that is opened, but never the announced length's last byte before
    /// the message has ended as it should. hyper takes the announced length for the end.
    fn releasable(&mut self) -> Result<Bytes, OpenError> {
        let Some(left) = self.left else {
            return Ok(std::mem::take(&mut self.opened));
        };
        let most = match &self.opener {
            Some(_) => left.saturating_sub(1),
            None if self.opened.len() as u64 != left => return Err(OpenError::NotAsAnnounced),
            None => left,
        };
        let n = usize::try_from(most)
            .unwrap_or(usize::MAX)
            .min(self.opened.len());
        self.left = Some(left - n as u64);
        Ok(self.opened.split_to(n))
    }

    /// The next plaintext.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, OpenError>>> {
        loop {
            match self.releasable() {
                Ok(bytes) if !bytes.is_empty() => return Poll::Ready(Some(Ok(bytes))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(self.give_up(error)))),
            }
            if self.opener.is_none() {
                return Poll::Ready(None);
            }
            let step = match std::task::ready!(Pin::new(&mut self.sealed).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => self.take(&bytes),
                    Err(_trailers) => Ok(()),
                },
                Some(Err(error)) => Err(OpenError::Upstream(error)),
                None => self.finish(),
            };
            if let Err(error) = step {
                return Poll::Ready(Some(Err(self.give_up(error))));
            }
        }
    }

    /// Nothing more is given.
    fn give_up(&mut self, error: OpenError) -> OpenError {
        self.opened.clear();
        self.opener = None;
        self.left = None;
        error
    }

    /// Whether the message has ended as it should, and all of it was given.
    pub(crate) fn is_complete(&self) -> bool {
        self.opener.is_none() && self.opened.is_empty() && self.left.is_none_or(|left| left == 0)
    }
}

/// Begins to open the message. The keyring is let go of here: its plaintext may come much later.
async fn opener(asked: &Asked<'_>, header: &Header) -> Result<Opener, OpenError> {
    let keyring = asked.keyring().await?;
    let context = context(&keyring, &asked.path)?;
    let begun = keyring.open_begin(header, &context);
    drop(keyring);
    match begun {
        Err(OpenBeginError::UnknownEpoch { .. }) => {
            let renewed = asked.renewed_keyring().await?;
            Ok(renewed.open_begin(header, &context)?)
        }
        begun => Ok(begun?),
    }
}

/// The context that a message of this tenant and path has to have.
fn context(keyring: &Keyring, path: &str) -> Result<sealgate_envelope::Context, OpenError> {
    use sealgate_keys::context_key;
    sealgate_envelope::Context::from_pairs([
        (context_key::TENANT, keyring.pseudonym()),
        (context_key::PATH, path),
    ])
    .map_err(|_| OpenError::PathTooLong)
}

async fn next(body: &mut Incoming) -> Result<Option<Bytes>, OpenError> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(error)) => return Err(OpenError::Upstream(error)),
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
        }
    }
}

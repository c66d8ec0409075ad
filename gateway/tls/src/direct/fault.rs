//! What ends an established session: the error as rustls names it, and the alert that tells the peer.

use rustls::{AlertDescription, ContentType, Error, InvalidMessage, PeerMisbehaved};

/// A fatal error of a record or a post-handshake message.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) error: Error,
    /// None where the peer said so itself.
    pub(super) alert: Option<AlertDescription>,
}

impl Fault {
    fn new(error: impl Into<Error>, alert: AlertDescription) -> Self {
        Self {
            error: error.into(),
            alert: Some(alert),
        }
    }

    /// A record whose tag does not verify, or that is too short to have one (RFC 8446 §5.2).
    pub(super) fn bad_record() -> Self {
        Self::new(Error::DecryptError, AlertDescription::BadRecordMac)
    }

    /// More than a record may hold (RFC 8446 §5.1, §5.2).
    pub(super) fn oversized() -> Self {
        Self::new(
            Error::PeerSentOversizedRecord,
            AlertDescription::RecordOverflow,
        )
    }

    /// What may not come at this place.
    pub(super) fn unexpected(what: PeerMisbehaved) -> Self {
        Self::new(what, AlertDescription::UnexpectedMessage)
    }

    /// A content type that does not come after the handshake, or not in the clear.
    pub(super) fn content_type(content_type: u8) -> Self {
        let error = Error::InappropriateMessage {
            expect_types: vec![ContentType::ApplicationData, ContentType::Handshake],
            got_type: content_type.into(),
        };
        Self::new(error, AlertDescription::UnexpectedMessage)
    }

    /// A message that says what it may not say (RFC 8446 §4.6.3).
    pub(super) fn illegal(message: InvalidMessage) -> Self {
        Self::new(message, AlertDescription::IllegalParameter)
    }

    /// A message that cannot be read.
    pub(super) fn malformed(message: InvalidMessage) -> Self {
        Self::new(message, AlertDescription::DecodeError)
    }

    /// What rustls says of a message that it was given.
    pub(super) fn from_rustls(error: Error) -> Self {
        match error {
            Error::InvalidMessage(message) => Self::malformed(message),
            error => Self::new(error, AlertDescription::IllegalParameter),
        }
    }

    /// The peer's fatal alert.
    pub(super) fn received(alert: AlertDescription) -> Self {
        Self {
            error: Error::AlertReceived(alert),
            alert: None,
        }
    }

    /// The cryptographic library failed, or was used wrongly: a bug.
    pub(super) fn library() -> Self {
        Self::new(
            Error::General("the record layer failed".to_owned()),
            AlertDescription::InternalError,
        )
    }
}

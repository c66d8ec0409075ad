//! A control connection: messages in both directions as JSON behind its length, with a bound on
//! frames, queues and silence.

use std::{io, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf},
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};
use zeroize::Zeroizing;

use super::{BEAT, MAX_FRAME_BYTES, QUEUE, SILENCE};

/// What goes over a link.
pub trait Message: Serialize + DeserializeOwned + Send + 'static {
    /// What is said when there is nothing to say.
    const BEAT: Self;

    /// Whether it is that.
    fn is_beat(&self) -> bool;
}

/// A control connection came to its end.
#[derive(Debug, Error)]
pub enum LinkError {
    /// The other side closed it.
    #[error("the control connection was closed")]
    Closed,
    /// The other side says nothing.
    #[error("nothing came over the control connection for {} s", SILENCE.as_secs())]
    Silent,
    /// It broke, or a frame was too long.
    #[error("the control connection broke: {0}")]
    Broke(#[from] io::Error),
    /// What came is no message.
    #[error("what came over the control connection is no message: {0}")]
    Malformed(serde_json::Error),
}

/// A message, and when it came.
#[derive(Debug)]
pub struct Heard<M> {
    /// When.
    pub at: Instant,
    /// What.
    pub message: M,
}

/// A control connection on which `Out` is said and `In` is heard.
#[derive(Debug)]
pub struct Link<Out, In> {
    outgoing: mpsc::Sender<Out>,
    incoming: mpsc::Receiver<Result<Heard<In>, LinkError>>,
    reader: JoinHandle<()>,
    writer: JoinHandle<()>,
}

impl<Out: Message, In: Message> Link<Out, In> {
    /// A link over a connection that stands.
    pub fn over(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        let (read, write) = tokio::io::split(stream);
        let (outgoing, to_write) = mpsc::channel(QUEUE);
        let (heard, incoming) = mpsc::channel(QUEUE);
        let frames = LengthDelimitedCodec::builder()
            .max_frame_length(MAX_FRAME_BYTES)
            .to_owned();
        Self {
            outgoing,
            incoming,
            reader: tokio::spawn(hear(FramedRead::new(read, frames.new_codec()), heard)),
            writer: tokio::spawn(say(FramedWrite::new(write, frames.new_codec()), to_write)),
        }
    }

    /// Says something; what was said before goes first.
    ///
    /// # Errors
    ///
    /// When the connection has ended.
    pub async fn say(&self, message: Out) -> Result<(), LinkError> {
        let said = self.outgoing.send(message).await;
        said.map_err(|_| LinkError::Closed)
    }

    /// The next message. Nothing is lost when the wait is given up.
    ///
    /// # Errors
    ///
    /// When the connection has ended.
    pub async fn hear(&mut self) -> Result<Heard<In>, LinkError> {
        self.incoming.recv().await.unwrap_or(Err(LinkError::Closed))
    }

    /// Has what was said arrive, and waits until the other side closes: closing first with something
    /// unread would reset the connection, and what was said with it.
    pub async fn finish(mut self) {
        let closed = async { while self.hear().await.is_ok() {} };
        // Whoever stays is left.
        let _ = timeout(SILENCE, closed).await;
    }
}

impl<Out, In> Drop for Link<Out, In> {
    fn drop(&mut self) {
        self.reader.abort();
        self.writer.abort();
    }
}

type Frames<H> = FramedRead<H, LengthDelimitedCodec>;

async fn hear<In: Message>(
    mut frames: Frames<ReadHalf<impl AsyncRead>>,
    heard: mpsc::Sender<Result<Heard<In>, LinkError>>,
) {
    loop {
        let next: Result<Heard<In>, _> = next(&mut frames).await;
        if next.as_ref().is_ok_and(|heard| heard.message.is_beat()) {
            continue;
        }
        let ended = next.is_err();
        if heard.send(next).await.is_err() || ended {
            return;
        }
    }
}

async fn next<In: Message>(
    frames: &mut Frames<ReadHalf<impl AsyncRead>>,
) -> Result<Heard<In>, LinkError> {
    let frame = timeout(SILENCE, frames.next()).await;
    let frame = frame.map_err(|_| LinkError::Silent)?;
    let frame = frame.ok_or(LinkError::Closed)??;
    let at = Instant::now();
    let message = serde_json::from_slice(&frame).map_err(LinkError::Malformed)?;
    Ok(Heard { at, message })
}

/// Ends when there is nobody to say anything, or nobody to hear it: the reader notices that too.
async fn say<Out: Message>(
    mut frames: FramedWrite<WriteHalf<impl AsyncWrite>, LengthDelimitedCodec>,
    mut messages: mpsc::Receiver<Out>,
) {
    loop {
        let message = match timeout(BEAT, messages.recv()).await {
            Ok(Some(message)) => message,
            Ok(None) => break,
            Err(_) => Out::BEAT,
        };
        let Ok(frame) = serde_json::to_vec(&message) else {
            break;
        };
        // There may be a key in it.
        let frame = Zeroizing::new(frame);
        match timeout(SILENCE, frames.send(&frame[..])).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => break,
        }
    }
    let _ = timeout(Duration::from_secs(1), frames.get_mut().shutdown()).await;
}

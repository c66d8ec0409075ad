//! The raw services: echo, sink and source.
//!
//! Sink answers the end of the stream with the count of its bytes, so that a sender knows that
//! all of them arrived. Source sends what is asked for: 8 bytes, big endian, and then the end.

use futures_util::future::join;
use sealgate_stream::{ReadError, Stream, WriteError, WriteHalf};
use thiserror::Error;

use super::{http::Site, journal::Counters};
use crate::pattern::Pattern;

/// A raw connection broke off. The client's fault, or the network's.
#[derive(Debug, Error)]
pub enum TcpError {
    /// Reading failed.
    #[error("cannot read: {0}")]
    Read(#[from] ReadError),
    /// Writing failed.
    #[error("cannot write: {0}")]
    Write(#[from] WriteError),
    /// The client ended the stream before it had asked for a number of bytes.
    #[error("the request ended after {0} of 8 bytes")]
    NoLength(usize),
}

/// Sends back what arrives until the client ends its side. A delay is that of each piece that is read.
///
/// # Errors
///
/// When the connection breaks off.
pub async fn echo(stream: Stream, site: &Site) -> Result<(), TcpError> {
    let counters = &site.journal().counters;
    let (mut read, mut write) = stream.split();
    while let Some(data) = read.read().await? {
        let len = data.len() as u64;
        site.delay().await;
        write.write(data).await?;
        counters.echo_bytes.add(len);
    }
    write.finish().await?;
    Ok(())
}

/// Swallows what arrives, then answers with the count, 8 bytes big endian.
///
/// # Errors
///
/// When the connection breaks off.
pub async fn sink(stream: Stream, site: &Site) -> Result<(), TcpError> {
    let counters = &site.journal().counters;
    let (mut read, mut write) = stream.split();
    let mut total = 0u64;
    while let Some(data) = read.read().await? {
        total += data.len() as u64;
        counters.sink_bytes.add(data.len() as u64);
    }
    site.delay().await;
    write.write_slice(&total.to_be_bytes()).await?;
    write.finish().await?;
    Ok(())
}

/// Reads the 8 bytes of a length and sends that many bytes.
///
/// # Errors
///
/// When the connection breaks off, or the length is cut short.
pub async fn source(stream: Stream, site: &Site) -> Result<(), TcpError> {
    let counters = &site.journal().counters;
    let (mut read, mut write) = stream.split();
    let mut length = Vec::with_capacity(8);
    while length.len() < 8 {
        match read.read().await? {
            Some(data) => length.extend_from_slice(&data[..data.len().min(8 - length.len())]),
            None => return Err(TcpError::NoLength(length.len())),
        }
    }
    let length = length
        .iter()
        .fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    let send = async {
        site.delay().await;
        let sent = send(&mut write, length, counters).await;
        if sent.is_err() {
            // Else the other side would wait for the end of a client that hears nothing.
            write.socket().reset();
        }
        sent
    };
    // A client may ask for new keys meanwhile, and bytes that nobody reads make a close a reset.
    let listen = async { while let Ok(Some(_)) = read.read().await {} };
    let (sent, ()) = join(send, listen).await;
    sent.map_err(TcpError::from)
}

async fn send(write: &mut WriteHalf, length: u64, counters: &Counters) -> Result<(), WriteError> {
    let pattern = Pattern::new();
    let mut left = length;
    while left > 0 {
        let chunk = pattern.chunk(left);
        write.write_slice(chunk).await?;
        left -= chunk.len() as u64;
        counters.source_bytes.add(chunk.len() as u64);
    }
    write.finish().await
}

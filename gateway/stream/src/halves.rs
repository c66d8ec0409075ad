//! The two directions of a stream.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Instant;

use sealgate_tls::{Opened, Progress, TlsError};
use sealgate_uring::{
    ARRIVAL_LEN, Arrival, Buf, Half, Incoming, Pool, SMALL_PLAINTEXT_LEN, SizeClass, Socket,
    is_out_of_arrivals,
};

use crate::error::{ReadError, WriteError};
use crate::stream::SharedSession;

/// Reads that fill less than this go back to small buffers.
const LARGE_WORTHWHILE: usize = SMALL_PLAINTEXT_LEN;

/// Short messages in a row after which more of them are expected.
const SHORT_IN_A_ROW: u8 = 4;

/// So much is waited for at once, of what is known to come.
const LOW_WATER: usize = 128 * 1024;

/// What [`ReadHalf::read_now`] found.
pub enum Now {
    /// Bytes.
    Bytes(Buf),
    /// A clean end.
    End,
    /// Nothing that could be opened: await [`ReadHalf::readable`].
    Nothing,
}

/// What the peer sends. One long-lived reader: a pending [`read`](ReadHalf::read) must not be
/// dropped.
pub struct ReadHalf {
    socket: Socket,
    pool: Pool,
    tls: Option<Rc<SharedSession>>,
    /// Records that came and are not opened yet.
    received: Option<Buf>,
    /// Size of the next read, from how full the last ones were.
    class: SizeClass,
    /// The largest that it may be.
    most: SizeClass,
    /// Whether the last read filled its buffer, so that more is likely to be there already.
    flowing: bool,
    /// Whether `received` may hold whole records.
    openable: bool,
    /// Waits end when so many bytes are there.
    low_water: usize,
    /// Messages that came so far in a row and were short.
    short: u8,
    /// Receives such messages; what it has comes before what the socket has. Boxed: a stream on which few came is small.
    incoming: Option<Box<Incoming>>,
}

impl ReadHalf {
    pub(crate) fn new(
        socket: Socket,
        pool: Pool,
        tls: Option<Rc<SharedSession>>,
        received: Option<Buf>,
    ) -> ReadHalf {
        // Application data may have come along with the end of the handshake.
        ReadHalf {
            socket,
            pool,
            openable: tls.is_some(),
            tls,
            received,
            class: SizeClass::Small,
            most: SizeClass::Large,
            flowing: false,
            low_water: 1,
            short: 0,
            incoming: None,
        }
    }

    /// Sets how large the buffers of the next reads may be: what is read has to be held until it is passed on.
    pub fn limit(&mut self, most: SizeClass) {
        self.most = most;
        if most == SizeClass::Small {
            self.class = most;
        }
    }

    /// The next bytes, at most 256 KiB; `None` at a clean end: `close_notify`, or FIN on plain TCP.
    /// While it waits it holds no buffer, or a small one where part of a record has come.
    ///
    /// # Errors
    /// [`ReadError`]; an alert was sent where TLS has one. Further reads are pointless.
    pub async fn read(&mut self) -> Result<Option<Buf>, ReadError> {
        match self.tls.clone() {
            None => self.read_plain().await,
            Some(tls) => self.read_tls(&tls).await,
        }
    }

    /// Says that at least `n` bytes more will come, unless the stream breaks off: where that is much, the next
    /// [`read`](ReadHalf::read) waits for a good deal of it, which costs less than to be woken for each segment.
    pub fn expect(&mut self, n: u64) {
        // What came already is of those, and may be the most of them.
        let held = self.received.as_ref().map_or(0, |held| held.len());
        let n = usize::try_from(n)
            .unwrap_or(usize::MAX)
            .saturating_sub(held);
        let low_water = match n >= LOW_WATER {
            true => LOW_WATER,
            false => 1,
        };
        if self.low_water != low_water {
            self.low_water = low_water;
            self.socket.set_low_water(low_water);
        }
    }

    /// Takes what is there and waits for nothing; where nothing is, parks the TLS session. For who holds many connections that are idle, and
    /// would not have each keep the state of a whole [`read`](ReadHalf::read). Not for who has read by that: it may
    /// have left a receive with the kernel.
    ///
    /// # Errors
    /// As for [`read`](ReadHalf::read).
    pub async fn read_now(&mut self) -> Result<Now, ReadError> {
        debug_assert!(self.incoming.is_none(), "this half is read otherwise");
        let tls = self.tls.clone();
        loop {
            if let (Some(tls), true) = (&tls, self.openable)
                && let Some(end_or_bytes) = self.open(tls).await?
            {
                return Ok(end_or_bytes.map_or(Now::End, Now::Bytes));
            }
            let buf = self.take_buffer(1)?;
            let room = match &tls {
                None => buf.plaintext_capacity(),
                Some(_) => usize::MAX,
            };
            match (self.receive(buf, room).await?, &tls) {
                (None, tls) => {
                    if let Some(tls) = tls {
                        tls.session.borrow_mut().park();
                    }
                    return Ok(Now::Nothing);
                }
                (Some((0, _)), Some(_)) => return Err(ReadError::Truncated),
                (Some((0, _)), None) => return Ok(Now::End),
                (Some((_, buf)), None) => return Ok(Now::Bytes(buf)),
                (Some((_, buf)), Some(_)) => {
                    self.received = Some(buf);
                    self.openable = true;
                }
            }
        }
    }

    /// Whether the next [`read`](ReadHalf::read) is likely to find much.
    pub fn is_flowing(&self) -> bool {
        self.flowing
    }

    /// Waits until there is something to read, and holds next to nothing.
    ///
    /// # Errors
    /// What the ring reports.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    async fn read_plain(&mut self) -> Result<Option<Buf>, ReadError> {
        let buf = self.next(Buf::plaintext_capacity).await?;
        Ok((!buf.is_empty()).then_some(buf))
    }

    async fn read_tls(&mut self, tls: &SharedSession) -> Result<Option<Buf>, ReadError> {
        loop {
            if self.openable
                && let Some(end_or_bytes) = self.open(tls).await?
            {
                return Ok(end_or_bytes);
            }
            let before = self.received.as_ref().map_or(0, |held| held.len());
            let buf = self.next(|_| usize::MAX).await?;
            if buf.len() == before {
                return Err(ReadError::Truncated);
            }
            self.received = Some(buf);
            self.openable = true;
        }
    }

    /// Opens what came: `None` when more has to come first.
    async fn open(&mut self, tls: &SharedSession) -> Result<Option<Option<Buf>>, ReadError> {
        let mut plaintext = self.pool.take(self.class);
        let opened = {
            let incoming: &mut [u8] = self.received.as_deref_mut().unwrap_or_default();
            tls.session
                .borrow_mut()
                .open(incoming, plaintext.spare_mut())
        };
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => {
                // The peer learns why, if it still listens.
                let _ = self.answer(tls).await;
                return Err(ReadError::Tls(error));
            }
        };
        let Opened {
            consumed,
            produced,
            progress,
        } = opened;
        if let Some(received) = &mut self.received {
            received.consume(consumed);
            if received.is_empty() {
                self.received = None;
            }
        }
        plaintext.advance(produced);
        if tls.session.borrow().wants_transmit() {
            self.answer(tls).await.map_err(ReadError::Io)?;
        }
        // After a PeerClosed that came with plaintext, the next call finds it again.
        self.openable = progress != Progress::NeedInput;
        if produced > 0 {
            return Ok(Some(Some(plaintext)));
        }
        Ok((progress == Progress::PeerClosed).then_some(None))
    }

    /// Sends what the session has to say. Boxed: it is rare, and every reader that waits would hold room for it.
    fn answer<'a>(
        &'a self,
        tls: &'a SharedSession,
    ) -> Pin<Box<impl Future<Output = io::Result<()>> + 'a>> {
        Box::pin(send_control(&self.socket, &self.pool, tls))
    }

    /// What comes next, behind what came and is not opened yet; nothing more is the end of the stream. Waits, unless
    /// bytes flow. At most `room` is received into a pooled buffer.
    async fn next(&mut self, room: impl Fn(&Buf) -> usize) -> Result<Buf, ReadError> {
        loop {
            if let Some(incoming) = &mut self.incoming {
                match incoming.next().await {
                    Ok(Some(arrival)) => return self.take_arrival(&arrival),
                    Ok(None) => self.expect_no_short(),
                    Err(error) if is_out_of_arrivals(&error) => self.expect_no_short(),
                    Err(error) => return Err(ReadError::Io(error)),
                }
                continue;
            }
            if !self.flowing && self.low_water > 1 {
                self.class = self.most;
                self.socket.readable().await.map_err(ReadError::Io)?;
            } else if !self.flowing {
                if let Some(partial) = self.received.take() {
                    self.received = Some(received_into_smaller(partial, &self.pool));
                }
                if self.short == SHORT_IN_A_ROW
                    && let Some(incoming) = self.socket.incoming()
                {
                    self.incoming = Some(Box::new(incoming));
                    continue;
                }
                match self.socket.recv_arrival().await {
                    Ok(arrival) => return self.take_arrival(&arrival),
                    Err(error) if is_out_of_arrivals(&error) => {
                        self.socket.readable().await.map_err(ReadError::Io)?;
                    }
                    Err(error) => return Err(ReadError::Io(error)),
                }
            }
            let buf = self.take_buffer(1)?;
            let room = room(&buf);
            if let Some((_, buf)) = self.receive(buf, room).await? {
                return Ok(buf);
            }
        }
    }

    /// What came, behind what came before it.
    fn take_arrival(&mut self, arrival: &Arrival) -> Result<Buf, ReadError> {
        self.class = SizeClass::Small;
        let mut buf = self.take_buffer(arrival.len())?;
        buf.extend(arrival);
        // More is likely to be there already.
        self.flowing = arrival.len() == ARRIVAL_LEN;
        if self.flowing {
            self.class = self.most;
            self.short = 0;
        } else {
            self.short = SHORT_IN_A_ROW.min(self.short + 1);
        }
        Ok(buf)
    }

    /// Receives by single operations again.
    fn expect_no_short(&mut self) {
        self.incoming = None;
        self.short = 0;
    }

    /// A buffer to receive at least `room` bytes into, behind what came and is not opened yet.
    fn take_buffer(&mut self, room: usize) -> Result<Buf, ReadError> {
        match self.received.take() {
            None => Ok(self.pool.take(self.class)),
            Some(mut partial) if partial.class() == self.class => {
                partial.compact();
                received_into_larger(partial, room, &self.pool).ok_or_else(too_long)
            }
            Some(partial) if self.class == SizeClass::Large => {
                let mut larger = self.pool.take(SizeClass::Large);
                // Both may be small where the pool has no large ones left.
                if larger.extend(&partial) < partial.len() {
                    return Err(too_long());
                }
                received_into_larger(larger, room, &self.pool).ok_or_else(too_long)
            }
            Some(partial) => received_into_larger(partial, room, &self.pool).ok_or_else(too_long),
        }
    }

    /// Takes what is there; `None` when nothing was.
    async fn receive(&mut self, buf: Buf, max: usize) -> Result<Option<(usize, Buf)>, ReadError> {
        let room = buf.spare_len().min(max);
        let (result, buf) = self.socket.recv_now(buf, max).await;
        match result {
            Ok(n) => {
                self.flowing = n == room;
                self.class = match self.flowing || n >= LARGE_WORTHWHILE {
                    true => self.most,
                    false => SizeClass::Small,
                };
                Ok(Some((n, buf)))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.flowing = false;
                self.received = Some(buf).filter(|buf| !buf.is_empty());
                Ok(None)
            }
            Err(error) => Err(ReadError::Io(error)),
        }
    }

    /// The socket, to reset it.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }
}

fn too_long() -> ReadError {
    ReadError::Io(io::ErrorKind::FileTooLarge.into())
}

/// `buf` with room for `room` bytes behind what it holds, in a larger block where it has to be; `None` when no
/// block is large enough: no TLS message is that long.
pub(crate) fn received_into_larger(mut buf: Buf, room: usize, pool: &Pool) -> Option<Buf> {
    buf.compact();
    if buf.spare_len() >= room {
        return Some(buf);
    }
    let mut larger = pool.take(SizeClass::Large);
    (larger.extend(&buf) == buf.len() && larger.spare_len() >= room).then_some(larger)
}

/// What `buf` holds, in a small block where it fits: for a connection that waits.
fn received_into_smaller(buf: Buf, pool: &Pool) -> Buf {
    if buf.class() == SizeClass::Small {
        return buf;
    }
    let mut smaller = pool.take(SizeClass::Small);
    if smaller.extend(&buf) == buf.len() {
        smaller
    } else {
        buf
    }
}

/// Closes the session, and sends what it has to say with the end of our direction.
async fn send_close(socket: &Socket, pool: &Pool, tls: &SharedSession) -> io::Result<()> {
    // Before the lock is had: who holds it seals nothing more.
    tls.session.borrow_mut().close();
    let _sending = tls.sending.lock().await;
    loop {
        let mut out = pool.take(SizeClass::Small);
        let n = tls.session.borrow_mut().transmit(out.spare_mut());
        out.advance(n);
        if !tls.session.borrow().wants_transmit() {
            return socket.send_and_end(out).await.0;
        }
        socket.send_all(out).await.0?;
    }
}

/// Sends the session's control bytes.
pub(crate) async fn send_control(
    socket: &Socket,
    pool: &Pool,
    tls: &SharedSession,
) -> io::Result<()> {
    let _sending = tls.sending.lock().await;
    loop {
        let mut out = pool.take(SizeClass::Small);
        let n = tls.session.borrow_mut().transmit(out.spare_mut());
        if n == 0 {
            return Ok(());
        }
        out.advance(n);
        socket.send_all(out).await.0?;
    }
}

/// Seals from the front of `plaintext` behind what `out` holds, as much as fits.
fn seal(tls: &SharedSession, plaintext: &mut Buf, out: &mut Buf) -> Result<(), TlsError> {
    let (mut session, mut size) = (tls.session.borrow_mut(), tls.size.borrow_mut());
    while !plaintext.is_empty() {
        let next = size.next(plaintext.len());
        let sealed = session.seal(&plaintext[..next], out.spare_mut())?;
        plaintext.consume(sealed.consumed);
        out.advance(sealed.produced);
        size.sealed(sealed.consumed);
        if sealed.consumed < next {
            break;
        }
    }
    Ok(())
}

/// What we send.
pub struct WriteHalf {
    socket: Socket,
    pool: Pool,
    tls: Option<Rc<SharedSession>>,
}

impl WriteHalf {
    pub(crate) fn new(socket: Socket, pool: Pool, tls: Option<Rc<SharedSession>>) -> WriteHalf {
        WriteHalf { socket, pool, tls }
    }

    /// Another handle to the same direction, to end it from elsewhere. Records of both leave in the
    /// order in which they were sealed.
    pub fn handle(&self) -> WriteHalf {
        WriteHalf::new(self.socket.clone(), self.pool.clone(), self.tls.clone())
    }

    /// Sends all of `plaintext`. While that waits for the peer it holds one buffer: what is sealed, or what is plain.
    ///
    /// # Errors
    /// [`WriteError`]; further writes are pointless.
    pub async fn write(&mut self, mut plaintext: Buf) -> Result<(), WriteError> {
        let Some(tls) = &self.tls else {
            return self
                .socket
                .send_all(plaintext)
                .await
                .0
                .map_err(WriteError::Io);
        };
        let class = match plaintext.len() <= SMALL_PLAINTEXT_LEN {
            true => SizeClass::Small,
            false => SizeClass::Large,
        };
        let _sending = tls.sending.lock().await;
        tls.size.borrow_mut().begin(Instant::now());
        loop {
            let mut out = self.pool.take(class);
            seal(tls, &mut plaintext, &mut out).map_err(WriteError::Tls)?;
            if plaintext.is_empty() {
                drop(plaintext);
                return self.socket.send_all(out).await.0.map_err(WriteError::Io);
            }
            self.socket.send_all(out).await.0.map_err(WriteError::Io)?;
        }
    }

    /// Lets go of what the session can make anew, of both directions: see [`Session::park`](sealgate_tls::Session::park).
    pub fn park(&self) {
        if let Some(tls) = &self.tls {
            tls.session.borrow_mut().park();
        }
    }

    /// Waits while the kernel has as much to send as it takes, and holds nothing meanwhile.
    ///
    /// # Errors
    /// What the ring reports; a stream that failed is ready, and the write then says why.
    pub async fn ready(&self) -> io::Result<()> {
        self.socket.writable().await
    }

    /// Sends all of `bytes`, copying them into buffers of the pool.
    ///
    /// # Errors
    /// [`WriteError`]; further writes are pointless.
    pub async fn write_slice(&mut self, mut bytes: &[u8]) -> Result<(), WriteError> {
        while !bytes.is_empty() {
            let class = match bytes.len() <= SMALL_PLAINTEXT_LEN {
                true => SizeClass::Small,
                false => SizeClass::Large,
            };
            let mut buf = self.pool.take(class);
            let n = bytes.len().min(buf.plaintext_capacity());
            buf.extend(&bytes[..n]);
            bytes = &bytes[n..];
            self.write(buf).await?;
        }
        Ok(())
    }

    /// Ends our direction: `close_notify`, then FIN.
    ///
    /// # Errors
    /// [`WriteError`] when the peer is gone already.
    pub async fn finish(&mut self) -> Result<(), WriteError> {
        match &self.tls {
            Some(tls) => send_close(&self.socket, &self.pool, tls)
                .await
                .map_err(WriteError::Io),
            None => {
                self.socket.shutdown(Half::Write);
                Ok(())
            }
        }
    }

    /// The socket, to reset it.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }
}

//! The ring at its edges: abandoned operations, full queues, no buffers left, the end.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use super::*;
use crate::operation;
use crate::{ARRIVAL_LEN, Listener, Pool, SizeClass, Socket, is_out_of_arrivals, run, spawn, turn};

/// Polls `future` once, which submits its operation.
async fn poll_once<F: Future>(
    future: &mut std::pin::Pin<impl std::ops::DerefMut<Target = F>>,
) -> Poll<F::Output> {
    std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}

/// A connection whose other end is an ordinary blocking one.
async fn connection(listener: &Listener) -> (Socket, TcpStream) {
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (socket, _) = listener.accept().await.unwrap();
    (socket, peer)
}

fn listener() -> Listener {
    Listener::bind("127.0.0.1:0".parse().unwrap(), 1024).unwrap()
}

fn operations_in_flight() -> usize {
    crate::runtime::current().operations.borrow().len()
}

/// Turns the ring until nothing is in flight any more; a bug would end this by its bound.
async fn until_idle() {
    for _ in 0..10_000 {
        if operations_in_flight() == 0 {
            return;
        }
        turn().await;
    }
    panic!("{} operations stay in flight", operations_in_flight());
}

#[test]
fn a_dropped_wait_is_cancelled_and_lets_go_of_its_descriptor() {
    run(async {
        let listener = listener();
        let (socket, mut peer) = connection(&listener).await;
        {
            let mut waiting = pin!(socket.readable());
            assert!(poll_once(&mut waiting).await.is_pending());
            turn().await;
            assert_eq!(operations_in_flight(), 1);
        }
        until_idle().await;
        drop(socket);
        // The descriptor is closed, so the peer sees the end.
        assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0);
    })
    .unwrap();
}

#[test]
fn bytes_that_came_for_a_dropped_receive_give_their_buffer_back() {
    run(async {
        let listener = listener();
        let (socket, mut peer) = connection(&listener).await;
        // More often than there are buffers.
        for _ in 0..300 {
            let mut receiving = pin!(socket.recv_arrival());
            assert!(poll_once(&mut receiving).await.is_pending());
            peer.write_all(b"x").unwrap();
            turn().await;
            turn().await;
        }
        until_idle().await;
        peer.write_all(b"the end").unwrap();
        let arrival = socket.recv_arrival().await.unwrap();
        assert!(arrival.ends_with(b"the end"));
    })
    .unwrap();
}

#[test]
fn when_all_buffers_are_taken_a_receive_says_so_and_loses_nothing() {
    run(async {
        let listener = listener();
        let (socket, mut peer) = connection(&listener).await;
        let mut taken = Vec::new();
        let error = loop {
            peer.write_all(&[taken.len() as u8]).unwrap();
            match socket.recv_arrival().await {
                Ok(arrival) => taken.push(arrival),
                Err(error) => break error,
            }
            assert!(taken.len() < 1000, "the buffers have no end");
        };
        assert!(is_out_of_arrivals(&error), "{error}");
        let numbers = taken.iter().map(|arrival| arrival[0]).collect::<Vec<_>>();
        assert!(
            numbers
                .iter()
                .enumerate()
                .all(|(i, number)| *number == i as u8)
        );
        let pool = Pool::new(1);
        let (result, buf) = socket.recv_now(pool.take(SizeClass::Small), 9).await;
        assert_eq!((result.unwrap(), &*buf), (1, &[taken.len() as u8][..]));
        taken.pop();
        peer.write_all(b"again").unwrap();
        assert_eq!(&*socket.recv_arrival().await.unwrap(), b"again");
    })
    .unwrap();
}

#[test]
fn more_that_comes_at_once_than_there_are_buffers_finds_one_each() {
    run(async {
        let listener = listener();
        let mut peers = Vec::new();
        let mut receiving = Vec::new();
        // More than there are buffers, of which each is given back by the task that gets it.
        for _ in 0..300 {
            let (socket, peer) = connection(&listener).await;
            peers.push(peer);
            receiving.push(spawn(async move {
                let arrival = socket.recv_arrival().await?;
                io::Result::Ok(arrival.len())
            }));
        }
        turn().await;
        for peer in &mut peers {
            peer.write_all(b"x").unwrap();
        }
        for received in receiving {
            assert_eq!(received.await.unwrap().unwrap(), 1);
        }
    })
    .unwrap();
}

#[test]
fn a_long_message_arrives_in_pieces_and_its_end_as_nothing() {
    run(async {
        let listener = listener();
        let (socket, mut peer) = connection(&listener).await;
        let sent = (0..3 * ARRIVAL_LEN + 5)
            .map(|i| (i % 251) as u8)
            .collect::<Vec<_>>();
        peer.write_all(&sent).unwrap();
        drop(peer);
        let mut received = Vec::new();
        loop {
            let arrival = socket.recv_arrival().await.unwrap();
            if arrival.is_empty() {
                break;
            }
            assert!(arrival.len() <= ARRIVAL_LEN);
            received.extend_from_slice(&arrival);
        }
        assert_eq!(received, sent);
    })
    .unwrap();
}

#[test]
fn more_operations_than_the_queue_holds_are_all_submitted() {
    run(async {
        let listener = listener();
        let pool = Pool::new(1);
        let (socket, mut peer) = connection(&listener).await;
        let count = 3 * SUBMISSION_ENTRIES as usize;
        let reader = std::thread::spawn(move || {
            let mut received = vec![0; count];
            peer.read_exact(&mut received).map(|()| received)
        });
        let sent = Rc::new(Cell::new(0));
        let tasks = (0..count).map(|_| {
            let (socket, mut buf, sent) =
                (socket.clone(), pool.take(SizeClass::Small), sent.clone());
            buf.extend(b"x");
            spawn(async move {
                socket.send_all(buf).await.0.unwrap();
                sent.set(sent.get() + 1);
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        assert_eq!(sent.get(), count);
        let received = reader.join().unwrap().unwrap();
        assert!(received.iter().all(|byte| *byte == b'x'));
    })
    .unwrap();
}

#[test]
fn the_end_of_a_run_cancels_what_is_in_flight_and_frees_what_it_held() {
    let peer = run(async {
        let listener = listener();
        let (socket, peer) = connection(&listener).await;
        // Nobody reads, and this is more than the kernel holds: sends cannot end.
        const SENDS: usize = 256;
        let pool = Pool::new(SENDS);
        for _ in 0..SENDS {
            let (socket, pool) = (socket.clone(), pool.clone());
            spawn(async move {
                let mut buf = pool.take(SizeClass::Large);
                buf.advance(buf.spare_len());
                let _ = socket.send_all(buf).await;
            });
        }
        spawn(async move {
            let _ = socket.recv_arrival().await;
        });
        spawn(async move { listener.accept().await.map(drop) });
        for _ in 0..8 {
            turn().await;
        }
        assert!(operations_in_flight() > 2);
        peer
    })
    .unwrap();
    // Cancelled and closed: whatever was under way ends.
    peer.set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut peer = peer;
    let end = io::copy(&mut peer, &mut io::sink());
    assert!(end.is_ok() || end.unwrap_err().kind() == io::ErrorKind::ConnectionReset);
}

#[test]
fn an_operation_after_the_end_is_cancelled_from_the_start() {
    let fd = Rc::new(OwnedFd::from(TcpListener::bind("127.0.0.1:0").unwrap()));
    let ring = Ring::new(Receive::default()).unwrap();
    ring.close();
    let entry = opcode::PollAdd::new(io_uring::types::Fd(fd.as_raw_fd()), 1).build();
    // SAFETY: the entry points at nothing.
    let key = unsafe { ring.start(&fd, Held::Nothing, entry) };
    let Poll::Ready((Err(error), _)) = ring.poll(key, std::task::Waker::noop()) else {
        panic!("nobody will ever complete it");
    };
    assert_eq!(error.raw_os_error(), Some(Errno::CANCELED.raw_os_error()));
    assert_eq!(Rc::strong_count(&fd), 1);
}

#[test]
fn an_accepted_connection_that_nobody_waits_for_is_closed() {
    run(async {
        let fd = Rc::new(OwnedFd::from(TcpListener::bind("127.0.0.1:0").unwrap()));
        let address = socket2::SockRef::from(&*fd)
            .local_addr()
            .unwrap()
            .as_socket()
            .unwrap();
        let mut peer = TcpStream::connect(address).unwrap();
        {
            let mut accepting = pin!(operation::accept(&fd));
            assert!(poll_once(&mut accepting).await.is_pending());
            turn().await;
        }
        until_idle().await;
        peer.set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0);
    })
    .unwrap();
}

#[test]
fn a_task_that_never_lets_the_runtime_wait_still_turns_the_ring() {
    run(async {
        let listener = listener();
        let (socket, mut peer) = connection(&listener).await;
        let arrived = Rc::new(Cell::new(false));
        let seen = arrived.clone();
        spawn(async move {
            socket.recv_arrival().await.unwrap();
            seen.set(true);
        });
        peer.write_all(b"x").unwrap();
        for _ in 0..10_000 {
            if arrived.get() {
                return;
            }
            turn().await;
        }
        panic!("it was never received");
    })
    .unwrap();
}

/// The kernel completes some twenty operations at a call, and its eventfd says nothing of the rest.
#[test]
fn one_turn_takes_in_all_that_has_completed() {
    run(async {
        let listener = listener();
        let mut connections = Vec::new();
        for _ in 0..200 {
            connections.push(connection(&listener).await);
        }
        let (sockets, mut peers): (Vec<_>, Vec<_>) = connections.into_iter().unzip();
        let mut waiting: Vec<_> = sockets
            .iter()
            .map(|socket| Box::pin(socket.readable()))
            .collect();
        for wait in &mut waiting {
            assert!(poll_once(wait).await.is_pending());
        }
        turn().await;
        for peer in &mut peers {
            peer.write_all(b"x").unwrap();
        }
        crate::runtime::current().turn();
        for wait in &mut waiting {
            let Poll::Ready(result) = poll_once(wait).await else {
                panic!("it is not taken in");
            };
            result.unwrap();
        }
    })
    .unwrap();
}

fn buffers_taken() -> u16 {
    crate::runtime::current().provided.taken()
}

/// Lets `messages` come one by one.
async fn send_apart(peer: &mut TcpStream, messages: &[&[u8]]) {
    for message in messages {
        peer.write_all(message).unwrap();
        turn().await;
        turn().await;
    }
}

#[test]
fn one_receive_delivers_many_messages_and_the_end() {
    run(async {
        let listener = listener();
        let (socket, mut peer) = connection(&listener).await;
        let mut incoming = socket.incoming().unwrap();
        for number in 0..1000u32 {
            let message = number.to_be_bytes();
            peer.write_all(&message).unwrap();
            let arrival = incoming.next().await.unwrap().unwrap();
            assert_eq!(*arrival, message);
            assert_eq!(operations_in_flight(), 1);
        }
        drop(peer);
        assert!(incoming.next().await.unwrap().unwrap().is_empty());
        assert!(incoming.next().await.unwrap().is_none());
        assert_eq!((operations_in_flight(), buffers_taken()), (0, 0));
    })
    .unwrap();
}

#[test]
fn a_receive_that_nobody_follows_stops_and_the_rest_waits_in_the_socket() {
    run(async {
        let listener = listener();
        let (socket, mut peer) = connection(&listener).await;
        let mut incoming = socket.incoming().unwrap();
        turn().await;
        send_apart(&mut peer, &[b"a", b"b", b"c", b"d", b"e", b"f", b"g", b"h"]).await;
        // However many such there are, they leave the buffers to those who read.
        assert_eq!(buffers_taken(), 0);
        let mut received = Vec::new();
        while let Some(arrival) = incoming.next().await.unwrap() {
            received.extend_from_slice(&arrival);
        }
        // Told to stop at two, it may have delivered a third.
        assert!((2..=3).contains(&received.len()), "{received:?}");
        received.extend_from_slice(&socket.recv_arrival().await.unwrap());
        assert_eq!(received, b"abcdefgh");
    })
    .unwrap();
}

#[test]
fn a_receive_of_a_long_message_stops() {
    run(async {
        let listener = listener();
        let (socket, mut peer) = connection(&listener).await;
        let mut incoming = socket.incoming().unwrap();
        turn().await;
        peer.write_all(&[7; ARRIVAL_LEN]).unwrap();
        let arrival = incoming.next().await.unwrap().unwrap();
        assert_eq!(*arrival, [7; ARRIVAL_LEN]);
        drop(arrival);
        turn().await;
        turn().await;
        let mut next = Box::pin(incoming.next());
        let Poll::Ready(stopped) = poll_once(&mut next).await else {
            panic!("it waits for more");
        };
        assert!(stopped.unwrap().is_none());
        assert_eq!((operations_in_flight(), buffers_taken()), (0, 0));
    })
    .unwrap();
}

#[test]
fn a_receive_for_many_messages_after_the_end_is_cancelled_from_the_start() {
    let fd = Rc::new(OwnedFd::from(TcpListener::bind("127.0.0.1:0").unwrap()));
    let ring = Ring::new(Receive::default()).unwrap();
    ring.close();
    let entry = opcode::RecvMulti::new(io_uring::types::Fd(fd.as_raw_fd()), 0).build();
    // SAFETY: the entry points at nothing.
    let key = unsafe { ring.start(&fd, Held::Arrivals(Box::default()), entry) };
    let Poll::Ready(next) = ring.poll_next(key, std::task::Waker::noop()) else {
        panic!("nobody will ever complete it");
    };
    assert!(next.is_last && next.result.is_err());
    assert_eq!(Rc::strong_count(&fd), 1);
}

#[test]
fn what_came_for_a_dropped_receive_gives_its_buffers_back() {
    run(async {
        let listener = listener();
        let (socket, mut peer) = connection(&listener).await;
        // More often than there are buffers.
        for _ in 0..300 {
            let incoming = socket.incoming().unwrap();
            turn().await;
            send_apart(&mut peer, &[b"x"]).await;
            drop(incoming);
            peer.write_all(b"y").unwrap();
            until_idle().await;
        }
        assert_eq!(buffers_taken(), 0);
    })
    .unwrap();
}

#[test]
fn a_receive_for_many_messages_says_that_no_buffer_is_left_and_stops() {
    run(async {
        let listener = listener();
        let (crowd, mut crowd_peer) = connection(&listener).await;
        let mut taken = Vec::new();
        let (socket, mut peer) = connection(&listener).await;
        let mut incoming = socket.incoming().unwrap();
        turn().await;
        loop {
            crowd_peer.write_all(b"x").unwrap();
            match crowd.recv_arrival().await {
                Ok(arrival) => taken.push(arrival),
                Err(_) => break,
            }
        }
        peer.write_all(b"hello").unwrap();
        let error = incoming.next().await.err().unwrap();
        assert!(is_out_of_arrivals(&error), "{error}");
        assert!(incoming.next().await.unwrap().is_none());
        drop(taken);
        assert_eq!(*socket.recv_arrival().await.unwrap(), *b"hello");
    })
    .unwrap();
}

#[test]
fn a_reset_ends_a_receive_for_many_messages() {
    run(async {
        let listener = listener();
        let (socket, _peer) = connection(&listener).await;
        let mut incoming = socket.incoming().unwrap();
        turn().await;
        socket.reset();
        // The end, or the reset, as the kernel likes.
        let ended = incoming.next().await;
        assert!(ended.is_err() || ended.unwrap().unwrap().is_empty());
        assert!(incoming.next().await.unwrap().is_none());
    })
    .unwrap();
}

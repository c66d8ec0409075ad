//! Messages of every length one after the other: receives that stay with the kernel, single ones, and large buffers take turns.
#![allow(clippy::unwrap_used, missing_docs)]

mod paths;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use sealgate_stream::{ReadHalf, Stream};
use sealgate_uring::{ARRIVAL_LEN, Listener, Pool, Receive, SizeClass, multishot_receives, turn};

/// Lengths around those at which the way of receiving changes, each after some short ones.
fn lengths() -> Vec<usize> {
    let edges = [
        ARRIVAL_LEN - 1,
        ARRIVAL_LEN,
        ARRIVAL_LEN + 1,
        3 * ARRIVAL_LEN,
        40_000,
        600_000,
    ];
    edges
        .into_iter()
        .flat_map(|edge| (0..10).map(|n| 1 + n * 700).chain([edge, 5, edge, edge]))
        .collect()
}

fn byte(at: usize) -> u8 {
    (at % 251) as u8
}

/// Reads `len` bytes that continue those before `at`.
async fn expect(read: &mut ReadHalf, at: &mut usize, len: usize) {
    let end = *at + len;
    while *at < end {
        let buf = read.read().await.unwrap().unwrap();
        for got in &*buf {
            assert_eq!(*got, byte(*at), "at {at}");
            *at += 1;
        }
    }
    assert_eq!(*at, end);
}

async fn pair(pool: &Pool) -> (Stream, TcpStream) {
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), 16).unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (socket, _) = listener.accept().await.unwrap();
    (Stream::plain(socket, pool.clone()), peer)
}

/// Enough came one by one that receives stay with the kernel, where they may.
fn are_as_the_path_has_it(path: Receive) {
    let multishots = multishot_receives();
    assert_eq!(
        multishots > 0,
        path == Receive::Multishot,
        "{multishots} on {path:?}"
    );
}

#[test]
fn messages_that_wait_for_an_answer_are_whole() {
    paths::on_both(async |path| {
        let pool = Pool::new(8);
        let (stream, mut peer) = pair(&pool).await;
        let sending = thread::spawn(move || {
            let mut at = 0;
            for len in lengths() {
                let message: Vec<u8> = (at..at + len).map(byte).collect();
                peer.write_all(&message).unwrap();
                at += len;
                peer.read_exact(&mut [0]).unwrap();
            }
        });
        let (mut read, mut write) = stream.split();
        let mut at = 0;
        for len in lengths() {
            expect(&mut read, &mut at, len).await;
            let mut answer = pool.take(SizeClass::Small);
            answer.extend(b"!");
            write.write(answer).await.unwrap();
        }
        sending.join().unwrap();
        assert!(read.read().await.unwrap().is_none());
        drop((read, write));
        assert_eq!(pool.in_use_bytes(), 0);
        are_as_the_path_has_it(path);
    });
}

/// Nothing is lost, and the peer is slowed down, where messages come that nobody takes.
#[test]
fn messages_that_nobody_takes_wait_in_their_order() {
    paths::on_both(async |path| {
        let pool = Pool::new(8);
        let (stream, mut peer) = pair(&pool).await;
        peer.set_nodelay(true).unwrap();
        let (mut read, _write) = stream.split();
        let (mut sent, mut at) = (0, 0);
        let mut send = |len: usize| {
            let message: Vec<u8> = (sent..sent + len).map(byte).collect();
            peer.write_all(&message).unwrap();
            sent += len;
        };
        for round in 0..20 {
            // So many, one by one, that more like them are expected.
            for len in 1..10 {
                send(len);
                expect(&mut read, &mut at, len).await;
            }
            let crowd = 3 + round;
            for _ in 0..crowd {
                send(100);
                turn().await;
                turn().await;
            }
            expect(&mut read, &mut at, 100 * crowd).await;
        }
        drop(peer);
        assert!(read.read().await.unwrap().is_none());
        are_as_the_path_has_it(path);
    });
}

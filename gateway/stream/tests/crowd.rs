//! More bytes have come than the kernel has buffers for.
#![allow(clippy::unwrap_used, missing_docs)]

mod paths;

use std::io::Write;
use std::net::TcpStream;

use sealgate_stream::{HandshakeError, Stream, accept_hello};
use sealgate_uring::{ARRIVAL_LEN, ARRIVALS_LEN, Listener, Pool, Socket, is_out_of_arrivals};

async fn connection(listener: &Listener) -> (Socket, TcpStream) {
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (listener.accept().await.unwrap().0, peer)
}

#[test]
fn streams_and_handshakes_go_on_when_no_buffer_is_left_for_arrivals() {
    paths::on_both(async |_| {
        let pool = Pool::new(8);
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), 16).unwrap();
        let (crowd, mut crowd_peer) = connection(&listener).await;
        let mut taken = Vec::new();
        for _ in 0..ARRIVALS_LEN / ARRIVAL_LEN {
            crowd_peer.write_all(b"x").unwrap();
            taken.push(crowd.recv_arrival().await.unwrap());
        }
        crowd_peer.write_all(b"x").unwrap();
        let none_left = crowd.recv_arrival().await.err().unwrap();
        assert!(is_out_of_arrivals(&none_left), "{none_left}");

        let (socket, mut peer) = connection(&listener).await;
        let (mut read, _write) = Stream::plain(socket, pool.clone()).split();
        for message in [&b"hello"[..], &[7; 20_000]] {
            peer.write_all(message).unwrap();
            let mut received = Vec::new();
            while received.len() < message.len() {
                received.extend_from_slice(&read.read().await.unwrap().unwrap());
            }
            assert_eq!(received, message);
        }
        drop(peer);
        assert!(read.read().await.unwrap().is_none());

        let (socket, mut peer) = connection(&listener).await;
        peer.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let hello = accept_hello(&socket, &pool).await;
        assert!(matches!(hello, Err(HandshakeError::PlainHttp)));
        drop(taken);
    });
}

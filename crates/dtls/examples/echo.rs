//! A DTLS echo server, to try a foreign client on: it knows the identity `device` with the key `sixteen byte key`.
//!
//! ```text
//! cargo run -p dtls --example echo -- 127.0.0.1:5684 &
//! openssl s_client -dtls1_2 -connect 127.0.0.1:5684 -psk_identity device -psk 7369787465656e2062797465206b6579 \
//!     -cipher PSK-AES128-CCM8:@SECLEVEL=0
//! ```

// An example has the world that the crate must not have.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::print_stdout)]

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use dtls::{ConnectionId, Hello, Keys, Progress, Server, ServerOptions, Session, is_client_hello};
use zeroize::Zeroizing;

/// How often sessions are asked whether something is due.
const TICK: Duration = Duration::from_millis(100);

struct OneKey;

impl Keys for OneKey {
    fn psk(&mut self, identity: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        (identity == b"device").then(|| Zeroizing::new(b"sixteen byte key".to_vec()))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:5684".into());
    let socket = UdpSocket::bind(&address)?;
    socket.set_read_timeout(Some(TICK))?;
    println!("listening on {}", socket.local_addr()?);

    let server = Server::new(&ServerOptions::default())?;
    let started = Instant::now();
    let mut sessions: HashMap<SocketAddr, Session> = HashMap::new();
    let mut room = [0; 2048];
    loop {
        let received = socket.recv_from(&mut room);
        let now_ms = u64::try_from(started.elapsed().as_millis())?;
        match received {
            Ok((length, peer)) => take(&server, &mut sessions, &socket, now_ms, peer, &room[..length])?,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
        for (peer, session) in &mut sessions {
            let mut out = Vec::new();
            if let Err(error) = session.handle_timeout(now_ms, &mut out) {
                println!("{peer}: {error}");
            }
            send_all(&socket, *peer, &out)?;
        }
    }
}

fn take(
    server: &Server,
    sessions: &mut HashMap<SocketAddr, Session>,
    socket: &UdpSocket,
    now_ms: u64,
    peer: SocketAddr,
    datagram: &[u8],
) -> Result<(), Box<dyn std::error::Error>> {
    let is_known = sessions.get(&peer).is_some_and(|session| session.began_with(datagram));
    if is_client_hello(datagram) && !is_known {
        let mut answer = Vec::new();
        match server.handle_hello(now_ms, peer.to_string().as_bytes(), datagram, &mut answer) {
            Hello::Verified => {
                let random = [0, 0, 0, (peer.port() >> 8) as u8, peer.port() as u8];
                sessions.insert(peer, server.accept(now_ms, ConnectionId::new(0, 0, random).0)?);
            }
            Hello::SendCookie => return Ok(send_all(socket, peer, &[answer])?),
            Hello::Drop(_) => {}
        }
    }
    let Some(session) = sessions.get_mut(&peer) else { return Ok(()) };
    let (mut out, mut heard) = (Vec::new(), Vec::new());
    match session.handle_datagram(now_ms, datagram, &mut OneKey, &mut |data| heard.push(data.to_vec()), &mut out) {
        Ok(Progress::Established) => println!("{peer}: established, {:?}", session.suite()),
        Ok(Progress::Closed) => println!("{peer}: closed"),
        Ok(Progress::Handshaking | Progress::Data) => {}
        Err(error) => println!("{peer}: {error}"),
    }
    for data in heard {
        session.send(&data, &mut out)?;
    }
    Ok(send_all(socket, peer, &out)?)
}

fn send_all(socket: &UdpSocket, peer: SocketAddr, datagrams: &[Vec<u8>]) -> io::Result<()> {
    datagrams.iter().try_for_each(|datagram| socket.send_to(datagram, peer).map(drop))
}

//! `answer 127.0.0.1:PORT`: a server that reads a request, answers it with success, and does nothing else. No server can
//! take less time for a request, so its figure is the ceiling of this machine.

use std::io::Write;
use std::net::SocketAddrV4;
use std::process::ExitCode;
use std::time::Duration;

use coap::{Code, Encoder, Kind, Message, option};
use load::Socket;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let address = std::env::args().nth(1).ok_or("answer HOST:PORT")?;
    let address: SocketAddrV4 = address.parse().map_err(|_| format!("{address}: no IPv4 address with a port"))?;
    let mut socket = Socket::bind(address).map_err(|error| error.to_string())?;
    let address = socket.address().map_err(|error| error.to_string())?;
    let mut out = std::io::stdout();
    writeln!(out, "ready coap://{address}").and_then(|()| out.flush()).map_err(|error| error.to_string())?;
    loop {
        let received = socket.receive(|outgoing, _, from, datagram| {
            if let Ok(message) = Message::parse(datagram)
                && message.kind == Kind::Confirmable
            {
                outgoing.push(None, from, |out| answer(out, &message));
            }
        });
        socket.flush();
        if received == 0 {
            socket.wait(Duration::from_secs(1));
        }
    }
}

fn answer(out: &mut Vec<u8>, message: &Message<'_>) {
    if message.code.is_response() {
        out.extend_from_slice(&Message::acknowledgement(message.id));
        return;
    }
    let is_registration = message.path().eq([b"rd"]);
    let code = match message.code {
        Code::DELETE => Code::DELETED,
        _ if is_registration => Code::CREATED,
        _ => Code::CHANGED,
    };
    let mut encoder = Encoder::answer(out, message, code, message.id);
    if is_registration {
        encoder = encoder.option(option::LOCATION_PATH, b"rd").option(option::LOCATION_PATH, b"0123456789abcdef");
    }
    encoder.finish();
}

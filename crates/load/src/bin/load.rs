//! `load coap://127.0.0.1:5683 --clients 10000 --prefix bench- [--key HEX | --certificates FILE]`: reads orders from standard input, a line of
//! JSON each (`{"do": "send", "seconds": 3, "window": 1024}`), and answers each with a line when it is carried out.

use std::io::{BufRead, Write};
use std::net::SocketAddrV4;
use std::process::ExitCode;

use load::{Certificates, Credential, Fleet, FleetOptions, Order, bytes};

const USAGE: &str =
    "load coap://HOST:PORT | coaps://HOST:PORT --clients N --prefix TEXT [--key HEX | --certificates FILE]";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}\n{USAGE}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let options = options(std::env::args().skip(1).collect())?;
    let mut fleet = Fleet::new(options).map_err(|error| error.to_string())?;
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| error.to_string())?;
        let order: Order = serde_json::from_str(&line).map_err(|error| format!("{line}: {error}"))?;
        let report = serde_json::to_string(&fleet.carry_out(&order)).map_err(|error| error.to_string())?;
        writeln!(out, "{report}").and_then(|()| out.flush()).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn options(arguments: Vec<String>) -> Result<FleetOptions, String> {
    let mut arguments = arguments.into_iter();
    let uri = arguments.next().ok_or("no server")?;
    let (is_secure, authority) = match (uri.strip_prefix("coaps://"), uri.strip_prefix("coap://")) {
        (Some(authority), _) => (true, authority),
        (None, Some(authority)) => (false, authority),
        (None, None) => return Err(format!("{uri}: neither coap:// nor coaps://")),
    };
    let server: SocketAddrV4 = authority.parse().map_err(|_| format!("{authority}: no IPv4 address with a port"))?;
    let mut options = FleetOptions { server, clients: 1_000, prefix: "load-".to_owned(), credential: None };
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name}: no value"))?;
        match name.as_str() {
            "--clients" => options.clients = value.parse().map_err(|_| format!("{value}: no number of clients"))?,
            "--prefix" => options.prefix = value,
            "--key" => {
                let key = bytes(&value).ok_or("the key is not hexadecimal")?;
                options.credential = Some(Credential::Key(key.into()));
            }
            "--certificates" => {
                let text = std::fs::read_to_string(&value).map_err(|error| format!("{value}: {error}"))?;
                options.credential = Some(Credential::Certificates(Box::new(Certificates::parse(&text)?)));
            }
            _ => return Err(format!("{name}: unknown")),
        }
    }
    if is_secure != options.credential.is_some() {
        return Err("a key or certificates go with coaps://, and with nothing else".to_owned());
    }
    Ok(options)
}

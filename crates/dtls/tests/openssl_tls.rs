//! A foreign peer over TCP: OpenSSL's `s_client` against our server, our client against its `s_server`.
//!
//! It needs the program `openssl` (Debian package `openssl`).

// These tests have the world that the crate must not have. A broken arrangement should stop the test where it broke.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_types, clippy::disallowed_methods)]

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

mod world;

use dtls::{
    CertificateRefused, Keys, Progress, SessionError, Suite, Tls, TlsClient, TlsClientOptions, TlsServer,
    TlsServerOptions, TlsVersion, Trust,
};
use world::{IDENTITY, KEY, OneKeyAndTrust, anchors, certificate, key, year};

const KEY_HEX: &str = "7369787465656e2062797465206b6579";

/// A handshake and an echo take some ten milliseconds; a machine that is busy with other tests may take its time.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long our end waits for bytes before it looks whether there is still time.
const TICK: Duration = Duration::from_millis(20);

/// What became of our end of a connection.
#[derive(Debug, Default)]
struct Outcome {
    suite: Option<Suite>,
    version: Option<TlsVersion>,
    identity: Option<Vec<u8>>,
    common_name: Option<String>,
    heard: Vec<u8>,
    ended: Option<Result<(), SessionError>>,
}

/// What our end says to what it heard.
type Answer<'a> = dyn FnMut(&mut Tls, &[u8], &mut Vec<u8>) + 'a;

/// Feeds our end until the connection is over; `answer` says what follows what was heard, which is nothing when the
/// handshake is complete or keys were renewed.
fn converse(tls: &mut Tls, stream: &mut TcpStream, keys: &mut dyn Keys, answer: &mut Answer<'_>) -> Outcome {
    stream.set_read_timeout(Some(TICK)).unwrap();
    let (mut outcome, started, mut room) = (Outcome::default(), Instant::now(), [0; 999]);
    while outcome.ended.is_none() {
        assert!(started.elapsed() < PATIENCE, "{outcome:?}");
        let length = match stream.read(&mut room) {
            Ok(0) => panic!("it ended without a word: {outcome:?}"),
            Ok(length) => length,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(error) => panic!("{error}: {outcome:?}"),
        };
        let (mut out, mut heard) = (Vec::new(), Vec::new());
        match tls.handle_bytes(0, &room[..length], keys, &mut |data| heard.extend_from_slice(data), &mut out) {
            Ok(Progress::Closed) => outcome.ended = Some(Ok(())),
            Ok(Progress::Established) => {
                (outcome.suite, outcome.version) = (tls.suite(), tls.version());
                outcome.identity = tls.identity().map(<[u8]>::to_vec);
                outcome.common_name = tls.peer_certificate().and_then(|peer| peer.common_name.clone());
                answer(tls, b"", &mut out);
            }
            // New keys were asked for, and are on their way.
            Ok(_) if heard.is_empty() && !out.is_empty() && tls.is_established() => answer(tls, b"", &mut out),
            Ok(_) => {}
            Err(error) => outcome.ended = Some(Err(error)),
        }
        if !heard.is_empty() {
            answer(tls, &heard, &mut out);
            outcome.heard.extend(heard);
        }
        // The other end may have gone already.
        let _ = stream.write_all(&out);
    }
    outcome
}

fn folder(port: u16) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("openssl-tls-{port}"));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Writes a certificate of the vectors in the form that OpenSSL takes everywhere.
fn pem(folder: &Path, name: &str) -> PathBuf {
    let (der, pem) = (folder.join(format!("{name}.der")), folder.join(format!("{name}.pem")));
    std::fs::write(&der, &certificate(name).chain[0]).unwrap();
    let made = Command::new("openssl").args(["x509", "-inform", "DER", "-in"]).arg(der).arg("-out").arg(&pem).status();
    assert!(made.expect("openssl").success());
    pem
}

fn pem_key(folder: &Path, name: &str) -> PathBuf {
    let (der, pem) = (folder.join(format!("{name}.key.der")), folder.join(format!("{name}.key.pem")));
    std::fs::write(&der, certificate(name).key.as_slice()).unwrap();
    let made = Command::new("openssl").args(["pkey", "-inform", "DER", "-in"]).arg(der).arg("-out").arg(&pem).status();
    assert!(made.expect("openssl").success());
    pem
}

/// What the foreign client proves itself by.
enum Proof<'a> {
    Key { identity: &'a str, key_hex: &'a str },
    Certificate(Option<&'a str>),
}

/// Runs `s_client` with these arguments, which says `reading` and goodbye, against our server.
fn serve(proof: &Proof<'_>, arguments: &[&str], at: i64) -> Outcome {
    serve_saying(proof, arguments, at, &["reading\n"])
}

/// The same, saying one of these whenever we have said something.
fn serve_saying(proof: &Proof<'_>, arguments: &[&str], at: i64, said: &[&str]) -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = folder(listener.local_addr().unwrap().port());
    let mut client = client(&listener, proof, &folder, arguments);
    let mut stream = listener.accept().unwrap().0;
    let mut server = TlsServer::new(&TlsServerOptions::default()).unwrap();
    server.set_certificate(Some(&certificate("server"))).unwrap();
    let anchors = anchors(&["anchor", "anchor on P-384"]);
    let mut keys = OneKeyAndTrust { key: KEY, trust: Trust { anchors: &anchors, unix_s: year(at) } };
    let (mut stdin, mut said) = (client.stdin.take(), said.iter());
    let outcome = converse(&mut server.accept(0).unwrap(), &mut stream, &mut keys, &mut |tls, heard, out| {
        if !heard.is_empty() {
            tls.send(&[b"echo: ", heard].concat(), out).unwrap();
        }
        match said.next() {
            Some(next) => stdin.as_mut().unwrap().write_all(next.as_bytes()).unwrap(),
            // The end of its input makes the client say goodbye.
            None => drop(stdin.take()),
        }
    });
    let _ = client.kill();
    client.wait().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    outcome
}

fn client(listener: &TcpListener, proof: &Proof<'_>, folder: &Path, arguments: &[&str]) -> Child {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &listener.local_addr().unwrap().to_string()]);
    command.args(["-servername", "lwm2m.example"]);
    command.args(arguments);
    match proof {
        Proof::Key { identity, key_hex } => {
            command.args(["-psk_identity", identity, "-psk", key_hex]);
        }
        Proof::Certificate(device) => {
            // It checks us, too.
            command.args(["-verify_return_error", "-verify_hostname", "lwm2m.example", "-CAfile"]);
            command.arg(pem(folder, "anchor of servers"));
            if let Some(device) = device {
                command.arg("-cert").arg(pem(folder, device)).arg("-key").arg(pem_key(folder, device));
            }
        }
    }
    let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    child.expect("the program `openssl` is missing: install the Debian package `openssl`")
}

const QUIET: [&str; 2] = ["-quiet", "-no_ign_eof"];
const GOOD_KEY: Proof<'_> = Proof::Key { identity: "urn:shoal:camera-1", key_hex: KEY_HEX };

#[test]
fn openssl_shakes_hands_and_talks_in_every_suite_of_the_older_version() {
    for (cipher, suite, proof) in [
        ("PSK-AES128-CCM8", Suite::PskAes128Ccm8, &GOOD_KEY),
        ("PSK-AES128-GCM-SHA256", Suite::PskAes128GcmSha256, &GOOD_KEY),
        ("PSK-AES128-CBC-SHA256", Suite::PskAes128CbcSha256, &GOOD_KEY),
        ("ECDHE-ECDSA-AES128-CCM8", Suite::EcdheEcdsaAes128Ccm8, &Proof::Certificate(Some("device"))),
        ("ECDHE-ECDSA-AES128-GCM-SHA256", Suite::EcdheEcdsaAes128GcmSha256, &Proof::Certificate(Some("device"))),
        ("ECDHE-ECDSA-AES128-SHA256", Suite::EcdheEcdsaAes128CbcSha256, &Proof::Certificate(Some("device on P-384"))),
    ] {
        // OpenSSL counts the 8 bytes of CCM_8 as 64 bits of security.
        let cipher = format!("{cipher}:@SECLEVEL=0");
        let outcome = serve(proof, &[&["-tls1_2", "-cipher", &cipher][..], &QUIET].concat(), 2031);

        assert_eq!(outcome.ended, Some(Ok(())), "{suite:?}");
        assert_eq!((outcome.suite, outcome.version), (Some(suite), Some(TlsVersion::Tls12)));
        assert_eq!(outcome.heard, b"reading\n");
        assert_eq!(outcome.identity.is_some(), !suite.has_certificates());
        assert_eq!(outcome.common_name.is_some(), suite.has_certificates());
    }
}

#[test]
fn openssl_shakes_hands_and_talks_in_every_suite_of_the_newer_version() {
    for (name, suite) in [
        ("TLS_AES_128_GCM_SHA256", Suite::Aes128GcmSha256),
        ("TLS_AES_128_CCM_SHA256", Suite::Aes128CcmSha256),
        ("TLS_AES_128_CCM_8_SHA256", Suite::Aes128Ccm8Sha256),
    ] {
        for (proof, more) in [
            (&GOOD_KEY, &[][..]),
            (&GOOD_KEY, &["-groups", "P-384"]),
            (&Proof::Certificate(Some("device")), &["-groups", "X25519"]),
            (&Proof::Certificate(Some("device on P-384")), &["-groups", "P-256"]),
            // Its first guess is nothing to us: it is asked for another (RFC 8446 §4.1.4).
            (&Proof::Certificate(Some("device")), &["-groups", "X448:P-384"]),
        ] {
            let cipher = ["-tls1_3", "-ciphersuites", name, "-cipher", "ALL:@SECLEVEL=0"];
            let outcome = serve(proof, &[&cipher[..], more, &QUIET].concat(), 2031);

            assert_eq!(outcome.ended, Some(Ok(())), "{suite:?} {more:?}");
            assert_eq!((outcome.suite, outcome.version), (Some(suite), Some(TlsVersion::Tls13)));
            assert_eq!(outcome.heard, b"reading\n");
            assert_eq!(outcome.identity.is_some(), matches!(proof, Proof::Key { .. }));
        }
    }
}

#[test]
fn a_message_of_the_handshake_may_take_several_records() {
    // The certificate and the longest hello do not fit into 512 bytes.
    let names: Vec<String> = (0..60).map(|number| format!("protocol-{number}")).collect();
    let alpn = format!("{},coap", names.join(","));
    for version in ["-tls1_2", "-tls1_3"] {
        let arguments = [&[version, "-max_send_frag", "512", "-alpn", &alpn][..], &QUIET].concat();
        let outcome = serve(&Proof::Certificate(Some("device")), &arguments, 2031);

        assert_eq!(outcome.ended, Some(Ok(())), "{version}");
        assert_eq!(outcome.heard, b"reading\n");
    }
}

#[test]
fn openssl_may_name_the_protocol_or_leave_it_out_but_not_name_another() {
    for version in ["-tls1_2", "-tls1_3"] {
        let named = serve(&GOOD_KEY, &[&[version, "-alpn", "coap"][..], &QUIET].concat(), 2031);
        assert_eq!(named.ended, Some(Ok(())), "{version}");
        let among = serve(&GOOD_KEY, &[&[version, "-alpn", "h2,coap"][..], &QUIET].concat(), 2031);
        assert_eq!(among.ended, Some(Ok(())), "{version}");
        let other = serve(&GOOD_KEY, &[&[version, "-alpn", "h2"][..], &QUIET].concat(), 2031);
        assert!(matches!(other.ended, Some(Err(SessionError::Fatal { .. }))), "{version}: {other:?}");
    }
}

#[test]
fn openssl_is_refused_by_name_in_both_versions() {
    let another = KEY_HEX.replace('7', "8");
    for version in ["-tls1_2", "-tls1_3"] {
        let arguments = [&[version][..], &QUIET].concat();
        let stranger = serve(&Proof::Key { identity: "stranger", key_hex: KEY_HEX }, &arguments, 2031);
        assert_eq!(stranger.ended, Some(Err(SessionError::UnknownIdentity { identity: b"stranger".to_vec() })));
        let proof = Proof::Key { identity: "urn:shoal:camera-1", key_hex: &another };
        let liar = serve(&proof, &arguments, 2031);
        assert_eq!(liar.ended, Some(Err(SessionError::WrongKey { identity: IDENTITY.to_vec() })), "{version}");
        for (device, at, expected) in [
            (None, 2031, CertificateRefused::Missing),
            (Some("device of nobody we know"), 2031, CertificateRefused::UnknownAuthority),
            (Some("device of another farm"), 2031, CertificateRefused::BadSignature),
            (Some("device"), 2036, CertificateRefused::Expired),
            (Some("device"), 2024, CertificateRefused::NotYetValid),
            (Some("device for servers"), 2031, CertificateRefused::WrongUsage),
        ] {
            let outcome = serve(&Proof::Certificate(device), &arguments, at);
            let Some(Err(SessionError::CertificateRefused { reason, .. })) = outcome.ended else {
                panic!("{version} {device:?}: {outcome:?}");
            };
            assert_eq!(reason, expected, "{version} {device:?}");
            assert!(outcome.heard.is_empty() && outcome.suite.is_none());
        }
    }
}

#[test]
fn openssl_takes_up_new_keys_when_it_likes() {
    // Without `-quiet` it obeys: K asks for new keys of both ends.
    let outcome = serve_saying(&GOOD_KEY, &["-tls1_3"], 2031, &["first\n", "K\n", "second\n", "K\n", "reading\n"]);

    assert_eq!(outcome.ended, Some(Ok(())));
    assert_eq!(outcome.heard, b"first\nsecond\nreading\n");
}

#[test]
fn openssl_gets_no_new_handshake_under_the_old_connection() {
    // R asks for one. Nobody has to grant it, and a client that insists ends the connection.
    let outcome = serve_saying(&GOOD_KEY, &["-tls1_2"], 2031, &["first\n", "R\n"]);

    assert!(matches!(outcome.ended, Some(Err(_))), "{outcome:?}");
    assert_eq!(outcome.heard, b"first\n");
}

/// Our client against `s_server`, which says in turn what it hears.
fn visit(client: &TlsClient, arguments: &[&str], certificate_of: &str) -> Outcome {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let folder = folder(port);
    let mut command = Command::new("openssl");
    command.args(["s_server", "-accept", &format!("127.0.0.1:{port}"), "-rev", "-alpn", "coap"]);
    command.arg("-cert").arg(pem(&folder, certificate_of)).arg("-key").arg(pem_key(&folder, certificate_of));
    command.arg("-CAfile").arg(pem(&folder, "anchor")).args(arguments);
    let mut server = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let ready = BufReader::new(server.stdout.take().unwrap()).lines().find(|line| line.as_deref().unwrap() == "ACCEPT");
    assert!(ready.is_some(), "it does not listen");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut out = Vec::new();
    let mut tls = client.connect(0, &mut out).unwrap();
    stream.write_all(&out).unwrap();
    let anchors = anchors(&["anchor of servers"]);
    let mut trust = Trust { anchors: &anchors, unix_s: year(2031) };
    let mut heard_all = Vec::new();
    let outcome = converse(&mut tls, &mut stream, &mut trust, &mut |tls, heard, out| {
        heard_all.extend_from_slice(heard);
        if heard.is_empty() {
            tls.send(b"reading\n", out).unwrap();
        } else if heard_all.ends_with(b"gnidaer\n") {
            // It takes its leave from whoever says so.
            tls.send(b"CLOSE\n", out).unwrap();
        }
    });
    let _ = server.kill();
    server.wait().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    outcome
}

#[test]
fn our_client_talks_with_a_server_of_openssl() {
    for (flag, version) in [("-tls1_2", TlsVersion::Tls12), ("-tls1_3", TlsVersion::Tls13)] {
        let options = TlsClientOptions::default();
        let with_key = TlsClient::new(IDENTITY, &key(KEY), &options).unwrap();
        let psk = ["-psk", KEY_HEX, "-psk_identity", "urn:shoal:camera-1", flag, "-cipher", "ALL:@SECLEVEL=0"];
        let outcome = visit(&with_key, &psk, "server");
        assert_eq!((outcome.ended, outcome.version), (Some(Ok(())), Some(version)));
        assert_eq!(outcome.heard, b"gnidaer\n");

        let certified = TlsClient::with_certificate(&certificate("device"), Some("lwm2m.example"), &options).unwrap();
        let outcome =
            visit(&certified, &["-Verify", "1", "-verify_return_error", "-attime", "1925000000", flag], "server");
        assert_eq!((outcome.ended, outcome.version), (Some(Ok(())), Some(version)));
        assert_eq!(outcome.heard, b"gnidaer\n");
        assert!(outcome.common_name.is_some());
    }
}

#[test]
fn our_client_refuses_a_server_of_openssl_that_nobody_vouches_for() {
    let options = TlsClientOptions::default();
    let client = TlsClient::with_certificate(&certificate("device"), Some("lwm2m.example"), &options).unwrap();
    for flag in ["-tls1_2", "-tls1_3"] {
        let outcome = visit(&client, &[flag], "server of nobody we know");
        let Some(Err(SessionError::CertificateRefused { reason, .. })) = outcome.ended else { panic!("{outcome:?}") };
        assert_eq!(reason, CertificateRefused::UnknownAuthority);
        let outcome = visit(&client, &[flag], "server with another name");
        let Some(Err(SessionError::CertificateRefused { reason, .. })) = outcome.ended else { panic!("{outcome:?}") };
        assert_eq!(reason, CertificateRefused::WrongName);
    }
}

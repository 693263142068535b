//! Getting connected, or saying why not: names, addresses, TLS, proxies, unix sockets.

mod support_transport;

use rcgen::date_time_ymd;
use std::io::{Read, Write};
use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};
use std::thread;
use support_transport::tls::{self, Authority};
use support_transport::{Peer, Server, get, read_all, request, transport};
use url::Url;
use x402::error::{Error, Status};
use x402::transport::proxy::{Proxy, ProxyChoice};
use x402::transport::{Outgoing, OutgoingBody, Settings, Transport};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn error_of(transport: &Transport, url: &str) -> Error {
    let failure = get(transport, &Url::parse(url).unwrap()).unwrap_err();
    assert!(!failure.report.request_sent_any, "{failure:?}");
    failure.error
}

fn assert_says(error: &Error, status: Status, words: &[&str]) {
    assert_eq!(error.status, status, "{error:?}");
    for word in words {
        assert!(error.message.contains(word), "`{word}` is not in: {error}");
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn nobody_listens() {
    let port = free_port();
    let error = error_of(&transport(), &format!("http://127.0.0.1:{port}/"));
    assert_says(&error, Status::Connect, &[&format!("127.0.0.1:{port}"), "refused", "check"]);
}

#[test]
fn the_name_does_not_resolve() {
    // A label of 64 characters is refused by every resolver without asking anyone.
    let name = "x".repeat(64);
    let error = error_of(&transport(), &format!("http://{name}.invalid/"));
    assert_says(&error, Status::Resolve, &[&name, "check its spelling"]);
}

#[test]
fn a_scheme_that_is_not_served() {
    assert_says(&error_of(&transport(), "ftp://127.0.0.1/"), Status::Url, &["ftp"]);
}

#[test]
fn every_address_of_a_name_is_tried() {
    // `localhost` is usually ::1 and 127.0.0.1; the server has one of them only.
    let v4 = Server::answering(OK);
    let url = Url::parse(&format!("http://localhost:{}/", v4.address.port())).unwrap();
    assert_eq!(read_all(get(&transport(), &url).unwrap()), b"ok");
}

#[test]
fn an_ipv6_literal() {
    let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
        println!("this machine has no IPv6");
        return;
    };
    let url = Url::parse(&format!("http://[::1]:{}/", listener.local_addr().unwrap().port())).unwrap();
    let server = thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        let mut peer = Peer::new(Box::new(socket.try_clone().unwrap()), socket, 0);
        let head = peer.head().unwrap();
        peer.send(OK);
        head
    });
    assert_eq!(read_all(get(&transport(), &url).unwrap()), b"ok");
    assert_eq!(
        server.join().unwrap().header("host").unwrap(),
        &url[url::Position::BeforeHost..url::Position::AfterPort]
    );
}

#[test]
fn private_addresses_can_be_denied() {
    let server = Server::answering(OK);
    let denying = |proxy| {
        let settings = Settings { deny_private_addresses: true, proxy, ..Settings::default() };
        Transport::new(settings).unwrap()
    };
    let port = server.address.port();
    for host in
        ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "10.0.0.1", "169.254.169.254", "[fd00::1]"]
    {
        let error = error_of(&denying(ProxyChoice::None), &format!("http://{host}:{port}/"));
        assert_says(&error, Status::AddressDenied, &["deny_private_addresses"]);
    }
    // A proxy's own address may be private; what it leads to may not, nor may it be unknown.
    for (proxy, target) in
        [("http", "10.0.0.1"), ("http", "name.example"), ("socks5h", "name.example"), ("socks5", "localhost")]
    {
        let proxy = Proxy::parse(&format!("{proxy}://{}", server.address)).unwrap();
        let error = error_of(&denying(ProxyChoice::Fixed(proxy)), &format!("http://{target}/"));
        assert_says(&error, Status::AddressDenied, &["deny_private_addresses"]);
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn tls_with_names_and_addresses() {
    let authority = Authority::new();
    let server = tls::server(&authority, |peer| while peer.head().is_some() && peer.send(OK) {});
    let transport = authority.transport();
    for host in ["localhost", "127.0.0.1"] {
        let url = Url::parse(&format!("https://{host}:{}/", server.address.port())).unwrap();
        for round in 0..3 {
            let incoming = get(&transport, &url).unwrap();
            assert_eq!(incoming.report.reused, round > 0, "{host}");
            assert_eq!(read_all(incoming), b"ok");
        }
    }
    assert_eq!(server.connections(), 2);
}

#[test]
fn tls_large_both_ways() {
    const BYTES: usize = 3_000_000;
    let authority = Authority::new();
    let server = tls::server(&authority, |peer| {
        while let Some(head) = peer.head() {
            let Some(body) = peer.body(&head) else { return };
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
            peer.send(body);
        }
    });
    let (transport, url) = (authority.transport(), server.https_url("/"));
    let sent: Vec<u8> = (0..BYTES).map(|index| (index % 251) as u8).collect();
    for chunked in [false, true] {
        let mut reader = sent.as_slice();
        let body =
            if chunked { OutgoingBody::Chunked(&mut reader) } else { OutgoingBody::Sized(BYTES as u64, &mut reader) };
        let incoming = transport.round_trip(Outgoing { body, ..request("POST", &url) }).unwrap();
        assert!(read_all(incoming) == sent);
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn bad_certificates_say_which_check_failed() {
    let authority = Authority::new();
    let expired = authority.server_config(&["localhost"], |params| {
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(2001, 1, 1);
    });
    let future = authority.server_config(&["localhost"], |params| {
        params.not_before = date_time_ymd(2090, 1, 1);
        params.not_after = date_time_ymd(2091, 1, 1);
    });
    let other_name = authority.server_config(&["example.org"], |_| {});
    let stranger = Authority::new().server_config(&["localhost"], |_| {});
    let cases = [
        (expired, "has expired", "clock"),
        (future, "not valid yet", "clock"),
        (other_name, "another host name", "URL"),
        (stranger, "unknown issuer", "ca_file"),
    ];
    let transport = authority.transport();
    for (config, what, advice) in cases {
        let server = Server::start_with(move |socket| tls::wrap(&config, socket), |peer| drop(peer.head()));
        let error = error_of(&transport, server.https_url("/").as_str());
        assert_says(&error, Status::Tls, &["localhost", what, advice]);
    }
}

#[test]
fn a_server_without_tls() {
    let server = Server::start(|peer| {
        peer.exactly(1);
        peer.send("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    assert_says(&error_of(&transport(), server.https_url("/").as_str()), Status::Tls, &["does not speak TLS"]);
    let closing = Server::start(|_| {});
    assert_says(&error_of(&transport(), closing.https_url("/").as_str()), Status::Tls, &["localhost"]);
}

#[test]
fn unix_sockets_by_url_and_by_setting() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a socket");
    let listener = UnixListener::bind(&path).unwrap();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = heads.clone();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let (mut socket, seen) = (socket.unwrap(), seen.clone());
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(bytes @ 1..) = socket.read(&mut buffer) {
                    seen.lock().unwrap().push(String::from_utf8_lossy(&buffer[..bytes]).into_owned());
                    socket.write_all(OK.as_bytes()).unwrap();
                }
            });
        }
    });
    let text = format!("unix:{}:/v1/items?a=b", path.display());
    let by_url = transport();
    for round in 0..2 {
        let incoming = get(&by_url, &Url::parse(&text).unwrap()).unwrap();
        assert_eq!(incoming.report.reused, round > 0);
        assert_eq!(read_all(incoming), b"ok");
    }
    let settings = Settings { unix_socket: Some(path), ..Settings::default() };
    let by_setting = Transport::new(settings).unwrap();
    assert_eq!(read_all(get(&by_setting, &Url::parse("http://api.example/x").unwrap()).unwrap()), b"ok");
    let heads = heads.lock().unwrap();
    assert!(
        heads[0].starts_with("GET /v1/items?a=b HTTP/1.1\r\n") && heads[0].contains("host: localhost\r\n"),
        "{heads:?}"
    );
    assert!(heads[2].starts_with("GET /x HTTP/1.1\r\n") && heads[2].contains("host: api.example\r\n"), "{heads:?}");

    let error = error_of(&by_url, "unix:/nonexistent/socket:/");
    assert_says(&error, Status::Connect, &["/nonexistent/socket", "check the path"]);
    let long = format!("unix:/{}:/", "x".repeat(200));
    assert_says(&error_of(&by_url, &long), Status::Connect, &["1 to 107 bytes"]);
}

/// An HTTP proxy that tunnels to the address it is asked for, whatever the name.
fn tunnelling_proxy(target: std::net::SocketAddr) -> (Server, Arc<Mutex<Vec<String>>>) {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = heads.clone();
    let server = Server::start(move |peer| {
        let Some(head) = peer.head() else { return };
        seen.lock().unwrap().push(head.text.clone());
        let upstream = TcpStream::connect(target).unwrap();
        peer.send("HTTP/1.1 200 Connection established\r\n\r\n");
        let (mut from, mut to) = (upstream.try_clone().unwrap(), peer.socket.try_clone().unwrap());
        let back = thread::spawn(move || std::io::copy(&mut from, &mut to));
        let _ = std::io::copy(&mut peer.socket, &mut &upstream);
        let _ = upstream.shutdown(std::net::Shutdown::Both);
        let _ = back.join();
    });
    (server, heads)
}

#[test]
fn through_a_proxy_plain_and_tls() {
    let authority = Authority::new();
    let plain = Server::answering(OK);
    let secure = tls::server(&authority, |peer| while peer.head().is_some() && peer.send(OK) {});
    for (server, scheme) in [(&plain, "http"), (&secure, "https")] {
        let (proxy, heads) = tunnelling_proxy(server.address);
        let choice = ProxyChoice::Fixed(Proxy::parse(&format!("http://{}", proxy.address)).unwrap());
        let transport = Transport::new(Settings { proxy: choice, ..authority.settings() }).unwrap();
        let url = Url::parse(&format!("{scheme}://localhost:9/")).unwrap();
        for round in 0..3 {
            let incoming = get(&transport, &url).unwrap();
            assert_eq!(incoming.report.reused, round > 0);
            assert_eq!(read_all(incoming), b"ok");
        }
        let heads = heads.lock().unwrap();
        assert_eq!(heads.len(), 1);
        assert!(heads[0].starts_with("CONNECT localhost:9 HTTP/1.1\r\n"), "{heads:?}");
    }
}

#[test]
fn a_proxy_that_refuses_or_is_not_there() {
    let server = Server::answering("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    let through = |address: &str| {
        let settings = Settings { proxy: ProxyChoice::Fixed(Proxy::parse(address).unwrap()), ..Settings::default() };
        error_of(&Transport::new(settings).unwrap(), "http://target.example/")
    };
    assert_says(&through(&format!("http://{}", server.address)), Status::Proxy, &["403"]);
    assert_says(&through(&format!("http://127.0.0.1:{}", free_port())), Status::Connect, &["127.0.0.1"]);
}

#[test]
fn a_client_certificate_is_shown_when_asked_for() {
    let authority = Authority::new();
    let config = authority.config_asking_clients(&["localhost"]);
    let script = |peer: &mut Peer| while peer.head().is_some() && peer.send(OK) {};
    let server = Server::start_with(move |socket| tls::wrap(&config, socket), script);
    let (certificate, key) = authority.client_identity();
    let mut settings = authority.settings();
    settings.tls.client_cert_file = Some(certificate.path().to_path_buf());
    settings.tls.client_key_file = Some(key.path().to_path_buf());
    let identified = Transport::new(settings).unwrap();
    assert_eq!(read_all(get(&identified, &server.https_url("/")).unwrap()), b"ok");

    let failure = get(&authority.transport(), &server.https_url("/")).unwrap_err();
    assert_says(&failure.error, Status::Tls, &["client certificate"]);
}

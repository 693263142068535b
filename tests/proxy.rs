//! Proxies: their URLs, the environment's, and handshakes with small proxies on the loopback interface.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, Cursor, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;
use url::Url;
use x402::error::{Error, Status};
use x402::transport::proxy::{EnvironmentProxies, Proxy, ProxyChoice, ProxyKind, connect_through};

/// No wait in these tests is longer: a hang becomes a failure.
const PATIENCE: Duration = Duration::from_secs(10);

/// A peer that was recorded: gives `answer` in pieces of `piece` bytes and keeps what it was sent.
struct Recorded {
    answer: Cursor<Vec<u8>>,
    piece: usize,
    sent: Vec<u8>,
}

impl Recorded {
    fn new(answer: &[u8]) -> Recorded {
        Recorded { answer: Cursor::new(answer.to_vec()), piece: usize::MAX, sent: Vec::new() }
    }

    fn rest(&self) -> &[u8] {
        &self.answer.get_ref()[self.answer.position() as usize..]
    }
}

impl Read for Recorded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(self.piece);
        self.answer.read(&mut buffer[..count])
    }
}

impl Write for Recorded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.piece);
        self.sent.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn proxy(text: &str) -> Proxy {
    Proxy::parse(text).unwrap()
}

#[test]
fn urls_that_name_a_proxy() {
    let cases = [
        ("http://proxy.example:3128", ProxyKind::Http, "proxy.example", 3128, false),
        ("HTTP://Proxy.Example", ProxyKind::Http, "proxy.example", 1080, false),
        ("proxy.example:8080", ProxyKind::Http, "proxy.example", 8080, false),
        ("http://proxy.example:80/", ProxyKind::Http, "proxy.example", 80, false),
        ("socks5://10.0.0.1", ProxyKind::Socks5, "10.0.0.1", 1080, false),
        ("socks5h://user@proxy:9050", ProxyKind::Socks5h, "proxy", 9050, true),
        ("socks5://[::1]:9050", ProxyKind::Socks5, "::1", 9050, false),
        ("http://user:pass@[fd00::1]", ProxyKind::Http, "fd00::1", 1080, true),
        ("  http://a:b@c@host:1  ", ProxyKind::Http, "host", 1, true),
    ];
    for (text, kind, host, port, credentials) in cases {
        let proxy = proxy(text);
        assert_eq!((proxy.kind, proxy.host.as_str(), proxy.port), (kind, host, port), "{text}");
        assert_eq!(proxy.has_credentials(), credentials, "{text}");
    }
    assert_eq!(proxy("socks5h://u:p@[::1]:9").to_string(), "socks5h://[::1]:9");
}

#[test]
fn urls_that_do_not_say_why() {
    let cases = [
        ("https://user:s3cret@proxy:443", "not supported"),
        ("socks4://proxy", "socks5://"),
        ("ftp://proxy", "`ftp`"),
        ("user:s3cret://@proxy", "scheme is unknown"),
        ("http://", "no host"),
        ("http://user:s3cret@:80", "no host"),
        ("http://proxy:0", "port"),
        ("http://proxy:65536", "port"),
        ("http://proxy:s3cret", "port"),
        ("http://proxy:+80", "port"),
        ("http://[::1]80", "port"),
        ("http://::1", "host"),
        ("http://proxy:80/path", "after its port"),
        ("http://us%er:s3cret@proxy", "`%25`"),
        ("http://user:s3cret%4@proxy", "`%25`"),
        ("http://us%3Aer:s3cret@proxy", "colon"),
        ("http://user:s3cret%0d%0aX: y@proxy", "control"),
        ("socks5://:s3cret@proxy", "1 to 255"),
    ];
    for (text, part) in cases {
        let error = Proxy::parse(text).expect_err(text);
        assert_eq!(error.status, Status::Setting, "{text}");
        assert!(error.message.contains(part), "{text}: {error}");
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{text}: {error}");
    }
    let long = format!("socks5://{}:p@proxy", "u".repeat(256));
    assert!(Proxy::parse(&long).unwrap_err().message.contains("255"));
}

#[test]
fn a_password_is_never_shown() {
    let proxy = proxy("http://user:s3cret@proxy:80");
    let choice = ProxyChoice::Fixed(proxy.clone());
    let shown = format!("{proxy} {proxy:?} {choice:?} {}", proxy.authority());
    assert!(!shown.contains("s3cret") && !shown.contains("user"), "{shown}");
    let mut refusing = Recorded::new(b"HTTP/1.1 407 Nope\r\nProxy-Authenticate: Negotiate\r\n\r\n");
    let error = connect_through(&proxy, &mut refusing, "api.example", 443).unwrap_err();
    assert_eq!(error.status, Status::Proxy);
    assert!(error.message.contains("407 Nope") && error.message.contains("Negotiate"), "{error}");
    assert!(!format!("{error:?}").contains("s3cret") && !format!("{error:?}").contains("dXNlcjpzM2NyZXQ"), "{error:?}");
}

#[test]
fn connect_says_exactly_this() {
    let mut peer = Recorded::new(b"HTTP/1.1 200 Connection established\r\n\r\ntunnel");
    connect_through(&proxy("http://us%20er:p%C3%A4ss@proxy:3128"), &mut peer, "api.example", 443).unwrap();
    let want = "CONNECT api.example:443 HTTP/1.1\r\nHost: api.example:443\r\n\
                Proxy-Authorization: Basic dXMgZXI6cMOkc3M=\r\n\r\n";
    assert_eq!(String::from_utf8(peer.sent.clone()).unwrap(), want);
    assert_eq!(peer.rest(), b"tunnel", "bytes of the tunnel were taken");

    for host in ["[2001:db8::1]", "2001:db8::1"] {
        let mut peer = Recorded::new(b"HTTP/1.0 200\r\n\r\n");
        connect_through(&proxy("http://proxy"), &mut peer, host, 80).unwrap();
        let want = "CONNECT [2001:db8::1]:80 HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n";
        assert_eq!(String::from_utf8(peer.sent.clone()).unwrap(), want);
    }
}

#[test]
fn connect_reads_the_head_and_no_more() {
    let heads: [&[u8]; 5] = [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nVia: 1.1 proxy\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.0 200 OK\nX: y\n\n",
        b"HTTP/1.1 299\r\n\r\n",
    ];
    for head in heads {
        for piece in [1, 2, 3, usize::MAX] {
            let mut peer = Recorded::new(&[head, b"\r\n\x16\x03tunnel"].concat());
            peer.piece = piece;
            connect_through(&proxy("http://proxy"), &mut peer, "api.example", 443).unwrap();
            assert_eq!(peer.rest(), b"\r\n\x16\x03tunnel", "{}", String::from_utf8_lossy(head));
        }
    }
}

#[test]
fn connect_refusals() {
    let endless = [b"HTTP/1.1 200 OK\r\n".to_vec(), b"X: y\r\n".repeat(5000)].concat();
    let interim = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(5000);
    let cases: [(&[u8], &str); 12] = [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "refused to connect to api.example:443: 403 Forbidden"),
        (b"HTTP/1.1 502\r\n\r\n", "api.example:443: 502"),
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "asks for a user name and password"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://evil/\r\n\r\n", "302 Found"),
        (b"HTTP/1.1 403 \x1b[31mred\x07\r\n\r\n", "403 \u{fffd}[31mred\u{fffd}"),
        (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", "did not answer in HTTP"),
        (b"HTTP/1.1 20 OK\r\n\r\n", "did not answer in HTTP"),
        (b"HTTP/2 200 OK\r\n\r\n", "did not answer in HTTP"),
        (b"", "without answering"),
        (b"HTTP/1.1 200 OK\r\n", "in the middle"),
        (&endless, "16384 bytes"),
        (&interim, "16384 bytes"),
    ];
    for (answer, part) in cases {
        let mut peer = Recorded::new(answer);
        let error = connect_through(&proxy("http://proxy"), &mut peer, "api.example", 443).expect_err(part);
        assert_eq!(error.status, Status::Proxy, "{part}");
        assert!(error.message.contains(part), "{part}: {error}");
        assert!(peer.answer.position() <= 16 * 1024, "the head's bound was passed");
    }
}

#[test]
fn socks5_says_exactly_this() {
    type Case<'a> = (&'a str, &'a str, Vec<u8>, Vec<u8>);
    let name = [&b"\x05\x01\x00\x03\x0bapi.example"[..], &443_u16.to_be_bytes()].concat();
    let v4 = [&b"\x05\x01\x00\x01\x7f\x00\x00\x01"[..], &443_u16.to_be_bytes()].concat();
    let v6 = [&b"\x05\x01\x00\x04"[..], &Ipv6Addr::LOCALHOST.octets(), &443_u16.to_be_bytes()].concat();
    let ok = b"\x05\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00".to_vec();
    let bound_v6 = [&b"\x05\x00\x05\x00\x00\x04"[..], &[0; 18]].concat();
    let bound_name = b"\x05\x00\x05\x00\x00\x03\x04host\x00\x00".to_vec();
    let cases: [Case; 6] = [
        ("socks5h://p", "api.example", [b"\x05\x01\x00", &name[..]].concat(), ok.clone()),
        ("socks5h://p", "127.0.0.1", [b"\x05\x01\x00", &v4[..]].concat(), bound_v6),
        ("socks5://p", "[::1]", [b"\x05\x01\x00", &v6[..]].concat(), bound_name),
        ("socks5://p", "127.0.0.1", [b"\x05\x01\x00", &v4[..]].concat(), ok.clone()),
        (
            "socks5h://us%3aer:pass@p",
            "api.example",
            [&b"\x05\x02\x00\x02\x01\x05us:er\x04pass"[..], &name].concat(),
            [&b"\x05\x02\x01\x00"[..], &ok[2..]].concat(),
        ),
        // A proxy that wants no password is not given one.
        ("socks5h://user:pass@p", "api.example", [&b"\x05\x02\x00\x02"[..], &name].concat(), ok.clone()),
    ];
    for (url, host, want, answer) in cases {
        for piece in [1, 7, usize::MAX] {
            let mut peer = Recorded::new(&[&answer[..], b"\x16\x03tunnel"].concat());
            peer.piece = piece;
            connect_through(&proxy(url), &mut peer, host, 443).unwrap();
            assert_eq!(peer.sent, want, "{url} {host}");
            assert_eq!(peer.rest(), b"\x16\x03tunnel", "{url} {host}: bytes of the tunnel were taken");
        }
    }
}

#[test]
fn socks5_refusals() {
    let cases: [(&str, &[u8], &str); 13] = [
        ("socks5h://p", b"\x05\xff", "put a user name and password"),
        ("socks5h://u:p@p", b"\x05\xff", "accepts no user name and password"),
        ("socks5h://u:s3cret@p", b"\x05\x02\x01\x01", "refused the user name and password"),
        ("socks5h://p", b"\x05\x02", "method 2"),
        ("socks5h://p", b"HTTP/1.1 400 Bad Request\r\n\r\n", "did not answer in SOCKS5"),
        ("socks5h://p", b"\x05\x00\x04\x00\x00\x01", "did not answer in SOCKS5"),
        ("socks5h://p", b"\x05\x00\x05\x00\x00\x09", "did not answer in SOCKS5"),
        ("socks5h://p", b"\x05\x00\x05\x02\x00\x01", "api.example:443: forbidden by its rules"),
        ("socks5h://p", b"\x05\x00\x05\x05\x00\x01", "connection refused (reply code 5)"),
        ("socks5h://p", b"\x05\x00\x05\x2a\x00\x01", "unknown reply code 42"),
        ("socks5h://p", b"", "closed the connection"),
        ("socks5h://p", b"\x05\x00\x05\x00\x00\x01\x00", "closed the connection"),
        ("socks5h://p", b"\x05\x00\x05\x00\x00\x03\xff\x00", "closed the connection"),
    ];
    for (url, answer, part) in cases {
        let error = connect_through(&proxy(url), &mut Recorded::new(answer), "api.example", 443).expect_err(part);
        assert_eq!(error.status, Status::Proxy, "{part}");
        assert!(error.message.contains(part) && !format!("{error:?}").contains("s3cret"), "{part}: {error:?}");
    }
    let mut peer = Recorded::new(b"");
    let error = connect_through(&proxy("socks5://p"), &mut peer, "api.example", 443).unwrap_err();
    assert_eq!(error.status, Status::Resolve, "names are resolved before socks5:// is asked");
    assert!(peer.sent.is_empty());
    let long = "a".repeat(256);
    assert!(connect_through(&proxy("socks5h://p"), &mut peer, &long, 443).unwrap_err().message.contains("256"));
}

/// A stream whose own error (a deadline, a cancellation) must come through unchanged.
#[test]
fn the_streams_own_errors_are_handed_on() {
    struct Late;
    impl Read for Late {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(Error::new(Status::Timeout, "the deadline for connecting passed").into_io())
        }
    }
    impl Write for Late {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for url in ["http://p", "socks5h://p"] {
        let late = connect_through(&proxy(url), &mut Late, "api.example", 443).unwrap_err();
        assert_eq!((late.status, late.message.as_str()), (Status::Timeout, "the deadline for connecting passed"));
        let broken = connect_through(&proxy(url), &mut Broken, "api.example", 443).unwrap_err();
        assert_eq!(broken.status, Status::Proxy);
        assert!(broken.message.contains("p:1080"), "{broken}");
    }
}

fn environment(variables: &[(&str, &str)]) -> Result<EnvironmentProxies, Error> {
    let variables: HashMap<String, OsString> =
        variables.iter().map(|(name, value)| (name.to_string(), OsString::from(value))).collect();
    EnvironmentProxies::read(|name| variables.get(name).cloned())
}

fn chosen(variables: &[(&str, &str)], url: &str) -> Option<String> {
    let choice = ProxyChoice::FromEnvironment(environment(variables).unwrap());
    choice.for_url(&Url::parse(url).unwrap()).map(ToString::to_string)
}

#[test]
fn which_variable_counts() {
    let all = [
        ("http_proxy", "http://h:1"),
        ("https_proxy", "http://s:2"),
        ("HTTPS_PROXY", "http://upper:3"),
        ("all_proxy", "socks5h://a:4"),
        ("ALL_PROXY", "socks5h://upper:5"),
    ];
    assert_eq!(chosen(&all, "http://x/").as_deref(), Some("http://h:1"));
    assert_eq!(chosen(&all, "https://x/").as_deref(), Some("http://s:2"));
    assert_eq!(chosen(&all[2..], "https://x/").as_deref(), Some("http://upper:3"));
    assert_eq!(chosen(&all[2..], "http://x/").as_deref(), Some("socks5h://a:4"));
    assert_eq!(chosen(&all[4..], "https://x/").as_deref(), Some("socks5h://upper:5"));
    assert_eq!(chosen(&[("HTTP_PROXY", "http://evil:1")], "http://x/"), None, "a CGI client could set it");
    assert_eq!(chosen(&[("http_proxy", ""), ("all_proxy", "a:4")], "http://x/").as_deref(), Some("http://a:4"));
    assert_eq!(chosen(&[], "https://x/"), None);
    assert!(ProxyChoice::None.for_url(&Url::parse("https://x/").unwrap()).is_none());
    let fixed = ProxyChoice::Fixed(proxy("http://h:1"));
    assert!(fixed.for_url(&Url::parse("https://x/").unwrap()).is_some());
}

#[test]
fn a_variable_that_cannot_be_used_is_named() {
    let error = environment(&[("https_proxy", "https://user:s3cret@proxy")]).unwrap_err();
    assert_eq!(error.status, Status::Setting);
    assert!(error.message.contains("https_proxy") && !error.message.contains("s3cret"), "{error}");
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStringExt;
        let lookup = |name: &str| (name == "all_proxy").then(|| OsString::from_vec(vec![0xff]));
        let error = EnvironmentProxies::read(lookup).unwrap_err();
        assert!(error.message.contains("all_proxy"), "{error}");
    }
}

#[test]
fn hosts_that_no_proxy_excepts() {
    let cases = [
        ("*", "https://anything/", true),
        ("example.com", "https://example.com/", true),
        ("example.com", "https://api.EXAMPLE.com/", true),
        ("example.com", "https://notexample.com/", false),
        ("example.com", "https://example.com.evil/", false),
        (".example.com", "https://api.example.com/", true),
        (".example.com", "https://example.com/", true),
        ("*.example.com", "https://api.example.com/", true),
        ("Example.COM.", "https://example.com/", true),
        ("example.com", "https://example.com./", true),
        ("other, example.com", "https://example.com/", true),
        ("other example.com", "https://example.com/", true),
        ("localhost", "http://127.0.0.1/", false),
        ("127.0.0.1", "http://127.0.0.1/", true),
        ("127.0.0.1", "http://127.0.0.10/", false),
        ("10.0.0.0/8", "http://10.200.3.4/", true),
        ("10.0.0.0/8", "http://11.0.0.1/", false),
        ("192.168.1.0/25", "http://192.168.1.127/", true),
        ("192.168.1.0/25", "http://192.168.1.128/", false),
        ("0.0.0.0/0", "http://8.8.8.8/", true),
        ("0.0.0.0/0", "http://[::1]/", false),
        ("10.0.0.0/33", "http://10.0.0.0/", false),
        ("::1", "http://[::1]/", true),
        ("[::1]", "http://[::1]/", true),
        ("[::1]:80", "http://[::1]/", true),
        ("[::1]:81", "http://[::1]/", false),
        ("fd00::/8", "http://[fdab::9]/", true),
        ("fd00::/8", "http://[fe80::9]/", false),
        ("example.com:443", "https://example.com/", true),
        ("example.com:443", "http://example.com/", false),
        ("example.com:8080", "http://example.com:8080/", true),
        ("example.com:x", "http://example.com/", false),
        ("0.0.1", "http://127.0.0.1/", false),
        ("", "http://example.com/", false),
        (",, ,", "http://example.com/", false),
        (".", "http://example.com/", false),
    ];
    for (list, url, excepted) in cases {
        for name in ["no_proxy", "NO_PROXY"] {
            let found = chosen(&[("all_proxy", "http://p:1"), (name, list)], url);
            assert_eq!(found.is_none(), excepted, "{name}={list:?} for {url}");
        }
    }
    let both = [("all_proxy", "http://p:1"), ("no_proxy", "a"), ("NO_PROXY", "b")];
    assert_eq!(chosen(&both, "http://a/"), None);
    assert!(chosen(&both, "http://b/").is_some(), "the lower-case name counts");
}

/// A server that greets, then sends back what it gets.
fn echo_server() -> (SocketAddr, JoinHandle<()>) {
    serve(|mut stream| {
        stream.write_all(b"hello from the target").unwrap();
        let mut buffer = [0; 512];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            stream.write_all(&buffer[..count]).unwrap();
        }
    })
}

fn serve(handle: impl FnOnce(TcpStream) + Send + 'static) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        handle(stream);
    });
    (address, thread)
}

/// Passes on what flows either way until both sides are done.
fn relay(client: TcpStream, target: TcpStream) {
    let (mut from_client, mut to_target) = (client.try_clone().unwrap(), target.try_clone().unwrap());
    let upward = std::thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_target);
        let _ = to_target.shutdown(std::net::Shutdown::Write);
    });
    let (mut from_target, mut to_client) = (target, client);
    let _ = io::copy(&mut from_target, &mut to_client);
    let _ = to_client.shutdown(std::net::Shutdown::Write);
    upward.join().unwrap();
}

/// Connects to the target first and sends its greeting in one write with the proxy's own answer.
fn connect_proxy(password: &'static str) -> (SocketAddr, JoinHandle<()>) {
    serve(move |mut client| {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            client.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        if !head.contains(&format!("\r\nProxy-Authorization: Basic {password}\r\n")) {
            let _ = client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
            return;
        }
        let target = head.strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap();
        let mut target = TcpStream::connect(target).unwrap();
        let mut greeting = [0; 21];
        target.read_exact(&mut greeting).unwrap();
        client.write_all(&[&b"HTTP/1.1 200 OK\r\nVia: test\r\n\r\n"[..], &greeting].concat()).unwrap();
        relay(client, target);
    })
}

fn socks_proxy(user: &'static [u8], password: &'static [u8]) -> (SocketAddr, JoinHandle<()>) {
    serve(move |mut client| {
        let mut greeting = [0; 2];
        client.read_exact(&mut greeting).unwrap();
        let mut methods = vec![0; usize::from(greeting[1])];
        client.read_exact(&mut methods).unwrap();
        if !methods.contains(&2) {
            let _ = client.write_all(&[5, 0xff]);
            return;
        }
        client.write_all(&[5, 2]).unwrap();
        let field = |client: &mut TcpStream, before: usize| {
            let mut head = vec![0; before + 1];
            client.read_exact(&mut head).unwrap();
            let mut field = vec![0; usize::from(head[before])];
            client.read_exact(&mut field).unwrap();
            field
        };
        let given = (field(&mut client, 1), field(&mut client, 0));
        let right = given == (user.to_vec(), password.to_vec());
        client.write_all(&[1, u8::from(!right)]).unwrap();
        if !right {
            return;
        }
        let mut request = [0; 4];
        client.read_exact(&mut request).unwrap();
        assert_eq!(request, [5, 1, 0, 3], "the name is to be resolved by the proxy");
        let host = String::from_utf8(field(&mut client, 0)).unwrap();
        let mut port = [0; 2];
        client.read_exact(&mut port).unwrap();
        let Ok(mut target) = TcpStream::connect((host.as_str(), u16::from_be_bytes(port))) else {
            let _ = client.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]);
            return;
        };
        let mut greeting = [0; 21];
        target.read_exact(&mut greeting).unwrap();
        client.write_all(&[&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &greeting].concat()).unwrap();
        relay(client, target);
    })
}

fn through(proxy: &Proxy, host: &str, port: u16) -> Result<TcpStream, Error> {
    let mut stream = TcpStream::connect((proxy.host.as_str(), proxy.port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    connect_through(proxy, &mut stream, host, port).map(|()| stream)
}

fn assert_tunnel(mut stream: TcpStream) {
    let mut greeting = [0; 21];
    stream.read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting, b"hello from the target");
    let sent: Vec<u8> = (0..100_000_u32).map(|i| (i % 251) as u8).collect();
    let mut writer = stream.try_clone().unwrap();
    let to_send = sent.clone();
    let writing = std::thread::spawn(move || {
        writer.write_all(&to_send).unwrap();
        writer.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let mut received = Vec::new();
    stream.read_to_end(&mut received).unwrap();
    writing.join().unwrap();
    assert!(received == sent, "{} bytes came back of {}", received.len(), sent.len());
}

#[test]
fn a_tunnel_through_a_connect_proxy() {
    let (target, target_thread) = echo_server();
    let (address, proxy_thread) = connect_proxy("dXNlcjpwYXNz");
    let proxy = proxy(&format!("http://user:pass@{address}"));
    assert_tunnel(through(&proxy, &target.ip().to_string(), target.port()).unwrap());
    target_thread.join().unwrap();
    proxy_thread.join().unwrap();
}

#[test]
fn a_connect_proxy_that_wants_another_password() {
    let (address, thread) = connect_proxy("dXNlcjpwYXNz");
    let error = through(&proxy(&format!("http://user:wrong@{address}")), "127.0.0.1", 9).unwrap_err();
    assert_eq!(error.status, Status::Proxy);
    assert!(error.message.contains("407") && !error.message.contains("wrong"), "{error}");
    thread.join().unwrap();
}

#[test]
fn a_tunnel_through_a_socks5_proxy() {
    let (target, target_thread) = echo_server();
    let (address, proxy_thread) = socks_proxy(b"user", b"p@ss");
    let proxy = proxy(&format!("socks5h://user:p%40ss@{address}"));
    assert_tunnel(through(&proxy, "localhost", target.port()).unwrap());
    target_thread.join().unwrap();
    proxy_thread.join().unwrap();
}

#[test]
fn socks5_proxies_that_refuse() {
    let unused = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    for (credentials, part) in
        [("user:pass@", "connection refused"), ("user:no@", "refused the user"), ("", "put a user")]
    {
        let (address, thread) = socks_proxy(b"user", b"pass");
        let error = through(&proxy(&format!("socks5h://{credentials}{address}")), "localhost", unused).unwrap_err();
        assert_eq!(error.status, Status::Proxy);
        assert!(error.message.contains(part), "{error}");
        thread.join().unwrap();
    }
}

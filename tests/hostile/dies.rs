//! A server that goes down with the payment in hand: the repeat on a new connection finds nobody, and still the
//! payment left.

use super::support::scenario::Terms;
use super::support::terms::Challenge;
use serde_json::json;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use x402::client::{Client, Config, Request};
use x402::error::{Money, Retry};
use x402::ledger::Ledger;
use x402::wallet::Wallet;

const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

fn read_head(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

#[test]
fn a_payment_that_left_is_not_called_unpaid_because_its_repeat_found_no_server() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/buy", listener.local_addr().unwrap());
    let terms: Terms = serde_json::from_value(json!({})).unwrap();
    let header = Challenge::new(&terms, &url, None).header.unwrap();
    let server = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        read_head(&mut socket);
        write!(socket, "HTTP/1.1 402 Payment Required\r\nPAYMENT-REQUIRED: {header}\r\nContent-Length: 2\r\n\r\n{{}}")
            .unwrap();
        let paid = read_head(&mut socket);
        // Nobody listens before the connection ends, so that the repeat is refused.
        drop(listener);
        paid
    });
    let mut wallet = Wallet::new();
    wallet.add_evm_key(KEY).unwrap();
    let ledger = Ledger::in_memory();
    let mut config = Config::new().unwrap();
    config.wallet(&wallet);
    config.ledger(&ledger);
    let client = Client::new(&config).unwrap();
    let failure = client.send(&mut Request::new("GET", &url).unwrap()).err().expect("nobody answered");
    assert!(server.join().unwrap().to_ascii_lowercase().contains("payment-signature: "), "the payment arrived");
    assert_eq!((failure.error.money, failure.error.retry), (Money::Unknown, Retry::SameBytes), "{failure:?}");
    assert_eq!(failure.payment.unwrap().money(), Money::Unknown);
    assert!(ledger.entries(0, 9).unwrap().contains("\"unknown\""), "the amount counts");
}

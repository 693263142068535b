//! Asking a node of a chain for the facts a scheme needs, over the library's own transport.
//!
//! Owns the JSON-RPC calls and the shapes of their answers. A node is configured by the caller and trusted no further
//! than its answers' shapes: whatever it says is signed together with an amount and a payee that it cannot change. Its
//! URL often holds a key, so no message shows more of it than its origin. It is spoken to over connections of its own:
//! neither the socket nor the address rules that are meant for paid servers apply to it.

use super::Inner;
use super::redirect;
use super::settings::Settings;
use crate::error::{Error, printable};
use crate::money::Network;
use crate::payer::{Declined, Next};
use crate::scheme::{Facts, Need};
use crate::transport::{self, Cancel, Deadlines, Expect, Outgoing, OutgoingBody, Transport};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::header::{ACCEPT, CONTENT_TYPE};
use serde_json::{Value, json};
use std::io::Read;
use std::time::Instant;
use url::Url;

const ANSWER_BYTES_MAX: u64 = 256 * 1024;
/// Where a mint keeps its decimals (SPL Token, `Mint`).
const MINT_DECIMALS_AT_BYTE: usize = 44;
/// How far the base fee may rise before the transaction is mined: a fifth, as common wallets allow.
const BASE_FEE_ROOM_PERCENT: u128 = 120;

/// A node for one network, or for all of a family.
#[derive(Clone, PartialEq, Eq)]
pub struct NodeUrl {
    network: Option<Network>,
    url: Url,
}

impl std::fmt::Debug for NodeUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NodeUrl({:?}, {})", self.network, redirect::origin(&self.url))
    }
}

/// Reads the settings `evm_rpc` and `solana_rpc`: a URL for the whole family, or `CAIP-2=URL` pairs, separated by
/// spaces. The error completes "it takes …" and shows nothing of the value.
pub(super) fn parse_urls(family: &str, text: &str) -> Result<Vec<NodeUrl>, String> {
    let wanted =
        || format!("an http or https URL, or pairs like {family}:reference=URL separated by spaces (not shown here)");
    let parse = |part: &str| -> Option<NodeUrl> {
        let named = part.split_once('=').filter(|(name, _)| name.starts_with(&format!("{family}:")));
        let (network, url) = match named {
            Some((name, url)) => (Some(Network::parse(name).ok()?), url),
            None => (None, part),
        };
        let url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())?;
        Some(NodeUrl { network, url })
    };
    text.split_ascii_whitespace().map(|part| parse(part).ok_or_else(wanted)).collect()
}

impl Inner {
    /// Gives what was decided the facts it is to be signed with. What is not required and cannot be learned is left
    /// out; what is required and cannot is a reason to decide for another offer, as `or_another` does.
    pub(super) fn inform(
        &self,
        mut next: Next,
        or_another: impl Fn(Next, String) -> Result<Next, Declined>,
        settings: &Settings,
        total: Option<Instant>,
        cancel: &Cancel,
    ) -> Result<Next, Declined> {
        loop {
            let needs = next.needs();
            if needs.is_empty() {
                return Ok(next);
            }
            match self.facts(&needs, next.network(), settings, total, cancel) {
                Ok(facts) => return Ok(next.informed(facts)),
                Err(reason) => next = or_another(next, reason)?,
            }
        }
    }

    fn facts(
        &self,
        needs: &[Need],
        network: &Network,
        settings: &Settings,
        total: Option<Instant>,
        cancel: &Cancel,
    ) -> Result<Facts, String> {
        let mut facts = Facts::none();
        let (setting, nodes) = match network.namespace() {
            "solana" => ("solana_rpc", &settings.solana_rpc),
            _ => ("evm_rpc", &settings.evm_rpc),
        };
        let of_network = nodes.iter().find(|node| node.network.as_ref() == Some(network));
        let Some(node) = of_network.or_else(|| nodes.iter().find(|node| node.network.is_none())) else {
            return match needs.iter().find(|need| need.is_required()) {
                None => Ok(facts),
                Some(need) => {
                    let what = printable(&need.key());
                    Err(format!("signing needs {what} from a node of {network}; set {setting} to the URL of one"))
                }
            };
        };
        let limit = settings.rpc_timeout.map(|timeout| Instant::now() + timeout);
        let total = [total, limit].into_iter().flatten().min();
        let transport = self.node_transport(settings).map_err(|error| error.to_string())?;
        let line = Line { transport, url: &node.url, settings, total, cancel };
        for need in needs {
            match line.ask(need) {
                Ok(answer) => facts.add(need, answer),
                Err(why) if need.is_required() => {
                    return Err(format!(
                        "the node {} ({setting}) did not give {}: {why}",
                        redirect::origin(&node.url),
                        printable(&need.key())
                    ));
                }
                Err(why) => self.log(2, || format!("the node {} ({setting}): {why}", redirect::origin(&node.url))),
            }
        }
        Ok(facts)
    }

    fn node_transport(&self, settings: &Settings) -> Result<&Transport, Error> {
        self.node_transport.get_or_try_init(|| {
            Transport::new(transport::Settings {
                tls: settings.tls.clone(),
                proxy: settings.proxy_choice()?,
                ..transport::Settings::default()
            })
        })
    }
}

/// One node, and how long it may take.
struct Line<'a> {
    transport: &'a Transport,
    url: &'a Url,
    settings: &'a Settings,
    total: Option<Instant>,
    cancel: &'a Cancel,
}

impl Line<'_> {
    fn ask(&self, need: &Need) -> Result<String, String> {
        match need {
            Need::EvmCall { to, data } => {
                let data = alloy_primitives::hex::encode_prefixed(data);
                let result = self.call("eth_call", &json!([{"to": to.to_string(), "data": data}, "latest"]))?;
                let digits = result.as_str().and_then(|text| text.strip_prefix("0x"));
                let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
                digits.map(|digits| format!("0x{digits}")).ok_or_else(|| unexpected("eth_call", &result))
            }
            Need::EvmTransactionCount(account) => {
                let params = json!([account.to_string(), "pending"]);
                self.quantity("eth_getTransactionCount", &params).map(|count| count.to_string())
            }
            Need::EvmFees => {
                let priority = self.quantity("eth_maxPriorityFeePerGas", &json!([]))?;
                let block = self.call("eth_getBlockByNumber", &json!(["latest", false]))?;
                let base = quantity(&block["baseFeePerGas"]);
                let base = base.ok_or_else(|| "the latest block has no baseFeePerGas".to_string())?;
                let roomy = base.checked_mul(BASE_FEE_ROOM_PERCENT).map(|fee| fee / 100);
                let most = roomy.and_then(|fee| fee.checked_add(priority)).ok_or("the fees are out of range")?;
                Ok(format!("{most} {priority}"))
            }
            Need::SolanaBlockhash => {
                let result = self.call("getLatestBlockhash", &json!([{"commitment": "confirmed"}]))?;
                base58(&result["value"]["blockhash"]).ok_or_else(|| unexpected("getLatestBlockhash", &result))
            }
            Need::SolanaSlot => {
                let result = self.call("getSlot", &json!([{"commitment": "finalized"}]))?;
                result.as_u64().map(|slot| slot.to_string()).ok_or_else(|| unexpected("getSlot", &result))
            }
            Need::SolanaMint(mint) => {
                let params = json!([mint, {"encoding": "base64", "commitment": "confirmed"}]);
                let result = self.call("getAccountInfo", &params)?;
                let account = &result["value"];
                if account.is_null() {
                    return Err("there is no such account on this network".into());
                }
                let data = account["data"][0].as_str().and_then(|text| STANDARD.decode(text).ok());
                let decimals = data.as_deref().and_then(|data| data.get(MINT_DECIMALS_AT_BYTE).copied());
                let owner = base58(&account["owner"]);
                let both = owner.zip(decimals).map(|(owner, decimals)| format!("{owner} {decimals}"));
                both.ok_or_else(|| unexpected("getAccountInfo", &result))
            }
        }
    }

    fn quantity(&self, method: &str, params: &Value) -> Result<u128, String> {
        let result = self.call(method, params)?;
        quantity(&result).ok_or_else(|| unexpected(method, &result))
    }

    /// One JSON-RPC 2.0 call over HTTP.
    fn call(&self, method: &str, params: &Value) -> Result<Value, String> {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let json_type = HeaderValue::from_static("application/json");
        let headers = [(CONTENT_TYPE, json_type.clone()), (ACCEPT, json_type)];
        let mut reader = body.as_bytes();
        let outgoing = Outgoing {
            method: "POST",
            url: self.url,
            headers: &headers,
            body: OutgoingBody::Sized(body.len() as u64, &mut reader),
            expect: Expect::Never,
            fresh_connection: false,
            deadlines: Deadlines {
                connect: self.settings.connect_timeout,
                first_byte: self.settings.first_byte_timeout,
                idle: self.settings.idle_timeout,
                total: self.total,
            },
            cancel: self.cancel.clone(),
            progress: None,
        };
        let incoming = self.transport.round_trip(outgoing).map_err(|lost| lost.error.to_string())?;
        let mut text = Vec::new();
        let read = incoming.body.take(ANSWER_BYTES_MAX).read_to_end(&mut text);
        read.map_err(|error| format!("its answer to {method} broke off: {error}"))?;
        let answer: Value = serde_json::from_slice(&text)
            .map_err(|_| format!("its answer to {method} (status {}) is not JSON", incoming.status))?;
        match answer.get("result") {
            Some(result) if answer.get("error").is_none_or(Value::is_null) => Ok(result.clone()),
            _ => Err(format!(
                "it answered {method} with the error {}",
                printable(answer["error"]["message"].as_str().unwrap_or("(without a message)"))
            )),
        }
    }
}

/// A number as Ethereum's JSON-RPC writes it.
fn quantity(value: &Value) -> Option<u128> {
    u128::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

/// 32 bytes in base58 have 32 to 44 digits.
fn base58(value: &Value) -> Option<String> {
    let text = value.as_str().filter(|text| (32..=44).contains(&text.len()))?;
    let digit = |byte: u8| byte.is_ascii_alphanumeric() && !b"0OIl".contains(&byte);
    text.bytes().all(digit).then(|| text.to_string())
}

fn unexpected(method: &str, result: &Value) -> String {
    format!("it answered {method} with {}", printable(&result.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_named_for_a_family_or_a_network_and_its_url_is_never_shown() {
        let nodes = parse_urls("eip155", "https://a.example/v2/secret eip155:1=https://b.example/?k=secret").unwrap();
        assert_eq!((nodes[0].network.is_none(), nodes[1].network.as_ref().unwrap().as_str()), (true, "eip155:1"));
        assert!(!format!("{nodes:?}").contains("secret"));
        assert_eq!(parse_urls("eip155", ""), Ok(Vec::new()));
        for bad in ["secret", "ftp://secret", "eip155:x=https://secret", "solana:a=https://secret"] {
            let why = parse_urls("eip155", bad).unwrap_err();
            assert!(!why.contains("secret"), "{why}");
        }
    }

    #[test]
    fn answers_are_taken_in_their_shape_alone() {
        assert_eq!(quantity(&json!("0x10")), Some(16));
        for bad in [json!("10"), json!("0x"), json!(16), json!("0xg"), Value::Null] {
            assert_eq!(quantity(&bad), None, "{bad}");
        }
        let hash = "4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi";
        assert_eq!(base58(&json!(hash)).as_deref(), Some(hash));
        for bad in [json!("short"), json!(hash.replace('v', "0")), json!(1)] {
            assert_eq!(base58(&bad), None, "{bad}");
        }
    }
}

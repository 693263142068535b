//! The paths under `/_server/`: the record, a fresh start, and the word that releases held answers.
//!
//! Owns their answers. Requests to them are in no count, so that looking does not change what is seen.

use super::connection::Head;
use super::state::State;
use std::time::Duration;

const PREFIX: &str = "/_server/";
/// How long `state` waits for requests still being served, so that what it says is final.
const QUIET_WITHIN: Duration = Duration::from_secs(2);

pub fn is_admin(head: &Head) -> bool {
    head.path().starts_with(PREFIX)
}

/// The whole answer.
pub fn answer(state: &State, head: &Head) -> Vec<u8> {
    let (status, body) = match (head.method.as_str(), head.path()) {
        ("GET", "/_server/state") => {
            let wait = head.target.ends_with("?now");
            if !wait {
                state.wait_quiet(QUIET_WITHIN);
            }
            ("200 OK", serde_json::to_string(&state.snapshot()).unwrap_or_default())
        }
        ("POST", "/_server/reset") => {
            state.reset();
            ("200 OK", "{}".to_string())
        }
        ("POST", "/_server/release") => {
            state.release();
            ("200 OK", "{}".to_string())
        }
        _ => ("404 Not Found", "{}".to_string()),
    };
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

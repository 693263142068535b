//! Chat completions in the shape of OpenAI's API, for the SDKs that speak it.
//!
//! Owns the two forms of the answer, whole and as server-sent events; which one is the request's to say. The words are
//! the request's own last message, so that a test sees whether its body arrived.

use serde_json::{Value, json};

/// Body and content type of the answer to a chat completion request.
pub fn answer(request: &[u8]) -> (Vec<u8>, &'static str) {
    let request: Value = serde_json::from_slice(request).unwrap_or_default();
    let model = request["model"].as_str().unwrap_or("test-model");
    let asked = request["messages"].as_array().and_then(|messages| messages.last());
    let asked = asked.and_then(|message| message["content"].as_str()).unwrap_or("nothing");
    let words: Vec<String> = format!("You said: {asked}").split_inclusive(' ').map(str::to_string).collect();
    if request["stream"] == true { (events(model, &words), "text/event-stream") } else { (whole(model, &words), JSON) }
}

const JSON: &str = "application/json";
const ID: &str = "chatcmpl-test";
const CREATED_S: u64 = 1_740_672_089;

fn whole(model: &str, words: &[String]) -> Vec<u8> {
    let message = json!({"role": "assistant", "content": words.concat(), "refusal": null});
    let answer = json!({
        "id": ID, "object": "chat.completion", "created": CREATED_S, "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": words.len(), "total_tokens": words.len() + 1},
    });
    answer.to_string().into_bytes()
}

/// One event a word.
fn events(model: &str, words: &[String]) -> Vec<u8> {
    let event = |delta: Value, finish: Value| {
        let chunk = json!({
            "id": ID, "object": "chat.completion.chunk", "created": CREATED_S, "model": model,
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}],
        });
        format!("data: {chunk}\n\n")
    };
    let mut text = event(json!({"role": "assistant", "content": ""}), Value::Null);
    for word in words {
        text += &event(json!({"content": word}), Value::Null);
    }
    text += &event(json!({}), "stop".into());
    text += "data: [DONE]\n\n";
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_the_requests_own_in_either_form() {
        let request = |stream: bool| json!({"stream": stream, "messages": [{"content": "a b"}]}).to_string();
        let whole: Value = serde_json::from_slice(&answer(request(false).as_bytes()).0).unwrap();
        assert_eq!(whole["choices"][0]["message"]["content"], "You said: a b");
        let (events, kind) = answer(request(true).as_bytes());
        let events = String::from_utf8(events).unwrap();
        let words = events.split("\n\n").filter_map(|event| event.strip_prefix("data: {"));
        let words = words.map(|rest| serde_json::from_str::<Value>(&format!("{{{rest}")).unwrap());
        let text: String =
            words.filter_map(|event| event["choices"][0]["delta"]["content"].as_str().map(String::from)).collect();
        assert_eq!(
            (text.as_str(), kind, events.ends_with("data: [DONE]\n\n")),
            ("You said: a b", "text/event-stream", true)
        );
    }
}

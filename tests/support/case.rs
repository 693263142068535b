//! Cases as data: reading `tests/cases/*.json`, and making of one what a driver is given.
//!
//! Owns placeholders, files and repeats, so that a driver in any language needs none of them. What a case may
//! hold is written in `tests/cases/README.md`.

#![allow(dead_code)] // Each test binary uses its own part of this module.

use crate::support::Server;
use crate::support::scenario::pattern;
use crate::support::server::expanded;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

pub struct Case {
    pub name: String,
    pub value: Value,
}

/// Every case, by name.
pub fn load_all() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    paths.sort();
    let load = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Case { name: path.file_stem().unwrap().to_string_lossy().into_owned(), value }
    };
    paths.into_iter().map(load).collect()
}

/// The requests of a case, `repeat` written out.
pub fn requests(case: &Value) -> Vec<Value> {
    let mut out = Vec::new();
    for request in case["requests"].as_array().into_iter().flatten() {
        let times = request["repeat"].as_u64().unwrap_or(1);
        out.extend((0..times).map(|_| request.clone()));
    }
    out
}

/// What a driver reads: client and requests, every placeholder replaced, files written into `directory`.
pub fn driver_input(case: &Case, server: &Server, directory: &Path) -> Value {
    let files = [
        ("{ca}", "ca.pem", &server.authority.ca_pem),
        ("{client_cert}", "client.pem", &server.authority.client_cert_pem),
        ("{client_key}", "client-key.pem", &server.authority.client_key_pem),
    ];
    for (_, file, text) in files {
        std::fs::write(directory.join(file), text).unwrap();
    }
    let place = |text: &str| {
        let mut out = text.replace("{dir}", &directory.display().to_string());
        for (name, file, _) in files {
            out = out.replace(name, &directory.join(file).display().to_string());
        }
        out
    };
    let mut requests = requests(&case.value);
    for (index, request) in requests.iter_mut().enumerate() {
        let members = request.as_object_mut().unwrap();
        members.remove("expect");
        members.remove("repeat");
        if let Some(content) = request["body"].get("file").filter(|file| file.is_object()) {
            let path = directory.join(format!("body-{index}"));
            std::fs::write(&path, content_bytes(content)).unwrap();
            request["body"] = json!({"file": path});
        }
        if request["body"].is_null() {
            request.as_object_mut().unwrap().remove("body");
        }
    }
    let input = json!({"name": case.name, "base_url": server.url("base"), "client": case.value["client"],
        "requests": requests});
    expanded(&server.expand(&input), &place)
}

/// The bytes of `{"text"}`, `{"base64"}` or `{"pattern"}`.
pub fn content_bytes(content: &Value) -> Vec<u8> {
    if let Some(text) = content["text"].as_str() {
        return text.as_bytes().to_vec();
    }
    if let Some(text) = content["base64"].as_str() {
        return BASE64.decode(text).unwrap();
    }
    let length = content["pattern"].as_u64().unwrap_or_else(|| panic!("no content: {content}"));
    pattern(length as usize)
}

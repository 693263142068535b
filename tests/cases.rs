//! Every case of `tests/cases`, through every driver there is.
//!
//! Drivers in other languages join where the environment names them: `X402_DRIVERS="name=command;..."`.
//! `X402_CASE=text` runs only the cases whose name holds the text.

#[path = "support/case.rs"]
mod case;
#[path = "support/check.rs"]
mod check;
#[path = "support/driver.rs"]
mod driver;
#[path = "support/rust_driver.rs"]
mod rust_driver;
#[path = "support/mod.rs"]
mod support;

use case::{Case, driver_input, load_all, requests};
use driver::{Driver, drivers_of_environment};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;
use support::Server;

const CASES_MIN: usize = 45;
const CASES_AT_ONCE: usize = 4;
const CLOSED_WITHIN: Duration = Duration::from_secs(2);

/// One case through one driver: everything that is not as it should be.
fn run(case: &Case, driver: &dyn Driver) -> Vec<String> {
    let mut scenario = case.value["server"].clone();
    scenario["hash_bodies"] = true.into();
    let server = match Server::start(&scenario) {
        Ok(server) => server,
        Err(problem) => return vec![problem],
    };
    let directory = tempfile::tempdir().unwrap();
    let result = match driver.run(&driver_input(case, &server, directory.path())) {
        Ok(result) => result,
        Err(problem) => return vec![problem],
    };
    server.wait_closed(CLOSED_WITHIN);
    let seen = serde_json::to_value(server.snapshot()).unwrap();
    check::check(&server.expand(&case.value), &result, &seen)
}

/// Every case through one driver; the problems of those that failed.
fn run_all(name: &str, driver: &dyn Driver) -> Vec<String> {
    let only = std::env::var("X402_CASE").unwrap_or_default();
    let waiting: VecDeque<Case> = load_all().into_iter().filter(|case| case.name.contains(&only)).collect();
    assert!(!waiting.is_empty(), "no case is called {only:?}");
    let waiting = Mutex::new(waiting);
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..CASES_AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = { waiting.lock().unwrap().pop_front() } {
                    let problems = run(&case, driver);
                    if !problems.is_empty() {
                        let problems = problems.join("\n    ");
                        failures.lock().unwrap().push(format!("{name}: {}:\n    {problems}", case.name));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    failures
}

fn none_failed(failures: Vec<String>) {
    assert!(failures.is_empty(), "{} cases failed\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_case_is_well_formed() {
    let cases = load_all();
    assert!(cases.len() >= CASES_MIN, "{} cases", cases.len());
    for case in &cases {
        let value = &case.value;
        let name = &case.name;
        assert_eq!(value["name"], name.as_str(), "a case is called as its file");
        assert!(value["why"].as_str().is_some_and(|why| why.len() > 10), "{name} does not say why");
        assert!(value["expect_server"]["payments_settled"].is_u64(), "{name} does not say what is settled");
        for member in value.as_object().unwrap().keys() {
            let known = ["name", "why", "server", "client", "requests", "expect_server", "expect_setup"];
            assert!(known.contains(&member.as_str()), "{name} has a member {member:?}");
        }
        if let Err(problem) = support::scenario::Scenario::from_value(&value["server"]) {
            panic!("{name}: {problem}");
        }
        let requests = requests(value);
        assert!(!requests.is_empty(), "{name} has no request");
        for request in &requests {
            let says = |word: &str| request["expect"].get(word).is_some();
            let whole = says("quote") || (says("status") && says("money")) || (says("error") && says("money"));
            assert!(whole || value.get("expect_setup").is_some(), "{name} expects too little");
        }
    }
}

/// A result that is wrong in every way must fail every case: no expectation is empty.
#[test]
fn no_case_passes_with_nothing_done() {
    for case in load_all() {
        let nothing: Vec<Value> = requests(&case.value).iter().map(|_| Value::Object(Default::default())).collect();
        let result = serde_json::json!({"results": nothing});
        let seen = serde_json::to_value(support::state::State::default().snapshot()).unwrap();
        assert!(!check::check(&case.value, &result, &seen).is_empty(), "{}", case.name);
    }
}

#[test]
fn the_rust_client_passes_every_case() {
    none_failed(run_all("rust", &rust_driver::RustDriver));
}

/// Set by the build that makes a driver; without any there is nothing to run here.
#[test]
fn every_driver_passes_every_case() {
    none_failed(drivers_of_environment().iter().flat_map(|driver| run_all(&driver.name, driver)).collect());
}

/// A list that is read wrongly would leave a language untested and say nothing.
#[test]
fn the_list_of_drivers_is_read_whole_or_refused() {
    let names = |list: &str| -> Result<Vec<String>, String> {
        Ok(driver::parse_drivers(list)?
            .into_iter()
            .map(|driver| format!("{}>{}", driver.name, driver.command))
            .collect())
    };
    assert_eq!(names("c=/a b").unwrap(), ["c>/a b"]);
    assert_eq!(names(" c = a;\n go=env X=1 b ;").unwrap(), ["c>a", "go>env X=1 b"]);
    for wrong in ["", " ; ", "c", "c=", "=a", "c=a;go", "c=a;c=b"] {
        assert!(names(wrong).is_err(), "{wrong:?}");
    }
}

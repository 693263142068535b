//! Stand-in for the client until the real one is merged.
use crate::body::Source;
use crate::error::{Error, Money, Status};
use crate::policy::Policy;
use crate::wallet::Wallet;
use std::sync::Arc;
#[derive(Clone, Default)]
pub struct Cancel;
impl Cancel {
    pub fn cancel(&self) {}
}
pub type LogFn = Arc<dyn Fn(i32, &str) + Send + Sync>;
pub type ProgressFn = Box<dyn FnMut(u64, u64, u64, u64) -> Result<(), Error> + Send>;
#[derive(Clone, Default)]
pub struct Config;
impl Config {
    pub fn new() -> Self {
        Config
    }
    pub fn wallet(&mut self, _wallet: &Wallet) {}
    pub fn policy(&mut self, _policy: &Policy) {}
    pub fn set(&mut self, key: &str, _value: &str) -> Result<(), Error> {
        Err(Error::new(Status::Setting, format!("there is no setting {key}")))
    }
    pub fn log(&mut self, _log: LogFn) {}
}
#[derive(Clone)]
pub struct Client;
impl Client {
    pub fn new(_config: Config) -> Result<Client, Error> {
        Ok(Client)
    }
    pub fn send(&self, _request: &mut Request) -> Result<Response, Failure> {
        Ok(Response)
    }
    pub fn quote_json(&self, _request: &mut Request) -> Result<String, Failure> {
        Ok("{}".to_owned())
    }
}
pub struct Request;
impl Request {
    pub fn new(_method: &str, _url: &str) -> Result<Request, Error> {
        Ok(Request)
    }
    pub fn header(&mut self, _name: &str, _value: &[u8]) -> Result<(), Error> {
        Ok(())
    }
    pub fn body(&mut self, _source: Source) {}
    pub fn set(&mut self, key: &str, _value: &str) -> Result<(), Error> {
        Err(Error::new(Status::Setting, format!("there is no setting {key}")))
    }
    pub fn progress(&mut self, _progress: ProgressFn) {}
    pub fn cancel_handle(&self) -> Cancel {
        Cancel
    }
}
pub struct Response;
impl Response {
    pub fn status(&self) -> u16 {
        200
    }
    pub fn headers(&self) -> &[(String, Vec<u8>)] {
        &[]
    }
    pub fn url(&self) -> &str {
        ""
    }
    pub fn read(&mut self, _buffer: &mut [u8]) -> Result<usize, Error> {
        Ok(0)
    }
    pub fn read_all(&mut self, _max: usize) -> Result<Vec<u8>, Error> {
        Ok(Vec::new())
    }
    pub fn money(&self) -> Money {
        Money::None
    }
    pub fn payment(&self) -> Option<&Payment> {
        None
    }
}
pub struct Failure {
    pub error: Error,
    pub payment: Option<Payment>,
}
#[derive(Clone)]
pub struct Payment;
impl Payment {
    pub fn amount(&self) -> &str {
        ""
    }
    pub fn asset(&self) -> &str {
        ""
    }
    pub fn network(&self) -> &str {
        ""
    }
    pub fn payee(&self) -> &str {
        ""
    }
    pub fn transaction(&self) -> &str {
        ""
    }
    pub fn refusal(&self) -> &str {
        ""
    }
    pub fn json(&self) -> &str {
        ""
    }
}

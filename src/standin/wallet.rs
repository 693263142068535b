//! Stand-in for the wallet until the real one is merged.
use crate::error::{Error, Status};
#[derive(Clone)]
pub struct Wallet(Vec<String>);
impl Wallet {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Wallet(Vec::new())
    }
    pub fn add_evm_key(&mut self, hex: &str) -> Result<(), Error> {
        if hex.trim_start_matches("0x").len() != 64 {
            return Err(Error::new(Status::Key, "the private key is not 64 hex digits"));
        }
        self.0.push("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266".to_owned());
        Ok(())
    }
    pub fn address(&self, family: &str, index: usize) -> Option<&str> {
        (family == "eip155").then(|| self.0.get(index).map(String::as_str)).flatten()
    }
}

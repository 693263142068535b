//! Stand-in for the policy until the real one is merged.
use crate::error::Error;
use std::sync::Arc;
type Approve = Arc<dyn Fn(&str) -> i32 + Send + Sync>;
#[derive(Clone, Default)]
pub struct Policy;
impl Policy {
    pub fn new() -> Self {
        Policy
    }
    pub fn max_per_payment(&mut self, _amount: &str) -> Result<(), Error> {
        Ok(())
    }
    pub fn budget(&mut self, _scope: &str, _window_s: u64, _amount: &str) -> Result<(), Error> {
        Ok(())
    }
    pub fn allow(&mut self, _what: &str, _pattern: &str) -> Result<(), Error> {
        Ok(())
    }
    pub fn prefer(&mut self, _what: &str, _pattern: &str) -> Result<(), Error> {
        Ok(())
    }
    pub fn approve(&mut self, _approve: Approve) {}
}

//! One request out, one response in: the parts of it that stand alone.

pub mod decode;
pub mod proxy;
pub mod tls;

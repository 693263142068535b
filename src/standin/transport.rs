//! Stand-in for the transport until the real one is merged.
#[derive(Clone, Default)]
pub struct Cancel;
impl Cancel {
    pub fn cancel(&self) {}
}

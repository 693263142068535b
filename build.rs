//! Gives the shared object its soname and keeps it mapped once loaded.
//!
//! The soname's number changes when, and only when, the C interface breaks. `nodelete`: threads and thread-local
//! destructors of the library may outlive a `dlclose`, and must not find their code gone.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libx402.so.0");
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
        // libsecp256k1's Rust glue has exported names of its own; the interface is the header and nothing more.
        println!("cargo:rustc-cdylib-link-arg=-Wl,--exclude-libs,ALL");
    }
}

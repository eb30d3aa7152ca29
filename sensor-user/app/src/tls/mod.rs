//! TLS (RFC 8446, RFC 5246 and before): what client and server say before they encrypt.

#[cfg(test)]
mod builder;
pub mod client_hello;
pub mod describe;
pub mod fingerprint;
pub mod server_hello;
pub mod wire;

//! The client against a strict stand-in for Kentik's service.

mod crash;
mod device;
mod failover;
mod failures;
mod post;
mod proxy;
mod secrecy;
mod send;
mod sender;
mod support;
mod tls;

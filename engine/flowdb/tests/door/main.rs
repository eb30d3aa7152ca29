//! The doors, knocked at from outside: over sockets of the loopback, with the clients that they are made for.

mod access;
mod delivery;
mod http;
mod postgres;
mod program;
mod support;

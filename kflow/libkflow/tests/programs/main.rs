//! Programs in C against the library as it is installed.

mod delivery;
mod library;
mod support;

//! The program `flowdb`.

fn main() {}

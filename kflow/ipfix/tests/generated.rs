//! The list of elements is that of the code.
//!
//! `KFLOW_UPDATE=1 cargo test -p kflow-ipfix --test generated` writes it anew.

use std::fs;
use std::path::Path;

#[test]
fn the_list_of_elements_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("IPFIX.md");
    let expected = kflow_ipfix::document();
    if std::env::var_os("KFLOW_UPDATE").is_some() {
        fs::write(&path, &expected).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap();
    let differs =
        committed.lines().zip(expected.lines()).position(|(committed, expected)| committed != expected);
    assert_eq!(differs, None, "{} is out of date from this line on", path.display());
    assert_eq!(committed.lines().count(), expected.lines().count());
}

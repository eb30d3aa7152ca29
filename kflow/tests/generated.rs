//! What is committed and can be generated is what would be generated now.
//!
//! `KFLOW_UPDATE=1 cargo test -p kflow --test generated` writes both files anew; `src/chf_capnp.rs` needs
//! the `capnp` tool (Debian's package `capnproto`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn the_list_of_columns_is_that_of_the_table() {
    compare(&source("COLUMNS.md"), &kflow::columns::document());
}

#[test]
fn the_schema_code_is_what_the_compiler_makes_of_the_schema() {
    if Command::new("capnp").arg("--version").output().is_err() {
        eprintln!("skipped: the capnp tool (package capnproto) is not installed");
        return;
    }
    let output = std::env::temp_dir().join(format!("kflow-schema-{}", std::process::id()));
    fs::create_dir(&output).unwrap();
    let generated = capnpc::CompilerCommand::new()
        .src_prefix(source("schema"))
        .file(source("schema/chf.capnp"))
        .output_path(&output)
        .run()
        .map(|()| fs::read_to_string(output.join("chf_capnp.rs")).unwrap());
    fs::remove_dir_all(&output).unwrap();
    compare(&source("src/chf_capnp.rs"), &generated.unwrap());
}

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Compares a committed file with what it should be, apart from the lines that name tool versions.
fn compare(path: &Path, expected: &str) {
    if std::env::var_os("KFLOW_UPDATE").is_some() {
        fs::write(path, expected).unwrap();
    }
    let committed = fs::read_to_string(path).unwrap();
    let lines = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.contains(" version: ")).map(str::to_owned).collect()
    };
    let (committed, expected) = (lines(&committed), lines(expected));
    let differs = committed.iter().zip(&expected).position(|(committed, expected)| committed != expected);
    let differs =
        differs.or((committed.len() != expected.len()).then_some(committed.len().min(expected.len())));
    assert_eq!(differs, None, "{} is out of date from this line on", path.display());
}

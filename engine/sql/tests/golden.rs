//! Golden scripts: each `tests/golden/NAME.sql` has beside it what it answered when it was added, `NAME.out`.
//!
//! An answer is `# ` and the statement's first line, then names of columns and rows, or `error: ` and why. Files are
//! only added: a script without an answer gets one when the test runs with `FLOW_SQL_GOLDEN=add`.

mod common;

use std::fmt::Write;
use std::path::Path;

use common::{context, flows, run};

async fn answers(sql: &str) -> String {
    let context = context(&flows());
    let mut out = String::new();
    for statement in flow_sql::prepare(sql).expect("scripts are SQL").statements {
        writeln!(out, "# {statement}").expect("a string takes all");
        match run(&context, statement).await {
            Ok(lines) => lines.iter().for_each(|line| writeln!(out, "{line}").expect("a string takes all")),
            Err(error) => writeln!(out, "error: {}", error.strip_backtrace()).expect("a string takes all"),
        }
        out.push('\n');
    }
    out
}

#[tokio::test]
async fn scripts_answer_as_they_did_when_they_were_added() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut scripts: Vec<_> = std::fs::read_dir(&folder)
        .expect("the folder of the scripts")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    scripts.sort();
    assert!(!scripts.is_empty());
    let add = std::env::var_os("FLOW_SQL_GOLDEN").is_some_and(|value| value == "add");
    for script in scripts {
        let sql = std::fs::read_to_string(&script).expect("a script");
        let answer = answers(&sql).await;
        let beside = script.with_extension("out");
        if add && !beside.exists() {
            std::fs::write(&beside, answer).expect("an answer is added");
            continue;
        }
        let expected =
            std::fs::read_to_string(&beside).unwrap_or_else(|error| panic!("{}: {error}", beside.display()));
        assert_eq!(answer, expected, "{}", script.display());
    }
}

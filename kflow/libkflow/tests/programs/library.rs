//! The header and the libraries, without a server: they compile, link and load as programs expect.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{Installed, Language, Linking, MANIFEST, run, run_under_valgrind};

const LANGUAGES: [Language; 3] = [Language::C99, Language::C11, Language::Cpp];

/// What the library exports, and nothing else.
const FUNCTIONS: [&str; 7] = [
    "kflowError",
    "kflowInit",
    "kflowSend",
    "kflowSendDNS",
    "kflowSendEncodedDNS",
    "kflowStop",
    "kflowVersion",
];

#[test]
fn layout_is_the_one_that_programs_were_compiled_with() {
    let installed = Installed::new("layout");
    for language in LANGUAGES {
        run(&mut Command::new(installed.compile(language, "tests/c/layout.c", Linking::Shared)));
    }
}

#[test]
fn example_compiles_in_every_language_and_both_ways_of_linking() {
    let installed = Installed::new("example");
    for language in LANGUAGES {
        for linking in [Linking::Shared, Linking::Static] {
            let program = installed.compile(language, "examples/send.c", linking);
            let output = Command::new(program).output().unwrap();
            assert!(!output.status.success() && output.stderr.starts_with(b"usage: "), "{output:?}");
        }
    }
}

#[test]
fn nulls_and_calls_at_the_wrong_time_are_numbers() {
    let installed = Installed::new("null");
    for linking in [Linking::Shared, Linking::Static] {
        let program = installed.compile(Language::C11, "tests/c/null.c", linking);
        run_under_valgrind(&program, &[env!("CARGO_PKG_VERSION")]);
    }
}

#[test]
fn pkg_config_file_has_the_version_of_the_library() {
    let installed = Installed::new("version");
    assert_eq!(installed.pkg_config(&["--modversion"]), [env!("CARGO_PKG_VERSION")]);
}

#[test]
fn header_declares_the_functions_that_the_library_exports() {
    let header = fs::read_to_string(Path::new(MANIFEST).join("include/kflow.h")).unwrap();
    let declared: BTreeSet<&str> = header
        .lines()
        .filter_map(|line| line.strip_suffix(");")?.split_once('(')?.0.rsplit([' ', '*']).next())
        .collect();
    assert_eq!(declared, BTreeSet::from(FUNCTIONS));

    let installed = Installed::new("symbols");
    let mut nm = Command::new("nm");
    let listed =
        run(nm.args(["--dynamic", "--defined-only", "--format=just-symbols"]).arg(installed.library()));
    assert_eq!(listed.lines().collect::<BTreeSet<_>>(), BTreeSet::from(FUNCTIONS));
}

#[test]
fn library_needs_nothing_but_libc_and_keeps_its_name_when_it_is_linked() {
    let installed = Installed::new("dependencies");
    let listed = run(Command::new("readelf").args(["--dynamic", "--wide"]).arg(installed.library()));
    let values = |tag: &str| -> BTreeSet<String> {
        let lines = listed.lines().filter(|line| line.contains(&format!("({tag})")));
        lines.filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0.to_owned())).collect()
    };
    assert_eq!(values("SONAME"), BTreeSet::from(["libkflow.so.1".to_owned()]));
    for needed in values("NEEDED") {
        let is_of_the_system = ["libc.so.6", "libgcc_s.so.1", "libm.so.6"].contains(&needed.as_str());
        assert!(is_of_the_system || needed.starts_with("ld-linux-"), "{needed}");
    }
}

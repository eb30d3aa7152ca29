//! The C interface as its users see it: installed, found by pkg-config, compiled by gcc and g++, run under
//! valgrind.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const MANIFEST: &str = env!("CARGO_MANIFEST_DIR");

/// A prefix with the header, both libraries and the pkg-config file, as README says to install them.
struct Installed {
    prefix: PathBuf,
}

impl Installed {
    fn new(name: &str) -> Installed {
        let prefix = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hll-c").join(name);
        let _ = fs::remove_dir_all(&prefix);
        fs::create_dir_all(prefix.join("include")).unwrap();
        fs::create_dir_all(prefix.join("lib/pkgconfig")).unwrap();
        let copy = |from: &Path, to: &str| {
            fs::copy(from, prefix.join(to)).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        };
        copy(&Path::new(MANIFEST).join("include/hll.h"), "include/hll.h");
        copy(&Path::new(MANIFEST).join("hll.pc"), "lib/pkgconfig/hll.pc");
        // Cargo builds the libraries for C with the one that this test is linked with, and puts them beside
        // the test.
        let test = std::env::current_exe().unwrap();
        let built = test.parent().unwrap();
        copy(&built.join("libhll.so"), "lib/libhll.so");
        copy(&built.join("libhll.a"), "lib/libhll.a");
        Installed { prefix }
    }

    fn pkg_config(&self, arguments: &[&str]) -> Vec<String> {
        let mut command = Command::new("pkg-config");
        command.args(arguments).arg("hll").env("PKG_CONFIG_PATH", self.prefix.join("lib/pkgconfig"));
        run(&mut command).split_whitespace().map(String::from).collect()
    }

    /// Compiles a program against the installed library.
    fn compile(&self, compiler: &str, standard: &str, source: &str, linking: Linking) -> PathBuf {
        let name = Path::new(source).file_stem().unwrap().to_str().unwrap();
        let program = self.prefix.join(format!("{name}-{linking:?}"));
        let mut command = Command::new(compiler);
        command.args([standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-g", "-pthread", "-o"]);
        command.arg(&program).arg(Path::new(MANIFEST).join(source)).args(self.pkg_config(&["--cflags"]));
        match linking {
            Linking::Shared => {
                command.args(self.pkg_config(&["--libs"]));
                command.arg(format!("-Wl,-rpath,{}", self.prefix.join("lib").display()));
            }
            Linking::Static => {
                command.arg(self.prefix.join("lib/libhll.a"));
                let libraries = self.pkg_config(&["--libs", "--static"]);
                command.args(libraries.iter().filter(|flag| *flag != "-lhll"));
            }
        }
        command.arg("-lm");
        run(&mut command);
        program
    }
}

#[derive(Clone, Copy, Debug)]
enum Linking {
    Shared,
    Static,
}

/// Runs to the end and returns what was printed; fails with all output unless it succeeds.
fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| {
        panic!("{command:?}: {error}: `cargo xtask setup` installs what the tests need")
    });
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "{command:?}: {}\n{stdout}\n{stderr}", output.status);
    stdout
}

/// Runs under valgrind, to which an error or a byte that was not freed is a failure.
fn run_under_valgrind(program: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--error-exitcode=99", "--leak-check=full", "--show-leak-kinds=all"]);
    command.args(["--errors-for-leak-kinds=all"]).arg(program).args(arguments);
    run(&mut command)
}

#[test]
fn every_function_does_as_declared_and_leaves_no_memory_behind() {
    let installed = Installed::new("api");
    for linking in [Linking::Shared, Linking::Static] {
        let program = installed.compile("gcc", "-std=c11", "tests/c/api.c", linking);
        run_under_valgrind(&program, &[env!("CARGO_PKG_VERSION")]);
    }
}

#[test]
fn c_example_counts_distinct_lines_of_files() {
    let installed = Installed::new("distinct");
    let program = installed.compile("gcc", "-std=c11", "examples/distinct.c", Linking::Shared);
    let files = ["one", "two"].map(|name| installed.prefix.join(name));
    fs::write(&files[0], "a\nb\na\nc\n").unwrap();
    fs::write(&files[1], "c\nd\n").unwrap();
    let printed = run_under_valgrind(&program, &files.each_ref().map(|file| file.to_str().unwrap()));
    let counts: Vec<&str> = printed.lines().map(|line| line.rsplit_once(": ").unwrap().1).collect();
    assert_eq!(
        counts,
        [
            "3 distinct lines, 3 to 3 at 95 %",
            "2 distinct lines, 2 to 2 at 95 %",
            "4 distinct lines, 4 to 4 at 95 %"
        ]
    );
}

#[test]
fn cpp_example_tells_how_sets_overlap() {
    let installed = Installed::new("overlap");
    let program = installed.compile("g++", "-std=c++17", "examples/overlap.cpp", Linking::Static);
    let printed = run_under_valgrind(&program, &[]);
    assert!(printed.contains("on both days (10000): "), "{printed}");
    assert!(printed.contains("precision 40: the precision is not one of 4 to 18"), "{printed}");
}

#[test]
fn pkg_config_file_has_the_version_of_the_library() {
    let installed = Installed::new("version");
    assert_eq!(installed.pkg_config(&["--modversion"]), [env!("CARGO_PKG_VERSION")]);
}

#[test]
fn header_declares_the_functions_that_the_library_exports() {
    let words = |text: &str, before: &str, after: char| -> BTreeSet<String> {
        let names = text.split(before).skip(1).filter_map(|rest| rest.split_once(after));
        names.map(|(name, _)| format!("hll_{name}")).filter(|name| name.bytes().all(is_of_a_name)).collect()
    };
    let header = fs::read_to_string(Path::new(MANIFEST).join("include/hll.h")).unwrap();
    let source = fs::read_to_string(Path::new(MANIFEST).join("src/ffi.rs")).unwrap();
    let exported = words(&source, "extern \"C\" fn hll_", '(');
    assert!(exported.len() > 20);
    assert_eq!(words(&header, "hll_", '('), exported);
}

fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

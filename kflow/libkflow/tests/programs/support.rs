//! The library as C programs see it: installed, found by pkg-config, compiled against by gcc and g++, run under valgrind.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub const MANIFEST: &str = env!("CARGO_MANIFEST_DIR");

/// A prefix with the header, both libraries and the pkg-config file, as `cargo xtask install` lays them out.
pub struct Installed {
    pub prefix: PathBuf,
}

#[derive(Clone, Copy, Debug)]
pub enum Linking {
    Shared,
    Static,
}

/// A language that programs are written in.
#[derive(Clone, Copy, Debug)]
pub enum Language {
    C99,
    C11,
    Cpp,
}

impl Installed {
    pub fn new(name: &str) -> Installed {
        let prefix = Path::new(env!("CARGO_TARGET_TMPDIR")).join("libkflow").join(name);
        let _ = fs::remove_dir_all(&prefix);
        fs::create_dir_all(prefix.join("include")).unwrap();
        fs::create_dir_all(prefix.join("lib/pkgconfig")).unwrap();
        let link = |from: &Path, to: &str| {
            assert!(from.exists(), "{} is missing", from.display());
            symlink(from, prefix.join(to)).unwrap();
        };
        link(&Path::new(MANIFEST).join("include/kflow.h"), "include/kflow.h");
        // The prefix is found from the place of this file.
        fs::copy(Path::new(MANIFEST).join("kflow.pc"), prefix.join("lib/pkgconfig/kflow.pc")).unwrap();
        // Cargo builds the libraries for C with the one that this test is linked with, and puts them beside the test.
        let test = std::env::current_exe().unwrap();
        let built = test.parent().unwrap();
        link(&built.join("libkflow_c.so"), "lib/libkflow.so.1");
        link(&built.join("libkflow_c.so"), "lib/libkflow.so");
        link(&built.join("libkflow_c.a"), "lib/libkflow.a");
        Installed { prefix }
    }

    pub fn library(&self) -> PathBuf {
        self.prefix.join("lib/libkflow.so.1")
    }

    pub fn pkg_config(&self, arguments: &[&str]) -> Vec<String> {
        let mut command = Command::new("pkg-config");
        command.args(arguments).arg("kflow").env("PKG_CONFIG_PATH", self.prefix.join("lib/pkgconfig"));
        run(&mut command).split_whitespace().map(String::from).collect()
    }

    /// Compiles a program against the installed library.
    pub fn compile(&self, language: Language, source: &str, linking: Linking) -> PathBuf {
        let name = Path::new(source).file_stem().unwrap().to_str().unwrap();
        let program = self.prefix.join(format!("{name}-{language:?}-{linking:?}"));
        let mut command = match language {
            Language::C99 | Language::C11 => Command::new("gcc"),
            Language::Cpp => Command::new("g++"),
        };
        command.args(match language {
            Language::C99 => &["-std=c99", "-D_GNU_SOURCE", "-Wno-pedantic"][..],
            Language::C11 => &["-std=c11", "-D_GNU_SOURCE", "-Wpedantic"],
            Language::Cpp => &["-std=c++17", "-Wpedantic", "-x", "c++"],
        });
        command.args(["-Wall", "-Wextra", "-Werror", "-g", "-pthread", "-o"]).arg(&program);
        command
            .arg(Path::new(MANIFEST).join(source))
            .args(["-x", "none"])
            .args(self.pkg_config(&["--cflags"]));
        match linking {
            Linking::Shared => {
                command.args(self.pkg_config(&["--libs"]));
                command.arg(format!("-Wl,-rpath,{}", self.prefix.join("lib").display()));
            }
            Linking::Static => {
                command.arg(self.prefix.join("lib/libkflow.a"));
                let libraries = self.pkg_config(&["--libs", "--static"]);
                command.args(libraries.iter().filter(|flag| *flag != "-lkflow"));
            }
        }
        run(&mut command);
        program
    }
}

/// Runs to the end and returns what was printed; fails with all output unless it succeeds.
pub fn run(command: &mut Command) -> String {
    // Programs wait for the network in bounded time; this is for the ones that are wrong.
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| {
        panic!("{command:?}: {error}: `cargo xtask setup` installs what the tests need")
    });
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "{command:?}: {}\n{stdout}\n{stderr}", output.status);
    stdout
}

/// Runs under valgrind, to which an error or lost memory is a failure. Memory that is still in use at the end is not.
pub fn run_under_valgrind(program: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("valgrind");
    command.args([
        "--quiet",
        "--error-exitcode=99",
        "--leak-check=full",
        "--show-leak-kinds=definite,indirect",
    ]);
    command.args(["--errors-for-leak-kinds=definite,indirect"]).arg(program).args(arguments);
    run(&mut command)
}

//! The program as it is called.

use std::process::{Command, Output};
use std::{env, fs};

use traffic::mix::{Expected, Mix, Options, Traffic};
use traffic::pcap;

fn traffic(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_traffic")).args(arguments).output().unwrap()
}

#[test]
fn a_capture_file_and_its_counters_are_those_of_the_mix() {
    let folder = env::temp_dir().join(format!("traffic-{}-command", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (capture, counters) = (folder.join("all.pcapng"), folder.join("all.json"));
    let output = traffic(&[
        "pcap",
        "--out",
        capture.to_str().unwrap(),
        "--format",
        "pcapng",
        "--expect",
        counters.to_str().unwrap(),
        "--seed",
        "7",
        "--conversations",
        "80",
    ]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let frames = pcap::read(&fs::read(capture).unwrap()).unwrap();
    let read: Expected = serde_json::from_slice(&fs::read(counters).unwrap()).unwrap();
    fs::remove_dir_all(folder).unwrap();

    let mut mix = Traffic::new(Options { mix: Mix::All, seed: 7, conversations: 80 });
    let generated: Vec<_> = mix.by_ref().map(|frame| frame.bytes).collect();
    assert_eq!(frames.into_iter().map(|frame| frame.bytes).collect::<Vec<_>>(), generated);
    assert_eq!(read, mix.into_expected());
}

#[test]
fn help_has_examples_and_mistakes_are_named() {
    let help = traffic(&["--help"]);
    assert!(String::from_utf8_lossy(&help.stdout).contains("Examples:\n  traffic pcap"));
    let wrong = traffic(&["pcap", "--out", "/dev/null", "--mix", "tulips"]);
    assert!(!wrong.status.success());
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("one of tcp, udp"));
    let nowhere = traffic(&["send", "--interface", "nowhere0"]);
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("interface nowhere0"));
}

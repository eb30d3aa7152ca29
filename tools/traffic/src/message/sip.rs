//! SIP: registrations and calls in datagrams (RFC 3261).

use super::words::{hex, host, word};
use super::{Said, Script};
use crate::mix::random::Random;

const METHODS: [&str; 3] = ["REGISTER", "INVITE", "OPTIONS"];
const ANSWERS: [(u16, &str); 4] =
    [(200, "OK"), (404, "Not Found"), (486, "Busy Here"), (503, "Service Unavailable")];

pub fn script(random: &mut Random) -> Script {
    let mut script = Script::udp(5060);
    let [caller, called] = [0; 2].map(|_: u8| format!("sip:{}@{}", word(random), host(random)));
    let agent = format!("{}/{}", word(random), random.between(1, 20));
    for sequence in 1..=random.between(1, 3) {
        let method = METHODS[random.index(METHODS.len())];
        let call_id = hex(&random.bytes(12));
        let from = format!("<{caller}>;tag={}", hex(&random.bytes(4)));
        let to = format!("<{called}>");
        let branch = hex(&random.bytes(8));
        let headers = format!(
            "Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK{branch}\r\nFrom: {from}\r\nTo: {to}\r\n\
             Call-ID: {call_id}\r\nCSeq: {sequence} {method}\r\n"
        );
        let request = format!("{method} {called} SIP/2.0\r\n{headers}Max-Forwards: 70\r\n");
        script.client(format!("{request}User-Agent: {agent}\r\nContent-Length: 0\r\n\r\n"));
        let mut said = Said::of("sip")
            .with("sip_method", method)
            .with("sip_uri", &called)
            .with("sip_from", from)
            .with("sip_to", to)
            .with("sip_user_agent", &agent)
            .with("sip_call_id", call_id);
        if !random.one_in(8) {
            let answer =
                |status, reason| format!("SIP/2.0 {status} {reason}\r\n{headers}Content-Length: 0\r\n\r\n");
            if method == "INVITE" {
                script.server(answer(100, "Trying"));
                script.server(answer(180, "Ringing"));
            }
            let (status, reason) = ANSWERS[random.index(ANSWERS.len())];
            script.server(answer(status, reason));
            if method == "INVITE" {
                script.client(
                    format!("ACK {called} SIP/2.0\r\n{headers}Content-Length: 0\r\n\r\n")
                        .replace(&format!("CSeq: {sequence} INVITE"), &format!("CSeq: {sequence} ACK")),
                );
            }
            said = Said { is_answered: true, ..said.with("sip_status", status) };
        }
        script.said.push(said);
    }
    script
}

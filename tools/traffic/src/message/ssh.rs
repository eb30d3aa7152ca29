//! SSH: the lines that both sides begin with (RFC 4253 §4.2).

use super::words::word;
use super::{Said, Script};
use crate::mix::random::Random;

pub fn script(random: &mut Random) -> Script {
    let mut script = Script::tcp(22);
    let [client, server] = [0; 2].map(|_: u8| {
        let number = random.between(10, 99);
        format!("SSH-2.0-{}_{}.{} {}", word(random), number / 10, number % 10, word(random))
    });
    script.server(format!("{server}\r\n"));
    script.client(format!("{client}\r\n"));
    let said = Said::of("ssh").with("ssh_client", client).with("ssh_server", server);
    script.said.push(Said { is_answered: true, ..said });
    script
}

//! MySQL: how a session starts (client/server protocol 10).

use super::bytes::Bytes;
use super::words::word;
use super::{Said, Script};
use crate::mix::random::Random;

const CONNECT_WITH_DATABASE: u32 = 1 << 3;
const PROTOCOL_41: u32 = 1 << 9;
const SECURE_CONNECTION: u32 = 1 << 15;
const PLUGIN: u32 = 1 << 19;
const CAPABILITIES: u32 = 1 | 1 << 2 | CONNECT_WITH_DATABASE | PROTOCOL_41 | SECURE_CONNECTION | PLUGIN;

const UTF8: u8 = 45;
const PLUGINS: [&str; 2] = ["mysql_native_password", "caching_sha2_password"];
const ACCESS_DENIED: (u16, &str) = (1045, "28000");
const UNKNOWN_DATABASE: (u16, &str) = (1049, "42000");

pub fn script(random: &mut Random) -> Script {
    let mut script = Script::tcp(3306);
    let version = format!("8.{}.{}", random.between(0, 4), random.between(10, 40));
    let connection_id = random.between(8, 1_000_000) as u32;
    let plugin = PLUGINS[random.index(PLUGINS.len())];
    let challenge: String = (0..20).map(|_| char::from(random.between(33, 126) as u8)).collect();
    script.server(greeting(&version, connection_id, &challenge, plugin));
    let user = word(random);
    let database = (!random.one_in(3)).then(|| word(random));
    let flags = if database.is_some() { CAPABILITIES } else { CAPABILITIES & !CONNECT_WITH_DATABASE };
    let answer = Bytes::new().u32_le(flags).u32_le(1 << 24).u8(UTF8).zeros(23);
    let answer = answer.put(&user).u8(0).sized8(random.bytes(20));
    let mut said = Said::of("mysql")
        .with("mysql_user", user)
        .with("mysql_server_version", version)
        .with("mysql_authentication", plugin)
        .with("mysql_connection_id", connection_id);
    let answer = match &database {
        Some(database) => answer.put(database).u8(0),
        None => answer,
    };
    if let Some(database) = database {
        said.set("mysql_database", database);
    }
    script.client(packet(1, answer.put(plugin).u8(0)));
    if random.one_in(3) {
        let (error, state) = if random.one_in(2) { ACCESS_DENIED } else { UNKNOWN_DATABASE };
        script.server(packet(2, Bytes::new().u8(0xFF).u16_le(error).put(b"#").put(state).put(b"no")));
        said = said.with("mysql_error", error).with("mysql_sql_state", state);
    } else {
        // No rows, no identifier, in autocommit, no warnings.
        let ok = Bytes::new().u8(0).u8(0).u8(0).u16_le(2).u16_le(0);
        script.server(packet(2, &ok));
        script.client(packet(0, b"\x0e"));
        script.server(packet(1, ok));
    }
    script.said.push(Said { is_answered: true, ..said });
    script
}

fn greeting(version: &str, connection_id: u32, challenge: &str, plugin: &str) -> Bytes {
    let (first, second) = challenge.split_at(8);
    let [low, high] = [CAPABILITIES as u16, (CAPABILITIES >> 16) as u16];
    let body = Bytes::new().u8(10).put(version).u8(0).u32_le(connection_id).put(first).u8(0);
    let body = body.u16_le(low).u8(UTF8).u16_le(2).u16_le(high).u8(challenge.len() as u8 + 1).zeros(10);
    packet(0, body.put(second).u8(0).put(plugin).u8(0))
}

fn packet(number: u8, body: impl AsRef<[u8]>) -> Bytes {
    let [a, b, c, _] = (body.as_ref().len() as u32).to_le_bytes();
    Bytes::new().put([a, b, c, number]).put(body)
}

//! PostgreSQL: how a session starts (frontend/backend protocol 3.0).

use super::bytes::Bytes;
use super::words::{hex, word};
use super::{Said, Script};
use crate::mix::random::Random;

const VERSION_3: u32 = 3 << 16;
const TLS_REQUEST: u32 = 80_877_103;
const SASL: u32 = 10;
const MD5: u32 = 5;
/// SQLSTATE of a wrong password, and of a database that is not there.
const ERRORS: [&str; 2] = ["28P01", "3D000"];

pub fn script(random: &mut Random) -> Script {
    let mut script = Script::tcp(5432);
    let mut said = Said::of("postgresql");
    if random.one_in(3) {
        script.client(Bytes::new().u32(8).u32(TLS_REQUEST));
        script.server(b"N");
        said.set("postgresql_tls", 0);
    }
    let (user, application) = (word(random), word(random));
    let mut pairs = vec![("user", user)];
    if !random.one_in(4) {
        pairs.push(("database", word(random)));
    }
    pairs.push(("application_name", application));
    let named = |name: &str| match name {
        "application_name" => "postgresql_application".to_owned(),
        _ => format!("postgresql_{name}"),
    };
    pairs.iter().for_each(|(name, value)| said.set(&named(name), value));
    script.client(start_up(&pairs));
    let authentication = [0, MD5, SASL][random.index(3)];
    let said = said.with("postgresql_version", VERSION_3).with("postgresql_authentication", authentication);
    let mut said = Said { is_answered: true, ..said };
    if authentication != 0 {
        let challenge = if authentication == MD5 { random.bytes(4) } else { b"SCRAM-SHA-256\0\0".to_vec() };
        script.server(message(b'R', Bytes::new().u32(authentication).put(challenge)));
        let proof = if authentication == MD5 {
            Bytes::new().put(b"md5").put(hex(&random.bytes(16))).u8(0)
        } else {
            Bytes::new().put(b"SCRAM-SHA-256\0").u32(20).put(b"n,,n=,r=").put(hex(&random.bytes(6)))
        };
        script.client(message(b'p', proof));
    }
    if authentication != 0 && random.one_in(3) {
        let error = ERRORS[random.index(ERRORS.len())];
        let fields = format!("SFATAL\0VFATAL\0C{error}\0Mno\0\0");
        script.server(message(b'E', fields));
        said.set("postgresql_error", error);
    } else {
        let version = format!("{}.{}", random.between(12, 17), random.between(0, 9));
        let parameter = |name: &str, value: &str| message(b'S', format!("{name}\0{value}\0"));
        let welcome = message(b'R', Bytes::new().u32(0))
            .put(parameter("client_encoding", "UTF8"))
            .put(parameter("server_version", &version))
            .put(message(b'K', random.bytes(8)))
            .put(message(b'Z', b"I"));
        script.server(welcome);
        said.set("postgresql_server_version", version);
        script.client(message(b'Q', b"SELECT 1\0"));
        script.server(message(b'C', b"SELECT 0\0").put(message(b'Z', b"I")));
    }
    script.said.push(said);
    script
}

fn start_up(pairs: &[(&str, String)]) -> Bytes {
    let parameters =
        pairs.iter().fold(Bytes::new(), |bytes, (name, value)| bytes.put(name).u8(0).put(value).u8(0)).u8(0);
    Bytes::new().u32(8 + parameters.as_ref().len() as u32).u32(VERSION_3).put(parameters)
}

/// A message behind its kind and its length, which counts itself.
fn message(kind: u8, body: impl AsRef<[u8]>) -> Bytes {
    Bytes::new().u8(kind).u32(4 + body.as_ref().len() as u32).put(body)
}

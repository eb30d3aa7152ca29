//! One connection: reads requests, does what the script says, answers.

use crate::behaviour::Behaviour;
use crate::check;
use crate::devices;
use crate::names;
use crate::request::{BODY_BYTES_MAX, Fate, Received, Route, read_head, read_some};
use crate::server::{BatchNames, Shared};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// Bytes both ways, plain or TLS.
trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// What comes after a request.
enum Next {
    Request,
    Close,
    /// Close in the middle of what the other side sends.
    Reset,
}

/// Serves a connection to its end. What goes wrong ends it; the client sees that.
pub(crate) fn serve(tcp: TcpStream, number: usize, shared: &Shared) {
    let _ = tcp.set_nodelay(true);
    let Ok(socket) = tcp.try_clone() else { return };
    let mut stream: Box<dyn Stream> = match &shared.config.tls {
        None => Box::new(tcp),
        Some(tls) => match tls.accept(tcp) {
            Ok(stream) => Box::new(stream),
            Err(_) => return,
        },
    };
    let mut buffer = Vec::new();
    let mut end = Next::Close;
    while let Ok(Some(request)) = read_head(&mut stream, &mut buffer, number) {
        end = exchange(&mut *stream, &mut buffer, request, shared).unwrap_or(Next::Close);
        if !matches!(end, Next::Request) {
            break;
        }
    }
    match end {
        Next::Reset => wait_for_bytes(&socket),
        Next::Request | Next::Close => {
            let _ = stream.flush();
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
    shared.forget_connection(number);
}

fn exchange(
    stream: &mut dyn Stream,
    buffer: &mut Vec<u8>,
    mut request: Received,
    shared: &Shared,
) -> io::Result<Next> {
    let behaviour = shared.behaviour(request.route);
    let length = request.content_length().unwrap_or(0).min(BODY_BYTES_MAX);
    match behaviour {
        Behaviour::NeverRead => {
            shared.keep(request);
            shared.pause(Duration::MAX);
            return Ok(Next::Close);
        }
        Behaviour::ResetAfter { body_bytes } => {
            read_body(stream, buffer, &mut request, body_bytes.min(length))?;
            shared.keep(request);
            return Ok(Next::Reset);
        }
        Behaviour::EarlyAnswer { status } => {
            shared.keep(request);
            let body = json!({"error": "early"}).to_string();
            write_answer(stream, status, &[], body.as_bytes())?;
            return Ok(Next::Reset);
        }
        Behaviour::SlowRead { bytes, pause } => {
            while request.body.len() < length {
                let wanted = (request.body.len() + bytes.max(1)).min(length);
                read_body(stream, buffer, &mut request, wanted)?;
                if shared.pause(pause) {
                    return Ok(Next::Close);
                }
            }
        }
        _ => read_body(stream, buffer, &mut request, length)?,
    }
    let (status, body) = judge(&mut request, &behaviour, shared);
    request.honest_status = Some(status);
    let closes = request.header("connection").iter().any(|value| value.eq_ignore_ascii_case("close"));
    shared.keep(request);
    act(stream, behaviour, status, &body, shared).map(|next| if closes { Next::Close } else { next })
}

/// Answers, now that the request is read and judged.
fn act(
    stream: &mut dyn Stream,
    behaviour: Behaviour,
    status: u16,
    body: &Value,
    shared: &Shared,
) -> io::Result<Next> {
    match behaviour {
        Behaviour::Honest | Behaviour::SlowRead { .. } => {
            write_answer(stream, status, &[], body.to_string().as_bytes())?;
            return Ok(Next::Request);
        }
        Behaviour::HonestThenClose => write_answer(stream, status, &[], body.to_string().as_bytes())?,
        Behaviour::Answer { status, headers, body } => {
            write_answer(stream, status, &headers, body.as_bytes())?;
            return Ok(Next::Request);
        }
        Behaviour::Huge { status, body_bytes } => {
            write_answer(stream, status, &[], &vec![b'x'; body_bytes])?;
            return Ok(Next::Request);
        }
        Behaviour::Raw(bytes) => write_now(stream, &bytes)?,
        Behaviour::Stall => {
            shared.pause(Duration::MAX);
        }
        Behaviour::Drip { status, pause } => {
            write_now(stream, head(status, &[], 1 << 30).as_bytes())?;
            while !shared.pause(pause) {
                write_now(stream, b" ")?;
            }
        }
        Behaviour::DripHead { pause } => {
            write_now(stream, b"HTTP/1.1 200 OK\r\nX-Drip: ")?;
            while !shared.pause(pause) {
                write_now(stream, b".")?;
            }
        }
        // The last three do not come this far.
        Behaviour::CloseWithoutAnswer
        | Behaviour::NeverRead
        | Behaviour::ResetAfter { .. }
        | Behaviour::EarlyAnswer { .. } => {}
    }
    Ok(Next::Close)
}

/// What the real service would say.
fn judge(request: &mut Received, behaviour: &Behaviour, shared: &Shared) -> (u16, Value) {
    let config = &shared.config;
    if !check::is_authorised(request, &config.email, &config.token) {
        return (401, json!({"error": "the credentials are wrong"}));
    }
    let mut state = shared.lock();
    match request.route {
        Route::Flow => match check::flow(request, &state.devices) {
            (200, _) if behaviour.takes() => match config.batch_names {
                BatchNames::Remember => names::take(request, &mut state.taken),
                BatchNames::Ignore => {
                    request.fate = Fate::Taken;
                    (200, json!({}))
                }
            },
            answer => answer,
        },
        Route::Api => devices::answer(request, &mut state.devices),
        Route::Dns => check::dns(request),
        Route::Metrics => check::metrics(request),
        Route::Other => (404, json!({"error": "there is nothing here"})),
    }
}

/// Reads until the body has `length` bytes.
fn read_body(
    stream: &mut dyn Stream,
    buffer: &mut Vec<u8>,
    request: &mut Received,
    length: usize,
) -> io::Result<()> {
    loop {
        let wanted = length - request.body.len();
        let ready = buffer.len().min(wanted);
        request.body.extend(buffer.drain(..ready));
        if ready == wanted {
            return Ok(());
        }
        let mut reader = &mut *stream;
        if read_some(&mut reader, buffer, (wanted - ready).min(64 << 10))? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Linux resets a connection that is closed with unread bytes: waits until there are some, if more are to come.
fn wait_for_bytes(socket: &TcpStream) {
    let _ = socket.set_read_timeout(Some(Duration::from_secs(10)));
    let _ = socket.peek(&mut [0]);
}

fn head(status: u16, headers: &[(String, String)], body_bytes: usize) -> String {
    let mut head = format!("HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\n");
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    // Answers with these statuses have no body (RFC 9110, section 6.4.1).
    if status != 204 && status != 304 {
        let _ = write!(head, "Content-Length: {body_bytes}\r\n");
    }
    head + "\r\n"
}

fn write_answer(
    stream: &mut dyn Stream,
    status: u16,
    headers: &[(String, String)],
    body: &[u8],
) -> io::Result<()> {
    let mut bytes = head(status, headers, body.len()).into_bytes();
    bytes.extend_from_slice(body);
    write_now(stream, &bytes)
}

fn write_now(stream: &mut dyn Stream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes)?;
    stream.flush()
}

//! Requests as they come off a connection.

use kflow::chf::Chf;
use std::io::{self, Read};

/// Largest head of a request.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Largest body that is kept.
pub(crate) const BODY_BYTES_MAX: usize = 64 << 20;

/// Which part of the service a request is for, by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Route {
    /// `/chf`: flows.
    Flow,
    /// `/api/internal/…`: devices.
    Api,
    /// `/dns`: answers to questions for names.
    Dns,
    /// `/tsdb`: what a sender measures of itself.
    Metrics,
    /// Anything else.
    Other,
}

/// A request, and what is wrong with it.
#[derive(Clone, Debug)]
pub struct Received {
    /// Counts connections from 0, in the order in which they were accepted.
    pub connection: usize,
    pub route: Route,
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// In the order and with the names as sent.
    pub headers: Vec<(String, String)>,
    /// As sent; may be cut where the behaviour reads less.
    pub body: Vec<u8>,
    /// Records of the flow message, if it is one.
    pub records: Option<Vec<Chf>>,
    /// The status of the honest answer, if the request was read whole; a script may have answered otherwise.
    pub honest_status: Option<u16>,
    pub fate: Fate,
    /// What a strict receiver finds wrong. Wrong credentials and unknown devices are not: they have their answers.
    pub faults: Vec<String>,
}

/// What a receiver that behaves like this makes of a flow message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is not taken, or was not read whole.
    Left,
    Taken,
    /// A batch of this name was taken before. Only where names are remembered.
    Repeated,
}

impl Received {
    /// All values of a header, in order.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let same = |(found, _): &&(String, String)| found.eq_ignore_ascii_case(name);
        self.headers.iter().filter(same).map(|(_, value)| value.as_str()).collect()
    }

    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub(crate) fn content_length(&self) -> Option<usize> {
        match self.header("content-length")[..] {
            [value] => value.parse().ok(),
            _ => None,
        }
    }
}

/// Reads the head of the next request, and leaves what follows it in `buffer`. `None` is the end of the connection.
pub(crate) fn read_head(
    stream: &mut dyn Read,
    buffer: &mut Vec<u8>,
    connection: usize,
) -> io::Result<Option<Received>> {
    loop {
        if let Some((request, used)) = parse_head(buffer, connection)? {
            buffer.drain(..used);
            return Ok(Some(request));
        }
        if buffer.len() > HEAD_BYTES_MAX {
            return Err(invalid("the head is too long"));
        }
        if read_some(stream, buffer, 16 << 10)? == 0 {
            return if buffer.is_empty() { Ok(None) } else { Err(invalid("the head is cut off")) };
        }
    }
}

/// Reads once, at most `room` bytes.
pub(crate) fn read_some(stream: &mut dyn Read, buffer: &mut Vec<u8>, room: usize) -> io::Result<usize> {
    let filled = buffer.len();
    buffer.resize(filled + room, 0);
    let read = stream.read(&mut buffer[filled..]);
    buffer.truncate(filled + *read.as_ref().unwrap_or(&0));
    read
}

fn parse_head(bytes: &[u8], connection: usize) -> io::Result<Option<(Received, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Request::new(&mut headers);
    let status = head.parse(bytes).map_err(|error| invalid(&format!("no request of HTTP: {error}")))?;
    let httparse::Status::Complete(used) = status else { return Ok(None) };
    let target = head.path.unwrap_or_default().to_owned();
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let request = Received {
        connection,
        route: route_of(&target),
        method: head.method.unwrap_or_default().to_owned(),
        headers: head.headers.iter().map(|header| (header.name.to_owned(), text(header.value))).collect(),
        target,
        body: Vec::new(),
        records: None,
        honest_status: None,
        fate: Fate::Left,
        faults: Vec::new(),
    };
    Ok(Some((request, used)))
}

fn route_of(target: &str) -> Route {
    let path = target.split('?').next().unwrap_or_default();
    match path {
        "/chf" => Route::Flow,
        "/dns" => Route::Dns,
        "/tsdb" => Route::Metrics,
        _ if path.starts_with("/api/internal/") => Route::Api,
        _ => Route::Other,
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

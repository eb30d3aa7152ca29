//! HTTP/1.1: requests one by one or ahead of the answers, bodies by length or in chunks (RFC 9112).

use super::words::{host, word};
use super::{Said, Script};
use crate::mix::random::Random;

const STATUSES: [(u16, &str); 8] = [
    (200, "OK"),
    (200, "OK"),
    (200, "OK"),
    (204, "No Content"),
    (301, "Moved Permanently"),
    (304, "Not Modified"),
    (404, "Not Found"),
    (500, "Internal Server Error"),
];
const TYPES: [&str; 3] = ["text/html; charset=utf-8", "text/plain", "application/octet-stream"];
const FORM: &str = "application/x-www-form-urlencoded";
const BODY_BYTES_MAX: u64 = 200_000;

/// A request, its answer, and both as they are said.
struct Exchange {
    request: Vec<u8>,
    answer: Option<Vec<u8>>,
    said: Said,
}

pub fn script(random: &mut Random) -> Script {
    let mut script = Script::tcp([80, 8_080, 3_128][random.index(3)]);
    let (site, agent) = (host(random), format!("{}/{}.0", word(random), random.between(1, 140)));
    let mut exchanges: Vec<Exchange> =
        (0..random.between(1, 6)).map(|_| Exchange::draw(&site, &agent, random)).collect();
    if random.one_in(10) {
        let last = exchanges.last_mut().expect("there is at least one");
        last.leave_unanswered();
    }
    if random.one_in(4) {
        script.client(exchanges.iter().flat_map(|each| each.request.clone()).collect::<Vec<_>>());
        let answers: Vec<u8> = exchanges.iter().filter_map(|each| each.answer.clone()).flatten().collect();
        if !answers.is_empty() {
            script.server(answers);
        }
    } else {
        for exchange in &exchanges {
            script.client(&exchange.request);
            exchange.answer.iter().for_each(|answer| script.server(answer));
        }
    }
    script.said = exchanges.into_iter().map(|exchange| exchange.said).collect();
    script
}

impl Exchange {
    fn draw(site: &str, agent: &str, random: &mut Random) -> Exchange {
        let method = ["GET", "GET", "GET", "HEAD", "POST", "PUT"][random.index(6)];
        let mut target = format!("/{}/{}", word(random), word(random));
        if random.one_in(2) {
            target = format!("{target}?{}={}", word(random), word(random));
        }
        let mut said = Said::of("http")
            .with("http_method", method)
            .with("http_url", &target)
            .with("http_host", site)
            .with("http_user_agent", agent)
            .with("http_version", "1.1");
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {site}\r\nUser-Agent: {agent}\r\n");
        if random.one_in(3) {
            let referer = format!("http://{}/{}?{}", host(random), word(random), word(random));
            head += &format!("Referer: {referer}\r\n");
            said.set("http_referer", referer);
        }
        let mut body = Vec::new();
        if matches!(method, "POST" | "PUT") {
            let content = letters(random.between(0, 3_000), random);
            said.set("http_request_content_type", FORM);
            said.set("http_request_body_bytes", content.len());
            head += &format!("Content-Type: {FORM}\r\n");
            let framed = framed(content, random);
            head += &framed.0;
            body = framed.1;
        }
        let request = [head.as_bytes(), b"\r\n", &body].concat();
        let mut exchange = Exchange { request, answer: None, said };
        exchange.answer(method, random);
        exchange
    }

    fn answer(&mut self, method: &str, random: &mut Random) {
        let (status, reason) = STATUSES[random.index(STATUSES.len())];
        let server = word(random);
        let mut head = format!("HTTP/1.1 {status} {reason}\r\nServer: {server}\r\n");
        let mut body = Vec::new();
        if !matches!(status, 204 | 304) {
            let content_type = TYPES[random.index(TYPES.len())];
            let bytes_max = if random.one_in(20) { BODY_BYTES_MAX } else { 6_000 };
            let bytes = random.between(0, bytes_max);
            let content =
                if content_type == TYPES[2] { random.bytes(bytes as usize) } else { letters(bytes, random) };
            head += &format!("Content-Type: {content_type}\r\n");
            self.said.set("http_content_type", content_type);
            self.said.set("http_response_body_bytes", content.len());
            if method == "HEAD" {
                head += &format!("Content-Length: {}\r\n", content.len());
            } else {
                let framed = framed(content, random);
                head += &framed.0;
                body = framed.1;
            }
        }
        self.said.set("http_status", status);
        self.said.set("http_server", server);
        self.said.is_answered = true;
        self.answer = Some([head.as_bytes(), b"\r\n", &body].concat());
    }

    fn leave_unanswered(&mut self) {
        self.answer = None;
        self.said.is_answered = false;
        let of_answer = ["http_content_type", "http_response_body_bytes", "http_status", "http_server"];
        of_answer.iter().for_each(|field| drop(self.said.fields.remove(*field)));
    }
}

/// The header that says how long a body is, and the body as it is sent.
fn framed(content: Vec<u8>, random: &mut Random) -> (String, Vec<u8>) {
    if !random.one_in(3) {
        return (format!("Content-Length: {}\r\n", content.len()), content);
    }
    let chunk_bytes = random.between(1, 3_000).max(content.len() as u64 / 50) as usize;
    let mut body = Vec::new();
    for chunk in content.chunks(chunk_bytes) {
        body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        body.extend_from_slice(chunk);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"0\r\n\r\n");
    ("Transfer-Encoding: chunked\r\n".to_owned(), body)
}

fn letters(count: u64, random: &mut Random) -> Vec<u8> {
    random.bytes(count as usize).into_iter().map(|byte| b'a' + byte % 26).collect()
}

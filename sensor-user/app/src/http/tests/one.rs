//! HTTP/1.

use super::*;
use crate::harness::Sender::{Destination, Source};

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn a_request_and_its_answer_are_a_transaction() {
    let outcome = conversation()
        .say(
            Source,
            b"POST /form?x=1 HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: agent/1\r\n\
              Referer: http://example.org/\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello",
        )
        .say(
            Destination,
            b"HTTP/1.1 404 Not Found\r\nServer: s/2\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\nno!",
        )
        .run();
    let [transaction] = &outcome.transactions[..] else { panic!("{outcome:?}") };
    assert_eq!(text(transaction, http::METHOD), "POST");
    assert_eq!(text(transaction, http::URL), "/form?x=1");
    assert_eq!(text(transaction, http::HOST), "www.example.org");
    assert_eq!(text(transaction, http::USER_AGENT), "agent/1");
    assert_eq!(text(transaction, http::REFERER), "http://example.org/");
    assert_eq!(text(transaction, http::REQUEST_CONTENT_TYPE), "text/plain");
    assert_eq!(text(transaction, http::CONTENT_TYPE), "text/html");
    assert_eq!(text(transaction, http::SERVER), "s/2");
    assert_eq!(text(transaction, http::VERSION), "1.1");
    assert_eq!(transaction.number(http::STATUS), Some(404));
    assert_eq!(transaction.number(http::REQUEST_BODY_BYTES), Some(5));
    assert_eq!(transaction.number(http::RESPONSE_BODY_BYTES), Some(3));
    assert_eq!(transaction.latency_us(), Some(1000));
    assert_eq!(outcome.protocol, Some(AppProtocol::Http));
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let outcome = conversation()
        .say(Source, b"GET /1 HTTP/1.1\r\n\r\nHEAD /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n\r\n")
        .say(
            Destination,
            b"HTTP/1.1 201 A\r\nContent-Length: 1\r\n\r\n1HTTP/1.1 202 B\r\nContent-Length: 9\r\n\r\n\
              HTTP/1.1 304 C\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 D\r\n\r\nuntil the end",
        )
        .run();
    assert_eq!(summary(&outcome), ["- - 200 - -", "GET /1 201 - 1", "GET /3 304 - 9", "HEAD /2 202 - 9"]);
}

#[test]
fn an_interim_answer_is_not_the_answer_and_the_request_ends_with_its_body() {
    let outcome = conversation()
        .say(Source, b"PUT /x HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        .say(Destination, b"HTTP/1.1 100 Continue\r\n\r\n")
        .say(Source, b"bo")
        .say(Source, b"dy")
        .say(Destination, b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
        .say(Destination, b"HTTP/1.1 204 No Content\r\n\r\n")
        .run();
    assert_eq!(summary(&outcome), ["PUT /x 204 4 -"]);
    assert_eq!(outcome.transactions[0].latency_us(), Some(2000), "from the fourth message to the sixth");
}

#[test]
fn latency_ends_where_the_answer_begins_however_slowly_it_comes() {
    let mut conversation = conversation().say(Source, GET);
    for piece in OK.chunks(10) {
        conversation = conversation.say(Destination, piece);
    }
    assert_eq!(conversation.run().transactions[0].latency_us(), Some(1000));
}

#[test]
fn chunks_are_added_up_and_trailers_passed_over() {
    let chunked =
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1f;x=y\r\n0123456789012345678901234567890\r\n\
                    0\r\nHost: trailer.example\r\n\r\n";
    let request = [b"POST /c HTTP/1.1\r\nContent-Length: 7\r\n".as_slice(), chunked].concat();
    let answer = [b"HTTP/1.1 200 OK\r\n".as_slice(), chunked].concat();
    let outcome = conversation()
        .say(Source, &request)
        .say(Destination, &answer)
        .say(Source, GET)
        .say(Destination, OK)
        .run();
    assert_eq!(summary(&outcome), ["GET /a 200 - 2", "POST /c 200 36 36"]);
    assert_eq!(failures(&outcome, Failure::Malformed), 0);
}

#[test]
fn a_long_answer_in_chunks_does_not_use_up_the_budget() {
    let chunk = format!("800\r\n{}\r\n", "x".repeat(0x800));
    let answer =
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(500));
    let outcome = conversation()
        .with_limits(crate::Limits { work_bytes: 20_000, ..crate::harness::LIMITS })
        .say(Source, GET)
        .say(Destination, answer.as_bytes())
        .say(Source, GET)
        .say(Destination, OK)
        .run();
    assert_eq!(summary(&outcome), ["GET /a 200 - 1024000", "GET /a 200 - 2"]);
    assert_eq!(outcome.counts.read(AppProtocol::Http).over_budget, 0);
}

#[test]
fn an_answer_may_come_before_the_request_is_whole() {
    let outcome = conversation()
        .say(Source, b"POST /big HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nab")
        .say(Destination, b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        .say(Source, b"cd\r\n0\r\n\r\n")
        .say(Source, GET)
        .say(Destination, OK)
        .run();
    assert_eq!(summary(&outcome), ["GET /a 200 - 2", "POST /big 413 - 0"]);
}

#[test]
fn requests_without_an_answer_and_answers_without_a_request_are_transactions() {
    let outcome = conversation().say(Destination, OK).say(Source, GET).say(Source, GET).run();
    assert_eq!(summary(&outcome), ["- - 200 - 2", "GET /a - - -", "GET /a - - -"]);
    assert_eq!(outcome.counts.read(AppProtocol::Http).unanswered, 2);
    assert!(outcome.transactions.iter().all(|transaction| transaction.latency_us().is_none()));
}

#[test]
fn of_more_requests_than_may_wait_the_oldest_are_unanswered() {
    let mut conversation = conversation();
    for index in 0..20 {
        conversation = conversation.say(Source, format!("GET /{index:02} HTTP/1.1\r\n\r\n").as_bytes());
    }
    for index in 0..20 {
        let answer = format!("HTTP/1.1 {} OK\r\nContent-Length: 0\r\n\r\n", 200 + index);
        conversation = conversation.say(Destination, answer.as_bytes());
    }
    let mut expected = Vec::new();
    for index in 0..20 {
        if index < 4 {
            expected.extend([format!("GET /{index:02} - - -"), format!("- - {} - 0", 200 + index)]);
        } else {
            expected.push(format!("GET /{index:02} {} - 0", 200 + index));
        }
    }
    expected.sort();
    assert_eq!(summary(&conversation.run()), expected);
}

#[test]
fn what_follows_connect_is_recognised_anew() {
    let outcome = conversation()
        .say(Source, b"CONNECT ssh.example:22 HTTP/1.1\r\nHost: ssh.example:22\r\n\r\n")
        .say(Destination, b"HTTP/1.1 407 Who?\r\nContent-Length: 0\r\n\r\n")
        .say(Source, b"CONNECT ssh.example:22 HTTP/1.1\r\nHost: ssh.example:22\r\n\r\n")
        .say(Destination, b"HTTP/1.1 200 Connected\r\nTransfer-Encoding: chunked\r\n\r\n")
        .say(Destination, b"SSH-2.0-server\r\n")
        .say(Source, b"SSH-2.0-client\r\n")
        .run();
    assert_eq!(summary(&outcome), ["CONNECT ssh.example:22 200 - -", "CONNECT ssh.example:22 407 - 0"]);
    assert_eq!(outcome.protocol, Some(AppProtocol::Ssh));
}

#[test]
fn a_tunnel_of_which_one_side_is_seen_is_recognised_too() {
    let outcome = conversation()
        .say(Source, b"CONNECT ssh.example:22 HTTP/1.1\r\n\r\n")
        .say(Source, b"SSH-2.0-client\r\n")
        .run();
    assert_eq!(summary(&outcome), ["CONNECT ssh.example:22 - - -"]);
    assert_eq!(outcome.protocol, Some(AppProtocol::Ssh));
}

#[test]
fn an_upgrade_ends_http() {
    let upgrade = |protocol: &str| {
        conversation()
            .say(Source, format!("GET /u HTTP/1.1\r\nUpgrade: {protocol}\r\n\r\n").as_bytes())
            .say(Destination, format!("HTTP/1.1 101 Go\r\nUpgrade: {protocol}\r\n\r\n").as_bytes())
            .say(Destination, b"SSH-2.0-server\r\n")
            .run()
    };
    let outcome = upgrade("tcp");
    assert_eq!(summary(&outcome), ["GET /u 101 - -"]);
    assert_eq!(outcome.protocol, Some(AppProtocol::Ssh));
    let outcome = upgrade("websocket");
    assert_eq!(summary(&outcome), ["GET /u 101 - -"]);
    assert_eq!(outcome.protocol, Some(AppProtocol::Http));
}

#[test]
fn an_answer_that_is_none_leaves_the_request_unanswered_and_is_counted() {
    let outcome = conversation().say(Source, GET).say(Destination, b"<html>\n just text\n</html>\n").run();
    assert_eq!(summary(&outcome), ["GET /a - - -"]);
    assert_eq!(failures(&outcome, Failure::Malformed), 1);
}

#[test]
fn behind_something_senseless_the_next_message_is_found() {
    let outcome = conversation()
        .say(Source, GET)
        .say(Destination, OK)
        .say(Source, b"no method\nGET /log line\n HTTP/1.1 200\nGET /b HTTP/1.1\n\n")
        .say(Destination, b"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n")
        .run();
    assert_eq!(summary(&outcome), ["GET /a 200 - 2", "GET /b 400 - 0"]);
    assert_eq!(failures(&outcome, Failure::Malformed), 1);
}

#[test]
fn a_body_whose_length_makes_no_sense_is_searched_for_the_next_message() {
    for length in ["5\r\nContent-Length: 6", "-1", "18446744073709551615", "5x"] {
        let post = format!("POST /p HTTP/1.1\r\nContent-Length: {length}\r\n\r\nsome\nlines\n");
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nHTTP/1.1 201 OK\r\n\r\n");
        let outcome = conversation()
            .say(Source, &[post.as_bytes(), GET].concat())
            .say(Destination, answer.as_bytes())
            .run();
        assert_eq!(summary(&outcome), ["GET /a 201 - -", "POST /p 200 - -"], "{length}");
        assert_eq!(failures(&outcome, Failure::Malformed), 2);
    }
}

#[test]
fn chunks_that_make_no_sense_are_counted_and_the_answer_stands() {
    for chunk in ["10000000000000000\r\n", "8000000000000000\r\n", "x\r\n", "2\r\nabX\r\n", "\r\n"] {
        let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}");
        let outcome = conversation()
            .say(Source, GET)
            .say(Destination, answer.as_bytes())
            .say(Source, GET)
            .say(Destination, OK)
            .run();
        assert_eq!(summary(&outcome), ["GET /a 200 - -", "GET /a 200 - 2"], "{chunk}");
        assert_eq!(failures(&outcome, Failure::Malformed), 1);
    }
}

#[test]
fn chunks_do_not_add_up_to_more_than_there_are_numbers() {
    let outcome = conversation()
        .say(Source, GET)
        .say(
            Destination,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n7fffffffffffffff\r\nb",
        )
        .run();
    assert_eq!(summary(&outcome), ["GET /a 200 - -"]);
    assert_eq!(failures(&outcome, Failure::Malformed), 1);
}

#[test]
fn endless_heads_are_at_the_limit() {
    let fields = "X: y\r\n".repeat(4000);
    for start in ["GET /endless HTTP/1.1\r\n", "HTTP/1.1 200 OK\r\n"] {
        let endless = format!("{start}{fields}");
        let outcome =
            conversation().say(Source, GET).say(Destination, OK).say(Source, endless.as_bytes()).run();
        assert_eq!(summary(&outcome), ["GET /a 200 - 2"]);
        assert_eq!(failures(&outcome, Failure::Limit), 1);
    }
    let endless =
        format!("{}\r\n0\r\n{}", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", "x".repeat(20_000));
    let outcome = conversation().say(Source, GET).say(Destination, endless.as_bytes()).run();
    assert_eq!(summary(&outcome), ["GET /a 200 - -"]);
    assert_eq!(failures(&outcome, Failure::Limit), 1);
}

#[test]
fn texts_that_are_longer_than_the_room_are_cut_behind_the_short_ones() {
    let target = "/x".repeat(6000);
    let request = format!("GET {target} HTTP/1.1\r\nHost: a.example\r\nUser-Agent: b\r\n\r\n");
    let outcome = conversation().say(Source, request.as_bytes()).say(Destination, OK).run();
    let [transaction] = &outcome.transactions[..] else { panic!("{outcome:?}") };
    assert_eq!(text(transaction, http::HOST), "a.example");
    assert_eq!(text(transaction, http::USER_AGENT), "b");
    assert!(target.starts_with(text(transaction, http::URL)));
    assert_eq!(outcome.counts.read(AppProtocol::Http).texts_cut, 1);
}

#[test]
fn a_value_over_several_lines_is_one_text() {
    let outcome = conversation().say(Source, b"GET / HTTP/1.0\nUser-Agent: a\n  b\xff\n\tc \n\n").run();
    assert_eq!(text(&outcome.transactions[0], http::USER_AGENT), "a b\u{FFFD} c");
}

#[test]
fn who_asks_may_change() {
    let outcome = conversation().say(Source, GET).say(Destination, GET).say(Source, OK).run();
    assert_eq!(summary(&outcome), ["GET /a - - -", "GET /a 200 - 2"]);
}

#[test]
fn requests_go_unrecorded_where_there_is_no_draft_and_are_paired_all_the_same() {
    let limits = crate::Limits { drafts: 1, ..crate::Limits::default() };
    let outcome = conversation()
        .with_limits(crate::Limits { flows: 4, parsers: 4, buffers: 8, ..limits })
        .say(Source, b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n")
        .say(
            Destination,
            b"HTTP/1.1 201 A\r\nContent-Length: 0\r\n\r\nHTTP/1.1 202 B\r\nContent-Length: 0\r\n\r\n",
        )
        .say(Source, GET)
        .say(Destination, OK)
        .run();
    assert_eq!(summary(&outcome), ["GET /1 201 - 0", "GET /a 200 - 2"]);
    assert_eq!(outcome.counts.read(AppProtocol::Http).shed_drafts, 1);
}

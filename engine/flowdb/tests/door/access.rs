//! Who may come in.

use crate::support::{EMAIL, INGEST, QUERY, Server, call, settings};
use axum::http::StatusCode;
use flowdb::door::ROUTES;

#[tokio::test(flavor = "multi_thread")]
async fn every_route_refuses_a_wrong_token() {
    let server = Server::start(settings()).await;
    let wrong: &[&[(&str, &str)]] = &[
        &[("authorization", "Bearer wrong")],
        &[("authorization", "Basic token-of-query")],
        &[("x-ch-auth-email", EMAIL), ("x-ch-auth-api-token", "wrong")],
        &[("x-ch-auth-email", "other@example.net"), ("x-ch-auth-api-token", INGEST)],
        &[("x-ch-auth-api-token", "")],
    ];
    for (method, path) in
        ROUTES.iter().chain(&[("GET", "/"), ("GET", "/nowhere"), ("DELETE", "/api/v5/devices")])
    {
        for headers in wrong {
            let answer = call(server.http(), method, path, headers, Vec::new()).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path} {headers:?}");
            assert!(answer.json()["error"].is_string());
        }
        let without = call(server.http(), method, path, &[], Vec::new()).await;
        let expected = if *path == "/health" { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
        assert_eq!(without.status, expected, "{method} {path}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_there_for_the_right_token_and_not_for_the_other() {
    let server = Server::start(settings()).await;
    for (method, path) in ROUTES {
        let is_for_senders = ["/chf", "/dns", "/tsdb"].contains(path)
            || (path.starts_with("/api/internal") && *method != "GET");
        let (right, other) = if is_for_senders { (INGEST, QUERY) } else { (QUERY, INGEST) };
        let right = format!("Bearer {right}");
        let answer = call(server.http(), method, path, &[("authorization", &right)], Vec::new()).await;
        // The device that is looked up does not exist.
        let is_there = answer.status != StatusCode::NOT_FOUND || path.ends_with("/device/1001");
        assert!(is_there && answer.status != StatusCode::METHOD_NOT_ALLOWED, "{method} {path}: {answer:?}");
        assert_ne!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
        let other = format!("Bearer {other}");
        let answer = call(server.http(), method, path, &[("authorization", &other)], Vec::new()).await;
        let is_for_both = *path == "/health" || (path.starts_with("/api/internal") && *method == "GET");
        assert_eq!(answer.status == StatusCode::FORBIDDEN, !is_for_both, "{method} {path}: {answer:?}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_the_right_token_is_counted() {
    let server = Server::start(settings()).await;
    call(server.http(), "GET", "/metrics", &[("authorization", "Bearer wrong")], Vec::new()).await;
    let bearer = format!("Bearer {QUERY}");
    let metrics = call(server.http(), "GET", "/metrics", &[("authorization", &bearer)], Vec::new()).await;
    assert!(metrics.text().contains("\nflowdb_unauthorized_total 1\n"), "{}", metrics.text());
    server.stop().await;
}

//! Which path leads where, and how errors are said.

use crate::door::access::{Refusal, Right};
use crate::door::counters::Counters;
use crate::door::query::QUESTION_BYTES_MAX;
use crate::door::{House, devices, ingest, query};
use crate::error::Error;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use serde_json::json;
use std::sync::Arc;

/// Every path there is, with the methods it takes. A test knocks at each of them.
pub const ROUTES: &[(&str, &str)] = &[
    ("POST", "/chf"),
    ("POST", "/dns"),
    ("POST", "/tsdb"),
    ("GET", "/api/internal/device/1001"),
    ("POST", "/api/internal/device/"),
    ("POST", "/api/internal/device"),
    ("POST", "/api/internal/deviceAndSite"),
    ("GET", "/api/internal/devices"),
    ("GET", "/api/internal/device/1001/interfaces"),
    ("PUT", "/api/internal/company/1/device/1001/tags/snmp"),
    ("PUT", "/api/internal/cloudExport/status/1"),
    ("POST", "/api/v5/query/sql"),
    ("GET", "/api/v5/devices"),
    ("GET", "/metrics"),
    ("GET", "/health"),
];

pub fn router(house: &Arc<House>) -> Router {
    let api = Router::new()
        .route("/device", post(devices::create))
        .route("/device/", post(devices::create))
        .route("/device/{key}", get(devices::look_up))
        .route("/device/{key}/interfaces", get(devices::interfaces))
        .route("/devices", get(devices::list))
        .route("/deviceAndSite", post(devices::create))
        .route("/company/{company}/device/{device}/tags/snmp", put(devices::note))
        .route("/cloudExport/status/{id}", put(devices::note));
    Router::new()
        .route("/chf", post(ingest::flows))
        .route("/dns", post(ingest::dns))
        .route("/tsdb", post(ingest::tsdb))
        .nest("/api/internal", api)
        .route("/api/v5/query/sql", post(query::sql))
        .route("/api/v5/devices", get(devices::list))
        .route("/metrics", get(metrics))
        .route("/health", get(health))
        .fallback(nowhere)
        .method_not_allowed_fallback(wrong_method)
        // What takes flows has a limit of its own.
        .layer(DefaultBodyLimit::max(QUESTION_BYTES_MAX))
        .layer(middleware::from_fn_with_state(Arc::clone(house), guard))
        .with_state(Arc::clone(house))
}

/// Turns away who may not come in, before anything else is looked at.
async fn guard(State(house): State<Arc<House>>, request: Request, next: Next) -> Response {
    let right = Right::of(request.method(), request.uri().path());
    match house.settings.access.judge(right, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(Refusal::Unauthorized) => {
            Counters::add(&house.counters.unauthorized, 1);
            let mut response = refuse(StatusCode::UNAUTHORIZED, "the token is wrong, or there is none");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            response
        }
        Err(Refusal::Forbidden) => {
            Counters::add(&house.counters.unauthorized, 1);
            refuse(StatusCode::FORBIDDEN, "this token is for something else")
        }
    }
}

async fn metrics(State(house): State<Arc<House>>) -> Response {
    let text = house.counters.text() + &Counters::engine_text(&house.engine.stats().await);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

async fn health() -> &'static str {
    "ok\n"
}

async fn nowhere() -> Response {
    refuse(StatusCode::NOT_FOUND, "there is nothing here")
}

async fn wrong_method() -> Response {
    refuse(StatusCode::METHOD_NOT_ALLOWED, "this path takes another method")
}

/// `{"error": "…"}`.
pub fn refuse(status: StatusCode, what: &str) -> Response {
    (status, axum::Json(json!({ "error": what }))).into_response()
}

/// An error of the engine, as HTTP says it.
pub fn failure(error: &Error) -> Response {
    let status = match error {
        Error::Malformed(_) | Error::Query(_) => StatusCode::BAD_REQUEST,
        Error::UnknownDevice(_) => StatusCode::NOT_FOUND,
        Error::Budget(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Error::Busy(_) | Error::Closed => StatusCode::SERVICE_UNAVAILABLE,
        Error::Store(_) | Error::Config(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let mut response = refuse(status, &error.to_string());
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
    }
    response
}

/// Seconds after which a sender that was sent away may come again.
const RETRY_AFTER_S: &str = "5";

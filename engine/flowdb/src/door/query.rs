//! `POST /api/v5/query/sql`: `{"query": "SELECT …"}` to rows, which are sent as they are computed.
//!
//! The answer's format is that of the `Accept` header. Parameters: `max_rows` and `timeout_ms`, which may only be less than
//! what the server allows; `addresses=bytes` for addresses as 16 bytes in place of text.
//!
//! What goes wrong before the first rows are there is a status and `{"error": "…"}`. Later, JSON has a member `error` at
//! its end, and other formats break off without the last chunk of HTTP.

use crate::door::House;
use crate::door::encode::{Encoder, Format, Tail};
use crate::door::routes::{failure, refuse};
use crate::door::run::{Addresses, Budget, Run};
use crate::error::Error;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    max_rows: Option<u64>,
    timeout_ms: Option<u64>,
    addresses: Option<String>,
    report: Option<String>,
}

#[derive(Deserialize)]
struct Question {
    query: String,
}

/// Longest text of a question.
pub const QUESTION_BYTES_MAX: usize = 1 << 20;

pub async fn sql(
    State(house): State<Arc<House>>,
    parameters: Result<Query<Parameters>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let parameters = match parameters {
        Ok(Query(parameters)) => parameters,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &error.body_text()),
    };
    let addresses = match parameters.addresses.as_deref() {
        None | Some("text") => Addresses::Text,
        Some("bytes") => Addresses::Bytes,
        Some(_) => return refuse(StatusCode::BAD_REQUEST, "addresses is text or bytes"),
    };
    let tail = match parameters.report.as_deref() {
        None => Tail::Nothing,
        Some("trailing") => Tail::Report,
        Some(_) => return refuse(StatusCode::BAD_REQUEST, "report is trailing"),
    };
    let accept = headers.get(header::ACCEPT).map(|value| value.to_str().unwrap_or("?"));
    let Some(format) = Format::of_accept(accept) else {
        let known = "answers are application/json, text/csv or application/vnd.apache.arrow.stream";
        return refuse(StatusCode::NOT_ACCEPTABLE, known);
    };
    let question: Question = match serde_json::from_slice(&body) {
        Ok(question) => question,
        Err(error) => {
            return refuse(
                StatusCode::BAD_REQUEST,
                &format!("the body is not {{\"query\": \"…\"}}: {error}"),
            );
        }
    };
    let timeout = parameters.timeout_ms.map(Duration::from_millis);
    let budget = Budget::new(&house.settings.limits, parameters.max_rows, timeout);
    match begin(&house, &question.query, budget, addresses, (format, tail)).await {
        Ok(response) => response,
        Err(error) => failure(&error),
    }
}

/// Waits for the first rows, so that most of what can go wrong has a status.
async fn begin(
    house: &House,
    sql: &str,
    budget: Budget,
    addresses: Addresses,
    (format, tail): (Format, Tail),
) -> Result<Response, Error> {
    let mut run = Run::start(house, sql, budget, addresses).await?;
    let mut encoder = Encoder::new(format, tail, run.schema())?;
    let first = match run.next().await? {
        Some(batch) => encoder.rows(&batch)?,
        None => {
            let bytes = encoder.end(&run.report())?;
            return Ok(([(header::CONTENT_TYPE, format.content_type())], bytes).into_response());
        }
    };
    let head = futures::stream::iter([Ok(Bytes::from(first))]);
    let rest = futures::stream::unfold(Some((run, encoder)), async |state| {
        let (mut run, mut encoder) = state?;
        let batch = run.next().await;
        let encoded = match &batch {
            Ok(Some(batch)) => encoder.rows(batch).map(|bytes| (bytes, true)),
            Ok(None) => encoder.end(&run.report()).map(|bytes| (bytes, false)),
            Err(error) => match encoder.break_off(error, &run.report()) {
                Some(bytes) => Ok((bytes, false)),
                None => return Some((Err(std::io::Error::other(error.to_string())), None)),
            },
        };
        Some(match encoded {
            Ok((bytes, goes_on)) => (Ok(Bytes::from(bytes)), goes_on.then_some((run, encoder))),
            Err(error) => (Err(std::io::Error::other(error.to_string())), None),
        })
    });
    let body = Body::from_stream(futures::StreamExt::chain(head, rest));
    Ok(([(header::CONTENT_TYPE, format.content_type())], body).into_response())
}
